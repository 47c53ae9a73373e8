//! Verdicts against the truth files: every reset and every close of the recorded captures, whole and with frames left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use marstui::capture::{Capture, OpenOptions};
use marstui::rules::{self, Settings};
use marstui::store::{Finding, Store, Verdict};
use marstui::track;
use marstui::units::{FrameNo, Side};
use serde_json::Value;

use crate::support::{shared_or_skip, truth_files};

/// Verdicts that call a close harmless.
const HARMLESS: [Verdict; 3] = [Verdict::Benign, Verdict::LikelyBenign, Verdict::Normal];

/// A view of a recorded scenario.
struct View {
    file: PathBuf,
    truth: Value,
    seen: Value,
}

fn views(shared: &Path) -> Vec<View> {
    let folder = shared.join("captures/recorded");
    let truths = truth_files(shared);
    let mut out = Vec::new();
    for path in truths {
        let truth: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for view in truth["views"].as_object().unwrap().values() {
            out.push(View {
                file: folder.join(view["file"].as_str().unwrap()),
                truth: truth.clone(),
                seen: view.clone(),
            });
        }
    }
    assert!(!out.is_empty());
    out
}

impl View {
    fn name(&self) -> String {
        self.file
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    }

    /// Whether the truth file says that the view lacks something.
    fn lacks(&self, key: &str) -> bool {
        self.truth.get(key).is_some()
    }

    /// The encryption that the server program logged for a client port.
    fn is_encrypted(&self, port: u64) -> bool {
        let programs = self.truth["connections"].as_array();
        let program = programs
            .into_iter()
            .flatten()
            .find(|c| c["client_port"].as_u64() == Some(port));
        program.is_some_and(|c| c["encryption"] == "full" || c["encryption"] == "strict")
            || self.truth["scenario"]
                .as_str()
                .is_some_and(|s| s.starts_with('j'))
    }
}

/// What the mapping table of the catalogue (section 9) accepts for a truth code: rules and verdicts.
pub fn accepted(code: &str) -> (&'static [&'static str], &'static [Verdict]) {
    match code {
        "benign-mars-close" => (&["mars-close-rst"], &[Verdict::Benign]),
        "client-closed-mid-result" => (&["rst-with-request"], &[Verdict::Fault]),
        "abnormal-client-died" => (
            &["rst-with-request", "close-with-request"],
            &[Verdict::Fault],
        ),
        "abnormal-close-mid-result" => (&["rst-with-request", "rst-data-lost"], &[Verdict::Fault]),
        "abnormal-server-reset" => (&["rst-with-request", "rst-abort-server"], &[Verdict::Fault]),
        "abnormal-server-died" => (&["rst-with-request", "server-fin-first"], &[Verdict::Fault]),
        "abnormal-server-closed" => (&["server-fin-first"], &[Verdict::Fault]),
        "abnormal-middlebox-reset" => (&["rst-middlebox"], &[Verdict::Fault]),
        "abnormal-middlebox-reset-ignored" => {
            (&["rst-ignored", "rst-middlebox"], &[Verdict::Fault])
        }
        "abnormal-keepalive-timeout" => (
            &["keepalive-timeout", "rst-with-request", "rst-abort-server"],
            &[Verdict::Fault],
        ),
        "orderly-close-no-rst" => (
            &[
                "mars-close-clean",
                "close-4way",
                "close-idle",
                "mars-refused",
            ],
            &[Verdict::Normal, Verdict::Notice],
        ),
        other => panic!("the mapping table does not know {other}"),
    }
}

/// Whether a finding is what the table says for a code, in this view.
fn is_accepted(view: &View, code: &str, port: u64, finding: &Finding) -> bool {
    let (rules, verdicts) = accepted(code);
    let rule = finding.rule.as_ref();
    if code == "benign-mars-close" {
        if view.is_encrypted(port) || port == 50301 {
            return matches!(rule, "mars-close-rst-tls" | "rst-encrypted")
                && finding.verdict != Verdict::Benign;
        }
        if view.lacks("snap_length") || view.lacks("first_parent_frame") {
            return rule == "mars-close-rst" && finding.verdict == Verdict::LikelyBenign;
        }
    }
    rules.contains(&rule) && verdicts.contains(&finding.verdict)
}

