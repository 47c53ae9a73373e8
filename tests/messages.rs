//! Messages made byte by byte: every kind of request, and the tokens that the specification's samples lack.

use marstui::decode::field::{Field, Value};
use marstui::decode::sspi::{self, Token};
use marstui::decode::tds::Version;
use marstui::decode::tds::message::{self, Context, Message};
use marstui::decode::walk::Walk;

/// Bytes of a message, put together.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(mut self, text: &str) -> Self {
        for unit in text.encode_utf16() {
            self.0.extend(unit.to_le_bytes());
        }
        self
    }

    fn b_varchar(self, text: &str) -> Self {
        let len = u8::try_from(text.encode_utf16().count()).unwrap();
        self.raw(&[len]).text(text)
    }

    fn us_varchar(self, text: &str) -> Self {
        let len = u16::try_from(text.encode_utf16().count()).unwrap();
        self.raw(&len.to_le_bytes()).text(text)
    }

    fn all_headers(self) -> Self {
        self.raw(&[0x16, 0, 0, 0, 0x12, 0, 0, 0, 2, 0])
            .raw(&[0; 8])
            .raw(&[1, 0, 0, 0])
    }

    /// A parameter of type nvarchar(4000).
    fn nvarchar(self, name: &str, text: &str) -> Self {
        let len = u16::try_from(text.encode_utf16().count() * 2).unwrap();
        self.b_varchar(name)
            .raw(&[0, 0xe7, 0x40, 0x1f, 9, 4, 0xd0, 0, 0x34])
            .raw(&len.to_le_bytes())
            .text(text)
    }

    fn int(self, name: &str, status: u8, value: i32) -> Self {
        self.b_varchar(name)
            .raw(&[status, 0x26, 4, 4])
            .raw(&value.to_le_bytes())
    }
}

fn decode(kind: u8, bytes: &Bytes, version: Version) -> Message {
    let context = Context {
        version,
        from_server: kind == 4,
        ..Context::default()
    };
    message::decode(kind, &bytes.0, 0, &context)
}

fn answer(bytes: &Bytes) -> Message {
    let message = decode(4, bytes, Version::V74);
    assert_eq!(message.stop, None);
    message
}

fn find<'a>(fields: &'a [Field], name: &str) -> &'a Field {
    fields
        .iter()
        .find_map(|field| field.find(name))
        .unwrap_or_else(|| panic!("no {name} in {fields:#?}"))
}

#[test]
fn a_call_reads_as_t_sql() {
    let bytes = Bytes::default()
        .all_headers()
        .raw(&[0xff, 0xff, 10, 0, 0, 0])
        .nvarchar("", "select * from t where a = @p1 and b = @p2")
        .nvarchar("", "@p1 int, @p2 nvarchar(10)")
        .int("@p1", 0, 5)
        .nvarchar("@p2", "it's");
    let message = decode(3, &bytes, Version::V74);
    assert_eq!(message.stop, None);
    assert_eq!(
        message.sql,
        [
            "exec sp_executesql N'select * from t where a = @p1 and b = @p2', \
          N'@p1 int, @p2 nvarchar(10)', @p1 = 5, @p2 = N'it''s'"
        ]
    );
    assert_eq!(
        find(&message.fields, "tds.rpc.proc_id").value,
        Value::UInt(10)
    );
}

#[test]
fn several_calls_stand_in_one_message_in_both_spellings() {
    let call = |bytes: Bytes| bytes.us_varchar("p").raw(&[0, 0]).int("@o", 1, 7);
    let new = call(call(Bytes::default().all_headers()).raw(&[0xff]));
    let old = call(call(Bytes::default()).raw(&[0x80]));
    for (bytes, version) in [(new, Version::V74), (old, Version::V71R1)] {
        let message = decode(3, &bytes, version);
        assert_eq!(message.stop, None, "{version}");
        assert_eq!(message.sql, ["exec p @o = 7 output"; 2], "{version}");
    }
}

#[test]
fn transactions_name_what_they_do() {
    let begin = Bytes::default().all_headers().raw(&[5, 0, 2, 4]).text("tx");
    let message = decode(14, &begin, Version::V74);
    assert_eq!(message.sql, ["TM_BEGIN_XACT, read committed tx"]);
    let commit = Bytes::default().all_headers().raw(&[7, 0, 0, 1, 4, 0]);
    let message = decode(14, &commit, Version::V74);
    assert_eq!(message.sql, ["TM_COMMIT_XACT, then begin, serializable"]);
}

