#![no_main]

#[path = "../exercise/record.rs"]
mod record;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| record::exercise(bytes));
