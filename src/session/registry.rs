//! All sessions of the gateway, by owner and name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tracing::info;

use super::driver::{Driver, Parts};
use super::slot::Slot;
use super::spares::Spares;
use super::{COMMANDS_MAX, SessionHandle};
use crate::guest::{GuestLimits, GuestThreads, Interpreter};
use crate::ids::{Owner, SessionKey};
use crate::journal::{Journal, JournalLimits};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::protocol::event::SessionState;
use crate::protocol::refusal::{ErrorCode, Refusal};

/// How far the gateway's shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    Open,
    /// No new turns; running ones may end by themselves.
    Closing,
    /// Running turns are interrupted.
    Stopping,
}

/// A language that sessions can be started in.
struct Language {
    name: String,
    aliases: Vec<String>,
    version: String,
    interpreter: Arc<Interpreter>,
    spares: Arc<Spares>,
}

/// The sessions and what new ones are made of.
pub struct Sessions {
    languages: Vec<Language>,
    threads: Arc<GuestThreads>,
    metrics: Arc<Metrics>,
    drain: watch::Sender<Drain>,
    inner: Mutex<Inner>,
    /// For the tasks that remove ended sessions.
    this: Weak<Sessions>,
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<SessionKey, Arc<SessionHandle>>,
    owners: HashMap<Owner, OwnerUse>,
}

/// What one owner uses.
struct OwnerUse {
    sessions: usize,
    starts: StartRate,
}

/// Session starts, as a bucket that fills by so many a second.
struct StartRate {
    left: f64,
    filled_at: Instant,
}

/// Which session is wanted, and what may be done to have it.
#[derive(Debug)]
pub struct Opening {
    pub key: SessionKey,
    /// A name or alias of the catalogue; None: whatever the session is, or the default.
    pub language: Option<String>,
    pub missing: Missing,
    /// The gateway's limits, lowered by the caller's token.
    pub limits: Limits,
}

/// What to do when the session does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Create,
    Refuse,
}

impl Sessions {
    /// Begins a registry; languages are added before it is built.
    pub fn builder(
        threads: Arc<GuestThreads>,
        limits: Arc<Limits>,
        metrics: Arc<Metrics>,
    ) -> SessionsBuilder {
        SessionsBuilder {
            languages: Vec::new(),
            threads,
            limits,
            metrics,
        }
    }

    /// Finds a session, or makes it.
    ///
    /// # Errors
    /// `bad_request` for an unknown language, `conflict` for another one than the session's,
    /// `not_found`, `quota_exceeded`, `rate_limited`, `draining`, and `forbidden` for a memory
    /// limit below what the interpreter needs.
    pub fn open(&self, opening: Opening) -> Result<Arc<SessionHandle>, Refusal> {
        let wanted = opening
            .language
            .as_deref()
            .map(|name| self.language(name))
            .transpose()?;
        let mut inner = self.lock();
        if let Some(handle) = inner.sessions.get(&opening.key)
            && handle.state() != SessionState::Ended
        {
            return match wanted {
                Some(wanted) if wanted.name != handle.language => Err(Refusal::new(
                    ErrorCode::Conflict,
                    format!(
                        "session {} is {}, not {}; leave the language out, or choose another id",
                        opening.key.id, handle.language, wanted.name
                    ),
                )),
                Some(_) | None => Ok(handle.clone()),
            };
        }
        if opening.missing == Missing::Refuse {
            return Err(Refusal::new(
                ErrorCode::NotFound,
                format!("there is no session {}", opening.key.id),
            ));
        }
        if *self.drain.borrow() != Drain::Open {
            return Err(Refusal::new(
                ErrorCode::Draining,
                "the gateway is shutting down",
            ));
        }
        let language = match wanted {
            Some(language) => language,
            None => self
                .languages
                .first()
                .ok_or_else(|| Refusal::new(ErrorCode::Unavailable, "no interpreter is set up"))?,
        };
        let needed = language.interpreter.image_bytes() as u64;
        if opening.limits.memory_bytes_max < needed {
            return Err(Refusal::new(
                ErrorCode::Forbidden,
                format!(
                    "this token allows {} MiB of memory; {} needs at least {} MiB",
                    opening.limits.memory_bytes_max >> 20,
                    language.name,
                    needed.div_ceil(1 << 20)
                ),
            ));
        }
        inner.count_start(&opening)?;
        let handle = self.start(language, &opening);
        inner.sessions.insert(opening.key, handle.clone());
        Ok(handle)
    }

    /// The state of each session.
    pub fn states(&self) -> Vec<SessionState> {
        let inner = self.lock();
        inner
            .sessions
            .values()
            .map(|handle| handle.state())
            .collect()
    }

    /// Moves every session to a stage of the shutdown.
    pub fn drain(&self, drain: Drain) {
        self.drain.send_replace(drain);
    }

    /// Waits until no turn runs.
    pub async fn at_rest(&self) {
        let handles: Vec<_> = self.lock().sessions.values().cloned().collect();
        for handle in handles {
            let mut state = handle.state.clone();
            // A driver that is gone runs nothing.
            let _ = state
                .wait_for(|state| *state != SessionState::Running)
                .await;
        }
    }

