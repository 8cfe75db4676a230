//! What the gateway counts about itself, for Prometheus and as JSON.
//!
//! Recording is a handful of atomic operations: guest threads call it, so it never locks, allocates
//! or waits. Only the first turn of a language makes a row. Label values are names of closed enums
//! or of languages, the latter bounded by `turns::LANGUAGES_MAX`: nothing a client sends becomes a
//! label, so the number of series is fixed.
//!
//! Custodian of `prometheus-client`. Knows no HTTP and no clock: durations are measured by callers.

mod histogram;
mod label;
mod page;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::Value;

use crate::protocol::event::{SessionState, Status};
use crate::protocol::refusal::ErrorCode;

use histogram::{BYTES, Histogram, SECONDS};
use label::Labeled;
use page::Page;
use turns::Turns;

/// Every figure of the gateway. Shared by all its parts for as long as the process lives.
#[derive(Debug)]
pub struct Metrics {
    page: Page,
    sessions: Labeled<SessionState, Gauge>,
    connections: Gauge,
    turns: Turns,
    turn_seconds: Histogram,
    first_output_seconds: Histogram,
    session_start_seconds: Histogram,
    output_bytes: Counter,
    checkpoint_seconds: Histogram,
    checkpoint_bytes: Histogram,
    wake_seconds: Histogram,
    rollbacks: Labeled<Status, Counter>,
    guest_memory_bytes: Gauge,
    refusals: Labeled<ErrorCode, Counter>,
}

/// One open connection in `weir_connections`, until it is dropped.
#[derive(Debug)]
#[must_use = "the connection counts only until this is dropped"]
pub struct ConnectionGauge(Arc<Metrics>);

impl Metrics {
    /// The media type of `encode`: OpenMetrics text, which Prometheus reads.
    pub const CONTENT_TYPE: &'static str =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// All figures at zero.
    pub fn new() -> Arc<Self> {
        let mut page = Page::default();
        Arc::new(Self {
            sessions: page.add("weir_sessions", "Sessions by state", Labeled::new()),
            connections: page.add("weir_connections", "Open connections", Gauge::default()),
            turns: page.add(
                "weir_turns_total",
                "Ended turns by language and status",
                Turns::new(),
            ),
            turn_seconds: page.add(
                "weir_turn_seconds",
                "Wall time of turns that ran",
                Histogram::new(SECONDS),
            ),
            first_output_seconds: page.add(
                "weir_first_output_seconds",
                "Time from the start of a turn to its first output",
                Histogram::new(SECONDS),
            ),
            session_start_seconds: page.add(
                "weir_session_start_seconds",
                "Time to a new session that can run turns",
                Histogram::new(SECONDS),
            ),
            output_bytes: page.add(
                "weir_output_bytes_total",
                "What guests wrote to stdout and stderr",
                Counter::default(),
            ),
            checkpoint_seconds: page.add(
                "weir_checkpoint_seconds",
                "Time to capture a session at rest",
                Histogram::new(SECONDS),
            ),
            checkpoint_bytes: page.add(
                "weir_checkpoint_bytes",
                "Size of captured sessions",
                Histogram::new(BYTES),
            ),
            wake_seconds: page.add(
                "weir_wake_seconds",
                "Time to bring a hibernated session back",
                Histogram::new(SECONDS),
            ),
            rollbacks: page.add(
                "weir_rollbacks_total",
                "Turns undone, by the status they ended with",
                Labeled::new(),
            ),
            guest_memory_bytes: page.add(
                "weir_guest_memory_bytes",
                "Memory of live guests",
                Gauge::default(),
            ),
            refusals: page.add(
                "weir_refusals_total",
                "Refused requests and messages by error code",
                Labeled::new(),
            ),
            page,
        })
    }

    /// Counts a connection until the guard is dropped.
    pub fn connection(self: &Arc<Self>) -> ConnectionGauge {
        self.connections.inc();
        ConnectionGauge(Arc::clone(self))
    }

    /// Moves a session from one state to another; `None`: it was not, or is no longer, there. A
    /// session that ended is not there either, so `Ended` has no series of its own.
    pub fn session_state(&self, from: Option<SessionState>, to: Option<SessionState>) {
        if let Some(gauge) = from.and_then(|state| self.sessions.get(state)) {
            gauge.dec();
        }
        if let Some(gauge) = to.and_then(|state| self.sessions.get(state)) {
            gauge.inc();
        }
    }

    /// A new session can run turns, this long after it was asked for.
    pub fn session_started(&self, took: Duration) {
        self.session_start_seconds.observe_time(took);
    }

    /// A turn ended after `wall`, which is looked at only if it ran. `language` is a name from the
    /// catalogue, never an alias or a client's spelling.
    pub fn turn(&self, language: &str, status: Status, wall: Duration) {
        if let Some(counter) = self.turns.counter(language, status) {
            counter.inc();
        }
        if ran(status) {
            self.turn_seconds.observe_time(wall);
        }
    }

    /// A turn's first output came this long after its start.
    pub fn first_output(&self, after: Duration) {
        self.first_output_seconds.observe_time(after);
    }

    /// A guest wrote this many bytes.
    pub fn output(&self, bytes: usize) {
        self.output_bytes.inc_by(bytes as u64);
    }

    /// A session at rest was captured.
    pub fn checkpoint(&self, took: Duration, bytes: u64) {
        self.checkpoint_seconds.observe_time(took);
        self.checkpoint_bytes.observe(bytes);
    }

    /// A hibernated session came back.
    pub fn wake(&self, took: Duration) {
        self.wake_seconds.observe_time(took);
    }

    /// A turn that ended so was undone.
    pub fn rollback(&self, reason: Status) {
        if let Some(counter) = self.rollbacks.get(reason) {
            counter.inc();
        }
    }

    /// Somebody was refused something.
    pub fn refusal(&self, code: ErrorCode) {
        if let Some(counter) = self.refusals.get(code) {
            counter.inc();
        }
    }

    /// Guests hold this many bytes more, or fewer.
    pub fn guest_memory(&self, delta: i64) {
        self.guest_memory_bytes.inc_by(delta);
    }

    /// How many turns ran and ended.
    pub fn execution_count(&self) -> u64 {
        self.turn_seconds.count()
    }

    /// The page for Prometheus, of the type [`Metrics::CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        self.page.encode()
    }

    /// The same figures by the same names, and `execution_count` beside them.
    ///
    /// A label makes an object of its values, two labels nest, and a histogram is
    /// `{count, sum, buckets: [{le, count}]}`, cumulative as in the text.
    pub fn json(&self) -> Value {
        let mut figures = self.page.json();
        figures.insert("execution_count".to_owned(), self.execution_count().into());
        figures.into()
    }
}

impl Drop for ConnectionGauge {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Whether a turn that ended so ran in this process: one that was cancelled never started, and one
/// that was lost ran in a process that died.
fn ran(status: Status) -> bool {
    match status {
        Status::Ok
        | Status::Error
        | Status::Exit
        | Status::Timeout
        | Status::CpuLimit
        | Status::MemoryLimit
        | Status::OutputLimit
        | Status::Interrupted
        | Status::Crashed
        | Status::Failed => true,
        Status::Cancelled | Status::Lost => false,
    }
}

#[cfg(test)]
mod tests;
