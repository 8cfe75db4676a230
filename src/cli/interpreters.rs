//! `weir interpreters`: what can be offered, and how far it is.

use std::process::ExitCode;

use super::outcome;
use super::settings::{self, Settings};
use super::setup;
use crate::interpreters::{Artifacts, Catalogue, Entry, Name};
use crate::provision::{self, State};

/// Lists the interpreters of the catalogue, or the libraries that one of them brings.
#[derive(clap::Args)]
#[command(after_long_help = settings::NOTE)]
pub(super) struct Arguments {
    /// List the libraries of this interpreter, once it is fetched
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.settings.load_to_work_here()?;
    let catalogue = Catalogue::builtin();
    let dir = &config.interpreters.dir;
    if let Some(name) = &arguments.name {
        let entry = setup::find(&catalogue, name)?;
        let Some(artifacts) = Artifacts::present(entry, dir) else {
            anyhow::bail!(
                "{} is not here yet; `weir setup {name}` fetches it",
                entry.name
            );
        };
        for (package, version) in artifacts.packages() {
            outcome::print(format_args!("{package} {version}"))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let metering = provision::metering(config.metering);
    for entry in catalogue.entries() {
        let Entry {
            name,
            aliases,
            version,
            source,
            ..
        } = entry;
        let aliases: Vec<_> = aliases.iter().map(Name::as_str).collect();
        let state = match provision::state(entry, dir, metering) {
            _ if !provision::has_guest(entry) => "cannot be run by this build",
            State::Missing => "not fetched",
            State::Fetched => "fetched, not compiled",
            State::Ready => "ready",
        };
        let aliases = match aliases.is_empty() {
            true => String::new(),
            false => format!(" ({})", aliases.join(", ")),
        };
        outcome::print(format_args!("{name}{aliases} {version}: {state}; {source}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
