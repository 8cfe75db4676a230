//! What is special to an interpreter, behind one trait.

use std::future::Future;
use std::pin::Pin;

use wasmtime::Linker;

use super::instance::Instance;
use super::ladder::StopCause;
use super::state::GuestState;
use crate::protocol::event::ErrorDetail;

/// A boxed future, as a trait object's methods return it.
pub type Running<'a, T> = Pin<Box<dyn Future<Output = wasmtime::Result<T>> + Send + 'a>>;

/// One turn, as the interpreter gets it.
#[derive(Debug, Clone)]
pub struct TurnInput {
    pub purpose: Purpose,
    pub code: String,
    /// What tracebacks call the code: `<turn 3>`, or the name the client gave it.
    pub filename: String,
}

/// What the interpreter is to do with code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Run,
    /// Answer with a result whose JSON is `{"matches": [...], "start": n, "end": n}`.
    Complete {
        cursor: usize,
    },
    /// Answer with a result whose JSON is a text or null.
    Inspect {
        cursor: usize,
    },
}

/// Whose randomness a guest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Randomness {
    /// The image's, which every new guest shares: the next turn must make it its own.
    Shared,
    Own,
}

/// How the interpreter says its turn ended. Being stopped from outside is not among these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    Normally,
    /// The program called its language's `exit` with this code.
    Exit(i32),
    Error(ErrorDetail),
}

/// An interpreter: how its image is made, how a turn runs in it, and how it is told to stop.
pub trait Language: Send + Sync + 'static {
    /// The guest's argument vector.
    fn arguments(&self) -> Vec<String>;

    /// The guest's environment.
    fn environment(&self) -> Vec<(String, String)>;

    /// Defines what the guest imports beside WASI.
    ///
    /// # Errors
    /// Wasmtime's, for a name defined twice.
    fn link(&self, linker: &mut Linker<GuestState>) -> wasmtime::Result<()>;

    /// Brings a bare instance to the state in which sessions start, and returns what should be
    /// remembered with the image.
    fn initialize<'a>(&'a self, guest: &'a mut Instance) -> Running<'a, serde_json::Value>;

    /// Runs one turn, after giving the guest randomness of its own if it shares another's. A trap or
    /// an exit of the whole guest is an error.
    fn turn<'a>(
        &'a self,
        guest: &'a mut Instance,
        input: &'a TurnInput,
        randomness: Randomness,
    ) -> Running<'a, Ended>;

    /// Delivers a soft notice by what the interpreter would find after a signal. Called between
    /// two instructions of the guest.
    fn notice(&self, memory: &mut [u8], cause: StopCause);

    /// A program that never ends by itself, to prove the notice with.
    fn endless_loop(&self) -> Option<&'static str>;

    /// Whether an error's name is the one with which the interpreter answers refused memory.
    fn is_out_of_memory(&self, error: &ErrorDetail) -> bool;

    /// Whether an error is what the notice raised, so that the program did not handle it.
    fn is_notice(&self, error: &ErrorDetail, cause: StopCause) -> bool;
}
