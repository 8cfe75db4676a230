//! What a client may say: one text message in, one typed message or one named refusal out.

use std::fmt;
use std::time::Duration;

use super::fields::{Field, Fields};
use super::refusal::{CloseCode, ErrorCode, Refusal};
use super::request::{Action, Execute, Request, RequestId, RollbackTo};
use crate::ids::{Seq, SessionId, TurnNumber};
use crate::limits::{REQUEST_ID_CHARS, TIMEOUT_SECONDS};

/// Characters of `filename`.
const FILENAME_CHARS: std::ops::RangeInclusive<usize> = 1..=256;
/// Characters of a checkpoint's id or name.
const CHECKPOINT_CHARS: std::ops::RangeInclusive<usize> = 1..=128;

/// A message from a client, every field of it checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// `execute`, `cancel`, `checkpoint`, `rollback` and `fork`: what a session remembers.
    Request(Request),
    Stdin {
        /// Not asked for, but repeated in an `error` when there.
        id: Option<RequestId>,
        input: Input,
        /// The turn it is meant for; None: whichever runs.
        turn: Option<TurnNumber>,
    },
    Interrupt {
        id: RequestId,
        /// The turn it is meant for; None: whichever runs.
        turn: Option<TurnNumber>,
    },
    Complete {
        id: RequestId,
        at: CodeCursor,
    },
    Inspect {
        id: RequestId,
        at: CodeCursor,
    },
    Ack {
        /// Not asked for, but repeated in an `error` when there.
        id: Option<RequestId>,
        seq: Seq,
    },
    Authenticate {
        id: RequestId,
        token: Token,
    },
    Ping {
        id: RequestId,
    },
    Close {
        id: RequestId,
    },
}

/// What a `stdin` message brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// As typed, the line end included.
    Data(String),
    Eof,
}

/// A place in a piece of code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeCursor {
    /// May be empty.
    pub code: String,
    /// In Unicode code points, at most as many as `code` has.
    pub cursor: usize,
}

/// A credential as it came. Its `Debug` form does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Why a text is not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// Not JSON, or JSON that is no object. The socket closes with [`BadMessage::CLOSE_CODE`].
    #[error("{reason}")]
    NotJson { reason: String },
    /// Answered with `error`; the socket stays open. `id` is there if it could be read.
    #[error("{refusal}")]
    Refused {
        id: Option<RequestId>,
        refusal: Refusal,
    },
}

impl BadMessage {
    /// How a socket closes on which a text came that is not JSON.
    pub const CLOSE_CODE: CloseCode = CloseCode::ProtocolViolation;
}

impl ClientMessage {
    /// Every `type` a client may send.
    pub const TYPES: [&'static str; 13] = [
        "execute",
        "stdin",
        "interrupt",
        "cancel",
        "checkpoint",
        "rollback",
        "fork",
        "complete",
        "inspect",
        "ack",
        "authenticate",
        "ping",
        "close",
    ];

    /// Reads one text message. The caller has bounded its size.
    ///
    /// # Errors
    /// [`BadMessage::NotJson`] for a text the connection cannot go on after, else
    /// [`BadMessage::Refused`] naming the field, what it holds and the rule.
    pub fn parse(text: &str) -> Result<Self, BadMessage> {
        let fields = Fields::read(text).map_err(|reason| BadMessage::NotJson { reason })?;
        Self::from_fields(&fields).map_err(|refusal| BadMessage::Refused {
            id: readable_id(&fields),
            refusal,
        })
    }

    /// The id that an answer repeats.
    pub fn id(&self) -> Option<&RequestId> {
        match self {
            Self::Stdin { id, .. } | Self::Ack { id, .. } => id.as_ref(),
            Self::Request(Request { id, .. })
            | Self::Interrupt { id, .. }
            | Self::Complete { id, .. }
            | Self::Inspect { id, .. }
            | Self::Authenticate { id, .. }
            | Self::Ping { id }
            | Self::Close { id } => Some(id),
        }
    }

