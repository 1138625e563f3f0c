//! Reads the zip archive of `torch.save`: a pickle that refers to storages, and the storages as separate entries.

use std::{
    collections::{BTreeMap, btree_map},
    path::Path,
};

use candle_core::{DType, Device, Tensor};
use flair_scoring::{
    source::{Entry, ReadError, Source, SourceError},
    text::shown,
};

use super::{
    WeightsError,
    pickle::{Pickle, Ref, Value},
};

/// Maximum size of the pickle, in bytes; that of a U-T&T checkpoint has 200 KB.
const MAX_PICKLE: u64 = 64 << 20;

/// Approximate memory of a tensor besides its elements, in bytes.
const TENSOR_COST: u64 = 256;

/// Maximum number of axes of a tensor.
const MAX_RANK: usize = 8;

/// Reads the `state_dict` of a `.pth` or `.ckpt`: the value of the key `state_dict` if there is one (Lightning),
/// otherwise the root, which must be a dict of tensors.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    Archive::open(path)?.state_dict()
}

struct Archive<'a> {
    path: &'a Path,
    source: Source,
    /// Name of the archive's folder, with the slash.
    root: String,
    /// Size of the file, in bytes.
    size: u64,
}

impl<'a> Archive<'a> {
    fn open(path: &'a Path) -> Result<Self, WeightsError> {
        let io = |source| WeightsError::Io { path: path.to_owned(), source };
        let damaged = |why: String| WeightsError::Damaged { path: path.to_owned(), why };
        let size = std::fs::metadata(path).map_err(io)?.len();
        let source = Source::open(path).map_err(|error| match error {
            SourceError::Io { error, .. } => io(error),
            SourceError::Archive { reason, .. } => damaged(format!("its archive cannot be read: {reason}")),
        })?;
        let root = source.entries().iter().find_map(|entry| entry.name.strip_suffix("data.pkl").map(str::to_owned));
        let root =
            root.ok_or_else(|| damaged("it is a zip archive without `data.pkl`, so not one of torch.save".into()))?;
        Ok(Self { path, source, root, size })
    }

    fn damaged(&self, why: impl Into<String>) -> WeightsError {
        WeightsError::Damaged { path: self.path.to_owned(), why: why.into() }
    }

    /// The entry of this name, if there is one. Entries are sorted by name.
    fn find(&self, name: &str) -> Option<&Entry> {
        let name = format!("{}{name}", self.root);
        let entries = self.source.entries();
        entries.binary_search_by(|entry| entry.name.cmp(&name)).ok().map(|index| &entries[index])
    }

    /// The bytes of an entry, at most `limit`. `torch.save` does not compress, so an entry is no larger than the file;
    /// compressed or larger entries are refused.
    fn entry(&self, name: &str, limit: u64) -> Result<Vec<u8>, WeightsError> {
        let entry =
            self.find(name).ok_or_else(|| self.damaged(format!("its entry `{}{name}` is missing", self.root)))?;
        if entry.stored != entry.size || entry.size > self.size || entry.size > limit {
            let (name, size, total) = (&entry.name, entry.size, self.size);
            return Err(self.damaged(format!(
                "its entry `{name}` is compressed, or larger than its share of the file: {size} of {total} bytes"
            )));
        }
        self.source.read(entry, limit).map_err(|error| match error {
            ReadError::Io { error, .. } => WeightsError::Io { path: self.path.to_owned(), source: error },
            error => self.damaged(format!("its entry cannot be read: {error}")),
        })
    }

