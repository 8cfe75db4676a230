//! Names of things: sessions, tenants, subjects, epochs and numbers in their order.
//!
//! Every type here is parsed once, at the edge, and cannot hold a malformed value afterwards.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use serde::Serialize;

/// The longest session id, in bytes (PROTOCOL.md: `[A-Za-z0-9][A-Za-z0-9._-]{0,127}`).
pub const SESSION_ID_BYTES_MAX: usize = 128;

/// Why a name was refused. The message quotes the rule and a bounded part of the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is malformed: {rule}")]
pub struct MalformedName {
    what: &'static str,
    value: String,
    rule: &'static str,
}

impl MalformedName {
    fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self {
            what,
            value: value.chars().take(40).collect(),
            rule,
        }
    }
}

/// The name of a session within its owner's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl SessionId {
    /// A fresh random id of 20 lower-case characters (100 bits).
    pub fn random() -> Self {
        Self(format!("s{}", random_name(19)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "1 to 128 of A-Z a-z 0-9 . _ -, the first a letter or digit";
        let well_formed = text.len() <= SESSION_ID_BYTES_MAX
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedName::new("session id", text, RULE))
        }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose namespace a session lives in.
///
/// A subject without a tenant has a namespace of its own, which no tenant's name can equal: the
/// two are different variants, not different spellings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner {
    pub tenant: Option<String>,
    pub subject: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{tenant}/{}", self.subject),
            None => f.write_str(&self.subject),
        }
    }
}

/// A session's full name: who owns it and what it is called there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    pub owner: Owner,
    pub id: SessionId,
}

/// The position of an event in its session's journal; the first event is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

impl Seq {
    /// Before the first event.
    pub const ZERO: Seq = Seq(0);

    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a turn in its session; the first turn is 1, and 0 is the state at birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct TurnNumber(pub u64);

impl TurnNumber {
    pub fn next(self) -> TurnNumber {
        TurnNumber(self.0 + 1)
    }
}

impl fmt::Display for TurnNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An opaque name for one history of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Epoch(String);

impl Epoch {
    /// A fresh random epoch of 12 lower-case characters (60 bits).
    pub fn random() -> Self {
        Self(random_name(12))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Epoch {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MalformedName::new(
                "epoch",
                text,
                "1 to 64 letters and digits",
            ))
        }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `length` random characters of a 32-letter alphabet without vowels or look-alikes: 5 bits each.
fn random_name(length: usize) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789bcdfghjkmnpqrstvwxyzBC";
    let mut bytes = vec![0u8; length];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the kernel's random source cannot fail once the system is up");
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_is_what_the_contract_says() {
        for good in ["a", "0", "data-analysis", "A.b_c-9", &"x".repeat(128)] {
            assert!(good.parse::<SessionId>().is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "a/b", "é", "a\0", &"x".repeat(129)] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tenant_never_equals_a_subject_of_the_same_name() {
        let alone = Owner {
            tenant: None,
            subject: "a/b".into(),
        };
        let tenant = Owner {
            tenant: Some("a".into()),
            subject: "b".into(),
        };
        assert_ne!(alone, tenant);
    }

    #[test]
    fn generated_names_differ_and_parse() {
        let first = SessionId::random();
        assert_ne!(first, SessionId::random());
        assert_eq!(first.as_str().parse::<SessionId>(), Ok(first.clone()));
        let epoch = Epoch::random();
        assert_eq!(epoch.as_str().parse::<Epoch>(), Ok(epoch.clone()));
    }
}
