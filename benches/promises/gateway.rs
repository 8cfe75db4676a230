//! A gateway process, as a user would start it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use weir::auth::{ClaimLimits, Claims, Secret, mint};
use weir::ids::Owner;

use crate::footprint::Process;

/// Names another program to measure. It takes `serve`, and prints its address as `weir serve` does.
const OTHER_PROGRAM: &str = "WEIR_BENCH_GATEWAY";
/// Signs the tokens of this run, of a gateway that only this machine reaches.
const SECRET: &str = "a secret for one run of the bench on loopback";
/// Longer than a run.
const TOKEN_TTL: std::time::Duration = std::time::Duration::from_secs(3600);
/// All subjects of a run, so that one may watch another's session.
const TENANT: &str = "bench";
const SCOPES: &str = "session session:read";

/// The program that is measured.
pub struct Program {
    path: PathBuf,
    is_ours: bool,
}

impl Program {
    /// This build's own, unless the environment names another one.
    pub fn find() -> Self {
        match std::env::var_os(OTHER_PROGRAM) {
            Some(path) => Self {
                path: path.into(),
                is_ours: false,
            },
            None => Self {
                path: env!("CARGO_BIN_EXE_weir").into(),
                is_ours: true,
            },
        }
    }

    /// Fetches and compiles what is missing, before anything is timed.
    ///
    /// # Errors
    /// When that fails, which the program itself explains.
    pub fn set_up(&self) -> anyhow::Result<()> {
        if !self.is_ours {
            return Ok(());
        }
        let status = Command::new(&self.path)
            .arg("setup")
            .status()
            .with_context(|| format!("starting {}", self.path.display()))?;
        ensure!(status.success(), "setting up the interpreter failed");
        Ok(())
    }
}

/// A running gateway with the settings it ships with; killed when dropped.
pub struct Gateway {
    child: Child,
    address: SocketAddr,
    secret: Secret,
    /// Its data directory and its log.
    directory: TempDir,
}

impl Gateway {
    /// Starts `program` and waits until it accepts connections.
    ///
    /// # Errors
    /// When it ends instead; its log is in the message.
    pub fn start(program: &Program) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("making a data directory")?;
        let log = std::fs::File::create(directory.path().join("log")).context("making a log")?;
        let child = Command::new(&program.path)
            .arg("serve")
            .env("WEIR_LISTEN", "127.0.0.1:0")
            .env("WEIR_JWT_SECRET", SECRET)
            .env("WEIR_DATA_DIR", directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", program.path.display()))?;
        let mut gateway = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            secret: Secret::new(SECRET).context("the bench's own secret")?,
            directory,
        };
        gateway.address = gateway.ready()?;
        Ok(gateway)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// A token for a subject of this run.
    ///
    /// # Errors
    /// When the name cannot be a subject's.
    pub fn token(&self, subject: &str) -> anyhow::Result<String> {
        let claims = Claims {
            owner: Owner {
                tenant: Some(TENANT.into()),
                subject: subject.into(),
            },
            scopes: SCOPES.parse().context("the bench's own scopes")?,
            ttl: TOKEN_TTL,
            lowered: ClaimLimits::default(),
            audience: None,
            issuer: None,
        };
        Ok(mint(&self.secret, &claims, SystemTime::now())?)
    }

    /// The address in its ready line. What it prints after that is read and dropped.
    fn ready(&mut self) -> anyhow::Result<SocketAddr> {
        let stdout = self.child.stdout.take().context("its output is piped")?;
        let mut lines = BufReader::new(stdout).lines();
        while let Some(Ok(line)) = lines.next() {
            if let Some(address) = address_in(&line) {
                std::thread::spawn(move || lines.for_each(drop));
                return Ok(address);
            }
        }
        let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
        bail!("the gateway ended before it was ready:\n{log}")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // One that has ended by itself cannot be killed, and that is no matter.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of the first URL in `line`.
fn address_in(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let end = rest
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ':')))
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}
