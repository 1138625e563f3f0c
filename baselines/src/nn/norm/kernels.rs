//! Batch norm on the CPU: statistics in f64, one pass over the memory of a channel.

use std::ops::AddAssign;

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Storage, Tensor, WithDType, bail};
use rayon::prelude::*;

use crate::nn::cpu::{CHUNK, Real, by_type, values};

/// Count, mean and sum of squared deviations of some values, in f64.
#[derive(Clone, Copy, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of<T: Real>(values: &[T]) -> Self {
        let count = values.len() as f64;
        let mean = sum(values, values, |v, _| v) / count;
        Self { count, mean, squares: sum(values, values, |v, _| (v - mean) * (v - mean)) }
    }
}

impl AddAssign for Moments {
    /// The rule of Chan, Golub and `LeVeque`: precise even where the mean is large compared with the deviation.
    fn add_assign(&mut self, other: Self) {
        let (count, apart) = (self.count + other.count, other.mean - self.mean);
        if count > 0.0 {
            self.mean += apart * other.count / count;
            self.squares += other.squares + apart * apart * self.count * other.count / count;
            self.count = count;
        }
    }
}

/// Σ f(a, b) in f64, in eight lanes, in a fixed order.
fn sum<T: Real>(a: &[T], b: &[T], f: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f(a.to_f64(), b.to_f64());
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| f(a.to_f64(), b.to_f64())).sum();
    lanes.iter().sum::<f64>() + rest
}

/// Σ (x - mean) · g and Σ g, of the gradients that come through the rectifier, if there is one: where its output `y` is above
/// 0. In f64, in eight lanes, in a fixed order.
fn sums_of<T: Real>(x: &[T], gradient: &[T], y: Option<&[T]>, mean: f64) -> (f64, f64) {
    let Some(y) = y else { return (sum(x, gradient, |x, g| (x - mean) * g), sum(gradient, gradient, |g, _| g)) };
    let mut lanes = [(0.0, 0.0); 8];
    let add = |(products, gradients): &mut (f64, f64), x: T, g: T, y: T| {
        let g = if y <= T::zero() { 0.0 } else { g.to_f64() };
        *products += (x.to_f64() - mean) * g;
        *gradients += g;
    };
    let ((x, x_rest), (g, g_rest), (y, y_rest)) = (x.as_chunks::<8>(), gradient.as_chunks::<8>(), y.as_chunks::<8>());
    for (x, (g, y)) in x.iter().zip(g.iter().zip(y)) {
        for (lane, (&x, (&g, &y))) in lanes.iter_mut().zip(x.iter().zip(g.iter().zip(y))) {
            add(lane, x, g, y);
        }
    }
    let mut total = (0.0, 0.0);
    for (&x, (&g, &y)) in x_rest.iter().zip(g_rest.iter().zip(y_rest)) {
        add(&mut total, x, g, y);
    }
    lanes.iter().fold(total, |sum, lane| (sum.0 + lane.0, sum.1 + lane.1))
}

/// Sizes of a tensor `[B, C, …]`.
#[derive(Clone, Copy)]
struct Sizes {
    channels: usize,
    /// Values per channel and sample.
    plane: usize,
}

impl Sizes {
    fn of(shape: &Shape) -> Result<Self> {
        let (&channels, rest) = match shape.dims() {
            [_, channels, rest @ ..] if *channels > 0 => (channels, rest),
            dims => bail!("a norm needs a tensor [B, C, …], got {dims:?}"),
        };
        Ok(Self { channels, plane: rest.iter().product::<usize>().max(1) })
    }

    /// So many that they are worth a task.
    fn planes_of_a_task(&self) -> usize {
        CHUNK.div_ceil(self.plane)
    }

    /// The planes of channel `c` in every sample.
    fn planes<'a, T: Sync>(&self, values: &'a [T], c: usize) -> impl Iterator<Item = &'a [T]> + use<'a, T> {
        values.chunks_exact(self.plane).skip(c).step_by(self.channels)
    }
}

/// Mean and biased variance of each channel of `x [B, C, …]`.
pub(super) fn statistics(x: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
    let x = x.contiguous()?;
    let sizes = Sizes::of(x.shape())?;
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else { bail!("tensor is not on the CPU") };
    let moments: Vec<Moments> = by_type!(storage, T => {
        let x = values::<T>(storage, layout)?;
        let of_channel = |c| {
            let mut moments = Moments::default();
            sizes.planes(x, c).flat_map(|plane| plane.chunks(CHUNK)).for_each(|part| moments += Moments::of(part));
            moments
        };
        (0..sizes.channels).into_par_iter().map(of_channel).collect()
    });
    Ok(moments.iter().map(|m| (m.mean, m.squares / m.count)).unzip())
}

/// `(x - mean) · scale + shift` of each channel, where `scale` is `weight` by the standard deviation and `shift` is
/// `bias`. As a `CustomOp3` of `x`, `weight`, `bias`, with the gradients of a norm by the batch's own statistics.
pub(super) struct Normalise {
    /// Mean of each channel.
    pub(super) mean: Vec<f64>,
    /// 1 / √(variance + ε) of each channel.
    pub(super) inverse: Vec<f64>,
    /// Whether negative numbers then become 0; NaN stays NaN. The derivative at 0 is 0.
    pub(super) rectifies: bool,
}

