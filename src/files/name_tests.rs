//! What programs may rely on when they name things.

use super::tests::*;
use super::*;

#[test]
fn a_path_resolves_as_on_linux() {
    let mut files = furnished();
    files.ln("../file", "work/full/up");
    files.ln("/work/file", "work/full/absolute");
    files.ln("full/", "work/slashed");
    for (path, expected) in [
        ("work/file", Ok("content")),
        ("/work/file", Ok("content")),
        ("work//./full/../file", Ok("content")),
        ("../../../work/file", Ok("content")),
        ("work/to-file", Ok("content")),
        ("work/to-full/inner", Ok("inner")),
        ("work/to-full/../file", Ok("content")),
        ("work/full/up", Ok("content")),
        ("work/full/absolute", Ok("content")),
        ("work/slashed/inner", Ok("inner")),
        ("", Err(Errno::NotFound)),
        ("work/missing", Err(Errno::NotFound)),
        ("work/missing/..", Err(Errno::NotFound)),
        ("work/file/", Err(Errno::NotDirectory)),
        ("work/file/.", Err(Errno::NotDirectory)),
        ("work/file/..", Err(Errno::NotDirectory)),
        ("work/to-file/", Err(Errno::NotDirectory)),
        ("work/dangling", Err(Errno::NotFound)),
        ("work/loop", Err(Errno::Loop)),
        ("work/full", Err(Errno::IsDirectory)),
    ] {
        let found = files.open(at(path), Lookup::Follow, READ, NOW);
        let text = found.and_then(|fd| {
            let mut buffer = [0; 64];
            let length = files.read(fd, &mut buffer);
            files.close(fd).unwrap();
            Ok(String::from_utf8_lossy(&buffer[..length?]).into_owned())
        });
        assert_eq!(
            text.as_deref(),
            expected.as_ref().map(|text| *text),
            "{path}"
        );
    }
}

#[test]
fn a_chain_of_forty_links_is_followed_and_one_of_forty_one_is_not() {
    let mut files = session();
    files.put("work/0", "end");
    for link in 1..=41 {
        files.ln(&(link - 1).to_string(), &format!("work/{link}"));
    }
    assert_eq!(files.text("work/40").as_deref(), Ok("end"));
    assert_eq!(files.text("work/41"), Err(Errno::Loop));
}

#[test]
fn what_is_no_text_or_too_long_is_refused_by_its_own_number() {
    let mut files = session();
    let long_name = "x".repeat(NAME_BYTES_MAX + 1);
    let long_path = "./".repeat(PATH_BYTES_MAX / 2) + "x";
    for (path, refusal) in [
        (&b"work/\xff"[..], Errno::IllegalBytes),
        (b"work/a\0b", Errno::Invalid),
        (long_name.as_bytes(), Errno::NameTooLong),
        (long_path.as_bytes(), Errno::NameTooLong),
    ] {
        let at = At::new(ROOT, path);
        assert_eq!(files.stat_path(at, Lookup::Follow), Err(refusal));
        assert_eq!(files.create_directory(at, NOW), Err(refusal));
    }
    let target = vec![b'x'; SYMLINK_BYTES_MAX + 1];
    for (target, refusal) in [
        (&target[..], Errno::NameTooLong),
        (b"", Errno::NotFound),
        (b"\xff", Errno::IllegalBytes),
        (b"\0", Errno::Invalid),
    ] {
        assert_eq!(files.symlink(target, at("work/l"), NOW), Err(refusal));
    }
    files.put(&format!("work/{}", "é".repeat(127)), "fits");
}

