//! Where a session's guest lives: the instance, its last checkpoint, and the work done on it.
//!
//! ```text
//! live ──turn──▶ live          (sound: a new checkpoint)
//!   │             └──▶ live    (broken: a fresh instance with the last checkpoint)
//!   └──hibernate──▶ resting ──turn──▶ live
//! ```
//!
//! The slot moves to a guest thread for a turn and comes back after it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::spares::Spares;
use crate::guest::{
    Checkpoint, GuestLimits, Instance, Interpreter, Soundness, StartError, TurnControl, TurnEnd,
    TurnInput, TurnLimits, TurnSink,
};

/// One session's guest.
pub(super) struct Slot {
    interpreter: Arc<Interpreter>,
    spares: Arc<Spares>,
    limits: GuestLimits,
    instance: Option<Instance>,
    /// None until the first turn has ended well: the state at birth is the image's.
    checkpoint: Option<Checkpoint>,
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
    Ran(TurnEnd),
    /// The guest could not be started.
    NotRun(StartError),
}

impl Slot {
    pub(super) fn new(
        interpreter: Arc<Interpreter>,
        spares: Arc<Spares>,
        limits: GuestLimits,
    ) -> Self {
        Self {
            interpreter,
            spares,
            limits,
            instance: None,
            checkpoint: None,
        }
    }

    /// Runs one turn and says how it ended as soon as it has; then captures the state, or restores
    /// the one from before the turn.
    pub(super) async fn run(mut self, mut job: Job, ended: oneshot::Sender<Outcome>) -> Self {
        job.input.fresh = self.checkpoint.is_none();
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
        let _ = ended.send(Outcome::Ran(end));
        match soundness {
            Soundness::Sound => {
                self.checkpoint = Some(instance.checkpoint(self.checkpoint.as_ref()));
                self.instance = Some(instance);
            }
            Soundness::Broken => {
                drop(instance);
                // If this fails, the next turn tries again and reports it.
                self.instance = self.take_instance().await.ok();
            }
        }
        self
    }

    /// Runs `input` on a copy of the state, and gives it up after `patience`.
    pub(super) async fn ask(
        &self,
        input: TurnInput,
        control: Arc<TurnControl>,
        sink: Arc<dyn TurnSink>,
        patience: Duration,
    ) -> Option<TurnEnd> {
        let asked = async {
            let mut copy = self.copy().await.ok()?;
            let limits = TurnLimits {
                fuel: u64::MAX / 2,
                output_bytes_max: 1 << 20,
            };
            Some(copy.run(&input, &limits, control, sink).await)
        };
        tokio::time::timeout(patience, asked).await.ok().flatten()
    }

    /// Packs the checkpoint: the session has been at rest for a moment.
    pub(super) fn rest(mut self) -> Self {
        self.checkpoint = self
            .checkpoint
            .map(|checkpoint| checkpoint.packed(self.interpreter.image()));
        self
    }

    /// Gives the guest's memory back; the checkpoint holds its state.
    pub(super) fn hibernate(mut self) -> Self {
        self.instance = None;
        self.rest()
    }

    /// Bytes that the last checkpoint holds.
    pub(super) fn checkpoint_bytes(&self) -> usize {
        self.checkpoint.as_ref().map_or(0, Checkpoint::held_bytes)
    }

    async fn take_instance(&mut self) -> Result<Instance, StartError> {
        match (self.instance.take(), &self.checkpoint) {
            (Some(instance), _) => Ok(instance),
            (None, Some(checkpoint)) => {
                Instance::restore(&self.interpreter, &self.limits, checkpoint).await
            }
            (None, None) => self.spares.take(&self.limits).await,
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
