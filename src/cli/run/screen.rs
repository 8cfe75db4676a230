//! The way from a guest to the terminal: a bounded queue, and the thread that writes it out.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::Context;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::Notify;

use super::{figures, input};
use crate::guest::TurnSink;
use crate::protocol::event::Stream;

/// A guest that is so far ahead of the terminal waits.
const QUEUE_BYTES_MAX: usize = 1 << 20;
/// Writes are gathered up to this, while the terminal is busy.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// What the guest writes to. Never blocks it: a guest that is too far ahead awaits `room`.
pub(super) struct Screen {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    filled: Condvar,
    /// Wakes the guest.
    room: Notify,
    /// Wakes whoever ends the turn.
    left: Notify,
    input: input::Reader,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    /// Of the items here, and of those that are being written.
    bytes: usize,
    /// Nothing more will come.
    ended: bool,
    /// Nobody reads stdout any more; what comes is dropped.
    left: bool,
}

enum Item {
    Output(Stream, Vec<u8>),
    Display(Map<String, Value>),
}

/// Whoever reads stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Stayed,
    Left,
}

/// The thread that writes.
pub(super) struct Writer {
    screen: Arc<Screen>,
    thread: JoinHandle<()>,
}

impl Screen {
    /// A screen whose guest's reads wake `input`.
    pub(super) fn start(input: input::Reader) -> anyhow::Result<(Arc<Self>, Writer)> {
        let screen = Arc::new(Self {
            queue: Mutex::default(),
            filled: Condvar::new(),
            room: Notify::new(),
            left: Notify::new(),
            input,
        });
        let thread = std::thread::Builder::new()
            .name("screen".into())
            .spawn({
                let screen = screen.clone();
                move || screen.write_out()
            })
            .context("cannot start a thread for the output")?;
        let writer = Writer {
            screen: screen.clone(),
            thread,
        };
        Ok((screen, writer))
    }

    /// Waits until nobody reads stdout any more. Returns once; cancel-safe.
    pub(super) async fn reader_left(&self) {
        self.left.notified().await;
    }

    fn push(&self, item: Item) {
        let mut queue = self.queue();
        if queue.left {
            return;
        }
        queue.bytes += item.bytes();
        match (item, queue.items.back_mut()) {
            (Item::Output(stream, bytes), Some(Item::Output(last, waiting)))
                if *last == stream && waiting.len() + bytes.len() <= WRITE_BYTES_MAX =>
            {
                waiting.extend_from_slice(&bytes);
            }
            (item, _) => queue.items.push_back(item),
        }
        drop(queue);
        self.filled.notify_one();
    }

    fn write_out(&self) {
        while let Some(item) = self.next() {
            let bytes = item.bytes();
            let written = match item {
                Item::Output(Stream::Stdout, text) => write(io::stdout().lock(), &text),
                // Where errors cannot be shown, the program goes on.
                Item::Output(Stream::Stderr, text) => {
                    let _ = write(io::stderr().lock(), &text);
                    Ok(())
                }
                Item::Display(data) => {
                    let _ = writeln!(io::stderr(), "weir: {}", figures::keep(&data));
                    Ok(())
                }
            };
            let mut queue = self.queue();
            queue.bytes = queue.bytes.saturating_sub(bytes);
            if written.is_err() {
                queue.left = true;
                queue.items.clear();
                queue.bytes = 0;
                self.left.notify_one();
            }
            drop(queue);
            self.room.notify_waiters();
        }
    }

    /// The next item, once there is one; `None` after the last.
    fn next(&self) -> Option<Item> {
        let mut queue = self.queue();
        loop {
            if let Some(item) = queue.items.pop_front() {
                return Some(item);
            }
            if queue.ended {
                return None;
            }
            queue = self
                .filled
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Waits until all that the guest wrote is written.
    pub(super) fn finish(self) -> Reader {
        self.screen.queue().ended = true;
        self.screen.filled.notify_one();
        // A writer that panicked has said so on stderr.
        let _ = self.thread.join();
        match self.screen.queue().left {
            true => Reader::Left,
            false => Reader::Stayed,
        }
    }
}

impl TurnSink for Screen {
    fn output(&self, stream: Stream, bytes: &[u8]) {
        self.push(Item::Output(stream, bytes.to_vec()));
    }

    fn has_room(&self) -> bool {
        self.queue().bytes < QUEUE_BYTES_MAX
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            loop {
                // Asked for before the look, so that no wake-up between the two is lost.
                let room = self.room.notified();
                if self.has_room() {
                    return;
                }
                room.await;
            }
        })
    }

    /// The prompt has been written as output already.
    fn stdin_request(&self, _prompt: String) {
        self.input.ask();
    }

    fn display(&self, data: Map<String, Value>, _metadata: Map<String, Value>) {
        self.push(Item::Display(data));
    }

    /// A program is not a prompt: the value of its last line is its own business.
    fn result(&self, _text: String, _json: Option<Box<RawValue>>) {}
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Output(_, bytes) => bytes.len(),
            Self::Display(data) => data
                .values()
                .map(|value| value.as_str().map_or(0, str::len))
                .sum(),
        }
    }
}

fn write(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
