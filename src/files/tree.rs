//! The writable nodes of one session and the space they use.
//!
//! Nodes hang in one table, each behind its own count, so that a clone of the tree is one count
//! and the first change after it copies the table's pointers and the one node that changes.
//! Inode numbers are never used again: an identifier kept too long finds nothing, never a
//! stranger. Who may see a node, and which paths lead to it, is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::Content;
use super::directory::Directory;
use super::errno::Errno;
use super::limits::{DEPTH_MAX, FilesLimits, FilesUsed};
use super::stat::{SetTimes, Times, Timestamp};

/// The number of a writable node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Inode(pub(super) u64);

/// A node of either half of a session's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum NodeId {
    /// An index into the shared, read-only library.
    Library(u32),
    Session(Inode),
}

/// `/work`, and `/tmp` after it.
pub(super) const WORK: Inode = Inode(1);
pub(super) const TMP: Inode = Inode(2);

#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: Arc<BTreeMap<Inode, Arc<Node>>>,
    inode_next: u64,
    used: FilesUsed,
    limits: FilesLimits,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) body: Body,
    /// How many names it has. Without one it lives until its last descriptor closes.
    pub(super) links: u64,
    pub(super) times: Times,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Directory(Directory),
    File(Content),
    Symlink(Arc<str>),
}

/// What a new name is to stand for.
pub(super) enum Newborn<'a> {
    Directory,
    File,
    Symlink(&'a str),
}

/// A name in a writable directory, which may or may not exist.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) parent: Inode,
    pub(super) name: Box<str>,
}

impl Node {
    fn new(body: Body, now: Timestamp) -> Self {
        Self {
            body,
            links: 1,
            times: Times::all(now),
        }
    }

    /// Bytes as the quota counts them.
    fn bytes(&self) -> u64 {
        match &self.body {
            Body::Directory(_) => 0,
            Body::File(content) => content.size(),
            Body::Symlink(target) => target.len() as u64,
        }
    }
}

impl Tree {
    /// `/work` and `/tmp`, both empty.
    pub(super) fn new(root: NodeId, limits: FilesLimits, now: Timestamp) -> Self {
        let nodes = [WORK, TMP].map(|inode| {
            let node = Node::new(Body::Directory(Directory::new(root)), now);
            (inode, Arc::new(node))
        });
        Self {
            nodes: Arc::new(BTreeMap::from(nodes)),
            inode_next: TMP.0 + 1,
            used: FilesUsed::default(),
            limits,
        }
    }

    pub(super) fn limits(&self) -> &FilesLimits {
        &self.limits
    }

    pub(super) fn used(&self) -> FilesUsed {
        self.used
    }

    /// `NotFound` stands for a directory that was removed while something still pointed to it.
    pub(super) fn node(&self, inode: Inode) -> Result<&Node, Errno> {
        self.nodes
            .get(&inode)
            .map(|node| &**node)
            .ok_or(Errno::NotFound)
    }

    pub(super) fn directory(&self, inode: Inode) -> Result<&Directory, Errno> {
        match &self.node(inode)?.body {
            Body::Directory(directory) => Ok(directory),
            Body::File(_) | Body::Symlink(_) => Err(Errno::NotDirectory),
        }
    }

    pub(super) fn file(&self, inode: Inode) -> Result<&Content, Errno> {
        match &self.node(inode)?.body {
            Body::File(content) => Ok(content),
            Body::Directory(_) => Err(Errno::IsDirectory),
            Body::Symlink(_) => Err(Errno::Invalid),
        }
    }

    fn node_mut(&mut self, inode: Inode) -> Result<&mut Node, Errno> {
        let node = Arc::make_mut(&mut self.nodes).get_mut(&inode);
        node.map(Arc::make_mut).ok_or(Errno::NotFound)
    }

