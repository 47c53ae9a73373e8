//! A filter asked of all frames at once answers as it does when each frame is asked by itself: every field that
//! columns of the index hold, in every way to ask for it, on recorded and on generated captures.

use std::collections::BTreeSet;

use marstui::capture::{Capture, OpenOptions};
use marstui::query::{self, Context, Eval, Filter, Run};
use marstui::rules;
use marstui::store::Store;
use marstui::track;
use marstui::units::FrameNo;

use crate::support::asking::indexed_fields;
use crate::support::shared_or_skip;
use crate::support::synth::big;
use crate::support::synth::file::Format;
use crate::support::synth::rng::Rng;

/// Ways to ask for a field `F` that has the value `V`.
const WAYS: [&str; 14] = [
    "F",
    "not F",
    "F == V",
    "F != V",
    "F > V",
    "F <= V",
    "F ~= V",
    "all F == V",
    "F in {V, 1, 3, 5..9}",
    "not F in {V}",
    "F & 3",
    "F + 1 > V",
    "count(F) > 1",
    "F == F",
];

fn index(capture: &Capture) -> Store {
    let mut store = track::load(capture);
    rules::judge(&mut store, &rules::Settings::default());
    store
}

/// All filters on one field that are about columns alone.
fn filters(store: &Store) -> Vec<Filter> {
    let mut filters = Vec::new();
    for asked in indexed_fields(store) {
        filters.extend(WAYS.iter().filter_map(|way| asked.filter(way)));
    }
    assert!(filters.len() > 700, "{}", filters.len());
    filters
}

/// Compares both ways to ask, on some frames and from several starts.
fn agree(store: &Store, filters: &[Filter], frames: &BTreeSet<u32>) {
    let eval = Eval {
        marked: &[(2, 5), (9, 9), (60, 5000)],
        ..Eval::of(store)
    };
    let mut wrong = Vec::new();
    for (number, filter) in filters.iter().enumerate() {
        // Blocks begin where the run does.
        let start = if number % 2 == 0 {
            1
        } else {
            u32::try_from(number % 50).unwrap()
        };
        let mut run = Run::over(filter.clone(), FrameNo(start), FrameNo(u32::MAX));
        let mut found = BTreeSet::new();
        run.step(&eval, &mut || false, &mut |hits| {
            found.extend(hits.iter().map(|no| no.0));
        });
        let odd = frames
            .iter()
            .filter(|no| **no >= start)
            .find(|no| found.contains(no) != filter.matches(&eval, FrameNo(**no)));
        if let Some(no) = odd {
            let scan = found.contains(no);
            wrong.push(format!("{}: frame {no}: {scan} at once", filter.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Two filters joined, for each filter and some other.
fn joined(filters: &[Filter]) -> Vec<Filter> {
    let mut rng = Rng::new(9);
    let mut pick = || {
        let at = rng.below(u64::try_from(filters.len()).unwrap());
        filters[usize::try_from(at).unwrap()].text().to_owned()
    };
    (0..150)
        .map(|n| {
            let (a, b, c) = (pick(), pick(), pick());
            let text = match n % 4 {
                0 => format!("({a}) and not ({b})"),
                1 => format!("({a}) or ({b}) and ({c})"),
                2 => format!("not (({a}) or ({b}))"),
                _ => format!("(({a}) or not ({b})) and ({c})"),
            };
            query::parse(&text, &Context::default()).unwrap()
        })
        .collect()
}

#[test]
fn recorded_captures() {
    let Some(shared) = shared_or_skip("scans::recorded_captures") else {
        return;
    };
    for name in [
        "k1-loss-reorder.server.pcap",
        "b1-interleaved-odbc.client.pcapng",
    ] {
        let file = shared.join("captures/recorded").join(name);
        let capture = Capture::open(&[file], &OpenOptions::default()).unwrap();
        let store = index(&capture);
        let count = u32::try_from(store.frame_count()).unwrap();
        let frames = (1..=count).step_by(7).collect();
        let filters = filters(&store);
        agree(&store, &filters, &frames);
        agree(&store, &joined(&filters), &frames);
    }
}

/// Of a capture of several blocks, every so-manieth frame is left out, and others change places, so that packets are
/// found late.
#[test]
fn a_generated_capture_with_gaps() {
    let mut bytes = Vec::new();
    big::write(&mut bytes, Format::Pcap, 8 << 20, big::Talk::Long).unwrap();
    let (header, mut rest) = bytes.split_at(24);
    let mut records = Vec::new();
    while rest.len() > 16 {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap());
        let (record, behind) = rest.split_at(16 + usize::try_from(len).unwrap());
        records.push(record);
        rest = behind;
    }
    let mut rng = Rng::new(5);
    records.retain(|_| rng.below(60) > 0);
    for _ in 0..records.len() / 40 {
        let at = usize::try_from(rng.below(u64::try_from(records.len() - 9).unwrap())).unwrap();
        records.swap(at, at + 8);
    }
    let bytes = [header, &records.concat()].concat();
    let capture = Capture::from_bytes("gaps.pcap", bytes).unwrap();
    let store = index(&capture);
    assert!(store.frame_count() > 8200, "{}", store.frame_count());
    assert!(!store.pdus_are_in_order(), "none is found late");
    let count = u32::try_from(store.frame_count()).unwrap();
    let mut frames: BTreeSet<u32> = (1..=count).step_by(241).collect();
    frames.extend((4085..4110).chain(8180..8200));
    let filters = filters(&store);
    agree(&store, &filters, &frames);
    agree(&store, &joined(&filters), &frames);
}
