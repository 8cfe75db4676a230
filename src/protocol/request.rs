//! What a client asks of a session under an id that the session remembers, so that nothing runs
//! twice.
//!
//! A repeat of an id is a duplicate when its content is the same and a conflict when it is not;
//! the content is compared by its [`Fingerprint`], which outlives the process.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest;

use super::refusal::{ErrorCode, Refusal};
use crate::ids::{SessionId, TurnNumber};
use crate::limits::REQUEST_ID_CHARS;

/// A client's name for one of its requests: 1 to 128 characters of any kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(String);

impl RequestId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RequestId {
    type Error = Refusal;

    /// # Errors
    /// `bad_request` for text that is empty or too long.
    fn try_from(text: String) -> Result<Self, Refusal> {
        let count = text.chars().count();
        if REQUEST_ID_CHARS.contains(&count) {
            return Ok(Self(text));
        }
        Err(Refusal::new(
            ErrorCode::BadRequest,
            format!(
                "a request id of {count} characters is refused; it must have {} to {}",
                REQUEST_ID_CHARS.start(),
                REQUEST_ID_CHARS.end()
            ),
        ))
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An action under its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub id: RequestId,
    pub action: Action,
}

impl Request {
    /// What a repeat of the id is compared by. The id itself is not part of it.
    pub fn fingerprint(&self) -> Fingerprint {
        self.action.fingerprint()
    }
}

/// What a remembered request wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Execute(Execute),
    Cancel {
        target: RequestId,
    },
    Checkpoint {
        name: Option<String>,
    },
    Rollback(RollbackTo),
    Fork {
        session: Option<SessionId>,
        checkpoint: Option<String>,
    },
}

/// One turn, as the client wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execute {
    /// Never empty.
    pub code: String,
    /// Within `limits::TIMEOUT_SECONDS`; None leaves it to the gateway's default.
    pub timeout: Option<Duration>,
    /// Wasmtime's units, at least 1; None leaves it to the timeout.
    pub fuel: Option<u64>,
    /// Input given up front.
    pub stdin: Option<String>,
    /// Whether `stdin` messages may follow.
    pub stdin_open: bool,
    /// How tracebacks call the code: 1 to 256 characters, none of them a control character.
    pub filename: Option<String>,
    /// Whether `finished` waits until it and the turn's state are saved.
    pub durable: bool,
}

/// Which state a session returns to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackTo {
    /// A checkpoint, by its id or its name.
    Checkpoint(String),
    /// The state after that turn; 0 is the state at birth.
    Turn(TurnNumber),
}

/// A digest of a request's content. Stable across versions of the gateway: it is stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(")?;
        for byte in &self.0[..8] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…)")
    }
}

impl Action {
    /// What a repeat of a request is compared by: the typed fields, so that order, spelling and
    /// unknown fields of the message make no difference, and a default given or left out neither.
    pub fn fingerprint(&self) -> Fingerprint {
        let mut content = Content::new();
        match self {
            Self::Execute(execute) => {
                // Taken apart whole, so that a new field cannot be forgotten here.
                let Execute {
                    code,
                    timeout,
                    fuel,
                    stdin,
                    stdin_open,
                    filename,
                    durable,
                } = execute;
                content.tag(1);
                content.text(code);
                content.optional(timeout.as_ref(), |content, timeout| {
                    content.number(timeout.as_secs());
                    content.number(u64::from(timeout.subsec_nanos()));
                });
                content.optional(fuel.as_ref(), |content, fuel| content.number(*fuel));
                content.optional(stdin.as_deref(), Content::text);
                content.tag(u8::from(*stdin_open));
                content.optional(filename.as_deref(), Content::text);
                content.tag(u8::from(*durable));
            }
            Self::Cancel { target } => {
                content.tag(2);
                content.text(target.as_str());
            }
            Self::Checkpoint { name } => {
                content.tag(3);
                content.optional(name.as_deref(), Content::text);
            }
            Self::Rollback(RollbackTo::Checkpoint(checkpoint)) => {
                content.tag(4);
                content.text(checkpoint);
            }
            Self::Rollback(RollbackTo::Turn(turn)) => {
                content.tag(5);
                content.number(turn.0);
            }
            Self::Fork {
                session,
                checkpoint,
            } => {
                content.tag(6);
                content.optional(session.as_ref(), |content, session| {
                    content.text(session.as_str());
                });
                content.optional(checkpoint.as_deref(), Content::text);
            }
        }
        content.finish()
    }
}

