//! The registry of findings about submissions, predictions and masks, used by `check`, `package` and `score`.

use crate::{Finding, finding_codes, source::Defect};

finding_codes! {
    /// A kind of finding about a submission, its predictions or the masks, in report order.
    pub enum Code {
        // The archive.
        UnreadableArchive = "unreadable-archive", Error, "the file is not a zip archive, or is damaged",
            cause: "An upload or a download was cut short, or the file has another format (`.tar.gz`, `.7z`, `.rar`) and a name that ends with `.zip`.",
            fix: "Pack the predictions again, with `flair-bench package` or any tool that writes zip archives.";
        TooManyEntries = "too-many-entries", Error, "there are more entries than the limit",
            cause: "The folder holds more than the predictions, or the archive was built to exhaust its reader.",
            fix: "Give the folder of the predictions, or pack only the predictions.";
        PathTraversal = "path-traversal", Error, "an entry's path has `..`, `.` or empty parts",
            cause: "The archive was made by hand or by a faulty script; or it is an attempt to write outside the folder that it is unpacked into.",
            fix: "Pack the predictions again; `flair-bench package` writes bare file names.";
        AbsolutePath = "absolute-path", Error, "an entry's path starts with a root or a drive",
            cause: "A script gave absolute paths to the library that wrote the archive.",
            fix: "Use the file name as the entry's name (`arcname` in Python), or use `flair-bench package`.";
        BackslashPath = "backslash-path", Error, "an entry's path has a backslash",
            cause: "The archive was made on Windows by a tool that keeps Windows separators, which other systems treat as part of the name.",
            fix: "Pack again with another tool, or with `flair-bench package`.";
        ControlCharacter = "control-character", Error, "an entry's path has a control character",
            cause: "The archive is damaged, or the name is meant to deceive a reader in a terminal.",
            fix: "Pack the predictions again.";
        NameNotUtf8 = "name-not-utf8", Error, "a path is not UTF-8",
            cause: "A tool wrote names in a legacy encoding of its system.",
            fix: "Use ASCII letters, digits and `_` in folder names; names of predictions have no other characters.";
        SymbolicLink = "symbolic-link", Error, "an entry of an archive is a symbolic link, or a link in a folder has no target",
            cause: "The archive was made from a folder of links (`zip -y`), or the targets of the links have moved.",
            fix: "Pack the files themselves (`zip` without `-y`), or repair the links.";
        NotAFile = "not-a-file", Error, "a pipe, a socket or a device",
            cause: "A program left its socket or pipe in the folder.",
            fix: "Remove it.";
        EncryptedEntry = "encrypted-entry", Error, "an entry is encrypted",
            cause: "The archive was made with a password.",
            fix: "Pack again without a password: scorers cannot ask for one.";
        UnsupportedMethod = "unsupported-method", Error, "an entry is compressed by a method other than `store` and `deflate`",
            cause: "The archive was made with BZip2, LZMA, Zstandard or the like.",
            fix: "Use `deflate` or `store`, which every zip reader supports. They hardly compress LZW images further.";
        DuplicateEntry = "duplicate-entry", Error, "an archive has several entries with the same path",
            cause: "A script appended to an existing archive.",
            fix: "Delete the old archive before packing. Readers disagree about which of the entries counts.";
        OverlappingEntries = "overlapping-entries", Error, "entries of an archive share their bytes",
            cause: "The archive is damaged, or built to unpack to far more data than its own size.",
            fix: "Pack the predictions again.";
        DamagedEntry = "damaged-entry", Error, "an entry's data contradict the archive's directory",
            cause: "The archive was changed or cut after it was made, or its header and directory state different names or sizes.",
            fix: "Pack again, and upload again.";
        OverTime = "over-time", Error, "the archive's name declares a time above the limit",
            cause: "Prediction took more than 2.5 times as long as the challenge's baseline on the same machine (`--factor` for other challenges).",
            fix: "Make the prediction faster, or measure both again on one machine. A challenge's scoring program still scores such a submission, and marks it `over_time`.";
        MalformedTimes = "malformed-times", Error, "the archive's name tries to declare two times, and they cannot be read",
            cause: "The name ends with two times in another form: 60 seconds or more, a leading zero, a colon, a sign, a space, the mark of a copy (`(1)`); a time of 0, or of more than a day.",
            fix: "Rename the archive as `NAME_{baseline M-S}_{submission M-S}.zip`, such as `unet_5-57_14-40.zip`, or let `flair-bench package --timing … --baseline-time …` name it.";
        // Which files there are.
        NoPredictions = "no-predictions", Error, "no file has a prediction's name",
            cause: "The wrong folder or archive was given, the predictions are in a nested archive, or all of them have wrong names.",
            fix: "Give the folder that holds `PRED_077413.tif` and so on, at any depth.";
        WrongName = "wrong-name", Error, "an image does not have a prediction's name",
            cause: "The file has the name of the aerial image or of the mask, a name as in FLAIR #1, or a number without leading zeros.",
            fix: "Name every prediction `PRED_`, six digits, `.tif`, such as `PRED_077413.tif`; upper and lower case matter.";
        DuplicatePrediction = "duplicate-prediction", Error, "a patch has several predictions",
            cause: "Two runs were written into one folder, or an archive contains a second copy of its folder.",
            fix: "Keep one file per patch.";
        MissingPrediction = "missing-prediction", Error, "an expected patch has no prediction",
            cause: "The prediction stopped early, a data loader dropped its last batch, or files were renamed.",
            fix: "Predict the listed patches. All 16,050 patches of the test set count.";
        ExtraPrediction = "extra-prediction", Error, "a prediction belongs to a patch that is not expected",
            cause: "Patches of another part of the dataset were predicted, or the folder still holds files of an earlier run.",
            fix: "Remove them, or change the list of expected patches (`--official`, `--ids`, `--data`).";
        ProgramMetadata = "program-metadata", Error, "a file named `metadata` makes a platform take the submission for a program",
            cause: "The output of a platform's run was packed, or a file of one's own has this name. Codabench runs a submission with `metadata` or `metadata.yaml` at the top as a program, and does not score its files; CodaLab also looks into the folders at the top.",
            fix: "Leave the file out; `flair-bench package` packs only predictions.";
        // What is in them.
        UnreadableFile = "unreadable-file", Error, "a file cannot be read",
            cause: "Its permissions do not allow it, it was removed during the check, or the disk fails.",
            fix: "See the system's error in the message.";
        EmptyFile = "empty-file", Error, "a prediction's file has no bytes",
            cause: "The disk was full, or the program was stopped while it wrote the file.",
            fix: "Predict these patches again.";
        FileTooLarge = "file-too-large", Error, "a file is far larger than a prediction can be",
            cause: "It holds floating-point scores of all classes, or is not a prediction.",
            fix: "Write one band of uint8: 256 KiB without compression, some 6 KiB with LZW.";
        OtherFormat = "other-format", Error, "a file named `.tif` has another format",
            cause: "The file was renamed to `.tif`, not converted; or a failed download saved an error page.",
            fix: "Write it as a TIFF: with Pillow `Image.fromarray(classes).save(path, compression=\"tiff_lzw\")`.";
        UnreadableImage = "unreadable-image", Error, "a file is not a readable TIFF",
            cause: "It is damaged or truncated, or has a compression or layout that few readers support.",
            fix: "Write the prediction again as an 8-bit TIFF with LZW compression.";
        WrongSize = "wrong-size", Error, "width and height are not those of the patch, 512",
            cause: "The network's output was not resized to the size of its input, or padding was not removed.",
            fix: "Predict 512 × 512 pixels; if you resize classes, use nearest-neighbour interpolation.";
        WrongBands = "wrong-bands", Error, "the number of bands is not 1",
            cause: "A colour image was written, or the scores of each class.",
            fix: "Write one band that holds the class of each pixel.";
        WrongSampleType = "wrong-sample-type", Error, "samples are not unsigned 8-bit integers",
            cause: "The output was written without conversion: `argmax` gives 64-bit integers, a network floating-point numbers.",
            fix: "Write `argmax` over the classes as `uint8` (`.astype(numpy.uint8)`).";
        InvertedGrey = "inverted-grey", Error, "0 means white, which some readers invert",
            cause: "The file was written with the photometric interpretation MinIsWhite (`miniswhite`).",
            fix: "Write MinIsBlack, the default of every library. Pillow, which upstream's scorer uses, inverts MinIsWhite.";
        ValueOutOfRange = "value-out-of-range", Error, "pixels are above the last class, 12 in the challenge",
            cause: "Classes are counted from 1, the masks' 19 labels were written, or -1 became 255. Another finding often names the cause.",
            fix: "Write the classes 0 to 12. Upstream's scorer silently drops other values, which raises the score; this scorer rejects them.";
        // The masks, where predictions are scored.
        WrongMaskName = "wrong-mask-name", Error, "a mask is not named `MSK_`, six digits and `.tif`",
            cause: "The mask was renamed, or does not belong to the dataset.",
            fix: "Name it `MSK_`, six digits, `.tif`, or remove it from the folder.";
        DuplicateMask = "duplicate-mask", Error, "a patch has two masks",
            cause: "The labels were unpacked twice, or the folder holds several copies of the dataset.",
            fix: "Give the folder of one copy.";
        UnreadableMask = "unreadable-mask", Error, "a mask cannot be read",
            cause: "The labels were not unpacked completely, or the file is not an 8-bit TIFF.",
            fix: "Unpack the labels again; `flair-bench data audit` checks all of them.";
        WrongMaskForm = "wrong-mask-form", Error, "a mask is not one band of unsigned 8-bit integers in which 0 means black",
            cause: "The masks were converted, or written again in another format.",
            fix: "Take IGN's masks as they are.";
        LabelOutOfRange = "label-out-of-range", Error, "a mask has values other than the labels 1 to 19",
            cause: "The masks were changed (subtracting 1 from label 1 leaves 0), or belong to another dataset.",
            fix: "Take IGN's masks as they are: labels from 1 to 19.";
        // Likely mistakes.
        OneBased = "one-based", Warning, "values look like classes counted from 1",
            cause: "Classes were trained or written with the masks' numbering, 1 to 13. Reported if 13 occurs and 0 (nearly) never does; also if many patches (20 with 10 different values, or all expected ones with 6) have no pixel of 0, since a network may never predict the last class, \"other\". Where the masks are known, reported if the mIoU of the shifted predictions is at least twice as high, and most classes gain.",
            fix: "Subtract 1 from every pixel: classes are counted from 0, and 12 is \"other\". If the patches really have no building, ignore this.";
        RawLabels = "raw-labels", Warning, "values look like the 19 labels of the masks",
            cause: "The network has an output for each of the 19 labels, or the files are copies of the masks.",
            fix: "Subtract 1, then replace values above 12 by 12: labels 13 to 19 are \"other\".";
        OneSubtracted = "one-subtracted", Warning, "values look like classes less 1",
            cause: "1 was subtracted twice: from the labels before the training, and from the predictions after it. Class 0 became 255 or stayed 0.",
            fix: "Add 1 to every pixel; 255 becomes 0.";
        Wraparound = "wraparound-255", Warning, "255 looks like the value -1 cast to uint8",
            cause: "`argmax - 1` was written where the network predicted a background class 0; or 255 marks pixels without a prediction.",
            fix: "Give these pixels a class: exclude the background from `argmax`, and predict every pixel.";
        ScaledForViewing = "scaled-for-viewing", Warning, "values are classes multiplied by a factor, or stretched to 0..255",
            cause: "The picture that was made to be looked at was sent.",
            fix: "Write the class values, 0 to 12. Such an image looks black, which is correct.";
        ClassColours = "class-colours", Warning, "an image has the colours of the classes",
            cause: "The picture that was made to be looked at was sent.",
            fix: "Write one band of classes, 0 to 12, instead of their colours.";
        ClassScores = "class-scores", Warning, "an image has scores or probabilities of classes",
            cause: "The network's output was written before `argmax`.",
            fix: "For each pixel, write the class with the highest score (`argmax` over the bands) as uint8.";
        ConstantSubmission = "constant-submission", Warning, "all pixels of all predictions have the same value",
            cause: "The network has not learned, its weights were not loaded, or `argmax` ran over the wrong axis.",
            fix: "View some predictions in class colours beside their images.";
        ConstantPrediction = "constant-prediction", Warning, "all pixels of a prediction have the same value",
            cause: "Some patches are entirely forest or field. If many are reported, the network fails on them, or a cast turned everything into 0.",
            fix: "View the listed patches.";
        OtherPart = "other-part", Warning, "predictions belong to the training set, or to FLAIR #1's test set",
            cause: "The wrong folder of images was predicted: FLAIR #2's test set has the numbers 077413 to 093462.",
            fix: "Predict the images of `flair_2_aerial_test`.";
        StaleFiles = "stale-files", Warning, "some predictions were written long before or after the others",
            cause: "The folder was not emptied before a new run; or the run was stopped and resumed, which is harmless.",
            fix: "If the files belong to another run, empty the folder and predict again.";
        UnfinishedFile = "unfinished-file", Warning, "a partially written file of a stopped program or download",
            cause: "A program was stopped while it wrote.",
            fix: "Remove it, and check that the complete file exists.";
        NestedArchive = "nested-archive", Warning, "an archive within the submission",
            cause: "The archive was packed once more, as some browsers and file managers do before an upload.",
            fix: "Submit the inner archive itself: scorers do not open nested archives.";
        NotLzw = "not-lzw", Warning, "a TIFF is not compressed by LZW",
            cause: "The file was written with another compression, or none.",
            fix: "Write `compression=\"tiff_lzw\"` (Pillow) or `compress=\"lzw\"` (rasterio), as the challenge asks. \
                  `flair-bench package` compresses it again, pixel for pixel.";
        PaletteImage = "palette-image", Warning, "a TIFF has a colour table",
            cause: "The image was written with a palette (Pillow's mode P).",
            fix: "Write a greyscale image: some readers, such as OpenCV, return the colours instead of the classes.";
        SeveralImages = "several-images", Warning, "a TIFF has more than one image",
            cause: "Overviews or a mask were added, or patches were appended to one file.",
            fix: "Write one image per file: only the first is read.";
        AmbiguousArchive = "ambiguous-archive", Warning, "readers may disagree about the content of the archive",
            cause: "Two archives were concatenated, or there are bytes before or after the archive.",
            fix: "Pack the predictions again. Python's `zipfile`, with which platforms unpack submissions, may reject such a file.";
        UnexpectedFile = "unexpected-file", Warning, "a file that scorers ignore",
            cause: "The whole folder was packed, including logs and records.",
            fix: "Leave it out; `flair-bench package` packs only predictions.";
        JunkFile = "junk-file", Warning, "a file that an operating system created",
            cause: "The archive was made by a file manager (`__MACOSX`, `.DS_Store`, `Thumbs.db`).",
            fix: "Remove it (`zip -d my.zip '__MACOSX/*'`), or pack with `flair-bench package`.";
        // Information.
        LastBatchMissing = "last-batch-missing", Note, "only the last patches are missing, as after a dropped last batch",
            cause: "The data loader has `drop_last=True`, as upstream's has (`src/datamodule.py:77`): with batches of 4, two patches are lost.",
            fix: "Set `drop_last=False` for prediction, or predict with batches of 1.";
        IdsNotChecked = "ids-not-checked", Note, "no list of expected patches is given, so missing ones are not detected",
            cause: "None of `--official`, `--ids` and `--data` was given.",
            fix: "Give `--official` for the challenge's 16,050 test patches, or your own list with `--ids` or `--data`.";
        ArchiveNameForm = "archive-name", Note, "the archive's name does not declare the two times",
            cause: "The form is `{approach}_{baseline M-S}_{submission M-S}.zip`, minutes and seconds without leading zeros: `unet_5-57_14-40.zip`. The challenge's server did not require it.",
            fix: "Rename the archive, or let `flair-bench package --timing … --baseline-time …` name it.";
        Georeferenced = "georeferenced", Note, "a TIFF has a geographic position",
            cause: "The profile of the aerial image was kept when the prediction was written.",
            fix: "Nothing to do: the challenge does not ask for georeferencing, and scorers ignore it.";
        NodataValue = "nodata-value", Note, "a TIFF declares a no-data value",
            cause: "The profile of another raster was kept (`nodata` in rasterio).",
            fix: "Write the file without it: a reader that masks this value would lose the pixels of that class.";
    }
}

