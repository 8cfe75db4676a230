//! One JSON Web Key: which algorithms it may serve here, or why it may not.
//!
//! A key that is not for us (another use, a type or curve we do not speak) is skipped; one that
//! claims to be for us and is broken or weak is an error, because it is somebody's mistake.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD_INDIFFERENT;
use serde::Deserialize;

use super::algorithm::{Algorithm, KeyKind};
use super::jws::VerifyingKey;
use super::secret::SECRET_BYTES_MIN;

/// RSA moduli that are neither weak nor a way to keep the processor busy.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A member of a JWK set, with what we read of it (RFC 7517 and 7518).
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    pub(super) kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
    d: Option<String>,
}

/// A key of the set, judged.
pub(super) enum Judged {
    Usable(UsableKey),
    Skipped(SkipReason),
}

/// A key that verifies at least one algorithm.
pub(super) struct UsableKey {
    pub(super) kid: Option<String>,
    pub(super) kind: KeyKind,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) verifying: VerifyingKey,
}

/// Why a key of the set is left alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkipReason {
    #[error("its use or key_ops is not the verification of signatures")]
    OtherUse,
    #[error("its kty or crv is not supported (RSA; EC P-256 or P-384; OKP Ed25519; oct)")]
    UnsupportedType,
    #[error("its alg is not known here or does not fit its kty and crv")]
    UnsupportedAlgorithm,
    #[error("none of its algorithms is allowed by WEIR_JWT_ALGORITHMS")]
    NotAllowed,
}

/// What is wrong with a key that is meant for us.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    #[error("it is not a JWK object with a kty, or a member has the wrong type")]
    NotAJwk,
    #[error("its member {0} is missing or is not base64url")]
    Component(&'static str),
    #[error("its RSA modulus has {bits} bits; use one of 2048 to 8192")]
    RsaSize { bits: usize },
    #[error("its RSA exponent is not an odd number from 3 to 4294967295")]
    RsaExponent,
    #[error("its x and y are not a point of its curve")]
    NotAPoint,
    #[error("its secret has {bytes} bytes and needs at least {min}")]
    ShortSecret { bytes: usize, min: usize },
}

impl Jwk {
    /// Whether the set carries the private half too, which has no business in a gateway.
    pub(super) fn is_private(&self) -> bool {
        self.d.is_some()
    }

    /// Judges the key; `allowed` is the configured list, `None` without one.
    pub(super) fn judge(self, allowed: Option<&[Algorithm]>) -> Result<Judged, KeyProblem> {
        let verifies = self
            .key_ops
            .as_ref()
            .is_none_or(|operations| operations.iter().any(|each| each == "verify"));
        if self.usage.as_ref().is_some_and(|usage| usage != "sig") || !verifies {
            return Ok(Judged::Skipped(SkipReason::OtherUse));
        }
        let Some(kind) = self.kind() else {
            return Ok(Judged::Skipped(SkipReason::UnsupportedType));
        };
        let pinned = match self.alg.as_deref().map(str::parse::<Algorithm>) {
            None => None,
            Some(Ok(pinned)) if pinned.key_kind() == kind => Some(pinned),
            Some(Ok(_) | Err(_)) => {
                return Ok(Judged::Skipped(SkipReason::UnsupportedAlgorithm));
            }
        };
        let algorithms = algorithms_of(kind, pinned, allowed);
        if algorithms.is_empty() {
            return Ok(Judged::Skipped(SkipReason::NotAllowed));
        }
        let verifying = self.verifying(kind, &algorithms)?;
        Ok(Judged::Usable(UsableKey {
            kid: self.kid,
            kind,
            algorithms,
            verifying,
        }))
    }

