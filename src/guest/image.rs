//! Images: an interpreter's memory after start-up, from which every session is mapped.
//!
//! An image is two files: the memory itself, page for page, so that it can be mapped, and a small
//! description with its hashes. A checkpoint is only meaningful against the image it was taken
//! from, so the image's hash is its name everywhere.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::mapping::{ChangeFinder, ImageFile, ImageView, PAGE_BYTES, PageScan};

/// What the description file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Version of this format; another one is not read.
    format: u32,
    /// sha256 of the memory file, in hexadecimal.
    pub memory_sha256: String,
    pub memory_bytes: usize,
    /// sha256 of the code this memory belongs to.
    pub code_sha256: String,
    /// The declared minimum of the module's memory.
    pub module_minimum_bytes: usize,
    pub stack_pointer: u32,
    /// Where the guest's monotonic clock stood.
    pub monotonic_ns: u64,
    /// What the language measured and checked while the image was made.
    pub language: serde_json::Value,
}

const FORMAT: u32 = 1;

/// An opened image.
pub struct Image {
    pub description: Description,
    file: ImageFile,
    view: ImageView,
    page_scan: Option<PageScan>,
}

/// Why an image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} is not an image description: {reason}")]
    Malformed { path: PathBuf, reason: String },
    #[error("{path} is damaged: its sha256 is {found}, not {expected}; remove it to make it anew")]
    Damaged {
        path: PathBuf,
        expected: String,
        found: String,
    },
}

/// What a new image is made of.
pub struct NewImage<'a> {
    pub memory: &'a [u8],
    pub code_sha256: String,
    pub module_minimum_bytes: usize,
    pub stack_pointer: u32,
    pub monotonic_ns: u64,
    pub language: serde_json::Value,
}

impl Image {
    /// Writes an image below `stem` (`stem.memory`, `stem.json`), each file whole or not at all, the
    /// description last.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(stem: &Path, new: &NewImage<'_>) -> Result<(), ImageError> {
        let mut memory = new.memory.to_vec();
        memory.resize(memory.len().next_multiple_of(PAGE_BYTES), 0);
        // The dead part of the stack would only make pages differ.
        let dead = (new.stack_pointer as usize).min(memory.len());
        memory[..dead].fill(0);
        let description = Description {
            format: FORMAT,
            memory_sha256: sha256_hex(&memory),
            memory_bytes: memory.len(),
            code_sha256: new.code_sha256.clone(),
            module_minimum_bytes: new.module_minimum_bytes,
            stack_pointer: new.stack_pointer,
            monotonic_ns: new.monotonic_ns,
            language: new.language.clone(),
        };
        let text = serde_json::to_vec_pretty(&description)
            .expect("a description of plain values serializes");
        write_whole(&stem.with_extension("memory"), &memory)?;
        write_whole(&stem.with_extension("json"), &text)
    }

    /// Opens the image below `stem` and checks its hash.
    ///
    /// # Errors
    /// When a file is missing, malformed or damaged.
    pub fn open(stem: &Path) -> Result<Self, ImageError> {
        let path = stem.with_extension("json");
        let text = std::fs::read(&path).map_err(at(&path))?;
        let description: Description =
            serde_json::from_slice(&text).map_err(|error| ImageError::Malformed {
                path: path.clone(),
                reason: error.to_string(),
            })?;
        if description.format != FORMAT || !description.memory_bytes.is_multiple_of(PAGE_BYTES) {
            return Err(ImageError::Malformed {
                path,
                reason: format!("format {}, wanted {FORMAT}", description.format),
            });
        }
        let path = stem.with_extension("memory");
        let file = File::open(&path).map_err(at(&path))?;
        let file = ImageFile {
            file: Arc::new(file),
            bytes: description.memory_bytes,
        };
        let length = file.file.metadata().map_err(at(&path))?.len();
        let view = if length == description.memory_bytes as u64 {
            ImageView::map(&file).map_err(at(&path))?
        } else {
            return Err(ImageError::Malformed {
                path,
                reason: format!("{length} bytes, wanted {}", description.memory_bytes),
            });
        };
        let found = sha256_hex(view.bytes());
        if found != description.memory_sha256 {
            return Err(ImageError::Damaged {
                path,
                expected: description.memory_sha256,
                found,
            });
        }
        let page_scan = match ChangeFinder::detect() {
            ChangeFinder::PagemapScan => PageScan::open().ok(),
            ChangeFinder::CompareAll => None,
        };
        Ok(Self {
            description,
            file,
            view,
            page_scan,
        })
    }

    /// The image's content.
    pub fn bytes(&self) -> &[u8] {
        self.view.bytes()
    }

    /// Where a guest's stack pointer is whenever it is at rest.
    pub fn stack_pointer(&self) -> u32 {
        self.description.stack_pointer
    }

    pub fn file(&self) -> ImageFile {
        self.file.clone()
    }

    /// The kernel's list of changed pages, where it can be had.
    pub fn page_scan(&self) -> Option<&PageScan> {
        self.page_scan.as_ref()
    }
}

/// The sha256 of `bytes` in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The sha256 of a file's content in lower-case hexadecimal.
///
/// # Errors
/// Those of reading.
pub fn sha256_hex_of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(context.finish().as_ref())),
            read => context.update(&buffer[..read]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes `bytes` to `path` by way of a temporary neighbor, readable by this user only.
///
/// # Errors
/// Those of writing.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ImageError> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let write = || {
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|source| {
        // A leftover would only waste space; the error that matters is the first one.
        let _ = std::fs::remove_file(&partial);
        ImageError::Io {
            path: path.to_owned(),
            source,
        }
    })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    |source| ImageError::Io { path, source }
}
