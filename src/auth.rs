//! Who a caller is: from the bytes of a request to a [`Principal`], or to a [`Refusal`].
//!
//! Pure, apart from reading key files at start-up and on reload: no clock (`now` is a parameter),
//! no network, no HTTP types. What a principal may do with whose session is `server`'s business.
//! [`Verifier`] and [`Keys`] are immutable; a reload builds new ones and swaps them whole.
//!
//! Custodian of `jsonwebtoken` (named in `auth/jws.rs` only) and of `aws-lc-rs` for keys.

mod algorithm;
mod bearer;
mod claim_limits;
mod jwks;
mod jws;
mod keys;
mod mint;
mod origin;
mod principal;
mod refusal;
mod scopes;
mod secret;
mod verifier;

#[cfg(test)]
mod signers;
#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use bearer::{MalformedCredential, from_authorization, from_subprotocols, query_token_name};
pub use claim_limits::ClaimLimits;
pub use jwks::{KeyProblem, SkipReason};
pub use keys::{KeySources, KeyWarning, Keys, KeysError, LoadedKeys};
pub use mint::{Claims, MintError, mint};
pub use origin::{MalformedOrigin, Origin, Origins};
pub use principal::{NAME_CHARS, Principal};
pub use refusal::Refusal;
pub use scopes::{Scope, Scopes, UnknownScope};
pub use secret::{SECRET_BYTES_MIN, Secret, SecretError};
pub use verifier::{Expectations, TOKEN_BYTES_MAX, Verifier};
