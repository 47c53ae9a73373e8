//! Files with frames left out, cut, in another order, or of both ends: a fault may become undecided, and never harmless.
//!
//! Seeded, so that a failure can be repeated: the message names case, view, seed and what was done. The environment
//! variable `OMISSION_ROUNDS` sets how many seeds are tried for each, `OMISSION_CASE` that only one case is.

use std::fs;
use std::path::Path;

use marstui::capture::{Capture, OpenOptions};
use marstui::rules::{Settings, judge};
use marstui::store::{Finding, Store, Verdict};
use serde_json::Value;

use crate::generated::index;
use crate::support::synth::cases::{self, Case};
use crate::support::synth::file::{self, Frame, Interface};
use crate::support::synth::rng::Rng;
use crate::support::{shared_or_skip, truth_files};
use marstui::units::Side;

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// So many percent of all frames are left out, one by one.
    Singles(u64),
    /// The same in stretches of four.
    Stretches(u64),
    /// One stretch of up to so many frames.
    Burst(u64),
    /// So many percent of one direction's frames.
    Direction(Side, u64),
    /// The file begins later.
    JoinedLate,
    /// The file ends earlier.
    EndsEarly,
    /// Frames are cut to so many bytes.
    Snap(usize),
    /// Frames overtake each other, by up to so many places.
    Reordered(u64),
    /// The other end's capture is in the same file.
    Merged,
}

/// Everything that is done, one thing or several.
const DAMAGES: &[&[Damage]] = &[
    &[Damage::Singles(2)],
    &[Damage::Singles(8)],
    &[Damage::Singles(25)],
    &[Damage::Singles(60)],
    &[Damage::Stretches(8)],
    &[Damage::Stretches(25)],
    &[Damage::Burst(6)],
    &[Damage::Burst(30)],
    &[Damage::Direction(Side::Client, 20)],
    &[Damage::Direction(Side::Client, 100)],
    &[Damage::Direction(Side::Server, 20)],
    &[Damage::Direction(Side::Server, 100)],
    &[Damage::JoinedLate],
    &[Damage::JoinedLate, Damage::Singles(10)],
    &[Damage::JoinedLate, Damage::EndsEarly],
    &[Damage::EndsEarly],
    &[Damage::Snap(58)],
    &[Damage::Snap(70)],
    &[Damage::Snap(78)],
    &[Damage::Snap(96)],
    &[Damage::Snap(128)],
    &[Damage::Snap(74), Damage::Singles(15)],
    &[Damage::Snap(90), Damage::JoinedLate],
    &[Damage::Reordered(3)],
    &[Damage::Reordered(3), Damage::Singles(10)],
    &[Damage::Merged],
    &[Damage::Merged, Damage::Singles(15)],
    &[Damage::Merged, Damage::Stretches(25)],
    &[Damage::Merged, Damage::JoinedLate],
    &[Damage::Merged, Damage::Direction(Side::Server, 40)],
];

/// Where the TCP source port stands: behind Ethernet and IPv4 without options, or (`None`) somewhere else.
fn sent_by_server(frame: &Frame) -> Option<bool> {
    let ip = frame.data.get(12..14)? == [8, 0] && frame.data.get(14)? == &0x45;
    ip.then(|| frame.data.get(34..36) == Some(&1433u16.to_be_bytes()[..]))
}

