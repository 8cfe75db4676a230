//! Set-up: from a verified guest binary to compiled code and a proven image, each made once.
//!
//! Everything is keyed by content: the code's file name carries the sha256 of the binary, the
//! metering and Wasmtime's own compatibility word, the image's also what it was made by and where it
//! sees its files. A stale file is never opened, and a killed set-up leaves nothing behind that a
//! later one would take for whole. Of several set-ups in one directory one works, the others wait.

mod claim;
mod compiled;
mod error;
mod report;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::control::TurnControl;
use super::engine::{self, Metering};
use super::image::{self, Image, ImageError, NewImage};
use super::instance::{GuestLimits, Instance, Soundness, TurnLimits};
use super::interpreter::{Interpreter, OpenError, Surroundings};
use super::ladder::StopCause;
use super::language::{Language, Purpose, TurnInput};
use super::module::GuestBinary;
use super::sink::TurnSink;
use super::state::TurnState;
use crate::limits::Limits;
use crate::protocol::event::{Status, Stream};

use claim::Claim;
use compiled::Compiled;

pub use compiled::Condition;
pub use error::SetupError;
pub use report::SetupReport;

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

/// What there is of a plan, read to the last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    pub code: Condition,
    pub image: Condition,
}

/// Makes what is missing and opens the interpreter. `say` hears each step that takes time: nothing
/// when all is there, which takes some 100 ms.
///
/// Dropped while it compiles, it leaves the compiler to end by itself; what that writes is whole.
///
/// # Errors
/// [`SetupError`].
pub async fn prepare(
    plan: &Plan<'_>,
    say: &mut (dyn FnMut(&SetupReport) + Send),
) -> Result<Arc<Interpreter>, SetupError> {
    let engine = plan.engine()?;
    let compiled = Compiled::of(plan, &engine);
    let stem = plan.image_stem();
    if compiled.is_whole()
        && let Ok(interpreter) = open(plan, &compiled, &stem)
    {
        return Ok(interpreter);
    }

    let _claim = Claim::take(plan.directory, plan.name, say).await?;
    // Whoever held the claim before may have made all of it.
    let mut binary = None;
    if compiled.is_whole() {
        match open(plan, &compiled, &stem) {
            Ok(interpreter) => return Ok(interpreter),
            Err(SetupError::Open(OpenError::Image(ImageError::Io { .. }))) => {}
            Err(error @ SetupError::Open(OpenError::Image(_))) => {
                say(&SetupReport::Step(format!("{error}; making it anew")));
            }
            Err(error) => match compiled.examine() {
                // Not the file's fault.
                Condition::Whole { .. } => return Err(error),
                Condition::Missing | Condition::Damaged(_) => {
                    say(&SetupReport::Step(format!("{error}; compiling it anew")));
                    binary = Some(compile(plan, &engine, &compiled, say).await?);
                }
            },
        }
    } else {
        binary = Some(compile(plan, &engine, &compiled, say).await?);
        if let Ok(interpreter) = open(plan, &compiled, &stem) {
            return Ok(interpreter);
        }
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
    say(&SetupReport::Step(format!("{}: {word}", plan.name)));
    Ok(interpreter)
}

/// Whether [`prepare`] would find everything made. Looks at names and lengths only.
pub fn is_prepared(plan: &Plan<'_>) -> bool {
    let stem = plan.image_stem();
    plan.engine()
        .is_ok_and(|engine| Compiled::of(plan, &engine).is_whole())
        && ["json", "memory"]
            .iter()
            .all(|part| stem.with_extension(part).is_file())
}

/// Reads all that [`prepare`] made, and compares it with its hashes.
///
/// # Errors
/// [`SetupError::Compile`] when this machine cannot run guests at all.
pub fn examine(plan: &Plan<'_>) -> Result<Examination, SetupError> {
    let code = Compiled::of(plan, &plan.engine()?).examine();
    let image = match Image::open(&plan.image_stem()) {
        Ok(image) => Condition::Whole {
            bytes: image.description.memory_bytes as u64,
        },
        Err(ImageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Condition::Missing
        }
        Err(error) => Condition::Damaged(error.to_string()),
    };
    Ok(Examination { code, image })
}

impl Plan<'_> {
    /// The start of the binary's sha256, which keeps versions apart.
    fn key(&self) -> &str {
        &self.binary_sha256[..16]
    }

    /// An engine for this plan's metering, without an image.
    fn engine(&self) -> Result<wasmtime::Engine, SetupError> {
        engine::engine(self.metering, None, 0).map_err(|error| SetupError::Compile {
            name: self.name.into(),
            reason: format!("{error:#}"),
        })
    }

    /// Where the image is, but for the last extension. Its key is all that it depends on besides
    /// the binary: what the language runs to make it, and how it then sees its files.
    fn image_stem(&self) -> PathBuf {
        let Self {
            name,
            language,
            surroundings,
            ..
        } = self;
        let made_by = format!(
            "{}\0{:?}\0{:?}\0{:?}",
            language.made_by(),
            language.arguments(),
            language.environment(),
            surroundings.preopens,
        );
        let made_by = &image::sha256_hex(made_by.as_bytes())[..16];
        self.directory
            .join(format!("{name}-{}-{made_by}.image", self.key()))
    }
}

fn open(plan: &Plan<'_>, compiled: &Compiled, stem: &Path) -> Result<Arc<Interpreter>, SetupError> {
    let image = Image::open(stem)?;
    Ok(Interpreter::open(
        compiled.path(),
        plan.binary_sha256,
        image,
        plan.metering,
        plan.language.clone(),
        plan.surroundings.clone(),
    )?)
}

fn read_binary(plan: &Plan<'_>) -> Result<GuestBinary, SetupError> {
    let wasm = std::fs::read(plan.binary).map_err(|source| SetupError::Read {
        path: plan.binary.to_owned(),
        source,
    })?;
    Ok(GuestBinary::parse(&wasm)?)
}

/// Compiles the binary's code; what is left of the binary makes the image.
async fn compile(
    plan: &Plan<'_>,
    engine: &wasmtime::Engine,
    compiled: &Compiled,
    say: &mut (dyn FnMut(&SetupReport) + Send),
) -> Result<GuestBinary, SetupError> {
    let mut binary = read_binary(plan)?;
    let code = std::mem::take(&mut binary.code);
    compiled.make(plan, engine, code, say).await?;
    Ok(binary)
}

async fn make_image(
    plan: &Plan<'_>,
    binary: &GuestBinary,
    compiled: &Compiled,
    stem: &Path,
    say: &mut (dyn FnMut(&SetupReport) + Send),
) -> Result<(), SetupError> {
    let started = Instant::now();
    say(&SetupReport::Still(format!(
        "{}: starting the interpreter for its image",
        plan.name
    )));
    let interpreter = Interpreter::bare(
        compiled.path(),
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
    )
    .map_err(|error| {
        let bytes = guest.memory().len() as u64;
        SetupError::write(plan.directory, bytes, compiled::into_io(error))
    })?;
    say(&SetupReport::Step(format!(
        "{}: image of {} MB taken, {:.1} s",
        plan.name,
        guest.memory().len() / 1_000_000,
        started.elapsed().as_secs_f64()
    )));
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
