//! What a client saw of one turn.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::client::Frame;

/// A turn that has ended.
#[derive(Debug)]
pub struct Turn {
    pub events: Vec<Frame>,
}

impl Turn {
    /// From events of which the last is `finished`.
    pub(super) fn of(events: Vec<Frame>) -> Self {
        Self { events }
    }

    pub fn finished(&self) -> &Frame {
        self.events.last().expect("a turn has an end")
    }

    pub fn number(&self) -> u64 {
        self.finished().number("turn")
    }

    pub fn status(&self) -> &str {
        self.finished().text("status")
    }

    /// `kept`, `rolled_back` or `ended`.
    pub fn state(&self) -> &str {
        self.finished().text("session_state")
    }

    /// From `started` to `finished`, by the client's clock.
    pub fn wall(&self) -> Duration {
        self.finished().at - self.of_kind("started").at
    }

    /// The only event of that kind.
    pub fn of_kind(&self, kind: &str) -> &Frame {
        match self.all_of_kind(kind).as_slice() {
            [one] => one,
            other => panic!("{} events {kind} in {self:#?}", other.len()),
        }
    }

    pub fn all_of_kind(&self, kind: &str) -> Vec<&Frame> {
        self.events
            .iter()
            .filter(|event| event.kind() == kind)
            .collect()
    }

    /// The raw bytes of one stream.
    pub fn bytes(&self, stream: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for event in self.all_of_kind("output") {
            if event["stream"] == stream {
                bytes.extend(output_bytes(event));
            }
        }
        bytes
    }

    pub fn stdout(&self) -> String {
        String::from_utf8(self.bytes("stdout")).expect("stdout is UTF-8")
    }

    pub fn stderr(&self) -> String {
        String::from_utf8(self.bytes("stderr")).expect("stderr is UTF-8")
    }

    /// Stdout of a turn that ended `ok`.
    #[track_caller]
    pub fn ok(&self) -> String {
        self.ends("ok", 0);
        assert_eq!(self.finished()["error"], Value::Null);
        assert_eq!(self.state(), "kept");
        self.stdout()
    }

    /// Asserts how the turn ended.
    #[track_caller]
    pub fn ends(&self, status: &str, exit_code: impl Into<Value>) -> &Self {
        let finished = self.finished();
        assert_eq!(
            (&finished["status"], &finished["exit_code"]),
            (&status.into(), &exit_code.into()),
            "{}\nstdout: {}\nstderr: {}",
            finished.raw,
            String::from_utf8_lossy(&self.bytes("stdout")[..self.bytes("stdout").len().min(500)]),
            String::from_utf8_lossy(&self.bytes("stderr")),
        );
        self
    }

    /// Asserts that it ended by an exception of that name; its message.
    #[track_caller]
    pub fn raises(&self, name: &str) -> String {
        self.ends("error", 1);
        let error = &self.finished()["error"];
        assert_eq!(error["name"], name, "{}", self.finished().raw);
        error["message"].as_str().expect("a message").to_owned()
    }

    /// The result's text, if there was a result.
    pub fn result(&self) -> Option<String> {
        match self.all_of_kind("result").as_slice() {
            [] => None,
            [one] => Some(one.text("text").to_owned()),
            more => panic!("{} results in one turn", more.len()),
        }
    }
}

/// What an `output` event carries.
pub fn output_bytes(event: &Frame) -> Vec<u8> {
    match &event["base64"] {
        Value::Null => event.text("text").as_bytes().to_vec(),
        Value::String(base64) => STANDARD.decode(base64).expect("base64"),
        other => panic!("base64 is {other}"),
    }
}
