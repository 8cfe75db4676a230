//! `weir serve`: settings, log, interpreters, gateway, in this order.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context;
use tracing::info;

use super::progress::Progress;
use super::{logging, signing};
use crate::config::{Config, Flags, LogFormat, Sources};
use crate::gateway::{self, Offered};
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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .build()
        .context("cannot start the I/O threads")?;
    runtime.block_on(async {
        let python = python(&config).await?;
        gateway::run(&config, secret, vec![python], announce).await
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The one line that says that connections are accepted, and how to make one.
fn announce(url: &str) {
    println!(
        "ready at {url} - connect with `weir connect --url {url}`, or get a token with \
         `weir token --sub me`"
    );
}

async fn python(config: &Config) -> anyhow::Result<Offered> {
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
    Ok(Offered {
        name: entry.name.to_string(),
        aliases: entry.aliases.iter().map(ToString::to_string).collect(),
        version: entry.version.to_string(),
        interpreter: provision::provision(entry, dir, metering, &mut hear).await?,
    })
}
