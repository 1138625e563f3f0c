#![no_main]

#[path = "../exercise/npy.rs"]
mod npy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| npy::exercise(bytes));
