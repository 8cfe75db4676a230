//! Prepared guests: instances of one interpreter that wait for a session, so that a new one starts
//! with its memory mapped and its first pages touched.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::guest::{GuestLimits, GuestThreads, Instance, Interpreter, StartError};

/// The spares of one interpreter.
pub struct Spares {
    interpreter: Arc<Interpreter>,
    threads: Arc<GuestThreads>,
    /// Spares have the gateway's own limits; a session with others is started from nothing.
    limits: GuestLimits,
    wanted: usize,
    ready: Mutex<Vec<Instance>>,
    /// For the refill, which must not keep the spares alive.
    this: Weak<Spares>,
}

impl Spares {
    /// Keeps `wanted` guests ready.
    pub fn new(
        interpreter: Arc<Interpreter>,
        threads: Arc<GuestThreads>,
        limits: GuestLimits,
        wanted: usize,
    ) -> Arc<Self> {
        let spares = Arc::new_cyclic(|this| Self {
            interpreter,
            threads,
            limits,
            wanted,
            ready: Mutex::new(Vec::new()),
            this: this.clone(),
        });
        spares.refill();
        spares
    }

    /// A fresh guest: a prepared one if there is one.
    ///
    /// # Errors
    /// Those of starting a guest.
    pub async fn take(&self, limits: &GuestLimits) -> Result<Instance, StartError> {
        if *limits == self.limits {
            let ready = self.lock().pop();
            self.refill();
            if let Some(instance) = ready {
                return Ok(instance);
            }
        }
        Instance::start(&self.interpreter, limits).await
    }

    /// Prepares what is missing, on a guest thread, after whatever waits there now.
    fn refill(&self) {
        let this = self.this.clone();
        self.threads.spawn(async move {
            while let Some(spares) = this.upgrade() {
                if spares.lock().len() >= spares.wanted {
                    return;
                }
                let Ok(mut instance) = Instance::start(&spares.interpreter, &spares.limits).await
                else {
                    return;
                };
                instance.warm().await;
                spares.lock().push(instance);
                tokio::task::yield_now().await;
            }
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Instance>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
