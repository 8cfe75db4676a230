//! Progress on stderr: in place on a terminal, line by line elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::provision::Report;

/// Where nothing can be shown in place, a step that goes on is told of this often.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// A line shown in place must not wrap: then it could not be taken back.
const COLUMNS: usize = 78;

/// What is on stderr now.
pub(super) struct Progress {
    in_place: bool,
    /// The terminal's last line will be written over.
    unfinished: bool,
    said: Option<Instant>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            in_place: std::io::stderr().is_terminal(),
            unfinished: false,
            said: None,
        }
    }

    pub(super) fn hear(&mut self, report: &Report) {
        match report {
            Report::Step(line) => {
                self.clear();
                self.say(line);
            }
            Report::Still(line) if self.in_place => {
                let line: String = line.chars().take(COLUMNS).collect();
                write_all(&format!("\r\x1b[K{line}"));
                self.unfinished = true;
            }
            Report::Still(line) => {
                if self.said.is_none_or(|said| said.elapsed() >= LINE_EVERY) {
                    self.say(line);
                }
            }
        }
    }

    /// Takes back what was shown in place.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.unfinished) {
            write_all("\r\x1b[K");
        }
    }

    fn say(&mut self, line: &str) {
        self.said = Some(Instant::now());
        write_all(&format!("{line}\n"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Progress that nobody can see any more is no reason to stop.
fn write_all(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
