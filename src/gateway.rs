//! PLACEHOLDER: the gateway itself is written elsewhere and takes this file's place.

use std::sync::Arc;

use crate::auth::Secret;
use crate::config::Config;
use crate::guest::Interpreter;

/// Serves until it is told to stop. `secret` is the HS256 key, configured or made.
///
/// # Errors
/// Always, for now.
pub async fn run(
    config: Config,
    secret: Option<Secret>,
    python: Arc<Interpreter>,
) -> anyhow::Result<()> {
    let _ = (config, secret, python);
    anyhow::bail!("this build has no gateway yet")
}
