//! Redacted captures: no secret of the original is in them, and the analysis comes to the same result.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use marstui::capture::{Capture, FrameSource, OpenOptions};
use marstui::decode::{self, field::Span};
use marstui::dissect::Dissector;
use marstui::export::{Choice, Format, Options, Plan, Redaction, What};
use marstui::report::{self, Format as ReportFormat};
use marstui::store::Store;
use marstui::store::{PduFlags, PduKind};
use marstui::units::{FrameNo, PduId, Side};
use marstui::{rules, track};
use serde_json::Value;

use crate::support::exporting::exported;
use crate::support::synth::cases;
use crate::support::synth::close::Form;
use crate::support::synth::conn::Conn;
use crate::support::synth::tds;
use crate::support::{shared_or_skip, skip};
use crate::wrapped;

/// Larger captures are left to their smaller siblings: a run of the tests has to end.
const LARGEST: u64 = 1 << 20;

struct Opened {
    capture: Capture,
    store: Store,
}

fn open(capture: Capture) -> Opened {
    let mut store = track::load(&capture);
    rules::judge(&mut store, &rules::Settings::default());
    Opened { capture, store }
}

fn redacted(original: &Opened, format: Format, ports: bool) -> Vec<u8> {
    let plan = Plan::new(&original.store, &Choice::of(What::All));
    let options = Options {
        redact: Some(Redaction { ports }),
        ..Options::of(format)
    };
    exported(&original.store, &original.capture, &plan, &options)
}

fn recorded(test: &str) -> Vec<PathBuf> {
    let mut files = vec![
        fixture("closes/V1.pcapng.zst"),
        fixture("near-misses/N07.pcapng.zst"),
        fixture("seed-client.pcapng.zst"),
    ];
    if let Some(shared) = shared_or_skip(test) {
        let folder = shared.join("captures/recorded");
        let all = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path());
        let captures = all.filter(|path| {
            let ending = path.extension().unwrap_or_default();
            (ending == "pcap" || ending == "pcapng") && path.metadata().unwrap().len() < LARGEST
        });
        files.extend(captures);
        assert!(files.len() > 50, "only {} captures", files.len());
        files.sort();
    }
    files
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

fn open_file(path: &Path) -> Opened {
    open(Capture::open(&[path.to_owned()], &OpenOptions::default()).unwrap())
}

#[test]
fn no_secret_of_the_original_is_in_the_redacted_bytes() {
    let mut searched = 0;
    for file in recorded("no_secret_of_the_original_is_in_the_redacted_bytes") {
        let original = open_file(&file);
        let secrets = secrets(&original);
        let bytes = redacted(&original, Format::Pcapng, false);
        searched += secrets.len();
        if file.extension().is_some_and(|ending| ending != "zst") {
            let there = found(&std::fs::read(&file).unwrap(), &secrets).len();
            assert!(there > 3, "{}: {there}", file.display());
        }
        let found = found(&bytes, &secrets);
        assert!(found.is_empty(), "{}: {found:?} are in it", file.display());
    }
    assert!(searched > 500, "only {searched} searches");
}

/// The secrets that are in the bytes, in words; all are looked for in one pass.
fn found(bytes: &[u8], secrets: &BTreeSet<Vec<u8>>) -> Vec<String> {
    let (long, short): (Vec<_>, Vec<_>) = secrets.iter().partition(|secret| secret.len() >= 8);
    let mut by_start: HashMap<[u8; 8], Vec<&[u8]>> = HashMap::new();
    for secret in long {
        by_start
            .entry(secret[..8].try_into().unwrap())
            .or_default()
            .push(secret);
    }
    let in_bytes = bytes.windows(8).enumerate().flat_map(|(at, start)| {
        let start: [u8; 8] = start.try_into().unwrap();
        let here = by_start.get(&start).map_or(&[][..], Vec::as_slice);
        here.iter()
            .filter(move |secret| bytes[at..].starts_with(secret))
    });
    let short = short.iter().map(|secret| secret.as_slice());
    let short = short.filter(|secret| memchr::memmem::find(bytes, secret).is_some());
    let all: BTreeSet<_> = in_bytes.copied().chain(short).collect();
    let words = |secret: &[u8]| format!("{:?} {secret:02x?}", String::from_utf8_lossy(secret));
    all.into_iter().map(words).collect()
}

