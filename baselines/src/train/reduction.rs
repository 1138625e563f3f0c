//! The mean of the gradients over the ranks of a run, as torch's `DistributedDataParallel` computes it: in buckets, whose
//! sums begin while the backward pass computes the gradients of earlier layers.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use candle_core::{DType, Device, Shape, Tensor, TensorId};

use super::Gradients;
use crate::{
    nn::{Arrivals, Kind, Parameters},
    ranks::{Ranks, RanksError, Sum},
};

/// Maximum size of a bucket in bytes, unless a parameter is larger: torch's default.
const BUCKET: usize = 25 << 20;

/// The parameters in buckets. They are those of the network alone, so that equal runs sum in the same order.
#[derive(Debug)]
pub(super) struct Buckets {
    /// By bucket and place.
    slots: Vec<Vec<Slot>>,
    /// A parameter's bucket, and its place there.
    places: HashMap<TensorId, (usize, usize)>,
    dtype: DType,
    device: Device,
}

/// A parameter in a bucket.
#[derive(Debug)]
struct Slot {
    name: String,
    shape: Shape,
}

impl Buckets {
    /// The trainable parameters, the last created first: about the order in which their gradients arrive.
    pub(super) fn of(parameters: &Parameters) -> Self {
        Self::of_at_most(parameters, BUCKET)
    }

    /// Number of parameters.
    #[cfg(test)]
    pub(super) fn parameters(&self) -> usize {
        self.places.len()
    }

    fn of_at_most(parameters: &Parameters, bytes: usize) -> Self {
        let mut trained: Vec<_> = parameters.iter().filter(|(_, p)| p.kind() == Kind::Weight).collect();
        trained.sort_by_key(|(_, parameter)| std::cmp::Reverse(parameter.order()));
        let (mut buckets, mut places, mut size) = (Vec::<Vec<Slot>>::new(), HashMap::new(), 0);
        for (name, parameter) in trained {
            let var = parameter.var();
            let own = var.elem_count() * var.dtype().size_in_bytes();
            if buckets.is_empty() || size + own > bytes {
                buckets.push(Vec::new());
                size = 0;
            }
            size += own;
            if let Some(last) = buckets.len().checked_sub(1) {
                places.insert(var.id(), (last, buckets[last].len()));
                buckets[last].push(Slot { name: name.to_owned(), shape: var.shape().clone() });
            }
        }
        Self { slots: buckets, places, dtype: parameters.dtype(), device: parameters.device().clone() }
    }
}

/// The sums of one step's gradients over the ranks.
#[derive(Debug)]
pub(super) struct Reduction {
    ranks: Ranks,
    buckets: Arc<Buckets>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The sums of the step's earlier batches.
    before: Gradients,
    /// By bucket and place.
    arrived: Vec<Vec<Option<Tensor>>>,
    /// Sums that were begun, of the first buckets.
    begun: Vec<Sum>,
}