impl Damage {
    fn apply(self, capture: &mut file::Capture, other: Option<&file::Capture>, rng: &mut Rng) {
        let count = capture.frames.len() as u64;
        match self {
            Self::Singles(share) => leave_out(capture, share * 1000, 1, rng),
            Self::Stretches(share) => leave_out(capture, share * 1000 / 4, 4, rng),
            Self::Burst(most) => {
                let at = usize::try_from(rng.below(count)).unwrap();
                let len = usize::try_from(1 + rng.below(most)).unwrap();
                let end = (at + len).min(capture.frames.len());
                capture.frames.drain(at..end);
            }
            Self::Direction(side, share) => {
                let server = side == Side::Server;
                capture.frames.retain(|frame| {
                    sent_by_server(frame) != Some(server) || rng.below(100) >= share
                });
            }
            Self::JoinedLate => {
                let at = usize::try_from(rng.below(count)).unwrap();
                capture.frames.drain(..at);
            }
            Self::EndsEarly => {
                let at = usize::try_from(rng.below(count.max(1))).unwrap();
                capture.frames.truncate(at);
            }
            Self::Snap(len) => *capture = std::mem::take(capture).snap(len),
            Self::Reordered(places) => reorder(capture, places, rng),
            Self::Merged => {
                if let Some(other) = other {
                    *capture = std::mem::take(capture).merge(other.clone());
                }
            }
        }
    }
}

/// Leaves out frames with a chance in a hundred thousand, each time so many in a row.
fn leave_out(capture: &mut file::Capture, chance: u64, length: u32, rng: &mut Rng) {
    let mut left_out = 0;
    capture.frames.retain(|_| {
        if left_out > 0 {
            left_out -= 1;
            return false;
        }
        if rng.below(100_000) < chance {
            left_out = length - 1;
            return false;
        }
        true
    });
}

/// Moves one frame in five some places back; times stay in order, as a capture stamps what it sees.
fn reorder(capture: &mut file::Capture, places: u64, rng: &mut Rng) {
    let times: Vec<i64> = capture.frames.iter().map(|f| f.time).collect();
    for at in 1..capture.frames.len() {
        if rng.below(100) < 20 {
            let back = usize::try_from(1 + rng.below(places)).unwrap().min(at);
            capture.frames[at - back..=at].rotate_right(1);
        }
    }
    for (frame, time) in capture.frames.iter_mut().zip(times) {
        frame.time = time;
    }
}

/// A capture with one of the damages, chosen by its place in the list.
fn damaged(
    whole: &file::Capture,
    other: Option<&file::Capture>,
    damages: &[Damage],
    seed: u64,
) -> file::Capture {
    let mut rng = Rng::new(seed * 100 + damages.len() as u64);
    let mut capture = whole.clone();
    for damage in damages {
        if !capture.frames.is_empty() {
            damage.apply(&mut capture, other, &mut rng);
        }
    }
    capture
}

