//! Every kind of finding that a check can make: its stable code, its weight, what it means.

use super::source::Defect;
use crate::{Finding, Severity};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $severity:ident, $meaning:literal;)+) => {
        /// A kind of finding. The order is that of a report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = concat!("`", $code, "`: ", $meaning, ".")] $variant,)+
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its stable word, such as `missing-prediction`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            /// How much a finding of this kind weighs.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),+ }
            }

            /// What it means, for a table of codes.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

codes! {
    // The archive.
    UnreadableArchive = "unreadable-archive", Error, "the file is no zip archive, or a broken one";
    TooManyEntries = "too-many-entries", Error, "more entries than are looked at";
    PathTraversal = "path-traversal", Error, "an entry's path has `..`, `.` or empty parts";
    AbsolutePath = "absolute-path", Error, "an entry's path starts at a root or a drive";
    BackslashPath = "backslash-path", Error, "an entry's path has a backslash";
    ControlCharacter = "control-character", Error, "an entry's path has a control character";
    NameNotUtf8 = "name-not-utf8", Error, "an entry's path is not UTF-8";
    SymbolicLink = "symbolic-link", Error, "an entry of an archive is a symbolic link, or a link in a folder leads nowhere";
    NotAFile = "not-a-file", Error, "a pipe, a socket or a device";
    EncryptedEntry = "encrypted-entry", Error, "an entry is encrypted";
    UnsupportedMethod = "unsupported-method", Error, "an entry is neither stored nor deflated";
    DuplicateEntry = "duplicate-entry", Error, "an archive has several entries of one path";
    OverlappingEntries = "overlapping-entries", Error, "entries of an archive share their bytes";
    DamagedEntry = "damaged-entry", Error, "an entry's data contradict the archive's directory";
    // Which files there are.
    NoPredictions = "no-predictions", Error, "no file has a prediction's name";
    WrongName = "wrong-name", Error, "an image whose name is not that of a prediction";
    DuplicatePrediction = "duplicate-prediction", Error, "several files are of one patch";
    MissingPrediction = "missing-prediction", Error, "an expected patch has no prediction";
    ExtraPrediction = "extra-prediction", Error, "a prediction is of a patch that is not expected";
    // What is in them.
    UnreadableFile = "unreadable-file", Error, "a file cannot be read";
    FileTooLarge = "file-too-large", Error, "a file is far larger than a prediction can be";
    UnreadableImage = "unreadable-image", Error, "a file is not a TIFF that can be read";
    WrongSize = "wrong-size", Error, "width and height are not 512";
    WrongBands = "wrong-bands", Error, "there is not one band";
    WrongSampleType = "wrong-sample-type", Error, "samples are not unsigned 8-bit integers";
    InvertedGrey = "inverted-grey", Error, "white is zero, which some readers invert";
    ValueOutOfRange = "value-out-of-range", Error, "pixels are above 12, the last class";
    // Likely mistakes.
    OneBased = "one-based", Warning, "values look like classes counted from 1";
    RawLabels = "raw-labels", Warning, "values look like the 19 labels of the masks";
    Wraparound = "wraparound-255", Warning, "255 looks like a class -1 that was cast to uint8";
    NotLzw = "not-lzw", Warning, "a TIFF is not compressed by LZW";
    ConstantPrediction = "constant-prediction", Warning, "all pixels of a prediction are the same";
    UnexpectedFile = "unexpected-file", Warning, "a file that no scorer looks at";
    JunkFile = "junk-file", Warning, "a file that an operating system left behind";
    // Good to know.
    LastBatchMissing = "last-batch-missing", Note, "only the last patches are missing, as when a last batch is dropped";
    IdsNotChecked = "ids-not-checked", Note, "no list of patches is given, so none can be missing";
}

impl Code {
    /// A finding of this kind.
    pub fn finding(self, subject: impl Into<String>, message: impl Into<String>) -> Finding {
        match self.severity() {
            Severity::Error => Finding::error(self.code(), subject, message),
            Severity::Warning => Finding::warning(self.code(), subject, message),
            Severity::Note => Finding::note(self.code(), subject, message),
        }
    }
}

impl From<Defect> for Code {
    fn from(defect: Defect) -> Self {
        match defect {
            Defect::Traversal => Self::PathTraversal,
            Defect::Absolute => Self::AbsolutePath,
            Defect::Backslash => Self::BackslashPath,
            Defect::ControlCharacter => Self::ControlCharacter,
            Defect::NotUtf8 => Self::NameNotUtf8,
            Defect::Symlink | Defect::DanglingLink => Self::SymbolicLink,
            Defect::NotAFile => Self::NotAFile,
            Defect::Encrypted => Self::EncryptedEntry,
            Defect::Method => Self::UnsupportedMethod,
            Defect::Duplicate => Self::DuplicateEntry,
            Defect::Overlap => Self::OverlappingEntries,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_words_in_kebab_case() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|c| c.code()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        let is_word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        assert!(codes.iter().all(|code| code.split('-').all(is_word)), "{codes:?}");
    }

    #[test]
    fn a_report_begins_with_what_weighs_most() {
        assert!(Code::ALL.is_sorted_by_key(|code| std::cmp::Reverse(code.severity())));
    }
}
