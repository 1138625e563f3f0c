//! Training or evaluation: the switch that every layer takes.

use std::sync::Mutex;

use crate::random::Generator;

/// How a network runs.
///
/// In evaluation, batch norms use their running statistics, nothing is dropped, and nothing is recorded for a backward
/// pass: the memory of a layer's output is free as soon as the next layer has read it.
#[derive(Clone, Copy, Debug)]
pub struct Mode<'a> {
    is_training: bool,
    dropout: Option<&'a Mutex<Generator>>,
}

impl<'a> Mode<'a> {
    /// Evaluation.
    pub const EVAL: Mode<'static> = Mode { is_training: false, dropout: None };

    /// Training: batch statistics, gradients, and dropout drawn from `generator`.
    pub fn train(generator: &'a Mutex<Generator>) -> Self {
        Self { is_training: true, dropout: Some(generator) }
    }

    /// Training without dropout, as parity with a recorded run needs it.
    pub const TRAIN_WITHOUT_DROPOUT: Mode<'static> = Mode { is_training: true, dropout: None };

    /// Whether batch statistics are used and gradients recorded.
    pub fn is_training(self) -> bool {
        self.is_training
    }

    /// What dropout draws from; `None` where nothing is dropped.
    pub(crate) fn dropout(self) -> Option<&'a Mutex<Generator>> {
        self.dropout
    }
}
