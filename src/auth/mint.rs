//! Tokens of our own: what `weir token` prints.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

use crate::ids::Owner;

use super::claim_limits::ClaimLimits;
use super::jws;
use super::principal::{NUMERIC_DATE_MAX, is_name};
use super::scopes::Scopes;
use super::secret::Secret;
use super::verifier::TOKEN_BYTES_MAX;

/// What a minted token is to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    pub owner: Owner,
    pub scopes: Scopes,
    /// From now to `exp`; at least a second, fractions of one are dropped.
    pub ttl: Duration,
    pub lowered: ClaimLimits,
    pub audience: Option<String>,
    pub issuer: Option<String>,
}

/// A token for `claims`, signed HS256 with `secret`.
///
/// # Errors
/// Refuses what the gateway's own verifier would refuse, so that a printed token works.
pub fn mint(secret: &Secret, claims: &Claims, now: SystemTime) -> Result<String, MintError> {
    for (what, name) in [
        ("subject", Some(&claims.owner.subject)),
        ("tenant", claims.owner.tenant.as_ref()),
    ] {
        if name.is_some_and(|name| !is_name(name)) {
            return Err(MintError::Name { what });
        }
    }
    let issued_at = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let expires_at = issued_at.saturating_add(claims.ttl.as_secs());
    if claims.ttl.as_secs() == 0 || expires_at > NUMERIC_DATE_MAX {
        return Err(MintError::Ttl { ttl: claims.ttl });
    }
    let weir = claims.lowered.to_claim();
    // JSON has no NaN: a limit that cannot be written must not become no limit.
    if weir
        .as_ref()
        .map_or(Ok(ClaimLimits::default()), ClaimLimits::from_claim)
        != Ok(claims.lowered)
    {
        return Err(MintError::Limits {
            lowered: claims.lowered,
        });
    }
    let claims: Map<String, Value> = [
        ("sub", Some(claims.owner.subject.clone().into())),
        ("tenant", claims.owner.tenant.clone().map(Value::from)),
        ("scope", Some(claims.scopes.to_string().into())),
        ("iat", Some(issued_at.into())),
        ("exp", Some(expires_at.into())),
        ("aud", claims.audience.clone().map(Value::from)),
        ("iss", claims.issuer.clone().map(Value::from)),
        ("weir", weir),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    let token = jws::seal(secret.bytes(), &claims).ok_or(MintError::Unsigned)?;
    if token.len() > TOKEN_BYTES_MAX {
        return Err(MintError::TooLong { bytes: token.len() });
    }
    Ok(token)
}

/// Why no token was made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MintError {
    #[error("the {what} must have 1 to 256 characters, none of them a control character")]
    Name { what: &'static str },
    #[error("a time to live of {ttl:?} is not from 1 s to the end of the year 9999")]
    Ttl { ttl: Duration },
    #[error("the limits {lowered:?} are not a finite time above 0, memory and fuel of at least 1")]
    Limits { lowered: ClaimLimits },
    #[error("the token would have {bytes} bytes and may have at most {TOKEN_BYTES_MAX}")]
    TooLong { bytes: usize },
    #[error("the token could not be signed")]
    Unsigned,
}
