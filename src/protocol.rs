//! The wire contract as types: what clients say, what they hear, and the table of refusals.
//!
//! Pure: no I/O, no clock, no knowledge of sessions or guests. `clients/protocol.md` is the
//! contract in words; `clients/vectors/*.json` hold its golden frames.

pub mod event;
