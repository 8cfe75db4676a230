//! The gateway's own access to a session's files, without a descriptor: for its HTTP calls.
//!
//! Links that the guest has made are followed, within the tree as always: whoever may read a
//! session's files may read its library too.

use super::Files;
use super::errno::Errno;
use super::library::LibraryNode;
use super::path::TreePath;
use super::stat::Timestamp;
use super::tree::{Body, Newborn, NodeId};
use super::walk::{Final, Start};

/// A regular file, as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Relative to the directory that was listed.
    pub path: String,
    /// In bytes.
    pub size: u64,
    pub modified: Timestamp,
}

impl Files {
    /// The whole content of a file.
    pub fn read_file(&self, path: &TreePath) -> Result<Vec<u8>, Errno> {
        let found = self.walk(Start::TOP, path.as_str(), Final::Follow)?;
        let node = found.existing(self)?;
        let size = self.stat_node(node)?.size;
        match node {
            NodeId::Session(inode) => {
                let content = self.tree.file(inode)?;
                let mut bytes = zeros(size)?;
                content.read_at(0, &mut bytes);
                Ok(bytes)
            }
            NodeId::Library(index) => match self.library.node(index)? {
                LibraryNode::File(content) => {
                    let mut bytes = zeros(size)?;
                    content.read_at(0, &mut bytes)?;
                    Ok(bytes)
                }
                LibraryNode::Directory { .. } => Err(Errno::IsDirectory),
                LibraryNode::NullDevice => Ok(Vec::new()),
            },
        }
    }

    /// Makes a file with this content, or replaces the content of the one that is there; the
    /// directories above it are made. When a quota refuses it (`FileTooBig`, `NoSpace`) the old
    /// content stays.
    pub fn write_file(
        &mut self,
        path: &TreePath,
        bytes: &[u8],
        now: Timestamp,
    ) -> Result<(), Errno> {
        if bytes.len() as u64 > self.tree.limits().file_bytes_max {
            return Err(Errno::FileTooBig);
        }
        for above in path.above() {
            match self.create_directory_from(Start::TOP, above, now) {
                Ok(()) | Err(Errno::Exists) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        let found = self.walk(Start::TOP, path.as_str(), Final::Follow)?;
        let inode = match found.existing(self) {
            Ok(NodeId::Session(inode)) => inode,
            Ok(NodeId::Library(_)) => return Err(Errno::ReadOnly),
            Err(Errno::NotFound) => {
                self.tree.admit_size(0, bytes.len() as u64)?;
                let slot = found.vacant()?;
                self.tree.create(&slot, Newborn::File, now)?
            }
            Err(refusal) => return Err(refusal),
        };
        let old = self.tree.file(inode)?.size();
        self.tree.admit_size(old, bytes.len() as u64)?;
        self.tree.set_size(inode, 0, now)?;
        self.tree.write_at(inode, 0, bytes, now)?;
        Ok(())
    }

    /// Removes a file or link.
    pub fn remove_file(&mut self, path: &TreePath, now: Timestamp) -> Result<(), Errno> {
        self.unlink_from(Start::TOP, path.as_str(), now)
    }

    /// The regular files below a writable directory, sorted by path. Links are left out, so that
    /// each file is listed where it is.
    pub fn list(&self, directory: &TreePath) -> Result<Vec<FileEntry>, Errno> {
        let found = self.walk(Start::TOP, directory.as_str(), Final::Follow)?;
        let NodeId::Session(top) = found.existing(self)? else {
            return Err(Errno::ReadOnly);
        };
        self.tree.directory(top)?;
        let mut files = Vec::new();
        let mut open = vec![(top, String::new())];
        while let Some((inode, prefix)) = open.pop() {
            for (name, child) in self.tree.directory(inode)?.iter() {
                let node = self.tree.node(child)?;
                match &node.body {
                    Body::Directory(_) => open.push((child, format!("{prefix}{name}/"))),
                    Body::File(content) => files.push(FileEntry {
                        path: format!("{prefix}{name}"),
                        size: content.size(),
                        modified: node.times.modified,
                    }),
                    Body::Symlink(_) => {}
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

/// A buffer of that size, if there is one to be had.
fn zeros(size: u64) -> Result<Vec<u8>, Errno> {
    let size = usize::try_from(size).map_err(|_| Errno::NoMemory)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Errno::NoMemory)?;
    bytes.resize(size, 0);
    Ok(bytes)
}
