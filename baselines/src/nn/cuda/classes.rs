//! The class of each pixel.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::{
    by_type,
    elementwise::int,
    launch::{elementwise, launch},
    values,
};

/// The class with the largest of the logits `[B, K, …]` of each pixel: `[B, 1 + N]`, u8, of which the first byte is 1 if a
/// logit of the sample is not finite, else 0.
pub(in crate::nn) fn largest_logits(logits: &Tensor) -> Result<Tensor> {
    logits.contiguous()?.apply_op1_no_bwd(&LargestLogits)
}

struct LargestLogits;

impl CustomOp1 for LargestLogits {
    fn name(&self) -> &'static str {
        "largest logits"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("this operation is for a GPU")
    }

    fn cuda_fwd(&self, logits: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (batch, classes, pixels) = match layout.dims() {
            [batch, classes, rest @ ..] => (*batch, *classes, rest.iter().product::<usize>().max(1)),
            dims => bail!("logits are [B, K, …], got {dims:?}"),
        };
        let device = logits.device.clone();
        let found = device.alloc_zeros::<u8>(batch * (1 + pixels))?;
        let (classes, plane, count) = (int(classes)?, pixels as u64, (batch * pixels) as u64);
        by_type!(logits, T => {
            let logits = values::<T>(logits, layout)?;
            launch!(
                &device, T, "largest_logits", elementwise(batch * pixels);
                &logits, &found, &classes, &plane, &count,
            );
        });
        Ok((CudaStorage::wrap_cuda_slice(found, device), (batch, 1 + pixels).into()))
    }
}