#[test]
fn texts_made_with_redaction_name_nobody() {
    let original = open_file(&fixture("closes/V1.pcapng.zst"));
    for format in [
        Format::TicketText,
        Format::Listing,
        Format::Csv,
        Format::Requests,
        Format::Svg,
        Format::Ladder,
    ] {
        let text = String::from_utf8(redacted(&original, format, false)).unwrap();
        for secret in [
            "10.10.10.",
            "JOEWKS",
            "joe133",
            "SQLPROD1",
            "dbo.Note",
            "V1.pcapng",
        ] {
            assert!(
                !text.contains(secret),
                "{secret} is in the {}",
                format.name()
            );
        }
        assert!(
            text.contains("198.18.0.1") || format == Format::Requests,
            "{text}"
        );
    }
}

#[test]
fn the_analysis_of_the_redacted_capture_says_the_same_up_to_names() {
    let mut wrong = Vec::new();
    for file in recorded("the_analysis_of_the_redacted_capture_says_the_same_up_to_names") {
        let original = open_file(&file);
        for ports in [false, true] {
            let copy = open(
                Capture::from_bytes("copy", redacted(&original, Format::Pcapng, ports)).unwrap(),
            );
            let differences = differences(&original.store, &copy.store, ports);
            wrong.extend(
                differences
                    .iter()
                    .map(|d| format!("{} {d}", file.display())),
            );
            headers_are_the_same(&original, &copy);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn checksums_are_right_where_they_were() {
    use marstui::store::FrameFlags;
    for file in recorded("checksums_are_right_where_they_were") {
        let original = open_file(&file);
        let copy =
            open(Capture::from_bytes("copy", redacted(&original, Format::Pcapng, false)).unwrap());
        for (no, row) in original.store.frames_from(FrameNo(1)) {
            let now = copy.store.frame(no).unwrap().flags;
            if row.flags.has(FrameFlags::GOOD_CHECKSUM) {
                assert!(
                    now.has(FrameFlags::GOOD_CHECKSUM),
                    "{} frame {no}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn tunnels_and_tags_are_looked_through() {
    let frames = wrapped::frames_of("closes/V1.pcapng.zst");
    let wrapped_as = |how: &str| match how {
        "fragments" => wrapped::fragments(&frames),
        "fragments, the last first" => {
            let mut pieces = wrapped::fragments(&frames);
            for run in pieces.chunk_by_mut(|a, b| a.0 == b.0) {
                run.reverse();
            }
            pieces
        }
        how => frames
            .iter()
            .map(|(time, frame)| (*time, wrapped::wrap(frame, how)))
            .collect(),
    };
    let more = ["IPv6", "6in4", "fragments", "fragments, the last first"];
    for how in wrapped::WRAPPINGS.iter().chain(&more) {
        let bytes = wrapped::pcap(&wrapped_as(how));
        let original = open(Capture::from_bytes("wrapped", bytes.clone()).unwrap());
        let redacted = redacted(&original, Format::Pcapng, false);
        let secrets = secrets(&original);
        assert!(secrets.len() > 10);
        let found = found(&redacted, &secrets);
        assert!(found.is_empty(), "{how}: {found:?} are in it");
        let copy = open(Capture::from_bytes("copy", redacted.clone()).unwrap());
        let differences = differences(&original.store, &copy.store, false);
        assert!(differences.is_empty(), "{how}: {}", differences.join("\n"));
        headers_are_the_same(&original, &copy);
        if let Some(bad) = bad_checksums(&redacted) {
            assert_eq!(bad, bad_checksums(&bytes).unwrap(), "{how}");
        }
    }
}

/// A connection with sessions, indexed; `script` goes on behind the login.
fn scripted(script: impl FnOnce(&mut Conn)) -> Opened {
    let mut conn = cases::opened(Form::WindowsW, &[0, 1]);
    script(&mut conn);
    let bytes = conn.capture(Side::Client).to_pcapng();
    open(Capture::from_bytes("scripted", bytes).unwrap())
}

/// Redacts, looks for texts, and compares the reports.
fn hides(original: &Opened, texts: &[&str]) -> Opened {
    let bytes = redacted(original, Format::Pcapng, false);
    for text in texts {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for secret in [wide.as_slice(), text.as_bytes()] {
            let at = memchr::memmem::find(&bytes, secret);
            assert_eq!(at, None, "{text}");
        }
    }
    let copy = open(Capture::from_bytes("copy", bytes).unwrap());
    let differences = differences(&original.store, &copy.store, false);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    copy
}

#[test]
fn answers_longer_than_what_is_taken_apart_at_once_keep_their_shape() {
    let original = scripted(|conn| {
        let many = tds::result_of(3_000_000, 700, "A secret of many rows. ");
        conn.request(0, "select id, text from dbo.Big", &many);
        // One value of 2.5 MB in one row, in chunks; another row behind it.
        let mut one = vec![
            0x81, 1, 0, 0, 0, 0, 0, 9, 0, 0xa7, 0xff, 0xff, 9, 4, 0xd0, 0, 0x34, 1, b'c', 0,
        ];
        for pieces in [300, 1] {
            one.push(0xd1);
            one.extend((-2_i64).to_le_bytes());
            for _ in 0..pieces {
                let piece = "One secret value. ".repeat(480);
                one.extend(u32::try_from(piece.len()).unwrap().to_le_bytes());
                one.extend(piece.as_bytes());
            }
            one.extend(0_u32.to_le_bytes());
        }
        one.extend(tds::done(0xfd, 0x10, 0xc1, 2));
        conn.request(1, "select text from dbo.Blob", &one);
    });
    let copy = hides(&original, &["secret", "dbo.Big", "dbo.Blob"]);
    let rows = |opened: &Opened| -> Vec<_> {
        let requests = opened.store.requests();
        requests.map(|r| (r.end, r.rows, r.answer_bytes)).collect()
    };
    assert_eq!(rows(&original), rows(&copy));
    assert!(rows(&original).iter().any(|(.., bytes)| *bytes > 2_500_000));
}

#[test]
fn a_text_that_is_loaded_in_bulk_is_not_taken_for_tokens() {
    let original = scripted(|conn| {
        // Its length in front reads like a token that is kept: ORDER, of 64 bytes.
        for length in [0x40a9_u32, 0x00fd] {
            let text = "A secret text, loaded in bulk. ".repeat(20);
            let body = [&length.to_le_bytes()[..], text.as_bytes()].concat();
            conn.request(0, "insert bulk", &tds::done(0xfd, 0, 0, 0));
            conn.send_tds(Side::Client, 0, &tds::packet(7, 1, 0, 1, &body));
            conn.answer(0, &tds::done(0xfd, 0, 0, 0));
        }
    });
    hides(&original, &["secret", "loaded"]);
}

#[test]
fn encrypted_columns_and_names_in_rare_tokens_are_hidden() {
    let b = |text: &str| {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        [&[u8::try_from(text.len()).unwrap()][..], &wide].concat()
    };
    let us = |text: &str| {
        let long = b(text);
        [&u16::from(long[0]).to_le_bytes()[..], &long[1..]].concat()
    };
    let original = scripted(|conn| {
        // COLUMNENCRYPTION acknowledged, then a result with one key and one encrypted column.
        let acked = [0xae, 4, 1, 0, 0, 0, 1, 0xff];
        conn.request(
            0,
            "select 1",
            &[&acked[..], &tds::done(0xfd, 0, 0xc1, 0)].concat(),
        );
        let mut body = vec![0x81, 1, 0, 1, 0];
        body.extend([
            7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1,
        ]);
        let key = b"ENCRYPTED-KEY-BYTES";
        body.extend(u16::try_from(key.len()).unwrap().to_le_bytes());
        body.extend(key);
        body.extend(
            [
                b("KEY_STORE_NAME"),
                us("https://vault.corp/keys/CMK"),
                b("RSA_OAEP"),
            ]
            .concat(),
        );
        // The column: encrypted, varbinary; beneath it an nvarchar.
        body.extend([0, 0, 0, 0, 0, 0x08, 0xa5, 0x64, 0]);
        body.extend([0, 0, 0, 0, 0, 0, 0xe7, 100, 0, 9, 4, 0xd0, 0, 0x34, 2, 1, 1]);
        body.extend(b("SocialSecurity"));
        // TABNAME, and COLINFO with the name that the column has in its table.
        let table = [&[1][..], &us("PatientsTable")].concat();
        let info = [&[1, 1, 0x20][..], &b("BaseColumn")].concat();
        for (token, inside) in [(0xa4, table), (0xa5, info)] {
            body.push(token);
            body.extend(u16::try_from(inside.len()).unwrap().to_le_bytes());
            body.extend(inside);
        }
        body.extend([0xd1, 18, 0]);
        body.extend(b"CIPHERTEXT-OF-SSN.");
        body.extend(tds::done(0xfd, 0x10, 0xc1, 1));
        conn.request(0, "select SocialSecurity from dbo.Patients", &body);
        // Without keys, which is said too.
        let rows = tds::rows(2);
        let plain = [&rows[..3], &[0, 0], &rows[3..]].concat();
        conn.request(0, "select 2", &plain);
    });
    assert!(original.store.problems().is_empty());
    let copy = hides(
        &original,
        &[
            "ENCRYPTED-KEY",
            "KEY_STORE",
            "vault.corp",
            "RSA_OAEP",
            "SocialSecurity",
            "Patients",
            "BaseColumn",
            "CIPHERTEXT",
        ],
    );
    // All is understood: what follows is still told apart.
    let last = copy.store.requests().last().unwrap();
    let same = original.store.requests().last().unwrap();
    assert_eq!((last.end, last.rows), (same.end, Some(2)));
}

/// The numbers of the frames in which tshark finds a wrong checksum, packets put together; `None` without tshark.
fn bad_checksums(capture: &[u8]) -> Option<Vec<String>> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(capture).unwrap();
    let mut command = std::process::Command::new("tshark");
    for protocol in ["ip", "tcp", "udp"] {
        command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    command.args(["-d", "udp.port==8472,vxlan", "-r"]);
    command.arg(file.path());
    let bad = "ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0";
    command.args(["-Y", bad, "-T", "fields", "-e", "frame.number"]);
    let Ok(output) = command.output() else {
        skip("wrong checksums", "tshark is not installed");
        return None;
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.lines().map(str::to_owned).collect())
}

/// Times, lengths and TCP numbers are those of the original, frame by frame.
fn headers_are_the_same(original: &Opened, copy: &Opened) {
    assert_eq!(original.store.frame_count(), copy.store.frame_count());
    for (no, a) in original.store.frames_from(FrameNo(1)) {
        let b = copy.store.frame(no).unwrap();
        let key = |f: &marstui::store::FrameRow| {
            (
                f.time,
                f.captured,
                f.wire,
                f.seq,
                f.ack,
                f.payload_len,
                f.window,
                f.tcp_flags,
                f.ttl,
                f.ip_id,
            )
        };
        assert_eq!(key(&a), key(&b), "frame {no}");
    }
}

/// Names and texts of the capture as they stand in the bytes: one byte a character, UTF-16, addresses as numbers.
fn secrets(opened: &Opened) -> BTreeSet<Vec<u8>> {
    let mut texts = BTreeSet::new();
    let mut secrets = BTreeSet::new();
    for conn in opened.store.conns() {
        for end in &conn.ends.0 {
            texts.insert(end.ip.to_string());
            match end.ip {
                std::net::IpAddr::V4(ip) => secrets.insert(ip.octets().to_vec()),
                std::net::IpAddr::V6(ip) => secrets.insert(ip.octets().to_vec()),
            };
        }
        if let Some(login) = &conn.login {
            let names = [
                &login.host,
                &login.user,
                &login.app,
                &login.server,
                &login.database,
            ];
            texts.extend(names.into_iter().flatten().map(ToString::to_string));
            texts.extend(login.error.iter().map(|e| e.text.to_string()));
        }
        texts.extend(conn.tls.iter().filter_map(|t| t.sni.clone()));
    }
    for request in opened.store.requests() {
        if request.kind == marstui::store::RequestKind::SqlBatch {
            texts.insert(opened.store.text(request.text).to_owned());
        }
        texts.extend(request.error.iter().map(|e| e.text.to_string()));
    }
    let mut buf = Vec::new();
    for (_, row) in opened.store.frames_from(FrameNo(1)) {
        let link = opened.store.interface(row.interface).unwrap().link_type;
        if link == 1 {
            opened
                .capture
                .read_frame(row.interface, row.offset, row.captured, &mut buf)
                .unwrap();
            for mac in [buf.get(0..6), buf.get(6..12)].into_iter().flatten() {
                if mac[0] & 1 == 0 && mac != [0; 6] {
                    secrets.insert(mac.to_vec());
                }
            }
        }
    }
    contents(opened, &mut texts, &mut secrets);
    // One or two characters are found in any bytes.
    texts.retain(|t| t.chars().count() > 3);
    for text in texts {
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        secrets.insert(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
        for bytes in [wide, text.into_bytes()] {
            secrets.extend(spelled(&bytes));
            secrets.insert(bytes);
        }
    }
    secrets
}

/// Bytes as others may have written them down: in hex, and in base64 wherever they stand in what it encodes.
fn spelled(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let base64 = (0..3).map(|before| {
        let padded = [&vec![0; before], bytes].concat();
        let groups = padded
            .as_chunks::<3>()
            .0
            .iter()
            .skip(usize::from(before > 0));
        let text = groups.flat_map(|[a, b, c]| {
            let bits = u32::from_be_bytes([0, *a, *b, *c]);
            [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize])
        });
        text.collect::<Vec<u8>>()
    });
    let mut lower = String::new();
    for byte in bytes {
        write!(lower, "{byte:02x}").unwrap();
    }
    let hex = [lower.to_uppercase(), lower].map(String::into_bytes);
    let all: Vec<_> = base64.chain(hex).filter(|text| text.len() >= 8).collect();
    all.into_iter()
}

#[test]
fn the_search_for_secrets_finds_them_in_every_spelling() {
    let spellings: BTreeSet<_> = spelled(b"joe133@corp").collect();
    for text in [
        "6a6f6531333340636f7270",
        "key=am9lMTMzQGNvcnA=",
        "xam9lMTMzQGNvcnA",
        "user: eGpvZTEzM0Bjb3Jw",
    ] {
        assert_eq!(found(text.as_bytes(), &spellings).len(), 1, "{text}");
    }
    assert!(found(b"am9lMTM0QGNvcnA", &spellings).is_empty());
}

/// What messages hold: values of parameters and rows as they stand in the file, names in certificates.
fn contents(opened: &Opened, texts: &mut BTreeSet<String>, secrets: &mut BTreeSet<Vec<u8>>) {
    let options = marstui::dissect::Options {
        message: true,
        max_rows: 3,
        max_pdus: 4,
    };
    let mut dissector = Dissector::new();
    let mut looked_at = 0;
    for (id, pdu) in opened.store.pdus_from(PduId(0)) {
        let begins = pdu.flags.has(PduFlags::MESSAGE_START) || pdu.kind == PduKind::Tls;
        // The first messages of a capture are like all others.
        if !begins || looked_at > 150 {
            continue;
        }
        looked_at += 1;
        let mut fields = dissector.pdu(&opened.store, &opened.capture, id, &options);
        while let Some(field) = fields.pop() {
            match field.name {
                "x509.subject" | "x509.issuer" => {
                    if let decode::field::Value::Text(text) = &field.value {
                        texts.extend(text.split([',', '=']).map(|part| part.trim().to_owned()));
                    }
                }
                "tds.row.field" | "tds.rpc.parameter.value" => {
                    secrets.extend(field.spans.iter().filter_map(|span| value_in(opened, span)));
                }
                _ => {}
            }
            fields.extend(field.children);
        }
    }
}

/// The bytes of a value within one frame; short ones, and such with few different bytes, are found anywhere.
fn value_in(opened: &Opened, span: &Span) -> Option<Vec<u8>> {
    let row = opened.store.frame(span.frame)?;
    let mut bytes = Vec::new();
    opened
        .capture
        .read_frame(row.interface, row.offset, row.captured, &mut bytes)
        .ok()?;
    let value = bytes.get(span.bytes.clone())?;
    let different: BTreeSet<_> = value.iter().collect();
    (value.len() >= 8 && different.len() >= 5).then(|| value[..value.len().min(64)].to_vec())
}

fn facts(store: &Store) -> Value {
    let mut out = Vec::new();
    report::write(store, ReportFormat::Json, false, None, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

/// In what two reports differ but for names.
fn differences(before: &Store, after: &Store, ports: bool) -> Vec<String> {
    let mut comparison = Comparison {
        ports,
        ..Comparison::default()
    };
    comparison.compare("", &facts(before), &facts(after));
    comparison.quoted();
    comparison.wrong
}

/// What a name stands for: the stand-in of an address is another one, a server that is named by its address has a
/// name of the same length, and a port belongs to its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Address,
    Port,
    Other,
}

/// Two reports side by side: names are paired, everything else must be equal, and texts that quote names must be
/// equal with each name replaced by what it is paired with.
#[derive(Default)]
struct Comparison {
    ports: bool,
    names: BTreeMap<(String, Kind), String>,
    texts: Vec<(String, String, String)>,
    wrong: Vec<String>,
}

impl Comparison {
    fn compare(&mut self, path: &str, a: &Value, b: &Value) {
        match (a, b) {
            (Value::Object(a), Value::Object(b)) => {
                assert!(a.keys().eq(b.keys()), "{path}");
                for ((key, a), b) in a.iter().zip(b.values()) {
                    self.member(path, key, a, b);
                }
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (i, (a, b)) in a.iter().zip(b).enumerate() {
                    self.compare(&format!("{path}/{i}"), a, b);
                }
            }
            (a, b) if a == b => {}
            (a, b) => self.wrong.push(format!("{path}: {a} is {b}")),
        }
    }

    fn member(&mut self, path: &str, key: &str, a: &Value, b: &Value) {
        const NAMES: &[&str] = &[
            "host", "user", "app", "database", "sni", "ip", "message", "proc",
        ];
        // What a file is, and what is wrong with it, is not taken over by a copy.
        const OF_THE_FILE: &[&str] = &["format", "bytes", "offset", "file", "path", "problems"];
        const QUOTING: &[&str] = &["text", "fact", "view_evidence", "notes"];
        let request = path.contains("/requests/");
        let name = NAMES.contains(&key)
            || (path.ends_with("/login") && key == "server")
            || (request && key == "text")
            || (self.ports && key == "port");
        let capture = path == "/capture" || path.starts_with("/capture/files");
        let here = format!("{path}/{key}");
        if capture && OF_THE_FILE.contains(&key) {
            return;
        }
        let word = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if name {
            assert_eq!(a.is_null(), b.is_null(), "{here}");
            let (a, b) = (word(a), word(b));
            let kind = match key {
                "ip" => Kind::Address,
                "port" => Kind::Port,
                _ => Kind::Other,
            };
            let known = self.names.entry((a.clone(), kind));
            let known = known.or_insert_with(|| b.clone());
            // The same port of two hosts is two ports; everything else has one name.
            if *known != b && kind != Kind::Port {
                let known = known.clone();
                self.wrong.push(format!("{here}: {a} is {known}, and {b}"));
            }
        } else if QUOTING.contains(&key) && a.is_string() {
            self.texts.push((here, word(a), word(b)));
        } else if QUOTING.contains(&key) {
            self.texts.push((here, a.to_string(), b.to_string()));
        } else {
            self.compare(&here, a, b);
        }
    }

    /// Compares the texts, with the names that are in them, the longest first.
    fn quoted(&mut self) {
        let names = self.names.iter().map(|((a, kind), b)| (a, kind, b));
        let mut names: Vec<_> = names.filter(|(a, ..)| a.len() > 1).collect();
        names.sort_by_key(|(a, kind, _)| (std::cmp::Reverse(a.len()), *kind));
        for (path, a, b) in &self.texts {
            // Through marks, so that no stand-in is taken for a name.
            let mut expected = a.clone();
            for (i, (name, ..)) in names.iter().enumerate() {
                expected = expected.replace(name.as_str(), &format!("\u{1}{i}\u{2}"));
            }
            for (i, (.., stand_in)) in names.iter().enumerate() {
                expected = expected.replace(&format!("\u{1}{i}\u{2}"), stand_in);
            }
            if expected != *b {
                self.wrong.push(format!("{path}: {a} is {b}"));
            }
        }
    }
}
