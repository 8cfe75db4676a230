//! The flag words of preview1 as types: how to look up, how to open, what a descriptor may do.

use super::errno::Errno;

/// Declares a set of named bits over an integer as preview1 passes it.
macro_rules! flag_set {
    ($(#[$set:meta])* $name:ident: $repr:ty, $($flag:ident = $bit:literal,)*) => {
        $(#[$set])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name($repr);

        impl $name {
            pub const EMPTY: Self = Self(0);
            $(pub const $flag: Self = Self(1 << $bit);)*
            /// Every bit that has a name.
            pub const ALL: Self = Self(0 $(| 1 << $bit)*);

            /// The set that these bits stand for, or `Invalid` when one of them has no name.
            pub fn from_bits(bits: $repr) -> Result<Self, Errno> {
                if bits & !Self::ALL.0 == 0 {
                    Ok(Self(bits))
                } else {
                    Err(Errno::Invalid)
                }
            }

            pub const fn bits(self) -> $repr {
                self.0
            }

            /// Whether every flag of `other` is set here.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            pub const fn intersection(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }

            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }
    };
}

flag_set! {
    /// How `path_open` opens.
    OFlags: u16,
    CREATE = 0,
    DIRECTORY = 1,
    EXCLUSIVE = 2,
    TRUNCATE = 3,
}

flag_set! {
    /// How a descriptor behaves. The three kinds of synchronous writing are remembered and mean
    /// nothing here: a file of the tree is as durable as the checkpoint that holds it.
    FdFlags: u16,
    APPEND = 0,
    DSYNC = 1,
    NONBLOCK = 2,
    RSYNC = 3,
    SYNC = 4,
}

flag_set! {
    /// Which timestamps `filestat_set_times` sets, and to what.
    FstFlags: u16,
    ATIM = 0,
    ATIM_NOW = 1,
    MTIM = 2,
    MTIM_NOW = 3,
}

flag_set! {
    /// What a descriptor may be used for. They are reported because wasi-libc derives `F_GETFL`,
    /// `isatty` and the rights of further opens from them; what is enforced is `Access`.
    Rights: u64,
    FD_DATASYNC = 0,
    FD_READ = 1,
    FD_SEEK = 2,
    FD_FDSTAT_SET_FLAGS = 3,
    FD_SYNC = 4,
    FD_TELL = 5,
    FD_WRITE = 6,
    FD_ADVISE = 7,
    FD_ALLOCATE = 8,
    PATH_CREATE_DIRECTORY = 9,
    PATH_CREATE_FILE = 10,
    PATH_LINK_SOURCE = 11,
    PATH_LINK_TARGET = 12,
    PATH_OPEN = 13,
    FD_READDIR = 14,
    PATH_READLINK = 15,
    PATH_RENAME_SOURCE = 16,
    PATH_RENAME_TARGET = 17,
    PATH_FILESTAT_GET = 18,
    PATH_FILESTAT_SET_SIZE = 19,
    PATH_FILESTAT_SET_TIMES = 20,
    FD_FILESTAT_GET = 21,
    FD_FILESTAT_SET_SIZE = 22,
    FD_FILESTAT_SET_TIMES = 23,
    PATH_SYMLINK = 24,
    PATH_REMOVE_DIRECTORY = 25,
    PATH_UNLINK_FILE = 26,
    POLL_FD_READWRITE = 27,
    SOCK_SHUTDOWN = 28,
    SOCK_ACCEPT = 29,
}

impl Rights {
    /// What a directory's descriptor may do itself.
    pub const DIRECTORY: Self = Self::PATH_CREATE_DIRECTORY
        .union(Self::PATH_CREATE_FILE)
        .union(Self::PATH_LINK_SOURCE)
        .union(Self::PATH_LINK_TARGET)
        .union(Self::PATH_OPEN)
        .union(Self::FD_READDIR)
        .union(Self::PATH_READLINK)
        .union(Self::PATH_RENAME_SOURCE)
        .union(Self::PATH_RENAME_TARGET)
        .union(Self::PATH_FILESTAT_GET)
        .union(Self::PATH_FILESTAT_SET_SIZE)
        .union(Self::PATH_FILESTAT_SET_TIMES)
        .union(Self::PATH_SYMLINK)
        .union(Self::PATH_REMOVE_DIRECTORY)
        .union(Self::PATH_UNLINK_FILE)
        .union(Self::DESCRIPTOR);

    /// What an open file may do, before its access mode takes some of it away.
    pub const FILE: Self = Self::FD_READ
        .union(Self::FD_WRITE)
        .union(Self::FD_SEEK)
        .union(Self::FD_TELL)
        .union(Self::FD_DATASYNC)
        .union(Self::FD_ADVISE)
        .union(Self::FD_ALLOCATE)
        .union(Self::FD_FILESTAT_SET_SIZE)
        .union(Self::POLL_FD_READWRITE)
        .union(Self::DESCRIPTOR);

    /// What stdio may do beside reading or writing. The rights to seek and tell are reported, though
    /// both are refused: without them wasi-libc would take a stream for a terminal, and CPython
    /// would write prompts to stderr and read lines past its own buffers.
    pub const STDIO: Self = Self::FD_FDSTAT_SET_FLAGS
        .union(Self::FD_FILESTAT_GET)
        .union(Self::FD_SEEK)
        .union(Self::FD_TELL)
        .union(Self::POLL_FD_READWRITE);

    const DESCRIPTOR: Self = Self::FD_FDSTAT_SET_FLAGS
        .union(Self::FD_SYNC)
        .union(Self::FD_FILESTAT_GET)
        .union(Self::FD_FILESTAT_SET_TIMES);
}

/// Whether a symbolic link at the end of a path stands for itself or for what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    NoFollow,
    Follow,
}

impl Lookup {
    /// From preview1's `lookupflags`; an unknown bit is `Invalid`.
    pub fn from_bits(bits: u32) -> Result<Self, Errno> {
        match bits {
            0 => Ok(Self::NoFollow),
            1 => Ok(Self::Follow),
            _ => Err(Errno::Invalid),
        }
    }
}

/// What an open descriptor lets its holder do with the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Neither: a handle to look up from or to ask about (`O_SEARCH`).
    Search,
    Read,
    Write,
    ReadWrite,
}

