//! The signing secret, which no message, log line or debug output ever shows.

use std::ffi::OsStr;
use std::fmt;

use super::grammar::{Grammar, Kind};

/// A key for HS256. `Debug` tells its length only.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

/// Bytes as they stand, at least `Secret::BYTES_MIN`.
pub(super) struct SecretBytes;

impl Secret {
    /// HS256 wants a key no shorter than its hash.
    pub const BYTES_MIN: usize = 32;

    /// The bytes themselves. Whoever asks answers for where they go.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

impl Grammar for SecretBytes {
    type Value = Secret;

    fn kind(&self) -> Kind {
        Kind::Verbatim
    }

    fn placeholder(&self) -> &'static str {
        "SECRET"
    }

    fn rule(&self) -> String {
        format!("at least {} bytes", Secret::BYTES_MIN)
    }

    fn hint(&self) -> &'static str {
        "make one with `openssl rand -hex 32`"
    }

    fn parse(&self, text: &str) -> Option<Secret> {
        self.read(text.as_ref())
    }

    fn show(&self, value: &Secret) -> Option<String> {
        Some(format!("set ({} bytes)", value.0.len()))
    }

    fn read(&self, raw: &OsStr) -> Option<Secret> {
        let bytes = raw.as_encoded_bytes();
        (bytes.len() >= Secret::BYTES_MIN).then(|| Secret(bytes.into()))
    }

    fn quote(&self, raw: &OsStr) -> String {
        format!("a value of {} bytes (not shown)", raw.len())
    }
}
