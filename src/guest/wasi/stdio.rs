//! Reading and writing: files at once, the standard streams with the patience they need.

use wasmtime::{AsContextMut, Caller, Linker};

use super::MODULE;
use super::abi::{Buffer, Call, Memory};
use crate::files::{DescriptorKind, Errno, Fd, Files, Timestamp};
use crate::guest::control::StdinRead;
use crate::guest::ladder::Wait;
use crate::guest::state::{GuestState, look};
use crate::protocol::event::Stream;

/// What is sent of one write before looking whether its readers follow.
const PIECE_BYTES: u32 = 256 << 10;

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "fd_write",
        |mut caller: Caller<'_, GuestState>,
         (fd, buffers, count, written): (u32, u32, u32, u32)| {
            Box::new(async move {
                let result = write(&mut caller, Fd(fd), buffers, count).await?;
                store_size(&mut caller, result, written)
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "fd_read",
        |mut caller: Caller<'_, GuestState>,
         (fd, buffers, count, read_at): (u32, u32, u32, u32)| {
            Box::new(async move {
                let result = read(&mut caller, Fd(fd), buffers, count).await?;
                store_size(&mut caller, result, read_at)
            })
        },
    )?;
    Ok(())
}

fn store_size(
    caller: &mut Caller<'_, GuestState>,
    result: Result<u32, Errno>,
    at: u32,
) -> wasmtime::Result<i32> {
    let mut memory = Call::new(caller)?.memory;
    Ok(super::abi::answer(
        result.and_then(|size| memory.set_u32(at, size)),
    ))
}

async fn write(
    caller: &mut Caller<'_, GuestState>,
    fd: Fd,
    buffers: u32,
    count: u32,
) -> wasmtime::Result<Result<u32, Errno>> {
    let Call { memory, state } = Call::new(caller)?;
    let buffers = match memory.buffers(buffers, count) {
        Ok(buffers) => buffers,
        Err(errno) => return Ok(Err(errno)),
    };
    match state.files.kind(fd) {
        Ok(DescriptorKind::Stdout) => emit(caller, Stream::Stdout, &buffers).await,
        Ok(DescriptorKind::Stderr) => emit(caller, Stream::Stderr, &buffers).await,
        Ok(DescriptorKind::Stdin) => Ok(Err(Errno::BadDescriptor)),
        Ok(DescriptorKind::File | DescriptorKind::Directory) => {
            Ok(gather(&memory, &buffers, |bytes| {
                state.files.write(fd, bytes, Timestamp::now())
            }))
        }
        Err(errno) => Ok(Err(errno)),
    }
}

/// Sends what the guest writes to a standard stream, a piece at a time, each as soon as its readers
/// have room for it. A turn that is being ended sends no more; the guest is told that all went,
/// because interpreters take a short write for an accident.
async fn emit(
    caller: &mut Caller<'_, GuestState>,
    stream: Stream,
    buffers: &[Buffer],
) -> wasmtime::Result<Result<u32, Errno>> {
    for buffer in buffers {
        let mut sent = 0;
        while sent < buffer.length {
            let length = (buffer.length - sent).min(PIECE_BYTES);
            let Call { memory, state } = Call::new(caller)?;
            let piece = match memory.bytes(buffer.at + sent, length) {
                Ok(piece) => piece,
                Err(errno) => return Ok(Err(errno)),
            };
            let Some(turn) = state.turn.as_mut() else {
                return Ok(Err(Errno::BadDescriptor));
            };
            turn.write(stream, piece);
            sent += length;
            if !turn.sink.has_room() && wait_for_room(caller).await? == Room::Ending {
                if sent < buffer.length
                    && let Some(turn) = caller.data_mut().turn.as_mut()
                {
                    turn.truncated = true;
                }
                break;
            }
        }
    }
    let total = buffers.iter().map(|buffer| buffer.length).sum();
    Ok(Ok(total))
}

/// How a wait for room ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Made,
    /// The turn is being ended.
    Ending,
}

