//! See `login` in `checks.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| marstui_fuzz::login(data));
