//! Tokens against the whole judge: keys, header, signature and claims together.

mod claim_rules;
mod key_files;
mod minting;
mod signatures;
mod validity;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::signers::{RSA, Signer, base64url};
use super::*;
use crate::ids::Owner;

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "a test secret of at least 32 bytes, for tests only";

fn at(seconds: f64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs_f64(seconds)
}

fn now() -> SystemTime {
    at(NOW as f64)
}

fn alice() -> Value {
    json!({"sub": "alice", "exp": NOW + 60})
}

/// `alice` with members added or replaced; `null` removes one.
fn claims(changes: Value) -> Value {
    let mut claims = alice();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn with(mut jwk: Value, members: Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk
}

fn load_text(
    jwks: &str,
    secret: Option<&Secret>,
    algorithms: Option<&[Algorithm]>,
) -> Result<LoadedKeys, KeysError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.json");
    fs::write(&path, jwks).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    Keys::load(KeySources {
        secret,
        jwks: Some(&path),
        algorithms,
    })
}

fn load(keys: &[Value], algorithms: Option<&[Algorithm]>) -> Result<LoadedKeys, KeysError> {
    load_text(&json!({ "keys": keys }).to_string(), None, algorithms)
}

fn jwks_verifier(keys: &[Value]) -> Verifier {
    Verifier::new(load(keys, None).unwrap().keys, Expectations::default())
}

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn secret_keys() -> Keys {
    let secret = secret();
    let sources = KeySources {
        secret: Some(&secret),
        ..KeySources::default()
    };
    Keys::load(sources).unwrap().keys
}

fn secret_verifier() -> Verifier {
    Verifier::new(secret_keys(), Expectations::default())
}

/// What the gateway with [`SECRET`] says to these claims, well signed.
fn judge(claims: &Value) -> Result<Principal, Refusal> {
    judge_at(claims, NOW as f64)
}

fn judge_at(claims: &Value, seconds: f64) -> Result<Principal, Refusal> {
    secret_verifier().verify(&Signer::secret(SECRET).token("HS256", claims), at(seconds))
}

fn bad(claim: &'static str) -> impl Fn(&Refusal) -> bool {
    move |refusal| matches!(refusal, Refusal::BadClaim { claim: named, .. } if *named == claim)
}
