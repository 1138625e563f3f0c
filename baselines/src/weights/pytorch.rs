//! Reads the zip archive of `torch.save`: a pickle that refers to storages, and the storages as separate entries.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use candle_core::{DType, Device, Tensor};
use zip::{CompressionMethod, ZipArchive};

use super::{
    WeightsError,
    pickle::{Pickle, Ref, Value},
};

/// Maximum size of the pickle; that of a U-T&T checkpoint has 200 KB.
const MAX_PICKLE: u64 = 256 << 20;

/// Approximate memory of a tensor besides its elements, in bytes.
const TENSOR_COST: u64 = 256;

/// Maximum number of axes of a tensor.
const MAX_RANK: usize = 8;

/// Reads the `state_dict` of a `.pth` or `.ckpt`: the value of the key `state_dict` if there is one (Lightning),
/// otherwise the root, which must be a dict of tensors. `path` is for messages.
pub(super) fn read_file(path: &Path, file: File) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    Archive::open(path, file)?.state_dict()
}

#[cfg(test)]
fn read(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    read_file(path, File::open(path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?)
}

struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
    /// Name of the archive's folder, with the slash.
    root: String,
    /// Size of the file, in bytes.
    size: u64,
}

impl<'a> Archive<'a> {
    fn open(path: &'a Path, file: File) -> Result<Self, WeightsError> {
        let damaged = |why: String| WeightsError::Damaged { path: path.to_owned(), why };
        let size = file.metadata().map_err(|source| WeightsError::Io { path: path.to_owned(), source })?.len();
        let zip =
            ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(format!("its archive cannot be read: {e}")))?;
        let root =
            zip.file_names().filter_map(Result::ok).find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let root =
            root.ok_or_else(|| damaged("it is a zip archive without `data.pkl`, so not one of torch.save".into()))?;
        Ok(Self { path, zip, root, size })
    }

    fn damaged(&self, why: impl Into<String>) -> WeightsError {
        WeightsError::Damaged { path: self.path.to_owned(), why: why.into() }
    }

    /// The bytes of an entry, at most `limit`. `torch.save` does not compress, so an entry is no larger than the file;
    /// compressed or larger entries are refused.
    fn entry(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, WeightsError> {
        let name = format!("{}{name}", self.root);
        let (path, total) = (self.path.to_owned(), self.size);
        let damaged = |why: String| WeightsError::Damaged { path: path.clone(), why };
        let entry = self.zip.by_name(&name).map_err(|e| damaged(format!("its entry `{name}` cannot be read: {e}")))?;
        let size = entry.size();
        if entry.compression() != CompressionMethod::Stored || size > total || size > limit {
            return Err(damaged(format!(
                "its entry `{name}` is compressed, or larger than its share of the file: {size} of {total} bytes"
            )));
        }
        let mut bytes = Vec::new();
        let read = entry.take(size).read_to_end(&mut bytes);
        match read {
            Ok(count) if count as u64 == size => Ok(bytes),
            Ok(_) => Err(damaged(format!("its entry `{name}` is truncated"))),
            Err(e) => Err(damaged(format!("its entry `{name}` cannot be read: {e}"))),
        }
    }

    fn state_dict(&mut self) -> Result<BTreeMap<String, Tensor>, WeightsError> {
        let big_endian = format!("{}byteorder", self.root);
        if self.zip.index_for_name(&big_endian).is_some() && self.entry("byteorder", 16)? != b"little" {
            return Err(self.damaged("it was written on a big-endian machine"));
        }
        let pickle = self.entry("data.pkl", MAX_PICKLE)?;
        let pickle = Pickle::parse(&pickle).map_err(|e| self.damaged(e.to_string()))?;
        let Value::Dict(root) = pickle.root() else {
            return Err(self.damaged("it holds a whole object, not a state dict: save `model.state_dict()` instead"));
        };
        let inner = root.iter().find(|(key, _)| pickle.text(*key) == Some("state_dict")).map(|&(_, value)| value);
        let dict = match inner.map(|value| pickle.get(value)) {
            Some(Value::Dict(dict)) => dict,
            Some(_) => return Err(self.damaged("its `state_dict` is not a dict")),
            None => root,
        };
        let mut storages = BTreeMap::new();
        // Limits memory and reads: many views of one storage, or many entries of the same bytes, could claim any amount.
        let mut allowed = 4 * self.size + (1 << 20);
        let mut unread = self.size;
        let mut tensors = BTreeMap::new();
        for &(key, value) in dict {
            let (Some(name), Some(view)) = (pickle.text(key), View::of(&pickle, value)) else { continue };
            let view = view.map_err(|why| self.damaged(format!("its tensor `{name}` {why}")))?;
            allowed = match view.size().and_then(|size| allowed.checked_sub(size.saturating_add(TENSOR_COST))) {
                Some(rest) => rest,
                None => return Err(self.damaged("its tensors need much more memory than the file has bytes")),
            };
            let storage = match storages.entry(view.storage.clone()) {
                std::collections::btree_map::Entry::Occupied(read) => read.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let storage = self.entry(&format!("data/{}", view.storage), unread)?;
                    unread -= storage.len() as u64;
                    entry.insert(storage)
                }
            };
            let tensor = view.tensor(storage).map_err(|why| self.damaged(format!("its tensor `{name}` {why}")))?;
            tensors.insert(name.to_owned(), tensor);
        }
        if tensors.is_empty() {
            return Err(self.damaged("its state dict has no tensors"));
        }
        Ok(tensors)
    }
}

