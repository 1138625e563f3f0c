//! Batch and group normalisation, `torch.nn.BatchNorm1d`, `BatchNorm2d` and `GroupNorm`.

use candle_core::{D, Result, Tensor, bail};

use super::{Init, Mode, Parameter, Scope};

/// Added to every variance, torch's default.
const EPSILON: f64 = 1e-5;
/// Share of a batch in the running statistics, torch's default.
const MOMENTUM: f64 = 0.1;

/// Batch norm over all axes but the second: `weight`, `bias`, `running_mean`, `running_var` of `[C]`, and the counter
/// `num_batches_tracked`.
#[derive(Clone, Debug)]
pub struct BatchNorm {
    weight: Parameter,
    bias: Parameter,
    running_mean: Parameter,
    running_var: Parameter,
    batches: Parameter,
}

impl BatchNorm {
    /// Of `channels` channels.
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
        })
    }

    /// `[B, C, …]` to the same shape. In training by the batch's own mean and (biased) variance, which also move the
    /// running statistics; in evaluation by the running ones.
    ///
    /// # Errors
    /// If training sees a single value a channel, if the shapes do not fit, or if the device fails.
    pub fn forward(&self, x: &Tensor, mode: Mode<'_>) -> Result<Tensor> {
        let (weight, bias) = (self.weight.value(mode), self.bias.value(mode));
        let (mean, variance) = if mode.is_training() {
            self.batch_statistics(x)?
        } else {
            (self.running_mean.value(mode), self.running_var.value(mode))
        };
        let mut shape = vec![1; x.rank()];
        shape[1] = x.dim(1)?;
        if mode.is_training() {
            let x = x.broadcast_sub(&mean.reshape(&*shape)?)?;
            let scale = (weight / (variance + EPSILON)?.sqrt()?)?.reshape(&*shape)?;
            x.broadcast_mul(&scale)?.broadcast_add(&bias.reshape(&*shape)?)
        } else {
            let scale = (weight / (variance + EPSILON)?.sqrt()?)?;
            let shift = (bias - (mean * &scale)?)?;
            x.broadcast_mul(&scale.reshape(&*shape)?)?.broadcast_add(&shift.reshape(&*shape)?)
        }
    }

    fn batch_statistics(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let (batch, channels) = (x.dim(0)?, x.dim(1)?);
        let count = x.elem_count() / channels;
        if count < 2 {
            bail!("batch norm needs more than one value a channel in training, got a tensor of {:?}", x.dims());
        }
        // The innermost axis first: candle's sums over a strided axis lose digits fast.
        let mean_of = |t: &Tensor| -> Result<Tensor> {
            (t.reshape((batch, channels, ()))?.sum(D::Minus1)?.sum(0)? * (1.0 / count as f64))?.reshape(channels)
        };
        let mut shape = vec![1; x.rank()];
        shape[1] = channels;
        let mean = mean_of(x)?;
        let variance = mean_of(&x.broadcast_sub(&mean.reshape(&*shape)?)?.sqr()?)?;
        let follow = |running: &Parameter, value: &Tensor| {
            let running = running.var();
            running.set(&((running.as_detached_tensor() * (1.0 - MOMENTUM))? + (value * MOMENTUM)?)?)
        };
        follow(&self.running_mean, &mean.detach())?;
        // The running variance is the unbiased one, as in torch.
        follow(&self.running_var, &(variance.detach() * (count as f64 / (count - 1) as f64))?)?;
        let batches = self.batches.var();
        batches.set(&(batches.as_detached_tensor() + batches.ones_like()?)?)?;
        Ok((mean, variance))
    }
}

/// Group norm: each sample's channels in groups, each group to mean 0 and variance 1, then `weight` and `bias` of `[C]`.
#[derive(Clone, Debug)]
pub struct GroupNorm {
    weight: Parameter,
    bias: Parameter,
    groups: usize,
}

impl GroupNorm {
    /// Of `channels` channels in `groups` groups.
    ///
    /// # Errors
    /// If the groups do not divide the channels, or the device fails.
    pub fn new(scope: &Scope<'_>, groups: usize, channels: usize) -> Result<Self> {
        if groups == 0 || !channels.is_multiple_of(groups) {
            bail!("{channels} channels do not fall into {groups} groups");
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
            .broadcast_mul(&self.weight.value(mode).reshape(&*shape)?)?
            .broadcast_add(&self.bias.value(mode).reshape(&*shape)?)
    }
}

/// Each of `groups` groups of each sample's channels to mean 0 and variance 1; `[B, C, …]`. With as many groups as
/// channels this is `torch.nn.InstanceNorm2d`.
///
/// # Errors
/// If the shapes do not fit, or the device fails.
pub(crate) fn standardise(x: &Tensor, groups: usize) -> Result<Tensor> {
    let rows = x.reshape((x.dim(0)? * groups, ()))?;
    let centred = rows.broadcast_sub(&rows.mean_keepdim(1)?)?;
    let variance = centred.sqr()?.mean_keepdim(1)?;
    centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?.reshape(x.shape())
}