impl Reduction {
    /// Sums to come: of `before`, of this rank's earlier batches, and of the gradients that arrive.
    pub(super) fn new(ranks: &Ranks, buckets: &Arc<Buckets>, before: Gradients) -> Self {
        let arrived = buckets.slots.iter().map(|slots| slots.iter().map(|_| None).collect()).collect();
        let state = Mutex::new(State { before, arrived, begun: Vec::new() });
        Self { ranks: ranks.clone(), buckets: Arc::clone(buckets), state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the sum of the next bucket. What has not arrived counts as zeros.
    fn begin(&self, state: &mut State) -> Result<(), RanksError> {
        let bucket = state.begun.len();
        let arrived = mem::take(&mut state.arrived[bucket]);
        let parts = arrived.into_iter().zip(&self.buckets.slots[bucket]).map(|(gradient, slot)| match gradient {
            Some(gradient) => gradient.flatten_all(),
            None => Tensor::zeros(slot.shape.elem_count(), self.buckets.dtype, &self.buckets.device),
        });
        let vector = Tensor::cat(&parts.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
        state.begun.push(self.ranks.sum(vector)?);
        Ok(())
    }

    /// Waits for the sums over all ranks. A parameter has a gradient if it has one on any rank.
    pub(super) fn finish(&self) -> Result<Gradients, RanksError> {
        let mut guard = self.state();
        let state = &mut *guard;
        // Gradients of earlier batches whose parameters have none in the last one. Buckets that were begun have all.
        for (slots, arrived) in self.buckets.slots.iter().zip(&mut state.arrived) {
            for (slot, gradient) in slots.iter().zip(arrived) {
                if gradient.is_none() {
                    *gradient = state.before.take(&slot.name);
                }
            }
        }
        let has_all = state.begun.len();
        let own = self.buckets.slots.iter().enumerate().flat_map(|(bucket, slots)| {
            let arrived = &state.arrived[bucket];
            (0..slots.len()).map(move |place| u8::from(bucket < has_all || arrived[place].is_some()))
        });
        let own: Vec<u8> = own.collect();
        while state.begun.len() < self.buckets.slots.len() {
            self.begin(state)?;
        }
        let all = self.ranks.gather(own)?;
        let mut is_there = (0..self.buckets.places.len()).map(|i| all.iter().any(|rank| rank.get(i) == Some(&1)));
        let mut gradients = Vec::new();
        for (sum, slots) in mem::take(&mut state.begun).into_iter().zip(&self.buckets.slots) {
            let (vector, mut start) = (sum.wait()?, 0);
            for slot in slots {
                let length = slot.shape.elem_count();
                if is_there.next() == Some(true) {
                    gradients.push((slot.name.clone(), vector.narrow(0, start, length)?.reshape(&slot.shape)?));
                }
                start += length;
            }
        }
        Ok(gradients.into_iter().collect())
    }
}

impl Arrivals for Reduction {
    fn arrived(&self, parameter: TensorId, gradient: &Tensor) -> candle_core::Result<()> {
        let Some(&(bucket, place)) = self.buckets.places.get(&parameter) else { return Ok(()) };
        let mut state = self.state();
        let gradient = match state.before.take(&self.buckets.slots[bucket][place].name) {
            Some(before) => (before + gradient)?,
            None => gradient.detach(),
        };
        state.arrived[bucket][place] = Some(gradient);
        // In the order of the buckets, which is that of all ranks.
        while let Some(arrived) = state.arrived.get(state.begun.len())
            && arrived.iter().all(Option::is_some)
        {
            self.begin(&mut state).map_err(candle_core::Error::wrap)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        nn::{Builder, Init, Mode},
        ranks::threads,
    };

    /// Three parameters of two values each, in the order of their creation.
    fn parameters() -> Parameters {
        let builder = Builder::new(DType::F64, &Device::Cpu, 0);
        for name in ["z", "a", "m"] {
            builder.root().weight(name, 2, Init::Constant(3.0)).unwrap();
        }
        builder.root().statistic("running", 2, 2.0).unwrap();
        builder.finish()
    }

    #[test]
    fn buckets_are_filled_from_the_last_layer_to_the_first() {
        let names = |bytes| {
            let buckets = Buckets::of_at_most(&parameters(), bytes).slots.into_iter();
            let names = buckets.map(|slots| slots.into_iter().map(|slot| slot.name).collect::<String>());
            names.collect::<Vec<_>>()
        };
        assert_eq!(names(1 << 20), ["maz"]);
        assert_eq!(names(32), ["ma", "z"]);
        assert_eq!(names(1), ["m", "a", "z"]);
    }

    #[test]
    fn gradients_are_summed_over_batches_and_ranks() {
        for bytes in [1, 32, 1 << 20] {
            let all = threads::run(3, |ranks| {
                let parameters = parameters();
                let buckets = Arc::new(Buckets::of_at_most(&parameters, bytes));
                let rank = ranks.rank() as f64;
                let value = |name: &str, mode: Mode<'_>| parameters.get(name).unwrap().value(mode).unwrap();
                // A batch before: `z` on all ranks, `m` on rank 1 alone.
                let plain = Mode::TRAIN_WITHOUT_DROPOUT;
                let loss = (value("z", plain) * (rank + 1.0)).unwrap();
                let loss = if ranks.rank() == 1 { (loss + value("m", plain)).unwrap() } else { loss };
                let before = Gradients::of(&loss.sum_all().unwrap(), &parameters).unwrap();
                let reduction = Arc::new(Reduction::new(&ranks, &buckets, before));
                // The last batch: `z` alone, squared.
                let arrivals: Arc<dyn Arrivals> = reduction.clone();
                let loss = value("z", plain.telling(&arrivals)).sqr().unwrap().sum_all().unwrap();
                Gradients::of(&loss, &parameters).unwrap();
                reduction.finish().unwrap()
            });
            for gradients in all {
                let found: Vec<_> = gradients.iter().map(|(name, g)| (name, g.to_vec1::<f64>().unwrap())).collect();
                // 1 + 2 + 3 of the batch before, and 3 × 2 × 3.
                assert_eq!(found, [("m", vec![1.0; 2]), ("z", vec![24.0; 2])], "{bytes}");
            }
        }
    }
}
