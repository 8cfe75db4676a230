//! What programs may rely on when they hold a descriptor.

use super::tests::*;
use super::*;

#[test]
fn a_descriptor_does_only_what_it_was_opened_for() {
    let mut files = furnished();
    let read = files
        .open_as("work/file", OFlags::EMPTY, Access::Read)
        .unwrap();
    let write = files
        .open_as("work/file", OFlags::EMPTY, Access::Write)
        .unwrap();
    let directory = files.open_as("work", OFlags::EMPTY, Access::Read).unwrap();
    let mut buffer = [0; 4];
    assert_eq!(files.write(read, b"x", NOW), Err(Errno::BadDescriptor));
    assert_eq!(files.set_size(read, 1, NOW), Err(Errno::Invalid));
    assert_eq!(files.read(write, &mut buffer), Err(Errno::BadDescriptor));
    assert_eq!(files.read(directory, &mut buffer), Err(Errno::IsDirectory));
    assert_eq!(
        files.read_at(directory, &mut buffer, 0),
        Err(Errno::IsDirectory)
    );
    assert_eq!(files.write(directory, b"x", NOW), Err(Errno::BadDescriptor));
    assert_eq!(
        files.seek(directory, 0, Whence::Start),
        Err(Errno::BadDescriptor)
    );
    assert_eq!(
        files.read_dir(read, 0).map(|_| ()),
        Err(Errno::NotDirectory)
    );
    let below = At::new(read, b"x");
    assert_eq!(
        files.stat_path(below, Lookup::Follow),
        Err(Errno::NotDirectory)
    );
    for stdio in 0..3 {
        let fd = Fd(stdio);
        assert_eq!(files.seek(fd, 0, Whence::Current), Err(Errno::IllegalSeek));
        assert_eq!(files.read_at(fd, &mut buffer, 0), Err(Errno::IllegalSeek));
        assert_eq!(files.write_at(fd, b"x", 0, NOW), Err(Errno::IllegalSeek));
        assert_eq!(files.stat(fd).unwrap().filetype, Filetype::CharacterDevice);
        assert_eq!(files.sync(fd), Ok(()));
    }
    let closed = Fd(15);
    assert_eq!(files.read(closed, &mut buffer), Err(Errno::BadDescriptor));
    assert_eq!(files.sync(closed), Err(Errno::BadDescriptor));
    assert_eq!(
        files.stat_path(At::new(closed, b"x"), Lookup::Follow),
        Err(Errno::BadDescriptor)
    );
}

#[test]
fn offsets_move_as_posix_says() {
    let mut files = session();
    let fd = files.open_new("work/f");
    assert_eq!(files.write(fd, b"0123456789", NOW), Ok(10));
    for (delta, whence, expected) in [
        (4, Whence::Start, Ok(4)),
        (-1, Whence::Current, Ok(3)),
        (-3, Whence::End, Ok(7)),
        (-8, Whence::Current, Err(Errno::Invalid)),
        (-1, Whence::Start, Err(Errno::Invalid)),
        (-11, Whence::End, Err(Errno::Invalid)),
        (i64::MIN, Whence::Current, Err(Errno::Invalid)),
        (i64::MAX, Whence::End, Err(Errno::Overflow)),
        (0, Whence::Current, Ok(7)),
        (i64::MAX, Whence::Start, Ok(i64::MAX as u64)),
        (1, Whence::Current, Err(Errno::Overflow)),
    ] {
        assert_eq!(
            files.seek(fd, delta, whence),
            expected,
            "{delta} {whence:?}"
        );
    }
    let mut buffer = [0; 4];
    assert_eq!(files.read(fd, &mut buffer), Ok(0));
    assert_eq!(files.write(fd, b"x", NOW), Err(Errno::FileTooBig));
    files.seek(fd, 2, Whence::Start).unwrap();
    assert_eq!(files.read_at(fd, &mut buffer, 8), Ok(2));
    assert_eq!(files.write_at(fd, b"ab", 0, NOW), Ok(2));
    assert_eq!(files.tell(fd), Ok(2));
    assert_eq!(files.read(fd, &mut buffer), Ok(4));
    assert_eq!((&buffer, files.tell(fd)), (b"2345", Ok(6)));
    assert_eq!(
        files.read_at(fd, &mut buffer, u64::MAX),
        Err(Errno::Invalid)
    );
    assert_eq!(files.write_at(fd, b"x", u64::MAX, NOW), Err(Errno::Invalid));
}

