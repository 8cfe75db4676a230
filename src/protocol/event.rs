//! Events of a session: what its journal holds, in order, and what every client of it reads.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::ids::{SessionId, TurnNumber};

/// One event, without its `seq`: the journal numbers it.
#[derive(Debug, Clone)]
pub enum Event {
    /// A turn was accepted. `position` 0 is next; `code` is cut at `QUEUED_CODE_BYTES_MAX`.
    Queued {
        id: String,
        turn: TurnNumber,
        position: usize,
        code: String,
    },
    Started {
        id: String,
        turn: TurnNumber,
    },
    /// What the guest wrote. Text on the wire when it is UTF-8, base64 otherwise.
    Output {
        turn: TurnNumber,
        stream: Stream,
        bytes: Bytes,
    },
    /// The guest reads and nothing is there; `prompt` repeats what it wrote since its last newline.
    StdinRequest {
        turn: TurnNumber,
        prompt: String,
    },
    /// A rich output: MIME type to text, or to base64 for binary types.
    Display {
        turn: TurnNumber,
        data: serde_json::Map<String, serde_json::Value>,
        metadata: serde_json::Map<String, serde_json::Value>,
    },
    /// The value of a final expression, or of `return_val`.
    Result {
        turn: TurnNumber,
        text: String,
        json: Option<Box<RawValue>>,
    },
    Finished(Box<Finished>),
    /// The turn's state and all events up to here survive the death of the process.
    Saved {
        turn: TurnNumber,
    },
    Unsaved {
        turn: TurnNumber,
        reason: String,
    },
    Checkpointed {
        id: String,
        checkpoint: String,
        name: Option<String>,
        turn: TurnNumber,
    },
    RolledBack {
        id: String,
        checkpoint: Option<String>,
        turn: TurnNumber,
    },
    Forked {
        id: String,
        session: SessionId,
    },
    Session {
        state: SessionState,
        reason: String,
    },
}

impl Event {
    /// Every `type` of an event.
    pub const TYPES: [&'static str; 13] = [
        "queued",
        "started",
        "output",
        "stdin_request",
        "display",
        "result",
        "finished",
        "saved",
        "unsaved",
        "checkpointed",
        "rolled_back",
        "forked",
        "session",
    ];

    /// The event's `type` on the wire.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Queued { .. } => "queued",
            Self::Started { .. } => "started",
            Self::Output { .. } => "output",
            Self::StdinRequest { .. } => "stdin_request",
            Self::Display { .. } => "display",
            Self::Result { .. } => "result",
            Self::Finished(_) => "finished",
            Self::Saved { .. } => "saved",
            Self::Unsaved { .. } => "unsaved",
            Self::Checkpointed { .. } => "checkpointed",
            Self::RolledBack { .. } => "rolled_back",
            Self::Forked { .. } => "forked",
            Self::Session { .. } => "session",
        }
    }
}

/// Which of the guest's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    /// The stream's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// Where a session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    Starting,
    Ready,
    Running,
    Hibernated,
    Ended,
}

impl SessionState {
    /// The state's name on the wire and in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Hibernated => "hibernated",
            Self::Ended => "ended",
        }
    }
}

/// How a turn ended. Exactly one per turn.
#[derive(Debug, Clone)]
pub struct Finished {
    pub id: String,
    pub turn: TurnNumber,
    pub status: Status,
    /// The code for `ok`, `error` and the limits is fixed by the status; `exit` brings its own.
    pub exit_code: Option<i32>,
    pub error: Option<ErrorDetail>,
    pub session_state: StateAfter,
    /// Something of the turn was cut.
    pub truncated: bool,
    /// None for a turn that never ran.
    pub metrics: Option<TurnMetrics>,
}

/// The named reasons for which a turn ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Ok,
    Error,
    Exit,
    Timeout,
    CpuLimit,
    MemoryLimit,
    OutputLimit,
    Interrupted,
    Crashed,
    Cancelled,
    Failed,
    Lost,
}

impl Status {
    /// The status's name on the wire and in the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Exit => "exit",
            Self::Timeout => "timeout",
            Self::CpuLimit => "cpu_limit",
            Self::MemoryLimit => "memory_limit",
            Self::OutputLimit => "output_limit",
            Self::Interrupted => "interrupted",
            Self::Crashed => "crashed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }
}

/// What became of the session's memory and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StateAfter {
    Kept,
    RolledBack,
    Ended,
}

impl StateAfter {
    /// The state's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::RolledBack => "rolled_back",
            Self::Ended => "ended",
        }
    }
}

/// The exception, or the named limit where there was none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorDetail {
    pub name: String,
    pub message: String,
    /// The user's own lines and frames; empty where there were none.
    pub traceback: String,
}

/// What a turn cost.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct TurnMetrics {
    pub queue_ms: f64,
    pub wall_ms: f64,
    pub cpu_ms: f64,
    /// Wasmtime's units; 0 when fuel is not metered.
    pub fuel: u64,
    pub memory_bytes: u64,
    pub output_bytes: u64,
    pub checkpoint_bytes: u64,
}

impl Event {
    /// About how many bytes of text the event carries, for windows, budgets and quotas.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Queued { code, .. } => code.len(),
            Self::Output { bytes, .. } => bytes.len(),
            Self::StdinRequest { prompt, .. } => prompt.len(),
            Self::Display { data, metadata, .. } => [data, metadata]
                .into_iter()
                .flatten()
                .map(|(name, value)| name.len() + value.as_str().map_or(64, str::len))
                .sum(),
            Self::Result { text, json, .. } => {
                text.len() + json.as_ref().map_or(0, |json| json.get().len())
            }
            Self::Finished(finished) => finished.error.as_ref().map_or(0, |error| {
                error.name.len() + error.message.len() + error.traceback.len()
            }),
            Self::Unsaved { reason, .. } | Self::Session { reason, .. } => reason.len(),
            Self::Started { .. }
            | Self::Saved { .. }
            | Self::Checkpointed { .. }
            | Self::RolledBack { .. }
            | Self::Forked { .. } => 0,
        }
    }
}

impl Status {
    /// The exit code that goes with the status; None where the program brings its own, or where
    /// there is none.
    pub const fn exit_code(self) -> Option<i32> {
        match self {
            Self::Ok => Some(0),
            Self::Error => Some(1),
            Self::Timeout => Some(124),
            Self::CpuLimit => Some(152),
            Self::MemoryLimit => Some(137),
            Self::OutputLimit => Some(153),
            Self::Interrupted => Some(130),
            Self::Crashed => Some(134),
            Self::Failed => Some(70),
            Self::Exit | Self::Cancelled | Self::Lost => None,
        }
    }
}
