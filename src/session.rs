//! Sessions: one interpreter each, with its turns, its journal and its life.
//!
//! ```text
//! ready ──execute──▶ running ──finished──▶ ready
//!   │  ▲                                     │
//!   │  └──────────────execute────────────────┤
//!   └──idle──▶ hibernated ──execute──▶ running
//! any ──close──▶ ended
//! ```
//!
//! One task, the driver, mutates a session; it never blocks and never runs guest code itself. Others
//! send it commands through a [`SessionHandle`], or read the journal through a cursor of their own.

mod driver;
mod registry;
mod sink;
mod slot;
mod spares;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::ids::{SessionKey, TurnNumber};
use crate::journal::Journal;
use crate::protocol::client::{CodeCursor, Input};
use crate::protocol::event::SessionState;
use crate::protocol::refusal::{ErrorCode, Refusal};
use crate::protocol::reply::Reply;
use crate::protocol::request::{Request, RequestId};

pub use registry::{Drain, Missing, Opening, Sessions};
pub use spares::Spares;

/// Commands that wait for a driver. A client waits for each answer before its next message, so
/// this bounds clients, not turns.
const COMMANDS_MAX: usize = 256;

/// What others may do to a session.
pub struct SessionHandle {
    pub key: SessionKey,
    /// The catalogue's name of the interpreter, and the interpreter's version.
    pub language: String,
    pub version: String,
    pub journal: Arc<Journal>,
    commands: mpsc::Sender<Command>,
    state: watch::Receiver<SessionState>,
}

/// What a caller may spend on one turn, by its token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    pub timeout_max: Duration,
    pub timeout_default: Duration,
    pub fuel_max: Option<u64>,
}

/// A message to the driver. Each is answered exactly once.
pub(crate) enum Command {
    Request {
        request: Request,
        allowance: Allowance,
        answer: Answer,
    },
    Stdin {
        input: Input,
        turn: Option<TurnNumber>,
        answer: Answer,
    },
    Interrupt {
        id: RequestId,
        turn: Option<TurnNumber>,
        answer: Answer,
    },
    Ask {
        id: RequestId,
        question: Question,
        at: CodeCursor,
        answer: Answer,
    },
    Close {
        id: RequestId,
        answer: Answer,
    },
}

/// What is asked of a session at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    Complete,
    Inspect,
}

type Answer = oneshot::Sender<Result<Option<Reply>, Refusal>>;

impl SessionHandle {
    /// Sends a request that the session remembers, and returns the reply to its sender, if it has
    /// one; what becomes of it is in the journal.
    ///
    /// # Errors
    /// The session's refusal.
    pub async fn request(
        &self,
        request: Request,
        allowance: Allowance,
    ) -> Result<Option<Reply>, Refusal> {
        self.command(|answer| Command::Request {
            request,
            allowance,
            answer,
        })
        .await
    }

    /// Gives input to the running turn.
    ///
    /// # Errors
    /// `conflict` when no turn runs, or another than `turn`.
    pub async fn stdin(&self, input: Input, turn: Option<TurnNumber>) -> Result<(), Refusal> {
        self.command(|answer| Command::Stdin {
            input,
            turn,
            answer,
        })
        .await
        .map(|_| ())
    }

    /// Interrupts the running turn.
    ///
    /// # Errors
    /// `conflict` when no turn runs, or another than `turn`.
    pub async fn interrupt(
        &self,
        id: RequestId,
        turn: Option<TurnNumber>,
    ) -> Result<Option<Reply>, Refusal> {
        self.command(|answer| Command::Interrupt { id, turn, answer })
            .await
    }

    /// Completes or inspects code from the live state, without changing it.
    ///
    /// # Errors
    /// `unavailable` while a turn runs or waits, or when it takes too long.
    pub async fn ask(
        &self,
        id: RequestId,
        question: Question,
        at: CodeCursor,
    ) -> Result<Option<Reply>, Refusal> {
        self.command(|answer| Command::Ask {
            id,
            question,
            at,
            answer,
        })
        .await
    }

    /// Ends the session; returns once it has ended.
    ///
    /// # Errors
    /// `not_found` when it has ended before.
    pub async fn close(&self, id: RequestId) -> Result<Option<Reply>, Refusal> {
        self.command(|answer| Command::Close { id, answer }).await
    }

    /// Where the session is in its life.
    pub fn state(&self) -> SessionState {
        *self.state.borrow()
    }

    /// Waits until the session has ended. Cancel-safe.
    pub async fn ended(&self) {
        let mut state = self.state.clone();
        // A driver that is gone has ended its session.
        let _ = state.wait_for(|state| *state == SessionState::Ended).await;
    }

    async fn command(
        &self,
        command: impl FnOnce(Answer) -> Command,
    ) -> Result<Option<Reply>, Refusal> {
        let (answer, answered) = oneshot::channel();
        let gone = || Refusal::new(ErrorCode::NotFound, "the session has ended");
        self.commands
            .send(command(answer))
            .await
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}
