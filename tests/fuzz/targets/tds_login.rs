//! PRELOGIN and LOGIN7 as structures.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marstui::decode::tds::login7::Login7;
use marstui::decode::tds::prelogin::Prelogin;

fuzz_target!(|data: &[u8]| {
    let _ = Prelogin::read(data);
    if let Some((login, _)) = Login7::read(data) {
        for range in login.secret_ranges(data) {
            assert!(range.end <= data.len());
        }
        let _ = Login7::text(data, &login.user);
    }
});
