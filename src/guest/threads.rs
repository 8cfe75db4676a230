//! The threads guests run on, apart from those that serve sockets.

use std::future::Future;
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// A pool of threads on which guests take their turns, in slices.
pub struct GuestThreads {
    handle: Handle,
    /// None once the threads were told to end.
    runtime: Option<Runtime>,
}

impl GuestThreads {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(count: NonZeroUsize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(count.get())
            .thread_name("guest")
            .enable_time()
            // A poll here is a whole slice of a guest: look at timers and new work after each.
            .event_interval(1)
            .global_queue_interval(1)
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Runs a guest's work here.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(work)
    }
}

impl Drop for GuestThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Guests still running have been told to end; nothing waits for them here.
            runtime.shutdown_background();
        }
    }
}
