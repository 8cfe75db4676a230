//! Calls on open descriptors, but for reading and writing streams.

use wasmtime::{Caller, Linker};

use super::MODULE;
use super::abi::{Call, answer};
use super::stdio::{gather, scatter};
use crate::files::{Errno, Fd, FdFlags, FstFlags, SetTimes, Timestamp, Whence};
use crate::guest::state::GuestState;

/// Bytes of a `dirent` before its name.
const DIRENT_BYTES: usize = 24;

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    type C<'a> = Caller<'a, GuestState>;
    linker
        .func_wrap(MODULE, "fd_close", |mut caller: C, fd: u32| {
            let call = Call::new(&mut caller)?;
            Ok(answer(call.state.files.close(Fd(fd))))
        })?
        .func_wrap(
            MODULE,
            "fd_renumber",
            |mut caller: C, from: u32, to: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(call.state.files.renumber(Fd(from), Fd(to))))
            },
        )?
        .func_wrap(MODULE, "fd_datasync", |mut caller: C, fd: u32| {
            let call = Call::new(&mut caller)?;
            Ok(answer(call.state.files.sync(Fd(fd))))
        })?
        .func_wrap(MODULE, "fd_sync", |mut caller: C, fd: u32| {
            let call = Call::new(&mut caller)?;
            Ok(answer(call.state.files.sync(Fd(fd))))
        })?
        .func_wrap(
            MODULE,
            "fd_advise",
            |mut caller: C, fd: u32, offset: u64, length: u64, _advice: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(call.state.files.advise(Fd(fd), offset, length)))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_allocate",
            |mut caller: C, fd: u32, offset: u64, length: u64| {
                let call = Call::new(&mut caller)?;
                Ok(answer(call.state.files.allocate(
                    Fd(fd),
                    offset,
                    length,
                    Timestamp::now(),
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_fdstat_set_flags",
            |mut caller: C, fd: u32, flags: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(fd_flags(flags).and_then(|flags| {
                    call.state.files.set_flags(Fd(fd), flags)
                })))
            },
        )?
        // Rights are a report, not a wall: a guest may give up what it likes.
        .func_wrap(
            MODULE,
            "fd_fdstat_set_rights",
            |mut caller: C, fd: u32, _base: u64, _inheriting: u64| {
                let call = Call::new(&mut caller)?;
                Ok(answer(call.state.files.kind(Fd(fd)).map(|_| ())))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_fdstat_get",
            |mut caller: C, fd: u32, at: u32| {
                let mut call = Call::new(&mut caller)?;
                Ok(answer(call.state.files.fdstat(Fd(fd)).and_then(|stat| {
                    let mut record = [0u8; 24];
                    record[0] = stat.filetype.number();
                    record[2..4].copy_from_slice(&stat.flags.bits().to_le_bytes());
                    record[8..16].copy_from_slice(&stat.rights.bits().to_le_bytes());
                    record[16..24].copy_from_slice(&stat.rights_inheriting.bits().to_le_bytes());
                    call.memory.write(at, &record)
                })))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_filestat_get",
            |mut caller: C, fd: u32, at: u32| {
                let mut call = Call::new(&mut caller)?;
                Ok(answer(
                    call.state
                        .files
                        .stat(Fd(fd))
                        .and_then(|stat| call.memory.set_stat(at, &stat)),
                ))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_filestat_set_size",
            |mut caller: C, fd: u32, size: u64| {
                let call = Call::new(&mut caller)?;
                Ok(answer(call.state.files.set_size(
                    Fd(fd),
                    size,
                    Timestamp::now(),
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_filestat_set_times",
            |mut caller: C, fd: u32, accessed: u64, modified: u64, flags: u32| {
                let call = Call::new(&mut caller)?;
                Ok(answer(set_times(accessed, modified, flags).and_then(
                    |times| call.state.files.set_times(Fd(fd), times, Timestamp::now()),
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_seek",
            |mut caller: C, fd: u32, delta: i64, whence: u32, at: u32| {
                let mut call = Call::new(&mut caller)?;
                Ok(answer(
                    u8::try_from(whence)
                        .map_err(|_| Errno::Invalid)
                        .and_then(Whence::from_number)
                        .and_then(|whence| call.state.files.seek(Fd(fd), delta, whence))
                        .and_then(|position| call.memory.set_u64(at, position)),
                ))
            },
        )?
        .func_wrap(MODULE, "fd_tell", |mut caller: C, fd: u32, at: u32| {
            let mut call = Call::new(&mut caller)?;
            Ok(answer(
                call.state
                    .files
                    .tell(Fd(fd))
                    .and_then(|position| call.memory.set_u64(at, position)),
            ))
        })?
        .func_wrap(
            MODULE,
            "fd_pread",
            |mut caller: C, fd: u32, buffers: u32, count: u32, offset: u64, at: u32| {
                let mut call = Call::new(&mut caller)?;
                Ok(answer(
                    pread(&mut call, Fd(fd), buffers, count, offset)
                        .and_then(|size| call.memory.set_u32(at, size)),
                ))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_pwrite",
            |mut caller: C, fd: u32, buffers: u32, count: u32, offset: u64, at: u32| {
                let mut call = Call::new(&mut caller)?;
                Ok(answer(
                    pwrite(&mut call, Fd(fd), buffers, count, offset)
                        .and_then(|size| call.memory.set_u32(at, size)),
                ))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_readdir",
            |mut caller: C, fd: u32, buffer: u32, length: u32, cookie: u64, at: u32| {
                let mut call = Call::new(&mut caller)?;
                Ok(answer(
                    readdir(&mut call, Fd(fd), buffer, length, cookie)
                        .and_then(|size| call.memory.set_u32(at, size)),
                ))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_prestat_get",
            |mut caller: C, fd: u32, at: u32| {
                let mut call = Call::new(&mut caller)?;
                let name = call.state.files.preopen(Fd(fd)).map(str::len);
                Ok(answer(name.ok_or(Errno::BadDescriptor).and_then(
                    |length| {
                        call.memory.set_u32(at, 0)?;
                        call.memory
                            .set_u32(at.checked_add(4).ok_or(Errno::Fault)?, length as u32)
                    },
                )))
            },
        )?
        .func_wrap(
            MODULE,
            "fd_prestat_dir_name",
            |mut caller: C, fd: u32, at: u32, length: u32| {
                let mut call = Call::new(&mut caller)?;
                let name = call.state.files.preopen(Fd(fd));
                Ok(answer(name.ok_or(Errno::BadDescriptor).and_then(|name| {
                    if name.len() > length as usize {
                        return Err(Errno::NameTooLong);
                    }
                    call.memory.write(at, name.as_bytes())
                })))
            },
        )?;
    Ok(())
}

/// `fdflags`, checked.
pub(super) fn fd_flags(bits: u32) -> Result<FdFlags, Errno> {
    u16::try_from(bits)
        .map_err(|_| Errno::Invalid)
        .and_then(FdFlags::from_bits)
}

/// The times of `*_filestat_set_times`, checked.
pub(super) fn set_times(accessed: u64, modified: u64, flags: u32) -> Result<SetTimes, Errno> {
    let flags = u16::try_from(flags)
        .map_err(|_| Errno::Invalid)
        .and_then(FstFlags::from_bits)?;
    SetTimes::from_flags(Timestamp(accessed), Timestamp(modified), flags)
}

fn pread(
    call: &mut Call<'_>,
    fd: Fd,
    buffers: u32,
    count: u32,
    mut offset: u64,
) -> Result<u32, Errno> {
    let buffers = call.memory.buffers(buffers, count)?;
    scatter(&mut call.memory, &buffers, |bytes| {
        let read = call.state.files.read_at(fd, bytes, offset)?;
        offset = offset.saturating_add(read as u64);
        Ok(read)
    })
}

fn pwrite(
    call: &mut Call<'_>,
    fd: Fd,
    buffers: u32,
    count: u32,
    mut offset: u64,
) -> Result<u32, Errno> {
    let buffers = call.memory.buffers(buffers, count)?;
    gather(&call.memory, &buffers, |bytes| {
        let written = call
            .state
            .files
            .write_at(fd, bytes, offset, Timestamp::now())?;
        offset = offset.saturating_add(written as u64);
        Ok(written)
    })
}

/// Fills the buffer with entries; the last one may be cut, which tells the guest to ask again.
fn readdir(
    call: &mut Call<'_>,
    fd: Fd,
    buffer: u32,
    length: u32,
    cookie: u64,
) -> Result<u32, Errno> {
    let target = call.memory.bytes_mut(buffer, length)?;
    let mut used = 0;
    for entry in call.state.files.read_dir(fd, cookie)? {
        let mut record = [0u8; DIRENT_BYTES];
        record[0..8].copy_from_slice(&entry.next.to_le_bytes());
        record[8..16].copy_from_slice(&entry.inode.to_le_bytes());
        record[16..20].copy_from_slice(&(entry.name.len() as u32).to_le_bytes());
        record[20] = entry.filetype.number();
        for part in [&record[..], entry.name.as_bytes()] {
            let fits = part.len().min(target.len() - used);
            target[used..used + fits].copy_from_slice(&part[..fits]);
            used += fits;
        }
        if used == target.len() {
            break;
        }
    }
    Ok(used as u32)
}
