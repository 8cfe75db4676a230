//! `weir serve`: settings, log, interpreters, gateway, in this order.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

use super::progress::Progress;
use super::{logging, signing};
use crate::config::{Config, Flags, LogFormat, Sources};
use crate::guest::Interpreter;
use crate::interpreters::Catalogue;
use crate::provision::{self, Report};

/// The interpreter that every gateway offers.
const DEFAULT_LANGUAGE: &str = "python";

const EXAMPLES: &str = "\
Examples:
  weir serve
  weir serve --listen 127.0.0.1:9000 --log weir=debug,warn
  WEIR_JWT_SECRET=$(cat secret) weir serve --listen 0.0.0.0:8443 --tls-cert c.pem --tls-key k.pem

Each setting has three spellings, a flag, a variable of the environment and a key of the TOML file; the
first one that is given in this order counts. `weir config` shows all of them as they stand.";

/// Serves sessions until it is told to stop. The first start fetches and compiles Python (about two
/// minutes), every later one takes a fraction of a second.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Flags,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (config, _) = Config::load(&Sources::of_process(arguments.settings))?;
    logging::start(&config.log)?;
    let secret = signing::load_or_create(&config)?;
    if secret.is_some() && config.needs_generated_secret() {
        info!(path = %signing::path(&config).display(), "tokens are signed with a secret of our own");
    }
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .build()
        .context("cannot start the I/O threads")?;
    runtime.block_on(async {
        let python = python(&config).await?;
        crate::gateway::run(config, secret, python).await
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn python(config: &Config) -> anyhow::Result<Arc<Interpreter>> {
    let catalogue = Catalogue::builtin();
    let entry = catalogue
        .find(DEFAULT_LANGUAGE)
        .with_context(|| format!("the catalogue has no {DEFAULT_LANGUAGE}"))?;
    let metering = provision::metering(config.metering);
    let mut terminal = Progress::new();
    let in_place = std::io::stderr().is_terminal() && config.log.format == LogFormat::Text;
    let mut hear = |report: &Report| match report {
        _ if in_place => terminal.hear(report),
        Report::Step(line) => info!(step = line, "setting up"),
        Report::Still(_) => {}
    };
    let dir = &config.interpreters.dir;
    Ok(provision::provision(entry, dir, metering, &mut hear).await?)
}

/// Every connection is a descriptor, and the limit that shells set by default is for programs that
/// have few.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        warn!(%error, current = limit.current, "the limit on descriptors stays low");
    }
}
