//! Passwords of the recorded logins, and other secrets, in every view: they are nowhere to be read, found or copied.
//! What the secrets are is read from the frames here, without the decoders.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use marstui::capture::{Capture, FrameSource, OpenOptions};
use marstui::decode::field::Value;
use marstui::dissect::stream::Frames;
use marstui::dissect::{Dissector, Options, render};
use marstui::export::{self, Choice, Plan, What};
use marstui::query::find::{Find, Needle};
use marstui::query::{self, Dissected, Eval};
use marstui::store::{PduFlags, Store};
use marstui::units::{FrameNo, PduId, StreamPos};
use marstui::{rules, track};

use crate::support::exporting::{exported, reports};
use crate::support::pty::Terminal;
use crate::support::shared_or_skip;

const LOGIN7: u8 = 16;

/// A secret of a login: where it stands, as it is on the wire, and what it means.
struct Secret {
    frames: Vec<FrameNo>,
    wire: Vec<u8>,
    clear: String,
}

struct Opened {
    name: String,
    path: PathBuf,
    capture: Capture,
    store: Store,
}

fn captures(test: &str) -> Vec<Opened> {
    let Some(folder) = shared_or_skip(test) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for part in ["captures/recorded", "captures/public/tds"] {
        for entry in fs::read_dir(folder.join(part)).unwrap() {
            let path = entry.unwrap().path();
            let size = path.metadata().unwrap().len();
            // The same drivers log in in the large ones.
            if path
                .extension()
                .is_some_and(|e| e == "pcap" || e == "pcapng")
                && size < 3 << 20
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files.into_iter().map(open).collect()
}

fn open(path: PathBuf) -> Opened {
    let capture = Capture::open(std::slice::from_ref(&path), &OpenOptions::default()).unwrap();
    let mut store = track::load(&capture);
    rules::judge(&mut store, &rules::Settings::default());
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Opened {
        name,
        path,
        capture,
        store,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> usize {
    usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

/// Password and new password of every LOGIN7 in a capture.
fn secrets(opened: &Opened) -> Vec<Secret> {
    let store = &opened.store;
    let mut frames = Frames::new(store, &opened.capture);
    let mut found = Vec::new();
    for index in 0..store.pdu_count() {
        let pdu = store.pdu(PduId::from_index(index)).unwrap();
        if pdu.tds_type != LOGIN7 || !pdu.carries_tds() || !pdu.flags.has(PduFlags::MESSAGE_START) {
            continue;
        }
        let stretch = frames.stretch(&pdu, StreamPos(pdu.pos.0 + 8), pdu.len - 8);
        let body = &stretch.bytes;
        for place in [44, 86] {
            // The new password came with TDS 7.2.
            let version = u32::from_le_bytes(body[4..8].try_into().unwrap());
            if body.len() < 94 || (place == 86 && version < 0x7209_0002) {
                continue;
            }
            let (at, chars) = (u16_at(body, place), u16_at(body, place + 2));
            let Some(wire) = body.get(at..at + 2 * chars).filter(|wire| !wire.is_empty()) else {
                continue;
            };
            let clear: Vec<u8> = wire.iter().map(|b| (b ^ 0xa5).rotate_left(4)).collect();
            let units: Vec<u16> = clear
                .chunks_exact(2)
                .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
                .collect();
            found.push(Secret {
                frames: (pdu.first_frame.0..=pdu.frame.0).map(FrameNo).collect(),
                wire: wire.to_vec(),
                clear: String::from_utf16(&units).unwrap(),
            });
        }
    }
    found
}

fn hex(bytes: &[u8], between: &str) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(between)
}

/// Every way in which a secret could stand in a text.
fn readings(secret: &Secret) -> Vec<String> {
    let utf16: Vec<u8> = secret
        .clear
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut all = Vec::new();
    // One public login has a password that is a word like any other ("host").
    if secret.clear.len() > 5 {
        all.push(secret.clear.clone());
    }
    for bytes in [&secret.wire, &utf16] {
        all.push(hex(bytes, ""));
        all.push(hex(bytes, " "));
        all.push(hex(bytes, ":"));
        all.push(format!("{bytes:?}"));
    }
    all
}

fn check(text: &str, secret: &Secret, what: &str) {
    for reading in readings(secret) {
        assert!(!text.contains(&reading), "{what} shows {reading:?}");
    }
}

#[test]
fn no_view_of_a_login_shows_its_password() {
    let mut logins = 0;
    let mut passwords = BTreeSet::new();
    for opened in captures("no_view_of_a_login_shows_its_password") {
        let (store, capture) = (&opened.store, &opened.capture);
        let mut dissector = Dissector::new();
        for secret in secrets(&opened) {
            logins += 1;
            passwords.insert(secret.clear.clone());
            for no in &secret.frames {
                for message in [false, true] {
                    let options = Options {
                        message,
                        ..Options::default()
                    };
                    let tree = dissector.frame(store, capture, *no, &options).unwrap();
                    check(&render::text(&tree), &secret, &opened.name);
                    check(&render::json(&tree).to_string(), &secret, &opened.name);
                }
                let lines = dissector.info_line(store, capture, *no)
                    + &dissector.listing_line(store, capture, *no);
                check(&lines, &secret, &opened.name);
                // The bytes pane blanks these ranges; no more than two neighbouring bytes of the secret may be left.
                let row = store.frame(*no).unwrap();
                let mut bytes = Vec::new();
                capture
                    .read_frame(row.interface, row.offset, row.captured, &mut bytes)
                    .unwrap();
                for range in dissector.secret_ranges(store, capture, *no) {
                    bytes[range].fill(0);
                }
                for part in secret.wire.windows(4) {
                    let left = memchr::memmem::find(&bytes, part);
                    assert_eq!(left, None, "{} frame {no}", opened.name);
                }
            }
        }
    }
    assert!(logins == 0 || logins > 60, "only {logins} logins");
    assert!(
        passwords.iter().all(|clear| clear.len() >= 4),
        "{passwords:?}"
    );
}

#[test]
fn find_and_filter_never_hit_a_password() {
    let mut searched = 0;
    let captures = captures("find_and_filter_never_hit_a_password");
    for opened in &captures {
        let Some(secret) = secrets(opened).into_iter().next() else {
            continue;
        };
        if opened.store.frame_count() > 200 {
            continue;
        }
        searched += 1;
        let decoder = Dissected::new(&opened.capture);
        let eval = Eval::of(&opened.store);
        let utf16: Vec<u8> = secret
            .clear
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let context = query::Context::default();
        let needles = [
            Needle::Bytes(secret.wire.clone()),
            Needle::Bytes(secret.wire[..4].to_vec()),
            Needle::Bytes(utf16),
            Needle::parse(&format!("\"{}\"", secret.clear), &context).unwrap(),
            Needle::parse(
                &format!("filter:tds.7login.password == \"{}\"", secret.clear),
                &context,
            )
            .unwrap(),
        ];
        for needle in needles {
            let shown = format!("{needle:?}");
            let mut hits = Vec::new();
            let mut find = Find::new(needle);
            while !find
                .step(&eval, &decoder, &mut || false, &mut |frames| {
                    hits.extend(frames.to_vec());
                })
                .done
            {}
            // By chance the same bytes may stand in an encrypted or compressed place; never in the login.
            hits.retain(|hit| secret.frames.contains(hit));
            assert!(hits.is_empty(), "{}: {shown} hits {hits:?}", opened.name);
        }
    }
    assert!(
        captures.is_empty() || searched > 20,
        "only {searched} captures"
    );
}

#[test]
fn reports_and_exports_of_text_hold_no_password() {
    let mut texts = 0;
    for opened in captures("reports_and_exports_of_text_hold_no_password") {
        let Some(secret) = secrets(&opened).into_iter().next() else {
            continue;
        };
        let small = opened.store.frame_count() < 300;
        if !small && texts > 40 {
            continue;
        }
        let mut check_bytes = |bytes: Vec<u8>, what: &str| {
            texts += 1;
            let text = String::from_utf8_lossy(&bytes);
            check(&text, &secret, &format!("{} as {what}", opened.name));
        };
        for (format, out) in reports(&opened.store) {
            check_bytes(out, &format!("{format:?}"));
        }
        let plan = Plan::new(&opened.store, &Choice::of(What::All));
        for format in export::Format::ALL {
            if format.is_capture() {
                continue;
            }
            let options = export::Options::of(format);
            let out = exported(&opened.store, &opened.capture, &plan, &options);
            check_bytes(out, format.name());
        }
    }
    assert!(texts == 0 || texts > 100, "only {texts} texts");
}

#[test]
fn the_bytes_pane_and_copies_hold_no_password() {
    let Some(folder) = shared_or_skip("the_bytes_pane_and_copies_hold_no_password") else {
        return;
    };
    let opened = open(folder.join("captures/recorded/f1-orderly-freetds.client.pcapng"));
    let secret = &secrets(&opened)[0];
    let file = opened.path.to_str().unwrap();
    let mut term = Terminal::start((160, 60), &["--no-state", "--no-osc52", file], &[]);
    let frame = secret.frames[0];
    term.press(&format!(":{frame}\r"));
    term.wait_for("Login7");
    term.press("b");
    term.press("yh");
    term.press("yr");
    term.press("z");
    let screen = term.screen();
    let written = String::from_utf8_lossy(&term.raw()).into_owned();
    for text in [&screen, &written] {
        check(text, secret, "the screen");
        // A line of the pane holds 16 bytes; a secret that is longer than that is cut.
        for part in secret.wire.windows(6) {
            assert!(!text.contains(&hex(part, " ")), "{text}");
            assert!(!text.contains(&hex(part, "")), "{text}");
        }
    }
    term.press("qq");
}

// Secrets that no recorded login has.

fn login7_with(extension: &[u8], password: &[u8], new_password: &[u8]) -> Vec<u8> {
    let mut fixed = vec![0_u8; 94];
    fixed[4..8].copy_from_slice(&0x7400_0004_u32.to_le_bytes());
    fixed[27] = 0x11;
    let mut data = Vec::new();
    let mut place = |at: usize, bytes: &[u8], unit: usize| {
        let offset = u16::try_from(94 + data.len()).unwrap().to_le_bytes();
        let len = u16::try_from(bytes.len() / unit).unwrap().to_le_bytes();
        fixed[at..at + 2].copy_from_slice(&offset);
        fixed[at + 2..at + 4].copy_from_slice(&len);
        data.extend(bytes);
    };
    place(36, b"h\0", 2);
    place(44, password, 2);
    place(86, new_password, 2);
    // The extension: four bytes that say where the features stand, right behind.
    let behind = u32::try_from(94 + 2 + password.len() + new_password.len() + 4).unwrap();
    place(56, &behind.to_le_bytes(), 1);
    data.extend(extension);
    let mut login = [fixed, data].concat();
    let len = u32::try_from(login.len()).unwrap().to_le_bytes();
    login[..4].copy_from_slice(&len);
    login
}

fn shown(kind: u8, body: &[u8]) -> (String, Vec<u8>) {
    use marstui::decode::tds::message;
    let context = message::Context {
        from_server: kind == 4,
        ..message::Context::default()
    };
    let message = message::decode(kind, body, 0, &context);
    assert_eq!(message.stop, None);
    let mut out = String::new();
    render::outline(&message.fields, 0, &mut out);
    let mut left = body.to_vec();
    for field in &message.fields {
        field.walk(&mut |field| {
            if let Value::Secret(_) = field.value {
                for span in &field.spans {
                    left[span.bytes.clone()].fill(0);
                }
            }
        });
    }
    (out, left)
}

fn hidden(kind: u8, body: &[u8], secrets: &[&[u8]]) -> String {
    let (text, left) = shown(kind, body);
    for secret in secrets {
        assert!(memchr::memmem::find(body, secret).is_some());
        assert!(memchr::memmem::find(&left, secret).is_none(), "{text}");
        assert!(!text.contains(&hex(secret, "")), "{text}");
        assert!(
            !text.contains(&String::from_utf8_lossy(secret).into_owned()),
            "{text}"
        );
    }
    text
}

#[test]
fn passwords_tokens_and_recovery_data_of_a_login_are_masked() {
    let mut features = vec![0x02];
    // FEDAUTH with a security token: library 1 and echo, length, token.
    features.extend(21_u32.to_le_bytes());
    features.push(3);
    features.extend(16_u32.to_le_bytes());
    features.extend(b"SECRETTOKEN12345");
    features.push(0x01);
    features.extend(12_u32.to_le_bytes());
    features.extend(b"RECOVERYDATA");
    features.push(0xff);
    let login = login7_with(&features, b"OBFUSCATED-PW.", b"CHANGED-PASSWD");
    let text = hidden(
        16,
        &login,
        &[
            b"OBFUSCATED-PW.",
            b"CHANGED-PASSWD",
            b"SECRETTOKEN12345",
            b"RECOVERYDATA",
        ],
    );
    assert!(
        text.contains("password") && text.contains("FEDAUTH"),
        "{text}"
    );
}

#[test]
fn tokens_of_federated_authentication_are_masked() {
    let token = b"eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9";
    let mut body = u32::try_from(token.len() + 4)
        .unwrap()
        .to_le_bytes()
        .to_vec();
    body.extend(u32::try_from(token.len()).unwrap().to_le_bytes());
    body.extend(token);
    hidden(8, &body, &[token]);
}

#[test]
fn state_of_sessions_and_acknowledged_recovery_data_are_masked() {
    let mut body = vec![0xe4, 17, 0, 0, 0, 1, 0, 0, 0, 1, 9, 10];
    body.extend(b"STATEVALUE");
    body.extend([0xae, 0x01, 9, 0, 0, 0]);
    body.extend(b"ACKEDDATA");
    body.extend([0x02, 8, 0, 0, 0]);
    body.extend(b"SIGNATUR");
    body.push(0xff);
    body.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let text = hidden(4, &body, &[b"STATEVALUE", b"ACKEDDATA", b"SIGNATUR"]);
    assert!(text.contains("SESSIONRECOVERY"), "{text}");
}