#[test]
fn append_writes_at_the_end_wherever_the_offset_is() {
    let mut files = session();
    files.put("work/log", "one ");
    let append = OpenOptions {
        oflags: OFlags::EMPTY,
        fdflags: FdFlags::APPEND,
        access: Access::ReadWrite,
    };
    let first = files
        .open(at("work/log"), Lookup::Follow, append, NOW)
        .unwrap();
    let second = files
        .open(at("work/log"), Lookup::Follow, append, NOW)
        .unwrap();
    files.write(first, b"two ", NOW).unwrap();
    files.write(second, b"three ", NOW).unwrap();
    files.seek(first, 0, Whence::Start).unwrap();
    files.write(first, b"four", NOW).unwrap();
    assert_eq!(files.tell(first), Ok(18));
    assert_eq!(files.text_of(first), "one two three four");
    files.write_at(first, b"ONE", 0, NOW).unwrap();
    files.set_flags(first, FdFlags::EMPTY).unwrap();
    files.seek(first, 4, Whence::Start).unwrap();
    files.write(first, b"TWO", NOW).unwrap();
    assert_eq!(files.text_of(first), "ONE TWO three four");
}

#[test]
fn flags_are_reported_and_only_append_and_nonblock_change() {
    let mut files = session();
    let sync = OpenOptions {
        oflags: OFlags::CREATE,
        fdflags: FdFlags::SYNC | FdFlags::APPEND,
        access: Access::Write,
    };
    let fd = files.open(at("work/f"), Lookup::Follow, sync, NOW).unwrap();
    files
        .set_flags(fd, FdFlags::NONBLOCK | FdFlags::DSYNC)
        .unwrap();
    let stat = files.fdstat(fd).unwrap();
    assert_eq!(stat.flags, FdFlags::SYNC | FdFlags::NONBLOCK);
    assert_eq!(stat.filetype, Filetype::RegularFile);
    assert_eq!(Access::from_rights(stat.rights.bits()), Access::Write);
    assert!(stat.rights.contains(Rights::FD_SEEK));
    let root = files.fdstat(ROOT).unwrap();
    assert!(
        root.rights_inheriting
            .contains(Rights::FD_READ | Rights::FD_WRITE)
    );
    assert!(root.rights.contains(Rights::PATH_OPEN | Rights::FD_READDIR));
    let stdout = files.fdstat(Fd(1)).unwrap();
    // Reported though refused, so that no libc takes a stream for a terminal.
    assert!(stdout.rights.contains(Rights::FD_SEEK) && stdout.rights.contains(Rights::FD_TELL));
    assert_eq!(files.tell(Fd(1)), Err(Errno::IllegalSeek));
}

#[test]
fn a_file_grows_by_zeros_and_what_was_cut_is_gone() {
    let mut files = session();
    let fd = files.open_new("work/f");
    files.write(fd, b"abcdef", NOW).unwrap();
    files.set_size(fd, 2, NOW).unwrap();
    files.set_size(fd, 5, NOW).unwrap();
    assert_eq!(files.text_of(fd), "ab\0\0\0");
    files.write(fd, b"g", NOW).unwrap();
    assert_eq!(files.text_of(fd), "ab\0\0\0\0g");
    files.allocate(fd, 0, 3, NOW).unwrap();
    assert_eq!(files.stat(fd).unwrap().size, 7);
    files.allocate(fd, 6, 4, NOW).unwrap();
    assert_eq!(files.stat(fd).unwrap().size, 10);
    assert_eq!(files.allocate(fd, 0, 0, NOW), Err(Errno::Invalid));
    assert_eq!(files.allocate(fd, u64::MAX, 1, NOW), Err(Errno::FileTooBig));
    files.check();
}

#[test]
fn an_unlinked_file_lives_until_its_last_descriptor_closes() {
    let mut files = session();
    let first = files.open_new("work/db-journal");
    let second = files.open_new("work/db-journal");
    files.write(first, b"pages", NOW).unwrap();
    files.unlink(at("work/db-journal"), NOW).unwrap();
    assert!(!files.exists("work/db-journal"));
    assert_eq!(files.stat(first).unwrap().links, 0);
    files.put("work/db-journal", "another");
    assert_eq!(files.text_of(second), "pages");
    files.close(first).unwrap();
    assert_eq!(files.used().bytes, 12);
    files.renumber(ROOT, second).unwrap();
    assert_eq!(files.used().bytes, 7);
    files.check();
}

#[test]
fn times_follow_what_happens() {
    let mut files = session();
    files.put("work/f", "x");
    let stat = |files: &Files, path: &str| files.stat_path(at(path), Lookup::NoFollow).unwrap();
    let born = Times {
        accessed: NOW,
        modified: NOW,
        changed: NOW,
    };
    assert_eq!(stat(&files, "work/f").times, born);
    let fd = files
        .open_as("work/f", OFlags::EMPTY, Access::ReadWrite)
        .unwrap();
    files.read(fd, &mut [0]).unwrap();
    files.write(fd, b"", LATER).unwrap();
    assert_eq!(stat(&files, "work/f").times, born);
    files.write(fd, b"y", LATER).unwrap();
    let written = stat(&files, "work/f").times;
    assert_eq!(
        (written.accessed, written.modified, written.changed),
        (NOW, LATER, LATER)
    );
    let times = SetTimes {
        accessed: SetTime::At(Timestamp(5)),
        modified: SetTime::Keep,
    };
    files.set_times(fd, times, Timestamp(3_000)).unwrap();
    let set = stat(&files, "work/f").times;
    assert_eq!(set.accessed, Timestamp(5));
    assert_eq!((set.modified, set.changed), (LATER, Timestamp(3_000)));
    files.unlink(at("work/f"), Timestamp(4_000)).unwrap();
    assert_eq!(stat(&files, "work").times.modified, Timestamp(4_000));
    assert_eq!(files.stat(fd).unwrap().times.changed, Timestamp(4_000));
}

