//! Starts the gateway's processes so that none outlives the tests, however those end.
//!
//! The kernel kills a child with the *thread* that started it, and every test has a thread of its
//! own. So all children are started by one thread that lives as long as the process.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};

use rustix::process::{Signal, set_parent_process_death_signal};

type Order = (Command, Sender<io::Result<Child>>);

static SPAWNER: LazyLock<Sender<Order>> = LazyLock::new(|| {
    let (orders, inbox) = channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in inbox {
            answer.send(command.spawn()).unwrap();
        }
    });
    orders
});

/// Starts `command`; the child dies with this process.
pub fn spawn(mut command: Command) -> Child {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; this is one prctl.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let (answer, spawned) = channel();
    SPAWNER.send((command, answer)).unwrap();
    spawned.recv().unwrap().unwrap()
}
