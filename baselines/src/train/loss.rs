//! Cross-entropy with class weights and ignored pixels, and upstream's two-branch loss.

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::{
    models::Logits,
    nn::{cross_entropy as on_kernels, take_on_gpu, wide},
};

/// The class id of pixels that the loss ignores.
pub const IGNORED: u8 = 255;

/// Pixel-wise cross-entropy, the mean over the pixels' class weights: `Σ w[t]·-log p[t] / Σ w[t]`.
///
/// * `logits` – `[B, K, H, W]`, f32, f64 or bf16.
/// * `target` – `[B, H, W]`, u8 class ids below `K`; pixels of 255 give no loss and no gradient.
/// * `weights` – `K` factors, each at least 0.
///
/// Returns a scalar of the logits' dtype, f32 for bf16; the sum is computed in f64. Nothing is read back from a GPU: there
/// a label that is no class makes the loss NaN. Equals
/// `torch.nn.CrossEntropyLoss(weight=weights, ignore_index=255)`. Deviation: if every pixel has weight 0 or is ignored,
/// loss and gradient are 0, where torch's are NaN.
///
/// # Errors
/// If shapes disagree, a label is neither below `K` nor 255, a weight is negative or not finite, or the device fails.
pub fn cross_entropy(logits: &Tensor, target: &Tensor, weights: &[f64]) -> Result<Tensor> {
    let (batch, classes, height, width) = logits.dims4()?;
    if classes == 0 || target.dims() != [batch, height, width] || weights.len() != classes {
        let (dims, labels) = (logits.dims(), target.dims());
        bail!("logits of shape {dims:?} do not fit labels of shape {labels:?} and {} class weights", weights.len());
    }
    if !weights.iter().all(|w| w.is_finite() && *w >= 0.0) {
        bail!("class weights are {weights:?}: expected finite numbers ≥ 0");
    }
    // Labels are small, so they are checked on the CPU, where the sum of their weights is exact; but a GPU is not waited for.
    let labels = if take_on_gpu(logits) { Vec::new() } else { target.flatten_all()?.to_vec1::<u8>()? };
    if let Some(label) = labels.iter().find(|&&l| usize::from(l) >= classes && l != IGNORED) {
        bail!("a label is {label}: expected a class below {classes}, or {IGNORED}");
    }
    if let Some(loss) = on_kernels(logits, target, weights)? {
        return loss.to_dtype(wide(logits.dtype()));
    }
    let logits = &logits.to_dtype(wide(logits.dtype()))?;
    let pixel_weights: Vec<f64> = labels.iter().map(|&l| weights.get(usize::from(l)).copied().unwrap_or(0.0)).collect();
    let total: f64 = pixel_weights.iter().sum();
    let classes_or_first: Vec<u32> = labels.iter().map(|&l| if l == IGNORED { 0 } else { u32::from(l) }).collect();

    let to_device = |t: Tensor| t.to_device(logits.device());
    let index = to_device(Tensor::from_vec(classes_or_first, (batch, 1, height, width), &Device::Cpu)?)?;
    let pixel_weights = to_device(Tensor::from_vec(pixel_weights, (batch, 1, height, width), &Device::Cpu)?)?;
    // Subtracting the largest logit keeps the exponentials in range; it cancels, and so does its gradient.
    let centred = logits.broadcast_sub(&logits.detach().max_keepdim(1)?)?;
    let log_sum_exp = centred.exp()?.sum_keepdim(1)?.log()?;
    let nll = (log_sum_exp - centred.contiguous()?.gather(&index, 1)?)?;
    let sum = (nll.to_dtype(DType::F64)? * pixel_weights)?.sum_all()?;
    // If no pixel has a weight, the sum is already 0.
    (sum / if total > 0.0 { total } else { 1.0 })?.to_dtype(logits.dtype())
}

/// Class weights of both losses, and the weights of the losses in their sum.
#[derive(Clone, Debug, PartialEq)]
pub struct LossWeights {
    /// Class weights of the aerial loss.
    pub classes_aerial: Vec<f64>,
    /// Class weights of the satellite loss.
    pub classes_satellite: Vec<f64>,
    /// Weight of the aerial loss.
    pub aerial: f64,
    /// Weight of the satellite loss.
    pub satellite: f64,
}

