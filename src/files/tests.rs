//! A session to test with, and what a session as a whole promises.

use std::sync::Arc;

use super::*;

pub(super) const NOW: Timestamp = Timestamp(1_000);
pub(super) const LATER: Timestamp = Timestamp(2_000);
/// The preopen of the whole tree.
pub(super) const ROOT: Fd = Fd(3);
/// The preopen whose name lies below a file, as matplotlib's data does.
const DATA: Fd = Fd(4);
const STDLIB: &str = "/usr/local/lib/python315.zip";

pub(super) const LIMITS: FilesLimits = FilesLimits {
    files_bytes_max: 1 << 20,
    file_bytes_max: 512 << 10,
    files_max: 100,
    open_files_max: 16,
};

pub(super) fn session_with(limits: FilesLimits) -> Files {
    let mut library = LibraryBuilder::new(Timestamp(1));
    let bytes = |text: &str| LibraryContent::Bytes(text.as_bytes().into());
    library.file(STDLIB, bytes("PK stdlib")).unwrap();
    library
        .file("/usr/share/mpl/rc", bytes("backend: agg"))
        .unwrap();
    library
        .file("/usr/share/mpl/fonts/a.ttf", bytes("font"))
        .unwrap();
    let preopens = vec![
        Preopen::root(),
        Preopen {
            name: format!("{STDLIB}/matplotlib/mpl-data"),
            path: TreePath::new("/usr/share/mpl").unwrap(),
        },
    ];
    Files::new(library.build(), preopens, limits, NOW).unwrap()
}

pub(super) fn session() -> Files {
    session_with(LIMITS)
}

pub(super) fn at(path: &str) -> At<'_> {
    At::new(ROOT, path.as_bytes())
}

pub(super) fn options(oflags: OFlags, access: Access) -> OpenOptions {
    OpenOptions {
        oflags,
        fdflags: FdFlags::EMPTY,
        access,
    }
}

pub(super) const READ: OpenOptions = OpenOptions {
    oflags: OFlags::EMPTY,
    fdflags: FdFlags::EMPTY,
    access: Access::Read,
};

impl Files {
    pub(super) fn open_as(
        &mut self,
        path: &str,
        oflags: OFlags,
        access: Access,
    ) -> Result<Fd, Errno> {
        self.open(at(path), Lookup::Follow, options(oflags, access), NOW)
    }

    pub(super) fn open_new(&mut self, path: &str) -> Fd {
        self.open_as(path, OFlags::CREATE, Access::ReadWrite)
            .unwrap()
    }

    pub(super) fn put(&mut self, path: &str, text: &str) {
        let fd = self
            .open_as(path, OFlags::CREATE | OFlags::TRUNCATE, Access::Write)
            .unwrap();
        assert_eq!(self.write(fd, text.as_bytes(), NOW), Ok(text.len()));
        self.close(fd).unwrap();
    }

    pub(super) fn mkdir(&mut self, path: &str) {
        self.create_directory(at(path), NOW).unwrap();
    }

    pub(super) fn ln(&mut self, target: &str, path: &str) {
        self.symlink(target.as_bytes(), at(path), NOW).unwrap();
    }

    pub(super) fn text_of(&mut self, fd: Fd) -> String {
        let mut buffer = vec![0; 4096];
        let length = self.read_at(fd, &mut buffer, 0).unwrap();
        buffer.truncate(length);
        String::from_utf8(buffer).unwrap()
    }

    pub(super) fn text(&mut self, path: &str) -> Result<String, Errno> {
        let fd = self.open(at(path), Lookup::Follow, READ, NOW)?;
        let text = self.text_of(fd);
        self.close(fd)?;
        Ok(text)
    }

    pub(super) fn names(&mut self, path: &str) -> Vec<String> {
        let fd = self.open_as(path, OFlags::DIRECTORY, Access::Read).unwrap();
        let names = self
            .read_dir(fd, 0)
            .unwrap()
            .map(|entry| entry.name.into())
            .collect();
        self.close(fd).unwrap();
        names
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.stat_path(at(path), Lookup::NoFollow).is_ok()
    }

