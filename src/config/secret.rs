//! How the signing secret is given. No message, log line or debug output ever shows it.

use std::ffi::OsStr;

use super::grammar::{Grammar, Kind};
use crate::auth::{SECRET_BYTES_MIN, Secret};

/// Bytes as they stand, at least `SECRET_BYTES_MIN`.
pub(super) struct SecretBytes;

impl Grammar for SecretBytes {
    type Value = Secret;

    fn kind(&self) -> Kind {
        Kind::Verbatim
    }

    fn placeholder(&self) -> &'static str {
        "SECRET"
    }

    fn rule(&self) -> String {
        format!("at least {SECRET_BYTES_MIN} bytes")
    }

    fn hint(&self) -> &'static str {
        "make one with `openssl rand -hex 32`"
    }

    fn parse(&self, text: &str) -> Option<Secret> {
        self.read(text.as_ref())
    }

    fn show(&self, value: &Secret) -> Option<String> {
        Some(format!("set ({} bytes)", value.byte_count()))
    }

    fn read(&self, raw: &OsStr) -> Option<Secret> {
        Secret::new(raw.as_encoded_bytes()).ok()
    }

    fn quote(&self, raw: &OsStr) -> String {
        format!("a value of {} bytes (not shown)", raw.len())
    }
}
