//! Where a turn's output goes: the guest's side of the boundary to whoever listens.

use std::future::Future;
use std::pin::Pin;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::protocol::event::Stream;

/// Takes what a running turn says. Called on guest threads, so nothing here may block; a guest
/// that is too far ahead awaits `room`.
pub trait TurnSink: Send + Sync {
    /// Takes raw output, in the order in which it was written.
    fn output(&self, stream: Stream, bytes: &[u8]);

    /// Whether the guest may go on writing.
    fn has_room(&self) -> bool;

    /// Waits until the guest may go on writing. Cancel-safe.
    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// The guest reads and nothing is there; `prompt` is its last unfinished line.
    fn stdin_request(&self, prompt: String);

    /// A rich output.
    fn display(&self, data: Map<String, Value>, metadata: Map<String, Value>);

    /// The turn's value. At most once a turn.
    fn result(&self, text: String, json: Option<Box<RawValue>>);
}

/// Takes what a turn says and keeps nothing.
pub struct Silence;

impl TurnSink for Silence {
    fn output(&self, _stream: Stream, _bytes: &[u8]) {}

    fn has_room(&self) -> bool {
        true
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }

    fn stdin_request(&self, _prompt: String) {}

    fn display(&self, _data: Map<String, Value>, _metadata: Map<String, Value>) {}

    fn result(&self, _text: String, _json: Option<Box<RawValue>>) {}
}
