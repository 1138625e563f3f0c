//! Cross-entropy of logits: one pass forward, one backward, and nothing of the size of the logits in between.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::{
    OnGpu, allocated, by_type,
    elementwise::int,
    launch::{elementwise, grid, launch, single},
    sizes_of_logits, tensor, values,
};

/// Blocks that share the sum.
const BLOCKS: u32 = 1024;

/// Cross-entropy of logits `[B, K, …]` over the pixels whose label is not 255: `[2]`, f64, the loss
/// `Σ w[t]·-log p[t] / Σ w[t]` and the sum of the weights. If no pixel has a weight, the loss is 0 and the sum is 1; if a
/// label is no class, the loss is NaN.
pub(crate) struct CrossEntropy {
    /// `[B, …]`, u8.
    pub(crate) labels: Tensor,
    /// Weights of the classes, `[K]`, f64.
    pub(crate) weights: Tensor,
}

impl CrossEntropy {
    /// Classes, pixels of a sample, and all pixels, as the kernels take them.
    fn sizes(&self, logits: &Shape) -> Result<(i32, u64, u64)> {
        let (batch, classes, pixels) = sizes_of_logits(logits)?;
        if self.labels.elem_count() != batch * pixels || self.weights.elem_count() != classes {
            bail!("logits of shape {logits:?} do not fit {} labels", self.labels.elem_count());
        }
        Ok((int(classes)?, pixels as u64, (batch * pixels) as u64))
    }

    /// The gradient of the logits, from that of the loss. `totals` is what the forward pass gave.
    fn gradient(&self, logits: &Tensor, totals: &Tensor, g: &Tensor) -> Result<Tensor> {
        let (classes, plane, count) = self.sizes(logits.shape())?;
        let g = g.contiguous()?;
        let [seen, labels, weights, totals, g] = [logits, &self.labels, &self.weights, totals, &g].map(OnGpu::of);
        let (labels, weights) = (labels.values::<u8>()?, weights.values::<f64>()?);
        let (totals, g) = (totals.values::<f64>()?, g.values::<f64>()?);
        let (storage, device) = (seen.storage()?, &seen.storage()?.device);
        by_type!(storage, T => {
            let values = seen.values::<T>()?;
            let of_logits = allocated::<T>(device, values.len())?;
            launch!(
                device, T, "cross_entropy_gradient", elementwise(labels.len());
                &g, &totals, &values, &labels, &weights, &of_logits, &classes, &plane, &count,
            );
            Ok(tensor(of_logits, device, logits.shape()))
        })
    }
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this loss is for a GPU")
    }

    fn cuda_fwd(&self, logits: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (classes, plane, count) = self.sizes(layout.shape())?;
        let [labels, weights] = [&self.labels, &self.weights].map(OnGpu::of);
        let (labels, weights) = (labels.values::<u8>()?, weights.values::<f64>()?);
        let device = logits.device.clone();
        let parts = allocated::<f64>(&device, 2 * BLOCKS as usize)?;
        by_type!(logits, T => {
            let logits = values::<T>(logits, layout)?;
            launch!(
                &device, T, "cross_entropy", grid(BLOCKS, 1);
                &logits, &labels, &weights, &parts, &classes, &plane, &count,
            );
        });
        let totals = allocated::<f64>(&device, 2)?;
        let count = int(BLOCKS as usize)?;
        launch!(&device, f64, "cross_entropy_end", single(); &parts, &totals, &count);
        Ok((CudaStorage::wrap_cuda_slice(totals, device), 2.into()))
    }

    fn bwd(&self, logits: &Tensor, totals: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.gradient(logits, totals, gradient).map(Some)
    }
}
