//! The files of one guest session: its tree, its open descriptors, and preview1's calls on both.
//!
//! No host path is known here and no guest can name one. The tree has two halves: the `Library`,
//! read-only and shared by all sessions, and below `/work` and `/tmp` the session's own nodes.
//! Every change elsewhere is refused with `ReadOnly`, new names included. `/dev/null` works.
//!
//! `Files` is a value: a clone is a complete snapshot, descriptors, offsets and unlinked but open
//! files included. It costs the open descriptors and a few counts; what a clone shares is copied
//! piece by piece when either side changes it (`content`, `tree`).
//!
//! Semantics are POSIX's as Linux has them, unless preview1 says otherwise. The differences: reads
//! leave `accessed` alone; `pwrite` goes to its offset even in append mode; a directory has one
//! link; `..` may leave the directory that a path starts from, but never the preopen it was opened
//! under. There are no permissions and no locks. The clock is the caller's: `now` wherever a time
//! is written.

mod content;
mod descriptor;
mod directory;
mod errno;
mod flags;
mod host;
mod io;
mod library;
mod limits;
mod listing;
mod names;
mod open;
mod path;
mod stat;
mod stdio;
mod tree;
mod walk;

#[cfg(test)]
mod descriptor_tests;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod name_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use descriptor::{DescriptorKind, Fd};
pub use errno::Errno;
pub use flags::{Access, FdFlags, FstFlags, Lookup, OFlags, OpenOptions, Rights, Whence};
pub use host::FileEntry;
pub use library::{Library, LibraryBuilder, LibraryContent, LibraryError};
pub use limits::{
    DEPTH_MAX, FilesLimits, FilesUsed, NAME_BYTES_MAX, PATH_BYTES_MAX, SYMLINK_BYTES_MAX,
    SYMLINKS_FOLLOWED_MAX,
};
pub use listing::{DirEntry, Listing};
pub use path::TreePath;
pub use stat::{FdStat, Filetype, SetTime, SetTimes, Stat, Times, Timestamp};

use descriptor::{Descriptor, DescriptorTable, OpenDirectory, Target};
use tree::{Inode, Tree};
use walk::{Final, Start};

/// The files and descriptors of one session. Cloning takes a snapshot.
#[derive(Debug, Clone)]
pub struct Files {
    library: Arc<Library>,
    preopens: Arc<[Preopen]>,
    tree: Tree,
    table: DescriptorTable,
}

/// A directory that a guest finds open when it starts. They are numbered from 3 on, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preopen {
    /// What the guest is told that it is called. It need not exist in the tree: a guest's libc
    /// compares it with the paths that it is asked for, as text.
    pub name: String,
    /// Where in the tree it is.
    pub path: TreePath,
}

impl Preopen {
    /// The whole tree, as `/`.
    pub fn root() -> Self {
        Self {
            name: "/".into(),
            path: TreePath::new("/").expect("`/` is a tree path"),
        }
    }
}

/// Why the host's preopens cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreopenError {
    #[error(
        "preopen {name:?} points to {path:?}, which is no directory of the library, /work or \
                /tmp: {reason}"
    )]
    NotADirectory {
        name: String,
        path: String,
        reason: Errno,
    },
    #[error(
        "{preopens} preopens beside stdio are more than open_files_max = {open_files_max} \
                descriptors: raise the bound"
    )]
    TooMany {
        preopens: usize,
        open_files_max: usize,
    },
}

/// A path, and the descriptor of the directory that it starts from.
#[derive(Debug, Clone, Copy)]
pub struct At<'a> {
    pub directory: Fd,
    /// As the guest gave it: any bytes.
    pub path: &'a [u8],
}

impl<'a> At<'a> {
    pub fn new(directory: Fd, path: &'a [u8]) -> Self {
        Self { directory, path }
    }
}

impl Files {
    /// The files of a new session: stdio as 0, 1 and 2, the preopens from 3 on, `/work` and `/tmp`
    /// empty.
    pub fn new(
        library: Arc<Library>,
        preopens: Vec<Preopen>,
        limits: FilesLimits,
        now: Timestamp,
    ) -> Result<Self, PreopenError> {
        let count = preopens.len();
        let mut files = Self {
            library,
            preopens: preopens.into(),
            tree: Tree::new(library::ROOT, limits, now),
            table: DescriptorTable::new(limits.open_files_max),
        };
        let mut targets = vec![Target::Stdin, Target::Stdout, Target::Stderr];
        for (index, preopen) in files.preopens.iter().enumerate() {
            targets.push(Target::Directory(files.preopened(index, preopen)?));
        }
        for target in targets {
            let flags = FdFlags::EMPTY;
            let opened = files.table.open(Descriptor { target, flags });
            opened.map_err(|_| PreopenError::TooMany {
                preopens: count,
                open_files_max: limits.open_files_max,
            })?;
        }
        Ok(files)
    }

