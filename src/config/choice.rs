//! Settings that take one of a few names.

use crate::auth::Algorithm;

/// A closed set of values, each with the one name it has in every source.
pub(super) trait Choice: Copy + 'static {
    /// In the order in which rules list them.
    const ALL: &'static [Self];

    fn name(self) -> &'static str;
}

/// How guests are metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// Fuel counts a turn's work, the epoch its time.
    FuelAndEpoch,
    /// Time only: faster guests, no `cpu_limit`.
    Epoch,
}

/// What `saved` promises to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process.
    Process,
    /// The loss of power too: data is synced before `saved` is sent.
    Power,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line, for collectors.
    Json,
}

impl Choice for Metering {
    const ALL: &'static [Self] = &[Self::FuelAndEpoch, Self::Epoch];

    fn name(self) -> &'static str {
        match self {
            Self::FuelAndEpoch => "fuel+epoch",
            Self::Epoch => "epoch",
        }
    }
}

impl Choice for Durability {
    const ALL: &'static [Self] = &[Self::Process, Self::Power];

    fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

impl Choice for LogFormat {
    const ALL: &'static [Self] = &[Self::Text, Self::Json];

    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Choice for Algorithm {
    const ALL: &'static [Self] = &Algorithm::ALL;

    fn name(self) -> &'static str {
        Algorithm::name(self)
    }
}
