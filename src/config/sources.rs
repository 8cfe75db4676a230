//! Where values come from: the machine as `config` sees it, and the name of each place.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::Flags;

/// All that `Config::load` looks at. Tests put their own functions here.
#[derive(Clone)]
pub struct Sources<'a> {
    /// One variable of the environment.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// The text of a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// What the command line gave.
    pub flags: Flags,
}

/// Who gave a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody: it is the default.
    Default,
    /// The settings file.
    File(PathBuf),
    /// A variable of the environment, named as it was found: an alias under its own name.
    Environment(String),
    /// A flag, without its dashes.
    Flag(&'static str),
}

impl Sources<'static> {
    /// This process's environment and files. A variable set to nothing counts as not set.
    pub fn of_process(flags: Flags) -> Self {
        Self {
            env: &|name| std::env::var_os(name),
            read: &|path| std::fs::read_to_string(path),
            flags,
        }
    }
}

impl Sources<'_> {
    /// A variable that is there and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<OsString> {
        (self.env)(name).filter(|value| !value.is_empty())
    }
}

impl Source {
    /// `default`, `file`, `environment` or `flag`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File(_) => "file",
            Self::Environment(_) => "environment",
            Self::Flag(_) => "flag",
        }
    }
}

/// `default`, the file's path, the variable's name, or the flag with its dashes.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}
