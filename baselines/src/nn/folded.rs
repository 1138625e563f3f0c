//! Weights of convolutions with folded norms.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use candle_core::{DType, Result, Tensor, TensorId};

/// Weights with folded norms, kept between the batches of a prediction: weight and bias, by the weight that they are made
/// from and their type.
#[derive(Debug, Default)]
pub struct Folded(Mutex<HashMap<(TensorId, DType), (Tensor, Tensor)>>);

impl Folded {
    /// The folded weight and bias of a convolution, whose weight is `of`, in `dtype`; made at the first time.
    pub(super) fn get(
        &self,
        of: TensorId,
        dtype: DType,
        make: impl FnOnce() -> Result<(Tensor, Tensor)>,
    ) -> Result<(Tensor, Tensor)> {
        // A poisoned lock means that another thread panicked; what is kept is still valid.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get(&(of, dtype)) {
            return Ok(found.clone());
        }
        let made = make()?;
        kept.insert((of, dtype), made.clone());
        Ok(made)
    }
}
