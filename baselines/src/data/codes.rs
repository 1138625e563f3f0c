//! All kinds of findings about datasets, from audits and from commands that use a dataset.

use flair_scoring::finding_codes;

finding_codes! {
    /// A kind of finding about a dataset. The order is that of a report.
    pub enum DataCode {
        UnplacedFile = "unplaced-file", Error, "a file of the dataset is not in a folder of a domain and a zone",
            cause: "Files were moved out of their folders: the names of images and masks do not contain domain and zone.",
            fix: "Keep the folders of the archives: `D004_2021/Z10_AU/img/IMG_000826.tif`.";
        DuplicatePatch = "duplicate-patch", Error, "two images, or two masks, have the same number",
            cause: "An archive was unpacked twice, or two copies of the dataset are below one folder.",
            fix: "Keep one of them: numbers are unique over the whole dataset.";
        SuperAreaFiles = "super-area-files", Error, "a zone does not have one file each of data, masks and products",
            cause: "A download or its extraction failed, or files of two zones are in one folder.",
            fix: "Unpack the Sentinel-2 archive again.";
        TestInTrain = "test-in-train", Error, "patches are in both the training and the test part",
            cause: "Test files were copied or unpacked into the training folders, or vice versa.",
            fix: "Unpack each archive into its own folder: training on these patches leaks the test data.";
        MisplacedMask = "misplaced-mask", Error, "a mask is in another zone than its image",
            cause: "Folders were renamed or moved.",
            fix: "Move the mask to the zone of its image; the archive of the masks has the same folders.";
        UnusableSuperArea = "unusable-super-area", Error, "the files of a super-area cannot be used",
            cause: "A file is truncated, or the three disagree: the numbers of products and acquisitions, and the sizes of masks and data, must be equal.",
            fix: "Unpack the Sentinel-2 archive again.";
        UnusableCentroids = "unusable-centroids", Error, "the file of patch centroids in the super-areas cannot be used",
            cause: "The file is truncated, or belongs to another dataset.",
            fix: "Restore `flair-2_centroids_sp_to_patch.json` from its archive: `{\"IMG_061946.tif\": [row, column], …}`.";
        OutsideSuperArea = "outside-super-area", Error, "a crop around a patch extends beyond its super-area",
            cause: "The crop is too large, or the centroids belong to another release of the dataset.",
            fix: "Choose a smaller crop (`--crop-size`, `sat_patch_size`), or use the centroids of FLAIR #2.";
        UnusableMetadata = "unusable-metadata", Error, "the aerial images' metadata cannot be used",
            cause: "The file is truncated, or an entry has a date, time or year that cannot be encoded.",
            fix: "Restore `flair_aerial_metadata.json` from its archive.";
        UnusableRaster = "unusable-raster", Error, "an image or a mask cannot be read",
            cause: "A download or its extraction failed, or the disk is faulty.",
            fix: "Unpack the archive again.";
        WrongShape = "wrong-shape", Error, "an image is not 512 × 512 pixels of 5 bands, or a mask not of 1",
            cause: "The files were re-encoded or cropped, or belong to another dataset (FLAIR-HUB splits the bands).",
            fix: "Use IGN's files: red, green, blue, near infrared, elevation.";
        UnusablePatch = "unusable-patch", Error, "a patch lacks an input that the model needs",
            cause: "The dataset is incomplete; the message names the file.",
            fix: "Complete the dataset, or choose a model or settings that do not need this input.";
        UnknownFiles = "unknown-files", Warning, "a folder has rasters with names that the dataset does not use",
            cause: "Files were renamed, or unrelated files are in the folder.",
            fix: "Restore the names `IMG_000826.tif` and `MSK_000826.tif`, or move the files away.";
        MissingImage = "missing-image", Warning, "patches have no aerial image",
            cause: "Only masks were downloaded (enough for scoring), or an archive was not unpacked completely.",
            fix: "Unpack the archive of the aerial images.";
        MissingMask = "missing-mask", Warning, "patches have no mask",
            cause: "An archive was not unpacked completely; the masks of the test were published after the challenge.",
            fix: "Unpack the archive of the labels for scoring or training.";
        MissingSuperArea = "missing-super-area", Warning, "patches have no Sentinel-2 super-area",
            cause: "The Sentinel-2 archive was not downloaded (the U-Net does not need it), or not unpacked completely.",
            fix: "Unpack `flair_sen_train` and `flair_2_sen_test` for U-T&T.";
        MissingCentroids = "missing-centroids", Warning, "there is no file of patch centroids in the super-areas",
            cause: "It is in a separate archive.",
            fix: "Put `flair-2_centroids_sp_to_patch.json` into the dataset's folder.";
        MissingCentroid = "missing-centroid", Warning, "patches have no centroid in their super-area",
            cause: "The file belongs to FLAIR #1, or covers only a part of the dataset.",
            fix: "Use the file of FLAIR #2.";
        MissingMetadataFile = "missing-metadata-file", Warning, "there is no file of the aerial images' metadata",
            cause: "It is in a separate archive; only `aerial_metadata` needs it.",
            fix: "Put `flair_aerial_metadata.json` into the dataset's folder.";
        MissingMetadata = "missing-metadata", Warning, "patches have no metadata",
            cause: "The file covers only a part of the dataset.",
            fix: "Use the complete file.";
        MetadataElsewhere = "metadata-elsewhere", Warning, "metadata name another domain or zone than the folder of the image",
            cause: "Folders were renamed, or the metadata belong to another release.",
            fix: "Restore the folder names of the archives.";
        UnknownDomain = "unknown-domain", Warning, "the published part of the dataset has no such domain",
            cause: "The folder has a domain of FLAIR #1's test, of FLAIR-HUB, or of the other part.",
            fix: "Move it away: it would be used for training, or expected in a submission.";
        NumberOfOtherPart = "number-of-other-part", Warning, "patches have numbers of another part of the dataset",
            cause: "Training and test images were mixed: 000001 to 061712 train, 077413 to 093462 are the test; those between are FLAIR #1's test.",
            fix: "Unpack each archive into its own folder.";
        BlankImage = "blank-image", Warning, "an aerial image has the same value everywhere",
            cause: "A program that wrote the file failed, or the file holds no data.",
            fix: "Unpack the archive again.";
        BlankBand = "blank-band", Warning, "a band is 0 in all aerial images",
            cause: "The images were exported without this band: often the fifth band, the elevation, is filled with 0.",
            fix: "Use IGN's images: their fifth band is the elevation.";
        SingleLabel = "single-label", Warning, "all masks have the same single label",
            cause: "A program that wrote the masks failed, or the masks are a selection from the dataset.",
            fix: "Unpack the archive of the labels again.";
        ReflectanceOutOfRange = "reflectance-out-of-range", Warning, "Sentinel-2 values are out of the dataset's range of reflectance × 10,000",
            cause: "The array was scaled, cast or converted; the dataset's largest known value is 19,779.",
            fix: "Use the published arrays: uint16, not scaled.";
        ProbabilityOutOfRange = "probability-out-of-range", Warning, "masks of snow and clouds have values outside 0 to 100",
            cause: "The array was scaled, or does not hold the masks.",
            fix: "Use the published arrays: per cent.";
        NoClearAcquisition = "no-clear-acquisition", Warning, "clouds or snow cover every acquisition of a patch",
            cause: "Weather; upstream's code fails on such patches.",
            fix: "No action needed: the clearest acquisition is used.";
        EmptySeries = "empty-series", Warning, "every acquisition around a patch is 0",
            cause: "The satellite's swath did not cover the patch, or a program that wrote the array failed.",
            fix: "No action needed if the audit calls only some acquisitions empty; otherwise unpack the Sentinel-2 archive again.";
        UnusedSuperArea = "unused-super-area", Note, "a zone has a super-area and no patches",
            cause: "Images and masks of the zone are missing, or its folder has another name.",
            fix: "Unpack the zone's images if you need them.";
        PartOfTheDataset = "part-of-the-dataset", Note, "fewer or more patches than published",
            cause: "This is a sample or the toy dataset, or the download is incomplete.",
            fix: "No action needed for tests; for the challenge, complete the download.";
        MissingDomains = "missing-domains", Note, "published domains are missing",
            cause: "This is a sample or the toy dataset, or the download is incomplete.",
            fix: "No action needed for tests; for the challenge, complete the download.";
        IncompleteDomain = "incomplete-domain", Note, "the number of images of a domain differs from the published one",
            cause: "This is a sample, or an archive was not unpacked completely.",
            fix: "Unpack the domain again if you need all of it.";
        UnusualDtype = "unusual-dtype", Note, "the dtype of a Sentinel-2 array is not uint16",
            cause: "The array was converted.",
            fix: "No action needed if the values are integers; scaling depends on the dtype (`img_as_float`).";
        UnsortedProducts = "unsorted-products", Note, "products are not sorted by date",
            cause: "The list was written in this order.",
            fix: "No action needed: monthly averages use the dates, not the order.";
        OtherYear = "other-year", Note, "products are from another year than the domain",
            cause: "A series should be from the year of the aerial images, which is the suffix of the domain's name.",
            fix: "No action needed if this is intended: only month and day are used.";
        EmptyAcquisition = "empty-acquisition", Note, "acquisitions are 0 everywhere",
            cause: "The satellite's swath did not cover the super-area.",
            fix: "No action needed: the U-TAE treats them as padding.";
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;

    #[test]
    fn reports_begin_with_the_most_severe_findings() {
        assert!(DataCode::KINDS.is_sorted_by_key(|kind| Reverse(kind.severity)));
    }
}
