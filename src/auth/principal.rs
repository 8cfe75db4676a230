//! A caller whose token was verified: claims in, [`Principal`] out.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::ids::Owner;
use crate::limits::JWT_LEEWAY;

use super::claim_limits::ClaimLimits;
use super::refusal::Refusal;
use super::scopes::Scopes;
use super::verifier::Expectations;

/// Characters of a subject's or a tenant's name, none of them a control character.
pub const NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=256;

/// The last second of the year 9999. A larger number is no date: mostly it is in milliseconds.
pub(super) const NUMERIC_DATE_MAX: u64 = 253_402_300_799;

/// Who a caller is, for as long as the token lasts.
#[derive(Debug, Clone, PartialEq)]
pub struct Principal {
    /// Whose namespace the caller's own sessions live in.
    pub owner: Owner,
    pub scopes: Scopes,
    /// The token's `exp`, without the leeway.
    pub expires_at: SystemTime,
    /// What the token's `weir` claim lowers.
    pub lowered: ClaimLimits,
}

impl Principal {
    /// Judges the claims of a token whose signature has been verified.
    pub(super) fn from_claims(
        claims: &Map<String, Value>,
        expected: &Expectations,
        now: SystemTime,
    ) -> Result<Self, Refusal> {
        let expires_at = date(claims, "exp")?.ok_or(Refusal::MissingClaim("exp"))?;
        // RFC 7519 refuses a token *on* its `exp`; the leeway moves the edge, not its side.
        if now >= expires_at + JWT_LEEWAY {
            return Err(Refusal::Expired {
                at: unix_seconds(expires_at),
            });
        }
        if let Some(from) = date(claims, "nbf")?
            && now + JWT_LEEWAY < from
        {
            return Err(Refusal::NotYetValid {
                from: unix_seconds(from),
            });
        }
        check_audience(claims, &expected.audiences)?;
        check_issuer(claims, &expected.issuers)?;
        Ok(Self {
            owner: Owner {
                subject: name(claims, "sub")?.ok_or(Refusal::MissingClaim("sub"))?,
                tenant: name(claims, "tenant")?,
            },
            scopes: match present(claims, "scope") {
                None => Scopes::default(),
                Some(value) => Scopes::from_claim(value.as_str().ok_or(Refusal::BadClaim {
                    claim: "scope",
                    rule: "a string of words with spaces between",
                })?),
            },
            expires_at,
            lowered: present(claims, "weir")
                .map(ClaimLimits::from_claim)
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

/// Whether a subject or tenant may be called so.
pub(super) fn is_name(text: &str) -> bool {
    NAME_CHARS.contains(&text.chars().take(NAME_CHARS.end() + 1).count())
        && !text.chars().any(char::is_control)
}

/// A claim's value; `null` says as little as no claim.
fn present<'a>(claims: &'a Map<String, Value>, claim: &str) -> Option<&'a Value> {
    claims.get(claim).filter(|value| !value.is_null())
}

fn name(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<String>, Refusal> {
    match present(claims, claim) {
        None => Ok(None),
        Some(Value::String(text)) if is_name(text) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::BadClaim {
            claim,
            rule: "a string of 1 to 256 characters without control characters",
        }),
    }
}

/// A NumericDate: Unix seconds, a fraction allowed.
fn date(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<SystemTime>, Refusal> {
    let Some(value) = present(claims, claim) else {
        return Ok(None);
    };
    match value.as_f64() {
        Some(seconds) if (0.0..=NUMERIC_DATE_MAX as f64).contains(&seconds) => {
            Ok(Some(UNIX_EPOCH + Duration::from_secs_f64(seconds)))
        }
        Some(_) | None => Err(Refusal::BadClaim {
            claim,
            rule: "a number of Unix seconds (not milliseconds) up to the year 9999",
        }),
    }
}

/// One of our audiences must be among the token's; with none configured nothing is asked.
fn check_audience(claims: &Map<String, Value>, ours: &[String]) -> Result<(), Refusal> {
    const RULE: Refusal = Refusal::BadClaim {
        claim: "aud",
        rule: "a string or an array of strings",
    };
    if ours.is_empty() {
        return Ok(());
    }
    let value = present(claims, "aud").ok_or(Refusal::MissingClaim("aud"))?;
    let theirs: Vec<&str> = match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many
            .iter()
            .map(|each| each.as_str().ok_or(RULE))
            .collect::<Result<_, _>>()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err(RULE),
    };
    if theirs.iter().any(|each| ours.iter().any(|own| own == each)) {
        Ok(())
    } else {
        Err(Refusal::Audience)
    }
}

fn check_issuer(claims: &Map<String, Value>, trusted: &[String]) -> Result<(), Refusal> {
    if trusted.is_empty() {
        return Ok(());
    }
    match present(claims, "iss").ok_or(Refusal::MissingClaim("iss"))? {
        Value::String(issuer) if trusted.contains(issuer) => Ok(()),
        Value::String(_) => Err(Refusal::Issuer),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(Refusal::BadClaim {
                claim: "iss",
                rule: "a string",
            })
        }
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