#[test]
fn open_makes_cuts_and_refuses_as_posix_says() {
    use Access::{Read, ReadWrite, Search, Write};
    let create = OFlags::CREATE;
    let exclusive = OFlags::CREATE | OFlags::EXCLUSIVE;
    let directory = OFlags::DIRECTORY;
    let truncate = OFlags::TRUNCATE;
    let none = OFlags::EMPTY;
    for (path, oflags, access, expected) in [
        ("work/new", create, Write, Ok(())),
        ("work/new", none, Write, Err(Errno::NotFound)),
        ("work/new", exclusive, Write, Ok(())),
        ("work/file", exclusive, Write, Err(Errno::Exists)),
        ("work/dangling", exclusive, Write, Err(Errno::Exists)),
        ("work/dangling", create, Write, Ok(())),
        ("work/missing/new", create, Write, Err(Errno::NotFound)),
        ("work/file/new", create, Write, Err(Errno::NotDirectory)),
        ("work/new/", create, Write, Err(Errno::IsDirectory)),
        ("work/full/", create, Write, Err(Errno::IsDirectory)),
        ("work/full", create, Read, Err(Errno::IsDirectory)),
        ("work/full", none, Read, Ok(())),
        ("work/full", none, Search, Ok(())),
        ("work/full", none, ReadWrite, Err(Errno::IsDirectory)),
        ("work/full", truncate, Read, Err(Errno::IsDirectory)),
        ("work/full", directory, Read, Ok(())),
        ("work/to-full", directory, Read, Ok(())),
        ("work/file", directory, Read, Err(Errno::NotDirectory)),
        ("work/new", create | directory, Read, Err(Errno::Invalid)),
        ("work/file", truncate, Write, Ok(())),
        ("work/loop", create, Write, Err(Errno::Loop)),
    ] {
        let mut files = furnished();
        let opened = files.open_as(path, oflags, access).map(|_| ());
        assert_eq!(opened, expected, "{path} {oflags:?} {access:?}");
        if opened.is_ok() && oflags.contains(create) {
            assert_eq!(files.stat_path(at(path), Lookup::Follow).unwrap().size, 0);
        }
        files.check();
    }
    let mut files = furnished();
    let kept = files.open(at("work/to-file"), Lookup::NoFollow, READ, NOW);
    assert_eq!(kept, Err(Errno::Loop));
    let kept = options(directory, Read);
    let kept = files.open(at("work/to-full"), Lookup::NoFollow, kept, NOW);
    assert_eq!(kept, Err(Errno::NotDirectory));
    assert!(
        files
            .open(at("work/to-full/"), Lookup::NoFollow, READ, NOW)
            .is_ok()
    );
}

#[test]
fn a_name_taken_over_by_rename_leaves_open_files_alone() {
    let mut files = session();
    files.put("work/config", "old");
    let reader = files
        .open_as("work/config", OFlags::EMPTY, Access::Read)
        .unwrap();
    files.put("work/config.new", "new");
    files
        .rename(at("work/config.new"), at("work/config"), NOW)
        .unwrap();
    assert_eq!(files.text("work/config").unwrap(), "new");
    assert_eq!(files.text_of(reader), "old");
    assert_eq!(files.used(), FilesUsed { bytes: 6, names: 1 });
    files.close(reader).unwrap();
    assert_eq!(files.used(), FilesUsed { bytes: 3, names: 1 });
    files.check();
}

#[test]
fn rename_refuses_and_replaces_by_kind() {
    for (from, to, expected) in [
        ("work/file", "work/new", Ok(())),
        ("work/file", "tmp/new", Ok(())),
        ("work/file", "work/to-file", Ok(())),
        ("work/file", "work/file", Ok(())),
        ("work/dangling", "work/file", Ok(())),
        ("work/full", "work/new/", Ok(())),
        ("work/full", "work/empty", Ok(())),
        ("work/full/", "tmp/full", Ok(())),
        ("work/missing", "work/new", Err(Errno::NotFound)),
        ("work/file", "work/missing/new", Err(Errno::NotFound)),
        ("work/file", "work/new/", Err(Errno::NotDirectory)),
        ("work/file/", "work/new", Err(Errno::NotDirectory)),
        ("work/file", "work/empty", Err(Errno::IsDirectory)),
        ("work/empty", "work/file", Err(Errno::NotDirectory)),
        ("work/empty", "work/to-full", Err(Errno::NotDirectory)),
        ("work/empty", "work/full", Err(Errno::NotEmpty)),
        ("work/full", "work/full/inside", Err(Errno::Invalid)),
        ("work/full", "work/to-full/inside", Err(Errno::Invalid)),
        ("work/full", "work/full/inner", Err(Errno::Invalid)),
        ("work/full/inner", "work/full", Err(Errno::NotEmpty)),
        ("work/full/.", "work/new", Err(Errno::Busy)),
        ("work/full", "work/empty/..", Err(Errno::Busy)),
        ("/", "work/new", Err(Errno::Busy)),
    ] {
        let mut files = furnished();
        let renamed = files.rename(at(from), at(to), LATER);
        assert_eq!(renamed, expected, "{from} to {to}");
        if renamed.is_ok() && from != to {
            assert!(!files.exists(from) && files.exists(to), "{from} to {to}");
        }
        files.check();
    }
}

