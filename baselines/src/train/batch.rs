//! Labelled patches, and batches of them as tensors.

use candle_core::{Device, Result, Tensor, bail};
use flair_scoring::PatchId;

use crate::{
    data::{DataError, Fidelity, Files, Preprocessor, Sample, augment::Augmentation},
    models::inputs::{images, metadata, to_device},
    nn::{Parameters, on_device},
    random::Generator,
};

/// A patch with its labels.
#[derive(Clone, Debug)]
pub(super) struct Example {
    /// The network's inputs.
    pub(super) sample: Sample,
    /// Class ids `[H, W]`, aligned with the aerial image.
    pub(super) target: Vec<u8>,
    /// Class ids aligned with the series, if its orientation differs.
    pub(super) satellite_target: Option<Vec<u8>>,
}

impl Example {
    /// Flips and rotates the aerial image and its labels; the series and its labels too with `corrected` only
    /// (upstream leaves both as they are: `src/dataset.py:105-111`).
    pub(super) fn augment(&mut self, augmentation: Augmentation, fidelity: Fidelity) {
        if augmentation == Augmentation::NONE {
            return;
        }
        let side = self.target.len().isqrt();
        if let Some(series) = &mut self.sample.series {
            match fidelity {
                Fidelity::Upstream => self.satellite_target = Some(self.target.clone()),
                Fidelity::Corrected => augmentation.apply(&mut series.values, series.size),
            }
        }
        augmentation.apply(&mut self.sample.aerial, side);
        augmentation.apply(&mut self.target, side);
    }
}

/// A source of examples: files, except in tests.
pub(super) trait Examples: Sync {
    /// Reads a patch without augmentation.
    fn example(&self, id: PatchId) -> std::result::Result<Example, DataError>;

    /// The identity of the patches' data: it changes with their content.
    fn identity(&self, ids: &[PatchId]) -> std::result::Result<String, DataError>;
}

impl Examples for Preprocessor<'_> {
    fn example(&self, id: PatchId) -> std::result::Result<Example, DataError> {
        let target = self.mask(id)?.ok_or_else(|| DataError::Missing {
            patch: id,
            what: "mask",
            fix: format!("add MSK_{id}.tif, or leave the patch out"),
        })?;
        Ok(Example { sample: self.sample(id)?, target, satellite_target: None })
    }

    fn identity(&self, ids: &[PatchId]) -> std::result::Result<String, DataError> {
        Preprocessor::identity(self, ids, Files::InputsAndMasks)
    }
}

/// Augmentation of the training patches: flips and rotations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Augmenting {
    pub(super) is_on: bool,
    pub(super) fidelity: Fidelity,
    pub(super) seed: u64,
}

impl Augmenting {
    /// Augments a patch for epoch `epoch`. The result depends on the seed, the epoch and the patch only, neither on the
    /// number of threads nor on interruptions.
    pub(super) fn apply(self, mut example: Example, epoch: usize) -> Example {
        if self.is_on {
            let stream = format!("augmentation of {} in epoch {epoch}", example.sample.id);
            example.augment(Augmentation::draw(&mut Generator::new(self.seed, &stream)), self.fidelity);
        }
        example
    }
}

/// A batch of inputs and targets, on the network's device and in its dtype.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The patches, `B` of them.
    pub ids: Vec<PatchId>,
    /// `[B, 5, H, W]`, `0..=1`.
    pub aerial: Tensor,
    /// Series `[B, T, 10, h, w]`, padded to the longest with the padding value, and dates `[B, T]` in days, padded with
    /// 0 (upstream `src/utils_dataset.py`, `pad_collate_train`).
    pub series: Option<(Tensor, Tensor)>,
    /// `[B, length]`.
    pub metadata: Option<Tensor>,
    /// Class ids `[B, H, W]`, u8, aligned with the aerial images.
    pub target: Tensor,
    /// Class ids `[B, H, W]`, u8, aligned with the series.
    pub satellite_target: Tensor,
}

impl Batch {
    /// Collates examples.
    ///
    /// # Errors
    /// If the shapes of the examples differ, or the device fails.
    pub(super) fn new(examples: &[Example], pad_value: f64, parameters: &Parameters) -> Result<Self> {
        let samples = || examples.iter().map(|example| &example.sample);
        let target = Self::targets(examples, parameters.device())?;
        let satellite_target = if examples.iter().any(|example| example.satellite_target.is_some()) {
            labels(examples, |e| e.satellite_target.as_ref().unwrap_or(&e.target), parameters.device())?
        } else {
            target.clone()
        };
        Ok(Self {
            ids: samples().map(|sample| sample.id).collect(),
            aerial: images(samples(), parameters)?,
            series: series(examples, pad_value, parameters)?,
            metadata: metadata(samples(), parameters)?,
            target,
            satellite_target,
        })
    }

    /// The examples' class ids, aligned with the aerial images: `[B, H, W]`, u8.
    pub(super) fn targets(examples: &[Example], device: &Device) -> Result<Tensor> {
        labels(examples, |example| &example.target, device)
    }
}

/// `[B, H, W]`, u8.
fn labels(examples: &[Example], of: impl Fn(&Example) -> &[u8], device: &Device) -> Result<Tensor> {
    let side = examples.first().map_or(0, |example| of(example).len().isqrt());
    let all: Vec<u8> = examples.iter().flat_map(of).copied().collect();
    on_device(&all, &[examples.len(), side, side], device)
}

