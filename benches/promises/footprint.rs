//! What memory a process takes, as the kernel counts it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;

/// Between two looks of a [`Watch`].
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A process by its number.
#[derive(Debug, Clone, Copy)]
pub struct Process(pub u32);

/// Memory of a process at one moment, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Footprint {
    /// Pages that no other mapping shares.
    pub private: u64,
    /// Resident pages, those of files among them.
    pub resident: u64,
    /// Resident pages that belong to no file: what only this process can have made.
    pub anonymous: u64,
    /// The kernel's own tables of these pages.
    pub page_tables: u64,
    /// The largest `resident` there has been.
    pub resident_peak: u64,
}

/// Looks at a process's anonymous memory many times a second, until it is asked for the peak.
pub struct Watch {
    peak: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Process {
    /// # Errors
    /// When the process is gone.
    pub fn footprint(self) -> anyhow::Result<Footprint> {
        let rollup = self.read("smaps_rollup")?;
        let status = self.read("status")?;
        Ok(Footprint {
            private: bytes(&rollup, "Private_Clean")? + bytes(&rollup, "Private_Dirty")?,
            resident: bytes(&status, "VmRSS")?,
            anonymous: bytes(&status, "RssAnon")?,
            page_tables: bytes(&status, "VmPTE")?,
            resident_peak: bytes(&status, "VmHWM")?,
        })
    }

    /// Begins to watch. The kernel keeps a peak only of all resident pages, and those of a file that
    /// is mapped many times count as often.
    pub fn watch(self) -> Watch {
        let (peak, over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let thread = thread::spawn({
            let (peak, over) = (peak.clone(), over.clone());
            move || {
                while !over.load(Ordering::Relaxed) {
                    // A process that is gone has no more memory than it had.
                    let now = self.anonymous().unwrap_or(0);
                    peak.fetch_max(now, Ordering::Relaxed);
                    thread::sleep(LOOK_EVERY);
                }
            }
        });
        Watch {
            peak,
            over,
            thread: Some(thread),
        }
    }

    fn anonymous(self) -> anyhow::Result<u64> {
        bytes(&self.read("status")?, "RssAnon")
    }

    fn read(self, file: &str) -> anyhow::Result<String> {
        let path = self.path(file);
        fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    }

    fn path(self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0)
    }
}

impl Watch {
    /// The largest amount of anonymous memory that was seen, in bytes.
    pub fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It ends within one look; a look never panics.
            let _ = thread.join();
        }
    }
}

fn bytes(text: &str, name: &str) -> anyhow::Result<u64> {
    let kib: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.trim().strip_suffix("kB")?.trim().parse().ok())
        .with_context(|| format!("the kernel does not tell {name}"))?;
    Ok(kib << 10)
}
