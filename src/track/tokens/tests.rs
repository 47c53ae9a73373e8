use super::*;

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// Walks a body cut at a place; whether it ended with a DONE that was read.
fn walk(body: &[u8], cut: usize, version: Option<Version>) -> (bool, Outcome) {
    let mut walker = Walker::new();
    walker.begin(Agreed {
        version,
        ..Agreed::default()
    });
    walker.feed(&body[..cut]);
    walker.feed(&body[cut..]);
    (walker.end(), std::mem::take(&mut walker.outcome))
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

/// What stands in front of the DONE of [MS-TDS] 4.7, alone and behind a DONE with MORE and without; in the last case the
/// answer is over although a token follows. Cut short, nothing is said of it.
#[test]
fn a_message_without_a_final_done_leaves_its_answer_open() {
    let rows = &hex(RESULT)[..hex(RESULT).len() - 13];
    let more = hex("FD 11 00 C1 00 01 00 00 00 00 00 00 00");
    let last = hex("FD 10 00 C1 00 01 00 00 00 00 00 00 00");
    let bodies = [
        (rows.to_vec(), true),
        ([rows, &more, rows].concat(), true),
        ([rows, &last, rows].concat(), false),
        ([rows, &more, &rows[..rows.len() - 1]].concat(), false),
    ];
    for (index, (body, open)) in bodies.iter().enumerate() {
        for cut in 0..=body.len() {
            let mut walker = Walker::new();
            walker.begin(AGREED_PLAIN);
            walker.feed(&body[..cut]);
            walker.feed(&body[cut..]);
            assert!(!walker.end(), "body {index} cut at {cut}");
            assert_eq!(walker.is_unfinished(), *open, "body {index} cut at {cut}");
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
    let error = outcome.error.unwrap();
    assert_eq!((error.number, error.class), (12500, 16));
    assert_eq!(&*error.text, "Hi");
}

#[test]
fn a_done_tells_of_an_error_that_no_token_names() {
    for (status, failed) in [("00", false), ("10", false), ("02", true), ("12", true)] {
        let body = hex(&format!("FD {status} 00 C1 00 00 00 00 00 00 00 00 00"));
        assert_eq!(walk(&body, 0, None).1.failed, failed, "{status}");
    }
    let body = hex("FF 01 01 C1 00 00 00 00 00 00 00 00 00 FE 00 00 E0 00 00 00 00 00 00 00 00 00");
    let (read, outcome) = walk(&body, 7, Some(Version::V74));
    assert!(read && outcome.failed && outcome.error.is_none());
}

/// TDS 7.1 revision 1: the table of an `image` column is one name without a count of parts.
#[test]
fn the_table_of_an_image_is_one_name_before_7_2() {
    let mut body = hex("81 01 00 00 00 09 00 22 FF FF FF 7F 01 00 74 00 01 61 00");
    body.extend(hex("D1 00 D1 00 FD 10 00 C1 00 02 00 00 00"));
    for version in [Version::V70, Version::V71, Version::V71R1] {
        for cut in 0..=body.len() {
            let (read, outcome) = walk(&body, cut, Some(version));
            assert!(read, "cut at {cut}");
            assert_eq!((outcome.rows_seen, outcome.rows()), (2, Some(2)));
        }
    }
}

#[test]
fn unknown_tokens_are_skipped_by_their_class_if_a_token_follows() {
    let error = "AA 12 00 D4 30 00 00 01 10 02 00 48 00 69 00 00 00 01 00 00 00";
    let end = "FD 02 00 C1 00 00 00 00 00 00 00 00 00";
    for unknown in [
        "DB",
        "30 07",
        "74 AA BB",
        "7C 01 02 03 04 05 06 07 08",
        "A8 02 00 01 02",
    ] {
        let body = hex(&format!("{unknown} {error} {end}"));
        for cut in 0..=body.len() {
            let (read, outcome) = walk(&body, cut, Some(Version::V74));
            assert!(read, "{unknown} cut at {cut}");
            assert_eq!(outcome.error.map(|error| error.number), Some(12500));
        }
        let body = hex(&format!("{unknown} 05 {error} {end}"));
        let (read, outcome) = walk(&body, 0, Some(Version::V74));
        assert!(!read && outcome.error.is_none(), "{unknown}");
    }
}

/// As [`walk`], with what a login agreed.
fn walk_agreed(body: &[u8], cut: usize, agreed: Agreed) -> (bool, Outcome) {
    let mut walker = Walker::new();
    walker.begin(agreed);
    walker.feed(&body[..cut]);
    walker.feed(&body[cut..]);
    (walker.end(), std::mem::take(&mut walker.outcome))
}

const AGREED: Agreed = Agreed {
    version: Some(Version::V74),
    column_encryption: true,
    classification: Some(2),
};

/// A DONE of a SELECT that counts so many rows.
fn done_with(rows: u8) -> Vec<u8> {
    let mut done = hex("FD 10 00 C1 00 00 00 00 00 00 00 00 00");
    done[5] = rows;
    done
}

/// Column `a`, varbinary(9) that holds an encrypted int; column `b`, int.
fn columns_encrypted(keys: &str, ordinal: &str) -> Vec<u8> {
    let mut body = hex("81 02 00");
    body.extend(hex(keys));
    body.extend(hex("00 00 00 00 09 08 A5 09 00"));
    body.extend(hex(ordinal));
    body.extend(hex("00 00 00 00 38 02 01 01 01 61 00"));
    body.extend(hex("00 00 00 00 09 00 26 04 01 62 00"));
    body
}

#[test]
fn encrypted_columns_are_walked() {
    // Two keys; the second has two values: 3 bytes, store "S", path "pp", algorithm "A".
    let fixed = "01 00 00 00 02 00 00 00 03 00 00 00 04 00 00 00 00 00 00 00";
    let value = "03 00 AA BB CC 01 53 00 02 00 70 00 70 00 01 41 00";
    let keys = format!("02 00 {fixed} 01 {value} {fixed} 02 {value} {value}");
    for (keys, ordinal) in [(keys.as_str(), "01 00"), ("00 00", "")] {
        let mut body = columns_encrypted(keys, ordinal);
        body.extend(hex("D1 03 00 01 02 03 04 05 00 00 00 D2 01 00 D1 FF FF 00"));
        body.extend(done_with(3));
        for cut in 0..=body.len() {
            let (read, outcome) = walk_agreed(&body, cut, AGREED);
            assert!(read, "cut at {cut}");
            assert_eq!((outcome.rows_seen, outcome.rows()), (3, Some(3)));
        }
    }
    // An algorithm that is named, in a return value: no ordinal there.
    let mut body = hex("AC 00 00 01 40 00 01 00 00 00 00 00 08 A5 09 00");
    body.extend(hex("00 00 00 00 38 00 01 58 00 01 01 02 00 77 66"));
    body.extend(done_with(0));
    for cut in 0..=body.len() {
        assert!(walk_agreed(&body, cut, AGREED).0, "cut at {cut}");
    }
}

#[test]
fn classifications_are_passed_over_in_both_versions() {
    // Two labels, one information type; two columns, the first with two properties.
    let words = "02 00 01 4C 00 01 31 00 00 00 01 00 01 54 00 01 32 00";
    for (version, ranks) in [(1, ["", ""]), (2, ["14 00 00 00", "0A 00 00 00"])] {
        let [whole, property] = ranks;
        let mut body = hex("81 01 00 00 00 00 00 09 00 26 04 01 62 00");
        body.extend(hex(&format!(
            "A3 {words} {whole} 02 00 02 00 00 00 00 00 {property} 01 00 FF FF {property} 00 00"
        )));
        body.extend(hex("D1 04 01 00 00 00"));
        body.extend(done_with(1));
        let agreed = Agreed {
            column_encryption: false,
            classification: Some(version),
            ..AGREED
        };
        for cut in 0..=body.len() {
            let (read, outcome) = walk_agreed(&body, cut, agreed);
            assert!(read, "version {version}, cut at {cut}");
            assert_eq!(outcome.rows(), Some(1));
        }
        // Without the login its version is not known, and the rows behind it are not either.
        let agreed = Agreed {
            classification: None,
            ..agreed
        };
        let (read, outcome) = walk_agreed(&body, 0, agreed);
        assert_eq!((read, outcome.rows()), (false, None));
    }
}

#[test]
fn what_the_login_says_of_classifications_is_noted() {
    let body =
        hex("AE 04 01 00 00 00 01 09 02 00 00 00 02 01 FF FD 00 00 00 00 00 00 00 00 00 00 00 00");
    for cut in 0..=body.len() {
        let (read, outcome) = walk(&body, cut, Some(Version::V74));
        assert!(read, "cut at {cut}");
        assert_eq!(
            outcome.notes,
            [Note::ColumnEncryption, Note::Classification(2)]
        );
    }
}

#[test]
fn rows_of_compute_clauses_are_walked_and_not_counted() {
    // An int column; clauses 1 (SUM, by one column) and 2 (COUNT and MAX).
    let mut body = hex("81 01 00 00 00 00 00 00 00 38 01 62 00");
    body.extend(hex(
        "88 01 00 01 00 01 01 00 4D 01 00 00 00 00 00 00 00 26 04 00",
    ));
    body.extend(hex("88 02 00 02 00 00 4B 01 00 00 00 00 00 00 00 38 00"));
    body.extend(hex("51 01 00 00 00 00 00 00 00 A7 03 00 09 04 D0 00 34 00"));
    body.extend(hex("D1 05 00 00 00 D3 01 00 04 05 00 00 00"));
    body.extend(hex(
        "D1 06 00 00 00 D3 02 00 02 00 00 00 01 00 36 D3 01 00 00",
    ));
    body.extend(done_with(2));
    for cut in 0..=body.len() {
        let (read, outcome) = walk(&body, cut, Some(Version::V73B));
        assert!(read, "cut at {cut}");
        assert_eq!((outcome.rows_seen, outcome.rows()), (2, Some(2)));
    }
    // A clause that was not described.
    let body = hex("81 01 00 00 00 00 00 00 00 38 01 62 00 D3 07 00 00");
    assert!(!walk(&body, 0, Some(Version::V73B)).0);
}

/// int, varchar(3), bit, intn(4), smallint: lengths of both kinds among columns without one.
const MIXED: &str =
    "81 05 00 00 00 00 00 08 00 38 01 61 00 00 00 00 00 09 00 A7 03 00 09 04 D0 00 34 01 62 00
    00 00 00 00 08 00 32 01 63 00 00 00 00 00 09 00 26 04 01 64 00 00 00 00 00 08 00 34 01 65 00";

#[test]
fn rows_of_short_columns_are_passed_wherever_they_are_cut() {
    let mut body = hex(MIXED);
    body.extend(hex("D1 01 00 00 00 03 00 D1 D1 D1 01 04 D1 00 00 00 D1 D1"));
    body.extend(hex("D1 02 00 00 00 FF FF 00 00 FD FD"));
    body.extend(hex("D1 03 00 00 00 00 00 00 04 01 02 03 04 FD FD"));
    body.extend(done_with(3));
    for first in 0..=body.len() {
        for second in first..=body.len() {
            let mut walker = Walker::new();
            walker.begin(AGREED_PLAIN);
            walker.feed(&body[..first]);
            walker.feed(&body[first..second]);
            walker.feed(&body[second..]);
            assert!(walker.end(), "cut at {first} and {second}");
            assert_eq!(walker.outcome.rows_seen, 3);
        }
    }
}

const AGREED_PLAIN: Agreed = Agreed {
    version: Some(Version::V74),
    column_encryption: false,
    classification: None,
};

/// Walks an answer after others, all with one walker.
fn walk_next(walker: &mut Walker, agreed: Agreed, pieces: &[&[u8]]) -> (bool, u64) {
    walker.begin(agreed);
    for piece in pieces {
        walker.feed(piece);
    }
    let read = walker.end();
    (read, std::mem::take(&mut walker.outcome).rows_seen)
}

#[test]
fn columns_that_are_described_again_are_the_same_and_others_are_not() {
    let mixed = [
        hex(MIXED),
        hex("D1 02 00 00 00 FF FF 00 00 FD FD"),
        done_with(1),
    ]
    .concat();
    let row = hex("D1 03 00 66 6F 6F");
    let single = [&hex(RESULT)[..], &row, &row, &done_with(2)].concat();
    let columns = hex(RESULT).len() - 19;
    for cut in 0..=single.len() {
        let mut walker = Walker::new();
        for _ in 0..2 {
            let pieces = [&single[..cut], &single[cut..]];
            assert_eq!(walk_next(&mut walker, AGREED_PLAIN, &pieces), (true, 3));
            assert_eq!(walk_next(&mut walker, AGREED_PLAIN, &[&single]), (true, 3));
            assert_eq!(walk_next(&mut walker, AGREED_PLAIN, &[&mixed]), (true, 1));
        }
        // A description of which only the beginning was read says nothing about the next.
        let begun = &single[..cut.min(columns)];
        assert!(!walk_next(&mut walker, AGREED_PLAIN, &[begun]).0);
        assert_eq!(walk_next(&mut walker, AGREED_PLAIN, &[&single]), (true, 3));
    }
}

#[test]
fn the_same_bytes_on_other_terms_describe_other_columns() {
    // With keys: none, and a column; without them the count of keys is the beginning of a column that is none.
    let body = [
        columns_encrypted("00 00", ""),
        hex("D1 03 00 01 02 03 00"),
        done_with(1),
    ]
    .concat();
    let mut walker = Walker::new();
    assert_eq!(walk_next(&mut walker, AGREED, &[&body]), (true, 1));
    assert_eq!(walk_next(&mut walker, AGREED, &[&body]), (true, 1));
    assert!(!walk_next(&mut walker, AGREED_PLAIN, &[&body]).0);
    assert_eq!(walk_next(&mut walker, AGREED, &[&body]), (true, 1));
}

/// Numbers that look like chance, the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        // Tokens among the values do not lead astray.
        let byte = |_| [0xd1, 0xfd, 0x00, 0xff, 0x07][self.below(5)];
        (0..len).map(byte).collect()
    }

    /// A column of one of the kinds that are delimited by short lengths or none.
    fn column(&mut self, fixed_only: bool) -> (&'static str, usize) {
        let kinds = [
            ("00 00 00 00 00 00 38 00", 4),
            ("00 00 00 00 00 00 30 00", 1),
            ("00 00 00 00 01 00 26 04 00", 0),
            ("00 00 00 00 01 00 A7 40 1F 09 04 D0 00 34 00", 0),
        ];
        kinds[self.below(if fixed_only { 2 } else { 4 })]
    }

    fn value(&mut self, column: (&str, usize)) -> Vec<u8> {
        let len = match column {
            (_, 0) => [0, 1, 4, 255, 300][self.below(5)],
            (_, fixed) => return self.bytes(fixed),
        };
        let byte = column.0.contains("26 04");
        let len = if byte { len.min(255) } else { len };
        let head = match (byte, self.below(4)) {
            (true, 0) => return vec![0],
            (false, 0) => return vec![0xff, 0xff],
            (true, _) => vec![u8::try_from(len).unwrap()],
            (false, _) => u16::try_from(len).unwrap().to_le_bytes().to_vec(),
        };
        [head, self.bytes(len)].concat()
    }
}

#[test]
fn rows_passed_over_at_once_are_those_passed_byte_by_byte() {
    for seed in 0..300 {
        let mut chance = Chance(seed);
        let fixed_only = seed % 8 == 0;
        let count = 1 + chance.below(5);
        let columns: Vec<_> = (0..count).map(|_| chance.column(fixed_only)).collect();
        let mut body = vec![0x81, u8::try_from(count).unwrap(), 0];
        for column in &columns {
            body.extend(hex(column.0));
        }
        let rows = chance.below(12);
        for _ in 0..rows {
            body.extend([ROW]);
            for column in &columns {
                body.extend(chance.value(*column));
            }
        }
        body.extend(hex("FD 00 00 C1 00 00 00 00 00 00 00 00 00"));
        let expected = (true, u64::try_from(rows).unwrap());
        let mut walker = Walker::new();
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        assert_eq!(walk_next(&mut walker, AGREED_PLAIN, &bytes), expected);
        for _ in 0..20 {
            let mut walker = Walker::new();
            let mut pieces = Vec::new();
            let mut rest = &body[..];
            while !rest.is_empty() {
                let longest = [3, 40, 2000][chance.below(3)];
                let (piece, later) = rest.split_at((1 + chance.below(longest)).min(rest.len()));
                pieces.push(piece);
                rest = later;
            }
            let found = walk_next(&mut walker, AGREED_PLAIN, &pieces);
            assert_eq!(found, expected, "seed {seed}");
        }
    }
}
