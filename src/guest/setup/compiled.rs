//! Compiled code: one file a binary, a metering and a Wasmtime, with a stamp that proves it whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wasmtime::Engine;

use super::Plan;
use super::error::{SetupError, free_bytes};
use super::report::SetupReport;
use crate::guest::engine;
use crate::guest::image::{self, ImageError};

/// A module whose code is larger takes a minute and gigabytes to compile.
const LARGE_BYTES: usize = 10 << 20;
/// Memory that compiling a large guest takes at its peak (2.4 GB was measured for CPython).
const COMPILE_MEMORY_BYTES: u64 = 2_600 << 20;
/// Compiled code is up to this many times as large as the module (2.9 was measured), and the image
/// beside it needs some room, too.
const GROWTH: u64 = 3;
const IMAGE_ROOM_BYTES: u64 = 256 << 20;
const SAY_EVERY: Duration = Duration::from_secs(1);

/// Where the compiled code of one plan is, or is to be.
#[derive(Debug, Clone)]
pub(super) struct Compiled {
    path: PathBuf,
}

/// What reading a whole file found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Missing,
    Whole {
        bytes: u64,
    },
    /// What is wrong, in words.
    Damaged(String),
}

impl Compiled {
    /// For this plan's binary and metering, and this program's Wasmtime.
    pub(super) fn of(plan: &Plan<'_>, engine: &Engine) -> Self {
        Self {
            path: plan.directory.join(format!(
                "{}-{}-{}-{:016x}.cwasm",
                plan.name,
                plan.key(),
                plan.metering.name(),
                engine::compatibility(engine)
            )),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is code with the stamp that was written after it. The stamp holds its sha256;
    /// hashing 290 MB at every start would take longer than everything else, so its length and the
    /// stamp's presence are what start-up checks, and `weir doctor` the whole.
    pub(super) fn is_whole(&self) -> bool {
        let length = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        self.stamp().is_some_and(|(bytes, _)| bytes == length)
    }

    /// Reads all of it and compares it with its stamp.
    pub(super) fn examine(&self) -> Condition {
        let bytes = match fs::metadata(&self.path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Condition::Missing,
            Err(error) => return Condition::Damaged(error.to_string()),
        };
        let Some((stamped, expected)) = self.stamp() else {
            return Condition::Damaged("it has no stamp: its set-up was not finished".into());
        };
        if stamped != bytes {
            return Condition::Damaged(format!("it has {bytes} bytes, its stamp says {stamped}"));
        }
        match image::sha256_hex_of_file(&self.path) {
            Ok(found) if found == expected => Condition::Whole { bytes },
            Ok(found) => {
                Condition::Damaged(format!("its sha256 is {found}, its stamp says {expected}"))
            }
            Err(error) => Condition::Damaged(error.to_string()),
        }
    }

    /// Compiles `code`, on a thread of its own, and writes the result with its stamp.
    ///
    /// # Errors
    /// Too little memory or disk, a module that Wasmtime refuses, or what the system refuses.
    pub(super) async fn make(
        &self,
        plan: &Plan<'_>,
        engine: &Engine,
        code: Vec<u8>,
        say: &mut (dyn FnMut(&SetupReport) + Send),
    ) -> Result<(), SetupError> {
        let large = code.len() > LARGE_BYTES;
        let needed = GROWTH * code.len() as u64 + IMAGE_ROOM_BYTES;
        expect_memory(plan, code.len())?;
        expect_disk(plan, needed)?;
        let name = plan.name;
        let what = format!(
            "{name}: compiling {} MB of WebAssembly for {} once{}",
            code.len() / 1_000_000,
            plan.metering.name(),
            if large {
                " (about a minute on two cores)"
            } else {
                ""
            }
        );
        say(&SetupReport::Step(what));
        let began = Instant::now();
        let (engine, path) = (engine.clone(), self.path.clone());
        let mut work = tokio::task::spawn_blocking(move || {
            let machine_code = engine
                .precompile_module(&code)
                .map_err(|error| format!("{error:#}"))?;
            Ok::<_, String>(write(&path, &machine_code).map(|()| machine_code.len()))
        });
        let mut ticks =
            tokio::time::interval_at(tokio::time::Instant::now() + SAY_EVERY, SAY_EVERY);
        let done = loop {
            tokio::select! {
                done = &mut work => break done,
                _ = ticks.tick() => say(&SetupReport::Still(format!(
                    "{name}: compiling, {:.0} s",
                    began.elapsed().as_secs_f64()
                ))),
            }
        };
        let failed = |reason: String| SetupError::Compile {
            name: name.into(),
            reason,
        };
        let bytes = done
            .map_err(|panic| failed(panic.to_string()))?
            .map_err(failed)?
            .map_err(|source| SetupError::write(plan.directory, needed, source))?;
        say(&SetupReport::Step(format!(
            "{name}: compiled {} MB, {:.1} s",
            bytes / 1_000_000,
            began.elapsed().as_secs_f64()
        )));
        Ok(())
    }

    /// Length and sha256 of the code, as its stamp has them.
    fn stamp(&self) -> Option<(u64, String)> {
        let stamp = fs::read_to_string(self.path.with_extension("stamp")).ok()?;
        let (bytes, sha256) = stamp.split_once(' ')?;
        Some((bytes.parse().ok()?, sha256.trim().to_owned()))
    }
}

/// The code, then its stamp.
fn write(path: &Path, machine_code: &[u8]) -> io::Result<()> {
    let stamp = format!("{} {}", machine_code.len(), image::sha256_hex(machine_code));
    image::write_whole(path, machine_code)
        .and_then(|()| image::write_whole(&path.with_extension("stamp"), stamp.as_bytes()))
        .map_err(into_io)
}

/// The operating system's part of a failed write.
pub(super) fn into_io(error: ImageError) -> io::Error {
    match error {
        ImageError::Io { source, .. } => source,
        ImageError::Malformed { .. } | ImageError::Damaged { .. } => io::Error::other(error),
    }
}

/// Refuses what the kernel would kill in the middle.
fn expect_memory(plan: &Plan<'_>, code_bytes: usize) -> Result<(), SetupError> {
    match plan.available_memory_bytes {
        Some(available) if code_bytes > LARGE_BYTES && available < COMPILE_MEMORY_BYTES => {
            Err(SetupError::Memory {
                name: plan.name.into(),
                needed_mb: COMPILE_MEMORY_BYTES / 1_000_000,
                available_mb: available / 1_000_000,
            })
        }
        Some(_) | None => Ok(()),
    }
}

fn expect_disk(plan: &Plan<'_>, needed: u64) -> Result<(), SetupError> {
    match free_bytes(plan.directory) {
        Ok(free) if free < needed => Err(SetupError::DiskFull {
            directory: plan.directory.to_owned(),
            needed_mb: needed.div_ceil(1_000_000),
            free_mb: free / 1_000_000,
        }),
        // A system that does not tell its free space will tell when it is full.
        Ok(_) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(directory: &tempfile::TempDir) -> Compiled {
        Compiled {
            path: directory.path().join("x.cwasm"),
        }
    }

    #[test]
    fn code_counts_only_with_the_stamp_that_was_written_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let code = compiled(&directory);
        assert_eq!(code.examine(), Condition::Missing);
        fs::write(&code.path, "machine code").unwrap();
        assert!(!code.is_whole());
        assert!(matches!(code.examine(), Condition::Damaged(_)));
        write(&code.path, b"machine code").unwrap();
        assert!(code.is_whole());
        assert_eq!(code.examine(), Condition::Whole { bytes: 12 });
    }

    #[test]
    fn a_changed_byte_is_found_and_a_changed_length_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let code = compiled(&directory);
        write(&code.path, b"machine code").unwrap();
        fs::write(&code.path, "Machine code").unwrap();
        let Condition::Damaged(why) = code.examine() else {
            panic!("the change was not found");
        };
        assert!(why.contains("its sha256 is"), "{why}");
        fs::write(&code.path, "machine").unwrap();
        assert!(!code.is_whole());
    }
}
