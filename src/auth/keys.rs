//! The keys that can vouch for a token: the shared secret, a JWKS file, or both.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::algorithm::{Algorithm, KeyKind};
use super::jwks::{Judged, Jwk, KeyProblem, SkipReason, UsableKey, algorithms_of};
use super::jws::{self, Unopened, VerifyingKey};
use super::refusal::Refusal;
use super::secret::Secret;

/// A JWKS file longer than this is some other file.
const JWKS_BYTES_MAX: u64 = 1 << 20;
/// Keys in one JWKS file: a token without `kid` may be tried against each of them.
const JWKS_KEYS_MAX: usize = 64;

/// Where keys come from.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeySources<'a> {
    /// `WEIR_JWT_SECRET`, or the secret made in the data directory. Serves HS256 only.
    pub secret: Option<&'a Secret>,
    /// `WEIR_JWT_KEYS`.
    pub jwks: Option<&'a Path>,
    /// `WEIR_JWT_ALGORITHMS`: no key serves any other algorithm. `None`: what the keys carry.
    pub algorithms: Option<&'a [Algorithm]>,
}

/// An immutable set of at least one key. Cheap to clone; its `Debug` shows no key material.
#[derive(Debug, Clone)]
pub struct Keys {
    keys: Arc<[Key]>,
}

/// One key and the algorithms it serves. A token's `alg` picks among these; it cannot make a key
/// serve another.
#[derive(Debug)]
struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    verifying: VerifyingKey,
}

/// Keys, and what the operator should hear about the rest of the file.
#[derive(Debug)]
pub struct LoadedKeys {
    pub keys: Keys,
    pub warnings: Vec<KeyWarning>,
}

impl Keys {
    /// Reads every source. Blocks on the file system. For a reload, call it again and swap: on an
    /// error the keys in use stay as they are.
    ///
    /// # Errors
    /// An unreadable or malformed file, a weak or broken key in it, or no usable key at all.
    pub fn load(sources: KeySources<'_>) -> Result<LoadedKeys, KeysError> {
        let mut keys = Vec::new();
        let mut warnings = Vec::new();
        if let Some(secret) = sources.secret {
            let algorithms =
                algorithms_of(KeyKind::Secret, Some(Algorithm::Hs256), sources.algorithms);
            if algorithms.is_empty() {
                warnings.push(KeyWarning::SecretUnused);
            } else {
                keys.push(Key {
                    kid: None,
                    algorithms,
                    verifying: VerifyingKey::from_secret(secret.bytes()),
                });
            }
        }
        if let Some(path) = sources.jwks {
            load_jwks(path, sources.algorithms, &mut keys, &mut warnings)?;
        }
        if keys.is_empty() {
            return Err(KeysError::NoUsableKey {
                skipped: warnings.len(),
            });
        }
        let keys = Keys { keys: keys.into() };
        Ok(LoadedKeys { keys, warnings })
    }

    /// Every algorithm that some key serves.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        Algorithm::ALL
            .into_iter()
            .filter(|each| self.serving(*each).next().is_some())
            .collect()
    }

    /// The claims of a token that one of the keys signed with `algorithm`.
    ///
    /// `kid` chooses among the keys that have one; a key without (the secret) is always tried.
    pub(super) fn open(
        &self,
        token: &str,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<Map<String, Value>, Refusal> {
        if self.serving(algorithm).next().is_none() {
            return Err(self.refused_algorithm());
        }
        let mut refusal = Refusal::UnknownKey;
        for key in self.serving(algorithm).filter(|key| key.is_named(kid)) {
            match jws::open(token, &key.verifying, algorithm) {
                Ok(claims) => return Ok(claims),
                Err(Unopened::Signature) => refusal = Refusal::BadSignature,
                Err(Unopened::Malformed) => return Err(Refusal::Malformed),
            }
        }
        Err(refusal)
    }

    /// The refusal of a token whose `alg` no key serves.
    pub(super) fn refused_algorithm(&self) -> Refusal {
        Refusal::Algorithm {
            accepted: Algorithm::list(&self.algorithms()),
        }
    }

    fn serving(&self, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.keys
            .iter()
            .filter(move |key| key.algorithms.contains(&algorithm))
    }
}

impl Key {
    fn is_named(&self, kid: Option<&str>) -> bool {
        match (self.kid.as_deref(), kid) {
            (Some(own), Some(asked)) => own == asked,
            (None, _) | (_, None) => true,
        }
    }
}

