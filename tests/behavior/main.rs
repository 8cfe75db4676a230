//! What the gateway promises, shown on the wire: the real binary, the real Python guest, real
//! WebSockets. One binary, because each would link the whole gateway again.
//!
//! `cargo test --test behavior` runs all of it, `cargo test --test behavior timeouts::` one file.
//! `WEIR_TEST_GATEWAY` names another binary to test, such as a release build,
//! `WEIR_TEST_INTERPRETERS` another directory of interpreters, and `WEIR_TEST_SEED` the seed that a
//! failing run has printed.

mod bad_input;
mod connecting;
mod containment;
mod credentials;
mod endings;
mod interrupts;
mod journal;
mod operations;
mod output;
mod questions;
mod queue;
mod quotas;
mod sharing;
mod state;
mod stdin;
mod support;
mod timeouts;
mod token_limits;
