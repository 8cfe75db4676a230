//! A child process that never outlives us.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, Signal};

use super::error::{Deed, FetchError};

/// A child in a process group of its own, killed with all it started when this is dropped, and by
/// the kernel when our thread ends in any other way.
pub(super) struct Supervised {
    child: Child,
    is_reaped: bool,
}

impl Supervised {
    pub(super) fn spawn(mut command: Command, program: &Path) -> Result<Self, FetchError> {
        let parent = rustix::process::getpid();
        command.process_group(0);
        // SAFETY: between fork and exec the closure makes two system calls on plain integers. It
        // neither allocates nor takes a lock, so what another thread held at the fork cannot matter.
        unsafe {
            command.pre_exec(move || {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                if rustix::process::getppid() == Some(parent) {
                    Ok(())
                } else {
                    Err(io::Error::from(io::ErrorKind::BrokenPipe))
                }
            });
        }
        let child = command
            .spawn()
            .map_err(FetchError::io(Deed::Run, program))?;
        Ok(Self {
            child,
            is_reaped: false,
        })
    }

    pub(super) fn poll(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.is_reaped = status.is_some();
        Ok(status)
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        if self.is_reaped {
            return;
        }
        // Until it is reaped, its id and its group's cannot belong to anybody else.
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
