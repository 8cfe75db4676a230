//! Sizes in bytes, as people write them.

use std::ops::RangeInclusive;

use super::Grammar;

/// Bytes within bounds. A bare number is bytes; `kB` is 1000 of them and `KiB` 1024.
pub(in crate::config) struct Size(pub RangeInclusive<u64>);

/// Binary units come first and largest first: `show` takes the first that divides.
const UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

impl Grammar for Size {
    type Value = u64;

    fn placeholder(&self) -> &'static str {
        "SIZE"
    }

    fn rule(&self) -> String {
        format!(
            "a size from {} to {}",
            spell(*self.0.start()),
            spell(*self.0.end())
        )
    }

    fn hint(&self) -> &'static str {
        "give bytes or a unit such as 4MiB"
    }

    fn parse(&self, text: &str) -> Option<u64> {
        let digits_end = text.find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.split_at(digits_end.unwrap_or(text.len()));
        let bytes = number
            .parse::<u64>()
            .ok()?
            .checked_mul(unit_bytes(unit.trim_start())?)?;
        self.0.contains(&bytes).then_some(bytes)
    }

    fn show(&self, value: &u64) -> Option<String> {
        Some(spell(*value))
    }
}

/// Case does not matter: nobody means bits, or thousandths of a byte.
fn unit_bytes(unit: &str) -> Option<u64> {
    if unit.is_empty() {
        return Some(1);
    }
    let known = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit));
    known.map(|(_, bytes)| *bytes)
}

fn spell(bytes: u64) -> String {
    let unit = UNITS
        .iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match unit {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => "0B".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn a_size_is_bytes_or_carries_a_unit() {
        check(
            &Size(1..=u64::MAX),
            &[
                ("1", Some(1)),
                ("512MiB", Some(512 << 20)),
                ("512 MiB", Some(512 << 20)),
                ("512mib", Some(512 << 20)),
                ("64 MB", Some(64_000_000)),
                ("10kB", Some(10_000)),
                ("10KB", Some(10_000)),
                ("2GiB", Some(2 << 30)),
                ("2GB", Some(2_000_000_000)),
                ("7B", Some(7)),
                ("18446744073709551615", Some(u64::MAX)),
                ("18446744073709551616", None),
                ("99999999999GiB", None),
                ("0", None),
                ("", None),
                ("MiB", None),
                ("4 potatoes", None),
                ("4M", None),
                ("1.5GiB", None),
                ("-1", None),
                ("4MiB4", None),
            ],
        );
    }

    #[test]
    fn bounds_of_a_size_belong_to_it() {
        check(
            &Size(1 << 10..=1 << 20),
            &[
                ("1KiB", Some(1 << 10)),
                ("1MiB", Some(1 << 20)),
                ("1023", None),
                ("1048577", None),
            ],
        );
    }

    #[test]
    fn a_size_is_shown_in_the_largest_unit_that_is_exact() {
        for (bytes, shown) in [
            (0, "0B"),
            (1, "1B"),
            (1000, "1kB"),
            (1024, "1KiB"),
            (1536, "1536B"),
            (64_000_000, "62500KiB"),
            (512 << 20, "512MiB"),
            (1 << 30, "1GiB"),
        ] {
            assert_eq!(spell(bytes), shown);
        }
    }
}
