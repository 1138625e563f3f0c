//! The kernels of cross-entropy.

use candle_core::{CudaStorage, Layout, Result, Shape, Tensor};

use super::{
    OnGpu, allocated, by_type,
    elementwise::int,
    launch::{elementwise, grid, launch, single},
    tensor, values,
};

/// Blocks that share the sum.
const BLOCKS: u32 = 1024;

/// The loss, and the sum of the weights, from labels and weights. `sizes` are the logits' samples, classes and pixels of a
/// sample.
pub(in crate::nn) fn cross_entropy(
    (logits, layout): (&CudaStorage, &Layout),
    given: [&Tensor; 2],
    sizes: (usize, usize, usize),
) -> Result<(CudaStorage, Shape)> {
    let (classes, plane, count) = taken(sizes)?;
    let [labels, weights] = given.map(OnGpu::of);
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

/// The gradient of the logits, from logits, labels, weights, what the forward pass gave, and its gradient.
pub(in crate::nn) fn cross_entropy_gradient(
    [logits, labels, weights, totals, g]: [&Tensor; 5],
    sizes: (usize, usize, usize),
) -> Result<Tensor> {
    let (classes, plane, count) = taken(sizes)?;
    let g = g.contiguous()?;
    let [seen, labels, weights, totals, g] = [logits, labels, weights, totals, &g].map(OnGpu::of);
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

/// Classes, pixels of a sample, and all pixels, as the kernels take them.
fn taken((batch, classes, pixels): (usize, usize, usize)) -> Result<(i32, u64, u64)> {
    Ok((int(classes)?, pixels as u64, (batch * pixels) as u64))
}
