//! Bringing one interpreter's directory to what the lock pins, in steps that survive interruption.
//!
//! archive ──▶ files ──▶ packs ──▶ stamp. Whatever is found with the right content is not done again,
//! whatever is not found is made in the scratch and renamed into place once it is verified. The
//! archive itself is kept only until the stamp is written.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::archive;
use super::catalogue::{Entry, WantedFile, WantedPack};
use super::claim::Claim;
use super::client::Clients;
use super::digest::Pin;
use super::error::{Deed, FetchError};
use super::pack;
use super::progress::{Reporter, Step};
use super::room;
use super::scratch::{self, Scratch};
use super::stamp::{self, Stamp};

/// Room left free beyond what is written.
const SPARE_BYTES: u64 = 16 << 20;

pub(super) struct Setup<'s, 'a> {
    pub(super) entry: &'s Entry,
    /// The interpreter's own directory.
    pub(super) home: &'s Path,
    pub(super) clients: &'s Clients,
    pub(super) reporter: Reporter<'a>,
}

impl Setup<'_, '_> {
    /// Makes what is missing. `dir` holds the directories of all interpreters.
    pub(super) fn run(&mut self, dir: &Path) -> Result<(), FetchError> {
        let claim = Claim::take(dir, &mut self.reporter)
            .map_err(|error| error.explained(dir, self.bytes_of_all()))?;
        if Stamp::holds(self.entry, self.home) {
            return Ok(());
        }
        let mut needed = self.bytes_of_all();
        self.complete(&claim, &mut needed)
            .map_err(|error| error.explained(dir, needed))
    }

    /// Whether every file has the pinned content, however its directory may be stamped.
    pub(super) fn is_complete(&mut self) -> Result<bool, FetchError> {
        for (name, pin) in self.entry.locals() {
            if !self.has(name.as_str(), pin)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn complete(&mut self, claim: &Claim, needed: &mut u64) -> Result<(), FetchError> {
        let entry = self.entry;
        let scratch = Scratch::new(claim, entry.name.as_str())?;
        fs::create_dir_all(self.home).map_err(FetchError::io(Deed::Write, self.home))?;
        let mut files = Vec::new();
        for file in &entry.files {
            if !self.has(file.to.as_str(), &file.pin)? {
                files.push(file);
            }
        }
        let mut packs = Vec::new();
        for wanted in &entry.packs {
            if !self.has(wanted.to.as_str(), &wanted.pin)? {
                packs.push(wanted);
            }
        }
        let has_archive = files.is_empty() || self.has(ARCHIVE, &entry.archive)?;
        let missing = files.iter().map(|file| file.pin.bytes);
        let missing = missing.chain(packs.iter().map(|wanted| wanted.pin.bytes));
        // A client may hold the archive twice, in its own place and where it was told to put it.
        let archives = if has_archive {
            0
        } else {
            2 * entry.archive.bytes
        };
        *needed = missing.sum::<u64>() + archives + SPARE_BYTES;
        self.expect_room(claim.dir(), *needed)?;
        if !has_archive {
            self.download(&scratch)?;
        }
        self.extract(&files, &scratch)?;
        for wanted in packs {
            self.pack(wanted, &scratch)?;
        }
        self.stamp(&scratch)?;
        remove_if_there(&self.at(ARCHIVE))
    }

    fn download(&mut self, scratch: &Scratch) -> Result<(), FetchError> {
        let Entry {
            source, archive, ..
        } = self.entry;
        let path = self
            .clients
            .download(source, archive, scratch, &mut self.reporter)?;
        let mut running = self
            .reporter
            .begin(Step::Verify, source, Some(archive.bytes));
        let file = File::open(&path).map_err(FetchError::io(Deed::Read, &path))?;
        archive
            .copy(file, io::sink(), &mut |bytes| running.at(bytes))
            .map_err(|error| FetchError::copy(&source.to_string(), archive, &path, &path, error))?;
        running.done();
        scratch::settle(&path, &self.at(ARCHIVE))
    }

    fn extract(&mut self, files: &[&WantedFile], scratch: &Scratch) -> Result<(), FetchError> {
        let from = self.at(ARCHIVE);
        if files.is_empty() {
            return Ok(());
        }
        archive::each_wanted(
            &from,
            self.entry.source.registry,
            files,
            &mut |file, content| {
                let name = file.to.as_str();
                let into = scratch.path().join(name);
                let mut running = self
                    .reporter
                    .begin(Step::Extract, name, Some(file.pin.bytes));
                let created = File::create(&into).map_err(FetchError::io(Deed::Write, &into))?;
                file.pin
                    .copy(content, created, &mut |bytes| running.at(bytes))
                    .map_err(|error| FetchError::copy(name, &file.pin, &from, &into, error))?;
                running.done();
                scratch::settle(&into, &self.home.join(name))
            },
        )
    }

    fn pack(&mut self, wanted: &WantedPack, scratch: &Scratch) -> Result<(), FetchError> {
        let name = wanted.to.as_str();
        let from = self.at(wanted.archive.as_str());
        let running = self
            .reporter
            .begin(Step::Pack, name, Some(wanted.pin.bytes));
        let tree = archive::nested_tree(&from, wanted)?;
        let bytes = pack::encode(&tree).map_err(|error| FetchError::Archive {
            name: name.to_owned(),
            problem: error.to_string(),
        })?;
        let into = scratch.path().join(name);
        let created = File::create(&into).map_err(FetchError::io(Deed::Write, &into))?;
        wanted
            .pin
            .copy(&bytes[..], created, &mut |_| ())
            .map_err(|error| FetchError::copy(name, &wanted.pin, &from, &into, error))?;
        running.done();
        scratch::settle(&into, &self.at(name))
    }

    fn stamp(&self, scratch: &Scratch) -> Result<(), FetchError> {
        let stamp =
            Stamp::of(self.entry, self.home).map_err(FetchError::io(Deed::Read, self.home))?;
        let path = scratch.path().join(stamp::FILE_NAME);
        stamp
            .write(&path)
            .map_err(FetchError::io(Deed::Write, &path))?;
        scratch::settle(&path, &self.at(stamp::FILE_NAME))
    }

    /// Whether a file of the directory has the pinned content.
    fn has(&mut self, name: &str, pin: &Pin) -> Result<bool, FetchError> {
        let path = self.home.join(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.len() == pin.bytes => (),
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(FetchError::io(Deed::Read, &path)(error)),
        }
        let mut running = self.reporter.begin(Step::Verify, name, Some(pin.bytes));
        let file = File::open(&path).map_err(FetchError::io(Deed::Read, &path))?;
        let same = pin
            .copy(file, io::sink(), &mut |bytes| running.at(bytes))
            .is_ok();
        running.done();
        Ok(same)
    }

    fn expect_room(&self, dir: &Path, needed: u64) -> Result<(), FetchError> {
        let free = room::free_bytes(dir).map_err(FetchError::io(Deed::Read, dir))?;
        if free < needed {
            return Err(FetchError::disk_full(dir, needed, free));
        }
        Ok(())
    }

    fn bytes_of_all(&self) -> u64 {
        let locals: u64 = self.entry.locals().map(|(_, pin)| pin.bytes).sum();
        locals + 2 * self.entry.archive.bytes + SPARE_BYTES
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }
}

/// The verified archive's name while its files are not all extracted. No local name starts so.
const ARCHIVE: &str = ".archive";

fn remove_if_there(path: &Path) -> Result<(), FetchError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FetchError::io(Deed::Write, path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
