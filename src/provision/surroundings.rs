//! The read-only tree that an interpreter's guests see, made of its verified files.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::{
    Library, LibraryBuilder, LibraryContent, LibraryError, Preopen, Timestamp, TreePath,
};
use crate::guest::Surroundings;
use crate::interpreters::pack::PackError;
use crate::interpreters::{Artifacts, Kind, Pack};

/// Where CPython looks for its standard library.
const STDLIB: &str = "/usr/local/lib/python315.zip";
/// Where matplotlib's data is in the tree, and where it looks for it: inside the zip archive, which
/// is a file. A preopen bridges the two.
const MPL_DATA: &str = "/usr/share/matplotlib/mpl-data";
const MPL_DATA_SEEN: &str = "/usr/local/lib/python315.zip/matplotlib/mpl-data";

/// Why the tree cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SurroundingsError {
    #[error("{interpreter} has no file {file}, which its guest needs: its manifest does not fit")]
    Absent {
        interpreter: String,
        file: &'static str,
    },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {}: {source}; remove it and run `weir setup`", path.display())]
    Pack { path: PathBuf, source: PackError },
    #[error(transparent)]
    Tree(#[from] LibraryError),
}

/// What guests of these files are surrounded by. Opens the files, reads only the packs' indexes.
pub(super) fn of(artifacts: &Artifacts) -> Result<Surroundings, SurroundingsError> {
    // A constant time: images hold what the interpreter remembers of its files.
    let mut builder = LibraryBuilder::new(Timestamp(0));
    let mut preopens = vec![Preopen::root()];
    match artifacts.entry().kind {
        Kind::Python => {
            add_file(&mut builder, STDLIB, &path(artifacts, "python-stdlib.zip")?)?;
            add_pack(&mut builder, MPL_DATA, &path(artifacts, "mpl-data.pack")?)?;
            preopens.push(Preopen {
                name: MPL_DATA_SEEN.into(),
                path: TreePath::new(MPL_DATA).expect("the constant is absolute and plain"),
            });
        }
        Kind::JavaScript | Kind::TypeScript | Kind::Ruby | Kind::Command => {}
    }
    let library: Arc<Library> = builder.build();
    Ok(Surroundings {
        library,
        preopens: preopens.into(),
    })
}

fn path(artifacts: &Artifacts, file: &'static str) -> Result<PathBuf, SurroundingsError> {
    artifacts
        .path(file)
        .ok_or_else(|| SurroundingsError::Absent {
            interpreter: artifacts.entry().name.to_string(),
            file,
        })
}

fn add_file(
    builder: &mut LibraryBuilder,
    guest_path: &str,
    host_path: &Path,
) -> Result<(), SurroundingsError> {
    let (file, bytes) = open(host_path)?;
    let content = LibraryContent::Region {
        file,
        offset: 0,
        bytes,
    };
    builder.file(guest_path, content)?;
    Ok(())
}

fn add_pack(
    builder: &mut LibraryBuilder,
    guest_directory: &str,
    host_path: &Path,
) -> Result<(), SurroundingsError> {
    let pack = Pack::open(host_path).map_err(|source| SurroundingsError::Pack {
        path: host_path.to_owned(),
        source,
    })?;
    let (file, _) = open(host_path)?;
    for region in pack.regions() {
        let content = LibraryContent::Region {
            file: file.clone(),
            offset: region.offset,
            bytes: region.len,
        };
        builder.file(&format!("{guest_directory}/{}", region.path), content)?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<(Arc<File>, u64), SurroundingsError> {
    let opened = File::open(path).and_then(|file| {
        let bytes = file.metadata()?.len();
        Ok((Arc::new(file), bytes))
    });
    opened.map_err(|source| SurroundingsError::Read {
        path: path.to_owned(),
        source,
    })
}
