use super::*;

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// Walks a body cut at a place; whether it ended with a DONE that was read.
fn walk(body: &[u8], cut: usize, version: Option<Version>) -> (bool, Outcome) {
    let mut walker = Walker::new();
    walker.begin(version, false);
    walker.feed(&body[..cut]);
    walker.feed(&body[cut..]);
    (walker.end(), walker.take_outcome())
}

/// [MS-TDS] 4.7: one column `bar` varchar(3), one row, DONE with count 1.
const RESULT: &str = "81 01 00 00 00 00 00 20 00 A7 03 00 09 04 D0 00 34 03 62 00 61 00 72 00
    D1 03 00 66 6F 6F FD 10 00 C1 00 01 00 00 00 00 00 00 00";

/// [MS-TDS] 4.9: DONEINPROC with MORE, RETURNSTATUS, DONEPROC.
const PROCEDURE: &str = "FF 11 00 C1 00 01 00 00 00 00 00 00 00 79 00 00 00 00
    FE 00 00 E0 00 00 00 00 00 00 00 00 00";

#[test]
fn the_specifications_answers_are_walked_wherever_they_are_cut() {
    for (body, done, rows) in [(RESULT, 0x10, Some(1)), (PROCEDURE, 0, Some(1))] {
        let body = hex(body);
        for cut in 0..=body.len() {
            let (read, outcome) = walk(&body, cut, Some(Version::V74));
            assert!(read, "cut at {cut}");
            assert_eq!((outcome.last_done, outcome.rows()), (Some(done), rows));
        }
    }
}

/// TDS 7.1: UserType of 16 bits, DONE of 8 bytes; nothing says so but the bytes.
#[test]
fn the_older_shape_is_found_out_where_no_login_was_captured() {
    let body = hex(
        "81 01 00 00 00 09 00 A7 03 00 09 04 D0 00 34 03 62 00 61 00 72 00
         D1 03 00 66 6F 6F FD 10 00 C1 00 01 00 00 00",
    );
    for cut in 0..=body.len() {
        let (read, outcome) = walk(&body, cut, None);
        assert!(read, "cut at {cut}");
        assert_eq!(outcome.rows(), Some(1));
    }
}

#[test]
fn long_values_nulls_and_compressed_rows_are_skipped_by_their_lengths() {
    // nvarchar(max) and intn(4); a ROW with two chunks, an NBCROW with both NULL, a ROW with a NULL of each kind.
    let mut body = hex("81 02 00 00 00 00 00 09 00 E7 FF FF 09 04 D0 00 34 00
        00 00 00 00 09 00 26 04 00");
    body.extend(hex(
        "D1 FE FF FF FF FF FF FF FF 02 00 00 00 41 00 04 00 00 00 42 00 43 00 00 00 00 00",
    ));
    body.extend(hex("04 01 02 03 04 D2 03 D1 FF FF FF FF FF FF FF FF 00"));
    body.extend(hex("FD 00 00 C1 00 00 00 00 00 00 00 00 00"));
    for cut in 0..=body.len() {
        let (read, outcome) = walk(&body, cut, Some(Version::V74));
        assert!(read, "cut at {cut}");
        assert_eq!(outcome.rows_seen, 3);
    }
}

#[test]
fn what_is_not_understood_ends_the_walk_and_not_the_program() {
    for body in [
        "05",
        "D1 00",
        "81 01 00 00 00 00 00 00 00 FF",
        "81 01 00 00 00 00 00 20 00 A7",
    ] {
        let body = hex(body);
        for cut in 0..=body.len() {
            assert!(!walk(&body, cut, None).0);
        }
    }
    // An answer that stops within its DONE has not ended.
    let body = hex(RESULT);
    assert!(!walk(&body[..body.len() - 1], 0, Some(Version::V74)).0);
}

#[test]
fn errors_and_attentions_are_noted() {
    let mut body = hex("AA 12 00 D4 30 00 00 01 10 02 00 48 00 69 00 00 00 01 00 00 00");
    body.extend(hex("FD 22 00 00 00 00 00 00 00 00 00 00 00"));
    let (read, outcome) = walk(&body, 5, Some(Version::V74));
    assert!(read && outcome.attention_ack);
    assert_eq!(outcome.error, Some((12500, 16, "Hi".into())));
}
