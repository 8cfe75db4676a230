//! A pack: a small read-only tree of files in one file, read by region.
//!
//! An interpreter's data directory of some hundred files becomes one file with an index, so that a
//! start reads the index once and the files' bytes stay in the page cache, shared by all sessions.
//! Layout, every integer little-endian:
//!
//! ```text
//! header   8 bytes  "WEIRPACK"
//!          u32      version, 1
//!          u32      number of files
//!          u64      bytes of the index
//! index    for each file, by ascending path:
//!          u64      offset of its content from the start of the pack
//!          u64      bytes of its content
//!          u32      bytes of its path
//!          …        its path: UTF-8, relative, parted by slashes
//! data     the contents, in the index's order, without gaps, to the end of the pack
//! ```
//!
//! The same files always make the same bytes, so that a lock can pin a pack.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::name::{PATH_BYTES_MAX, is_inside};

/// The most files one pack may hold.
pub const FILES_MAX: usize = 65_536;

const MAGIC: &[u8; 8] = b"WEIRPACK";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 24;
const INDEX_BYTES_MAX: u64 = 16 << 20;

/// An open pack: its index in memory, its contents on disk.
#[derive(Debug)]
pub struct Pack {
    file: File,
    regions: Vec<Region>,
}

/// Where one file of a pack lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Relative to the tree's root, parted by slashes; never absolute, never with `..`.
    pub path: String,
    /// Bytes from the start of the pack.
    pub offset: u64,
    /// Bytes of content.
    pub len: u64,
}

/// Why a pack cannot be read or made.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("cannot read the pack: {0}")]
    Io(#[from] io::Error),
    #[error("not a pack of version {VERSION}: {0}")]
    Malformed(&'static str),
    #[error(
        "path {0:?} cannot be in a pack: it must be relative, below the root and name no other file's parent"
    )]
    Path(String),
    #[error("{0} files are too many for a pack: at most {FILES_MAX}")]
    TooMany(usize),
}

/// The bytes of a pack of these files, path to content.
pub fn encode(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, PackError> {
    if files.len() > FILES_MAX {
        return Err(PackError::TooMany(files.len()));
    }
    check_tree(files.keys().map(String::as_str))?;
    let index_bytes: usize = files.keys().map(|path| 20 + path.len()).sum();
    if index_bytes as u64 > INDEX_BYTES_MAX {
        return Err(PackError::Malformed(
            "the index would be longer than 16 MiB",
        ));
    }
    let mut offset = (HEADER_BYTES + index_bytes) as u64;
    let mut pack = Vec::new();
    pack.extend_from_slice(MAGIC);
    pack.extend_from_slice(&VERSION.to_le_bytes());
    pack.extend_from_slice(&(files.len() as u32).to_le_bytes());
    pack.extend_from_slice(&(index_bytes as u64).to_le_bytes());
    for (path, content) in files {
        pack.extend_from_slice(&offset.to_le_bytes());
        pack.extend_from_slice(&(content.len() as u64).to_le_bytes());
        pack.extend_from_slice(&(path.len() as u32).to_le_bytes());
        pack.extend_from_slice(path.as_bytes());
        offset += content.len() as u64;
    }
    for content in files.values() {
        pack.extend_from_slice(content);
    }
    Ok(pack)
}

impl Pack {
    /// Opens a pack and checks its whole index: every region lies within the file, and the paths
    /// form one tree.
    pub fn open(path: &Path) -> Result<Self, PackError> {
        let file = File::open(path)?;
        let pack_bytes = file.metadata()?.len();
        let mut header = [0; HEADER_BYTES];
        if pack_bytes < HEADER_BYTES as u64 {
            return Err(PackError::Malformed("shorter than a header"));
        }
        file.read_exact_at(&mut header, 0)?;
        let mut header = Fields(&header);
        if header.take(8)? != MAGIC {
            return Err(PackError::Malformed("it does not start with WEIRPACK"));
        }
        if header.u32()? != VERSION {
            return Err(PackError::Malformed("another version"));
        }
        let count = header.u32()? as usize;
        let index_bytes = header.u64()?;
        if count > FILES_MAX {
            return Err(PackError::TooMany(count));
        }
        if index_bytes > INDEX_BYTES_MAX.min(pack_bytes - HEADER_BYTES as u64) {
            return Err(PackError::Malformed("the index is longer than it may be"));
        }
        let mut index = vec![0; index_bytes as usize];
        file.read_exact_at(&mut index, HEADER_BYTES as u64)?;
        let regions = read_index(&index, count, pack_bytes)?;
        Ok(Self { file, regions })
    }

    /// Every file, by ascending path.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// The file at a path, if there is one.
    pub fn region(&self, path: &str) -> Option<&Region> {
        let found = self
            .regions
            .binary_search_by(|region| region.path.as_str().cmp(path));
        found.ok().map(|position| &self.regions[position])
    }

    /// Reads content of `region` from `from` bytes after its start; never a byte of its neighbor.
    /// Returns how many bytes were read, 0 at its end.
    pub fn read_at(&self, region: &Region, from: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = region.len.saturating_sub(from);
        let wanted = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        self.file
            .read_at(&mut buffer[..wanted], region.offset + from)
    }

    /// All content of `region`.
    pub fn read(&self, region: &Region) -> io::Result<Vec<u8>> {
        let mut content = vec![0; region.len as usize];
        self.file.read_exact_at(&mut content, region.offset)?;
        Ok(content)
    }
}

fn read_index(index: &[u8], count: usize, pack_bytes: u64) -> Result<Vec<Region>, PackError> {
    let mut fields = Fields(index);
    let mut regions = Vec::with_capacity(count);
    let mut expected = (HEADER_BYTES + index.len()) as u64;
    for _ in 0..count {
        let offset = fields.u64()?;
        let len = fields.u64()?;
        let path_bytes = fields.u32()? as usize;
        if path_bytes > PATH_BYTES_MAX {
            return Err(PackError::Malformed("a path is too long"));
        }
        let path = std::str::from_utf8(fields.take(path_bytes)?)
            .map_err(|_| PackError::Malformed("a path is not UTF-8"))?;
        let end = offset.checked_add(len).filter(|end| *end <= pack_bytes);
        if offset != expected {
            return Err(PackError::Malformed(
                "a file does not follow the one before it",
            ));
        }
        expected = end.ok_or(PackError::Malformed("a file reaches beyond the end"))?;
        regions.push(Region {
            path: path.to_owned(),
            offset,
            len,
        });
    }
    if !fields.0.is_empty() || expected != pack_bytes {
        return Err(PackError::Malformed("bytes that belong to no file"));
    }
    check_tree(regions.iter().map(|region| region.path.as_str()))?;
    Ok(regions)
}

/// Paths must be in ascending order, below the root, and none may be a directory to another.
fn check_tree<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), PackError> {
    let mut seen = BTreeSet::new();
    let mut last = None;
    for path in paths {
        let is_under_a_file = path
            .match_indices('/')
            .any(|(end, _)| seen.contains(&path[..end]));
        if !is_inside(path) || last >= Some(path) || is_under_a_file {
            return Err(PackError::Path(path.chars().take(80).collect()));
        }
        last = Some(path);
        seen.insert(path);
    }
    Ok(())
}

