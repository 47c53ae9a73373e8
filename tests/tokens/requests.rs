//! Requests: headers, calls, transactions, tables.

use super::*;

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
