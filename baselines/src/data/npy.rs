//! Reads and writes `NumPy` arrays in `.npy` files.
//!
//! [`Npy`] reads only the requested elements: a super-area holds up to 45 MB, and a patch needs 4 % of it. The file
//! is not mapped into memory: a file that another program cuts short would then kill this one (SIGBUS).

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::DataError;

/// Longest header that is read, in bytes. `NumPy`'s are 118 bytes long.
const MAX_HEADER: usize = 65_536;

/// Most bytes before it: magic number, format, and its own length.
const MAX_PREFIX: usize = 12;

/// The dtype of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// Unsigned integers of 1, 2, 4 or 8 bytes.
    Unsigned(usize),
    /// Signed integers of 1, 2, 4 or 8 bytes.
    Signed(usize),
    /// Floating-point numbers of 4 or 8 bytes.
    Float(usize),
}

impl Dtype {
    fn bytes(self) -> usize {
        let (Self::Unsigned(bytes) | Self::Signed(bytes) | Self::Float(bytes)) = self;
        bytes
    }

    /// The factor by which skimage's `img_as_float` brings such numbers to `0..=1` or `-1..=1`: one over the largest
    /// integer. Floating-point numbers stay.
    pub fn unit_scale(self) -> f64 {
        match self {
            Self::Unsigned(bytes) => 1.0 / (u64::MAX >> (64 - 8 * bytes)) as f64,
            Self::Signed(bytes) => 1.0 / (u64::MAX >> (65 - 8 * bytes)) as f64,
            Self::Float(_) => 1.0,
        }
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Unsigned(_) => "uint",
            Self::Signed(_) => "int",
            Self::Float(_) => "float",
        };
        write!(f, "{name}{}", 8 * self.bytes())
    }
}

/// An array of four axes in a `.npy` file (format 1, 2 or 3, C order): no number is read before it is asked for. It
/// can be shared between threads.
#[derive(Debug)]
pub struct Npy {
    path: PathBuf,
    file: Mutex<File>,
    start: u64,
    dtype: Dtype,
    is_big_endian: bool,
    shape: [usize; 4],
}

impl Npy {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// If the file cannot be read, is not a `.npy` file, is truncated, or is not a four-axis array of numbers in C
    /// order.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let mut file = File::open(path).map_err(DataError::io(path))?;
        let size = file.metadata().map_err(DataError::io(path))?.len();
        let mut head = Vec::new();
        let most = (MAX_PREFIX + MAX_HEADER) as u64;
        file.by_ref().take(most).read_to_end(&mut head).map_err(DataError::io(path))?;
        let wrong = |reason: String| DataError::format(path, reason);
        let (text, start) = header(&head).ok_or_else(|| wrong("it does not begin as a .npy file".to_owned()))?;
        let field = |name: &str| {
            text.split_once(&format!("'{name}':"))
                .map(|(_, value)| value.trim_start())
                .ok_or_else(|| wrong(format!("its header has no `{name}`")))
        };
        let descr = field("descr")?.strip_prefix('\'').and_then(|rest| rest.split('\'').next()).unwrap_or("a list");
        let (dtype, is_big_endian) =
            dtype(descr).ok_or_else(|| wrong(format!("it holds `{descr}`, expected integers or floats")))?;
        if !field("fortran_order")?.starts_with("False") {
            return Err(wrong("it is in Fortran order: save `numpy.ascontiguousarray(it)`".to_owned()));
        }
        let sizes = field("shape")?.strip_prefix('(').and_then(|rest| rest.split(')').next()).unwrap_or("");
        let shape = shape(sizes).ok_or_else(|| wrong(format!("its shape is ({sizes}), expected four axes")))?;
        let bytes = shape.iter().try_fold(dtype.bytes(), |bytes, size| bytes.checked_mul(*size));
        let start = start as u64;
        let held = size.saturating_sub(start);
        if bytes.is_none_or(|bytes| bytes as u64 > held) {
            return Err(wrong(format!("it is cut short: {held} bytes of numbers are not {shape:?} of {dtype}")));
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), start, dtype, is_big_endian, shape })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its dtype.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// The length of each axis.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Appends to `out` the numbers at `[a, b, rows, columns]`, row after row. Only those rows are read.
    ///
    /// # Errors
    /// If indices are out of bounds, or the file cannot be read or was truncated since it was opened; `out` is
    /// unchanged then.
    pub fn read(
        &self,
        (a, b): (usize, usize),
        rows: Range<usize>,
        columns: Range<usize>,
        out: &mut Vec<f64>,
    ) -> Result<(), DataError> {
        let [na, nb, height, width] = self.shape;
        let is_within = |range: &Range<usize>, size| range.start <= range.end && range.end <= size;
        if a >= na || b >= nb || !is_within(&rows, height) || !is_within(&columns, width) {
            return Err(DataError::format(
                &self.path,
                format!("[{a}, {b}, {rows:?}, {columns:?}] is outside {:?}", self.shape),
            ));
        }
        if rows.is_empty() || columns.is_empty() {
            return Ok(());
        }
        // All of it is below the number of bytes in the file, which was compared with the shape.
        let (bytes, first) = (self.dtype.bytes(), (a * nb + b) * height + rows.start);
        let mut stored = vec![0; rows.len() * width * bytes];
        self.fill(&mut stored, self.start + (first * width * bytes) as u64).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => DataError::format(&self.path, "it was cut short while it was in use"),
            _ => DataError::io(&self.path)(error),
        })?;
        for row in stored.chunks_exact(width * bytes) {
            self.decode(&row[columns.start * bytes..columns.end * bytes], out);
        }
        Ok(())
    }

    /// Reads at an offset of the file.
    fn fill(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(bytes)
    }

    fn decode(&self, bytes: &[u8], out: &mut Vec<f64>) {
        macro_rules! each {
            ($number:ty) => {{
                const N: usize = size_of::<$number>();
                out.extend(bytes.as_chunks::<N>().0.iter().map(|chunk| {
                    let number = if self.is_big_endian {
                        <$number>::from_be_bytes(*chunk)
                    } else {
                        <$number>::from_le_bytes(*chunk)
                    };
                    number as f64
                }));
            }};
        }
        #[expect(clippy::cast_lossless, reason = "one macro for all types")]
        match self.dtype {
            Dtype::Unsigned(1) => each!(u8),
            Dtype::Unsigned(2) => each!(u16),
            Dtype::Unsigned(4) => each!(u32),
            Dtype::Unsigned(_) => each!(u64),
            Dtype::Signed(1) => each!(i8),
            Dtype::Signed(2) => each!(i16),
            Dtype::Signed(4) => each!(i32),
            Dtype::Signed(_) => each!(i64),
            Dtype::Float(4) => each!(f32),
            Dtype::Float(_) => each!(f64),
        }
    }
}