    /// The directory, its times brought up to date, for a change of its entries.
    fn changing(&mut self, inode: Inode, now: Timestamp) -> Result<&mut Directory, Errno> {
        let node = self.node_mut(inode)?;
        match &mut node.body {
            Body::Directory(directory) => {
                node.times.touch(now);
                Ok(directory)
            }
            Body::File(_) | Body::Symlink(_) => Err(Errno::NotDirectory),
        }
    }

    /// Makes a node under a name that is free.
    pub(super) fn create(
        &mut self,
        slot: &Slot,
        newborn: Newborn<'_>,
        now: Timestamp,
    ) -> Result<Inode, Errno> {
        self.admit_name(slot)?;
        let body = match newborn {
            Newborn::Directory => {
                if self.depth(slot.parent)? >= DEPTH_MAX {
                    return Err(Errno::NameTooLong);
                }
                Body::Directory(Directory::new(NodeId::Session(slot.parent)))
            }
            Newborn::File => Body::File(Content::default()),
            Newborn::Symlink(target) => {
                if target.len() as u64 > self.bytes_left() {
                    return Err(Errno::NoSpace);
                }
                Body::Symlink(target.into())
            }
        };
        let inode = Inode(self.inode_next);
        self.inode_next += 1;
        let node = Node::new(body, now);
        self.used.bytes += node.bytes();
        self.used.names += 1;
        Arc::make_mut(&mut self.nodes).insert(inode, Arc::new(node));
        self.changing(slot.parent, now)?.put(&slot.name, inode);
        Ok(inode)
    }

    /// Gives a file or link one more name, which is free. A directory has one only:
    /// `NotPermitted`.
    pub(super) fn link(&mut self, inode: Inode, slot: &Slot, now: Timestamp) -> Result<(), Errno> {
        self.admit_name(slot)?;
        if self.directory(inode).is_ok() {
            return Err(Errno::NotPermitted);
        }
        let node = self.node_mut(inode)?;
        node.links += 1;
        node.times.changed = now;
        self.used.names += 1;
        self.changing(slot.parent, now)?.put(&slot.name, inode);
        Ok(())
    }

    /// Takes a name away and returns what it stood for. The node itself stays until `forget`. A
    /// directory must be empty.
    pub(super) fn unlink(&mut self, slot: &Slot, now: Timestamp) -> Result<Inode, Errno> {
        let inode = self
            .directory(slot.parent)?
            .get(&slot.name)
            .ok_or(Errno::NotFound)?;
        if let Body::Directory(directory) = &self.node(inode)?.body
            && !directory.is_empty()
        {
            return Err(Errno::NotEmpty);
        }
        self.changing(slot.parent, now)?.remove(&slot.name);
        self.used.names -= 1;
        self.lose_name(inode, now)?;
        Ok(inode)
    }

    /// Moves a name, over another if that one is taken, and returns the node that lost its name by
    /// it.
    ///
    /// Refused when a directory would come to lie within itself (`Invalid`) or too deep
    /// (`NameTooLong`), and when what is there is of another kind (`NotDirectory`, `IsDirectory`)
    /// or has entries (`NotEmpty`).
    pub(super) fn rename(
        &mut self,
        from: &Slot,
        to: &Slot,
        now: Timestamp,
    ) -> Result<Option<Inode>, Errno> {
        let inode = self
            .directory(from.parent)?
            .get(&from.name)
            .ok_or(Errno::NotFound)?;
        let victim = self.directory(to.parent)?.get(&to.name);
        if victim == Some(inode) {
            return Ok(None);
        }
        let is_directory = matches!(self.node(inode)?.body, Body::Directory(_));
        if is_directory {
            self.admit_move(inode, to.parent)?;
        }
        match victim {
            Some(victim) => {
                if self.is_within(from.parent, victim) {
                    return Err(Errno::NotEmpty);
                }
                match (&self.node(victim)?.body, is_directory) {
                    (Body::Directory(_), false) => return Err(Errno::IsDirectory),
                    (Body::Directory(directory), true) if !directory.is_empty() => {
                        return Err(Errno::NotEmpty);
                    }
                    (Body::File(_) | Body::Symlink(_), true) => return Err(Errno::NotDirectory),
                    (Body::Directory(_), true) | (Body::File(_) | Body::Symlink(_), false) => {}
                }
            }
            None => self.admit_live(to.parent)?,
        }

        self.changing(from.parent, now)?.remove(&from.name);
        self.changing(to.parent, now)?.put(&to.name, inode);
        let node = self.node_mut(inode)?;
        node.times.changed = now;
        if let Body::Directory(directory) = &mut node.body {
            directory.parent = NodeId::Session(to.parent);
        }
        if let Some(victim) = victim {
            self.used.names -= 1;
            self.lose_name(victim, now)?;
        }
        Ok(victim)
    }

