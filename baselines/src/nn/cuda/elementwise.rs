//! Rectifier, pooling, resizing.

use candle_core::{CudaStorage, Layout, Result, Shape};

use super::{
    Real, allocated, by_type,
    launch::{elementwise, launch},
    values,
};

/// `max(x, 0)`.
pub(in crate::nn) fn relu(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let device = x.device.clone();
    by_type!(x, T => {
        let x = values::<T>(x, layout)?;
        let y = allocated::<T>(&device, x.len())?;
        let count = x.len() as u64;
        launch!(&device, T, "relu", elementwise(x.len()); &x, &y, &count);
        Ok((CudaStorage::wrap_cuda_slice(y, device), layout.shape().clone()))
    })
}

/// The gradient `g` where the output `y` is above 0, else 0.
pub(in crate::nn) fn relu_gradient(
    (g, lg): (&CudaStorage, &Layout),
    (y, ly): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let device = g.device.clone();
    by_type!(g, T => {
        let (g, y) = (values::<T>(g, lg)?, values::<T>(y, ly)?);
        let of_x = allocated::<T>(&device, g.len())?;
        let count = g.len() as u64;
        launch!(&device, T, "relu_gradient", elementwise(g.len()); &g, &y, &of_x, &count);
        Ok((CudaStorage::wrap_cuda_slice(of_x, device), lg.shape().clone()))
    })
}

/// Max-pooling with kernel 3, stride 2, padding 1.
pub(in crate::nn) fn max_pool(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let (batch, channels, height, width) = layout.shape().dims4()?;
    let shape: Shape = (batch, channels, height.div_ceil(2), width.div_ceil(2)).into();
    by_type!(x, T => of_images::<T>("max_pool", (x, layout), None, (height, width), shape))
}

/// Its gradient: `g` is that of the output, `x` the input.
pub(in crate::nn) fn max_pool_gradient(
    g: (&CudaStorage, &Layout),
    (x, layout): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let (.., height, width) = layout.shape().dims4()?;
    by_type!(x, T => of_images::<T>("max_pool_gradient", g, Some((x, layout)), (height, width), layout.shape().clone()))
}

/// Repeats every pixel in a 2×2 block.
pub(in crate::nn) fn twice(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let (batch, channels, height, width) = layout.shape().dims4()?;
    let shape: Shape = (batch, channels, 2 * height, 2 * width).into();
    by_type!(x, T => of_images::<T>("twice", (x, layout), None, (height, width), shape))
}

/// Sums each 2×2 block of pixels.
pub(in crate::nn) fn sum_of_four(g: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let (batch, channels, height, width) = layout.shape().dims4()?;
    let (height, width) = (height / 2, width / 2);
    let shape: Shape = (batch, channels, height, width).into();
    by_type!(g, T => of_images::<T>("sum_of_four", (g, layout), None, (height, width), shape))
}

/// A kernel over images of `size`, which reads one or two tensors.
fn of_images<T: Real>(
    name: &'static str,
    (x, lx): (&CudaStorage, &Layout),
    other: Option<(&CudaStorage, &Layout)>,
    (height, width): (usize, usize),
    shape: Shape,
) -> Result<(CudaStorage, Shape)> {
    use candle_core::cuda_backend::{WrapErr, cudarc::driver::PushKernelArg};
    let device = x.device.clone();
    let x = values::<T>(x, lx)?;
    let other = other.map(|(storage, layout)| values::<T>(storage, layout)).transpose()?;
    let elements = shape.elem_count();
    let y = allocated::<T>(&device, elements)?;
    let (height, width, count) = (int(height)?, int(width)?, elements as u64);
    let (function, stream) = (super::launch::kernel::<T>(&device, name)?, device.cuda_stream());
    let mut builder = stream.launch_builder(&function);
    builder.arg(&x);
    if let Some(other) = &other {
        builder.arg(other);
    }
    builder.arg(&y).arg(&height).arg(&width).arg(&count);
    #[expect(unsafe_code, reason = "a call of CUDA")]
    // SAFETY: the arguments are those of the kernels above, which stay within the sizes that they are given.
    unsafe { builder.launch(elementwise(elements)) }.w()?;
    Ok((CudaStorage::wrap_cuda_slice(y, device), shape))
}

/// A size as the kernels take it.
pub(super) fn int(size: usize) -> Result<i32> {
    i32::try_from(size).map_err(candle_core::Error::wrap)
}