/// The header's text, and the offset of the data.
fn header(bytes: &[u8]) -> Option<(&str, usize)> {
    let rest = bytes.strip_prefix(b"\x93NUMPY")?;
    let (length, before) = match rest.first()? {
        1 => (usize::from(u16::from_le_bytes(*rest.get(2..)?.first_chunk()?)), 10),
        2 | 3 => (usize::try_from(u32::from_le_bytes(*rest.get(2..)?.first_chunk()?)).ok()?, 12),
        _ => return None,
    };
    let text = bytes.get(before..).filter(|_| length <= MAX_HEADER)?.get(..length)?;
    Some((std::str::from_utf8(text).ok()?, before + length))
}

/// The type that a description such as `<u2` names, and whether it is big-endian.
fn dtype(descr: &str) -> Option<(Dtype, bool)> {
    let order = descr.chars().next().filter(|order| "<>|=".contains(*order))?;
    let dtype = match &descr[1..] {
        "u1" => Dtype::Unsigned(1),
        "u2" => Dtype::Unsigned(2),
        "u4" => Dtype::Unsigned(4),
        "u8" => Dtype::Unsigned(8),
        "i1" => Dtype::Signed(1),
        "i2" => Dtype::Signed(2),
        "i4" => Dtype::Signed(4),
        "i8" => Dtype::Signed(8),
        "f4" => Dtype::Float(4),
        "f8" => Dtype::Float(8),
        _ => return None,
    };
    Some((dtype, order == '>'))
}

fn shape(sizes: &str) -> Option<[usize; 4]> {
    let sizes: Option<Vec<usize>> =
        sizes.split(',').map(str::trim).filter(|size| !size.is_empty()).map(|size| size.parse().ok()).collect();
    sizes?.try_into().ok()
}

/// A type of number that [`write()`] stores.
pub trait Number: Copy {
    /// Its name in the header.
    const NAME: &'static str;
    /// Its bytes, little-endian.
    fn bytes(self) -> impl IntoIterator<Item = u8>;
}

impl Number for u8 {
    const NAME: &'static str = "|u1";
    fn bytes(self) -> impl IntoIterator<Item = u8> {
        [self]
    }
}

