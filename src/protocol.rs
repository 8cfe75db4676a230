//! The wire contract as types: what clients say, what they hear, and the table of refusals.
//!
//! Pure: no I/O, no clock, no knowledge of sessions or guests. `clients/protocol.md` is the
//! contract in words; `clients/vectors/*.json` hold its golden frames.

#[cfg(test)]
mod arbitrary;
pub mod client;
pub mod event;
mod fields;
pub mod frame;
mod json;
pub mod refusal;
pub mod reply;
pub mod request;
pub mod resume;
#[cfg(test)]
mod vectors;

/// The subprotocol that names this contract: JSON in text frames.
pub const SUBPROTOCOL: &str = "weir.v1";
