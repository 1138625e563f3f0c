use std::io::Write;

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

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
            [text("epoch"), b"K\x03s".to_vec(), text("state_dict"), b"ccollections\nOrderedDict\n)R".to_vec()].concat(),
        );
    }
    p.extend(text("w"));
    p.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    p.extend(text("storage"));
    p.extend(format!("ctorch\n{storage}\n").into_bytes());
    p.extend([text("0"), text("cpu"), vec![b'K', length], b"tQK\x00".to_vec(), tuple(shape), tuple(strides)].concat());
    p.extend(b"\x89ccollections\nOrderedDict\n)RtRs");
    p.extend(if is_lightning { b"s.".as_slice() } else { b".".as_slice() });
    p
}

fn archive(pickle: &[u8], storage: &[u8], options: SimpleFileOptions) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut zip = ZipWriter::new(file.reopen().unwrap());
    for (name, bytes) in [("archive/data.pkl", pickle), ("archive/byteorder", b"little"), ("archive/data/0", storage)] {
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
    let beyond = "its tensor `w` extends beyond its storage";
    // More elements than numbers. With strides of 0, one number gives any size.
    assert_eq!(reason(&pickle("FloatStorage", 6, &[2, 4], &[4, 1], false), &floats(), stored()), beyond);
    let all = "its tensors need much more memory than the file has bytes";
    assert_eq!(reason(&pickle("FloatStorage", 6, &[200, 200, 200], &[0, 0, 0], false), &floats(), stored()), all);
    assert_eq!(reason(&pickle("FloatStorage", 6, &[20, 2], &[0, 0], false), &floats(), stored()), beyond);
    assert_eq!(reason(&pickle("FloatStorage", 6, &[2, 2], &[9, 1], false), &floats(), stored()), beyond);
    assert_eq!(reason(&pickle("FloatStorage", 6, &[6], &[1], false), &floats()[..20], stored()), beyond);
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    assert!(reason(&pickle("FloatStorage", 6, &[6], &[1], false), &floats(), deflated).contains("is compressed"));
    let unknown = reason(&pickle("QUInt8Storage", 6, &[6], &[1], false), &floats(), stored());
    assert_eq!(unknown, "its tensor `w` has an unsupported type: torch.QUInt8Storage");
}

#[test]
fn entries_of_the_same_bytes_are_an_error() {
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
    // The directory then has the first entry's checksum, sizes and offset for the second one, too.
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
fn truncated_or_modified_files_are_errors_not_panics() {
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
    assert_eq!(reason(b"\x80\x02}.", &[], stored()), "its state dict has no tensors");
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
