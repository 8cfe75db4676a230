//! Calls on paths.

use wasmtime::{Caller, Linker};

use super::MODULE;
use super::abi::{Call, Memory, answer};
use super::descriptors::{fd_flags, set_times};
use crate::files::{Access, At, Errno, Fd, Lookup, OFlags, OpenOptions, PATH_BYTES_MAX, Timestamp};
use crate::guest::state::GuestState;

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    type C<'a> = Caller<'a, GuestState>;
    linker
        .func_wrap(
            MODULE,
            "path_open",
            |mut caller: C,
             fd: u32,
             lookup: u32,
             path: u32,
             length: u32,
             oflags: u32,
             rights: u64,
             _inheriting: u64,
             fdflags: u32,
             at: u32| {
                let mut call = Call::new(&mut caller)?;
                let opened = open(
                    &mut call,
                    fd,
                    lookup,
                    (path, length),
                    oflags,
                    rights,
                    fdflags,
                );
                Ok(answer(opened.and_then(|fd| call.memory.set_u32(at, fd.0))))
            },
        )?
        .func_wrap(
            MODULE,
            "path_filestat_get",
            |mut caller: C, fd: u32, lookup: u32, path: u32, length: u32, at: u32| {
                let mut call = Call::new(&mut caller)?;
                let stat = named(&call.memory, fd, path, length)
                    .and_then(|from| call.state.files.stat_path(from, Lookup::from_bits(lookup)?));
                Ok(answer(
                    stat.and_then(|stat| call.memory.set_stat(at, &stat)),
                ))
            },
        )?
        .func_wrap(
            MODULE,
            "path_filestat_set_times",
            |mut caller: C,
             fd: u32,
             lookup: u32,
             path: u32,
             length: u32,
             accessed: u64,
             modified: u64,
             flags: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(named(&call.memory, fd, path, length).and_then(
                    |from| {
                        let times = set_times(accessed, modified, flags)?;
                        let lookup = Lookup::from_bits(lookup)?;
                        call.state
                            .files
                            .set_times_path(from, lookup, times, Timestamp::now())
                    },
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "path_create_directory",
            |mut caller: C, fd: u32, path: u32, length: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(named(&call.memory, fd, path, length).and_then(
                    |at| call.state.files.create_directory(at, Timestamp::now()),
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "path_remove_directory",
            |mut caller: C, fd: u32, path: u32, length: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(named(&call.memory, fd, path, length).and_then(
                    |at| call.state.files.remove_directory(at, Timestamp::now()),
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "path_unlink_file",
            |mut caller: C, fd: u32, path: u32, length: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(named(&call.memory, fd, path, length).and_then(
                    |at| call.state.files.unlink(at, Timestamp::now()),
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "path_rename",
            |mut caller: C,
             fd: u32,
             path: u32,
             length: u32,
             new_fd: u32,
             new_path: u32,
             new_length: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(named(&call.memory, fd, path, length).and_then(
                    |from| {
                        let to = named(&call.memory, new_fd, new_path, new_length)?;
                        call.state.files.rename(from, to, Timestamp::now())
                    },
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "path_link",
            |mut caller: C,
             fd: u32,
             lookup: u32,
             path: u32,
             length: u32,
             new_fd: u32,
             new_path: u32,
             new_length: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(named(&call.memory, fd, path, length).and_then(
                    |from| {
                        let to = named(&call.memory, new_fd, new_path, new_length)?;
                        let lookup = Lookup::from_bits(lookup)?;
                        call.state.files.link(from, lookup, to, Timestamp::now())
                    },
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "path_symlink",
            |mut caller: C, target: u32, target_length: u32, fd: u32, path: u32, length: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(named(&call.memory, fd, path, length).and_then(
                    |at| {
                        let target = call.memory.bytes(target, target_length)?;
                        call.state.files.symlink(target, at, Timestamp::now())
                    },
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "path_readlink",
            |mut caller: C, fd: u32, path: u32, length: u32, buffer: u32, size: u32, at: u32| {
                let mut call = Call::new(&mut caller)?;
                let target = named(&call.memory, fd, path, length)
                    .and_then(|at| call.state.files.read_link(at).map(str::to_owned));
                Ok(answer(target.and_then(|target| {
                    let fits = target.len().min(size as usize);
                    call.memory.write(buffer, &target.as_bytes()[..fits])?;
                    call.memory.set_u32(at, fits as u32)
                })))
            },
        )?;
    Ok(())
}

/// A path in the guest's memory, and the directory it starts from.
fn named<'a>(memory: &'a Memory<'_>, fd: u32, path: u32, length: u32) -> Result<At<'a>, Errno> {
    if length as usize > PATH_BYTES_MAX {
        return Err(Errno::NameTooLong);
    }
    Ok(At::new(Fd(fd), memory.bytes(path, length)?))
}

fn open(
    call: &mut Call<'_>,
    fd: u32,
    lookup: u32,
    (path, length): (u32, u32),
    oflags: u32,
    rights: u64,
    fdflags: u32,
) -> Result<Fd, Errno> {
    let at = named(&call.memory, fd, path, length)?;
    let oflags = u16::try_from(oflags).map_err(|_| Errno::Invalid)?;
    let options = OpenOptions {
        oflags: OFlags::from_bits(oflags)?,
        fdflags: fd_flags(fdflags)?,
        access: Access::from_rights(rights),
    };
    call.state
        .files
        .open(at, Lookup::from_bits(lookup)?, options, Timestamp::now())
}
