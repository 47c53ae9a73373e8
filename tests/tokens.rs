//! Every token, type, header and feature of the digest (`tds.md` 5, 7 to 10) that neither the specification's samples
//! nor `messages` hold, made byte by byte: what is decoded is what the bytes say.

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

/// A result of one column and one row: how the column's type and the value are written.
fn value(type_info: &[u8], value: &[u8]) -> (String, String, bool) {
    let bytes = [
        &[0x81, 1, 0, 0, 0, 0, 0, 9, 0][..],
        type_info,
        &b("c"),
        &[0xd1],
        value,
    ]
    .concat();
    let (message, _) = answer(&bytes);
    let grid = &message.grids[0];
    let cell = &grid.rows[0][0];
    (grid.columns[0].1.clone(), cell.text.clone(), cell.null)
}

#[test]
fn fixed_and_nullable_types_print_as_the_server_does() {
    let float = 0.5_f64.to_le_bytes();
    let real = 0.25_f32.to_le_bytes();
    let cases: &[(&[u8], &[u8], &str, &str)] = &[
        (&[0x30], &[255], "tinyint", "255"),
        (&[0x34], &[0, 0x80], "smallint", "-32768"),
        (&[0x38], &[1, 0, 0, 0x80], "int", "-2147483647"),
        (&[0x7f], &[0xff; 8], "bigint", "-1"),
        (&[0x32], &[1], "bit", "1"),
        (&[0x3b], &real, "real", "0.25"),
        (&[0x3e], &float, "float", "0.5"),
        (&[0x3c], &[0, 0, 0, 0, 0x10, 0x27, 0, 0], "money", "1.0000"),
        (&[0x7a], &[0xf0, 0xd8, 0xff, 0xff], "smallmoney", "-1.0000"),
        (
            &[0x3d],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            "datetime",
            "1900-01-02 00:00:00.000",
        ),
        (
            &[0x3a],
            &[0, 0, 59, 0],
            "smalldatetime",
            "1900-01-01 00:59:00",
        ),
        (&[0x26, 1], &[1, 7], "tinyint", "7"),
        (&[0x26, 2], &[2, 0xff, 0xff], "smallint", "-1"),
        (&[0x26, 4], &[4, 7, 0, 0, 0], "int", "7"),
        (
            &[0x26, 8],
            &[8, 0, 0, 0, 0, 1, 0, 0, 0],
            "bigint",
            "4294967296",
        ),
        (&[0x68, 1], &[1, 0], "bit", "0"),
        (&[0x6e, 4], &[4, 1, 0, 0, 0], "smallmoney", "0.0001"),
        (
            &[0x6f, 4],
            &[4, 1, 0, 0, 0],
            "smalldatetime",
            "1900-01-02 00:00:00",
        ),
        (&[0x28], &[3, 0, 0, 0], "date", "0001-01-01"),
        (&[0x29, 3], &[4, 1, 0, 0, 0], "time(3)", "00:00:00.001"),
        (
            &[0x2a, 0],
            &[6, 1, 0, 0, 1, 0, 0],
            "datetime2(0)",
            "0001-01-02 00:00:01",
        ),
        (
            &[0x2b, 7],
            &[10, 0, 0, 0, 0, 0, 1, 0, 0, 60, 0],
            "datetimeoffset(7)",
            "0001-01-02 01:00:00.0000000 +01:00",
        ),
        (
            &[0x6c, 5, 5, 2],
            &[5, 1, 0x39, 0x30, 0, 0],
            "numeric(5,2)",
            "123.45",
        ),
        (
            &[0x37, 5, 5, 1],
            &[5, 0, 1, 0, 0, 0],
            "decimal(5,1)",
            "-0.1",
        ),
        (&[0x3f, 5, 5, 0], &[5, 1, 9, 0, 0, 0], "numeric(5,0)", "9"),
    ];
    for (type_info, bytes, sql, text) in cases {
        let found = value(type_info, bytes);
        assert_eq!((found.0.as_str(), found.1.as_str()), (*sql, *text));
    }
    // The nullable ones are NULL with length 0.
    for type_info in [
        &[0x26, 4][..],
        &[0x68, 1],
        &[0x6d, 8],
        &[0x6e, 8],
        &[0x6f, 8],
        &[0x24, 16],
        &[0x28],
        &[0x29, 7],
        &[0x6a, 9, 18, 0],
        &[0x25, 10],
    ] {
        let found = value(type_info, &[0]);
        assert!(found.2 && found.1 == "NULL", "{found:?}");
    }
}

