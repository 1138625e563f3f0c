//! Arrays as NumPy stores them.

use std::io::{self, Write};

/// A kind of number that an array holds.
pub(super) trait Number: Copy {
    /// NumPy's name of it.
    const NAME: &'static str;
    /// Its bytes, the lowest first.
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
pub(super) fn write<N: Number>(to: &mut impl Write, shape: [usize; 4], numbers: &[N]) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_numpys() {
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
}
