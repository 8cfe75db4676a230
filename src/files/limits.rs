//! The bounds of one session's tree and descriptor table.

use crate::limits::Limits;

/// Bytes of one name.
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of one path, as handed in.
pub const PATH_BYTES_MAX: usize = 4_096;
/// Directories on the way from `/work` or `/tmp` down to any other, both ends counted. It keeps
/// walks up and down the tree short, whatever a program nests.
pub const DEPTH_MAX: usize = 64;
/// Symbolic links expanded on the way along one path.
pub const SYMLINKS_FOLLOWED_MAX: usize = 40;
/// Bytes of a symbolic link's target. Together with `SYMLINKS_FOLLOWED_MAX` it bounds the steps of
/// one lookup.
pub const SYMLINK_BYTES_MAX: usize = 1_024;

/// The bounds that configuration may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilesLimits {
    /// Logical size of all files and links together, open but unlinked ones included, so that
    /// holes count too. Beyond it: `NoSpace`.
    pub files_bytes_max: u64,
    /// Logical size of one file. Beyond it: `FileTooBig`. A hole costs 8 bytes of memory for every
    /// 64 KiB, so that a bound beyond some GiB is a bound on nothing.
    pub file_bytes_max: u64,
    /// Names in the writable directories. Beyond it: `NoSpace`.
    pub files_max: usize,
    /// Descriptors, stdio and preopens included; every number is below it. Beyond it:
    /// `TooManyOpen`.
    pub open_files_max: usize,
}

/// What a session's files use of its quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FilesUsed {
    /// Against `FilesLimits::files_bytes_max`.
    pub bytes: u64,
    /// Against `FilesLimits::files_max`.
    pub names: usize,
}

impl From<&Limits> for FilesLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            files_bytes_max: limits.files_bytes_max,
            file_bytes_max: limits.file_bytes_max,
            files_max: limits.files_max,
            open_files_max: limits.open_files_max,
        }
    }
}
