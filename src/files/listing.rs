//! `fd_readdir`: the entries of an open directory, resumable at any of them.

use super::Files;
use super::descriptor::{Fd, Target};
use super::directory::COOKIE_FIRST;
use super::errno::Errno;
use super::stat::Filetype;
use super::tree::{Inode, NodeId};

/// One entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// `.` and `..` come first.
    pub name: &'a str,
    /// As in `Stat::inode`.
    pub inode: u64,
    pub filetype: Filetype,
    /// The cookie with which to go on after this entry.
    pub next: u64,
}

/// The entries of a directory from a cookie on.
#[derive(Debug)]
pub struct Listing<'a> {
    files: &'a Files,
    directory: NodeId,
    cookie: u64,
    cookie_end: u64,
}

impl Files {
    /// The entries of a directory from `cookie` on: 0 is the start, anything else comes from
    /// `DirEntry::next`. Entries removed meanwhile are left out; none is shown twice. Those added
    /// since the start are not shown before the next start.
    pub fn read_dir(&mut self, fd: Fd, cookie: u64) -> Result<Listing<'_>, Errno> {
        let directory = match &mut self.table.get_mut(fd)?.target {
            Target::Directory(open) => {
                if cookie == 0 {
                    open.cookie_end = match open.start.directory {
                        NodeId::Session(inode) => self.tree.directory(inode)?.cookie_end(),
                        NodeId::Library(_) => u64::MAX,
                    };
                }
                *open
            }
            Target::Stdin | Target::Stdout | Target::Stderr | Target::File(_) => {
                return Err(Errno::NotDirectory);
            }
        };
        Ok(Listing {
            files: self,
            directory: directory.start.directory,
            cookie,
            cookie_end: directory.cookie_end,
        })
    }
}

impl<'a> Listing<'a> {
    fn entry(&self, cookie: u64, name: &'a str, node: NodeId) -> Option<DirEntry<'a>> {
        let stat = self.files.stat_node(node).ok()?;
        Some(DirEntry {
            name,
            inode: stat.inode,
            filetype: stat.filetype,
            next: cookie + 1,
        })
    }

    fn below(&self, inode: Inode) -> Option<DirEntry<'a>> {
        let directory = self.files.tree.directory(inode).ok()?;
        let (cookie, name, child) = directory.at_or_after(self.cookie)?;
        if cookie >= self.cookie_end {
            return None;
        }
        self.entry(cookie, name, NodeId::Session(child))
    }

    /// `.` and `..`, which a removed directory no longer has.
    fn dot(&self) -> Option<DirEntry<'a>> {
        if let NodeId::Session(inode) = self.directory
            && self.files.tree.node(inode).ok()?.links == 0
        {
            return None;
        }
        match self.cookie {
            0 => self.entry(0, ".", self.directory),
            _ => self.entry(1, "..", self.files.directory_parent(self.directory).ok()?),
        }
    }
}

impl<'a> Iterator for Listing<'a> {
    type Item = DirEntry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = if self.cookie < COOKIE_FIRST {
            self.dot()
        } else {
            match self.directory {
                NodeId::Session(inode) => self.below(inode),
                NodeId::Library(index) => {
                    let place = self.cookie - COOKIE_FIRST;
                    let (name, node) = self.files.library.entry(index, place)?;
                    self.entry(self.cookie, name, node)
                }
            }
        }?;
        self.cookie = entry.next;
        Some(entry)
    }
}
