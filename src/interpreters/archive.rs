//! Taking files out of packages: the custodian of `zip`, `tar` and `flate2` for this layer.
//!
//! No path of an archive ever becomes a path on disk: wanted members are asked for by name and get
//! local names from the manifest, and a packed tree's paths go through `pack`'s own check. What
//! comes out is bounded by the lock, whatever an archive says about itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::catalogue::{Registry, WantedFile, WantedPack};
use super::error::{Deed, FetchError};
use super::name::is_inside;

/// The largest zip archive within an archive that is read, which is held in memory.
const NESTED_BYTES_MAX: u64 = 256 << 20;

/// Hands the content of each wanted file to `take`, in the archive's own order or the caller's. A
/// file that is not there is an error.
pub(super) fn each_wanted<'w>(
    archive: &Path,
    registry: Registry,
    wanted: &[&'w WantedFile],
    take: &mut dyn FnMut(&'w WantedFile, &mut dyn Read) -> Result<(), FetchError>,
) -> Result<(), FetchError> {
    match registry {
        Registry::Pypi => each_of_zip(archive, wanted, take),
        Registry::Npm => each_of_tar(archive, wanted, take),
    }
}

/// The files of the zip archive nested in another, path to content.
pub(super) fn nested_tree(
    archive: &Path,
    wanted: &WantedPack,
) -> Result<BTreeMap<String, Vec<u8>>, FetchError> {
    let name = wanted.archive.as_str();
    let nested_name = format!("{} in {name}", wanted.nested);
    let mut outer = open_zip(archive)?;
    let mut nested = Vec::new();
    let member = outer.by_name(wanted.nested.as_str());
    let member = member.map_err(|error| refused(name, wanted.nested.as_str(), &error))?;
    let read = member.take(NESTED_BYTES_MAX + 1).read_to_end(&mut nested);
    read.map_err(FetchError::io(Deed::Read, archive))?;
    if nested.len() as u64 > NESTED_BYTES_MAX {
        let problem = format!("longer than {} MiB", NESTED_BYTES_MAX >> 20);
        return Err(broken(&nested_name, problem));
    }
    let mut nested = ZipArchive::new(Cursor::new(nested))
        .map_err(|error| broken(&nested_name, error.to_string()))?;
    read_tree(&mut nested, &nested_name, wanted.pin.bytes)
}

fn each_of_zip<'w>(
    archive: &Path,
    wanted: &[&'w WantedFile],
    take: &mut dyn FnMut(&'w WantedFile, &mut dyn Read) -> Result<(), FetchError>,
) -> Result<(), FetchError> {
    let mut zip = open_zip(archive)?;
    for file in wanted {
        let member = zip.by_name(file.from.as_str());
        let mut member =
            member.map_err(|error| refused(&display(archive), file.from.as_str(), &error))?;
        take(file, &mut member)?;
    }
    Ok(())
}

fn each_of_tar<'w>(
    archive: &Path,
    wanted: &[&'w WantedFile],
    take: &mut dyn FnMut(&'w WantedFile, &mut dyn Read) -> Result<(), FetchError>,
) -> Result<(), FetchError> {
    let unreadable = |error: io::Error| broken(&display(archive), error.to_string());
    let file = File::open(archive).map_err(FetchError::io(Deed::Read, archive))?;
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(BufReader::new(file)));
    let mut missing = wanted.to_vec();
    for member in tar.entries().map_err(unreadable)? {
        let mut member = member.map_err(unreadable)?;
        let path = member.path_bytes();
        let found = missing
            .iter()
            .position(|file| file.from.as_str().as_bytes() == &*path);
        if let Some(found) = found.filter(|_| member.header().entry_type().is_file()) {
            take(missing.swap_remove(found), &mut member)?;
        }
        if missing.is_empty() {
            return Ok(());
        }
    }
    let names: Vec<_> = missing.iter().map(|file| file.from.as_str()).collect();
    Err(broken(
        &display(archive),
        format!("it has no {}", names.join(", ")),
    ))
}

/// Every file of a zip archive, `bytes_max` of content at most.
fn read_tree<R: Read + Seek>(
    zip: &mut ZipArchive<R>,
    name: &str,
    bytes_max: u64,
) -> Result<BTreeMap<String, Vec<u8>>, FetchError> {
    let mut tree = BTreeMap::new();
    let mut left = bytes_max;
    for index in 0..zip.len() {
        let member = zip
            .by_index(index)
            .map_err(|error| broken(name, error.to_string()))?;
        if member.is_dir() {
            continue;
        }
        let raw = member.name_raw().to_vec();
        let path = String::from_utf8(raw).ok().filter(|path| is_inside(path));
        let Some(path) = path.filter(|_| !member.is_symlink()) else {
            let raw = String::from_utf8_lossy(member.name_raw()).into_owned();
            return Err(broken(name, format!("{raw:?} would leave its directory")));
        };
        let mut content = Vec::new();
        let read = member.take(left + 1).read_to_end(&mut content);
        read.map_err(|error| broken(name, format!("{path:?}: {error}")))?;
        left = left.checked_sub(content.len() as u64).ok_or_else(|| {
            broken(
                name,
                format!("unpacks to more than the {bytes_max} bytes that the lock pins"),
            )
        })?;
        if tree.insert(path.clone(), content).is_some() {
            return Err(broken(name, format!("{path:?} is there twice")));
        }
    }
    Ok(tree)
}

fn open_zip(path: &Path) -> Result<ZipArchive<BufReader<File>>, FetchError> {
    let file = File::open(path).map_err(FetchError::io(Deed::Read, path))?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| broken(&display(path), error.to_string()))
}

fn refused(archive: &str, member: &str, error: &ZipError) -> FetchError {
    match error {
        ZipError::FileNotFound => broken(archive, format!("it has no {member}")),
        other => broken(archive, format!("{member}: {other}")),
    }
}

fn broken(name: &str, problem: String) -> FetchError {
    FetchError::Archive {
        name: name.to_owned(),
        problem,
    }
}

fn display(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreters::Pin;
    use crate::interpreters::fixture::{tar_gz, text, zip};

    fn wanted_pack(bytes: u64) -> WantedPack {
        let pin = Pin {
            bytes,
            ..Pin::of(b"")
        };
        WantedPack {
            to: text("data.pack"),
            archive: text("lib.zip"),
            nested: text("data.zip"),
            pin,
        }
    }

    fn tree_of(
        nested: &[(&str, &[u8])],
        bytes_max: u64,
    ) -> Result<BTreeMap<String, Vec<u8>>, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lib.zip");
        std::fs::write(&path, zip(&[("data.zip", &zip(nested))])).unwrap();
        nested_tree(&path, &wanted_pack(bytes_max)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_nested_tree_is_read_whole() {
        let tree = tree_of(&[("fonts/a.ttf", b"font"), ("rc", b"x")], 5).unwrap();
        assert_eq!(tree["fonts/a.ttf"], b"font");
        assert_eq!(tree.len(), 2);
    }

    #[test]
    fn a_path_that_would_leave_its_directory_is_refused() {
        for path in [
            "../evil",
            "/etc/passwd",
            "a/../../evil",
            "a\\..\\evil",
            "a//b",
        ] {
            let error = tree_of(&[("good", b""), (path, b"")], 100).unwrap_err();
            assert!(
                error.contains("would leave its directory"),
                "{path}: {error}"
            );
            assert!(error.starts_with("data.zip in lib.zip: "), "{error}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bytes_that_the_lock_pins() {
        let zeros = vec![0; 4 << 20];
        let error = tree_of(&[("a", b"x"), ("bomb", &zeros)], 1_000).unwrap_err();
        assert!(error.contains("more than the 1000 bytes"), "{error}");
    }

    fn take_all(
        bytes: &[u8],
        registry: Registry,
        members: &[&str],
    ) -> Result<Vec<(String, Vec<u8>)>, FetchError> {
        let archive = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(archive.path(), bytes).unwrap();
        let wanted: Vec<_> = members
            .iter()
            .map(|member| WantedFile {
                from: text(member),
                to: text("x"),
                pin: Pin::of(b""),
            })
            .collect();
        let mut taken = Vec::new();
        let wanted: Vec<_> = wanted.iter().collect();
        each_wanted(archive.path(), registry, &wanted, &mut |file, from| {
            let mut content = Vec::new();
            from.read_to_end(&mut content).unwrap();
            taken.push((file.from.as_str().to_owned(), content));
            Ok(())
        })?;
        taken.sort();
        Ok(taken)
    }

    #[test]
    fn wanted_members_come_out_of_wheels_and_of_npm_packages() {
        let members: &[(&str, &[u8])] = &[("p/a", b"1"), ("p/b", b"2"), ("p/c", b"3")];
        for (bytes, registry) in [
            (zip(members), Registry::Pypi),
            (tar_gz(members), Registry::Npm),
        ] {
            let taken = take_all(&bytes, registry, &["p/c", "p/a"]).unwrap();
            assert_eq!(
                taken,
                [
                    ("p/a".to_owned(), b"1".to_vec()),
                    ("p/c".into(), b"3".to_vec())
                ]
            );
            let error = take_all(&bytes, registry, &["p/a", "p/z"])
                .unwrap_err()
                .to_string();
            assert!(error.contains("it has no p/z"), "{error}");
        }
    }

    #[test]
    fn what_is_no_archive_is_named() {
        for registry in [Registry::Pypi, Registry::Npm] {
            let error = take_all(b"not an archive", registry, &["a"]).unwrap_err();
            assert!(matches!(error, FetchError::Archive { .. }), "{error}");
        }
    }
}
