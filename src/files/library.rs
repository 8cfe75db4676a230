//! The read-only half of every session's tree: the interpreter's files, built once by the host.
//!
//! Content is memory, or a region of a host file that the host has opened: no guest ever names a
//! host path, and a region is read with `pread`, so that sessions share no position. `/work` and
//! `/tmp` are empty here; each session mounts its own directories there.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::errno::Errno;
use super::limits::NAME_BYTES_MAX;
use super::path::TreePath;
use super::stat::Timestamp;
use super::tree::{Inode, NodeId, TMP, WORK};

/// `/` of the library, and of everything.
pub(super) const ROOT: NodeId = NodeId::Library(0);
const MOUNTS: [(u32, &str, Inode); 2] = [(1, "work", WORK), (2, "tmp", TMP)];

/// The shared files, complete and immutable. Share it as an `Arc`.
#[derive(Debug)]
pub struct Library {
    nodes: Vec<LibraryNode>,
    modified: Timestamp,
}

#[derive(Debug)]
pub(super) enum LibraryNode {
    /// Entries sorted by name; an entry's index is its place in listings.
    Directory {
        parent: u32,
        entries: Vec<(Box<str>, u32)>,
    },
    File(LibraryContent),
    /// Reads as empty, swallows what is written.
    NullDevice,
}

/// Where a library file's bytes are.
#[derive(Clone)]
pub enum LibraryContent {
    Bytes(Arc<[u8]>),
    /// `bytes` bytes from `offset` on in a host file that stays open and unchanged.
    Region {
        file: Arc<File>,
        offset: u64,
        bytes: u64,
    },
}

/// Why the host's own list of files makes no tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibraryError {
    #[error(
        "library path {path:?} is malformed: it must be absolute, without `.`, `..` or NUL, \
                with names of 1 to {NAME_BYTES_MAX} bytes"
    )]
    Malformed { path: String },
    #[error("library path {path:?} is there already, or lies below a file")]
    Taken { path: String },
    #[error(
        "library path {path:?} lies in a directory that belongs to the sessions: choose one \
                outside /work and /tmp"
    )]
    Writable { path: String },
    #[error("library file {path:?} ends beyond the largest offset: offset {offset}, {bytes} bytes")]
    Region {
        path: String,
        offset: u64,
        bytes: u64,
    },
}

/// Collects the files of a `Library`.
#[derive(Debug)]
pub struct LibraryBuilder {
    library: Library,
}

impl LibraryBuilder {
    /// A library that holds only `/dev/null`. `modified` is the time of everything in it.
    pub fn new(modified: Timestamp) -> Self {
        let mut library = Library {
            nodes: vec![LibraryNode::empty(0)],
            modified,
        };
        for (index, name, _) in MOUNTS {
            let made = library.insert(0, name, LibraryNode::empty(0));
            assert_eq!(made, index, "mount points come first");
        }
        let dev = library.insert(0, "dev", LibraryNode::empty(0));
        library.insert(dev, "null", LibraryNode::NullDevice);
        Self { library }
    }

    /// Adds a file at an absolute guest path; directories above it are made.
    pub fn file(&mut self, path: &str, content: LibraryContent) -> Result<&mut Self, LibraryError> {
        if let LibraryContent::Region { offset, bytes, .. } = content
            && offset
                .checked_add(bytes)
                .is_none_or(|end| end > i64::MAX as u64)
        {
            return Err(LibraryError::Region {
                path: path.into(),
                offset,
                bytes,
            });
        }
        let parsed = parse(path)?;
        let names = parsed.names();
        let Some((name, above)) = names.split_last() else {
            return Err(LibraryError::Taken { path: path.into() });
        };
        let parent = self.directories(path, above)?;
        if self.library.find(parent, name).is_some() || is_mount(above, name) {
            return Err(LibraryError::Taken { path: path.into() });
        }
        self.library
            .insert(parent, name, LibraryNode::File(content));
        Ok(self)
    }

    /// Adds a directory, with those above it, unless it is there.
    pub fn directory(&mut self, path: &str) -> Result<&mut Self, LibraryError> {
        let parsed = parse(path)?;
        self.directories(path, &parsed.names())?;
        Ok(self)
    }

    pub fn build(self) -> Arc<Library> {
        Arc::new(self.library)
    }

    fn directories(&mut self, path: &str, names: &[&str]) -> Result<u32, LibraryError> {
        if let Some(first) = names.first()
            && is_mount(&[], first)
        {
            return Err(LibraryError::Writable { path: path.into() });
        }
        let mut here = 0;
        for name in names {
            here = match self.library.find(here, name) {
                Some(found) if self.library.entries(found).is_ok() => found,
                Some(_) => return Err(LibraryError::Taken { path: path.into() }),
                None => self.library.insert(here, name, LibraryNode::empty(here)),
            };
        }
        Ok(here)
    }
}

fn parse(path: &str) -> Result<TreePath, LibraryError> {
    TreePath::new(path).map_err(|_| LibraryError::Malformed { path: path.into() })
}

fn is_mount(above: &[&str], name: &str) -> bool {
    above.is_empty() && MOUNTS.iter().any(|(_, mount, _)| *mount == name)
}

impl Library {
    pub(super) fn modified(&self) -> Timestamp {
        self.modified
    }

    /// The node of an index that this library has handed out.
    pub(super) fn node(&self, index: u32) -> Result<&LibraryNode, Errno> {
        self.nodes.get(index as usize).ok_or(Errno::NotFound)
    }

