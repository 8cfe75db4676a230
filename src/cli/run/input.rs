//! The way from the terminal to a guest: read when it asks, and not before.
//!
//! A program that reads nothing leaves stdin to whoever comes next, such as the shell's loop that
//! called it.

use std::io::{BufRead, ErrorKind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::Context;

use crate::guest::TurnControl;

/// The thread that reads stdin. It lives as long as the process: a read cannot be taken back.
pub(super) struct Reader {
    asked: SyncSender<()>,
}

impl Reader {
    /// Starts the thread, which hands what it reads to `control`.
    pub(super) fn start(control: Arc<TurnControl>) -> anyhow::Result<Self> {
        let (asked, requests) = sync_channel(1);
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(move || answer(&requests, &control))
            .context("cannot start a thread for the input")?;
        Ok(Self { asked })
    }

    /// Asks for what is there, or for what comes first. Returns at once.
    pub(super) fn ask(&self) {
        // A request that waits already will be answered for both.
        let _ = self.asked.try_send(());
    }
}

fn answer(requests: &Receiver<()>, control: &TurnControl) {
    let mut stdin = std::io::stdin().lock();
    while requests.recv().is_ok() {
        let read = loop {
            match stdin.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let bytes = match read {
            Ok([]) => return control.end_stdin(),
            Ok(bytes) => bytes,
            Err(error) => {
                eprintln!("weir: cannot read stdin: {error}");
                return control.end_stdin();
            }
        };
        // Only one answer is ever under way, so that the guest's own bound cannot be reached; a
        // turn that has ended wants nothing.
        let length = bytes.len();
        let _ = control.push_stdin(bytes);
        stdin.consume(length);
    }
}
