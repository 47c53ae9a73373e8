//! TLS records, hellos and certificates.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marstui::decode::tls::{hello::Hello, tree};
use marstui::decode::walk::Walk;

fuzz_target!(|data: &[u8]| {
    let _ = Hello::read_records(data);
    let mut w = Walk::new(data, 0);
    let result = tree::records(&mut w);
    let _ = w.finish(result);
});
