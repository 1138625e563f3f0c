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
    by_type!(x, T => of_images::<T>("max_pool", (x, layout), (height, width), shape))
}

/// Its gradient: `g` is that of the output, `x` the input.
pub(in crate::nn) fn max_pool_gradient(
    (g, lg): (&CudaStorage, &Layout),
    (x, lx): (&CudaStorage, &Layout),
) -> Result<(CudaStorage, Shape)> {
    let (.., height, width) = lx.shape().dims4()?;
    let device = x.device.clone();
    by_type!(x, T => {
        let (g, x) = (values::<T>(g, lg)?, values::<T>(x, lx)?);
        let of_x = allocated::<T>(&device, x.len())?;
        let (height, width, count) = (int(height)?, int(width)?, x.len() as u64);
        let config = elementwise(x.len());
        launch!(&device, T, "max_pool_gradient", config; &g, &x, &of_x, &height, &width, &count);
        Ok((CudaStorage::wrap_cuda_slice(of_x, device), lx.shape().clone()))
    })
}

/// Repeats every pixel in a 2×2 block.
pub(in crate::nn) fn twice(x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let (batch, channels, height, width) = layout.shape().dims4()?;
    let shape: Shape = (batch, channels, 2 * height, 2 * width).into();
    by_type!(x, T => of_images::<T>("twice", (x, layout), (height, width), shape))
}

/// Sums each 2×2 block of pixels.
pub(in crate::nn) fn sum_of_four(g: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
    let (batch, channels, height, width) = layout.shape().dims4()?;
    let (height, width) = (height / 2, width / 2);
    let shape: Shape = (batch, channels, height, width).into();
    by_type!(g, T => of_images::<T>("sum_of_four", (g, layout), (height, width), shape))
}

/// A kernel from images to images; `height` and `width` are those that it takes.
fn of_images<T: Real>(
    name: &'static str,
    (x, layout): (&CudaStorage, &Layout),
    (height, width): (usize, usize),
    shape: Shape,
) -> Result<(CudaStorage, Shape)> {
    let device = x.device.clone();
    let x = values::<T>(x, layout)?;
    let y = allocated::<T>(&device, shape.elem_count())?;
    let (height, width, count) = (int(height)?, int(width)?, y.len() as u64);
    launch!(&device, T, name, elementwise(y.len()); &x, &y, &height, &width, &count);
    Ok((CudaStorage::wrap_cuda_slice(y, device), shape))
}

/// A size as the kernels take it.
pub(super) fn int(size: usize) -> Result<i32> {
    i32::try_from(size).map_err(candle_core::Error::wrap)
}
