use std::{
    fmt::Write,
    sync::atomic::{AtomicUsize, Ordering},
};

use flair_scoring::{
    Event, PATCH_SIZE, Severity,
    progress::Silent,
    raster::{self, Raster},
};

use super::*;
use crate::data::{
    fixture::{Fixture, Series},
    npy::forged::npy,
};

const ZONES: [&str; 2] = ["D004_2021/Z1_UA", "D004_2021/Z2_UA"];
const SERIES: [(&str, &str); 3] =
    [("flair_sen_train", ZONES[0]), ("flair_sen_train", ZONES[1]), ("flair_2_sen_test", "D015_2020/Z1_UA")];

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    for (zone, number) in [(ZONES[0], 1), (ZONES[0], 2), (ZONES[1], 3)] {
        fixture.patch(Part::Train, zone, number);
    }
    fixture.patch(Part::Test, "D015_2020/Z1_UA", 77_413);
    // The fixture's images have no red; one of a dataset has.
    let pixels = PATCH_SIZE * PATCH_SIZE;
    write(
        &fixture,
        "flair_aerial_train/D004_2021/Z1_UA/img/IMG_000001.tif",
        5,
        (0..5 * pixels).map(|i| u8::from(i % 7 > 0)),
    );
    for (part, zone) in [(Part::Train, ZONES[0]), (Part::Train, ZONES[1]), (Part::Test, "D015_2020/Z1_UA")] {
        fixture.series(part, zone, &Series { side: 48, acquisitions: vec![("0105", 0, 0), ("0301", 0, 0)] });
    }
    for (tree, zone) in SERIES {
        let data = [1000u16.to_le_bytes(), 2000u16.to_le_bytes()].concat().repeat(2 * 10 * 48 * 48 / 2);
        let name = format!("{tree}/{zone}/sen/SEN2_sp_{}_data.npy", zone.replace('/', "-"));
        fixture.file(&name, &npy("<u2", &[2, 10, 48, 48], &data));
        // The year of the products is the domain's.
        let year = zone.split_once('/').unwrap().0.rsplit_once('_').unwrap().1;
        let products = ["0105", "0301"].map(|day| format!("S2A_MSIL2A_{year}{day}T105021_N0300_R051"));
        fixture.file(&name.replace("data.npy", "products.txt"), products.join("\n").as_bytes());
    }
    fixture.centroids(&[(1, [20, 28]), (2, [28, 20]), (3, [24, 24]), (77_413, [24, 24])]);
    fixture.metadata(&[1, 2, 3, 77_413]);
    fixture
}

fn write(fixture: &Fixture, path: &str, bands: usize, samples: impl Iterator<Item = u8>) {
    let raster = Raster::new(bands, PATCH_SIZE, PATCH_SIZE, samples.collect()).unwrap();
    raster::write(&fixture.root().join(path), &raster).unwrap();
}

