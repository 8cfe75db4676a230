//! The turns of one session: their numbers, their queue and the requests it remembers. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::ids::{Seq, TurnNumber};
use crate::limits::SEEN_IDS_MAX;
use crate::protocol::event::Event;
use crate::protocol::refusal::{ErrorCode, Refusal};
use crate::protocol::reply::RequestState;
use crate::protocol::request::{Execute, Fingerprint, RequestId};

/// A turn that waits for its start.
#[derive(Debug)]
pub struct Waiting {
    pub id: RequestId,
    pub turn: TurnNumber,
    pub execute: Execute,
    pub queued_at: Instant,
}

/// What the session knows of a request it has seen.
#[derive(Debug, Clone)]
pub struct Seen {
    fingerprint: Fingerprint,
    pub turn: Option<TurnNumber>,
    pub state: RequestState,
    /// What ended it.
    pub event: Option<(Seq, Arc<Event>)>,
}

/// What became of an `execute`.
#[derive(Debug)]
pub enum Accepted {
    /// `position` 0 is next.
    Queued {
        turn: TurnNumber,
        position: usize,
    },
    Duplicate(Seen),
}

/// Where the target of a `cancel` is.
#[derive(Debug)]
pub enum Target {
    /// It has been taken from the queue.
    Dequeued(Box<Waiting>),
    Running(TurnNumber),
}

/// Numbers, queue and memory of requests.
#[derive(Debug)]
pub struct Turns {
    queue_turns_max: usize,
    last: TurnNumber,
    waiting: VecDeque<Waiting>,
    seen: HashMap<RequestId, Seen>,
    /// The order in which requests were seen, the oldest first.
    order: VecDeque<RequestId>,
}

