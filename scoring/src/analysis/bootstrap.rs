//! Percentile bootstrap: confidence intervals by resampling whole patches, zones or domains with replacement.
//!
//! Pixels of a patch, patches of a zone and zones of a domain are correlated, so small units give intervals that are
//! too narrow for the score at other locations. Large units are few, which makes the interval itself rough. A record
//! states the unit, the number of units, the replicates, the level and the seed, so that a reader can judge both
//! effects.
//!
//! A replicate draws as many units as there are, adds their matrices and scores the sum, so the protocol's rules apply
//! to it as to the score itself (Efron and Tibshirani, "An Introduction to the
//! Bootstrap", 1993, chapter 13). For a difference, both prediction sets get the same draw.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{ConfusionMatrix, Protocol, analysis::Group};

/// Minimum number of replicates: with fewer, the ends of an interval are meaningless.
pub const LEAST_REPLICATES: u32 = 10;

/// Maximum number of replicates.
pub const MOST_REPLICATES: u32 = 100_000;

/// Settings of the bootstrap.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of draws, [`LEAST_REPLICATES`]`..=`[`MOST_REPLICATES`].
    pub replicates: u32,
    /// Confidence level, the share of the replicates inside an interval, between 0 and 1.
    pub level: f64,
    /// Seed of the random numbers.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 2000, level: 0.95, seed: 2022 }
    }
}

/// Errors of the bootstrap.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BootstrapError {
    /// Fewer than 2 units: every draw would be the same.
    #[error("an interval needs at least 2 units to draw from, there {}", if *.units == 1 { "is 1" } else { "are none" })]
    TooFewUnits {
        /// Number of units.
        units: usize,
    },
    /// The number of replicates is out of range.
    #[error("{0} replicates: expected {LEAST_REPLICATES} to {MOST_REPLICATES}")]
    Replicates(u32),
    /// The level is not between 0 and 1.
    #[error("the level {0} is not between 0 and 1: for example 0.95")]
    Level(f64),
}

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// The values of a statistic over all replicates in which it is defined, in ascending order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replicates(Vec<f64>);

impl Replicates {
    /// The values, in ascending order. A replicate that lacks the statistic's class gives no value.
    pub fn values(&self) -> &[f64] {
        &self.0
    }

    /// The equal-tailed interval of `level`; ends between two values are interpolated linearly, as in
    /// `numpy.percentile`. `None` if there are no values.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        let tail = (1.0 - level) / 2.0;
        Some(Interval { low: self.quantile(tail)?, high: self.quantile(1.0 - tail)? })
    }

    /// Share of the values above 0; `None` if there are no values.
    pub fn share_above_zero(&self) -> Option<f64> {
        let above = self.0.len() - self.0.partition_point(|value| *value <= 0.0);
        (!self.0.is_empty()).then(|| above as f64 / self.0.len() as f64)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of a list")]
    fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.0.len().checked_sub(1)?;
        let position = q * last as f64;
        let below = (position.floor() as usize).min(last);
        let [low, high] = [self.0[below], self.0[(below + 1).min(last)]];
        Some((high - low).mul_add(position - below as f64, low))
    }
}

impl Bootstrap {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`BootstrapError::Replicates`], [`BootstrapError::Level`].
    pub fn check(&self) -> Result<(), BootstrapError> {
        if !(LEAST_REPLICATES..=MOST_REPLICATES).contains(&self.replicates) {
            return Err(BootstrapError::Replicates(self.replicates));
        }
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(BootstrapError::Level(self.level));
        }
        Ok(())
    }

    /// Draws units and computes statistics of each draw, on all threads of the current rayon pool. The result does not
    /// depend on the number of threads: each replicate has its own stream of random numbers.
    ///
    /// * `sets`: the units of each prediction set, in the same order; all sets get the same draw. One set for intervals
    ///   of a score, two for intervals of a difference.
    /// * `statistics`: maps the summed matrices of a draw, one per prediction set, to a fixed number of statistics.
    ///
    /// Returns the replicates of each statistic, in order.
    ///
    /// # Errors
    /// If there are fewer than 2 units, or the settings are invalid.
    pub fn draw<const SETS: usize>(
        &self,
        sets: [&Units; SETS],
        statistics: impl Fn([ConfusionMatrix; SETS]) -> Vec<Option<f64>> + Sync,
    ) -> Result<Vec<Replicates>, BootstrapError> {
        self.check()?;
        let units = sets.iter().map(|units| units.len()).min().unwrap_or(0);
        if units < 2 {
            return Err(BootstrapError::TooFewUnits { units });
        }
        let drawn: Vec<Vec<Option<f64>>> = (0..self.replicates)
            .into_par_iter()
            .map_init(
                || vec![0_u32; units],
                |times, replicate| {
                    self.choose(replicate, times);
                    statistics(sets.map(|units| units.sum(times)))
                },
            )
            .collect();
        let count = drawn.iter().map(Vec::len).min().unwrap_or(0);
        let of = |statistic: usize| {
            let mut values: Vec<f64> = drawn.iter().filter_map(|values| values[statistic]).collect();
            values.sort_unstable_by(f64::total_cmp);
            Replicates(values)
        };
        Ok((0..count).map(of).collect())
    }

    /// Sets `times` to how often the replicate draws each unit.
    #[expect(clippy::cast_possible_truncation, reason = "the product's upper half is below the number of units")]
    fn choose(&self, replicate: u32, times: &mut [u32]) {
        let mut source = ChaCha8Rng::seed_from_u64(self.seed);
        source.set_stream(u64::from(replicate));
        times.fill(0);
        for _ in 0..times.len() {
            // Multiply and shift: with 64 random bits, the bias is below 2^-40 for any realistic count.
            times[((u128::from(source.next_u64()) * times.len() as u128) >> 64) as usize] += 1;
        }
    }
}

