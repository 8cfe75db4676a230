//! Set-up: from a verified guest binary to compiled code and a proven image, each made once.
//!
//! Everything is keyed by content: the code's file name carries the sha256 of the binary, the
//! metering and Wasmtime's own compatibility word, so a stale file is never loaded, and a killed
//! set-up leaves nothing behind that a later one would take for whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::control::TurnControl;
use super::engine::{self, Metering};
use super::image::{self, Image, ImageError, NewImage};
use super::instance::{GuestLimits, Instance, Soundness, StartError, TurnLimits};
use super::interpreter::{Interpreter, OpenError, Surroundings};
use super::ladder::StopCause;
use super::language::{Language, Purpose, TurnInput};
use super::module::{GuestBinary, UnfitBinary};
use super::sink::TurnSink;
use super::state::TurnState;
use crate::limits::Limits;
use crate::protocol::event::{Status, Stream};

/// Memory that compiling a large guest takes at its peak (2.4 GB was measured for CPython).
const COMPILE_MEMORY_BYTES: u64 = 2_600 << 20;

/// What is to be set up.
pub struct Plan<'a> {
    pub name: &'a str,
    pub binary: &'a Path,
    pub binary_sha256: &'a str,
    /// Where compiled code and images are kept.
    pub directory: &'a Path,
    pub metering: Metering,
    pub language: Arc<dyn Language>,
    pub surroundings: Surroundings,
    /// Bytes of memory that can be had on this machine now.
    pub available_memory_bytes: Option<u64>,
}

