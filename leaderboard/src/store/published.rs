//! The published results: the files of `leaderboard/entries`, built into the binary.

use crate::{Entry, LeaderboardError};

macro_rules! files {
    ($($path:literal,)+) => {
        &[$(($path, include_str!(concat!("../../entries/", $path)))),+]
    };
}

/// Path below `entries`, and content. A test compares the list with the folder.
static FILES: &[(&str, &str)] = files![
    "flair-hub-lc/best-nearly-all-modalities.json",
    "flair-hub-lc/lc-a-convnextv2-base-upernet-90-2m.json",
    "flair-hub-lc/lc-a-convnextv2-tiny-upernet-29-8m.json",
    "flair-hub-lc/lc-f-swin-base-upernet-97-7m.json",
    "flair-hub-lc/maestro.json",
    "flair-hub-lpis/lpis-j-swin-base-upernet.json",
    "flair1-test/baseline-u-net-resnet34-metadata-augmentation.json",
    "flair1-test/baseline-u-net-resnet34.json",
    "flair1-test/breizhchess.json",
    "flair1-test/businiao.json",
    "flair1-test/wangzhiyu918.json",
    "flair1-test-flair-inc-model/rgbi-15cl-resnet34-unet.json",
    "flair1-test-flair-inc-model/rgbie-15cl-resnet34-unet.json",
    "flair2-refiltered-flair-hub/croma.json",
    "flair2-refiltered-flair-hub/dino-v2-lvd-142m.json",
    "flair2-refiltered-flair-hub/dino-v2-sat.json",
    "flair2-refiltered-flair-hub/dofa.json",
    "flair2-refiltered-flair-hub/maestro-2x-epochs.json",
    "flair2-refiltered-flair-hub/maestro.json",
    "flair2-refiltered-flair-hub/prithvi-eo-2-0.json",
    "flair2-refiltered-flair-hub/satmae.json",
    "flair2-refiltered-flair-hub/vit-supervised.json",
    "flair2-test/association-rosia.json",
    "flair2-test/baseline-u-net-resnet34-metadata-augmentation.json",
    "flair2-test/baseline-u-net-resnet34.json",
    "flair2-test/baseline-u-t-t-filter-clouds-monthly-averages-data-augmentation.json",
    "flair2-test/baseline-u-t-t-filter-clouds-monthly-averages-no-augmentation.json",
    "flair2-test/baseline-u-t-t.json",
    "flair2-test/breizhchess.json",
    "flair2-test/qwerty64.json",
    "flair2-test/segformer-b5-igb-norm-aerial-pseudo-labels.json",
    "flair2-test/segformer-b5-igb-norm-aerial.json",
    "flair2-test/segformer-b5-rgb-norm-aerial.json",
    "flair2-test/segformer-b5-rgb-norm-imagenet.json",
    "flair2-test/segformer-b5-rgb-norm-sentinel2.json",
    "flair2-test/strakajk.json",
];

/// The published entries of all benchmarks, sorted by path.
///
/// # Errors
/// If a file that was built in is not a valid entry; a test checks all of them.
pub fn published() -> Result<Vec<Entry>, LeaderboardError> {
    let read = |(path, text): &(&str, &str)| Entry::from_json(text).map_err(|why| LeaderboardError::file(path, why));
    FILES.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{FLAIR2_TEST, Store, rank};

    #[test]
    fn every_file_of_the_folder_is_in_the_binary() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("entries");
        let store = Store::new(&root);
        let in_folder = store.read().unwrap();
        let paths: Vec<_> =
            store.read_files().unwrap().iter().map(|(path, _)| path.strip_prefix(&root).unwrap().to_owned()).collect();
        assert_eq!(FILES.iter().map(|(path, _)| Path::new(path)).collect::<Vec<_>>(), paths, "the list in this file");
        assert_eq!(published().unwrap(), in_folder);
    }

    #[test]
    fn files_are_written_as_a_program_writes_them() {
        for (path, text) in FILES {
            assert_eq!(Entry::from_json(text).unwrap().to_json(), *text, "{path}");
        }
    }

    #[test]
    fn the_challenges_table_is_the_published_one() {
        let entries = published().unwrap();
        let rankings = rank(&entries);
        assert_eq!(rankings[0].benchmark, FLAIR2_TEST);
        let official: Vec<_> = rankings[0]
            .rows
            .iter()
            .filter_map(|r| Some((r.entry.rank?, r.entry.name.as_str(), r.entry.miou)))
            .collect();
        assert_eq!(
            official,
            [
                (1, "strakajk", 0.6413),
                (2, "Breizhchess", 0.6355),
                (3, "qwerty64", 0.6351),
                (8, "association-rosia", 0.6261),
            ]
        );
        assert_eq!(rankings[0].unknown_ranks, [(4, 7)]);
    }
}
