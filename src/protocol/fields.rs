//! The fields of one client message, found without building it.
//!
//! Only the fields the contract knows are kept, and those as slices of the message: a message of
//! 4 MiB costs no more memory than itself, whatever it is filled with. Values nobody asks for are
//! skipped without recursion.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::refusal::{ErrorCode, Refusal};

/// Every field that some message has.
const NAMES: [&str; 19] = [
    "type",
    "id",
    "code",
    "timeout_seconds",
    "fuel",
    "stdin",
    "stdin_open",
    "filename",
    "durable",
    "data",
    "eof",
    "turn",
    "target",
    "name",
    "checkpoint",
    "session",
    "cursor",
    "seq",
    "token",
];

/// Fields whose text belongs to the user: no refusal quotes it.
const PRIVATE: [&str; 4] = ["code", "stdin", "data", "token"];

/// How much of a refused value is quoted.
const QUOTED_CHARS_MAX: usize = 40;

/// The known fields of a message. A key that comes twice has its last value.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    values: [Option<&'a str>; NAMES.len()],
}

impl<'a> Fields<'a> {
    /// # Errors
    /// Says what is wrong with a text that is no JSON object.
    pub(super) fn read(text: &'a str) -> Result<Self, String> {
        let mut json = serde_json::Deserializer::from_str(text);
        json.deserialize_map(FieldsVisitor)
            .and_then(|fields| json.end().map(|()| fields))
            .map_err(|error| {
                if error.is_data() {
                    "the message is not a JSON object".to_owned()
                } else {
                    format!("the message is not JSON: {error}")
                }
            })
    }

    /// The field of that name, there or not; `null` counts as not there.
    pub(super) fn get(&self, name: &'static str) -> Field<'a> {
        let known = position(name).expect("messages ask for fields listed in NAMES");
        Field {
            name,
            json: self.values[known].filter(|json| *json != "null"),
            refused_as: ErrorCode::BadRequest,
        }
    }
}

fn position(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = [None; NAMES.len()];
        while let Some(Key(key)) = map.next_key()? {
            match position(&key) {
                Some(known) => values[known] = Some(map.next_value::<&'de RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Fields { values })
    }
}

/// A key, borrowed from the message unless it holds an escape.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// One field on its way to a type. Every refusal names it, what it holds and the rule it broke.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'a> {
    name: &'static str,
    json: Option<&'a str>,
    refused_as: ErrorCode,
}

impl Field<'_> {
    /// Refuse this field under a code of its own instead of `bad_request`.
    pub(super) fn refused_as(self, code: ErrorCode) -> Self {
        Self {
            refused_as: code,
            ..self
        }
    }

    pub(super) fn text(&self) -> Result<Option<String>, Refusal> {
        let Some(json) = self.json else {
            return Ok(None);
        };
        if !json.starts_with('"') {
            return Err(self.refuse("text"));
        }
        // What can still be wrong with it is an escaped lone surrogate: JSON, but no text.
        serde_json::from_str(json)
            .map(Some)
            .map_err(|_| self.refuse("Unicode text, without lone surrogates"))
    }

    /// Text whose length in characters lies within `chars`.
    pub(super) fn bounded_text(
        &self,
        chars: RangeInclusive<usize>,
    ) -> Result<Option<String>, Refusal> {
        let text = self.text()?;
        let fits = |text: &String| chars.contains(&text.chars().count());
        if text.as_ref().is_none_or(fits) {
            Ok(text)
        } else {
            Err(self.refuse(&format!(
                "text of {} to {} characters",
                chars.start(),
                chars.end()
            )))
        }
    }

    /// A whole number of at least `min`, however it is spelled: `3`, `3.0` and `3e0` are one.
    pub(super) fn whole(&self, min: u64) -> Result<Option<u64>, Refusal> {
        let Some(json) = self.json else {
            return Ok(None);
        };
        json.parse()
            .ok()
            .or_else(|| whole_float(json))
            .filter(|number| *number >= min)
            .map(Some)
            .ok_or_else(|| self.refuse(&format!("a whole number of at least {min}")))
    }

    /// A number within `range`.
    pub(super) fn number(&self, range: RangeInclusive<f64>) -> Result<Option<f64>, Refusal> {
        let Some(json) = self.json else {
            return Ok(None);
        };
        // JSON's numbers are a subset of what Rust parses; one beyond its range becomes infinite
        // and so falls outside.
        json.parse()
            .ok()
            .filter(|number| range.contains(number))
            .map(Some)
            .ok_or_else(|| {
                self.refuse(&format!(
                    "a number from {} to {}",
                    range.start(),
                    range.end()
                ))
            })
    }

    pub(super) fn flag(&self) -> Result<Option<bool>, Refusal> {
        match self.json {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.refuse("true or false")),
        }
    }

