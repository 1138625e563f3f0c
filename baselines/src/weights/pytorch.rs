//! The zip archive of `torch.save`: a pickle that refers to storages, and the storages as separate entries.

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

/// Largest accepted pickle; that of a U-T&T checkpoint is 200 KB.
const MAX_PICKLE: u64 = 256 << 20;

/// Approximate memory of a tensor besides its elements, in bytes.
const TENSOR_COST: u64 = 256;

/// Maximum number of axes of a tensor.
const MAX_RANK: usize = 8;

/// Reads the `state_dict` of a `.pth` or `.ckpt`: the value of the key `state_dict` if there is one (Lightning), else
/// the whole file, if it is a dict of tensors.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Tensor>, WeightsError> {
    Archive::open(path)?.state_dict()
}

struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<BufReader<File>>,
    /// Name of the folder within, with the slash.
    root: String,
    size: u64,
}

impl<'a> Archive<'a> {
    fn open(path: &'a Path) -> Result<Self, WeightsError> {
        let damaged = |why: String| WeightsError::Damaged { path: path.to_owned(), why };
        let file = File::open(path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
        let size = file.metadata().map_err(|source| WeightsError::Io { path: path.to_owned(), source })?.len();
        let zip =
            ZipArchive::new(BufReader::new(file)).map_err(|e| damaged(format!("its archive cannot be read: {e}")))?;
        let root =
            zip.file_names().filter_map(Result::ok).find_map(|name| name.strip_suffix("data.pkl").map(str::to_owned));
        let root = root.ok_or_else(|| {
            damaged("it is a zip archive, but torch.save did not write it: no `data.pkl` within".into())
        })?;
        Ok(Self { path, zip, root, size })
    }

    fn damaged(&self, why: impl Into<String>) -> WeightsError {
        WeightsError::Damaged { path: self.path.to_owned(), why: why.into() }
    }

    /// The bytes of an entry of at most `limit`. `torch.save` compresses nothing, so an entry is no larger than the
    /// file; anything else is refused rather than unpacked.
    fn entry(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, WeightsError> {
        let name = format!("{}{name}", self.root);
        let (path, total) = (self.path.to_owned(), self.size);
        let damaged = |why: String| WeightsError::Damaged { path: path.clone(), why };
        let entry = self.zip.by_name(&name).map_err(|e| damaged(format!("its entry `{name}` cannot be read: {e}")))?;
        let size = entry.size();
        if entry.compression() != CompressionMethod::Stored || size > total || size > limit {
            return Err(damaged(format!(
                "its entry `{name}` is compressed, or claims {size} bytes of a file of {total} that holds others, too"
            )));
        }
        let mut bytes = Vec::new();
        let read = entry.take(size).read_to_end(&mut bytes);
        match read {
            Ok(count) if count as u64 == size => Ok(bytes),
            Ok(_) => Err(damaged(format!("its entry `{name}` is cut short"))),
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
            return Err(self.damaged("it holds a whole object, no state dict; save `model.state_dict()` instead"));
        };
        let inner = root.iter().find(|(key, _)| pickle.text(*key) == Some("state_dict")).map(|&(_, value)| value);
        let dict = match inner.map(|value| pickle.get(value)) {
            Some(Value::Dict(dict)) => dict,
            Some(_) => return Err(self.damaged("its `state_dict` is not a dict")),
            None => root,
        };
        let mut storages = BTreeMap::new();
        // Many views of one storage could ask for any amount of memory, and so could many names of the same bytes.
        let mut allowed = 4 * self.size + (1 << 20);
        let mut unread = self.size;
        let mut tensors = BTreeMap::new();
        for &(key, value) in dict {
            let (Some(name), Some(view)) = (pickle.text(key), View::of(&pickle, value)) else { continue };
            let view = view.map_err(|why| self.damaged(format!("its tensor `{name}` {why}")))?;
            allowed = match view.size().and_then(|size| allowed.checked_sub(size.saturating_add(TENSOR_COST))) {
                Some(rest) => rest,
                None => return Err(self.damaged("its tensors claim far more than the file holds")),
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
            return Err(self.damaged("it holds no tensors by name"));
        }
        Ok(tensors)
    }
}

/// A tensor as the pickle describes it.
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
    /// The tensor behind a value; `None` if it is no tensor.
    fn of(pickle: &Pickle, value: Ref) -> Option<Result<Self, String>> {
        let Value::Call(callee, arguments) = pickle.get(value) else { return None };
        let Value::Global(callee) = pickle.get(*callee) else { return None };
        let arguments = pickle.tuple(*arguments)?;
        match callee.as_str() {
            "torch._utils._rebuild_parameter" => {
                let inner = *arguments.first()?;
                // One level only: a parameter of a parameter is not what torch writes.
                match pickle.get(inner) {
                    Value::Call(c, a) if pickle.get(*c) == &Value::Global("torch._utils._rebuild_tensor_v2".into()) => {
                        Some(Self::parse(pickle, pickle.tuple(*a)?))
                    }
                    _ => Some(Err("is no plain tensor".into())),
                }
            }
            "torch._utils._rebuild_tensor_v2" => Some(Self::parse(pickle, arguments)),
            _ => None,
        }
    }

    fn parse(pickle: &Pickle, arguments: &[Ref]) -> Result<Self, String> {
        let malformed = || String::from("is described in a way that torch.save does not write");
        let &[storage, offset, shape, strides, ..] = arguments else { return Err(malformed()) };
        let Value::Persistent(storage) = pickle.get(storage) else { return Err(malformed()) };
        // ('storage', type, key, location, length)
        let &[_, scalar, key, ..] = pickle.tuple(*storage).ok_or_else(malformed)? else { return Err(malformed()) };
        let Value::Global(scalar) = pickle.get(scalar) else { return Err(malformed()) };
        let scalar = Scalar::of(scalar).ok_or_else(|| format!("has a type that is not read: {scalar}"))?;
        let key =
            pickle.text(key).filter(|key| key.bytes().all(|b| b.is_ascii_alphanumeric())).ok_or_else(malformed)?;
        let size = |r: Ref| pickle.int(r).and_then(|int| usize::try_from(int).ok()).ok_or_else(malformed);
        // A tuple of millions could be the shape of millions of tensors.
        let axes = |r: Ref| pickle.tuple(r).filter(|axes| axes.len() <= MAX_RANK).ok_or_else(malformed);
        let sizes = |r: Ref| axes(r)?.iter().map(|&r| size(r)).collect::<Result<Vec<_>, _>>();
        let (shape, strides) = (sizes(shape)?, sizes(strides)?);
        if shape.len() != strides.len() {
            return Err(malformed());
        }
        Ok(Self { storage: key.to_owned(), scalar, offset: size(offset)?, shape, strides })
    }

    /// Its bytes once read.
    fn size(&self) -> Option<u64> {
        // The other axes count even if one has length 0: candle multiplies them for its strides.
        let count = self.shape.iter().try_fold(8u64, |n, &d| n.checked_mul(u64::try_from(d.max(1)).ok()?));
        // Integers of all widths become i64.
        count.filter(|&count| count <= u64::MAX / 8)
    }

    /// Its elements, in row-major order.
    fn tensor(&self, storage: &[u8]) -> Result<Tensor, String> {
        let length = storage.len() / self.scalar.size();
        let beyond = || String::from("reaches beyond its storage");
        let count = self.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).ok_or_else(beyond)?;
        // Overlapping views could claim any size out of a small file.
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
mod tests {
    use std::io::Write;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    /// The pickle of `{"state_dict": {"w": …}, "epoch": 3}`, or of the inner dict alone, where `w` is a view of
    /// `shape` and `strides` into the storage `0` of `length` numbers of a type.
    fn pickle(storage: &str, length: u8, shape: &[u8], strides: &[u8], is_lightning: bool) -> Vec<u8> {
        let text = |text: &str| {
            let length = u32::try_from(text.len()).unwrap().to_le_bytes();
            [b"X", length.as_slice(), text.as_bytes()].concat()
        };
        let tuple = |items: &[u8]| [vec![b'('], items.iter().flat_map(|&i| [b'K', i]).collect(), vec![b't']].concat();
        let mut p = b"\x80\x02}".to_vec();
        if is_lightning {
            p.extend(
                [text("epoch"), b"K\x03s".to_vec(), text("state_dict"), b"ccollections\nOrderedDict\n)R".to_vec()]
                    .concat(),
            );
        }
        p.extend(text("w"));
        p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        p.extend(text("storage"));
        p.extend(format!("ctorch\n{storage}\n").into_bytes());
        p.extend(
            [text("0"), text("cpu"), vec![b'K', length], b"tQK\x00".to_vec(), tuple(shape), tuple(strides)].concat(),
        );
        p.extend(b"\x89ccollections\nOrderedDict\n)RtRs");
        p.extend(if is_lightning { b"s.".as_slice() } else { b".".as_slice() });
        p
    }

    fn archive(pickle: &[u8], storage: &[u8], options: SimpleFileOptions) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = ZipWriter::new(file.reopen().unwrap());
        for (name, bytes) in
            [("archive/data.pkl", pickle), ("archive/byteorder", b"little"), ("archive/data/0", storage)]
        {
            zip.start_file(name, options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        file
    }

    fn stored() -> SimpleFileOptions {
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
    }

    fn floats() -> Vec<u8> {
        (0..6u8).flat_map(|i| f32::from(i).to_le_bytes()).collect()
    }

    fn reason(pickle: &[u8], storage: &[u8], options: SimpleFileOptions) -> String {
        let file = archive(pickle, storage, options);
        let error = read(file.path()).unwrap_err();
        let WeightsError::Damaged { why, .. } = error else { panic!("{error}") };
        why
    }

    #[test]
    fn state_dicts_and_lightning_checkpoints_are_read() {
        for is_lightning in [false, true] {
            let file = archive(&pickle("FloatStorage", 6, &[2, 3], &[3, 1], is_lightning), &floats(), stored());
            let tensors = read(file.path()).unwrap();
            assert_eq!(tensors["w"].to_vec2::<f32>().unwrap(), [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
        }
    }

    #[test]
    fn a_transposed_view_is_read_in_its_own_order() {
        let file = archive(&pickle("FloatStorage", 6, &[3, 2], &[1, 3], false), &floats(), stored());
        assert_eq!(read(file.path()).unwrap()["w"].to_vec2::<f32>().unwrap(), [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]);
    }

    #[test]
    fn every_type_of_a_checkpoint_is_read() {
        let read_as = |storage: &str, bytes: &[u8], dtype| {
            let file = archive(&pickle(storage, 1, &[1], &[1], false), bytes, stored());
            let tensor = read(file.path()).unwrap().remove("w").unwrap();
            assert_eq!(tensor.dtype(), dtype, "{storage}");
            tensor.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()[0]
        };
        let found = [
            read_as("DoubleStorage", &(-2.5f64).to_le_bytes(), DType::F64),
            read_as("HalfStorage", &0xc100u16.to_le_bytes(), DType::F16),
            read_as("BFloat16Storage", &0xc020u16.to_le_bytes(), DType::BF16),
            read_as("LongStorage", &(-2i64).to_le_bytes(), DType::I64),
            read_as("IntStorage", &(-2i32).to_le_bytes(), DType::I64),
            read_as("ShortStorage", &(-2i16).to_le_bytes(), DType::I64),
            read_as("CharStorage", &(-2i8).to_le_bytes(), DType::I64),
            read_as("ByteStorage", &[254], DType::U8),
        ];
        assert_eq!(format!("{found:?}"), "[-2.5, -2.5, -2.5, -2.0, -2.0, -2.0, -2.0, 254.0]");
    }

    #[test]
    fn claimed_sizes_beyond_the_data_are_errors() {
        let beyond = "its tensor `w` reaches beyond its storage";
        // More elements than numbers; a view without strides would make any size of one number.
        assert_eq!(reason(&pickle("FloatStorage", 6, &[2, 4], &[4, 1], false), &floats(), stored()), beyond);
        let all = "its tensors claim far more than the file holds";
        assert_eq!(reason(&pickle("FloatStorage", 6, &[200, 200, 200], &[0, 0, 0], false), &floats(), stored()), all);
        assert_eq!(reason(&pickle("FloatStorage", 6, &[20, 2], &[0, 0], false), &floats(), stored()), beyond);
        assert_eq!(reason(&pickle("FloatStorage", 6, &[2, 2], &[9, 1], false), &floats(), stored()), beyond);
        assert_eq!(reason(&pickle("FloatStorage", 6, &[6], &[1], false), &floats()[..20], stored()), beyond);
        let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        assert!(reason(&pickle("FloatStorage", 6, &[6], &[1], false), &floats(), deflated).contains("is compressed"));
        let unknown = reason(&pickle("QUInt8Storage", 6, &[6], &[1], false), &floats(), stored());
        assert_eq!(unknown, "its tensor `w` has a type that is not read: torch.QUInt8Storage");
    }

    #[test]
    fn names_of_the_same_bytes_are_not_all_read() {
        let one = pickle("FloatStorage", 6, &[1], &[1], false);
        let item = &one[3..one.len() - 1];
        let mut other = item.to_vec();
        let key = item.windows(6).position(|text| text == b"X\x01\0\0\x000").unwrap() + 5;
        (other[5], other[key]) = (b'v', b'1');
        let pickle = [b"\x80\x02}".as_slice(), item, &other, b"."].concat();
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut zip = ZipWriter::new(file.reopen().unwrap());
        for (name, bytes) in [("a/data.pkl", &pickle[..]), ("a/data/0", &[0; 10_000]), ("a/data/1", &[0; 4])] {
            zip.start_file(name, stored()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap();
        assert_eq!(read(file.path()).unwrap().len(), 2);
        // The directory gives the second the first's checksum, sizes and offset.
        let mut bytes = std::fs::read(file.path()).unwrap();
        let record = |name: &[u8]| bytes.windows(8).rposition(|text| text == name).unwrap() - 46;
        let (first, second) = (record(b"a/data/0"), record(b"a/data/1"));
        bytes.copy_within(first + 16..first + 28, second + 16);
        bytes.copy_within(first + 42..first + 46, second + 42);
        std::fs::write(file.path(), bytes).unwrap();
        let WeightsError::Damaged { why, .. } = read(file.path()).unwrap_err() else { panic!() };
        assert!(why.contains("`a/data/1`"), "{why}");
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_never_a_panic() {
        let file = archive(&pickle("FloatStorage", 6, &[2, 3], &[3, 1], true), &floats(), stored());
        let bytes = std::fs::read(file.path()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cut.ckpt");
        for end in 0..bytes.len() {
            std::fs::write(&path, &bytes[..end]).unwrap();
            assert!(read(&path).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x5a;
            std::fs::write(&path, &changed).unwrap();
            let _ = read(&path);
        }
    }

    #[test]
    fn a_pickle_without_tensors_is_an_error() {
        assert_eq!(reason(b"\x80\x02}.", &[], stored()), "it holds no tensors by name");
        assert!(reason(b"\x80\x02].", &[], stored()).starts_with("it holds a whole object"));
    }

    #[test]
    fn the_fuzzers_inputs_are_there() {
        let mut files = BTreeMap::new();
        for (storage, length, bytes) in [
            ("DoubleStorage", 3, 24),
            ("FloatStorage", 6, 24),
            ("HalfStorage", 6, 12),
            ("BFloat16Storage", 6, 12),
            ("LongStorage", 3, 24),
            ("IntStorage", 6, 24),
            ("ShortStorage", 6, 12),
            ("CharStorage", 6, 6),
            ("BoolStorage", 6, 6),
        ] {
            let pickle = pickle(storage, length, &[length / 3, 3], &[3, 1], true);
            let file = archive(&pickle, &vec![1; bytes], stored());
            files.insert(format!("{storage}.pth"), std::fs::read(file.path()).unwrap());
            files.insert(format!("{storage}.pkl"), pickle);
        }
        for (name, shape, strides) in [
            ("transposed", &[3, 2][..], &[1, 3][..]),
            ("scalar", &[], &[]),
            ("overlapping", &[20, 2], &[0, 0]),
            ("beyond", &[2, 2], &[9, 1]),
            ("ranks", &[1; 9], &[1; 9]),
        ] {
            files.insert(format!("{name}.pkl"), pickle("FloatStorage", 6, shape, strides, false));
        }
        // Every kind of opcode: numbers, texts, memo, containers, globals of the stack.
        let rest = b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94(\x8c\x01a\x94G?\xf0\0\0\0\0\0\0X\x01\0\0\0b](K\x01M\x02\0J\x03\0\0\0\x8a\x01\x05NeU\x01cC\x02xy\x8c\x01d(K\x01K\x02\x86\x87\x8c\x05torch\x8c\x04Size\x93)R0h\x01j\x01\0\0\0\x85\x8f(\x88\x89\x901\x2e";
        files.insert("opcodes.pkl".to_owned(), rest.to_vec());
        files.insert("cycle.pkl".to_owned(), b"\x80\x02]q\0h\0a.".to_vec());
        let numbers: BTreeMap<_, _> = [DType::F32, DType::F16, DType::BF16, DType::F64, DType::I64, DType::U8]
            .map(|dtype| (format!("model.{dtype:?}"), Tensor::zeros((2, 3), dtype, &Device::Cpu).unwrap()))
            .into();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.safetensors");
        let metadata = BTreeMap::from([("preset".to_owned(), "unet".to_owned())]);
        super::super::save(&path, &numbers, &metadata).unwrap();
        files.insert("all.safetensors".to_owned(), std::fs::read(&path).unwrap());
        let header = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes(), &[0; 8]].concat();
        for (name, text) in [
            ("one", r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#),
            (
                "overlap",
                r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#,
            ),
            ("huge", r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}"#),
            ("float8", r#"{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#),
            ("scalar", r#"{"a":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}"#),
        ] {
            files.insert(format!("{name}.safetensors"), header(text));
        }
        crate::seeds::keep("checkpoint", &files);
    }
}
