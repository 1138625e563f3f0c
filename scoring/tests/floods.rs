//! Inputs of megabytes that repeat what a reader might remember. They are a program of their own, since it counts the
//! memory of all its tests.

#[cfg(test)]
#[path = "../fuzz/exercise/archive.rs"]
mod archive;
#[cfg(test)]
#[path = "../fuzz/exercise/flood.rs"]
mod flood;
#[cfg(test)]
#[path = "../fuzz/exercise/memory.rs"]
mod memory;

/// Bytes of each flood: large enough that a reader which remembers signatures or fields shows it.
const FLOOD: usize = 4 << 20;

/// Archives of signatures, records and fields that a reader might remember. What does not depend on their number must
/// suffice: the report, and the search for the end record.
#[test]
fn floods_of_archive_records_cost_little() {
    let repeated = |signature: &[u8]| signature.repeat(FLOOD / signature.len());
    let half = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let end = |count: usize, size: usize, at: usize| {
        let (count, size, at) = (half(count), word(size), word(at));
        [&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size, &at, &[0, 0]].concat()
    };
    let locator = [&b"PK\x06\x07"[..], &[0; 12], &[1, 0, 0, 0]].concat();
    let full = [&b"PK\x05\x06\0\0\0\0"[..], &[0xff; 12], &[0, 0]].concat();
    let record = |extra: &[u8], comment: &[u8]| {
        let mut record = b"PK\x01\x02".to_vec();
        record.extend([0; 42]);
        record[28] = 1;
        record[30..32].copy_from_slice(&half(extra.len()));
        record[32..34].copy_from_slice(&half(comment.len()));
        [&record[..], b"x", extra, comment].concat()
    };
    let listed = |record: &[u8]| {
        let count = FLOOD / record.len();
        let directory = record.repeat(count);
        [&directory[..], &end(count, directory.len(), 0)].concat()
    };
    for (name, bytes) in [
        ("end records", repeated(b"PK\x05\x06")),
        ("zip64 end records", [repeated(b"PK\x06\x06"), locator, full].concat()),
        ("directory records", [&[0; 60][..], &repeated(b"PK\x01\x02"), &end(1, 46, 10)].concat()),
        ("extra fields", listed(&record(&b"\x99\x99\0\0".repeat(16_383), b""))),
        ("comments", listed(&record(b"", &vec![0xe9; 65_535]))),
    ] {
        flood::flood(name, &bytes, 1 << 20, archive::exercise);
    }
}
