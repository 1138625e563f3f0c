//! Optimisers with torch's formulas, and their state by parameter name.

mod one_pass;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::one_pass::Factors;
use super::{
    gradients::Gradients,
    schedule::{SettingError, check},
};
use crate::{
    nn::{Kind, Parameter, Parameters},
    runtime::TensorError,
};

/// An optimiser and its settings, except the learning rate. The defaults are torch's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// `torch.optim.SGD`, without dampening.
    Sgd {
        /// Momentum factor, `0..1`.
        #[serde(default)]
        momentum: f64,
        /// Whether the momentum is Nesterov's.
        #[serde(default)]
        nesterov: bool,
        /// Weight decay (L2 penalty), added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// `torch.optim.Adam`, with weight decay in the gradient.
    Adam {
        /// Decay rate of the gradients' running mean, `0..1`.
        #[serde(default = "defaults::beta1")]
        beta1: f64,
        /// Decay rate of the running mean of squared gradients, `0..1`.
        #[serde(default = "defaults::beta2")]
        beta2: f64,
        /// Added to the denominator for numerical stability.
        #[serde(default = "defaults::epsilon")]
        epsilon: f64,
        /// Weight decay (L2 penalty), added to the gradient.
        #[serde(default)]
        weight_decay: f64,
    },
    /// `torch.optim.AdamW`, with decoupled weight decay.
    AdamW {
        /// Decay rate of the gradients' running mean, `0..1`.
        #[serde(default = "defaults::beta1")]
        beta1: f64,
        /// Decay rate of the running mean of squared gradients, `0..1`.
        #[serde(default = "defaults::beta2")]
        beta2: f64,
        /// Added to the denominator for numerical stability.
        #[serde(default = "defaults::epsilon")]
        epsilon: f64,
        /// Decoupled weight decay: the fraction of a parameter that a step of learning rate 1 subtracts.
        #[serde(default = "defaults::decoupled_decay")]
        weight_decay: f64,
    },
}

/// torch's defaults.
mod defaults {
    pub(super) fn beta1() -> f64 {
        0.9
    }
    pub(super) fn beta2() -> f64 {
        0.999
    }
    pub(super) fn epsilon() -> f64 {
        1e-8
    }
    pub(super) fn decoupled_decay() -> f64 {
        1e-2
    }
}

impl Default for OptimizerConfig {
    /// Plain SGD, as upstream.
    fn default() -> Self {
        Self::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }
}

impl OptimizerConfig {
    fn check(self) -> Result<(), SettingError> {
        let share = |key, value: f64| check(key, value, (0.0..1.0).contains(&value), "a number from 0 to below 1");
        let positive = |key, value: f64| check(key, value, value.is_finite() && value >= 0.0, "a number ≥ 0");
        match self {
            Self::Sgd { momentum, nesterov, weight_decay } => {
                share("optimizer.momentum", momentum)?;
                check(
                    "optimizer.momentum",
                    momentum,
                    !nesterov || momentum > 0.0,
                    "a number above 0, as Nesterov needs",
                )?;
                positive("optimizer.weight_decay", weight_decay)
            }
            Self::Adam { beta1, beta2, epsilon, weight_decay }
            | Self::AdamW { beta1, beta2, epsilon, weight_decay } => {
                share("optimizer.beta1", beta1)?;
                share("optimizer.beta2", beta2)?;
                positive("optimizer.epsilon", epsilon)?;
                positive("optimizer.weight_decay", weight_decay)
            }
        }
    }

    /// Names of the state tensors of a parameter.
    fn slots(self) -> &'static [&'static str] {
        match self {
            Self::Sgd { momentum: 0.0, .. } => &[],
            Self::Sgd { .. } => &[MOMENTUM],
            Self::Adam { .. } | Self::AdamW { .. } => &[MEAN, SQUARES, MOVES],
        }
    }
}

const MOMENTUM: &str = "momentum";
const MEAN: &str = "mean";
const SQUARES: &str = "squares";
/// Steps of one parameter: steps without a gradient for it do not count.
const MOVES: &str = "moves";
/// All steps. Every optimiser's state has this entry.
const STEP: &str = "step";

/// Errors when loading an optimiser's state.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptimizerError {
    /// The state belongs to another network or optimiser.
    #[error("the optimiser's state does not fit:\n  {}", problems.join("\n  "))]
    State {
        /// One line for each tensor that does not fit.
        problems: Vec<String>,
    },
    /// The device failed.
    #[error("cannot copy the optimiser's state to the device: {0}")]
    Device(TensorError),
}

impl From<candle_core::Error> for OptimizerError {
    fn from(error: candle_core::Error) -> Self {
        Self::Device(error.into())
    }
}

