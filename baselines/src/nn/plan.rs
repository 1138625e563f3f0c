//! What prediction prepares once: convolutions with folded norms, and memory.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use candle_core::{DType, Result, Tensor, TensorId};

use super::cpu::{Buffers, Convolution, InputForm};

/// The convolutions of a network as prediction computes them, made as they are first used, and the memory of its maps.
///
/// A plan is made for one set of weights: make another after they have changed.
#[derive(Debug, Default)]
pub struct Plan {
    /// Weight and bias with the norm folded in, by the weight that they are made from and their type.
    folded: Kept<(TensorId, DType), (Tensor, Tensor)>,
    /// The same, prepared for the kernels of the CPU in f32, for one form of input.
    convolutions: Kept<(TensorId, InputForm), Arc<Convolution>>,
    /// Memory of maps on the CPU.
    buffers: Buffers,
    /// Whether weights are given back as soon as they are prepared.
    releases: bool,
}

impl Plan {
    /// A plan that gives the network's memory back as it takes its weights, where it has its own: on the CPU. The network
    /// then computes nothing but by this plan, on inputs of the same size.
    pub fn releasing() -> Self {
        Self { releases: true, ..Self::default() }
    }

    /// Whether weights are given back as soon as they are prepared.
    pub(super) fn releases(&self) -> bool {
        self.releases
    }

    pub(super) fn folded(
        &self,
        of: TensorId,
        dtype: DType,
        make: impl FnOnce() -> Result<(Tensor, Tensor)>,
    ) -> Result<(Tensor, Tensor)> {
        self.folded.get((of, dtype), make)
    }

    pub(super) fn convolution(
        &self,
        of: TensorId,
        form: InputForm,
        make: impl FnOnce() -> Result<Convolution>,
    ) -> Result<Arc<Convolution>> {
        self.convolutions.get((of, form), || make().map(Arc::new))
    }

    pub(super) fn buffers(&self) -> &Buffers {
        &self.buffers
    }
}

/// Values that are made at their first use.
#[derive(Debug)]
struct Kept<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Kept<K, V> {
    fn get(&self, key: K, make: impl FnOnce() -> Result<V>) -> Result<V> {
        // A poisoned lock means that another thread panicked; what is kept is still valid.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get(&key) {
            return Ok(found.clone());
        }
        let made = make()?;
        kept.insert(key, made.clone());
        Ok(made)
    }
}
