//! Why a configuration was refused: where, what, the rule, and the way out. A secret is never
//! part of it.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use super::{Setting, Source};

/// What was wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value breaks its setting's rule.
    #[error(
        "{}: {quoted} is not {}; {}",
        place(setting, given_by), setting.rule(), hint(setting, given_by)
    )]
    Invalid {
        /// Whose value.
        setting: &'static Setting,
        /// Who gave it.
        given_by: Source,
        /// The value, quoted and cut; of a secret only the length.
        quoted: String,
    },
    /// The file has a key that no setting has.
    #[error("{}: unknown key {key:?}; the closest known one is {closest}", file.display())]
    UnknownKey {
        /// The settings file.
        file: PathBuf,
        /// The key, with its table.
        key: String,
        /// The key that is most like it.
        closest: String,
    },
    /// The file has something else than a value where a value must be, or the reverse.
    #[error("{}: {key} must be {expected}", file.display())]
    WrongShape {
        /// The settings file.
        file: PathBuf,
        /// The key, with its table.
        key: String,
        /// Completes "it must be …".
        expected: &'static str,
    },
    /// The file holds the setting that names the file.
    #[error(
        "{}: {key} names this file and cannot be set in it; use {env} or --{key}",
        file.display()
    )]
    NotInFile {
        /// The settings file.
        file: PathBuf,
        /// The key.
        key: String,
        /// The variable to use instead.
        env: String,
    },
    /// The file is not TOML. The line itself is not quoted: a secret may stand on it.
    #[error("{} line {line}: {message}", file.display())]
    Syntax {
        /// The settings file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// The parser's complaint.
        message: String,
    },
    /// The file is there, or was named, and cannot be read.
    #[error("cannot read the settings file {} ({named_by})", file.display())]
    Unreadable {
        /// The settings file.
        file: PathBuf,
        /// Who named it; the default is `weir.toml` in the data directory.
        named_by: Source,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Settings that are fine one by one contradict each other.
    #[error("{values}: {why}")]
    Inconsistent {
        /// Each of them with its value and who gave it.
        values: String,
        /// The rule and the way out.
        why: &'static str,
    },
}

impl ConfigError {
    pub(super) fn invalid(setting: &'static Setting, given_by: Source, raw: &OsStr) -> Self {
        Self::Invalid {
            setting,
            given_by,
            quoted: setting.slot.quote(raw),
        }
    }
}

/// Where the reader has to look; an alias is named with the setting it stands for.
fn place(setting: &Setting, given_by: &Source) -> String {
    match given_by {
        Source::Default => setting.key(),
        Source::File(path) => format!("{}: {}", path.display(), setting.key()),
        Source::Environment(name) if *name == setting.env() => name.clone(),
        Source::Environment(alias) => format!("{alias} (for {})", setting.env()),
        Source::Flag(name) => format!("--{name}"),
    }
}

/// The setting's hint, but for an alias that counts in a unit of its own.
fn hint(setting: &Setting, given_by: &Source) -> String {
    let alias = setting.aliases.iter().find(|alias| match given_by {
        Source::Environment(name) => name == alias.env,
        Source::Default | Source::File(_) | Source::Flag(_) => false,
    });
    match alias.map_or("", |alias| alias.unit) {
        "" => setting.slot.hint().to_owned(),
        unit => format!("give a plain number, which counts {unit}"),
    }
}
