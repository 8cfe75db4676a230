//! Arguments, environment, clocks, randomness, the end, and what a guest may not have.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use wasmtime::{Caller, Linker};

use super::MODULE;
use super::abi::{Call, Memory, answer};
use crate::files::{Errno, Timestamp};
use crate::guest::state::{GuestState, Halt};

/// Bytes of randomness in one call.
const RANDOM_BYTES_MAX: u32 = 16 << 20;
/// The resolution told for every clock, in nanoseconds.
const CLOCK_RESOLUTION_NS: u64 = 1;

/// The clocks of preview 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Wall,
    Monotonic,
}

impl Clock {
    /// The CPU-time clocks are answered by the monotonic one: what a guest spends is the gateway's
    /// to know.
    pub(super) fn from_number(number: u32) -> Result<Self, Errno> {
        match number {
            0 => Ok(Self::Wall),
            1..=3 => Ok(Self::Monotonic),
            _ => Err(Errno::Invalid),
        }
    }

    pub(super) fn now_ns(self, state: &GuestState) -> u64 {
        match self {
            Self::Wall => Timestamp::now().0,
            Self::Monotonic => state.clock.monotonic_ns(),
        }
    }
}

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    type C<'a> = Caller<'a, GuestState>;
    linker
        .func_wrap(
            MODULE,
            "args_sizes_get",
            |mut caller: C, count: u32, size: u32| {
                let mut call = Call::new(&mut caller)?;
                let list = call.state.arguments.clone();
                Ok(answer(sizes(&mut call.memory, &list, count, size)))
            },
        )?
        .func_wrap(
            MODULE,
            "args_get",
            |mut caller: C, pointers: u32, buffer: u32| {
                let mut call = Call::new(&mut caller)?;
                let list = call.state.arguments.clone();
                Ok(answer(strings(&mut call.memory, &list, pointers, buffer)))
            },
        )?
        .func_wrap(
            MODULE,
            "environ_sizes_get",
            |mut caller: C, count: u32, size: u32| {
                let mut call = Call::new(&mut caller)?;
                let list = call.state.environment.clone();
                Ok(answer(sizes(&mut call.memory, &list, count, size)))
            },
        )?
        .func_wrap(
            MODULE,
            "environ_get",
            |mut caller: C, pointers: u32, buffer: u32| {
                let mut call = Call::new(&mut caller)?;
                let list = call.state.environment.clone();
                Ok(answer(strings(&mut call.memory, &list, pointers, buffer)))
            },
        )?
        .func_wrap(
            MODULE,
            "clock_res_get",
            |mut caller: C, clock: u32, at: u32| {
                let mut call = Call::new(&mut caller)?;
                Ok(answer(Clock::from_number(clock).and_then(|_| {
                    call.memory.set_u64(at, CLOCK_RESOLUTION_NS)
                })))
            },
        )?
        .func_wrap(
            MODULE,
            "clock_time_get",
            |mut caller: C, clock: u32, _precision: u64, at: u32| {
                let mut call = Call::new(&mut caller)?;
                Ok(answer(Clock::from_number(clock).and_then(|clock| {
                    let now = clock.now_ns(call.state);
                    call.memory.set_u64(at, now)
                })))
            },
        )?
        .func_wrap(
            MODULE,
            "random_get",
            |mut caller: C, at: u32, length: u32| {
                let mut call = Call::new(&mut caller)?;
                Ok(answer(random(&mut call.memory, at, length)))
            },
        )?
        .func_wrap(
            MODULE,
            "proc_exit",
            |_: C, code: u32| -> wasmtime::Result<()> { Err(Halt::Exit(code as i32).into()) },
        )?
        .func_wrap(MODULE, "proc_raise", |_: C, _signal: u32| refused())?
        .func_wrap(MODULE, "sched_yield", |_: C| 0)?
        .func_wrap(MODULE, "sock_accept", |_: C, _: u32, _: u32, _: u32| {
            refused()
        })?
        .func_wrap(
            MODULE,
            "sock_recv",
            |_: C, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| refused(),
        )?
        .func_wrap(
            MODULE,
            "sock_send",
            |_: C, _: u32, _: u32, _: u32, _: u32, _: u32| refused(),
        )?
        .func_wrap(MODULE, "sock_shutdown", |_: C, _: u32, _: u32| refused())?;
    Ok(())
}

/// There are no sockets and no other processes.
fn refused() -> i32 {
    i32::from(Errno::NotSupported.number())
}

fn sizes(memory: &mut Memory<'_>, list: &[String], count: u32, size: u32) -> Result<(), Errno> {
    let bytes: usize = list.iter().map(|text| text.len() + 1).sum();
    memory.set_u32(count, list.len() as u32)?;
    memory.set_u32(size, bytes as u32)
}

/// Writes strings with their terminating zeroes, and the list of their addresses.
fn strings(
    memory: &mut Memory<'_>,
    list: &[String],
    pointers: u32,
    buffer: u32,
) -> Result<(), Errno> {
    let mut at = buffer;
    for (index, text) in list.iter().enumerate() {
        let pointer = pointers.checked_add(4 * index as u32).ok_or(Errno::Fault)?;
        memory.set_u32(pointer, at)?;
        memory.write(at, text.as_bytes())?;
        at = at.checked_add(text.len() as u32).ok_or(Errno::Fault)?;
        memory.write(at, &[0])?;
        at = at.checked_add(1).ok_or(Errno::Fault)?;
    }
    Ok(())
}

fn random(memory: &mut Memory<'_>, at: u32, length: u32) -> Result<(), Errno> {
    if length > RANDOM_BYTES_MAX {
        return Err(Errno::Invalid);
    }
    let bytes = memory.bytes_mut(at, length)?;
    SystemRandom::new().fill(bytes).map_err(|_| Errno::Io)
}
