//! Updates of an f32 parameter on the CPU in one pass over memory: plain SGD's, for which candle's operations make three, and
//! Adam's, for which they make a dozen.

use candle_core::{CpuStorage, DType, Device, InplaceOp2, Layout, Result, Tensor, Var, bail};

use crate::nn::with_values;

/// Numbers that are updated at once: few enough for the nearest cache.
const AT_ONCE: usize = 1 << 10;

/// The factors of a step, by which [`super::adam_by_operations`] multiplies.
pub(super) struct Factors {
    /// Of the value, with `AdamW`'s decay.
    pub(super) kept: Option<f64>,
    /// Of the old mean and the new gradient; of the old squares' mean and the new square.
    pub(super) mean: [f64; 2],
    pub(super) squares: [f64; 2],
    /// Of the square root of the squares' mean, and what is added to it.
    pub(super) spread: [f64; 2],
    /// Of the mean.
    pub(super) rate: f64,
}

/// Whether a parameter of this value can be updated in one pass.
pub(super) fn applies(value: &Tensor) -> bool {
    value.device().is_cpu() && value.dtype() == DType::F32
}

/// SGD without momentum: the value is decreased where it is.
///
/// The operations are those of [`super::OptimizerConfig::updated`] in their order, and so are the bits.
pub(super) fn sgd(value: &Var, gradient: &Tensor, decay: f64, rate: f64) -> Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "candle rounds factors to f32 too")]
    let [decay, rate] = [decay, rate].map(|factor| factor as f32);
    value.inplace_op2(&gradient.contiguous()?, &Sgd { decay, rate })
}

struct Sgd {
    decay: f32,
    rate: f32,
}

impl InplaceOp2 for Sgd {
    fn name(&self) -> &'static str {
        "a step of SGD"
    }

    fn cpu_fwd(&self, value: &mut CpuStorage, lv: &Layout, gradient: &CpuStorage, lg: &Layout) -> Result<()> {
        let (CpuStorage::F32(value), CpuStorage::F32(gradient)) = (value, gradient) else {
            bail!("a parameter or its gradient is not f32")
        };
        let ((Some(of_value), Some(of_gradient)), true) =
            ((lv.contiguous_offsets(), lg.contiguous_offsets()), lv.shape() == lg.shape())
        else {
            bail!("a parameter of shape {:?} and its gradient of shape {:?} do not fit", lv.shape(), lg.shape())
        };
        let value = &mut value[of_value.0..of_value.1];
        for (value, &gradient) in value.iter_mut().zip(&gradient[of_gradient.0..of_gradient.1]) {
            let gradient = if self.decay == 0.0 { gradient } else { gradient + (*value * self.decay + 0.0) };
            *value -= gradient * self.rate + 0.0;
        }
        Ok(())
    }
}

/// The updated value, mean and mean of squares. Without `past`, those were 0.
///
/// The operations are those of [`super::adam_by_operations`] in their order, and so are the bits: a product of candle's ends
/// with the sum with 0, which makes -0 a 0.
#[expect(clippy::cast_possible_truncation, reason = "candle rounds factors to f32 too")]
pub(super) fn adam(value: &Tensor, gradient: &Tensor, past: Option<[&Tensor; 2]>, by: &Factors) -> Result<[Tensor; 3]> {
    let kept = by.kept.map(|kept| kept as f32);
    let [mean_kept, mean_added] = by.mean.map(|factor| factor as f32);
    let [squares_kept, squares_added] = by.squares.map(|factor| factor as f32);
    let ([spread, epsilon], rate) = (by.spread.map(|factor| factor as f32), by.rate as f32);
    let update = |gradient: f32, value: &mut f32, mean: &mut f32, squares: &mut f32| {
        *mean = (*mean * mean_kept + 0.0) + (gradient * mean_added + 0.0);
        *squares = (*squares * squares_kept + 0.0) + (gradient * gradient * squares_added + 0.0);
        let spread = (squares.sqrt() * spread + 0.0) + epsilon;
        let shrunk = kept.map_or(*value, |kept| *value * kept + 0.0);
        *value = shrunk - (*mean * rate + 0.0) / spread;
    };
    let inputs = [Some(value), past.map(|[mean, _]| mean), past.map(|[_, squares]| squares)];
    let count = value.elem_count();
    let mut updated = [(); 3].map(|()| Vec::with_capacity(count));
    let mut at_once = [[0f32; AT_ONCE]; 3];
    let gradient = gradient.contiguous()?;
    for start in (0..count).step_by(AT_ONCE) {
        let length = AT_ONCE.min(count - start);
        for (input, numbers) in inputs.iter().zip(&mut at_once) {
            match input {
                Some(input) => with_values(input, |all| {
                    numbers[..length].copy_from_slice(&all[start..][..length]);
                    Ok(())
                })?,
                None => numbers.fill(0.0),
            }
        }
        let [values, means, squares] = &mut at_once;
        with_values(&gradient, |gradients| {
            let state = values.iter_mut().zip(means).zip(squares);
            for (&gradient, ((value, mean), squares)) in gradients[start..][..length].iter().zip(state) {
                update(gradient, value, mean, squares);
            }
            Ok(())
        })?;
        for (updated, numbers) in updated.iter_mut().zip(&at_once) {
            updated.extend_from_slice(&numbers[..length]);
        }
    }
    let [values, means, squares] = updated.map(|numbers| Tensor::from_vec(numbers, value.shape(), &Device::Cpu));
    Ok([values?, means?, squares?])
}