#[test]
fn a_directory_keeps_its_content_wherever_it_moves() {
    let mut files = furnished();
    let fd = files
        .open_as("work/full", OFlags::DIRECTORY, Access::Read)
        .unwrap();
    files.rename(at("work/full"), at("tmp/moved"), NOW).unwrap();
    assert_eq!(files.text("tmp/moved/inner").unwrap(), "inner");
    let stat = files.stat_path(At::new(fd, b".."), Lookup::Follow).unwrap();
    assert_eq!(stat, files.stat_path(at("tmp"), Lookup::Follow).unwrap());
}

#[test]
fn names_are_made_and_removed_by_kind() {
    type Call = fn(&mut Files, &str) -> Result<(), Errno>;
    let mkdir: Call = |files, path| files.create_directory(at(path), NOW);
    let rmdir: Call = |files, path| files.remove_directory(at(path), NOW);
    let unlink: Call = |files, path| files.unlink(at(path), NOW);
    let symlink: Call = |files, path| files.symlink(b"target", at(path), NOW);
    let link: Call = |files, path| files.link(at("work/file"), Lookup::NoFollow, at(path), NOW);
    for (name, call, path, expected) in [
        ("mkdir", mkdir, "work/new", Ok(())),
        ("mkdir", mkdir, "work/new/", Ok(())),
        ("mkdir", mkdir, "work/file", Err(Errno::Exists)),
        ("mkdir", mkdir, "work/dangling", Err(Errno::Exists)),
        ("mkdir", mkdir, "work/.", Err(Errno::Exists)),
        ("mkdir", mkdir, "/", Err(Errno::Exists)),
        ("mkdir", mkdir, "work/a/b", Err(Errno::NotFound)),
        ("rmdir", rmdir, "work/empty", Ok(())),
        ("rmdir", rmdir, "work/empty/", Ok(())),
        ("rmdir", rmdir, "work/full", Err(Errno::NotEmpty)),
        ("rmdir", rmdir, "work/file", Err(Errno::NotDirectory)),
        ("rmdir", rmdir, "work/to-full", Err(Errno::NotDirectory)),
        ("rmdir", rmdir, "work/to-full/", Err(Errno::NotDirectory)),
        ("rmdir", rmdir, "work/empty/.", Err(Errno::Invalid)),
        ("rmdir", rmdir, "work/empty/..", Err(Errno::NotEmpty)),
        ("rmdir", rmdir, "/", Err(Errno::Busy)),
        ("rmdir", rmdir, "work/missing", Err(Errno::NotFound)),
        ("unlink", unlink, "work/file", Ok(())),
        ("unlink", unlink, "work/dangling", Ok(())),
        ("unlink", unlink, "work/to-full", Ok(())),
        ("unlink", unlink, "work/empty", Err(Errno::IsDirectory)),
        ("unlink", unlink, "work/empty/.", Err(Errno::IsDirectory)),
        ("unlink", unlink, "work/file/", Err(Errno::NotDirectory)),
        ("unlink", unlink, "work/to-full/", Err(Errno::NotDirectory)),
        ("unlink", unlink, "work/missing", Err(Errno::NotFound)),
        ("symlink", symlink, "work/new", Ok(())),
        ("symlink", symlink, "work/new/", Err(Errno::NotFound)),
        ("symlink", symlink, "work/dangling", Err(Errno::Exists)),
        ("link", link, "work/new", Ok(())),
        ("link", link, "work/new/", Err(Errno::NotFound)),
        ("link", link, "work/empty", Err(Errno::Exists)),
    ] {
        let mut files = furnished();
        assert_eq!(call(&mut files, path), expected, "{name} {path}");
        files.check();
    }
}

