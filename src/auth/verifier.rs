//! The one judge of tokens: bounds, header, signature, claims, in this order.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::keys::Keys;
use super::principal::Principal;
use super::refusal::Refusal;

/// No token is longer; looked at before anything else.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// What a token must say besides who its bearer is. An empty list asks nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expectations {
    /// `WEIR_JWT_AUDIENCE`: `aud` is required and one of its values must be one of these.
    pub audiences: Vec<String>,
    /// `WEIR_JWT_ISSUER`: `iss` is required and must be one of these.
    pub issuers: Vec<String>,
}

/// Turns tokens into principals. Immutable: share it, and swap it whole when keys change.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: Keys,
    expected: Expectations,
}

impl Verifier {
    pub fn new(keys: Keys, expected: Expectations) -> Self {
        Self { keys, expected }
    }

    /// Who `token` makes its bearer at `now`.
    ///
    /// Pure computation of well under a millisecond with few keys: fit for an I/O thread.
    /// Signatures are compared by aws-lc, in constant time where a secret is at stake.
    ///
    /// # Errors
    /// The first [`Refusal`] that applies. Claims are judged only once the signature has been
    /// verified, so a stranger learns nothing from them.
    pub fn verify(&self, token: &str, now: SystemTime) -> Result<Principal, Refusal> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refusal::TooLong {
                bytes: token.len(),
                max: TOKEN_BYTES_MAX,
            });
        }
        if !is_compact_jws(token) {
            return Err(Refusal::Malformed);
        }
        let header = header_of(token).ok_or(Refusal::Malformed)?;
        // An extension that must be understood; we understand none.
        if header.contains_key("crit") {
            return Err(Refusal::Malformed);
        }
        let algorithm = match header.get("alg").and_then(Value::as_str).map(str::parse) {
            Some(Ok(algorithm)) => algorithm,
            Some(Err(_)) => return Err(self.keys.refused_algorithm()),
            None => return Err(Refusal::Malformed),
        };
        let kid = match header.get("kid") {
            None | Some(Value::Null) => None,
            Some(Value::String(kid)) => Some(kid.as_str()),
            Some(_) => return Err(Refusal::Malformed),
        };
        let claims = self.keys.open(token, algorithm, kid)?;
        Principal::from_claims(&claims, &self.expected, now)
    }
}

/// Whether `text` has the shape of a token: three base64url parts with dots between. The third is
/// empty in an unsigned token, which is refused later, for its algorithm.
pub(super) fn is_compact_jws(text: &str) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut parts = text.split('.');
    let three = [parts.next(), parts.next(), parts.next()];
    parts.next().is_none()
        && matches!(three, [Some(header), Some(payload), Some(signature)]
            if !header.is_empty() && !payload.is_empty()
                && [header, payload, signature].iter().all(|part| part.bytes().all(base64url)))
}

/// The header of what has the shape of a token, if it is a JSON object.
pub(super) fn header_of(token: &str) -> Option<Map<String, Value>> {
    let (header, _) = token.split_once('.')?;
    let json = URL_SAFE_NO_PAD.decode(header).ok()?;
    serde_json::from_slice(&json).ok()
}
