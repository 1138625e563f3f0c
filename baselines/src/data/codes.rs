//! Every kind of finding about datasets: what an audit tells, and what is told where a dataset is used.

use flair_scoring::finding_codes;

finding_codes! {
    /// A kind of finding about a dataset. The order is that of a report.
    pub enum DataCode {
        UnplacedFile = "unplaced-file", Error, "a file of the dataset lies in no folder of a domain and a zone",
            cause: "Files were moved out of their folders: images and masks do not tell themselves where they belong.",
            fix: "Keep the folders of the archives: `D004_2021/Z10_AU/img/IMG_000826.tif`.";
        DuplicatePatch = "duplicate-patch", Error, "two images, or two masks, have one number",
            cause: "An archive was unpacked twice, or two copies of the dataset lie below one folder.",
            fix: "Keep one of them: numbers are unique over the whole dataset.";
        SuperAreaFiles = "super-area-files", Error, "a zone does not have one file each of data, masks and products",
            cause: "A download or its unpacking broke, or files of two zones lie in one folder.",
            fix: "Unpack the Sentinel-2 archive again.";
        TestInTrain = "test-in-train", Error, "patches lie in the training and in the test part",
            cause: "Files of the test were copied or unpacked into the folders of the training, or the other way round.",
            fix: "Unpack each archive into a folder of its own: whoever trains on these patches has seen the test.";
        MisplacedMask = "misplaced-mask", Error, "a mask lies in another zone than its image",
            cause: "Folders were renamed or moved.",
            fix: "Put the mask where its image is; the masks' archive has the same folders.";
        UnusableSuperArea = "unusable-super-area", Error, "the files of a super-area cannot be used",
            cause: "A file is cut short, or the three disagree: as many products as acquisitions, masks as large as the data.",
            fix: "Unpack the Sentinel-2 archive again.";
        UnusableCentroids = "unusable-centroids", Error, "the file of the patches' places in their super-areas cannot be used",
            cause: "The file is cut short, or of another dataset.",
            fix: "Take `flair-2_centroids_sp_to_patch.json` again: `{\"IMG_061946.tif\": [row, column], …}`.";
        OutsideSuperArea = "outside-super-area", Error, "a crop around a patch leaves its super-area",
            cause: "The crop is too large, or the centroids are of another release of the dataset.",
            fix: "Choose a smaller crop (`--crop-size`, `sat_patch_size`), or take the centroids of FLAIR #2.";
        UnusableMetadata = "unusable-metadata", Error, "the aerial images' metadata cannot be used",
            cause: "The file is cut short, or an entry has no date, time or year that the encoding knows.",
            fix: "Take `flair_aerial_metadata.json` again.";
        UnusableRaster = "unusable-raster", Error, "an image or a mask cannot be read",
            cause: "A download or its unpacking broke, or the disk fails.",
            fix: "Unpack the archive again.";
        WrongShape = "wrong-shape", Error, "an image is not 512 × 512 pixels of 5 bands, or a mask not of 1",
            cause: "The files were re-encoded or cropped, or are of another dataset (FLAIR-HUB splits the bands).",
            fix: "Take IGN's files: red, green, blue, near infrared, elevation.";
        UnusablePatch = "unusable-patch", Error, "a patch lacks what the model needs",
            cause: "The dataset is incomplete; the message names the file.",
            fix: "Complete the dataset, or choose a model or settings that need less of it.";
        UnknownFiles = "unknown-files", Warning, "a folder has rasters that are named like nothing of the dataset",
            cause: "Files were renamed, or other files lie among them.",
            fix: "Restore the names `IMG_000826.tif` and `MSK_000826.tif`, or move the files away.";
        MissingImage = "missing-image", Warning, "patches have no aerial image",
            cause: "Only masks were downloaded (enough for scoring), or an archive was not unpacked whole.",
            fix: "Unpack the archive of the aerial images.";
        MissingMask = "missing-mask", Warning, "patches have no mask",
            cause: "An archive was not unpacked whole; the test's masks were published after the challenge.",
            fix: "Unpack the archive of the labels, where you score or train.";
        MissingSuperArea = "missing-super-area", Warning, "patches have no Sentinel-2 super-area",
            cause: "The Sentinel-2 archive was not downloaded (the U-Net does without), or not unpacked whole.",
            fix: "Unpack `flair_sen_train`, `flair_2_sen_test`, where the model is U-T&T.";
        MissingCentroids = "missing-centroids", Warning, "there is no file of the patches' places in their super-areas",
            cause: "It comes in an archive of its own.",
            fix: "Put `flair-2_centroids_sp_to_patch.json` into the dataset's folder.";
        MissingCentroid = "missing-centroid", Warning, "patches have no place in their super-area",
            cause: "The file is of FLAIR #1, or of a part of the dataset.",
            fix: "Take the file of FLAIR #2.";
        MissingMetadataFile = "missing-metadata-file", Warning, "there is no file of the aerial images' metadata",
            cause: "It comes in an archive of its own; only `aerial_metadata` needs it.",
            fix: "Put `flair_aerial_metadata.json` into the dataset's folder.";
        MissingMetadata = "missing-metadata", Warning, "patches have no metadata",
            cause: "The file is of a part of the dataset.",
            fix: "Take the whole file.";
        MetadataElsewhere = "metadata-elsewhere", Warning, "metadata name another domain or zone than the folder of the image",
            cause: "Folders were renamed, or the metadata are of another release.",
            fix: "Restore the folders as the archives have them.";
        UnknownDomain = "unknown-domain", Warning, "the published part of the dataset has no such domain",
            cause: "A domain of FLAIR #1's test, of FLAIR-HUB, or of the other part lies in the folder.",
            fix: "Move it away: it would be trained on, or expected in a submission.";
        NumberOfOtherPart = "number-of-other-part", Warning, "patches have numbers of another part of the dataset",
            cause: "Training and test images were mixed: 000001 to 061712 train, 077413 to 093462 are the test; those between are FLAIR #1's test.",
            fix: "Unpack each archive into a folder of its own.";
        BlankImage = "blank-image", Warning, "an aerial image has the same value everywhere",
            cause: "The file was made by a program that failed, or holds no data.",
            fix: "Unpack the archive again.";
        BlankBand = "blank-band", Warning, "a band is 0 in all aerial images",
            cause: "The images were made without it: often the fifth band, the elevation, is filled with 0.",
            fix: "Take IGN's images: their fifth band is the elevation.";
        SingleLabel = "single-label", Warning, "all masks have one and the same label",
            cause: "The masks were made by a program that failed, or thrown together from a part of the dataset.",
            fix: "Unpack the archive of the labels again.";
        ReflectanceOutOfRange = "reflectance-out-of-range", Warning, "Sentinel-2 values are not reflectances times 10,000 as the dataset has them",
            cause: "The array was scaled, cast or converted; the largest value known of the dataset is 19,779.",
            fix: "Take the arrays as published: uint16, not scaled.";
        ProbabilityOutOfRange = "probability-out-of-range", Warning, "masks of snow and clouds have values outside 0 to 100",
            cause: "The array was scaled, or is not that of the masks.",
            fix: "Take the arrays as published: per cent.";
        NoClearAcquisition = "no-clear-acquisition", Warning, "clouds or snow cover every acquisition of a patch",
            cause: "The weather; upstream fails there.",
            fix: "Nothing need be done: the clearest acquisition is used.";
        UnusedSuperArea = "unused-super-area", Note, "a zone has a super-area and no patches",
            cause: "Images and masks of the zone are not there, or its folder has another name.",
            fix: "Unpack the zone's images, if they are wanted.";
        PartOfTheDataset = "part-of-the-dataset", Note, "fewer or more patches than published",
            cause: "A sample or the toy set, or a download that is not complete.",
            fix: "Nothing need be done for tests; for the challenge, complete the download.";
        MissingDomains = "missing-domains", Note, "published domains are not there",
            cause: "A sample or the toy set, or a download that is not complete.",
            fix: "Nothing need be done for tests; for the challenge, complete the download.";
        IncompleteDomain = "incomplete-domain", Note, "a domain has another number of images than published",
            cause: "A sample, or an archive that was not unpacked whole.",
            fix: "Unpack the domain again, if all of it is wanted.";
        UnusualDtype = "unusual-dtype", Note, "a Sentinel-2 array is not of uint16",
            cause: "The array was converted.",
            fix: "Nothing need be done where values are whole; scaling follows the type (`img_as_float`).";
        UnsortedProducts = "unsorted-products", Note, "products are not in the order of their dates",
            cause: "The list was made so.",
            fix: "Nothing need be done: months are averaged by date, not by place.";
        OtherYear = "other-year", Note, "products are of another year than the domain's",
            cause: "A series is of the year in which the aerial image was taken, which ends the domain's name; this one is not.",
            fix: "Nothing need be done, if that is meant: only month and day are used.";
        EmptyAcquisition = "empty-acquisition", Note, "acquisitions are 0 everywhere",
            cause: "The satellite's strip did not cover the super-area.",
            fix: "Nothing need be done: U-TAE takes them for padding.";
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use super::*;

    #[test]
    fn a_report_begins_with_what_weighs_most() {
        assert!(DataCode::KINDS.is_sorted_by_key(|kind| Reverse(kind.severity)));
    }
}
