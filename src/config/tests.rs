//! Promises of `config` as a whole, on a machine made of maps.

mod display;
mod layers;
mod reach;
mod refusals;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, FromArgMatches};

use super::*;

const SECRET: &str = "correct horse battery staple, and then some";
const FILE: &str = "/etc/weir/weir.toml";

/// An environment, files and a command line, all empty but for a home.
#[derive(Default)]
struct Machine {
    env: HashMap<String, OsString>,
    files: HashMap<PathBuf, String>,
    flags: Flags,
}

impl Machine {
    fn new() -> Self {
        Self::default().env("HOME", "/home/ada")
    }

    fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(name.to_owned(), value.into());
        self
    }

    /// A settings file, and the variable that names it.
    fn file(mut self, text: impl Into<String>) -> Self {
        self.files.insert(FILE.into(), text.into());
        self.env("WEIR_CONFIG", FILE)
    }

    fn args(mut self, args: &[&str]) -> Self {
        let command = Flags::augment_args(Command::new("serve").no_binary_name(true));
        let matches = command
            .try_get_matches_from(args)
            .expect("the arguments are known");
        self.flags = Flags::from_arg_matches(&matches).expect("flags are only collected");
        self
    }

    fn load(&self) -> Result<(Config, Provenance), ConfigError> {
        let read = |path: &Path| {
            let text = self.files.get(path).cloned();
            text.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        Config::load(&Sources {
            env: &|name| self.env.get(name).cloned(),
            read: &read,
            flags: self.flags.clone(),
        })
    }

    fn loaded(&self) -> (Config, Provenance) {
        match self.load() {
            Ok(loaded) => loaded,
            Err(error) => panic!("refused: {error}"),
        }
    }

    fn refused(&self) -> String {
        match self.load() {
            Ok((config, _)) => panic!("accepted: {config:?}"),
            Err(error) => error.to_string(),
        }
    }
}