    /// What `name` stands for in a directory: a node of the library, or what is mounted there.
    pub(super) fn child(&self, directory: u32, name: &str) -> Result<Option<NodeId>, Errno> {
        self.entries(directory)?;
        Ok(self.find(directory, name).map(mounted))
    }

    /// `..` of a directory.
    pub(super) fn parent(&self, directory: u32) -> Result<NodeId, Errno> {
        match self.node(directory)? {
            LibraryNode::Directory { parent, .. } => Ok(NodeId::Library(*parent)),
            LibraryNode::File(_) | LibraryNode::NullDevice => Err(Errno::NotDirectory),
        }
    }

    /// The entry at a place in a listing, 0 being the first.
    pub(super) fn entry(&self, directory: u32, place: u64) -> Option<(&str, NodeId)> {
        let entries = self.entries(directory).ok()?;
        let (name, index) = entries.get(usize::try_from(place).ok()?)?;
        Some((name, mounted(*index)))
    }

    /// How many entries a directory has.
    pub(super) fn entry_count(&self, directory: u32) -> Result<u64, Errno> {
        Ok(self.entries(directory)?.len() as u64)
    }

    fn entries(&self, directory: u32) -> Result<&[(Box<str>, u32)], Errno> {
        match self.node(directory)? {
            LibraryNode::Directory { entries, .. } => Ok(entries),
            LibraryNode::File(_) | LibraryNode::NullDevice => Err(Errno::NotDirectory),
        }
    }

    fn find(&self, directory: u32, name: &str) -> Option<u32> {
        let entries = self.entries(directory).ok()?;
        let place = entries
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .ok()?;
        Some(entries[place].1)
    }

    /// Adds a node under a name that is free.
    fn insert(&mut self, directory: u32, name: &str, node: LibraryNode) -> u32 {
        let index = u32::try_from(self.nodes.len()).expect("a host lists fewer than 2^32 files");
        self.nodes.push(node);
        if let LibraryNode::Directory { entries, .. } = &mut self.nodes[directory as usize] {
            let place = entries.partition_point(|(known, _)| **known < *name);
            entries.insert(place, (name.into(), index));
        }
        index
    }
}

fn mounted(index: u32) -> NodeId {
    MOUNTS
        .iter()
        .find(|(point, _, _)| *point == index)
        .map_or(NodeId::Library(index), |(_, _, inode)| {
            NodeId::Session(*inode)
        })
}

impl LibraryNode {
    fn empty(parent: u32) -> Self {
        Self::Directory {
            parent,
            entries: Vec::new(),
        }
    }
}

impl LibraryContent {
    /// Size in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Region { bytes, .. } => *bytes,
        }
    }

    /// Copies what lies at `offset` into `buffer` and returns how much that was: 0 at or past the
    /// end. `Io` when the host file does not give what it held at start.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        let Some(left) = self.size().checked_sub(offset) else {
            return Ok(0);
        };
        let length = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let target = &mut buffer[..length];
        match self {
            Self::Bytes(bytes) => {
                let start = bytes.len() - usize::try_from(left).map_err(|_| Errno::Io)?;
                target.copy_from_slice(&bytes[start..start + length]);
            }
            Self::Region {
                file, offset: base, ..
            } => file
                .read_exact_at(target, base + offset)
                .map_err(|_| Errno::Io)?,
        }
        Ok(length)
    }
}

/// The size alone: content may be megabytes.
impl fmt::Debug for LibraryContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LibraryContent({} bytes)", self.size())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn bytes(text: &str) -> LibraryContent {
        LibraryContent::Bytes(text.as_bytes().into())
    }

    #[test]
    fn a_path_that_makes_no_tree_is_refused_by_name() {
        let mut builder = LibraryBuilder::new(Timestamp(0));
        builder.file("/usr/lib/a.zip", bytes("a")).unwrap();
        for (path, refusal) in [
            ("usr/b", "malformed"),
            ("/usr/../b", "malformed"),
            ("/usr/./b", "malformed"),
            ("/a\0b", "malformed"),
            ("", "malformed"),
            ("/", "already"),
            ("/usr", "already"),
            ("/usr/lib/a.zip", "already"),
            ("/usr/lib/a.zip/x", "already"),
            ("/dev/null", "already"),
            ("/work", "already"),
            ("/tmp/x", "belongs to the sessions"),
        ] {
            let error = builder.file(path, bytes("")).unwrap_err().to_string();
            assert!(error.contains(refusal), "{path}: {error}");
        }
        assert!(builder.directory("/usr/lib").is_ok());
        assert!(builder.directory("/work/x").is_err());
    }

    #[test]
    fn a_region_is_only_its_part_of_the_host_file() {
        let mut host = tempfile::tempfile().unwrap();
        host.write_all(b"before-content-after").unwrap();
        let region = LibraryContent::Region {
            file: Arc::new(host),
            offset: 7,
            bytes: 7,
        };
        let mut buffer = [0; 16];
        assert_eq!(region.read_at(0, &mut buffer), Ok(7));
        assert_eq!(&buffer[..7], b"content");
        assert_eq!(region.read_at(4, &mut buffer[..2]), Ok(2));
        assert_eq!(&buffer[..2], b"en");
        for past in [7, 8, u64::MAX] {
            assert_eq!(region.read_at(past, &mut buffer), Ok(0));
        }
    }

    #[test]
    fn a_host_file_that_shrank_is_an_error_and_not_zeros() {
        let region = LibraryContent::Region {
            file: Arc::new(tempfile::tempfile().unwrap()),
            offset: 0,
            bytes: 1,
        };
        assert_eq!(region.read_at(0, &mut [0]), Err(Errno::Io));
    }
}