    /// Panics where a running figure disagrees with a recount.
    pub(super) fn check(&self) {
        let open: Vec<_> = self
            .table
            .iter()
            .filter_map(|open| match open.target.node() {
                Some(tree::NodeId::Session(inode)) => Some(inode),
                Some(tree::NodeId::Library(_)) | None => None,
            })
            .collect();
        self.tree.check(&open);
    }
}

/// `/work` with a file, a directory that is not empty, an empty one, and links of every kind.
pub(super) fn furnished() -> Files {
    let mut files = session();
    files.put("work/file", "content");
    files.mkdir("work/full");
    files.put("work/full/inner", "inner");
    files.mkdir("work/empty");
    files.ln("file", "work/to-file");
    files.ln("full", "work/to-full");
    files.ln("nowhere", "work/dangling");
    files.ln("loop", "work/loop");
    files
}

#[test]
fn a_session_starts_with_stdio_and_its_preopens() {
    let files = session();
    let kinds: Vec<_> = (0..6).map(|number| files.kind(Fd(number))).collect();
    assert_eq!(
        kinds,
        [
            Ok(DescriptorKind::Stdin),
            Ok(DescriptorKind::Stdout),
            Ok(DescriptorKind::Stderr),
            Ok(DescriptorKind::Directory),
            Ok(DescriptorKind::Directory),
            Err(Errno::BadDescriptor),
        ]
    );
    assert_eq!(files.preopen(ROOT), Some("/"));
    assert_eq!(
        files.preopen(DATA).unwrap(),
        format!("{STDLIB}/matplotlib/mpl-data")
    );
    for number in [0, 2, 5, u32::MAX] {
        assert_eq!(files.preopen(Fd(number)), None, "{number}");
    }
}

#[test]
fn a_preopen_that_cannot_be_is_refused_by_name() {
    let library = LibraryBuilder::new(NOW).build();
    let preopen = |path: &str| Preopen {
        name: "/data".into(),
        path: TreePath::new(path).unwrap(),
    };
    for path in ["/missing", "/dev/null"] {
        let error = Files::new(Arc::clone(&library), vec![preopen(path)], LIMITS, NOW).unwrap_err();
        assert!(error.to_string().contains(path), "{error}");
    }
    let few = FilesLimits {
        open_files_max: 4,
        ..LIMITS
    };
    let two = vec![preopen("/work"), preopen("/tmp")];
    let error = Files::new(library, two, few, NOW).unwrap_err();
    assert!(error.to_string().contains("open_files_max = 4"), "{error}");
}

#[test]
fn the_library_is_read_only_whatever_is_tried() {
    let mut files = session();
    let stdlib = "usr/local/lib/python315.zip";
    assert_eq!(files.text(stdlib).unwrap(), "PK stdlib");
    for access in [Access::Write, Access::ReadWrite] {
        assert_eq!(
            files.open_as(stdlib, OFlags::EMPTY, access),
            Err(Errno::ReadOnly)
        );
    }
    assert_eq!(
        files.open_as(stdlib, OFlags::TRUNCATE, Access::Read),
        Err(Errno::ReadOnly)
    );
    for path in ["new", "usr/new", "dev/new"] {
        assert_eq!(
            files.open_as(path, OFlags::CREATE, Access::Write),
            Err(Errno::ReadOnly)
        );
        assert_eq!(files.create_directory(at(path), NOW), Err(Errno::ReadOnly));
        assert_eq!(files.symlink(b"x", at(path), NOW), Err(Errno::ReadOnly));
    }
    files.put("work/file", "");
    assert_eq!(files.unlink(at(stdlib), NOW), Err(Errno::ReadOnly));
    assert_eq!(
        files.remove_directory(at("usr/share"), NOW),
        Err(Errno::ReadOnly)
    );
    for mount in ["work", "tmp"] {
        assert_eq!(files.remove_directory(at(mount), NOW), Err(Errno::ReadOnly));
        assert_eq!(
            files.rename(at(mount), at("work/x"), NOW),
            Err(Errno::ReadOnly)
        );
        assert_eq!(files.create_directory(at(mount), NOW), Err(Errno::Exists));
    }
    assert_eq!(
        files.rename(at("work/file"), at("usr/file"), NOW),
        Err(Errno::ReadOnly)
    );
    assert_eq!(
        files.rename(at(stdlib), at("work/zip"), NOW),
        Err(Errno::ReadOnly)
    );
    let linked = files.link(at(stdlib), Lookup::NoFollow, at("work/zip"), NOW);
    assert_eq!(linked, Err(Errno::CrossDevice));
    let times = SetTimes {
        accessed: SetTime::Now,
        modified: SetTime::Now,
    };
    let set = files.set_times_path(at(stdlib), Lookup::Follow, times, NOW);
    assert_eq!(set, Err(Errno::ReadOnly));
    let fd = files.open_as(stdlib, OFlags::CREATE, Access::Read).unwrap();
    assert_eq!(files.write(fd, b"x", NOW), Err(Errno::BadDescriptor));
    assert_eq!(files.set_size(fd, 0, NOW), Err(Errno::Invalid));
    assert_eq!(files.allocate(fd, 0, 1, NOW), Err(Errno::BadDescriptor));
    files.check();
}