impl Access {
    /// The access mode that wasi-libc has spelled as rights. Bits without a name are ignored, as
    /// programs ask for all that there are.
    pub fn from_rights(bits: u64) -> Self {
        let rights = Rights(bits);
        let read = rights.contains(Rights::FD_READ) || rights.contains(Rights::FD_READDIR);
        match (read, rights.contains(Rights::FD_WRITE)) {
            (false, false) => Self::Search,
            (true, false) => Self::Read,
            (false, true) => Self::Write,
            (true, true) => Self::ReadWrite,
        }
    }

    pub(super) fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    pub(super) fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }

    /// The rights of a file opened in this mode.
    pub(super) fn rights(self) -> Rights {
        const READING: Rights = Rights::FD_READ;
        const WRITING: Rights = Rights::FD_WRITE
            .union(Rights::FD_DATASYNC)
            .union(Rights::FD_ALLOCATE)
            .union(Rights::FD_FILESTAT_SET_SIZE);
        match self {
            Self::Search => Rights::FILE.without(READING).without(WRITING),
            Self::Read => Rights::FILE.without(WRITING),
            Self::Write => Rights::FILE.without(READING),
            Self::ReadWrite => Rights::FILE,
        }
    }
}

/// All that `path_open` is told beside the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    pub oflags: OFlags,
    pub fdflags: FdFlags,
    pub access: Access,
}

/// From where `seek` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    Start,
    Current,
    End,
}

impl Whence {
    /// From preview1's `whence`; anything else is `Invalid`.
    pub fn from_number(number: u8) -> Result<Self, Errno> {
        match number {
            0 => Ok(Self::Start),
            1 => Ok(Self::Current),
            2 => Ok(Self::End),
            _ => Err(Errno::Invalid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_without_a_name_is_invalid() {
        assert_eq!(OFlags::from_bits(0b1111), Ok(OFlags::ALL));
        assert_eq!(OFlags::from_bits(0b1_0000), Err(Errno::Invalid));
        assert_eq!(FdFlags::from_bits(1 << 5), Err(Errno::Invalid));
        assert_eq!(Lookup::from_bits(2), Err(Errno::Invalid));
        assert_eq!(Whence::from_number(3), Err(Errno::Invalid));
    }

    #[test]
    fn an_access_mode_survives_the_way_through_rights() {
        for access in [
            Access::Search,
            Access::Read,
            Access::Write,
            Access::ReadWrite,
        ] {
            assert_eq!(Access::from_rights(access.rights().bits()), access);
        }
        assert_eq!(Access::from_rights(u64::MAX), Access::ReadWrite);
    }
}
