//! WASI preview 1 for guests, over the gateway's own tree and clocks.
//!
//! Written by hand over Wasmtime's linker: each call checks every guest address by slicing the
//! guest's memory, touches only the guest's own [`GuestState`], and can reach no host file, socket
//! or process, because none is linked. `ARCHITECTURE.md` has the reasons and what was refused.
//!
//! Calls are grouped as in the specification; [`link`] defines them all. Calls that can wait
//! (output without a reader, input, sleep) suspend the guest's fiber and nothing else.

mod abi;
mod descriptors;
mod paths;
mod poll;
mod process;
mod stdio;

use wasmtime::Linker;

use super::state::GuestState;

/// The module name under which guests import these calls.
const MODULE: &str = "wasi_snapshot_preview1";

/// Defines every call of preview 1.
///
/// # Errors
/// Wasmtime's, for a name defined twice.
pub fn link(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    process::link(linker)?;
    descriptors::link(linker)?;
    paths::link(linker)?;
    stdio::link(linker)?;
    poll::link(linker)
}
