//! Dropout with the run's own random generator.

use candle_core::{Result, Tensor};

use super::{Mode, on_device};

/// Sets a value to 0 with probability `p` in training, and divides the others by `1 - p`. `torch.nn.Dropout`.
///
/// candle's own dropout draws from a generator that cannot be seeded.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    p: f64,
}

impl Dropout {
    /// Dropout with probability `p`, in `[0, 1)`.
    pub const fn new(p: f64) -> Self {
        Self { p }
    }

    /// Any shape; the output has the same shape.
    ///
    /// # Errors
    /// If the device fails.
    #[expect(clippy::cast_possible_truncation, reason = "a factor near 1 is as good in f32")]
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let Some(generator) = mode.dropout().filter(|_| self.p > 0.0) else { return Ok(x.clone()) };
        // A poisoned lock means that another thread panicked while drawing; the generator is still valid.
        let mut generator = generator.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let kept = 1.0 / (1.0 - self.p);
        let mask: Vec<f32> =
            (0..x.elem_count()).map(|_| if generator.chance(self.p) { 0.0 } else { kept as f32 }).collect();
        x * on_device(&mask, x.dims(), x.device())?.to_dtype(x.dtype())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Generator;
    use candle_core::{DType, Device};
    use std::sync::Mutex;

    #[test]
    fn training_drops_a_share_and_keeps_the_mean_and_evaluation_drops_nothing() {
        let x = Tensor::ones((100, 100), DType::F32, &Device::Cpu).unwrap();
        let generator = Mutex::new(Generator::new(1, "dropout"));
        let y = Dropout::new(0.3).forward(&x, Mode::train(&generator)).unwrap().flatten_all().unwrap();
        let values = y.to_vec1::<f32>().unwrap();
        let dropped = values.iter().filter(|&&v| v == 0.0).count();
        assert!((2_800..3_200).contains(&dropped), "{dropped}");
        assert!((values.iter().sum::<f32>() / 1e4 - 1.0).abs() < 0.03);
        for mode in [Mode::EVAL, Mode::TRAIN_WITHOUT_DROPOUT] {
            let kept = Dropout::new(0.3).forward(&x, mode).unwrap();
            assert!(
                kept.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| v.to_bits() == 1f32.to_bits())
            );
        }
    }

    #[test]
    fn the_gradient_is_the_mask() {
        use crate::nn::gradcheck::{assert_gradients, image};
        assert_gradients(&[&image(&[3, 7])], |t| {
            // The same draw for every difference.
            let generator = Mutex::new(Generator::new(1, "dropout"));
            Dropout::new(0.4).forward(&t[0], Mode::train(&generator))
        });
    }
}
