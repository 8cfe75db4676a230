//! The journal of a session: its recent events in order, and the cursors that read them.
//!
//! Append-only. The guest's thread appends output, the session's driver everything else, and every
//! client reads through a [`Cursor`] of its own, replay and live output alike. The last event may
//! still be *open*: output gathers in it until somebody is ready to read it, so a fast guest makes
//! few large events and a slow one is heard at once. It gets its number when it is sealed, and never
//! changes after that.
//!
//! Knows no frames, no sockets and no turns' meaning.

mod cursor;
mod output;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub use self::cursor::{Cursor, News, Reader, Reading, Resumed};
use self::output::OpenOutput;
use crate::ids::{Epoch, Seq, TurnNumber};
use crate::protocol::event::{Event, Stream};
use crate::protocol::reply::Recovery;
use crate::protocol::resume::Resume;

/// What an event costs beside its text: its entry, and the frame around it.
const EVENT_OVERHEAD_BYTES: u64 = 128;

/// The bounds of one journal, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct JournalLimits {
    /// What is kept for later readers.
    pub kept_bytes_max: u64,
    /// One `output` event.
    pub event_bytes_max: usize,
    /// How far the guest may be ahead of the fastest attached writer.
    pub writer_lead_bytes_max: u64,
    /// How much may wait that no client has received, with no writer attached.
    pub unread_bytes_max: u64,
}

/// The journal of one session.
pub struct Journal {
    limits: JournalLimits,
    inner: Mutex<Inner>,
    /// Something was appended.
    news: Notify,
    /// A reader took something, came or went.
    taken: Notify,
    /// Bytes ever appended. Written under the lock, read without.
    written_bytes: AtomicU64,
    /// The guest waits when `written_bytes` is beyond this.
    room_until_bytes: AtomicU64,
}

struct Inner {
    epoch: Epoch,
    entries: VecDeque<Entry>,
    /// The last sealed event.
    head: Seq,
    open: OpenOutput,
    kept_bytes: u64,
    /// Bytes ever appended in sealed events.
    sealed_bytes: u64,
    cursors: HashMap<u64, Attached>,
    next_cursor: u64,
    /// The furthest any client has ever received, in bytes appended.
    received_bytes: u64,
}

struct Entry {
    event: Arc<Event>,
    cost_bytes: u64,
    /// Bytes ever appended up to and with this event.
    end_bytes: u64,
}

/// What the journal knows of a cursor.
struct Attached {
    reader: Reader,
    taken_bytes: u64,
}

