//! What is typed while a program runs: its input, line by line.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use tokio::net::unix::pipe::Receiver;

const LINE_BYTES_MAX: usize = 4096;

/// The terminal behind stdin, opened again: without blocking, which must not be set on a terminal
/// that is shared with other programs. A terminal reads as a pipe does.
pub(super) struct Typed(Receiver);

impl Typed {
    /// # Errors
    /// When the terminal cannot be opened again.
    pub(super) fn open() -> io::Result<Self> {
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits())
            .expect("open flags are small numbers");
        let terminal = OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open("/proc/self/fd/0")?;
        Ok(Self(Receiver::from_file_unchecked(terminal)?))
    }

    /// The next line with its newline; empty at the end of input, which is Ctrl-D. Cancel-safe: what
    /// is not returned stays where it is.
    pub(super) async fn line(&self) -> io::Result<String> {
        let mut buffer = vec![0; LINE_BYTES_MAX];
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut buffer) {
                Ok(length) => {
                    return Ok(String::from_utf8_lossy(&buffer[..length]).into_owned());
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }
}
