//! Checkpoints: a `state_dict` in any of the formats, adapted to a network's parameter names.

use std::{
    collections::BTreeMap,
    io::{self, Read, Seek},
    path::Path,
};

use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use flair_scoring::files::{Sha256Sum, open_regular, sha256, write_atomically};
use rayon::prelude::*;

use super::{WeightsError, diagnosis, pytorch, safetensors};
use crate::models::Network;

/// Maximum size of a checkpoint. U-T&T's has 110 MB.
const MAX_FILE: u64 = 8 << 30;

/// Number of elements that are checked at once for being finite.
const CHECKED: usize = 1 << 20;

/// Prefix of tensors in upstream's checkpoints that are not parameters of the network: the class weights of the losses.
const IGNORED: &str = "criterion.";

/// A `state_dict` and its origin.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Tensors by name, as the file names them.
    pub tensors: BTreeMap<String, Tensor>,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Metadata of a `.safetensors` file.
    pub metadata: BTreeMap<String, String>,
}

/// Reads a checkpoint without adapting names: `.safetensors`, or a file of `torch.save`.
///
/// The format is detected from the content, not from the file name.
///
/// # Errors
/// If the file is missing, too large, damaged, or of another format.
pub fn read(path: &Path) -> Result<Checkpoint, WeightsError> {
    let io_error = |source| WeightsError::Io { path: path.to_owned(), source };
    let damaged = |why: &str| WeightsError::Damaged { path: path.to_owned(), why: why.to_owned() };
    let mut file = open_regular(path).map_err(|error| match error.kind() {
        io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => damaged(&error.to_string()),
        _ => io_error(error),
    })?;
    let size = file.metadata().map_err(io_error)?.len();
    if size > MAX_FILE {
        return Err(damaged("it is larger than 8 GiB"));
    }
    let mut start = Vec::new();
    file.by_ref().take(diagnosis::HEAD).read_to_end(&mut start).map_err(io_error)?;
    file.rewind().map_err(io_error)?;
    // The hash is of the bytes that the tensors are read from.
    let (tensors, metadata, sha256) = if start.starts_with(b"PK") {
        let before = file.metadata().map_err(io_error)?;
        let sha256 = sha256(&file).map_err(io_error)?;
        let tensors = pytorch::read(path)?;
        let now = std::fs::metadata(path).map_err(io_error)?;
        if now.len() != before.len() || now.modified().ok() != before.modified().ok() {
            return Err(damaged("it changed while it was read"));
        }
        (tensors, BTreeMap::new(), sha256)
    } else if let Some((_, [b'{', ..])) = start.split_first_chunk::<8>() {
        safetensors::read(path, file, size)?
    } else {
        return Err(damaged(diagnosis::of_content(&start)));
    };
    if tensors.is_empty() {
        return Err(damaged("it has no tensors"));
    }
    Ok(Checkpoint { tensors, sha256, metadata })
}

/// Loads a checkpoint into a network. Lightning's prefix `model.` is removed and the weights of upstream's losses
/// (`criterion.*`) are ignored; all other tensors must match.
///
/// # Errors
/// As [`read`] and [`place`].
pub fn load(path: &Path, network: &Network) -> Result<(), WeightsError> {
    place(path, read(path)?.tensors, network)
}

/// Puts the tensors that were read from `path` into a network, as [`load`] does.
///
/// # Errors
/// If a value is not finite. If the tensors belong to another network, the error lists every missing, unexpected and
/// misshapen one.
pub fn place(path: &Path, tensors: BTreeMap<String, Tensor>, network: &Network) -> Result<(), WeightsError> {
    let tensors = adapted(tensors);
    check_finite(path, &tensors)?;
    let device = |source: candle_core::Error| WeightsError::Device { path: path.to_owned(), source: source.into() };
    // Copies handles; the advice reads no values.
    network.take(tensors.clone()).map_err(device)?.map_err(|mismatch| {
        mismatch.log();
        let advice = diagnosis::of_network(&mismatch, &tensors);
        WeightsError::Mismatch { path: path.to_owned(), mismatch, advice }
    })
}