/// What an operator should know about keys that loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyWarning {
    #[error("the JWT secret is not used: WEIR_JWT_ALGORITHMS does not list HS256")]
    SecretUnused,
    /// `position` counts from 1.
    #[error("key {position} of {path:?} (kid {kid:?}) is skipped: {reason}")]
    Skipped {
        path: PathBuf,
        position: usize,
        kid: Option<String>,
        reason: SkipReason,
    },
    /// `position` counts from 1.
    #[error(
        "key {position} of {path:?} carries its private half; the gateway needs the public one"
    )]
    PrivateHalf { path: PathBuf, position: usize },
    #[error("{path:?} holds a shared secret and has mode {mode:04o}; `chmod 600` keeps it one")]
    SecretExposed { path: PathBuf, mode: u32 },
}

/// Why there are no keys. No message contains key material.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("cannot read the JWKS file {path:?}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path:?} has more than {JWKS_BYTES_MAX} bytes: it is not a JWKS file")]
    TooLarge { path: PathBuf },
    // The parser's own message may quote the file, so only its place is kept.
    #[error("{path:?} is not a JWK set ({{\"keys\": […]}}): line {line}, column {column}")]
    NotAJwkSet {
        path: PathBuf,
        line: usize,
        column: usize,
    },
    #[error("{path:?} has {count} keys and may have at most {JWKS_KEYS_MAX}")]
    TooManyKeys { path: PathBuf, count: usize },
    /// `position` counts from 1.
    #[error("key {position} of {path:?} (kid {kid:?}) is refused: {problem}")]
    Key {
        path: PathBuf,
        position: usize,
        kid: Option<String>,
        problem: KeyProblem,
    },
    #[error(
        "no key can verify a token ({skipped} skipped); set WEIR_JWT_SECRET or WEIR_JWT_KEYS, \
         and see that WEIR_JWT_ALGORITHMS lists what they carry"
    )]
    NoUsableKey { skipped: usize },
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Value>,
}

fn load_jwks(
    path: &Path,
    allowed: Option<&[Algorithm]>,
    keys: &mut Vec<Key>,
    warnings: &mut Vec<KeyWarning>,
) -> Result<(), KeysError> {
    let (set, mode) = read_jwks(path)?;
    let mut holds_secret = false;
    for (position, value) in (1..).zip(set.keys) {
        let kid = value["kid"].as_str().map(shortened);
        let refused = |problem| KeysError::Key {
            path: path.to_owned(),
            position,
            kid: kid.clone(),
            problem,
        };
        let jwk: Jwk = serde_json::from_value(value).map_err(|_| refused(KeyProblem::NotAJwk))?;
        let is_private = jwk.is_private();
        match jwk.judge(allowed).map_err(refused)? {
            Judged::Skipped(reason) => warnings.push(KeyWarning::Skipped {
                path: path.to_owned(),
                position,
                kid,
                reason,
            }),
            Judged::Usable(UsableKey {
                kid,
                kind,
                algorithms,
                verifying,
            }) => {
                holds_secret |= kind == KeyKind::Secret;
                keys.push(Key {
                    kid,
                    algorithms,
                    verifying,
                });
            }
        }
        if is_private {
            warnings.push(KeyWarning::PrivateHalf {
                path: path.to_owned(),
                position,
            });
        }
    }
    if holds_secret && mode & 0o077 != 0 {
        warnings.push(KeyWarning::SecretExposed {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

/// The set and the file's permission bits.
fn read_jwks(path: &Path) -> Result<(JwkSet, u32), KeysError> {
    let unreadable = |source| KeysError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    let mut bytes = Vec::new();
    file.take(JWKS_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > JWKS_BYTES_MAX {
        return Err(KeysError::TooLarge {
            path: path.to_owned(),
        });
    }
    let set: JwkSet = serde_json::from_slice(&bytes).map_err(|error| KeysError::NotAJwkSet {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
    })?;
    if set.keys.len() > JWKS_KEYS_MAX {
        return Err(KeysError::TooManyKeys {
            path: path.to_owned(),
            count: set.keys.len(),
        });
    }
    Ok((set, mode))
}

/// A `kid` for a message.
fn shortened(kid: &str) -> String {
    kid.chars().take(64).collect()
}