#[test]
fn character_and_binary_types_use_their_length_and_collation() {
    let with = |head: &[u8], collation: &[u8]| [head, collation].concat();
    // UTF-8, and Latin of code page 1252.
    let utf8 = [9, 4, 0xd0, 0x24, 0];
    let cases: &[(Vec<u8>, &[u8], &str, &str)] = &[
        (
            with(&[0xaf, 3, 0], &LATIN),
            &[3, 0, b'a', 0xe4, b' '],
            "char(3)",
            "a\u{e4} ",
        ),
        (
            with(&[0xa7, 9, 0], &utf8),
            &[2, 0, 0xc3, 0xa4],
            "varchar(9)",
            "\u{e4}",
        ),
        (with(&[0xa7, 9, 0], &LATIN), &[0, 0], "varchar(9)", ""),
        (
            with(&[0xef, 4, 0], &LATIN),
            &[4, 0, b'a', 0, b'b', 0],
            "nchar(2)",
            "ab",
        ),
        (
            with(&[0xe7, 8, 0], &utf8),
            &[2, 0, 0xe4, 0],
            "nvarchar(4)",
            "\u{e4}",
        ),
        (vec![0xad, 4, 0], &[2, 0, 1, 2], "binary(4)", "0x0102"),
        (vec![0xa5, 4, 0], &[2, 0, 1, 0xff], "varbinary(4)", "0x01FF"),
        (vec![0x2f, 4], &[1, b'x'], "char(4)", "x"),
        (vec![0x27, 4], &[1, b'x'], "varchar(4)", "x"),
        (vec![0x2d, 4], &[1, 0xab], "binary(4)", "0xAB"),
        (vec![0x25, 4], &[1, 0xab], "varbinary(4)", "0xAB"),
    ];
    for (type_info, bytes, sql, text) in cases {
        let found = value(type_info, bytes);
        assert_eq!((found.0.as_str(), found.1.as_str()), (*sql, *text));
        assert!(!found.2);
    }
    assert!(value(&with(&[0xa7, 9, 0], &LATIN), &[0xff, 0xff]).2);
}

fn plp(chunks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = (u64::MAX - 1).to_le_bytes().to_vec();
    for chunk in chunks {
        bytes.extend(u32::try_from(chunk.len()).unwrap().to_le_bytes());
        bytes.extend(*chunk);
    }
    bytes.extend([0; 4]);
    bytes
}

#[test]
fn long_values_are_put_together_from_their_chunks() {
    let max = |token: u8| [&[token, 0xff, 0xff][..], &LATIN].concat();
    // A character may be cut by the border of a chunk.
    let found = value(&max(0xe7), &plp(&[&[b'a', 0, b'b'], &[0]]));
    assert_eq!(
        (found.0.as_str(), found.1.as_str()),
        ("nvarchar(max)", "ab")
    );
    assert_eq!(value(&max(0xa7), &plp(&[b"ab", b"c"])).1, "abc");
    assert_eq!(
        value(&[0xa5, 0xff, 0xff], &plp(&[&[1], &[2, 3]])).1,
        "0x010203"
    );
    assert!(value(&max(0xe7), &[0xff; 8]).2);
    let found = value(&[0xf1, 0], &plp(&[&utf16("<a/>")]));
    assert_eq!((found.0.as_str(), found.1.as_str()), ("xml", "<a/>"));
    let schema = [vec![0xf1, 1], b("db"), b("dbo"), us("things")].concat();
    assert_eq!(value(&schema, &plp(&[&utf16("<b/>")])).1, "<b/>");
    let found = value(&[0xf4], &plp(&["{\"a\":\"\u{e4}\"}".as_bytes()]));
    assert_eq!(
        (found.0.as_str(), found.1.as_str()),
        ("json", "{\"a\":\"\u{e4}\"}")
    );
    let udt = [
        vec![0xf0, 0xff, 0xff],
        b("db"),
        b("sys"),
        b("hierarchyid"),
        us("Types"),
    ]
    .concat();
    let found = value(&udt, &plp(&[&[0x58]]));
    assert!(found.0.contains("hierarchyid"), "{found:?}");
    assert_eq!(found.1, "0x58");
}

