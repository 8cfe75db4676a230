//! One row of the table: a promise, its target, and what was measured.

use serde::Serialize;

use crate::samples::Samples;

/// A promise and its figures, all in one unit.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub promise: String,
    pub unit: &'static str,
    pub median_bound: Option<Bound>,
    pub p99_bound: Option<Bound>,
    pub median: f64,
    /// None where fewer than a hundred values would make it their maximum.
    pub p99: Option<f64>,
    pub min: f64,
    pub max: f64,
    pub samples: usize,
    pub verdict: Verdict,
    /// What a reader needs to judge the figures: how they were taken, and what they consist of.
    pub notes: Vec<String>,
}

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Met,
    NotMet,
    /// Shown beside a promise, to explain it.
    NotPromised,
}

/// The fewest values of which a 99th percentile is worth telling.
const P99_SAMPLES_MIN: usize = 100;

impl Row {
    /// A row without a target.
    pub fn new(promise: impl Into<String>, unit: &'static str, samples: &Samples) -> Self {
        Self {
            promise: promise.into(),
            unit,
            median_bound: None,
            p99_bound: None,
            median: samples.median(),
            p99: (samples.count() >= P99_SAMPLES_MIN).then(|| samples.quantile(0.99)),
            min: samples.min(),
            max: samples.max(),
            samples: samples.count(),
            verdict: Verdict::NotPromised,
            notes: Vec::new(),
        }
    }

    #[must_use]
    pub fn promise_median(mut self, bound: Bound) -> Self {
        self.median_bound = Some(bound);
        self.judge()
    }

    #[must_use]
    pub fn promise_p99(mut self, bound: Bound) -> Self {
        self.p99_bound = Some(bound);
        self.judge()
    }

    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The target in words.
    pub fn target(&self) -> String {
        match (self.median_bound, self.p99_bound) {
            (None, None) => "-".into(),
            (Some(median), None) => median.describe(self.unit),
            (None, Some(p99)) => format!("p99 {}", p99.describe(self.unit)),
            (Some(median), Some(p99)) => format!(
                "p50 {}, p99 {}",
                median.describe(self.unit),
                p99.describe(self.unit)
            ),
        }
    }

    fn judge(mut self) -> Self {
        let median = self
            .median_bound
            .is_none_or(|bound| bound.holds(self.median));
        // With too few samples for a percentile, the largest of them stands for it.
        let p99 = self.p99.unwrap_or(self.max);
        self.verdict = match median && self.p99_bound.is_none_or(|bound| bound.holds(p99)) {
            true => Verdict::Met,
            false => Verdict::NotMet,
        };
        self
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
        }
    }

    fn describe(self, unit: &str) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {bound} {unit}"),
            Self::AtLeast(bound) => format!("≥ {bound} {unit}"),
        }
    }
}

impl Verdict {
    pub fn describe(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "NOT MET",
            Self::NotPromised => "-",
        }
    }
}
