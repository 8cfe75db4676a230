//! Calls on names: make, remove, move, link, and ask what one stands for.

use super::descriptor::Target;
use super::errno::Errno;
use super::flags::Lookup;
use super::limits::SYMLINK_BYTES_MAX;
use super::path::{guest_path, text};
use super::stat::{SetTimes, Stat, Timestamp};
use super::tree::{Body, Newborn, NodeId, Slot};
use super::walk::{Final, Found, Last, Start, slot};
use super::{At, Files};

impl Files {
    /// The attributes of what a path names.
    pub fn stat_path(&self, at: At<'_>, lookup: Lookup) -> Result<Stat, Errno> {
        let (start, path) = self.locate(at)?;
        let node = self.walk(start, path, lookup.into())?.existing(self)?;
        self.stat_node(node)
    }

    /// Sets the timestamps of what a path names.
    pub fn set_times_path(
        &mut self,
        at: At<'_>,
        lookup: Lookup,
        times: SetTimes,
        now: Timestamp,
    ) -> Result<(), Errno> {
        let (start, path) = self.locate(at)?;
        let node = self.walk(start, path, lookup.into())?.existing(self)?;
        self.set_node_times(node, times, now)
    }

    /// Makes a directory. `NameTooLong` when it would lie deeper than `DEPTH_MAX`.
    pub fn create_directory(&mut self, at: At<'_>, now: Timestamp) -> Result<(), Errno> {
        let (start, path) = self.locate(at)?;
        self.create_directory_from(start, path, now)
    }

    pub(super) fn create_directory_from(
        &mut self,
        start: Start,
        path: &str,
        now: Timestamp,
    ) -> Result<(), Errno> {
        let slot = self.walk(start, path, Final::Name)?.vacant()?;
        self.tree.create(&slot, Newborn::Directory, now)?;
        Ok(())
    }

    /// Removes an empty directory. One that is still open lives on without a name.
    pub fn remove_directory(&mut self, at: At<'_>, now: Timestamp) -> Result<(), Errno> {
        let (start, path) = self.locate(at)?;
        let found = self.walk(start, path, Final::Name)?;
        let node = found.node.ok_or(Errno::NotFound)?;
        let (parent, name) = match found.last {
            Last::Name { parent, name } => (parent, name),
            Last::Dot => return Err(Errno::Invalid),
            Last::DotDot => return Err(Errno::NotEmpty),
            Last::Root => return Err(Errno::Busy),
        };
        if !self.is_directory(node) {
            return Err(Errno::NotDirectory);
        }
        let slot = slot(parent, name)?;
        self.drop_name(&slot, now)
    }

    /// Removes a file's or link's name. The content lives on while it has another name or an open
    /// descriptor.
    pub fn unlink(&mut self, at: At<'_>, now: Timestamp) -> Result<(), Errno> {
        let (start, path) = self.locate(at)?;
        self.unlink_from(start, path, now)
    }

    pub(super) fn unlink_from(
        &mut self,
        start: Start,
        path: &str,
        now: Timestamp,
    ) -> Result<(), Errno> {
        let found = self.walk(start, path, Final::Name)?;
        let node = found.existing(self)?;
        if self.is_directory(node) {
            return Err(Errno::IsDirectory);
        }
        let slot = named(&found).ok_or(Errno::IsDirectory)??;
        self.drop_name(&slot, now)
    }

    /// Moves a name, over another one if that is of the same kind and, if a directory, empty. Two
    /// names of one file stay as they are.
    pub fn rename(&mut self, from: At<'_>, to: At<'_>, now: Timestamp) -> Result<(), Errno> {
        let (start, path) = self.locate(from)?;
        let from = self.walk(start, path, Final::Name)?;
        let (start, path) = self.locate(to)?;
        let to = self.walk(start, path, Final::Name)?;
        let (Some(from_slot), Some(to_slot)) = (named(&from), named(&to)) else {
            return Err(Errno::Busy);
        };
        let node = from.node.ok_or(Errno::NotFound)?;
        let (from_slot, to_slot) = (from_slot?, to_slot?);
        self.tree.admit_live(to_slot.parent)?;
        if (from.slash || to.slash) && !self.is_directory(node) {
            return Err(Errno::NotDirectory);
        }
        if let Some(replaced) = self.tree.rename(&from_slot, &to_slot, now)? {
            self.release(replaced);
        }
        Ok(())
    }

    /// Gives a file or link a second name. `NotPermitted` for a directory, `CrossDevice` for
    /// anything of the library.
    pub fn link(
        &mut self,
        from: At<'_>,
        lookup: Lookup,
        to: At<'_>,
        now: Timestamp,
    ) -> Result<(), Errno> {
        let (start, path) = self.locate(from)?;
        let found = self.walk(start, path, lookup.into())?;
        let node = found.existing(self)?;
        let (start, path) = self.locate(to)?;
        let found = self.walk(start, path, Final::Name)?;
        let slot = vacant_file(&found)?;
        match node {
            NodeId::Session(inode) => self.tree.link(inode, &slot, now),
            NodeId::Library(_) => Err(Errno::CrossDevice),
        }
    }

    /// Makes a symbolic link to any text, at most `SYMLINK_BYTES_MAX` bytes of it. An absolute
    /// target is looked up in the tree, as everything else.
    pub fn symlink(&mut self, target: &[u8], at: At<'_>, now: Timestamp) -> Result<(), Errno> {
        if target.is_empty() {
            return Err(Errno::NotFound);
        }
        if target.len() > SYMLINK_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        let target = text(target)?;
        let (start, path) = self.locate(at)?;
        let slot = vacant_file(&self.walk(start, path, Final::Name)?)?;
        self.tree.create(&slot, Newborn::Symlink(target), now)?;
        Ok(())
    }

    /// The target of a symbolic link; `Invalid` for anything else.
    pub fn read_link(&self, at: At<'_>) -> Result<&str, Errno> {
        let (start, path) = self.locate(at)?;
        let node = self.walk(start, path, Final::Keep)?.existing(self)?;
        let NodeId::Session(inode) = node else {
            return Err(Errno::Invalid);
        };
        match &self.tree.node(inode)?.body {
            Body::Symlink(target) => Ok(target),
            Body::Directory(_) | Body::File(_) => Err(Errno::Invalid),
        }
    }

    /// Where a path starts, and its text. `BadDescriptor`, or `NotDirectory` when the descriptor
    /// is something else.
    pub(super) fn locate<'a>(&self, at: At<'a>) -> Result<(Start, &'a str), Errno> {
        let path = guest_path(at.path)?;
        match &self.table.get(at.directory)?.target {
            Target::Directory(directory) => Ok((directory.start, path)),
            Target::Stdin | Target::Stdout | Target::Stderr | Target::File(_) => {
                Err(Errno::NotDirectory)
            }
        }
    }

    fn drop_name(&mut self, slot: &Slot, now: Timestamp) -> Result<(), Errno> {
        let nameless = self.tree.unlink(slot, now)?;
        self.release(nameless);
        Ok(())
    }
}

/// The name that a path ends with, if it ends with one, and whether it may change.
fn named(found: &Found<'_>) -> Option<Result<Slot, Errno>> {
    match found.last {
        Last::Name { parent, name } => Some(slot(parent, name)),
        Last::Dot | Last::DotDot | Last::Root => None,
    }
}

/// A free name for something that is no directory.
fn vacant_file(found: &Found<'_>) -> Result<Slot, Errno> {
    let slot = found.vacant()?;
    if found.slash {
        return Err(Errno::NotFound);
    }
    Ok(slot)
}
