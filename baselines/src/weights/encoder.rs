//! Pre-trained weights of the aerial encoder: `ResNet34` as torchvision, timm and `segmentation_models_pytorch` (SMP)
//! save it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use candle_core::Tensor;

use super::{
    WeightsError,
    checkpoint::{Checkpoint, check_finite, read},
};
use crate::{models::Network, nn::Mismatch};

/// Prefix of the encoder's parameters.
const ENCODER: &str = "arch_vhr.encoder.";
/// Its first convolution, which reads the bands.
const FIRST: &str = "arch_vhr.encoder.conv1.weight";
/// Suffix of counters that files from before torch 0.4.1 lack, and no computation uses.
const COUNTER: &str = ".num_batches_tracked";

/// Extensions of weight files in a folder.
const ENDINGS: [&str; 4] = ["safetensors", "pth", "pt", "bin"];
/// File names in timm's folders; the first one found is used.
const USUAL: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// Pre-trained weights of an encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderWeights {
    /// The file.
    pub path: PathBuf,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

/// Loads a network's aerial encoder from `path`: a file, or a folder with one weight file.
///
/// The names are torchvision's and timm's (`conv1.weight`, `layer1.0.conv1.weight`, …; their classifier `fc.*` is
/// ignored) or SMP's (the same, or with `encoder.` in front). A first convolution of three bands is extended to
/// all bands of the network as in SMP (`encoders/_utils.py`): the three bands' weights repeat, times 3 / bands.
///
/// # Errors
/// If there is no such file, or it cannot be read. If it belongs to another network, the error lists every difference.
/// On an error the network is unchanged.
pub fn load_encoder(path: &Path, network: &Network) -> Result<EncoderWeights, WeightsError> {
    let path = if path.is_dir() { only_file(path)? } else { path.to_owned() };
    let Checkpoint { tensors, sha256, .. } = read(&path)?;
    check_finite(&path, &tensors)?;
    let device = |source: candle_core::Error| WeightsError::Device { path: path.clone(), source: source.into() };
    // The other parameters keep their values.
    let mut all = network.parameters.snapshot().map_err(device)?;
    all.retain(|name, _| !name.starts_with(ENCODER) || name.ends_with(COUNTER));
    let bands = network.parameters.get(FIRST).map(|first| first.var().dims()[1]);
    for (name, tensor) in renamed(tensors) {
        let is_first = name == FIRST && tensor.rank() == 4 && tensor.dims()[1] == 3;
        let tensor = match bands {
            Some(bands) if is_first => spread(&tensor, bands).map_err(device)?,
            _ => tensor,
        };
        all.insert(name, tensor);
    }
    match network.assign(&all).map_err(device)? {
        Ok(()) => Ok(EncoderWeights { path, sha256 }),
        Err(mismatch) => {
            mismatch.log();
            let advice = advice(&mismatch).map(str::to_owned);
            Err(WeightsError::Mismatch { path, mismatch, advice })
        }
    }
}

/// The weight file in a folder.
fn only_file(folder: &Path) -> Result<PathBuf, WeightsError> {
    let io_error = |source| WeightsError::Io { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io_error)? {
        let path = entry.map_err(io_error)?.path();
        if path.extension().is_some_and(|e| ENDINGS.iter().any(|ending| e == *ending)) {
            files.push(path);
        }
    }
    files.sort();
    let usual = USUAL.iter().find_map(|name| files.iter().find(|file| file.ends_with(name)));
    match (usual, files.as_slice()) {
        (Some(file), _) | (None, [file]) => Ok(file.clone()),
        (None, []) => Err(WeightsError::Damaged {
            path: folder.to_owned(),
            why: format!("it is a folder without weight files (.{})", ENDINGS.join(", .")),
        }),
        (None, several) => {
            let names: Vec<_> = several.iter().filter_map(|file| file.file_name()?.to_str()).collect();
            let why = format!("it is a folder with {} weight files: name one ({})", several.len(), names.join(", "));
            Err(WeightsError::Damaged { path: folder.to_owned(), why })
        }
    }
}

/// Renames a file's tensors to the network's parameter names, and removes the classifier.
fn renamed(tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let kept = tensors.into_iter().filter(|(name, _)| !name.starts_with("fc."));
    kept.map(|(name, tensor)| (format!("{ENCODER}{}", name.strip_prefix("encoder.").unwrap_or(&name)), tensor))
        .collect()
}

/// `[N, 3, k, k]` to `[N, bands, k, k]`: repeats the three bands cyclically, scaled by 3 / bands.
fn spread(weight: &Tensor, bands: usize) -> candle_core::Result<Tensor> {
    let turns = (0..bands).map(|band| weight.narrow(1, band % 3, 1)).collect::<candle_core::Result<Vec<_>>>()?;
    Tensor::cat(&turns, 1)? * (3.0 / bands as f64)
}

