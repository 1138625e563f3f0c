//! `NumPy` files: a file that opens can be read, in whole and in part, and parts equal those of the whole.

use std::io::Write;

use flair_baselines::data::npy::Npy;
use tempfile::NamedTempFile;

/// Maximum number of values that are read from one array.
const NUMBERS: usize = 1 << 16;

/// Reads the bytes as an array.
pub(crate) fn exercise(bytes: &[u8]) {
    let mut file = NamedTempFile::new().expect("the temporary folder is writable");
    file.write_all(bytes).expect("the temporary folder is writable");
    let Ok(array) = Npy::open(file.path()) else { return };
    let [a, b, height, width] = array.shape();
    let mut out = Vec::new();
    for at in [(a, 0), (0, b), (usize::MAX, usize::MAX)] {
        assert!(array.read(at, 0..height, 0..width, &mut out).is_err() && out.is_empty());
    }
    if a == 0 || b == 0 || height.max(1).saturating_mul(width.max(1)) > NUMBERS {
        return;
    }
    for at in [(0, 0), (a - 1, b - 1)] {
        let mut whole = Vec::new();
        array.read(at, 0..height, 0..width, &mut whole).expect("the array is there");
        assert_eq!(whole.len(), height * width);
        assert!(array.read(at, 0..height + 1, 0..width, &mut out).is_err());
        let (rows, columns) = (height / 3..height - height / 3, width / 3..width - width / 3);
        let mut part = Vec::new();
        array.read(at, rows.clone(), columns.clone(), &mut part).expect("the part is there");
        let cut = rows.flat_map(|row| whole[row * width..][columns.clone()].iter().map(|number| number.to_bits()));
        assert!(cut.eq(part.iter().map(|number| number.to_bits())));
    }
}
