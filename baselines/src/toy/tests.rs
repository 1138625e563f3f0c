use std::{collections::BTreeMap, fs, path::Path};

use flair_scoring::{
    CLASS_COUNT, PATCH_SIZE, PatchId, RawLabel,
    progress::Silent,
    raster::{self, Limits},
};
use walkdir::WalkDir;

use super::{
    aerial::{Camera, picture},
    cover::{BANDS, Cover},
    landscape::Landscape,
    plan::{AERIAL_M, PATCH_M, SENTINEL_M, Zone, zones},
    scene::Allocator,
    sentinel::series,
    *,
};
use crate::random::Generator;

const SMALL: ToyOptions = ToyOptions { seed: 3, patches: 3 };

/// Every file below `root` and the hash of its bytes.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let files = WalkDir::new(root).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let name = entry.path().strip_prefix(root).unwrap().display().to_string();
            (name, flair_scoring::files::sha256(fs::File::open(entry.path()).unwrap()).unwrap())
        })
        .collect()
}

#[test]
fn a_seed_gives_one_dataset_whatever_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let [alone, together] = ["alone", "deep/together"].map(|name| dir.path().join(name));
    let threads = |number| rayon::ThreadPoolBuilder::new().num_threads(number).build().unwrap();
    let made = threads(1).install(|| generate(&alone, &SMALL, &Silent)).unwrap();
    assert_eq!(made.origin, ToyOrigin::Made);
    assert_eq!(marker(&alone).unwrap(), Some(made.marker.clone()));
    threads(4).install(|| generate(&together, &SMALL, &Silent)).unwrap();
    let files = listing(&alone);
    assert_eq!(files, listing(&together));
    insta::assert_snapshot!(files.keys().map(String::as_str).collect::<Vec<_>>().join("\n"), @"
    TOY.json
    flair-2_centroids_sp_to_patch.json
    flair_2_aerial_test/D015_2020/Z1_AF/img/IMG_077413.tif
    flair_2_labels_test/D015_2020/Z1_AF/msk/MSK_077413.tif
    flair_2_sen_test/D015_2020/Z1_AF/sen/SEN2_sp_D015_2020-Z1_AF_data.npy
    flair_2_sen_test/D015_2020/Z1_AF/sen/SEN2_sp_D015_2020-Z1_AF_masks.npy
    flair_2_sen_test/D015_2020/Z1_AF/sen/SEN2_sp_D015_2020-Z1_AF_products.txt
    flair_aerial_metadata.json
    flair_aerial_train/D004_2021/Z1_UA/img/IMG_000001.tif
    flair_aerial_train/D032_2019/Z1_AF/img/IMG_000002.tif
    flair_labels_train/D004_2021/Z1_UA/msk/MSK_000001.tif
    flair_labels_train/D032_2019/Z1_AF/msk/MSK_000002.tif
    flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_data.npy
    flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_masks.npy
    flair_sen_train/D004_2021/Z1_UA/sen/SEN2_sp_D004_2021-Z1_UA_products.txt
    flair_sen_train/D032_2019/Z1_AF/sen/SEN2_sp_D032_2019-Z1_AF_data.npy
    flair_sen_train/D032_2019/Z1_AF/sen/SEN2_sp_D032_2019-Z1_AF_masks.npy
    flair_sen_train/D032_2019/Z1_AF/sen/SEN2_sp_D032_2019-Z1_AF_products.txt
    ");

    // An existing dataset is kept.
    let again = generate(&alone, &SMALL, &Silent).unwrap();
    assert_eq!((again.origin, again.marker), (ToyOrigin::Reused, made.marker));
    let other = generate(&alone, &ToyOptions { seed: 4, ..SMALL }, &Silent).unwrap_err();
    insta::assert_snapshot!(other.to_string().replace(&alone.display().to_string(), "DIR"),
        @"`DIR` holds a toy dataset of seed 3, 3 patches, version 1: remove it or name another folder");
    assert_eq!(files, listing(&alone));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left over");

    // The content of the files.
    for name in files.keys().filter(|name| name.contains("IMG_") || name.contains("MSK_")) {
        let raster = raster::read(&alone.join(name), &Limits::default()).unwrap();
        assert_eq!((raster.height(), raster.width()), (PATCH_SIZE, PATCH_SIZE));
        assert_eq!(raster.bands(), if name.contains("IMG_") { 5 } else { 1 });
        assert!(name.contains("IMG_") || raster.samples().iter().all(|label| RawLabel::new(*label).is_some()));
    }
    let json =
        |name: &str| -> serde_json::Value { serde_json::from_slice(&fs::read(alone.join(name)).unwrap()).unwrap() };
    let (centroids, metadata) = (json("flair-2_centroids_sp_to_patch.json"), json("flair_aerial_metadata.json"));
    for (key, about) in metadata.as_object().unwrap() {
        assert!(PatchId::from_file_name(&format!("{key}.tif"), "IMG").is_some());
        assert_eq!(centroids[format!("{key}.tif")].as_array().unwrap().len(), 2);
        let text = |field: &str| about[field].as_str().unwrap().to_owned();
        assert_eq!(text("date")[..4], text("domain")[5..]);
        assert_eq!((text("time").len(), &text("time")[2..3]), (5, "h"));
        assert!((135_276.2..=1_079_966.0).contains(&about["patch_centroid_x"].as_f64().unwrap()));
        assert!((6_157_188.0..=7_030_514.0).contains(&about["patch_centroid_y"].as_f64().unwrap()));
    }
}

