//! See `rule_file` in `checks.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| marstui_fuzz::rule_file(data));
