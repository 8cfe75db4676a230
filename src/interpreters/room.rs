//! What this machine has left: disk for files, memory for compiling.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that an unprivileged process may still write below `dir`, which must exist.
pub(super) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let filesystem = rustix::fs::statvfs(dir)?;
    Ok(filesystem.f_bavail.saturating_mul(filesystem.f_frsize))
}

/// Bytes of memory this process may still take without swapping or being killed: the kernel's own
/// estimate, or less where a control group bounds it. `None` where the kernel does not say.
pub fn available_memory_bytes() -> Option<u64> {
    let machine = machine_bytes(&fs::read_to_string("/proc/meminfo").ok()?)?;
    let own = fs::read_to_string("/proc/self/cgroup").ok();
    let group = own.as_deref().and_then(group_path).and_then(|group| {
        let bounds = group.ancestors().filter_map(|group| {
            let read =
                |file| fs::read_to_string(Path::new("/sys/fs/cgroup").join(group).join(file)).ok();
            group_bytes(
                &read("memory.max")?,
                &read("memory.current")?,
                &read("memory.stat")?,
            )
        });
        bounds.min()
    });
    Some(machine.min(group.unwrap_or(u64::MAX)))
}

fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes.saturating_mul(1 << 10))
}

/// The path of a process's version 2 control group, relative to their root.
fn group_path(cgroup: &str) -> Option<PathBuf> {
    let path = cgroup.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(PathBuf::from(path))
}

/// What a control group may still take. Cached files count as room, because the kernel drops them
/// before it kills.
fn group_bytes(max: &str, current: &str, stat: &str) -> Option<u64> {
    let max: u64 = max.trim().parse().ok()?;
    let current: u64 = current.trim().parse().ok()?;
    let cached: u64 = stat
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(name, _)| matches!(*name, "active_file" | "inactive_file"))
        .filter_map(|(_, bytes)| bytes.trim().parse::<u64>().ok())
        .sum();
    Some(max.saturating_sub(current.saturating_sub(cached)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_estimate_is_read() {
        let meminfo = "MemTotal:  24681524 kB\nMemFree: 1 kB\nMemAvailable:   23992000 kB\n";
        assert_eq!(machine_bytes(meminfo), Some(23_992_000 << 10));
        assert_eq!(machine_bytes("MemTotal: 1 kB\n"), None);
        assert!(available_memory_bytes().is_some_and(|bytes| bytes > 0));
    }

    #[test]
    fn a_control_group_leaves_its_bound_less_what_cannot_be_dropped() {
        let stat = "anon 700\nfile 300\nactive_file 100\ninactive_file 100\n";
        assert_eq!(group_bytes("2000\n", "1000\n", stat), Some(1_200));
        assert_eq!(group_bytes("500\n", "1000\n", ""), Some(0));
        assert_eq!(group_bytes("max\n", "1000\n", stat), None);
        assert_eq!(group_path("1:memory:/x\n0::/a/b\n"), Some("a/b".into()));
    }

    #[test]
    fn free_space_is_known_of_a_directory_that_exists() {
        assert!(free_bytes(&std::env::temp_dir()).unwrap() > 0);
        assert!(free_bytes(Path::new("/nonexistent")).is_err());
    }
}