    fn preopened(&self, index: usize, preopen: &Preopen) -> Result<OpenDirectory, PreopenError> {
        let path = preopen.path.as_str();
        let found = self.walk(Start::TOP, path, Final::Follow);
        let node = found
            .and_then(|found| found.existing(self))
            .and_then(|node| {
                self.directory_parent(node)?;
                Ok(node)
            });
        let node = node.map_err(|reason| PreopenError::NotADirectory {
            name: preopen.name.clone(),
            path: path.into(),
            reason,
        })?;
        Ok(OpenDirectory {
            start: Start {
                directory: node,
                root: node,
            },
            preopen: Some(index),
            cookie_end: u64::MAX,
        })
    }

    /// Who serves the descriptor; `BadDescriptor` when it is closed.
    pub fn kind(&self, fd: Fd) -> Result<DescriptorKind, Errno> {
        Ok(match self.table.get(fd)?.target {
            Target::Stdin => DescriptorKind::Stdin,
            Target::Stdout => DescriptorKind::Stdout,
            Target::Stderr => DescriptorKind::Stderr,
            Target::File(_) => DescriptorKind::File,
            Target::Directory(_) => DescriptorKind::Directory,
        })
    }

    /// The name of a preopen, or `None` for any other number, open or not.
    pub fn preopen(&self, fd: Fd) -> Option<&str> {
        match &self.table.get(fd).ok()?.target {
            Target::Directory(directory) => {
                let preopen = self.preopens.get(directory.preopen?)?;
                Some(&preopen.name)
            }
            Target::Stdin | Target::Stdout | Target::Stderr | Target::File(_) => None,
        }
    }

    /// Type, flags and rights of a descriptor.
    pub fn fdstat(&self, fd: Fd) -> Result<FdStat, Errno> {
        let descriptor = self.table.get(fd)?;
        let (filetype, rights) = match &descriptor.target {
            Target::Stdin => (Filetype::CharacterDevice, Rights::STDIO | Rights::FD_READ),
            Target::Stdout | Target::Stderr => {
                (Filetype::CharacterDevice, Rights::STDIO | Rights::FD_WRITE)
            }
            Target::File(file) => (self.stat_node(file.node)?.filetype, file.access.rights()),
            Target::Directory(_) => (Filetype::Directory, Rights::DIRECTORY),
        };
        let rights_inheriting = match filetype {
            Filetype::Directory => Rights::DIRECTORY | Rights::FILE,
            Filetype::CharacterDevice | Filetype::RegularFile | Filetype::SymbolicLink => {
                Rights::EMPTY
            }
        };
        Ok(FdStat {
            filetype,
            flags: descriptor.flags,
            rights,
            rights_inheriting,
        })
    }

    /// Sets or clears `APPEND` and `NONBLOCK`. As with `F_SETFL`, the others stay as they were
    /// when the descriptor was opened.
    pub fn set_flags(&mut self, fd: Fd, flags: FdFlags) -> Result<(), Errno> {
        const SETTABLE: FdFlags = FdFlags::APPEND.union(FdFlags::NONBLOCK);
        let descriptor = self.table.get_mut(fd)?;
        descriptor.flags = descriptor.flags.without(SETTABLE) | flags.intersection(SETTABLE);
        Ok(())
    }

    /// Closes any descriptor, stdio and preopens included.
    pub fn close(&mut self, fd: Fd) -> Result<(), Errno> {
        let closed = self.table.close(fd)?;
        self.let_go(closed);
        Ok(())
    }

    /// Moves `from` to the number `to`, closing what was there, as `dup2` and `close` would. A
    /// closed `to` will do if it is below the bound on open files, else `BadDescriptor`.
    pub fn renumber(&mut self, from: Fd, to: Fd) -> Result<(), Errno> {
        if let Some(replaced) = self.table.renumber(from, to)? {
            self.let_go(replaced);
        }
        Ok(())
    }

    /// What counts against the quotas just now.
    pub fn used(&self) -> FilesUsed {
        self.tree.used()
    }

    fn let_go(&mut self, closed: Descriptor) {
        if let Some(tree::NodeId::Session(inode)) = closed.target.node() {
            self.release(inode);
        }
    }

    /// Gives a node's space back once it has neither a name nor a descriptor.
    fn release(&mut self, inode: Inode) {
        let nameless = self.tree.node(inode).is_ok_and(|node| node.links == 0);
        if nameless && !self.table.holds(inode) {
            self.tree.forget(inode);
        }
    }
}