/// What is left of a header or an index.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], PackError> {
        let (taken, left) = self.0.split_at_checked(bytes).ok_or(PackError::Malformed(
            "the index ends in the middle of a file",
        ))?;
        self.0 = left;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PackError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32, PackError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, PackError> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &[u8])]) -> BTreeMap<String, Vec<u8>> {
        files
            .iter()
            .map(|(path, content)| ((*path).to_owned(), content.to_vec()))
            .collect()
    }

    fn open(bytes: &[u8]) -> Result<Pack, PackError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Pack::open(file.path())
    }

    fn sample() -> Vec<u8> {
        encode(&tree(&[
            ("a-b", b"dash"),
            ("a/x.ttf", b"font"),
            ("empty", b""),
            ("z", b"last"),
        ]))
        .unwrap()
    }

    #[test]
    fn what_was_packed_is_read_back() {
        let pack = open(&sample()).unwrap();
        let paths: Vec<_> = pack.regions().iter().map(|r| r.path.as_str()).collect();
        assert_eq!(paths, ["a-b", "a/x.ttf", "empty", "z"]);
        assert_eq!(pack.read(pack.region("a/x.ttf").unwrap()).unwrap(), b"font");
        assert_eq!(pack.read(pack.region("empty").unwrap()).unwrap(), b"");
        assert!(pack.region("a").is_none());
        assert!(
            open(&encode(&tree(&[])).unwrap())
                .unwrap()
                .regions()
                .is_empty()
        );
    }

    #[test]
    fn a_read_never_leaves_its_region() {
        let pack = open(&sample()).unwrap();
        let region = pack.region("a-b").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(pack.read_at(region, 2, &mut buffer).unwrap(), 2);
        assert_eq!(&buffer[..2], b"sh");
        assert_eq!(pack.read_at(region, 4, &mut buffer).unwrap(), 0);
        assert_eq!(pack.read_at(region, u64::MAX, &mut buffer).unwrap(), 0);
    }

    #[test]
    fn a_path_that_leaves_the_tree_is_never_packed() {
        for bad in ["../x", "/x", "a/../../x", "", "a//b", "a\\..\\b", "a/"] {
            let outcome = encode(&tree(&[(bad, b"")]));
            assert!(matches!(outcome, Err(PackError::Path(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_file_is_never_another_s_directory() {
        let outcome = encode(&tree(&[("a", b""), ("a-b", b""), ("a/b", b"")]));
        assert!(matches!(outcome, Err(PackError::Path(path)) if path == "a/b"));
    }

    #[test]
    fn a_pack_cut_anywhere_is_refused() {
        let whole = sample();
        for len in 0..whole.len() {
            assert!(open(&whole[..len]).is_err(), "cut at {len}");
        }
    }

    #[test]
    fn a_changed_index_never_reads_outside_the_pack() {
        let whole = sample();
        for position in 0..whole.len() - b"dashfontlast".len() {
            for flip in [0x01, 0x2f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[position] ^= flip;
                if let Ok(pack) = open(&bytes) {
                    for region in pack.regions() {
                        assert!(is_inside(&region.path));
                        pack.read(region).unwrap();
                    }
                }
            }
        }
    }
}
