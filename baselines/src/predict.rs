//! Prediction: patches in, `PRED_*.tif` out. This is what the challenge's clock covers.
//!
//! Reading images and writing predictions overlap with the network's computation. The prediction of a patch does not
//! depend on the other patches of its batch (upstream's training batches mix their series).

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use flair_scoring::{
    CLASS_COUNT, Event, Finding, PATCH_SIZE, PatchId, Progress,
    raster::{self, Raster},
    timing::Clock,
};

use crate::{
    data::{
        DataCode, Preprocessor, Sample,
        prefetch::{Prefetch, in_order},
    },
    models::{Network, patchwise::logits},
    runtime::{TensorError, advice_on_memory},
};

/// The scope of the inference time that [`predict`] measures.
pub const CLOCK_COVERS: [&str; 5] = [
    "reading images and series",
    "cloud filter and monthly averages",
    "copies to the device",
    "network",
    "writing TIFFs",
];

/// Batches that are prefetched.
const BATCHES_AHEAD: usize = 2;

/// Options of a prediction.
#[derive(Clone, Copy, Debug)]
pub struct PredictOptions {
    /// Batch size of the aerial network.
    pub batch_size: usize,
    /// Threads that read data.
    pub workers: usize,
}

/// The result of a prediction.
#[derive(Clone, Debug, Default)]
pub struct Predicted {
    /// Inference time, from opening the first file to closing the last one.
    pub elapsed: Duration,
    /// Patches predicted.
    pub predicted: u64,
    /// Patches skipped because a complete file existed.
    pub kept: u64,
    /// Findings about the data, such as a series without a clear acquisition.
    pub findings: Vec<Finding>,
    /// For each patch that could not be predicted because of its data a finding. All other patches are predicted.
    pub failures: Vec<Finding>,
}

/// Errors that end a prediction. Files written before stay, and the next run keeps them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// The device failed.
    #[error("the network failed on patch {patch}: {source}")]
    Device {
        /// The first patch of the batch.
        patch: PatchId,
        /// Candle's error.
        source: TensorError,
    },
    /// The device has too little memory.
    #[error("the device has too little memory for {}: {source}. {}", patches_from(*batch_size, *patch), smaller(*batch_size))]
    OutOfMemory {
        /// The first patch of the batch.
        patch: PatchId,
        /// Patches in the batch that failed.
        batch_size: usize,
        /// Candle's error.
        source: TensorError,
    },
    /// A prediction cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl PredictError {
    fn device(batch_size: usize, patch: PatchId, source: candle_core::Error) -> Self {
        match TensorError::from(source) {
            source if source.is_out_of_memory() => Self::OutOfMemory { patch, batch_size, source },
            source => Self::Device { patch, source },
        }
    }
}

/// `patch 000001`, `a batch of 10 patches from 000001 on`.
fn patches_from(batch_size: usize, first: PatchId) -> String {
    if batch_size == 1 { format!("patch {first}") } else { format!("a batch of {batch_size} patches from {first} on") }
}

fn smaller(batch_size: usize) -> String {
    advice_on_memory(batch_size, |size| format!("Try `--batch-size {size}`"))
}