impl Code {
    /// Findings about a representation of the classes that the rules allow or cannot forbid, and that hardly anybody
    /// means.
    pub const OF_REPRESENTATION: [Self; 6] = [
        Self::OneBased,
        Self::RawLabels,
        Self::OneSubtracted,
        Self::ScaledForViewing,
        Self::ClassColours,
        Self::ClassScores,
    ];

    /// Whether a finding is one of [`Code::OF_REPRESENTATION`].
    pub(crate) fn is_doubt(finding: &Finding) -> bool {
        Self::OF_REPRESENTATION.iter().any(|code| code.code() == finding.code)
    }

    /// Findings about masks. Whoever runs the scoring must fix them; a participant cannot.
    pub const OF_MASKS: [Self; 5] =
        [Self::WrongMaskName, Self::DuplicateMask, Self::UnreadableMask, Self::WrongMaskForm, Self::LabelOutOfRange];
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
    use std::{cmp::Reverse, collections::BTreeSet};

    use super::*;

    #[test]
    fn codes_are_distinct_words_in_kebab_case() {
        let codes: BTreeSet<_> = Code::KINDS.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        let is_word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        assert!(codes.iter().all(|code| code.split('-').all(is_word)), "{codes:?}");
    }

    #[test]
    fn a_report_begins_with_the_highest_severity() {
        assert!(Code::KINDS.is_sorted_by_key(|kind| Reverse(kind.severity)));
    }

    #[test]
    fn causes_and_fixes_are_sentences_and_meanings_are_clauses() {
        for kind in Code::KINDS {
            assert!(kind.cause.ends_with('.') && kind.fix.ends_with('.'), "{}", kind.code);
            assert!(!kind.meaning.ends_with('.') && !kind.meaning.contains('|'), "{}", kind.code);
        }
    }
}
