#![no_main]

#[path = "../exercise/configuration.rs"]
mod configuration;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| configuration::exercise(bytes));
