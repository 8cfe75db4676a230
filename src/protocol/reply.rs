//! What one client hears outside the journal: answers to its own messages, and notices about its
//! own connection.

use std::time::SystemTime;

use serde_json::value::RawValue;

use super::event::SessionState;
use super::refusal::Refusal;
use super::request::RequestId;
use super::resume::Role;
use crate::ids::{Epoch, Seq, SessionId, TurnNumber};
use crate::limits::{Limits, TIMEOUT_SECONDS};

/// One reply. It carries no `seq` and no other client sees it.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Always the first message on a connection.
    Attached(Box<Attached>),
    /// The journal no longer holds these events, both ends included.
    Gap {
        from: Seq,
        to: Seq,
    },
    /// The session has seen this id with this content.
    Duplicate {
        id: RequestId,
        turn: Option<TurnNumber>,
        state: RequestState,
        /// The frame that ended it, as it was sent.
        event: Option<Box<RawValue>>,
    },
    Interrupting {
        id: RequestId,
        turn: TurnNumber,
    },
    Cancelling {
        id: RequestId,
        turn: TurnNumber,
    },
    Completions {
        id: RequestId,
        matches: Vec<String>,
        /// What a match replaces, in code points of the code.
        replaces: std::ops::Range<usize>,
    },
    Inspection {
        id: RequestId,
        /// None: nothing is known about that place.
        text: Option<String>,
    },
    Pong {
        id: RequestId,
    },
    Authenticated {
        id: RequestId,
        expires_at: SystemTime,
    },
    TokenExpiring {
        expires_at: SystemTime,
    },
    Closed {
        id: RequestId,
    },
    /// A message was refused; the socket stays open.
    Error {
        id: Option<RequestId>,
        refusal: Refusal,
    },
}

impl Reply {
    /// Every `type` of a reply.
    pub const TYPES: [&'static str; 12] = [
        "attached",
        "gap",
        "duplicate",
        "interrupting",
        "cancelling",
        "completions",
        "inspection",
        "pong",
        "authenticated",
        "token_expiring",
        "closed",
        "error",
    ];

    /// The reply's `type` on the wire.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Attached(_) => "attached",
            Self::Gap { .. } => "gap",
            Self::Duplicate { .. } => "duplicate",
            Self::Interrupting { .. } => "interrupting",
            Self::Cancelling { .. } => "cancelling",
            Self::Completions { .. } => "completions",
            Self::Inspection { .. } => "inspection",
            Self::Pong { .. } => "pong",
            Self::Authenticated { .. } => "authenticated",
            Self::TokenExpiring { .. } => "token_expiring",
            Self::Closed { .. } => "closed",
            Self::Error { .. } => "error",
        }
    }
}

/// What a client is attached to.
#[derive(Debug, Clone, PartialEq)]
pub struct Attached {
    pub session: SessionId,
    /// The catalogue's name of the interpreter.
    pub language: String,
    /// The interpreter's own version.
    pub version: String,
    pub epoch: Epoch,
    /// The journal's head.
    pub seq: Seq,
    pub recovery: Recovery,
    pub role: Role,
    pub state: SessionState,
    pub limits: AppliedLimits,
}

/// What became of the resume point a client came with: `recovered` and `common_seq` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It came without one: `recovered` is false, and there is no `common_seq`.
    NotAsked,
    /// Every event after it follows.
    Complete,
    /// The client holds events that this history does not have; those after the last one shared
    /// follow.
    Diverged { common_seq: Seq },
}

/// How far a remembered request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestState {
    Queued,
    Running,
    Done,
}

impl RequestState {
    /// The state's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
        }
    }
}

/// The bounds that hold for one connection, as `attached` tells them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AppliedLimits {
    /// The longest a turn may ask for.
    pub timeout_seconds: f64,
    /// Wasmtime's units; None when a turn's fuel follows from its timeout alone.
    pub fuel: Option<u64>,
    pub memory_bytes: u64,
    pub output_bytes: u64,
    pub journal_bytes: u64,
    pub message_bytes: u64,
    pub queue_turns: u64,
    pub files_bytes: u64,
    pub file_bytes: u64,
    pub event_bytes: u64,
    pub stdin_wait_seconds: f64,
    pub heartbeat_seconds: f64,
}

impl From<&Limits> for AppliedLimits {
    /// The gateway's own bounds, before a token lowers any.
    fn from(limits: &Limits) -> Self {
        Self {
            timeout_seconds: *TIMEOUT_SECONDS.end(),
            fuel: None,
            memory_bytes: limits.memory_bytes_max,
            output_bytes: limits.output_bytes_max,
            journal_bytes: limits.journal_bytes_max,
            message_bytes: limits.message_bytes_max,
            queue_turns: limits.queue_turns_max as u64,
            files_bytes: limits.files_bytes_max,
            file_bytes: limits.file_bytes_max,
            event_bytes: limits.event_bytes_max,
            stdin_wait_seconds: limits.stdin_wait.as_secs_f64(),
            heartbeat_seconds: limits.heartbeat.as_secs_f64(),
        }
    }
}
