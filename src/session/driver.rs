//! The one task that mutates a session.
//!
//! It decides in what order things happen and announces them; `turns` knows the order, `slot` does
//! the work on guest threads, the journal carries the news. Every wait in its loop is cancel-safe:
//! commands and outcomes sit in channels, the turn's watch keeps its state in the ladder.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, info};

use super::registry::Drain;
use super::sink::JournalSink;
use super::slot::{Job, Outcome, Slot};
use super::turns::{Accepted, Seen, Target, Turns, Waiting};
use super::{Allowance, Answer, Command, Question};
use crate::guest::{
    FUEL_PER_SECOND, GuestThreads, Interpreter, Purpose, Rungs, Soundness, StdinRefused, StopCause,
    TurnControl, TurnEnd, TurnInput, TurnLimits,
};
use crate::ids::{Seq, SessionKey, TurnNumber};
use crate::journal::Journal;
use crate::limits::{Limits, QUEUED_CODE_BYTES_MAX, SOFT_GRACE};
use crate::metrics::Metrics;
use crate::protocol::client::{CodeCursor, Input};
use crate::protocol::event::{
    ErrorDetail, Event, Finished, SessionState, StateAfter, Status, TurnMetrics,
};
use crate::protocol::frame;
use crate::protocol::refusal::{ErrorCode, Refusal};
use crate::protocol::reply::{Reply, RequestState};
use crate::protocol::request::{Action, Execute, Fingerprint, Request, RequestId};

/// After this long without a turn the last checkpoint is packed.
const REST_AFTER: Duration = Duration::from_secs(1);
/// The hard way follows a soft interrupt after this (PROTOCOL.md).
const INTERRUPT_GRACE: Duration = Duration::from_secs(1);
/// Completions and inspections come within this or not at all (PROTOCOL.md).
const ASK_PATIENCE: Duration = Duration::from_millis(100);
/// Questions that may wait at once.
const QUESTIONS_MAX: usize = 16;
/// Longer than any gateway runs.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Why `saved` is not told yet.
const NOT_DURABLE: &str = "sessions of this version live in the gateway's memory only";

/// Everything a driver is made of.
pub(super) struct Parts {
    pub(super) interpreter: Arc<Interpreter>,
    pub(super) key: SessionKey,
    pub(super) language: String,
    pub(super) threads: Arc<GuestThreads>,
    pub(super) journal: Arc<Journal>,
    pub(super) limits: Arc<Limits>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) state: watch::Sender<SessionState>,
    pub(super) drain: watch::Receiver<Drain>,
}

pub(super) struct Driver {
    parts: Parts,
    turns: Turns,
    guest: Guest,
    /// The one who asked for the session's end.
    closing: Option<(RequestId, Answer)>,
    /// Questions that wait for the guest.
    asked: VecDeque<Asked>,
    touched: Instant,
    resting: Rest,
}

/// Where the guest is.
enum Guest {
    Here(Box<Slot>),
    /// A turn runs on a guest thread.
    Running(Box<Running>),
    /// The turn has ended; its state is being captured, or something else is done to the slot.
    Busy(JoinHandle<Slot>),
    /// A guest thread panicked. The session cannot go on.
    Lost,
}

struct Running {
    id: RequestId,
    turn: TurnNumber,
    control: Arc<TurnControl>,
    sink: Arc<JournalSink>,
    queued_at: Instant,
    started_at: Instant,
    /// Of the state that the turn started from.
    checkpoint_bytes: u64,
    outcome: oneshot::Receiver<Outcome>,
    back: JoinHandle<Slot>,
}

/// A question and who asked it.
struct Asked {
    id: RequestId,
    question: Question,
    at: CodeCursor,
    answer: Answer,
    since: Instant,
}

/// How deeply the session sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Awake,
    Packed,
    Hibernated,
}

/// What woke the driver.
enum Woken {
    Command(Option<Command>),
    Outcome(Option<Outcome>),
    Slot(Option<Slot>),
    Drain,
    Idle,
}