    /// Drops a node that has no name left and gives its space back. The caller knows that no
    /// descriptor holds it.
    pub(super) fn forget(&mut self, inode: Inode) {
        if self.nodes.get(&inode).is_none_or(|node| node.links > 0) {
            return;
        }
        if let Some(node) = Arc::make_mut(&mut self.nodes).remove(&inode) {
            self.used.bytes -= node.bytes();
        }
    }

    /// Writes as much of `data` at `offset` as the quotas allow, and returns how much that was.
    /// `FileTooBig` or `NoSpace` when they allow none of it.
    pub(super) fn write_at(
        &mut self,
        inode: Inode,
        offset: u64,
        data: &[u8],
        now: Timestamp,
    ) -> Result<usize, Errno> {
        if data.is_empty() {
            return Ok(0);
        }
        let size = self.file(inode)?.size();
        let by_file = self.limits.file_bytes_max.max(size);
        let by_tree = size.saturating_add(self.bytes_left());
        if offset >= by_file {
            return Err(Errno::FileTooBig);
        }
        if offset >= by_tree {
            return Err(Errno::NoSpace);
        }
        let room = usize::try_from(by_file.min(by_tree) - offset).unwrap_or(usize::MAX);
        let data = &data[..data.len().min(room)];
        self.used.bytes += (offset + data.len() as u64).saturating_sub(size);
        let node = self.node_mut(inode)?;
        if let Body::File(content) = &mut node.body {
            content.write_at(offset, data);
        }
        node.times.touch(now);
        Ok(data.len())
    }

    /// Cuts or grows a file. Growing is all or nothing: `FileTooBig`, `NoSpace`.
    pub(super) fn set_size(
        &mut self,
        inode: Inode,
        size: u64,
        now: Timestamp,
    ) -> Result<(), Errno> {
        let old = self.file(inode)?.size();
        self.admit_size(old, size)?;
        self.used.bytes = self.used.bytes - old + size;
        let node = self.node_mut(inode)?;
        if let Body::File(content) = &mut node.body {
            content.set_size(size);
        }
        node.times.touch(now);
        Ok(())
    }

    /// Whether a file of `old` bytes may have `new` bytes. One that is already beyond a bound may
    /// shrink.
    pub(super) fn admit_size(&self, old: u64, new: u64) -> Result<(), Errno> {
        if new <= old {
            Ok(())
        } else if new > self.limits.file_bytes_max {
            Err(Errno::FileTooBig)
        } else if new - old > self.bytes_left() {
            Err(Errno::NoSpace)
        } else {
            Ok(())
        }
    }

    pub(super) fn set_times(
        &mut self,
        inode: Inode,
        times: SetTimes,
        now: Timestamp,
    ) -> Result<(), Errno> {
        times.apply(&mut self.node_mut(inode)?.times, now);
        Ok(())
    }

    fn bytes_left(&self) -> u64 {
        self.limits.files_bytes_max.saturating_sub(self.used.bytes)
    }

    fn admit_name(&self, slot: &Slot) -> Result<(), Errno> {
        self.admit_live(slot.parent)?;
        if self.directory(slot.parent)?.get(&slot.name).is_some() {
            return Err(Errno::Exists);
        }
        if self.used.names >= self.limits.files_max {
            return Err(Errno::NoSpace);
        }
        Ok(())
    }

