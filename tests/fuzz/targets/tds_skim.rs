//! Answers in pieces: the tokens found must not depend on where the pieces were cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marstui::decode::tds::message::Context;
use marstui::decode::tds::skim::{Begin, Skim};

fn tokens(pieces: &[&[u8]]) -> (Vec<Begin>, bool) {
    let mut skim = Skim::new(Context::default());
    let mut found = Vec::new();
    for piece in pieces {
        skim.feed(piece, |begin| found.push(begin));
    }
    (found, skim.failed())
}

fuzz_target!(|data: &[u8]| {
    let Some((at, body)) = data.split_first() else {
        return;
    };
    let (a, b) = body.split_at(usize::from(*at).min(body.len()));
    assert_eq!(tokens(&[body]), tokens(&[a, b]));
});
