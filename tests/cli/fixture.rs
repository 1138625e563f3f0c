//! The binary, and tiny files for it to work on.

#[cfg(feature = "baselines")]
use std::path::PathBuf;
use std::{fs, path::Path};

use assert_cmd::Command;
use flair_scoring::{PatchId, raster, raster::Raster};

/// The binary in the folder `dir`, without environment variables that change its behaviour.
pub(crate) fn flair_bench(folder: &Path) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("flair-bench");
    command.current_dir(folder).env_remove("FLAIR_BENCH_LOG").env_remove("RUST_BACKTRACE");
    // The tests may themselves be a task of a Slurm array.
    command.env_remove("SLURM_ARRAY_TASK_ID");
    command
}

/// A square raster of one band whose pixel `i` is `value(i)`.
pub(crate) fn square(size: usize, value: impl Fn(usize) -> u8) -> Raster {
    Raster::new(1, size, size, (0..size * size).map(value).collect()).unwrap()
}

/// Masks of that many patches of 16 × 16 pixels, in official folders below `root`, and predictions in `pred` in which
/// every seventh pixel is wrong.
pub(crate) fn pairs(root: &Path, patches: u32) {
    for number in 1..=patches {
        let id = PatchId::new(77_412 + number).unwrap();
        let label = |i: usize| 1 + ((i + number as usize) % 13) as u8;
        let class = |i: usize| if i.is_multiple_of(7) { 0 } else { label(i) - 1 };
        let zone = root.join("truth/flair_2_labels_test/D015_2020/Z1_AA/msk");
        raster::write(&zone.join(id.file_name("MSK")), &square(16, label)).unwrap();
        raster::write(&root.join("pred").join(id.file_name("PRED")), &square(16, class)).unwrap();
    }
}

/// A submission of that many patches of full size, in `folder`.
pub(crate) fn submission(folder: &Path, patches: u32) {
    for number in 1..=patches {
        let id = PatchId::new(77_412 + number).unwrap();
        let class = |i: usize| ((i / 64 + number as usize) % 12) as u8;
        raster::write(&folder.join(id.file_name("PRED")), &square(512, class)).unwrap();
    }
    fs::write(folder.parent().unwrap().join("ids.txt"), format!("077413-{:06}\n", 77_412 + patches)).unwrap();
}

/// All files below a folder, sorted.
#[cfg(feature = "baselines")]
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
