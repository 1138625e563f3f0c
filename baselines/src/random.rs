//! The random generator of the crate, for initial weights, shuffling, augmentation, dropout and synthetic landscapes.
//!
//! candle's generator cannot be seeded on the CPU, and the standard distributions of the `rand` crates may change
//! their values between versions. Here the stream (`ChaCha` with 8 rounds) and the distributions are fixed.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// A seeded generator. The same seed and stream give the same values on every machine.
#[derive(Clone, Debug)]
pub struct Generator {
    source: ChaCha8Rng,
}

/// State of a [`Generator`], for checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorState {
    /// The cipher's key, derived from the seed.
    key: [u8; 32],
    /// The stream's number.
    stream: u64,
    /// Words of 32 bits drawn so far.
    words: u128,
}

impl Generator {
    /// A generator of `seed` with an independent stream for each name: the draws of one part of a run do not affect
    /// another part.
    pub fn new(seed: u64, stream: &str) -> Self {
        let mut source = ChaCha8Rng::seed_from_u64(seed);
        // FNV-1a: names are few and chosen here, so all that matters is that the mapping never changes.
        let number =
            stream.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        source.set_stream(number);
        Self { source }
    }

    /// The current state.
    pub fn state(&self) -> GeneratorState {
        let (key, stream, words) = (self.source.get_seed(), self.source.get_stream(), self.source.get_word_pos());
        GeneratorState { key, stream, words }
    }

    /// The generator after another `uniforms` draws of [`Generator::uniform`].
    pub(crate) fn after(&self, uniforms: usize) -> Self {
        let mut source = self.source.clone();
        // A draw of 64 bits takes two words.
        source.set_word_pos(source.get_word_pos() + 2 * uniforms as u128);
        Self { source }
    }

    /// Draws of [`Generator::uniform`] in one of [`Generator::normal`].
    pub(crate) const UNIFORMS_OF_NORMAL: usize = 2;

    /// Uniform in `[0, 1)`, with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.source.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[low, high)`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Normal with mean 0 and standard deviation 1 (Box and Muller, the cosine half).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Uniform in `0..bound`; 0 where `bound` is 0.
    #[expect(clippy::cast_possible_truncation, reason = "the result is below `bound`")]
    pub fn below(&mut self, bound: usize) -> usize {
        // Multiply and shift: the bias is below 2^-40 for any count that occurs here.
        ((u128::from(self.source.next_u64()) * bound as u128) >> 64) as usize
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.uniform() < p
    }

    /// Shuffles `items` (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl From<GeneratorState> for Generator {
    fn from(state: GeneratorState) -> Self {
        let mut source = ChaCha8Rng::from_seed(state.key);
        source.set_stream(state.stream);
        source.set_word_pos(state.words);
        Self { source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restored_generator_continues_its_stream() {
        let mut generator = Generator::new(5, "saved");
        // Longer than the cipher's buffer, to cover each index into it.
        for drawn in 0..200 {
            let text = serde_json::to_string(&generator.state()).unwrap();
            let state: GeneratorState = serde_json::from_str(&text).unwrap();
            let mut restored = Generator::from(state);
            let values: Vec<u64> = (0..70).map(|_| restored.uniform().to_bits()).collect();
            let mut same = generator.clone();
            assert_eq!(values, (0..70).map(|_| same.uniform().to_bits()).collect::<Vec<_>>(), "{drawn}");
            generator.uniform();
        }
    }

    #[test]
    fn a_generator_after_some_draws_goes_on_as_if_it_had_drawn_them() {
        let start = Generator::new(5, "ahead");
        let mut generator = start.clone();
        // Longer than the cipher's buffer.
        for drawn in 0..100 {
            let ahead = || start.after(drawn * Generator::UNIFORMS_OF_NORMAL);
            assert_eq!(ahead().uniform().to_bits(), generator.clone().uniform().to_bits(), "{drawn}");
            assert_eq!(ahead().normal().to_bits(), generator.normal().to_bits(), "{drawn}");
        }
    }

    #[test]
    fn seeds_and_streams_part_and_repeat() {
        let draw = |seed, stream| Generator::new(seed, stream).uniform();
        assert_eq!(draw(1, "a").to_bits(), draw(1, "a").to_bits());
        assert_ne!(draw(1, "a").to_bits(), draw(1, "b").to_bits());
        assert_ne!(draw(1, "a").to_bits(), draw(2, "a").to_bits());
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut g = Generator::new(7, "moments");
        let n = 20_000;
        let normal: Vec<f64> = (0..n).map(|_| g.normal()).collect();
        let mean = normal.iter().sum::<f64>() / f64::from(n);
        let variance = normal.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let mut counts = [0; 5];
        (0..n).for_each(|_| counts[g.below(5)] += 1);
        assert!(counts.iter().all(|c| (3_700..4_300).contains(c)), "{counts:?}");
    }

    #[test]
    fn a_shuffle_loses_nothing() {
        let mut items: Vec<_> = (0..100).collect();
        Generator::new(3, "shuffle").shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
