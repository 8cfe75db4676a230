//! Settings that take one of a few names.

/// A closed set of values, each with the one name it has in every source.
pub(super) trait Choice: Copy + PartialEq + 'static {
    const NAMES: &'static [(&'static str, Self)];
}

/// How guests are metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metering {
    /// Fuel counts a turn's work, the epoch its time.
    FuelAndEpoch,
    /// Time only: faster guests, no `cpu_limit`.
    Epoch,
}

/// What `saved` promises to survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process.
    Process,
    /// The loss of power too: data is synced before `saved` is sent.
    Power,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line, for collectors.
    Json,
}

/// A JWS algorithm that a token may be signed with. The secret serves `Hs256` only, a JWKS file
/// only the others: a public key can never pass for a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256, by the configured or generated secret.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Whether a shared secret verifies it, rather than a public key.
    pub fn is_symmetric(self) -> bool {
        match self {
            Self::Hs256 => true,
            Self::Rs256
            | Self::Rs384
            | Self::Rs512
            | Self::Ps256
            | Self::Ps384
            | Self::Ps512
            | Self::Es256
            | Self::Es384
            | Self::EdDsa => false,
        }
    }
}

impl Choice for Metering {
    const NAMES: &'static [(&'static str, Self)] =
        &[("fuel+epoch", Self::FuelAndEpoch), ("epoch", Self::Epoch)];
}

impl Choice for Durability {
    const NAMES: &'static [(&'static str, Self)] =
        &[("process", Self::Process), ("power", Self::Power)];
}

impl Choice for LogFormat {
    const NAMES: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Choice for Algorithm {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("HS256", Self::Hs256),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];
}
