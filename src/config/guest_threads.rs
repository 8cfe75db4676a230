//! How many threads run guests.

use std::num::NonZeroUsize;

use super::grammar::{Count, Grammar};

/// Threads that run guests, apart from those that do I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestThreads {
    /// One for each core this process may use: a file that says so fits every machine.
    Cores,
    /// This many.
    Exactly(NonZeroUsize),
}

/// `cores`, or a number.
pub(super) struct ThreadCount;

const THREADS: Count<NonZeroUsize> =
    Count(NonZeroUsize::MIN..=NonZeroUsize::new(1024).expect("1024 is not zero"));

impl GuestThreads {
    /// The number of threads, at least one. Asks the system for `Cores`.
    pub fn count(self) -> NonZeroUsize {
        match self {
            Self::Cores => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Self::Exactly(count) => count,
        }
    }
}

impl Grammar for ThreadCount {
    type Value = GuestThreads;

    fn placeholder(&self) -> &'static str {
        THREADS.placeholder()
    }

    fn rule(&self) -> String {
        format!("{}, or the word cores", THREADS.rule())
    }

    fn hint(&self) -> &'static str {
        THREADS.hint()
    }

    fn parse(&self, text: &str) -> Option<GuestThreads> {
        match text {
            "cores" => Some(GuestThreads::Cores),
            _ => THREADS.parse(text).map(GuestThreads::Exactly),
        }
    }

    fn show(&self, value: &GuestThreads) -> Option<String> {
        match value {
            GuestThreads::Cores => Some("cores".to_owned()),
            GuestThreads::Exactly(count) => THREADS.show(count),
        }
    }
}
