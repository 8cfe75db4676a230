//! The guest's memory as calls see it: bounded, little-endian, never trusted.

use wasmtime::Caller;

use crate::files::{Errno, Stat};
use crate::guest::state::GuestState;

/// Buffers in one scattered read or write. wasi-libc passes at most two.
const BUFFERS_MAX: u32 = 1024;

/// A guest's memory and its state, borrowed for one call.
pub(super) struct Call<'a> {
    pub(super) memory: Memory<'a>,
    pub(super) state: &'a mut GuestState,
}

/// A guest's memory, every access checked.
pub(super) struct Memory<'a>(&'a mut [u8]);

/// One buffer of a scattered read or write.
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    pub(super) at: u32,
    pub(super) length: u32,
}

impl<'a> Call<'a> {
    /// Borrows both parts of the caller.
    pub(super) fn new(caller: &'a mut Caller<'_, GuestState>) -> wasmtime::Result<Self> {
        let memory = caller
            .data()
            .memory
            .ok_or_else(|| wasmtime::Error::msg("the guest called out before it had a memory"))?;
        let (memory, state) = memory.data_and_store_mut(caller);
        Ok(Self {
            memory: Memory(memory),
            state,
        })
    }
}

impl Memory<'_> {
    pub(super) fn bytes(&self, at: u32, length: u32) -> Result<&[u8], Errno> {
        self.0
            .get(at as usize..at as usize + length as usize)
            .ok_or(Errno::Fault)
    }

    pub(super) fn bytes_mut(&mut self, at: u32, length: u32) -> Result<&mut [u8], Errno> {
        self.0
            .get_mut(at as usize..at as usize + length as usize)
            .ok_or(Errno::Fault)
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        self.0
            .get_mut(at as usize..at as usize + bytes.len())
            .ok_or(Errno::Fault)?
            .copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn u32(&self, at: u32) -> Result<u32, Errno> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: u32) -> Result<u64, Errno> {
        self.array(at).map(u64::from_le_bytes)
    }

    pub(super) fn u16(&self, at: u32) -> Result<u16, Errno> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn u8(&self, at: u32) -> Result<u8, Errno> {
        self.array(at).map(u8::from_le_bytes)
    }

    pub(super) fn set_u32(&mut self, at: u32, value: u32) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    pub(super) fn set_u64(&mut self, at: u32, value: u64) -> Result<(), Errno> {
        self.write(at, &value.to_le_bytes())
    }

    /// The buffers of a scattered read or write, checked against the memory; together they are no
    /// longer than a size can say.
    pub(super) fn buffers(&self, at: u32, count: u32) -> Result<Vec<Buffer>, Errno> {
        if count > BUFFERS_MAX {
            return Err(Errno::Invalid);
        }
        let mut total = 0i32;
        (0..count)
            .map(|index| {
                let entry = at.checked_add(8 * index).ok_or(Errno::Fault)?;
                let buffer = Buffer {
                    at: self.u32(entry)?,
                    length: self.u32(entry.checked_add(4).ok_or(Errno::Fault)?)?,
                };
                self.bytes(buffer.at, buffer.length)?;
                total = i32::try_from(buffer.length)
                    .ok()
                    .and_then(|length| total.checked_add(length))
                    .ok_or(Errno::Invalid)?;
                Ok(buffer)
            })
            .collect()
    }

    /// Writes a `filestat`: 64 bytes.
    pub(super) fn set_stat(&mut self, at: u32, stat: &Stat) -> Result<(), Errno> {
        let mut record = [0u8; 64];
        record[0..8].copy_from_slice(&stat.device.to_le_bytes());
        record[8..16].copy_from_slice(&stat.inode.to_le_bytes());
        record[16] = stat.filetype.number();
        record[24..32].copy_from_slice(&stat.links.to_le_bytes());
        record[32..40].copy_from_slice(&stat.size.to_le_bytes());
        for (at, time) in [
            (40, stat.times.accessed),
            (48, stat.times.modified),
            (56, stat.times.changed),
        ] {
            record[at..at + 8].copy_from_slice(&time.0.to_le_bytes());
        }
        self.write(at, &record)
    }

    fn array<const N: usize>(&self, at: u32) -> Result<[u8; N], Errno> {
        self.0
            .get(at as usize..at as usize + N)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(Errno::Fault)
    }
}

/// What a call returns to the guest.
pub(super) fn answer(result: Result<(), Errno>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(errno) => i32::from(errno.number()),
    }
}
