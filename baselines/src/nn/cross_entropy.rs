//! Cross-entropy of logits: one pass forward, one backward, and nothing of the size of the logits in between.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Storage, Tensor, WithDType, bail};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda;
use super::{
    constants::constant,
    cpu::{CHUNK, Real, by_type, values, with_scratch},
    geometry::sizes_of_logits,
    kernels,
};

/// The mean of `-log p[t]` over the pixels whose label `t` is not 255, weighted by the labels' classes: a scalar, f64, on our
/// kernels; `None` where they do not compute `logits`.
///
/// * `logits` – `[B, K, …]`.
/// * `labels` – `[B, …]`, u8. On the CPU, all are below `K`, or 255; on a GPU, another makes the loss NaN.
/// * `weights` – `K` factors.
///
/// # Errors
/// If shapes disagree, or the device fails.
pub(crate) fn cross_entropy(logits: &Tensor, labels: &Tensor, weights: &[f64]) -> Result<Option<Tensor>> {
    if !kernels::take(logits) {
        return Ok(None);
    }
    let numbers: Vec<u64> = weights.iter().map(|weight| weight.to_bits()).collect();
    let of = (DType::F64, logits.device());
    let weights = constant("class weights", &numbers, of, || Tensor::new(weights, &Device::Cpu))?;
    let op = CrossEntropy { labels: labels.contiguous()?, weights };
    logits.contiguous()?.apply_op1(op)?.narrow(0, 0, 1)?.reshape(()).map(Some)
}

/// Of logits `[B, K, …]`: `[2]`, f64, the loss `Σ w[t]·-log p[t] / Σ w[t]` and the sum of the weights. If no pixel has a weight,
/// the loss is 0 and the sum is 1.
struct CrossEntropy {
    /// `[B, …]`, u8.
    labels: Tensor,
    /// Weights of the classes, `[K]`, f64.
    weights: Tensor,
}

impl CrossEntropy {
    /// Samples, classes, and pixels of a sample.
    fn sizes(&self, logits: &Shape) -> Result<(usize, usize, usize)> {
        let (batch, classes, pixels) = sizes_of_logits(logits)?;
        if self.labels.elem_count() != batch * pixels || self.weights.elem_count() != classes {
            bail!("logits of shape {logits:?} do not fit {} labels", self.labels.elem_count());
        }
        Ok((batch, classes, pixels))
    }

    /// Labels and weights, which are on the CPU.
    fn given(&self) -> Result<(Vec<u8>, Vec<f64>)> {
        Ok((self.labels.flatten_all()?.to_vec1()?, self.weights.to_vec1()?))
    }

    fn forward<T: Real>(&self, logits: &[T], shape: &Shape) -> Result<Vec<f64>> {
        let (_, classes, pixels) = self.sizes(shape)?;
        let (labels, weights) = self.given()?;
        let samples = logits.par_chunks(classes * pixels).zip(labels.par_chunks(pixels));
        let sums = samples.flat_map(|(logits, labels)| {
            labels.par_chunks(CHUNK).enumerate().map(|(part, labels)| {
                let rows = logits.chunks_exact(pixels).map(|class| &class[part * CHUNK..][..labels.len()]);
                loss_of(&rows.collect::<Vec<_>>(), labels, &weights)
            })
        });
        // In the order of the pixels: the number of threads changes no bit.
        let sums: Vec<[f64; 2]> = sums.collect();
        let [loss, weight] = [0, 1].map(|what| sums.iter().map(|sums| sums[what]).sum::<f64>());
        let weight = if weight > 0.0 { weight } else { 1.0 };
        Ok(vec![loss / weight, weight])
    }

    /// The gradient of the logits. `scale` is the gradient of the loss over the sum of the weights.
    fn gradient<T: Real>(&self, logits: &[T], shape: &Shape, scale: f64) -> Result<Vec<T>> {
        let (_, classes, pixels) = self.sizes(shape)?;
        let (labels, weights) = self.given()?;
        let scaled: Vec<f64> = weights.iter().map(|weight| scale * weight).collect();
        let mut of_logits = vec![T::zero(); logits.len()];
        let samples = of_logits.par_chunks_mut(classes * pixels).zip(logits.par_chunks(classes * pixels));
        samples.zip(labels.par_chunks(pixels)).for_each(|((of_logits, logits), labels)| {
            // The pixels of a part lie apart, in a row of each class.
            let mut parts: Vec<Vec<&mut [T]>> = Vec::new();
            parts.resize_with(pixels.div_ceil(CHUNK), || Vec::with_capacity(classes));
            for class in of_logits.chunks_mut(pixels) {
                parts.iter_mut().zip(class.chunks_mut(CHUNK)).for_each(|(part, row)| part.push(row));
            }
            let parts = parts.par_iter_mut().zip(labels.par_chunks(CHUNK)).enumerate();
            parts.for_each(|(part, (of_rows, labels))| {
                let rows = logits.chunks_exact(pixels).map(|class| &class[part * CHUNK..][..labels.len()]);
                gradient_of(of_rows, rows, labels, &scaled);
            });
        });
        Ok(of_logits)
    }
}

/// The weighted sum of the losses of some pixels, and the sum of their weights, from a row of logits of each class.
fn loss_of<T: Real>(rows: &[&[T]], labels: &[u8], weights: &[f64]) -> [f64; 2] {
    with_scratch([labels.len(); 2], |most, sums| {
        largest(rows.iter().copied(), most);
        sums.fill(T::zero());
        for row in rows {
            for ((sum, &most), &x) in sums.iter_mut().zip(&*most).zip(*row) {
                *sum += (x - most).exp();
            }
        }
        weighted(labels, weights).fold([0.0; 2], |[losses, of_all], (pixel, label, weight)| {
            let centred = rows[label][pixel] - most[pixel];
            [losses + weight * (sums[pixel].ln() - centred).to_f64(), of_all + weight]
        })
    })
}

