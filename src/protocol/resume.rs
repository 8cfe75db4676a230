//! What the query of a connection says about reading: from where, as whom, and how far ahead.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::client::ClientMessage;
use super::refusal::{ErrorCode, Refusal};
use crate::ids::{Epoch, Seq};

/// Where in the journal a client goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Resume {
    /// No `after`: only what comes from now on.
    #[default]
    FromNow,
    /// `after=0`: all that the journal still holds.
    FromStart,
    /// `after=<epoch>:<seq>`: what followed that event.
    After { epoch: Epoch, seq: Seq },
}

impl FromStr for Resume {
    type Err = Refusal;

    /// # Errors
    /// `bad_request`, unless `text` is `0` or `<epoch>:<seq>`.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text == "0" {
            return Ok(Self::FromStart);
        }
        let parsed = text.split_once(':').and_then(|(epoch, seq)| {
            Some(Self::After {
                epoch: epoch.parse().ok()?,
                seq: Seq(digits(seq)?),
            })
        });
        parsed.ok_or_else(|| malformed("after", text, "<epoch>:<seq> as received, or 0"))
    }
}

/// What a connection may do to its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    #[default]
    Writer,
    Viewer,
}

impl Role {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Viewer => "viewer",
        }
    }

    /// Whether a connection in this role may send `message`. A viewer that may not is answered
    /// `forbidden`.
    pub fn may_send(self, message: &ClientMessage) -> bool {
        match self {
            Self::Writer => true,
            Self::Viewer => match message {
                ClientMessage::Ack { .. }
                | ClientMessage::Authenticate { .. }
                | ClientMessage::Ping { .. } => true,
                ClientMessage::Request(_)
                | ClientMessage::Stdin { .. }
                | ClientMessage::Interrupt { .. }
                | ClientMessage::Complete { .. }
                | ClientMessage::Inspect { .. }
                | ClientMessage::Close { .. } => false,
            },
        }
    }
}

impl FromStr for Role {
    type Err = Refusal;

    /// # Errors
    /// `bad_request`, unless `text` is `writer` or `viewer`.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        match text {
            "writer" => Ok(Self::Writer),
            "viewer" => Ok(Self::Viewer),
            _ => Err(malformed("role", text, "writer or viewer")),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many bytes of events may be under way beyond the last `ack`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window(NonZeroU64);

impl Window {
    pub const fn bytes(self) -> u64 {
        self.0.get()
    }
}

impl FromStr for Window {
    type Err = Refusal;

    /// # Errors
    /// `bad_request`, unless `text` is a positive whole number below 2^64.
    fn from_str(text: &str) -> Result<Self, Refusal> {
        digits(text)
            .and_then(NonZeroU64::new)
            .map(Self)
            .ok_or_else(|| malformed("window", text, "a positive number of bytes"))
    }
}

/// Decimal digits and nothing else: `u64::from_str` alone would let a sign pass.
fn digits(text: &str) -> Option<u64> {
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

fn malformed(name: &str, text: &str, rule: &str) -> Refusal {
    let shown: String = text.chars().take(40).collect();
    Refusal::new(
        ErrorCode::BadRequest,
        format!("`{name}` is {shown:?}; it must be {rule}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resume_point_is_an_epoch_and_a_seq_or_zero() {
        assert_eq!("0".parse(), Ok(Resume::FromStart));
        assert_eq!(
            "k7m2:41".parse(),
            Ok(Resume::After {
                epoch: "k7m2".parse().unwrap(),
                seq: Seq(41),
            })
        );
        assert_eq!(
            "0:0".parse(),
            Ok(Resume::After {
                epoch: "0".parse().unwrap(),
                seq: Seq::ZERO,
            })
        );
        for bad in [
            "",
            "1",
            "00",
            "k7m2",
            "k7m2:",
            ":41",
            "k7m2:-1",
            "k7m2:+1",
            "k7m2: 1",
            "k7m2:1:2",
            "k_7:1",
            "k7m2:18446744073709551616",
            "k7m2:1e3",
            "é:1",
        ] {
            assert!(bad.parse::<Resume>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_window_is_a_positive_number_of_bytes() {
        assert_eq!("1".parse::<Window>().unwrap().bytes(), 1);
        assert_eq!("65536".parse::<Window>().unwrap().bytes(), 65_536);
        for bad in [
            "",
            "0",
            "000",
            "-1",
            "+1",
            "1.5",
            "64k",
            "18446744073709551616",
        ] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_role_is_one_of_two() {
        for role in [Role::Writer, Role::Viewer] {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("Writer".parse::<Role>().is_err());
    }

    #[test]
    fn a_refused_value_is_quoted_up_to_a_bound() {
        let refusal = "x".repeat(10_000).parse::<Role>().unwrap_err();
        assert_eq!(refusal.code, ErrorCode::BadRequest);
        assert!(refusal.message.len() < 120, "{}", refusal.message);
        assert!(refusal.message.ends_with("it must be writer or viewer"));
    }

    #[test]
    fn a_viewer_may_only_ping_ack_and_authenticate() {
        for (text, allowed) in [
            (r#"{"type":"ping","id":"1"}"#, true),
            (r#"{"type":"ack","seq":1}"#, true),
            (r#"{"type":"authenticate","id":"1","token":"t"}"#, true),
            (r#"{"type":"execute","id":"1","code":"1"}"#, false),
            (r#"{"type":"stdin","data":"x"}"#, false),
            (r#"{"type":"interrupt","id":"1"}"#, false),
            (r#"{"type":"cancel","id":"1","target":"0"}"#, false),
            (
                r#"{"type":"complete","id":"1","code":"x","cursor":1}"#,
                false,
            ),
            (
                r#"{"type":"inspect","id":"1","code":"x","cursor":1}"#,
                false,
            ),
            (r#"{"type":"close","id":"1"}"#, false),
        ] {
            let message = ClientMessage::parse(text).unwrap();
            assert_eq!(Role::Viewer.may_send(&message), allowed, "{text}");
            assert!(Role::Writer.may_send(&message), "{text}");
        }
    }
}
