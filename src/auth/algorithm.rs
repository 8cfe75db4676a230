//! The signature algorithms the gateway knows, and which kind of key can carry which.

use std::fmt;
use std::str::FromStr;

/// A JWS signature algorithm. `none` is not among them and cannot be spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// All of them, the default of each kind of key before its siblings.
    pub const ALL: [Algorithm; 12] = [
        Algorithm::Hs256,
        Algorithm::Hs384,
        Algorithm::Hs512,
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];

    /// What is allowed where the configuration names nothing: the default of each kind of key, so
    /// that a key without an `alg` of its own serves exactly one.
    pub const DEFAULTS: [Algorithm; 5] = [
        KeyKind::Secret.default_algorithm(),
        KeyKind::Rsa.default_algorithm(),
        KeyKind::P256.default_algorithm(),
        KeyKind::P384.default_algorithm(),
        KeyKind::Ed25519.default_algorithm(),
    ];

    /// The name in a token's `alg`, where case matters, and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::Hs384 => "HS384",
            Algorithm::Hs512 => "HS512",
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    /// The one kind of key that can carry it, which is what rules out key confusion.
    pub(super) fn key_kind(self) -> KeyKind {
        match self {
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => KeyKind::Secret,
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => KeyKind::Rsa,
            Algorithm::Es256 => KeyKind::P256,
            Algorithm::Es384 => KeyKind::P384,
            Algorithm::EdDsa => KeyKind::Ed25519,
        }
    }

    /// The fewest bytes of a shared secret: as many as the hash puts out (RFC 7518, 3.2).
    /// Zero for algorithms without a shared secret.
    pub(super) fn secret_bytes_min(self) -> usize {
        match self {
            Algorithm::Hs256 => 32,
            Algorithm::Hs384 => 48,
            Algorithm::Hs512 => 64,
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512
            | Algorithm::Es256
            | Algorithm::Es384
            | Algorithm::EdDsa => 0,
        }
    }

    /// Names with commas between, for messages.
    pub(super) fn list(algorithms: &[Algorithm]) -> String {
        let names: Vec<_> = algorithms.iter().map(|each| each.name()).collect();
        names.join(", ")
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Algorithm::ALL
            .into_iter()
            .find(|each| each.name() == text)
            .ok_or_else(|| UnknownAlgorithm {
                name: text.chars().take(40).collect(),
            })
    }
}

/// A name that is no algorithm of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("JWT algorithm {name:?} is not known; use one of {}", Algorithm::list(&Algorithm::ALL))]
pub struct UnknownAlgorithm {
    name: String,
}

/// What a key is made of, and so which algorithms it can ever serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    Secret,
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeyKind {
    /// What a key that names no `alg` of its own serves while the configuration names none either.
    pub(super) const fn default_algorithm(self) -> Algorithm {
        match self {
            KeyKind::Secret => Algorithm::Hs256,
            KeyKind::Rsa => Algorithm::Rs256,
            KeyKind::P256 => Algorithm::Es256,
            KeyKind::P384 => Algorithm::Es384,
            KeyKind::Ed25519 => Algorithm::EdDsa,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_back_and_none_is_no_name() {
        for each in Algorithm::ALL {
            assert_eq!(each.name().parse(), Ok(each));
        }
        for bad in ["none", "None", "NONE", "", "hs256", "HS256 ", "ES256K"] {
            assert!(bad.parse::<Algorithm>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_kind_of_key_serves_its_own_default() {
        for kind in [
            KeyKind::Secret,
            KeyKind::Rsa,
            KeyKind::P256,
            KeyKind::P384,
            KeyKind::Ed25519,
        ] {
            assert_eq!(kind.default_algorithm().key_kind(), kind);
        }
    }
}
