//! What somebody who waits for a set-up is told.

use std::fmt;

/// One line for people about work that takes seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupReport {
    /// A step began or ended.
    Step(String),
    /// A step goes on; said at least once a second, so that a terminal can show it in place.
    Still(String),
}

impl SetupReport {
    /// The line, without a newline.
    pub fn line(&self) -> &str {
        match self {
            Self::Step(line) | Self::Still(line) => line,
        }
    }
}

impl fmt::Display for SetupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.line())
    }
}
