//! One guest: a store, its instance, and turns in it.
//!
//! ```text
//! start / restore ──▶ at rest ──run──▶ running ──▶ at rest      (the turn ended by itself)
//!                                         └──────▶ broken       (trap, stop, exit of the guest)
//! ```
//!
//! A broken guest runs nothing more: its owner drops it and restores a checkpoint.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{
    Global, Memory, Store, StoreContextMut, Trap, UpdateDeadline, Val, WasmParams, WasmResults,
};

use super::checkpoint::{Checkpoint, Damaged};
use super::control::TurnControl;
use super::cpu::CpuTimed;
use super::engine::{EpochBump, Metering, SLICE_TICKS};
use super::interpreter::Interpreter;
use super::ladder::StopCause;
use super::language::{Ended, Language, Purpose, Randomness, TurnInput};
use super::module::{STACK_POINTER_EXPORT, WASM_PAGE_BYTES};
use super::sink::{Silence, TurnSink};
use super::state::{GuestClock, GuestState, Halt, MemoryLimit, TurnResult, TurnState, look};
use crate::files::{Files, FilesLimits, PreopenError};
use crate::limits::Limits;
use crate::protocol::event::{ErrorDetail, Status};

/// Fuel a guest can spend in a second at most, with room to spare: 2.3e10 was measured in numpy.
pub const FUEL_PER_SECOND: u64 = 100_000_000_000;

/// The most of a budget that is kept back for the program's answer to the notice that it is nearly
/// spent: the notice comes when this, or a tenth of a smaller budget, is left. At the budget's end
/// the guest traps, so the bound itself is deterministic.
const FUEL_NOTICE: u64 = 20_000_000_000;

/// What one guest may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestLimits {
    pub memory_bytes_max: u64,
    pub table_elements_max: usize,
    pub files: FilesLimits,
}

/// What one turn may use.
#[derive(Debug, Clone, Copy)]
pub struct TurnLimits {
    pub fuel: u64,
    pub output_bytes_max: u64,
}

/// A guest and everything that is its own.
pub struct Instance {
    interpreter: Arc<Interpreter>,
    pub(super) store: Store<GuestState>,
    instance: wasmtime::Instance,
    memory: Memory,
    stack_pointer: Global,
    randomness: Randomness,
}

/// How a turn ended, and what it cost.
#[derive(Debug)]
pub struct TurnEnd {
    pub status: Status,
    pub exit_code: i32,
    pub error: Option<ErrorDetail>,
    /// Whether the guest can run on, or must be replaced by its last checkpoint.
    pub soundness: Soundness,
    pub truncated: bool,
    pub cpu: Duration,
    pub fuel: u64,
    pub memory_bytes: u64,
    pub output_bytes: u64,
}

/// Whether a guest is as good as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Soundness {
    Sound,
    Broken,
}

