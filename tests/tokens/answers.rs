//! Tokens of answers and of logins.

use super::*;
use marstui::decode::field::Value;

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

#[test]
fn the_name_of_the_program_ends_before_the_nuls_that_fill_it() {
    let mut body = vec![1, 0x74, 0, 0, 4];
    body.extend(b("Microsoft SQL Server\0\0"));
    body.extend([16, 0, 0x10, 0x27]);
    let len = u16::try_from(body.len()).unwrap().to_le_bytes();
    let (message, text) = answer(&[&[0xad][..], &len, &body].concat());
    let name = message
        .fields
        .iter()
        .find_map(|field| field.find("tds.loginack.progname"));
    assert_eq!(
        name.unwrap().value,
        Value::Text("Microsoft SQL Server".to_owned())
    );
    shows(&text, &["Microsoft SQL Server 16.0.4135, TDS 7.4"]);
}

#[test]
fn what_a_prelogin_says_depends_on_who_sent_it() {
    let options = [
        &[0, 0, 11, 0, 6, 2, 0, 17, 0, 1, 0xff][..],
        &[17, 10, 0, 1, 0, 0, 1],
    ];
    let said = |from_server: bool| {
        let context = Context {
            from_server,
            ..Context::default()
        };
        decode(18, &options.concat(), &context).1
    };
    let client = said(false);
    shows(&client, &["VERSION  0  (17.10.1)"]);
    assert!(!client.contains("SQL Server") && !client.contains("mismatch"));
    shows(
        &said(true),
        &["17.10.1, SQL Server 2025", "INSTOPT  2  (mismatch)"],
    );
}
