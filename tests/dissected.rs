//! Whole captures, frame by frame: every frame has a tree, a line and a listing line, and opens at once.

use std::fs;
use std::path::{Path, PathBuf};

use marstui::capture::{Capture, FrameSource, OpenOptions};
use marstui::decode::field::{Field, UNPLACED, Value};
use marstui::decode::registry;
use marstui::dissect::{Dissector, FrameTree, Options, frame, render};
use marstui::store::{PduFlags, PduKind, Store};
use marstui::track;
use marstui::units::{FrameNo, Side};

use crate::support::shared_or_skip;
use crate::support::synth::cases;
use crate::support::synth::close::Form;
use crate::support::synth::tds;

fn open(file: &Path) -> (Capture, Store) {
    let capture = Capture::open(&[file.to_path_buf()], &OpenOptions::default()).unwrap();
    let store = track::load(&capture);
    (capture, store)
}

fn recorded(test: &str) -> Vec<PathBuf> {
    let Some(folder) = shared_or_skip(test) else {
        return Vec::new();
    };
    let mut files: Vec<_> = fs::read_dir(folder.join("captures/recorded"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|e| e == "pcap" || e == "pcapng")
        })
        .collect();
    files.sort();
    files
}

fn walk<'a>(tree: &'a FrameTree, mut visit: impl FnMut(&'a Field)) {
    for field in &tree.fields {
        field.walk(&mut visit);
    }
}

/// What must be true of every tree.
fn check_tree(store: &Store, tree: &FrameTree, wrong: &mut Vec<String>) {
    walk(tree, |field| {
        if !field.name.is_empty() && registry::find(field.name).is_none() {
            wrong.push(format!("{} is not in the registry", field.name));
        }
        for span in &field.spans {
            let inside = span.frame != UNPLACED
                && store
                    .frame(span.frame)
                    .is_some_and(|row| span.bytes.end <= row.captured as usize);
            if !inside || span.bytes.start > span.bytes.end {
                wrong.push(format!("{} lies outside: {span:?}", field.name));
            }
        }
        for link in &field.links {
            if store.frame(*link).is_none() {
                wrong.push(format!("{} leads to no frame", field.name));
            }
        }
    });
}

/// Captures in which answers break off (a killed end, a cancelled request, a reset) or bytes are missing: only
/// there a message may end before its last token does.
const STOPS: &[&str] = &[
    "d1", "d6", "e1", "e3", "h2", "h3", "k1", "m1", "x10", "x2", "x5",
];

#[test]
fn every_frame_of_the_recorded_captures_opens() {
    let mut wrong = Vec::new();
    for file in recorded("every_frame_of_the_recorded_captures_opens") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let (capture, store) = open(&file);
        let mut dissector = Dissector::new();
        // Of the larger captures every so many frames.
        let step = (store.frame_count() / 250).max(1);
        for no in (1..=store.frame_count()).step_by(step) {
            let no = FrameNo(u32::try_from(no).unwrap());
            let tree = dissector
                .frame(&store, &capture, no, &Options::default())
                .unwrap();
            let before = wrong.len();
            check_tree(&store, &tree, &mut wrong);
            // Where all bytes are there, nothing may stop decoding.
            let hidden = store.pdus_in(no).any(|(_, pdu)| {
                pdu.flags.has(PduFlags::BODY_HIDDEN) || pdu.flags.has(PduFlags::RESYNCED)
            });
            walk(&tree, |field| {
                if field.name == "tds.stop"
                    && !hidden
                    && !STOPS.iter().any(|file| name.starts_with(file))
                {
                    wrong.push(format!("stopped: {:?} {}", field.value, field.text));
                }
            });
            let line = dissector.info_line(&store, &capture, no);
            if line.is_empty() || line.chars().any(char::is_control) {
                wrong.push(format!("line {line:?}"));
            }
            dissector.listing_line(&store, &capture, no);
            for error in wrong.iter_mut().skip(before) {
                *error = format!("{name} frame {no}: {error}");
            }
        }
    }
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The login frame of a capture.
fn login_frame(store: &Store) -> FrameNo {
    store
        .conns()
        .iter()
        .find_map(|conn| conn.login.as_ref()?.login_frame)
        .unwrap()
}