    fn language(&self, name: &str) -> Result<&Language, Refusal> {
        let known = |language: &&Language| {
            language.name == name || language.aliases.iter().any(|alias| alias == name)
        };
        self.languages.iter().find(known).ok_or_else(|| {
            let names: Vec<_> = self
                .languages
                .iter()
                .map(|language| language.name.as_str())
                .collect();
            let shown: String = name.chars().take(40).collect();
            Refusal::new(
                ErrorCode::BadRequest,
                format!("unknown language {shown:?}; known: {}", names.join(", ")),
            )
        })
    }

    fn start(&self, language: &Language, opening: &Opening) -> Arc<SessionHandle> {
        let limits = &opening.limits;
        let journal = Journal::new(JournalLimits {
            kept_bytes_max: limits.journal_bytes_max,
            event_bytes_max: limits.event_bytes_max as usize,
            writer_lead_bytes_max: limits.writer_lead_bytes_max,
            unread_bytes_max: limits.unread_bytes_max,
        });
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let (state, states) = watch::channel(SessionState::Ready);
        self.metrics.session_state(None, Some(SessionState::Ready));
        let slot = Slot::new(
            language.interpreter.clone(),
            language.spares.clone(),
            GuestLimits::from(limits),
            self.metrics.clone(),
        );
        let driver = Driver::new(
            Parts {
                interpreter: language.interpreter.clone(),
                key: opening.key.clone(),
                language: language.name.clone(),
                threads: self.threads.clone(),
                journal: journal.clone(),
                limits: Arc::new(limits.clone()),
                metrics: self.metrics.clone(),
                commands: received,
                state,
                drain: self.drain.subscribe(),
            },
            slot,
        );
        let handle = Arc::new(SessionHandle {
            key: opening.key.clone(),
            language: language.name.clone(),
            version: language.version.clone(),
            journal,
            commands,
            state: states,
        });
        let (this, ended) = (self.this.clone(), Arc::downgrade(&handle));
        tokio::spawn(async move {
            driver.run().await;
            if let (Some(sessions), Some(handle)) = (this.upgrade(), ended.upgrade()) {
                sessions.forget(&handle);
            }
        });
        info!(
            session_id = %handle.key.id,
            owner = %handle.key.owner,
            language = handle.language,
            "session started"
        );
        handle
    }

    fn forget(&self, ended: &Arc<SessionHandle>) {
        let mut inner = self.lock();
        let is_it = |handle: &Arc<SessionHandle>| Arc::ptr_eq(handle, ended);
        if inner.sessions.get(&ended.key).is_some_and(is_it) {
            inner.sessions.remove(&ended.key);
        }
        if let Some(owner) = inner.owners.get_mut(&ended.key.owner) {
            owner.sessions -= 1;
            if owner.sessions == 0 {
                inner.owners.remove(&ended.key.owner);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Counts a new session against its owner's bounds.
    fn count_start(&mut self, opening: &Opening) -> Result<(), Refusal> {
        let limits = &opening.limits;
        let now = Instant::now();
        let rate = f64::from(limits.session_starts_per_second_max);
        let owner = self
            .owners
            .entry(opening.key.owner.clone())
            .or_insert_with(|| OwnerUse {
                sessions: 0,
                starts: StartRate {
                    left: rate,
                    filled_at: now,
                },
            });
        if owner.sessions >= limits.sessions_per_subject_max {
            return Err(Refusal::new(
                ErrorCode::QuotaExceeded,
                format!(
                    "{} sessions exist, which is all that this subject may have; close one",
                    owner.sessions
                ),
            ));
        }
        if !owner.starts.take(rate, now) {
            return Err(Refusal::new(
                ErrorCode::RateLimited,
                format!("more than {rate} new sessions in a second; try again in one"),
            ));
        }
        owner.sessions += 1;
        Ok(())
    }
}

impl StartRate {
    fn take(&mut self, rate: f64, now: Instant) -> bool {
        let filled = now.saturating_duration_since(self.filled_at).as_secs_f64() * rate;
        self.left = (self.left + filled).min(rate);
        self.filled_at = now;
        let fits = self.left >= 1.0;
        if fits {
            self.left -= 1.0;
        }
        fits
    }
}

/// Collects the languages before the first session.
pub struct SessionsBuilder {
    languages: Vec<Language>,
    threads: Arc<GuestThreads>,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
}

impl SessionsBuilder {
    /// Adds a language; the first one is the default. Keeps `spares` guests of it ready.
    #[must_use]
    pub fn language(
        mut self,
        name: &str,
        aliases: &[String],
        version: &str,
        interpreter: Arc<Interpreter>,
        spares: usize,
    ) -> Self {
        let spares = Spares::new(
            interpreter.clone(),
            self.threads.clone(),
            GuestLimits::from(&*self.limits),
            spares,
        );
        self.languages.push(Language {
            name: name.into(),
            aliases: aliases.to_vec(),
            version: version.into(),
            interpreter,
            spares,
        });
        self
    }

    pub fn build(self) -> Arc<Sessions> {
        Arc::new_cyclic(|this| Sessions {
            languages: self.languages,
            threads: self.threads,
            metrics: self.metrics,
            drain: watch::channel(Drain::Open).0,
            inner: Mutex::default(),
            this: this.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn starts_are_bounded_by_the_second() {
        let start = Instant::now();
        let mut rate = StartRate {
            left: 2.0,
            filled_at: start,
        };
        assert!(rate.take(2.0, start));
        assert!(rate.take(2.0, start));
        assert!(!rate.take(2.0, start));
        assert!(rate.take(2.0, start + Duration::from_millis(500)));
        assert!(!rate.take(2.0, start + Duration::from_millis(500)));
    }
}
