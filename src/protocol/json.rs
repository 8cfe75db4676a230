//! JSON text, written fast: objects in the order their fields are given, and the escaper under them.
//!
//! `serde_json` reads everything this crate reads; writing goes through here because a session may
//! print 500 MB in a second, every byte of which passes the escaper once per event.

use std::fmt::Write as _;

use serde::Serialize;

/// An object being written. [`Object::write`] opens and closes it.
pub(super) struct Object<'a> {
    out: &'a mut String,
    empty: bool,
}

impl Object<'_> {
    /// Appends `{`, what `fields` writes, and `}`.
    pub(super) fn write(out: &mut String, fields: impl FnOnce(&mut Object<'_>)) {
        out.push('{');
        let mut object = Object { out, empty: true };
        fields(&mut object);
        object.out.push('}');
    }

    pub(super) fn text(&mut self, key: &'static str, text: &str) -> &mut Self {
        self.key(key);
        write_text(self.out, text);
        self
    }

    pub(super) fn text_or_null(&mut self, key: &'static str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(key, text),
            None => self.json(key, "null"),
        }
    }

    pub(super) fn whole(&mut self, key: &'static str, number: u64) -> &mut Self {
        self.display(key, number)
    }

    /// The shortest decimal that reads back as `number`; null where JSON has no such number.
    pub(super) fn float(&mut self, key: &'static str, number: f64) -> &mut Self {
        if number.is_finite() {
            self.display(key, number)
        } else {
            self.json(key, "null")
        }
    }

    pub(super) fn flag(&mut self, key: &'static str, flag: bool) -> &mut Self {
        self.display(key, flag)
    }

    /// A field whose value is JSON text already. Line ends are whitespace between its tokens, for
    /// no JSON string holds a raw one; they become spaces, so that every frame is one line.
    pub(super) fn json(&mut self, key: &'static str, json: &str) -> &mut Self {
        self.key(key);
        if json.contains(['\n', '\r']) {
            self.out.extend(json.chars().map(|c| match c {
                '\n' | '\r' => ' ',
                other => other,
            }));
        } else {
            self.out.push_str(json);
        }
        self
    }

    /// A small value through its own `Serialize`.
    pub(super) fn value(&mut self, key: &'static str, value: &impl Serialize) -> &mut Self {
        let json = serde_json::to_string(value)
            .expect("names, lists and maps with text keys always have a JSON form");
        self.json(key, &json)
    }

    pub(super) fn object(
        &mut self,
        key: &'static str,
        fields: impl FnOnce(&mut Object<'_>),
    ) -> &mut Self {
        self.key(key);
        Object::write(self.out, fields);
        self
    }

    /// A field whose `Display` form is its JSON form.
    fn display(&mut self, key: &'static str, value: impl std::fmt::Display) -> &mut Self {
        self.key(key);
        write!(self.out, "{value}").expect("writing to a String cannot fail");
        self
    }

    /// The keys of the contract are plain ASCII names: nothing in them needs escaping.
    fn key(&mut self, key: &'static str) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(',');
        }
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
    }
}

/// Appends `text` as a JSON string, quotes included.
pub(super) fn write_text(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    let mut start = 0;
    out.push('"');
    loop {
        let end = next_special(bytes, start);
        out.push_str(&text[start..end]);
        let Some(&special) = bytes.get(end) else {
            break;
        };
        write_escape(out, special);
        start = end + 1;
    }
    out.push('"');
}

/// The longest start of `text` within `bytes_max` that splits no character.
pub(super) fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The longest end of `text` within `bytes_max` that splits no character.
pub(super) fn cut_front(text: &str, bytes_max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..]
}

/// Where the first byte at or after `from` stands that JSON wants escaped, or the end.
///
/// Eight bytes at a time, because the position of a hit falls out of the word for free: wider
/// blocks win only on text without a line end, and lose four fifths of their speed on short lines
/// and in builds that do not vectorize.
fn next_special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    let (words, rest) = bytes[from..].as_chunks::<8>();
    for word in words {
        let marks = special_marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + rest
        .iter()
        .position(|&byte| is_special(byte))
        .unwrap_or(rest.len())
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// The high bit of each byte that is special. Exact up to and including the lowest mark: a borrow
/// can only spoil the bytes above a true hit.
fn special_marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    (below(word, 0x20) | below(quote, 1) | below(backslash, 1)) & HIGHS
}

fn write_escape(out: &mut String, special: u8) {
    match special {
        b'\n' => out.push_str("\\n"),
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        control => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(control >> 4)]));
            out.push(char::from(HEX[usize::from(control & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        write_text(&mut out, text);
        out
    }

    #[test]
    fn every_character_reads_back_wherever_it_stands_in_a_word() {
        let characters: Vec<char> = (0..=0x17f)
            .filter_map(char::from_u32)
            .chain(['\u{2028}', '\u{ffff}', '日', '\u{10ffff}'])
            .collect();
        for character in characters {
            for before in 0..17 {
                for after in [0, 1, 7, 9] {
                    let text = format!("{}{character}{}", "a".repeat(before), "é".repeat(after));
                    let json = escaped(&text);
                    assert!(!json.contains('\n'), "{text:?}");
                    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                }
            }
        }
    }

    #[test]
    fn neighbors_of_the_special_bytes_pass_as_they_are() {
        for text in [
            "\u{20}!#[]\u{7f}",
            "\u{80}\u{a2}\u{dc}",
            "!!!!!!!!",
            "########",
        ] {
            assert_eq!(escaped(text), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_cut_splits_no_character() {
        assert_eq!(cut("aé日", 0), "");
        assert_eq!(cut("aé日", 2), "a");
        assert_eq!(cut("aé日", 3), "aé");
        assert_eq!(cut("aé日", 99), "aé日");
        assert_eq!(cut_front("aé日", 0), "");
        assert_eq!(cut_front("aé日", 4), "日");
        assert_eq!(cut_front("aé日", 5), "é日");
        assert_eq!(cut_front("aé日", 99), "aé日");
    }

    #[test]
    fn a_number_that_json_lacks_is_null() {
        let mut out = String::new();
        Object::write(&mut out, |object| {
            object
                .float("a", f64::NAN)
                .float("b", f64::INFINITY)
                .float("c", 30.0)
                .float("d", 0.1);
        });
        assert_eq!(out, r#"{"a":null,"b":null,"c":30,"d":0.1}"#);
    }

    #[test]
    fn json_from_elsewhere_stays_on_one_line() {
        let mut out = String::new();
        Object::write(&mut out, |object| {
            object.json("a", "[1,\r\n \"x\\n\"]");
        });
        assert_eq!(out, r#"{"a":[1,   "x\n"]}"#);
    }

    /// Prints the speed of the escaper; asserts nothing, because machines differ.
    #[test]
    fn speed_of_the_escaper() {
        let line = |length: usize| ("x".repeat(length - 1) + "\n").repeat(65_536 / length);
        for (name, text) in [
            ("one line of 64 KiB", line(65_536)),
            ("lines of 80 bytes", line(80)),
            ("lines of 7 bytes", line(7)),
        ] {
            let fastest = (0..20)
                .map(|_| {
                    let mut out = String::with_capacity(text.len() * 2);
                    let start = std::time::Instant::now();
                    write_text(&mut out, &text);
                    start.elapsed()
                })
                .min()
                .unwrap();
            let rate = text.len() as f64 / fastest.as_secs_f64() / 1e6;
            println!("{name}: {rate:.0} MB/s");
        }
    }
}
