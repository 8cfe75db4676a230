//! Calls on an open descriptor: content, size, offset, attributes.

use super::Files;
use super::descriptor::{Fd, OpenFile, Target};
use super::errno::Errno;
use super::flags::{FdFlags, Whence};
use super::library::LibraryNode;
use super::stat::{Filetype, SetTimes, Stat, Times, Timestamp};
use super::tree::{Body, Inode, NodeId};

/// The largest offset: a guest's `off_t` is signed.
const OFFSET_MAX: u64 = i64::MAX as u64;
const LIBRARY_DEVICE: u64 = 1;
const SESSION_DEVICE: u64 = 2;

impl Files {
    /// Reads at the descriptor's offset and moves it. 0 is the end of the file. Stdio is the
    /// caller's to read: `NotSupported` here.
    pub fn read(&mut self, fd: Fd, buffer: &mut [u8]) -> Result<usize, Errno> {
        let file = self.open_file(fd, Errno::NotSupported, Errno::IsDirectory)?;
        let read = self.read_node(file, file.offset, buffer)?;
        self.move_to(fd, file.offset + read as u64)?;
        Ok(read)
    }

    /// Reads at `offset` and leaves the descriptor's own alone.
    pub fn read_at(&self, fd: Fd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
        let file = self.open_file(fd, Errno::IllegalSeek, Errno::IsDirectory)?;
        if offset > OFFSET_MAX {
            return Err(Errno::Invalid);
        }
        self.read_node(file, offset, buffer)
    }

    /// Writes at the descriptor's offset, or at the end with `APPEND`, and moves it. Returns how
    /// much was written: less than `data` when a quota is reached on the way, `FileTooBig` or
    /// `NoSpace` when it was reached before. Stdio is the caller's to write: `NotSupported` here.
    pub fn write(&mut self, fd: Fd, data: &[u8], now: Timestamp) -> Result<usize, Errno> {
        let file = self.open_file(fd, Errno::NotSupported, Errno::BadDescriptor)?;
        let append = self.table.get(fd)?.flags.contains(FdFlags::APPEND);
        let offset = match file.node {
            NodeId::Session(inode) if append => self.tree.file(inode)?.size(),
            NodeId::Session(_) | NodeId::Library(_) => file.offset,
        };
        let written = self.write_node(file, offset, data, now)?;
        if written > 0 {
            self.move_to(fd, offset + written as u64)?;
        }
        Ok(written)
    }

    /// Writes at `offset`, even with `APPEND`, and leaves the descriptor's own alone.
    pub fn write_at(
        &mut self,
        fd: Fd,
        data: &[u8],
        offset: u64,
        now: Timestamp,
    ) -> Result<usize, Errno> {
        let file = self.open_file(fd, Errno::IllegalSeek, Errno::BadDescriptor)?;
        if offset > OFFSET_MAX {
            return Err(Errno::Invalid);
        }
        self.write_node(file, offset, data, now)
    }