#[test]
fn a_preopen_below_a_file_serves_its_own_directory_and_nothing_above() {
    let mut files = session();
    let mut look =
        |path: &str| files.open(At::new(DATA, path.as_bytes()), Lookup::Follow, READ, NOW);
    assert!(look("rc").is_ok());
    assert!(look("fonts/../fonts/a.ttf").is_ok());
    for path in ["..", "fonts/../..", "../mpl/rc", "/rc", "/"] {
        assert_eq!(look(path), Err(Errno::NotCapable), "{path}");
    }
    let below = format!("{}/matplotlib", &STDLIB[1..]);
    assert_eq!(
        files.stat_path(at(&below), Lookup::Follow),
        Err(Errno::NotDirectory)
    );
}

#[test]
fn a_directory_moved_out_of_its_preopen_does_not_lead_further() {
    let library = LibraryBuilder::new(NOW).build();
    let work = Preopen {
        name: "/home".into(),
        path: TreePath::new("/work").unwrap(),
    };
    let mut files = Files::new(library, vec![Preopen::root(), work], LIMITS, NOW).unwrap();
    files.mkdir("work/a");
    files.mkdir("work/a/b");
    let home = At::new(Fd(4), b"a/b");
    let inner = files.open(home, Lookup::Follow, READ, NOW).unwrap();
    let up = At::new(inner, b"../..");
    assert!(files.stat_path(up, Lookup::Follow).is_ok());
    files.rename(at("work/a/b"), at("tmp/b"), NOW).unwrap();
    assert_eq!(
        files.stat_path(At::new(inner, b".."), Lookup::Follow),
        Err(Errno::NotCapable)
    );
    assert_eq!(files.stat_path(up, Lookup::Follow), Err(Errno::NotCapable));
    files.symlink(b"/usr", at("work/absolute"), NOW).unwrap();
    let link = At::new(Fd(4), b"absolute");
    assert_eq!(
        files.stat_path(link, Lookup::Follow),
        Err(Errno::NotCapable)
    );
}

