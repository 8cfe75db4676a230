//! `weir doctor`: what this machine has and lacks, a line each, with what to do about it.

mod machine;
mod registries;

use std::fmt;
use std::net::TcpListener;
use std::process::ExitCode;

use super::outcome::{self, FAILED};
use super::settings::{self, Settings};
use super::signing;
use crate::auth::{Secret, SecretError};
use crate::config::Config;
use crate::interpreters::{Catalogue, Entry};
use crate::provision::{self, Condition, State};

/// Looks at everything a gateway needs, and says what is missing. Changes nothing.
#[derive(clap::Args)]
#[command(after_help = "Ends with 1 if any line says fail.", after_long_help = settings::NOTE)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: Settings,
}

/// One line of the report.
struct Finding {
    verdict: Verdict,
    /// What was looked at, what was found, and what to do.
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (config, _) = arguments.settings.load()?;
    let catalogue = Catalogue::builtin();
    let mut failed = false;
    let mut tell = |finding: Finding| {
        failed |= finding.verdict == Verdict::Fail;
        outcome::print(finding)
    };
    tell(settings_file(&config))?;
    machine::findings(&config, needs_setup(&catalogue, &config))
        .into_iter()
        .try_for_each(&mut tell)?;
    registries::findings(&catalogue, &config.interpreters.dir)?
        .into_iter()
        .try_for_each(&mut tell)?;
    for entry in catalogue.entries() {
        tell(interpreter(entry, &config))?;
    }
    tell(secret(&config))?;
    tell(listen(&config))?;
    Ok(ExitCode::from(if failed { FAILED } else { 0 }))
}

/// Whether some interpreter is still to be fetched or compiled.
fn needs_setup(catalogue: &Catalogue, config: &Config) -> bool {
    let metering = provision::metering(config.metering);
    let mut entries = catalogue.entries().iter();
    entries.any(|entry| {
        provision::has_guest(entry)
            && provision::state(entry, &config.interpreters.dir, metering) != State::Ready
    })
}

fn settings_file(config: &Config) -> Finding {
    match &config.file {
        Some(file) => Finding::ok(format!("settings: {} is in order", file.display())),
        None => Finding::ok("settings: no file; defaults, environment and flags"),
    }
}

fn interpreter(entry: &Entry, config: &Config) -> Finding {
    let Entry { name, version, .. } = entry;
    let this = format!("{name} {version}");
    if !provision::has_guest(entry) {
        let kind = entry.kind;
        return Finding::warn(format!("{this}: this build has no guest of kind {kind}"));
    }
    let metering = provision::metering(config.metering);
    let found = match provision::examine(entry, &config.interpreters.dir, metering) {
        Ok(Some(found)) => found,
        Ok(None) => {
            return Finding::warn(format!("{this}: not fetched; run `weir setup {name}`"));
        }
        Err(error) => return Finding::fail(format!("{this}: {error}")),
    };
    match (found.code, found.image) {
        (Condition::Whole { bytes: code }, Condition::Whole { bytes: image }) => {
            Finding::ok(format!(
                "{this}: ready; {} MB of code and {} MB of image have the right sha256",
                code / 1_000_000,
                image / 1_000_000
            ))
        }
        (Condition::Damaged(why), _) | (_, Condition::Damaged(why)) => Finding::fail(format!(
            "{this}: damaged: {why}; remove {} and run `weir setup {name}`",
            config.interpreters.dir.join("compiled").display()
        )),
        (Condition::Missing, _) => Finding::warn(format!(
            "{this}: not compiled for metering {}; run `weir setup {name}`",
            metering.name()
        )),
        (_, Condition::Missing) => {
            Finding::warn(format!("{this}: it has no image; run `weir setup {name}`"))
        }
    }
}

fn secret(config: &Config) -> Finding {
    if !config.needs_generated_secret() {
        return Finding::ok("tokens: the secret or keys are configured");
    }
    let path = signing::path(config);
    match Secret::load(&path) {
        Ok(_) => Finding::ok(format!("tokens: signed with {}", path.display())),
        Err(SecretError::Unreadable { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Finding::ok("tokens: `weir serve` will make a secret at its first start")
        }
        Err(error) => Finding::fail(format!("tokens: {}", outcome::one_line(&error.into()))),
    }
}

fn listen(config: &Config) -> Finding {
    let address = config.listen;
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(format!("listen: {address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Finding::warn(format!(
            "listen: {address} is taken, perhaps by a gateway that runs; another one needs its own \
             WEIR_LISTEN"
        )),
        Err(error) => Finding::fail(format!(
            "listen: {address} cannot be used: {error}; choose another WEIR_LISTEN"
        )),
    }
}

impl Finding {
    fn ok(text: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, text)
    }

    fn warn(text: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, text)
    }

    fn fail(text: impl Into<String>) -> Self {
        Self::new(Verdict::Fail, text)
    }

    fn new(verdict: Verdict, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { verdict, text }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        };
        write!(f, "{verdict:4}  {}", self.text)
    }
}