#[expect(clippy::cast_possible_truncation, reason = "the networks compute in f32")]
fn series(examples: &[Example], pad_value: f64, parameters: &Parameters) -> Result<Option<(Tensor, Tensor)>> {
    let all: Vec<_> = examples.iter().filter_map(|example| example.sample.series.as_ref()).collect();
    let Some(first) = all.first() else { return Ok(None) };
    let (channels, size) = (first.channels, first.size);
    if all.len() != examples.len() || all.iter().any(|series| (series.channels, series.size) != (channels, size)) {
        bail!("the series of a batch differ in size");
    }
    let longest = all.iter().map(|series| series.t).max().unwrap_or(0);
    let frame = channels * size * size;
    let (mut values, mut dates) = (Vec::with_capacity(all.len() * longest * frame), Vec::new());
    for (series, count) in all.iter().zip(1..) {
        values.extend(&series.values);
        values.resize(count * longest * frame, pad_value as f32);
        dates.extend(&series.positions);
        dates.resize(count * longest, 0.0);
    }
    let values = to_device(&values, &[all.len(), longest, channels, size, size], parameters)?;
    let dates = to_device(&dates, &[all.len(), longest], parameters)?;
    Ok(Some((values.to_dtype(parameters.computed())?, dates)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::SuperPatch, nn::Builder};
    use candle_core::DType;

    /// A patch of 2 × 2 pixels whose labels are the pixels' indices, with a series of `t` frames of the same size.
    fn example(number: u32, t: usize) -> Example {
        let indices = [0.0, 1.0, 2.0, 3.0];
        let series = SuperPatch {
            t,
            channels: 1,
            size: 2,
            values: (0..t).flat_map(|_| indices).collect(),
            positions: (0..t).map(|t| 5.0 + t as f32).collect(),
            kept: (0..t).collect(),
            finding: None,
        };
        let aerial = (0..5).flat_map(|_| indices).collect();
        let id = PatchId::new(number).unwrap();
        let sample = Sample { id, aerial, series: Some(series), metadata: Some(vec![number as f32; 3]) };
        Example { sample, target: vec![0, 1, 2, 3], satellite_target: None }
    }

    fn batch(examples: &[Example]) -> Batch {
        Batch::new(examples, -1.0, &Builder::new(DType::F32, &Device::Cpu, 0).finish()).unwrap()
    }

    #[test]
    fn shorter_series_are_padded() {
        let batch = batch(&[example(1, 1), example(2, 3)]);
        let (images, dates) = batch.series.unwrap();
        assert_eq!((batch.aerial.dims(), images.dims()), (&[2, 5, 2, 2][..], &[2, 3, 1, 2, 2][..]));
        let first = images.get(0).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(first, [0., 1., 2., 3., -1., -1., -1., -1., -1., -1., -1., -1.]);
        assert_eq!(dates.to_vec2::<f32>().unwrap(), [[5.0, 0.0, 0.0], [5.0, 6.0, 7.0]]);
        assert_eq!(batch.metadata.unwrap().to_vec2::<f32>().unwrap(), [[1.0; 3], [2.0; 3]]);
        assert_eq!(batch.target.to_vec3::<u8>().unwrap(), [[[0, 1], [2, 3]]; 2]);
    }

    #[test]
    fn the_series_turns_with_the_patch_in_corrected_only() {
        let turned = |fidelity| {
            let mut turned = example(1, 2);
            turned.augment(Augmentation { vertical: true, ..Augmentation::NONE }, fidelity);
            let batch = batch(&[turned, example(2, 2)]);
            let image = |tensor: &Tensor| tensor.get(0).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let labels = |tensor: &Tensor| tensor.get(0).unwrap().flatten_all().unwrap().to_vec1::<u8>().unwrap();
            let [aerial, series] = [image(&batch.aerial), image(&batch.series.unwrap().0)].map(|v| v[..4].to_vec());
            (aerial, labels(&batch.target), series, labels(&batch.satellite_target))
        };
        let (upright, turned_over) = (vec![0.0, 1.0, 2.0, 3.0], vec![2.0, 3.0, 0.0, 1.0]);
        let aerial = (turned_over.clone(), vec![2, 3, 0, 1]);
        assert_eq!(turned(Fidelity::Upstream), (aerial.0.clone(), aerial.1.clone(), upright, vec![0, 1, 2, 3]));
        assert_eq!(turned(Fidelity::Corrected), (aerial.0, aerial.1.clone(), turned_over, aerial.1));
    }

    #[test]
    fn a_patch_is_augmented_the_same_in_an_epoch_and_otherwise_in_others() {
        let targets = |seed| {
            let augmenting = Augmenting { is_on: true, fidelity: Fidelity::Upstream, seed };
            (0..20).map(|epoch| augmenting.apply(example(1, 1), epoch).target).collect::<Vec<_>>()
        };
        assert_eq!(targets(1), targets(1));
        assert_ne!(targets(1), targets(2));
        assert!(targets(1).iter().any(|target| *target != [0, 1, 2, 3]));
        let plain = Augmenting { is_on: false, fidelity: Fidelity::Upstream, seed: 1 };
        assert!((0..20).all(|epoch| plain.apply(example(1, 1), epoch).target == [0, 1, 2, 3]));
    }
}
