//! Spans of time.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Grammar;

/// A duration within bounds; a bare number says too little.
pub(in crate::config) struct Span(pub RangeInclusive<Duration>);

impl Grammar for Span {
    type Value = Duration;

    fn placeholder(&self) -> &'static str {
        "DURATION"
    }

    fn rule(&self) -> String {
        format!(
            "a duration from {} to {}",
            spell(*self.0.start()),
            spell(*self.0.end())
        )
    }

    fn hint(&self) -> &'static str {
        "give a number with its unit, such as 20s, 5m or 7d"
    }

    fn parse(&self, text: &str) -> Option<Duration> {
        let span = humantime::parse_duration(text).ok()?;
        self.0.contains(&span).then_some(span)
    }

    fn show(&self, value: &Duration) -> Option<String> {
        Some(spell(*value))
    }
}

/// In days at most: months and years would have no exact length.
fn spell(span: Duration) -> String {
    const DAY_SECONDS: u64 = 24 * 3600;
    let days = span.as_secs() / DAY_SECONDS;
    let rest = span - Duration::from_secs(days * DAY_SECONDS);
    match (days, rest.is_zero()) {
        (0, _) => humantime::format_duration(rest).to_string(),
        (_, true) => format!("{days}d"),
        (_, false) => format!("{days}d {}", humantime::format_duration(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn a_span_carries_its_unit() {
        let seconds = Duration::from_secs;
        check(
            &Span(seconds(1)..=seconds(30 * 24 * 3600)),
            &[
                ("20s", Some(seconds(20))),
                ("5m", Some(seconds(300))),
                ("7d", Some(seconds(7 * 24 * 3600))),
                ("1d 2h", Some(seconds(26 * 3600))),
                ("1500ms", Some(Duration::from_millis(1500))),
                ("30d", Some(seconds(30 * 24 * 3600))),
                ("31d", None),
                ("999ms", None),
                ("20", None),
                ("0", None),
                ("-20s", None),
                ("20 parsecs", None),
                ("", None),
                ("99999999999999999999s", None),
            ],
        );
    }
}
