#![no_main]

#[path = "../exercise/raster.rs"]
mod raster;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| raster::exercise(bytes));
