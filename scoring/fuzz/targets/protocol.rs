#![no_main]

#[path = "../exercise/protocol.rs"]
mod protocol;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| protocol::exercise(bytes));
