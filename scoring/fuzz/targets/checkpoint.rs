#![no_main]

#[path = "../exercise/checkpoint.rs"]
mod checkpoint;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checkpoint::exercise(bytes));
