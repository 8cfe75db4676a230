//! Signatures, and nothing else: the only file that names `jsonwebtoken`.
//!
//! The crate verifies (an HMAC in constant time, by aws-lc's own comparison) and signs. Its
//! `decode` is not used: that judges claims too, by the wall clock, with a leeway of a minute and
//! defaults of its own. Here claims are judged in `principal`, by the caller's clock.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey, Header};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;

/// Key material that can verify. Its `Debug` shows none of it.
#[derive(Debug, Clone)]
pub(super) struct VerifyingKey(DecodingKey);

impl VerifyingKey {
    pub(super) fn from_secret(secret: &[u8]) -> Self {
        Self(DecodingKey::from_secret(secret))
    }

    /// Big-endian modulus and exponent, without leading zeros.
    pub(super) fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        Self(DecodingKey::from_rsa_raw_components(modulus, exponent))
    }

    /// An uncompressed point: `0x04`, x, y.
    pub(super) fn from_ec_point(point: &[u8]) -> Self {
        // What the crate calls DER is handed on as it stands, and aws-lc takes the bare point.
        Self(DecodingKey::from_ec_der(point))
    }

    /// The 32 bytes of an Ed25519 public key.
    pub(super) fn from_ed25519(public: &[u8]) -> Self {
        Self(DecodingKey::from_ed_der(public))
    }
}

/// Why a token could not be opened with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unopened {
    /// Another key may still do.
    Signature,
    /// No key will.
    Malformed,
}

/// The claims of a token, if `key` signed it with exactly `algorithm`.
///
/// The token's own `alg` has no say: the caller has compared it with what the key serves.
pub(super) fn open(
    token: &str,
    key: &VerifyingKey,
    algorithm: Algorithm,
) -> Result<Map<String, Value>, Unopened> {
    let (message, signature) = token.rsplit_once('.').ok_or(Unopened::Malformed)?;
    let (_, payload) = message.split_once('.').ok_or(Unopened::Malformed)?;
    // An `Err` is a signature that is not base64url, or a key of another kind than the algorithm's.
    match jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.0, theirs(algorithm)) {
        Ok(true) => {}
        Ok(false) | Err(_) => return Err(Unopened::Signature),
    }
    let json = URL_SAFE_NO_PAD
        .decode(payload)
        .map_err(|_| Unopened::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Unopened::Malformed)
}

/// A token over `claims`, signed HS256. `None` if the crate fails to, which it has no way to.
pub(super) fn seal(secret: &[u8], claims: &Map<String, Value>) -> Option<String> {
    let header = Header::new(theirs(Algorithm::Hs256));
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret)).ok()
}

fn theirs(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
        Algorithm::Hs384 => jsonwebtoken::Algorithm::HS384,
        Algorithm::Hs512 => jsonwebtoken::Algorithm::HS512,
        Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::Rs384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::Rs512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::Ps256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::Ps384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::Ps512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::Es384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
    }
}