/// An optimiser of a network's parameters.
#[derive(Clone, Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    parameters: BTreeMap<String, Parameter>,
    /// By parameter name, then by slot: a tensor of the parameter's shape and dtype (f32 or f64), or a counter.
    state: BTreeMap<String, Slots>,
    step: i64,
}

/// State tensors of one parameter, by slot.
type Slots = BTreeMap<&'static str, Tensor>;

impl Optimizer {
    /// An optimiser of the trainable parameters, with empty state.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(config: OptimizerConfig, parameters: &Parameters) -> Result<Self, SettingError> {
        config.check()?;
        let trained = parameters.iter().filter(|(_, p)| p.kind() == Kind::Weight);
        let parameters = trained.map(|(name, p)| (name.to_owned(), p.clone())).collect();
        Ok(Self { config, parameters, state: BTreeMap::new(), step: 0 })
    }

    /// Updates each parameter that has a gradient. Without a gradient, a parameter and its state are unchanged, as in
    /// torch.
    ///
    /// # Errors
    /// If the device fails.
    pub fn step(&mut self, gradients: &Gradients, learning_rate: f64) -> candle_core::Result<()> {
        // Parameters are independent, and each of candle's operations uses one thread.
        let moved = self.parameters.par_iter().filter_map(|(name, parameter)| {
            let gradient = gradients.get(name)?.detach();
            let state = self.config.update(parameter.var(), &gradient, self.state.get(name), learning_rate);
            Some(state.map(|state| (name.clone(), state)))
        });
        let moved: Vec<_> = moved.collect::<candle_core::Result<_>>()?;
        self.state.extend(moved);
        self.step += 1;
        Ok(())
    }

    /// The state: `step`, an i64, and the state tensors of each parameter that ever had a gradient, by names such as
    /// `momentum.arch_vhr.encoder.conv1.weight`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn state(&self) -> candle_core::Result<BTreeMap<String, Tensor>> {
        let mut all = BTreeMap::from([(STEP.to_owned(), Tensor::new(self.step, &Device::Cpu)?)]);
        for (name, slots) in &self.state {
            all.extend(slots.iter().map(|(slot, tensor)| (format!("{slot}.{name}"), tensor.clone())));
        }
        Ok(all)
    }

    /// Loads a state returned by [`state`](Self::state). On an error the optimiser is unchanged.
    ///
    /// # Errors
    /// Lists every tensor that is unknown, missing, or of the wrong shape or dtype. Also if the device fails.
    pub fn load_state(&mut self, saved: &BTreeMap<String, Tensor>) -> Result<(), OptimizerError> {
        let slots = self.config.slots();
        let mut problems = Vec::new();
        let mut state: BTreeMap<String, Slots> = BTreeMap::new();
        let mut step = None;
        let mut fits = |key: &str, tensor: &Tensor, dtype: DType, dims: &[usize]| {
            let is_fitting = tensor.dtype() == dtype && tensor.dims() == dims;
            if !is_fitting {
                let (found, shape) = (tensor.dtype(), tensor.dims());
                problems.push(format!("`{key}` is {found:?} of shape {shape:?}: expected {dtype:?} of shape {dims:?}"));
            }
            is_fitting
        };
        let mut unknown = Vec::new();
        for (key, tensor) in saved {
            let slot = key.split_once('.').and_then(|(slot, name)| {
                Some((*slots.iter().find(|known| **known == slot)?, name, self.parameters.get(name)?.var()))
            });
            match slot {
                Some((MOVES, name, _)) if fits(key, tensor, DType::I64, &[]) => {
                    state.entry(name.to_owned()).or_default().insert(MOVES, tensor.clone());
                }
                Some((slot, name, var)) if slot != MOVES && fits(key, tensor, var.dtype(), var.dims()) => {
                    state.entry(name.to_owned()).or_default().insert(slot, tensor.to_device(var.device())?);
                }
                Some(_) => {}
                None if key == STEP => {
                    if fits(key, tensor, DType::I64, &[]) {
                        step = Some(tensor.to_scalar()?);
                    }
                }
                None => unknown.push(format!("`{key}` belongs to another network or optimiser")),
            }
        }
        problems.extend(unknown);
        let expected = state.iter().flat_map(|(name, found)| {
            slots.iter().filter(|slot| !found.contains_key(**slot)).map(move |slot| format!("{slot}.{name}"))
        });
        let expected = expected.chain((!saved.contains_key(STEP)).then(|| STEP.to_owned()));
        problems.extend(expected.filter(|key| !saved.contains_key(key)).map(|key| format!("`{key}` is missing")));
        let (Some(step), true) = (step, problems.is_empty()) else { return Err(OptimizerError::State { problems }) };
        (self.state, self.step) = (state, step);
        Ok(())
    }
}

