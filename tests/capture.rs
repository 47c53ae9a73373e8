//! Reading of recorded captures, compared with tshark frame by frame.

use std::path::{Path, PathBuf};
use std::process::Command;

use marstui::capture::link::{self, Network};
use marstui::capture::{Capture, Chunk, FrameSource, OpenOptions};
use marstui::decode::net::{self, Packet};

use crate::support::{shared_or_skip, skip};

fn captures() -> Option<Vec<PathBuf>> {
    let shared = shared_or_skip("reading of recorded captures")?;
    let mut files = Vec::new();
    for folder in ["captures/recorded", "captures/public"] {
        collect(&shared.join(folder), &mut files);
    }
    files.sort();
    assert!(files.len() > 50, "only {} captures found", files.len());
    Some(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
        if path.is_dir() {
            collect(&path, files);
        } else if ["pcap", "pcapng", "cap"].contains(&extension) {
            files.push(path);
        }
    }
}

fn tshark(file: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-T", "fields", "-E", "occurrence=l", "-r"])
        .arg(file);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines();
    lines
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

fn have_tshark() -> bool {
    let there = Command::new("tshark").arg("--version").output().is_ok();
    if !there {
        skip("comparison with tshark", "tshark is not installed");
    }
    there
}

fn chunks(file: &Path) -> (Capture, Vec<Chunk>) {
    let capture = Capture::open(&[file.to_owned()], &OpenOptions::default()).unwrap();
    let mut reader = capture.chunks();
    let chunks = std::iter::from_fn(|| reader.next_chunk()).collect();
    (capture, chunks)
}

const FIELDS: [&str; 10] = [
    "frame.time_epoch",
    "frame.cap_len",
    "frame.len",
    "tcp.srcport",
    "tcp.dstport",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.flags",
    "tcp.len",
    "tcp.window_size_value",
];

#[test]
fn every_frame_and_segment_has_the_numbers_that_tshark_reads() {
    let (Some(files), true) = (captures(), have_tshark()) else {
        return;
    };
    for file in files {
        let expected = tshark(&file, &FIELDS);
        let (capture, chunks) = chunks(&file);
        let mut frames = 0;
        for chunk in &chunks {
            for record in &chunk.records {
                let line = &expected[frames];
                frames += 1;
                let at = format!("{} frame {frames}", file.display());
                // Simple packet blocks have no time.
                if !line[0].is_empty() {
                    let nanos = record.time.0;
                    let time = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
                    assert_eq!(time, line[0], "{at}");
                }
                // Where an event holds a frame, tshark tells the length of the whole event.
                if !file.ends_with("netmon2.3-netsh-trace.cap") {
                    assert_eq!(record.captured.to_string(), line[1], "{at}");
                    assert_eq!(record.wire.to_string(), line[2], "{at}");
                }
                let mut again = Vec::new();
                capture
                    .read_frame(record.interface, record.offset, record.captured, &mut again)
                    .unwrap();
                assert_eq!(again, chunk.bytes(record), "{at}");
                // Random bytes behind valid headers: lengths disagree, and the IP header is believed here.
                if !file.ends_with("mrp-randpkt-tds.pcap") {
                    let link_type = capture.link_type(record.interface).unwrap();
                    assert_eq!(tcp(link_type, &again, record.wire), line[3..10], "{at}");
                }
            }
        }
        assert_eq!(frames, expected.len(), "{}", file.display());
    }
}

/// The TCP fields of a frame as tshark prints them; empty where there is no segment.
fn tcp(link_type: u32, frame: &[u8], wire: u32) -> [String; 7] {
    let Network::Ip(at) = link::network(link_type, frame) else {
        return Default::default();
    };
    let Packet::Tcp(segment) = net::packet(frame, at, wire) else {
        return Default::default();
    };
    [
        segment.src_port.to_string(),
        segment.dst_port.to_string(),
        segment.seq.to_string(),
        segment.ack.to_string(),
        format!("0x{:04x}", segment.flags),
        segment.payload_len.to_string(),
        segment.window.to_string(),
    ]
}
