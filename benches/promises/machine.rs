//! Where the figures were taken, without which they mean nothing.

use std::fmt;
use std::fs;
use std::process::Command;

use serde::Serialize;

/// Work of others beyond this share of the cores spoils the figures.
const BUSY_SHARE: f64 = 0.25;

/// The machine and the state of the source.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    cores: usize,
    cpu: String,
    memory_bytes: u64,
    kernel: String,
    /// Runnable threads over the last minute, before this run began.
    load: f64,
    commit: String,
}

impl Machine {
    pub fn look() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let meminfo = read("/proc/meminfo");
        let memory_kib = field(&meminfo, "MemTotal")
            .and_then(|text| text.trim_end_matches("kB").trim().parse::<u64>().ok());
        let load = read("/proc/loadavg");
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: field(&cpuinfo, "model name").unwrap_or("unknown").into(),
            memory_bytes: memory_kib.unwrap_or(0) << 10,
            kernel: read("/proc/sys/kernel/osrelease").trim().into(),
            load: first_word(&load).parse().unwrap_or(f64::NAN),
            commit: commit(),
        }
    }

    /// Whether others are at work here.
    pub fn is_busy(&self) -> bool {
        self.load > BUSY_SHARE * self.cores as f64
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cores of {}, {:.1} GiB of memory, Linux {}, load {:.2}, commit {}",
            self.cores,
            self.cpu,
            self.memory_bytes as f64 / (1u64 << 30) as f64,
            self.kernel,
            self.load,
            self.commit
        )
    }
}

/// The commit, marked if the files differ from it.
fn commit() -> String {
    let git = Command::new("git")
        .args([
            "describe",
            "--always",
            "--dirty",
            "--abbrev=12",
            "--exclude=*",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    match git {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().into()
        }
        Ok(_) | Err(_) => "unknown".into(),
    }
}

/// Empty where this kernel has no such file.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("")
}