    fn state_dict(&self) -> Result<BTreeMap<String, Tensor>, WeightsError> {
        if self.find("byteorder").is_some() && self.entry("byteorder", 16)? != b"little" {
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
        let mut allowed = 2 * self.size + (1 << 20);
        let mut unread = self.size;
        let mut tensors = BTreeMap::new();
        for &(key, value) in dict {
            let (Some(name), Some(view)) = (pickle.text(key), View::of(&pickle, value)) else { continue };
            let view = view.map_err(|why| self.damaged(format!("its tensor `{name}` {why}")))?;
            allowed = match view.size().and_then(|size| allowed.checked_sub(size.saturating_add(TENSOR_COST))) {
                Some(rest) => rest,
                None => return Err(self.damaged("its tensors need much more memory than the file has bytes")),
            };
            let storage = match storages.entry(view.storage) {
                btree_map::Entry::Occupied(read) => read.into_mut(),
                btree_map::Entry::Vacant(entry) => {
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
struct View<'a> {
    storage: &'a str,
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
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" | "BoolStorage" => Self::U8,
            _ => return None,
        })
    }

    /// Bytes of an element in the file.
    fn size(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }

    /// The type of an element in memory: integers of all widths become i64.
    fn dtype(self) -> DType {
        match self {
            Self::F64 => DType::F64,
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::BF16 => DType::BF16,
            Self::I64 | Self::I32 | Self::I16 | Self::I8 => DType::I64,
            Self::U8 => DType::U8,
        }
    }
}

impl<'a> View<'a> {
    /// The view that a value describes; `None` if the value is not a tensor.
    fn of(pickle: &Pickle<'a>, value: Ref) -> Option<Result<Self, String>> {
        let Value::Call(callee, arguments) = pickle.get(value) else { return None };
        let Value::Global("torch._utils", callee) = pickle.get(*callee) else { return None };
        let arguments = pickle.tuple(*arguments)?;
        match *callee {
            "_rebuild_parameter" => {
                let inner = *arguments.first()?;
                // One level only: torch does not write parameters of parameters.
                match pickle.get(inner) {
                    Value::Call(c, a) if pickle.get(*c) == &Value::Global("torch._utils", "_rebuild_tensor_v2") => {
                        Some(Self::parse(pickle, pickle.tuple(*a)?))
                    }
                    _ => Some(Err("is not a plain tensor".into())),
                }
            }
            "_rebuild_tensor_v2" => Some(Self::parse(pickle, arguments)),
            _ => None,
        }
    }

    fn parse(pickle: &Pickle<'a>, arguments: &[Ref]) -> Result<Self, String> {
        let malformed = || String::from("has a description that torch.save does not write");
        let &[storage, offset, shape, strides, ..] = arguments else { return Err(malformed()) };
        let Value::Persistent(storage) = pickle.get(storage) else { return Err(malformed()) };
        // ('storage', type, key, location, length)
        let &[_, scalar, key, ..] = pickle.tuple(*storage).ok_or_else(malformed)? else { return Err(malformed()) };
        let Value::Global("torch", scalar) = pickle.get(scalar) else { return Err(malformed()) };
        let scalar = Scalar::of(scalar).ok_or_else(|| format!("has an unsupported type: torch.{}", shown(scalar)))?;
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
        Ok(Self { storage: key, scalar, offset: size(offset)?, shape, strides })
    }

    /// Its size in memory, in bytes, at most; `None` if that overflows.
    fn size(&self) -> Option<u64> {
        // An axis of length 0 counts as 1: candle multiplies the others for its strides.
        let start = self.scalar.dtype().size_in_bytes() as u64;
        self.shape.iter().try_fold(start, |n, &d| n.checked_mul(u64::try_from(d.max(1)).ok()?))
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
        let elements = match self.scalar {
            Scalar::I32 => self.widened(storage, count, |bytes: &[u8; 4]| i64::from(i32::from_le_bytes(*bytes))),
            Scalar::I16 => self.widened(storage, count, |bytes: &[u8; 2]| i64::from(i16::from_le_bytes(*bytes))),
            Scalar::I8 => self.widened(storage, count, |bytes: &[u8; 1]| i64::from(i8::from_le_bytes(*bytes))),
            // A storage has candle's own layout, little-endian: its bytes are taken as they are.
            _ => return self.plain(storage, count),
        };
        Tensor::from_vec(elements, &*self.shape, &Device::Cpu).map_err(|e| format!("cannot be built: {e}"))
    }

    /// Whether its elements follow each other in the storage.
    fn is_contiguous(&self) -> bool {
        let mut due = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&d, &s)| {
            let fits = d == 1 || s == due;
            due *= d;
            fits
        })
    }

    fn plain(&self, storage: &[u8], count: usize) -> Result<Tensor, String> {
        let size = self.scalar.size();
        let gathered;
        let bytes = if count == 0 {
            &[]
        } else if self.is_contiguous() {
            &storage[self.offset * size..(self.offset + count) * size]
        } else {
            let mut bytes = Vec::with_capacity(count * size);
            self.each(count, |index| bytes.extend_from_slice(&storage[index * size..][..size]));
            gathered = bytes;
            &gathered
        };
        let tensor = Tensor::from_raw_buffer(bytes, self.scalar.dtype(), &self.shape, &Device::Cpu);
        tensor.map_err(|e| format!("cannot be built: {e}"))
    }

    fn widened<const N: usize>(&self, storage: &[u8], count: usize, read: impl Fn(&[u8; N]) -> i64) -> Vec<i64> {
        let (cells, _) = storage.as_chunks::<N>();
        let mut elements = Vec::with_capacity(count);
        self.each(count, |index| elements.push(read(&cells[index])));
        elements
    }

    /// Calls `take` with the storage index of each of `count` elements, in row-major order.
    fn each(&self, count: usize, mut take: impl FnMut(usize)) {
        let mut index = vec![0; self.shape.len()];
        for _ in 0..count {
            take(self.offset + index.iter().zip(&self.strides).map(|(i, s)| i * s).sum::<usize>());
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests;