impl Driver {
    pub(super) fn new(parts: Parts, slot: Slot) -> Self {
        Self {
            turns: Turns::new(parts.limits.queue_turns_max),
            guest: Guest::Here(Box::new(slot)),
            closing: None,
            asked: VecDeque::new(),
            touched: Instant::now(),
            resting: Rest::Awake,
            parts,
        }
    }

    /// Drives the session to its end.
    pub(super) async fn run(mut self) {
        loop {
            if self.closing.is_some() && self.at_rest() {
                self.end("closed");
                return;
            }
            match self.wait().await {
                Woken::Command(Some(command)) => self.command(command).await,
                // The gateway let go of the session.
                Woken::Command(None) => {
                    self.end("the gateway ended");
                    return;
                }
                Woken::Outcome(outcome) => self.finish(outcome),
                Woken::Slot(Some(slot)) => self.slot_back(slot),
                Woken::Slot(None) => {
                    self.guest = Guest::Lost;
                    self.end("its guest was lost");
                    return;
                }
                Woken::Drain => self.drain(),
                Woken::Idle if self.resting == Rest::Hibernated => {
                    self.end("untouched");
                    return;
                }
                Woken::Idle => self.rest(),
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        let idle = self.idle_due();
        let (outcome, back, control) = match &mut self.guest {
            Guest::Running(running) => (Some(&mut running.outcome), None, Some(&running.control)),
            Guest::Busy(back) => (None, Some(back), None),
            Guest::Here(_) | Guest::Lost => (None, None, None),
        };
        tokio::select! {
            biased;
            outcome = maybe(outcome) => Woken::Outcome(outcome.ok()),
            slot = maybe(back) => Woken::Slot(slot.ok()),
            () = watch_turn(control) => unreachable!("a watch never ends by itself"),
            command = self.parts.commands.recv() => Woken::Command(command),
            Ok(()) = self.parts.drain.changed() => Woken::Drain,
            () = tokio::time::sleep_until(idle.into()) => Woken::Idle,
        }
    }

    async fn command(&mut self, command: Command) {
        self.touched = Instant::now();
        match command {
            Command::Request {
                request,
                allowance,
                answer,
            } => {
                let result = self.request(request, allowance);
                // Whoever asked may be gone; what it asked for stands.
                let _ = answer.send(result);
                self.start_next();
            }
            Command::Stdin {
                input,
                turn,
                answer,
            } => {
                let _ = answer.send(self.stdin(input, turn).map(|()| None));
            }
            Command::Interrupt { id, turn, answer } => {
                let result = self.running(turn).map(|running| {
                    running.control.ask(StopCause::Interrupt);
                    let turn = running.turn;
                    Some(Reply::Interrupting { id, turn })
                });
                let _ = answer.send(result);
            }
            Command::Ask {
                id,
                question,
                at,
                answer,
            } => self.ask(Asked {
                id,
                question,
                at,
                answer,
                since: Instant::now(),
            }),
            Command::Close { id, answer } => self.close(id, answer),
        }
    }

    fn request(
        &mut self,
        request: Request,
        allowance: Allowance,
    ) -> Result<Option<Reply>, Refusal> {
        let fingerprint = request.fingerprint();
        if let Some(seen) = self.turns.known(&request.id, fingerprint)? {
            return Ok(Some(duplicate(request.id, seen)));
        }
        if self.closing.is_some() {
            return Err(Refusal::new(ErrorCode::NotFound, "the session is ending"));
        }
        let Request { id, action } = request;
        match action {
            Action::Execute(execute) => self.execute(id, fingerprint, execute, allowance),
            Action::Cancel { target } => self.cancel(id, fingerprint, &target).map(Some),
            Action::Checkpoint { .. } | Action::Rollback(_) | Action::Fork { .. } => {
                Err(Refusal::new(
                    ErrorCode::Unavailable,
                    "checkpoint, rollback and fork come with durable sessions, which this version \
                     does not have yet",
                ))
            }
        }
    }

    fn execute(
        &mut self,
        id: RequestId,
        fingerprint: Fingerprint,
        mut execute: Execute,
        allowance: Allowance,
    ) -> Result<Option<Reply>, Refusal> {
        if *self.parts.drain.borrow() != Drain::Open {
            return Err(Refusal::new(
                ErrorCode::Draining,
                "the gateway is shutting down; reconnect and send this again",
            ));
        }
        let timeout = execute.timeout.unwrap_or(allowance.timeout_default);
        if timeout > allowance.timeout_max {
            return Err(Refusal::new(
                ErrorCode::InvalidTimeout,
                format!(
                    "timeout_seconds {} is above this token's own bound of {}",
                    timeout.as_secs_f64(),
                    allowance.timeout_max.as_secs_f64()
                ),
            ));
        }
        if execute.durable {
            return Err(Refusal::new(ErrorCode::Unavailable, NOT_DURABLE));
        }
        execute.timeout = Some(timeout);
        execute.fuel = match (execute.fuel, allowance.fuel_max) {
            (Some(asked), Some(bound)) => Some(asked.min(bound)),
            (asked, bound) => asked.or(bound),
        };
        let code = cut(&execute.code, QUEUED_CODE_BYTES_MAX).to_owned();
        match self
            .turns
            .accept(&id, fingerprint, execute, Instant::now())?
        {
            Accepted::Queued { turn, position } => {
                self.append(Event::Queued {
                    id: id.into(),
                    turn,
                    position,
                    code,
                });
                Ok(None)
            }
            Accepted::Duplicate(seen) => Ok(Some(duplicate(id, &seen))),
        }
    }

    fn cancel(
        &mut self,
        id: RequestId,
        fingerprint: Fingerprint,
        target: &RequestId,
    ) -> Result<Reply, Refusal> {
        let turn = match self.turns.cancel(target)? {
            Target::Running(turn) => {
                if let Guest::Running(running) = &self.guest {
                    running.control.ask(StopCause::Interrupt);
                }
                turn
            }
            Target::Dequeued(waiting) => {
                let turn = waiting.turn;
                self.cancelled(*waiting, "cancelled before it started");
                turn
            }
        };
        self.turns
            .remember(&id, fingerprint, Some(turn), RequestState::Done);
        Ok(Reply::Cancelling { id, turn })
    }

    fn stdin(&mut self, input: Input, turn: Option<TurnNumber>) -> Result<(), Refusal> {
        let running = self.running(turn)?;
        match input {
            Input::Data(data) => running
                .control
                .push_stdin(data.as_bytes())
                .map_err(|refused| {
                    let code = match refused {
                        StdinRefused::Ended => ErrorCode::Conflict,
                        StdinRefused::Full { .. } => ErrorCode::TooLarge,
                    };
                    Refusal::new(code, refused.to_string())
                }),
            Input::Eof => {
                running.control.end_stdin();
                Ok(())
            }
        }
    }

    /// The running turn, if it is the one that is meant.
    fn running(&self, turn: Option<TurnNumber>) -> Result<&Running, Refusal> {
        let Guest::Running(running) = &self.guest else {
            return Err(Refusal::new(ErrorCode::Conflict, "no turn runs"));
        };
        match turn {
            Some(turn) if turn != running.turn => Err(Refusal::new(
                ErrorCode::Conflict,
                format!("turn {turn} does not run; turn {} does", running.turn),
            )),
            Some(_) | None => Ok(running),
        }
    }

    /// Takes a question: answered now, or as soon as the last turn's state is captured.
    fn ask(&mut self, asked: Asked) {
        let unavailable = |why: &str| Err(Refusal::new(ErrorCode::Unavailable, why.to_owned()));
        let busy = !self.turns.is_idle() || matches!(self.guest, Guest::Running(_) | Guest::Lost);
        if busy || self.closing.is_some() {
            let _ = asked.answer.send(unavailable("a turn runs or waits"));
        } else if self.asked.len() >= QUESTIONS_MAX {
            let _ = asked.answer.send(unavailable("too many questions at once"));
        } else {
            self.asked.push_back(asked);
            self.answer_next();
        }
    }

    /// Answers the oldest question if the guest is free.
    fn answer_next(&mut self) {
        if !matches!(self.guest, Guest::Here(_)) {
            return;
        }
        let Some(asked) = self.asked.pop_front() else {
            return;
        };
        let Guest::Here(slot) = std::mem::replace(&mut self.guest, Guest::Lost) else {
            unreachable!("matched above");
        };
        let Asked {
            id,
            question,
            at,
            answer,
            since,
        } = asked;
        let purpose = match question {
            Question::Complete => Purpose::Complete { cursor: at.cursor },
            Question::Inspect => Purpose::Inspect { cursor: at.cursor },
        };
        let input = TurnInput {
            purpose,
            code: at.code,
            filename: "<question>".into(),
        };
        let patience = ASK_PATIENCE.saturating_sub(since.elapsed());
        self.guest = Guest::Busy(self.parts.threads.spawn(async move {
            let found = slot.ask(input, patience).await;
            let reply = match found {
                Some(found) => Ok(Some(answer_to(question, id, found.as_deref()))),
                None => Err(Refusal::new(
                    ErrorCode::Unavailable,
                    format!("no answer within {} ms", ASK_PATIENCE.as_millis()),
                )),
            };
            let _ = answer.send(reply);
            *slot
        }));
    }

    fn close(&mut self, id: RequestId, answer: Answer) {
        if self.closing.is_some() {
            let refusal = Refusal::new(ErrorCode::NotFound, "the session is ending");
            let _ = answer.send(Err(refusal));
            return;
        }
        self.closing = Some((id, answer));
        self.cancel_waiting("the session was closed");
        if let Guest::Running(running) = &self.guest {
            running.control.ask_stop(StopCause::Interrupt);
        }
    }

    fn drain(&mut self) {
        let drain = *self.parts.drain.borrow_and_update();
        match drain {
            Drain::Open => {}
            Drain::Closing => self.cancel_waiting("the gateway is shutting down"),
            Drain::Stopping => {
                if let Guest::Running(running) = &self.guest {
                    running.control.ask(StopCause::Interrupt);
                }
            }
        }
    }

    /// Starts the next turn if the guest is free.
    fn start_next(&mut self) {
        if !matches!(self.guest, Guest::Here(_)) {
            return;
        }
        let Some(next) = self.turns.start() else {
            return;
        };
        let Guest::Here(slot) = std::mem::replace(&mut self.guest, Guest::Lost) else {
            unreachable!("matched above");
        };
        if self.resting == Rest::Hibernated {
            self.announce(SessionState::Running, Some("woken by a turn"));
        } else {
            self.announce(SessionState::Running, None);
        }
        self.resting = Rest::Awake;
        self.append(Event::Started {
            id: next.id.clone().into(),
            turn: next.turn,
        });
        self.guest = Guest::Running(Box::new(self.dispatch(*slot, next)));
    }

    /// Sends a turn to a guest thread.
    fn dispatch(&self, slot: Slot, next: Waiting) -> Running {
        let Waiting {
            id,
            turn,
            execute,
            queued_at,
        } = next;
        let started_at = Instant::now();
        let timeout = execute
            .timeout
            .expect("accepted turns have their timeout resolved");
        let control = TurnControl::new(
            Rungs {
                timeout,
                wait_max: self.parts.limits.stdin_wait,
                grace: SOFT_GRACE,
                interrupt_grace: INTERRUPT_GRACE,
            },
            execute.stdin,
            execute.stdin_open,
            self.parts.interpreter.epoch_bump(),
            started_at,
        );
        let sink = JournalSink::new(self.parts.journal.clone(), turn, self.parts.metrics.clone());
        let honest_fuel = (timeout.as_secs_f64() * FUEL_PER_SECOND as f64) as u64;
        let job = Job {
            input: TurnInput {
                purpose: Purpose::Run,
                code: execute.code,
                filename: execute.filename.unwrap_or_else(|| format!("<turn {turn}>")),
            },
            limits: TurnLimits {
                fuel: execute.fuel.unwrap_or(honest_fuel),
                output_bytes_max: self.parts.limits.output_bytes_max,
            },
            control: control.clone(),
            sink: sink.clone(),
        };
        let (ended, outcome) = oneshot::channel();
        Running {
            id,
            turn,
            control,
            sink,
            queued_at,
            started_at,
            checkpoint_bytes: slot.checkpoint_bytes() as u64,
            outcome,
            back: self.parts.threads.spawn(slot.run(job, ended)),
        }
    }

    /// Announces how the running turn ended.
    fn finish(&mut self, outcome: Option<Outcome>) {
        let Guest::Running(running) = std::mem::replace(&mut self.guest, Guest::Lost) else {
            unreachable!("an outcome comes only from a running turn");
        };
        let running = *running;
        let wall = running.started_at.elapsed();
        let queue_ms = ms(running.started_at - running.queued_at);
        let mut finished = match outcome {
            Some(Outcome::Ran(end)) => self.ran(&running, *end, queue_ms, ms(wall)),
            Some(Outcome::NotRun(error)) => failed(&running, error.to_string()),
            None => failed(&running, "the gateway lost the guest's thread".into()),
        };
        if self.closing.is_some() {
            finished.session_state = StateAfter::Ended;
        }
        self.parts
            .metrics
            .turn(&self.parts.language, finished.status, wall);
        debug!(
            session_id = %self.parts.key.id,
            owner = %self.parts.key.owner,
            turn_id = running.turn.0,
            status = finished.status.as_str(),
            wall_ms = ms(wall),
            "turn finished"
        );
        let event = Event::Finished(Box::new(finished));
        let (seq, event) = self.append_shared(event);
        self.turns.ended(&running.id, seq, event);
        self.append(Event::Unsaved {
            turn: running.turn,
            reason: NOT_DURABLE.into(),
        });
        self.guest = Guest::Busy(running.back);
    }

    fn ran(&self, running: &Running, end: TurnEnd, queue_ms: f64, wall_ms: f64) -> Finished {
        let session_state = match end.soundness {
            Soundness::Sound => StateAfter::Kept,
            Soundness::Broken => {
                self.parts.metrics.rollback(end.status);
                StateAfter::RolledBack
            }
        };
        Finished {
            id: running.id.clone().into(),
            turn: running.turn,
            status: end.status,
            exit_code: Some(end.exit_code),
            error: end.error,
            session_state,
            truncated: end.truncated || running.sink.cut(),
            metrics: Some(TurnMetrics {
                queue_ms,
                wall_ms,
                cpu_ms: ms(end.cpu),
                fuel: end.fuel,
                memory_bytes: end.memory_bytes,
                output_bytes: end.output_bytes,
                checkpoint_bytes: running.checkpoint_bytes,
            }),
        }
    }

    fn slot_back(&mut self, slot: Slot) {
        self.touched = Instant::now();
        self.guest = Guest::Here(Box::new(slot));
        self.start_next();
        self.answer_next();
        if self.at_rest() && self.resting == Rest::Awake {
            self.announce(SessionState::Ready, None);
        }
    }

    /// The session has been at rest for a while: sleeps more deeply.
    fn rest(&mut self) {
        let Guest::Here(slot) = std::mem::replace(&mut self.guest, Guest::Lost) else {
            unreachable!("only a session at rest is idle");
        };
        let (resting, slept) = match self.resting {
            Rest::Awake => (
                Rest::Packed,
                self.parts.threads.spawn(async move { slot.rest() }),
            ),
            Rest::Packed | Rest::Hibernated => (
                Rest::Hibernated,
                self.parts.threads.spawn(async move { slot.hibernate() }),
            ),
        };
        self.resting = resting;
        if resting == Rest::Hibernated {
            self.announce(SessionState::Hibernated, Some("idle"));
        }
        self.guest = Guest::Busy(slept);
    }

    /// When the session sleeps more deeply, if nothing happens before.
    fn idle_due(&self) -> Instant {
        let after = match (self.at_rest(), self.resting) {
            (true, Rest::Awake) => REST_AFTER,
            (true, Rest::Packed) => self.parts.limits.session_idle.max(REST_AFTER),
            (true, Rest::Hibernated) => self.parts.limits.session_untouched,
            (false, _) => NEVER,
        };
        self.touched + after
    }

    /// No turn runs or waits, and the guest is here.
    fn at_rest(&self) -> bool {
        matches!(self.guest, Guest::Here(_)) && self.turns.is_idle()
    }

    fn cancel_waiting(&mut self, why: &str) {
        for waiting in self.turns.take_waiting() {
            self.cancelled(waiting, why);
        }
    }

    /// Announces the end of a turn that never ran.
    fn cancelled(&mut self, waiting: Waiting, why: &str) {
        let event = Event::Finished(Box::new(Finished {
            id: waiting.id.clone().into(),
            turn: waiting.turn,
            status: Status::Cancelled,
            exit_code: None,
            error: Some(ErrorDetail {
                name: Status::Cancelled.as_str().into(),
                message: why.into(),
                traceback: String::new(),
            }),
            session_state: StateAfter::Kept,
            truncated: false,
            metrics: None,
        }));
        self.parts
            .metrics
            .turn(&self.parts.language, Status::Cancelled, Duration::ZERO);
        let (seq, event) = self.append_shared(event);
        self.turns.ended(&waiting.id, seq, event);
    }

    fn end(&mut self, reason: &str) {
        info!(
            session_id = %self.parts.key.id,
            owner = %self.parts.key.owner,
            reason,
            "session ended"
        );
        self.cancel_waiting("the session ended");
        self.announce(SessionState::Ended, Some(reason));
        if let Some((id, answer)) = self.closing.take() {
            let _ = answer.send(Ok(Some(Reply::Closed { id })));
        }
    }

    /// Moves the session to a state; with a reason, clients hear of it.
    fn announce(&mut self, state: SessionState, reason: Option<&str>) {
        if let Some(reason) = reason {
            self.append(Event::Session {
                state,
                reason: reason.into(),
            });
        }
        let before = self.parts.state.send_replace(state);
        self.parts.metrics.session_state(Some(before), Some(state));
    }

    fn append(&self, event: Event) {
        self.parts.journal.append(event);
    }

    fn append_shared(&self, event: Event) -> (Seq, Arc<Event>) {
        let shared = Arc::new(event.clone());
        (self.parts.journal.append(event), shared)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let state = *self.parts.state.borrow();
        self.parts.metrics.session_state(Some(state), None);
        self.parts.state.send_replace(SessionState::Ended);
    }
}

/// What is already known of a request that came again.
fn duplicate(id: RequestId, seen: &Seen) -> Reply {
    Reply::Duplicate {
        id,
        turn: seen.turn,
        state: seen.state,
        event: seen.event.as_ref().and_then(|(seq, event)| {
            serde_json::value::RawValue::from_string(frame::event(*seq, event)).ok()
        }),
    }
}

/// The reply to a question, from the JSON with which the interpreter answered.
fn answer_to(question: Question, id: RequestId, found: Option<&str>) -> Reply {
    #[derive(Default, serde::Deserialize)]
    struct Completions {
        matches: Vec<String>,
        start: usize,
        end: usize,
    }
    match question {
        Question::Complete => {
            let found: Completions = found
                .and_then(|json| serde_json::from_str(json).ok())
                .unwrap_or_default();
            Reply::Completions {
                id,
                matches: found.matches,
                replaces: found.start..found.end,
            }
        }
        Question::Inspect => Reply::Inspection {
            id,
            text: found
                .and_then(|json| serde_json::from_str(json).ok())
                .flatten(),
        },
    }
}

fn failed(running: &Running, message: String) -> Finished {
    Finished {
        id: running.id.clone().into(),
        turn: running.turn,
        status: Status::Failed,
        exit_code: Status::Failed.exit_code(),
        error: Some(ErrorDetail {
            name: Status::Failed.as_str().into(),
            message,
            traceback: String::new(),
        }),
        session_state: StateAfter::Kept,
        truncated: false,
        metrics: None,
    }
}

async fn maybe<F: Future + Unpin>(future: Option<&mut F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn watch_turn(control: Option<&Arc<TurnControl>>) {
    match control {
        Some(control) => control.watch().await,
        None => std::future::pending().await,
    }
}

/// At most `bytes_max` bytes of `text`, on a character boundary.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
