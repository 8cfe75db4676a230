//! What somebody who waits for an interpreter is told.

use std::fmt;
use std::time::{Duration, Instant};

/// Hears how far a fetch has come: at the start and the end of every step, and some times a second
/// in between. It runs on the caller's thread, so it must not block for long.
pub type Progress<'a> = dyn FnMut(&Report<'_>) + 'a;

/// Where a fetch stands.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The interpreter's name.
    pub interpreter: &'a str,
    pub step: Step,
    /// What the step works on: a package, a file, a directory.
    pub detail: &'a str,
    /// Bytes done in this step.
    pub bytes: u64,
    /// Bytes to be done in this step, where that is known.
    pub bytes_total: Option<u64>,
    /// Time since the step began.
    pub elapsed: Duration,
    /// Whether this is the step's last report.
    pub done: bool,
}

/// What a fetch is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Another process works on the same directory.
    Wait,
    /// The registry's client downloads the package.
    Download,
    /// A file is compared with its pinned digest.
    Verify,
    /// A file is taken out of the package.
    Extract,
    /// A pack is made.
    Pack,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Step::Wait => "wait for",
            Step::Download => "download",
            Step::Verify => "verify",
            Step::Extract => "extract",
            Step::Pack => "pack",
        })
    }
}

/// One line for a terminal or a log.
impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        write!(f, "{}: {} {}", self.interpreter, self.step, self.detail)?;
        match self.bytes_total {
            Some(total) => {
                write!(
                    f,
                    ", {:.1} of {:.1} MB",
                    megabytes(self.bytes),
                    megabytes(total)
                )?;
            }
            None if self.bytes > 0 => write!(f, ", {:.1} MB", megabytes(self.bytes))?,
            None => (),
        }
        write!(f, ", {:.1} s", self.elapsed.as_secs_f64())
    }
}

/// Turns what a step does into reports, seldom enough to be read.
pub(super) struct Reporter<'a> {
    interpreter: &'a str,
    heard_by: &'a mut Progress<'a>,
}

/// A step under way.
pub(super) struct Running<'r, 'a> {
    reporter: &'r mut Reporter<'a>,
    step: Step,
    detail: String,
    bytes: u64,
    bytes_total: Option<u64>,
    began: Instant,
    reported: Instant,
}

const INTERVAL: Duration = Duration::from_millis(250);

impl<'a> Reporter<'a> {
    pub(super) fn new(interpreter: &'a str, heard_by: &'a mut Progress<'a>) -> Self {
        Self {
            interpreter,
            heard_by,
        }
    }

    pub(super) fn begin(
        &mut self,
        step: Step,
        detail: impl fmt::Display,
        bytes_total: Option<u64>,
    ) -> Running<'_, 'a> {
        let now = Instant::now();
        let mut running = Running {
            reporter: self,
            step,
            detail: detail.to_string(),
            bytes: 0,
            bytes_total,
            began: now,
            reported: now,
        };
        running.report(false);
        running
    }
}

impl Running<'_, '_> {
    /// So many bytes are done by now. A client may hold some of them twice, so that only up to the
    /// total counts.
    pub(super) fn at(&mut self, bytes: u64) {
        self.bytes = bytes.min(self.bytes_total.unwrap_or(bytes));
        if self.reported.elapsed() >= INTERVAL {
            self.report(false);
        }
    }

    pub(super) fn done(mut self) {
        self.bytes = self.bytes_total.unwrap_or(self.bytes);
        self.report(true);
    }

    fn report(&mut self, done: bool) {
        self.reported = Instant::now();
        (self.reporter.heard_by)(&Report {
            interpreter: self.reporter.interpreter,
            step: self.step,
            detail: &self.detail,
            bytes: self.bytes,
            bytes_total: self.bytes_total,
            elapsed: self.began.elapsed(),
            done,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_for_people() {
        let mut lines = Vec::new();
        let mut hear = |report: &Report<'_>| lines.push(report.to_string());
        let mut reporter = Reporter::new("python", &mut hear);
        reporter
            .begin(Step::Download, "x 1.0", Some(98_300_000))
            .done();
        reporter.begin(Step::Wait, "another setup", None).done();
        assert_eq!(lines[0], "python: download x 1.0, 0.0 of 98.3 MB, 0.0 s");
        assert_eq!(lines[1], "python: download x 1.0, 98.3 of 98.3 MB, 0.0 s");
        assert_eq!(lines[2], "python: wait for another setup, 0.0 s");
    }
}