    /// Moves the offset and returns it. `Invalid` when it would be negative, `Overflow` when it
    /// would not fit the guest's `off_t`, `IllegalSeek` on stdio.
    pub fn seek(&mut self, fd: Fd, delta: i64, whence: Whence) -> Result<u64, Errno> {
        let file = self.open_file(fd, Errno::IllegalSeek, Errno::BadDescriptor)?;
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => file.offset,
            Whence::End => self.stat_node(file.node)?.size,
        };
        let offset = i128::from(base) + i128::from(delta);
        if offset < 0 {
            return Err(Errno::Invalid);
        }
        let offset = u64::try_from(offset).map_err(|_| Errno::Overflow)?;
        if offset > OFFSET_MAX {
            return Err(Errno::Overflow);
        }
        self.move_to(fd, offset)?;
        Ok(offset)
    }

    /// The descriptor's offset.
    pub fn tell(&self, fd: Fd) -> Result<u64, Errno> {
        let file = self.open_file(fd, Errno::IllegalSeek, Errno::BadDescriptor)?;
        Ok(file.offset)
    }

    /// The attributes of what the descriptor stands for.
    pub fn stat(&self, fd: Fd) -> Result<Stat, Errno> {
        match self.table.get(fd)?.target.node() {
            Some(node) => self.stat_node(node),
            None => Ok(Stat {
                device: 0,
                inode: u64::from(fd.0),
                filetype: Filetype::CharacterDevice,
                links: 1,
                size: 0,
                times: Times::all(Timestamp(0)),
            }),
        }
    }

    /// Sets the timestamps of an open file or directory. `NotSupported` on stdio.
    pub fn set_times(&mut self, fd: Fd, times: SetTimes, now: Timestamp) -> Result<(), Errno> {
        let node = self.table.get(fd)?.target.node();
        self.set_node_times(node.ok_or(Errno::NotSupported)?, times, now)
    }

    /// Cuts the file, or grows it by zeros. `Invalid` unless it is open for writing; growing is
    /// all or nothing: `FileTooBig`, `NoSpace`.
    pub fn set_size(&mut self, fd: Fd, size: u64, now: Timestamp) -> Result<(), Errno> {
        let file = self.open_file(fd, Errno::Invalid, Errno::Invalid)?;
        match file.node {
            NodeId::Session(inode) if file.access.writes() => self.tree.set_size(inode, size, now),
            NodeId::Session(_) | NodeId::Library(_) => Err(Errno::Invalid),
        }
    }

    /// Makes sure that the file has room up to `offset + length`, growing it by zeros if it is
    /// shorter. A length of 0 is `Invalid`.
    pub fn allocate(
        &mut self,
        fd: Fd,
        offset: u64,
        length: u64,
        now: Timestamp,
    ) -> Result<(), Errno> {
        self.table.get(fd)?;
        if length == 0 {
            return Err(Errno::Invalid);
        }
        let file = self.open_file(fd, Errno::IllegalSeek, Errno::BadDescriptor)?;
        let inode = match file.node {
            NodeId::Session(inode) if file.access.writes() => inode,
            NodeId::Session(_) | NodeId::Library(_) => return Err(Errno::BadDescriptor),
        };
        let end = offset.checked_add(length).ok_or(Errno::FileTooBig)?;
        if end > self.tree.file(inode)?.size() {
            self.tree.set_size(inode, end, now)?;
        }
        Ok(())
    }

    /// Does nothing for any open descriptor: a file is as durable as the checkpoint it is in.
    pub fn sync(&self, fd: Fd) -> Result<(), Errno> {
        self.table.get(fd).map(|_| ())
    }

    /// Takes advice on a file and does nothing with it. `Invalid` when the range overflows.
    pub fn advise(&self, fd: Fd, offset: u64, length: u64) -> Result<(), Errno> {
        self.open_file(fd, Errno::IllegalSeek, Errno::BadDescriptor)?;
        offset.checked_add(length).map(|_| ()).ok_or(Errno::Invalid)
    }

    /// The open file of a descriptor, or one of the two refusals when it is stdio or a directory.
    fn open_file(&self, fd: Fd, if_stdio: Errno, if_directory: Errno) -> Result<OpenFile, Errno> {
        match &self.table.get(fd)?.target {
            Target::Stdin | Target::Stdout | Target::Stderr => Err(if_stdio),
            Target::File(file) => Ok(*file),
            Target::Directory(_) => Err(if_directory),
        }
    }

    fn move_to(&mut self, fd: Fd, offset: u64) -> Result<(), Errno> {
        match &mut self.table.get_mut(fd)?.target {
            // The null device takes any number of bytes past any offset.
            Target::File(file) => file.offset = offset.min(OFFSET_MAX),
            Target::Stdin | Target::Stdout | Target::Stderr | Target::Directory(_) => {}
        }
        Ok(())
    }

    fn read_node(&self, file: OpenFile, offset: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        if !file.access.reads() {
            return Err(Errno::BadDescriptor);
        }
        match file.node {
            NodeId::Session(inode) => Ok(self.tree.file(inode)?.read_at(offset, buffer)),
            NodeId::Library(index) => match self.library.node(index)? {
                LibraryNode::File(content) => content.read_at(offset, buffer),
                LibraryNode::NullDevice => Ok(0),
                LibraryNode::Directory { .. } => Err(Errno::IsDirectory),
            },
        }
    }

    fn write_node(
        &mut self,
        file: OpenFile,
        offset: u64,
        data: &[u8],
        now: Timestamp,
    ) -> Result<usize, Errno> {
        if !file.access.writes() {
            return Err(Errno::BadDescriptor);
        }
        match file.node {
            NodeId::Session(inode) => self.tree.write_at(inode, offset, data, now),
            NodeId::Library(index) => match self.library.node(index)? {
                LibraryNode::NullDevice => Ok(data.len()),
                LibraryNode::File(_) | LibraryNode::Directory { .. } => Err(Errno::ReadOnly),
            },
        }
    }

    pub(super) fn stat_node(&self, node: NodeId) -> Result<Stat, Errno> {
        match node {
            NodeId::Library(index) => self.stat_library(index),
            NodeId::Session(inode) => self.stat_session(inode),
        }
    }

    fn stat_library(&self, index: u32) -> Result<Stat, Errno> {
        let (filetype, size) = match self.library.node(index)? {
            LibraryNode::Directory { .. } => {
                (Filetype::Directory, self.library.entry_count(index)?)
            }
            LibraryNode::File(content) => (Filetype::RegularFile, content.size()),
            LibraryNode::NullDevice => (Filetype::CharacterDevice, 0),
        };
        Ok(Stat {
            device: LIBRARY_DEVICE,
            inode: u64::from(index) + 1,
            filetype,
            links: 1,
            size,
            times: Times::all(self.library.modified()),
        })
    }

    fn stat_session(&self, inode: Inode) -> Result<Stat, Errno> {
        let node = self.tree.node(inode)?;
        let (filetype, size) = match &node.body {
            Body::Directory(directory) => (Filetype::Directory, directory.len() as u64),
            Body::File(content) => (Filetype::RegularFile, content.size()),
            Body::Symlink(target) => (Filetype::SymbolicLink, target.len() as u64),
        };
        Ok(Stat {
            device: SESSION_DEVICE,
            inode: inode.0,
            filetype,
            links: node.links,
            size,
            times: node.times,
        })
    }

    pub(super) fn set_node_times(
        &mut self,
        node: NodeId,
        times: SetTimes,
        now: Timestamp,
    ) -> Result<(), Errno> {
        match node {
            NodeId::Session(inode) => self.tree.set_times(inode, times, now),
            NodeId::Library(_) => Err(Errno::ReadOnly),
        }
    }
}
