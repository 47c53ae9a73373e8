//! Files with frames left out: a fault may become undecided, and never harmless.
//!
//! Seeded, so that a failure can be repeated: the message names case, view, seed and how much was left out. The
//! environment variable `OMISSION_ROUNDS` sets how many seeds are tried for each.

use std::fs;
use std::path::Path;

use marstui::capture::{Capture, OpenOptions};
use marstui::rules::{Settings, judge};
use marstui::store::{Finding, Store, Verdict};
use serde_json::Value;

use crate::generated::index;
use crate::support::shared_or_skip;
use crate::support::synth::cases::{self, Case};
use crate::support::synth::file::{self, Frame, Interface};
use crate::support::synth::rng::Rng;

/// How much is left out, in percent of all frames.
const SHARES: [u64; 4] = [2, 8, 25, 60];

fn rounds() -> u64 {
    let set = std::env::var("OMISSION_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok());
    set.unwrap_or(2)
}

/// A capture without some of its frames: single ones, or stretches.
fn thinned(whole: &file::Capture, share: u64, seed: u64) -> file::Capture {
    let mut rng = Rng::new(seed * 100 + share);
    let stretches = seed % 2 == 1;
    let mut left_out = 0;
    let mut capture = whole.clone();
    capture.frames.retain(|_| {
        if left_out > 0 {
            left_out -= 1;
            return false;
        }
        let (chance, length) = if stretches {
            (share * 1000 / 4, 4)
        } else {
            (share * 1000, 1)
        };
        if rng.below(100_000) < chance {
            left_out = length - 1;
            return false;
        }
        true
    });
    capture
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

/// Cases whose close is a fault in every form.
fn faults() -> Vec<Case> {
    let mut cases = cases::near_misses();
    cases.retain(|case| {
        case.expect.accepted.iter().all(|(rule, verdict)| {
            *verdict == Verdict::Fault && FAULTS_OF_THE_CONNECTION.contains(rule)
        })
    });
    cases
}

/// Faults that lie in what was asked and not answered: no frame that is missing can mend that.
const FAULTS_OF_THE_CONNECTION: &[&str] = &["rst-with-request", "rst-after-attention"];

#[test]
fn generated_faults_never_become_harmless() {
    let mut wrong = Vec::new();
    for case in faults() {
        for form in case.forms {
            for view in case.views {
                let whole = case.capture(*form, *view);
                for share in SHARES {
                    for seed in 0..rounds() {
                        let store = judged(index(&thinned(&whole, share, seed)));
                        for said in harmless_closes(&store, 52965) {
                            let view = view.word();
                            wrong.push(format!(
                                "{} {form:?} {view} -{share} % seed {seed}: {said}",
                                case.id
                            ));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Closes that are harmless in every view; what nobody can see any more does not make them faults.
#[test]
fn harmless_closes_never_become_faults() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for case in cases::benign() {
        for form in case.forms {
            for view in case.views {
                let whole = case.capture(*form, *view);
                for share in SHARES {
                    for seed in 0..rounds() {
                        count += 1;
                        let store = judged(index(&thinned(&whole, share, seed)));
                        for finding in store.findings() {
                            if finding.close && finding.verdict == Verdict::Fault {
                                let view = view.word();
                                wrong.push(format!(
                                    "{} {form:?} {view} -{share} % seed {seed}: {}: {}",
                                    case.id, finding.rule, finding.text
                                ));
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn recorded_faults_never_become_harmless() {
    let Some(shared) = shared_or_skip("recorded_faults_never_become_harmless") else {
        return;
    };
    let folder = shared.join("captures/recorded");
    let mut truths: Vec<_> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(".truth.json"))
        .collect();
    truths.sort();
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
            for share in SHARES {
                for seed in 0..rounds() {
                    let store = judged(index(&thinned(&whole, share, seed)));
                    checked += 1;
                    for port in &ports {
                        for said in harmless_closes(&store, *port) {
                            wrong.push(format!(
                                "{name} ({view}) port {port} -{share} % seed {seed}: {said}"
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