/// The pickle's description of a tensor: a view of a storage.
struct View {
    storage: String,
    scalar: Scalar,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

#[derive(Clone, Copy)]
enum Scalar {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
}

impl Scalar {
    fn of(storage_type: &str) -> Option<Self> {
        Some(match storage_type {
            "torch.DoubleStorage" => Self::F64,
            "torch.FloatStorage" => Self::F32,
            "torch.HalfStorage" => Self::F16,
            "torch.BFloat16Storage" => Self::BF16,
            "torch.LongStorage" => Self::I64,
            "torch.IntStorage" => Self::I32,
            "torch.ShortStorage" => Self::I16,
            "torch.CharStorage" => Self::I8,
            "torch.ByteStorage" | "torch.BoolStorage" => Self::U8,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }
}

impl View {
    /// The view that a value describes; `None` if the value is not a tensor.
    fn of(pickle: &Pickle, value: Ref) -> Option<Result<Self, String>> {
        let Value::Call(callee, arguments) = pickle.get(value) else { return None };
        let Value::Global(callee) = pickle.get(*callee) else { return None };
        let arguments = pickle.tuple(*arguments)?;
        match callee.as_str() {
            "torch._utils._rebuild_parameter" => {
                let inner = *arguments.first()?;
                // One level only: torch does not write parameters of parameters.
                match pickle.get(inner) {
                    Value::Call(c, a) if pickle.get(*c) == &Value::Global("torch._utils._rebuild_tensor_v2".into()) => {
                        Some(Self::parse(pickle, pickle.tuple(*a)?))
                    }
                    _ => Some(Err("is not a plain tensor".into())),
                }
            }
            "torch._utils._rebuild_tensor_v2" => Some(Self::parse(pickle, arguments)),
            _ => None,
        }
    }

    fn parse(pickle: &Pickle, arguments: &[Ref]) -> Result<Self, String> {
        let malformed = || String::from("has a description that torch.save does not write");
        let &[storage, offset, shape, strides, ..] = arguments else { return Err(malformed()) };
        let Value::Persistent(storage) = pickle.get(storage) else { return Err(malformed()) };
        // ('storage', type, key, location, length)
        let &[_, scalar, key, ..] = pickle.tuple(*storage).ok_or_else(malformed)? else { return Err(malformed()) };
        let Value::Global(scalar) = pickle.get(scalar) else { return Err(malformed()) };
        let scalar = Scalar::of(scalar).ok_or_else(|| format!("has an unsupported type: {scalar}"))?;
        let key =
            pickle.text(key).filter(|key| key.bytes().all(|b| b.is_ascii_alphanumeric())).ok_or_else(malformed)?;
        let size = |r: Ref| pickle.int(r).and_then(|int| usize::try_from(int).ok()).ok_or_else(malformed);
        // Without this limit, many tensors could share a shape of millions of axes.
        let axes = |r: Ref| pickle.tuple(r).filter(|axes| axes.len() <= MAX_RANK).ok_or_else(malformed);
        let sizes = |r: Ref| axes(r)?.iter().map(|&r| size(r)).collect::<Result<Vec<_>, _>>();
        let (shape, strides) = (sizes(shape)?, sizes(strides)?);
        if shape.len() != strides.len() {
            return Err(malformed());
        }
        Ok(Self { storage: key.to_owned(), scalar, offset: size(offset)?, shape, strides })
    }

    /// Its size in memory, in bytes, at most; `None` if that overflows.
    fn size(&self) -> Option<u64> {
        // An axis of length 0 counts as 1: candle multiplies the others for its strides.
        let count = self.shape.iter().try_fold(8u64, |n, &d| n.checked_mul(u64::try_from(d.max(1)).ok()?));
        // 8 bytes per element: integers of all widths become i64.
        count.filter(|&count| count <= u64::MAX / 8)
    }

    /// Its elements, in row-major order.
    fn tensor(&self, storage: &[u8]) -> Result<Tensor, String> {
        let length = storage.len() / self.scalar.size();
        let beyond = || String::from("extends beyond its storage");
        let count = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(beyond)?;
        // Overlapping views of a small file could claim any size.
        if count > length {
            return Err(beyond());
        }
        if count > 0 {
            let reach = self
                .shape
                .iter()
                .zip(&self.strides)
                .try_fold(self.offset, |reach, (&d, &s)| reach.checked_add((d - 1).checked_mul(s)?));
            if reach.is_none_or(|reach| reach >= length) {
                return Err(beyond());
            }
        }
        let indices = self.indices(count);
        let tensor = match self.scalar {
            Scalar::F64 => self.build(gather(storage, &indices, f64::from_le_bytes)),
            Scalar::F32 => self.build(gather(storage, &indices, f32::from_le_bytes)),
            Scalar::I64 => self.build(gather(storage, &indices, i64::from_le_bytes)),
            Scalar::I32 => self.build(gather(storage, &indices, |b| i64::from(i32::from_le_bytes(b)))),
            Scalar::I16 => self.build(gather(storage, &indices, |b| i64::from(i16::from_le_bytes(b)))),
            Scalar::I8 => self.build(gather(storage, &indices, |b| i64::from(i8::from_le_bytes(b)))),
            Scalar::U8 => self.build(gather(storage, &indices, |[b]: [u8; 1]| b)),
            Scalar::F16 => self.halves(storage, &indices, DType::F16),
            Scalar::BF16 => self.halves(storage, &indices, DType::BF16),
        };
        tensor.map_err(|e| format!("cannot be built: {e}"))
    }

    fn build<T: candle_core::WithDType>(&self, values: Vec<T>) -> candle_core::Result<Tensor> {
        Tensor::from_vec(values, &*self.shape, &Device::Cpu)
    }

    fn halves(&self, storage: &[u8], indices: &[usize], dtype: DType) -> candle_core::Result<Tensor> {
        let bytes: Vec<u8> = gather(storage, indices, |b: [u8; 2]| b).concat();
        Tensor::from_raw_buffer(&bytes, dtype, &self.shape, &Device::Cpu)
    }

    /// Storage index of each of `count` elements, in row-major order.
    fn indices(&self, count: usize) -> Vec<usize> {
        let mut indices = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            indices.push(self.offset + index.iter().zip(&self.strides).map(|(i, s)| i * s).sum::<usize>());
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        indices
    }
}

fn gather<const N: usize, T>(storage: &[u8], indices: &[usize], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (cells, _) = storage.as_chunks::<N>();
    indices.iter().map(|&index| read(cells[index])).collect()
}

#[cfg(test)]
mod tests;