impl Number for u16 {
    const NAME: &'static str = "<u2";
    fn bytes(self) -> impl IntoIterator<Item = u8> {
        self.to_le_bytes()
    }
}

/// Writes `numbers` as an array of `shape` in C order, format 1.0.
///
/// # Errors
/// If the shape does not hold that many numbers, or what the writer says.
pub fn write<N: Number>(to: &mut impl io::Write, shape: [usize; 4], numbers: &[N]) -> io::Result<()> {
    if shape.iter().product::<usize>() != numbers.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let [a, b, c, d] = shape;
    let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({a}, {b}, {c}, {d}), }}", N::NAME);
    // Magic, version, length and header end on a multiple of 64 bytes, with a line feed.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(length - 1 - header.len()));
    header.push('\n');
    to.write_all(b"\x93NUMPY\x01\x00")?;
    to.write_all(&u16::try_from(length).map_err(io::Error::other)?.to_le_bytes())?;
    to.write_all(header.as_bytes())?;
    to.write_all(&numbers.iter().flat_map(|number| number.bytes()).collect::<Vec<u8>>())
}

/// `.npy` files of any type and header, for tests.
#[cfg(test)]
pub(crate) mod forged {
    /// A `.npy` file.
    pub(crate) fn npy(descr: &str, shape: &[usize], numbers: &[u8]) -> Vec<u8> {
        let sizes = format!("{shape:?}");
        let sizes = sizes.trim_matches(['[', ']']);
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
        raw_npy(1, &header, numbers)
    }

    /// A `.npy` file of that format and header.
    pub(crate) fn raw_npy(format: u8, header: &str, numbers: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([format, 0]);
        if format == 1 {
            bytes.extend(u16::try_from(header.len() + 1).unwrap().to_le_bytes());
        } else {
            bytes.extend(u32::try_from(header.len() + 1).unwrap().to_le_bytes());
        }
        bytes.extend(header.as_bytes());
        bytes.push(b'\n');
        bytes.extend(numbers);
        bytes
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the values are exact")]
mod tests {
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
        for (at, rows, columns) in
            [((2, 0), 0..1, 0..1), ((0, 2), 0..1, 0..1), ((0, 0), 2..4, 0..1), ((0, 0), 0..1, 4..5)]
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
        insta::assert_snapshot!(reason(b"II*\0 a picture"), @"it does not begin as a .npy file");
        insta::assert_snapshot!(reason(&raw_npy(4, "{}", &[])), @"it does not begin as a .npy file");
        insta::assert_snapshot!(reason(&raw_npy(1, "{}", &[])), @"its header has no `descr`");
        insta::assert_snapshot!(reason(&header("'<U2'", "False", "(1, 1, 1, 1)")), @"it holds `<U2`, expected integers or floats");
        insta::assert_snapshot!(reason(&header("[('a', '<u2')]", "False", "(1, 1, 1, 1)")), @"it holds `a list`, expected integers or floats");
        insta::assert_snapshot!(reason(&header("'<u2'", "True", "(1, 1, 1, 1)")), @"it is in Fortran order: save `numpy.ascontiguousarray(it)`");
        insta::assert_snapshot!(reason(&header("'<u2'", "False", "(4, 4)")), @"its shape is (4, 4), expected four axes");
        insta::assert_snapshot!(reason(&header("'<u2'", "False", "(1, 1, -1, 1)")), @"its shape is (1, 1, -1, 1), expected four axes");
        insta::assert_snapshot!(reason(&header("'<u2'", "False", "(1, 3, 1, 11)")), @"it is cut short: 64 bytes of numbers are not [1, 3, 1, 11] of uint16");
        insta::assert_snapshot!(
            reason(&header("'<u2'", "False", "(9999999999, 9999999999, 9999999999, 9999999999)")),
            @"it is cut short: 64 bytes of numbers are not [9999999999, 9999999999, 9999999999, 9999999999] of uint16"
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
    fn a_file_that_is_cut_while_it_is_open_is_an_error() {
        let fixture = Fixture::new();
        let path = fixture.file("a.npy", &npy("<u2", &[1, 1, 64, 64], &[1; 2 * 64 * 64]));
        let array = Npy::open(&path).unwrap();
        let mut out = Vec::new();
        array.read((0, 0), 0..64, 0..64, &mut out).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(1000).unwrap();
        let error = array.read((0, 0), 32..64, 0..64, &mut out).unwrap_err().to_string();
        assert!(error.ends_with("it was cut short while it was in use"), "{error}");
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
}