#[test]
fn a_password_is_nowhere_to_be_seen() {
    let Some(folder) = shared_or_skip("a_password_is_nowhere_to_be_seen") else {
        return;
    };
    for file in [
        "captures/recorded/a1-one-sid-benign-rst.client.pcapng",
        "captures/recorded/f1-orderly-freetds.client.pcapng",
        "captures/recorded/l5-tiny-mtu-packed.client.pcapng",
    ] {
        let (capture, store) = open(&folder.join(file));
        let first = login_frame(&store);
        let mut dissector = Dissector::new();
        // Where segments are small the login ends some frames later.
        let (no, tree) = (first.0..first.0 + 40)
            .map(FrameNo)
            .find_map(|no| {
                let tree = dissector.frame(&store, &capture, no, &Options::default())?;
                tree.find("tds.7login.password")?;
                Some((no, tree))
            })
            .unwrap();
        let field = tree.find("tds.7login.password").unwrap();
        assert!(
            matches!(field.value, Value::Secret(len) if len > 0),
            "{file}"
        );
        // The bytes as they stand in the frames, and what they stand for.
        let mut obfuscated = Vec::new();
        for span in &field.spans {
            let row = store.frame(span.frame).unwrap();
            let mut bytes = Vec::new();
            capture
                .read_frame(row.interface, row.offset, row.captured, &mut bytes)
                .unwrap();
            obfuscated.extend_from_slice(&bytes[span.bytes.clone()]);
            let secret = dissector.secret_ranges(&store, &capture, span.frame);
            let covered = span
                .bytes
                .clone()
                .all(|at| secret.iter().any(|range| range.contains(&at)));
            assert!(covered, "{file}: frame {} shows the password", span.frame);
        }
        let clear: Vec<u8> = obfuscated
            .iter()
            .map(|byte| (byte ^ 0xa5).rotate_left(4))
            .collect();
        let clear: String = clear.chunks(2).map(|pair| char::from(pair[0])).collect();
        let hex = render::value(&Value::Bytes(obfuscated));
        let shown = [
            render::text(&tree),
            render::json(&tree).to_string(),
            dissector.info_line(&store, &capture, no),
            dissector.listing_line(&store, &capture, no),
        ];
        for text in shown {
            assert!(!text.contains(&clear) && !text.contains(&hex), "{file}");
        }
    }
}

/// The page's lines of the server's view: frame number and description, as far as the page shows it.
fn page_lines(text: &str) -> Vec<(u32, String)> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let number: u32 = words.next()?.parse().ok()?;
            let _time: f64 = words.next()?.parse().ok()?;
            let _addresses = (words.next()?, words.next()?);
            Some((number, words.collect::<Vec<_>>().join(" ")))
        })
        .collect()
}

