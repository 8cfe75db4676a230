//! The shared part of a running turn: what others tell the guest, and what it waits for.
//!
//! The guest's thread looks here at every epoch tick and in every host call that waits; everybody
//! else (the session's driver, a client's input, the watch over its time) writes here and returns
//! at once. Deciding when to stop is `ladder`'s.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::engine::EpochBump;
use super::ladder::{Ladder, Rungs, Step, StopCause, Wait};
use crate::limits::SOFT_GRACE;

/// Input bytes that may wait unread in a turn: as much as one message can carry twice over.
pub const STDIN_BYTES_MAX: usize = 8 << 20;

/// The bound on work that nobody waits for. Making an image includes importing pandas and pyplot
/// without one, which takes seconds.
const UNATTENDED_TIMEOUT: Duration = Duration::from_secs(300);

/// One turn's control block.
pub struct TurnControl {
    ladder: Mutex<Ladder>,
    /// The ladder changed: the watch looks again.
    ladder_changed: Notify,
    /// `StopCause` + 1 of a notice to deliver; 0 for none.
    notice: AtomicU8,
    /// `StopCause` + 1 of a hard stop; 0 for none.
    stop: AtomicU8,
    stdin: Mutex<Stdin>,
    /// Something changed for a host call that waits: input, a notice, a stop.
    wake: Notify,
    epoch: EpochBump,
}

/// Why input was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StdinRefused {
    #[error("the input of this turn has ended")]
    Ended,
    #[error("{waiting} bytes of input wait unread; at most {STDIN_BYTES_MAX} may")]
    Full { waiting: usize },
}

/// The input of one turn.
#[derive(Debug, Default)]
struct Stdin {
    bytes: VecDeque<u8>,
    end: StdinEnd,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum StdinEnd {
    #[default]
    Open,
    /// Reads beyond what is there meet the end of input.
    Ended,
}

/// What a read of the input found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdinRead {
    Bytes(usize),
    End,
    Nothing,
}

impl TurnControl {
    /// The control block of a turn that starts at `now` with `stdin` given up front.
    pub fn new(
        rungs: Rungs,
        stdin: Option<String>,
        stdin_open: bool,
        epoch: EpochBump,
        now: Instant,
    ) -> Arc<Self> {
        Arc::new(Self {
            ladder: Mutex::new(Ladder::new(rungs, now)),
            ladder_changed: Notify::new(),
            notice: AtomicU8::new(0),
            stop: AtomicU8::new(0),
            stdin: Mutex::new(Stdin {
                bytes: stdin
                    .map(|text| text.into_bytes().into())
                    .unwrap_or_default(),
                end: if stdin_open {
                    StdinEnd::Open
                } else {
                    StdinEnd::Ended
                },
            }),
            wake: Notify::new(),
            epoch,
        })
    }

    /// The control block of work that nobody waits for, without input.
    pub fn unattended(epoch: EpochBump) -> Arc<Self> {
        let rungs = Rungs {
            timeout: UNATTENDED_TIMEOUT,
            wait_max: UNATTENDED_TIMEOUT,
            grace: SOFT_GRACE,
            interrupt_grace: SOFT_GRACE,
        };
        Self::new(rungs, None, false, epoch, Instant::now())
    }

