//! Learning-rate schedules with torch's formulas.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How the learning rate changes over a run. The configured rate is the maximum of every schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// A constant rate, as upstream.
    #[default]
    Constant,
    /// Cosine annealing from the configured rate to `minimum`: `torch.optim.lr_scheduler.CosineAnnealingLR` over all
    /// steps of the run.
    Cosine {
        /// The rate at the end.
        #[serde(default)]
        minimum: f64,
    },
    /// Cosine warm-up to the configured rate, then cosine annealing: `torch.optim.lr_scheduler.OneCycleLR`.
    OneCycle {
        /// Fraction of the steps in which the rate rises.
        #[serde(default = "defaults::pct_start")]
        pct_start: f64,
        /// The rate of the first step is the configured rate divided by this.
        #[serde(default = "defaults::div_factor")]
        div_factor: f64,
        /// The rate of the last step is that of the first divided by this.
        #[serde(default = "defaults::final_div_factor")]
        final_div_factor: f64,
    },
    /// Reduces the rate when the validation loss stops falling: `torch.optim.lr_scheduler.ReduceLROnPlateau`.
    Plateau {
        /// Factor of a reduction.
        #[serde(default = "defaults::factor")]
        factor: f64,
        /// Epochs without a better loss before a reduction.
        #[serde(default = "defaults::patience")]
        patience: usize,
        /// A loss counts as better if it is below the best one by this fraction.
        #[serde(default = "defaults::threshold")]
        threshold: f64,
        /// Epochs after a reduction that do not count towards `patience`.
        #[serde(default)]
        cooldown: usize,
        /// The lowest rate.
        #[serde(default)]
        minimum: f64,
    },
}

/// torch's defaults.
mod defaults {
    pub(super) fn pct_start() -> f64 {
        0.3
    }
    pub(super) fn div_factor() -> f64 {
        25.0
    }
    pub(super) fn final_div_factor() -> f64 {
        1e4
    }
    pub(super) fn factor() -> f64 {
        0.1
    }
    pub(super) fn patience() -> usize {
        10
    }
    pub(super) fn threshold() -> f64 {
        1e-4
    }
}

/// A setting out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("`{key}` is {value}: expected {expected}")]
pub struct SettingError {
    /// The setting's key.
    pub key: &'static str,
    /// Its value.
    pub value: f64,
    /// The allowed range.
    pub expected: &'static str,
}

/// `Ok` if `holds`, otherwise the error for this setting.
pub(super) fn check(key: &'static str, value: f64, holds: bool, expected: &'static str) -> Result<(), SettingError> {
    if holds { Ok(()) } else { Err(SettingError { key, value, expected }) }
}

/// Progress of a run, in optimiser steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Steps done: 0 for the first.
    pub step: usize,
    /// Steps of the whole run.
    pub steps: usize,
}

/// State of a schedule. Only [`Schedule::Plateau`] uses it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulerState {
    /// The rate after all reductions.
    learning_rate: f64,
    /// Lowest validation loss so far.
    best: Option<f64>,
    /// Epochs since then, less those of the cooldown.
    bad_epochs: usize,
    /// Remaining epochs of the cooldown.
    cooldown_left: usize,
}

/// A schedule with its state.
#[derive(Clone, Debug)]
pub struct Scheduler {
    schedule: Schedule,
    base: f64,
    state: SchedulerState,
}

impl Scheduler {
    /// The schedule of a run with the configured rate `base`.
    ///
    /// # Errors
    /// If a setting is out of its range.
    pub fn new(schedule: Schedule, base: f64) -> Result<Self, SettingError> {
        let rate =
            |key, value: f64| check(key, value, (0.0..=base).contains(&value), "a number from 0 to the learning rate");
        check("lr", base, base.is_finite() && base > 0.0, "a number above 0")?;
        match schedule {
            Schedule::Constant => {}
            Schedule::Cosine { minimum } => rate("schedule.minimum", minimum)?,
            Schedule::OneCycle { pct_start, div_factor, final_div_factor } => {
                check("schedule.pct_start", pct_start, (0.0..=1.0).contains(&pct_start), "a number from 0 to 1")?;
                for (key, value) in
                    [("schedule.div_factor", div_factor), ("schedule.final_div_factor", final_div_factor)]
                {
                    check(key, value, value.is_finite() && value >= 1.0, "a number from 1 on")?;
                }
            }
            Schedule::Plateau { factor, threshold, minimum, .. } => {
                check("schedule.factor", factor, factor > 0.0 && factor < 1.0, "a number between 0 and 1")?;
                check("schedule.threshold", threshold, (0.0..1.0).contains(&threshold), "a number from 0 to below 1")?;
                rate("schedule.minimum", minimum)?;
            }
        }
        let state = SchedulerState { learning_rate: base, best: None, bad_epochs: 0, cooldown_left: 0 };
        Ok(Self { schedule, base, state })
    }