/// Returns an error if a weight is NaN or infinite: the network would predict one class for every pixel.
pub(crate) fn check_finite(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<(), WeightsError> {
    let floats = tensors.iter().filter(|(_, tensor)| tensor.dtype().is_float()).collect::<Vec<_>>();
    let broken = floats.par_iter().find_map_first(|(name, tensor)| match is_finite(tensor) {
        Ok(true) => None,
        Ok(false) => {
            let why = format!("its tensor `{name}` has values that are not finite");
            Some(WeightsError::Damaged { path: path.to_owned(), why })
        }
        Err(source) => Some(WeightsError::Device { path: path.to_owned(), source: source.into() }),
    });
    broken.map_or(Ok(()), Err)
}

/// SHA-256 of names, types, shapes and values of tensors, in hex.
///
/// # Errors
/// If the device fails.
pub(crate) fn digest<'a>(tensors: impl Iterator<Item = (&'a String, &'a Tensor)>) -> candle_core::Result<String> {
    let mut sum = Sha256Sum::default();
    for (name, tensor) in tensors {
        let tensor = tensor.to_device(&Device::Cpu)?.contiguous()?;
        sum.update(format!("{name} {:?} {:?}\\n", tensor.dtype(), tensor.dims()).as_bytes());
        sum.update(&::safetensors::tensor::View::data(&tensor));
    }
    Ok(sum.finish())
}

/// Whether all elements are finite; without a copy of a large tensor.
fn is_finite(tensor: &Tensor) -> candle_core::Result<bool> {
    // Nearly all weights are f32.
    let (storage, layout) = tensor.storage_and_layout();
    if let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) = (&*storage, layout.contiguous_offsets()) {
        // No early end, so that the compiler makes vectors of it.
        return Ok(values[start..end].iter().fold(true, |finite, value| finite & value.is_finite()));
    }
    let flat = tensor.flatten_all()?;
    let count = flat.elem_count();
    for start in (0..count).step_by(CHECKED) {
        let part = flat.narrow(0, start, CHECKED.min(count - start))?;
        if !part.to_dtype(DType::F64)?.abs()?.sum_all()?.to_scalar::<f64>()?.is_finite() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Renames tensors to the network's parameter names: removes the prefixes of wrapping modules, and the losses.
pub fn adapted(mut tensors: BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    tensors.retain(|name, _| !name.starts_with(IGNORED));
    let renamed = |tensors: BTreeMap<String, Tensor>, new: &dyn Fn(&str) -> String| {
        tensors.into_iter().map(|(name, tensor)| (new(&name), tensor)).collect::<BTreeMap<_, _>>()
    };
    // Lightning's, DistributedDataParallel's and torch.compile's. Wrappers may be nested; `all` of an empty set is true.
    while let Some(prefix) = ["model.", "module.", "_orig_mod."]
        .into_iter()
        .find(|prefix| !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(prefix)))
    {
        tensors = renamed(tensors, &|name| name[prefix.len()..].to_owned());
        tensors.retain(|name, _| !name.starts_with(IGNORED));
    }
    // A bare U-Net, saved by SMP.
    let is_unet = |name: &String| ["encoder.", "decoder.", "segmentation_head."].iter().any(|p| name.starts_with(p));
    if tensors.keys().all(is_unet) { renamed(tensors, &|name| format!("arch_vhr.{name}")) } else { tensors }
}

