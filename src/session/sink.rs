//! A turn's output on its way into the journal.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::guest::TurnSink;
use crate::ids::TurnNumber;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::protocol::event::{Event, Stream};
use crate::protocol::frame;

/// Appends what a guest says to the session's journal.
pub(super) struct JournalSink {
    journal: Arc<Journal>,
    turn: TurnNumber,
    metrics: Arc<Metrics>,
    started: Instant,
    spoke: AtomicBool,
    cut: AtomicBool,
}

impl JournalSink {
    pub(super) fn new(journal: Arc<Journal>, turn: TurnNumber, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            journal,
            turn,
            metrics,
            started: Instant::now(),
            spoke: AtomicBool::new(false),
            cut: AtomicBool::new(false),
        })
    }

    /// Whether something did not fit into its event.
    pub(super) fn cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    fn append(&self, event: Event) {
        if frame::is_cut(&event) {
            self.cut.store(true, Ordering::Relaxed);
        }
        self.journal.append(event);
    }
}

impl TurnSink for JournalSink {
    fn output(&self, stream: Stream, bytes: &[u8]) {
        if !self.spoke.swap(true, Ordering::Relaxed) {
            self.metrics.first_output(self.started.elapsed());
        }
        self.metrics.output(bytes.len());
        self.journal.output(self.turn, stream, bytes);
    }

    fn has_room(&self) -> bool {
        self.journal.has_room()
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.journal.room())
    }

    fn stdin_request(&self, prompt: String) {
        self.append(Event::StdinRequest {
            turn: self.turn,
            prompt,
        });
    }

    fn display(&self, data: Map<String, Value>, metadata: Map<String, Value>) {
        self.append(Event::Display {
            turn: self.turn,
            data,
            metadata,
        });
    }

    fn result(&self, text: String, json: Option<Box<RawValue>>) {
        self.append(Event::Result {
            turn: self.turn,
            text,
            json,
        });
    }
}
