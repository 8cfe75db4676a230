//! A directory for unfinished things, which vanishes with its owner.
//!
//! Whatever is verified leaves it by rename, so that no other name ever holds half a file. A process
//! that is killed leaves its scratch behind; the next one to claim the directory sweeps it.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::claim::Claim;
use super::error::{Deed, FetchError};

const PREFIX: &str = ".partial-";

#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A fresh scratch in a claimed directory. Any other one there belongs to a process that died,
    /// because only the claim's holder has one, and is removed.
    pub(super) fn new(claim: &Claim, label: &str) -> Result<Self, FetchError> {
        sweep(claim.dir())?;
        let path = claim
            .dir()
            .join(format!("{PREFIX}{label}-{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(FetchError::io(Deed::Write, &path))?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new directory within it.
    pub(super) fn directory(&self, name: &str) -> Result<PathBuf, FetchError> {
        let path = self.path.join(name);
        fs::create_dir(&path).map_err(FetchError::io(Deed::Write, &path))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is swept by the next run.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Moves a finished file to its place, on disk before it has its name.
pub(super) fn settle(from: &Path, to: &Path) -> Result<(), FetchError> {
    let synced = File::open(from).and_then(|file| file.sync_all());
    synced.map_err(FetchError::io(Deed::Write, from))?;
    fs::rename(from, to).map_err(FetchError::io(Deed::Write, to))?;
    let Some(parent) = to.parent() else {
        return Ok(());
    };
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.map_err(FetchError::io(Deed::Write, parent))
}

fn sweep(dir: &Path) -> Result<(), FetchError> {
    let names = fs::read_dir(dir).map_err(FetchError::io(Deed::Read, dir))?;
    for name in names {
        let name = name.map_err(FetchError::io(Deed::Read, dir))?;
        if name
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
        {
            let path = name.path();
            fs::remove_dir_all(&path).map_err(FetchError::io(Deed::Write, &path))?;
        }
    }
    Ok(())
}
