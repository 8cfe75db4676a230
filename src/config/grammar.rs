//! What a setting's text may be: each grammar parses, shows and explains one kind of value, so
//! that the rule in `--help`, the rule in an error and the rule that is applied are one.

mod list;
mod number;
mod path;
mod size;
mod time;
mod word;

use std::ffi::OsStr;

pub(super) use list::List;
pub(super) use number::{Count, Seconds};
pub(super) use path::FilePath;
pub(super) use size::Size;
pub(super) use time::Span;
pub(super) use word::{Address, OneOf, Switch, Text};

/// A value in a message is cut here.
const QUOTED_CHARS_MAX: usize = 80;

/// One kind of value. `show` writes what `parse` reads, except for secrets.
pub(super) trait Grammar {
    type Value;

    /// What the command line and the file need to know about it.
    fn kind(&self) -> Kind {
        Kind::Word
    }

    /// Stands for the value in `--help`.
    fn placeholder(&self) -> &'static str;

    /// Completes "it must be …", bounds included.
    fn rule(&self) -> String;

    /// The way out of a broken rule.
    fn hint(&self) -> &'static str;

    /// The value, or `None` when the rule is broken. White space around it is gone already.
    fn parse(&self, text: &str) -> Option<Self::Value>;

    /// The value in the form `parse` reads; `None`: there is none.
    fn show(&self, value: &Self::Value) -> Option<String>;

    /// As `parse`, from the operating system's own strings.
    fn read(&self, raw: &OsStr) -> Option<Self::Value> {
        self.parse(raw.to_str()?.trim())
    }

    /// A value for an error message.
    fn quote(&self, raw: &OsStr) -> String {
        let text = raw.to_string_lossy();
        match text.char_indices().nth(QUOTED_CHARS_MAX) {
            Some((end, _)) => format!("{:?}…", &text[..end]),
            None => format!("{text:?}"),
        }
    }
}

/// How a value may be written in each source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text or a number.
    Word,
    /// True or false; its flag may stand alone.
    Switch,
    /// Text, in the file relative to the file's directory.
    Path,
    /// Text that is taken byte for byte.
    Verbatim,
    /// Text with commas, or an array.
    List,
}

/// A value that may be absent; what is written is always present.
pub(super) struct Maybe<G>(pub G);

impl<G: Grammar> Grammar for Maybe<G> {
    type Value = Option<G::Value>;

    fn kind(&self) -> Kind {
        self.0.kind()
    }

    fn placeholder(&self) -> &'static str {
        self.0.placeholder()
    }

    fn rule(&self) -> String {
        self.0.rule()
    }

    fn hint(&self) -> &'static str {
        self.0.hint()
    }

    fn parse(&self, text: &str) -> Option<Self::Value> {
        self.0.parse(text).map(Some)
    }

    fn show(&self, value: &Self::Value) -> Option<String> {
        self.0.show(value.as_ref()?)
    }

    fn read(&self, raw: &OsStr) -> Option<Self::Value> {
        self.0.read(raw).map(Some)
    }

    fn quote(&self, raw: &OsStr) -> String {
        self.0.quote(raw)
    }
}

/// Runs a grammar over a table of texts; `None`: the text must be refused.
#[cfg(test)]
fn check<G: Grammar>(grammar: &G, cases: &[(&str, Option<G::Value>)])
where
    G::Value: PartialEq + std::fmt::Debug,
{
    for (text, expected) in cases {
        let parsed = grammar.parse(text);
        assert_eq!(parsed.as_ref(), expected.as_ref(), "{text:?}");
        if let Some(shown) = parsed.as_ref().and_then(|value| grammar.show(value)) {
            assert_eq!(grammar.parse(&shown), parsed, "{text:?} shown as {shown:?}");
        }
    }
}