/// `f` of each number of `x` and what belongs to its channel.
fn by_channel<T: Real, P: Copy + Sync>(x: &[T], sizes: Sizes, of: &[P], f: impl Fn(T, P) -> T + Sync) -> Vec<T> {
    let mut y = vec![T::zero(); x.len()];
    let planes = y.par_chunks_exact_mut(sizes.plane).zip(x.par_chunks_exact(sizes.plane)).enumerate();
    planes.with_min_len(sizes.planes_of_a_task()).for_each(|(plane, (y, x))| {
        let of = of[plane % sizes.channels];
        y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(x, of));
    });
    y
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        weight: &CpuStorage,
        lw: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(lx.shape())?;
        by_type!(x, T => {
            let (x, weight, bias) = (values::<T>(x, lx)?, values::<T>(weight, lw)?, values::<T>(bias, lb)?);
            if [weight.len(), bias.len(), self.mean.len(), self.inverse.len()] != [sizes.channels; 4] {
                bail!("a norm of {} channels got an input of {}", self.mean.len(), sizes.channels);
            }
            let of: Vec<(T, T, T)> = (0..sizes.channels)
                .map(|c| {
                    let scale = self.inverse[c] * weight[c].to_f64();
                    (T::from_f64(self.mean[c]), T::from_f64(scale), bias[c])
                })
                .collect();
            let y = if self.rectifies {
                by_channel(x, sizes, &of, |x, (mean, scale, bias)| {
                    let y = (x - mean) * scale + bias;
                    if y <= 0.0 { 0.0 } else { y }
                })
            } else {
                by_channel(x, sizes, &of, |x, (mean, scale, bias)| (x - mean) * scale + bias)
            };
            Ok((T::to_cpu_storage_owned(y), lx.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (of_weight, of_bias) = self.sums(x, &gradient, y)?;
        let count = (x.elem_count() / of_bias.len()) as f64;
        let weights = weight.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>()?;
        let parameter = |values: &[f64]| Tensor::new(values, x.device())?.to_dtype(weight.dtype()).map(Some);
        let of_weight_and_bias = (parameter(&of_weight)?, parameter(&of_bias)?);
        // ∂x = w·r·(g - mean(g) - x̂·mean(g·x̂)), x̂ = (x - mean)·r: per channel, g·a + (x - mean)·b + c.
        let of = (0..of_bias.len()).map(|c| {
            let a = weights[c] * self.inverse[c];
            [a, -a * self.inverse[c] * of_weight[c] / count, -a * of_bias[c] / count, self.mean[c]]
        });
        let combine = Combine { of: of.collect(), rectifies: self.rectifies };
        let of_x = x.track_op().then(|| gradient.apply_op3_no_bwd(x, y, &combine)).transpose()?;
        Ok((of_x, of_weight_and_bias.0, of_weight_and_bias.1))
    }
}

impl Normalise {
    /// Σ g·x̂ and Σ g of each channel.
    fn sums(&self, x: &Tensor, gradient: &Tensor, y: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
        let sizes = Sizes::of(x.shape())?;
        let ((x, lx), (g, lg), (y, ly)) =
            (x.storage_and_layout(), gradient.storage_and_layout(), y.storage_and_layout());
        let (Storage::Cpu(x), Storage::Cpu(g), Storage::Cpu(y)) = (&*x, &*g, &*y) else {
            bail!("tensor is not on the CPU")
        };
        by_type!(x, T => {
            let (x, g, y) = (values::<T>(x, lx)?, values::<T>(g, lg)?, values::<T>(y, ly)?);
            let of_channel = |c: usize| {
                let mut total = (0.0, 0.0);
                for (x, (g, y)) in sizes.planes(x, c).zip(sizes.planes(g, c).zip(sizes.planes(y, c))) {
                    let sums = sums_of(x, g, self.rectifies.then_some(y), self.mean[c]);
                    total = (total.0 + sums.0, total.1 + sums.1);
                }
                (total.0 * self.inverse[c], total.1)
            };
            Ok((0..sizes.channels).into_par_iter().map(of_channel).collect::<Vec<_>>().into_iter().unzip())
        })
    }
}

/// Computes `g·a + (x - mean)·b + c` of `g` and `x`, with `[a, b, c, mean]` for each channel. Where there is a rectifier, `g`
/// counts only where its output `y` is above 0.
struct Combine {
    of: Vec<[f64; 4]>,
    rectifies: bool,
}

impl CustomOp3 for Combine {
    fn name(&self) -> &'static str {
        "gradient of batch norm"
    }

    fn cpu_fwd(
        &self,
        g: &CpuStorage,
        lg: &Layout,
        x: &CpuStorage,
        lx: &Layout,
        y: &CpuStorage,
        ly: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(lx.shape())?;
        by_type!(g, T => {
            let (g, x, y) = (values::<T>(g, lg)?, values::<T>(x, lx)?, values::<T>(y, ly)?);
            let of: Vec<[T; 4]> = self.of.iter().map(|of| of.map(T::from_f64)).collect();
            let mut gradient = vec![0.0; x.len()];
            let planes = gradient.par_chunks_exact_mut(sizes.plane).enumerate();
            let seen = g.par_chunks_exact(sizes.plane).zip(x.par_chunks_exact(sizes.plane));
            let seen = seen.zip(y.par_chunks_exact(sizes.plane));
            planes.zip(seen).with_min_len(sizes.planes_of_a_task()).for_each(|((plane, gradient), ((g, x), y))| {
                let [a, b, c, mean] = of[plane % sizes.channels];
                let seen = g.iter().zip(x.iter().zip(y));
                if self.rectifies {
                    gradient.iter_mut().zip(seen).for_each(|(gradient, (&g, (&x, &y)))| {
                        *gradient = if y <= 0.0 { 0.0 } else { g } * a + (x - mean) * b + c;
                    });
                } else {
                    gradient.iter_mut().zip(seen).for_each(|(gradient, (&g, (&x, _)))| {
                        *gradient = g * a + (x - mean) * b + c;
                    });
                }
            });
            Ok((T::to_cpu_storage_owned(gradient), lx.shape().clone()))
        })
    }
}