    /// Watches over the turn until dropped: delivers the notice and the stop when they are due.
    ///
    /// Cancel-safe: the ladder holds all state.
    pub async fn watch(&self) {
        loop {
            let changed = self.ladder_changed.notified();
            let step = self.ladder().step(Instant::now());
            match step {
                Step::WaitUntil(due) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(due.into()) => {}
                    }
                }
                Step::Notice(cause) => {
                    self.notice.store(code(cause), Ordering::Release);
                    self.rouse();
                }
                Step::Stop(cause) => {
                    self.stop.store(code(cause), Ordering::Release);
                    self.rouse();
                    changed.await;
                }
            }
        }
    }

    /// Asks for the turn's end, softly first. Returns at once.
    pub fn ask(&self, cause: StopCause) {
        self.ladder().ask(cause, Instant::now());
        self.ladder_changed.notify_one();
    }

    /// Asks for the turn's end the hard way. Returns at once.
    pub fn ask_stop(&self, cause: StopCause) {
        self.ladder().ask_stop(cause);
        self.ladder_changed.notify_one();
    }

    /// Why the turn is being ended, once something asked for it.
    pub fn cause(&self) -> Option<StopCause> {
        self.ladder().cause()
    }

    /// Adds input.
    ///
    /// # Errors
    /// After `end_stdin`, or when more than [`STDIN_BYTES_MAX`] would wait.
    pub fn push_stdin(&self, data: &[u8]) -> Result<(), StdinRefused> {
        let mut stdin = self.stdin();
        if stdin.end == StdinEnd::Ended {
            return Err(StdinRefused::Ended);
        }
        let waiting = stdin.bytes.len();
        if waiting + data.len() > STDIN_BYTES_MAX {
            return Err(StdinRefused::Full { waiting });
        }
        stdin.bytes.extend(data);
        drop(stdin);
        self.wake.notify_one();
        Ok(())
    }

    /// Ends the input: reads beyond what is there meet its end.
    pub fn end_stdin(&self) {
        self.stdin().end = StdinEnd::Ended;
        self.wake.notify_one();
    }

    /// Moves waiting input into `buffer`, without waiting for any.
    pub fn read_stdin(&self, buffer: &mut [u8]) -> StdinRead {
        let mut stdin = self.stdin();
        let take = stdin.bytes.len().min(buffer.len());
        if take > 0 {
            for (slot, byte) in buffer.iter_mut().zip(stdin.bytes.drain(..take)) {
                *slot = byte;
            }
            StdinRead::Bytes(take)
        } else if stdin.end == StdinEnd::Ended {
            StdinRead::End
        } else {
            StdinRead::Nothing
        }
    }

    /// Whether a read of the input would not wait.
    pub fn stdin_ready(&self) -> bool {
        let stdin = self.stdin();
        !stdin.bytes.is_empty() || stdin.end == StdinEnd::Ended
    }

    /// The hard stop, once due.
    pub fn stopped(&self) -> Option<StopCause> {
        cause(self.stop.load(Ordering::Acquire))
    }

    /// Takes the notice that waits to be delivered to the interpreter.
    pub fn take_notice(&self) -> Option<StopCause> {
        if self.notice.load(Ordering::Relaxed) == 0 {
            return None;
        }
        cause(self.notice.swap(0, Ordering::AcqRel))
    }

    /// Whether a notice or a stop waits: a host call that waits should return.
    pub fn roused(&self) -> bool {
        self.notice.load(Ordering::Acquire) != 0 || self.stop.load(Ordering::Acquire) != 0
    }

    /// Waits until something may have changed: input, a notice or a stop. Look before and after.
    pub async fn changed(&self) {
        self.wake.notified().await;
    }

    /// Marks the guest as waiting, its clock stopped, until the guard is dropped.
    pub fn waiting(&self, wait: Wait) -> Waiting<'_> {
        self.ladder().wait_began(wait, Instant::now());
        self.ladder_changed.notify_one();
        Waiting { control: self }
    }

    /// Makes the guest look here soon, wherever it is.
    fn rouse(&self) {
        self.wake.notify_one();
        self.epoch.bump();
    }

    fn ladder(&self) -> MutexGuard<'_, Ladder> {
        self.ladder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stdin(&self) -> MutexGuard<'_, Stdin> {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While it lives, the turn's clock stands still.
pub struct Waiting<'a> {
    control: &'a TurnControl,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.control.ladder().wait_ended(Instant::now());
        self.control.ladder_changed.notify_one();
    }
}

fn code(cause: StopCause) -> u8 {
    match cause {
        StopCause::Timeout => 1,
        StopCause::CpuLimit => 2,
        StopCause::OutputLimit => 3,
        StopCause::Interrupt => 4,
    }
}

fn cause(code: u8) -> Option<StopCause> {
    match code {
        1 => Some(StopCause::Timeout),
        2 => Some(StopCause::CpuLimit),
        3 => Some(StopCause::OutputLimit),
        4 => Some(StopCause::Interrupt),
        _ => None,
    }
}
