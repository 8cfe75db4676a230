//! Engines: how guests are compiled, metered and reminded of the time.
//!
//! One engine serves one image of one interpreter. Its compiled code is a file made once at
//! set-up and mapped in milliseconds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use wasmtime::{Config, Engine, Module, OptLevel};

use super::mapping::{ImageFile, ImageMemories};
use crate::limits::SLICE;

/// What is compiled into a guest to bound it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metering {
    /// Nothing: only for measuring what metering costs. Such a guest cannot be stopped.
    Unmetered,
    /// The wall clock, fairness and interrupts.
    Epoch,
    /// The same and a deterministic budget of instructions.
    FuelAndEpoch,
}

impl Metering {
    /// A word for file names and for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unmetered => "unmetered",
            Self::Epoch => "epoch",
            Self::FuelAndEpoch => "fuel+epoch",
        }
    }
}

/// Stack for WebAssembly frames. CPython's own limit on C recursion fits below 8 MiB, so deep
/// recursion ends in its `RecursionError` and not in a trap (measured; see ARCHITECTURE.md).
const WASM_STACK_BYTES: usize = 8 << 20;
/// The fiber a guest runs on: its own frames and those of the host calls it makes.
const FIBER_STACK_BYTES: usize = 10 << 20;
/// Epoch ticks in a slice: a guest yields between half a slice and a whole one.
const TICKS_PER_SLICE: u64 = 2;

const _: () = assert!(WASM_STACK_BYTES < FIBER_STACK_BYTES);

/// Ticks without a running guest before the ticker sleeps: waking it costs a short turn more than
/// these cost an idle gateway.
const LINGER_TICKS: u32 = 40;

/// The ticks after which a guest looks at its control block and lets others run.
pub const SLICE_TICKS: u64 = TICKS_PER_SLICE;

/// Options that change compiled code, and so belong in the name of a compiled file.
///
/// # Errors
/// Wasmtime's, for a configuration that does not fit this machine.
pub fn engine(
    metering: Metering,
    image: Option<ImageFile>,
    module_minimum_bytes: usize,
) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_exceptions(true)
        .epoch_interruption(metering != Metering::Unmetered)
        .consume_fuel(metering == Metering::FuelAndEpoch)
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None)
        // A size that no guest declares as its minimum, so that the two cannot be confused.
        .gc_heap_initial_size(if module_minimum_bytes == 1 << 16 {
            1 << 17
        } else {
            1 << 16
        })
        .with_host_memory(Arc::new(ImageMemories::new(image, module_minimum_bytes)));
    Engine::new(&config)
}

/// A word that changes whenever compiled code from before could not be loaded any more.
pub fn compatibility(engine: &Engine) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

/// Loads code that [`Engine::precompile_module`] made.
///
/// # Errors
/// When the file cannot be read or was compiled by another Wasmtime or for other options.
pub fn load(engine: &Engine, compiled: &Path) -> wasmtime::Result<Module> {
    // SAFETY: deserializing trusts the file as much as this program's own code. It was written by
    // `setup` into a directory that only this user can write, under a name derived from the sha256
    // of what it was compiled from; start-up checks its length against the stamp written after
    // it, and `weir doctor` its whole sha256.
    unsafe { Module::deserialize_file(engine, compiled) }
}

/// Makes guests of one engine look at their control blocks at once.
#[derive(Clone)]
pub struct EpochBump(Engine);

impl EpochBump {
    pub fn new(engine: &Engine) -> Self {
        Self(engine.clone())
    }

    pub fn bump(&self) {
        self.0.increment_epoch();
    }
}

/// The clock of one engine's guests: advances the epoch while at least one of them runs, and
/// sleeps otherwise.
pub struct Ticker {
    shared: Arc<TickerShared>,
    thread: Option<JoinHandle<()>>,
}

struct TickerShared {
    running: AtomicUsize,
    parked: AtomicBool,
    closing: AtomicBool,
}

impl TickerShared {
    /// Sleeps until a guest runs. Either the guest sees the flag, or this sees the guest.
    fn park(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while self.running.load(Ordering::SeqCst) == 0 && !self.closing.load(Ordering::Acquire) {
            std::thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

impl Ticker {
    /// Starts the ticker's thread.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(TickerShared {
            running: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        });
        let engine = engine.weak();
        let thread = std::thread::Builder::new().name("epoch".into()).spawn({
            let shared = shared.clone();
            move || {
                let mut ticks_idle = 0;
                while !shared.closing.load(Ordering::Acquire) {
                    match shared.running.load(Ordering::Acquire) {
                        0 => ticks_idle += 1,
                        _ => ticks_idle = 0,
                    }
                    if ticks_idle > LINGER_TICKS {
                        shared.park();
                        ticks_idle = 0;
                        continue;
                    }
                    std::thread::sleep(SLICE / TICKS_PER_SLICE as u32);
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => return,
                    }
                }
            }
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Ticks at least until the guard is dropped.
    pub fn tick(&self) -> Ticking {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && let Some(thread) = &self.thread
        {
            thread.thread().unpark();
        }
        Ticking(self.shared.clone())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread ends within a tick; one that panicked has ended already.
            let _ = thread.join();
        }
    }
}

/// A guest runs while this lives.
pub struct Ticking(Arc<TickerShared>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}
