//! Published captures by others: nothing panics, nothing in them is SMP, and TDS is found where there is some.

use std::fs;
use std::path::PathBuf;

use marstui::capture::{Capture, OpenOptions};
use marstui::store::{Protocol, Store};
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

#[test]
fn published_captures_hold_no_smp() {
    for (file, store) in captures("published_captures_hold_no_smp") {
        let file = file.display();
        assert!(store.sessions().is_empty(), "{file} has sessions");
        assert!(store.conns().iter().all(|c| !c.smp_seen), "{file} has SMP");
    }
}

#[test]
fn tds_is_found_by_content_and_nothing_else_is_taken_for_it() {
    for (file, store) in captures("tds_is_found_by_content_and_nothing_else_is_taken_for_it") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let tds = store
            .conns()
            .iter()
            .filter(|c| c.protocol == Protocol::Tds)
            .count();
        let batches: u32 = store
            .conns()
            .iter()
            .flat_map(|c| c.tds.0)
            .map(|t| t.sql_batch + t.rpc)
            .sum();
        eprintln!(
            "{name}: {} conns, {tds} TDS, {batches} requests, {:?}",
            store.conns().len(),
            store
                .conns()
                .iter()
                .filter(|c| c.protocol == Protocol::Tds)
                .map(|c| c.tds)
                .fold([marstui::store::TdsCounts::default(); 2], |_, t| t.0)
        );
        for r in store.requests().iter().take(400) {
            eprintln!(
                "  {} {:?} {:?} {:?} rows {:?} err {:?}",
                r.first_frame,
                r.kind,
                r.text.chars().take(50).collect::<String>(),
                r.end,
                r.rows,
                r.error
            );
        }
    }
}
