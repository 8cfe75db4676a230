//! `weir run`: one program in one guest of this machine, without a gateway.
//!
//! The guest's output passes through a bounded queue to a thread that writes it, so that a slow
//! terminal holds the program back and nothing else; its input is read only when it asks.

mod figures;
mod input;
mod screen;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use super::outcome::{self, BROKEN_PIPE, Usage};
use super::progress::Progress;
use super::settings::{self, Settings};
use super::setup;
use crate::config::Config;
use crate::guest::{
    FUEL_PER_SECOND, GuestLimits, Instance, Interpreter, Purpose, Rungs, Silence, StopCause,
    TurnControl, TurnEnd, TurnInput, TurnLimits,
};
use crate::interpreters::{Catalogue, Entry, Kind};
use crate::limits::SOFT_GRACE;
use crate::protocol::event::Status;
use crate::provision;

use screen::Screen;

const EXAMPLES: &str = "\
Examples:
  weir run script.py
  weir run script.py -- --input numbers.txt -v      sys.argv is what Python would make it
  echo 'print(6 * 7)' | weir run -
  weir run --timeout 10 untrusted.py < data.csv

The program sees its input and its arguments, and neither files nor network of this machine; what it \
writes to /work or /tmp is gone afterwards. Figures become figure-1.png and so on in the current \
directory. Ctrl-C interrupts it as Python does, a second one stops it.

Exit codes are the program's own, or 1 after an exception, 124 after --timeout, 130 after Ctrl-C, 134 after a \
crash, 137 when memory ran out.";

/// Without `--timeout` a program may run as long as a computer.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Runs a program once in a sandbox, its output as it comes.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", settings::NOTE))]
pub(super) struct Arguments {
    /// The program, or - for the whole of stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What the program is told, after --
    #[arg(value_name = "ARGS", last = true)]
    args: Vec<String>,
    /// The interpreter, by a name or alias from `weir interpreters`
    #[arg(long, value_name = "NAME", default_value = "python")]
    language: String,
    /// Wall time after which the program is ended, such as 10, 2.5 or 5m; waits for input are not
    /// counted [default: none]
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    timeout: Option<Duration>,
    #[command(flatten)]
    settings: Settings,
}

/// A program and where it came from.
struct Program {
    /// What tracebacks call it.
    name: String,
    code: String,
    input: ProgramInput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProgramInput {
    /// This process's own.
    Stdin,
    /// Stdin was the program.
    Spent,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.settings.load_to_work_here()?;
    let catalogue = Catalogue::builtin();
    let entry = setup::find(&catalogue, &arguments.language)?;
    let program = Program::read(&arguments.file)?;
    runtime()?.block_on(async {
        let interpreter = interpreter(entry, &config).await?;
        let mut guest = Instance::start(&interpreter, &GuestLimits::from(&config.limits)).await?;
        tell_arguments(&mut guest, entry.kind, &program, arguments.args).await?;
        run_program(&mut guest, program, arguments.timeout).await
    })
}

/// Threads enough for a guest, its watch and a terminal.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start threads")
}

async fn interpreter(entry: &Entry, config: &Config) -> anyhow::Result<Arc<Interpreter>> {
    let mut progress = Progress::new();
    let metering = provision::metering(config.metering);
    let dir = &config.interpreters.dir;
    let mut hear = |report: &provision::Report| progress.hear(report);
    Ok(provision::provision(entry, dir, metering, &mut hear).await?)
}

/// Sets what the program finds as its arguments, in a turn of its own: nothing of it shows in the
/// program's tracebacks or names.
async fn tell_arguments(
    guest: &mut Instance,
    kind: Kind,
    program: &Program,
    args: Vec<String>,
) -> anyhow::Result<()> {
    let code = match kind {
        Kind::Python => python_arguments(program, args),
        Kind::JavaScript | Kind::TypeScript | Kind::Ruby | Kind::Command => return Ok(()),
    };
    let input = TurnInput {
        purpose: Purpose::Run,
        code,
        filename: "<arguments>".into(),
    };
    let limits = TurnLimits {
        fuel: FUEL_PER_SECOND,
        output_bytes_max: 0,
    };
    let control = TurnControl::unattended(guest.epoch_bump());
    let end = guest.run(&input, &limits, control, Arc::new(Silence)).await;
    anyhow::ensure!(
        end.status == Status::Ok,
        "the guest could not be given its arguments: {}",
        end.error.map(|error| error.message).unwrap_or_default()
    );
    Ok(())
}