#[test]
fn the_null_device_swallows_everything() {
    let mut files = session();
    let fd = files.open_as(
        "dev/null",
        OFlags::CREATE | OFlags::TRUNCATE,
        Access::ReadWrite,
    );
    let fd = fd.unwrap();
    assert_eq!(files.write(fd, b"gone", NOW), Ok(4));
    assert_eq!(files.read(fd, &mut [0; 4]), Ok(0));
    let stat = files.fdstat(fd).unwrap();
    assert_eq!(stat.filetype, Filetype::CharacterDevice);
    assert!(stat.rights.contains(Rights::FD_SEEK), "it is no terminal");
}

#[test]
fn stdio_closes_and_moves_like_any_descriptor() {
    let mut files = session();
    files.put("work/log", "");
    files.close(Fd(1)).unwrap();
    assert_eq!(files.kind(Fd(1)), Err(Errno::BadDescriptor));
    assert_eq!(files.open_new("work/log"), Fd(1));
    assert_eq!(files.kind(Fd(1)), Ok(DescriptorKind::File));
    files.renumber(Fd(2), Fd(1)).unwrap();
    assert_eq!(files.kind(Fd(1)), Ok(DescriptorKind::Stderr));
    assert_eq!(files.kind(Fd(2)), Err(Errno::BadDescriptor));
    files.renumber(ROOT, Fd(9)).unwrap();
    assert_eq!(files.preopen(Fd(9)), Some("/"));
    assert_eq!(files.renumber(Fd(9), Fd(16)), Err(Errno::BadDescriptor));
    assert_eq!(files.close(ROOT), Err(Errno::BadDescriptor));
}

#[test]
fn every_quota_is_reached_named_and_given_back() {
    let mut files = session_with(FilesLimits {
        files_bytes_max: 100,
        file_bytes_max: 60,
        files_max: 4,
        open_files_max: 8,
    });
    let big = files.open_new("work/big");
    assert_eq!(files.write(big, &[1; 80], NOW), Ok(60));
    assert_eq!(files.write(big, &[1; 1], NOW), Err(Errno::FileTooBig));
    assert_eq!(files.write_at(big, &[2; 5], 58, NOW), Ok(2));
    assert_eq!(files.set_size(big, 61, NOW), Err(Errno::FileTooBig));
    assert_eq!(
        files.allocate(big, 0, u64::MAX, NOW),
        Err(Errno::FileTooBig)
    );
    let sparse = files.open_new("work/sparse");
    assert_eq!(files.set_size(sparse, 41, NOW), Err(Errno::NoSpace));
    assert_eq!(files.set_size(sparse, 30, NOW), Ok(()));
    assert_eq!(files.write_at(sparse, &[1; 20], 35, NOW), Ok(5));
    assert_eq!(files.write_at(sparse, &[1], 40, NOW), Err(Errno::NoSpace));
    assert_eq!(files.write_at(sparse, &[1; 40], 0, NOW), Ok(40));
    assert_eq!(files.symlink(b"t", at("work/l"), NOW), Err(Errno::NoSpace));
    files.unlink(at("work/big"), NOW).unwrap();
    assert_eq!(files.symlink(b"t", at("work/l"), NOW), Err(Errno::NoSpace));
    files.close(big).unwrap();
    files.ln("t", "work/l");
    assert_eq!(
        files.used(),
        FilesUsed {
            bytes: 41,
            names: 2
        }
    );
    files.set_size(sparse, 1, NOW).unwrap();
    assert_eq!(files.used().bytes, 2);

    files.mkdir("work/d");
    files.mkdir("work/d/e");
    assert_eq!(
        files.create_directory(at("work/f"), NOW),
        Err(Errno::NoSpace)
    );
    let refused = files.link(at("work/l"), Lookup::NoFollow, at("work/m"), NOW);
    assert_eq!(refused, Err(Errno::NoSpace));
    files.remove_directory(at("work/d/e"), NOW).unwrap();
    files.mkdir("work/f");

    for number in [5, 7] {
        assert_eq!(
            files.open_as("work", OFlags::EMPTY, Access::Read),
            Ok(Fd(number))
        );
    }
    let refused = files.open_as("work", OFlags::EMPTY, Access::Read);
    assert_eq!(refused, Err(Errno::TooManyOpen));
    files.remove_directory(at("work/f"), NOW).unwrap();
    let refused = files.open_as("work/new", OFlags::CREATE, Access::Write);
    assert_eq!(refused, Err(Errno::TooManyOpen));
    assert!(!files.exists("work/new"));
    files.check();
}
