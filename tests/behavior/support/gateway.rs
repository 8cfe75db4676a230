//! A gateway process on a port of its own, and the users it is tested by.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::connect::Connect;
use super::http::{self, Response};
use super::seed::fresh_name;
use super::spawner;
use super::token::Claims;

/// From its start to its ready line. A first start may have to compile the interpreter.
const START_MAX: Duration = Duration::from_secs(240);

/// A running gateway with its own data directory.
pub struct Gateway {
    pub address: SocketAddr,
    pub secret: String,
    log: PathBuf,
    process: Mutex<Child>,
    _room: Option<TempDir>,
}

impl Gateway {
    /// The one with the default limits, which most tests share.
    pub fn shared() -> &'static Gateway {
        static SHARED: LazyLock<Gateway> = LazyLock::new(|| lasting("shared", &[]));
        &SHARED
    }

    /// One whose limits can be reached in a test.
    pub fn small() -> &'static Gateway {
        static SMALL: LazyLock<Gateway> = LazyLock::new(|| {
            lasting(
                "small",
                &[
                    ("WEIR_OUTPUT_BYTES_MAX", "2MiB"),
                    ("WEIR_JOURNAL_BYTES_MAX", "1MiB"),
                    ("WEIR_WRITER_LEAD_BYTES_MAX", "256KiB"),
                    ("WEIR_UNREAD_BYTES_MAX", "256KiB"),
                    ("WEIR_STDIN_WAIT", "2s"),
                    ("WEIR_FILE_BYTES_MAX", "1MiB"),
                    ("WEIR_FILES_BYTES_MAX", "2MiB"),
                    ("WEIR_CONNECTIONS_PER_SUBJECT_MAX", "3"),
                    ("WEIR_MESSAGE_BYTES_MAX", "64KiB"),
                    ("WEIR_HEARTBEAT", "1s"),
                ],
            )
        });
        &SMALL
    }

    /// One of a test's own, gone with it.
    pub fn start(settings: &[(&str, &str)]) -> Gateway {
        let room = TempDir::new().unwrap();
        let mut gateway = start_in(room.path(), settings);
        gateway._room = Some(room);
        gateway
    }

    /// Somebody new, who owns nothing yet.
    pub fn user(&self) -> User<'_> {
        self.user_named(&fresh_name("user"))
    }

    pub fn user_named(&self, subject: &str) -> User<'_> {
        User {
            gateway: self,
            claims: Claims::of(subject),
        }
    }

    /// The answer to a `GET` without any credential.
    pub async fn get(&self, target: &str) -> Response {
        http::get(self.address, target, &[]).await.unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// How the process ended, if it does within `patience`.
    pub fn exit(&self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.process.lock().unwrap().try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the gateway did not end in {patience:?}:\n{}",
                self.log_tail()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Memory of the process that is in RAM and belongs to no file, in bytes.
    pub fn anonymous_bytes(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid().as_raw_nonzero());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        kib.expect("RssAnon in kB") * 1024
    }

    /// All that the process wrote to stdout and stderr.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned()
    }

    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process.lock().unwrap())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("gateway log:\n{}", self.log_tail());
        }
        let process = self.process.get_mut().unwrap();
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// Somebody with a valid token.
#[derive(Clone)]
pub struct User<'g> {
    pub gateway: &'g Gateway,
    claims: Claims,
}

impl<'g> User<'g> {
    /// The same user with a claim more, or another value of it.
    pub fn with(mut self, claim: &str, value: impl Into<serde_json::Value>) -> Self {
        self.claims = self.claims.with(claim, value);
        self
    }

    pub fn token(&self) -> String {
        self.claims.hs256(&self.gateway.secret)
    }

    /// A connection to a new session of a generated name, unless told otherwise.
    pub fn connect(&self) -> Connect<'g> {
        Connect::to(self.gateway).token(&self.token())
    }

    /// A connection to the session of that name.
    pub fn join(&self, session: &str) -> Connect<'g> {
        self.connect().query("session", session)
    }
}

/// A gateway that lives as long as the test process. Statics are never dropped, so its directory
/// is swept by the next run.
fn lasting(name: &str, settings: &[(&str, &str)]) -> Gateway {
    let room = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(room).unwrap().flatten() {
        let owner = entry.file_name().to_str().and_then(|name| {
            name.strip_prefix("gateway-")?
                .split('-')
                .next()?
                .parse()
                .ok()
        });
        if owner.is_some_and(|pid: u32| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let room = room.join(format!("gateway-{}-{name}", std::process::id()));
    fs::create_dir_all(&room).unwrap();
    start_in(&room, settings)
}

fn start_in(room: &Path, settings: &[(&str, &str)]) -> Gateway {
    // Text of 43 characters, as `openssl rand -base64 32` would print it.
    let secret = format!("{}{:09}", fresh_name("s").repeat(2), 0)[..43].to_owned();
    let log = room.join("log");
    // Another build, such as a release one, can be put to the same test.
    let binary = std::env::var_os("WEIR_TEST_GATEWAY");
    let built = env!("CARGO_BIN_EXE_weir").into();
    let mut command = Command::new(binary.unwrap_or(built));
    command.arg("serve");
    // What the developer has configured is not what is tested.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WEIR_") {
            command.env_remove(name);
        }
    }
    if let Some(interpreters) = std::env::var_os("WEIR_TEST_INTERPRETERS") {
        command.env("WEIR_INTERPRETERS_DIR", interpreters);
    }
    command
        .env("WEIR_LISTEN", "127.0.0.1:0")
        .env("WEIR_JWT_SECRET", &secret)
        .env("WEIR_DATA_DIR", room.join("data"))
        .envs(settings.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap());
    let mut process = spawner::spawn(command);
    let stdout = process.stdout.take().unwrap();
    let mut copy = File::options().append(true).open(&log).unwrap();
    let (found, address) = channel();
    // Reads on after the ready line: a gateway must not block on a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = writeln!(copy, "{line}");
            if let Some(address) = address_in(&line) {
                let _ = found.send(address);
            }
        }
    });
    let address = address.recv_timeout(START_MAX).unwrap_or_else(|error| {
        let _ = process.kill();
        let log = fs::read_to_string(&log).unwrap_or_default();
        panic!("no ready line from `weir serve` ({error}):\n{log}")
    });
    Gateway {
        address,
        secret,
        log,
        process: Mutex::new(process),
        _room: None,
    }
}

/// The address in the ready line's URL.
fn address_in(line: &str) -> Option<SocketAddr> {
    let at = line.find("://127.0.0.1:")? + "://".len();
    let rest = &line[at..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}
