//! A type, and a value of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use marstui::decode::reader::Reader;
use marstui::decode::tds::type_info::{Place, TypeInfo};
use marstui::decode::tds::{Version, values};

fuzz_target!(|data: &[u8]| {
    let mut r = Reader::new(data);
    let place = match r.u8() {
        Some(0) => Place::Column,
        Some(1) => Place::ReturnValue,
        _ => Place::Parameter,
    };
    if let Ok(info) = TypeInfo::read(&mut r, place, Version::V74) {
        let _ = info.sql();
        let _ = values::print(&info, r.rest()).literal();
    }
    let _ = values::variant(data);
});
