//! From an entry of the catalogue to an interpreter that guests can be started of.
//!
//! fetch and verify (`interpreters`) ──▶ the read-only tree ──▶ compile and take the image (`guest`).
//! Each is done once; when all of it is there, this takes some 100 ms.

mod surroundings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config;
use crate::guest::{self, Interpreter, Language, Metering, Plan, Python, SetupError};
use crate::interpreters::{
    self, Artifacts, Clients, Entry, FetchError, Kind, available_memory_bytes,
};

pub use crate::guest::{Condition, Examination, SetupReport as Report};
pub use surroundings::SurroundingsError;

/// Below the directory of interpreters: compiled code and images.
const COMPILED: &str = "compiled";
/// Reports of a fetch that wait to be heard.
const REPORTS_WAITING: usize = 16;

/// Why an interpreter is not ready. One line each, with the way out.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(
        "{name} cannot be served: this build has no guest of kind {kind}; `weir interpreters` \
         lists those it has"
    )]
    NoGuest { name: String, kind: Kind },
    #[error(transparent)]
    Surroundings(#[from] SurroundingsError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("setting up {name} broke off: {reason}")]
    BrokeOff { name: String, reason: String },
}

/// How far an interpreter is, judged without reading its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its files are not here.
    Missing,
    /// They are, but it is not compiled, or has no image.
    Fetched,
    Ready,
}

/// Makes `entry` ready below `dir`, the directory of interpreters, and opens it. `hear` is told of
/// whatever takes time; of nothing when all was there.
///
/// Fetching runs on a blocking thread. Dropped meanwhile, it goes on by itself to the end of that
/// step, and the next run finds what it did.
///
/// # Errors
/// [`ProvisionError`]. What was done before the failure is kept.
pub async fn provision(
    entry: &Entry,
    dir: &Path,
    metering: Metering,
    hear: &mut (dyn FnMut(&Report) + Send),
) -> Result<Arc<Interpreter>, ProvisionError> {
    language(entry)?;
    let artifacts = match Artifacts::present(entry, dir) {
        Some(artifacts) => artifacts,
        None => fetch(entry, dir, hear).await?,
    };
    let parts = Parts::of(&artifacts, dir)?;
    let plan = parts.plan(&artifacts, metering);
    Ok(guest::prepare(&plan, hear).await?)
}

/// How far `entry` is below `dir`. A few milliseconds.
pub fn state(entry: &Entry, dir: &Path, metering: Metering) -> State {
    let Some(artifacts) = Artifacts::present(entry, dir) else {
        return State::Missing;
    };
    match Parts::of(&artifacts, dir) {
        Ok(parts) if guest::is_prepared(&parts.plan(&artifacts, metering)) => State::Ready,
        Ok(_) | Err(_) => State::Fetched,
    }
}

/// Reads what was made of `entry` to the last byte; `None` when its files are not here. Blocks for
/// a second or two.
///
/// # Errors
/// When the files that are here are not what they should be.
pub fn examine(
    entry: &Entry,
    dir: &Path,
    metering: Metering,
) -> Result<Option<Examination>, ProvisionError> {
    let Some(artifacts) = Artifacts::present(entry, dir) else {
        return Ok(None);
    };
    let parts = Parts::of(&artifacts, dir)?;
    Ok(Some(guest::examine(&parts.plan(&artifacts, metering))?))
}

/// Whether this build has a guest that can run `entry`.
pub fn has_guest(entry: &Entry) -> bool {
    language(entry).is_ok()
}

/// The guest's own word for a setting.
pub fn metering(setting: config::Metering) -> Metering {
    match setting {
        config::Metering::FuelAndEpoch => Metering::FuelAndEpoch,
        config::Metering::Epoch => Metering::Epoch,
    }
}

/// What a plan borrows from.
struct Parts {
    module: PathBuf,
    module_sha256: String,
    directory: PathBuf,
    language: Arc<dyn Language>,
    surroundings: guest::Surroundings,
}

impl Parts {
    fn of(artifacts: &Artifacts, dir: &Path) -> Result<Self, ProvisionError> {
        let entry = artifacts.entry();
        Ok(Self {
            module: artifacts.module(),
            module_sha256: module_sha256(entry),
            directory: dir.join(COMPILED),
            language: language(entry)?,
            surroundings: surroundings::of(artifacts)?,
        })
    }

    fn plan<'a>(&'a self, artifacts: &'a Artifacts, metering: Metering) -> Plan<'a> {
        Plan {
            name: artifacts.entry().name.as_str(),
            binary: &self.module,
            binary_sha256: &self.module_sha256,
            directory: &self.directory,
            metering,
            language: self.language.clone(),
            surroundings: self.surroundings.clone(),
            available_memory_bytes: available_memory_bytes(),
        }
    }
}

/// The guest that runs `entry`.
fn language(entry: &Entry) -> Result<Arc<dyn Language>, ProvisionError> {
    match entry.kind {
        Kind::Python => Ok(Arc::new(Python::new(&module_sha256(entry)))),
        Kind::JavaScript | Kind::TypeScript | Kind::Ruby | Kind::Command => {
            Err(ProvisionError::NoGuest {
                name: entry.name.to_string(),
                kind: entry.kind,
            })
        }
    }
}

fn module_sha256(entry: &Entry) -> String {
    entry
        .pin(entry.module.as_str())
        .expect("the manifest's parser demands that the module is one of the files")
        .sha256
        .to_string()
}

/// Fetches the files on a blocking thread, which is also the one that waits for the registry's
/// client, as `Artifacts` asks.
async fn fetch(
    entry: &Entry,
    dir: &Path,
    hear: &mut (dyn FnMut(&Report) + Send),
) -> Result<Artifacts, ProvisionError> {
    let (said, mut heard) = mpsc::channel(REPORTS_WAITING);
    let work = tokio::task::spawn_blocking({
        let (entry, dir) = (entry.clone(), dir.to_owned());
        move || {
            let clients = Clients::new(std::env::vars_os());
            let mut say = |report: &interpreters::Report<'_>| {
                let line = report.to_string();
                let report = match report.done {
                    true => Report::Step(line),
                    false => Report::Still(line),
                };
                // Nobody hears it any more: the work is worth finishing all the same.
                let _ = said.blocking_send(report);
            };
            Artifacts::ensure(&entry, &dir, &clients, &mut say)
        }
    });
    while let Some(report) = heard.recv().await {
        hear(&report);
    }
    match work.await {
        Ok(artifacts) => Ok(artifacts?),
        Err(panic) => Err(ProvisionError::BrokeOff {
            name: entry.name.to_string(),
            reason: panic.to_string(),
        }),
    }
}
