//! `weir setup`: interpreters made ready ahead of time.

use std::process::ExitCode;
use std::time::Instant;

use super::outcome::{self, Usage};
use super::progress::Progress;
use super::settings::{self, Settings};
use crate::interpreters::{Catalogue, Entry};
use crate::provision;

const EXAMPLES: &str = "\
Examples:
  weir setup            every interpreter that this build can run
  weir setup python     that one

What is ready is left alone; what was interrupted goes on where it stopped. Packages are fetched with pip \
and npm, and every byte is compared with the lock.";

/// Fetches, verifies and compiles interpreters, so that `weir serve` starts at once.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{}", settings::NOTE))]
pub(super) struct Arguments {
    /// Names or aliases from `weir interpreters` [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.settings.load_to_work_here()?;
    let catalogue = Catalogue::builtin();
    let entries = chosen(&catalogue, &arguments.names)?;
    let metering = provision::metering(config.metering);
    let runtime = super::run::runtime()?;
    for entry in entries {
        let began = Instant::now();
        let mut progress = Progress::new();
        let dir = &config.interpreters.dir;
        let mut hear = |report: &provision::Report| progress.hear(report);
        runtime.block_on(provision::provision(entry, dir, metering, &mut hear))?;
        drop(progress);
        let Entry { name, version, .. } = entry;
        let seconds = began.elapsed().as_secs_f64();
        outcome::print(format_args!("{name} {version}: ready, {seconds:.1} s"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The entries of these names, or all that can be run.
fn chosen<'c>(catalogue: &'c Catalogue, names: &[String]) -> anyhow::Result<Vec<&'c Entry>> {
    if names.is_empty() {
        let entries = catalogue.entries().iter();
        return Ok(entries
            .filter(|entry| provision::has_guest(entry))
            .collect());
    }
    names.iter().map(|name| find(catalogue, name)).collect()
}

/// The entry of that name or alias.
pub(super) fn find<'c>(catalogue: &'c Catalogue, name: &str) -> anyhow::Result<&'c Entry> {
    catalogue.find(name).ok_or_else(|| {
        let known: Vec<_> = catalogue
            .entries()
            .iter()
            .map(|entry| entry.name.as_str())
            .collect();
        Usage(format!(
            "there is no interpreter {name:?}; there are {}",
            known.join(", ")
        ))
        .into()
    })
}
