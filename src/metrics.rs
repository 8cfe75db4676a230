//! stub
use std::{sync::Arc, time::Duration};
use crate::protocol::{event::{Status, SessionState}, refusal::ErrorCode};
pub struct Metrics;
pub struct ConnectionGauge;
impl Metrics {
    pub fn new() -> Arc<Self> { Arc::new(Self) }
    pub fn first_output(&self, _: Duration) {}
    pub fn output(&self, _: usize) {}
    pub fn turn(&self, _: &str, _: Status, _: Duration) {}
    pub fn session_started(&self, _: Duration) {}
    pub fn checkpoint(&self, _: Duration, _: u64) {}
    pub fn wake(&self, _: Duration) {}
    pub fn rollback(&self, _: Status) {}
    pub fn refusal(&self, _: ErrorCode) {}
    pub fn session_state(&self, _: Option<SessionState>, _: Option<SessionState>) {}
    pub fn connection(self: &Arc<Self>) -> ConnectionGauge { ConnectionGauge }
    pub fn encode(&self) -> String { String::new() }
    pub fn json(&self) -> serde_json::Value { serde_json::Value::Null }
}