    /// The rate of the next step after `at`.
    pub fn learning_rate(&self, at: Position) -> f64 {
        match self.schedule {
            Schedule::Constant => self.base,
            Schedule::Cosine { minimum } => cosine(self.base, minimum, at.step as f64 / at.steps.max(1) as f64),
            Schedule::OneCycle { pct_start, div_factor, final_div_factor } => {
                let start = self.base / div_factor;
                let (step, last) = (at.step as f64, at.steps.max(1) as f64 - 1.0);
                let peak = pct_start * at.steps as f64 - 1.0;
                // A run too short for a warm-up begins at the peak.
                if step <= peak && peak > 0.0 {
                    cosine(start, self.base, step / peak)
                } else {
                    let share = if last > peak { (step - peak) / (last - peak) } else { 0.0 };
                    cosine(self.base, start / final_div_factor, share)
                }
            }
            Schedule::Plateau { .. } => self.state.learning_rate,
        }
    }

    /// Updates the state with the validation loss of an epoch that ended.
    pub fn epoch_ended(&mut self, validation_loss: f64) {
        let Schedule::Plateau { factor, patience, threshold, cooldown, minimum } = self.schedule else { return };
        let state = &mut self.state;
        if validation_loss < state.best.map_or(f64::INFINITY, |best| best * (1.0 - threshold)) {
            state.best = Some(validation_loss);
            state.bad_epochs = 0;
        } else {
            state.bad_epochs += 1;
        }
        if state.cooldown_left > 0 {
            state.cooldown_left -= 1;
            state.bad_epochs = 0;
        }
        if state.bad_epochs > patience {
            let reduced = (state.learning_rate * factor).max(minimum);
            // torch's `eps`: smaller reductions are ignored.
            if state.learning_rate - reduced > 1e-8 {
                state.learning_rate = reduced;
            }
            state.cooldown_left = cooldown;
            state.bad_epochs = 0;
        }
    }

    /// The state, for a checkpoint.
    pub fn state(&self) -> SchedulerState {
        self.state
    }

    /// Restores a saved state.
    pub fn restore(&mut self, state: SchedulerState) {
        self.state = state;
    }
}

