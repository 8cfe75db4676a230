//! Plain numbers: counts, and seconds that may have a fraction.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::Grammar;

/// A whole number within bounds.
pub(in crate::config) struct Count<T>(pub RangeInclusive<T>);

/// Seconds within bounds, as a number or with a unit.
pub(in crate::config) struct Seconds(pub RangeInclusive<f64>);

impl<T: FromStr + PartialOrd + Display> Grammar for Count<T> {
    type Value = T;

    fn placeholder(&self) -> &'static str {
        "N"
    }

    fn rule(&self) -> String {
        format!("a whole number from {} to {}", self.0.start(), self.0.end())
    }

    fn hint(&self) -> &'static str {
        "give digits only"
    }

    fn parse(&self, text: &str) -> Option<T> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let count = digits.then(|| text.parse().ok()).flatten()?;
        self.0.contains(&count).then_some(count)
    }

    fn show(&self, value: &T) -> Option<String> {
        Some(value.to_string())
    }
}

impl Grammar for Seconds {
    type Value = f64;

    fn placeholder(&self) -> &'static str {
        "SECONDS"
    }

    fn rule(&self) -> String {
        format!(
            "a number of seconds from {} to {}",
            self.0.start(),
            self.0.end()
        )
    }

    fn hint(&self) -> &'static str {
        "give a number such as 30 or 2.5, or a duration such as 45s"
    }

    fn parse(&self, text: &str) -> Option<f64> {
        let seconds = match text.parse::<f64>() {
            Ok(number) => number,
            Err(_) => humantime::parse_duration(text).ok()?.as_secs_f64(),
        };
        self.0.contains(&seconds).then_some(seconds)
    }

    fn show(&self, value: &f64) -> Option<String> {
        Some(value.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn a_count_is_digits_within_its_bounds() {
        check(
            &Count(1..=64_u32),
            &[
                ("1", Some(1)),
                ("64", Some(64)),
                ("007", Some(7)),
                ("0", None),
                ("65", None),
                ("", None),
                ("+5", None),
                ("-5", None),
                ("5.0", None),
                ("1_0", None),
                ("99999999999999999999", None),
            ],
        );
    }

    #[test]
    fn seconds_are_a_number_or_a_duration_within_bounds() {
        check(
            &Seconds(1.0..=60.0),
            &[
                ("1", Some(1.0)),
                ("2.5", Some(2.5)),
                ("60", Some(60.0)),
                ("45s", Some(45.0)),
                ("1m", Some(60.0)),
                ("1500ms", Some(1.5)),
                ("0.99", None),
                ("60.01", None),
                ("61s", None),
                ("NaN", None),
                ("inf", None),
                ("-5", None),
                ("soon", None),
                ("", None),
            ],
        );
    }
}
