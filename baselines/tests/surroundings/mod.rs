//! Where the golden tests run: their folders, the device, and our kernels or plain tensors.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use candle_core::Device;
use flair_baselines::{nn::with_plain_tensors, runtime::DeviceChoice};

/// The folder that the environment variable `variable` names.
pub(crate) fn folder(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} names no folder")))
}

/// The first file `name` in the sample's folder, or below.
pub(crate) fn sample(name: &str) -> PathBuf {
    fn find(folder: &Path, name: &str) -> Option<PathBuf> {
        std::fs::read_dir(folder).unwrap().find_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() { find(&path, name) } else { path.ends_with(name).then_some(path) }
        })
    }
    find(&folder("FLAIR_BENCH_SAMPLE"), name).unwrap_or_else(|| panic!("the sample holds no {name}"))
}

/// The device that `FLAIR_BENCH_DEVICE` names: `cpu`, the default, `cuda` or `cuda:N`. `auto` could test a device that
/// nobody meant, so it is refused.
pub(crate) fn device() -> Device {
    // candle takes a GPU that is opened twice for two devices, and refuses to add their tensors.
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let open = || {
        let name = std::env::var("FLAIR_BENCH_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
        let choice: DeviceChoice = name.parse().unwrap();
        assert_ne!(choice, DeviceChoice::Auto, "FLAIR_BENCH_DEVICE must name one device");
        choice.open().unwrap()
    };
    DEVICE.get_or_init(open).clone()
}

/// Runs a test's body on plain tensors where `FLAIR_BENCH_KERNELS` is `off`, else (unset, or `on`) as users run it.
pub(crate) fn on_chosen_kernels(body: impl FnOnce()) {
    match std::env::var("FLAIR_BENCH_KERNELS").as_deref() {
        Ok("off") => with_plain_tensors(body),
        Ok("on") | Err(std::env::VarError::NotPresent) => body(),
        other => panic!("FLAIR_BENCH_KERNELS is `on` or `off`, not {other:?}"),
    }
}
