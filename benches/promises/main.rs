//! The figures behind the table of promises, measured on the real gateway over real WebSockets.
//!
//! Each experiment starts a gateway process of its own with the settings it ships with, drives it
//! over loopback from this process, and gives one row or more. Whoever needs more than one subject
//! may have uses several subjects, so that no limit is raised for the sake of a figure.
//!
//! What every experiment keeps to: warm-up before anything is counted, medians, things that are
//! compared taken in turns within one run, and a bound on count and time.

mod client;
mod crowd;
mod footprint;
mod gateway;
mod idle_connection;
mod idle_session;
mod line_delivery;
mod machine;
mod metering;
mod report;
mod row;
mod samples;
mod session_start;
mod throughput;
mod time_limit;
mod variants;
mod warm_turn;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use gateway::Program;
use machine::Machine;
use report::Report;
use row::Row;

/// Measures what the table of promises says.
#[derive(Parser)]
#[command(name = "promises")]
struct Options {
    /// Write the figures to this file, too, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run this experiment only; may be repeated
    #[arg(long, value_name = "NAME", value_enum)]
    only: Vec<Experiment>,
    /// A tenth of the samples, and nothing that would have to be compiled first
    #[arg(long)]
    quick: bool,
    /// The native Python that guests are compared with
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: String,
    /// What `cargo bench` passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// One thing that is measured, by the name that `--only` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Experiment {
    SessionStart,
    WarmTurn,
    LineDelivery,
    Throughput,
    IdleSession,
    Crowd,
    TimeLimit,
    IdleConnection,
    Metering,
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    Full,
    Quick,
}

impl Options {
    fn effort(&self) -> Effort {
        match self.quick {
            true => Effort::Quick,
            false => Effort::Full,
        }
    }
}

impl Effort {
    /// `full` of something, or a tenth of it, but at least two.
    pub fn count(self, full: usize) -> usize {
        match self {
            Self::Full => full,
            Self::Quick => (full / 10).max(2),
        }
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    raise_descriptor_limit()?;
    let program = Program::find();
    program.set_up()?;
    let machine = Machine::look();
    let mut report = Report::new(machine, options.effort());
    println!("{}", report.header());

    // One thread: a client with more would take the cores that the gateway is measured on.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the client's runtime")?;
    for experiment in Experiment::value_variants() {
        if !options.only.is_empty() && !options.only.contains(experiment) {
            continue;
        }
        let measured = runtime.block_on(experiment.run(&program, &options));
        // One experiment that fails is worth knowing beside the figures of the others.
        match measured.with_context(|| format!("{experiment:?}")) {
            Ok(rows) => report.add(rows),
            Err(error) => report.fail(format!("{error:#}")),
        }
    }
    println!("{}", report.table());
    if let Some(path) = &options.json {
        std::fs::write(path, report.json())
            .with_context(|| format!("writing {}", path.display()))?;
    }
    anyhow::ensure!(report.is_complete(), "an experiment failed; see above");
    Ok(())
}

impl Experiment {
    async fn run(self, program: &Program, options: &Options) -> anyhow::Result<Vec<Row>> {
        let effort = options.effort();
        match self {
            Self::SessionStart => session_start::measure(program, effort).await,
            Self::WarmTurn => warm_turn::measure(program, effort).await,
            Self::LineDelivery => line_delivery::measure(program, effort).await,
            Self::Throughput => throughput::measure(program, effort).await,
            Self::IdleSession => idle_session::measure(program, effort).await,
            Self::Crowd => crowd::measure(program, effort).await,
            Self::TimeLimit => time_limit::measure(program, effort).await,
            Self::IdleConnection => idle_connection::measure(program, effort).await,
            Self::Metering => metering::measure(&options.python, effort).await,
        }
    }
}

/// Thousands of sockets at either end, and the gateway inherits the limit.
fn raise_descriptor_limit() -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, raised).context("raising the limit on descriptors")
}
