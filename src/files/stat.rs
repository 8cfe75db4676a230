//! What `stat` reports, and the times it reports.

use std::time::{SystemTime, UNIX_EPOCH};

use super::errno::Errno;
use super::flags::{FdFlags, FstFlags, Rights};

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The host's wall clock.
    pub fn now() -> Self {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }
}

/// What kind of thing a name or descriptor stands for, under preview1's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Filetype {
    CharacterDevice = 2,
    Directory = 3,
    RegularFile = 4,
    SymbolicLink = 7,
}

impl Filetype {
    /// The number that the guest is handed.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// The three times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Set when the file is made and by `set_times`; reading leaves it alone, as under `noatime`,
    /// because a read must not make a snapshot diverge.
    pub accessed: Timestamp,
    pub modified: Timestamp,
    pub changed: Timestamp,
}

impl Times {
    pub(super) fn all(now: Timestamp) -> Self {
        Self {
            accessed: now,
            modified: now,
            changed: now,
        }
    }

    pub(super) fn touch(&mut self, now: Timestamp) {
        self.modified = now;
        self.changed = now;
    }
}

/// The attributes of a file, directory, link or stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub device: u64,
    pub inode: u64,
    pub filetype: Filetype,
    /// Names of the file. A directory always has 1 (0 once removed), which tools read as "unknown
    /// number of subdirectories".
    pub links: u64,
    /// Bytes; of a link the length of its target, of a directory the number of its entries.
    pub size: u64,
    pub times: Times,
}

/// What `fd_fdstat_get` reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdStat {
    pub filetype: Filetype,
    pub flags: FdFlags,
    pub rights: Rights,
    pub rights_inheriting: Rights,
}

/// What becomes of one timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTime {
    Keep,
    Now,
    At(Timestamp),
}

impl SetTime {
    fn apply(self, time: &mut Timestamp, now: Timestamp) {
        match self {
            Self::Keep => {}
            Self::Now => *time = now,
            Self::At(at) => *time = at,
        }
    }
}

/// What becomes of the two timestamps that a program may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetTimes {
    pub accessed: SetTime,
    pub modified: SetTime,
}

impl SetTimes {
    /// From preview1's `atim`, `mtim` and `fstflags`. A time both given and "now" is `Invalid`.
    pub fn from_flags(
        accessed: Timestamp,
        modified: Timestamp,
        flags: FstFlags,
    ) -> Result<Self, Errno> {
        let choose = |at, given, now| match (flags.contains(given), flags.contains(now)) {
            (true, true) => Err(Errno::Invalid),
            (true, false) => Ok(SetTime::At(at)),
            (false, true) => Ok(SetTime::Now),
            (false, false) => Ok(SetTime::Keep),
        };
        Ok(Self {
            accessed: choose(accessed, FstFlags::ATIM, FstFlags::ATIM_NOW)?,
            modified: choose(modified, FstFlags::MTIM, FstFlags::MTIM_NOW)?,
        })
    }

    pub(super) fn apply(self, times: &mut Times, now: Timestamp) {
        self.accessed.apply(&mut times.accessed, now);
        self.modified.apply(&mut times.modified, now);
        times.changed = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_cannot_be_given_and_now_at_once() {
        let both = FstFlags::MTIM | FstFlags::MTIM_NOW;
        assert_eq!(
            SetTimes::from_flags(Timestamp(1), Timestamp(2), both),
            Err(Errno::Invalid)
        );
        let apart = FstFlags::ATIM | FstFlags::MTIM_NOW;
        let mut times = Times::all(Timestamp(0));
        SetTimes::from_flags(Timestamp(1), Timestamp(2), apart)
            .unwrap()
            .apply(&mut times, Timestamp(9));
        assert_eq!(
            times,
            Times {
                accessed: Timestamp(1),
                modified: Timestamp(9),
                changed: Timestamp(9)
            }
        );
    }
}
