//! Waiting: `poll_oneoff`, which is how guests sleep.

use std::time::Duration;

use wasmtime::{AsContextMut, Caller, Linker};

use super::MODULE;
use super::abi::{Call, Memory};
use super::process::Clock;
use crate::files::{DescriptorKind, Errno, Fd};
use crate::guest::ladder::Wait;
use crate::guest::state::{GuestState, look};

/// Subscriptions in one call.
const SUBSCRIPTIONS_MAX: u32 = 64;
/// Bytes of a `subscription` and of an `event`.
const SUBSCRIPTION_BYTES: u32 = 48;
const EVENT_BYTES: u32 = 32;
/// The longest one wait; a sleeping guest is looked at again after it.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// `subclockflags.subscription_clock_abstime`.
const ABSOLUTE: u16 = 1;

/// What a guest waits for.
#[derive(Clone, Copy)]
enum Subscription {
    Clock { due_ns: u64, clock: Clock },
    Read(Fd),
    Write(Fd),
}

/// A subscription that came true.
struct Event {
    userdata: u64,
    errno: u16,
    kind: u8,
    bytes: u64,
}

pub(super) fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut caller: Caller<'_, GuestState>,
         (subscriptions, events, count, occurred): (u32, u32, u32, u32)| {
            Box::new(async move {
                match poll(&mut caller, subscriptions, events, count, occurred).await? {
                    Ok(()) => Ok(0),
                    Err(errno) => Ok(i32::from(errno.number())),
                }
            })
        },
    )?;
    Ok(())
}

async fn poll(
    caller: &mut Caller<'_, GuestState>,
    subscriptions: u32,
    events: u32,
    count: u32,
    occurred: u32,
) -> wasmtime::Result<Result<(), Errno>> {
    if count == 0 || count > SUBSCRIPTIONS_MAX {
        return Ok(Err(Errno::Invalid));
    }
    let call = Call::new(caller)?;
    let waits = match read(&call, subscriptions, count) {
        Ok(waits) => waits,
        Err(errno) => return Ok(Err(errno)),
    };
    loop {
        look(caller.as_context_mut())?;
        let call = Call::new(caller)?;
        let mut happened: Vec<Event> = waits
            .iter()
            .filter_map(|(userdata, wait)| check(call.state, *userdata, *wait))
            .collect();
        let control = call.state.turn.as_ref().map(|turn| turn.control.clone());
        // After a notice the guest must run, so that its interpreter sees it: a sleep is told that
        // its time has come (wasi-libc turns every error into "not supported").
        if happened.is_empty()
            && control
                .as_ref()
                .is_some_and(|control| control.cause().is_some())
        {
            happened = waits
                .iter()
                .map(|(userdata, wait)| due(*userdata, *wait))
                .collect();
        }
        if !happened.is_empty() {
            let mut memory = Call::new(caller)?.memory;
            return Ok(write(&mut memory, events, occurred, &happened));
        }
        let next = waits
            .iter()
            .filter_map(|(_, wait)| match wait {
                Subscription::Clock { due_ns, clock } => {
                    Some(due_ns.saturating_sub(clock.now_ns(call.state)))
                }
                Subscription::Read(_) | Subscription::Write(_) => None,
            })
            .min();
        let sleep = tokio::time::sleep(next.map_or(WAIT_MAX, Duration::from_nanos).min(WAIT_MAX));
        match control {
            Some(control) if next.is_none() => {
                // Only input can end this wait, so it is a wait for input.
                let _waiting = control.waiting(Wait::Input);
                control.changed().await;
            }
            Some(control) => {
                tokio::select! {
                    () = sleep => {}
                    () = control.changed() => {}
                }
            }
            None => sleep.await,
        }
    }
}

fn read(call: &Call<'_>, at: u32, count: u32) -> Result<Vec<(u64, Subscription)>, Errno> {
    (0..count)
        .map(|index| {
            let at = at
                .checked_add(SUBSCRIPTION_BYTES * index)
                .filter(|at| *at < u32::MAX - SUBSCRIPTION_BYTES)
                .ok_or(Errno::Fault)?;
            let memory = &call.memory;
            let userdata = memory.u64(at)?;
            let wait = match memory.u8(at + 8)? {
                0 => {
                    let clock = Clock::from_number(memory.u32(at + 16)?)?;
                    let timeout = memory.u64(at + 24)?;
                    let due_ns = match memory.u16(at + 40)? & ABSOLUTE {
                        0 => clock.now_ns(call.state).saturating_add(timeout),
                        _ => timeout,
                    };
                    Subscription::Clock { due_ns, clock }
                }
                1 => Subscription::Read(Fd(memory.u32(at + 16)?)),
                2 => Subscription::Write(Fd(memory.u32(at + 16)?)),
                _ => return Err(Errno::Invalid),
            };
            Ok((userdata, wait))
        })
        .collect()
}

/// The event of a subscription, if it has come true.
fn check(state: &GuestState, userdata: u64, wait: Subscription) -> Option<Event> {
    match wait {
        Subscription::Clock { due_ns, clock } => {
            (clock.now_ns(state) >= due_ns).then(|| due(userdata, wait))
        }
        Subscription::Read(fd) => match state.files.kind(fd) {
            Ok(DescriptorKind::Stdin) => state
                .turn
                .as_ref()
                .is_none_or(|turn| turn.control.stdin_ready())
                .then(|| due(userdata, wait)),
            Ok(_) => Some(due(userdata, wait)),
            Err(errno) => Some(failed(userdata, wait, errno)),
        },
        // Output that has no reader waits when it is written.
        Subscription::Write(fd) => Some(match state.files.kind(fd) {
            Ok(_) => due(userdata, wait),
            Err(errno) => failed(userdata, wait, errno),
        }),
    }
}

fn due(userdata: u64, wait: Subscription) -> Event {
    Event {
        userdata,
        errno: 0,
        kind: match wait {
            Subscription::Clock { .. } => 0,
            Subscription::Read(_) => 1,
            Subscription::Write(_) => 2,
        },
        bytes: 1,
    }
}

fn failed(userdata: u64, wait: Subscription, errno: Errno) -> Event {
    Event {
        errno: errno.number(),
        ..due(userdata, wait)
    }
}

fn write(memory: &mut Memory<'_>, at: u32, occurred: u32, events: &[Event]) -> Result<(), Errno> {
    for (index, event) in events.iter().enumerate() {
        let at = at
            .checked_add(EVENT_BYTES * index as u32)
            .ok_or(Errno::Fault)?;
        let mut record = [0u8; EVENT_BYTES as usize];
        record[0..8].copy_from_slice(&event.userdata.to_le_bytes());
        record[8..10].copy_from_slice(&event.errno.to_le_bytes());
        record[10] = event.kind;
        record[16..24].copy_from_slice(&event.bytes.to_le_bytes());
        memory.write(at, &record)?;
    }
    memory.set_u32(occurred, events.len() as u32)
}