#[test]
fn text_types_stand_behind_a_pointer() {
    let names = |token: u8, collation: &[u8]| {
        [
            &[token, 0xff, 0xff, 0xff, 0x7f][..],
            collation,
            &[1],
            &us("t"),
        ]
        .concat()
    };
    let row = |data: &[u8]| {
        let len = u32::try_from(data.len()).unwrap().to_le_bytes();
        [&[16][..], &[7; 16], &[8; 8], &len, data].concat()
    };
    assert_eq!(value(&names(0x23, &LATIN), &row(b"abc")).1, "abc");
    assert_eq!(value(&names(0x63, &LATIN), &row(&utf16("abc"))).1, "abc");
    assert_eq!(value(&names(0x22, &[]), &row(&[1, 2])).1, "0x0102");
    assert!(value(&names(0x23, &LATIN), &[0]).2);
}

#[test]
fn variants_hold_every_base_type() {
    let variant = |inner: &[u8]| {
        let len = u32::try_from(inner.len()).unwrap().to_le_bytes();
        value(&[0x62, 0x49, 0x1f, 0, 0], &[&len[..], inner].concat()).1
    };
    let text = [&[0xe7, 7][..], &LATIN, &[10, 0], &utf16("ab")].concat();
    let latin = [&[0xa7, 7][..], &LATIN, &[10, 0, 0xe4]].concat();
    let guid = [&[0x24, 0][..], &[0x11; 16]].concat();
    let cases: &[(&[u8], &str)] = &[
        (&[0x30, 0, 9], "9"),
        (&[0x34, 0, 9, 0], "9"),
        (&[0x38, 0, 9, 0, 0, 0], "9"),
        (&[0x7f, 0, 9, 0, 0, 0, 0, 0, 0, 0], "9"),
        (&[0x32, 0, 1], "1"),
        (&[0x3b, 0, 0, 0, 0x80, 0x3e], "0.25"),
        (&[0x3e, 0, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f], "0.5"),
        (&[0x3c, 0, 0, 0, 0, 0, 1, 0, 0, 0], "0.0001"),
        (&[0x7a, 0, 1, 0, 0, 0], "0.0001"),
        (
            &[0x3d, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            "1900-01-01 00:00:00.000",
        ),
        (&[0x3a, 0, 0, 0, 0, 0], "1900-01-01 00:00:00"),
        (&[0x28, 0, 0, 0, 0], "0001-01-01"),
        (&[0x29, 1, 0, 1, 0, 0], "00:00:01"),
        (&[0x2a, 1, 0, 1, 0, 0, 0, 0, 0], "0001-01-01 00:00:01"),
        (
            &[0x2b, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0],
            "0001-01-01 00:00:01 +00:00",
        ),
        (&[0x6a, 2, 5, 1, 1, 5, 0, 0, 0], "0.5"),
        (&[0x6c, 2, 5, 1, 0, 5, 0, 0, 0], "-0.5"),
        (&[0xa5, 2, 9, 0, 1, 2], "0x0102"),
        (&[0xad, 2, 9, 0, 1, 2], "0x0102"),
        (&text, "ab"),
        (&latin, "\u{e4}"),
        (&guid, "11111111-1111-1111-1111-111111111111"),
    ];
    for (inner, expected) in cases {
        assert_eq!(&variant(inner), expected, "{inner:02x?}");
    }
    assert!(value(&[0x62, 0x49, 0x1f, 0, 0], &[0; 4]).2);
}

#[test]
fn compute_rows_are_read_by_their_own_metadata() {
    let bytes = [
        &[
            0x88, 1, 0, 3, 0, 1, 2, 0, 0x4d, 1, 0, 0, 0, 0, 0, 9, 0, 0x26, 4,
        ][..],
        &b("total"),
        &[0xd3, 3, 0, 4, 42, 0, 0, 0],
    ]
    .concat();
    let (_, text) = answer(&bytes);
    shows(
        &text,
        &[
            "operator  0x4d  (SUM)",
            "by column  2",
            "COMPUTE clause  3",
            "total  42",
        ],
    );
}

#[test]
fn browse_tokens_name_tables_and_columns() {
    let table = [vec![2], us("dbo"), us("orders")].concat();
    let info = [&[1, 1, 8, 2, 0, 4, 3, 1, 0x30][..], &b("real")].concat();
    let sized = |token: u8, body: &[u8]| {
        let len = u16::try_from(body.len()).unwrap().to_le_bytes();
        [&[token][..], &len, body].concat()
    };
    let order = sized(0xa9, &[2, 0, 1, 0]);
    let (_, text) = answer(&[sized(0xa4, &table), sized(0xa5, &info), order].concat());
    shows(
        &text,
        &[
            "TABNAME  dbo.orders",
            "status  0x08  (key)",
            "status  0x04  (expression)",
            "status  0x30  (hidden, different name)",
            "name in the table  real",
            "ORDER  2, 1",
        ],
    );
}

#[test]
fn sensitivity_labels_are_read_in_both_versions() {
    let names = |list: &[(&str, &str)]| {
        let mut bytes = u16::try_from(list.len()).unwrap().to_le_bytes().to_vec();
        for (name, id) in list {
            bytes.extend(b(name));
            bytes.extend(b(id));
        }
        bytes
    };
    let head = [
        vec![0xa3],
        names(&[("Confidential", "id-1")]),
        names(&[("Financial", "id-2")]),
    ]
    .concat();
    let old = [&head[..], &[1, 0, 1, 0, 0, 0, 0, 0]].concat();
    let new = [
        &head[..],
        &[20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 10, 0, 0, 0],
    ]
    .concat();
    for bytes in [&old, &new] {
        let (_, text) = answer(bytes);
        shows(
            &text,
            &[
                "DATACLASSIFICATION  Confidential, Financial",
                "label  Confidential",
                "id  id-1",
            ],
        );
    }
    let (_, text) = answer(&new);
    shows(&text, &["rank  20", "rank  10"]);
    // Where the login told the version nothing is tried.
    for (ranks, bytes) in [(false, &old), (true, &new)] {
        let context = Context {
            from_server: true,
            ranks: Some(ranks),
            ..Context::default()
        };
        decode(4, &[&bytes[..], &DONE].concat(), &context);
    }
}

#[test]
fn encrypted_columns_show_their_keys_and_types() {
    let context = Context {
        from_server: true,
        column_encryption: true,
        ..Context::default()
    };
    let bytes = [
        // One column; one key with one value.
        &[
            0x81, 1, 0, 1, 0, 5, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1,
        ][..],
        &[2, 0, 0xaa, 0xbb],
        &b("STORE"),
        &us("path"),
        &b("RSA_OAEP"),
        // The column: varbinary(64) with int inside.
        &[0, 0, 0, 0, 9, 8, 0xa5, 64, 0],
        &[0, 0, 0, 0, 0, 0, 0x26, 4, 2, 1, 1],
        &b("secret"),
        &[0xd1, 2, 0, 0xca, 0xfe],
        &DONE,
    ]
    .concat();
    let (_, text) = decode(4, &bytes, &context);
    shows(
        &text,
        &[
            "key store  STORE",
            "key path  path",
            "algorithm  RSA_OAEP",
            "encrypted  yes",
            "secret  cafe",
        ],
    );
}

#[test]
fn every_change_of_environment_is_named_with_its_values() {
    let token = |kind: u8, body: &[u8]| {
        let len = u16::try_from(body.len() + 1).unwrap().to_le_bytes();
        [&[0xe3][..], &len, &[kind], body].concat()
    };
    let text = |kind: u8, new: &str, old: &str| token(kind, &[b(new), b(old)].concat());
    let number = |n: u8| [&[8][..], &[n, 0, 0, 0, 0, 0, 0, 0]].concat();
    let from = |old: Vec<u8>| [vec![0], old].concat();
    let to = |new: Vec<u8>| [new, vec![0]].concat();
    let route = [&[0, 0x99, 5][..], &us("other")].concat();
    let routed = |kind: u8, more: &[u8]| {
        let len = u16::try_from(route.len() + more.len())
            .unwrap()
            .to_le_bytes();
        token(kind, &[&len[..], &route, more, &[0, 0]].concat())
    };
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (text(1, "sales", "master"), "Database: master -> sales"),
        (text(2, "Deutsch", "us_english"), "us_english -> Deutsch"),
        (text(3, "iso_1", ""), "iso_1"),
        (text(4, "8000", "4096"), "Packet size: 4096 -> 8000"),
        (text(5, "1033", ""), "1033"),
        (text(6, "196609", ""), "196609"),
        (
            token(7, &[&[5][..], &LATIN, &[0]].concat()),
            "SQL_Latin1_General_CP1_CI_AS",
        ),
        (token(8, &to(number(7))), "transaction 0x7"),
        (token(9, &from(number(7))), "transaction 0x7"),
        (token(10, &from(number(8))), "transaction 0x8"),
        (token(11, &to(number(9))), "transaction 0x9"),
        (token(12, &to(number(9))), "transaction 0x9"),
        (text(13, "mirror", ""), "mirror"),
        (token(16, &to(vec![2, 1, 2])), "2 bytes"),
        (token(17, &from(number(9))), "transaction 0x9"),
        (token(18, &[0, 0]), "ENVCHANGE"),
        (text(19, "instance", ""), "instance"),
        (routed(20, &[]), "other:1433"),
        (routed(21, &us("db")), "other:1433 db"),
    ];
    for (bytes, expected) in cases {
        let (message, text) = answer(&bytes);
        let heading = format!("{} {}", message.fields[0].label, message.fields[0].text);
        assert!(heading.contains(expected), "{heading}\n{text}");
        assert!(!heading.contains("unknown"), "{heading}");
    }
}

