//! Training or evaluation mode, an argument of every layer.

use std::sync::{Arc, Mutex};

use super::{Arrivals, Plan};
use crate::random::Generator;

/// Training or evaluation mode.
///
/// In evaluation, batch norms use their running statistics, dropout is off, and no graph is recorded for a backward
/// pass: a layer's output is freed as soon as the next layer has read it.
#[derive(Clone, Copy, Debug)]
pub struct Mode<'a> {
    is_training: bool,
    dropout: Option<&'a Mutex<Generator>>,
    plan: Option<&'a Plan>,
    arrivals: Option<&'a Arc<dyn Arrivals>>,
}

impl<'a> Mode<'a> {
    /// Evaluation.
    pub const EVAL: Mode<'static> = Mode { is_training: false, dropout: None, plan: None, arrivals: None };

    /// Evaluation with norms folded into the convolutions before them, and on the CPU in f32 by its fastest kernels. The
    /// weights must not change as long as `plan` is used.
    pub fn predict(plan: &'a Plan) -> Self {
        Self { plan: Some(plan), ..Mode::EVAL }
    }

    /// Training: batch statistics, gradients, and dropout drawn from `generator`.
    pub fn train(generator: &'a Mutex<Generator>) -> Self {
        Self { dropout: Some(generator), ..Mode::TRAIN_WITHOUT_DROPOUT }
    }

    /// Training without dropout, for parity with a recorded run.
    pub const TRAIN_WITHOUT_DROPOUT: Mode<'static> =
        Mode { is_training: true, dropout: None, plan: None, arrivals: None };

    /// The same, and tells `arrivals` of each gradient in the backward pass.
    #[must_use]
    pub fn telling(self, arrivals: &'a Arc<dyn Arrivals>) -> Self {
        Self { arrivals: Some(arrivals), ..self }
    }

    /// Whether batch statistics are used and gradients recorded.
    pub fn is_training(self) -> bool {
        self.is_training
    }

    /// What prediction has prepared; `None` if norms are computed on their own.
    pub(super) fn plan(self) -> Option<&'a Plan> {
        self.plan
    }

    /// What is told of gradients.
    pub(super) fn arrivals(self) -> Option<&'a Arc<dyn Arrivals>> {
        self.arrivals
    }

    /// The generator of dropout; `None` without dropout.
    pub(crate) fn dropout(self) -> Option<&'a Mutex<Generator>> {
        self.dropout
    }
}
