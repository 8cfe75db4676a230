//! The same random program, run here and on the host's own file system, must get the same answers.
//!
//! What is left out is what differs on purpose (`files.rs` says what) and what a test must not do
//! to its host: no path starts with `..`, and no link holds one, so that nothing leaves the
//! temporary directory.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self as host, AtFlags, FileType, Mode, SeekFrom};
use rustix::io::Errno as HostErrno;

use super::fuzz_tests::Random;
use super::tests::{NOW, ROOT, session_with};
use super::*;

const ROOMY: FilesLimits = FilesLimits {
    files_bytes_max: 1 << 30,
    file_bytes_max: 1 << 29,
    files_max: 10_000,
    open_files_max: 64,
};

/// Descriptors held at once on either side.
const HELD_MAX: usize = 12;

struct Model {
    files: Files,
    work: Fd,
    host_work: OwnedFd,
    held: Vec<Held>,
    log: Vec<String>,
}

/// One descriptor, on both sides.
struct Held {
    fd: Fd,
    host: OwnedFd,
    appends: bool,
}

fn ours(refusal: HostErrno) -> Errno {
    match refusal {
        HostErrno::BADF => Errno::BadDescriptor,
        HostErrno::BUSY => Errno::Busy,
        HostErrno::EXIST => Errno::Exists,
        HostErrno::INVAL => Errno::Invalid,
        HostErrno::ISDIR => Errno::IsDirectory,
        HostErrno::LOOP => Errno::Loop,
        HostErrno::NAMETOOLONG => Errno::NameTooLong,
        HostErrno::NOENT => Errno::NotFound,
        HostErrno::NOTDIR => Errno::NotDirectory,
        HostErrno::NOTEMPTY => Errno::NotEmpty,
        HostErrno::PERM => Errno::NotPermitted,
        other => panic!("the host refused with {other}, which this test does not expect"),
    }
}

fn kind(kind: FileType) -> Filetype {
    match kind {
        FileType::Directory => Filetype::Directory,
        FileType::RegularFile => Filetype::RegularFile,
        FileType::Symlink => Filetype::SymbolicLink,
        other => panic!("a test made a {other:?}"),
    }
}

/// What a program sees of a file and the two sides agree on: a directory's size and links differ
/// from one file system to the next.
fn seen(stat: &Stat) -> (Filetype, u64, u64) {
    match stat.filetype {
        Filetype::Directory => (Filetype::Directory, 0, 0),
        other => (other, stat.size, stat.links),
    }
}

fn host_seen(stat: &host::Stat) -> (Filetype, u64, u64) {
    match kind(FileType::from_raw_mode(stat.st_mode)) {
        Filetype::Directory => (Filetype::Directory, 0, 0),
        other => (other, stat.st_size as u64, stat.st_nlink as _),
    }
}

fn path(random: &mut Random) -> String {
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let mut path = String::from(random.pick(&NAMES));
    for _ in 0..random.below(6).saturating_sub(2) {
        path.push_str(random.pick(&["/", "/", "/", "//", "/./"]));
        match random.below(9) {
            // Up once at most, and only behind a name: the top stays the top.
            0 if !path.contains("..") => path.push_str(".."),
            1 => path.push('.'),
            _ => path.push_str(random.pick(&NAMES)),
        }
    }
    match random.below(12) {
        0 => path.push('/'),
        1 => {
            path = random
                .pick(&[".", "./", "./a", "missing/a", ""])
                .to_string()
        }
        _ => {}
    }
    path
}

fn link_target(random: &mut Random) -> String {
    let targets = ["a", "b", "c", "a/b", "./c", "d/a/b", "nowhere", "d/."];
    random.pick(&targets).to_string()
}

impl Model {
    fn new(top: &std::path::Path) -> Self {
        let mut files = session_with(ROOMY);
        let options = OpenOptions {
            oflags: OFlags::DIRECTORY,
            fdflags: FdFlags::EMPTY,
            access: Access::Read,
        };
        let work = files
            .open(At::new(ROOT, b"work"), Lookup::Follow, options, NOW)
            .unwrap();
        let flags = host::OFlags::DIRECTORY | host::OFlags::RDONLY;
        let host_work = host::open(top, flags, Mode::empty()).unwrap();
        Self {
            files,
            work,
            host_work,
            held: Vec::new(),
            log: Vec::new(),
        }
    }