#[test]
fn the_listing_reads_as_the_page_does() {
    let Some(folder) = shared_or_skip("the_listing_reads_as_the_page_does") else {
        return;
    };
    let page = fs::read_to_string(folder.join("spec/seed.txt")).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo.pcapng.zst");
    let (capture, store) = open(&file);
    let mut dissector = Dissector::new();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for (number, line) in page_lines(&page) {
        // The client's view has numbers of its own, and stands in another capture.
        if !(6704..12345).contains(&number) && number < 17000 {
            continue;
        }
        // What the page ends with in braces is Network Monitor's own numbering; its long lines are cut off.
        let said = line
            .split(" {")
            .next()
            .unwrap()
            .split(" ( Neg")
            .next()
            .unwrap();
        let ours = dissector.listing_line(&store, &capture, FrameNo(number));
        // The page calls the encrypted login data of TDS.
        let login = said.starts_with("TDS:Data");
        checked += 1;
        if !login && !ours.starts_with(said.trim_end()) {
            wrong.push(format!("{number}: {ours:?}\n    the page: {said:?}"));
        }
    }
    assert!(checked > 25, "only {checked} lines found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn broken_checks_and_certificates_are_named_in_the_tree() {
    let Some(folder) = shared_or_skip("broken_checks_and_certificates_are_named_in_the_tree")
    else {
        return;
    };
    // Loss and offloads leave notes of several kinds; each must stand at its packet.
    let mut seen = 0;
    for name in [
        "b1-interleaved-odbc.client.pcapng",
        "d6-disconnect-mid-result-odbc.client.pcapng",
    ] {
        let (capture, store) = open(&folder.join("captures/recorded").join(name));
        let mut dissector = Dissector::new();
        for violation in store
            .violations()
            .iter()
            .filter(|v| v.pdu.is_some())
            .take(20)
        {
            let tree = dissector
                .frame(&store, &capture, violation.frame, &Options::default())
                .unwrap();
            let wanted = Value::Text(format!("{:?}", violation.check));
            let mut found = false;
            walk(&tree, |field| {
                found |= field.name == "smp.analysis.id" && field.value == wanted;
            });
            assert!(found, "{name} frame {}: no {wanted:?}", violation.frame);
            seen += 1;
        }
    }
    assert!(seen > 0, "no broken check was found to look at");
    let (capture, store) =
        open(&folder.join("captures/recorded/i1-login-only-tls-mars.client.pcapng"));
    let tree = frame(&store, &capture, FrameNo(9), &Options::default()).unwrap();
    let text = render::text(&tree);
    for words in [
        "CN=labsql",
        "self-signed",
        "RSA 2048 bits",
        "not for 10.20.30.50",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
}

/// First values of the rows in the grids of some frames, in order, each once.
fn first_values(capture: &Capture, store: &Store, frames: std::ops::Range<u32>) -> Vec<u64> {
    let mut dissector = Dissector::new();
    let mut found: Vec<u64> = Vec::new();
    for no in frames.map(FrameNo) {
        let Some(tree) = dissector.frame(store, capture, no, &Options::default()) else {
            continue;
        };
        for row in tree.grids.iter().flat_map(|grid| &grid.rows) {
            let value = row[0].text.parse().unwrap();
            // A row that goes on in the next packet stands in both frames.
            if found.last() != Some(&value) {
                found.push(value);
            }
        }
        assert!(tree.grids.iter().all(|grid| grid.more == 0), "frame {no}");
    }
    found
}

#[test]
fn every_row_of_a_long_result_can_be_reached() {
    let Some(folder) = shared_or_skip("every_row_of_a_long_result_can_be_reached") else {
        return;
    };
    let (capture, store) = open(&folder.join("captures/recorded/q1-big.client.pcapng"));
    let long = store.requests().max_by_key(|r| r.answer_bytes);
    let long = long.unwrap();
    assert!(long.answer_bytes > 20_000_000);
    let (first, last) = (
        long.answer_first_frame.unwrap().0,
        long.answer_last_frame.unwrap().0,
    );
    let middle = first.midpoint(last);
    let rows = long.rows.unwrap();
    for (frames, ends) in [
        (first..first + 300, Some((0, 1))),
        (middle..middle + 300, None),
        (last - 300..last + 1, Some((1, rows))),
    ] {
        let shown = format!("{frames:?}");
        let ids = first_values(&capture, &store, frames);
        assert!(ids.len() > 500, "{shown}: {} rows", ids.len());
        for pair in ids.windows(2) {
            assert_eq!(pair[1], pair[0] + 1, "{shown}");
        }
        match ends {
            Some((0, id)) => assert_eq!(ids[0], id, "{shown}"),
            Some((_, id)) => assert_eq!(ids[ids.len() - 1], id, "{shown}"),
            None => {}
        }
    }
}

#[test]
fn the_beginning_of_a_packet_that_does_not_end_stands_in_its_own_frame() {
    for form in Form::ABORTS {
        let mut c = cases::opened(form, &[0]);
        c.ask(0, "select text from dbo.Note");
        c.trip(0);
        let packet = c.smp_data(Side::Server, 0, &tds::packet(4, 0, 51, 1, &[0xfd; 900]));
        c.data(Side::Server, &packet[..500]);
        c.label("begun");
        c.trip(0);
        let (seq, ack) = (c.snd_nxt(Side::Server), c.received(Side::Server));
        c.abort(Side::Server, seq, ack);
        c.label("reset");
        for view in Side::BOTH {
            let made = c.capture(view);
            let at = |label: &str| {
                let at = made.frames.iter().position(|frame| frame.label == label);
                FrameNo::from_index(at.unwrap())
            };
            let capture = Capture::from_bytes("cut.pcapng", made.to_pcapng()).unwrap();
            let store = track::load(&capture);
            let (_, begun) = store.pdus_in(at("begun")).next().unwrap();
            assert_eq!((begun.kind, begun.len), (PduKind::Unknown, 500));
            assert!(begun.flags.has(PduFlags::UNFINISHED));
            assert_eq!(begun.session, Some(store.sessions()[0].id));
            assert_eq!(store.pdus_in(at("reset")).count(), 0);
            let line = Dissector::new().info_line(&store, &capture, at("begun"));
            let expected = "500 bytes of an unfinished Response packet";
            assert_eq!(line, expected);
        }
    }
}