    /// The refusal for a field that breaks `rule`, with a bounded part of its value.
    pub(super) fn refuse(&self, rule: &str) -> Refusal {
        let held = match self.json {
            None => "missing".to_owned(),
            Some(json) if json.starts_with('[') => "an array".to_owned(),
            Some(json) if json.starts_with('{') => "an object".to_owned(),
            Some("\"\"") => "empty".to_owned(),
            Some(json) if json.starts_with('"') && PRIVATE.contains(&self.name) => {
                format!("text of {} bytes", json.len() - 2)
            }
            Some(json) => match json.char_indices().nth(QUOTED_CHARS_MAX) {
                Some((end, _)) => format!("{}…", &json[..end]),
                None => json.to_owned(),
            },
        };
        Refusal::new(
            self.refused_as,
            format!("`{}` is {held}; it must be {rule}", self.name),
        )
    }
}

/// The whole number that a JSON number with a point or an exponent stands for, as long as a double
/// holds it exactly.
fn whole_float(json: &str) -> Option<u64> {
    const EXACT_MAX: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
    let number: f64 = json.parse().ok()?;
    let whole = number.fract() == 0.0 && (0.0..=EXACT_MAX).contains(&number);
    whole.then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal_of(json: &str, name: &'static str) -> String {
        let text = format!(r#"{{"{name}":{json}}}"#);
        let fields = Fields::read(&text).unwrap();
        fields.get(name).refuse("otherwise").message
    }

    #[test]
    fn a_key_that_comes_twice_has_its_last_value() {
        let fields = Fields::read(r#"{"id":"a","id":5,"\u0069d":"b"}"#).unwrap();
        assert_eq!(fields.get("id").text().unwrap().unwrap(), "b");
    }

    #[test]
    fn null_counts_as_not_there() {
        let fields = Fields::read(r#"{"fuel": null }"#).unwrap();
        assert_eq!(fields.get("fuel").whole(1), Ok(None));
    }

    #[test]
    fn a_whole_number_may_be_spelled_as_a_double() {
        let read = |json: &str| {
            let text = format!(r#"{{"turn":{json}}}"#);
            Fields::read(&text)
                .unwrap()
                .get("turn")
                .whole(1)
                .ok()
                .flatten()
        };
        for (json, number) in [
            ("1", 1),
            ("3.0", 3),
            ("1e3", 1_000),
            ("18446744073709551615", u64::MAX),
            ("9007199254740992.0", 1 << 53),
        ] {
            assert_eq!(read(json), Some(number), "{json}");
        }
        for json in [
            "0",
            "-1",
            "-0.0",
            "1.5",
            "1e300",
            "1e999",
            "18446744073709551616",
            "\"1\"",
            "true",
            "[1]",
            "{}",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }

    #[test]
    fn a_refused_value_is_quoted_up_to_a_bound_and_users_text_never() {
        assert_eq!(
            refusal_of(r#""abc""#, "turn"),
            r#"`turn` is "abc"; it must be otherwise"#
        );
        assert_eq!(
            refusal_of(r#""secret""#, "token"),
            "`token` is text of 6 bytes; it must be otherwise"
        );
        assert_eq!(
            refusal_of(r#"["secret"]"#, "code"),
            "`code` is an array; it must be otherwise"
        );
        let long = format!("\"{}\"", "é".repeat(1_000));
        assert!(refusal_of(&long, "turn").chars().count() < 100);
    }

    #[test]
    fn nesting_costs_no_stack() {
        let depth = 2_000_000;
        for name in ["unknown", "code"] {
            let text = format!(
                r#"{{"type":"ping","{name}":{}{}}}"#,
                "[".repeat(depth),
                "]".repeat(depth)
            );
            assert!(Fields::read(&text).is_ok(), "{name}");
        }
        assert!(Fields::read(&"[".repeat(depth)).is_err());
        assert!(Fields::read(&r#"{"a":"#.repeat(depth)).is_err());
    }
}