/// The matrices of the units, sparse: most cells are 0, since a patch has few classes.
#[derive(Clone, Debug)]
pub struct Units {
    classes: usize,
    /// Cells of all units, unit by unit: index in the matrix, count.
    cells: Vec<(u32, u64)>,
    /// The end of each unit's cells, an index in `cells`.
    ends: Vec<usize>,
}

impl Units {
    /// Creates units from matrices of `classes` classes. The total number of pixels times the number of units must stay
    /// below 2^64, as it does for real images.
    pub fn new(classes: usize, matrices: impl IntoIterator<Item = ConfusionMatrix>) -> Self {
        let mut units = Self { classes, cells: Vec::new(), ends: Vec::new() };
        for matrix in matrices {
            debug_assert_eq!(matrix.class_count(), classes);
            let cells = (0..).zip(matrix.counts()).filter(|(_, count)| **count > 0);
            units.cells.extend(cells.map(|(cell, count)| (cell, *count)));
            units.ends.push(units.cells.len());
        }
        units
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn sum(&self, times: &[u32]) -> ConfusionMatrix {
        let mut sum = ConfusionMatrix::empty(self.classes);
        let mut start = 0;
        for (end, times) in self.ends.iter().zip(times) {
            if *times > 0 {
                let cells = self.cells[start..*end].iter();
                sum.add_cells(cells.map(|(cell, count)| (*cell as usize, u64::from(*times) * count)), 0, 0);
            }
            start = *end;
        }
        sum
    }
}

impl Units {
    /// Converts groups to units.
    pub(crate) fn of(groups: &[Group<'_>], protocol: &Protocol) -> Self {
        let classes = protocol.class_count();
        Self::new(classes, groups.iter().map(|group| group.matrix(classes)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Metrics, analysis::units::tests::patch};

    fn matrix(cells: &[(usize, usize, u64)]) -> ConfusionMatrix {
        patch(1, cells).matrix(13)
    }

    fn accuracy([matrix]: [ConfusionMatrix; 1]) -> Vec<Option<f64>> {
        vec![Metrics::of(&matrix, &Protocol::flair2()).means.overall_accuracy]
    }

    /// Units with classes of different weights.
    fn units() -> impl Strategy<Value = Vec<ConfusionMatrix>> {
        let cell = (0..4_usize, 0..4_usize, 1..500_u64);
        let unit = prop::collection::vec(cell, 1..8).prop_map(|cells| matrix(&cells));
        prop::collection::vec(unit, 2..30)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// The definition, replicate by replicate, from the draws of [`Bootstrap::choose`].
        #[test]
        fn a_replicate_is_the_score_of_what_it_draws(matrices in units(), seed in any::<u64>()) {
            let bootstrap = Bootstrap { replicates: 20, seed, ..Bootstrap::default() };
            let units = Units::new(13, matrices.clone());
            let found = bootstrap.draw([&units], accuracy).unwrap();
            let mut expected: Vec<f64> = (0..20).filter_map(|replicate| {
                let mut times = vec![0; matrices.len()];
                bootstrap.choose(replicate, &mut times);
                assert_eq!(times.iter().sum::<u32>() as usize, matrices.len());
                let mut sum = ConfusionMatrix::empty(13);
                for (matrix, times) in matrices.iter().zip(times) {
                    (0..times).for_each(|_| sum.merge(matrix));
                }
                accuracy([sum])[0]
            }).collect();
            expected.sort_unstable_by(f64::total_cmp);
            prop_assert_eq!(found[0].values(), &expected);
        }

        #[test]
        fn the_seed_decides_and_the_threads_do_not(matrices in units(), seed in any::<u64>()) {
            let bootstrap = Bootstrap { replicates: 64, seed, ..Bootstrap::default() };
            let units = Units::new(13, matrices);
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| bootstrap.draw([&units], accuracy).unwrap())
            };
            prop_assert_eq!(on(1), on(3));
        }

        #[test]
        fn an_interval_is_within_the_range_of_the_units(matrices in units()) {
            let of = |matrix: &ConfusionMatrix| accuracy([matrix.clone()])[0].unwrap();
            let [least, most] = matrices.iter().map(of).fold([1.0, 0.0], |[a, b], v| [v.min(a), v.max(b)]);
            let units = Units::new(13, matrices);
            let found = Bootstrap { replicates: 50, ..Bootstrap::default() }.draw([&units], accuracy).unwrap();
            let interval = found[0].interval(0.9).unwrap();
            prop_assert!(least - 1e-12 <= interval.low && interval.low <= interval.high && interval.high <= most + 1e-12);
        }

        #[test]
        fn equal_sets_do_not_differ(matrices in units()) {
            let units = Units::new(13, matrices);
            let difference = |[a, b]: [ConfusionMatrix; 2]| {
                vec![accuracy([a])[0].zip(accuracy([b])[0]).map(|(a, b)| a - b)]
            };
            let bootstrap = Bootstrap { replicates: 20, ..Bootstrap::default() };
            let found = bootstrap.draw([&units, &units], difference).unwrap();
            prop_assert_eq!(found[0].interval(0.95), Some(Interval { low: 0.0, high: 0.0 }));
            prop_assert_eq!(found[0].share_above_zero(), Some(0.0));
        }
    }

    #[test]
    fn a_share_of_right_units_has_the_binomials_interval() {
        // 100 units of equal size, 30 all right: the resampled accuracy is a binomial's share, with standard
        // deviation sqrt(0.3 * 0.7 / 100) = 0.0458; 95 % of it lie within 0.21 and 0.39.
        let unit = |i: usize| matrix(&[(0, usize::from(i >= 30), 50)]);
        let units = Units::new(13, (0..100).map(unit));
        let found = Bootstrap::default().draw([&units], accuracy).unwrap();
        let Interval { low, high } = found[0].interval(0.95).unwrap();
        assert!((low - 0.21).abs() <= 0.01 && (high - 0.39).abs() <= 0.01, "{low} {high}");
        let mean = found[0].values().iter().sum::<f64>() / 2000.0;
        assert!((mean - 0.3).abs() < 0.004, "{mean}");
        // Another seed gives other draws.
        let other = Bootstrap { seed: 7, ..Bootstrap::default() }.draw([&units], accuracy).unwrap();
        assert_ne!(found, other);
    }

    #[test]
    fn each_unit_is_drawn_as_often_as_any() {
        let bootstrap = Bootstrap::default();
        let (mut sum, mut times) = ([0; 7], [0; 7]);
        for replicate in 0..10_000 {
            bootstrap.choose(replicate, &mut times);
            sum.iter_mut().zip(times).for_each(|(sum, times)| *sum += times);
        }
        assert!(sum.iter().all(|sum| (9_600..10_400).contains(sum)), "{sum:?}");
    }

    #[test]
    fn quantiles_are_numpys() {
        // numpy.percentile([1, 2, 4, 8], [5, 95]) and of a single value.
        let replicates = Replicates(vec![1.0, 2.0, 4.0, 8.0]);
        let Interval { low, high } = replicates.interval(0.9).unwrap();
        assert!((low - 1.15).abs() < 1e-12 && (high - 7.4).abs() < 1e-12, "{low} {high}");
        assert_eq!(Replicates(vec![3.0]).interval(0.5), Some(Interval { low: 3.0, high: 3.0 }));
        assert_eq!((Replicates::default().interval(0.5), Replicates::default().share_above_zero()), (None, None));
        assert_eq!(Replicates(vec![-1.0, 0.0, 0.0, 2.0]).share_above_zero(), Some(0.25));
    }

    #[test]
    fn invalid_settings_are_errors() {
        let message = |units: usize, bootstrap: Bootstrap| {
            let units = Units::new(13, (0..units).map(|_| matrix(&[(0, 0, 1)])));
            bootstrap.draw([&units], accuracy).unwrap_err().to_string()
        };
        let default = Bootstrap::default();
        insta::assert_snapshot!([
            message(0, default),
            message(1, default),
            message(2, Bootstrap { replicates: 9, ..default }),
            message(2, Bootstrap { replicates: 100_001, ..default }),
            message(2, Bootstrap { level: 1.0, ..default }),
            message(2, Bootstrap { level: f64::NAN, ..default }),
        ].join("\n"), @r#"
        an interval needs at least 2 units to draw from, there are none
        an interval needs at least 2 units to draw from, there is 1
        9 replicates: expected 10 to 100000
        100001 replicates: expected 10 to 100000
        the level 1 is not between 0 and 1: for example 0.95
        the level NaN is not between 0 and 1: for example 0.95
        "#);
    }
}
