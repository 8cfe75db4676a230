//! Settings on commands other than `serve`: all are accepted, none is listed.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::Context;
use clap::{ArgMatches, Command};

use crate::config::{Config, ConfigError, Flags, Provenance, Sources};

/// The flags of every setting, hidden: `weir serve --help` lists them.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(Flags);

/// Ends the help of a command that accepts them.
pub(super) const NOTE: &str = "Every setting of `weir serve` is accepted here, too, as a flag, in the \
     environment or in the settings file; `weir config` shows them.";

impl Settings {
    /// Reads every source.
    pub(super) fn load(self) -> Result<(Config, Provenance), ConfigError> {
        Config::load(&Sources::of_process(self.0))
    }

    /// As `load`, for a command that listens nowhere: whether it would be safe to listen where the
    /// settings say is not asked. An image may be built before its secret is known.
    pub(super) fn load_to_work_here(self) -> Result<Config, ConfigError> {
        let process = Sources::of_process(self.0);
        let env = |name: &str| match name {
            "WEIR_INSECURE_LISTEN" => Some("true".into()),
            "WEIR_COMPAT_OPEN" => Some("false".into()),
            name => (process.env)(name),
        };
        let (config, _) = Config::load(&Sources {
            env: &env,
            read: process.read,
            flags: process.flags.clone(),
        })?;
        Ok(config)
    }
}

/// Creates the data directory, if need be, for this user alone.
pub(super) fn make_data_dir(path: &Path) -> anyhow::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| {
            format!(
                "cannot create the data directory {}; choose another one with WEIR_DATA_DIR",
                path.display()
            )
        })
}

impl clap::Args for Settings {
    fn augment_args(command: Command) -> Command {
        let hidden = Flags::augment_args(Command::new("settings"))
            .mut_args(|arg| arg.hide(true))
            .get_arguments()
            .cloned()
            .collect::<Vec<_>>();
        command.args(hidden)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Flags::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}
