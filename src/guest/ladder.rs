//! When a running turn is told to stop, and when it is made to: the pure part.
//!
//! ```text
//!            deadline / interrupt / limit            grace passed / second interrupt
//! running ───────────────────────────────▶ noticed ─────────────────────────────────▶ stopped
//! ```
//!
//! The notice is the interpreter's own exception, which keeps the session's state; the stop is a
//! trap, after which the state from before the turn is restored. Time is an argument.

use std::time::{Duration, Instant};

/// Why a turn is being ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopCause {
    Timeout,
    CpuLimit,
    OutputLimit,
    Interrupt,
}

/// What the guest waits for while its clock stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Input,
    Reader,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing until then, unless something happens.
    WaitUntil(Instant),
    /// Deliver the soft notice.
    Notice(StopCause),
    /// Trap.
    Stop(StopCause),
}

/// The bounds of one turn's ladder.
#[derive(Debug, Clone, Copy)]
pub struct Rungs {
    /// Wall time from `started`, waits not counted.
    pub timeout: Duration,
    /// How long one wait for input or a reader may last.
    pub wait_max: Duration,
    /// From notice to stop after a limit.
    pub grace: Duration,
    /// From notice to stop after an interrupt.
    pub interrupt_grace: Duration,
}

/// The state of one turn's ladder.
#[derive(Debug)]
pub struct Ladder {
    rungs: Rungs,
    deadline: Instant,
    waiting: Option<(Wait, Instant)>,
    noticed: Option<(StopCause, Instant)>,
    /// A cause whose notice has not been delivered yet, with its stop already fixed.
    pending: Option<(StopCause, Instant)>,
    stop_now: Option<StopCause>,
}

impl Ladder {
    /// A turn that starts at `now`.
    pub fn new(rungs: Rungs, now: Instant) -> Self {
        Self {
            rungs,
            deadline: now + rungs.timeout,
            waiting: None,
            noticed: None,
            pending: None,
            stop_now: None,
        }
    }

    /// The guest began to wait: its clock stands still.
    pub fn wait_began(&mut self, wait: Wait, now: Instant) {
        if self.waiting.is_none() {
            self.waiting = Some((wait, now));
        }
    }

    /// The guest goes on: its deadline moves by what it waited.
    pub fn wait_ended(&mut self, now: Instant) {
        if let Some((_, since)) = self.waiting.take() {
            self.deadline += now.saturating_duration_since(since);
        }
    }

    /// Asks for the turn's end. The first cause decides how the turn is reported; a second
    /// interrupt stops the hard way at once.
    pub fn ask(&mut self, cause: StopCause, now: Instant) {
        if self.noticed.is_none() && self.pending.is_none() {
            let grace = match cause {
                StopCause::Interrupt => self.rungs.interrupt_grace,
                StopCause::Timeout | StopCause::CpuLimit | StopCause::OutputLimit => {
                    self.rungs.grace
                }
            };
            self.pending = Some((cause, now + grace));
        } else if cause == StopCause::Interrupt {
            self.stop_now = self.cause().or(Some(cause));
        }
    }

    /// Asks for the hard stop at once.
    pub fn ask_stop(&mut self, cause: StopCause) {
        self.stop_now = self.cause().or(Some(cause));
    }

    /// Why the turn is being ended, once something asked for it.
    pub fn cause(&self) -> Option<StopCause> {
        self.noticed.or(self.pending).map(|(cause, _)| cause)
    }

    /// The next step at `now`. After `Notice` the ladder counts the notice as given.
    pub fn step(&mut self, now: Instant) -> Step {
        if let Some(cause) = self.stop_now {
            return Step::Stop(cause);
        }
        if self.noticed.is_none() && self.pending.is_none() {
            let (due, cause) = match self.waiting {
                Some((Wait::Input, since)) => (since + self.rungs.wait_max, StopCause::Timeout),
                Some((Wait::Reader, since)) => {
                    (since + self.rungs.wait_max, StopCause::OutputLimit)
                }
                None => (self.deadline, StopCause::Timeout),
            };
            if now < due {
                return Step::WaitUntil(due);
            }
            self.ask(cause, now);
        }
        if let Some((cause, stop_at)) = self.pending.take() {
            self.noticed = Some((cause, stop_at));
            return Step::Notice(cause);
        }
        match self.noticed {
            Some((cause, stop_at)) if now >= stop_at => Step::Stop(cause),
            Some((_, stop_at)) => Step::WaitUntil(stop_at),
            None => Step::WaitUntil(self.deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNGS: Rungs = Rungs {
        timeout: Duration::from_secs(10),
        wait_max: Duration::from_secs(300),
        grace: Duration::from_millis(800),
        interrupt_grace: Duration::from_secs(1),
    };

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_timeout_is_noticed_at_its_mark_and_stopped_after_its_grace() {
        let start = Instant::now();
        let mut ladder = Ladder::new(RUNGS, start);
        assert_eq!(ladder.step(start), Step::WaitUntil(at(start, 10_000)));
        assert_eq!(
            ladder.step(at(start, 10_000)),
            Step::Notice(StopCause::Timeout)
        );
        assert_eq!(
            ladder.step(at(start, 10_001)),
            Step::WaitUntil(at(start, 10_800))
        );
        assert_eq!(
            ladder.step(at(start, 10_800)),
            Step::Stop(StopCause::Timeout)
        );
    }

    #[test]
    fn waiting_for_input_or_a_reader_is_not_counted() {
        let start = Instant::now();
        let mut ladder = Ladder::new(RUNGS, start);
        ladder.wait_began(Wait::Input, at(start, 4_000));
        assert_eq!(
            ladder.step(at(start, 20_000)),
            Step::WaitUntil(at(start, 304_000))
        );
        ladder.wait_ended(at(start, 100_000));
        assert_eq!(
            ladder.step(at(start, 100_000)),
            Step::WaitUntil(at(start, 106_000))
        );
    }

    #[test]
    fn each_wait_has_its_own_bound_and_name() {
        for (wait, cause) in [
            (Wait::Input, StopCause::Timeout),
            (Wait::Reader, StopCause::OutputLimit),
        ] {
            let start = Instant::now();
            let mut ladder = Ladder::new(RUNGS, start);
            ladder.wait_began(wait, start);
            assert_eq!(ladder.step(at(start, 300_000)), Step::Notice(cause));
        }
    }

    #[test]
    fn a_second_interrupt_stops_at_once() {
        let start = Instant::now();
        let mut ladder = Ladder::new(RUNGS, start);
        ladder.ask(StopCause::Interrupt, at(start, 5));
        assert_eq!(
            ladder.step(at(start, 5)),
            Step::Notice(StopCause::Interrupt)
        );
        assert_eq!(ladder.step(at(start, 6)), Step::WaitUntil(at(start, 1_005)));
        ladder.ask(StopCause::Interrupt, at(start, 7));
        assert_eq!(ladder.step(at(start, 7)), Step::Stop(StopCause::Interrupt));
    }

    #[test]
    fn the_first_cause_names_the_end() {
        let start = Instant::now();
        let mut ladder = Ladder::new(RUNGS, start);
        ladder.ask(StopCause::OutputLimit, start);
        ladder.ask(StopCause::Timeout, start);
        assert_eq!(ladder.cause(), Some(StopCause::OutputLimit));
        assert_eq!(ladder.step(start), Step::Notice(StopCause::OutputLimit));
        ladder.ask(StopCause::Interrupt, start);
        assert_eq!(ladder.step(start), Step::Stop(StopCause::OutputLimit));
    }
}