    /// A removed directory takes no entries, though a descriptor may still hold it.
    pub(super) fn admit_live(&self, directory: Inode) -> Result<(), Errno> {
        match self.node(directory)?.links {
            0 => Err(Errno::NotFound),
            _ => Ok(()),
        }
    }

    fn lose_name(&mut self, inode: Inode, now: Timestamp) -> Result<(), Errno> {
        let node = self.node_mut(inode)?;
        node.links -= 1;
        node.times.changed = now;
        Ok(())
    }

    /// Whether a directory may move below `parent`: not below itself (`Invalid`), and not so that
    /// anything in it gets too deep (`NameTooLong`).
    fn admit_move(&self, directory: Inode, parent: Inode) -> Result<(), Errno> {
        if self.is_within(parent, directory) {
            return Err(Errno::Invalid);
        }
        let deeper = self.depth(parent)? + 1 > self.depth(directory)?;
        if deeper && self.depth(parent)? + self.height(directory)? > DEPTH_MAX {
            return Err(Errno::NameTooLong);
        }
        Ok(())
    }

    /// Whether `inode` is `ancestor` or lies below it.
    fn is_within(&self, inode: Inode, ancestor: Inode) -> bool {
        self.ancestry(inode).any(|above| above == ancestor)
    }

    /// How many directories lie on the way down to this one, itself included.
    fn depth(&self, directory: Inode) -> Result<usize, Errno> {
        self.directory(directory)?;
        Ok(self.ancestry(directory).count())
    }

    /// The directory and those above it within the writable half, upwards. At most `DEPTH_MAX`.
    fn ancestry(&self, directory: Inode) -> impl Iterator<Item = Inode> {
        std::iter::successors(Some(directory), |inode| {
            match self.directory(*inode).ok()?.parent {
                NodeId::Session(parent) => Some(parent),
                NodeId::Library(_) => None,
            }
        })
    }

    /// How many directories lie on the longest way down from this one, itself included.
    fn height(&self, directory: Inode) -> Result<usize, Errno> {
        let mut highest = 0;
        let mut open = vec![(directory, 1)];
        while let Some((inode, height)) = open.pop() {
            highest = highest.max(height);
            for (_, child) in self.directory(inode)?.iter() {
                if let Body::Directory(_) = self.node(child)?.body {
                    open.push((child, height + 1));
                }
            }
        }
        Ok(highest)
    }
}

#[cfg(test)]
impl Tree {
    /// Whether a clone still shares the whole table.
    pub(super) fn shares_all_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.nodes, &other.nodes)
    }

    /// Recounts everything that is kept as a running figure and panics where it disagrees.
    /// `open` are the nodes that descriptors hold.
    pub(super) fn check(&self, open: &[Inode]) {
        let mut links: BTreeMap<Inode, u64> = BTreeMap::from([(WORK, 1), (TMP, 1)]);
        let mut names = 0;
        for (inode, node) in &*self.nodes {
            let Body::Directory(directory) = &node.body else {
                continue;
            };
            assert!(node.links > 0 || directory.is_empty(), "{inode:?}");
            for (name, child) in directory.iter() {
                names += 1;
                *links.entry(child).or_default() += 1;
                let child = &self.nodes[&child];
                if let Body::Directory(below) = &child.body {
                    assert_eq!(below.parent, NodeId::Session(*inode), "{name}");
                }
            }
            assert!(self.depth(*inode).unwrap() <= DEPTH_MAX);
        }
        let bytes = self.nodes.values().map(|node| node.bytes()).sum();
        assert_eq!(self.used, FilesUsed { bytes, names });
        assert!(bytes <= self.limits.files_bytes_max && names <= self.limits.files_max);
        for (inode, node) in &*self.nodes {
            assert_eq!(node.links, links.get(inode).copied().unwrap_or(0));
            assert!(node.links > 0 || open.contains(inode), "{inode:?} leaks");
            assert!(node.bytes() <= self.limits.file_bytes_max);
        }
    }
}