/// Suspends the guest until a reader has caught up, or something wants to end the turn.
async fn wait_for_room(caller: &mut Caller<'_, GuestState>) -> wasmtime::Result<Room> {
    loop {
        look(caller.as_context_mut())?;
        let Some(turn) = caller.data().turn.as_ref() else {
            return Ok(Room::Ending);
        };
        let (control, sink) = (turn.control.clone(), turn.sink.clone());
        if sink.has_room() {
            return Ok(Room::Made);
        }
        if control.cause().is_some() {
            return Ok(Room::Ending);
        }
        let _waiting = control.waiting(Wait::Reader);
        tokio::select! {
            () = sink.room() => {}
            () = control.changed() => {}
        }
    }
}

async fn read(
    caller: &mut Caller<'_, GuestState>,
    fd: Fd,
    buffers: u32,
    count: u32,
) -> wasmtime::Result<Result<u32, Errno>> {
    let mut call = Call::new(caller)?;
    let buffers = match call.memory.buffers(buffers, count) {
        Ok(buffers) => buffers,
        Err(errno) => return Ok(Err(errno)),
    };
    match call.state.files.kind(fd) {
        Ok(DescriptorKind::File | DescriptorKind::Directory) => {
            Ok(scatter(&mut call.memory, &buffers, |bytes| {
                Files::read(&mut call.state.files, fd, bytes)
            }))
        }
        Ok(DescriptorKind::Stdin) => {
            let first = buffers.iter().find(|buffer| buffer.length > 0).copied();
            match first {
                Some(buffer) => read_input(caller, buffer).await,
                None => Ok(Ok(0)),
            }
        }
        Ok(DescriptorKind::Stdout | DescriptorKind::Stderr) => Ok(Err(Errno::BadDescriptor)),
        Err(errno) => Ok(Err(errno)),
    }
}

/// Reads the turn's input, waiting for it if need be.
async fn read_input(
    caller: &mut Caller<'_, GuestState>,
    buffer: Buffer,
) -> wasmtime::Result<Result<u32, Errno>> {
    let mut asked = false;
    loop {
        look(caller.as_context_mut())?;
        let mut call = Call::new(caller)?;
        let Some(turn) = call.state.turn.as_mut() else {
            return Ok(Ok(0));
        };
        let control = turn.control.clone();
        let slot = match call.memory.bytes_mut(buffer.at, buffer.length) {
            Ok(slot) => slot,
            Err(errno) => return Ok(Err(errno)),
        };
        match control.read_stdin(slot) {
            StdinRead::Bytes(count) => {
                turn.take_prompt();
                call.state.stdin_used = true;
                return Ok(Ok(count as u32));
            }
            StdinRead::End => {
                turn.take_prompt();
                return Ok(Ok(0));
            }
            StdinRead::Nothing => {}
        }
        // The interpreter answers an interrupted read by looking at its signals.
        if control.cause().is_some() {
            return Ok(Err(Errno::Interrupted));
        }
        if !asked {
            asked = true;
            let prompt = turn.take_prompt();
            turn.sink.stdin_request(prompt);
        }
        let _waiting = control.waiting(Wait::Input);
        control.changed().await;
    }
}

/// Passes each buffer to `take` until one is not taken whole; returns the bytes taken.
pub(super) fn gather(
    memory: &Memory<'_>,
    buffers: &[Buffer],
    mut take: impl FnMut(&[u8]) -> Result<usize, Errno>,
) -> Result<u32, Errno> {
    let mut total = 0;
    for buffer in buffers {
        let bytes = memory.bytes(buffer.at, buffer.length)?;
        match take(bytes) {
            Ok(taken) => {
                total += taken as u32;
                if taken < bytes.len() {
                    break;
                }
            }
            Err(_) if total > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(total)
}

/// Fills each buffer by `fill` until one is not filled whole; returns the bytes filled.
pub(super) fn scatter(
    memory: &mut Memory<'_>,
    buffers: &[Buffer],
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> Result<u32, Errno> {
    let mut total = 0;
    for buffer in buffers {
        let bytes = memory.bytes_mut(buffer.at, buffer.length)?;
        match fill(bytes) {
            Ok(filled) => {
                total += filled as u32;
                if filled < bytes.len() {
                    break;
                }
            }
            Err(_) if total > 0 => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(total)
}