/// Findings of these codes, a line each.
fn of_codes(report: &AuditReport, fixture: &Fixture, codes: &[&str]) -> String {
    let text = lines(report, fixture);
    text.lines()
        .filter(|line| codes.iter().any(|code| line.contains(&format!("[{code}]"))))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn values_common_to_all_images_or_masks_are_findings() {
    let fixture = fixture();
    let pixels = PATCH_SIZE * PATCH_SIZE;
    let codes = ["blank-band", "single-label"];
    assert_eq!(of_codes(&report(&fixture, Depth::Values).0, &fixture, &codes), "");
    for (tree, zone, number) in
        [("", ZONES[0], 1), ("", ZONES[0], 2), ("", ZONES[1], 3), ("2", "D015_2020/Z1_UA", 77_413)]
    {
        let [aerial, labels] = match tree {
            "" => ["flair_aerial_train", "flair_labels_train"],
            _ => ["flair_2_aerial_test", "flair_2_labels_test"],
        };
        let samples = (0..5 * pixels).map(|i| if i < 4 * pixels { 9 } else { 0 });
        write(&fixture, &format!("{aerial}/{zone}/img/IMG_{number:06}.tif"), 5, samples);
        write(&fixture, &format!("{labels}/{zone}/msk/MSK_{number:06}.tif"), 1, (0..pixels).map(|_| 7));
    }
    insta::assert_snapshot!(of_codes(&report(&fixture, Depth::Values).0, &fixture, &codes), @r"
    warning [blank-band] the dataset: band 5 (elevation) is 0 everywhere in all 4 images
    warning [single-label] the dataset: all 4 masks are 7 everywhere
    ");
}

#[test]
fn faults_that_differ_in_numbers_are_one_finding_a_domain() {
    let fixture = fixture();
    let pixels = PATCH_SIZE * PATCH_SIZE;
    for (zone, number) in [(ZONES[0], 1), (ZONES[0], 2), (ZONES[1], 3)] {
        let label = |i: usize| if i < number { 19 + u8::try_from(number).unwrap() } else { 1 };
        let mask = format!("flair_labels_train/{zone}/msk/MSK_{number:06}.tif");
        write(&fixture, &mask, 1, (0..pixels).map(label));
        let image = fixture.root().join(format!("flair_aerial_train/{zone}/img/IMG_{number:06}.tif"));
        fs::write(&image, &fs::read(&image).unwrap()[..300 + number]).unwrap();
    }
    let codes = ["label-out-of-range", "unusable-raster"];
    insta::assert_snapshot!(of_codes(&report(&fixture, Depth::Values).0, &fixture, &codes), @r"
    error   [label-out-of-range] train/D004_2021: 6 pixels have labels 20, 21, 22, expected 1 to 19 (3 masks: 000001-000003)
    error   [unusable-raster] train/D004_2021: not a valid TIFF: it is truncated: expected 2 bytes at offset 49418, the file has 301 bytes (3 images: 000001-000003; the numbers differ)
    ");
}

fn report(fixture: &Fixture, depth: Depth) -> (AuditReport, String) {
    let report = audit(&Dataset::discover(fixture.root()).unwrap(), 40, depth, &Silent);
    let text = lines(&report, fixture);
    (report, text)
}

fn lines(report: &AuditReport, fixture: &Fixture) -> String {
    let line = |f: &Finding| format!("{:7} [{}] {}: {}\n", f.severity.name(), f.code, f.subject, f.message);
    let text = report.findings.iter().map(line).collect::<String>();
    text.replace(&fixture.root().display().to_string(), "ROOT")
}

#[test]
fn parts_are_compared_with_the_published_dataset() {
    insta::assert_json_snapshot!(report(&fixture(), Depth::Headers).0.parts, @r#"
    [
      {
        "part": "train",
        "domains": {
          "found": 1,
          "published": 40
        },
        "zones": {
          "found": 2,
          "published": 757
        },
        "images": {
          "found": 3,
          "published": 61712
        },
        "masks": {
          "found": 3,
          "published": 61712
        },
        "acquisitions": {
          "found": 4,
          "published": 41029
        }
      },
      {
        "part": "test",
        "domains": {
          "found": 1,
          "published": 10
        },
        "zones": {
          "found": 1,
          "published": 159
        },
        "images": {
          "found": 1,
          "published": 16050
        },
        "masks": {
          "found": 1,
          "published": 16050
        },
        "acquisitions": {
          "found": 2,
          "published": 10215
        }
      }
    ]
    "#);
}

#[test]
fn a_sound_dataset_is_only_counted() {
    let (report, text) = report(&fixture(), Depth::Values);
    assert_eq!((report.errors, report.warnings), (0, 0));
    insta::assert_json_snapshot!(report.domains, @r#"
    [
      {
        "part": "train",
        "domain": "D004_2021",
        "official": 1800,
        "zones": [
          {
            "zone": "Z1_UA",
            "images": 2,
            "masks": 2,
            "super_area": [
              2,
              10,
              48,
              48
            ]
          },
          {
            "zone": "Z2_UA",
            "images": 1,
            "masks": 1,
            "super_area": [
              2,
              10,
              48,
              48
            ]
          }
        ]
      },
      {
        "part": "test",
        "domain": "D015_2020",
        "official": null,
        "zones": [
          {
            "zone": "Z1_UA",
            "images": 1,
            "masks": 1,
            "super_area": [
              2,
              10,
              48,
              48
            ]
          }
        ]
      }
    ]
    "#);
    insta::assert_snapshot!(text, @r"
    note    [part-of-the-dataset] test: it holds 1 of 16050 patches
    note    [part-of-the-dataset] train: it holds 3 of 61712 patches
    note    [missing-domains] test: 9 of 10 domains are missing: D022_2021, D026_2020, D036_2020, D061_2020, D064_2021, D068_2021, D069_2020, D071_2020, …
    note    [missing-domains] train: 39 of 40 domains are missing: D006_2020, D007_2020, D008_2019, D009_2019, D013_2020, D014_2020, D016_2020, D017_2018, …
    note    [incomplete-domain] train/D004_2021: 3 of 1800 published images
    ");
}

/// Files are missing, broken, and where they do not belong.
fn everything_wrong() -> (Fixture, AuditReport) {
    let fixture = fixture();
    let file = |path: &str| fixture.root().join(path);
    fixture.centroids(&[(1, [19, 28]), (3, [24, 24]), (77_413, [24, 24])]);
    fixture.metadata(&[1, 3]);
    fs::remove_file(file("flair_labels_train/D004_2021/Z1_UA/msk/MSK_000002.tif")).unwrap();
    fs::write(file("flair_aerial_train/D004_2021/Z1_UA/img/IMG_000002.tif"), b"II*").unwrap();
    fs::write(
        file("flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy"),
        npy("<i2", &[2, 10, 48, 48], &vec![0; 92_160]),
    )
    .unwrap();
    let products = "flair_2_sen_test/D015_2020/Z1_UA/sen/SEN2_sp_D015_2020-Z1_UA_products.txt";
    fs::write(file(products), b"S2A_MSIL2A_20210415T105021\n").unwrap();
    fs::rename(file("flair_aerial_train/D004_2021/Z2_UA"), file("flair_aerial_train/D004_2021/Z9_UA")).unwrap();
    fixture.patch(Part::Train, "D099_2021/Z1_UA", 9);
    let found = report(&fixture, Depth::Values).0;
    (fixture, found)
}

#[test]
fn all_problems_are_reported() {
    let (fixture, found) = everything_wrong();
    insta::assert_snapshot!(lines(&found, &fixture), @r"
    error   [misplaced-mask] ROOT/flair_labels_train/D004_2021/Z2_UA/msk/MSK_000003.tif: its image is in D004_2021/Z9_UA: not used
    error   [unusable-super-area] ROOT/flair_2_sen_test/D015_2020/Z1_UA/sen/SEN2_sp_D015_2020-Z1_UA_data.npy: `ROOT/flair_2_sen_test/D015_2020/Z1_UA/sen/SEN2_sp_D015_2020-Z1_UA_products.txt` is not usable: it lists 1 product, expected one per acquisition: 2
    error   [outside-super-area] IMG_000001.tif at [19, 28] in 48 × 48: a crop of 40 pixels extends beyond the super-area: choose a smaller `sat_patch_size`
    error   [unusable-raster] ROOT/flair_aerial_train/D004_2021/Z1_UA/img/IMG_000002.tif: not a valid TIFF: it is truncated: expected 2 bytes at offset 2, the file has 3 bytes
    warning [missing-mask] train/D004_2021: 2 of 3 patches have no mask: 000002-000003
    warning [missing-super-area] train/D004_2021: 1 of 3 patches have no Sentinel-2 super-area: 000003
    warning [missing-super-area] train/D099_2021: 1 of 1 patches have no Sentinel-2 super-area: 000009
    warning [missing-centroid] train/D004_2021: 1 of 3 patches have no centroid in their super-area: 000002
    warning [missing-centroid] train/D099_2021: 1 of 1 patches have no centroid in their super-area: 000009
    warning [missing-metadata] test/D015_2020: 1 of 1 patches have no metadata: 077413
    warning [missing-metadata] train/D004_2021: 1 of 3 patches have no metadata: 000002
    warning [missing-metadata] train/D099_2021: 1 of 1 patches have no metadata: 000009
    warning [unknown-domain] train/D099_2021: the published train part has no such domain
    note    [unused-super-area] D004_2021/Z2_UA: it has a super-area, and no patches
    note    [part-of-the-dataset] test: it holds 1 of 16050 patches
    note    [part-of-the-dataset] train: it holds 4 of 61712 patches
    note    [missing-domains] test: 9 of 10 domains are missing: D022_2021, D026_2020, D036_2020, D061_2020, D064_2021, D068_2021, D069_2020, D071_2020, …
    note    [missing-domains] train: 39 of 40 domains are missing: D006_2020, D007_2020, D008_2019, D009_2019, D013_2020, D014_2020, D016_2020, D017_2018, …
    note    [incomplete-domain] train/D004_2021: 3 of 1800 published images
    note    [unusual-dtype] ROOT/flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy: its dtype is int16, the dataset's is uint16
    note    [empty-acquisition] ROOT/flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy: 2 of 2 acquisitions are 0 everywhere: 0, 1 (from 0)
    ");
    assert!(!report(&fixture, Depth::Headers).1.contains("unusable-raster"));
}

#[test]
fn every_file_is_a_step() {
    #[derive(Default)]
    struct Count(AtomicUsize, AtomicUsize);
    impl Progress for Count {
        fn event(&self, event: Event<'_>) {
            match event {
                Event::Started { steps, .. } => self.0.fetch_add(usize::try_from(steps).unwrap(), Ordering::Relaxed),
                Event::Step { .. } => self.1.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
        }
    }
    let (fixture, count) = (fixture(), Count::default());
    audit(&Dataset::discover(fixture.root()).unwrap(), 40, Depth::Values, &count);
    // Three series, four images, four masks.
    assert_eq!((count.0.into_inner(), count.1.into_inner()), (11, 11));
}

/// Files that are there and can be read, and hold what they should not.
fn values_wrong() -> (Fixture, AuditReport) {
    let fixture = fixture();
    let raster = |bands: usize, side: usize, value: u8| {
        raster::encode(&Raster::new(bands, side, side, vec![value; bands * side * side]).unwrap())
    };
    let train = "flair_aerial_train/D004_2021";
    fixture.file(&format!("{train}/Z1_UA/img/IMG_000001.tif"), &raster(5, 512, 0));
    fixture.file(&format!("{train}/Z1_UA/img/IMG_000002.tif"), &raster(5, 512, 0));
    fixture.file(&format!("{train}/Z2_UA/img/IMG_000003.tif"), &raster(3, 512, 0));
    fixture.file("flair_labels_train/D004_2021/Z1_UA/msk/MSK_000001.tif", &raster(1, 512, 0));
    fixture.file("flair_labels_train/D004_2021/Z1_UA/msk/MSK_000002.tif", &raster(1, 512, 20));
    fixture.file("flair_labels_train/D004_2021/Z2_UA/msk/MSK_000003.tif", &raster(1, 256, 1));
    let series = |(tree, zone): (&str, &str), ending: &str| {
        format!("{tree}/{zone}/sen/SEN2_sp_{}_{ending}", zone.replace('/', "-"))
    };
    let day = |value: f32| value.to_le_bytes().repeat(10 * 48 * 48);
    fixture.file(&series(SERIES[0], "data.npy"), &npy("<f4", &[2, 10, 48, 48], &[day(0.5), day(0.0)].concat()));
    fixture
        .file(&series(SERIES[1], "data.npy"), &npy("<f4", &[2, 10, 48, 48], &[day(f32::NAN), day(70000.0)].concat()));
    fixture.file(&series(SERIES[2], "masks.npy"), &npy("|u1", &[2, 2, 48, 48], &[255; 2 * 2 * 48 * 48]));
    let products = "S2A_MSIL2A_20190415T105021\nS2A_MSIL2A_20190401T105021\n";
    fixture.file(&series(SERIES[2], "products.txt"), products.as_bytes());
    let found = report(&fixture, Depth::Values).0;
    (fixture, found)
}

#[test]
fn values_are_looked_at() {
    let (fixture, found) = values_wrong();
    insta::assert_snapshot!(lines(&found, &fixture), @r"
    error   [label-out-of-range] train/D004_2021: 524288 pixels have labels 0, 20, expected 1 to 19 (2 masks: 000001-000002)
    error   [wrong-shape] ROOT/flair_aerial_train/D004_2021/Z2_UA/img/IMG_000003.tif: its bands, rows and columns are [3, 512, 512], expected [5, 512, 512]
    error   [wrong-shape] ROOT/flair_labels_train/D004_2021/Z2_UA/msk/MSK_000003.tif: its bands, rows and columns are [1, 256, 256], expected [1, 512, 512]
    warning [blank-image] train/D004_2021: it is 0 everywhere (2 images: 000001-000002)
    warning [blank-band] the dataset: band 1 (red) is 0 everywhere in all 3 images
    warning [reflectance-out-of-range] ROOT/flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy: its values are 0 to 0.5, expected 0 to 19779 or so, reflectance × 10,000
    warning [reflectance-out-of-range] ROOT/flair_sen_train/D004_2021/Z2_UA/sen/SEN2_sp_D004_2021-Z2_UA_data.npy: its values are 70000 to 70000 and NaN, expected 0 to 19779 or so, reflectance × 10,000
    warning [probability-out-of-range] ROOT/flair_2_sen_test/D015_2020/Z1_UA/sen/SEN2_sp_D015_2020-Z1_UA_masks.npy: its values are 255 to 255, expected 0 to 100
    note    [part-of-the-dataset] test: it holds 1 of 16050 patches
    note    [part-of-the-dataset] train: it holds 3 of 61712 patches
    note    [missing-domains] test: 9 of 10 domains are missing: D022_2021, D026_2020, D036_2020, D061_2020, D064_2021, D068_2021, D069_2020, D071_2020, …
    note    [missing-domains] train: 39 of 40 domains are missing: D006_2020, D007_2020, D008_2019, D009_2019, D013_2020, D014_2020, D016_2020, D017_2018, …
    note    [incomplete-domain] train/D004_2021: 3 of 1800 published images
    note    [unusual-dtype] ROOT/flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy: its dtype is float32, the dataset's is uint16
    note    [unusual-dtype] ROOT/flair_sen_train/D004_2021/Z2_UA/sen/SEN2_sp_D004_2021-Z2_UA_data.npy: its dtype is float32, the dataset's is uint16
    note    [unsorted-products] ROOT/flair_2_sen_test/D015_2020/Z1_UA/sen/SEN2_sp_D015_2020-Z1_UA_products.txt: its products are not sorted by date
    note    [other-year] ROOT/flair_2_sen_test/D015_2020/Z1_UA/sen/SEN2_sp_D015_2020-Z1_UA_products.txt: it has products of 2019, its domain's year is 2020
    note    [empty-acquisition] ROOT/flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy: 1 of 2 acquisitions are 0 everywhere: 1 (from 0)
    ");
    assert!(!report(&fixture, Depth::Headers).1.contains("blank"));
}

/// Every finding of the registry, by what is done to a sound dataset.
#[test]
fn every_finding_is_met() {
    let mut met: BTreeSet<String> = BTreeSet::new();
    let mut text = String::new();
    let mut audit_case = |case: &str, change: &dyn Fn(&Fixture)| {
        let fixture = fixture();
        change(&fixture);
        let (report, lines) = report(&fixture, Depth::Values);
        met.extend(report.findings.into_iter().map(|finding| finding.code));
        writeln!(text, "== {case}\n{lines}").unwrap();
    };
    audit_case("sound", &|_| ());
    audit_case("truncated JSON files", &|fixture| {
        fixture.file("flair-2_centroids_sp_to_patch.json", b"{");
        fixture.file("flair_aerial_metadata.json", b"{");
    });
    audit_case("no JSON files", &|fixture| {
        fs::remove_file(fixture.root().join("flair-2_centroids_sp_to_patch.json")).unwrap();
        fs::remove_file(fixture.root().join("flair_aerial_metadata.json")).unwrap();
    });
    audit_case("metadata of elsewhere", &|fixture| {
        let entry = |date: &str| {
            format!(
                r#"{{"domain": "D004_2021", "zone": "Z9_UA", "date": "{date}", "time": "10h25", "camera": "UCE",
                "patch_centroid_x": 1.0, "patch_centroid_y": 2.0, "patch_centroid_z": 3.0}}"#
            )
        };
        let text = format!(r#"{{"IMG_000001": {}, "IMG_000002": {}}}"#, entry("2021-06-01"), entry("1999-06-01"));
        fixture.file("flair_aerial_metadata.json", text.as_bytes());
    });
    audit_case("files where they do not belong", &|fixture| {
        fixture.file("flair_aerial_train/IMG_000009.tif", b"");
        fixture.file("flair_aerial_train/D004_2021/Z2_UA/img/IMG_000001.tif", b"");
        fixture.file("flair_aerial_train/D004_2021/Z2_UA/img/IMG_6.tif", b"");
        fixture.file("flair_sen_train/D004_2021/Z2_UA/sen/again_data.npy", b"");
        fixture.patch(Part::Train, "D004_2021/Z1_UA", 80_000);
        fixture.patch(Part::Train, "D015_2020/Z1_UA", 77_413);
        fs::remove_file(fixture.root().join("flair_aerial_train/D004_2021/Z1_UA/img/IMG_000002.tif")).unwrap();
    });
    audit_case("masks of one label", &|fixture| {
        for (folder, number) in [
            ("flair_labels_train/D004_2021/Z1_UA", 1),
            ("flair_labels_train/D004_2021/Z1_UA", 2),
            ("flair_labels_train/D004_2021/Z2_UA", 3),
            ("flair_2_labels_test/D015_2020/Z1_UA", 77_413),
        ] {
            let mask = format!("{folder}/msk/MSK_{number:06}.tif");
            write(fixture, &mask, 1, (0..PATCH_SIZE * PATCH_SIZE).map(|_| 7));
        }
    });
    met.extend(everything_wrong().1.findings.into_iter().map(|finding| finding.code));
    met.extend(values_wrong().1.findings.into_iter().map(|finding| finding.code));
    // Reported by the commands that use patches, and tested there.
    met.extend(["no-clear-acquisition", "unusable-patch", "empty-series"].map(str::to_owned));
    let unmet: Vec<_> = DataCode::KINDS.iter().map(|kind| kind.code).filter(|code| !met.contains(*code)).collect();
    assert!(unmet.is_empty(), "no case meets {unmet:?}");
    insta::assert_snapshot!(text);
}

#[test]
fn a_long_report_is_cut_and_says_so() {
    let (_fixture, mut report) = everything_wrong();
    let all = report.findings.len();
    report.truncate(3);
    assert_eq!((report.findings.len(), report.truncated), (3, all - 3));
    assert_eq!(report.errors + report.warnings + report.notes, all);
    assert!(report.findings.iter().all(|finding| finding.severity == Severity::Error));
}