/// Writes tensors and metadata as `.safetensors`, atomically.
///
/// # Errors
/// If the file cannot be written.
pub fn save(
    path: &Path,
    tensors: &BTreeMap<String, Tensor>,
    metadata: &BTreeMap<String, String>,
) -> Result<(), WeightsError> {
    let device = |source: candle_core::Error| WeightsError::Device { path: path.to_owned(), source: source.into() };
    let mut contiguous = BTreeMap::new();
    for (name, tensor) in tensors {
        contiguous.insert(name.as_str(), tensor.to_device(&Device::Cpu).and_then(|t| t.contiguous()).map_err(device)?);
    }
    let metadata = metadata.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let bytes = ::safetensors::serialize(&contiguous, Some(metadata))
        .map_err(|e| WeightsError::Damaged { path: path.to_owned(), why: e.to_string() })?;
    write_atomically(path, |file| io::Write::write_all(file, &bytes))
        .map_err(|source| WeightsError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{fixture, utt::UttConfig};

    fn thin() -> UttConfig {
        UttConfig { unet_width: 16, ..fixture::unet() }
    }

    fn unet(seed: u64) -> Network {
        Network::new(&thin(), DType::F32, &Device::Cpu, seed).unwrap()
    }

    fn prefixed(prefix: &str, tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
        tensors.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())).collect()
    }

    #[test]
    fn all_naming_schemes_restore_the_whole_network() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("unet.safetensors");
        let original = unet(1);
        let snapshot = original.parameters.snapshot().unwrap();
        let one = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        let mut lightning = prefixed("model.", &snapshot);
        lightning.insert("criterion.0.weight".into(), one);
        let smp = snapshot.iter().map(|(name, t)| (name["arch_vhr.".len()..].to_owned(), t.clone())).collect();
        for names in [snapshot.clone(), lightning, prefixed("model._orig_mod.module.", &snapshot), smp] {
            save(&path, &names, &BTreeMap::new()).unwrap();
            let other = unet(2);
            load(&path, &other).unwrap();
            for (name, parameter) in other.parameters.iter() {
                let [a, b] = [parameter.var().as_tensor(), &snapshot[name]].map(|t| t.flatten_all().unwrap());
                assert!((a.ne(&b).unwrap().max_all().unwrap()).to_scalar::<u8>().unwrap() == 0, "{name}");
            }
        }
    }

    #[test]
    fn weights_of_another_network_are_errors_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let config = UttConfig { metadata: Some(45), ..thin() };
        let with_metadata = Network::new(&config, DType::F32, &Device::Cpu, 0).unwrap();
        save(&path, &with_metadata.parameters.snapshot().unwrap(), &BTreeMap::new()).unwrap();
        let text = load(&path, &unet(0)).unwrap_err().to_string();
        assert!(text.contains("add `--set aerial_metadata=true`"), "{text}");
        assert!(text.contains("0 missing, 6 unexpected and 0 misshapen"), "{text}");
        assert!(text.contains("unexpected  mtd_mlp.enc_mlp.3.weight"), "{text}");
        assert!(text.contains("unexpected  and 1 more (-v lists them)"), "{text}");
    }

    #[test]
    fn a_checkpoint_of_losses_alone_lacks_everything() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("criterion.safetensors");
        let weight = Tensor::new(&[1f32], &Device::Cpu).unwrap();
        save(&path, &[("criterion.0.weight".to_owned(), weight)].into(), &BTreeMap::new()).unwrap();
        let text = load(&path, &unet(0)).unwrap_err().to_string();
        assert!(text.contains("278 missing, 0 unexpected"), "{text}");
    }

    #[test]
    fn files_that_are_not_checkpoints_have_distinct_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let reason = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            match read(&path).unwrap_err() {
                WeightsError::Damaged { why, .. } => why,
                other => panic!("{other}"),
            }
        };
        assert_eq!(reason(b""), "it is empty");
        assert!(
            reason(b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")
                .starts_with("it has torch's format of before version 1.6")
        );
        assert_eq!(reason(b"\x02\0\0\0\0\0\0\0{}"), "it has no tensors");
        // A claimed header of 2^60 bytes.
        assert_eq!(reason(b"\0\0\0\0\0\0\0\x10{}"), "its header has 1152921504606846976 bytes, at most 8388608");
        let empty = br#"{"a":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}"#;
        let empty = [&(empty.len() as u64).to_le_bytes(), &empty[..]].concat();
        assert_eq!(reason(&empty), "its tensor `a` has axes that are too long: [0, 4294967296, 4294967296]");
        assert!(reason(b"PK\x03\x04 no zip").starts_with("its archive cannot be read"));
        assert!(matches!(read(&dir.path().join("none")).unwrap_err(), WeightsError::Io { .. }));
        assert!(matches!(read(dir.path()).unwrap_err(), WeightsError::Damaged { .. }));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_an_error_and_never_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model.safetensors");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let text = read(&path).unwrap_err().to_string();
        assert!(text.ends_with("it is a pipe, not a regular file"), "{text}");
        assert!(super::super::load_encoder(&path, &unet(0)).is_err());
    }
}
