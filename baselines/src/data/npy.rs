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

use flair_scoring::files::open_regular;

use super::DataError;

/// Maximum length of a header, in bytes. `NumPy` writes 118.
const MAX_HEADER: usize = 65_536;

/// Maximum number of bytes before the header: magic number, version and header length.
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

    /// The factor by which skimage's `img_as_float` scales such numbers to `0..=1` or `-1..=1`: one over the largest
    /// integer. For floating-point numbers it is 1.
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

/// An array of four axes in a `.npy` file (format 1, 2 or 3, C order), whose numbers are read on request. Threads can
/// share it.
#[derive(Debug)]
pub struct Npy {
    path: PathBuf,
    file: Mutex<File>,
    /// Offset of the numbers, in bytes.
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
        let mut file = open_regular(path).map_err(DataError::io(path))?;
        let size = file.metadata().map_err(DataError::io(path))?.len();
        let mut head = Vec::new();
        let most = (MAX_PREFIX + MAX_HEADER) as u64;
        file.by_ref().take(most).read_to_end(&mut head).map_err(DataError::io(path))?;
        let wrong = |reason: String| DataError::format(path, reason);
        let (text, start) = header(&head).ok_or_else(|| wrong("it has no valid .npy header".to_owned()))?;
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
            return Err(wrong(format!("it is truncated: {held} bytes of data, expected {shape:?} of {dtype}")));
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

    /// Appends the numbers at `[a, b, rows, columns]` to `out`, row after row. Reads only those rows of the file.
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
        // These products cannot overflow: they are below the size of the array, which was compared with the file's.
        let (bytes, first) = (self.dtype.bytes(), (a * nb + b) * height + rows.start);
        let mut stored = vec![0; rows.len() * width * bytes];
        self.fill(&mut stored, self.start + (first * width * bytes) as u64).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => DataError::format(&self.path, "it was truncated after it was opened"),
            _ => DataError::io(&self.path)(error),
        })?;
        for row in stored.chunks_exact(width * bytes) {
            self.decode(&row[columns.start * bytes..columns.end * bytes], out);
        }
        Ok(())
    }

    /// Fills `bytes` from an offset of the file.
    fn fill(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
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

/// The dtype of a description such as `<u2`, and whether it is big-endian.
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

/// A type of number that [`write()`] supports.
pub trait Number: Copy {
    /// Its `descr` in the header.
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
/// If the shape does not have that many numbers, or writing fails.
pub fn write<N: Number>(to: &mut impl io::Write, shape: [usize; 4], numbers: &[N]) -> io::Result<()> {
    if shape.iter().product::<usize>() != numbers.len() {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let [a, b, c, d] = shape;
    let mut header = format!("{{'descr': '{}', 'fortran_order': False, 'shape': ({a}, {b}, {c}, {d}), }}", N::NAME);
    // The header ends with a line feed, and the data begin at a multiple of 64 bytes.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.push_str(&" ".repeat(length - 1 - header.len()));
    header.push('\n');
    to.write_all(b"\x93NUMPY\x01\x00")?;
    to.write_all(&u16::try_from(length).map_err(io::Error::other)?.to_le_bytes())?;
    to.write_all(header.as_bytes())?;
    to.write_all(&numbers.iter().flat_map(|number| number.bytes()).collect::<Vec<u8>>())
}

/// Makes `.npy` files of any type and header, for tests.
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
mod tests;
