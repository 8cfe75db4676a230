//! Log lines: where they go, how they look and which are kept. The custodian of
//! `tracing_subscriber`.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use super::outcome::Usage;
use crate::config::{Log, LogFormat};

/// Sends log lines to stderr from now on.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| {
        Usage(format!(
            "log = {:?} is not a tracing filter: {error}; write a level, or targets with levels, \
             such as info or weir=debug,warn",
            log.filter
        ))
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => lines.finish().try_init()?,
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}
