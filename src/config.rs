//! Every setting of the gateway: what it is called, what it may be, what it is and who said so.
//!
//! One table (`table`) names each setting once. Command-line arguments, environment names, keys of
//! the TOML file, `--help`, `weir config` and `docs/configuration.md` are all read off it. This is
//! the only module that reads the environment; it does so through `Sources`, so that a test can
//! stand in for the machine.
//!
//! Layers, each over the one before: default, file, environment, flag. A value is parsed in every
//! layer that gives one: a mistake is reported even where a later layer hides it.

mod check;
mod choice;
mod draft;
mod error;
mod file;
mod flags;
mod grammar;
mod guest_threads;
mod origin;
mod page;
mod provenance;
mod secret;
mod setting;
mod sources;
mod table;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::auth::{Algorithm, Origin, Secret};
use crate::limits::Limits;

pub use choice::{Durability, LogFormat, Metering};
pub use error::ConfigError;
pub use flags::Flags;
pub use guest_threads::GuestThreads;
pub use page::page;
pub use provenance::{Provenance, Row};
pub use setting::{Section, Setting};
pub use sources::{Source, Sources};
pub use table::SETTINGS;

/// What the gateway was told, parsed and found consistent.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings file in use, if there is one.
    pub file: Option<PathBuf>,
    /// Where the gateway accepts connections.
    pub listen: SocketAddr,
    /// The operator accepts a made-up secret on an open address without TLS.
    pub insecure_listen: bool,
    /// Web origins allowed besides the gateway's own.
    pub allowed_origins: Vec<Origin>,
    /// Where sessions rest.
    pub data_dir: PathBuf,
    /// What `saved` promises to survive.
    pub durability: Durability,
    /// How guests are metered.
    pub metering: Metering,
    /// Threads that run guests.
    pub guest_threads: GuestThreads,
    /// Sessions of each interpreter kept prepared, so that a connect need not wait.
    pub spares: usize,
    /// The file that says which modules guests may import; none: all.
    pub import_policy: Option<PathBuf>,
    /// How tokens are verified.
    pub jwt: Jwt,
    /// The gateway's own TLS.
    pub tls: Tls,
    /// Where interpreters come from.
    pub interpreters: Interpreters,
    /// The two contracts of earlier services.
    pub compat: Compat,
    /// What is logged.
    pub log: Log,
    /// Bounds on sessions, subjects and connections.
    pub limits: Limits,
}

/// How tokens are verified. With neither secret nor keys the gateway makes a secret of its own.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// The HS256 key.
    pub secret: Option<Secret>,
    /// A JWKS file.
    pub keys: Option<PathBuf>,
    /// The allow-list; never empty. The secret serves HS256 only, the keys every other one.
    pub algorithms: Vec<Algorithm>,
    /// A token must name one of these in `aud`; empty: `aud` is not looked at.
    pub audience: Vec<String>,
    /// A token must come from one of these (`iss`); empty: `iss` is not looked at.
    pub issuer: Vec<String>,
}

/// Certificate and key: both or neither, which `Config::load` has seen to.
#[derive(Debug, Clone)]
pub struct Tls {
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// PEM files of the gateway's own TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsFiles<'a> {
    /// The certificate chain, the leaf first.
    pub cert: &'a Path,
    /// Its private key.
    pub key: &'a Path,
}

/// Where interpreters come from.
#[derive(Debug, Clone)]
pub struct Interpreters {
    /// Fetched artifacts and compiled code.
    pub dir: PathBuf,
    /// A wasip1 CPython command module to use besides the catalogue.
    pub python_wasm_path: Option<PathBuf>,
}

/// The two contracts of earlier services.
#[derive(Debug, Clone)]
pub struct Compat {
    /// Their routes need no credential; loopback only.
    pub open: bool,
    /// Wall time of a `/run_code` call that names none, in seconds.
    pub run_code_timeout_seconds: f64,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct Log {
    /// A `tracing` filter directive.
    pub filter: String,
    /// Text for people, JSON for collectors.
    pub format: LogFormat,
}

impl Config {
    /// Reads every source, one over the other, and checks the outcome as a whole.
    ///
    /// Blocks on reading the settings file. Fails on the first value that breaks its rule, a key
    /// the file should not have, an unreadable file, or settings that contradict one another.
    pub fn load(sources: &Sources<'_>) -> Result<(Self, Provenance), ConfigError> {
        draft::Draft::new(sources).finish()
    }

    /// Whether the gateway has to make a signing secret of its own.
    pub fn needs_generated_secret(&self) -> bool {
        self.jwt.secret.is_none() && self.jwt.keys.is_none()
    }

    /// Whether only this machine can connect.
    pub fn listens_on_loopback(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }
}

impl Tls {
    /// The files to serve TLS with; `None`: plain text.
    pub fn files(&self) -> Option<TlsFiles<'_>> {
        let (cert, key) = self.cert.as_deref().zip(self.key.as_deref())?;
        Some(TlsFiles { cert, key })
    }
}

#[cfg(test)]
mod tests;
