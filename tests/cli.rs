//! Promises of the command line, kept by the real binary.
//!
//! What needs no interpreter runs in a home of its own. `weir run` uses the interpreters of whoever
//! runs the tests, which `weir setup` makes ready.

#[path = "cli/connect.rs"]
mod connect;
#[path = "cli/program.rs"]
mod program;
#[path = "cli/run.rs"]
mod run;
#[path = "cli/settings.rs"]
mod settings;
#[path = "cli/token.rs"]
mod token;
