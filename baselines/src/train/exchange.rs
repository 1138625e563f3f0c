//! What the ranks of a training share, and what they must agree on. In a run of one process all of it is its own.

use candle_core::{DType, Tensor};
use flair_scoring::{PatchId, files::sha256_of};

use super::{
    TrainError, TrainOptions,
    batch::Examples,
    checkpoint::RunState,
    reports::{broadcast, gather},
};
use crate::{
    models::Network,
    nn::Kind,
    random::{Generator, GeneratorState},
    ranks::{Ranks, RanksError},
    weights::{self, Settings},
};

/// The identity of the run. Rank 0 alone reads the patches' files for it: many ranks would be many times the load.
pub(super) fn identity(
    ranks: &Ranks,
    options: &TrainOptions<'_>,
    examples: &dyn Examples,
    train: &[PatchId],
    val: &[PatchId],
) -> Result<Settings, TrainError> {
    if ranks.is_alone() {
        return Ok(options.identity(examples, train, val)?);
    }
    let own = if ranks.is_first() { options.identity(examples, train, val)? } else { Settings::new() };
    let identity = broadcast(ranks, &own)?;
    // All options but those of the process: its threads, its folder and itself.
    let TrainOptions { workers: _, out: _, ranks: _, provenance: _, losses, settings, .. } = options;
    let of_training = (options.epochs, options.batch_size, options.accumulate, options.learning_rate, options.clip);
    let of_recipe = (options.optimizer, options.schedule, options.patience, options.seed, options.beginning);
    let of_data = (options.is_augmented, options.fidelity, options.pad_value, losses, settings, train, val);
    let own = sha256_of(format!("{of_training:?} {of_recipe:?} {of_data:?}").as_bytes());
    ranks.agree("configuration or list of patches", own.as_bytes())?;
    Ok(identity)
}

/// Whether all ranks resume from the same state.
pub(super) fn agree_on_checkpoint(ranks: &Ranks, saved: Option<&RunState>) -> Result<(), RanksError> {
    let own = saved.map(|state| (state.epoch, state.steps, state.total));
    let what = "checkpoint (the run's folder must be on a disk that all nodes share)";
    ranks.agree(what, format!("{own:?}").as_bytes())
}

/// Whether all ranks have the same bytes of weights and statistics.
pub(super) fn agree_on_weights(ranks: &Ranks, network: &Network) -> Result<(), TrainError> {
    if ranks.is_alone() {
        return Ok(());
    }
    let own = weights::digest(network.parameters.values().iter()).map_err(RanksError::from)?;
    Ok(ranks.agree("set of weights", own.as_bytes())?)
}

/// Gives all ranks the running statistics of rank 0. Those of the others have no effect on the training.
pub(super) fn share_statistics(ranks: &Ranks, network: &Network) -> Result<(), RanksError> {
    if ranks.is_alone() {
        return Ok(());
    }
    let statistics = || network.parameters.iter().filter(|(_, p)| p.kind() == Kind::Buffer);
    let mut own = Vec::new();
    if ranks.is_first() {
        for (_, parameter) in statistics() {
            // Exact: f32, f64, and counters below 2^53.
            let values = parameter.var().to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
            own.extend(values.into_iter().flat_map(f64::to_le_bytes));
        }
    }
    let bytes = ranks.broadcast(own)?;
    let (numbers, _) = bytes.as_chunks::<8>();
    let mut numbers = numbers.iter().copied().map(f64::from_le_bytes);
    for (_, parameter) in statistics() {
        let var = parameter.var();
        let values: Vec<f64> = numbers.by_ref().take(var.elem_count()).collect();
        if !ranks.is_first() {
            var.set(&Tensor::from_vec(values, var.shape(), var.device())?.to_dtype(var.dtype())?)?;
        }
    }
    Ok(())
}

/// The states of dropout's generators: rank 0's, and those of the others.
pub(super) fn dropout_of_all(
    ranks: &Ranks,
    own: GeneratorState,
) -> Result<(GeneratorState, Vec<GeneratorState>), RanksError> {
    let mut all = gather(ranks, own)?;
    let others = all.split_off(1.min(all.len()));
    Ok((all.first().copied().unwrap_or(own), others))
}

/// This rank's generator for dropout: that of the state, or a new one where the state has none of this rank.
pub(super) fn dropout_of(ranks: &Ranks, state: &RunState, seed: u64, is_new: bool) -> Generator {
    let rank = ranks.rank();
    match rank.checked_sub(1) {
        None => Generator::from(state.dropout),
        Some(index) => match state.dropout_of_others.get(index) {
            Some(&saved) if !is_new => Generator::from(saved),
            _ if state.total == 0 => Generator::new(seed, &format!("dropout of rank {rank}")),
            _ => Generator::new(seed, &format!("dropout of rank {rank} from step {}", state.total)),
        },
    }
}
