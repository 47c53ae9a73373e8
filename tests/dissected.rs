//! Whole captures, frame by frame: every frame has a tree, a line and a listing line, and opens at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use marstui::capture::{Capture, FrameSource, OpenOptions};
use marstui::decode::field::{Field, UNPLACED, Value};
use marstui::decode::registry;
use marstui::dissect::{Dissector, FrameTree, Options, render};
use marstui::store::{PduFlags, Store};
use marstui::track;
use marstui::units::FrameNo;

use crate::support::shared_or_skip;

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

#[test]
fn frames_open_within_two_milliseconds() {
    for file in recorded("frames_open_within_two_milliseconds") {
        let (capture, store) = open(&file);
        let mut times = Vec::new();
        let mut dissector = Dissector::new();
        let count = store.frame_count();
        for no in (1..=count).step_by((count / 100).max(1)) {
            let start = Instant::now();
            dissector.frame(
                &store,
                &capture,
                FrameNo(u32::try_from(no).unwrap()),
                &Options::default(),
            );
            times.push(start.elapsed());
        }
        times.sort();
        let median = times[times.len() / 2];
        eprintln!(
            "{:?} {} median {median:?} max {:?}",
            file.file_name().unwrap(),
            count,
            times.last().unwrap()
        );
        assert!(median < Duration::from_millis(if cfg!(debug_assertions) { 20 } else { 2 }));
    }
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