/// Predicts `patches` into the folder `out`, and keeps complete files that are already there. Patches whose data cannot
/// be used are left out, and reported in [`Predicted::failures`].
///
/// # Errors
/// If the device fails, or a file cannot be written.
pub fn predict(
    network: &Network,
    source: &Preprocessor<'_>,
    patches: &[PatchId],
    out: &Path,
    options: PredictOptions,
    clock: &dyn Clock,
    progress: &dyn Progress,
) -> Result<Predicted, PredictError> {
    let start = clock.now();
    let todo: Vec<PatchId> = patches.iter().copied().filter(|&id| !is_finished(out, id)).collect();
    progress.event(Event::Started { stage: "predicting", steps: patches.len() as u64 });
    progress.event(Event::Kept { steps: (patches.len() - todo.len()) as u64 });
    let batch_size = options.batch_size.max(1);
    let prefetch = Prefetch { workers: options.workers, ahead: batch_size * BATCHES_AHEAD };
    let failed = AtomicBool::new(false);
    let mut result = Predicted::default();
    let (to_writer, written) = mpsc::sync_channel::<(PatchId, Vec<u8>)>(2 * batch_size);
    thread::scope(|scope| {
        let failed = &failed;
        let writer = scope.spawn(move || {
            for (id, classes) in written {
                let result = write(out, id, classes);
                if result.is_err() {
                    failed.store(true, Ordering::Relaxed);
                    return result;
                }
                progress.event(Event::Step { patch: Some(id) });
            }
            Ok(())
        });
        let computed = in_order(
            todo.len(),
            prefetch,
            |i| (todo[i], source.sample(todo[i])),
            |samples| {
                let mut batch = Vec::with_capacity(batch_size);
                loop {
                    batch.clear();
                    let mut is_last = true;
                    for (id, sample) in (&mut *samples).take(batch_size) {
                        is_last = false;
                        match sample {
                            Ok(sample) => batch.push(sample),
                            Err(error) => result.failures.push(unusable(id, error.to_string())),
                        }
                    }
                    if is_last || failed.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    let predictions = classify(network, &batch)?;
                    for (sample, classes) in batch.iter_mut().zip(predictions) {
                        result.findings.extend(sample.series.as_mut().and_then(|series| series.finding.take()));
                        let Some(classes) = classes else {
                            let message =
                                "the network's output is not finite: its weights or the patch's data are broken";
                            result.failures.push(unusable(sample.id, message.to_owned()));
                            continue;
                        };
                        result.predicted += 1;
                        // The writer closes the channel only when it failed; its error is returned below.
                        let _ = to_writer.send((sample.id, classes));
                    }
                }
            },
        );
        drop(to_writer);
        let wrote = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        computed.and(wrote)
    })?;
    progress.event(Event::Finished);
    Ok(Predicted { elapsed: clock.now().saturating_sub(start), kept: (patches.len() - todo.len()) as u64, ..result })
}

fn unusable(id: PatchId, reason: String) -> Finding {
    DataCode::UnusablePatch.finding(id.to_string(), reason)
}

/// Classes of each patch of a batch, `[512, 512]`, u8, 0..=12: the argmax of the aerial logits. `None` for a patch
/// whose logits are not finite.
fn classify(network: &Network, batch: &[Sample]) -> Result<Vec<Option<Vec<u8>>>, PredictError> {
    let Some(first) = batch.first() else { return Ok(Vec::new()) };
    let device = |source| PredictError::device(batch.len(), first.id, source);
    let logits = logits(network, batch).map_err(device)?;
    // A sum is finite only if all its terms are, and candle's argmax ignores NaN.
    let sums = logits.flatten_from(1).and_then(|l| l.sum(1)?.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>());
    let sums = sums.map_err(device)?;
    let classes = logits.argmax(1).and_then(|c| c.to_dtype(candle_core::DType::U8)?.flatten_from(1)?.to_vec2::<u8>());
    let classes = classes.map_err(device)?.into_iter().zip(sums);
    Ok(classes.map(|(classes, sum)| sum.is_finite().then_some(classes)).collect())
}

fn write(out: &Path, id: PatchId, classes: Vec<u8>) -> Result<(), PredictError> {
    let path = out.join(id.file_name("PRED"));
    let result = match Raster::new(1, PATCH_SIZE, PATCH_SIZE, classes) {
        Some(raster) => raster::write(&path, &raster),
        None => Err(io::Error::other("the prediction has another size than a patch")),
    };
    result.map_err(|source| PredictError::Write { path, source })
}

/// Whether a patch's file exists and is complete.
fn is_finished(out: &Path, id: PatchId) -> bool {
    let path = out.join(id.file_name("PRED"));
    let is_whole = |r: Raster| {
        (r.bands(), r.height(), r.width()) == (1, PATCH_SIZE, PATCH_SIZE)
            && r.samples().iter().all(|&class| usize::from(class) < CLASS_COUNT)
    };
    path.is_file() && raster::read(&path, &raster::Limits::default()).is_ok_and(is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lack_of_memory_names_the_batch_and_one_that_may_fit() {
        let full = |count| {
            let text = "CudnnError(CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED)";
            let source = candle_core::Error::Msg(text.to_owned());
            PredictError::device(count, PatchId::new(7).unwrap(), source).to_string()
        };
        insta::assert_snapshot!(full(10), @"the device has too little memory for a batch of 10 patches from 000007 on: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED. Try `--batch-size 5`");
        insta::assert_snapshot!(full(1), @"the device has too little memory for patch 000007: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED. Choose a smaller network, or another device (`--device cpu`)");
    }
}