    /// Where a path starts: mostly at the top, now and then from whatever is held.
    fn base(&self, random: &mut Random) -> (Fd, BorrowedFd<'_>) {
        if !self.held.is_empty() && random.below(5) == 0 {
            let held = &self.held[random.below(self.held.len() as u64) as usize];
            (held.fd, held.host.as_fd())
        } else {
            (self.work, self.host_work.as_fd())
        }
    }

    fn agree<T: std::fmt::Debug + PartialEq>(
        &mut self,
        call: String,
        here: Result<T, Errno>,
        there: Result<T, HostErrno>,
    ) {
        let there = there.map_err(ours);
        let same = here == there;
        self.log.push(format!("{call}: {here:?}"));
        let recent = self.log.len().saturating_sub(25);
        assert!(
            same,
            "the host says {there:?}\n{}",
            self.log[recent..].join("\n")
        );
    }

    fn step(&mut self, random: &mut Random) {
        match random.below(20) {
            0..=4 => self.open(random),
            5..=10 => self.use_held(random),
            _ => self.name(random),
        }
    }

    fn open(&mut self, random: &mut Random) {
        if self.held.len() == HELD_MAX {
            let index = random.below(HELD_MAX as u64) as usize;
            let closed = self.held.swap_remove(index);
            self.files.close(closed.fd).unwrap();
            self.log.push(format!("close {:?}", closed.fd));
        }
        let path = path(random);
        let (mut oflags, mut host_flags) = (OFlags::EMPTY, host::OFlags::empty());
        for (chance, flag, host_flag) in [
            (2, OFlags::CREATE, host::OFlags::CREATE),
            (6, OFlags::DIRECTORY, host::OFlags::DIRECTORY),
            (6, OFlags::TRUNCATE, host::OFlags::TRUNC),
        ] {
            if random.below(chance) == 0 {
                oflags = oflags | flag;
                host_flags |= host_flag;
            }
        }
        // Without CREATE it means nothing that POSIX defines.
        if oflags.contains(OFlags::CREATE) && random.below(5) == 0 {
            oflags = oflags | OFlags::EXCLUSIVE;
            host_flags |= host::OFlags::EXCL;
        }
        let (access, host_access) = random.pick(&[
            (Access::Read, host::OFlags::RDONLY),
            (Access::Write, host::OFlags::WRONLY),
            (Access::ReadWrite, host::OFlags::RDWR),
            (Access::ReadWrite, host::OFlags::RDWR),
        ]);
        let appends = random.below(4) == 0;
        let mut fdflags = FdFlags::EMPTY;
        if appends {
            fdflags = FdFlags::APPEND;
            host_flags |= host::OFlags::APPEND;
        }
        let mut lookup = Lookup::Follow;
        if random.below(3) == 0 {
            lookup = Lookup::NoFollow;
            host_flags |= host::OFlags::NOFOLLOW;
        }
        let options = OpenOptions {
            oflags,
            fdflags,
            access,
        };
        let (fd, host_fd) = self.base(random);
        let mode = Mode::from_raw_mode(0o700);
        let there = host::openat(host_fd, path.as_str(), host_flags | host_access, mode);
        let here = self
            .files
            .open(At::new(fd, path.as_bytes()), lookup, options, NOW);
        let call = format!("open {fd:?} {path:?} {lookup:?} {options:?}");
        let (there, host) = match there {
            Ok(opened) => (Ok(()), Some(opened)),
            Err(refusal) => (Err(refusal), None),
        };
        self.agree(call, here.map(|_| ()), there);
        if let (Ok(fd), Some(host)) = (here, host) {
            self.held.push(Held { fd, host, appends });
        }
    }