fn rounds() -> u64 {
    let set = std::env::var("OMISSION_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok());
    set.unwrap_or(2)
}

fn judged(mut store: Store) -> Store {
    judge(&mut store, &Settings::default());
    store
}

fn harmless(finding: &Finding) -> bool {
    matches!(
        finding.verdict,
        Verdict::Benign | Verdict::LikelyBenign | Verdict::Normal
    )
}

/// The findings on closes of the connections of one client port that call them harmless.
fn harmless_closes(store: &Store, port: u16) -> Vec<String> {
    store
        .conns()
        .iter()
        .filter(|conn| conn.ends.0.iter().any(|end| end.port == port))
        .flat_map(|conn| store.conn_findings(conn.id))
        .filter(|finding| finding.close && harmless(finding))
        .map(|f| format!("{} {}: {}", f.rule, f.verdict.name(), f.text))
        .collect()
}

/// Cases whose close is a fault in every form, and stays one whichever frames are missing.
fn faults() -> Vec<Case> {
    let mut cases = cases::near_misses();
    cases.retain(|case| {
        let all = || case.expect.accepted.iter();
        all().all(|(_, verdict)| *verdict == Verdict::Fault)
    });
    cases
}

/// Cases in which these frames alone, by label, tell of the fault: where one of them is missing or cut, the rest of the
/// file is that of a harmless close.
const TOLD_BY: &[(&str, &[&str])] = &[
    ("N09e", &["rst"]),
    ("N13", &["rst"]),
    ("N29", &["stf"]),
    ("M1", &["prelogin"]),
    ("M6", &["sfin:0"]),
    ("M7", &["tf"]),
];

/// Frames up to the answer to PRELOGIN.
const START: usize = 5;

/// Whether the frames that tell of a case's fault are all in a damaged file, each whole.
fn still_told(id: &str, whole: &file::Capture, damaged: &file::Capture) -> bool {
    let Some((_, labels)) = TOLD_BY.iter().find(|(case, _)| *case == id) else {
        return true;
    };
    // Ports and numbers of TCP behind Ethernet and IPv4: the same at both ends.
    let numbers = |frame: &Frame| frame.data.get(34..46).map(<[u8]>::to_vec);
    let told = |frame: &&Frame| labels.iter().any(|label| frame.label.starts_with(label));
    let intact: Vec<_> = damaged
        .frames
        .iter()
        .filter(told)
        .filter(|frame| frame.data.len() == frame.wire_len)
        .map(numbers)
        .collect();
    let needed = whole.frames.iter().filter(told).map(numbers);
    let mut needed: Vec<_> = needed.collect();
    assert!(!needed.is_empty(), "{id}: nothing is labelled {labels:?}");
    needed.retain(|frame| !intact.contains(frame));
    // A PRELOGIN is known by its place at the start.
    let start = |capture: &file::Capture| {
        let first = capture.frames.iter().take(START).map(numbers);
        first.collect::<Vec<_>>()
    };
    needed.is_empty() && (id != "M1" || start(whole) == start(damaged))
}

/// A DONE with MORE behind an EOM: where the DONE is cut off, the catalogue takes the EOM for the end (3.3).
const IN_THE_DONE: &str = "N04b";

/// The same where no DONE is the last token, which needs all of the answer.
const BEHIND_THE_DONE: &[&str] = &["N04i", "N04j"];

/// Whether a damage takes away what tells of a case's fault, which is no frame.
fn takes_the_end(id: &str, damage: &Damage) -> bool {
    match damage {
        Damage::Snap(_) => id == IN_THE_DONE || BEHIND_THE_DONE.contains(&id),
        Damage::JoinedLate => BEHIND_THE_DONE.contains(&id),
        _ => false,
    }
}

/// Tries every damage on every form and view of the cases, and names what a look finds wrong.
fn try_all(cases: &[Case], look: &dyn Fn(&Store) -> Vec<String>) -> Vec<String> {
    let mut wrong = Vec::new();
    let only = std::env::var("OMISSION_CASE").ok();
    let wanted = |case: &&Case| only.as_ref().is_none_or(|id| case.id == id);
    for case in cases.iter().filter(wanted) {
        for form in case.forms {
            for view in case.views {
                let whole = case.capture(*form, *view);
                let other = (!case.at_both_points).then(|| case.capture(*form, view.other()));
                for damages in DAMAGES {
                    let mut each = damages.iter();
                    if each.any(|damage| takes_the_end(case.id, damage)) {
                        continue;
                    }
                    for seed in 0..rounds() {
                        let damaged = damaged(&whole, other.as_ref(), damages, seed);
                        if !still_told(case.id, &whole, &damaged) {
                            continue;
                        }
                        let store = judged(index(&damaged));
                        let view = view.word();
                        wrong.extend(look(&store).into_iter().map(|said| {
                            format!(
                                "{} {form:?} {view} {damages:?} seed {seed}: {said}",
                                case.id
                            )
                        }));
                    }
                }
            }
        }
    }
    wrong
}

#[test]
fn generated_faults_never_become_harmless() {
    let wrong = try_all(&faults(), &|store| harmless_closes(store, 52965));
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Where the frame that is missing opened a session and asked on it, nothing else in the file is of that session.
#[test]
fn generated_faults_never_become_harmless_for_want_of_one_frame() {
    let mut wrong = Vec::new();
    for case in faults() {
        let (Some(form), Some(view)) = (case.forms.last(), case.views.first()) else {
            continue;
        };
        let whole = case.capture(*form, *view);
        for at in 0..whole.frames.len() {
            let mut damaged = whole.clone();
            damaged.frames.remove(at);
            if still_told(case.id, &whole, &damaged) {
                let closes = harmless_closes(&judged(index(&damaged)), 52965);
                let named = |said| format!("{} without frame {}: {said}", case.id, at + 1);
                wrong.extend(closes.into_iter().map(named));
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Closes that are harmless in every view; what nobody can see any more does not make them faults.
#[test]
fn harmless_closes_never_become_faults() {
    let faults = |store: &Store| {
        let closes = store.findings().iter().filter(|f| f.close);
        let faults = closes.filter(|f| f.verdict == Verdict::Fault);
        faults.map(|f| format!("{}: {}", f.rule, f.text)).collect()
    };
    let wrong = try_all(&cases::benign(), &faults);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn recorded_faults_never_become_harmless() {
    let Some(shared) = shared_or_skip("recorded_faults_never_become_harmless") else {
        return;
    };
    let folder = shared.join("captures/recorded");
    let truths = truth_files(&shared);
    let mut checked = 0;
    let mut wrong = Vec::new();
    for path in truths {
        let truth: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for (view, facts) in truth["views"].as_object().unwrap() {
            let ports = faulty_ports(&truth, facts);
            if ports.is_empty() {
                continue;
            }
            let name = facts["file"].as_str().unwrap();
            let whole = read(&folder.join(name));
            let other = match view.as_str() {
                "client" => truth["views"]["server"]["file"].as_str(),
                "server" => truth["views"]["client"]["file"].as_str(),
                _ => None,
            };
            let other = other.map(|name| read(&folder.join(name)));
            for damages in DAMAGES {
                for seed in 0..rounds() {
                    let store = judged(index(&damaged(&whole, other.as_ref(), damages, seed)));
                    checked += 1;
                    for port in &ports {
                        for said in harmless_closes(&store, *port) {
                            wrong.push(format!(
                                "{name} ({view}) port {port} {damages:?} seed {seed}: {said}"
                            ));
                        }
                    }
                }
            }
        }
    }
    assert!(checked > 0);
    assert!(
        wrong.is_empty(),
        "{} of {checked}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Client ports whose connections ended with a fault, as the truth file says. Full TLS hides what was asked, and
/// there the catalogue allows a guess.
fn faulty_ports(truth: &Value, view: &Value) -> Vec<u16> {
    let encrypted: Vec<u64> = truth["connections"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| {
            c["encryption"]
                .as_str()
                .is_some_and(|e| e.contains("full") || e == "on")
        })
        .filter_map(|c| c["client_port"].as_u64())
        .collect();
    let connections = view["connections"].as_array().unwrap();
    let ports = connections.iter().filter_map(|c| {
        let verdict = c["connection_verdict"]
            .as_str()
            .or(truth["connection_verdict"].as_str())?;
        let port = c["client_port"].as_u64()?;
        let fault = verdict.starts_with("abnormal") && !verdict.ends_with("ignored")
            || verdict == "client-closed-mid-result";
        (fault && !encrypted.contains(&port)).then(|| u16::try_from(port).unwrap())
    });
    ports.collect()
}

/// A file's frames.
fn read(path: &Path) -> file::Capture {
    let capture = Capture::open(&[path.to_path_buf()], &OpenOptions::default()).unwrap();
    let mut out = file::Capture::default();
    let mut chunks = capture.chunks();
    while let Some(chunk) = chunks.next_chunk() {
        for interface in &chunk.interfaces {
            out.interfaces.push(Interface {
                name: interface.name.clone().unwrap_or_default(),
                link_type: interface.link_type,
                snap_len: interface.snap_len,
                digits: 9,
            });
        }
        for record in &chunk.records {
            out.frames.push(Frame {
                label: String::new(),
                time: record.time.0,
                interface: usize::try_from(record.interface.0).unwrap(),
                wire_len: usize::try_from(record.wire).unwrap(),
                data: chunk.bytes(record).to_vec(),
            });
        }
    }
    out
}
