//! Batch and group normalisation, `torch.nn.BatchNorm1d`, `BatchNorm2d` and `GroupNorm`.

mod kernels;

use candle_core::{D, DType, Result, Tensor, bail};

use self::kernels::Normalise;
use super::{Init, Map, Mode, Parameter, Scope, kernels::take_on_cpu, relu};
#[cfg(feature = "cuda")]
use super::{cuda, kernels::take_on_gpu};

/// ε, added to every variance. torch's default.
const EPSILON: f64 = 1e-5;
/// Batch norm over all axes but the second: `weight`, `bias`, `running_mean`, `running_var` of `[C]`, and the counter
/// `num_batches_tracked`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Parameter,
    bias: Parameter,
    running_mean: Parameter,
    running_var: Parameter,
    batches: Parameter,
    /// Fraction of a batch in the running statistics.
    momentum: f64,
}

impl BatchNorm {
    /// A norm of `channels` channels with the network's momentum, [`Scope::norm_momentum`].
    ///
    /// # Errors
    /// If the device fails.
    pub fn new(scope: &Scope<'_>, channels: usize) -> Result<Self> {
        Ok(Self {
            weight: scope.weight("weight", channels, Init::Constant(1.0))?,
            bias: scope.weight("bias", channels, Init::Constant(0.0))?,
            running_mean: scope.statistic("running_mean", channels, 0.0)?,
            running_var: scope.statistic("running_var", channels, 1.0)?,
            batches: scope.counter("num_batches_tracked")?,
            momentum: scope.norm_momentum(),
        })
    }

    /// `[B, C, …]` to the same shape. Training normalises with the batch's mean and (biased) variance and updates the
    /// running statistics; evaluation normalises with the running statistics.
    ///
    /// # Errors
    /// If a training batch has a single value per channel, the shapes do not fit, or the device fails.
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        self.normalise(x, false, mode)
    }

    /// The same, and the rectifier after it.
    ///
    /// # Errors
    /// Those of [`Self::forward`].
    pub fn forward_rectified(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        self.normalise(x, true, mode)
    }

    fn normalise(&self, x: &Tensor, rectifies: bool, mode: Mode<'_>) -> Result<Tensor> {
        let (weight, bias) = (self.weight.value(mode)?, self.bias.value(mode)?);
        let after = |y: Tensor| if rectifies { relu(&y) } else { Ok(y) };
        if !mode.is_training() {
            return if take_on_cpu(x) && !x.track_op() {
                let numbers = |p: &Parameter| p.value(mode)?.to_dtype(DType::F64)?.to_vec1::<f64>();
                let inverse = numbers(&self.running_var)?.iter().map(|v| 1.0 / (v + EPSILON).sqrt()).collect();
                x.contiguous()?.apply_op3_no_bwd(
                    &weight,
                    &bias,
                    &Normalise { mean: numbers(&self.running_mean)?, inverse, rectifies },
                )
            } else {
                let (scale, shift) = self.scale_and_shift()?;
                after(scaled(x, &scale, &shift)?)
            };
        }
        let count = x.elem_count() / x.dim(1)?.max(1);
        if count < 2 {
            bail!("batch norm needs more than one value per channel in training, got a tensor of shape {:?}", x.dims());
        }
        let (y, mean, variance) = if take_on_cpu(x) {
            by_kernels(x, &weight, &bias, rectifies)?
        } else {
            let (y, mean, variance) = elsewhere(x, &weight, &bias)?;
            (after(y)?, mean, variance)
        };
        self.update_running_stats(&mean, &variance, count)?;
        Ok(y)
    }

    /// Evaluation as `x · scale + shift`, each `[C]` in the type of the parameters.
    pub(super) fn scale_and_shift(&self) -> Result<(Tensor, Tensor)> {
        self.scale_and_shift_in(self.weight.var().dtype())
    }

    /// The same, computed in f64.
    pub(super) fn scale_and_shift_in_f64(&self) -> Result<(Vec<f64>, Vec<f64>)> {
        let (scale, shift) = self.scale_and_shift_in(DType::F64)?;
        Ok((scale.to_vec1()?, shift.to_vec1()?))
    }

    fn scale_and_shift_in(&self, dtype: DType) -> Result<(Tensor, Tensor)> {
        let value = |p: &Parameter| p.var().as_detached_tensor().to_dtype(dtype);
        let scale = (value(&self.weight)? / (value(&self.running_var)? + EPSILON)?.sqrt()?)?;
        let shift = (value(&self.bias)? - (value(&self.running_mean)? * &scale)?)?;
        Ok((scale, shift))
    }

    /// Updates the running statistics with those of a batch of `count` values per channel.
    fn update_running_stats(&self, mean: &Tensor, variance: &Tensor, count: usize) -> Result<()> {
        let update = |running: &Parameter, value: &Tensor| {
            let running = running.var();
            running.set(&((running.as_detached_tensor() * (1.0 - self.momentum))? + (value * self.momentum)?)?)
        };
        update(&self.running_mean, mean)?;
        // The running variance is unbiased, as in torch.
        update(&self.running_var, &(variance * (count as f64 / (count - 1) as f64))?)?;
        let batches = self.batches.var();
        batches.set(&(batches.as_detached_tensor() + batches.ones_like()?)?)
    }
}

