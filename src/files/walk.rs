//! From a path to what it names: `.`, `..`, symbolic links, and the bounds of a preopen.

use super::Files;
use super::errno::Errno;
use super::flags::Lookup;
use super::library::ROOT;
use super::limits::{NAME_BYTES_MAX, SYMLINKS_FOLLOWED_MAX};
use super::path::components;
use super::tree::{Body, NodeId, Slot};

/// Where a walk begins, and the directory it may not climb out of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) directory: NodeId,
    pub(super) root: NodeId,
}

impl Start {
    /// The whole tree, as the host sees it.
    pub(super) const TOP: Self = Self {
        directory: ROOT,
        root: ROOT,
    };
}

/// What becomes of a symbolic link at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Final {
    /// It is followed.
    Follow,
    /// It stands for itself, unless a slash after it asks for the directory behind it.
    Keep,
    /// It stands for itself in any case: the caller is about the name, not about what it names.
    Name,
}

impl From<Lookup> for Final {
    fn from(lookup: Lookup) -> Self {
        match lookup {
            Lookup::Follow => Self::Follow,
            Lookup::NoFollow => Self::Keep,
        }
    }
}

/// What lies at the end of a path.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// `None` when all but the last name is there.
    pub(super) node: Option<NodeId>,
    pub(super) last: Last<'a>,
    /// A slash at the end: only a directory will do.
    pub(super) slash: bool,
}

/// How a path ends.
#[derive(Debug)]
pub(super) enum Last<'a> {
    Name { parent: NodeId, name: &'a str },
    Dot,
    DotDot,
    Root,
}

impl Found<'_> {
    /// The node, if it is there and is a directory where the path insists on one.
    pub(super) fn existing(&self, files: &Files) -> Result<NodeId, Errno> {
        let node = self.node.ok_or(Errno::NotFound)?;
        if self.slash && !files.is_directory(node) {
            return Err(Errno::NotDirectory);
        }
        Ok(node)
    }

    /// The name to be made, if it is free and may be made there: `Exists`, `ReadOnly`.
    pub(super) fn vacant(&self) -> Result<Slot, Errno> {
        match self.last {
            Last::Name { parent, name } if self.node.is_none() => slot(parent, name),
            Last::Name { .. } | Last::Dot | Last::DotDot | Last::Root => Err(Errno::Exists),
        }
    }
}

/// A name in a directory whose entries may change, else `ReadOnly`.
pub(super) fn slot(parent: NodeId, name: &str) -> Result<Slot, Errno> {
    match parent {
        NodeId::Session(parent) => Ok(Slot {
            parent,
            name: name.into(),
        }),
        NodeId::Library(_) => Err(Errno::ReadOnly),
    }
}

/// A path half way along.
struct Walk<'a> {
    files: &'a Files,
    start: Start,
    at_end: Final,
    here: NodeId,
    /// How the way to `here` ended.
    last: Last<'a>,
    /// The names still to go, the next one last.
    rest: Vec<&'a str>,
    slash: bool,
    followed: usize,
}

impl<'a> Walk<'a> {
    fn finish(mut self) -> Result<Found<'a>, Errno> {
        while let Some(name) = self.rest.pop() {
            match name {
                "." => {
                    self.files.directory_parent(self.here)?;
                    self.last = Last::Dot;
                }
                ".." => {
                    self.here = self.files.climb(self.here, self.start.root)?;
                    self.last = Last::DotDot;
                }
                _ => {
                    let node = self.enter(name)?;
                    if node.is_none() {
                        return Ok(self.found(None));
                    }
                }
            }
        }
        let here = self.here;
        Ok(self.found(Some(here)))
    }

    /// One name further. `None` when it is the last and there is nothing of that name.
    fn enter(&mut self, name: &'a str) -> Result<Option<NodeId>, Errno> {
        if name.len() > NAME_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        let parent = self.here;
        let ends = self.rest.is_empty();
        self.last = Last::Name { parent, name };
        let Some(node) = self.files.child(parent, name)? else {
            return if ends { Ok(None) } else { Err(Errno::NotFound) };
        };
        let follows = match self.at_end {
            Final::Follow => true,
            Final::Keep => !ends || self.slash,
            Final::Name => !ends,
        };
        match self.files.link_target(node) {
            Some(target) if follows => self.follow(target)?,
            Some(_) | None => self.here = node,
        }
        Ok(Some(node))
    }

    fn follow(&mut self, target: &'a str) -> Result<(), Errno> {
        self.followed += 1;
        if self.followed > SYMLINKS_FOLLOWED_MAX {
            return Err(Errno::Loop);
        }
        if target.starts_with('/') {
            self.here = top_of(self.start)?;
            self.last = Last::Root;
        }
        self.slash |= self.rest.is_empty() && target.ends_with('/');
        self.rest.extend(components(target).rev());
        Ok(())
    }

    fn found(self, node: Option<NodeId>) -> Found<'a> {
        Found {
            node,
            last: self.last,
            slash: self.slash,
        }
    }
}

impl Files {
    /// Follows `path`. The steps are bounded by its length, `SYMLINKS_FOLLOWED_MAX` and the length
    /// of a link's target.
    pub(super) fn walk<'a>(
        &'a self,
        start: Start,
        path: &'a str,
        at_end: Final,
    ) -> Result<Found<'a>, Errno> {
        let here = if path.starts_with('/') {
            top_of(start)?
        } else {
            start.directory
        };
        let walk = Walk {
            files: self,
            start,
            at_end,
            here,
            last: Last::Root,
            rest: components(path).rev().collect(),
            slash: path.ends_with('/'),
            followed: 0,
        };
        walk.finish()
    }

    /// What `name` stands for in a directory; `NotDirectory` when it is none.
    pub(super) fn child(&self, directory: NodeId, name: &str) -> Result<Option<NodeId>, Errno> {
        match directory {
            NodeId::Library(index) => self.library.child(index, name),
            NodeId::Session(inode) => {
                Ok(self.tree.directory(inode)?.get(name).map(NodeId::Session))
            }
        }
    }

    pub(super) fn is_directory(&self, node: NodeId) -> bool {
        self.directory_parent(node).is_ok()
    }

    /// `..` of a directory, wherever it leads; `NotDirectory` when it is none.
    pub(super) fn directory_parent(&self, directory: NodeId) -> Result<NodeId, Errno> {
        match directory {
            NodeId::Library(index) => self.library.parent(index),
            NodeId::Session(inode) => Ok(self.tree.directory(inode)?.parent),
        }
    }

    fn link_target(&self, node: NodeId) -> Option<&str> {
        let NodeId::Session(inode) = node else {
            return None;
        };
        match &self.tree.node(inode).ok()?.body {
            Body::Symlink(target) => Some(target),
            Body::Directory(_) | Body::File(_) => None,
        }
    }

    /// One step up, which must not leave `root`. The way up is checked every time, because a
    /// directory may have been moved out of its preopen while open.
    fn climb(&self, directory: NodeId, root: NodeId) -> Result<NodeId, Errno> {
        let parent = self.directory_parent(directory)?;
        if root == ROOT {
            return Ok(parent);
        }
        let mut above = parent;
        while above != root {
            if above == ROOT {
                return Err(Errno::NotCapable);
            }
            above = self.directory_parent(above)?;
        }
        Ok(parent)
    }
}

/// Where an absolute path or link leads: only a preopen of the whole tree has a top.
fn top_of(start: Start) -> Result<NodeId, Errno> {
    if start.root == ROOT {
        Ok(ROOT)
    } else {
        Err(Errno::NotCapable)
    }
}