fn advice(mismatch: &Mismatch) -> Option<&'static str> {
    let has = |names: &[String], part: &str| names.iter().any(|name| name.contains(part));
    if has(&mismatch.unexpected, "layer1.0.conv3.") {
        Some("they are of a larger ResNet: ResNet34's are needed")
    } else if has(&mismatch.missing, "layer1.2.") && !has(&mismatch.missing, "layer1.0.") {
        Some("they are of a ResNet18: ResNet34's are needed")
    } else if has(&mismatch.unexpected, "decoder.") {
        Some("they are of a whole U-Net: give them as the network's weights, not as the encoder's")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        models::{fixture, utt::UttConfig},
        weights::save,
    };
    use candle_core::{DType, Device};

    fn unet(channels: usize, seed: u64) -> Network {
        let config = UttConfig { aerial_channels: channels, ..fixture::unet() };
        Network::new(&config, DType::F32, &Device::Cpu, seed).unwrap()
    }

    /// torchvision's state dict: a three-band encoder's, and a classifier.
    fn torchvision() -> BTreeMap<String, Tensor> {
        let tensors = unet(3, 7).parameters.snapshot().unwrap();
        let encoder = tensors.into_iter().filter_map(|(n, t)| Some((n.strip_prefix(ENCODER)?.to_owned(), t)));
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        let classifier = [("fc.weight".into(), zeros(&[1000, 512])), ("fc.bias".into(), zeros(&[1000]))];
        encoder.chain(classifier).collect()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    fn written(folder: &Path, name: &str, tensors: &BTreeMap<String, Tensor>) -> PathBuf {
        let path = folder.join(name);
        save(&path, tensors, &BTreeMap::new()).unwrap();
        path
    }

    #[test]
    fn all_names_fill_the_encoder_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let torchvision = torchvision();
        let without_classifier = || torchvision.clone().into_iter().filter(|(name, _)| !name.starts_with("fc."));
        let smp: BTreeMap<_, _> = without_classifier().map(|(name, t)| (format!("encoder.{name}"), t)).collect();
        let old: BTreeMap<_, _> =
            torchvision.clone().into_iter().filter(|(name, _)| !name.ends_with(COUNTER)).collect();
        for (name, tensors) in
            [("tv", &torchvision), ("smp", &smp), ("plain", &without_classifier().collect()), ("old", &old)]
        {
            let network = unet(5, 1);
            let before = network.parameters.snapshot().unwrap();
            let found =
                load_encoder(&written(folder.path(), &format!("{name}.safetensors"), tensors), &network).unwrap();
            assert_eq!(found.sha256.len(), 64);
            for (name, parameter) in network.parameters.iter() {
                let found = values(parameter.var());
                match name.strip_prefix(ENCODER) {
                    Some("conv1.weight") => {}
                    Some(name) => assert_eq!(found, values(&torchvision[name]), "{name}"),
                    None => assert_eq!(found, values(&before[name]), "{name}"),
                }
            }
        }
    }

    #[test]
    fn the_first_convolution_is_spread_over_the_bands() {
        let folder = tempfile::tempdir().unwrap();
        let torchvision = torchvision();
        let network = unet(5, 1);
        load_encoder(&written(folder.path(), "tv.safetensors", &torchvision), &network).unwrap();
        let first = network.parameters.get(FIRST).unwrap().var();
        assert_eq!(first.dims(), [64, 5, 7, 7]);
        for (band, origin) in [0, 1, 2, 0, 1].into_iter().enumerate() {
            let found = values(&first.narrow(1, band, 1).unwrap());
            let original = values(&torchvision["conv1.weight"].narrow(1, origin, 1).unwrap());
            assert!(found.iter().zip(original).all(|(f, o)| f.to_bits() == (o * 0.6).to_bits()), "band {band}");
        }
        // A first convolution of all bands is used unchanged.
        let mut five = torchvision;
        five.insert("conv1.weight".into(), first.as_detached_tensor().copy().unwrap());
        let other = unet(5, 2);
        load_encoder(&written(folder.path(), "five.safetensors", &five), &other).unwrap();
        assert_eq!(values(other.parameters.get(FIRST).unwrap().var()), values(first));
    }

    #[test]
    fn a_mismatch_lists_all_tensors_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut tensors = torchvision();
        tensors.remove("bn1.weight");
        tensors.insert("layer1.0.conv3.weight".into(), tensors["bn1.bias"].clone());
        tensors.insert("layer4.2.bn2.bias".into(), tensors["bn1.bias"].clone());
        let network = unet(5, 1);
        let before = network.parameters.snapshot().unwrap();
        let error = load_encoder(&written(folder.path(), "r.safetensors", &tensors), &network).unwrap_err();
        insta::assert_snapshot!(error.to_string().replace(folder.path().to_str().unwrap(), "…"), @"
        the weights in `…/r.safetensors` do not fit the network: 1 missing, 1 unexpected and 1 misshapen tensors
          missing     arch_vhr.encoder.bn1.weight
          unexpected  arch_vhr.encoder.layer1.0.conv3.weight
          misshapen   arch_vhr.encoder.layer4.2.bn2.bias: [64], needed [512]
        they are of a larger ResNet: ResNet34's are needed
        ");
        for (name, parameter) in network.parameters.iter() {
            assert_eq!(values(parameter.var()), values(&before[name]), "{name}");
        }
    }

    #[test]
    fn a_folder_with_one_weight_file_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let error = || load_encoder(folder.path(), &unet(5, 1)).unwrap_err().to_string();
        let shown = |error: String| error.replace(folder.path().to_str().unwrap(), "…");
        insta::assert_snapshot!(shown(error()), @"`…` is not a readable checkpoint: it is a folder without weight files (.safetensors, .pth, .pt, .bin)");
        std::fs::write(folder.path().join("config.json"), "{}").unwrap();
        let file = written(folder.path(), "resnet34-b627a593.pth", &torchvision());
        assert_eq!(load_encoder(folder.path(), &unet(5, 1)).unwrap().path, file);
        std::fs::write(folder.path().join("other.bin"), "").unwrap();
        insta::assert_snapshot!(shown(error()), @"`…` is not a readable checkpoint: it is a folder with 2 weight files: name one (other.bin, resnet34-b627a593.pth)");
        let usual = written(folder.path(), "model.safetensors", &torchvision());
        assert_eq!(load_encoder(folder.path(), &unet(5, 1)).unwrap().path, usual);
    }
}
