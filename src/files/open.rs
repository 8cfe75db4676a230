//! `path_open`.

use super::descriptor::{Descriptor, Fd, OpenDirectory, OpenFile, Target};
use super::errno::Errno;
use super::flags::{Access, Lookup, OFlags, OpenOptions};
use super::library::LibraryNode;
use super::stat::Timestamp;
use super::tree::{Body, Newborn, NodeId};
use super::walk::{Final, Last, Start};
use super::{At, Files};

impl Files {
    /// Opens what a path names, or makes a file of that name, under the lowest free number.
    ///
    /// Refused as by `openat`: `Loop` for a link that is not to be followed, `IsDirectory` for a
    /// directory that is to be written, made or cut, `ReadOnly` outside `/work` and `/tmp`,
    /// `TooManyOpen` before anything is made.
    pub fn open(
        &mut self,
        at: At<'_>,
        lookup: Lookup,
        options: OpenOptions,
        now: Timestamp,
    ) -> Result<Fd, Errno> {
        let OFlagSet {
            create,
            exclusive,
            directory,
            truncate,
        } = OFlagSet::of(options.oflags);
        if create && directory {
            return Err(Errno::Invalid);
        }
        let (start, path) = self.locate(at)?;
        self.table.vacancy()?;
        let at_end = if create && path.ends_with('/') {
            // A slash after the name to be made is refused whatever the name stands for.
            Final::Name
        } else if create && exclusive {
            Final::Keep
        } else {
            lookup.into()
        };
        let found = self.walk(start, path, at_end)?;
        if create && found.slash && matches!(found.last, Last::Name { .. }) {
            return Err(Errno::IsDirectory);
        }
        let Some(node) = found.node else {
            if !create {
                return Err(Errno::NotFound);
            }
            let slot = found.vacant()?;
            let inode = self.tree.create(&slot, Newborn::File, now)?;
            return self.hold(start, NodeId::Session(inode), options);
        };
        if create && exclusive {
            return Err(Errno::Exists);
        }
        found.existing(self)?;
        if self.is_directory(node) {
            if create || truncate || options.access.writes() {
                return Err(Errno::IsDirectory);
            }
        } else if directory {
            return Err(Errno::NotDirectory);
        }
        self.admit_open(node, options.access, truncate)?;
        if let NodeId::Session(inode) = node
            && truncate
        {
            self.tree.set_size(inode, 0, now)?;
        }
        self.hold(start, node, options)
    }

    /// Whether the node itself may be opened like this.
    fn admit_open(&self, node: NodeId, access: Access, truncate: bool) -> Result<(), Errno> {
        match node {
            NodeId::Session(inode) => match self.tree.node(inode)?.body {
                Body::Symlink(_) => Err(Errno::Loop),
                Body::Directory(_) | Body::File(_) => Ok(()),
            },
            NodeId::Library(index) => match self.library.node(index)? {
                LibraryNode::File(_) if access.writes() || truncate => Err(Errno::ReadOnly),
                LibraryNode::File(_) | LibraryNode::Directory { .. } | LibraryNode::NullDevice => {
                    Ok(())
                }
            },
        }
    }

    fn hold(&mut self, start: Start, node: NodeId, options: OpenOptions) -> Result<Fd, Errno> {
        let target = if self.is_directory(node) {
            Target::Directory(OpenDirectory {
                start: Start {
                    directory: node,
                    root: start.root,
                },
                preopen: None,
                cookie_end: u64::MAX,
            })
        } else {
            Target::File(OpenFile {
                node,
                access: options.access,
                offset: 0,
            })
        };
        self.table.open(Descriptor {
            target,
            flags: options.fdflags,
        })
    }
}

/// `path_open`'s flags, spelled out.
struct OFlagSet {
    create: bool,
    exclusive: bool,
    directory: bool,
    truncate: bool,
}

impl OFlagSet {
    fn of(flags: OFlags) -> Self {
        Self {
            create: flags.contains(OFlags::CREATE),
            exclusive: flags.contains(OFlags::EXCLUSIVE),
            directory: flags.contains(OFlags::DIRECTORY),
            truncate: flags.contains(OFlags::TRUNCATE),
        }
    }
}
