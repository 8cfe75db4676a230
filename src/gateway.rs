//! The composition root: builds the parts in order, serves, and drains them in reverse.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::auth::{Expectations, KeySources, Keys, Origins, Secret, Verifier};
use crate::config::Config;
use crate::guest::{GuestThreads, Interpreter};
use crate::metrics::Metrics;
use crate::server::tls::ServerTls;
use crate::server::{self, Connections, Phase, Server};
use crate::session::{Drain, Sessions};

/// The name of a generated secret, in the data directory.
pub const SECRET_FILE: &str = "jwt-secret";
/// How long clients may take to leave once everything is at rest.
const LEAVE_PATIENCE: Duration = Duration::from_secs(5);

/// An interpreter that sessions can be started in.
pub struct Offered {
    pub name: String,
    pub aliases: Vec<String>,
    pub version: String,
    pub interpreter: Arc<Interpreter>,
}

/// The secret that signs and checks tokens: the configured one, or one made in the data directory
/// when neither a secret nor a key file is configured.
///
/// # Errors
/// When the generated secret cannot be read or made.
pub fn secret(config: &Config) -> anyhow::Result<Option<Secret>> {
    if !config.needs_generated_secret() {
        return Ok(config.jwt.secret.clone());
    }
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("making the data directory {}", config.data_dir.display()))?;
    let path = config.data_dir.join(SECRET_FILE);
    Ok(Some(Secret::load_or_create(&path)?))
}

/// Serves until SIGTERM or SIGINT, and then drains. `ready` is told the address once connections
/// are accepted.
///
/// # Errors
/// When a part cannot be built: an address in use, a bad key, a thread that does not start.
pub async fn run(
    config: &Config,
    offered: Vec<Offered>,
    ready: impl FnOnce(&str),
) -> anyhow::Result<()> {
    raise_descriptor_limit(config.limits.connections_max);
    let limits = Arc::new(config.limits.clone());
    let metrics = Metrics::new();
    let (verifiers, verifier) = watch::channel(Arc::new(verifier(config)?));
    let tls = config
        .tls
        .files()
        .map(|files| load_tls(files.cert, files.key))
        .transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let threads: NonZeroUsize = config.guest_threads.count();
    let threads = Arc::new(GuestThreads::start(threads).context("starting the guest threads")?);
    let mut sessions = Sessions::builder(threads, limits.clone(), metrics.clone());
    for language in offered {
        sessions = sessions.language(
            &language.name,
            &language.aliases,
            &language.version,
            language.interpreter,
            config.spares,
        );
    }
    let sessions = sessions.build();
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("listening on {}", config.listen))?;
    let address = listener.local_addr().context("the listening address")?;

    let (phase, phases) = watch::channel(Phase::Serving);
    let (leave, leaves) = watch::channel(false);
    let connections = Arc::new(Connections::default());
    let server = Arc::new(Server {
        sessions: sessions.clone(),
        limits: limits.clone(),
        metrics,
        verifier,
        origins: Origins::new(config.allowed_origins.iter().cloned()),
        phase: phases,
        leave: leaves,
        connections: connections.clone(),
    });
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut reload = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let accepting = tokio::spawn(server::serve(server, listener, tls));
    ready(&format!("{scheme}://{address}"));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = reload.recv() => match self::verifier(config) {
                Ok(fresh) => {
                    verifiers.send_replace(Arc::new(fresh));
                    info!("keys reloaded");
                }
                Err(error) => warn!(error = format!("{error:#}"), "the keys stay as they are"),
            },
        }
    }

    info!(grace_seconds = limits.drain.as_secs(), "draining");
    phase.send_replace(Phase::Draining);
    sessions.drain(Drain::Closing);
    if tokio::time::timeout(limits.drain, sessions.at_rest())
        .await
        .is_err()
    {
        sessions.drain(Drain::Stopping);
        // The ladder ends what does not listen within two seconds.
        let _ = tokio::time::timeout(LEAVE_PATIENCE, sessions.at_rest()).await;
    }
    leave.send_replace(true);
    if tokio::time::timeout(LEAVE_PATIENCE, connections.none())
        .await
        .is_err()
    {
        warn!("some clients did not leave in time");
    }
    accepting.abort();
    info!("drained");
    Ok(())
}

/// Lets this process have as many descriptors as the system allows it, and says so when that is
/// fewer than connections may be open.
fn raise_descriptor_limit(connections_max: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        warn!(%error, "the descriptor limit stays as it is");
    }
    let descriptors = getrlimit(Resource::Nofile).current;
    if descriptors.is_some_and(|descriptors| descriptors < connections_max as u64) {
        warn!(
            descriptors,
            connections_max, "fewer descriptors than connections may be had; raise `ulimit -n`"
        );
    }
}

fn verifier(config: &Config) -> anyhow::Result<Verifier> {
    let secret = secret(config)?;
    let loaded = Keys::load(KeySources {
        secret: secret.as_ref(),
        jwks: config.jwt.keys.as_deref(),
        algorithms: Some(&config.jwt.algorithms),
    })?;
    for warning in &loaded.warnings {
        warn!(%warning, "a key is not used as it stands");
    }
    Ok(Verifier::new(
        loaded.keys,
        Expectations {
            audiences: config.jwt.audience.clone(),
            issuers: config.jwt.issuer.clone(),
        },
    ))
}

fn load_tls(cert: &Path, key: &Path) -> anyhow::Result<ServerTls> {
    let loaded = ServerTls::load(cert, key)?;
    for warning in &loaded.warnings {
        warn!(%warning, "tls");
    }
    Ok(loaded.tls)
}
