//! The one table of what a client is told when it cannot have what it asked for.
//!
//! Every layer returns a [`Refusal`]; only this file knows which HTTP status or WebSocket close
//! code it becomes.

use std::fmt;

use super::json::Object;
use crate::ids::MalformedName;

/// A named reason with a sentence for a human: the value, the bound and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    pub code: ErrorCode,
    pub message: String,
}

impl Refusal {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The body of an HTTP refusal: `{"error":{"code":…,"message":…}}`.
    pub fn to_http_body(&self) -> String {
        let mut body = String::with_capacity(self.message.len() + 64);
        Object::write(&mut body, |object| {
            object.object("error", |error| {
                error
                    .text("code", self.code.as_str())
                    .text("message", &self.message);
            });
        });
        body
    }
}

impl From<MalformedName> for Refusal {
    fn from(malformed: MalformedName) -> Self {
        Self::new(ErrorCode::BadRequest, malformed.to_string())
    }
}

/// Why something was refused, by the name clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    BadRequest,
    UnknownType,
    InvalidCode,
    InvalidTimeout,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    TooLarge,
    UnsupportedMediaType,
    QueueFull,
    QuotaExceeded,
    RateLimited,
    Draining,
    Unavailable,
    Internal,
}

impl ErrorCode {
    /// Every code, in the order of its status.
    pub const ALL: [Self; 17] = [
        Self::BadRequest,
        Self::UnknownType,
        Self::InvalidCode,
        Self::InvalidTimeout,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::QueueFull,
        Self::QuotaExceeded,
        Self::RateLimited,
        Self::Internal,
        Self::Draining,
        Self::Unavailable,
    ];

    /// The table: name, HTTP status, and the code a socket closes with when this refusal ends it.
    /// Most refusals answer one message and leave the socket open.
    const fn row(self) -> (&'static str, u16, Option<CloseCode>) {
        match self {
            Self::BadRequest => ("bad_request", 400, Some(CloseCode::ProtocolViolation)),
            Self::UnknownType => ("unknown_type", 400, None),
            Self::InvalidCode => ("invalid_code", 400, None),
            Self::InvalidTimeout => ("invalid_timeout", 400, None),
            Self::Unauthorized => ("unauthorized", 401, Some(CloseCode::TokenExpired)),
            Self::Forbidden => ("forbidden", 403, Some(CloseCode::Forbidden)),
            Self::NotFound => ("not_found", 404, Some(CloseCode::SessionEnded)),
            Self::MethodNotAllowed => ("method_not_allowed", 405, None),
            Self::Conflict => ("conflict", 409, None),
            Self::TooLarge => ("too_large", 413, Some(CloseCode::MessageTooLarge)),
            Self::UnsupportedMediaType => ("unsupported_media_type", 415, None),
            Self::QueueFull => ("queue_full", 429, None),
            Self::QuotaExceeded => ("quota_exceeded", 429, Some(CloseCode::SlowDown)),
            Self::RateLimited => ("rate_limited", 429, Some(CloseCode::SlowDown)),
            Self::Internal => ("internal", 500, Some(CloseCode::Overloaded)),
            Self::Draining => ("draining", 503, Some(CloseCode::Draining)),
            Self::Unavailable => ("unavailable", 503, Some(CloseCode::Overloaded)),
        }
    }

    /// The name on the wire and in the metrics.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    pub const fn http_status(self) -> u16 {
        self.row().1
    }

    /// How a socket closes when it cannot go on after this refusal. None: it always can.
    pub const fn close_code(self) -> Option<CloseCode> {
        self.row().2
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the gateway closes a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    Closed,
    Draining,
    ProtocolViolation,
    TokenExpired,
    Forbidden,
    SessionEnded,
    HeartbeatMissed,
    MessageTooLarge,
    SlowDown,
    Overloaded,
}

/// What a client does well to do after its socket was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// The same again would end the same.
    Never,
    /// At once, with a fresh credential.
    Reauthenticated,
    /// At once, from its resume point.
    Now,
    /// From its resume point, after a growing and jittered wait.
    AfterBackoff,
}

impl CloseCode {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 10] = [
        Self::Closed,
        Self::Draining,
        Self::ProtocolViolation,
        Self::TokenExpired,
        Self::Forbidden,
        Self::SessionEnded,
        Self::HeartbeatMissed,
        Self::MessageTooLarge,
        Self::SlowDown,
        Self::Overloaded,
    ];

    /// The table: number, reason, and whether to come back.
    const fn row(self) -> (u16, &'static str, Retry) {
        match self {
            Self::Closed => (1000, "closed", Retry::Never),
            Self::Draining => (1001, "draining", Retry::AfterBackoff),
            Self::ProtocolViolation => (4400, "protocol violation", Retry::Never),
            Self::TokenExpired => (4401, "token expired", Retry::Reauthenticated),
            Self::Forbidden => (4403, "forbidden", Retry::Never),
            Self::SessionEnded => (4404, "session ended", Retry::Never),
            Self::HeartbeatMissed => (4408, "heartbeat missed", Retry::Now),
            Self::MessageTooLarge => (4413, "message too large", Retry::Never),
            Self::SlowDown => (4429, "slow down", Retry::AfterBackoff),
            Self::Overloaded => (4503, "overloaded", Retry::AfterBackoff),
        }
    }

    pub const fn number(self) -> u16 {
        self.row().0
    }

    /// The reason in the close frame, which has room for 123 bytes.
    pub const fn reason(self) -> &'static str {
        self.row().1
    }

    pub const fn retry(self) -> Retry {
        self.row().2
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_has_its_own_name_and_number() {
        let names: HashSet<_> = ErrorCode::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        let numbers: HashSet<_> = CloseCode::ALL.iter().map(|code| code.number()).collect();
        assert_eq!(numbers.len(), CloseCode::ALL.len());
    }

    #[test]
    fn a_close_reason_fits_its_frame() {
        for code in CloseCode::ALL {
            assert!(code.reason().len() <= 123, "{code:?}");
        }
    }

    #[test]
    fn the_http_body_survives_any_message() {
        let refusal = Refusal::new(ErrorCode::BadRequest, "role \"x\\\n\" is unknown");
        assert_eq!(
            refusal.to_http_body(),
            r#"{"error":{"code":"bad_request","message":"role \"x\\\n\" is unknown"}}"#
        );
    }
}
