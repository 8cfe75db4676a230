//! Where a session's guest lives: the instance, its last checkpoint, and the work done on it.
//!
//! ```text
//! live ──turn──▶ live          (sound: a new checkpoint)
//!   │             └──▶ live    (broken: a fresh instance with the last checkpoint)
//!   └──hibernate──▶ resting ──turn──▶ live
//! ```
//!
//! The slot moves to a guest thread for a turn and comes back after it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::spares::Spares;
use crate::guest::{
    Checkpoint, FUEL_PER_SECOND, GuestLimits, Instance, Interpreter, Soundness, StartError,
    TurnControl, TurnEnd, TurnInput, TurnLimits, TurnSink,
};
use crate::metrics::Metrics;
use crate::protocol::event::Stream;

/// One session's guest.
pub(super) struct Slot {
    interpreter: Arc<Interpreter>,
    spares: Arc<Spares>,
    limits: GuestLimits,
    metrics: Arc<Metrics>,
    instance: Option<Instance>,
    /// None until the first turn has ended well: the state at birth is the image's.
    checkpoint: Option<Checkpoint>,
    /// What the metrics were told of this guest's memory.
    counted_bytes: i64,
}

/// A turn on its way to the guest.
pub(super) struct Job {
    pub(super) input: TurnInput,
    pub(super) limits: TurnLimits,
    pub(super) control: Arc<TurnControl>,
    pub(super) sink: Arc<dyn TurnSink>,
}

/// How a turn ended, before its state was captured.
pub(super) enum Outcome {
    Ran(Box<TurnEnd>),
    /// The guest could not be started.
    NotRun(StartError),
}

impl Slot {
    pub(super) fn new(
        interpreter: Arc<Interpreter>,
        spares: Arc<Spares>,
        limits: GuestLimits,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            interpreter,
            spares,
            limits,
            metrics,
            instance: None,
            checkpoint: None,
            counted_bytes: 0,
        }
    }

    /// Runs one turn and says how it ended as soon as it has; then captures the state, or restores
    /// the one from before the turn.
    pub(super) async fn run(mut self, job: Job, ended: oneshot::Sender<Outcome>) -> Self {
        let mut instance = match self.take_instance().await {
            Ok(instance) => instance,
            Err(error) => {
                // The driver may be gone with its session; then nobody wants to know.
                let _ = ended.send(Outcome::NotRun(error));
                return self;
            }
        };
        let end = instance
            .run(&job.input, &job.limits, job.control, job.sink)
            .await;
        let soundness = end.soundness;
        let _ = ended.send(Outcome::Ran(Box::new(end)));
        match soundness {
            Soundness::Sound => {
                let started = Instant::now();
                let checkpoint = instance.checkpoint(self.checkpoint.as_ref());
                let bytes = checkpoint.held_bytes() as u64;
                self.metrics.checkpoint(started.elapsed(), bytes);
                self.checkpoint = Some(checkpoint);
                self.instance = Some(instance);
            }
            Soundness::Broken => {
                drop(instance);
                // If this fails, the next turn tries again and reports it.
                self.instance = self.take_instance().await.ok();
            }
        }
        self.count_memory();
        self
    }

    /// Runs a question on a copy of the state and returns the JSON of its answer, or None when that
    /// takes longer than `patience`.
    pub(super) async fn ask(&self, input: TurnInput, patience: Duration) -> Option<Option<String>> {
        let heard = Arc::new(Heard::default());
        let asked = async {
            let mut copy = self.copy().await.ok()?;
            let limits = TurnLimits {
                fuel: FUEL_PER_SECOND,
                output_bytes_max: 0,
            };
            let control = TurnControl::unattended(copy.epoch_bump());
            copy.run(&input, &limits, control, heard.clone()).await;
            Some(())
        };
        tokio::time::timeout(patience, asked).await.ok().flatten()?;
        Some(heard.take())
    }

    /// Packs the checkpoint: the session has been at rest for a moment.
    pub(super) fn rest(mut self) -> Self {
        if let Some(checkpoint) = &self.checkpoint {
            self.checkpoint = Some(checkpoint.packed(self.interpreter.image()));
        }
        self
    }

    /// Gives the guest's memory back; the checkpoint holds its state.
    pub(super) fn hibernate(mut self) -> Self {
        self.instance = None;
        self.count_memory();
        self.rest()
    }

    /// Tells the metrics how much memory the guest has now.
    fn count_memory(&mut self) {
        let bytes = self.instance.as_ref().map_or(0, |i| i.memory().len());
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.metrics.guest_memory(bytes - self.counted_bytes);
        self.counted_bytes = bytes;
    }

    /// Bytes that the last checkpoint holds.
    pub(super) fn checkpoint_bytes(&self) -> usize {
        self.checkpoint.as_ref().map_or(0, Checkpoint::held_bytes)
    }

    async fn take_instance(&mut self) -> Result<Instance, StartError> {
        match (self.instance.take(), &self.checkpoint) {
            (Some(instance), _) => Ok(instance),
            (None, Some(checkpoint)) => {
                let started = Instant::now();
                let restored = Instance::restore(&self.interpreter, &self.limits, checkpoint).await;
                self.metrics.wake(started.elapsed());
                restored
            }
            (None, None) => {
                let started = Instant::now();
                let born = self.spares.take(&self.limits).await;
                self.metrics.session_started(started.elapsed());
                born
            }
        }
    }

    async fn copy(&self) -> Result<Instance, StartError> {
        match &self.checkpoint {
            Some(checkpoint) => {
                Instance::restore(&self.interpreter, &self.limits, checkpoint).await
            }
            None => Instance::start(&self.interpreter, &self.limits).await,
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.metrics.guest_memory(-self.counted_bytes);
    }
}

/// Keeps the JSON of the answer to a question.
#[derive(Default)]
struct Heard(Mutex<Option<String>>);

impl Heard {
    fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl TurnSink for Heard {
    fn output(&self, _stream: Stream, _bytes: &[u8]) {}

    fn has_room(&self) -> bool {
        true
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }

    fn stdin_request(&self, _prompt: String) {}

    fn display(&self, _data: Map<String, Value>, _metadata: Map<String, Value>) {}

    fn result(&self, _text: String, json: Option<Box<RawValue>>) {
        let json = json.map(|json| json.get().to_owned());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = json;
    }
}