    fn use_held(&mut self, random: &mut Random) {
        if self.held.is_empty() {
            return;
        }
        let held = &self.held[random.below(self.held.len() as u64) as usize];
        let (fd, appends) = (held.fd, held.appends);
        let host_fd = held.host.try_clone().unwrap();
        let is_directory = self.files.kind(fd) == Ok(DescriptorKind::Directory);
        let offset = random.pick(&[0, 1, 7, 100, 65_530, 65_536, 70_000, 200_000]);
        let length = random.pick(&[0, 1, 10, 1_000, 65_536, 100_000]) as usize;
        let byte = random.next() as u8;
        let (mut buffer, mut host_buffer) = (vec![0; length], vec![0; length]);
        match random.below(9) {
            0 => {
                let here = self.files.read(fd, &mut buffer);
                let there = rustix::io::read(&host_fd, &mut host_buffer);
                self.agree(format!("read {fd:?} {length}"), here, there);
            }
            1 => {
                let here = self.files.read_at(fd, &mut buffer, offset);
                let there = rustix::io::pread(&host_fd, &mut host_buffer, offset);
                self.agree(format!("pread {fd:?} {length} at {offset}"), here, there);
            }
            2 | 3 => {
                let data = vec![byte; length];
                let here = self.files.write(fd, &data, NOW);
                let there = rustix::io::write(&host_fd, &data);
                self.agree(format!("write {fd:?} {length}"), here, there);
            }
            4 if !appends => {
                let data = vec![byte; length];
                let here = self.files.write_at(fd, &data, offset, NOW);
                let there = rustix::io::pwrite(&host_fd, &data, offset);
                self.agree(format!("pwrite {fd:?} {length} at {offset}"), here, there);
            }
            5 if !is_directory => {
                let delta = random.below(200_000) as i64 - 100_000;
                let (whence, there) = match random.below(3) {
                    0 if delta >= 0 => (Whence::Start, SeekFrom::Start(delta as u64)),
                    1 => (Whence::Current, SeekFrom::Current(delta)),
                    _ => (Whence::End, SeekFrom::End(delta)),
                };
                let here = self.files.seek(fd, delta, whence);
                let there = host::seek(&host_fd, there);
                self.agree(format!("seek {fd:?} {delta} {whence:?}"), here, there);
            }
            6 => {
                let here = self.files.set_size(fd, offset, NOW);
                let there = host::ftruncate(&host_fd, offset);
                self.agree(format!("ftruncate {fd:?} {offset}"), here, there);
            }
            7 => {
                let here = self.files.allocate(fd, offset, length as u64, NOW);
                let flags = host::FallocateFlags::empty();
                let there = host::fallocate(&host_fd, flags, offset, length as u64);
                self.agree(format!("fallocate {fd:?} {offset} {length}"), here, there);
            }
            _ => {
                let here = self.files.stat(fd).map(|stat| seen(&stat));
                let there = host::fstat(&host_fd).map(|stat| host_seen(&stat));
                self.agree(format!("fstat {fd:?}"), here, there);
            }
        }
        assert!(buffer == host_buffer, "{}", self.log.join("\n"));
    }

    fn name(&mut self, random: &mut Random) {
        let (path, second) = (path(random), path(random));
        let (lookup, follow) = random.pick(&[
            (Lookup::Follow, AtFlags::empty()),
            (Lookup::NoFollow, AtFlags::SYMLINK_NOFOLLOW),
        ]);
        let (fd, host_fd) = self.base(random);
        let (to_fd, host_to_fd) = self.base(random);
        let host_fd = host_fd.try_clone_to_owned().unwrap();
        let host_to_fd = host_to_fd.try_clone_to_owned().unwrap();
        let (at, to) = (
            At::new(fd, path.as_bytes()),
            At::new(to_fd, second.as_bytes()),
        );
        let text = path.as_str();
        match random.below(10) {
            0 | 1 => {
                let here = self.files.create_directory(at, NOW);
                let there = host::mkdirat(&host_fd, text, Mode::from_raw_mode(0o700));
                self.agree(format!("mkdir {fd:?} {path:?}"), here, there);
            }
            2 => {
                let here = self.files.remove_directory(at, NOW);
                let there = host::unlinkat(&host_fd, text, AtFlags::REMOVEDIR);
                self.agree(format!("rmdir {fd:?} {path:?}"), here, there);
            }
            3 => {
                let here = self.files.unlink(at, NOW);
                let there = host::unlinkat(&host_fd, text, AtFlags::empty());
                self.agree(format!("unlink {fd:?} {path:?}"), here, there);
            }
            4 | 5 => {
                let here = self.files.rename(at, to, NOW);
                let there = host::renameat(&host_fd, text, &host_to_fd, second.as_str());
                let call = format!("rename {fd:?} {path:?} to {to_fd:?} {second:?}");
                self.agree(call, here, there);
            }
            6 => {
                let here = self.files.link(at, lookup, to, NOW);
                let flags = match lookup {
                    Lookup::Follow => AtFlags::SYMLINK_FOLLOW,
                    Lookup::NoFollow => AtFlags::empty(),
                };
                let there = host::linkat(&host_fd, text, &host_to_fd, second.as_str(), flags);
                let call = format!("link {lookup:?} {fd:?} {path:?} to {to_fd:?} {second:?}");
                self.agree(call, here, there);
            }
            7 => {
                let target = link_target(random);
                let here = self.files.symlink(target.as_bytes(), at, NOW);
                let there = host::symlinkat(target.as_str(), &host_fd, text);
                self.agree(
                    format!("symlink {target:?} as {fd:?} {path:?}"),
                    here,
                    there,
                );
            }
            8 => {
                let here = self.files.read_link(at).map(str::to_owned);
                let there = host::readlinkat(&host_fd, text, Vec::new());
                let there = there.map(|target| target.into_string().unwrap());
                self.agree(format!("readlink {fd:?} {path:?}"), here, there);
            }
            _ => {
                let here = self.files.stat_path(at, lookup).map(|stat| seen(&stat));
                let there = host::statat(&host_fd, text, follow).map(|stat| host_seen(&stat));
                self.agree(format!("stat {lookup:?} {fd:?} {path:?}"), here, there);
            }
        }
    }

