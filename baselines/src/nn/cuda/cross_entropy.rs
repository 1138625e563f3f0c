//! Cross-entropy of logits: one pass forward, one backward, and nothing of the size of the logits in between.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Storage, Tensor, bail};

use super::{
    allocated, by_type,
    elementwise::int,
    launch::{elementwise, grid, launch, single},
    values,
};

/// Blocks that share the sum.
const BLOCKS: u32 = 1024;

/// Cross-entropy of logits `[B, K, …]` over the pixels whose label is not 255: `[2]`, f64, the loss
/// `Σ w[t]·-log p[t] / Σ w[t]` and the sum of the weights. If no pixel has a weight, the loss is 0 and the sum is 1; if a
/// label is no class, the loss is NaN.
#[derive(Clone)]
pub(crate) struct CrossEntropy {
    /// `[B, …]`, u8.
    pub(crate) labels: Tensor,
    /// Weights of the classes, `[K]`, f64.
    pub(crate) weights: Tensor,
}

/// Runs `body` with the views of the labels, of the weights and of the loss with its sum of weights.
macro_rules! with_labels {
    ($op:expr, $layout:expr, ($labels:ident, $weights:ident, $classes:ident, $plane:ident) => $body:expr) => {{
        let ((labels, ll), (weights, lw)) = ($op.labels.storage_and_layout(), $op.weights.storage_and_layout());
        let (Storage::Cuda(labels), Storage::Cuda(weights)) = (&*labels, &*weights) else {
            bail!("the labels are not on a GPU")
        };
        let ($labels, $weights) = (values::<u8>(labels, ll)?, values::<f64>(weights, lw)?);
        let (classes, plane) = match $layout.dims() {
            [_, classes, rest @ ..] => (*classes, rest.iter().product::<usize>().max(1)),
            dims => bail!("logits are [B, K, …], got {dims:?}"),
        };
        if $labels.len() * classes != $layout.shape().elem_count() || $weights.len() != classes {
            bail!("logits of shape {:?} do not fit {} labels", $layout.dims(), $labels.len());
        }
        let ($classes, $plane) = (int(classes)?, plane as u64);
        $body
    }};
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this loss is for a GPU")
    }

    fn cuda_fwd(&self, logits: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let device = logits.device.clone();
        let parts = allocated::<f64>(&device, 2 * BLOCKS as usize)?;
        with_labels!(self, layout, (labels, weights, classes, plane) => {
            let count = labels.len() as u64;
            by_type!(logits, T => {
                let logits = values::<T>(logits, layout)?;
                launch!(
                    &device, T, "cross_entropy", grid(BLOCKS, 1);
                    &logits, &labels, &weights, &parts, &classes, &plane, &count,
                );
            });
        });
        let totals = allocated::<f64>(&device, 2)?;
        let count = int(BLOCKS as usize)?;
        launch!(&device, f64, "cross_entropy_end", single(); &parts, &totals, &count);
        Ok((CudaStorage::wrap_cuda_slice(totals, device), 2.into()))
    }

    fn bwd(&self, logits: &Tensor, totals: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let op = Gradient { of: self.clone(), totals: totals.detach() };
        logits.detach().apply_op2_no_bwd(&gradient.contiguous()?, &op).map(Some)
    }
}

/// The gradient of the logits, from that of the loss.
struct Gradient {
    of: CrossEntropy,
    /// What the forward pass gave.
    totals: Tensor,
}

impl CustomOp2 for Gradient {
    fn name(&self) -> &'static str {
        "gradient of cross-entropy"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this loss is for a GPU")
    }

    fn cuda_fwd(
        &self,
        logits: &CudaStorage,
        layout: &Layout,
        g: &CudaStorage,
        lg: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let device = logits.device.clone();
        let (totals, lt) = self.totals.storage_and_layout();
        let Storage::Cuda(totals) = &*totals else { bail!("the loss is not on a GPU") };
        let (g, totals) = (values::<f64>(g, lg)?, values::<f64>(totals, lt)?);
        with_labels!(self.of, layout, (labels, weights, classes, plane) => {
            let count = labels.len() as u64;
            by_type!(logits, T => {
                let logits = values::<T>(logits, layout)?;
                let of_logits = allocated::<T>(&device, logits.len())?;
                launch!(
                    &device, T, "cross_entropy_gradient", elementwise(labels.len());
                    &g, &totals, &logits, &labels, &weights, &of_logits, &classes, &plane, &count,
                );
                Ok((CudaStorage::wrap_cuda_slice(of_logits, device), layout.shape().clone()))
            })
        })
    }
}
