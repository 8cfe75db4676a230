//! Labels whose values are the names of a closed enum.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};
use serde_json::Value;

use super::page::Figure;
use crate::protocol::event::{SessionState, Status};
use crate::protocol::refusal::ErrorCode;

/// An enum that is a label.
pub(super) trait Label: Copy + PartialEq + fmt::Debug + Send + Sync + 'static {
    const NAME: &'static str;
    /// Those that have a series.
    const ALL: &'static [Self];

    fn value(self) -> &'static str;
}

/// One metric for each value of a label, all there from the start: a rate needs the zero before
/// the first one. Clones share their figures.
#[derive(Debug, Clone)]
pub(super) struct Labeled<L, M> {
    /// In the order of `L::ALL`.
    metrics: Arc<[M]>,
    label: PhantomData<L>,
}

impl<L: Label, M: Default> Labeled<L, M> {
    pub(super) fn new() -> Self {
        Self {
            metrics: L::ALL.iter().map(|_| M::default()).collect(),
            label: PhantomData,
        }
    }
}

impl<L: Label, M> Labeled<L, M> {
    /// The metric of `label`; `None` for one without a series.
    pub(super) fn get(&self, label: L) -> Option<&M> {
        let at = L::ALL.iter().position(|each| *each == label)?;
        self.metrics.get(at)
    }

    /// Every label's name in the page, with its metric.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &M)> {
        let names = L::ALL.iter().map(|label| label.value());
        names.zip(self.metrics.iter())
    }
}

impl<L: Label, M: EncodeMetric + TypedMetric> EncodeMetric for Labeled<L, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        self.iter().try_for_each(|(value, metric)| {
            metric.encode(encoder.encode_family(&[(L::NAME, value)])?)
        })
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }
}

impl<L: Label, M: Figure + TypedMetric> Figure for Labeled<L, M> {
    fn json(&self) -> Value {
        self.iter()
            .map(|(value, metric)| (value.to_owned(), metric.json()))
            .collect()
    }
}

impl Label for SessionState {
    const NAME: &'static str = "state";
    /// Without `Ended`: what ended is no session any more, and a gauge of it would only grow.
    const ALL: &'static [Self] = &[Self::Starting, Self::Ready, Self::Running, Self::Hibernated];

    fn value(self) -> &'static str {
        self.as_str()
    }
}

/// Why a turn was undone.
impl Label for Status {
    const NAME: &'static str = "reason";
    const ALL: &'static [Self] = &[
        Self::Ok,
        Self::Error,
        Self::Exit,
        Self::Timeout,
        Self::CpuLimit,
        Self::MemoryLimit,
        Self::OutputLimit,
        Self::Interrupted,
        Self::Crashed,
        Self::Cancelled,
        Self::Failed,
        Self::Lost,
    ];

    fn value(self) -> &'static str {
        self.as_str()
    }
}

impl Label for ErrorCode {
    const NAME: &'static str = "code";
    const ALL: &'static [Self] = &ErrorCode::ALL;

    fn value(self) -> &'static str {
        self.as_str()
    }
}
