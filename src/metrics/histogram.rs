//! A histogram of atomics. The one of `prometheus-client` takes a lock for each value and does not
//! let its figures be read back.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use serde_json::{Value, json};

use super::page::Figure;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Time. Every figure that the gateway promises is a bound, so that the share of values that kept
/// it can be read off; the longest turn is the last.
pub(super) const SECONDS: Scale = Scale::new(
    &[
        50 * MICROSECOND,
        100 * MICROSECOND,
        200 * MICROSECOND,
        300 * MICROSECOND,
        500 * MICROSECOND,
        MILLISECOND,
        1_500 * MICROSECOND,
        3 * MILLISECOND,
        5 * MILLISECOND,
        10 * MILLISECOND,
        15 * MILLISECOND,
        30 * MILLISECOND,
        50 * MILLISECOND,
        100 * MILLISECOND,
        250 * MILLISECOND,
        500 * MILLISECOND,
        SECOND,
        2_500 * MILLISECOND,
        5 * SECOND,
        10 * SECOND,
        30 * SECOND,
        60 * SECOND,
    ],
    SECOND,
);

/// The size of a checkpoint: from a few pages to all the memory and files a session may have.
pub(super) const BYTES: Scale = Scale::new(
    &[
        4 * KIB,
        16 * KIB,
        32 * KIB,
        64 * KIB,
        256 * KIB,
        MIB,
        4 * MIB,
        16 * MIB,
        64 * MIB,
        256 * MIB,
        1024 * MIB,
    ],
    1,
);

/// Upper bounds of buckets, in whole small units (nanoseconds, bytes), and how many of these make
/// the unit in the metric's name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    bounds: &'static [u64],
    per_unit: u64,
}

/// How often which values came. Clones share their figures.
#[derive(Debug, Clone)]
pub(super) struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scale: Scale,
    /// One for each bound, and one for what lies above them all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// The figures at one moment. The sum may be ahead of the counts by values being recorded.
struct Snapshot {
    sum: f64,
    count: u64,
    /// Upper bound and what fell below it but above the one before; the last bound is infinite.
    buckets: Vec<(f64, u64)>,
}

impl Scale {
    const fn new(bounds: &'static [u64], per_unit: u64) -> Self {
        let mut at = 1;
        while at < bounds.len() {
            assert!(bounds[at - 1] < bounds[at], "bounds must rise");
            at += 1;
        }
        Self { bounds, per_unit }
    }

    fn in_units(&self, value: u64) -> f64 {
        value as f64 / self.per_unit as f64
    }
}

impl Histogram {
    pub(super) fn new(scale: Scale) -> Self {
        Self(Arc::new(Inner {
            scale,
            counts: (0..=scale.bounds.len())
                .map(|_| AtomicU64::new(0))
                .collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// Records a value in the scale's small unit. A value equal to a bound lies below it.
    pub(super) fn observe(&self, value: u64) {
        let Inner { scale, counts, sum } = &*self.0;
        let bucket = scale.bounds.partition_point(|bound| *bound < value);
        sum.fetch_add(value, Ordering::Relaxed);
        counts[bucket].fetch_add(1, Ordering::Relaxed);
    }

    /// Records a duration, in a histogram of `SECONDS`.
    pub(super) fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many values were recorded.
    pub(super) fn count(&self) -> u64 {
        let counts = self.0.counts.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    fn snapshot(&self) -> Snapshot {
        let Inner { scale, counts, sum } = &*self.0;
        let bounds = scale.bounds.iter().map(|bound| scale.in_units(*bound));
        let buckets: Vec<_> = bounds
            .chain([f64::INFINITY])
            .zip(counts.iter().map(|count| count.load(Ordering::Relaxed)))
            .collect();
        Snapshot {
            sum: scale.in_units(sum.load(Ordering::Relaxed)),
            // Not asked for a second time: it must equal the sum of these very buckets.
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Snapshot {
            sum,
            count,
            buckets,
        } = self.snapshot();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

impl Figure for Histogram {
    fn json(&self) -> Value {
        let Snapshot {
            sum,
            count,
            buckets,
        } = self.snapshot();
        let cumulative = buckets.iter().scan(0, |below, (bound, count)| {
            *below += count;
            Some((*bound, *below))
        });
        // JSON has no infinity: the last bucket is `count` itself.
        let finite: Vec<_> = cumulative
            .filter(|(bound, _)| bound.is_finite())
            .map(|(bound, count)| json!({"le": bound, "count": count}))
            .collect();
        json!({"count": count, "sum": sum, "buckets": finite})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_first_bucket_that_holds_it() {
        let histogram = Histogram::new(Scale::new(&[10, 20], 10));
        for value in [0, 10, 11, 20, 21, 1_000] {
            histogram.observe(value);
        }
        let Snapshot {
            sum,
            count,
            buckets,
        } = histogram.snapshot();
        assert_eq!(buckets, [(1.0, 2), (2.0, 2), (f64::INFINITY, 2)]);
        assert_eq!((sum, count), (106.2, 6));
        assert_eq!(histogram.count(), 6);
    }

    #[test]
    fn no_duration_is_too_long_to_be_counted() {
        let histogram = Histogram::new(SECONDS);
        histogram.observe_time(Duration::MAX);
        assert_eq!(histogram.count(), 1);
    }

    #[test]
    fn values_of_many_threads_are_all_counted() {
        let histogram = Histogram::new(BYTES);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..1_000).for_each(|value| histogram.observe(value)));
            }
        });
        assert_eq!(histogram.count(), 4_000);
        assert_eq!(histogram.snapshot().sum, 4.0 * 499_500.0);
    }
}
