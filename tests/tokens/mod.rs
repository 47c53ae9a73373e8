//! Every token, type, header and feature of the digest (`tds.md` 5, 7 to 10) that neither the specification's samples
//! nor `messages` hold, made byte by byte: what is decoded is what the bytes say.

mod answers;
mod requests;
mod values;

use marstui::decode::tds::Version;
use marstui::decode::tds::message::{self, Context, Message};
use marstui::dissect::render;

const DONE: [u8; 13] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const LATIN: [u8; 5] = [9, 4, 0xd0, 0, 0x34];

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// B_VARCHAR.
fn b(text: &str) -> Vec<u8> {
    [vec![u8::try_from(text.len()).unwrap()], utf16(text)].concat()
}

/// US_VARCHAR.
fn us(text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap().to_le_bytes();
    [len.to_vec(), utf16(text)].concat()
}

fn decode(kind: u8, bytes: &[u8], context: &Context) -> (Message, String) {
    let message = message::decode(kind, bytes, 0, context);
    let mut out = String::new();
    render::outline(&message.fields, 0, &mut out);
    assert_eq!(message.stop, None, "{out}");
    // Every shorter length ends with a reason or at a token's end, and never in a panic.
    for len in 0..bytes.len() {
        let _ = message::decode(kind, &bytes[..len], 0, context);
    }
    (message, out)
}

fn answer(bytes: &[u8]) -> (Message, String) {
    let context = Context {
        from_server: true,
        ..Context::default()
    };
    decode(4, &[bytes, &DONE].concat(), &context)
}

fn shows(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "no {line:?} in\n{text}");
    }
}