/// Why set-up failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "compiling {name} takes {needed} bytes of memory and {available} are available; free some \
         memory, or run `weir setup` on a larger machine and copy its interpreters directory"
    )]
    Memory {
        name: String,
        needed: u64,
        available: u64,
    },
    #[error(transparent)]
    Unfit(#[from] UnfitBinary),
    #[error("compiling {name} failed: {reason}")]
    Compile { name: String, reason: String },
    #[error("making the image of {name} failed: {reason}")]
    Image { name: String, reason: String },
    #[error(transparent)]
    Write(#[from] ImageError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Makes what is missing and opens the interpreter. `say` hears each step that takes time.
///
/// # Errors
/// [`SetupError`].
pub async fn prepare(
    plan: &Plan<'_>,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Arc<Interpreter>, SetupError> {
    let module_minimum = 0;
    let probe = engine::engine(plan.metering, None, module_minimum).map_err(|error| {
        SetupError::Compile {
            name: plan.name.into(),
            reason: format!("{error:#}"),
        }
    })?;
    let key = &plan.binary_sha256[..16];
    let compiled = plan.directory.join(format!(
        "{}-{key}-{}-{:016x}.cwasm",
        plan.name,
        plan.metering.name(),
        engine::compatibility(&probe)
    ));
    let stem = plan.directory.join(format!("{}-{key}-image", plan.name));
    std::fs::create_dir_all(plan.directory).map_err(|source| SetupError::Io {
        path: plan.directory.to_owned(),
        source,
    })?;

    let mut binary = None;
    if !compiled_is_whole(&compiled) {
        let parsed = read_binary(plan)?;
        compile(plan, &probe, &parsed.code, &compiled, say)?;
        binary = Some(parsed);
    }
    if let Ok(interpreter) = open(plan, &compiled, &stem) {
        return Ok(interpreter);
    }
    let binary = match binary {
        Some(binary) => binary,
        None => read_binary(plan)?,
    };
    make_image(plan, &binary, &compiled, &stem, say).await?;
    let interpreter = open(plan, &compiled, &stem)?;
    let word = match proves_interrupt(&interpreter).await? {
        true => "interrupts keep the state",
        false => "interrupts cost the turn's state: this binary's signal words are not known",
    };
    say(&format!("{}: {word}", plan.name));
    Ok(interpreter)
}

fn open(plan: &Plan<'_>, compiled: &Path, stem: &Path) -> Result<Arc<Interpreter>, SetupError> {
    let image = Image::open(stem)?;
    Ok(Interpreter::open(
        compiled,
        plan.binary_sha256,
        image,
        plan.metering,
        plan.language.clone(),
        plan.surroundings.clone(),
    )?)
}

fn read_binary(plan: &Plan<'_>) -> Result<GuestBinary, SetupError> {
    let wasm = std::fs::read(plan.binary).map_err(|source| SetupError::Io {
        path: plan.binary.to_owned(),
        source,
    })?;
    Ok(GuestBinary::parse(&wasm)?)
}

/// Compiled code is taken only with the stamp that was written after it. The stamp holds its
/// sha256; hashing 290 MB at every start would take longer than everything else, so its length
/// and the stamp's presence are what start-up checks, and `weir doctor` the whole.
fn compiled_is_whole(compiled: &Path) -> bool {
    let stamp = std::fs::read_to_string(compiled.with_extension("stamp")).unwrap_or_default();
    let length = std::fs::metadata(compiled).map_or(0, |metadata| metadata.len());
    stamp
        .split_once(' ')
        .is_some_and(|(bytes, _)| bytes.parse() == Ok(length))
}

fn compile(
    plan: &Plan<'_>,
    engine: &wasmtime::Engine,
    code: &[u8],
    compiled: &Path,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<(), SetupError> {
    let large = code.len() > 10 << 20;
    if let Some(available) = plan.available_memory_bytes
        && large
        && available < COMPILE_MEMORY_BYTES
    {
        return Err(SetupError::Memory {
            name: plan.name.into(),
            needed: COMPILE_MEMORY_BYTES,
            available,
        });
    }
    say(&format!(
        "{}: compiling {} MB of WebAssembly for {} once{}",
        plan.name,
        code.len() >> 20,
        plan.metering.name(),
        if large {
            " (about a minute on two cores)"
        } else {
            ""
        }
    ));
    let started = Instant::now();
    let machine_code = engine
        .precompile_module(code)
        .map_err(|error| SetupError::Compile {
            name: plan.name.into(),
            reason: format!("{error:#}"),
        })?;
    image::write_whole(compiled, &machine_code)?;
    let stamp = format!(
        "{} {}",
        machine_code.len(),
        image::sha256_hex(&machine_code)
    );
    image::write_whole(&compiled.with_extension("stamp"), stamp.as_bytes())?;
    say(&format!(
        "{}: compiled in {:.0} s ({} MB)",
        plan.name,
        started.elapsed().as_secs_f64(),
        machine_code.len() >> 20
    ));
    Ok(())
}

async fn make_image(
    plan: &Plan<'_>,
    binary: &GuestBinary,
    compiled: &Path,
    stem: &Path,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<(), SetupError> {
    let started = Instant::now();
    say(&format!("{}: taking the image", plan.name));
    let interpreter = Interpreter::bare(
        compiled,
        binary.memory.len(),
        binary.stack_pointer,
        plan.metering,
        plan.language.clone(),
        plan.surroundings.clone(),
    )?;
    let failed = |reason: String| SetupError::Image {
        name: plan.name.into(),
        reason,
    };
    let mut guest = Instance::start(&interpreter, &unbounded()).await?;
    guest.memory_mut()[..binary.memory.len()].copy_from_slice(&binary.memory);
    guest.give_fuel(u64::MAX);
    let said = Arc::new(Said::default());
    let control = TurnControl::unattended(guest.epoch_bump());
    guest.store.data_mut().turn = Some(TurnState::new(control, said.clone(), u64::MAX, 0));
    let ticking = interpreter.tick();
    let language = plan
        .language
        .initialize(&mut guest)
        .await
        .map_err(|error| failed(format!("{error:#}\n{}", said.text())))?;
    drop(ticking);
    guest.store.data_mut().turn = None;
    let open = guest.files().open_descriptors();
    let expected = 3 + plan.surroundings.preopens.len();
    if open != expected {
        return Err(failed(format!(
            "{open} descriptors are open at the end, {expected} were expected"
        )));
    }
    Image::write(
        stem,
        &NewImage {
            memory: guest.memory(),
            code_sha256: plan.binary_sha256.to_owned(),
            module_minimum_bytes: binary.memory.len(),
            stack_pointer: binary.stack_pointer,
            monotonic_ns: guest.monotonic_ns(),
            language,
        },
    )?;
    say(&format!(
        "{}: image of {} MB taken in {:.1} s",
        plan.name,
        guest.memory().len() >> 20,
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Interrupts an endless loop, and sees whether the guest lives on.
async fn proves_interrupt(interpreter: &Arc<Interpreter>) -> Result<bool, SetupError> {
    let mut guest = Instance::start(interpreter, &unbounded()).await?;
    let control = TurnControl::unattended(guest.epoch_bump());
    let Some(code) = interpreter.language().endless_loop() else {
        return Ok(false);
    };
    let input = TurnInput {
        purpose: Purpose::Run,
        code: code.into(),
        filename: "<self-test>".into(),
    };
    let limits = TurnLimits {
        fuel: u64::MAX / 2,
        output_bytes_max: 1 << 20,
    };
    let watched = control.clone();
    let watch = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        watched.ask(StopCause::Interrupt);
        watched.watch().await;
    });
    let sink: Arc<dyn TurnSink> = Arc::new(Said::default());
    let end = guest.run(&input, &limits, control, sink).await;
    watch.abort();
    Ok(end.status == Status::Interrupted && end.soundness == Soundness::Sound)
}

/// Limits for the gateway's own work in a guest.
fn unbounded() -> GuestLimits {
    GuestLimits {
        memory_bytes_max: 1 << 32,
        ..GuestLimits::from(&Limits::default())
    }
}

/// Keeps what a guest says while nobody listens, for the error message if it fails.
#[derive(Default)]
struct Said(std::sync::Mutex<Vec<u8>>);

impl Said {
    const BYTES_MAX: usize = 16 << 10;

    fn text(&self) -> String {
        let said = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        String::from_utf8_lossy(&said).into_owned()
    }
}

impl TurnSink for Said {
    fn output(&self, _stream: Stream, bytes: &[u8]) {
        let mut said = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let room = Self::BYTES_MAX - said.len();
        said.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn has_room(&self) -> bool {
        true
    }

    fn room(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }

    fn stdin_request(&self, _prompt: String) {}

    fn display(&self, _data: Map<String, Value>, _metadata: Map<String, Value>) {}

    fn result(&self, text: String, _json: Option<Box<serde_json::value::RawValue>>) {
        self.output(Stream::Stdout, json!(text).to_string().as_bytes());
    }
}