impl Turns {
    pub fn new(queue_turns_max: usize) -> Self {
        Self {
            queue_turns_max,
            last: TurnNumber(0),
            waiting: VecDeque::new(),
            seen: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Queues a turn, or finds that it was asked for before. `running` counts one turn that has
    /// left the queue and not ended.
    ///
    /// # Errors
    /// `conflict` when the id was used with other content, `queue_full` when no turn may wait.
    pub fn accept(
        &mut self,
        id: &RequestId,
        fingerprint: Fingerprint,
        execute: Execute,
        now: Instant,
    ) -> Result<Accepted, Refusal> {
        if let Some(seen) = self.known(id, fingerprint)? {
            return Ok(Accepted::Duplicate(seen.clone()));
        }
        if self.waiting.len() >= self.queue_turns_max {
            return Err(Refusal::new(
                ErrorCode::QueueFull,
                format!(
                    "{} turns wait already, which is all that may; wait for one to finish, or \
                     cancel one",
                    self.waiting.len()
                ),
            ));
        }
        self.last = self.last.next();
        let turn = self.last;
        let position = self.waiting.len();
        self.waiting.push_back(Waiting {
            id: id.clone(),
            turn,
            execute,
            queued_at: now,
        });
        self.remember(id, fingerprint, Some(turn), RequestState::Queued);
        Ok(Accepted::Queued { turn, position })
    }

    /// The request's earlier self, if it was seen with the same content.
    ///
    /// # Errors
    /// `conflict` when the id was used with other content.
    pub fn known(
        &self,
        id: &RequestId,
        fingerprint: Fingerprint,
    ) -> Result<Option<&Seen>, Refusal> {
        match self.seen.get(id) {
            Some(seen) if seen.fingerprint == fingerprint => Ok(Some(seen)),
            Some(_) => Err(Refusal::new(
                ErrorCode::Conflict,
                format!(
                    "id {:?} was used before with other content; use a fresh one",
                    id.as_str()
                ),
            )),
            None => Ok(None),
        }
    }

    /// Remembers a request that is not a turn.
    pub fn remember(
        &mut self,
        id: &RequestId,
        fingerprint: Fingerprint,
        turn: Option<TurnNumber>,
        state: RequestState,
    ) {
        let seen = Seen {
            fingerprint,
            turn,
            state,
            event: None,
        };
        if self.seen.insert(id.clone(), seen).is_none() {
            self.order.push_back(id.clone());
        }
        // A request that has not ended is never forgotten: it would run twice.
        let mut passes = self.order.len();
        while self.order.len() > SEEN_IDS_MAX && passes > 0 {
            passes -= 1;
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            match self.seen.get(&oldest).map(|seen| seen.state) {
                Some(RequestState::Queued | RequestState::Running) => self.order.push_back(oldest),
                Some(RequestState::Done) | None => {
                    self.seen.remove(&oldest);
                }
            }
        }
    }

    /// Takes the next turn to run.
    pub fn start(&mut self) -> Option<Waiting> {
        let next = self.waiting.pop_front()?;
        if let Some(seen) = self.seen.get_mut(&next.id) {
            seen.state = RequestState::Running;
        }
        Some(next)
    }

    /// Notes the event that ended a request.
    pub fn ended(&mut self, id: &RequestId, seq: Seq, event: Arc<Event>) {
        if let Some(seen) = self.seen.get_mut(id) {
            seen.state = RequestState::Done;
            seen.event = Some((seq, event));
        }
    }

    /// Finds what a `cancel` is meant for, and takes it from the queue if it waits there.
    ///
    /// # Errors
    /// `not_found` for an id that is not a turn's, `conflict` for a turn that has ended.
    pub fn cancel(&mut self, target: &RequestId) -> Result<Target, Refusal> {
        let unknown = || {
            Refusal::new(
                ErrorCode::NotFound,
                format!("no turn was queued under id {:?}", target.as_str()),
            )
        };
        let seen = self.seen.get(target).ok_or_else(unknown)?;
        let turn = seen.turn.ok_or_else(unknown)?;
        match seen.state {
            RequestState::Queued => {
                let at = self.waiting.iter().position(|waiting| waiting.turn == turn);
                at.and_then(|at| self.waiting.remove(at))
                    .map(|waiting| Target::Dequeued(Box::new(waiting)))
                    .ok_or_else(unknown)
            }
            RequestState::Running => Ok(Target::Running(turn)),
            RequestState::Done => Err(Refusal::new(
                ErrorCode::Conflict,
                format!("turn {turn} has ended"),
            )),
        }
    }

    /// Takes every waiting turn.
    pub fn take_waiting(&mut self) -> Vec<Waiting> {
        self.waiting.drain(..).collect()
    }

    /// Whether no turn waits.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> RequestId {
        RequestId::try_from(text.to_owned()).expect("a well-formed id")
    }

    fn execute(code: &str) -> Execute {
        Execute {
            code: code.into(),
            timeout: None,
            fuel: None,
            stdin: None,
            stdin_open: true,
            filename: None,
            durable: false,
        }
    }

    fn accept(turns: &mut Turns, name: &str, content: u8) -> Result<Accepted, Refusal> {
        let print = Fingerprint::from_bytes([content; 32]);
        turns.accept(&id(name), print, execute("1"), Instant::now())
    }

    #[test]
    fn turns_are_numbered_and_start_in_order() {
        let mut turns = Turns::new(8);
        for (name, position) in [("a", 0), ("b", 1)] {
            let accepted = accept(&mut turns, name, 1).expect("there is room");
            assert!(matches!(accepted, Accepted::Queued { position: p, .. } if p == position));
        }
        assert_eq!(turns.start().map(|next| next.turn), Some(TurnNumber(1)));
        assert_eq!(turns.start().map(|next| next.turn), Some(TurnNumber(2)));
        assert!(turns.start().is_none());
    }

    #[test]
    fn a_repeated_request_is_known_and_never_queued_again() {
        let mut turns = Turns::new(8);
        accept(&mut turns, "a", 1).expect("there is room");
        let again = accept(&mut turns, "a", 1).expect("known");
        assert!(matches!(again, Accepted::Duplicate(seen) if seen.state == RequestState::Queued));
        let other = accept(&mut turns, "a", 2).expect_err("other content");
        assert_eq!(other.code, ErrorCode::Conflict);
    }

    #[test]
    fn a_full_queue_refuses_and_does_not_remember() {
        let mut turns = Turns::new(1);
        accept(&mut turns, "a", 1).expect("there is room");
        let full = accept(&mut turns, "b", 1).expect_err("full");
        assert_eq!(full.code, ErrorCode::QueueFull);
        turns.start();
        let later = accept(&mut turns, "b", 1).expect("room again");
        assert!(matches!(later, Accepted::Queued { .. }));
    }

    #[test]
    fn only_ended_requests_are_forgotten() {
        let mut turns = Turns::new(8);
        accept(&mut turns, "first", 1).expect("there is room");
        for number in 0..SEEN_IDS_MAX + 50 {
            let print = Fingerprint::from_bytes([2; 32]);
            turns.remember(&id(&format!("n{number}")), print, None, RequestState::Done);
        }
        let first = accept(&mut turns, "first", 1).expect("still waiting");
        assert!(matches!(first, Accepted::Duplicate(_)));
        let print = Fingerprint::from_bytes([2; 32]);
        assert!(turns.known(&id("n0"), print).expect("forgotten").is_none());
        assert!(turns.order.len() <= SEEN_IDS_MAX);
    }

    #[test]
    fn cancel_finds_waiting_running_and_ended_turns() {
        let mut turns = Turns::new(8);
        accept(&mut turns, "a", 1).expect("room");
        accept(&mut turns, "b", 1).expect("room");
        turns.start();
        assert!(matches!(
            turns.cancel(&id("a")),
            Ok(Target::Running(TurnNumber(1)))
        ));
        assert!(matches!(turns.cancel(&id("b")), Ok(Target::Dequeued(_))));
        let unknown = turns.cancel(&id("z")).expect_err("unknown");
        assert_eq!(unknown.code, ErrorCode::NotFound);
        turns.ended(
            &id("a"),
            Seq(9),
            Arc::new(Event::Saved {
                turn: TurnNumber(1),
            }),
        );
        let ended = turns.cancel(&id("a")).expect_err("ended");
        assert_eq!(ended.code, ErrorCode::Conflict);
    }
}
