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
        DataError, Preprocessor, Sample,
        prefetch::{Prefetch, in_order},
    },
    models::{Network, patchwise::logits},
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
#[derive(Clone, Debug)]
pub struct Predicted {
    /// Inference time, from opening the first file to closing the last one.
    pub elapsed: Duration,
    /// Patches predicted.
    pub predicted: u64,
    /// Patches skipped because a complete file existed.
    pub kept: u64,
    /// Findings about the data, such as a series without a clear acquisition.
    pub findings: Vec<Finding>,
}

/// Errors that end a prediction. Files written before stay, and the next run keeps them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// A patch's data cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The device failed.
    #[error("the network failed on patch {patch}: {source}")]
    Device {
        /// The first patch of the batch.
        patch: PatchId,
        /// Candle's error.
        source: candle_core::Error,
    },
    /// The network's logits are not finite.
    #[error("the network's output for patch {0} is not finite: its weights or its input are broken")]
    NotFinite(PatchId),
    /// A prediction cannot be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Predicts `patches` into the folder `out`, and keeps complete files that are already there.
///
/// # Errors
/// The first patch that cannot be read, predicted or written.
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
    let mut findings = Vec::new();
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
            |i| source.sample(todo[i]),
            |samples| {
                let mut batch = Vec::with_capacity(batch_size);
                loop {
                    batch.clear();
                    for sample in (&mut *samples).take(batch_size) {
                        batch.push(sample?);
                    }
                    if batch.is_empty() || failed.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    let predictions = classify(network, &batch)?;
                    for (sample, classes) in batch.iter_mut().zip(predictions) {
                        findings.extend(sample.series.as_mut().and_then(|series| series.finding.take()));
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
    let elapsed = clock.now().saturating_sub(start);
    progress.event(Event::Finished);
    let predicted = todo.len() as u64;
    Ok(Predicted { elapsed, predicted, kept: patches.len() as u64 - predicted, findings })
}

/// Classes of each patch of a batch, `[512, 512]`, u8, 0..=12: the argmax of the aerial logits.
fn classify(network: &Network, batch: &[Sample]) -> Result<Vec<Vec<u8>>, PredictError> {
    let Some(first) = batch.first() else { return Ok(Vec::new()) };
    let device = |source| PredictError::Device { patch: first.id, source };
    let logits = logits(network, batch).map_err(device)?;
    // A sum is finite only if all its terms are, and candle's argmax ignores NaN.
    let sums = logits.flatten_from(1).and_then(|l| l.sum(1)?.to_dtype(candle_core::DType::F64)?.to_vec1::<f64>());
    for (sample, sum) in batch.iter().zip(sums.map_err(device)?) {
        if !sum.is_finite() {
            return Err(PredictError::NotFinite(sample.id));
        }
    }
    let classes = logits.argmax(1).and_then(|c| c.to_dtype(candle_core::DType::U8)?.flatten_from(1)?.to_vec2::<u8>());
    classes.map_err(device)
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