/// The gradient of that sum with respect to the logits, to a row of each class.
fn gradient_of<'a, T: Real>(
    of_rows: &mut [&mut [T]],
    rows: impl Iterator<Item = &'a [T]> + Clone,
    labels: &[u8],
    weights: &[f64],
) {
    with_scratch([labels.len(); 2], |most, factors| {
        largest(rows.clone(), most);
        // At first the sums of the exponentials.
        factors.fill(T::zero());
        for (of_row, row) in of_rows.iter_mut().zip(rows) {
            for (((of, sum), &most), &x) in of_row.iter_mut().zip(&mut *factors).zip(&*most).zip(row) {
                *of = (x - most).exp();
                *sum += *of;
            }
        }
        for (factor, &label) in factors.iter_mut().zip(labels) {
            let weight = weights.get(usize::from(label)).copied().unwrap_or(0.0);
            *factor = T::from_f64(weight) / *factor;
        }
        for of_row in &mut *of_rows {
            of_row.iter_mut().zip(&*factors).for_each(|(of, &factor)| *of *= factor);
        }
        for (pixel, label, weight) in weighted(labels, weights) {
            of_rows[label][pixel] -= T::from_f64(weight);
        }
    });
}

/// The largest of the logits of each pixel, from a row of logits of each class. What is no number stays so in the loss: its
/// exponential is none.
fn largest<'a, T: Real>(mut rows: impl Iterator<Item = &'a [T]>, most: &mut [T]) {
    most.copy_from_slice(rows.next().unwrap_or_default());
    for row in rows {
        for (most, &x) in most.iter_mut().zip(row) {
            *most = if x > *most { x } else { *most };
        }
    }
}

/// Pixels whose label is a class: their number, the label, and the weight.
fn weighted<'a>(labels: &'a [u8], weights: &'a [f64]) -> impl Iterator<Item = (usize, usize, f64)> + 'a {
    let labels = labels.iter().map(|&label| usize::from(label)).enumerate();
    labels.filter_map(|(pixel, label)| Some((pixel, label, *weights.get(label)?)))
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(logits, T => {
            let totals = self.forward(values::<T>(logits, layout)?, layout.shape())?;
            Ok((f64::to_cpu_storage_owned(totals), 2.into()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, logits: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::cross_entropy((logits, layout), [&self.labels, &self.weights], self.sizes(layout.shape())?)
    }

    fn bwd(&self, logits: &Tensor, totals: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        #[cfg(feature = "cuda")]
        if kernels::take_on_gpu(logits) {
            let given = [logits, &self.labels, &self.weights, totals, gradient];
            return cuda::cross_entropy_gradient(given, self.sizes(logits.shape())?).map(Some);
        }
        let [of_loss, _] = gradient.to_vec1::<f64>()?[..] else { bail!("the loss and the sum of the weights are two") };
        let [_, weight] = totals.to_vec1::<f64>()?[..] else { bail!("the loss and the sum of the weights are two") };
        let (storage, layout) = logits.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else { bail!("the logits are not on the CPU") };
        by_type!(storage, T => {
            let of_logits = self.gradient(values::<T>(storage, layout)?, logits.shape(), of_loss / weight)?;
            Tensor::from_vec(of_logits, logits.shape(), &Device::Cpu).map(Some)
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::nn::with_plain_tensors;

    /// Loss and gradient of logits `[2, 3, 70, 70]`, of which each row of 4,900 pixels is more than one part.
    fn loss(dtype: DType) -> (f64, Vec<f64>) {
        const SIDE: usize = 70;
        let numbers: Vec<f64> = (0..2 * 3 * SIDE * SIDE).map(|i| 4.0 * (0.37 * i as f64).sin()).collect();
        let logits = Tensor::from_vec(numbers, (2, 3, SIDE, SIDE), &Device::Cpu).unwrap().to_dtype(dtype).unwrap();
        let labels: Vec<u8> = (0..2 * SIDE * SIDE).map(|i| [0, 2, 255, 1, 2, 0, 1][i % 7]).collect();
        let labels = Tensor::from_vec(labels, (2, SIDE, SIDE), &Device::Cpu).unwrap();
        let logits = Var::from_tensor(&logits).unwrap();
        let loss = crate::train::cross_entropy(&logits, &labels, &[1.0, 0.25, 0.0]).unwrap();
        assert_eq!(loss.dtype(), dtype);
        let gradient = (&loss * 3.0).unwrap().backward().unwrap().remove(&logits).unwrap();
        let numbers = |x: &Tensor| x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        (numbers(&loss)[0], numbers(&gradient))
    }

    #[test]
    fn loss_and_gradient_are_those_of_plain_tensors() {
        for (dtype, tolerance) in [(DType::F64, 1e-13), (DType::F32, 2e-6)] {
            let ((found, gradient), (expected, of_plain)) = (loss(dtype), with_plain_tensors(|| loss(dtype)));
            assert!((found / expected - 1.0).abs() < tolerance, "{dtype:?}: {found} is not {expected}");
            let largest = of_plain.iter().fold(0.0f64, |most, g| most.max(g.abs()));
            for (found, expected) in gradient.iter().zip(&of_plain) {
                assert!((found - expected).abs() <= tolerance * largest, "{dtype:?}: {found} is not {expected}");
            }
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let with = |threads| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| loss(DType::F32))
        };
        let alone = with(1);
        assert_eq!(with(4), alone);
    }
}
