//! The right to change a directory of interpreters: one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Deed, FetchError};
use super::progress::{Reporter, Step};

const POLL: Duration = Duration::from_millis(50);

/// A lock on a directory, held until dropped. The kernel drops it with the process, however that
/// ends, so it is never stale.
#[derive(Debug)]
pub(super) struct Claim {
    dir: PathBuf,
    lock: File,
}

impl Claim {
    /// Claims `dir`, which is created if need be. Waits for another holder and says so; the wait
    /// ends because each of the other's steps is bounded.
    pub(super) fn take(dir: &Path, reporter: &mut Reporter<'_>) -> Result<Self, FetchError> {
        fs::create_dir_all(dir).map_err(FetchError::io(Deed::Write, dir))?;
        let path = dir.join(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(FetchError::io(Deed::Write, &path))?;
        let is_free = || match lock.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(FetchError::io(Deed::Write, &path)(source)),
        };
        if !is_free()? {
            let detail = format!("another setup that works in {}", dir.display());
            let mut waiting = reporter.begin(Step::Wait, detail, None);
            while !is_free()? {
                waiting.at(0);
                std::thread::sleep(POLL);
            }
            waiting.done();
        }
        Ok(Self {
            dir: dir.to_owned(),
            lock,
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Said aloud, because closing is not enough: a child that another thread has forked and that
        // has not yet become its program holds the lock's descriptor, too.
        let _ = self.lock.unlock();
    }
}
