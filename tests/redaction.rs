//! Redacted captures: no secret of the original is in them, and the analysis comes to the same result.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use marstui::capture::{Capture, FrameSource, OpenOptions};
use marstui::decode::{self, field::Span};
use marstui::dissect::Dissector;
use marstui::export::{Choice, Format, Job, Options, Plan, Redaction, What};
use marstui::report::{self, Format as ReportFormat};
use marstui::store::Store;
use marstui::store::{PduFlags, PduKind};
use marstui::units::{FrameNo, PduId};
use marstui::{rules, track};
use serde_json::Value;

use crate::support::shared_or_skip;
use crate::wrapped;

/// Captures of all kinds that are small enough for every run.
const SOME: &[&str] = &[
    "a3-wiki-shape-rst-ack.client.pcapng",
    "b3-interleaved-sqlclient.server.pcap",
    "b6-transactions-odbc.client.pcapng",
    "d1-client-killed-mid-result.server.pcap",
    "f2-orderly-freetds-cursors-closed.client.pcapng",
    "g2-attention-mid-result.client.pcapng",
    "i1-login-only-tls-mars.client.pcapng",
    "j1-full-tls-mars.server.pcap",
    "k1-loss-reorder.client.pcapng",
    "l2-dribble.client.pcapng",
    "l4-offloads-on.client.pcapng",
    "l5-tiny-mtu-packed.client.pcapng",
    "o1-ipv6.server.pcap",
    "s1-linux-cooked.client.pcapng",
    "s1-linux-cooked.server.pcap",
    "x1-snaplen-128.client.pcap",
    "x2-joined-late.server.pcap",
    "x4-both-points-merged.both.pcapng",
    "x10-mixed.pcapng",
];

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
    let mut out = Vec::new();
    Job {
        store: &original.store,
        capture: &original.capture,
        plan: &plan,
        options: &options,
        rules: &rules::Settings::default(),
        stop: &AtomicBool::new(false),
        progress: &|_| (),
    }
    .write_to(&mut out)
    .unwrap();
    out
}

fn recorded(test: &str) -> Vec<PathBuf> {
    let mut files = vec![
        fixture("closes/V1.pcapng.zst"),
        fixture("near-misses/N07.pcapng.zst"),
        fixture("seed-client.pcapng.zst"),
    ];
    if let Some(shared) = shared_or_skip(test) {
        let folder = shared.join("captures/recorded");
        files.extend(
            SOME.iter()
                .map(|name| folder.join(name))
                .filter(|p| p.exists()),
        );
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
            assert!(there > 5, "{}: {there}", file.display());
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
            let (mut before, mut after) = (facts(&original.store), facts(&copy.store));
            let mut path = String::new();
            compare(
                &mut path,
                &mut before,
                &mut after,
                ports,
                &mut |at, a, b| {
                    wrong.push(format!("{} {at}: {a} is {b}", file.display()));
                },
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
        how => frames
            .iter()
            .map(|(time, frame)| (*time, wrapped::wrap(frame, how)))
            .collect(),
    };
    for how in [
        "IP in IP",
        "IP in IPv6",
        "GRE",
        "GRE with Ethernet",
        "VXLAN",
        "QinQ",
        "no length",
        "fragments",
    ] {
        let bytes = wrapped::pcap(&wrapped_as(how));
        let original = open(Capture::from_bytes("wrapped", bytes).unwrap());
        let bytes = redacted(&original, Format::Pcapng, false);
        let secrets = secrets(&original);
        assert!(secrets.len() > 10);
        let found = found(&bytes, &secrets);
        assert!(found.is_empty(), "{how}: {found:?} are in it");
        let copy = open(Capture::from_bytes("copy", bytes).unwrap());
        let (mut before, mut after) = (facts(&original.store), facts(&copy.store));
        let mut path = String::new();
        compare(
            &mut path,
            &mut before,
            &mut after,
            false,
            &mut |at, a, b| {
                panic!("{how} {at}: {a} is {b}");
            },
        );
        headers_are_the_same(&original, &copy);
    }
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
            texts.extend(names.into_iter().flatten().cloned());
            texts.extend(login.error.iter().map(|e| e.2.clone()));
        }
        texts.extend(conn.tls.iter().filter_map(|t| t.sni.clone()));
    }
    for request in opened.store.requests() {
        if request.kind == marstui::store::RequestKind::SqlBatch {
            texts.insert(request.text.to_string());
        }
        texts.extend(request.error.iter().map(|e| e.2.to_string()));
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
        secrets.insert(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        secrets.insert(text.into_bytes());
    }
    secrets
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

/// Compares two reports but for names: keys whose values are names, and texts about findings that quote them.
fn compare(
    path: &mut String,
    a: &mut Value,
    b: &mut Value,
    ports: bool,
    differs: &mut dyn FnMut(&str, &Value, &Value),
) {
    const NAMES: &[&str] = &[
        "host", "user", "app", "database", "sni", "path", "ip", "message",
    ];
    const FILE: &[&str] = &["format", "bytes", "offset", "file"];
    match (&mut *a, &mut *b) {
        (Value::Object(a), Value::Object(b)) => {
            let login = path.ends_with("/login");
            let request = path.contains("/requests/");
            let capture = path == "/capture" || path.starts_with("/capture/files");
            for (key, a) in a.iter_mut() {
                let name = NAMES.contains(&key.as_str())
                    || (login && key == "server")
                    || (request && key == "text")
                    || (ports && key == "port")
                    || (capture && FILE.contains(&key.as_str()))
                    || key == "problems";
                // A text that names addresses differs in them only; whole words are what can be compared.
                let quoted =
                    key == "text" || key == "fact" || key == "view_evidence" || key == "notes";
                let b = &mut b[key.as_str()];
                if name {
                    assert_eq!(a.is_null(), b.is_null(), "{path}/{key}");
                } else if !quoted || request {
                    let len = path.len();
                    path.push('/');
                    path.push_str(key);
                    compare(path, a, b, ports, differs);
                    path.truncate(len);
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter_mut().zip(b).enumerate() {
                let len = path.len();
                write!(path, "/{i}").unwrap();
                compare(path, a, b, ports, differs);
                path.truncate(len);
            }
        }
        (a, b) if a == b => {}
        (a, b) => differs(path, a, b),
    }
}
