//! Whatever bytes come: no panic, the same length, and nothing that was not understood.

use proptest::prelude::*;

use super::mask::Mask;
use super::names::Names;
use super::packet::{self, Segment};
use super::{login, request, result, tls};
use crate::decode::tds::version::Version;

/// Runs a redaction of a body and returns the copy.
fn run(body: &[u8], redact: impl FnOnce(&mut Mask<'_>, &mut Names)) -> Vec<u8> {
    let mut copy = vec![0; body.len()];
    redact(&mut Mask::new(body, &mut copy), &mut Names::default());
    copy
}

fn all_kinds(body: &[u8], version: Version) -> Vec<Vec<u8>> {
    vec![
        run(body, |mask, names| {
            result::tokens(mask, names, &mut result::Columns::default(), version, true);
        }),
        run(body, |mask, names| request::rpc(mask, names, version)),
        run(body, |mask, names| request::sql_batch(mask, names, version)),
        run(body, |mask, _| request::transaction(mask, version)),
        run(body, login::prelogin),
        run(body, login::login7),
        run(body, |mask, _| login::sspi(mask)),
        run(body, |mask, names| tls::records(mask, names, &mut false)),
    ]
}

/// COLMETADATA of one nvarchar column, a row, and a DONE.
fn result(value: &str) -> Vec<u8> {
    let text: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut body = vec![
        0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0xe7, 100, 0, 9, 4, 0xd0, 0, 0x34, 1, b'c', 0,
    ];
    body.push(0xd1);
    body.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    body.extend(text);
    body.extend([0xfd, 0x10, 0, 0xc1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    body
}

#[test]
fn a_row_keeps_its_shape_and_loses_its_value() {
    let body = result("secret");
    let copy = run(&body, |mask, names| {
        result::tokens(
            mask,
            names,
            &mut result::Columns::default(),
            Version::V74,
            true,
        );
    });
    assert_eq!(copy[..17], body[..17]);
    assert_eq!(copy[20..23], body[20..23]);
    assert_eq!(copy[23..35], [0; 12]);
    assert_eq!(copy[35..], body[35..]);
}

#[test]
fn labels_of_columns_get_stand_ins_and_the_row_behind_them_stays() {
    let b_varchar = |text: &str| -> Vec<u8> {
        let mut out = vec![u8::try_from(text.len()).unwrap()];
        out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        out
    };
    let id = "331f0b13-76b5-2f1b-a77b-def5a73c73c2";
    for version in [1_u8, 2] {
        // FEATUREEXTACK: DATACLASSIFICATION in this version.
        let mut body = vec![0xae, 9, 2, 0, 0, 0, version, 1, 0xff];
        let answer = result("secret");
        let (metadata, row) = answer.split_at(20);
        body.extend(metadata);
        body.extend([0xa3, 1, 0]);
        body.extend(b_varchar("Confidential"));
        body.extend(b_varchar(id));
        body.extend([1, 0]);
        body.extend(b_varchar("Salaries"));
        body.extend(b_varchar(id));
        let rank: &[u8] = if version == 2 { &[20, 0, 0, 0] } else { &[] };
        body.extend(rank);
        // One column, which has the label and the type.
        body.extend([1, 0, 1, 0, 0, 0, 0, 0]);
        body.extend(rank);
        let row_at = body.len();
        body.extend(row);
        let copy = run(&body, |mask, names| {
            result::tokens(
                mask,
                names,
                &mut result::Columns::default(),
                Version::V74,
                true,
            );
        });
        assert_eq!(copy[..9], body[..9]);
        // Row, length, the value gone, and the DONE behind it.
        assert_eq!(copy[row_at..row_at + 3], row[..3]);
        assert_eq!(copy[row_at + 3..row_at + 15], [0; 12]);
        assert_eq!(copy[row_at + 15..], row[15..]);
        let ranks = 2 * rank.len();
        let assigned = row_at - 8 - ranks;
        assert_eq!(copy[assigned..row_at], body[assigned..row_at]);
        for name in ["Confidential", id, "Salaries"] {
            let name = &b_varchar(name)[1..];
            assert!(memchr::memmem::find(&body, name).is_some());
            assert!(memchr::memmem::find(&copy, name).is_none());
        }
        let stand_in = &copy[29 + 3..29 + 4 + 24];
        assert_eq!(stand_in[0], 12);
        assert!(stand_in[1..].iter().step_by(2).all(u8::is_ascii_graphic));
    }
}

#[test]
fn what_stands_behind_something_not_understood_is_zeroed() {
    let mut body = vec![0x55];
    body.extend(result("secret"));
    let copy = run(&body, |mask, names| {
        result::tokens(
            mask,
            names,
            &mut result::Columns::default(),
            Version::V74,
            true,
        );
    });
    assert!(copy[1..].iter().all(|b| *b == 0), "{copy:02x?}");
}

#[test]
fn a_password_is_gone_and_the_rest_of_the_login_has_its_length() {
    let mut body = vec![0; 94];
    let mut put = |at: usize, text: &[u8]| {
        let offset = u16::try_from(body.len()).unwrap();
        body[at..at + 2].copy_from_slice(&offset.to_le_bytes());
        body[at + 2..at + 4].copy_from_slice(&u16::try_from(text.len() / 2).unwrap().to_le_bytes());
        body.extend(text);
    };
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    put(36, &wide("PCNAME"));
    put(40, &wide("joe"));
    put(44, &[0xa5, 0x5a, 0xb3, 0xa5]);
    let len = u32::try_from(body.len()).unwrap();
    body[..4].copy_from_slice(&len.to_le_bytes());
    body[4..8].copy_from_slice(&Version::V74.number().to_le_bytes());
    let copy = run(&body, login::login7);
    assert_eq!(copy[4..8], body[4..8]);
    assert_eq!(copy[36..48], body[36..48]);
    assert_eq!(copy[94..106], wide("host1x"));
    assert_eq!(copy[copy.len() - 4..], [0; 4]);
}

proptest! {
    #[test]
    fn any_body_is_taken(body in prop::collection::vec(any::<u8>(), 0..400), narrow: bool) {
        let version = if narrow { Version::V71 } else { Version::V74 };
        for copy in all_kinds(&body, version) {
            prop_assert_eq!(copy.len(), body.len());
        }
    }

    #[test]
    fn a_body_that_begins_well_is_taken(cut in 0_usize..60, tail in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut body = result("secret");
        body.truncate(cut);
        body.extend(tail);
        for copy in all_kinds(&body, Version::V74) {
            prop_assert_eq!(copy.len(), body.len());
        }
    }

    #[test]
    fn any_frame_is_taken_and_its_payload_is_zeroed(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        link in prop::sample::select(vec![0_u32, 1, 101, 108, 113, 276, 147]),
        version in prop::sample::select(vec![0x45_u8, 0x4f, 0x60, 0x40]),
        protocol in prop::sample::select(vec![1_u8, 4, 6, 17, 41, 44, 47, 58, 99]),
    ) {
        // An IP packet where each link layer puts it.
        for (kind, at, at_type) in [(1, 14, Some(12)), (113, 16, Some(14)), (276, 20, Some(0)), (101, 0, None), (0, 4, None)] {
            if kind == link {
                let v6 = version >> 4 == 6;
                if let Some(t) = at_type
                    && let Some(two) = bytes.get_mut(t..t + 2) {
                        two.copy_from_slice(if v6 { &[0x86, 0xdd] } else { &[8, 0] });
                    }
                if let Some(first) = bytes.get_mut(at) {
                    *first = version;
                }
                if let Some(next) = bytes.get_mut(at + if v6 { 6 } else { 9 }) {
                    *next = protocol;
                }
            }
        }
        let mut fill = |_: &[u8], _: &mut [u8], _: &mut Names| {};
        let mut segment = Segment { payload: &mut fill, replace_ports: (true, true), whole_checksum: None };
        let copy = packet::frame(link, &bytes, &mut Names::default(), &mut segment);
        prop_assert_eq!(copy.len(), bytes.len());
    }
}