/// Cosine annealing from `start` to `end`; `share` of the way, `0..=1`.
fn cosine(start: f64, end: f64, share: f64) -> f64 {
    end + (start - end) / 2.0 * (1.0 + (PI * share).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: Schedule, steps: usize) -> Vec<f64> {
        let scheduler = Scheduler::new(schedule, 0.1).unwrap();
        (0..steps).map(|step| scheduler.learning_rate(Position { step, steps })).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 1e-15, "{found:?} is not {expected:?}");
        }
    }

    const PLATEAU: Schedule =
        Schedule::Plateau { factor: 0.5, patience: 1, threshold: 0.01, cooldown: 1, minimum: 0.02 };

    // The expected numbers are those of torch 2.15's schedulers, stepped as often.

    #[test]
    fn constant_is_constant() {
        close(&rates(Schedule::Constant, 3), &[0.1; 3]);
    }

    #[test]
    fn cosine_is_torchs() {
        // CosineAnnealingLR(T_max=8, eta_min=0.01)
        let expected = [
            0.1,
            0.096_574_578_963_007_9,
            0.086_819_805_153_394_63,
            0.072_220_754_456_429_05,
            0.055,
            0.037_779_245_543_570_96,
            0.023_180_194_846_605_363,
            0.013_425_421_036_992_097,
        ];
        close(&rates(Schedule::Cosine { minimum: 0.01 }, 8), &expected);
    }

    #[test]
    fn one_cycle_is_torchs() {
        // OneCycleLR(max_lr=0.1, total_steps=10)
        let expected = [
            0.004,
            0.052,
            0.1,
            0.095_048_463_201_347_38,
            0.081_174_565_394_976_3,
            0.061_126_202_193_628_93,
            0.038_874_197_806_371_07,
            0.018_825_834_605_023_7,
            0.004_951_936_798_652_629,
            4e-7,
        ];
        close(&rates(Schedule::OneCycle { pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 }, 10), &expected);
        // OneCycleLR(max_lr=0.1, total_steps=7, pct_start=0.5, div_factor=10, final_div_factor=100)
        let expected = [
            0.01,
            0.041_094_235_253_127_366,
            0.091_405_764_746_872_63,
            0.095_053_394_951_725_84,
            0.061_164_920_651_117_91,
            0.018_906_684_397_156_263,
            0.000_1,
        ];
        close(&rates(Schedule::OneCycle { pct_start: 0.5, div_factor: 10.0, final_div_factor: 100.0 }, 7), &expected);
    }

    #[test]
    fn any_run_has_rates_in_range() {
        for pct_start in [0.0, 0.3, 1.0] {
            for steps in 1..40 {
                let found = rates(Schedule::OneCycle { pct_start, div_factor: 25.0, final_div_factor: 1e4 }, steps);
                assert!(
                    found.iter().all(|r| (4e-7 - 1e-15..=0.1 + 1e-15).contains(r)),
                    "{pct_start} {steps}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn plateau_matches_torch_and_resumes_from_its_saved_state() {
        // ReduceLROnPlateau(factor=0.5, patience=1, cooldown=1, min_lr=0.02, threshold=0.01)
        let nan = f64::NAN;
        let losses = [1.0, 0.9, 0.895, 0.95, 0.95, 0.95, 0.95, 0.5, 0.6, nan, 0.6, 0.6];
        let expected = [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.02, 0.02, 0.02];
        let mut scheduler = Scheduler::new(PLATEAU, 0.1).unwrap();
        let mut found = Vec::new();
        for loss in losses {
            let saved = serde_json::to_string(&scheduler.state()).unwrap();
            scheduler = Scheduler::new(PLATEAU, 0.1).unwrap();
            scheduler.restore(serde_json::from_str(&saved).unwrap());
            scheduler.epoch_ended(loss);
            found.push(scheduler.learning_rate(Position { step: found.len(), steps: 100 }));
        }
        close(&found, &expected);
    }

    #[test]
    fn settings_have_torchs_defaults_and_are_checked() {
        let read = |text: &str| serde_json::from_str::<Schedule>(text).unwrap();
        assert_eq!(read(r#"{"name": "constant"}"#), Schedule::default());
        let one_cycle = Schedule::OneCycle { pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 };
        assert_eq!(read(r#"{"name": "one-cycle"}"#), one_cycle);
        let plateau = Schedule::Plateau { factor: 0.1, patience: 10, threshold: 1e-4, cooldown: 0, minimum: 0.0 };
        assert_eq!(read(r#"{"name": "plateau"}"#), plateau);
        assert_eq!(read(&serde_json::to_string(&PLATEAU).unwrap()), PLATEAU);
        assert!(serde_json::from_str::<Schedule>(r#"{"name": "cosine", "minimun": 0.1}"#).is_err());
        let error = |schedule, base| Scheduler::new(schedule, base).unwrap_err().to_string();
        insta::assert_snapshot!(error(Schedule::Constant, f64::NAN), @"`lr` is NaN: expected a number above 0");
        insta::assert_snapshot!(error(Schedule::Cosine { minimum: 0.2 }, 0.1), @"`schedule.minimum` is 0.2: expected a number from 0 to the learning rate");
        insta::assert_snapshot!(error(Schedule::OneCycle { pct_start: 1.5, div_factor: 1.0, final_div_factor: 1.0 }, 0.1), @"`schedule.pct_start` is 1.5: expected a number from 0 to 1");
    }
}
