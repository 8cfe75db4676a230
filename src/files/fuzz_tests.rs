//! Whatever a guest passes, a call returns: no panic, and the figures still add up.

use super::tests::{LIMITS, NOW, session_with};
use super::*;

/// A small generator with a fixed seed (xorshift*), so that a failure repeats.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

const EDGES: [u64; 14] = [
    0,
    1,
    2,
    65_535,
    65_536,
    65_537,
    LIMITS.file_bytes_max - 1,
    LIMITS.file_bytes_max,
    LIMITS.file_bytes_max + 1,
    u32::MAX as u64,
    i64::MAX as u64,
    i64::MAX as u64 + 1,
    u64::MAX - 1,
    u64::MAX,
];

const PIECES: [&[u8]; 16] = [
    b"/",
    b"/",
    b"/",
    b".",
    b"..",
    b"work",
    b"work",
    b"tmp",
    b"a",
    b"b",
    b"c",
    b"usr",
    b"dev/null",
    b"\0",
    b"\xff",
    "é".as_bytes(),
];

fn number(random: &mut Random) -> u64 {
    match random.below(4) {
        0 => random.pick(&EDGES),
        1 => random.next(),
        _ => random.below(200),
    }
}

fn descriptor(random: &mut Random) -> Fd {
    match random.below(12) {
        0 => Fd(number(random) as u32),
        1..=6 => Fd(3),
        _ => Fd(random.below(LIMITS.open_files_max as u64 + 1) as u32),
    }
}

fn path(random: &mut Random) -> Vec<u8> {
    match random.below(40) {
        0 => (0..random.below(40)).map(|_| random.next() as u8).collect(),
        1 => vec![b'x'; random.below(5_000) as usize],
        2 => b"a/../".repeat(random.below(900) as usize),
        3..=30 => {
            let mut path = b"work".to_vec();
            for _ in 0..random.below(4) {
                path.push(b'/');
                path.extend_from_slice(random.pick(&[&b"a"[..], b"b", b"c", b"..", b"d"]));
            }
            path
        }
        _ => (0..random.below(8))
            .flat_map(|_| random.pick(&PIECES).to_vec())
            .collect(),
    }
}

fn lookup(random: &mut Random) -> Lookup {
    random.pick(&[Lookup::Follow, Lookup::NoFollow])
}

fn times(random: &mut Random) -> Option<SetTimes> {
    let flags = FstFlags::from_bits(random.below(20) as u16).ok()?;
    SetTimes::from_flags(Timestamp(random.next()), Timestamp(random.next()), flags).ok()
}