/// Why a guest could not be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("instantiating the guest failed: {0:#}")]
    Instantiate(wasmtime::Error),
    #[error("the guest needs {needed} bytes of memory for its state, its limit is {limit}")]
    Memory { needed: usize, limit: u64 },
    #[error(transparent)]
    Damaged(#[from] Damaged),
    #[error(transparent)]
    Files(#[from] PreopenError),
}

impl Instance {
    /// A guest in the state of its image, with empty files.
    ///
    /// # Errors
    /// When the image does not fit the memory limit, or the kernel refuses the mapping.
    pub async fn start(
        interpreter: &Arc<Interpreter>,
        limits: &GuestLimits,
    ) -> Result<Self, StartError> {
        let files = interpreter.fresh_files(limits.files)?;
        Self::make(interpreter, limits, files, interpreter.image_monotonic_ns()).await
    }

    /// A guest in the state of `checkpoint`.
    ///
    /// # Errors
    /// As [`Instance::start`], and when the checkpoint is damaged.
    pub async fn restore(
        interpreter: &Arc<Interpreter>,
        limits: &GuestLimits,
        checkpoint: &Checkpoint,
    ) -> Result<Self, StartError> {
        let mut guest = Self::make(
            interpreter,
            limits,
            checkpoint.files.clone(),
            checkpoint.monotonic_ns,
        )
        .await?;
        let size = guest.memory.data_size(&guest.store);
        if checkpoint.memory_bytes > size {
            let pages = (checkpoint.memory_bytes - size).div_ceil(WASM_PAGE_BYTES) as u64;
            guest
                .memory
                .grow_async(&mut guest.store, pages)
                .await
                .map_err(|_| StartError::Memory {
                    needed: checkpoint.memory_bytes,
                    limit: limits.memory_bytes_max,
                })?;
        }
        let memory = guest.memory.data_mut(&mut guest.store);
        checkpoint.apply(interpreter.image(), memory)?;
        guest.randomness = Randomness::Own;
        Ok(guest)
    }

    async fn make(
        interpreter: &Arc<Interpreter>,
        limits: &GuestLimits,
        files: Files,
        monotonic_ns: u64,
    ) -> Result<Self, StartError> {
        let image_bytes = interpreter.image_bytes();
        let memory_bytes_max = usize::try_from(limits.memory_bytes_max).unwrap_or(usize::MAX);
        if image_bytes > memory_bytes_max {
            return Err(StartError::Memory {
                needed: image_bytes,
                limit: limits.memory_bytes_max,
            });
        }
        let state = GuestState {
            files,
            arguments: interpreter.arguments(),
            environment: interpreter.environment(),
            clock: GuestClock::resume(monotonic_ns),
            memory_limit: MemoryLimit::new(
                image_bytes,
                memory_bytes_max,
                limits.table_elements_max,
            ),
            language: interpreter.language(),
            memory: None,
            turn: None,
            stdin_used: false,
        };
        let mut store = Store::new(interpreter.engine(), state);
        store.limiter(|state| &mut state.memory_limit);
        match interpreter.metering() {
            Metering::Unmetered => {}
            Metering::Epoch | Metering::FuelAndEpoch => {
                store.set_epoch_deadline(SLICE_TICKS);
                store.epoch_deadline_callback(|store: StoreContextMut<'_, GuestState>| {
                    look(store)?;
                    Ok(UpdateDeadline::Yield(SLICE_TICKS))
                });
            }
        }
        let instance = interpreter
            .instantiate(&mut store)
            .await
            .map_err(StartError::Instantiate)?;
        let lacks = |what: &str| {
            StartError::Instantiate(wasmtime::Error::msg(format!("the guest exports no {what}")))
        };
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| lacks("memory"))?;
        let stack_pointer = instance
            .get_global(&mut store, STACK_POINTER_EXPORT)
            .ok_or_else(|| lacks("stack pointer"))?;
        store.data_mut().memory = Some(memory);
        Ok(Self {
            interpreter: interpreter.clone(),
            store,
            instance,
            memory,
            stack_pointer,
            randomness: Randomness::Shared,
        })
    }

    /// Gives a fresh guest its own randomness and touches the pages a first turn needs, so that
    /// the first turn need not. A guest that fails here fails again in its first turn.
    pub async fn warm(&mut self) {
        let input = TurnInput {
            purpose: Purpose::Run,
            code: "0".into(),
            filename: "<warm-up>".into(),
        };
        let limits = TurnLimits {
            fuel: FUEL_PER_SECOND,
            output_bytes_max: 0,
        };
        let control = TurnControl::unattended(self.epoch_bump());
        self.run(&input, &limits, control, Arc::new(Silence)).await;
    }

    /// Runs one turn to its end. Dropping the future leaves the guest broken.
    pub async fn run(
        &mut self,
        input: &TurnInput,
        limits: &TurnLimits,
        control: Arc<TurnControl>,
        sink: Arc<dyn TurnSink>,
    ) -> TurnEnd {
        let interpreter = self.interpreter.clone();
        let fuel_reserve = match interpreter.metering() {
            Metering::FuelAndEpoch => (limits.fuel / 10).min(FUEL_NOTICE),
            Metering::Unmetered | Metering::Epoch => 0,
        };
        self.give_fuel(limits.fuel);
        let state = self.store.data_mut();
        state.memory_limit.refused = false;
        state.files.restore_stdio();
        state.turn = Some(TurnState::new(
            control.clone(),
            sink,
            limits.output_bytes_max,
            fuel_reserve,
        ));
        let language = interpreter.language();
        let ticking = interpreter.tick();
        let randomness = std::mem::replace(&mut self.randomness, Randomness::Own);
        let (outcome, cpu) = CpuTimed::new(language.turn(self, input, randomness)).await;
        drop(ticking);

        let state = self.store.data_mut();
        let mut turn = state.turn.take().expect("set above, taken only here");
        turn.release();
        let refused = state.memory_limit.refused;
        let left = self.store.get_fuel().unwrap_or(limits.fuel);
        let mut end = TurnEnd {
            status: Status::Ok,
            exit_code: 0,
            error: None,
            soundness: Soundness::Sound,
            truncated: turn.truncated,
            cpu,
            fuel: limits.fuel.saturating_sub(left),
            memory_bytes: self.memory.data_size(&self.store) as u64,
            output_bytes: turn.output_bytes,
        };
        match outcome {
            Ok(ended) if self.at_rest() => {
                end.conclude(ended, control.cause(), refused, &*language);
                if let Some(TurnResult { text, json }) = turn.result {
                    turn.sink.result(text, json);
                }
            }
            Ok(_) => end.crash(
                "the guest's stack is not at rest after the turn".into(),
                refused,
            ),
            Err(error) => end.halt(&error, control.cause(), refused),
        }
        end
    }

    /// The state of this guest, which must be at rest and sound.
    pub fn checkpoint(&self, previous: Option<&Checkpoint>) -> Checkpoint {
        let state = self.store.data();
        Checkpoint::capture(
            self.interpreter.image(),
            self.memory.data(&self.store),
            state.files.clone(),
            state.clock.monotonic_ns(),
            previous,
        )
    }

    /// The guest's files, for a host call between turns.
    pub fn files_mut(&mut self) -> &mut Files {
        &mut self.store.data_mut().files
    }

    pub fn files(&self) -> &Files {
        &self.store.data().files
    }

    /// The guest's memory as it stands.
    pub fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// The guest's memory, for handing it what it asked for.
    pub fn memory_mut(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }

    /// Calls an export of the guest.
    ///
    /// # Errors
    /// A trap or a halt; and an export that is missing or of another type.
    pub async fn call<P, R>(&mut self, export: &str, parameters: P) -> wasmtime::Result<R>
    where
        P: WasmParams + Sync,
        R: WasmResults + Sync,
    {
        let function = self
            .instance
            .get_typed_func::<P, R>(&mut self.store, export)?;
        function.call_async(&mut self.store, parameters).await
    }

    pub fn monotonic_ns(&self) -> u64 {
        self.store.data().clock.monotonic_ns()
    }

    /// What makes this guest look at its control block.
    pub fn epoch_bump(&self) -> EpochBump {
        self.interpreter.epoch_bump()
    }

    pub(super) fn give_fuel(&mut self, fuel: u64) {
        // The only error is an engine without fuel, which then needs none.
        let _ = self.store.set_fuel(fuel);
    }

    fn at_rest(&mut self) -> bool {
        let expected = self.interpreter.rest_stack_pointer();
        matches!(self.stack_pointer.get(&mut self.store), Val::I32(value) if value as u32 == expected)
    }
}

