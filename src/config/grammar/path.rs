//! Paths of files and directories, in whatever bytes the system allows.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::{Grammar, Kind};

/// A path; whether anything is there, its user finds out.
pub(in crate::config) struct FilePath;

impl Grammar for FilePath {
    type Value = PathBuf;

    fn kind(&self) -> Kind {
        Kind::Path
    }

    fn placeholder(&self) -> &'static str {
        "PATH"
    }

    fn rule(&self) -> String {
        "a path".to_owned()
    }

    fn hint(&self) -> &'static str {
        "give the path of a file or directory"
    }

    fn parse(&self, text: &str) -> Option<PathBuf> {
        self.read(text.as_ref())
    }

    fn show(&self, value: &PathBuf) -> Option<String> {
        (!value.as_os_str().is_empty()).then(|| value.display().to_string())
    }

    fn read(&self, raw: &OsStr) -> Option<PathBuf> {
        let readable = !raw.is_empty() && !raw.as_encoded_bytes().contains(&0);
        readable.then(|| raw.into())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_path_need_not_be_text() {
        let raw = OsStr::from_bytes(b"/data/\xff ");
        assert_eq!(FilePath.read(raw), Some(PathBuf::from(raw)));
    }

    #[test]
    fn nothing_is_no_path() {
        assert_eq!(FilePath.read(OsStr::new("")), None);
        assert_eq!(FilePath.read(OsStr::new("a\0b")), None);
    }
}
