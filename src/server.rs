//! The listener and everything between a TCP connection and a session: TLS, routes, credentials,
//! the upgrade and its refusals.

mod answer;
mod connect;
mod credential;
mod listener;
mod route;
pub mod tls;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
    by_owner: Mutex<HashMap<Owner, usize>>,
    /// A socket has closed.
    closed: Notify,
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
    /// `quota_exceeded` when the owner has `max` already.
    pub fn count(self: &Arc<Self>, owner: &Owner, max: usize) -> Result<Counted, Refusal> {
        let mut by_owner = self.by_owner.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_owner.entry(owner.clone()).or_default();
        if *open >= max {
            return Err(Refusal::new(
                ErrorCode::QuotaExceeded,
                format!("{open} connections are open, which is all that this subject may have"),
            ));
        }
        *open += 1;
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
            if self
                .by_owner
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .is_empty()
            {
                return;
            }
            closed.await;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut by_owner = self
            .connections
            .by_owner
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_owner.get_mut(&self.owner) {
            *open -= 1;
            if *open == 0 {
                by_owner.remove(&self.owner);
            }
        }
        drop(by_owner);
        self.connections.closed.notify_waiters();
    }
}
