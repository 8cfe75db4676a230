//! The listener and everything between a TCP connection and a session: TLS, routes, credentials,
//! the upgrade and its refusals.

mod answer;
mod connect;
mod credential;
mod listener;
mod route;
pub mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::auth::{Origins, Verifier};
use crate::ids::Owner;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::protocol::refusal::{ErrorCode, Refusal};
use crate::session::Sessions;

pub use listener::serve;

/// What every request is served with.
pub struct Server {
    pub sessions: Arc<Sessions>,
    pub limits: Arc<Limits>,
    pub metrics: Arc<Metrics>,
    pub verifier: watch::Receiver<Arc<Verifier>>,
    pub origins: Origins,
    pub phase: watch::Receiver<Phase>,
    /// Set once the gateway wants its clients to leave.
    pub leave: watch::Receiver<bool>,
    pub connections: Arc<Connections>,
}

/// How far the gateway is in its life, for `/live` and `/ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Serving,
    Draining,
}

/// How many sockets each subject has open.
#[derive(Default)]
pub struct Connections {
    open: Mutex<Open>,
    /// A socket has closed.
    closed: Notify,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_owner: HashMap<Owner, usize>,
}

/// One counted socket; uncounted when dropped.
pub struct Counted {
    connections: Arc<Connections>,
    owner: Owner,
}

impl Connections {
    /// Counts a socket of `owner`.
    ///
    /// # Errors
    /// `unavailable` when the gateway is full, `quota_exceeded` when the owner has all its sockets.
    pub fn count(self: &Arc<Self>, owner: &Owner, limits: &Limits) -> Result<Counted, Refusal> {
        let mut open = self.lock();
        if open.total >= limits.connections_max {
            return Err(Refusal::new(
                ErrorCode::Unavailable,
                format!(
                    "the gateway is full: {} sockets are open; try again later",
                    open.total
                ),
            ));
        }
        let own = open.by_owner.entry(owner.clone()).or_default();
        if *own >= limits.connections_per_subject_max {
            return Err(Refusal::new(
                ErrorCode::QuotaExceeded,
                format!(
                    "{own} connections are open, which is all that this subject may have; close one"
                ),
            ));
        }
        *own += 1;
        open.total += 1;
        Ok(Counted {
            connections: self.clone(),
            owner: owner.clone(),
        })
    }
}

impl Connections {
    /// Waits until no socket is open. Cancel-safe.
    pub async fn none(&self) {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if self.lock().total == 0 {
                return;
            }
            closed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.total -= 1;
        if let Some(own) = open.by_owner.get_mut(&self.owner) {
            *own -= 1;
            if *own == 0 {
                open.by_owner.remove(&self.owner);
            }
        }
        drop(open);
        self.connections.closed.notify_waiters();
    }
}
