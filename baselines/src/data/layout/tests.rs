use super::*;
use crate::data::fixture::{Fixture, id};

/// Files of a zone, below folders for images, super-areas and masks.
fn zone(fixture: &Fixture, [aerial, sen, labels]: [&str; 3], zone: &str, numbers: &[u32]) {
    for number in numbers {
        fixture.file(&format!("{aerial}/{zone}/img/IMG_{number:06}.tif"), b"");
        fixture.file(&format!("{labels}/{zone}/msk/MSK_{number:06}.tif"), b"");
    }
    for ending in SERIES {
        fixture.file(&format!("{sen}/{zone}/sen/SEN2_sp_{}_{ending}", zone.replace('/', "-")), b"");
    }
}

/// Part, domain, zone and number of each patch, and how many of its three kinds of files it has.
fn patches(dataset: &Dataset) -> Vec<String> {
    let kinds = |r: &PatchRecord| {
        [r.image.is_some(), r.sentinel.is_some(), r.mask.is_some()].into_iter().filter(|has| *has).count()
    };
    dataset.patches.values().map(|r| format!("{:?} {}/{} {} {}", r.part, r.domain, r.zone, r.id, kinds(r))).collect()
}

fn findings(dataset: &Dataset, fixture: &Fixture) -> String {
    let root = fixture.root().display().to_string();
    let lines = dataset.findings.iter().map(|f| format!("{} {}: {}\n", f.code, f.subject, f.message));
    lines.collect::<String>().replace(&root, "ROOT")
}

