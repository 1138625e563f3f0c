//! The class of each pixel of logits in blocks.

use rayon::prelude::*;

use super::lanes::{BLOCK, Block};

/// For each image `[block, pixel]` of `channels` logits, the class with the largest, the first of equal ones; and whether all
/// logits are finite.
pub(crate) fn classes(logits: &[Block], channels: usize, classes: &mut [u8]) -> bool {
    /// Pixels of a task.
    const PIXELS: usize = 4096;
    let pixels = classes.len();
    let are_finite = classes.par_chunks_mut(PIXELS).enumerate().map(|(task, classes)| {
        let first = task * PIXELS;
        let mut largest = [f32::NEG_INFINITY; PIXELS];
        // Σ 0 · x is 0 if all terms are finite, else NaN.
        let mut zeros = [0f32; BLOCK];
        classes.fill(0);
        for (block, logits) in logits.chunks_exact(pixels).enumerate() {
            let count = (channels - block * BLOCK).min(BLOCK);
            for ((logits, class), largest) in logits[first..].iter().zip(&mut *classes).zip(&mut largest) {
                for (lane, &logit) in logits[..count].iter().enumerate() {
                    zeros[lane] += 0.0 * logit;
                    if logit > *largest {
                        #[expect(clippy::cast_possible_truncation, reason = "as many classes as a byte has values")]
                        let number = (block * BLOCK + lane) as u8;
                        (*class, *largest) = (number, logit);
                    }
                }
            }
        }
        zeros.iter().all(|&zero| zero == 0.0)
    });
    are_finite.reduce(|| true, |a, b| a && b)
}
