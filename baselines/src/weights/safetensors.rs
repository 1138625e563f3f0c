//! Reads `.safetensors` in one pass: each tensor into the memory that it keeps, and hashed as it comes.

use std::{borrow::Cow, collections::BTreeMap, fs::File, io::Read, path::Path, sync::mpsc, thread};

use ::safetensors::{
    SafeTensorError,
    tensor::{Metadata, TensorInfo, View},
};
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use flair_scoring::files::Sha256Sum;

use super::WeightsError;

/// Maximum size of the header, in bytes. A tensor takes some 100 bytes of it, and 1 KB of memory when parsed: U-T&T's has
/// 100 KB.
const MAX_HEADER: u64 = 8 << 20;

/// Tensors by name, the metadata, and the SHA-256 of the file in hex.
pub(super) type Content = (BTreeMap<String, Tensor>, BTreeMap<String, String>, String);

/// Reads `file`, which has `size` bytes.
///
/// # Errors
/// If the file is damaged, or a tensor has a type that candle lacks.
pub(super) fn read(path: &Path, mut file: File, size: u64) -> Result<Content, WeightsError> {
    let damaged = |why: String| WeightsError::Damaged { path: path.to_owned(), why };
    let mut exact =
        |bytes: &mut [u8]| file.read_exact(bytes).map_err(|source| WeightsError::Io { path: path.to_owned(), source });
    let mut length = [0; 8];
    exact(&mut length)?;
    let header_size = u64::from_le_bytes(length);
    if header_size > MAX_HEADER {
        return Err(damaged(format!("its header has {header_size} bytes, at most {MAX_HEADER}")));
    }
    let rest = size.saturating_sub(length.len() as u64);
    if header_size > rest {
        return Err(damaged(SafeTensorError::InvalidHeaderLength.to_string()));
    }
    let mut header = vec![0; usize::try_from(header_size).unwrap_or(usize::MAX)];
    exact(&mut header)?;
    let text = str::from_utf8(&header).map_err(|error| damaged(SafeTensorError::InvalidHeader(error).to_string()))?;
    // Checks that each tensor's bytes are as many as its shape and type say, and follow those of the one before.
    let metadata: Metadata = serde_json::from_str(text)
        .map_err(|error| damaged(SafeTensorError::InvalidHeaderDeserialization(error).to_string()))?;
    // From here on, all claimed sizes are within the file's.
    if metadata.data_len() as u64 != rest - header_size {
        return Err(damaged(SafeTensorError::MetadataIncompleteBuffer.to_string()));
    }
    let (to_hash, read) = mpsc::channel::<Tensor>();
    let (tensors, sha256) = thread::scope(|scope| {
        let sum = scope.spawn(|| {
            let mut sum = Sha256Sum::default();
            sum.update(&length);
            sum.update(&header);
            for tensor in read {
                with_bytes(&tensor, |bytes| sum.update(bytes));
            }
            sum.finish()
        });
        let mut tensors = BTreeMap::new();
        for name in metadata.offset_keys() {
            let Some(info) = metadata.info(&name) else { continue };
            let tensor = tensor(&name, info, &mut exact, &damaged)?;
            // The thread goes on until the channel is closed.
            let _ = to_hash.send(tensor.clone());
            tensors.insert(name, tensor);
        }
        drop(to_hash);
        Ok((tensors, sum.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    })?;
    let metadata = metadata.metadata().iter().flat_map(Clone::clone).collect();
    Ok((tensors, metadata, sha256))
}

/// Reads the bytes of a tensor.
fn tensor(
    name: &str,
    TensorInfo { dtype, shape, data_offsets: (start, end) }: &TensorInfo,
    exact: &mut dyn FnMut(&mut [u8]) -> Result<(), WeightsError>,
    damaged: &dyn Fn(String) -> WeightsError,
) -> Result<Tensor, WeightsError> {
    // An axis of length 0 counts as 1: candle multiplies the others for its strides.
    if shape.iter().try_fold(8usize, |n, &d| n.checked_mul(d.max(1))).is_none() {
        return Err(damaged(format!("its tensor `{name}` has axes that are too long: {shape:?}")));
    }
    let dtype = DType::try_from(*dtype)
        .map_err(|_| damaged(format!("its tensor `{name}` has an unsupported type: {dtype:?}")))?;
    let tensor = if dtype == DType::F32 {
        let mut values = vec![0f32; (end - start) / size_of::<f32>()];
        exact(bytemuck::cast_slice_mut(&mut values))?;
        Tensor::from_vec(values, &**shape, &Device::Cpu)
    } else {
        let mut bytes = vec![0; end - start];
        exact(&mut bytes)?;
        Tensor::from_raw_buffer(&bytes, dtype, shape, &Device::Cpu)
    };
    tensor.map_err(|error| damaged(format!("its tensor `{name}` cannot be built: {error}")))
}

/// Gives `take` the bytes of a tensor on the CPU, as the file has them.
fn with_bytes(tensor: &Tensor, take: impl FnOnce(&[u8])) {
    let (storage, _) = tensor.storage_and_layout();
    let bytes = match &*storage {
        Storage::Cpu(CpuStorage::F32(values)) => Cow::Borrowed(bytemuck::cast_slice(values)),
        _ => View::data(tensor),
    };
    take(&bytes);
}
