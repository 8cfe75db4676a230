//! A reader's place in a journal.

use std::sync::Arc;

use super::{Inner, Journal};
use crate::ids::{Epoch, Seq};
use crate::protocol::event::Event;
use crate::protocol::reply::Recovery;

/// Whether a reader holds the guest back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// The guest does not run far ahead of the fastest of these.
    Writer,
    /// Reads what it can; what it misses is announced to it as a gap.
    Viewer,
}

/// The journal at the moment of attaching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumed {
    pub epoch: Epoch,
    /// The last event that has its number.
    pub head: Seq,
    pub recovery: Recovery,
}

/// What a reader waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Anything, output that still gathers included.
    Any,
    /// An event that is whole.
    Sealed,
}

/// What a cursor found.
#[derive(Debug)]
pub enum Reading {
    /// The journal no longer holds these events; both ends are inclusive.
    Gap { from: Seq, to: Seq },
    /// The next events, in order; never empty.
    Events(Vec<(Seq, Arc<Event>)>),
    /// Nothing new.
    Nothing,
}

/// A place in a journal; detached when dropped.
pub struct Cursor {
    journal: Arc<Journal>,
    id: u64,
    next: Seq,
}

impl Cursor {
    pub(super) fn new(journal: Arc<Journal>, id: u64, next: Seq) -> Self {
        Self { journal, id, next }
    }

    /// Reads on: whole events of together about `bytes_max` bytes, at least one if there is any.
    pub fn read(&mut self, bytes_max: usize) -> Reading {
        let mut inner = self.journal.lock();
        if self.next > inner.head {
            self.journal.seal_whole(&mut inner);
        }
        if self.next > inner.head {
            return Reading::Nothing;
        }
        let first = inner.first();
        if self.next < first {
            let gap = Reading::Gap {
                from: self.next,
                to: Seq(first.0 - 1),
            };
            self.next = first;
            return gap;
        }
        let events = take(&inner, self.next, bytes_max);
        self.next = Seq(self.next.0 + events.len() as u64);
        Reading::Events(events)
    }

    /// Waits until [`Cursor::read`] may find something of this kind. Cancel-safe.
    pub async fn news(&self, news: News) {
        loop {
            let appended = self.journal.news.notified();
            tokio::pin!(appended);
            appended.as_mut().enable();
            let found = match news {
                News::Any => self.has_news(),
                News::Sealed => self.next <= self.journal.lock().head,
            };
            if found {
                return;
            }
            appended.await;
        }
    }

    /// Whether [`Cursor::read`] would find something.
    pub fn has_news(&self) -> bool {
        let inner = self.journal.lock();
        self.next <= inner.head || inner.open.has_whole()
    }

    /// Says that everything before the cursor has left for the client, so that the guest may go on.
    pub fn taken(&self) {
        let mut inner = self.journal.lock();
        let position = inner.position_before(self.next);
        if let Some(attached) = inner.cursors.get_mut(&self.id) {
            attached.taken_bytes = position;
        }
        inner.received_bytes = inner.received_bytes.max(position);
        self.journal.update_room(&mut inner);
        drop(inner);
        self.journal.taken.notify_waiters();
    }

    /// The next event this cursor will read.
    pub fn next(&self) -> Seq {
        self.next
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let mut inner = self.journal.lock();
        inner.cursors.remove(&self.id);
        self.journal.update_room(&mut inner);
        drop(inner);
        self.journal.taken.notify_waiters();
    }
}

/// Events from `next` on, of together about `bytes_max` bytes.
fn take(inner: &Inner, next: Seq, bytes_max: usize) -> Vec<(Seq, Arc<Event>)> {
    let skip = (next.0 - inner.first().0) as usize;
    let mut left = bytes_max as u64;
    let mut seq = next;
    let mut events = Vec::new();
    for entry in inner.entries.range(skip..) {
        if !events.is_empty() && entry.cost_bytes > left {
            break;
        }
        left = left.saturating_sub(entry.cost_bytes);
        events.push((seq, entry.event.clone()));
        seq = seq.next();
    }
    events
}
