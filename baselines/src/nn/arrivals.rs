//! Gradients of parameters, told of during the backward pass.

use std::{fmt::Debug, sync::Arc};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, TensorId, backend::BackendStorage};

/// What is told of each gradient as soon as all its terms are summed: those of the last layer first.
pub trait Arrivals: Debug + Send + Sync {
    /// The gradient of a parameter, of the parameter's shape and dtype, has arrived.
    ///
    /// # Errors
    /// If the device fails; the backward pass then ends with the error.
    fn arrived(&self, parameter: TensorId, gradient: &Tensor) -> Result<()>;
}

/// A copy of a parameter, whose gradient is told of. candle's backward pass comes to it directly after the operation that
/// uses the parameter.
pub(super) struct Announced {
    pub(super) parameter: TensorId,
    pub(super) to: Arc<dyn Arrivals>,
}

impl CustomOp1 for Announced {
    fn name(&self) -> &'static str {
        "a parameter whose gradient is told of"
    }

    fn cpu_fwd(&self, value: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((value.try_clone(layout)?, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, value: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((value.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.to.arrived(self.parameter, gradient)?;
        Ok(Some(gradient.clone()))
    }
}
