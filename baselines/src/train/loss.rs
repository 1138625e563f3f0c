//! Cross-entropy with class weights and ignored pixels, and upstream's loss of two branches.

use candle_core::{DType, Device, Result, Tensor, bail};

use crate::{config::Config, models::Logits};

/// The class id of pixels that are left out of a loss.
pub const IGNORED: u8 = 255;

/// Pixel-wise cross-entropy, the mean over the pixels' class weights: `Σ w[t]·-log p[t] / Σ w[t]`.
///
/// * `logits` – `[B, K, H, W]`, f32 or f64.
/// * `target` – `[B, H, W]`, u8 class ids below `K`; pixels of 255 give no loss and no gradient.
/// * `weights` – `K` factors, each at least 0.
///
/// A scalar of the logits' type, summed in f64 whatever that is. Equals
/// `torch.nn.CrossEntropyLoss(weight=weights, ignore_index=255)`, but for a batch of which no pixel counts: its loss
/// is 0, and so is its gradient, where torch's are NaN.
///
/// # Errors
/// If shapes disagree, a label is neither below `K` nor 255, a weight is negative or not finite, or the device fails.
pub fn cross_entropy(logits: &Tensor, target: &Tensor, weights: &[f64]) -> Result<Tensor> {
    let (batch, classes, height, width) = logits.dims4()?;
    if target.dims() != [batch, height, width] || weights.len() != classes {
        let (dims, labels) = (logits.dims(), target.dims());
        bail!("logits of {dims:?} do not go with labels of {labels:?} and {} class weights", weights.len());
    }
    if !weights.iter().all(|w| w.is_finite() && *w >= 0.0) {
        bail!("class weights are {weights:?}: expected finite numbers from 0 on");
    }
    // Labels are few and small: looked at here, they are checked, and the sum of their weights is exact.
    let labels = target.flatten_all()?.to_vec1::<u8>()?;
    if let Some(label) = labels.iter().find(|&&l| usize::from(l) >= classes && l != IGNORED) {
        bail!("a label is {label}: expected a class below {classes}, or {IGNORED}");
    }
    let pixel_weights: Vec<f64> = labels.iter().map(|&l| weights.get(usize::from(l)).copied().unwrap_or(0.0)).collect();
    let total: f64 = pixel_weights.iter().sum();
    let classes_or_first: Vec<u32> = labels.iter().map(|&l| if l == IGNORED { 0 } else { u32::from(l) }).collect();

    let to_device = |t: Tensor| t.to_device(logits.device());
    let index = to_device(Tensor::from_vec(classes_or_first, (batch, 1, height, width), &Device::Cpu)?)?;
    let pixel_weights = to_device(Tensor::from_vec(pixel_weights, (batch, 1, height, width), &Device::Cpu)?)?;
    // The largest logit only keeps the exponentials in range: it cancels, and so does its gradient.
    let centred = logits.broadcast_sub(&logits.detach().max_keepdim(1)?)?;
    let partition = centred.exp()?.sum_keepdim(1)?.log()?;
    let surprise = (partition - centred.contiguous()?.gather(&index, 1)?)?;
    let sum = (surprise.to_dtype(DType::F64)? * pixel_weights)?.sum_all()?;
    (sum * if total > 0.0 { 1.0 / total } else { 0.0 })?.to_dtype(logits.dtype())
}

/// Weights of the classes in both losses, and of the losses in their sum.
#[derive(Clone, Debug, PartialEq)]
pub struct LossWeights {
    /// Of each class in the aerial loss.
    pub classes_aerial: Vec<f64>,
    /// Of each class in the satellite loss.
    pub classes_satellite: Vec<f64>,
    /// Of the aerial loss.
    pub aerial: f64,
    /// Of the satellite loss.
    pub satellite: f64,
}

impl From<&Config> for LossWeights {
    fn from(config: &Config) -> Self {
        // The first weight is the satellite's, whatever its key says (upstream `src/task_module.py:62`).
        let [satellite, aerial] = config.w_unet_utae;
        let (classes_aerial, classes_satellite) =
            config.weights_aerial_satellite.values().map(|&[a, s]| (a, s)).unzip();
        Self { classes_aerial, classes_satellite, aerial, satellite }
    }
}

/// The losses of a batch: scalars of the logits' type.
#[derive(Clone, Debug)]
pub struct Losses {
    /// The weighted sum, which is to be made small.
    pub total: Tensor,
    /// Of the aerial branch, before its weight.
    pub aerial: Tensor,
    /// Of the satellite branch, before its weight; `None` without the branch.
    pub satellite: Option<Tensor>,
}

/// Upstream's loss: each branch against its own labels (`src/task_module.py:55-66`).
///
/// * `target` – `[B, H, W]`, u8, as the aerial image lies.
/// * `satellite_target` – the same as the series lies: upstream turns and flips the aerial image and its labels alone.
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
