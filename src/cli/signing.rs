//! The secret that this machine's gateway signs and verifies with: configured, or made once.

use std::io::ErrorKind;
use std::path::PathBuf;

use super::settings::make_data_dir;
use crate::auth::{Secret, SecretError};
use crate::config::Config;

const FILE_NAME: &str = "jwt-secret";

/// The configured secret; without any key configured, the one in the data directory, made now if it
/// is not there. `None` when only public keys are configured.
pub(super) fn load_or_create(config: &Config) -> anyhow::Result<Option<Secret>> {
    if !config.needs_generated_secret() {
        return Ok(config.jwt.secret.clone());
    }
    make_data_dir(&config.data_dir)?;
    Ok(Some(Secret::load_or_create(&path(config))?))
}

/// As [`load_or_create`], but makes none: `None` when there is none yet.
pub(super) fn load(config: &Config) -> anyhow::Result<Option<Secret>> {
    if !config.needs_generated_secret() {
        return Ok(config.jwt.secret.clone());
    }
    match Secret::load(&path(config)) {
        Ok(secret) => Ok(Some(secret)),
        Err(SecretError::Unreadable { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Where a made secret is kept.
pub(super) fn path(config: &Config) -> PathBuf {
    config.data_dir.join(FILE_NAME)
}