#[test]
fn settings_that_change_are_read_in_all_their_forms() {
    let bytes = Bytes::default()
        // Begin transaction: eight bytes.
        .raw(&[0xe3, 11, 0, 8, 8, 1, 0, 0, 0, 0x33, 0, 0, 0, 0])
        // Promote: the length covers the type alone.
        .raw(&[0xe3, 1, 0, 15, 3, 0, 0, 0, 9, 9, 9, 0])
        // Routing to another server.
        .raw(&[0xe3, 14, 0, 20, 9, 0, 0, 0x99, 5, 2, 0])
        .text("ab")
        .raw(&[0, 0])
        .raw(&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let message = answer(&bytes);
    let words: Vec<_> = message.fields.iter().map(|f| f.text.as_str()).collect();
    assert_eq!(words[0], "Begin Transaction: transaction 0x3300000001");
    assert_eq!(words[1], "Promote Transaction");
    assert!(words[2].ends_with("ab:1433"), "{words:?}");
}

#[test]
fn tokens_from_before_7_2_have_narrow_numbers() {
    let bytes = Bytes::default()
        .raw(&[0xaa, 20, 0, 1, 0, 0, 0, 1, 16])
        .us_varchar("bad")
        .b_varchar("s")
        .b_varchar("")
        .raw(&[7, 0])
        .raw(&[0xfd, 2, 0, 0xc1, 0, 3, 0, 0, 0]);
    let message = decode(4, &bytes, Version::V71R1);
    assert_eq!(message.stop, None);
    assert_eq!(message.fields[0].text, "1, class 16: bad");
    assert_eq!(
        find(&message.fields, "tds.done.donerowcount").value,
        Value::UInt(3)
    );
}

#[test]
fn output_parameters_and_rows_with_nulls_are_values() {
    let bytes = Bytes::default()
        .raw(&[0x81, 2, 0])
        .raw(&[0, 0, 0, 0, 9, 0, 0x26, 4])
        .b_varchar("a")
        .raw(&[0, 0, 0, 0, 9, 0, 0xa7, 10, 0, 0x19, 4, 0, 0, 0])
        .b_varchar("b")
        .raw(&[0xd2, 1, 2, 0, 0xcf, 0xf0])
        .raw(&[0xac, 0, 0])
        .b_varchar("@x")
        .raw(&[1, 0, 0, 0, 0, 0, 0, 0x6c, 9, 10, 2, 5, 0, 0x39, 0x30, 0, 0])
        .raw(&[0x79, 0xff, 0xff, 0xff, 0xff])
        .raw(&[0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let message = answer(&bytes);
    let row = &message.grids[0].rows[0];
    assert!(row[0].null);
    // Cyrillic letters of code page 1251.
    assert_eq!(row[1].text, "\u{41f}\u{440}");
    assert_eq!(
        find(&message.fields, "tds.returnvalue").text,
        "@x = -123.45"
    );
    assert_eq!(
        find(&message.fields, "tds.returnstatus.value").value,
        Value::Int(-1)
    );
}

#[test]
fn rows_beyond_the_limit_are_counted_not_kept() {
    let mut bytes = Bytes::default()
        .raw(&[0x81, 1, 0, 0, 0, 0, 0, 8, 0, 0x38])
        .b_varchar("n");
    for n in 0..50_u8 {
        bytes = bytes.raw(&[0xd1, n, 0, 0, 0]);
    }
    let context = Context {
        from_server: true,
        max_rows: 10,
        ..Context::default()
    };
    let message = message::decode(4, &bytes.0, 0, &context);
    assert_eq!(message.stop, None);
    assert_eq!(message.grids[0].rows.len(), 10);
    assert_eq!(message.grids[0].more, 40);
    assert_eq!(find(&message.fields, "tds.more").text, "40 more rows");
}

/// An AUTHENTICATE message for CONTOSO\joe133 on JOEWKS with a response of version 2.
fn authenticate() -> Vec<u8> {
    let parts: [&[u8]; 5] = [
        b"C\0O\0N\0T\0O\0S\0O\0",
        b"j\0o\0e\x001\x003\x003\0",
        b"J\0O\0E\0W\0K\0S\0",
        &[0xaa; 24],
        &[0xbb; 60],
    ];
    let mut at = 88_u32;
    let mut slots = Vec::new();
    for part in parts {
        let len = u16::try_from(part.len()).unwrap();
        let mut slot = len.to_le_bytes().to_vec();
        slot.extend(len.to_le_bytes());
        slot.extend(at.to_le_bytes());
        slots.push(slot);
        at += u32::from(len);
    }
    let mut bytes = b"NTLMSSP\0\x03\0\0\0".to_vec();
    for slot in [3, 4, 0, 1, 2] {
        bytes.extend(&slots[slot]);
    }
    bytes.extend([0; 8]);
    bytes.extend(0x0000_0001_u32.to_le_bytes());
    bytes.extend([10, 0, 0x61, 0x4a, 0, 0, 0, 15]);
    bytes.extend([0xcc; 16]);
    for part in parts {
        bytes.extend(part);
    }
    bytes
}

#[test]
fn ntlm_shows_names_and_masks_what_can_be_cracked() {
    let token = authenticate();
    assert_eq!(sspi::recognise(&token), Token::Ntlm(3));
    let (domain, user, host, v2) = sspi::authenticate_names(&token).unwrap();
    assert_eq!(
        (domain.as_str(), user.as_str(), host.as_str(), v2),
        ("CONTOSO", "joe133", "JOEWKS", true)
    );
    let mut w = Walk::new(&token, 0);
    let result = sspi::fields(&mut w);
    let fields = w.finish(result).fields;
    assert_eq!(
        find(&fields, "ntlmssp.auth.username").value,
        Value::Text("joe133".to_owned())
    );
    assert_eq!(
        find(&fields, "ntlmssp.version").value,
        Value::Text("Windows 10.0.19041".to_owned())
    );
    // Both responses and the MIC, and nothing of their bytes anywhere.
    let secrets = sspi::secret_ranges(&token);
    assert_eq!(
        secrets.iter().map(std::ops::Range::len).sum::<usize>(),
        24 + 60 + 16
    );
    let shown = format!("{fields:?}");
    assert!(!shown.contains("170, 170") && !shown.contains("187, 187"));
}

#[test]
fn spnego_and_kerberos_are_told_apart() {
    let mut negotiate = vec![
        0x60, 40, 6, 6, 0x2b, 6, 1, 5, 5, 2, 0xa0, 30, 0x30, 28, 0xa0, 14, 0x30, 12, 6, 10,
    ];
    negotiate.extend([0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 2, 0x0a]);
    assert_eq!(sspi::recognise(&negotiate), Token::Spnego);
    let mut w = Walk::new(&negotiate, 0);
    let result = sspi::fields(&mut w);
    let fields = w.finish(result).fields;
    assert_eq!(
        find(&fields, "spnego.mech").value,
        Value::Text("NTLM".to_owned())
    );
    // AP-REQ: realm and service are readable, the rest of the ticket is not.
    let der = |tag: u8, content: &[u8]| {
        let mut out = vec![tag, u8::try_from(content.len()).unwrap()];
        out.extend(content);
        out
    };
    let names = [der(0x1b, b"MSSQLSvc"), der(0x1b, b"sql:1433")].concat();
    let sname = der(
        0xa2,
        &der(
            0x30,
            &[der(0xa0, &[2, 1, 2]), der(0xa1, &der(0x30, &names))].concat(),
        ),
    );
    let realm = der(0xa1, &der(0x1b, b"CONTOSO"));
    let ticket = der(
        0x61,
        &der(0x30, &[der(0xa0, &[2, 1, 5]), realm, sname].concat()),
    );
    let request = der(
        0x6e,
        &der(0x30, &[der(0xa0, &[2, 1, 5]), der(0xa3, &ticket)].concat()),
    );
    let mut inner = vec![6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2, 1, 0];
    inner.extend(request);
    let token = der(0x60, &inner);
    assert_eq!(sspi::recognise(&token), Token::Kerberos);
    let mut w = Walk::new(&token, 0);
    let result = sspi::fields(&mut w);
    let fields = w.finish(result).fields;
    assert_eq!(
        find(&fields, "kerberos.realm").value,
        Value::Text("CONTOSO".to_owned())
    );
    assert_eq!(
        find(&fields, "kerberos.sname").value,
        Value::Text("MSSQLSvc/sql:1433".to_owned())
    );
}