/// The canonical form under digest: every field has a length or a fixed size, so that no two
/// contents share a form.
struct Content(digest::Context);

impl Content {
    fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    fn tag(&mut self, tag: u8) {
        self.0.update(&[tag]);
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn optional<T: ?Sized>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.tag(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn finish(self) -> Fingerprint {
        let digest = self.0.finish();
        let bytes = digest.as_ref().try_into();
        Fingerprint(bytes.expect("a SHA-256 digest has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::client::ClientMessage;

    fn fingerprint(text: &str) -> Fingerprint {
        match ClientMessage::parse(text).unwrap() {
            ClientMessage::Request(request) => request.fingerprint(),
            other => panic!("{text} is {other:?}, which is not remembered"),
        }
    }

    #[test]
    fn the_same_content_is_a_duplicate_however_it_is_written() {
        let first = fingerprint(r#"{"type":"execute","id":"a","code":"é","timeout_seconds":30}"#);
        for same in [
            r#"{"code":"\u00e9","timeout_seconds":3e1,"type":"execute","id":"a"}"#,
            r#"{"type":"execute","id":"b","code":"é","timeout_seconds":30.0,"note":1}"#,
            r#"{"type":"execute","id":"a","code":"é","timeout_seconds":30,"stdin_open":true}"#,
            r#"{"type":"execute","id":"a","code":"é","timeout_seconds":30,"fuel":null,"durable":false}"#,
        ] {
            assert_eq!(fingerprint(same), first, "{same}");
        }
    }

    #[test]
    fn any_other_content_is_a_conflict() {
        let all = [
            r#"{"type":"execute","id":"a","code":"x"}"#,
            r#"{"type":"execute","id":"a","code":"x "}"#,
            r#"{"type":"execute","id":"a","code":"x","timeout_seconds":30}"#,
            r#"{"type":"execute","id":"a","code":"x","timeout_seconds":30.5}"#,
            r#"{"type":"execute","id":"a","code":"x","fuel":30}"#,
            r#"{"type":"execute","id":"a","code":"x","stdin":""}"#,
            r#"{"type":"execute","id":"a","code":"x","stdin":"","stdin_open":true}"#,
            r#"{"type":"execute","id":"a","code":"x","stdin_open":false}"#,
            r#"{"type":"execute","id":"a","code":"x","filename":"x"}"#,
            r#"{"type":"execute","id":"a","code":"x","durable":true}"#,
            r#"{"type":"cancel","id":"a","target":"x"}"#,
            r#"{"type":"checkpoint","id":"a"}"#,
            r#"{"type":"checkpoint","id":"a","name":"x"}"#,
            r#"{"type":"rollback","id":"a","checkpoint":"x"}"#,
            r#"{"type":"rollback","id":"a","turn":0}"#,
            r#"{"type":"rollback","id":"a","turn":1}"#,
            r#"{"type":"fork","id":"a"}"#,
            r#"{"type":"fork","id":"a","session":"x"}"#,
            r#"{"type":"fork","id":"a","checkpoint":"x"}"#,
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                assert_ne!(fingerprint(one), fingerprint(other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn a_stored_fingerprint_stays_comparable_in_later_versions() {
        let stored = fingerprint(r#"{"type":"cancel","id":"a","target":"x"}"#);
        let expected = digest::digest(&digest::SHA256, b"\x02\x01\0\0\0\0\0\0\0x");
        assert_eq!(stored.as_bytes().as_slice(), expected.as_ref());
        assert_eq!(Fingerprint::from_bytes(*stored.as_bytes()), stored);
    }

    #[test]
    fn an_id_is_counted_in_characters() {
        assert!(RequestId::try_from("é".repeat(128)).is_ok());
        assert!(RequestId::try_from("é".repeat(129)).is_err());
        assert!(RequestId::try_from(String::new()).is_err());
    }
}
