//! Why an interpreter's files could not be had. Each message is one line with the way out.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::digest::{CopyError, Sha256};
use super::room;

/// Why [`Artifacts::ensure`](super::Artifacts::ensure) failed. What was verified before the failure
/// is kept, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("fetching {wanted} needs {client}, and none of {tried} runs here: {remedy}")]
    ClientMissing {
        wanted: String,
        client: &'static str,
        tried: &'static str,
        remedy: &'static str,
    },
    #[error("{wanted} was not found: {client} says: {said}")]
    NotFound {
        wanted: String,
        client: &'static str,
        said: String,
    },
    #[error(
        "cannot reach the registry for {wanted}; check the network and the proxy settings: {client} says: {said}"
    )]
    Unreachable {
        wanted: String,
        client: &'static str,
        said: String,
    },
    #[error("{client} could not fetch {wanted} ({status}): {said}")]
    ClientFailed {
        wanted: String,
        client: &'static str,
        status: String,
        said: String,
    },
    #[error(
        "{client} received nothing of {wanted} for {seconds} s and was stopped; check the network and try again"
    )]
    Stalled {
        wanted: String,
        client: &'static str,
        seconds: u64,
    },
    #[error(
        "wrong sha256 of {name}: expected {expected}, got {got}; it was not kept: try again, and if it stays so the lock and the package disagree"
    )]
    WrongHash {
        name: String,
        expected: Sha256,
        got: String,
    },
    #[error(
        "{name} does not have the {bytes} bytes that the lock pins; it was not kept: the lock and the package disagree"
    )]
    WrongLength { name: String, bytes: u64 },
    #[error("not enough disk space in {}: {needed_mb} MB needed, {free_mb} MB free; make room or choose another directory", dir.display())]
    DiskFull {
        dir: PathBuf,
        /// Megabytes, rounded up.
        needed_mb: u64,
        /// Megabytes, rounded down.
        free_mb: u64,
    },
    #[error("cannot write to {}: {source}; make it writable or choose another directory", dir.display())]
    NotWritable { dir: PathBuf, source: io::Error },
    #[error("{name}: {problem}")]
    Archive { name: String, problem: String },
    #[error("cannot {deed} {}: {source}", path.display())]
    Io {
        deed: Deed,
        path: PathBuf,
        source: io::Error,
    },
}

/// What the operating system refused. Creating, moving, removing and locking are writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Read,
    Write,
    Run,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Deed::Read => "read",
            Deed::Write => "write",
            Deed::Run => "run",
        })
    }
}

impl FetchError {
    pub(super) fn io(deed: Deed, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { deed, path, source }
    }

    pub(super) fn disk_full(dir: &Path, needed_bytes: u64, free_bytes: u64) -> Self {
        Self::DiskFull {
            dir: dir.to_owned(),
            needed_mb: needed_bytes.div_ceil(1_000_000),
            free_mb: free_bytes / 1_000_000,
        }
    }

    /// An error of copying `name` from one path to another.
    pub(super) fn copy(
        name: &str,
        pin: &super::Pin,
        from: &Path,
        into: &Path,
        error: CopyError,
    ) -> Self {
        match error {
            CopyError::Read(source) => Self::io(Deed::Read, from)(source),
            CopyError::Write(source) => Self::io(Deed::Write, into)(source),
            CopyError::WrongLength => Self::WrongLength {
                name: name.to_owned(),
                bytes: pin.bytes,
            },
            CopyError::Differs { got } => Self::WrongHash {
                name: name.to_owned(),
                expected: pin.sha256,
                got: got.to_string(),
            },
        }
    }

    /// Names what the operating system's refusal means for somebody who wants `needed_bytes` in
    /// `dir`: a full disk or a directory that cannot be written.
    pub(super) fn explained(self, dir: &Path, needed_bytes: u64) -> Self {
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match self {
            Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded) => {
                Self::disk_full(dir, needed_bytes, room::free_bytes(dir).unwrap_or(0))
            }
            Self::Io {
                deed: Deed::Write,
                source,
                ..
            } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem) => {
                let dir = dir.to_owned();
                Self::NotWritable { dir, source }
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreters::Pin;

    fn explained(errno: i32) -> FetchError {
        let path = Path::new("/tmp");
        let source = io::Error::from_raw_os_error(errno);
        FetchError::io(Deed::Write, path)(source).explained(path, 1_500_000)
    }

    #[test]
    fn a_full_disk_is_named_with_what_is_needed_and_free() {
        let full = std::fs::File::create("/dev/full").unwrap();
        let pin = Pin::of(b"abc");
        let outcome = pin.copy(&b"abc"[..], full, &mut |_| ()).unwrap_err();
        let path = Path::new("/dev/full");
        let error = FetchError::copy("x", &pin, path, path, outcome);
        let error = error.explained(Path::new("/tmp"), 1_500_000);
        assert!(
            matches!(error, FetchError::DiskFull { needed_mb: 2, .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .starts_with("not enough disk space in /tmp: 2 MB needed")
        );
        let quota = explained(rustix::io::Errno::DQUOT.raw_os_error());
        assert!(matches!(quota, FetchError::DiskFull { .. }), "{quota}");
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named_with_the_way_out() {
        for errno in [rustix::io::Errno::ROFS, rustix::io::Errno::ACCESS] {
            let error = explained(errno.raw_os_error()).to_string();
            assert!(error.starts_with("cannot write to /tmp: "), "{error}");
            assert!(error.ends_with("choose another directory"), "{error}");
        }
    }
}