impl OptimizerConfig {
    /// Updates a parameter, and returns its updated state.
    fn update(self, parameter: &Var, gradient: &Tensor, past: Option<&Slots>, rate: f64) -> candle_core::Result<Slots> {
        if let Self::Sgd { momentum: 0.0, weight_decay, .. } = self
            && one_pass::applies(parameter)
        {
            one_pass::sgd(parameter, gradient, weight_decay, rate)?;
            return Ok(Slots::new());
        }
        let (value, state) = self.updated(&parameter.as_detached_tensor(), gradient, past, rate)?;
        parameter.set(&value)?;
        Ok(state)
    }

    /// A parameter's updated value and state.
    fn updated(
        self,
        value: &Tensor,
        gradient: &Tensor,
        past: Option<&Slots>,
        rate: f64,
    ) -> candle_core::Result<(Tensor, Slots)> {
        let decayed = |decay: f64| if decay == 0.0 { Ok(gradient.clone()) } else { gradient + (value * decay)? };
        match self {
            Self::Sgd { momentum, nesterov, weight_decay } => {
                let gradient = decayed(weight_decay)?;
                if momentum == 0.0 {
                    return Ok(((value - (gradient * rate)?)?, Slots::new()));
                }
                let direction = match past.and_then(|slots| slots.get(MOMENTUM)) {
                    Some(direction) => ((direction * momentum)? + &gradient)?,
                    None => gradient.clone(),
                };
                let step = if nesterov { (gradient + (&direction * momentum)?)? } else { direction.clone() };
                Ok(((value - (step * rate)?)?, Slots::from([(MOMENTUM, direction)])))
            }
            Self::Adam { beta1, beta2, epsilon, weight_decay } => {
                adam(value, &decayed(weight_decay)?, past, Adam { betas: [beta1, beta2], epsilon, kept: None, rate })
            }
            Self::AdamW { beta1, beta2, epsilon, weight_decay } => {
                let kept = Some(1.0 - rate * weight_decay);
                adam(value, gradient, past, Adam { betas: [beta1, beta2], epsilon, kept, rate })
            }
        }
    }
}

/// The settings of a step of Adam.
#[derive(Clone, Copy)]
struct Adam {
    betas: [f64; 2],
    epsilon: f64,
    /// The fraction of the value that `AdamW`'s decay leaves.
    kept: Option<f64>,
    rate: f64,
}

fn adam(value: &Tensor, gradient: &Tensor, past: Option<&Slots>, with: Adam) -> candle_core::Result<(Tensor, Slots)> {
    let Adam { betas: [beta1, beta2], epsilon, kept, rate } = with;
    let slot = |slot| past.and_then(|slots| slots.get(slot));
    let steps = match slot(MOVES) {
        Some(steps) => steps.to_scalar::<i64>()? + 1,
        None => 1,
    };
    // Bias correction: both means begin at 0 and are too small by these factors.
    let [bias1, bias2] = [beta1, beta2].map(|beta| 1.0 - beta.powf(steps as f64));
    let factors = Factors {
        kept,
        mean: [beta1, 1.0 - beta1],
        squares: [beta2, 1.0 - beta2],
        spread: [1.0 / bias2.sqrt(), epsilon],
        rate: rate / bias1,
    };
    let past = slot(MEAN).zip(slot(SQUARES)).map(|(mean, squares)| [mean, squares]);
    let update = if one_pass::applies(value) { one_pass::adam } else { adam_by_operations };
    let [value, mean, squares] = update(value, gradient, past, &factors)?;
    let steps = Tensor::new(steps, &Device::Cpu)?;
    Ok((value, Slots::from([(MEAN, mean), (SQUARES, squares), (MOVES, steps)])))
}

/// The updated value, mean and mean of squares, on any device and in any type.
fn adam_by_operations(
    value: &Tensor,
    gradient: &Tensor,
    past: Option<[&Tensor; 2]>,
    by: &Factors,
) -> candle_core::Result<[Tensor; 3]> {
    let shrunk = by.kept.map_or_else(|| Ok(value.clone()), |kept| value * kept)?;
    let [mean, squares] = match past {
        Some(past) => past.map(Clone::clone),
        None => [value.zeros_like()?, value.zeros_like()?],
    };
    let mean = ((mean * by.mean[0])? + (gradient * by.mean[1])?)?;
    let squares = ((squares * by.squares[0])? + (gradient.sqr()? * by.squares[1])?)?;
    let spread = ((squares.sqrt()? * by.spread[0])? + by.spread[1])?;
    Ok([(shrunk - ((&mean * by.rate)? / spread)?)?, mean, squares])
}

#[cfg(test)]
mod tests;