    /// Every name, attribute and byte on this side.
    fn tree_here(&mut self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![String::from("work")];
        while let Some(path) = open.pop() {
            let options = OpenOptions {
                oflags: OFlags::DIRECTORY,
                fdflags: FdFlags::EMPTY,
                access: Access::Read,
            };
            let at = At::new(ROOT, path.as_bytes());
            let fd = self.files.open(at, Lookup::NoFollow, options, NOW).unwrap();
            let listing = self.files.read_dir(fd, 0).unwrap().skip(2);
            let names: Vec<_> = listing.map(|entry| entry.name.to_owned()).collect();
            self.files.close(fd).unwrap();
            for name in names {
                let below = format!("{path}/{name}");
                let at = At::new(ROOT, below.as_bytes());
                let stat = self.files.stat_path(at, Lookup::NoFollow).unwrap();
                let content = match stat.filetype {
                    Filetype::Directory => {
                        open.push(below.clone());
                        String::new()
                    }
                    Filetype::SymbolicLink => self.files.read_link(at).unwrap().to_owned(),
                    Filetype::RegularFile | Filetype::CharacterDevice => {
                        let path = TreePath::new(&format!("/{below}")).unwrap();
                        format!("{:?}", self.files.read_file(&path).unwrap())
                    }
                };
                found.insert(below, format!("{:?} {content}", seen(&stat)));
            }
        }
        found
    }

    fn tree_there(top: &std::path::Path) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut open = vec![(top.to_owned(), String::from("work"))];
        while let Some((directory, path)) = open.pop() {
            for entry in std::fs::read_dir(&directory).unwrap() {
                let entry = entry.unwrap();
                let below = format!("{path}/{}", entry.file_name().into_string().unwrap());
                let stat = host::lstat(entry.path()).unwrap();
                let content = match kind(FileType::from_raw_mode(stat.st_mode)) {
                    Filetype::Directory => {
                        open.push((entry.path(), below.clone()));
                        String::new()
                    }
                    Filetype::SymbolicLink => {
                        let target = std::fs::read_link(entry.path()).unwrap();
                        target.into_os_string().into_string().unwrap()
                    }
                    Filetype::RegularFile | Filetype::CharacterDevice => {
                        format!("{:?}", std::fs::read(entry.path()).unwrap())
                    }
                };
                found.insert(below, format!("{:?} {content}", host_seen(&stat)));
            }
        }
        found
    }
}

#[test]
fn a_random_program_gets_the_answers_that_linux_gives() {
    for seed in 0..12 {
        let top = tempfile::tempdir().unwrap();
        let mut model = Model::new(top.path());
        let mut random = Random::new(seed);
        for turn in 0..1_000 {
            model.step(&mut random);
            if turn % 200 == 0 {
                model.files.check();
                // A clone goes on as if it had been the original.
                model.files = model.files.clone();
            }
        }
        let (here, there) = (model.tree_here(), Model::tree_there(top.path()));
        assert!(here == there, "seed {seed}: the trees differ");
        assert!(!here.is_empty(), "seed {seed} made nothing");
    }
}
