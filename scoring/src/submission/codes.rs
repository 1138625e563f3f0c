//! Every kind of finding about submissions, predictions and masks: what a check, a package or a score can tell.

use crate::{finding_codes, source::Defect};

finding_codes! {
    /// A kind of finding about a submission, its predictions or the masks. The order is that of a report.
    pub enum Code {
        // The archive.
        UnreadableArchive = "unreadable-archive", Error, "the file is no zip archive, or a broken one",
            cause: "An upload or a download was cut short, or the file is of another kind (`.tar.gz`, `.7z`, `.rar`) under the name of a zip.",
            fix: "Pack the predictions again, with `flair-bench package` or any tool that writes zip archives.";
        TooManyEntries = "too-many-entries", Error, "more entries than are looked at",
            cause: "The folder is not that of the predictions alone, or the archive was made to wear its reader out.",
            fix: "Name the folder of the predictions, or pack them alone.";
        PathTraversal = "path-traversal", Error, "an entry's path has `..`, `.` or empty parts",
            cause: "The archive was made by hand or by a faulty script; or it means to write outside the folder that it is unpacked in.",
            fix: "Pack the predictions again; `flair-bench package` writes bare file names.";
        AbsolutePath = "absolute-path", Error, "an entry's path starts at a root or a drive",
            cause: "A script gave whole paths to the library that wrote the archive.",
            fix: "Give the file's name as the entry's name (`arcname` in Python), or use `flair-bench package`.";
        BackslashPath = "backslash-path", Error, "an entry's path has a backslash",
            cause: "The archive was made on Windows by a tool that keeps its separators, which others take as part of the name.",
            fix: "Pack again with another tool, or with `flair-bench package`.";
        ControlCharacter = "control-character", Error, "an entry's path has a control character",
            cause: "Damage, or a name that is meant to deceive whoever sees it in a terminal.",
            fix: "Pack the predictions again.";
        NameNotUtf8 = "name-not-utf8", Error, "a path is not UTF-8",
            cause: "A tool wrote names in an old encoding of its system.",
            fix: "Use plain letters, digits and `_` for folders; the predictions' own names have no others.";
        SymbolicLink = "symbolic-link", Error, "an entry of an archive is a symbolic link, or a link in a folder leads nowhere",
            cause: "The archive was made of a folder of links (`zip -y`), or what the links lead to has moved.",
            fix: "Pack the files themselves (`zip` without `-y`), or mend the links.";
        NotAFile = "not-a-file", Error, "a pipe, a socket or a device",
            cause: "Something that runs has left its socket in the folder.",
            fix: "Remove it.";
        EncryptedEntry = "encrypted-entry", Error, "an entry is encrypted",
            cause: "The archive was made with a password.",
            fix: "Pack again without one: no scorer can ask for it.";
        UnsupportedMethod = "unsupported-method", Error, "an entry is neither stored nor deflated",
            cause: "The archive was made with BZip2, LZMA, Zstandard or the like.",
            fix: "Choose `deflate` or `store`: every reader of zip archives knows them. LZW images hardly shrink further.";
        DuplicateEntry = "duplicate-entry", Error, "an archive has several entries of one path",
            cause: "A script appended to an archive that was already there.",
            fix: "Delete the old archive before packing. Which of the entries counts depends on the reader.";
        OverlappingEntries = "overlapping-entries", Error, "entries of an archive share their bytes",
            cause: "The archive is damaged, or built to unpack to far more than it holds.",
            fix: "Pack the predictions again.";
        DamagedEntry = "damaged-entry", Error, "an entry's data contradict the archive's directory",
            cause: "The archive was changed or cut after it was made, or its parts tell different names or sizes.",
            fix: "Pack again, and upload again.";
        OverTime = "over-time", Error, "the archive's name declares a time beyond the rule",
            cause: "Prediction took more than 2.5 times what the challenge's baseline took on the same machine (`--factor` for other challenges).",
            fix: "Make the prediction faster, or measure both again on one machine. A challenge's scoring program scores such a submission all the same, and marks it `over_time`.";
        // Which files there are.
        NoPredictions = "no-predictions", Error, "no file has a prediction's name",
            cause: "The wrong folder or archive was named, the predictions lie in an archive within it, or all have wrong names.",
            fix: "Name the folder that holds `PRED_077413.tif` and so on, at any depth.";
        WrongName = "wrong-name", Error, "an image whose name is not that of a prediction",
            cause: "The name of the aerial image or of the mask was kept, FLAIR #1's form was used, or the number lost its zeros.",
            fix: "Name every prediction `PRED_`, six digits, `.tif`: `PRED_077413.tif`, in these very letters.";
        DuplicatePrediction = "duplicate-prediction", Error, "several files are of one patch",
            cause: "Two runs were written below one folder, or a folder was packed into itself.",
            fix: "Keep one file a patch.";
        MissingPrediction = "missing-prediction", Error, "an expected patch has no prediction",
            cause: "The prediction stopped early, a data loader dropped its last batch, or files were renamed.",
            fix: "Predict the patches that are listed. All of the test's 16,050 patches count.";
        ExtraPrediction = "extra-prediction", Error, "a prediction is of a patch that is not expected",
            cause: "Patches of another part of the dataset were predicted, or files of an earlier run are left in the folder.",
            fix: "Remove them; or expect other patches (`--official`, `--ids`, `--data`).";
        // What is in them.
        UnreadableFile = "unreadable-file", Error, "a file cannot be read",
            cause: "Its permissions forbid it, it was removed meanwhile, or the disk fails.",
            fix: "See what the system says of it.";
        EmptyFile = "empty-file", Error, "a prediction's file has no bytes",
            cause: "The disk was full, or the program that wrote it was stopped.",
            fix: "Predict these patches again.";
        FileTooLarge = "file-too-large", Error, "a file is far larger than a prediction can be",
            cause: "It holds the scores of all classes as floating-point numbers, or something else altogether.",
            fix: "Write one band of uint8: 256 KiB without compression, some 6 KiB with LZW.";
        OtherFormat = "other-format", Error, "a file that is named as a TIFF has another format",
            cause: "The file was renamed to `.tif`, not converted; or a download left an error page in its place.",
            fix: "Write it as a TIFF: with Pillow `Image.fromarray(classes).save(path, compression=\"tiff_lzw\")`.";
        UnreadableImage = "unreadable-image", Error, "a file is not a TIFF that can be read",
            cause: "It is damaged or cut short, or is compressed or laid out in a way that few readers know.",
            fix: "Write the prediction again, as plain 8-bit TIFF with LZW.";
        WrongSize = "wrong-size", Error, "width and height are not those of the patch, 512",
            cause: "The network's output was not brought back to the size of its input, or padding was not cut off.",
            fix: "Predict 512 × 512 pixels; take the nearest class where you resize, never a mean.";
        WrongBands = "wrong-bands", Error, "there is not one band",
            cause: "The picture in colours was written, or the scores of each class.",
            fix: "Write one band that holds the class of each pixel.";
        WrongSampleType = "wrong-sample-type", Error, "samples are not unsigned 8-bit integers",
            cause: "`argmax` gives 64-bit integers, a network floating-point numbers, and they were written as they are.",
            fix: "Write `argmax` over the classes as `uint8` (`.astype(numpy.uint8)`).";
        InvertedGrey = "inverted-grey", Error, "white is zero, which some readers invert",
            cause: "The writer was asked for the photometric interpretation MinIsWhite (`miniswhite`).",
            fix: "Write MinIsBlack, as every library does by itself: Pillow, which upstream's scorer uses, inverts the other.";
        ValueOutOfRange = "value-out-of-range", Error, "pixels are above the last class, 12 in the challenge",
            cause: "Classes are counted from 1, the masks' 19 labels were written, or -1 became 255. Another finding often tells which.",
            fix: "Write the classes 0 to 12. Upstream's scorer drops other values in silence, which raises the score; here they are refused.";
        // The masks, where predictions are scored.
        WrongMaskName = "wrong-mask-name", Error, "a mask is not named `MSK_`, six digits and `.tif`",
            cause: "The mask was renamed, or is not of the dataset.",
            fix: "Name it `MSK_`, six digits, `.tif`, or take it out of the folder.";
        DuplicateMask = "duplicate-mask", Error, "two masks are of one patch",
            cause: "The labels were unpacked twice, or the folder holds several copies of the dataset.",
            fix: "Name the folder of one copy.";
        UnreadableMask = "unreadable-mask", Error, "a mask cannot be read",
            cause: "The labels were not unpacked whole, or the file is no 8-bit TIFF.",
            fix: "Unpack the labels again; `flair-bench data audit` looks at all of them.";
        WrongMaskForm = "wrong-mask-form", Error, "a mask is not one band of unsigned 8-bit integers, black first",
            cause: "The masks were converted, or written again by a program with other ideas of them.",
            fix: "Take IGN's masks as they are.";
        LabelOutOfRange = "label-out-of-range", Error, "a mask has values other than the labels 1 to 19",
            cause: "The masks were changed (0 is what is left where 1 was subtracted), or are of another dataset.",
            fix: "Take IGN's masks as they are: labels from 1 to 19.";
        // Likely mistakes.
        OneBased = "one-based", Warning, "values look like classes counted from 1",
            cause: "Labels were trained or written as the masks count them, 1 to 13. Told where 13 occurs and 0 does (nearly) not; and where many patches (20 with 10 different values, or all that are expected with 6) have no pixel of 0, since \"other\", the last class, may be one that a network never chooses.",
            fix: "Subtract 1 from every pixel: classes are counted from 0, and 12 is \"other\". Where there truly is no building, nothing need be done.";
        RawLabels = "raw-labels", Warning, "values look like the 19 labels of the masks",
            cause: "A network with an output for each of the 19 labels, or a copy of the masks.",
            fix: "Subtract 1, then write 12 for all above 12: labels 13 to 19 are \"other\".";
        Wraparound = "wraparound-255", Warning, "255 looks like a class -1 that was cast to uint8",
            cause: "`argmax - 1` where the network chose a background class 0; or 255 marks pixels without a prediction.",
            fix: "Give these pixels a class: leave the background out of `argmax`, and predict every pixel.";
        ScaledForViewing = "scaled-for-viewing", Warning, "values are classes times a number, or stretched to 0..255",
            cause: "The picture that was made to be looked at was sent.",
            fix: "Write the classes as they are, 0 to 12. They look black; that is right.";
        ClassColours = "class-colours", Warning, "an image has the colours of the classes",
            cause: "The picture that was made to be looked at was sent.",
            fix: "Write one band of classes, 0 to 12, instead of their colours.";
        ClassScores = "class-scores", Warning, "an image has scores or probabilities of classes",
            cause: "The network's output was written before `argmax`.",
            fix: "Take the class with the highest score of each pixel (`argmax` over the bands) and write it as uint8.";
        ConstantSubmission = "constant-submission", Warning, "all predictions are of one and the same value",
            cause: "The network has not learned, its weights were not loaded, or `argmax` ran over the wrong axis.",
            fix: "Look at some predictions in colours beside their images.";
        ConstantPrediction = "constant-prediction", Warning, "all pixels of a prediction are the same",
            cause: "Some patches are all forest or all field; where many are told, the network fails on them, or a cast cut everything to 0.",
            fix: "Look at the patches that are listed.";
        OtherPart = "other-part", Warning, "predictions are of the training set, or of FLAIR #1's test set",
            cause: "The wrong folder of images was predicted: FLAIR #2's test set has the numbers 077413 to 093462.",
            fix: "Predict the images of `flair_2_aerial_test`.";
        StaleFiles = "stale-files", Warning, "some predictions were written long before or after the others",
            cause: "The folder was not emptied before a new run; or the run was stopped and resumed, which does no harm.",
            fix: "Empty the folder and predict anew, if it was another run.";
        UnfinishedFile = "unfinished-file", Warning, "a file that a writer or a download left half written",
            cause: "A program was stopped while it wrote.",
            fix: "Remove it, and see that the file it was to become is there.";
        NestedArchive = "nested-archive", Warning, "an archive within the submission",
            cause: "The archive was packed once more, as some browsers and file managers do on upload.",
            fix: "Send the inner archive itself: no scorer looks into it.";
        NotLzw = "not-lzw", Warning, "a TIFF is not compressed by LZW",
            cause: "Another compression, or none, was asked for.",
            fix: "Write `compression=\"tiff_lzw\"` (Pillow) or `compress=\"lzw\"` (rasterio), as the challenge asks.";
        PaletteImage = "palette-image", Warning, "a TIFF has a table of colours",
            cause: "The image was written with a palette (Pillow's mode P).",
            fix: "Write plain grey: some readers, such as OpenCV, give the colours in place of the classes.";
        SeveralImages = "several-images", Warning, "a TIFF has more than one image",
            cause: "Overviews or a mask were added, or patches were appended to one file.",
            fix: "Write one image a file: only the first is looked at.";
        AmbiguousArchive = "ambiguous-archive", Warning, "an archive that readers take differently",
            cause: "Two archives were joined, or bytes were put before the archive or behind it.",
            fix: "Pack the predictions again. Python's `zipfile`, which unpacks on platforms, may refuse such a file.";
        UnexpectedFile = "unexpected-file", Warning, "a file that no scorer looks at",
            cause: "The whole folder was packed, logs and records with it.",
            fix: "Leave it out; `flair-bench package` packs predictions alone.";
        JunkFile = "junk-file", Warning, "a file that an operating system left behind",
            cause: "The archive was made by a file manager (`__MACOSX`, `.DS_Store`, `Thumbs.db`).",
            fix: "Remove it (`zip -d my.zip '__MACOSX/*'`), or pack with `flair-bench package`.";
        // Good to know.
        LastBatchMissing = "last-batch-missing", Note, "only the last patches are missing, as when a last batch is dropped",
            cause: "The data loader has `drop_last=True`, as upstream's has (`src/datamodule.py:77`): with batches of 4, two patches are lost.",
            fix: "Set `drop_last=False` for prediction, or predict with batches of 1.";
        IdsNotChecked = "ids-not-checked", Note, "no list of patches is given, so none can be missing",
            cause: "None of `--official`, `--ids` and `--data` was given.",
            fix: "Give `--official` for the challenge's 16,050 test patches, or name your own.";
        ArchiveNameForm = "archive-name", Note, "the archive's name does not declare the two times",
            cause: "The form is `{approach}_{baseline M-S}_{submission M-S}.zip`, minutes and seconds without zeros in front: `unet_5-57_14-40.zip`. The challenge's server did not insist.",
            fix: "Rename the archive, or let `flair-bench package --timing … --baseline-time …` name it.";
        Georeferenced = "georeferenced", Note, "a TIFF tells where on Earth it lies",
            cause: "The profile of the aerial image was kept when the prediction was written.",
            fix: "Nothing need be done: the challenge asks for none of it, and no scorer minds.";
        NodataValue = "nodata-value", Note, "a TIFF declares a value that stands for no data",
            cause: "The profile of another raster was kept (`nodata` in rasterio).",
            fix: "Write without it: a reader that masks this value would lose the pixels of that class.";
    }
}

impl Code {
    /// What is wrong with the masks, whose owner is who scores: no prediction can mend it.
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
    fn a_report_begins_with_what_weighs_most() {
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
