//! Detects a file's format from its first bytes, regardless of its name.

/// The format of a file by its first bytes; `None` if unknown. TIFF is not detected.
pub(crate) fn format(bytes: &[u8]) -> Option<&'static str> {
    const FORMATS: &[(&[u8], &str)] = &[
        (b"\x89PNG\r\n\x1a\n", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"BM", "a BMP image"),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
        (b"RIFF", "a WebP image or another RIFF file"),
        (b"\x93NUMPY", "a NumPy array (.npy)"),
        (b"PK\x03\x04", "a zip archive (perhaps .npz or .pth)"),
        (b"\x1f\x8b", "gzip-compressed data (perhaps .tar.gz)"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!", "a RAR archive"),
        (b"BZh", "bzip2-compressed data"),
        (b"\xfd7zXZ", "xz-compressed data"),
        (b"\x28\xb5\x2f\xfd", "Zstandard-compressed data"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x80\x02", "a Python pickle"),
        (b"\x80\x04", "a Python pickle"),
        (b"version https://git-lfs", "a Git LFS pointer: the file itself was not fetched"),
        (b"%PDF", "a PDF document"),
        (b"<?xml", "an XML text"),
        (b"<html", "an HTML page: a failed download?"),
        (b"<!DOCTYPE", "an HTML page: a failed download?"),
        (b"<!doctype", "an HTML page: a failed download?"),
    ];
    let known = FORMATS.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, name)| *name);
    // The magic bytes of a tar archive follow its first name.
    known.or_else(|| bytes.get(257..262).filter(|magic| *magic == b"ustar").map(|_| "a tar archive"))
}
