//! The descriptor table: which numbers are open, and what each stands for.

use super::errno::Errno;
use super::flags::{Access, FdFlags};
use super::tree::{Inode, NodeId};
use super::walk::Start;

/// A descriptor's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fd(pub u32);

/// Who serves a descriptor's reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DescriptorKind {
    /// The caller: these are the session's streams, under whatever number.
    Stdin,
    Stdout,
    Stderr,
    /// The tree.
    File,
    Directory,
}

#[derive(Debug, Clone)]
pub(super) struct Descriptor {
    pub(super) target: Target,
    pub(super) flags: FdFlags,
}

#[derive(Debug, Clone)]
pub(super) enum Target {
    Stdin,
    Stdout,
    Stderr,
    File(OpenFile),
    Directory(OpenDirectory),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OpenFile {
    pub(super) node: NodeId,
    pub(super) access: Access,
    /// At most `i64::MAX`.
    pub(super) offset: u64,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OpenDirectory {
    pub(super) start: Start,
    /// An index into the preopens, of which this is one.
    pub(super) preopen: Option<usize>,
    /// Entries with this cookie or a later one came after the listing began. Leaving them out
    /// ends the listing even if the program adds a name for each that it is shown.
    pub(super) cookie_end: u64,
}

impl Target {
    /// The node that this descriptor keeps alive.
    pub(super) fn node(&self) -> Option<NodeId> {
        match self {
            Self::Stdin | Self::Stdout | Self::Stderr => None,
            Self::File(file) => Some(file.node),
            Self::Directory(directory) => Some(directory.start.directory),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct DescriptorTable {
    /// Indexed by number; the last is never vacant.
    slots: Vec<Option<Descriptor>>,
    open_files_max: usize,
}

impl DescriptorTable {
    pub(super) fn new(open_files_max: usize) -> Self {
        Self {
            slots: Vec::new(),
            open_files_max,
        }
    }

    pub(super) fn get(&self, fd: Fd) -> Result<&Descriptor, Errno> {
        let slot = self.slots.get(fd.0 as usize).and_then(Option::as_ref);
        slot.ok_or(Errno::BadDescriptor)
    }

    pub(super) fn get_mut(&mut self, fd: Fd) -> Result<&mut Descriptor, Errno> {
        let slot = self.slots.get_mut(fd.0 as usize).and_then(Option::as_mut);
        slot.ok_or(Errno::BadDescriptor)
    }

    /// The lowest free number, or `TooManyOpen`.
    pub(super) fn vacancy(&self) -> Result<Fd, Errno> {
        let free = self.slots.iter().position(Option::is_none);
        let number = free.unwrap_or(self.slots.len());
        if number >= self.open_files_max {
            return Err(Errno::TooManyOpen);
        }
        u32::try_from(number)
            .map(Fd)
            .map_err(|_| Errno::TooManyOpen)
    }

    /// Opens the lowest free number.
    pub(super) fn open(&mut self, descriptor: Descriptor) -> Result<Fd, Errno> {
        let fd = self.vacancy()?;
        self.put(fd, descriptor);
        Ok(fd)
    }

    pub(super) fn close(&mut self, fd: Fd) -> Result<Descriptor, Errno> {
        let slot = self.slots.get_mut(fd.0 as usize);
        let closed = slot.and_then(Option::take).ok_or(Errno::BadDescriptor)?;
        while let Some(None) = self.slots.last() {
            self.slots.pop();
        }
        Ok(closed)
    }

    /// Moves `from` to the number `to` and returns what `to` was, if it was open. A closed `to`
    /// must be a number that `open` could give.
    pub(super) fn renumber(&mut self, from: Fd, to: Fd) -> Result<Option<Descriptor>, Errno> {
        self.get(from)?;
        if to.0 as usize >= self.open_files_max {
            return Err(Errno::BadDescriptor);
        }
        if from == to {
            return Ok(None);
        }
        let moved = self.close(from)?;
        Ok(self.put(to, moved))
    }

    /// Whether any descriptor keeps this node alive.
    pub(super) fn holds(&self, inode: Inode) -> bool {
        self.iter()
            .any(|open| open.target.node() == Some(NodeId::Session(inode)))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Descriptor> {
        self.slots.iter().flatten()
    }

    pub(super) fn put(&mut self, fd: Fd, descriptor: Descriptor) -> Option<Descriptor> {
        let index = fd.0 as usize;
        if self.slots.len() <= index {
            self.slots.resize(index + 1, None);
        }
        self.slots[index].replace(descriptor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(target: Target) -> Descriptor {
        Descriptor {
            target,
            flags: FdFlags::EMPTY,
        }
    }

    #[test]
    fn the_lowest_free_number_is_the_next() {
        let mut table = DescriptorTable::new(4);
        for number in 0..4 {
            assert_eq!(table.open(stream(Target::Stdin)), Ok(Fd(number)));
        }
        assert_eq!(table.open(stream(Target::Stdin)), Err(Errno::TooManyOpen));
        table.close(Fd(2)).unwrap();
        table.close(Fd(1)).unwrap();
        assert_eq!(table.close(Fd(1)).unwrap_err(), Errno::BadDescriptor);
        assert_eq!(table.open(stream(Target::Stdin)), Ok(Fd(1)));
        assert_eq!(table.open(stream(Target::Stdin)), Ok(Fd(2)));
    }

    #[test]
    fn renumbering_replaces_and_frees() {
        let mut table = DescriptorTable::new(8);
        table.open(stream(Target::Stdin)).unwrap();
        table.open(stream(Target::Stdout)).unwrap();
        let replaced = table.renumber(Fd(1), Fd(0)).unwrap().unwrap();
        assert!(matches!(replaced.target, Target::Stdin));
        assert!(matches!(table.get(Fd(0)).unwrap().target, Target::Stdout));
        assert_eq!(table.get(Fd(1)).unwrap_err(), Errno::BadDescriptor);
        assert!(table.renumber(Fd(0), Fd(7)).unwrap().is_none());
        for (from, to) in [(7, 8), (7, u32::MAX), (0, 7), (u32::MAX, 0)] {
            let refusal = table.renumber(Fd(from), Fd(to)).unwrap_err();
            assert_eq!(refusal, Errno::BadDescriptor, "{from} to {to}");
        }
        assert!(table.renumber(Fd(7), Fd(7)).unwrap().is_none());
    }
}
