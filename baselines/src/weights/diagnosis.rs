//! What a file is that does not hold a network's weights, and the command that is right for it.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::nn::Mismatch;

/// Number of bytes at the start of a file by which [`of_content`] recognises it.
pub(super) const HEAD: u64 = 512;

/// Why a file is no checkpoint, from its first [`HEAD`] bytes.
pub(super) fn of_content(head: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(head).trim_start().to_ascii_lowercase();
    let begins_with = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
    if head.is_empty() {
        "it is empty"
    } else if head.starts_with(b"\x80\x02") {
        "it has torch's format of before version 1.6: load it with torch, and save it again with `torch.save`"
    } else if begins_with(&["version https://git-lfs"]) {
        "it is a Git LFS pointer, which stands for the weights: fetch them with `git lfs pull`"
    } else if begins_with(&["<!doctype", "<html", "<?xml", "<head"]) {
        "it is a web page, such as a login or an error in place of the download: download the file again"
    } else if head.starts_with(b"\x1f\x8b") {
        "it is compressed with gzip: unpack it with `gunzip`"
    } else if head.starts_with(b"\x89HDF") {
        "it has the format HDF5, which Keras writes: weights of PyTorch are needed"
    } else if begins_with(&["{", "["]) {
        "it is JSON: weights have the form of .safetensors or of `torch.save`"
    } else {
        "it is neither a .safetensors file nor one that torch.save wrote"
    }
}

const UNET: &str = "arch_vhr.";
const SATELLITE: [&str; 3] = ["arch_hr.", "fm_utae_", "reshape_utae_output."];
const METADATA: &str = "mtd_mlp.";
/// The layers whose output channels are the classes.
const HEADS: [&str; 3] = ["arch_vhr.segmentation_head.0.", "reshape_utae_output.1.", "arch_hr.out_conv."];
const STEM: &str = "arch_vhr.encoder.conv1.weight";
const STEM_NORM: &str = "arch_vhr.encoder.bn1.weight";

