//! What a long run tells while it works. Libraries emit events; the binary decides how they look.

use crate::PatchId;

/// Something that happened in a long run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A stage of known length begins: its name, and how many steps it has.
    Started {
        /// What is done, such as "scoring".
        stage: &'a str,
        /// Number of steps to come.
        steps: u64,
    },
    /// One step of the current stage is done.
    Step {
        /// The patch that it was about, if any.
        patch: Option<PatchId>,
    },
    /// How the current stage goes, in a few words that take the place of the last ones, such as `loss 0.42`.
    Detail {
        /// The words.
        text: &'a str,
    },
    /// The current stage is over.
    Finished,
    /// Something that the user should know, and that stops nothing.
    Warning {
        /// A sentence.
        message: &'a str,
    },
}

/// Listens to a long run. Called from any thread.
pub trait Progress: Sync {
    /// Takes note of an event.
    fn event(&self, event: Event<'_>);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}