impl Journal {
    /// An empty journal of a new history.
    pub fn new(limits: JournalLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            inner: Mutex::new(Inner {
                epoch: Epoch::random(),
                entries: VecDeque::new(),
                head: Seq::ZERO,
                open: OpenOutput::default(),
                kept_bytes: 0,
                sealed_bytes: 0,
                cursors: HashMap::new(),
                next_cursor: 0,
                received_bytes: 0,
            }),
            news: Notify::new(),
            taken: Notify::new(),
            written_bytes: AtomicU64::new(0),
            room_until_bytes: AtomicU64::new(limits.unread_bytes_max),
        })
    }

    /// Appends an event, behind all output so far.
    pub fn append(&self, event: Event) -> Seq {
        let mut inner = self.lock();
        self.seal_all(&mut inner);
        self.push(&mut inner, event);
        let head = inner.head;
        drop(inner);
        self.news.notify_waiters();
        head
    }

    /// Appends what a guest wrote. Characters are never split between events.
    pub fn output(&self, turn: TurnNumber, stream: Stream, bytes: &[u8]) {
        let mut inner = self.lock();
        if !inner.open.continues(turn, stream) {
            self.seal_whole(&mut inner);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = self.limits.event_bytes_max - inner.open.len();
            let take = room.min(rest.len());
            inner.open.extend(turn, stream, &rest[..take]);
            rest = &rest[take..];
            if inner.open.len() == self.limits.event_bytes_max {
                self.seal_whole(&mut inner);
            }
        }
        self.written_bytes
            .fetch_add(bytes.len() as u64, Ordering::Release);
        drop(inner);
        self.news.notify_waiters();
    }

    /// Whether the guest may go on writing.
    pub fn has_room(&self) -> bool {
        self.written_bytes.load(Ordering::Acquire) <= self.room_until_bytes.load(Ordering::Acquire)
    }

    /// Waits until the guest may go on writing. Cancel-safe: it only looks and waits.
    pub async fn room(&self) {
        loop {
            let taken = self.taken.notified();
            if self.has_room() {
                return;
            }
            taken.await;
        }
    }

    /// The name of this history.
    pub fn epoch(&self) -> Epoch {
        self.lock().epoch.clone()
    }

    /// The last event that has its number.
    pub fn head(&self) -> Seq {
        self.lock().head
    }

    /// Attaches a reader.
    pub fn attach(self: &Arc<Self>, resume: &Resume, reader: Reader) -> (Cursor, Resumed) {
        let mut inner = self.lock();
        let (next, recovery) = inner.resume(resume);
        let taken_bytes = inner.position_before(next);
        let id = inner.next_cursor;
        inner.next_cursor += 1;
        inner.cursors.insert(
            id,
            Attached {
                reader,
                taken_bytes,
            },
        );
        self.update_room(&mut inner);
        let resumed = Resumed {
            epoch: inner.epoch.clone(),
            head: inner.head,
            recovery,
        };
        drop(inner);
        self.taken.notify_waiters();
        (Cursor::new(self.clone(), id, next), resumed)
    }

    /// Seals what can be sealed of the open output, keeping an unfinished character.
    fn seal_whole(&self, inner: &mut Inner) {
        if let Some(event) = inner.open.take_whole() {
            self.push_counted(inner, event);
        }
    }

    /// Seals all open output, unfinished characters included.
    fn seal_all(&self, inner: &mut Inner) {
        while let Some(event) = inner.open.take_all() {
            self.push_counted(inner, event);
        }
    }

    /// Adds an event whose bytes have not been counted yet.
    fn push(&self, inner: &mut Inner, event: Event) {
        let size = event.text_bytes() as u64;
        self.written_bytes.fetch_add(size, Ordering::Release);
        self.push_counted(inner, event);
    }

    fn push_counted(&self, inner: &mut Inner, event: Event) {
        let text_bytes = event.text_bytes() as u64;
        let cost_bytes = text_bytes + EVENT_OVERHEAD_BYTES;
        inner.head = inner.head.next();
        inner.sealed_bytes += text_bytes;
        inner.kept_bytes += cost_bytes;
        inner.entries.push_back(Entry {
            event: Arc::new(event),
            cost_bytes,
            end_bytes: inner.sealed_bytes,
        });
        while inner.kept_bytes > self.limits.kept_bytes_max && inner.entries.len() > 1 {
            if let Some(dropped) = inner.entries.pop_front() {
                inner.kept_bytes -= dropped.cost_bytes;
            }
        }
    }

    /// Computes anew how far the guest may write.
    fn update_room(&self, inner: &mut Inner) {
        let fastest = inner
            .cursors
            .values()
            .filter(|attached| attached.reader == Reader::Writer)
            .map(|attached| attached.taken_bytes)
            .max();
        let until = match fastest {
            Some(taken) => taken + self.limits.writer_lead_bytes_max,
            None => inner.received_bytes + self.limits.unread_bytes_max,
        };
        self.room_until_bytes.store(until, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The number of the oldest kept event, or of the next one when none is kept.
    fn first(&self) -> Seq {
        Seq(self.head.0 + 1 - self.entries.len() as u64)
    }

    /// Where a reader goes on, and what became of its resume point.
    fn resume(&self, resume: &Resume) -> (Seq, Recovery) {
        match resume {
            Resume::FromNow => (self.head.next(), Recovery::NotAsked),
            Resume::FromStart => (Seq(1), Recovery::Complete),
            Resume::After { epoch, seq } if *epoch != self.epoch => (
                Seq(1),
                Recovery::Diverged {
                    common_seq: Seq::ZERO,
                },
            ),
            Resume::After { seq, .. } if *seq <= self.head => (seq.next(), Recovery::Complete),
            // Within its epoch a journal never loses events, so nobody can honestly hold later
            // ones; what is known to be shared is what the journal has.
            Resume::After { .. } => (
                self.head.next(),
                Recovery::Diverged {
                    common_seq: self.head,
                },
            ),
        }
    }

    /// Bytes ever appended before event `next`.
    fn position_before(&self, next: Seq) -> u64 {
        let Some(first) = self.entries.front() else {
            return self.sealed_bytes;
        };
        match next.0.checked_sub(self.first().0) {
            None | Some(0) => first.end_bytes - (first.cost_bytes - EVENT_OVERHEAD_BYTES),
            Some(index) => self
                .entries
                .get(index as usize - 1)
                .map_or(self.sealed_bytes, |entry| entry.end_bytes),
        }
    }
}

#[cfg(test)]
mod tests;
