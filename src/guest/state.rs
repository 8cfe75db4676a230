//! What the host keeps for one guest: the data behind its imports.

use std::sync::Arc;
use std::time::Instant;

use serde_json::value::RawValue;
use wasmtime::{AsContextMut, Memory, StoreContextMut};

use super::control::TurnControl;
use super::ladder::StopCause;
use super::language::{Ended, Language};
use super::sink::TurnSink;
use crate::files::Files;
use crate::protocol::event::Stream;

/// Unfinished lines up to this long wait for their end, a host call or the next tick, so that
/// `print("a", end="")` and its kin do not become an event each.
const HELD_BYTES_MAX: usize = 4096;
/// The longest prompt repeated in a `stdin_request`.
const PROMPT_BYTES_MAX: usize = 4096;

/// The data of a guest's store.
pub struct GuestState {
    pub files: Files,
    pub arguments: Arc<[String]>,
    pub environment: Arc<[String]>,
    pub clock: GuestClock,
    pub memory_limit: MemoryLimit,
    pub language: Arc<dyn Language>,
    /// The guest's memory; None only before instantiation.
    pub memory: Option<Memory>,
    /// None at rest.
    pub turn: Option<TurnState>,
    /// The input of the last turn was read: the interpreter may hold some of it.
    pub stdin_used: bool,
}

/// What belongs to the running turn.
pub struct TurnState {
    pub control: Arc<TurnControl>,
    pub sink: Arc<dyn TurnSink>,
    /// How the interpreter says it ended, once it has.
    pub ended: Option<Ended>,
    pub result: Option<TurnResult>,
    pub output_bytes: u64,
    pub output_bytes_max: u64,
    /// Something the turn sent was cut.
    pub truncated: bool,
    /// Fuel at which the notice of a spent budget is due; the rest is for the program's answer.
    pub fuel_reserve: u64,
    held: Vec<u8>,
    held_stream: Stream,
    /// What was written since the last newline or read.
    prompt: Vec<u8>,
}

/// The value of a turn.
pub struct TurnResult {
    pub text: String,
    pub json: Option<Box<RawValue>>,
}

/// Why a guest's call never returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    #[error("the guest exited with code {0}")]
    Exit(i32),
    #[error("the turn was stopped: {0:?}")]
    Stopped(StopCause),
}

impl TurnState {
    pub fn new(
        control: Arc<TurnControl>,
        sink: Arc<dyn TurnSink>,
        output_bytes_max: u64,
        fuel_reserve: u64,
    ) -> Self {
        Self {
            control,
            sink,
            ended: None,
            result: None,
            output_bytes: 0,
            output_bytes_max,
            truncated: false,
            fuel_reserve,
            held: Vec::new(),
            held_stream: Stream::Stdout,
            prompt: Vec::new(),
        }
    }

    /// Takes what the guest writes. Beyond the turn's bound it is dropped and the turn told to end.
    pub fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let left = self.output_bytes_max - self.output_bytes;
        let taken = &bytes[..bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
        self.output_bytes += taken.len() as u64;
        if taken.len() < bytes.len() {
            self.truncated = true;
            self.control.ask(StopCause::OutputLimit);
        }
        self.note_prompt(taken);
        if self.held_stream != stream {
            self.release();
            self.held_stream = stream;
        }
        let ends_line = taken.last() == Some(&b'\n');
        if self.held.is_empty() && (ends_line || taken.len() >= HELD_BYTES_MAX) {
            self.sink.output(stream, taken);
            return;
        }
        self.held.extend_from_slice(taken);
        if ends_line || self.held.len() >= HELD_BYTES_MAX {
            self.release();
        }
    }

    /// Counts bytes that leave by another way against the turn's output.
    pub fn charge(&mut self, bytes: usize) -> bool {
        let fits = self.output_bytes + bytes as u64 <= self.output_bytes_max;
        if fits {
            self.output_bytes += bytes as u64;
        } else {
            self.truncated = true;
            self.control.ask(StopCause::OutputLimit);
        }
        fits
    }

    /// Sends what is held. Called before anything by which its absence could be noticed.
    pub fn release(&mut self) {
        if !self.held.is_empty() {
            self.sink.output(self.held_stream, &self.held);
            self.held.clear();
        }
    }

    /// Takes the unfinished line that precedes a read.
    pub fn take_prompt(&mut self) -> String {
        let prompt = String::from_utf8_lossy(&self.prompt).into_owned();
        self.prompt.clear();
        prompt
    }

    fn note_prompt(&mut self, bytes: &[u8]) {
        let line = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => {
                self.prompt.clear();
                &bytes[newline + 1..]
            }
            None => bytes,
        };
        let room = PROMPT_BYTES_MAX - self.prompt.len();
        self.prompt.extend_from_slice(&line[..line.len().min(room)]);
    }
}

/// The guest's monotonic clock: goes on where the image or the checkpoint left it.
#[derive(Debug, Clone, Copy)]
pub struct GuestClock {
    base_ns: u64,
    since: Instant,
}

impl GuestClock {
    pub fn resume(base_ns: u64) -> Self {
        Self {
            base_ns,
            since: Instant::now(),
        }
    }

    pub fn monotonic_ns(&self) -> u64 {
        self.base_ns + u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX / 2)
    }
}

/// The bound on a guest's memory.
pub struct MemoryLimit {
    granted_bytes: usize,
    bytes_max: usize,
    table_elements_max: usize,
    /// Growth was refused since this was last cleared.
    pub refused: bool,
}

impl MemoryLimit {
    /// A bound of `bytes_max`, of which the image takes `image_bytes`.
    pub fn new(image_bytes: usize, bytes_max: usize, table_elements_max: usize) -> Self {
        Self {
            granted_bytes: image_bytes,
            bytes_max,
            table_elements_max,
            refused: false,
        }
    }
}

impl wasmtime::ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A memory's birth was counted with the image, or is Wasmtime's own small heap.
        if current == 0 {
            return Ok(desired <= self.bytes_max);
        }
        let granted = self.granted_bytes.saturating_add(desired - current);
        if granted > self.bytes_max {
            self.refused = true;
            return Ok(false);
        }
        self.granted_bytes = granted;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_elements_max)
    }
}

/// Looks at the control block: delivers a notice, or ends the call with a hard stop. What the guest
/// has written goes out first.
///
/// # Errors
/// [`Halt::Stopped`] when the turn is to be stopped.
pub fn look(mut store: StoreContextMut<'_, GuestState>) -> wasmtime::Result<()> {
    let Some(turn) = store.data_mut().turn.as_mut() else {
        return Ok(());
    };
    turn.release();
    if let Some(cause) = turn.control.stopped() {
        return Err(Halt::Stopped(cause).into());
    }
    let reserve = turn.fuel_reserve;
    let spent = turn.control.cause().is_none()
        && reserve > 0
        && store.get_fuel().is_ok_and(|left| left < reserve);
    let Some(turn) = store.data().turn.as_ref() else {
        return Ok(());
    };
    if spent {
        turn.control.ask(StopCause::CpuLimit);
    }
    if let Some(cause) = turn.control.take_notice()
        && let Some(memory) = store.data().memory
    {
        let (memory, state) = memory.data_and_store_mut(store.as_context_mut());
        state.language.clone().notice(memory, cause);
    }
    Ok(())
}
