//! The fuzz targets that need no network, over their committed inputs: a few seconds of what `docs/fuzzing.md` runs for
//! hours.

#[cfg(test)]
#[path = "../fuzz/exercise/archive.rs"]
mod archive;
#[cfg(test)]
#[path = "../fuzz/exercise/protocol.rs"]
mod protocol;
#[cfg(test)]
#[path = "../fuzz/exercise/raster.rs"]
mod raster;
#[cfg(test)]
#[path = "../fuzz/exercise/record.rs"]
mod record;
#[cfg(test)]
#[path = "../fuzz/exercise/replay.rs"]
mod replay;

#[test]
fn rasters() {
    replay::replay("raster", raster::exercise);
}

#[test]
fn archives() {
    replay::replay("archive", archive::exercise);
}

/// Bytes of each flood: large enough that a reader which remembers signatures or fields shows it.
const FLOOD: usize = 4 << 20;

/// Archives of signatures, records and fields that a reader might remember. What does not depend on their number must
/// suffice: the report, and the search for the end record.
#[expect(clippy::cast_possible_truncation, reason = "small archives")]
#[test]
fn floods_of_archive_records_cost_little() {
    let repeated = |signature: &[u8]| signature.repeat(FLOOD / signature.len());
    let end = |count: u16, size: usize, at: usize| {
        let (count, size, at) = (count.to_le_bytes(), (size as u32).to_le_bytes(), (at as u32).to_le_bytes());
        [&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size, &at, &[0, 0]].concat()
    };
    let locator = [&b"PK\x06\x07"[..], &[0; 12], &[1, 0, 0, 0]].concat();
    let full = [&b"PK\x05\x06\0\0\0\0"[..], &[0xff; 12], &[0, 0]].concat();
    let record = |extra: &[u8], comment: &[u8]| {
        let mut record = b"PK\x01\x02".to_vec();
        record.extend([0; 42]);
        record[28] = 1;
        record[30..32].copy_from_slice(&(extra.len() as u16).to_le_bytes());
        record[32..34].copy_from_slice(&(comment.len() as u16).to_le_bytes());
        [&record[..], b"x", extra, comment].concat()
    };
    let listed = |record: &[u8]| {
        let count = FLOOD / record.len();
        let directory = record.repeat(count);
        [&directory[..], &end(count as u16, directory.len(), 0)].concat()
    };
    for (name, bytes) in [
        ("end records", repeated(b"PK\x05\x06")),
        ("zip64 end records", [repeated(b"PK\x06\x06"), locator, full].concat()),
        ("directory records", [&[0; 60][..], &repeated(b"PK\x01\x02"), &end(1, 46, 10)].concat()),
        ("extra fields", listed(&record(&b"\x99\x99\0\0".repeat(16_383), b""))),
        ("comments", listed(&record(b"", &vec![0xe9; 65_535]))),
    ] {
        replay::flood(name, &bytes, 1 << 20, archive::exercise);
    }
}

#[test]
fn protocols() {
    replay::replay("protocol", protocol::exercise);
}

#[test]
fn records() {
    replay::replay("record", record::exercise);
}