#[test]
fn acknowledged_features_say_what_is_on() {
    let feature = |id: u8, data: &[u8]| {
        let len = u32::try_from(data.len()).unwrap().to_le_bytes();
        [&[id][..], &len, data].concat()
    };
    let bytes = [
        vec![0xae],
        feature(0x04, &[&[3][..], &b("VBS")].concat()),
        feature(0x05, &[1]),
        feature(0x08, &[1]),
        feature(0x09, &[2, 1]),
        feature(0x0a, &[0]),
        feature(0x0b, &[1]),
        feature(0x0d, &[1]),
        feature(0x0e, &[1]),
        feature(0x0f, &[1]),
        vec![0xff],
    ]
    .concat();
    let (_, text) = answer(&bytes);
    shows(
        &text,
        &[
            "COLUMNENCRYPTION",
            "(version 3, enclave VBS)",
            "GLOBALTRANSACTIONS",
            "AZURESQLSUPPORT",
            "DATACLASSIFICATION",
            "(version 2, on)",
            "UTF8_SUPPORT",
            "(off)",
            "AZURESQLDNSCACHING",
            "JSONSUPPORT",
            "VECTORSUPPORT",
            "(version 1)",
            "ENHANCEDROUTINGSUPPORT",
        ],
    );
}

#[test]
fn rare_tokens_of_a_login_are_read() {
    // OFFSET; FEDAUTHINFO with both options, whose data stand behind the list.
    let (url, spn) = (utf16("https://sts"), utf16("MSSQLSvc"));
    let place = |id: u8, len: usize, at: usize| {
        let len = u32::try_from(len).unwrap().to_le_bytes();
        let at = u32::try_from(at).unwrap().to_le_bytes();
        [&[id][..], &len, &at].concat()
    };
    let list = [
        2_u32.to_le_bytes().to_vec(),
        place(1, url.len(), 22),
        place(2, spn.len(), 22 + url.len()),
    ]
    .concat();
    let body = [list, url, spn].concat();
    let len = u32::try_from(body.len()).unwrap().to_le_bytes();
    let bytes = [&[0x78, 0x72, 1, 5, 0, 0xee][..], &len, &body].concat();
    let (_, text) = answer(&bytes);
    shows(
        &text,
        &[
            "keyword  370",
            "position  5",
            "STS URL  https://sts",
            "SPN  MSSQLSvc",
        ],
    );
}

