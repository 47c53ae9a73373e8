//! Writes first inputs for the fuzz targets: `cargo run --example seeds -- FOLDER CAPTURE…` takes the captures apart,
//! one folder for each target. Secrets are zeros in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use marstui::capture::{Capture, FrameSource, OpenOptions};
use marstui::dissect::Dissector;
use marstui::store::PduKind;
use marstui::track;
use marstui::units::{End, FrameNo, PduId};

/// Longest input.
const MAX: usize = 1500;

struct Seeds {
    folder: PathBuf,
    seen: BTreeSet<(&'static str, Vec<u8>)>,
}

impl Seeds {
    /// Keeps one input of each shape: the same first bytes and about the same length.
    fn add(&mut self, target: &'static str, head: &[u8], body: &[u8]) {
        if body.is_empty() {
            return;
        }
        let body = &body[..body.len().min(MAX)];
        let mut shape = head.to_vec();
        shape.extend(&body[..body.len().min(26)]);
        shape.push(u8::try_from(body.len() / 64).unwrap_or(u8::MAX));
        if !self.seen.insert((target, shape)) {
            return;
        }
        let folder = self.folder.join(target);
        fs::create_dir_all(&folder).unwrap();
        let name = format!("seed-{:05}", self.seen.len());
        fs::write(folder.join(name), [head, body].concat()).unwrap();
    }
}

fn main() {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let folder = arguments.next().expect("a folder to write to");
    let mut seeds = Seeds {
        folder,
        seen: BTreeSet::new(),
    };
    for file in arguments {
        one(&mut seeds, &file);
    }
    println!("{} inputs", seeds.seen.len());
}

fn one(seeds: &mut Seeds, file: &Path) {
    let Ok(capture) = Capture::open(&[file.to_owned()], &OpenOptions::default()) else {
        return;
    };
    let store = track::load(&capture);
    if let Ok(bytes) = fs::read(file) {
        seeds.add("capture", &[], &bytes);
    }
    let mut dissector = Dissector::new();
    let mut frame = Vec::new();
    let mut talk = Vec::new();
    for (no, row) in store.frames_from(FrameNo(1)).take(400) {
        let row = row.to_owned();
        if capture
            .read_frame(row.interface, row.offset, row.captured, &mut frame)
            .is_err()
        {
            continue;
        }
        let secret = dissector.secret_ranges(&store, &capture, no);
        for range in secret {
            frame[range].fill(0);
        }
        if capture.link_type(row.interface) == Some(1) && frame.len() < 200 {
            seeds.add("packet", &[0], &frame);
        }
        let payload = frame
            .get(usize::from(row.payload_offset)..)
            .unwrap_or_default();
        if row.payload_len > 0 && payload.len() < 256 && talk.len() < MAX {
            talk.push(u8::from(row.end() == End::B));
            talk.push(u8::try_from(payload.len()).unwrap_or(0));
            talk.extend(payload);
        }
    }
    seeds.add("stream", &[], &talk);
    for index in 0..store.pdu_count().min(4000) {
        let id = PduId::from_index(index);
        let Some(pdu) = store.pdu(id).map(|pdu| pdu.to_owned()) else {
            continue;
        };
        if pdu.kind == PduKind::Tls {
            let Some(row) = store.frame(pdu.frame).map(|row| row.to_owned()) else {
                continue;
            };
            let read = capture.read_frame(row.interface, row.offset, row.captured, &mut frame);
            if read.is_ok() {
                let payload = frame.get(usize::from(row.payload_offset)..);
                seeds.add("tls", &[], payload.unwrap_or_default());
            }
            continue;
        }
        if !pdu.carries_tds() {
            continue;
        }
        let Some(body) = dissector.pdu_bytes(&store, &capture, id, true) else {
            continue;
        };
        match pdu.tds_type {
            18 if body.first() == Some(&22) => seeds.add("tls", &[], &body),
            18 => seeds.add("login", &[0], &body),
            16 => seeds.add("login", &[1], &body),
            8 => seeds.add("login", &[2], &body),
            17 => seeds.add("sspi", &[], &body),
            1 => seeds.add("request", &[0x20], &body),
            3 => seeds.add("request", &[0], &body),
            14 => seeds.add("request", &[0x40], &body),
            7 => seeds.add("answer", &[0x80], &body),
            4 if body.first() == Some(&22) => seeds.add("tls", &[], &body),
            4 => {
                seeds.add("answer", &[0], &body);
                seeds.add("skim", &[7], &body);
            }
            _ => {}
        }
    }
}
