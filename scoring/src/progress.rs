//! Progress events of long runs. Libraries emit events; the binary displays them.

use crate::PatchId;

/// A progress event.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A stage with a known number of steps begins.
    Started {
        /// The stage's name, such as "scoring".
        stage: &'a str,
        /// Number of steps of the stage.
        steps: u64,
    },
    /// One step of the current stage is done.
    Step {
        /// The patch of this step, if any.
        patch: Option<PatchId>,
    },
    /// Steps of the current stage that an earlier run did.
    Kept {
        /// How many.
        steps: u64,
    },
    /// A short status of the current stage, which replaces the previous one, such as `loss 0.42`.
    Detail {
        /// The status text.
        text: &'a str,
    },
    /// The current stage is finished.
    Finished,
    /// A warning for the user; the run continues.
    Warning {
        /// A sentence.
        message: &'a str,
    },
}

/// Receives progress events. Called from any thread.
pub trait Progress: Sync {
    /// Handles an event.
    fn event(&self, event: Event<'_>);
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}
