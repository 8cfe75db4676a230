//! How fast a client is read: a bucket of messages that fills by so many a second. Pure.

use std::time::{Duration, Instant};

/// A client's pace.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    left: f64,
    filled_at: Instant,
}

impl Pace {
    /// A bucket that holds one second's worth.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self {
            per_second,
            left: per_second,
            filled_at: now,
        }
    }

    /// Counts a message and returns how long to wait before the next is read.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        let filled = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.left = (self.left + filled * self.per_second).min(self.per_second) - 1.0;
        self.filled_at = now;
        Duration::from_secs_f64((-self.left / self.per_second).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_its_pace_a_client_is_read_more_slowly() {
        let start = Instant::now();
        let mut pace = Pace::new(10, start);
        for _ in 0..10 {
            assert_eq!(pace.take(start), Duration::ZERO);
        }
        assert_eq!(pace.take(start), Duration::from_millis(100));
        assert_eq!(pace.take(start), Duration::from_millis(200));
        assert_eq!(pace.take(start + Duration::from_secs(2)), Duration::ZERO);
    }
}
