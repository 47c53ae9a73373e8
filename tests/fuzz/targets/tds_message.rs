//! Whole messages: the first byte chooses the packet type, the second the version and the sender.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marstui::decode::tds::Version;
use marstui::decode::tds::message::{self, Context};
use marstui::dissect::render;

fuzz_target!(|data: &[u8]| {
    let [kind, choice, body @ ..] = data else {
        return;
    };
    let version = match choice & 3 {
        0 => Version::V70,
        1 => Version::V71R1,
        2 => Version::V72,
        _ => Version::V74,
    };
    let context = Context {
        version,
        from_server: choice & 4 != 0,
        column_encryption: choice & 8 != 0,
        max_rows: 4,
        ..Context::default()
    };
    let message = message::decode(*kind, body, 0, &context);
    let mut out = String::new();
    render::outline(&message.fields, 0, &mut out);
});