#[test]
fn a_dataset_is_found_in_every_layout() {
    type Folders = [&'static str; 3];
    let layouts: [(Folders, Folders, &str); 6] = [
        (
            ["flair_aerial_train", "flair_sen_train", "flair_labels_train"],
            ["flair_2_aerial_test", "flair_2_sen_test", "flair_2_labels_test"],
            "",
        ),
        (
            ["flair_2_toy_aerial_train", "flair_2_toy_sen_train", "flair_2_toy_labels_train"],
            ["flair_2_toy_aerial_test", "flair_2_toy_sen_test", "flair_2_toy_labels_test"],
            "flair_2_toy_dataset/",
        ),
        (["train/aerial", "train/sen", "train/labels"], ["test/aerial", "test/sen", "test/labels"], "raw/"),
        (["train/aerial", "train/sen", "train/labels"], ["test/aerial", "test/sen", "test/labels"], "data/raw/"),
        (["aerial", "sen", "labels"], ["aerial", "sen", "labels"], ""),
        (["train-val", "train-val", "train-val"], ["flair#2-test", "flair#2-test", "flair#2-test"], "data/"),
    ];
    for (train, test, base) in layouts {
        let fixture = Fixture::new();
        let below = |folders: Folders| folders.map(|folder| format!("{base}{folder}"));
        let (train, test) = (below(train), below(test));
        zone(&fixture, train.each_ref().map(String::as_str), "D004_2021/Z1_UA", &[1, 2]);
        zone(&fixture, test.each_ref().map(String::as_str), "D015_2020/Z2_AF", &[77_413]);
        fixture.file("aux-data/flair-2_centroids_sp_to_patch.json", b"{}");
        fixture.file(&format!("{base}flair_aerial_metadata.json"), b"{}");
        let dataset = Dataset::discover(fixture.root()).unwrap();
        assert_eq!(
            patches(&dataset),
            ["Train D004_2021/Z1_UA 000001 3", "Train D004_2021/Z1_UA 000002 3", "Test D015_2020/Z2_AF 077413 3"],
            "{train:?}"
        );
        assert!(dataset.findings.is_empty() && dataset.centroids.is_some() && dataset.metadata.is_some());
    }
}

#[test]
fn hugging_faces_folders_may_have_the_domain_first() {
    let fixture = Fixture::new();
    let domain = "data/train-val/D004_2021";
    fixture.file(&format!("{domain}/aerial/Z1_UA/img/IMG_000001.tif"), b"");
    fixture.file(&format!("{domain}/labels/Z1_UA/msk/MSK_000001.tif"), b"");
    for ending in SERIES {
        fixture.file(&format!("{domain}/sen/Z1_UA/sen/SEN2_{ending}"), b"");
    }
    fixture.file("data/flair#1-test/D012_2019/aerial/Z1_UA/img/IMG_061713.tif", b"");
    let dataset = Dataset::discover(fixture.root()).unwrap();
    assert_eq!(patches(&dataset), ["Train D004_2021/Z1_UA 000001 3"]);
}

#[test]
fn files_are_paired_by_number_and_zone() {
    let fixture = Fixture::new();
    let train = ["flair_aerial_train", "flair_sen_train", "flair_labels_train"];
    zone(&fixture, train, "D004_2021/Z1_UA", &[1, 2, 3]);
    zone(&fixture, train, "D004_2021/Z2_UA", &[4]);
    std::fs::remove_file(fixture.root().join("flair_labels_train/D004_2021/Z1_UA/msk/MSK_000001.tif")).unwrap();
    std::fs::remove_file(fixture.root().join("flair_aerial_train/D004_2021/Z1_UA/img/IMG_000003.tif")).unwrap();
    // A second array in the one zone, none in the other, a mask in the wrong zone, a patch that is there twice, …
    fixture.file("flair_sen_train/D004_2021/Z1_UA/sen/again_data.npy", b"");
    std::fs::remove_dir_all(fixture.root().join("flair_sen_train/D004_2021/Z2_UA")).unwrap();
    fixture.file("flair_aerial_train/D004_2021/Z2_UA/img/IMG_000005.tif", b"");
    fixture.file("flair_labels_train/D004_2021/Z3_UA/msk/MSK_000005.tif", b"");
    fixture.file("flair_aerial_train/D004_2021/Z2_UA/img/IMG_000002.tif", b"");
    fixture.file("flair_aerial_train/D004_2021/Z2_UA/img/IMG_6.tif", b"");
    fixture.file("flair_aerial_train/IMG_000007.tif", b"");
    let dataset = Dataset::discover(fixture.root()).unwrap();
    assert_eq!(
        patches(&dataset),
        [
            "Train D004_2021/Z1_UA 000001 2",
            "Train D004_2021/Z1_UA 000002 3",
            "Train D004_2021/Z1_UA 000003 2",
            "Train D004_2021/Z2_UA 000004 2",
            "Train D004_2021/Z2_UA 000005 1",
        ]
    );
    insta::assert_snapshot!(findings(&dataset, &fixture), @"
    duplicate-patch ROOT/flair_aerial_train/D004_2021/Z2_UA/img/IMG_000002.tif: patch 000002 is also at `ROOT/flair_aerial_train/D004_2021/Z1_UA/img/IMG_000002.tif`, which is used
    unplaced-file ROOT/flair_aerial_train/IMG_000007.tif: it is not in a folder of a domain and a zone, such as D004_2021/Z10_AU: not used
    unknown-files ROOT/flair_aerial_train/D004_2021/Z2_UA/img: it has 1 rasters, such as `IMG_6.tif`, that are not named IMG_ or MSK_, six digits, .tif: not used
    super-area-files D004_2021/Z1_UA: its super-area has 2 files *data.npy, expected 1
    misplaced-mask ROOT/flair_labels_train/D004_2021/Z3_UA/msk/MSK_000005.tif: its image is in D004_2021/Z2_UA: not used
    ");
}

#[test]
fn a_patch_of_both_parts_is_a_leak() {
    let fixture = Fixture::new();
    let folders = |part: &str| ["aerial", "sen", "labels"].map(|kind| format!("{part}/{kind}"));
    let zones = [("train", "D004_2021/Z1_UA", [1, 2]), ("test", "D015_2020/Z1_UA", [77_413, 77_414])];
    for (part, path, numbers) in zones {
        let folders = folders(part);
        zone(&fixture, folders.each_ref().map(String::as_str), path, &numbers);
    }
    fixture.file("train/aerial/D015_2020/Z1_UA/img/IMG_077413.tif", b"");
    std::fs::remove_file(fixture.root().join("test/aerial/D015_2020/Z1_UA/img/IMG_077414.tif")).unwrap();
    fixture.file("train/aerial/D015_2020/Z1_UA/img/IMG_077414.tif", b"");
    let text = findings(&Dataset::discover(fixture.root()).unwrap(), &fixture);
    insta::assert_snapshot!(text.lines().filter(|line| !line.starts_with("unused")).collect::<Vec<_>>().join("\n"), @"test-in-train D015_2020: 2 patches have files in the train and in the test part, a leak of test data into training: 077413-077414");
}

#[test]
fn a_configuration_may_name_the_folders() {
    let fixture = Fixture::new();
    zone(&fixture, ["a", "b", "b"], "D004_2021/Z1_UA", &[1]);
    let centroids = fixture.file("c.json", b"{}");
    let path = |name: &str| fixture.root().join(name).display().to_string();
    let mut paths = DataPaths::default();
    assert!(matches!(Dataset::open(None, &paths), Err(DataError::NotGiven)));
    paths.path_aerial_train = path("a");
    paths.path_sen_train = path("b");
    paths.path_labels_train = path("b");
    paths.path_sp_centroids = path("c.json");
    let dataset = Dataset::open(None, &paths).unwrap();
    assert_eq!(patches(&dataset), ["Train D004_2021/Z1_UA 000001 3"]);
    assert_eq!(dataset.centroids, Some(centroids));
    assert!(dataset.findings.is_empty() && dataset.patches.contains_key(&id(1)));
    paths.path_aerial_test = path("d");
    let message = Dataset::open(None, &paths).unwrap_err().to_string();
    insta::assert_snapshot!(message.replace(&path(""), "ROOT/"), @"`ROOT/d` does not exist: correct `data.path_aerial_test` in the configuration");
}

#[test]
fn the_error_lists_the_expected_folders() {
    let fixture = Fixture::new();
    fixture.file("train/notes/a.txt", b"");
    let message = |path: &Path| Dataset::discover(path).unwrap_err().to_string();
    let shown = |path: &Path| message(path).replace(&fixture.root().display().to_string(), "ROOT");
    insta::assert_snapshot!(shown(fixture.root()), @"no FLAIR #2 data in `ROOT`: expected one of flair_aerial_train/, flair_sen_train/, flair_labels_train/, flair_2_aerial_test/, flair_2_sen_test/, flair_2_labels_test/, flair_2_toy_aerial_train/, flair_2_toy_sen_train/, flair_2_toy_labels_train/, flair_2_toy_aerial_test/, flair_2_toy_sen_test/, flair_2_toy_labels_test/, train-val/, flair#2-test/, train/, test/, aerial/, labels/, sen/, with folders such as D004_2021/Z10_AU/ below");
    insta::assert_snapshot!(shown(&fixture.root().join("nowhere")), @"cannot read `ROOT/nowhere`: No such file or directory (os error 2)");
}

#[test]
fn only_domains_and_zones_are_taken_for_such() {
    assert!(is_domain("D004_2021") && is_zone("Z10_AU") && is_zone("Z2_UF"));
    for name in ["D04_2021", "D004-2021", "d004_2021", "D004_2021b", "D004", "Z_AU", "Z1_A", "Z1_au", "Z1", "img"] {
        assert!(!is_domain(name) && !is_zone(name), "{name}");
    }
}
