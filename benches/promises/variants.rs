//! The Python guest under each metering, from the directory that the gateway uses, too.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use weir::config::{Config, Flags, Sources};
use weir::guest::{Interpreter, Metering};
use weir::interpreters::{Catalogue, Entry};
use weir::provision::{self, Report, State};

const LANGUAGE: &str = "python";

/// The first of `meterings` for which Python would have to be compiled first.
///
/// # Errors
/// When the settings of this process cannot be.
pub fn first_unready(meterings: &[Metering]) -> anyhow::Result<Option<Metering>> {
    let (entry, directory) = python()?;
    let unready =
        |metering: &&Metering| provision::state(&entry, &directory, **metering) != State::Ready;
    Ok(meterings.iter().find(unready).copied())
}

/// Opens Python under `metering`, and compiles it if that was never done, which takes a minute.
///
/// # Errors
/// When that fails.
pub async fn open(metering: Metering) -> anyhow::Result<Arc<Interpreter>> {
    let (entry, directory) = python()?;
    let mut hear = |report: &Report| {
        if let Report::Step(line) = report {
            println!("  {line}");
        }
    };
    Ok(provision::provision(&entry, &directory, metering, &mut hear).await?)
}

fn python() -> anyhow::Result<(Entry, PathBuf)> {
    let (config, _) = Config::load(&Sources::of_process(Flags::default()))?;
    let entry = Catalogue::builtin()
        .find(LANGUAGE)
        .cloned()
        .with_context(|| format!("the catalogue has no {LANGUAGE}"))?;
    Ok((entry, config.interpreters.dir))
}