/// Normalises `x [B, C, …]` with its own statistics, then applies `weight` and `bias`. Also returns the mean and the
/// biased variance, without gradients.
fn elsewhere(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    #[cfg(feature = "cuda")]
    if take_on_gpu(x) {
        return cuda::batch_norm(x, weight, bias, EPSILON);
    }
    composed(x, weight, bias)
}

/// The same by the kernels of the CPU, and the rectifier, if there is one.
fn by_kernels(x: &Tensor, weight: &Tensor, bias: &Tensor, rectifies: bool) -> Result<(Tensor, Tensor, Tensor)> {
    let x = x.contiguous()?;
    let (mean, variance) = kernels::statistics(&x)?;
    let to_device = |values: &[f64]| Tensor::new(values, x.device())?.to_dtype(x.dtype());
    let (of_mean, of_variance) = (to_device(&mean)?, to_device(&variance)?);
    let inverse = variance.iter().map(|v| 1.0 / (v + EPSILON).sqrt()).collect();
    Ok((x.apply_op3(weight, bias, Normalise { mean, inverse, rectifies })?, of_mean, of_variance))
}

/// The same, composed of candle's operations, for other devices.
pub(super) fn composed(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let (batch, channels) = (x.dim(0)?, x.dim(1)?);
    let count = x.elem_count() / channels;
    let mut shape = vec![1; x.rank()];
    shape[1] = channels;
    let like = x.dtype();
    let x = &x.to_dtype(weight.dtype())?;
    // The innermost axis first: candle's sums over a strided axis lose precision.
    let mean_of = |t: &Tensor| -> Result<Tensor> {
        (t.reshape((batch, channels, ()))?.sum(D::Minus1)?.sum(0)? * (1.0 / count as f64))?.reshape(channels)
    };
    let mean = mean_of(x)?;
    let centred = x.broadcast_sub(&mean.reshape(&*shape)?)?;
    let variance = mean_of(&centred.sqr()?)?;
    let scale = (weight / (&variance + EPSILON)?.sqrt()?)?;
    Ok((scaled(&centred, &scale, bias)?.to_dtype(like)?, mean.detach(), variance.detach()))
}

/// `x · scale + shift` of each channel of `[B, C, …]`.
fn scaled(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dim(1)?;
    let like = |t: &Tensor| t.to_dtype(x.dtype())?.reshape(&*shape);
    x.broadcast_mul(&like(scale)?)?.broadcast_add(&like(shift)?)
}

/// Group norm: each sample's channels in groups, each group to mean 0 and variance 1, then `weight` and `bias` of
/// `[C]`.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    weight: Parameter,
    bias: Parameter,
    groups: usize,
}

impl GroupNorm {
    /// A norm of `channels` channels in `groups` groups.
    ///
    /// # Errors
    /// If the groups do not divide the channels, or the device fails.
    pub fn new(scope: &Scope<'_>, groups: usize, channels: usize) -> Result<Self> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            bail!("cannot divide {channels} channels into {groups} groups");
        }
        let weight = scope.weight("weight", channels, Init::Constant(1.0))?;
        Ok(Self { weight, bias: scope.weight("bias", channels, Init::Constant(0.0))?, groups })
    }

    /// `[B, C, …]` to the same shape.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let mut shape = vec![1; x.rank()];
        shape[1] = x.dim(1)?;
        standardise(x, self.groups)?
            .broadcast_mul(&self.weight.like(x, mode)?.reshape(&*shape)?)?
            .broadcast_add(&self.bias.like(x, mode)?.reshape(&*shape)?)
    }

    /// The same of a map, and the rectifier after it.
    ///
    /// # Errors
    /// If the shapes do not fit, or the device fails.
    pub fn rectified(&self, x: &Map, mode: Mode<'_>) -> Result<Map> {
        let value = |parameter: &Parameter| parameter.var().as_detached_tensor();
        match x.normalised(self.groups, &value(&self.weight), &value(&self.bias), EPSILON)? {
            Some(y) => Ok(y),
            None => Ok(relu(&self.forward(&x.tensor()?, mode)?)?.into()),
        }
    }
}

