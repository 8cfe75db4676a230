//! The note that a directory's files were verified, so that a start need not read them again.
//!
//! It holds each file's length, time of modification and digest. A file that still has that length
//! and time, and whose digest is still the one the lock pins, is taken as verified. Whoever can write
//! to the directory could forge all of this: the stamp saves time, the directory's permissions
//! protect it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::catalogue::Entry;
use super::digest::Sha256;

/// The stamp's name in an interpreter's directory.
pub(super) const FILE_NAME: &str = "verified";

const FORMAT: u32 = 1;

/// What was verified, and what it looked like then.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    format: u32,
    files: Vec<Seen>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    name: String,
    bytes: u64,
    /// Whole seconds since 1970, as much as every file system and container layer keeps.
    modified_at: i64,
    sha256: Sha256,
}

impl Stamp {
    /// The stamp of files that have just been verified against `entry`.
    pub(super) fn of(entry: &Entry, home: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for (name, pin) in entry.locals() {
            let metadata = fs::symlink_metadata(home.join(name.as_str()))?;
            files.push(Seen {
                name: name.as_str().to_owned(),
                bytes: metadata.len(),
                modified_at: metadata.mtime(),
                sha256: pin.sha256,
            });
        }
        let format = FORMAT;
        Ok(Self { format, files })
    }

    /// Whether `home` still holds every file of `entry` as it was when it was verified.
    pub(super) fn holds(entry: &Entry, home: &Path) -> bool {
        let written = fs::read(home.join(FILE_NAME)).ok();
        let written = written.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let now = Self::of(entry, home).ok();
        written.is_some() && written == now
    }

    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, serde_json::to_vec_pretty(self)?)
    }
}
