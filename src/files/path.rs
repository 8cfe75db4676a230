//! Paths: as a guest hands them in, and as the host spells them.

use std::str;

use super::errno::Errno;
use super::limits::{NAME_BYTES_MAX, PATH_BYTES_MAX};

/// Checks a path from a guest: UTF-8 (`IllegalBytes`), no NUL (`Invalid`), not empty (`NotFound`),
/// at most `PATH_BYTES_MAX` (`NameTooLong`). Its names are checked on the way along it.
pub(super) fn guest_path(bytes: &[u8]) -> Result<&str, Errno> {
    if bytes.is_empty() {
        return Err(Errno::NotFound);
    }
    if bytes.len() > PATH_BYTES_MAX {
        return Err(Errno::NameTooLong);
    }
    text(bytes)
}

/// UTF-8 without NUL.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Errno> {
    let text = str::from_utf8(bytes).map_err(|_| Errno::IllegalBytes)?;
    if text.contains('\0') {
        return Err(Errno::Invalid);
    }
    Ok(text)
}

/// The names along a path, `.` and `..` among them, and no empty ones.
pub(super) fn components(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

/// An absolute path of the tree as the host names it: normal, without `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TreePath(String);

impl TreePath {
    /// Parses an absolute path. `Invalid` when it is relative, empty, or holds NUL, `.` or `..`;
    /// `NameTooLong` when it or one of its names is.
    pub fn new(path: &str) -> Result<Self, Errno> {
        let relative = path.strip_prefix('/').ok_or(Errno::Invalid)?;
        match relative {
            "" => Ok(Self("/".into())),
            _ => Self("/".into()).join(relative),
        }
    }

    /// The path of a file below `/work`, given relative to it, by the same rules.
    pub fn work(relative: &str) -> Result<Self, Errno> {
        Self("/work".into()).join(relative)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn names(&self) -> Vec<&str> {
        components(&self.0).collect()
    }

    /// The directories on the way, the topmost first, `/` and the path itself left out.
    pub(super) fn above(&self) -> impl Iterator<Item = &str> {
        let inner = self.0.match_indices('/').skip(1);
        inner.map(|(end, _)| &self.0[..end])
    }

    /// One or more further names, separated by single slashes.
    fn join(mut self, relative: &str) -> Result<Self, Errno> {
        for name in relative.split('/') {
            if matches!(name, "" | "." | "..") || name.contains('\0') {
                return Err(Errno::Invalid);
            }
            if name.len() > NAME_BYTES_MAX {
                return Err(Errno::NameTooLong);
            }
            if !self.0.ends_with('/') {
                self.0.push('/');
            }
            self.0.push_str(name);
        }
        if self.0.len() > PATH_BYTES_MAX {
            return Err(Errno::NameTooLong);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_path_is_bounded_text() {
        for (bytes, refusal) in [
            (&b""[..], Errno::NotFound),
            (b"a\xff", Errno::IllegalBytes),
            (b"a\0b", Errno::Invalid),
            (&[b'a'; PATH_BYTES_MAX + 1], Errno::NameTooLong),
        ] {
            assert_eq!(guest_path(bytes), Err(refusal));
        }
        assert_eq!(guest_path("données".as_bytes()), Ok("données"));
    }

    #[test]
    fn a_host_path_never_climbs() {
        for bad in ["", "/", "../x", "a/..", "a/./b", "a//b", "a/", "/a", "a\0"] {
            assert_eq!(TreePath::work(bad), Err(Errno::Invalid), "{bad:?}");
        }
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        assert_eq!(TreePath::work(&long), Err(Errno::NameTooLong));
        let path = TreePath::work("a/b.txt").unwrap();
        assert_eq!(path.as_str(), "/work/a/b.txt");
        assert_eq!(path.above().collect::<Vec<_>>(), ["/work", "/work/a"]);
        assert_eq!(TreePath::new("/"), Ok(TreePath("/".into())));
        assert_eq!(TreePath::new("work"), Err(Errno::Invalid));
    }
}
