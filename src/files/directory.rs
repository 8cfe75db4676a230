//! The entries of one writable directory, by name and in the order they came.
//!
//! An entry's cookie never changes and is never used again, so that a listing under way neither
//! skips nor repeats what stays, whatever is removed or added meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::tree::{Inode, NodeId};

/// Cookies below this one stand for `.` and `..`.
pub(super) const COOKIE_FIRST: u64 = 2;

#[derive(Debug, Clone)]
pub(super) struct Directory {
    /// What `..` is. It may be gone when the directory itself was removed while open.
    pub(super) parent: NodeId,
    by_name: BTreeMap<Arc<str>, Entry>,
    by_cookie: BTreeMap<u64, Arc<str>>,
    cookie_next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    cookie: u64,
    inode: Inode,
}

impl Directory {
    pub(super) fn new(parent: NodeId) -> Self {
        Self {
            parent,
            by_name: BTreeMap::new(),
            by_cookie: BTreeMap::new(),
            cookie_next: COOKIE_FIRST,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub(super) fn get(&self, name: &str) -> Option<Inode> {
        self.by_name.get(name).map(|entry| entry.inode)
    }

    /// Names `inode` here. An entry of that name keeps its place in listings; what it named before
    /// is returned.
    pub(super) fn put(&mut self, name: &str, inode: Inode) -> Option<Inode> {
        if let Some(entry) = self.by_name.get_mut(name) {
            return Some(std::mem::replace(&mut entry.inode, inode));
        }
        let name: Arc<str> = name.into();
        let cookie = self.cookie_next;
        self.cookie_next += 1;
        self.by_cookie.insert(cookie, Arc::clone(&name));
        self.by_name.insert(name, Entry { cookie, inode });
        None
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Inode> {
        let entry = self.by_name.remove(name)?;
        self.by_cookie.remove(&entry.cookie);
        Some(entry.inode)
    }

    /// The first entry at `cookie` or after it, with its own cookie.
    pub(super) fn at_or_after(&self, cookie: u64) -> Option<(u64, &str, Inode)> {
        let (cookie, name) = self.by_cookie.range(cookie..).next()?;
        let entry = self.by_name.get(name)?;
        Some((*cookie, name, entry.inode))
    }

    /// Above the cookie of every entry there is now.
    pub(super) fn cookie_end(&self) -> u64 {
        self.cookie_next
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Inode)> {
        self.by_name
            .iter()
            .map(|(name, entry)| (&**name, entry.inode))
    }
}