/// A JSON text is a Python literal: `serde_json` escapes nothing that Python reads otherwise.
fn python_arguments(program: &Program, args: Vec<String>) -> String {
    let name = match program.input {
        ProgramInput::Stdin => &program.name,
        ProgramInput::Spent => "-",
    };
    let argv: Vec<_> = std::iter::once(name.to_owned()).chain(args).collect();
    let mut code = format!("__import__('sys').argv[:] = {}\n", serde_json::json!(argv));
    if program.input == ProgramInput::Stdin {
        code += &format!("__file__ = {}\n", serde_json::json!(program.name));
    }
    code
}

async fn run_program(
    guest: &mut Instance,
    program: Program,
    timeout: Option<Duration>,
) -> anyhow::Result<ExitCode> {
    let rungs = Rungs {
        timeout: timeout.unwrap_or(FOREVER),
        wait_max: FOREVER,
        grace: SOFT_GRACE,
        interrupt_grace: SOFT_GRACE,
    };
    let stdin_open = program.input == ProgramInput::Stdin;
    let control = TurnControl::new(rungs, None, stdin_open, guest.epoch_bump(), Instant::now());
    let watch = tokio::spawn({
        let control = control.clone();
        async move { control.watch().await }
    });
    let (screen, writer) = Screen::start(input::Reader::start(control.clone())?)?;
    let input = TurnInput {
        purpose: Purpose::Run,
        code: program.code,
        filename: program.name,
    };
    // Half of all there is leaves room for what the guest adds for itself.
    let limits = TurnLimits {
        fuel: u64::MAX / 2,
        output_bytes_max: u64::MAX,
    };
    // Heard from before the program starts: it may run for a while before anything else is looked at.
    let mut interrupts = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
    let end = {
        let turn = guest.run(&input, &limits, control.clone(), screen.clone());
        tokio::pin!(turn);
        loop {
            tokio::select! {
                end = &mut turn => break end,
                // The second time, the ladder stops it the hard way.
                _ = interrupts.recv() => control.ask(StopCause::Interrupt),
                () = screen.reader_left() => control.ask_stop(StopCause::Interrupt),
            }
        }
    };
    watch.abort();
    if writer.finish() == screen::Reader::Left {
        return Ok(ExitCode::from(BROKEN_PIPE));
    }
    tell_end(&end);
    Ok(outcome::exit_code(i64::from(end.exit_code)))
}

/// What the guest has not said itself: an exception is on stderr already, an exit needs no words.
fn tell_end(end: &TurnEnd) {
    if let Some(error) = &end.error
        && error.traceback.is_empty()
        && end.status != Status::Exit
    {
        eprintln!("weir: {}: {}", end.status.as_str(), error.message);
    }
}

impl Program {
    fn read(file: &std::path::Path) -> anyhow::Result<Self> {
        let (name, bytes, input) = if file.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes)
                .context("cannot read stdin")?;
            ("<stdin>".to_owned(), bytes, ProgramInput::Spent)
        } else {
            let bytes =
                std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            // The name goes to the guest on a line of its own.
            let name = file.to_string_lossy().replace(char::is_control, "?");
            (name, bytes, ProgramInput::Stdin)
        };
        let code = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            Usage(format!(
                "{name} is not a program in UTF-8: see its byte {at}"
            ))
        })?;
        let code = match code.strip_prefix('\u{feff}') {
            Some(rest) => rest.to_owned(),
            None => code,
        };
        Ok(Self { name, code, input })
    }
}

/// A number of seconds, or a duration with units.
fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    let duration = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()),
        None => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }?;
    match duration.is_zero() || duration > FOREVER {
        true => Err("a timeout is more than nothing and at most 100 years".into()),
        false => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_seconds_or_has_units() {
        for (text, expected) in [
            ("10", Some(Duration::from_secs(10))),
            ("2.5", Some(Duration::from_millis(2500))),
            ("5m", Some(Duration::from_secs(300))),
            ("0", None),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
            ("soon", None),
        ] {
            assert_eq!(timeout(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn arguments_survive_their_way_into_python() {
        let program = Program {
            name: "dir/a \"b\".py".into(),
            code: String::new(),
            input: ProgramInput::Stdin,
        };
        assert_eq!(
            python_arguments(&program, vec!["x\n'y'\\".into(), "naïve 😀".into()]),
            "__import__('sys').argv[:] = [\"dir/a \\\"b\\\".py\",\"x\\n'y'\\\\\",\"naïve 😀\"]\n\
             __file__ = \"dir/a \\\"b\\\".py\"\n"
        );
    }
}
