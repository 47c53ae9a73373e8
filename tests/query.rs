//! The filter language against tshark: a filter written with Wireshark's names selects the same frames.

use std::path::{Path, PathBuf};
use std::process::Command;

use marstui::capture::{Capture, OpenOptions};
use marstui::query::{self, Context, Eval};
use marstui::store::Store;
use marstui::track;

use crate::support::{shared_or_skip, skip};

/// Filters that the store's columns answer.
const INDEXED: &[&str] = &[
    "smp.sid == 1",
    "smp.sid != 1",
    "smp.sid == 1 && smp.flags.fin == 1",
    "smp.sid > 0 and smp.flags.data == 0",
    "smp.flags.syn == 1 or smp.flags.fin == 1",
    "smp.flags.ack == 1",
    "smp.flags.fin",
    "smp.flags == 8",
    "!smp",
    "smp and not smp.flags.data == 1",
    "smp.seqnum > 3 and smp.seqnum < 9",
    "smp.seqnum in {1, 3, 5..9}",
    "smp.wndw == 4",
    "smp.wndw != 4",
    "smp.length == 16",
    "smp.length > 1000",
    "tcp.flags.reset == 1",
    "tcp.flags.fin == 1 || tcp.flags.reset == 1",
    "tcp.flags.syn == 1 && tcp.flags.ack == 0",
    "tcp.flags == 0x014",
    "tcp.flags & 0x05",
    "tcp.len == 0",
    "tcp.len in {16, 32..200}",
    "tcp.stream == 0",
    "tcp.stream != 0",
    "tcp.port == 1433",
    "tcp.srcport == 1433 and tcp.len > 0",
    "tcp.dstport != 1433",
    "tcp.seq == 1",
    "tcp.seq > 1000 and tcp.seq < 5000",
    "tcp.ack == 1",
    "tcp.ack > 2000",
    "tcp.nxtseq > 3000",
    "tcp.window_size_value < 500",
    "tcp.time_delta > 0.01",
    "tcp.time_relative > 0.2",
    "frame.number in {3..9, 12}",
    "frame.len > 100",
    "frame.cap_len != frame.len",
    "frame.time_delta > 0.01",
    "frame.time_relative < 0.05",
    "ip.addr == 10.0.0.0/8",
    "ip.ttl == 64",
    "ip.id == 0",
    "tds.type == 4",
    "tds.type in {1, 3, 7, 14}",
    "tds.type == \"SQL batch\"",
    "tds.type != 4",
    "tds.status == 1",
    "tds.status.eom == 0",
    "tds.length > 1000",
    "(smp.sid == 0 or smp.sid == 1) and tcp.srcport != 1433",
];

fn tshark(file: &Path, filter: &str) -> Vec<u32> {
    let output = Command::new("tshark")
        .args(["-o", "tcp.reassemble_out_of_order:TRUE", "-r"])
        .arg(file)
        .args(["-Y", filter, "-T", "fields", "-e", "frame.number"])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "tshark refuses {filter}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|l| l.trim().parse().unwrap()).collect()
}

fn ours(store: &Store, filter: &str) -> Vec<u32> {
    let filter = query::parse(filter, &Context::default()).unwrap();
    assert!(filter.is_indexed(), "{}", filter.text());
    let hits = query::run(&filter, &Eval::of(store));
    hits.into_iter().map(|f| f.0).collect()
}

fn load(path: &Path) -> Store {
    let capture = Capture::open(&[PathBuf::from(path)], &OpenOptions::default()).unwrap();
    track::load(&capture)
}

fn have_tshark(test: &str) -> bool {
    let there = Command::new("tshark").arg("--version").output().is_ok();
    if !there {
        skip(test, "tshark is not there");
    }
    there
}

/// What differs on one capture.
fn differences(file: &Path, filters: &[&str]) -> Vec<String> {
    let store = load(file);
    let mut wrong = Vec::new();
    for filter in filters {
        let (ours, theirs) = (ours(&store, filter), tshark(file, filter));
        if ours != theirs {
            let only = |a: &[u32], b: &[u32]| -> Vec<u32> {
                a.iter()
                    .filter(|n| !b.contains(n))
                    .take(8)
                    .copied()
                    .collect()
            };
            wrong.push(format!(
                "{}: {filter}: {} frames, tshark {}; only here {:?}, only there {:?}",
                file.display(),
                ours.len(),
                theirs.len(),
                only(&ours, &theirs),
                only(&theirs, &ours),
            ));
        }
    }
    wrong
}

#[test]
fn the_same_frames_as_tshark() {
    let Some(shared) = shared_or_skip("the_same_frames_as_tshark") else {
        return;
    };
    if !have_tshark("the_same_frames_as_tshark") {
        return;
    }
    // Each call of tshark takes half a second, so that each filter is tried on one capture here.
    let files = [
        "a5-wiki-shape-two-sids.server.pcap",
        "b1-interleaved-odbc.client.pcapng",
        "k1-loss-reorder.server.pcap",
    ];
    let mut wrong = Vec::new();
    for (at, name) in files.iter().enumerate() {
        let file = shared.join("captures/recorded").join(name);
        let filters: Vec<_> = INDEXED
            .iter()
            .copied()
            .skip(at)
            .step_by(files.len())
            .collect();
        wrong.extend(differences(&file, &filters));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "takes half an hour"]
fn the_same_frames_as_tshark_on_every_capture() {
    let Some(shared) = shared_or_skip("the_same_frames_as_tshark_on_every_capture") else {
        return;
    };
    let only = std::env::var("CAPTURES").unwrap_or_default();
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(shared.join("captures/recorded")).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let capture = name.contains(".pcap") && std::fs::metadata(&file).unwrap().len() < 3_000_000;
        if capture && only.split(',').any(|part| name.contains(part)) {
            wrong.extend(differences(&file, INDEXED));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