#[test]
fn hard_links_share_one_file() {
    let mut files = furnished();
    files
        .link(at("work/file"), Lookup::NoFollow, at("tmp/second"), LATER)
        .unwrap();
    let stat = files.stat_path(at("tmp/second"), Lookup::Follow).unwrap();
    assert_eq!((stat.links, stat.times.changed), (2, LATER));
    assert_eq!(
        stat,
        files.stat_path(at("work/file"), Lookup::Follow).unwrap()
    );
    files.put("work/file", "changed");
    assert_eq!(files.text("tmp/second").unwrap(), "changed");
    files.unlink(at("work/file"), NOW).unwrap();
    assert_eq!(files.text("tmp/second").unwrap(), "changed");
    let directory = files.link(at("work/full"), Lookup::NoFollow, at("tmp/d"), NOW);
    assert_eq!(directory, Err(Errno::NotPermitted));
    files
        .link(at("work/dangling"), Lookup::NoFollow, at("tmp/l"), NOW)
        .unwrap();
    assert_eq!(files.read_link(at("tmp/l")), Ok("nowhere"));
    let followed = files.link(at("work/dangling"), Lookup::Follow, at("tmp/m"), NOW);
    assert_eq!(followed, Err(Errno::NotFound));
    assert_eq!(files.read_link(at("work/full")), Err(Errno::Invalid));
    files.check();
}

#[test]
fn a_removed_directory_takes_no_entries_and_shows_none() {
    let mut files = furnished();
    let fd = files
        .open_as("work/empty", OFlags::DIRECTORY, Access::Read)
        .unwrap();
    files.remove_directory(at("work/empty"), NOW).unwrap();
    let inside = At::new(fd, b"x");
    assert_eq!(files.create_directory(inside, NOW), Err(Errno::NotFound));
    assert_eq!(files.symlink(b"t", inside, NOW), Err(Errno::NotFound));
    assert_eq!(
        files.rename(at("work/file"), inside, NOW),
        Err(Errno::NotFound)
    );
    let linked = files.link(at("work/file"), Lookup::Follow, inside, NOW);
    assert_eq!(linked, Err(Errno::NotFound));
    assert_eq!(files.read_dir(fd, 0).unwrap().count(), 0);
    assert_eq!(files.stat(fd).unwrap().links, 0);
    files.check();
    files.close(fd).unwrap();
    files.check();
}

#[test]
fn the_way_up_from_a_removed_directory_ends_where_its_parent_is_gone() {
    let mut files = session();
    files.mkdir("work/a");
    files.mkdir("work/a/b");
    let fd = files
        .open_as("work/a/b", OFlags::DIRECTORY, Access::Read)
        .unwrap();
    files.remove_directory(at("work/a/b"), NOW).unwrap();
    assert!(files.stat_path(At::new(fd, b".."), Lookup::Follow).is_ok());
    files.remove_directory(at("work/a"), NOW).unwrap();
    assert_eq!(
        files.stat_path(At::new(fd, b".."), Lookup::Follow),
        Err(Errno::NotFound)
    );
}

