//! The store against the truth files of the recorded captures: what was on the wire, by those who sent it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use marstui::capture::{Capture, OpenOptions};
use marstui::store::{ConnRow, SessionRow, SmpCounts, Store, TdsCounts};
use marstui::track;
use marstui::units::{Sid, Side};
use serde_json::Value;

use crate::support::{shared_or_skip, truth_files};

#[test]
fn the_store_agrees_with_the_truth_files_in_every_view() {
    let Some(shared) = shared_or_skip("the_store_agrees_with_the_truth_files_in_every_view") else {
        return;
    };
    let folder = shared.join("captures/recorded");
    let truths = truth_files(&shared);
    let only = std::env::var("TRUTH").ok();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for path in truths {
        if only
            .as_ref()
            .is_some_and(|o| !path.to_string_lossy().contains(o))
        {
            continue;
        }
        let truth: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for (name, view) in truth["views"].as_object().unwrap() {
            let file = folder.join(view["file"].as_str().unwrap());
            checked += 1;
            let store = load(&file);
            let mut errors = Vec::new();
            compare(&store, view, &encrypted_ports(&truth), &mut errors);
            // Frames that are not in the file may hide what the truth file counts.
            let lacking = ["first_parent_frame", "missing_parent_frames", "snap_length"]
                .iter()
                .any(|key| truth.get(key).is_some());
            if lacking {
                errors.retain(|error| error.starts_with("fin:"));
            }
            if !errors.is_empty() {
                wrong.push(format!(
                    "{} ({name}):\n    {}",
                    file.file_name().unwrap().to_string_lossy(),
                    errors.join("\n    ")
                ));
            }
        }
    }
    assert!(checked > 0);
    assert!(
        wrong.is_empty(),
        "{} of {checked} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

pub fn load(file: &Path) -> Store {
    let capture = Capture::open(&[file.to_path_buf()], &OpenOptions::default()).unwrap();
    track::load(&capture)
}

fn encrypted_ports(truth: &Value) -> BTreeSet<u64> {
    truth["connections"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| {
            !matches!(
                c["encryption"].as_str(),
                None | Some("none" | "login" | "login-only" | "off")
            )
        })
        .filter_map(|c| c["client_port"].as_u64())
        .collect()
}

fn compare(store: &Store, view: &Value, encrypted: &BTreeSet<u64>, errors: &mut Vec<String>) {
    let mut differ = |what: String, got: String, want: String| {
        if got != want {
            errors.push(format!("{what}: {got}, should be {want}"));
        }
    };
    differ(
        "frames".into(),
        store.frame_count().to_string(),
        view["frames"].to_string(),
    );
    let mut used = BTreeSet::new();
    for truth in view["connections"].as_array().unwrap() {
        let port = truth["client_port"].as_u64().unwrap();
        let found = store.conns().iter().find(|conn| {
            let client = conn.endpoint(Side::Client);
            u64::from(client.port) == port
                && truth["client"] == client.ip.to_string()
                && truth["first_frame"]
                    .as_u64()
                    .is_none_or(|first| first == u64::from(conn.first_frame.0))
                && used.insert(conn.id)
        });
        let Some(conn) = found else {
            differ(
                format!("connection of port {port}"),
                "none".into(),
                "one".into(),
            );
            continue;
        };
        let name = |what: &str| format!("port {port} {what}");
        differ(
            name("frames"),
            conn.frames.to_string(),
            truth["frames"].to_string(),
        );
        if encrypted.contains(&port) || truth.get("smp").is_none() {
            continue;
        }
        for (side, key) in [(Side::Client, "c2s"), (Side::Server, "s2c")] {
            let end = conn.end_of(side);
            differ(
                name(&format!("smp {key}")),
                format!("{:?}", smp(*conn.smp.get(end))),
                format!("{:?}", counts(&truth["smp"][key])),
            );
            differ(
                name(&format!("tds {key}")),
                format!("{:?}", tds(conn.tds.get(end), side)),
                format!("{:?}", truth_tds(&truth["tds_messages"][key], side)),
            );
        }
        sessions(store, conn, truth, &mut differ);
        let outstanding: u32 = store
            .conn_sessions(conn.id)
            .map(|session| session.outstanding)
            .sum();
        let has_sessions = store.conn_sessions(conn.id).next().is_some();
        if has_sessions {
            let want = truth["outstanding_requests_at_end"]
                .as_object()
                .is_some_and(|o| !o.is_empty());
            differ(
                name("outstanding"),
                (outstanding > 0).to_string(),
                want.to_string(),
            );
        }
    }
}

fn sessions(
    store: &Store,
    conn: &ConnRow,
    truth: &Value,
    differ: &mut impl FnMut(String, String, String),
) {
    let empty = serde_json::Map::new();
    let sids = truth["sids"].as_object().unwrap_or(&empty);
    for (sid, truth) in sids {
        let sid = Sid(sid.parse().unwrap());
        let lives: Vec<&SessionRow> = store
            .conn_sessions(conn.id)
            .filter(|s| s.sid == sid)
            .collect();
        let Some(last) = lives.last() else {
            differ(format!("Sid {sid}"), "missing".into(), "there".into());
            continue;
        };
        for (side, key) in [(Side::Client, "c2s"), (Side::Server, "s2c")] {
            let end = conn.end_of(side);
            let sum = lives.iter().fold(SmpCounts::default(), |sum, life| {
                let counts = life.ends.get(end).counts;
                SmpCounts {
                    syn: sum.syn + counts.syn,
                    ack: sum.ack + counts.ack,
                    fin: sum.fin + counts.fin,
                    data: sum.data + counts.data,
                }
            });
            differ(
                format!("Sid {sid} smp {key}"),
                format!("{:?}", smp(sum)),
                format!("{:?}", counts(&truth["smp"][key])),
            );
            let state = last.ends.get(end);
            for (what, got, want) in [
                (
                    "SEQNUM",
                    state.last_seqnum.map(|n| n.0),
                    &truth["last_seq"][key],
                ),
                (
                    "WNDW",
                    state.last_wndw.map(|n| n.0),
                    &truth["last_wnd"][key],
                ),
            ] {
                // The truth files write 0 where an end sent nothing in the session.
                if let Some(want) = want.as_u64().filter(|w| *w > 0 || got.is_some()) {
                    differ(
                        format!("Sid {sid} last {what} {key}"),
                        format!("{got:?}"),
                        format!("Some({want})"),
                    );
                }
            }
            if let Some(want) = truth["fin_frame"][key].as_u64() {
                differ(
                    format!("fin: Sid {sid} {key}"),
                    format!("{:?}", state.fin_frame.map(|f| f.0)),
                    format!("Some({want})"),
                );
            }
        }
    }
}

fn smp(counts: SmpCounts) -> BTreeMap<&'static str, u64> {
    [
        ("SYN", counts.syn),
        ("ACK", counts.ack),
        ("FIN", counts.fin),
        ("DATA", counts.data),
    ]
    .into_iter()
    .filter(|(_, n)| *n > 0)
    .map(|(name, n)| (name, u64::from(n)))
    .collect()
}

fn counts(value: &Value) -> BTreeMap<&str, u64> {
    let Some(object) = value.as_object() else {
        return BTreeMap::new();
    };
    object
        .iter()
        .map(|(name, n)| (name.as_str(), n.as_u64().unwrap()))
        .filter(|(_, n)| *n > 0)
        .collect()
}

/// TLS flights and the login are counted differently by design and left out.
fn tds(counts: &TdsCounts, side: Side) -> BTreeMap<&'static str, u64> {
    let all = match side {
        Side::Server => vec![("Response", counts.tabular_result + counts.prelogin)],
        Side::Client => vec![
            ("SQLBatch", counts.sql_batch),
            ("RPC", counts.rpc),
            ("Attention", counts.attention),
            ("BulkLoad", counts.bulk_load),
            ("TransactionManager", counts.transaction_manager),
            ("FedAuthToken", counts.fed_auth_token),
            ("SSPI", counts.sspi),
        ],
    };
    all.into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(name, n)| (name, u64::from(n)))
        .collect()
}

fn truth_tds(value: &Value, side: Side) -> BTreeMap<&str, u64> {
    let mut wanted = counts(value);
    wanted.remove("Prelogin");
    wanted.remove("Login7");
    if side == Side::Server {
        wanted.retain(|name, _| *name == "Response");
    }
    for other in ["Transaction", "TransMgr", "TM"] {
        if let Some(n) = wanted.remove(other) {
            wanted.insert("TransactionManager", n);
        }
    }
    wanted
}
