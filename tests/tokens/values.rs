//! Values of all types, as columns and parameters print them.

use super::*;

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
