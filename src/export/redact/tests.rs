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
        run(body, |mask, names| {
            tls::records(mask, names, &mut tls::Handshake::default());
        }),
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
    // No class says how long the first is; behind the second no token follows.
    for strange in [&[0x45][..], &[0x65, 2, 0, b'a', b'b', 0x45]] {
        let copy = answer(&[strange, &result("secret")].concat());
        assert!(copy[1..].iter().all(|b| *b == 0), "{copy:02x?}");
    }
}

#[test]
fn what_stands_behind_an_unknown_token_whose_length_is_known_keeps_its_shape() {
    for (unknown, kept) in [
        (&[0x55][..], &[0x55][..]),
        (&[0x74, b'a', b'b'], &[0x74, 0, 0]),
        (&[0x65, 2, 0, b'a', b'b'], &[0x65, 2, 0, 0, 0]),
    ] {
        let copy = answer(&[unknown, &result("secret")].concat());
        assert_eq!(copy, [kept, &answer(&result("secret"))].concat());
    }
}

fn answer(body: &[u8]) -> Vec<u8> {
    run(body, |mask, names| {
        let mut columns = result::Columns::default();
        result::tokens(mask, names, &mut columns, Version::V74, true);
    })
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

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

/// A table-valued parameter of a type; its names are bytes, so that they need not be texts.
fn table_parameter(database: &[u8], schema: &[u8], name: &[u8]) -> Vec<u8> {
    let mut body = [&[4, 0][..], &wide("proc"), &[0, 0, 0, 0, 0xf3]].concat();
    for part in [database, schema, name] {
        body.push(u8::try_from(part.len() / 2).unwrap());
        body.extend(part);
    }
    // No columns, no rows.
    body.extend([0xff, 0xff, 0, 0]);
    body
}

#[test]
fn each_part_of_a_type_s_name_is_replaced_also_where_one_holds_another() {
    let half = [0x00, 0xd8];
    for (database, schema, name) in [
        (wide("orders"), wide("orders"), wide("orders")),
        (wide("ordersdb"), wide("orders"), wide("order")),
        // Half of a pair of units: no text that says the same could be found again.
        (Vec::new(), [&half[..], &wide("orders")].concat(), wide("t")),
    ] {
        let body = table_parameter(&database, &schema, &name);
        let copy = run(&body, |mask, names| request::rpc(mask, names, Version::V71));
        assert!(holds(&body, &wide("order")));
        assert!(!holds(&copy, &wide("order")), "{copy:02x?}");
        // Lengths, and what follows the names, are as they were.
        assert_eq!(copy[copy.len() - 4..], [0xff, 0xff, 0, 0]);
        assert_eq!(copy[15], body[15]);
    }
}

#[test]
fn a_login_whose_parts_share_a_place_keeps_nothing_of_them() {
    let mut body = vec![0; 94];
    let text = wide("joe doe, secret");
    // User, password and language are the same bytes; the library is the fixed part itself.
    for (at, offset) in [(36, 94_u16), (40, 94), (44, 102), (64, 94), (60, 16)] {
        body[at..at + 2].copy_from_slice(&offset.to_le_bytes());
        body[at + 2] = 8;
    }
    body[16..20].copy_from_slice(b"1234");
    body.extend(&text);
    let copy = run(&body, login::login7);
    assert!(!holds(&copy, &wide("jo")) && !holds(&copy, &wide("do")));
    assert_eq!(copy[102..118], [0; 16]);
    assert_eq!(copy[16..20], [0; 4]);
}

#[test]
fn options_that_are_longer_than_theirs_are_not_kept() {
    let mut body = vec![0, 0, 11, 0, 12, 4, 0, 23, 0, 8, 0xff];
    body.extend(b"\x10\0\0\0\0\0SECRETMARSMARS");
    let copy = run(&body, login::prelogin);
    assert!(!holds(&copy, b"SECRET") && !holds(&copy, b"MARS"));
}

#[test]
fn nothing_of_a_message_of_the_handshake_that_goes_on_in_the_next_record_is_kept() {
    // A certificate of 20 bytes; its second half looks like messages.
    let mut body = vec![22, 3, 3, 0, 14, 11, 0, 0, 20];
    body.extend(b"certificat");
    body.extend([22, 3, 3, 0, 10, 1, 0, 0, 6]);
    body.extend(b"secret");
    body.extend([20, 3, 3, 0, 6]);
    body.extend(b"\x01extra");
    let copy = run(&body, |mask, names| {
        tls::records(mask, names, &mut tls::Handshake::default());
    });
    assert_eq!(copy[..9], body[..9]);
    assert_eq!(copy[9..19], [0; 10]);
    assert_eq!(copy[24..34], [0; 10]);
    assert_eq!(copy[34..], [20, 3, 3, 0, 6, 1, 0, 0, 0, 0, 0]);
}

/// A frame, redacted without its payload.
fn frame(link: u32, bytes: &[u8]) -> Vec<u8> {
    let mut fill = |_: &[u8], _: &mut [u8], _: &mut Names| {};
    let mut segment = Segment {
        payload: &mut fill,
        replace_ports: (false, false),
        whole_checksum: None,
    };
    packet::frame(link, bytes, &mut Names::default(), &mut segment)
}

#[test]
fn a_sender_s_address_that_is_no_mac_address_is_not_kept() {
    // A tunnel's frames have the address of its other end, 203.0.113.77.
    let sll = [
        0, 0, 3, 8, 0, 4, 203, 0, 113, 77, 0, 0, 0, 0, 8, 0, 0x45, 0, 0, 20,
    ];
    assert_eq!(frame(113, &sll)[6..14], [0; 8]);
    let sll2 = [
        8, 0, 0, 0, 0, 0, 0, 1, 3, 8, 0, 4, 203, 0, 113, 77, 0, 0, 0, 0, 0x45, 0,
    ];
    assert_eq!(frame(276, &sll2)[12..20], [0; 8]);
}

#[test]
fn tcp_options_of_another_length_than_theirs_are_not_kept() {
    let mut bytes = vec![
        0x45, 0, 0, 60, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    bytes.extend([
        0xc3, 0x50, 5, 0x99, 0, 0, 0, 1, 0, 0, 0, 1, 0xa0, 0x10, 1, 0, 0, 0, 0, 0,
    ]);
    bytes.extend([2, 4, 5, 0xb4, 2, 10]);
    bytes.extend(b"SECRETS!");
    bytes.extend([1, 1, 1, 3, 3, 8]);
    let copy = frame(101, &bytes);
    assert!(!holds(&copy, b"SECR"));
    assert_eq!(copy[40..46], bytes[40..46]);
    assert_eq!(copy[54..], bytes[54..]);
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