impl From<&Limits> for GuestLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_bytes_max: limits.memory_bytes_max,
            table_elements_max: limits.table_elements_max,
            files: limits.into(),
        }
    }
}

impl TurnEnd {
    /// A turn that the interpreter itself brought to its end.
    fn conclude(
        &mut self,
        ended: Ended,
        cause: Option<StopCause>,
        refused: bool,
        language: &dyn Language,
    ) {
        match ended {
            Ended::Normally => {}
            Ended::Exit(0) => {}
            Ended::Exit(code) => {
                self.status = Status::Exit;
                self.exit_code = code;
            }
            Ended::Error(error) => {
                self.status = if refused && language.is_out_of_memory(&error) {
                    Status::MemoryLimit
                } else {
                    Status::Error
                };
                if let Some(cause) = cause
                    && language.is_notice(&error, cause)
                {
                    self.status = status_of(cause);
                }
                self.error = Some(error);
            }
        }
        // A program may handle an interrupt and end as it likes; a limit it met stays met.
        if let Some(cause @ (StopCause::Timeout | StopCause::CpuLimit | StopCause::OutputLimit)) =
            cause
        {
            self.status = status_of(cause);
            if self.error.is_none() {
                self.error = Some(named(
                    self.status,
                    "the limit was met, and the program handled it",
                ));
            }
        }
        self.exit_code = exit_code(self.status, self.exit_code);
        if self.status == Status::Error && self.error.is_none() {
            self.error = Some(named(self.status, "the turn failed"));
        }
        if self.status == Status::Exit {
            self.error = Some(named(
                self.status,
                &format!("the program exited with code {}", self.exit_code),
            ));
        }
    }

    /// A turn that ended with the guest's own end.
    fn halt(&mut self, error: &wasmtime::Error, cause: Option<StopCause>, refused: bool) {
        self.soundness = Soundness::Broken;
        match error.downcast_ref::<Halt>() {
            Some(Halt::Exit(code)) => {
                self.status = Status::Exit;
                self.exit_code = *code;
                self.error = Some(named(
                    self.status,
                    &format!("the program ended the interpreter with code {code}"),
                ));
            }
            Some(Halt::Stopped(cause)) => self.stop(*cause),
            None => match (error.downcast_ref::<Trap>(), cause) {
                (Some(Trap::OutOfFuel), _) => self.stop(StopCause::CpuLimit),
                (_, Some(cause)) => self.stop(cause),
                (Some(trap), None) => self.crash(trap.to_string(), refused),
                (None, None) => self.crash(format!("{error:#}"), refused),
            },
        }
    }

    fn stop(&mut self, cause: StopCause) {
        self.status = status_of(cause);
        self.exit_code = exit_code(self.status, 0);
        self.error = Some(named(
            self.status,
            "the program went on after the notice and was stopped",
        ));
    }

    fn crash(&mut self, what: String, refused: bool) {
        self.soundness = Soundness::Broken;
        self.status = if refused {
            Status::MemoryLimit
        } else {
            Status::Crashed
        };
        self.exit_code = exit_code(self.status, 0);
        self.error = Some(named(self.status, &what));
    }
}

fn named(status: Status, message: &str) -> ErrorDetail {
    ErrorDetail {
        name: status.as_str().into(),
        message: message.into(),
        traceback: String::new(),
    }
}

fn status_of(cause: StopCause) -> Status {
    match cause {
        StopCause::Timeout => Status::Timeout,
        StopCause::CpuLimit => Status::CpuLimit,
        StopCause::OutputLimit => Status::OutputLimit,
        StopCause::Interrupt => Status::Interrupted,
    }
}

fn exit_code(status: Status, own: i32) -> i32 {
    status.exit_code().unwrap_or(own)
}
