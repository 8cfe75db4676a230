//! The kernel, memory, disk and limits of this machine.

use std::path::Path;

use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::config::Config;
use crate::guest::ChangeFinder;
use crate::interpreters::available_memory_bytes;

const KERNEL_MIN: (u32, u32) = (5, 10);
/// What compiling takes at its peak, and what a gateway with a few sessions needs.
const COMPILE_MB: u64 = 2_726;
const SERVE_MB: u64 = 512;
/// What an interpreter takes on disk while it is fetched and compiled, and for a while of sessions.
const SETUP_DISK_MB: u64 = 1_000;
const DATA_DISK_MB: u64 = 1_000;
/// Below so many descriptors, connections are refused that a small gateway should take.
const DESCRIPTORS_MIN: u64 = 4_096;
/// A live session has about so many mappings, and the kernel's default bound is this.
const MAPPINGS_A_SESSION: u64 = 6;
const MAPPINGS_MIN: u64 = 65_530;

/// A line for each; `needs_setup`: something is still to be fetched or compiled.
pub(super) fn findings(config: &Config, needs_setup: bool) -> Vec<Finding> {
    let (setup_disk, setup_memory) = match needs_setup {
        true => (SETUP_DISK_MB, COMPILE_MB),
        false => (0, SERVE_MB),
    };
    vec![
        kernel(),
        memory(setup_memory),
        directory("interpreters", &config.interpreters.dir, setup_disk),
        directory("data", &config.data_dir, DATA_DISK_MB),
        descriptors(),
        mappings(),
    ]
}

fn kernel() -> Finding {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let this = format!("kernel {release}");
    if version(&release).is_some_and(|version| version < KERNEL_MIN) {
        return Finding::fail(format!("{this}: Weir needs Linux 5.10 or newer"));
    }
    match ChangeFinder::detect() {
        ChangeFinder::PagemapScan => Finding::ok(format!("{this}: PAGEMAP_SCAN works")),
        ChangeFinder::CompareAll => Finding::warn(format!(
            "{this}: no PAGEMAP_SCAN (Linux 6.7 has it, unless a sandbox forbids it): checkpoints \
             compare every page, which takes milliseconds a turn"
        )),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn memory(needed_mb: u64) -> Finding {
    let Some(available) = available_memory_bytes() else {
        return Finding::warn("memory: the kernel does not say how much is available");
    };
    let available_mb = available / 1_000_000;
    let this = format!("memory: {available_mb} MB available");
    if available_mb >= needed_mb {
        Finding::ok(this)
    } else if needed_mb == COMPILE_MB {
        Finding::fail(format!(
            "{this}, compiling takes {needed_mb} MB; free some, or run `weir setup` on a larger \
             machine and copy its interpreters directory"
        ))
    } else {
        Finding::warn(format!(
            "{this}: few sessions will fit; a small one takes about 1 MB, at most \
             limits.memory_bytes_max"
        ))
    }
}

fn directory(name: &str, path: &Path, needed_mb: u64) -> Finding {
    let this = format!("{name} directory {}", path.display());
    let Some(there) = path.ancestors().find(|path| path.exists()) else {
        return Finding::fail(format!("{this}: nothing of that path exists"));
    };
    // A prepared directory of interpreters may be read-only.
    if needed_mb > 0 && access(there, Access::WRITE_OK).is_err() {
        return Finding::fail(format!(
            "{this}: {} cannot be written; make it writable or choose another directory",
            there.display()
        ));
    }
    match statvfs(there) {
        Ok(disk) => {
            let free_mb = disk.f_bavail.saturating_mul(disk.f_frsize) / 1_000_000;
            let this = format!("{this}: {free_mb} MB free");
            match free_mb >= needed_mb {
                true => Finding::ok(this),
                false => Finding::warn(format!("{this}, {needed_mb} MB are wanted; make room")),
            }
        }
        Err(error) => Finding::warn(format!("{this}: its free space is not known: {error}")),
    }
}

fn descriptors() -> Finding {
    // `weir serve` raises the current limit to the maximum.
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < DESCRIPTORS_MIN => Finding::warn(format!(
            "descriptors: at most {most}, and every connection takes one; raise the hard limit \
             (ulimit -Hn, LimitNOFILE=) to {DESCRIPTORS_MIN} or more"
        )),
        Some(most) => Finding::ok(format!("descriptors: up to {most}")),
        None => Finding::ok("descriptors: no limit"),
    }
}

fn mappings() -> Finding {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
    let Ok(most) = text.trim().parse::<u64>() else {
        return Finding::warn("mappings: vm.max_map_count cannot be read");
    };
    let this = format!(
        "mappings: vm.max_map_count = {most}, enough for about {} live sessions",
        most / MAPPINGS_A_SESSION
    );
    match most >= MAPPINGS_MIN {
        true => Finding::ok(this),
        false => Finding::warn(format!(
            "{this}; set it to {MAPPINGS_MIN} or more with sysctl"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_s_release_is_read_up_to_its_minor_number() {
        for (release, expected) in [
            ("6.18.5-arch1", Some((6, 18))),
            ("5.10", Some((5, 10))),
            ("4.19.0+", Some((4, 19))),
            ("nonsense", None),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }
}
