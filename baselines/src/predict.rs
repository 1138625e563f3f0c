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
        DataCode, DataError, Preprocessor, Sample,
        prefetch::{Prefetch, in_order},
    },
    models::{
        Network,
        patchwise::{Inputs, logits},
    },
    nn::{Classes, Mode, Plan, on_pool},
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
    /// Whether the network gives its weights' memory back as they are prepared. It is then good for nothing else.
    pub releases_weights: bool,
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
    let todo = unpredicted(out, patches);
    progress.event(Event::Started { stage: "predicting", steps: patches.len() as u64 });
    progress.event(Event::Kept { steps: (patches.len() - todo.len()) as u64 });
    // A processor gains nothing from batches, which only take memory.
    let is_on_cpu = network.parameters.device().is_cpu();
    let batch_size = if is_on_cpu { 1 } else { options.batch_size.max(1) };
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
        // Copies the next batch to the device while this thread computes one.
        let (to_network, batches) = mpsc::sync_channel(1);
        let todo = &todo;
        let reader = scope.spawn(move || {
            in_order(
                todo.len(),
                prefetch,
                |i| (todo[i], source.sample(todo[i])),
                |samples| {
                    while !failed.load(Ordering::Relaxed)
                        && let Some(batch) = Batch::read(&mut samples.take(batch_size), network)
                    {
                        // The channel is closed only after an error.
                        if to_network.send(batch).is_err() {
                            return;
                        }
                    }
                },
            );
        });
        let plan = if options.releases_weights { Plan::releasing() } else { Plan::default() };
        let computed = compute((network, &plan), batches, failed, &mut result, &to_writer);
        drop(to_writer);
        reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let wrote = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        computed.and(wrote)
    })?;
    progress.event(Event::Finished);
    Ok(Predicted { elapsed: clock.now().saturating_sub(start), kept: (patches.len() - todo.len()) as u64, ..result })
}

fn unusable(id: PatchId, reason: String) -> Finding {
    DataCode::UnusablePatch.finding(id.to_string(), reason)
}

/// A batch of patches that were read.
struct Batch {
    samples: Vec<Sample>,
    /// Patches that cannot be used.
    failures: Vec<Finding>,
    /// Their inputs on the device; the error is the device's.
    inputs: candle_core::Result<Inputs>,
}

impl Batch {
    /// `None` if there are no more patches.
    fn read(
        samples: &mut dyn Iterator<Item = (PatchId, Result<Sample, DataError>)>,
        network: &Network,
    ) -> Option<Self> {
        let (mut good, mut failures) = (Vec::new(), Vec::new());
        for (id, sample) in samples {
            match sample {
                Ok(sample) => good.push(sample),
                Err(error) => failures.push(unusable(id, error.to_string())),
            }
        }
        if good.is_empty() && failures.is_empty() {
            return None;
        }
        let inputs = match good.as_slice() {
            [] => Err(candle_core::Error::msg("a batch without patches")),
            good => Inputs::of(good.iter(), &network.parameters),
        };
        Some(Self { samples: good, failures, inputs })
    }
}

/// Computes batches, and passes the predictions on. A GPU is given the next batch before the classes of the one before are
/// read, so that it never waits for this thread.
fn compute(
    (network, plan): (&Network, &Plan),
    batches: mpsc::Receiver<Batch>,
    failed: &AtomicBool,
    result: &mut Predicted,
    to_writer: &mpsc::SyncSender<(PatchId, Vec<u8>)>,
) -> Result<(), PredictError> {
    let mut computed = None::<Computed>;
    let finish = |computed: Option<Computed>, result: &mut Predicted| {
        let Some(Computed { mut samples, classes }) = computed else { return Ok(()) };
        let first = samples[0].id;
        let classes = classes.read().map_err(|source| PredictError::device(samples.len(), first, source))?;
        for (sample, classes) in samples.iter_mut().zip(classes) {
            result.findings.extend(sample.series.as_mut().and_then(|series| series.finding.take()));
            let Some(classes) = classes else {
                let message = "the network's output is not finite: its weights or the patch's data are broken";
                result.failures.push(unusable(sample.id, message.to_owned()));
                continue;
            };
            result.predicted += 1;
            // The writer closes the channel only when it failed; its error is returned later.
            let _ = to_writer.send((sample.id, classes));
        }
        Ok(())
    };
    for Batch { samples, failures, inputs } in batches {
        result.failures.extend(failures);
        let Some(first) = samples.first().map(|sample| sample.id) else { continue };
        if failed.load(Ordering::Relaxed) {
            break;
        }
        let classes = inputs.and_then(|inputs| classify(network, &inputs, plan));
        let classes = classes.map_err(|source| PredictError::device(samples.len(), first, source));
        let before = computed.take();
        finish(before, result)?;
        let now = Computed { samples, classes: classes? };
        if now.classes.are_here() {
            finish(Some(now), result)?;
        } else {
            computed = Some(now);
        }
    }
    finish(computed, result)
}

/// A batch that the network was given, and what will be its classes.
struct Computed {
    samples: Vec<Sample>,
    classes: Classes,
}

/// The classes of each patch of a batch, `[512, 512]`, 0..=12.
fn classify(network: &Network, inputs: &Inputs, plan: &Plan) -> candle_core::Result<Classes> {
    let device = network.parameters.device();
    on_pool(device, || Classes::of(&logits(network, inputs, Mode::predict(plan))?))
}

fn write(out: &Path, id: PatchId, classes: Vec<u8>) -> Result<(), PredictError> {
    let path = out.join(id.file_name("PRED"));
    let result = match Raster::new(1, PATCH_SIZE, PATCH_SIZE, classes) {
        Some(raster) => raster::write(&path, &raster),
        None => Err(io::Error::other("the prediction has another size than a patch")),
    };
    result.map_err(|source| PredictError::Write { path, source })
}

/// The patches that have no complete prediction in the folder `out`.
pub fn unpredicted(out: &Path, patches: &[PatchId]) -> Vec<PatchId> {
    patches.iter().copied().filter(|&id| !is_finished(out, id)).collect()
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
