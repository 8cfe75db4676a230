//! An interpreter's files on this machine, every byte of them as the lock pins it.

use std::path::{self, Path, PathBuf};

use super::catalogue::Entry;
use super::client::Clients;
use super::digest::Sha256;
use super::error::{Deed, FetchError};
use super::progress::{Progress, Reporter};
use super::setup::Setup;
use super::stamp::Stamp;

/// The verified files of one interpreter.
#[derive(Debug, Clone)]
pub struct Artifacts {
    entry: Entry,
    home: PathBuf,
    packages: Vec<(String, String)>,
}

impl Artifacts {
    /// The files of `entry` below `dir`, fetched if they are not there.
    ///
    /// When they are, nothing is written and nothing is read but their metadata: a few
    /// milliseconds. When they are not, only what is missing is downloaded, unpacked and verified;
    /// `dir` is created; of several callers, in any process, one works while the others wait.
    /// Blocks as long as that takes. A directory that cannot be written will do if its content is
    /// right.
    pub fn ensure(
        entry: &Entry,
        dir: &Path,
        clients: &Clients,
        progress: &mut Progress<'_>,
    ) -> Result<Self, FetchError> {
        if let Some(present) = Self::present(entry, dir) {
            return Ok(present);
        }
        // A client runs in a directory of its own, where a relative path would mean another place.
        let dir = path::absolute(dir).map_err(FetchError::io(Deed::Read, dir))?;
        let home = dir.join(entry.directory_name());
        let mut setup = Setup {
            entry,
            home: &home,
            clients,
            reporter: Reporter::new(entry.name.as_str(), progress),
        };
        match setup.run(&dir) {
            Ok(()) => (),
            // Content may be right although its times are not: an image of files that were copied.
            Err(FetchError::NotWritable { .. }) if setup.is_complete()? => (),
            Err(error) => return Err(error),
        }
        Self::open(entry, home)
    }

    /// The files of `entry` below `dir`, if they are all there and were verified before.
    pub fn present(entry: &Entry, dir: &Path) -> Option<Self> {
        let home = dir.join(entry.directory_name());
        if Stamp::holds(entry, &home) {
            Self::open(entry, home).ok()
        } else {
            None
        }
    }

    /// What these files are.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The directory that holds them.
    pub fn directory(&self) -> &Path {
        &self.home
    }

    /// Where the file of that local name lies; `None` if the manifest names no such file.
    pub fn path(&self, local: &str) -> Option<PathBuf> {
        self.entry.pin(local).map(|_| self.home.join(local))
    }

    /// The digest of the file of that local name, for keys of what is made of it.
    pub fn sha256(&self, local: &str) -> Option<Sha256> {
        self.entry.pin(local).map(|pin| pin.sha256)
    }

    /// Where the WebAssembly module lies.
    pub fn module(&self) -> PathBuf {
        self.home.join(self.entry.module.as_str())
    }

    /// The libraries that the interpreter brings, name and version, in its own order. Empty where
    /// the manifest names no list.
    pub fn packages(&self) -> &[(String, String)] {
        &self.packages
    }

    fn open(entry: &Entry, home: PathBuf) -> Result<Self, FetchError> {
        let packages = match &entry.package_list {
            Some(list) => {
                let path = home.join(list.as_str());
                let text =
                    std::fs::read_to_string(&path).map_err(FetchError::io(Deed::Read, &path))?;
                packages_in(&text)
            }
            None => Vec::new(),
        };
        Ok(Self {
            entry: entry.clone(),
            home,
            packages,
        })
    }
}

fn packages_in(list: &str) -> Vec<(String, String)> {
    let mut packages = Vec::new();
    for line in list.lines() {
        let mut words = line.split_whitespace();
        if let (Some("package"), Some(name), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        {
            packages.push((name.to_owned(), version.to_owned()));
        }
    }
    packages
}

#[cfg(test)]
mod tests;
