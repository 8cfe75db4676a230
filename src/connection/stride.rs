//! When to let output gather: a guest that prints many lines a millisecond is heard in larger
//! pieces, every other one at once. Pure.

use std::time::{Duration, Instant};

/// Flushes are counted over this long, and output gathers for this long.
const WINDOW: Duration = Duration::from_millis(1);
/// So many flushes in a window make a stream that nobody reads line by line.
const FLUSHES_PER_WINDOW: u32 = 4;

/// A writer's stride.
#[derive(Debug, Default)]
pub(super) struct Stride {
    window_began: Option<Instant>,
    flushes: u32,
    /// Until then only whole events are sent, and output that gathers is left to gather.
    pub(super) rest_until: Option<Instant>,
}

impl Stride {
    /// Notes that everything there was has been sent.
    pub(super) fn flushed(&mut self, now: Instant) {
        let in_window = self
            .window_began
            .is_some_and(|began| now.saturating_duration_since(began) < 2 * WINDOW);
        if !in_window {
            self.window_began = Some(now);
            self.flushes = 0;
            self.rest_until = None;
        }
        self.flushes += 1;
        if self.flushes >= FLUSHES_PER_WINDOW {
            // A stream that goes on stays in this stride: one flush a window.
            self.window_began = Some(now);
            self.flushes = FLUSHES_PER_WINDOW - 1;
            self.rest_until = Some(now + WINDOW);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, us: u64) -> Instant {
        start + Duration::from_micros(us)
    }

    #[test]
    fn lines_that_come_singly_are_sent_at_once() {
        let start = Instant::now();
        let mut stride = Stride::default();
        for line in 0..20 {
            stride.flushed(at(start, line * 3_000));
            assert_eq!(stride.rest_until, None, "line {line}");
        }
    }

    #[test]
    fn a_flood_gathers_and_goes_on_gathering() {
        let start = Instant::now();
        let mut stride = Stride::default();
        for flush in 0..4 {
            stride.flushed(at(start, flush * 50));
        }
        assert_eq!(stride.rest_until, Some(at(start, 1_150)));
        stride.flushed(at(start, 1_500));
        assert_eq!(stride.rest_until, Some(at(start, 2_500)));
        stride.flushed(at(start, 10_000));
        assert_eq!(stride.rest_until, None);
    }
}
