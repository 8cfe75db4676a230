//! Why a token does not make its bearer anybody.

/// Why a token was refused; every variant is HTTP 401 and the code `unauthorized`.
///
/// The message is fit for a stranger: short, without any part of the token and without anything
/// secret. Nothing a claim says is told before the signature has been verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the token has {bytes} bytes and may have at most {max}")]
    TooLong { bytes: usize, max: usize },
    #[error("the token is not a JWT")]
    Malformed,
    #[error("the token's algorithm is not accepted here; use one of {accepted}")]
    Algorithm { accepted: String },
    #[error("the token names a key (kid) that this gateway does not have")]
    UnknownKey,
    #[error("the token's signature does not verify")]
    BadSignature,
    /// `at` is the claim in whole Unix seconds.
    #[error("the token expired at {at} (Unix time); ask its issuer for a fresh one")]
    Expired { at: u64 },
    /// `from` is the claim in whole Unix seconds.
    #[error("the token is not valid before {from} (Unix time)")]
    NotYetValid { from: u64 },
    #[error("the token is meant for another audience (aud)")]
    Audience,
    #[error("the token comes from an issuer (iss) that is not trusted here")]
    Issuer,
    #[error("the token lacks the claim {0}")]
    MissingClaim(&'static str),
    #[error("the token's claim {claim} must be {rule}")]
    BadClaim {
        claim: &'static str,
        rule: &'static str,
    },
}
