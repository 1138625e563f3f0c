//! Zip archives with reproducible bytes: they depend on the contents alone.

use std::io::{self, Cursor, Read, Seek, Write};

use flair_scoring::files::{Latch, Latched};
use zip::{CompressionMethod, DateTime, System, ZipWriter, write::SimpleFileOptions};

/// The compression of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Stored, for contents that are compressed already.
    Stored,
    /// Deflated.
    Deflated,
    /// Deflated, with the mode of a program. The platforms' unpacker drops modes; other unpackers keep them.
    Program,
}

/// An archive writer: entries in the given order, dated 1980-01-01.
pub(super) struct Archive<W: Write + Seek> {
    zip: ZipWriter<Latched<W>>,
    latch: Latch,
}

impl<W: Write + Seek> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        let (out, latch) = Latched::new(out);
        Self { zip: ZipWriter::new(out), latch }
    }

    pub(super) fn add(&mut self, name: &str, bytes: &[u8], keep: Keep) -> io::Result<()> {
        self.copy(name, bytes, bytes.len() as u64, keep)
    }

    /// As [`Archive::add`], from a reader that gives `size` bytes.
    pub(super) fn copy(&mut self, name: &str, mut from: impl Read, size: u64, keep: Keep) -> io::Result<()> {
        let (method, mode) = match keep {
            Keep::Stored => (CompressionMethod::Stored, 0o644),
            Keep::Deflated => (CompressionMethod::Deflated, 0o644),
            Keep::Program => (CompressionMethod::Deflated, 0o755),
        };
        let options = SimpleFileOptions::default()
            .system(System::Unix)
            .last_modified_time(DateTime::default())
            .large_file(size >= u64::from(u32::MAX))
            .compression_method(method)
            .unix_permissions(mode);
        self.zip.start_file(name, options)?;
        io::copy(&mut from, &mut self.zip)?;
        self.latch.check()
    }

    pub(super) fn finish(self) -> io::Result<W> {
        let out = self.zip.finish()?.into_inner();
        self.latch.check()?;
        Ok(out)
    }
}

/// A small archive, in memory.
pub(super) fn archive(files: &[(&str, &[u8], Keep)]) -> io::Result<Vec<u8>> {
    let mut archive = Archive::new(Cursor::new(Vec::new()));
    for (name, bytes, keep) in files {
        archive.add(name, bytes, *keep)?;
    }
    Ok(archive.finish()?.into_inner())
}
