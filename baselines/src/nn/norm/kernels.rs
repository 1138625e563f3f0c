//! Batch norm on the CPU: statistics in f64, one pass over the memory of a channel.

use std::ops::AddAssign;

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, WithDType, bail};
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
            let y = by_channel(x, sizes, &of, |x, (mean, scale, bias)| (x - mean) * scale + bias);
            Ok((T::to_cpu_storage_owned(y), lx.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (of_weight, of_bias) = self.sums(x, &gradient)?;
        let count = (x.elem_count() / of_bias.len()) as f64;
        let weights = weight.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>()?;
        let parameter = |values: &[f64]| Tensor::new(values, x.device())?.to_dtype(weight.dtype()).map(Some);
        let of_weight_and_bias = (parameter(&of_weight)?, parameter(&of_bias)?);
        // ∂x = w·r·(g - mean(g) - x̂·mean(g·x̂)), x̂ = (x - mean)·r: per channel, g·a + (x - mean)·b + c.
        let of = (0..of_bias.len()).map(|c| {
            let a = weights[c] * self.inverse[c];
            [a, -a * self.inverse[c] * of_weight[c] / count, -a * of_bias[c] / count, self.mean[c]]
        });
        let of_x = x.track_op().then(|| gradient.apply_op2_no_bwd(x, &Combine(of.collect()))).transpose()?;
        Ok((of_x, of_weight_and_bias.0, of_weight_and_bias.1))
    }
}

impl Normalise {
    /// Σ g·x̂ and Σ g of each channel.
    fn sums(&self, x: &Tensor, gradient: &Tensor) -> Result<(Vec<f64>, Vec<f64>)> {
        let sizes = Sizes::of(x.shape())?;
        let ((x, lx), (g, lg)) = (x.storage_and_layout(), gradient.storage_and_layout());
        let (Storage::Cpu(x), Storage::Cpu(g)) = (&*x, &*g) else { bail!("tensor is not on the CPU") };
        by_type!(x, T => {
            let (x, g) = (values::<T>(x, lx)?, values::<T>(g, lg)?);
            let of_channel = |c: usize| {
                let mean = self.mean[c];
                let mut total = (0.0, 0.0);
                for (x, g) in sizes.planes(x, c).zip(sizes.planes(g, c)) {
                    total.0 += sum(x, g, |x, g| (x - mean) * g);
                    total.1 += sum(g, g, |g, _| g);
                }
                (total.0 * self.inverse[c], total.1)
            };
            Ok((0..sizes.channels).into_par_iter().map(of_channel).collect::<Vec<_>>().into_iter().unzip())
        })
    }
}

/// Computes `g·a + (x - mean)·b + c` of `g` and `x`, with `[a, b, c, mean]` for each channel.
struct Combine(Vec<[f64; 4]>);

impl CustomOp2 for Combine {
    fn name(&self) -> &'static str {
        "gradient of batch norm"
    }

    fn cpu_fwd(&self, g: &CpuStorage, lg: &Layout, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let sizes = Sizes::of(lx.shape())?;
        by_type!(g, T => {
            let (g, x) = (values::<T>(g, lg)?, values::<T>(x, lx)?);
            let of: Vec<[T; 4]> = self.0.iter().map(|of| of.map(T::from_f64)).collect();
            let mut y = vec![0.0; x.len()];
            let planes = y.par_chunks_exact_mut(sizes.plane).enumerate();
            let seen = g.par_chunks_exact(sizes.plane).zip(x.par_chunks_exact(sizes.plane));
            planes.zip(seen).with_min_len(sizes.planes_of_a_task()).for_each(|((plane, y), (g, x))| {
                let [a, b, c, mean] = of[plane % sizes.channels];
                y.iter_mut().zip(g.iter().zip(x)).for_each(|(y, (&g, &x))| *y = g * a + (x - mean) * b + c);
            });
            Ok((T::to_cpu_storage_owned(y), lx.shape().clone()))
        })
    }
}
