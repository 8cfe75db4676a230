//! The command line's share: one argument for each setting, made from the table.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::builder::ValueParser;
use clap::{Arg, ArgMatches, Command};

use super::grammar::Kind;
use super::{SETTINGS, Setting};

/// What the command line gave, unparsed: `Config::load` reads it as it reads the other sources.
/// Flatten it into a command with `#[command(flatten)]`.
#[derive(Clone, Default)]
pub struct Flags(BTreeMap<&'static str, OsString>);

impl Flags {
    pub(super) fn get(&self, setting: &Setting) -> Option<&OsStr> {
        self.0.get(setting.name).map(OsString::as_os_str)
    }
}

/// Names only: one of the values may be the secret.
impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flags").field(&self.0.keys()).finish()
    }
}

impl clap::Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(SETTINGS.iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in SETTINGS {
            if let Some(raw) = matches.get_one::<OsString>(setting.name) {
                self.0.insert(setting.name, raw.clone());
            }
        }
        Ok(())
    }
}

fn arg(setting: &'static Setting) -> Arg {
    let default = setting.default_text().unwrap_or_else(|| "unset".to_owned());
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .value_name(setting.slot.placeholder())
        .value_parser(ValueParser::os_string())
        .help_heading(setting.section.title())
        .help(format!("{} [default: {default}]", setting.summary()));
    match setting.slot.kind() {
        Kind::Switch => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        Kind::Word | Kind::Path | Kind::Verbatim | Kind::List => arg,
    }
}