#[test]
fn a_clone_is_a_complete_snapshot() {
    let mut files = furnished();
    let fd = files
        .open_as("work/file", OFlags::EMPTY, Access::ReadWrite)
        .unwrap();
    files.seek(fd, 3, Whence::Start).unwrap();
    let gone = files.open_new("work/gone");
    files.write(gone, b"unlinked", NOW).unwrap();
    files.unlink(at("work/gone"), NOW).unwrap();

    let mut snapshot = files.clone();
    assert!(snapshot.tree.shares_all_with(&files.tree));
    let listed = files.list(&TreePath::new("/work").unwrap()).unwrap();

    files.write(fd, b"CHANGED", LATER).unwrap();
    files.close(gone).unwrap();
    files.close(Fd(1)).unwrap();
    files.put("work/new", "new");
    files.unlink(at("work/full/inner"), LATER).unwrap();
    files
        .rename(at("work/full"), at("tmp/full"), LATER)
        .unwrap();
    files.check();

    snapshot.check();
    assert_eq!(
        snapshot.list(&TreePath::new("/work").unwrap()).unwrap(),
        listed
    );
    assert_eq!(snapshot.tell(fd), Ok(3));
    assert_eq!(snapshot.text_of(fd), "content");
    assert_eq!(snapshot.text_of(gone), "unlinked");
    assert_eq!(snapshot.kind(Fd(1)), Ok(DescriptorKind::Stdout));
    assert_eq!(snapshot.text("work/full/inner").unwrap(), "inner");
    assert!(!snapshot.exists("work/new"));
}

#[test]
fn reading_leaves_a_snapshot_shared() {
    let mut files = furnished();
    let snapshot = files.clone();
    files.text("work/to-full/inner").unwrap();
    files.names("work");
    assert!(files.tree.shares_all_with(&snapshot.tree));
}

#[test]
fn the_gateway_reads_writes_lists_and_removes_by_path() {
    let mut files = furnished();
    let path = |relative: &str| TreePath::work(relative).unwrap();
    files
        .write_file(&path("in/put/data.csv"), b"a,b", LATER)
        .unwrap();
    files.write_file(&path("file"), b"new", LATER).unwrap();
    files.write_file(&path("to-file"), b"newer", LATER).unwrap();
    assert_eq!(files.read_file(&path("file")), Ok(b"newer".to_vec()));
    assert_eq!(
        files.read_file(&path("in/put/data.csv")),
        Ok(b"a,b".to_vec())
    );
    for (relative, refusal) in [
        ("missing", Errno::NotFound),
        ("full", Errno::IsDirectory),
        ("file/x", Errno::NotDirectory),
        ("loop", Errno::Loop),
    ] {
        assert_eq!(files.read_file(&path(relative)), Err(refusal), "{relative}");
        if refusal != Errno::NotFound {
            assert_eq!(
                files.write_file(&path(relative), b"", NOW),
                Err(refusal),
                "{relative}"
            );
            let removed = files.remove_file(&path(relative), NOW);
            assert_eq!(removed.is_ok(), relative == "loop", "{relative}");
        }
    }
    let listed = files.list(&TreePath::new("/work").unwrap()).unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|f| (&f.path[..], f.size, f.modified))
        .collect();
    assert_eq!(
        listed,
        [
            ("file", 5, LATER),
            ("full/inner", 5, NOW),
            ("in/put/data.csv", 3, LATER)
        ]
    );
    files.remove_file(&path("file"), NOW).unwrap();
    assert!(!files.exists("work/file"));
    let library = TreePath::new("/usr/x").unwrap();
    assert_eq!(files.write_file(&library, b"", NOW), Err(Errno::ReadOnly));
    files.check();
}

#[test]
fn a_refused_upload_leaves_the_old_content() {
    let mut files = session();
    let path = TreePath::work("f").unwrap();
    files.write_file(&path, b"old", NOW).unwrap();
    let too_big = vec![0; LIMITS.file_bytes_max as usize + 1];
    assert_eq!(
        files.write_file(&path, &too_big, NOW),
        Err(Errno::FileTooBig)
    );
    let other = TreePath::work("other").unwrap();
    files.write_file(&other, &too_big[1..], NOW).unwrap();
    files
        .write_file(&TreePath::work("third").unwrap(), &too_big[4..], NOW)
        .unwrap();
    assert_eq!(
        files.write_file(&path, &too_big[1..], NOW),
        Err(Errno::NoSpace)
    );
    assert_eq!(files.read_file(&path), Ok(b"old".to_vec()));
    files.write_file(&other, &too_big[1..], NOW).unwrap();
    files.check();
}

#[test]
fn a_session_can_move_to_another_thread() {
    fn sends<T: Send + Sync>(_: &T) {}
    sends(&session());
}