#[test]
fn done_tokens_name_their_bits_and_commands() {
    let done = |token: u8, status: u16, command: u16, rows: u8| {
        let mut bytes = vec![token];
        bytes.extend(status.to_le_bytes());
        bytes.extend(command.to_le_bytes());
        bytes.extend([rows, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    };
    let bytes = [
        done(0xff, 0x11, 0xc3, 2),
        done(0xff, 0x03, 0xc5, 0),
        done(0xfe, 0x81, 0xe0, 0),
        done(0xfd, 0x121, 0x117, 0),
    ]
    .concat();
    let (_, text) = answer(&bytes);
    shows(
        &text,
        &[
            "DONEINPROC  INSERT, 2 rows, more",
            "DONEINPROC  UPDATE, more, error",
            "DONEPROC  EXECUTE, more",
            "DONE  MERGE, more, attention acknowledged, server error",
        ],
    );
}

#[test]
fn headers_of_requests_are_read_in_all_their_kinds() {
    let header = |kind: u16, data: &[u8]| {
        let len = u32::try_from(data.len() + 6).unwrap().to_le_bytes();
        [&len[..], &kind.to_le_bytes(), data].concat()
    };
    let bytes_counted = |text: &str| {
        let bytes = utf16(text);
        [
            &u16::try_from(bytes.len()).unwrap().to_le_bytes()[..],
            &bytes,
        ]
        .concat()
    };
    let notification = [
        bytes_counted("my-id"),
        bytes_counted("service=s"),
        60_000_u32.to_le_bytes().to_vec(),
    ]
    .concat();
    let transaction = [&[0x21, 0, 0, 0, 0x33, 0, 0, 0][..], &[2, 0, 0, 0]].concat();
    let trace = [&[0x11; 16][..], &[5, 0, 0, 0]].concat();
    let headers = [
        header(1, &notification),
        header(2, &transaction),
        header(3, &trace),
    ]
    .concat();
    let total = u32::try_from(headers.len() + 4).unwrap().to_le_bytes();
    let bytes = [&total[..], &headers, &utf16("select 1")].concat();
    let (message, text) = decode(1, &bytes, &Context::default());
    shows(
        &text,
        &[
            "notification id  my-id",
            "service broker deployment  service=s",
            "timeout in ms  60000",
            "transaction descriptor  0x0000003300000021",
            "outstanding requests  2",
            "11111111-1111-1111-1111-111111111111",
            "sequence  5",
        ],
    );
    assert_eq!(message.sql, ["select 1"]);
}

#[test]
fn calls_show_their_flags_separators_and_encrypted_parameters() {
    let headers = [&[4, 0, 0, 0][..]].concat();
    let int =
        |status: u8, n: u8| [&[2, b'@', 0, b'p', 0, status, 0x26, 4, 4, n, 0, 0, 0][..]].concat();
    let cipher = [
        &[0x26, 4, 0][..],
        &b("AEAD"),
        &[
            1, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1,
        ],
    ]
    .concat();
    let bytes = [
        headers,
        us("first"),
        vec![3, 0],
        int(1, 5),
        vec![0xfe],
        us("second"),
        vec![4, 0],
        int(2, 6),
        vec![0xff],
        us("third"),
        vec![0, 0],
        int(8, 7),
        cipher,
    ]
    .concat();
    let (message, text) = decode(3, &bytes, &Context::default());
    assert_eq!(
        message.sql,
        [
            "exec first @p = 5 output",
            "exec second @p = default",
            "exec third @p = 7"
        ]
    );
    shows(
        &text,
        &[
            "with recompile, no metadata",
            "reuse metadata",
            "status  0x08  (encrypted)",
            "algorithm name  AEAD",
            "key version  3",
        ],
    );
}

#[test]
fn every_transaction_request_is_named() {
    let with = |kind: u16, body: &[u8]| [&[4, 0, 0, 0][..], &kind.to_le_bytes(), body].concat();
    let name = [&[4][..], &utf16("tx")].concat();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (with(0, &[0, 0]), "TM_GET_DTC_ADDRESS"),
        (with(1, &[2, 0, 9, 9]), "TM_PROPAGATE_XACT"),
        (
            with(5, &[&[5][..], &name].concat()),
            "TM_BEGIN_XACT, snapshot tx",
        ),
        (with(6, &[]), "TM_PROMOTE_XACT"),
        (with(7, &[&name[..], &[0]].concat()), "TM_COMMIT_XACT tx"),
        (
            with(8, &[&name[..], &[1, 1, 0]].concat()),
            "TM_ROLLBACK_XACT tx, then begin, read uncommitted",
        ),
        (with(9, &name), "TM_SAVE_XACT tx"),
    ];
    for (bytes, expected) in cases {
        let (message, _) = decode(14, &bytes, &Context::default());
        assert_eq!(message.sql, [expected]);
    }
}

#[test]
fn table_valued_parameters_hold_columns_order_and_rows() {
    let nvarchar = [&[0, 0, 0, 0, 1, 0, 0xe7, 20, 0][..], &LATIN, &[0]].concat();
    let bytes = [
        &[4, 0, 0, 0][..],
        &us("p"),
        &[0, 0],
        &b("@t"),
        &[0, 0xf3],
        &b("db"),
        &b("dbo"),
        &b("ids"),
        // Three columns, of which the last has its default value and no place in rows.
        &[3, 0, 0, 0, 0, 0, 1, 0, 0x26, 4, 0],
        &nvarchar,
        &[0, 0, 0, 0, 0, 2, 0x26, 4, 0],
        &[0x10, 1, 0, 1, 0, 2],
        &[0x11, 2, 0, 1, 0, 2, 0],
        &[0],
        &[1, 4, 1, 0, 0, 0, 4, 0, b'a', 0, b'b', 0],
        &[1, 0, 0xff, 0xff],
        &[0],
    ]
    .concat();
    let (message, text) = decode(3, &bytes, &Context::default());
    assert_eq!(message.sql, ["exec p @t = /* table, 2 rows */"]);
    shows(&text, &["ids", "int  1", "nvarchar(10)  ab", "NULL"]);
    let none = [
        &[4, 0, 0, 0][..],
        &us("p"),
        &[0, 0, 0, 2, 0xf3, 0, 0],
        &b("ids"),
        &[0xff, 0xff, 0, 0],
    ]
    .concat();
    let (message, _) = decode(3, &none, &Context::default());
    assert_eq!(message.sql, ["exec p /* table, 0 rows */"]);
}

#[test]
fn metadata_say_all_that_a_column_is() {
    let bytes = [
        // Identity key; timestamp; a result without metadata behind it.
        &[0x81, 2, 0, 0, 0, 0, 0, 0x18, 0x40, 0x38][..],
        &b("id"),
        &[0x50, 0, 0, 0, 9, 0x20, 0xa5, 8, 0],
        &b("version"),
        &[0xd1, 1, 0, 0, 0, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0x81, 0xff, 0xff],
    ]
    .concat();
    let (message, text) = answer(&bytes);
    assert_eq!(message.grids[0].rows[0][1].text, "0x0102030405060708");
    shows(
        &text,
        &[
            "user type  80  (timestamp)",
            "identity  yes",
            "key  yes",
            "hidden  yes",
            "no metadata",
        ],
    );
}

#[test]
fn older_versions_have_their_own_widths() {
    let context = |version| Context {
        from_server: true,
        version,
        ..Context::default()
    };
    // User type of two bytes, no table name parts, DONE of eight bytes; a collation only from 7.1 on.
    let types: [(Version, &[u8]); 2] = [
        (Version::V70, &[0xa7, 3, 0]),
        (Version::V71R1, &[0xa7, 3, 0, 9, 4, 0xd0, 0, 0x34]),
    ];
    for (version, type_info) in types {
        let bytes = [
            &[0x81, 1, 0, 0, 0, 9, 0][..],
            type_info,
            &b("a"),
            &[0xd1, 1, 0, b'x'],
            &[0xfd, 0x10, 0, 0xc1, 0, 1, 0, 0, 0],
        ]
        .concat();
        let (message, text) = decode(4, &bytes, &context(version));
        assert_eq!(message.grids[0].rows[0][0].text, "x", "{version}");
        shows(&text, &["DONE  SELECT, 1 rows"]);
    }
}