fn step(files: &mut Files, random: &mut Random, buffer: &mut [u8]) {
    let (fd, other) = (descriptor(random), descriptor(random));
    let (first, second) = (path(random), path(random));
    let (at, to) = (At::new(fd, &first), At::new(other, &second));
    let now = Timestamp(random.next());
    let length = (number(random) % buffer.len() as u64) as usize;
    match random.below(32) {
        0..=5 => {
            let options = OpenOptions {
                oflags: OFlags::from_bits(random.below(16) as u16).unwrap(),
                fdflags: FdFlags::from_bits(random.below(32) as u16).unwrap(),
                access: Access::from_rights(random.next()),
            };
            let _ = files.open(at, lookup(random), options, now);
        }
        6 => {
            let _ = files.close(Fd(random.below(20) as u32));
        }
        7 => {
            let _ = files.read(fd, &mut buffer[..length]);
        }
        8 => {
            let _ = files.read_at(other, &mut buffer[..length], number(random));
        }
        9 | 10 => {
            let _ = files.write(Fd(random.below(16) as u32), &buffer[..length], now);
        }
        11 | 12 => {
            let fd = Fd(random.below(16) as u32);
            let _ = files.write_at(fd, &buffer[..length], number(random), now);
        }
        13 => {
            let whence = Whence::from_number(random.below(3) as u8).unwrap();
            let _ = files.seek(Fd(random.below(16) as u32), number(random) as i64, whence);
        }
        14 => {
            let _ = (files.stat(other), files.tell(other), files.fdstat(other));
            let _ = (files.sync(other), files.kind(other), files.preopen(other));
            let _ = files.advise(other, number(random), number(random));
        }
        15 => {
            let _ = files.stat_path(at, lookup(random));
        }
        16 => {
            let _ = times(random).map(|times| files.set_times(other, times, now));
        }
        17 => {
            let at_end = lookup(random);
            let _ = times(random).map(|times| files.set_times_path(at, at_end, times, now));
        }
        18 => {
            let _ = files.set_size(Fd(random.below(16) as u32), number(random), now);
        }
        19 => {
            let fd = Fd(random.below(16) as u32);
            let _ = files.allocate(fd, number(random), number(random), now);
        }
        20 | 21 => {
            if let Ok(listing) = files.read_dir(other, number(random)) {
                assert!(listing.count() <= LIMITS.files_max + 2);
            }
        }
        22 | 23 => {
            let _ = files.create_directory(at, now);
        }
        24 => {
            let _ = files.remove_directory(at, now);
        }
        25 => {
            let _ = files.unlink(at, now);
        }
        26 | 27 => {
            let _ = files.rename(at, to, now);
        }
        28 => {
            let _ = files.link(at, lookup(random), to, now);
        }
        29 => {
            let _ = files.symlink(&second, at, now);
        }
        30 => {
            let _ = files.read_link(at).map(str::len);
            let flags = FdFlags::from_bits(random.below(32) as u16).unwrap();
            let _ = files.set_flags(other, flags);
        }
        _ => {
            if random.below(8) == 0 {
                let _ = files.renumber(fd, other);
            }
            if let Ok(path) = TreePath::new(&String::from_utf8_lossy(&first)) {
                let _ = files.write_file(&path, &buffer[..length], now);
                let _ = (files.read_file(&path), files.list(&path));
                let _ = files.remove_file(&path, now);
            }
        }
    }
}

#[test]
fn no_argument_makes_a_call_panic_or_a_quota_drift() {
    let mut buffer = vec![0x5a; 100_000];
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let mut files = session_with(LIMITS);
        let mut snapshot = files.clone();
        for turn in 0..500 {
            step(&mut files, &mut random, &mut buffer);
            if turn % 25 == 0 {
                files.check();
                snapshot.check();
                if random.below(3) == 0 {
                    // As after a failed turn: back to the snapshot.
                    files = snapshot.clone();
                } else {
                    snapshot = files.clone();
                }
            }
        }
        for number in 0..LIMITS.open_files_max as u32 {
            let _ = files.close(Fd(number));
        }
        files.check();
    }
}

#[test]
fn emptying_a_session_gives_everything_back() {
    let mut files = session_with(LIMITS);
    let mut random = Random::new(7);
    let mut buffer = vec![0x5a; 100_000];
    for _ in 0..5_000 {
        step(&mut files, &mut random, &mut buffer);
    }
    for number in 0..LIMITS.open_files_max as u32 {
        let _ = files.close(Fd(number));
    }
    for top in ["/work", "/tmp"] {
        empty(&mut files, top);
    }
    assert_eq!(files.used(), FilesUsed::default());
    files.check();
}

fn empty(files: &mut Files, top: &str) {
    let start = walk::Start::TOP;
    loop {
        let mut path = top.to_owned();
        // Down to something that can go at once.
        let removed = loop {
            let found = files.walk(start, &path, walk::Final::Keep).unwrap();
            let Some(tree::NodeId::Session(inode)) = found.node else {
                panic!("{path} is of the library");
            };
            match files.tree.directory(inode) {
                Ok(directory) => match directory.iter().next() {
                    Some((name, _)) => path = format!("{path}/{name}"),
                    None => break path != top,
                },
                Err(_) => break true,
            }
        };
        if !removed {
            return;
        }
        let root = files.table.open(descriptor::Descriptor {
            target: descriptor::Target::Directory(descriptor::OpenDirectory {
                start,
                preopen: None,
                cookie_end: u64::MAX,
            }),
            flags: FdFlags::EMPTY,
        });
        let root = root.unwrap();
        let at = At::new(root, path.as_bytes());
        files
            .unlink(at, NOW)
            .or_else(|_| files.remove_directory(at, NOW))
            .unwrap();
        files.close(root).unwrap();
    }
}
