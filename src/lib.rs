//! Weir: a gateway from authenticated WebSockets to long-lived, sandboxed interpreter sessions.
//!
//! The layers point one way; `ARCHITECTURE.md` draws them. Nothing outside this crate is meant to
//! link it: the library exists so that the binary, the tests and the benches share one build.

pub mod auth;
pub mod cli;
pub mod config;
pub mod connection;
pub mod files;
pub mod gateway;
pub mod guest;
pub mod ids;
pub mod interpreters;
pub mod journal;
pub mod limits;
pub mod metrics;
pub mod protocol;
pub mod provision;
pub mod server;
pub mod session;
