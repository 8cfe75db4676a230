//! `weir config`: every setting as it stands, and who said so.

use std::process::ExitCode;

use super::outcome;
use super::settings::Settings;
use crate::config;

const EXAMPLES: &str = "\
Examples:
  weir config                                   key, value and source of each setting
  weir config --json | jq '.listen'             for programs
  WEIR_LISTEN=[::1]:9000 weir config            what would hold under these circumstances
  weir config --markdown > docs/configuration.md

Secrets are shown by their length only.";

/// Shows every setting with its value and where that came from.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// As JSON, for programs
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// The page of all settings with their defaults, for the documentation
    #[arg(long)]
    markdown: bool,
    #[command(flatten)]
    settings: Settings,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if arguments.markdown {
        outcome::print(config::page().trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (_, provenance) = arguments.settings.load()?;
    if arguments.json {
        outcome::print(format_args!("{:#}", provenance.json()))?;
    } else {
        outcome::print(provenance.to_string().trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}
