//! How a command ends: exit codes, and one line on stderr for what went wrong.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::config::ConfigError;

pub(super) const FAILED: u8 = 1;
pub(super) const USAGE: u8 = 2;
/// What a shell sees of a program that died writing to a closed pipe.
pub(super) const BROKEN_PIPE: u8 = 141;

/// Arguments that are well formed and still cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Usage(pub String);

/// Writes a line of a command's result to stdout.
///
/// # Errors
/// A reader that has gone away is one, too: `println!` would panic then.
pub(super) fn print(line: impl fmt::Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Prints why a command failed, and returns the code it ends with.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    let write = error.downcast_ref::<io::Error>().map(io::Error::kind);
    if write == Some(io::ErrorKind::BrokenPipe) {
        return ExitCode::from(BROKEN_PIPE);
    }
    eprintln!("weir: {}", one_line(error));
    ExitCode::from(if error.is::<Usage>() || error.is::<ConfigError>() {
        USAGE
    } else {
        FAILED
    })
}

/// The error and its causes. A cause that the text before it quotes is not told twice.
pub(super) fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

/// The code of a program that ended with `code`, as a shell would see it: its lowest byte.
pub(super) fn exit_code(code: i64) -> ExitCode {
    ExitCode::from((code & 0xff) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::io::Error::other("no such thing");
        let error = anyhow::Error::new(cause).context("cannot read x");
        assert_eq!(one_line(&error), "cannot read x: no such thing");
        let again = error.context("setting up: cannot read x");
        assert_eq!(one_line(&again), "setting up: cannot read x: no such thing");
    }
}
