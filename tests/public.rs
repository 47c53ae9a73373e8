//! Published captures by others: nothing panics, nothing in them is SMP, and TDS is found where there is some.

use std::fs;
use std::path::PathBuf;

use marstui::capture::{Capture, OpenOptions};
use marstui::store::{Encryption, Protocol, RequestEnd, Store};
use marstui::track;

use crate::support::shared_or_skip;

fn captures(test: &str) -> Vec<(PathBuf, Store)> {
    let Some(shared) = shared_or_skip(test) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for folder in ["tds", "not-tds", "formats", "derived"] {
        for entry in fs::read_dir(shared.join("captures/public").join(folder)).unwrap() {
            files.push(entry.unwrap().path());
        }
    }
    files.sort();
    files
        .into_iter()
        .filter_map(|file| {
            let capture = Capture::open(std::slice::from_ref(&file), &OpenOptions::default());
            // Formats that are not read yet are another test's business.
            let store = track::load(&capture.ok()?);
            Some((file, store))
        })
        .collect()
}

fn named(test: &str, name: &str) -> Option<Store> {
    let file = shared_or_skip(test)?.join("captures/public/tds").join(name);
    let capture = Capture::open(&[file], &OpenOptions::default()).unwrap();
    Some(track::load(&capture))
}

#[test]
fn published_captures_hold_no_smp() {
    for (file, store) in captures("published_captures_hold_no_smp") {
        let file = file.display();
        assert!(store.sessions().is_empty(), "{file} has sessions");
        assert!(store.conns().iter().all(|c| !c.smp_seen), "{file} has SMP");
    }
}

#[test]
fn other_protocols_are_not_taken_for_tds() {
    for (file, store) in captures("other_protocols_are_not_taken_for_tds") {
        let folder = file.parent().unwrap().file_name().unwrap();
        let random = file.ends_with("mrp-randpkt-tds.pcap");
        if folder == "tds" && !random || folder == "derived" {
            continue;
        }
        let tds = store.conns().iter().any(|c| c.protocol == Protocol::Tds);
        assert!(!tds, "{}", file.display());
    }
}

/// 12 conversations picked up in their middle, of TDS 7.1 and 7.2: the counts are tshark.s, less one
/// for an RPC of two packets.
#[test]
fn conversations_without_their_start_are_recognised() {
    let test = "conversations_without_their_start_are_recognised";
    let Some(store) = named(test, "ndpi-mssql_tds.pcap") else {
        return;
    };
    let counts: Vec<_> = store.conns().iter().map(|c| c.tds.0).collect();
    let sum =
        |get: fn(&marstui::store::TdsCounts) -> u32| counts.iter().flatten().map(get).sum::<u32>();
    assert_eq!(
        (
            sum(|t| t.sql_batch),
            sum(|t| t.rpc),
            sum(|t| t.tabular_result)
        ),
        (3, 16, 10)
    );
    assert!(store.conns().iter().all(|c| c.protocol == Protocol::Tds));
    // The answers of both versions are walked to their last DONE.
    let answered = store.requests().filter(|r| r.end == RequestEnd::Done);
    assert_eq!(answered.count(), 10);
}

#[test]
fn an_encrypted_login_and_what_follows_in_clear_is_read() {
    let test = "an_encrypted_login_and_what_follows_in_clear_is_read";
    let Some(store) = named(test, "beats-mssql_15x_login_and_select.pcap") else {
        return;
    };
    let conn = &store.conns()[0];
    assert_eq!(conn.encryption, Some(Encryption::Login));
    assert_eq!(conn.mars, Some(false));
    assert_eq!(conn.tls.as_ref().unwrap().version, Some("TLS 1.2"));
    assert!(conn.login.as_ref().unwrap().accepted);
    assert_eq!(store.conn_requests(conn.id).count(), 3);
    assert!(store.requests().all(|r| r.end == RequestEnd::Done));
}

/// Every frame of this capture is there twice; each counts once.
#[test]
fn frames_that_are_there_twice_count_once() {
    let Some(store) = named(
        "frames_that_are_there_twice_count_once",
        "beats-mssql_login.pcap",
    ) else {
        return;
    };
    let conn = &store.conns()[0];
    assert_eq!(conn.frames, 44);
    assert_eq!(store.conn_requests(conn.id).count(), 2);
    assert!(conn.tcp.0.iter().all(|t| t.retransmissions == 0));
}
