//! The right to make compiled code and images in a directory: one process at a time.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::SetupError;
use super::report::SetupReport;

/// What a directory and its lock take on disk, generously.
const ROOM_BYTES: u64 = 1_000_000;
const POLL: Duration = Duration::from_millis(100);
const SAY_EVERY: Duration = Duration::from_secs(1);

/// A lock on a directory, held until dropped. The kernel drops it with the process, however that
/// ends, so it is never stale.
#[derive(Debug)]
pub(super) struct Claim(File);

impl Claim {
    /// Claims `directory`, which is created if need be, and removes what a killed set-up left
    /// unfinished in it. Waits for another holder and says so. Cancel-safe.
    ///
    /// # Errors
    /// A directory that cannot be written.
    pub(super) async fn take(
        directory: &Path,
        name: &str,
        say: &mut (dyn FnMut(&SetupReport) + Send),
    ) -> Result<Self, SetupError> {
        let unwritable = |source| SetupError::write(directory, ROOM_BYTES, source);
        fs::create_dir_all(directory).map_err(unwritable)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join(".lock"))
            .map_err(unwritable)?;
        let began = Instant::now();
        let mut said = None::<Instant>;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(unwritable(source)),
            }
            if said.is_none_or(|said| said.elapsed() >= SAY_EVERY) {
                said = Some(Instant::now());
                say(&SetupReport::Still(format!(
                    "{name}: waiting for another set-up in {}, {:.0} s",
                    directory.display(),
                    began.elapsed().as_secs_f64()
                )));
            }
            tokio::time::sleep(POLL).await;
        }
        let claim = Self(lock);
        sweep(directory).map_err(unwritable)?;
        Ok(claim)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Said aloud: a child that another thread has forked, and that has not yet become its
        // program, holds the descriptor too.
        let _ = self.0.unlock();
    }
}

/// Removes unfinished files; only the claim's holder writes any.
fn sweep(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let unfinished = path
            .extension()
            .is_some_and(|extension| extension.as_encoded_bytes().starts_with(b"partial-"));
        if unfinished {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_set_ups_in_one_directory_take_turns() {
        let directory = tempfile::tempdir().unwrap();
        let mut quiet = |_: &SetupReport| {};
        let first = Claim::take(directory.path(), "x", &mut quiet)
            .await
            .unwrap();
        let mut said = Vec::new();
        let mut hear = |report: &SetupReport| said.push(report.to_string());
        {
            let second = Claim::take(directory.path(), "x", &mut hear);
            tokio::pin!(second);
            let waited = tokio::time::timeout(Duration::from_millis(300), &mut second).await;
            assert!(waited.is_err(), "the directory is claimed");
            drop(first);
            second.await.unwrap();
        }
        assert!(said[0].contains("waiting for another set-up"), "{said:?}");
    }

    #[tokio::test]
    async fn what_a_killed_set_up_left_unfinished_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let leftover = directory.path().join("python-1.partial-77");
        let finished = directory.path().join("python-1.cwasm");
        fs::write(&leftover, "half").unwrap();
        fs::write(&finished, "whole").unwrap();
        let mut quiet = |_: &SetupReport| {};
        Claim::take(directory.path(), "x", &mut quiet)
            .await
            .unwrap();
        assert!(!leftover.exists() && finished.exists());
    }
}