    /// The message's `type`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Request(request) => match request.action {
                Action::Execute(_) => "execute",
                Action::Cancel { .. } => "cancel",
                Action::Checkpoint { .. } => "checkpoint",
                Action::Rollback(_) => "rollback",
                Action::Fork { .. } => "fork",
            },
            Self::Stdin { .. } => "stdin",
            Self::Interrupt { .. } => "interrupt",
            Self::Complete { .. } => "complete",
            Self::Inspect { .. } => "inspect",
            Self::Ack { .. } => "ack",
            Self::Authenticate { .. } => "authenticate",
            Self::Ping { .. } => "ping",
            Self::Close { .. } => "close",
        }
    }

    fn from_fields(fields: &Fields<'_>) -> Result<Self, Refusal> {
        let kind = required(fields.get("type"), Field::text, "the name of a message")?;
        // The id first: a refusal that repeats it is worth more than one that cannot.
        let request = |action: Result<Action, Refusal>| {
            Ok(Self::Request(Request {
                id: request_id(fields)?,
                action: action?,
            }))
        };
        match kind.as_str() {
            "execute" => request(execute(fields).map(Action::Execute)),
            "cancel" => {
                request(request_id_in(fields.get("target")).map(|target| Action::Cancel { target }))
            }
            "checkpoint" => {
                request(checkpoint_name(fields.get("name")).map(|name| Action::Checkpoint { name }))
            }
            "rollback" => request(rollback_to(fields).map(Action::Rollback)),
            "fork" => request(fork(fields)),
            "stdin" => Ok(Self::Stdin {
                id: readable_id(fields),
                input: input(fields)?,
                turn: turn(fields)?,
            }),
            "interrupt" => Ok(Self::Interrupt {
                id: request_id(fields)?,
                turn: turn(fields)?,
            }),
            "complete" => Ok(Self::Complete {
                id: request_id(fields)?,
                at: code_cursor(fields)?,
            }),
            "inspect" => Ok(Self::Inspect {
                id: request_id(fields)?,
                at: code_cursor(fields)?,
            }),
            "ack" => Ok(Self::Ack {
                id: readable_id(fields),
                seq: Seq(required(
                    fields.get("seq"),
                    whole_from_0,
                    "the last `seq` read",
                )?),
            }),
            "authenticate" => Ok(Self::Authenticate {
                id: request_id(fields)?,
                token: token(fields)?,
            }),
            "ping" => Ok(Self::Ping {
                id: request_id(fields)?,
            }),
            "close" => Ok(Self::Close {
                id: request_id(fields)?,
            }),
            _ => Err(fields
                .get("type")
                .refused_as(ErrorCode::UnknownType)
                .refuse(&format!("one of {}", Self::TYPES.join(", ")))),
        }
    }
}

/// A field that must be there, read by `read`; `what` says what it would be.
fn required<'a, T>(
    field: Field<'a>,
    read: impl FnOnce(&Field<'a>) -> Result<Option<T>, Refusal>,
    what: &str,
) -> Result<T, Refusal> {
    read(&field)?.ok_or_else(|| field.refuse(what))
}

fn whole_from_0(field: &Field<'_>) -> Result<Option<u64>, Refusal> {
    field.whole(0)
}

/// The id to repeat in an `error`: none when it is missing or malformed itself.
fn readable_id(fields: &Fields<'_>) -> Option<RequestId> {
    request_id(fields).ok()
}

fn request_id(fields: &Fields<'_>) -> Result<RequestId, Refusal> {
    request_id_in(fields.get("id"))
}

fn request_id_in(field: Field<'_>) -> Result<RequestId, Refusal> {
    let bounded = |field: &Field<'_>| field.bounded_text(REQUEST_ID_CHARS);
    required(field, bounded, "text of 1 to 128 characters")?.try_into()
}

fn execute(fields: &Fields<'_>) -> Result<Execute, Refusal> {
    const CODE: &str = "text that is not empty";
    let code = fields.get("code").refused_as(ErrorCode::InvalidCode);
    let timeout = fields
        .get("timeout_seconds")
        .refused_as(ErrorCode::InvalidTimeout)
        .number(TIMEOUT_SECONDS)?;
    let stdin = fields.get("stdin").text()?;
    Ok(Execute {
        code: match required(code, Field::text, CODE)? {
            empty if empty.is_empty() => return Err(code.refuse(CODE)),
            code => code,
        },
        timeout: timeout.map(Duration::from_secs_f64),
        fuel: fields.get("fuel").whole(1)?,
        stdin_open: fields.get("stdin_open").flag()?.unwrap_or(stdin.is_none()),
        stdin,
        filename: filename(fields.get("filename"))?,
        durable: fields.get("durable").flag()?.unwrap_or(false),
    })
}

fn filename(field: Field<'_>) -> Result<Option<String>, Refusal> {
    let filename = field.bounded_text(FILENAME_CHARS)?;
    if filename
        .as_ref()
        .is_some_and(|name| name.contains(char::is_control))
    {
        return Err(field.refuse("text without control characters"));
    }
    Ok(filename)
}

fn checkpoint_name(field: Field<'_>) -> Result<Option<String>, Refusal> {
    field.bounded_text(CHECKPOINT_CHARS)
}

fn session_id(field: Field<'_>) -> Result<Option<SessionId>, Refusal> {
    Ok(field.text()?.map(|text| text.parse()).transpose()?)
}

fn turn(fields: &Fields<'_>) -> Result<Option<TurnNumber>, Refusal> {
    Ok(fields.get("turn").whole(1)?.map(TurnNumber))
}

fn rollback_to(fields: &Fields<'_>) -> Result<RollbackTo, Refusal> {
    let checkpoint = checkpoint_name(fields.get("checkpoint"))?;
    let turn = fields.get("turn").whole(0)?;
    match (checkpoint, turn) {
        (Some(checkpoint), None) => Ok(RollbackTo::Checkpoint(checkpoint)),
        (None, Some(turn)) => Ok(RollbackTo::Turn(TurnNumber(turn))),
        (None, None) => Err(fields
            .get("checkpoint")
            .refuse("the id or name of a checkpoint, or `turn` a turn's number")),
        (Some(_), Some(_)) => Err(fields
            .get("turn")
            .refuse("left out beside `checkpoint`: a state has one name")),
    }
}

