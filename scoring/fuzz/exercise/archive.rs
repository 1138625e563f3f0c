//! Zip archives: lists, reads and checks them within limits. The report must be safe to print, and not much larger than
//! the input.

use std::io::Write;

use flair_scoring::{
    progress::Silent,
    source::Source,
    submission::{CheckOptions, check_path, predictions},
};
use tempfile::NamedTempFile;

/// Maximum size of an entry, in bytes.
const LIMIT: u64 = 1 << 16;

/// Reads the bytes as an archive.
pub(crate) fn exercise(bytes: &[u8]) {
    let mut file = NamedTempFile::new().expect("the temporary folder is writable");
    file.write_all(bytes).expect("the temporary folder is writable");
    let mut options = CheckOptions::default();
    (options.limits.file_bytes, options.limits.samples) = (LIMIT, LIMIT);
    let report = check_path(file.path(), None, &options, &Silent).expect("the file can be looked at");
    for finding in &report.findings {
        let shown = [&finding.subject, &finding.message];
        assert!(!shown.iter().any(|text| text.chars().any(char::is_control)), "{finding:?}");
    }
    let json = serde_json::to_string(&report).expect("a report is JSON");
    assert!(json.len() < 1000 * (bytes.len() + 10), "{} bytes of report on {} bytes", json.len(), bytes.len());

    let Ok(source) = Source::open(file.path()) else { return assert!(!report.valid) };
    assert_eq!(report.counts.files, source.entries().len());
    for entry in source.entries() {
        if let Ok(read) = source.read(entry, LIMIT) {
            assert!(read.len() as u64 <= LIMIT && read.len() as u64 == entry.size);
        }
    }
    let is_sound = source.entries().iter().all(|entry| entry.defects.is_empty());
    assert!(is_sound || !report.valid, "{report:?}");
    assert!(predictions(&source).count() <= source.entries().len());
}