    fn kind(&self) -> Option<KeyKind> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("oct", _) => Some(KeyKind::Secret),
            ("RSA", _) => Some(KeyKind::Rsa),
            ("EC", Some("P-256")) => Some(KeyKind::P256),
            ("EC", Some("P-384")) => Some(KeyKind::P384),
            ("OKP", Some("Ed25519")) => Some(KeyKind::Ed25519),
            _ => None,
        }
    }

    fn verifying(
        &self,
        kind: KeyKind,
        algorithms: &[Algorithm],
    ) -> Result<VerifyingKey, KeyProblem> {
        match kind {
            KeyKind::Secret => {
                let secret = component("k", &self.k)?;
                let min = algorithms
                    .iter()
                    .map(|each| each.secret_bytes_min())
                    .fold(SECRET_BYTES_MIN, usize::max);
                if secret.len() < min {
                    return Err(KeyProblem::ShortSecret {
                        bytes: secret.len(),
                        min,
                    });
                }
                Ok(VerifyingKey::from_secret(&secret))
            }
            KeyKind::Rsa => rsa(&component("n", &self.n)?, &component("e", &self.e)?),
            KeyKind::P256 => self.point(32, &ECDSA_P256_SHA256_FIXED),
            KeyKind::P384 => self.point(48, &ECDSA_P384_SHA384_FIXED),
            KeyKind::Ed25519 => {
                let public = component("x", &self.x)?;
                ParsedPublicKey::new(&ED25519, &public).map_err(|_| KeyProblem::NotAPoint)?;
                Ok(VerifyingKey::from_ed25519(&public))
            }
        }
    }

    fn point(
        &self,
        coordinate_bytes: usize,
        curve: &'static dyn VerificationAlgorithm,
    ) -> Result<VerifyingKey, KeyProblem> {
        let (x, y) = (component("x", &self.x)?, component("y", &self.y)?);
        if x.len() != coordinate_bytes || y.len() != coordinate_bytes {
            return Err(KeyProblem::NotAPoint);
        }
        let point = [&[0x04], x.as_slice(), y.as_slice()].concat();
        ParsedPublicKey::new(curve, &point).map_err(|_| KeyProblem::NotAPoint)?;
        Ok(VerifyingKey::from_ec_point(&point))
    }
}

/// What a key may serve: its own `alg`, else what the configuration names for its kind, else the
/// default of its kind; never more than the configuration allows.
pub(super) fn algorithms_of(
    kind: KeyKind,
    pinned: Option<Algorithm>,
    allowed: Option<&[Algorithm]>,
) -> Vec<Algorithm> {
    match (pinned, allowed) {
        (Some(pinned), None) => vec![pinned],
        (None, None) => vec![kind.default_algorithm()],
        (Some(pinned), Some(allowed)) => {
            Vec::from_iter(allowed.contains(&pinned).then_some(pinned))
        }
        (None, Some(allowed)) => Vec::from_iter(
            Algorithm::ALL
                .into_iter()
                .filter(|each| each.key_kind() == kind && allowed.contains(each)),
        ),
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<VerifyingKey, KeyProblem> {
    // Some issuers write the sign byte of an ASN.1 integer; aws-lc refuses it.
    let (modulus, exponent) = (
        without_leading_zeros(modulus),
        without_leading_zeros(exponent),
    );
    let bits = modulus.first().map_or(0, |first| {
        modulus.len() * 8 - first.leading_zeros() as usize
    });
    if !RSA_BITS.contains(&bits) {
        return Err(KeyProblem::RsaSize { bits });
    }
    match exponent {
        [] | [1] => Err(KeyProblem::RsaExponent),
        [.., last] if last % 2 == 0 || exponent.len() > 4 => Err(KeyProblem::RsaExponent),
        [..] => Ok(VerifyingKey::from_rsa(modulus, exponent)),
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn component(name: &'static str, member: &Option<String>) -> Result<Vec<u8>, KeyProblem> {
    member
        .as_ref()
        .and_then(|text| URL_SAFE_NO_PAD_INDIFFERENT.decode(text).ok())
        .ok_or(KeyProblem::Component(name))
}