/// The losses of a batch: scalars of the logits' dtype.
#[derive(Clone, Debug)]
pub struct Losses {
    /// The weighted sum: the objective.
    pub total: Tensor,
    /// Loss of the aerial branch, unweighted.
    pub aerial: Tensor,
    /// Loss of the satellite branch, unweighted; `None` without the branch.
    pub satellite: Option<Tensor>,
}

/// Upstream's loss: each branch has its own target (`src/task_module.py:55-66`).
///
/// * `target` – `[B, H, W]`, u8, aligned with the aerial image.
/// * `satellite_target` – `[B, H, W]`, u8, aligned with the series: upstream augments the aerial image and its labels
///   only.
///
/// # Errors
/// As [`cross_entropy`].
pub fn two_branch(
    logits: &Logits,
    target: &Tensor,
    satellite_target: &Tensor,
    weights: &LossWeights,
) -> Result<Losses> {
    let aerial = cross_entropy(&logits.aerial, target, &weights.classes_aerial)?;
    let total = (&aerial * weights.aerial)?;
    let Some(satellite) = &logits.satellite else { return Ok(Losses { total, aerial, satellite: None }) };
    let satellite = cross_entropy(satellite, satellite_target, &weights.classes_satellite)?;
    Ok(Losses { total: (total + (&satellite * weights.satellite)?)?, aerial, satellite: Some(satellite) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Var;

    const WEIGHTS: [f64; 3] = [1.0, 0.5, 0.0];

    /// `[2, 3, 2, 3]`, the input of torch's numbers below.
    fn logits() -> Vec<f64> {
        (0..36).map(|i| 3.0 * (1.0 + 0.7 * f64::from(i)).sin()).collect()
    }

    fn labels() -> Tensor {
        Tensor::from_vec(vec![0u8, 1, 2, 255, 1, 0, 2, 2, 255, 0, 1, 1], (2, 2, 3), &Device::Cpu).unwrap()
    }

    fn tensor(values: Vec<f64>) -> Tensor {
        Tensor::from_vec(values, (2, 3, 2, 3), &Device::Cpu).unwrap()
    }

    fn scalar(tensor: &Tensor) -> f64 {
        tensor.to_dtype(DType::F64).unwrap().to_scalar().unwrap()
    }

    fn close(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn values_and_gradients_are_torchs() {
        // torch 2.15, float64: `CrossEntropyLoss(weight=[1, .5, 0], ignore_index=255)` on these logits and labels.
        let logits = Var::from_tensor(&tensor(logits())).unwrap();
        let loss = cross_entropy(&logits, &labels(), &WEIGHTS).unwrap();
        close(scalar(&loss), 2.050_622_766_109_285);
        let gradients = loss.backward().unwrap().remove(&logits).unwrap();
        let found = gradients.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for (found, expected) in found.iter().zip([-0.016_840_354_590_592_722, 0.097_612_831_895_093_4, 0.0, 0.0]) {
            assert!((found - expected).abs() < 1e-14, "{found} is not {expected}");
        }
        close(found.iter().map(|g| g * g).sum::<f64>().sqrt(), 0.392_467_532_044_376_5);
        // The same without weights.
        close(scalar(&cross_entropy(&tensor(self::logits()), &labels(), &[1.0; 3]).unwrap()), 2.540_573_791_227_369_6);
    }

    #[test]
    fn one_pixel_by_hand() {
        // Odds of 1 : 2 : 5, and the second class is correct: -log(2/8).
        let logits =
            Tensor::new(&[1f64, 2.0, 5.0], &Device::Cpu).unwrap().log().unwrap().reshape((1, 3, 1, 1)).unwrap();
        let target = Tensor::new(&[[[1u8]]], &Device::Cpu).unwrap();
        close(scalar(&cross_entropy(&logits, &target, &WEIGHTS).unwrap()), 4f64.ln());
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let at = |values: Vec<f64>| scalar(&cross_entropy(&tensor(values), &labels(), &WEIGHTS).unwrap());
        let var = Var::from_tensor(&tensor(logits())).unwrap();
        let loss = cross_entropy(&var, &labels(), &WEIGHTS).unwrap();
        let found = loss.backward().unwrap().remove(&var).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for (i, found) in found.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut values = logits();
                values[i] += by;
                at(values)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found - slope).abs() < 1e-9, "{i}: {found} is not {slope}");
        }
    }

    #[test]
    fn huge_logits_stay_finite() {
        let huge: Vec<f64> = logits().into_iter().map(|v| 1e4 * v).collect();
        let var = Var::from_tensor(&tensor(huge).to_dtype(DType::F32).unwrap()).unwrap();
        let loss = cross_entropy(&var, &labels(), &WEIGHTS).unwrap();
        assert!(scalar(&loss).is_finite());
        let gradients = loss.backward().unwrap().remove(&var).unwrap();
        assert!(scalar(&gradients.abs().unwrap().sum_all().unwrap()).is_finite());
    }

    #[test]
    fn a_batch_of_ignored_pixels_has_loss_0() {
        let var = Var::from_tensor(&tensor(logits())).unwrap();
        let everywhere = |label: u8| Tensor::full(label, (2, 2, 3), &Device::Cpu).unwrap();
        // 2 has the weight 0.
        for label in [IGNORED, 2] {
            let loss = cross_entropy(&var, &everywhere(label), &WEIGHTS).unwrap();
            assert!(scalar(&loss) == 0.0);
            let gradients = loss.backward().unwrap().remove(&var).unwrap();
            assert!(scalar(&gradients.abs().unwrap().sum_all().unwrap()) == 0.0);
        }
    }

    #[test]
    fn long_sums_keep_their_digits() {
        // 4 million pixels of -log(1/2), in f32.
        let logits = Tensor::zeros((1, 2, 2048, 2048), DType::F32, &Device::Cpu).unwrap();
        let target = Tensor::zeros((1, 2048, 2048), DType::U8, &Device::Cpu).unwrap();
        let loss = scalar(&cross_entropy(&logits, &target, &[0.3, 0.7]).unwrap());
        assert!((loss / 2f64.ln() - 1.0).abs() < 1e-7, "{loss}");
    }

    #[test]
    fn mismatched_inputs_are_errors() {
        let error = |labels: &Tensor, weights: &[f64]| {
            cross_entropy(&tensor(logits()), labels, weights)
                .unwrap_err()
                .to_string()
                .lines()
                .next()
                .unwrap()
                .to_owned()
        };
        let threes = Tensor::full(3u8, (2, 2, 3), &Device::Cpu).unwrap();
        insta::assert_snapshot!(error(&threes, &WEIGHTS), @"a label is 3: expected a class below 3, or 255");
        insta::assert_snapshot!(error(&labels(), &[1.0]), @"logits of shape [2, 3, 2, 3] do not fit labels of shape [2, 2, 3] and 1 class weights");
        insta::assert_snapshot!(error(&labels(), &[1.0, -1.0, f64::NAN]), @"class weights are [1.0, -1.0, NaN]: expected finite numbers ≥ 0");
        insta::assert_snapshot!(error(&threes.narrow(0, 0, 1).unwrap(), &WEIGHTS), @"logits of shape [2, 3, 2, 3] do not fit labels of shape [1, 2, 3] and 3 class weights");
    }

    #[test]
    fn branches_have_labels_and_weights_of_their_own() {
        let weights = LossWeights {
            classes_aerial: WEIGHTS.to_vec(),
            classes_satellite: vec![0.0, 1.0, 1.0],
            aerial: 2.0,
            satellite: 0.25,
        };
        let turned = labels().flip(&[2]).unwrap().contiguous().unwrap();
        let both = Logits { aerial: tensor(logits()), satellite: Some((tensor(logits()) * 0.5).unwrap()) };
        let losses = two_branch(&both, &turned, &labels(), &weights).unwrap();
        let aerial = scalar(&cross_entropy(&both.aerial, &turned, &weights.classes_aerial).unwrap());
        let satellite = both.satellite.as_ref().unwrap();
        let satellite = scalar(&cross_entropy(satellite, &labels(), &weights.classes_satellite).unwrap());
        close(scalar(&losses.aerial), aerial);
        close(scalar(losses.satellite.as_ref().unwrap()), satellite);
        close(scalar(&losses.total), 2.0 * aerial + 0.25 * satellite);
        let alone = two_branch(&Logits { satellite: None, ..both }, &turned, &labels(), &weights).unwrap();
        assert!(alone.satellite.is_none());
        close(scalar(&alone.total), 2.0 * aerial);
    }
}
