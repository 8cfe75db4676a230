//! Tokens, good and bad. Signed by hand, so that tests can say what the gateway's own mint would
//! refuse to.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

/// The claims of a token: `sub`, and `exp` in an hour, unless changed.
#[derive(Debug, Clone)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub fn of(subject: &str) -> Self {
        Self(Map::new())
            .with("sub", subject)
            .with("exp", from_now(3600))
    }

    pub fn with(mut self, claim: &str, value: impl Into<Value>) -> Self {
        self.0.insert(claim.to_owned(), value.into());
        self
    }

    pub fn without(mut self, claim: &str) -> Self {
        self.0.remove(claim);
        self
    }

    /// The token as the gateway's secret holder would sign it.
    pub fn hs256(&self, secret: &str) -> String {
        self.hmac("HS256", hmac::HMAC_SHA256, secret.as_bytes())
    }

    /// The token under a header of one's own, its HMAC by any key.
    pub fn hmac(&self, algorithm: &str, hash: hmac::Algorithm, key: &[u8]) -> String {
        let key = hmac::Key::new(hash, key);
        self.signed(&json!({"alg": algorithm, "typ": "JWT"}), |text| {
            hmac::sign(&key, text).as_ref().to_vec()
        })
    }

    /// The token under any header and signature.
    pub fn signed(&self, header: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let [header, claims] = [header.to_string(), Value::from(self.0.clone()).to_string()]
            .map(|part| URL_SAFE_NO_PAD.encode(part));
        let text = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
        format!("{text}.{signature}")
    }
}

/// Seconds since 1970, `seconds` from now.
pub fn from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + seconds
}
