#![no_main]

#[path = "../exercise/archive.rs"]
mod archive;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| archive::exercise(bytes));