fn judged(file: &Path) -> Store {
    let capture = Capture::open(&[file.to_path_buf()], &OpenOptions::default()).unwrap();
    judged_capture(&capture)
}

fn judged_capture(capture: &Capture) -> Store {
    let mut store = track::load(capture);
    rules::judge(&mut store, &Settings::default());
    store
}

#[test]
fn every_reset_and_every_close_gets_the_verdict_of_the_mapping_table() {
    let Some(shared) =
        shared_or_skip("every_reset_and_every_close_gets_the_verdict_of_the_mapping_table")
    else {
        return;
    };
    let mut wrong = Vec::new();
    let mut resets = 0;
    for view in views(&shared) {
        let store = judged(&view.file);
        if view.name().starts_with("x4-") {
            let marks: Vec<_> = store.findings().iter().filter(|f| f.close).collect();
            let fits = matches!(marks.as_slice(), [one] if one.marks.len() == 4
                && one.rule == "mars-close-rst" && one.verdict == Verdict::Benign);
            assert!(fits, "every reset is there twice, all in one finding");
            continue;
        }
        for truth in view.seen["connections"].as_array().unwrap() {
            let port = truth["client_port"].as_u64().unwrap();
            let code = truth["connection_verdict"].as_str().unwrap();
            let first = truth["first_frame"].as_u64().unwrap_or(1);
            let conn = store
                .conns()
                .iter()
                .find(|c| u64::from(c.first_frame.0) == first)
                .unwrap();
            let closes: Vec<&Finding> = store.conn_findings(conn.id).filter(|f| f.close).collect();
            match closes.as_slice() {
                [one] if is_accepted(&view, code, port, one) => {}
                // A pooled connection that is still open at the end of the file has no close.
                [] if code == "orderly-close-no-rst"
                    && truth["tcp_fin"] == Value::Array(vec![]) => {}
                other => wrong.push(format!(
                    "{} port {port}: {code}, but {:?}",
                    view.name(),
                    other
                        .iter()
                        .map(|f| (&f.rule, f.verdict))
                        .collect::<Vec<_>>()
                )),
            }
            for reset in truth["rst"].as_array().unwrap() {
                resets += 1;
                let frame = FrameNo(u32::try_from(reset["frame"].as_u64().unwrap()).unwrap());
                let code = reset["verdict"].as_str().unwrap();
                let owners: Vec<&Finding> = store
                    .findings()
                    .iter()
                    .filter(|f| f.marks.contains(&frame))
                    .collect();
                match owners.as_slice() {
                    [one] if is_accepted(&view, code, port, one) => {}
                    other => wrong.push(format!(
                        "{} reset {frame}: {code}, but {:?}",
                        view.name(),
                        other
                            .iter()
                            .map(|f| (&f.rule, f.verdict))
                            .collect::<Vec<_>>()
                    )),
                }
            }
        }
        every_reset_has_one_finding(&store, &view.name(), &mut wrong);
        a_benign_finding_is_proved(&store, &view.name(), &mut wrong);
    }
    assert!(resets > 500, "only {resets} resets were looked at");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn every_reset_has_one_finding(store: &Store, name: &str, wrong: &mut Vec<String>) {
    let mut owners: BTreeMap<FrameNo, usize> = BTreeMap::new();
    for finding in store.findings() {
        for frame in &finding.marks {
            *owners.entry(*frame).or_default() += 1;
        }
    }
    for (no, row) in store.frames_from(FrameNo(1)) {
        if row.is_tcp() && row.tcp_flags.rst() && owners.get(&no) != Some(&1) {
            wrong.push(format!(
                "{name}: reset {no} belongs to {:?} findings",
                owners.get(&no)
            ));
        }
    }
}

fn a_benign_finding_is_proved(store: &Store, name: &str, wrong: &mut Vec<String>) {
    for finding in store
        .findings()
        .iter()
        .filter(|f| f.verdict == Verdict::Benign)
    {
        let held = finding
            .conditions
            .iter()
            .all(|c| c.outcome == marstui::store::Outcome::Held);
        if !held || finding.conditions.len() != 15 || finding.rule != "mars-close-rst" {
            wrong.push(format!("{name}: {} is Benign without proof", finding.rule));
        }
    }
}

#[test]
fn resets_of_other_protocols_belong_to_a_finding_and_none_of_mars() {
    let Some(shared) =
        shared_or_skip("resets_of_other_protocols_belong_to_a_finding_and_none_of_mars")
    else {
        return;
    };
    let mut wrong = Vec::new();
    let mut files = 0;
    for folder in ["not-tds", "tds", "formats", "derived"] {
        for entry in fs::read_dir(shared.join("captures/public").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let Ok(capture) = Capture::open(std::slice::from_ref(&path), &OpenOptions::default())
            else {
                continue;
            };
            files += 1;
            let store = judged_capture(&capture);
            let name = path.to_string_lossy().into_owned();
            every_reset_has_one_finding(&store, &name, &mut wrong);
            let mars = store.findings().iter().filter(|f| {
                f.rule.contains("mars") || f.rule.contains("smp") || f.rule.contains("sid")
            });
            wrong.extend(mars.map(|f| format!("{name}: {}", f.rule)));
        }
    }
    assert!(files > 20, "only {files} files were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A capture with only those frames for which `keep` says so.
fn thinned(capture: &Capture, keep: &mut dyn FnMut(u32) -> bool) -> Option<Capture> {
    rewritten(capture, u32::MAX, keep)
}

/// A capture with only some frames, each cut to at most `snap` bytes, written as pcap in nanoseconds.
fn rewritten(capture: &Capture, snap: u32, keep: &mut dyn FnMut(u32) -> bool) -> Option<Capture> {
    let mut out: Vec<u8> = Vec::new();
    let mut link = None;
    let mut chunks = capture.chunks();
    let mut no = 0;
    let mut body: Vec<u8> = Vec::new();
    while let Some(chunk) = chunks.next_chunk() {
        link = link.or(chunk.interfaces.first().map(|i| i.link_type));
        for record in &chunk.records {
            no += 1;
            if !keep(no) {
                continue;
            }
            let seconds = u32::try_from(record.time.0 / 1_000_000_000).unwrap();
            let nanos = u32::try_from(record.time.0 % 1_000_000_000).unwrap();
            let captured = record.captured.min(snap);
            for word in [seconds, nanos, captured, record.wire] {
                body.extend(word.to_le_bytes());
            }
            let bytes = chunk.bytes(record);
            body.extend(&bytes[..usize::try_from(captured).unwrap()]);
        }
    }
    for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, link?] {
        out.extend(u32::to_le_bytes(word));
    }
    out.extend(body);
    Capture::from_bytes("thinned", out).ok()
}

/// A small generator, so that every run leaves out the same frames.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The ways in which frames are left out: at random with several rates, in one block, before and behind a point.
fn omit(way: u64, frames: u64, dice: &mut Dice) -> Box<dyn FnMut(u32) -> bool> {
    let at = dice.roll() % frames + 1;
    let len = dice.roll() % 12 + 1;
    let seed = dice.roll() | 1;
    match way % 6 {
        0 => Box::new(move |no| !(at..at + len).contains(&u64::from(no))),
        1 => Box::new(move |no| u64::from(no) >= at),
        2 => Box::new(move |no| u64::from(no) < at),
        rate => {
            let per_mille = [30, 100, 250][usize::try_from(rate - 3).unwrap()];
            let mut own = Dice(seed);
            Box::new(move |_| own.roll() % 1000 >= per_mille)
        }
    }
}

/// Every connection of a capture with frames left out in several ways, with the findings on its close.
fn thinned_closes(
    capture: &Capture,
    frames: u64,
    rounds: u64,
    look: &mut dyn FnMut(u64, [u16; 2], &Finding),
) -> usize {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut judged = 0;
    for way in 0..rounds {
        let Some(less) = thinned(capture, &mut omit(way, frames, &mut dice)) else {
            continue;
        };
        let store = judged_capture(&less);
        for conn in store.conns() {
            judged += 1;
            let ports = Side::BOTH.map(|side| conn.endpoint(side).port);
            for finding in store.conn_findings(conn.id).filter(|f| f.close) {
                look(way, ports, finding);
            }
        }
    }
    judged
}

fn rounds() -> u64 {
    std::env::var("ROUNDS").map_or(24, |n| n.parse().unwrap())
}

/// The client ports of a view whose truth code satisfies a test.
fn ports(view: &View, test: impl Fn(&str) -> bool) -> Vec<u16> {
    view.seen["connections"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| test(c["connection_verdict"].as_str().unwrap()))
        .map(|c| u16::try_from(c["client_port"].as_u64().unwrap()).unwrap())
        .collect()
}

#[test]
fn with_frames_left_out_no_fault_turns_harmless() {
    let Some(shared) = shared_or_skip("with_frames_left_out_no_fault_turns_harmless") else {
        return;
    };
    let mut wrong = Vec::new();
    let mut judged = 0;
    for view in views(&shared) {
        let faults = ports(&view, |code| {
            code.starts_with("abnormal") || code == "client-closed-mid-result"
        });
        if faults.is_empty() {
            continue;
        }
        let capture =
            Capture::open(std::slice::from_ref(&view.file), &OpenOptions::default()).unwrap();
        let frames = view.seen["frames"].as_u64().unwrap();
        judged += thinned_closes(&capture, frames, rounds(), &mut |way, ports, finding| {
            let fault = ports.iter().any(|port| faults.contains(port));
            if fault && HARMLESS.contains(&finding.verdict) {
                wrong.push(format!(
                    "{} {ports:?} round {way}: {} {:?}: {}",
                    view.name(),
                    finding.rule,
                    finding.verdict,
                    finding.text
                ));
            }
        });
    }
    assert!(judged > 100, "only {judged} connections were judged");
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn with_frames_left_out_no_benign_close_turns_into_a_fault() {
    let Some(shared) = shared_or_skip("with_frames_left_out_no_benign_close_turns_into_a_fault")
    else {
        return;
    };
    let mut wrong = Vec::new();
    let mut judged = 0;
    for view in views(&shared) {
        let benign = ports(&view, |code| {
            code == "benign-mars-close" || code == "orderly-close-no-rst"
        });
        let frames = view.seen["frames"].as_u64().unwrap();
        // Where the SYN of a later connection of the same ports is left out, nothing tells where it begins.
        if benign.is_empty() || frames > 2000 || view.name().starts_with("s3-") {
            continue;
        }
        let capture =
            Capture::open(std::slice::from_ref(&view.file), &OpenOptions::default()).unwrap();
        judged += thinned_closes(
            &capture,
            frames,
            rounds() / 3,
            &mut |way, ports, finding| {
                let benign = ports.iter().any(|port| benign.contains(port));
                if benign && finding.verdict == Verdict::Fault {
                    wrong.push(format!(
                        "{} {ports:?} round {way}: {}: {}",
                        view.name(),
                        finding.rule,
                        finding.text
                    ));
                }
            },
        );
    }
    assert!(judged > 100, "only {judged} connections were judged");
    assert!(
        wrong.is_empty(),
        "{} of {judged}\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn with_frames_cut_no_fault_turns_harmless_and_no_benign_close_into_a_fault() {
    let test = "with_frames_cut_no_fault_turns_harmless_and_no_benign_close_into_a_fault";
    let Some(shared) = shared_or_skip(test) else {
        return;
    };
    let mut wrong = Vec::new();
    for view in views(&shared) {
        let frames = view.seen["frames"].as_u64().unwrap();
        if frames > 2000 {
            continue;
        }
        let faults = ports(&view, |code| {
            code.starts_with("abnormal") || code == "client-closed-mid-result"
        });
        let capture =
            Capture::open(std::slice::from_ref(&view.file), &OpenOptions::default()).unwrap();
        for snap in [54, 60, 66, 70, 74, 82, 86, 96, 128, 180, 250, 400] {
            let cut = rewritten(&capture, snap, &mut |_| true).unwrap();
            let store = judged_capture(&cut);
            for conn in store.conns() {
                let fault = Side::BOTH
                    .iter()
                    .any(|side| faults.contains(&conn.endpoint(*side).port));
                for finding in store.conn_findings(conn.id).filter(|f| f.close) {
                    let harmless = HARMLESS.contains(&finding.verdict);
                    if fault && harmless || !fault && finding.verdict == Verdict::Fault {
                        wrong.push(format!(
                            "{} snap {snap}: {} {:?}: {}",
                            view.name(),
                            finding.rule,
                            finding.verdict,
                            finding.text
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}
