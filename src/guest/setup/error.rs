//! Why a set-up failed: one line each, with the way out.

use std::io;
use std::path::{Path, PathBuf};

use super::super::image::ImageError;
use super::super::instance::StartError;
use super::super::interpreter::OpenError;
use super::super::module::UnfitBinary;

/// Why set-up failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "cannot write to {}: {source}; make it writable, or choose another directory with \
         WEIR_INTERPRETERS_DIR",
        directory.display()
    )]
    NotWritable {
        directory: PathBuf,
        source: io::Error,
    },
    #[error(
        "not enough disk space in {}: {needed_mb} MB needed, {free_mb} MB free; make room, or choose \
         another directory with WEIR_INTERPRETERS_DIR",
        directory.display()
    )]
    DiskFull {
        directory: PathBuf,
        needed_mb: u64,
        free_mb: u64,
    },
    #[error(
        "compiling {name} takes {needed_mb} MB of memory and {available_mb} MB are available; free \
         some memory, or run `weir setup` on a larger machine and copy its interpreters directory"
    )]
    Memory {
        name: String,
        needed_mb: u64,
        available_mb: u64,
    },
    #[error(transparent)]
    Unfit(#[from] UnfitBinary),
    #[error("compiling {name} failed: {reason}")]
    Compile { name: String, reason: String },
    #[error("making the image of {name} failed: {reason}")]
    Image { name: String, reason: String },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Start(#[from] StartError),
}

impl SetupError {
    /// What the operating system's refusal to write `bytes` bytes in `directory` means.
    pub(super) fn write(directory: &Path, bytes: u64, source: io::Error) -> Self {
        let directory = directory.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull {
                needed_mb: bytes.div_ceil(1_000_000),
                free_mb: free_bytes(&directory).unwrap_or(0) / 1_000_000,
                directory,
            },
            _ => Self::NotWritable { directory, source },
        }
    }
}

impl From<ImageError> for SetupError {
    fn from(error: ImageError) -> Self {
        Self::Open(OpenError::Image(error))
    }
}

/// Bytes that this user may still write in `directory`, which must exist.
pub(super) fn free_bytes(directory: &Path) -> io::Result<u64> {
    let filesystem = rustix::fs::statvfs(directory)?;
    Ok(filesystem.f_bavail.saturating_mul(filesystem.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_read_only_directory_are_told_apart() {
        let directory = std::env::temp_dir();
        for (kind, start) in [
            (io::ErrorKind::StorageFull, "not enough disk space in "),
            (io::ErrorKind::QuotaExceeded, "not enough disk space in "),
            (io::ErrorKind::PermissionDenied, "cannot write to "),
        ] {
            let error = SetupError::write(&directory, 300_000_000, kind.into()).to_string();
            assert!(error.starts_with(start), "{error}");
            assert!(error.contains("WEIR_INTERPRETERS_DIR"), "{error}");
        }
    }
}