#[test]
fn a_listing_is_complete_typed_and_resumable() {
    let mut files = furnished();
    assert_eq!(files.names("/"), [".", "..", "dev", "tmp", "usr", "work"]);
    assert_eq!(
        files.names("work"),
        [
            ".", "..", "file", "full", "empty", "to-file", "to-full", "dangling", "loop"
        ]
    );
    let fd = files
        .open_as("work", OFlags::DIRECTORY, Access::Read)
        .unwrap();
    let whole: Vec<_> = {
        let listing = files.read_dir(fd, 0).unwrap();
        listing
            .map(|e| (e.name.to_owned(), e.inode, e.filetype, e.next))
            .collect()
    };
    let mut cookie = 0;
    for (name, inode, filetype, next) in &whole {
        let entry = files.read_dir(fd, cookie).unwrap().next().unwrap();
        assert_eq!((entry.name, entry.inode), (&name[..], *inode));
        assert_eq!((entry.filetype, entry.next), (*filetype, *next));
        let stat = files
            .stat_path(At::new(fd, name.as_bytes()), Lookup::NoFollow)
            .unwrap();
        assert_eq!((stat.inode, stat.filetype), (*inode, *filetype));
        cookie = *next;
    }
    for past in [cookie, u64::MAX] {
        assert_eq!(files.read_dir(fd, past).unwrap().count(), 0);
    }
    assert_eq!(files.read_dir(ROOT, u64::MAX).unwrap().count(), 0);
}

#[test]
fn removing_while_listing_skips_and_repeats_nothing() {
    let mut files = session();
    for number in 0..20 {
        files.put(&format!("work/{number}"), "");
    }
    let fd = files
        .open_as("work", OFlags::DIRECTORY, Access::Read)
        .unwrap();
    let (mut cookie, mut seen) = (0, Vec::new());
    loop {
        let batch: Vec<_> = {
            let listing = files.read_dir(fd, cookie).unwrap();
            listing
                .take(3)
                .map(|e| (e.name.to_owned(), e.next))
                .collect()
        };
        let Some((_, next)) = batch.last() else { break };
        cookie = *next;
        for (name, _) in batch {
            if !name.starts_with('.') {
                files.unlink(At::new(fd, name.as_bytes()), NOW).unwrap();
                seen.push(name);
            }
        }
    }
    assert_eq!(seen, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(files.names("work"), [".", ".."]);
}

#[test]
fn renaming_every_entry_that_is_listed_ends() {
    let mut files = session();
    for number in 0..5 {
        files.put(&format!("work/{number}"), "");
    }
    let fd = files
        .open_as("work", OFlags::DIRECTORY, Access::Read)
        .unwrap();
    let (mut cookie, mut renamed) = (0, 0);
    loop {
        let entry = files.read_dir(fd, cookie).unwrap().next();
        let Some((name, next)) = entry.map(|e| (e.name.to_owned(), e.next)) else {
            break;
        };
        cookie = next;
        if !name.starts_with('.') {
            let (old, new) = (format!("work/{name}"), format!("work/x{name}"));
            files.rename(at(&old), at(&new), NOW).unwrap();
            renamed += 1;
        }
        assert!(renamed <= 5);
    }
    assert_eq!(renamed, 5);
    assert_eq!(files.read_dir(fd, 0).unwrap().count(), 7);
}

#[test]
fn nesting_is_bounded_however_it_is_done() {
    let mut files = session();
    let mut path = String::from("work");
    for _ in 1..DEPTH_MAX {
        path.push_str("/d");
        files.mkdir(&path);
    }
    let deeper = format!("{path}/d");
    assert_eq!(
        files.create_directory(at(&deeper), NOW),
        Err(Errno::NameTooLong)
    );
    files.put(&format!("{path}/file"), "");
    files.mkdir("tmp/a");
    assert_eq!(
        files.rename(at("tmp/a"), at(&deeper), NOW),
        Err(Errno::NameTooLong)
    );
    let moved = files.rename(at("work/d"), at("tmp/a/d"), NOW);
    assert_eq!(moved, Err(Errno::NameTooLong));
    files.rename(at("work/d"), at("tmp/d"), NOW).unwrap();
    files.rename(at("tmp/d"), at("tmp/e"), NOW).unwrap();
    files.check();
}
