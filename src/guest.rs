//! Guests: interpreters as WebAssembly instances, their limits, checkpoints and system calls.
//!
//! The only module that names wasmtime. An [`Interpreter`] is what all guests of one image share; an
//! [`Instance`] is one guest; a [`Checkpoint`] is one guest's state at rest. What a turn says goes
//! to a [`TurnSink`], what it is told comes through its [`TurnControl`].

mod checkpoint;
mod control;
mod cpu;
mod engine;
mod image;
mod instance;
mod interpreter;
mod ladder;
mod language;
mod mapping;
mod module;
mod python;
mod setup;
mod sink;
mod state;
mod threads;
mod wasi;

pub use checkpoint::{Checkpoint, Damaged};
pub use control::{STDIN_BYTES_MAX, StdinRefused, TurnControl};
pub use engine::{EpochBump, Metering};
pub use image::{Image, ImageError, sha256_hex_of_file};
pub use instance::{
    FUEL_PER_SECOND, GuestLimits, Instance, Soundness, StartError, TurnEnd, TurnLimits,
};
pub use interpreter::{Interpreter, OpenError, Surroundings};
pub use ladder::{Rungs, StopCause};
pub use language::{Ended, Language, Purpose, Randomness, Running, TurnInput};
pub use python::Python;
pub use setup::{Plan, SetupError, prepare};
pub use sink::{Silence, TurnSink};
pub use state::GuestState;
pub use threads::GuestThreads;
