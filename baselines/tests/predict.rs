//! Prediction on the synthetic dataset: a patch's result is its own, and finished work is kept.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, path::Path, time::Duration};

use flair_baselines::{
    DType, Device,
    config::Config,
    data::{Dataset, Preprocessor, Split},
    models::Network,
    predict::{PredictError, PredictOptions, Predicted, predict},
    toy::{ToyOptions, generate},
};
use flair_scoring::{Finding, progress::Silent, raster, timing::ScriptedClock};

fn run(
    root: &Path,
    out: &Path,
    batch_size: usize,
    network: &Network,
    config: &Config,
) -> Result<Predicted, PredictError> {
    let dataset = Dataset::discover(root).unwrap();
    let preprocessor = Preprocessor::new(&config.inputs(), &dataset).unwrap();
    let patches = Split::All.patches(&dataset, &config.split()).unwrap();
    let clock = ScriptedClock::new([3, 10].map(Duration::from_secs));
    let options = PredictOptions { batch_size, workers: 2, releases_weights: false };
    predict(network, &preprocessor, &patches, out, options, &clock, &Silent)
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn a_patch_is_predicted_alike_in_every_batch_and_finished_work_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("toy");
    let patches = *ToyOptions::PATCHES.start();
    generate(&root, &ToyOptions { patches, ..ToyOptions::default() }, &Silent).unwrap();
    let mut config = Config::preset("utt-filt-avg-aug").unwrap();
    config.set("aerial_metadata=true").unwrap();
    let network = Network::new(&config.network(), DType::F32, &Device::Cpu, 5).unwrap();

    let [alone, together] = ["alone", "together"].map(|name| dir.path().join(name));
    let predicted = run(&root, &alone, 1, &network, &config).unwrap();
    assert_eq!((predicted.predicted, predicted.kept), (patches as u64, 0));
    assert_eq!(predicted.elapsed, Duration::from_secs(7));
    run(&root, &together, 2, &network, &config).unwrap();
    let expected = files(&alone);
    assert_eq!(expected.len(), patches);
    assert_eq!(files(&together), expected);

    let image = raster::read(&alone.join(&expected[0].0), &raster::Limits::default()).unwrap();
    assert_eq!((image.bands(), image.height(), image.width()), (1, 512, 512));
    assert!(image.samples().iter().all(|&class| class < 13));

    // One file is missing, one is truncated: both are written again, and all others are unchanged.
    fs::remove_file(alone.join(&expected[0].0)).unwrap();
    fs::write(alone.join(&expected[1].0), &expected[1].1[..100]).unwrap();
    let kept = alone.join(&expected[2].0);
    let written = fs::metadata(&kept).unwrap().modified().unwrap();
    let again = run(&root, &alone, 1, &network, &config).unwrap();
    assert_eq!((again.predicted, again.kept), (2, patches as u64 - 2));
    assert_eq!(files(&alone), expected);
    assert_eq!(fs::metadata(&kept).unwrap().modified().unwrap(), written);
}

#[test]
fn a_network_that_gives_no_numbers_fails_on_each_patch() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("toy");
    generate(&root, &ToyOptions { patches: *ToyOptions::PATCHES.start(), ..ToyOptions::default() }, &Silent).unwrap();
    let config = Config::preset("unet").unwrap();
    let network = Network::new(&config.network(), DType::F32, &Device::Cpu, 5).unwrap();
    let bias = network.parameters.get("arch_vhr.segmentation_head.0.bias").unwrap().var();
    bias.set(&bias.affine(0.0, f64::NAN).unwrap()).unwrap();
    let predicted = run(&root, &dir.path().join("out"), 1, &network, &config).unwrap();
    assert_eq!((predicted.predicted, predicted.failures.len()), (0, *ToyOptions::PATCHES.start()));
    assert!(predicted.failures[0].message.starts_with("the network's output is not finite"), "{predicted:?}");
    assert_eq!(predicted.failures[0].subject, "000001");
}

#[test]
fn bad_data_fail_their_own_patch_and_empty_series_none() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("toy");
    let patches = *ToyOptions::PATCHES.start();
    generate(&root, &ToyOptions { patches, ..ToyOptions::default() }, &Silent).unwrap();
    let dataset = Dataset::discover(&root).unwrap();
    let records: Vec<_> = dataset.patches.values().collect();
    // One image is truncated; another patch's series is 0 everywhere.
    let image = records[0].image.as_ref().unwrap();
    fs::write(image, &fs::read(image).unwrap()[..1000]).unwrap();
    let empty = records.iter().find(|record| record.zone != records[0].zone).unwrap();
    let series = &empty.sentinel.as_ref().unwrap().data;
    let mut bytes = fs::read(series).unwrap();
    let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    bytes[header..].fill(0);
    fs::write(series, bytes).unwrap();

    let config = Config::preset("utt").unwrap();
    let network = Network::new(&config.network(), DType::F32, &Device::Cpu, 5).unwrap();
    let out = dir.path().join("out");
    let predicted = run(&root, &out, 2, &network, &config).unwrap();
    assert_eq!((predicted.predicted, predicted.kept), (patches as u64 - 1, 0));
    let named = |findings: &[Finding]| findings.iter().map(|f| (f.code.clone(), f.subject.clone())).collect::<Vec<_>>();
    assert_eq!(named(&predicted.failures), [("unusable-patch".to_owned(), records[0].id.to_string())]);
    assert!(named(&predicted.findings).contains(&("empty-series".to_owned(), format!("IMG_{}", empty.id))));
    assert_eq!(files(&out).len(), patches - 1);
}
