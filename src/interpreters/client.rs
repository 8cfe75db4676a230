//! The registries' ordinary clients, as child processes: the only way anything is downloaded.
//!
//! A client gets the environment it was given here, without Weir's own variables, which hold secrets;
//! no standard input; and one scratch directory for everything it writes, its temporary files and
//! caches included, so that nothing of it survives a failure. It never outlives this process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::catalogue::{Registry, Source};
use super::complaint;
use super::digest::Pin;
use super::error::{Deed, FetchError};
use super::progress::{Reporter, Running, Step};
use super::scratch::Scratch;
use super::supervised::Supervised;

/// How long a client may go without receiving a byte.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a client may take to tell its version.
const PROBE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
const OWN_PREFIX: &[u8] = b"WEIR_";

/// Where the registries' clients are found and in which environment they run.
#[derive(Debug, Clone)]
pub struct Clients {
    environment: BTreeMap<OsString, OsString>,
    patience: Duration,
}

/// A client that has proved that it runs.
struct Client<'c> {
    label: &'static str,
    program: PathBuf,
    leading: &'static [&'static str],
    clients: &'c Clients,
}

/// A way to call a registry's client.
struct Candidate {
    label: &'static str,
    program: &'static str,
    leading: &'static [&'static str],
}

const PIPS: &[Candidate] = &[
    Candidate {
        label: "python3 -m pip",
        program: "python3",
        leading: &["-m", "pip"],
    },
    Candidate {
        label: "pip3",
        program: "pip3",
        leading: &[],
    },
    Candidate {
        label: "pip",
        program: "pip",
        leading: &[],
    },
];

const NPMS: &[Candidate] = &[Candidate {
    label: "npm",
    program: "npm",
    leading: &[],
}];

impl Clients {
    /// The clients that this environment's `PATH` leads to. They see its other variables, such as
    /// those for proxies and mirrors, but none that starts with `WEIR_`.
    pub fn new(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let foreign = environment
            .into_iter()
            .filter(|(name, _)| !name.as_encoded_bytes().starts_with(OWN_PREFIX));
        Self {
            environment: foreign.collect(),
            patience: PATIENCE,
        }
    }

    /// Gives a client up when it has received nothing for so long, in place of 300 s.
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Downloads the package's archive into `scratch` and returns where it lies. Whether it is the
    /// pinned one is still to be checked: pip is told the digest, npm is not.
    ///
    /// The calling thread must be the one that waits: the client is killed when that thread ends.
    pub(super) fn download(
        &self,
        source: &Source,
        pin: &Pin,
        scratch: &Scratch,
        reporter: &mut Reporter<'_>,
    ) -> Result<PathBuf, FetchError> {
        let client = self.client(source)?;
        let received = scratch.directory("received")?;
        let working = scratch.directory("working")?;
        let arguments = match source.registry {
            Registry::Pypi => pip_arguments(source, pin, &received, scratch)?,
            Registry::Npm => npm_arguments(source, &received, &working),
        };
        let complaints = scratch.path().join("complaints");
        let complained =
            File::create(&complaints).map_err(FetchError::io(Deed::Write, &complaints))?;
        let mut command = client.command();
        command
            .args(arguments)
            .current_dir(&received)
            .env("TMPDIR", &working)
            .stderr(complained);
        let mut child = Supervised::spawn(command, &client.program)?;
        let mut running = reporter.begin(Step::Download, source, Some(pin.bytes));
        let status = self.watch(&mut child, source, &client, scratch, &mut running)?;
        if !status.success() {
            let said = complaint::read_end(&complaints)
                .map_err(FetchError::io(Deed::Read, &complaints))?;
            return Err(complaint::explain(
                source,
                client.label,
                status,
                pin,
                &said,
                scratch.path(),
            ));
        }
        running.done();
        only_file(&received, source, client.label)
    }

    fn watch(
        &self,
        child: &mut Supervised,
        source: &Source,
        client: &Client<'_>,
        scratch: &Scratch,
        running: &mut Running<'_, '_>,
    ) -> Result<ExitStatus, FetchError> {
        let mut grew = Instant::now();
        let mut bytes = 0;
        loop {
            if let Some(status) = child
                .poll()
                .map_err(FetchError::io(Deed::Run, &client.program))?
            {
                return Ok(status);
            }
            let now = bytes_below(scratch.path(), 4);
            if now != bytes {
                (bytes, grew) = (now, Instant::now());
            }
            if grew.elapsed() >= self.patience {
                return Err(FetchError::Stalled {
                    wanted: source.to_string(),
                    client: client.label,
                    seconds: self.patience.as_secs(),
                });
            }
            running.at(bytes);
            std::thread::sleep(POLL);
        }
    }