/// Normalises each of `groups` groups of each sample's channels to mean 0 and variance 1; `[B, C, …]`. With as many
/// groups as channels this is `torch.nn.InstanceNorm2d`.
///
/// # Errors
/// If the shapes do not fit, or the device fails.
pub(crate) fn standardise(x: &Tensor, groups: usize) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if take_on_gpu(x) {
        return cuda::standardise(x, groups, EPSILON);
    }
    let rows = x.reshape((x.dim(0)? * groups, ()))?;
    let centred = rows.broadcast_sub(&rows.mean_keepdim(1)?)?;
    let variance = centred.sqr()?.mean_keepdim(1)?;
    centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?.reshape(x.shape())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{
        Builder,
        gradcheck::{assert_agree, assert_gradients, image},
    };
    use candle_core::Device;

    #[test]
    fn gradients_are_right_and_both_ways_agree() {
        for dims in [&[2, 3, 5, 4][..], &[1, 2, 1, 7], &[3, 4], &[2, 1, 6]] {
            let (x, weight, bias) = (image(dims), image(&[dims[1]]), image(&[dims[1]]));
            assert_gradients(&[&x, &weight, &bias], |t| Ok(by_kernels(&t[0], &t[1], &t[2], false)?.0));
            assert_gradients(&[&x, &weight, &bias], |t| Ok(by_kernels(&t[0], &t[1], &t[2], true)?.0));
            assert_agree(
                &[&x, &weight, &bias],
                |t| Ok(by_kernels(&t[0], &t[1], &t[2], true)?.0),
                |t| relu(&composed(&t[0], &t[1], &t[2])?.0),
            );
            for output in 0..3 {
                let pick = |(y, mean, variance): (Tensor, Tensor, Tensor)| [y, mean, variance][output].clone();
                // The returned statistics have no gradient.
                assert_agree(
                    &[&x, &weight, &bias],
                    |t| Ok(pick(by_kernels(&t[0], &t[1], &t[2], false)?)),
                    |t| Ok(pick(composed(&t[0], &t[1], &t[2])?)),
                );
            }
        }
    }

    #[test]
    fn the_statistics_of_many_large_values_are_exact() {
        // Σ of a million numbers near 1000 in f32 would be off in the fourth digit, and their variance wholly.
        let pixels: Vec<f32> = (0..1 << 20).map(|i| 1000.0 + if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
        let x = Tensor::from_vec(pixels, (2, 2, 512, 512), &Device::Cpu).unwrap();
        let (mean, variance) = kernels::statistics(&x).unwrap();
        for (m, v) in mean.iter().zip(&variance) {
            assert!((m - 1000.0).abs() < 1e-9 && (v - 0.25).abs() < 1e-9, "{m} {v}");
        }
    }

    #[test]
    fn training_updates_the_running_statistics_and_evaluation_uses_them() {
        let builder = Builder::new(DType::F64, &Device::Cpu, 1);
        let norm = BatchNorm::new(&builder.root(), 2).unwrap();
        let x = Tensor::new(&[[1.0f64, 5.0], [3.0, 5.0], [5.0, 8.0]], &Device::Cpu).unwrap();
        norm.forward(&x, Mode::TRAIN_WITHOUT_DROPOUT).unwrap();
        let parameters = builder.finish();
        let numbers = |name: &str| parameters.get(name).unwrap().var().to_vec1::<f64>().unwrap();
        let close = |a: &[f64], b: &[f64]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{a:?} {b:?}");
        close(&numbers("running_mean"), &[0.3, 0.6]);
        // Unbiased variances: 4 and 3.
        close(&numbers("running_var"), &[0.9 + 0.4, 0.9 + 0.3]);
        assert_eq!(parameters.get("num_batches_tracked").unwrap().var().to_scalar::<i64>().unwrap(), 1);
        let y = norm.forward(&x, Mode::EVAL).unwrap().to_vec2::<f64>().unwrap();
        close(&y[2], &[4.7 / (1.3f64 + 1e-5).sqrt(), 7.4 / (1.2f64 + 1e-5).sqrt()]);
        assert!(norm.forward(&x.narrow(0, 0, 1).unwrap(), Mode::TRAIN_WITHOUT_DROPOUT).is_err());
    }

    #[test]
    fn groups_have_the_right_gradients() {
        for (dims, groups) in [([2, 4, 3, 5], 2), ([1, 6, 2, 2], 3), ([2, 2, 4, 3], 2)] {
            assert_gradients(&[&image(&dims)], |t| standardise(&t[0], groups));
            let builder = Builder::new(DType::F64, &Device::Cpu, 1);
            let norm = GroupNorm::new(&builder.root(), groups, dims[1]).unwrap();
            assert_gradients(&[&image(&dims)], |t| norm.forward(&t[0], Mode::TRAIN_WITHOUT_DROPOUT));
        }
    }

    #[test]
    fn groups_of_many_large_values_keep_their_digits() {
        let pixels: Vec<f32> = (0..1 << 18).map(|i| 100.0 + if i % 2 == 0 { 0.5 } else { -0.5 }).collect();
        let x = Tensor::from_vec(pixels, (1, 4, 256, 256), &Device::Cpu).unwrap();
        let y = standardise(&x, 2).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let worst = y.iter().map(|y| (y.abs() - 1.0).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }
}
