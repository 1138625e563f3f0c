//! `ReLU`.

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

#[cfg(feature = "cuda")]
use super::cuda;
use super::{
    cpu::{CHUNK, Real, by_type, values},
    kernels,
};

/// `max(x, 0)`, any shape; NaN stays NaN.
///
/// The derivative at 0 is 0, as in torch. In candle's own `relu` it is 1, which matters for frames that are all zero.
///
/// # Errors
/// If the device fails.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if kernels::take(x) { x.contiguous()?.apply_op1(Relu) } else { composed(x) }
}

/// The same, composed of candle's operations, for other devices.
fn composed(x: &Tensor) -> Result<Tensor> {
    // Not a product with the mask: an infinite number times 0 is none. NaN is not below 0, and stays.
    x.detach().le(0.0)?.where_cond(&x.zeros_like()?, x)
}

/// `max(a + b, 0)`, equal shapes; NaN stays NaN. The sum is not kept for the backward pass.
///
/// # Errors
/// If the device fails.
pub(super) fn relu_of_sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !kernels::take_on_cpu(a) || a.shape() != b.shape() {
        return relu(&(a + b)?);
    }
    a.contiguous()?.apply_op2(&b.contiguous()?, ReluOfSum)
}

/// `f` of each pair of numbers.
fn of_pairs<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    let mut y = vec![T::zero(); a.len()];
    y.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK))).for_each(|(y, (a, b))| {
        y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = f(a, b));
    });
    y
}

struct ReluOfSum;

impl CustomOp2 for ReluOfSum {
    fn name(&self) -> &'static str {
        "relu of a sum"
    }

    fn cpu_fwd(&self, a: &CpuStorage, la: &Layout, b: &CpuStorage, lb: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(a, T => {
            let y = of_pairs(values::<T>(a, la)?, values::<T>(b, lb)?, |a, b| {
                let sum = a + b;
                if sum <= 0.0 { 0.0 } else { sum }
            });
            Ok((T::to_cpu_storage_owned(y), la.shape().clone()))
        })
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?.apply_op2_no_bwd(y, &WherePositive)?;
        Ok((Some(gradient.clone()), Some(gradient)))
    }
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(x, T => {
            let x = values::<T>(x, layout)?;
            let mut y = vec![0.0; x.len()];
            y.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x <= 0.0 { 0.0 } else { x });
            });
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::relu(x, layout)
    }

    fn bwd(&self, _: &Tensor, y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        gradient.contiguous()?.apply_op2_no_bwd(y, &WherePositive).map(Some)
    }
}

/// The gradient where the output is above 0, else 0.
struct WherePositive;

impl CustomOp2 for WherePositive {
    fn name(&self) -> &'static str {
        "gradient of relu"
    }

    fn cpu_fwd(&self, g: &CpuStorage, lg: &Layout, y: &CpuStorage, ly: &Layout) -> Result<(CpuStorage, Shape)> {
        by_type!(g, T => {
            let x = of_pairs(values::<T>(g, lg)?, values::<T>(y, ly)?, |g, y| if y <= 0.0 { 0.0 } else { g });
            Ok((T::to_cpu_storage_owned(x), lg.shape().clone()))
        })
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, g: &CudaStorage, lg: &Layout, y: &CudaStorage, ly: &Layout) -> Result<(CudaStorage, Shape)> {
        cuda::relu_gradient((g, lg), (y, ly))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradcheck::{assert_agree, assert_gradients, image, image_with_ties};
    use candle_core::{Device, Var};

    #[test]
    fn the_derivative_at_zero_is_zero() {
        let x = Var::new(&[-1.0f64, 0.0, 2.0], &Device::Cpu).unwrap();
        for relu in [relu, composed] {
            let y = relu(&x).unwrap();
            assert_eq!(y.to_vec1::<f64>().unwrap(), [0.0, 0.0, 2.0]);
            let gradients = y.sum_all().unwrap().backward().unwrap();
            assert_eq!(gradients.get(&x).unwrap().to_vec1::<f64>().unwrap(), [0.0, 0.0, 1.0]);
            assert_eq!(relu(&x.as_detached_tensor()).unwrap().to_vec1::<f64>().unwrap(), [0.0, 0.0, 2.0]);
        }
    }

    #[test]
    fn gradients_are_right_and_both_ways_agree() {
        for dims in [&[2, 3, 5, 7][..], &[1], &[40_000]] {
            assert_agree(&[&image(dims)], |t| relu(&t[0]), |t| composed(&t[0]));
            // The values include zeros, where both implementations must have derivative 0.
            assert_agree(&[&image_with_ties(dims)], |t| relu(&t[0]), |t| composed(&t[0]));
        }
        assert_gradients(&[&image(&[2, 3, 5, 7])], |t| relu(&t[0]));
        let other = (image(&[2, 3, 5, 7]) * -0.7).unwrap();
        assert_gradients(&[&image(&[2, 3, 5, 7]), &other], |t| relu_of_sum(&t[0], &t[1]));
        let sum = |t: &[Tensor]| relu(&(&t[0] + &t[1])?);
        assert_agree(&[&image(&[2, 3, 5, 7]), &other], |t| relu_of_sum(&t[0], &t[1]), sum);
        assert_gradients(&[&image(&[4, 6])], |t| relu(&t[0].t()?));
    }

    #[test]
    fn nan_stays_nan() {
        let x = Tensor::new(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY], &Device::Cpu).unwrap();
        let y = relu(&x).unwrap().to_vec1::<f32>().unwrap();
        assert!(y[0].is_nan() && y[1] == f32::INFINITY && y[2].to_bits() == 0);
    }
}