#[test]
fn other_folders_are_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(marker(dir.path()).unwrap(), None);
    assert_eq!(marker(&dir.path().join("nowhere")).unwrap(), None);
    let file = dir.path().join("thesis.txt");
    fs::write(&file, "years of work").unwrap();
    for root in [dir.path(), &file] {
        assert!(matches!(generate(root, &SMALL, &Silent), Err(ToyError::Occupied(_))));
    }
    fs::write(dir.path().join(MARKER), "{}").unwrap();
    assert!(matches!(generate(dir.path(), &SMALL, &Silent), Err(ToyError::Marker { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), "years of work");
    for patches in [0, 2, 48_151] {
        let new = dir.path().join("new");
        let options = ToyOptions { patches, ..SMALL };
        assert!(matches!(generate(&new, &options, &Silent), Err(ToyError::Patches(_))) && !new.exists());
    }
}

/// All zones of a dataset and their landscapes, as `generate` makes them.
fn landscapes(seed: u64, patches: usize) -> Vec<(Zone, Landscape)> {
    let mut allocators = BTreeMap::new();
    zones(seed, patches)
        .into_iter()
        .map(|zone| {
            let name = zone.domain.name;
            let allocator = allocators
                .entry(name)
                .or_insert_with(|| Allocator::new(&mut Generator::new(seed, &format!("toy/{name}/deal"))));
            let landscape = Landscape::new(seed, &zone, allocator);
            (zone, landscape)
        })
        .collect()
}

#[test]
fn every_class_is_in_both_splits_and_none_is_tiny() {
    const SAMPLES: usize = 40;
    let at = |sample: usize| ((sample as f32 + 0.5) / SAMPLES as f32 - 0.5) * PATCH_M;
    for seed in [1, 2, 3] {
        let mut counts = [[0; CLASS_COUNT]; 2];
        for (zone, landscape) in landscapes(seed, ToyOptions::default().patches) {
            for (patch, sample) in
                zone.patches.iter().flat_map(|p| (0..SAMPLES * SAMPLES).map(move |sample| (p, sample)))
            {
                let point = [patch.centre[0] + at(sample % SAMPLES), patch.centre[1] + at(sample / SAMPLES)];
                let label = RawLabel::new(landscape.ground(point).cover.traits().label).unwrap();
                counts[zone.domain.split as usize][label.class().index()] += 1;
            }
        }
        for (part, count) in counts.iter().flat_map(|part| part.iter().map(move |count| (part, *count))) {
            let share = f64::from(count) / f64::from(part.iter().sum::<i32>());
            assert!(share > 0.005, "seed {seed}: {counts:?}");
        }
    }
}

#[test]
fn patch_and_series_show_the_same_ground() {
    let (zone, landscape) = landscapes(1, 48).into_iter().find(|(zone, _)| zone.name == "Z2_FN").unwrap();
    let series = series(1, &zone, &landscape);
    let [rows, columns] = zone.size;
    let (steps, plane) = (series.products.len(), rows * columns);
    assert_eq!((series.data.len(), series.masks.len()), (steps * BANDS * plane, steps * 2 * plane));
    assert!(series.products.is_sorted_by_key(|product| product[11..19].to_owned()) && steps >= 15);
    assert!(series.masks.iter().all(|percent| *percent <= 100));
    // A clear acquisition of the summer.
    let clear = (0..steps)
        .find(|step| {
            let month: u16 = series.products[*step][15..17].parse().unwrap();
            (5..=9).contains(&month)
                && series.masks[step * 2 * plane..][..2 * plane].iter().all(|percent| *percent < 10)
        })
        .expect("a clear day");
    let infrared = &series.data[(clear * BANDS + 6) * plane..][..plane];

    let patch = &zone.patches[0];
    let mask = picture(&landscape, &Camera::new(1, zone.domain.name), &zone, patch).unwrap().mask;
    let mut pixels: BTreeMap<(usize, usize), Vec<u8>> = BTreeMap::new();
    let index = |metres: f32| usize::try_from(noise::cell(metres / SENTINEL_M)).unwrap();
    for (pixel, label) in mask.samples().iter().enumerate() {
        let metres = |axis: usize, number: usize| patch.centre[axis] - PATCH_M / 2.0 + number as f32 * AERIAL_M;
        let key = (index(metres(1, pixel / PATCH_SIZE)), index(metres(0, pixel % PATCH_SIZE)));
        pixels.entry(key).or_default().push(*label);
    }
    let pure = |cover: Cover| -> Vec<u16> {
        let label = cover.traits().label;
        let pure = pixels.iter().filter(|(_, labels)| labels.len() > 2400 && labels.iter().all(|l| *l == label));
        pure.map(|((row, column), _)| infrared[row * columns + column]).collect()
    };
    let (wood, water) = (pure(Cover::Broadleaf), pure(Cover::Water));
    assert!(wood.len() + pure(Cover::Conifer).len() > 5 && !water.is_empty(), "{} {}", wood.len(), water.len());
    assert!(wood.iter().all(|value| *value > 2500) && water.iter().all(|value| *value < 400), "{wood:?} {water:?}");
    // The centroid is the pixel nearest to the patch's centre.
    let centroid = Zone::centroid(patch);
    assert!((0..2).all(|axis| (centroid[axis] as f32 * SENTINEL_M - patch.centre[1 - axis]).abs() <= SENTINEL_M / 2.0));
}