fn fork(fields: &Fields<'_>) -> Result<Action, Refusal> {
    Ok(Action::Fork {
        session: session_id(fields.get("session"))?,
        checkpoint: checkpoint_name(fields.get("checkpoint"))?,
    })
}

fn input(fields: &Fields<'_>) -> Result<Input, Refusal> {
    let data = fields.get("data").text()?;
    let eof = fields.get("eof").flag()?.unwrap_or(false);
    match (data, eof) {
        (Some(data), false) => Ok(Input::Data(data)),
        (None, true) => Ok(Input::Eof),
        (None, false) => Err(fields
            .get("data")
            .refuse("text, or `eof` true to end the input")),
        (Some(_), true) => Err(fields
            .get("eof")
            .refuse("left out beside `data`: send the end of input after it")),
    }
}

fn code_cursor(fields: &Fields<'_>) -> Result<CodeCursor, Refusal> {
    let code = fields.get("code").refused_as(ErrorCode::InvalidCode);
    let code = required(code, Field::text, "text")?;
    let field = fields.get("cursor");
    let cursor = required(field, whole_from_0, "a place in `code`, in code points")?;
    let end = code.chars().count();
    match usize::try_from(cursor) {
        Ok(cursor) if cursor <= end => Ok(CodeCursor { code, cursor }),
        Ok(_) | Err(_) => Err(field.refuse(&format!("at most {end}, the code points of `code`"))),
    }
}

fn token(fields: &Fields<'_>) -> Result<Token, Refusal> {
    const TOKEN: &str = "a JWT";
    let field = fields.get("token");
    let token = required(field, Field::text, TOKEN)?;
    if token.is_empty() {
        return Err(field.refuse(TOKEN));
    }
    Ok(Token(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (Option<String>, Refusal) {
        match ClientMessage::parse(text) {
            Err(BadMessage::Refused { id, refusal }) => (id.map(String::from), refusal),
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn a_refusal_names_the_field_its_value_and_the_rule() {
        for (text, message) in [
            (
                r#"{"type":"execute","id":"a","code":"1","timeout_seconds":61}"#,
                "`timeout_seconds` is 61; it must be a number from 1 to 60",
            ),
            (
                r#"{"type":"execute","id":"a"}"#,
                "`code` is missing; it must be text that is not empty",
            ),
            (
                r#"{"type":"execute","id":"a","code":""}"#,
                "`code` is empty; it must be text that is not empty",
            ),
            (
                r#"{"type":"cancel","id":"a"}"#,
                "`target` is missing; it must be text of 1 to 128 characters",
            ),
            (
                r#"{"type":"interrupt","id":"a","turn":"3"}"#,
                "`turn` is \"3\"; it must be a whole number of at least 1",
            ),
            (
                r#"{"type":"complete","id":"a","code":"é","cursor":2}"#,
                "`cursor` is 2; it must be at most 1, the code points of `code`",
            ),
            (
                r#"{"type":"fork","id":"a","session":"../b"}"#,
                "session id \"../b\" is malformed: 1 to 128 of A-Z a-z 0-9 . _ -, the first a letter or digit",
            ),
        ] {
            assert_eq!(refused(text).1.message, message, "{text}");
        }
    }

    #[test]
    fn a_refusal_never_quotes_a_secret_or_more_than_a_bound_of_anything() {
        let secret = "hunter2".repeat(1_000);
        for text in [
            format!(r#"{{"type":"{secret}"}}"#),
            format!(r#"{{"type":"ping","id":"{secret}"}}"#),
            format!(r#"{{"type":"execute","id":"a","code":["{secret}"]}}"#),
            format!(r#"{{"type":"execute","id":"a","code":"1","filename":"{secret}"}}"#),
            format!(r#"{{"type":"fork","id":"a","session":"{secret}"}}"#),
        ] {
            let (_, refusal) = refused(&text);
            assert!(refusal.message.len() < 300, "{}", refusal.message);
        }
        let (_, refusal) = refused(r#"{"type":"authenticate","id":"a","token":"hunter2\ud800"}"#);
        assert!(!refusal.message.contains("hunter2"), "{}", refusal.message);
        let message = ClientMessage::parse(r#"{"type":"authenticate","id":"a","token":"hunter2"}"#);
        assert!(!format!("{message:?}").contains("hunter2"));
    }

    #[test]
    fn the_id_is_repeated_whenever_it_could_be_read() {
        let long = format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(129));
        for (text, id) in [
            (r#"{"type":"dance","id":"a"}"#, Some("a")),
            (r#"{"id":"a"}"#, Some("a")),
            (r#"{"type":"stdin","id":"a"}"#, Some("a")),
            (r#"{"type":"ack","id":"a"}"#, Some("a")),
            (r#"{"type":"ping","id":5}"#, None),
            (&long, None),
        ] {
            assert_eq!(refused(text).0.as_deref(), id, "{text}");
        }
    }
}