/// What the weights of another network are, and what to do with them. `tensors` have the names that a network of ours
/// would have.
pub(super) fn of_network(mismatch: &Mismatch, tensors: &BTreeMap<String, Tensor>) -> Option<String> {
    let Mismatch { missing, unexpected, misshapen } = mismatch;
    let all = |names: &[String], prefixes: &[&str]| {
        !names.is_empty() && names.iter().all(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
    };
    let any = |prefixes: &[&str]| tensors.keys().any(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
    if all(unexpected, &["weights.", "optimizer."]) {
        return Some(
            "it is the state of a training run: its weights are in `last.safetensors` in the same folder".into(),
        );
    }
    if is_encoder(tensors) {
        return Some("they are an encoder alone: give them to a training with `--encoder-weights`".into());
    }
    if tensors.is_empty() || !any(&[UNET, SATELLITE[0], SATELLITE[1], SATELLITE[2], METADATA]) {
        return Some("they are of a network that flair-bench does not have: none of its parts is in them".into());
    }
    if let Some(advice) = of_shapes(misshapen) {
        return Some(advice);
    }
    let others = [SATELLITE[0], SATELLITE[1], SATELLITE[2], METADATA];
    let advice = if all(unexpected, &[METADATA]) && missing.is_empty() {
        "they are of a network with metadata: add `--set aerial_metadata=true`"
    } else if all(missing, &[METADATA]) && unexpected.is_empty() {
        "they are of a network without metadata: add `--set aerial_metadata=false`"
    } else if all(unexpected, &others) && missing.is_empty() {
        "they are of a U-T&T: omit --preset, choose a preset of U-T&T, or extract its U-Net with `weights convert --only \
         arch_vhr.`"
    } else if all(missing, &SATELLITE) && unexpected.is_empty() {
        "they are of a U-Net: omit --preset, or choose a preset of the U-Net"
    } else {
        return None;
    };
    Some(advice.into())
}

/// Whether tensors are a `ResNet`'s, with or without its classifier.
fn is_encoder(tensors: &BTreeMap<String, Tensor>) -> bool {
    let bare = |name: &str| {
        ["conv1.", "bn1.", "layer1.", "layer2.", "layer3.", "layer4.", "fc."].iter().any(|part| name.starts_with(part))
    };
    !tensors.is_empty()
        && tensors.keys().all(|name| bare(name) || name.strip_prefix("arch_vhr.encoder.").is_some_and(bare))
}

/// Advice where shapes differ: the number of classes, of bands, or the width.
fn of_shapes(misshapen: &[(String, Vec<usize>, Vec<usize>)]) -> Option<String> {
    let of = |name: &str| misshapen.iter().find(|(found, ..)| found == name);
    if let Some((_, needed, found)) = of(STEM_NORM) {
        let (needed, found) = (needed.first()?, found.first()?);
        return Some(format!(
            "their U-Net is {found} channels wide, the network's {needed}: add `--set flair_bench.unet_width={found}`"
        ));
    }
    if let Some((_, needed, found)) = of(STEM).filter(|(_, needed, found)| needed.get(1) != found.get(1)) {
        let (needed, found) = (needed.get(1)?, found.get(1)?);
        return Some(format!("they read images of {found} bands, and FLAIR #2's have {needed}"));
    }
    let is_head = |name: &str| HEADS.iter().any(|head| name.starts_with(head));
    let (name, needed, found) = misshapen.iter().find(|(name, ..)| is_head(name))?;
    if !misshapen.iter().all(|(name, ..)| is_head(name)) || name.is_empty() {
        return None;
    }
    let (needed, found) = (needed.first()?, found.first()?);
    Some(format!(
        "they predict {found} classes, and FLAIR #2 has {needed}: weights of another nomenclature need a new head, and \
         training"
    ))
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::models::{Network, fixture, utt::UttConfig};

    fn network(config: &UttConfig) -> Network {
        Network::new(config, DType::F32, &Device::Cpu, 0).unwrap()
    }

    #[test]
    fn weights_of_other_networks_are_named_with_the_way_out() {
        let thin = UttConfig { unet_width: 8, ..fixture::unet() };
        let wanted = network(&thin);
        let advice = |tensors: BTreeMap<String, Tensor>| {
            let mismatch = wanted.parameters.mismatch(&tensors).unwrap();
            of_network(&mismatch, &tensors).unwrap_or_else(|| "nothing".to_owned())
        };
        let of = |config: UttConfig| advice(network(&config).parameters.snapshot().unwrap());
        let whole = || wanted.parameters.snapshot().unwrap();
        let encoder = || whole().into_iter().filter(|(name, _)| name.starts_with("arch_vhr.encoder."));
        let bare = encoder().map(|(name, t)| (name["arch_vhr.encoder.".len()..].to_owned(), t));
        let lines = [
            of(UttConfig { classes: 15, ..thin.clone() }),
            of(UttConfig { aerial_channels: 3, ..thin.clone() }),
            of(UttConfig { unet_width: 16, ..thin.clone() }),
            of(UttConfig { metadata: Some(45), ..thin.clone() }),
            of(UttConfig { utae: fixture::utt().utae, ..thin.clone() }),
            advice(encoder().collect()),
            advice(bare.collect()),
            advice(whole().into_iter().map(|(name, t)| (format!("segformer.{name}"), t)).collect()),
            advice(whole().into_iter().map(|(name, t)| (format!("weights.{name}"), t)).collect()),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r"
        they predict 15 classes, and FLAIR #2 has 13: weights of another nomenclature need a new head, and training
        they read images of 3 bands, and FLAIR #2's have 5
        their U-Net is 16 channels wide, the network's 8: add `--set flair_bench.unet_width=16`
        they are of a network with metadata: add `--set aerial_metadata=true`
        they are of a U-T&T: omit --preset, choose a preset of U-T&T, or extract its U-Net with `weights convert --only arch_vhr.`
        they are an encoder alone: give them to a training with `--encoder-weights`
        they are an encoder alone: give them to a training with `--encoder-weights`
        they are of a network that flair-bench does not have: none of its parts is in them
        it is the state of a training run: its weights are in `last.safetensors` in the same folder
        ");
    }

    #[test]
    fn files_are_recognised_by_their_content() {
        let found: Vec<_> = [
            &b""[..],
            b"\x80\x02\x8a\x0al\xfc",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n",
            b"\n<!DOCTYPE html><html>",
            b"\x1f\x8b\x08",
            b"\x89HDF\r\n",
            b"{\"a\": 1}",
            b"\xff\xfe\x00",
        ]
        .map(of_content)
        .into();
        insta::assert_snapshot!(found.join("\n"), @r"
        it is empty
        it has torch's format of before version 1.6: load it with torch, and save it again with `torch.save`
        it is a Git LFS pointer, which stands for the weights: fetch them with `git lfs pull`
        it is a web page, such as a login or an error in place of the download: download the file again
        it is compressed with gzip: unpack it with `gunzip`
        it has the format HDF5, which Keras writes: weights of PyTorch are needed
        it is JSON: weights have the form of .safetensors or of `torch.save`
        it is neither a .safetensors file nor one that torch.save wrote
        ");
    }
}