    /// The first of the registry's clients that is there and runs.
    fn client(&self, source: &Source) -> Result<Client<'_>, FetchError> {
        let candidates = match source.registry {
            Registry::Pypi => PIPS,
            Registry::Npm => NPMS,
        };
        let found = candidates.iter().find_map(|candidate| {
            let client = Client {
                label: candidate.label,
                program: self.program(candidate.program)?,
                leading: candidate.leading,
                clients: self,
            };
            client.runs().then_some(client)
        });
        found.ok_or_else(|| {
            let (client, tried, remedy) = match source.registry {
                Registry::Pypi => (
                    "pip",
                    "python3 -m pip, pip3, pip",
                    "install Python's pip (on Debian and Ubuntu: apt install python3-pip) or put it on PATH",
                ),
                Registry::Npm => (
                    "npm",
                    "npm",
                    "install Node.js with npm (on Debian and Ubuntu: apt install npm) or put it on PATH",
                ),
            };
            FetchError::ClientMissing {
                wanted: source.to_string(),
                client,
                tried,
                remedy,
            }
        })
    }

    /// The program of that name on this environment's `PATH`. Relative directories are passed over:
    /// what they hold depends on where Weir was started.
    fn program(&self, name: &str) -> Option<PathBuf> {
        let path = self.environment.get(OsStr::new("PATH"))?;
        std::env::split_paths(path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|program| {
                fs::metadata(program).is_ok_and(|metadata| {
                    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
                })
            })
    }
}

impl Client<'_> {
    /// Present is not enough: `python3` may have no pip, and a shim may lead nowhere.
    fn runs(&self) -> bool {
        let mut command = self.command();
        command.arg("--version").stderr(Stdio::null());
        let Ok(mut child) = Supervised::spawn(command, &self.program) else {
            return false;
        };
        let began = Instant::now();
        while began.elapsed() < PROBE {
            match child.poll() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(POLL / 5),
                Err(_) => return false,
            }
        }
        false
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(self.leading)
            .env_clear()
            .envs(&self.clients.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }
}

/// pip is told the digest, so that it refuses another file by itself. The interpreter is not for the
/// Python that runs pip, so that one's version does not matter.
fn pip_arguments(
    source: &Source,
    pin: &Pin,
    received: &Path,
    scratch: &Scratch,
) -> Result<Vec<OsString>, FetchError> {
    let requirements = scratch.path().join("requirements.txt");
    let Source {
        package, version, ..
    } = source;
    let line = format!("{package}=={version} --hash=sha256:{}\n", pin.sha256);
    fs::write(&requirements, line).map_err(FetchError::io(Deed::Write, &requirements))?;
    let options = [
        "download",
        "--no-input",
        "--disable-pip-version-check",
        "--no-cache-dir",
        "--no-color",
        "--progress-bar=off",
        "--no-deps",
        "--only-binary=:all:",
        "--ignore-requires-python",
        "--require-hashes",
    ];
    let mut arguments: Vec<OsString> = options.into_iter().map(OsString::from).collect();
    arguments.extend(["--dest".into(), received.into()]);
    arguments.extend(["--requirement".into(), requirements.into()]);
    Ok(arguments)
}

fn npm_arguments(source: &Source, received: &Path, working: &Path) -> Vec<OsString> {
    let Source {
        package, version, ..
    } = source;
    let options = [
        "pack",
        "--ignore-scripts",
        "--no-update-notifier",
        "--loglevel=error",
    ];
    let mut arguments: Vec<OsString> = options.into_iter().map(OsString::from).collect();
    arguments.extend(["--cache".into(), working.into()]);
    arguments.extend(["--pack-destination".into(), received.into()]);
    arguments.push(format!("{package}@{version}").into());
    arguments
}

/// The one file the client was asked for.
fn only_file(dir: &Path, wanted: &Source, client: &'static str) -> Result<PathBuf, FetchError> {
    let listed = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let files = listed.map_err(FetchError::io(Deed::Read, dir))?;
    match &files[..] {
        [file] => Ok(file.path()),
        others => Err(FetchError::ClientFailed {
            wanted: wanted.to_string(),
            client,
            status: "exit status: 0".to_owned(),
            said: format!("it left {} files in place of one", others.len()),
        }),
    }
}

/// Bytes of the files below a directory, to a bounded depth. Files come and go meanwhile; what is
/// gone counts as nothing.
fn bytes_below(dir: &Path, depth: u32) -> u64 {
    let Ok(names) = fs::read_dir(dir) else {
        return 0;
    };
    let sizes = names.flatten().map(|name| match name.metadata() {
        Ok(metadata) if metadata.is_dir() && depth > 0 => bytes_below(&name.path(), depth - 1),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) | Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weir_s_own_variables_never_reach_a_client() {
        let pair = |name: &str| (OsString::from(name), OsString::from("x"));
        let clients = Clients::new([pair("WEIR_JWT_SECRET"), pair("HTTPS_PROXY")]);
        let names: Vec<_> = clients.environment.keys().collect();
        assert_eq!(names, ["HTTPS_PROXY"]);
    }

    #[test]
    fn a_client_in_a_relative_directory_is_passed_over() {
        let path = |path: &str| [(OsString::from("PATH"), OsString::from(path))];
        assert!(Clients::new(path(":.:bin")).program("sh").is_none());
        assert!(Clients::new(path("bin:/bin")).program("sh").is_some());
        assert!(Clients::new([]).program("sh").is_none());
    }
}
