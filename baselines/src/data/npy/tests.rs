use super::forged::{npy, raw_npy};
use super::*;
use crate::data::fixture::Fixture;

fn open(bytes: &[u8]) -> Result<Npy, DataError> {
    Npy::open(&Fixture::new().file("a.npy", bytes))
}

fn all(bytes: &[u8]) -> Vec<f64> {
    let array = open(bytes).unwrap();
    let [_, _, height, width] = array.shape();
    let mut out = Vec::new();
    array.read((0, 0), 0..height, 0..width, &mut out).unwrap();
    out
}

fn reason(bytes: &[u8]) -> String {
    match open(bytes).unwrap_err() {
        DataError::Format { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn numbers_of_every_type_are_read() {
    assert_eq!(all(&npy("|u1", &[1, 1, 1, 2], &[7, 255])), [7.0, 255.0]);
    assert_eq!(all(&npy("|i1", &[1, 1, 1, 2], &[7, 255])), [7.0, -1.0]);
    assert_eq!(all(&npy("<u2", &[1, 1, 1, 2], &[1, 2, 255, 255])), [513.0, 65_535.0]);
    assert_eq!(all(&npy(">u2", &[1, 1, 1, 2], &[1, 2, 255, 255])), [258.0, 65_535.0]);
    assert_eq!(all(&npy("<i2", &[1, 1, 1, 1], &[255, 255])), [-1.0]);
    assert_eq!(all(&npy("<u4", &[1, 1, 1, 1], &[0, 0, 1, 0])), [65_536.0]);
    assert_eq!(all(&npy("<i8", &[1, 1, 1, 1], &(-5_i64).to_le_bytes())), [-5.0]);
    assert_eq!(all(&npy("<f4", &[1, 1, 1, 1], &0.25_f32.to_le_bytes())), [0.25]);
    assert_eq!(all(&npy(">f8", &[1, 1, 1, 1], &0.1_f64.to_be_bytes())), [0.1]);
    for format in [1, 2, 3] {
        let header = "{'shape': (1,1,1,1), 'fortran_order':False,'descr':  '<u2'}";
        assert_eq!(all(&raw_npy(format, header, &[9, 0])), [9.0]);
    }
}

#[test]
fn reads_return_the_requested_window() {
    // [2, 2, 3, 4], counting up
    let array = open(&npy("|u1", &[2, 2, 3, 4], &(0..48).collect::<Vec<u8>>())).unwrap();
    let mut out = vec![-1.0];
    array.read((1, 0), 1..3, 2..4, &mut out).unwrap();
    assert_eq!(out, [-1.0, 30.0, 31.0, 34.0, 35.0]);
    for (at, rows, columns) in [((2, 0), 0..1, 0..1), ((0, 2), 0..1, 0..1), ((0, 0), 2..4, 0..1), ((0, 0), 0..1, 4..5)]
    {
        assert!(array.read(at, rows, columns, &mut out).is_err());
    }
    assert_eq!(out.len(), 5);
}

#[test]
fn invalid_arrays_are_errors() {
    let header = |descr: &str, fortran: &str, shape: &str| {
        raw_npy(1, &format!("{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}"), &[0; 64])
    };
    insta::assert_snapshot!(reason(b"II*\0 a picture"), @"it has no valid .npy header");
    insta::assert_snapshot!(reason(&raw_npy(4, "{}", &[])), @"it has no valid .npy header");
    insta::assert_snapshot!(reason(&raw_npy(1, "{}", &[])), @"its header has no `descr`");
    insta::assert_snapshot!(reason(&header("'<U2'", "False", "(1, 1, 1, 1)")), @"it holds `<U2`, expected integers or floats");
    insta::assert_snapshot!(reason(&header("[('a', '<u2')]", "False", "(1, 1, 1, 1)")), @"it holds `a list`, expected integers or floats");
    insta::assert_snapshot!(reason(&header("'<u2'", "True", "(1, 1, 1, 1)")), @"it is in Fortran order: save `numpy.ascontiguousarray(it)`");
    insta::assert_snapshot!(reason(&header("'<u2'", "False", "(4, 4)")), @"its shape is (4, 4), expected four axes");
    insta::assert_snapshot!(reason(&header("'<u2'", "False", "(1, 1, -1, 1)")), @"its shape is (1, 1, -1, 1), expected four axes");
    insta::assert_snapshot!(reason(&header("'<u2'", "False", "(1, 3, 1, 11)")), @"it is truncated: 64 bytes of data, expected [1, 3, 1, 11] of uint16");
    insta::assert_snapshot!(
        reason(&header("'<u2'", "False", "(9999999999, 9999999999, 9999999999, 9999999999)")),
        @"it is truncated: 64 bytes of data, expected [9999999999, 9999999999, 9999999999, 9999999999] of uint16"
    );
    let whole = npy("<u2", &[1, 1, 1, 1], &[1, 2]);
    for length in 0..whole.len() {
        assert!(open(&whole[..length]).is_err(), "{length}");
    }
    let mut claims = raw_npy(2, "", &[]);
    claims[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(open(&claims).is_err());
}

#[test]
fn a_file_truncated_while_it_is_open_is_an_error() {
    let fixture = Fixture::new();
    let path = fixture.file("a.npy", &npy("<u2", &[1, 1, 64, 64], &[1; 2 * 64 * 64]));
    let array = Npy::open(&path).unwrap();
    let mut out = Vec::new();
    array.read((0, 0), 0..64, 0..64, &mut out).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
    let error = array.read((0, 0), 32..64, 0..64, &mut out).unwrap_err().to_string();
    assert!(error.ends_with("it was truncated after it was opened"), "{error}");
    assert_eq!(out.len(), 64 * 64);
}

#[test]
fn the_fuzzers_inputs_are_there() {
    let mut files: std::collections::BTreeMap<_, _> =
        ["|u1", "|i1", "<u2", ">u2", "<i2", "<u4", "<i4", "<u8", ">i8", "<f4", ">f4", "<f8"]
            .map(|descr| {
                let bytes = usize::from(descr.as_bytes()[2] - b'0');
                let name = format!("{}-{}.npy", if descr.starts_with('>') { "big" } else { "little" }, &descr[1..]);
                (name, npy(descr, &[2, 2, 3, 4], &(0..48 * bytes).map(|i| i.to_le_bytes()[0]).collect::<Vec<_>>()))
            })
            .into();
    let spaced = "{'shape': (1,1,2,1), 'fortran_order':False,'descr':  '<u2'}";
    for format in [1, 2, 3] {
        files.insert(format!("format-{format}.npy"), raw_npy(format, spaced, &[9, 0, 8, 0]));
    }
    files.insert("fortran.npy".to_owned(), raw_npy(1, &spaced.replace("False", "True"), &[9, 0, 8, 0]));
    files.insert("text.npy".to_owned(), raw_npy(1, &spaced.replace("<u2", "<U2"), &[9, 0, 8, 0]));
    files.insert("huge.npy".to_owned(), npy("<u2", &[usize::MAX, 1, 2, 2], &[0; 8]));
    files.insert("overflow.npy".to_owned(), npy("<u2", &[1 << 32, 1 << 31, 1, 1], &[0; 8]));
    files.insert("empty.npy".to_owned(), npy("<u2", &[0, 1 << 40, 3, 1 << 40], &[]));
    crate::seeds::keep("npy", &files);
}

#[test]
fn scales_are_those_of_skimage() {
    assert_eq!(Dtype::Unsigned(1).unit_scale(), 1.0 / 255.0);
    assert_eq!(Dtype::Unsigned(2).unit_scale(), 1.0 / 65_535.0);
    assert_eq!(Dtype::Signed(2).unit_scale(), 1.0 / 32_767.0);
    assert_eq!(Dtype::Signed(8).unit_scale(), 1.0 / i64::MAX as f64);
    assert_eq!(Dtype::Float(4).unit_scale(), 1.0);
    assert_eq!(Dtype::Unsigned(2).to_string(), "uint16");
}

#[test]
fn written_headers_are_numpys() {
    let mut file = Vec::new();
    write(&mut file, [1, 1, 2, 2], &[1_u16, 2, 3, 0x0405]).unwrap();
    assert_eq!(file.len(), 128 + 8);
    assert_eq!(&file[..10], b"\x93NUMPY\x01\x00\x76\x00");
    assert_eq!(
        std::str::from_utf8(&file[10..128]).unwrap().trim_end(),
        "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 1, 2, 2), }"
    );
    assert_eq!(&file[128..], [1, 0, 2, 0, 3, 0, 5, 4]);
    assert!(write(&mut file, [1, 1, 2, 2], &[1_u8]).is_err());
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0_usize..130, byte: u8) {
        let _ = open(&bytes);
        let mut whole = npy("<u2", &[1, 1, 2, 2], &[0; 8]);
        let at = at % whole.len();
        whole[at] = byte;
        if let Ok(array) = open(&whole) {
            let [_, _, height, width] = array.shape();
            let _ = array.read((0, 0), 0..height, 0..width, &mut Vec::new());
        }
    }
}
