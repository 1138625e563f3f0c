//! TensorBoard's event files: records of protocol buffers, encoded by hand because only a few fields are needed.
//!
//! The messages are `Event`, `Summary` and `SessionLog` of TensorFlow's `event.proto` and `summary.proto`; the records
//! are those of `record_writer.cc`. `tests/read_events.py` reads the files with TensorBoard itself.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// An open event file.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventFile {
    /// Creates a file in `folder`. TensorBoard then discards events of `step` and later in older files, so that a
    /// resumed run shows each step once.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(folder: &Path, step: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        // TensorBoard reads a folder's files in the order of their names, so the number counts within a second.
        let (path, file) = (0..10_000)
            .map(|number| folder.join(format!("events.out.tfevents.{seconds:010}.{number:04}.flair-bench")))
            .find_map(|path| match File::create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                other => Some(other.map(|file| (path, file))),
            })
            .unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))?;
        let mut events = Self { path, file: BufWriter::new(file) };
        events.record(&event(0, |out| bytes(out, FILE_VERSION, b"brain.Event:2")))?;
        events.record(&event(step, |out| {
            let mut log = Vec::new();
            varint(&mut log, STATUS << 3);
            varint(&mut log, START);
            bytes(out, SESSION_LOG, &log);
        }))?;
        events.flush()?;
        Ok(events)
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds scalars of a step, by tag.
    ///
    /// # Errors
    /// If the file cannot be written.
    #[expect(clippy::cast_possible_truncation, reason = "the format has f32")]
    pub fn scalars<'a>(&mut self, step: u64, values: impl IntoIterator<Item = (&'a str, f64)>) -> io::Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            bytes(&mut summary, VALUE, &{
                let mut out = Vec::new();
                bytes(&mut out, TAG, tag.as_bytes());
                varint(&mut out, SIMPLE_VALUE << 3 | FIXED_32);
                out.extend((value as f32).to_le_bytes());
                out
            });
        }
        self.record(&event(step, |out| bytes(out, SUMMARY, &summary)))
    }

    /// Adds an image of a step; `png` is an RGB PNG.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn image(&mut self, step: u64, tag: &str, (width, height): (u32, u32), png: &[u8]) -> io::Result<()> {
        let mut image = Vec::new();
        for (field, number) in [(HEIGHT, height), (WIDTH, width), (COLOURSPACE, RGB)] {
            varint(&mut image, field << 3);
            varint(&mut image, u64::from(number));
        }
        bytes(&mut image, ENCODED_IMAGE, png);
        let (mut value, mut summary) = (Vec::new(), Vec::new());
        bytes(&mut value, TAG, tag.as_bytes());
        bytes(&mut value, IMAGE, &image);
        bytes(&mut summary, VALUE, &value);
        self.record(&event(step, |out| bytes(out, SUMMARY, &summary)))
    }

    /// Flushes the file, so that a running TensorBoard shows the events.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    fn record(&mut self, data: &[u8]) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        self.file.write_all(&length)?;
        self.file.write_all(&masked_crc(&length).to_le_bytes())?;
        self.file.write_all(data)?;
        self.file.write_all(&masked_crc(data).to_le_bytes())
    }
}

// Field numbers of `Event`.
const WALL_TIME: u64 = 1;
const STEP: u64 = 2;
const FILE_VERSION: u64 = 3;
const SUMMARY: u64 = 5;
const SESSION_LOG: u64 = 7;
// Field number of `SessionLog`'s status, and its value.
const STATUS: u64 = 1;
const START: u64 = 1;
// Field numbers of `Summary` and of its values.
const VALUE: u64 = 1;
const TAG: u64 = 1;
const SIMPLE_VALUE: u64 = 2;
const IMAGE: u64 = 4;
// Field numbers of an image, and its colour space.
const HEIGHT: u64 = 1;
const WIDTH: u64 = 2;
const COLOURSPACE: u64 = 3;
const ENCODED_IMAGE: u64 = 4;
const RGB: u32 = 3;

// Wire types of fields; a varint is 0.
const FIXED_64: u64 = 1;
const LENGTH_AND_BYTES: u64 = 2;
const FIXED_32: u64 = 5;

fn event(step: u64, what: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
    let mut out = Vec::new();
    varint(&mut out, WALL_TIME << 3 | FIXED_64);
    out.extend(now.to_le_bytes());
    varint(&mut out, STEP << 3);
    varint(&mut out, step);
    what(&mut out);
    out
}

fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, field << 3 | LENGTH_AND_BYTES);
    varint(out, bytes.len() as u64);
    out.extend(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// CRC-32C, masked as the record format demands, because a CRC of data that contain CRCs is weak.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4).
fn crc32c(data: &[u8]) -> u32 {
    !data.iter().fold(!0, |crc, byte| (crc >> 8) ^ CRC_TABLE[usize::from(byte ^ crc.to_le_bytes()[0])])
}

#[expect(clippy::cast_possible_truncation, reason = "below 256")]
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let (mut crc, mut bit) = (index as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&(0..32).collect::<Vec<_>>()), 0x46dd_794e);
    }

    #[test]
    fn varints_are_encoded_as_in_protocol_buffers() {
        let coded = |value| {
            let mut out = Vec::new();
            varint(&mut out, value);
            out
        };
        assert_eq!([coded(0), coded(127), coded(300)], [vec![0], vec![0x7f], vec![0xac, 0x02]]);
        assert_eq!(coded(u64::MAX).len(), 10);
    }

    #[test]
    fn records_hold_version_session_start_and_values() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(folder.path(), 7).unwrap();
        events.scalars(300, [("a", 0.5), ("b", -2.0)]).unwrap();
        events.flush().unwrap();
        let file = fs::read(events.path()).unwrap();
        let (mut rest, mut records) = (&file[..], Vec::new());
        while let Some((length, after)) = rest.split_first_chunk::<8>() {
            let size = usize::try_from(u64::from_le_bytes(*length)).unwrap();
            let (data, after) = (&after[4..4 + size], &after[4 + size..]);
            assert_eq!(after[..4], masked_crc(data).to_le_bytes());
            // Skip the timestamp of 9 bytes.
            records.push(data[9..].to_vec());
            rest = &after[4..];
        }
        assert_eq!(records[0], b"\x10\x00\x1a\x0dbrain.Event:2");
        assert_eq!(records[1], [0x10, 7, 0x3a, 2, 8, 1]);
        let half = [&[0x0a, 8, 0x0a, 1, b'a', 0x15][..], &0.5f32.to_le_bytes()].concat();
        let minus_two = [&[0x0a, 8, 0x0a, 1, b'b', 0x15][..], &(-2f32).to_le_bytes()].concat();
        assert_eq!(records[2], [&[0x10, 0xac, 0x02, 0x2a, 20][..], &half, &minus_two].concat());
        assert_eq!(records.len(), 3);
        // A second file within the same second does not overwrite the first.
        assert!(EventFile::create(folder.path(), 7).unwrap().path() > events.path());
    }
}
