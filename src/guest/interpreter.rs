//! An interpreter ready for sessions: compiled code, its image, and everything guests share.

use std::path::Path;
use std::sync::Arc;

use wasmtime::{Engine, InstancePre, Linker, Module, Store};

use super::engine::{self, EpochBump, Metering, Ticker, Ticking};
use super::image::{Image, ImageError};
use super::language::Language;
use super::state::GuestState;
use super::wasi;
use crate::files::{Files, FilesLimits, Library, Preopen, PreopenError, Timestamp};

/// One interpreter with one image, shared by all its guests.
pub struct Interpreter {
    engine: Engine,
    metering: Metering,
    pre: InstancePre<GuestState>,
    ticker: Ticker,
    image: Option<Image>,
    rest_stack_pointer: u32,
    language: Arc<dyn Language>,
    library: Arc<Library>,
    preopens: Arc<[Preopen]>,
    arguments: Arc<[String]>,
    environment: Arc<[String]>,
}

/// Why an interpreter cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("loading the compiled guest failed: {0:#}")]
    Load(wasmtime::Error),
    #[error("starting the epoch thread failed: {0}")]
    Thread(std::io::Error),
    #[error("the image was made for code {image}, the compiled code is of {code}")]
    Foreign { image: String, code: String },
}

/// The read-only tree of an interpreter and where guests see it.
#[derive(Clone)]
pub struct Surroundings {
    pub library: Arc<Library>,
    pub preopens: Arc<[Preopen]>,
}

impl Interpreter {
    /// Opens an image and loads the code compiled for it.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        compiled: &Path,
        code_sha256: &str,
        image: Image,
        metering: Metering,
        language: Arc<dyn Language>,
        surroundings: Surroundings,
    ) -> Result<Arc<Self>, OpenError> {
        let description = &image.description;
        if description.code_sha256 != code_sha256 {
            return Err(OpenError::Foreign {
                image: description.code_sha256.clone(),
                code: code_sha256.to_owned(),
            });
        }
        let engine = engine::engine(
            metering,
            Some(image.file()),
            description.module_minimum_bytes,
        )
        .map_err(OpenError::Load)?;
        let rest_stack_pointer = description.stack_pointer;
        Self::assemble(
            engine,
            compiled,
            metering,
            Some(image),
            rest_stack_pointer,
            language,
            surroundings,
        )
    }

    /// An interpreter without an image: its guests start with zeroed memory. Only for making images.
    ///
    /// # Errors
    /// [`OpenError::Load`] and [`OpenError::Thread`].
    pub fn bare(
        compiled: &Path,
        module_minimum_bytes: usize,
        stack_pointer: u32,
        metering: Metering,
        language: Arc<dyn Language>,
        surroundings: Surroundings,
    ) -> Result<Arc<Self>, OpenError> {
        let engine =
            engine::engine(metering, None, module_minimum_bytes).map_err(OpenError::Load)?;
        Self::assemble(
            engine,
            compiled,
            metering,
            None,
            stack_pointer,
            language,
            surroundings,
        )
    }

    fn assemble(
        engine: Engine,
        compiled: &Path,
        metering: Metering,
        image: Option<Image>,
        rest_stack_pointer: u32,
        language: Arc<dyn Language>,
        surroundings: Surroundings,
    ) -> Result<Arc<Self>, OpenError> {
        let module = engine::load(&engine, compiled).map_err(OpenError::Load)?;
        let pre = Self::link(&engine, &module, &*language).map_err(OpenError::Load)?;
        Ok(Arc::new(Self {
            ticker: Ticker::start(&engine).map_err(OpenError::Thread)?,
            engine,
            metering,
            pre,
            image,
            rest_stack_pointer,
            arguments: language.arguments().into(),
            environment: language
                .environment()
                .into_iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect(),
            language,
            library: surroundings.library,
            preopens: surroundings.preopens,
        }))
    }

    fn link(
        engine: &Engine,
        module: &Module,
        language: &dyn Language,
    ) -> wasmtime::Result<InstancePre<GuestState>> {
        let mut linker = Linker::new(engine);
        wasi::link(&mut linker)?;
        language.link(&mut linker)?;
        linker.instantiate_pre(module)
    }

    /// Instantiates the guest's module in `store`.
    ///
    /// # Errors
    /// Wasmtime's: a limit met, or no address space left.
    pub async fn instantiate(
        &self,
        store: &mut Store<GuestState>,
    ) -> wasmtime::Result<wasmtime::Instance> {
        self.pre.instantiate_async(store).await
    }

    /// Files of a new session: the library, an empty `/work` and an empty `/tmp`.
    ///
    /// # Errors
    /// When a preopen is no directory of the library, or there are too many of them.
    pub fn fresh_files(&self, limits: FilesLimits) -> Result<Files, PreopenError> {
        let preopens = self.preopens.to_vec();
        Files::new(self.library.clone(), preopens, limits, Timestamp::now())
    }

    /// What makes this interpreter's guests look at their control blocks.
    pub fn epoch_bump(&self) -> EpochBump {
        EpochBump::new(&self.engine)
    }

    /// Ticks at least until the guard is dropped.
    pub fn tick(&self) -> Ticking {
        self.ticker.tick()
    }

    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    pub fn metering(&self) -> Metering {
        self.metering
    }

    /// The image that sessions are mapped from.
    pub fn image(&self) -> &Image {
        self.image
            .as_ref()
            .expect("a bare interpreter makes images and takes no checkpoints")
    }

    /// Bytes of memory a guest has when it starts.
    pub fn image_bytes(&self) -> usize {
        self.image
            .as_ref()
            .map_or(0, |image| image.description.memory_bytes)
    }

    /// Where the monotonic clock of a new guest starts, in nanoseconds.
    pub fn image_monotonic_ns(&self) -> u64 {
        self.image
            .as_ref()
            .map_or(0, |image| image.description.monotonic_ns)
    }

    /// The stack pointer of a guest at rest.
    pub fn rest_stack_pointer(&self) -> u32 {
        self.rest_stack_pointer
    }

    pub fn language(&self) -> Arc<dyn Language> {
        self.language.clone()
    }

    pub fn arguments(&self) -> Arc<[String]> {
        self.arguments.clone()
    }

    pub fn environment(&self) -> Arc<[String]> {
        self.environment.clone()
    }
}
