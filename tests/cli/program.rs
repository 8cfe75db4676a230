//! The binary under test, and what came of a call.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary, with arguments and without any setting of the caller's.
pub fn weir<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"WEIR_") {
            command.env_remove(name);
        }
    }
    command.args(args);
    command
}

/// The same, in a home that nobody has lived in.
pub fn weir_at<I: AsRef<OsStr>>(home: &Path, args: impl IntoIterator<Item = I>) -> Command {
    let mut command = weir(args);
    command
        .env("HOME", home)
        .env_remove("XDG_DATA_HOME")
        .env_remove("XDG_CACHE_HOME");
    command
}

/// Runs it to its end with `stdin` as its input.
pub fn ended(command: &mut Command, stdin: &str) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut pipe = child.stdin.take().expect("it was piped");
    // One that does not read its input closes it.
    let _ = pipe.write_all(stdin.as_bytes());
    drop(pipe);
    Ended::from(child.wait_with_output().expect("the binary ends"))
}

/// What a call left.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// Expects an end with `code` and one line on stderr that says `words`.
    pub fn expect_failure(&self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(words), "{words:?} in {self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.starts_with("weir: "), "{self:?}");
    }
}
