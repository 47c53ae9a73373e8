//! Captures derived from the recorded ones: one direction only, begun late, cut by a snap length, with frames missing,
//! there twice or in another order, both points in one file. What is said of them is true of the capture that they
//! come from, or said to be unknown.
//!
//! Seeded, so that a failure can be repeated: the message names file, variant and seed. The environment variables
//! `DERIVED_ROUNDS` (how many seeds are tried) and `DERIVED` (part of a file's name) set what is tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use marstui::capture::{Capture, FrameSource, OpenOptions};
use marstui::store::{
    ConnRow, Endpoint, PduKind, PduRow, RequestEnd, RequestRow, SessionRow, Severity, SmpCounts,
    Store,
};
use marstui::track;
use marstui::units::{ConnId, End, FrameNo, Nanos, PduId, Sid, TcpSeq};

use crate::generated::index;
use crate::support::shared_or_skip;
use crate::support::synth::file::{self, Frame, Interface};
use crate::support::synth::rng::Rng;

/// Larger files say nothing that the others don't.
const LARGEST: u64 = 700_000;

/// How a capture is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variant {
    ClientOnly,
    ServerOnly,
    Late,
    Snap(usize),
    /// So many frames in a thousand.
    Missing(u64),
    Twice(u64),
    /// Frames that trade places with one of the next few.
    Reordered(u64),
}

const VARIANTS: [Variant; 12] = [
    Variant::ClientOnly,
    Variant::ServerOnly,
    Variant::Late,
    Variant::Snap(96),
    Variant::Snap(128),
    Variant::Snap(256),
    Variant::Missing(10),
    Variant::Missing(50),
    Variant::Missing(200),
    Variant::Twice(50),
    Variant::Reordered(20),
    Variant::Reordered(100),
];

impl Variant {
    fn of(self, whole: &file::Capture, store: &Store, rng: &mut Rng) -> file::Capture {
        let mut capture = whole.clone();
        let mut chance = |per_mille: u64| rng.below(1000) < per_mille;
        let mut no = 0;
        match self {
            Self::ClientOnly | Self::ServerOnly => capture.frames.retain(|_| {
                no += 1;
                let frame = store.frame(FrameNo(no)).unwrap();
                let Some(conn) = frame.conn.and_then(|id| store.conn(id)) else {
                    return true;
                };
                (frame.end() == conn.client) == (self == Self::ClientOnly)
            }),
            Self::Late => {
                let len = u64::try_from(capture.frames.len()).unwrap();
                let cut = usize::try_from(rng.below(len)).unwrap();
                capture.frames.drain(..cut);
            }
            Self::Snap(len) => capture = capture.snap(len),
            Self::Missing(share) => capture.frames.retain(|_| !chance(share)),
            Self::Twice(share) => {
                let frames = std::mem::take(&mut capture.frames);
                for frame in frames {
                    if chance(share) {
                        capture.frames.push(frame.clone());
                    }
                    capture.frames.push(frame);
                }
            }
            Self::Reordered(share) => {
                for i in 1..capture.frames.len() {
                    if rng.below(1000) < share {
                        let back = usize::try_from(rng.below(3)).unwrap();
                        capture.frames.swap(i, i.saturating_sub(1 + back));
                    }
                }
            }
        }
        capture
    }
}

/// A recorded capture's frames, to be changed.
fn frames(capture: &Capture, store: &Store) -> file::Capture {
    let interfaces = store
        .interfaces()
        .iter()
        .map(|interface| Interface {
            name: interface.name.clone().unwrap_or_default(),
            link_type: interface.link_type,
            snap_len: 0,
            digits: 9,
        })
        .collect();
    let mut frames = Vec::new();
    let mut data = Vec::new();
    for (_, row) in store.frames_from(FrameNo(1)) {
        capture
            .read_frame(row.interface, row.offset, row.captured, &mut data)
            .unwrap();
        let Nanos(time) = row.time;
        frames.push(Frame {
            time,
            interface: row.interface.index(),
            wire_len: usize::try_from(row.wire).unwrap(),
            ..Frame::new(data.clone())
        });
    }
    file::Capture { interfaces, frames }
}

/// A byte of a stream, by its sender, its receiver and its sequence number.
type Place = (Endpoint, Endpoint, u32);

fn place(conn: &ConnRow, end: End, pos: u64) -> Option<Place> {
    let base = (*conn.base_seq.get(end))?;
    let low = u32::try_from(pos & 0xffff_ffff).unwrap();
    let [from, to] = [conn.ends.get(end), conn.ends.get(end.other())];
    Some((*from, *to, base.plus(low).0))
}

fn pdu_place(store: &Store, pdu: &PduRow) -> Option<Place> {
    place(store.conn(pdu.conn)?, pdu.end, pdu.pos.0)
}

/// A life of a Sid, with its connection.
type Life<'a> = (&'a ConnRow, &'a SessionRow);

/// What is true of a capture.
struct Truth<'a> {
    whole: &'a Store,
    pdus: BTreeMap<Place, PduRow>,
    requests: BTreeMap<Place, RequestRow>,
    lives: BTreeMap<(Endpoint, Endpoint, Sid), Vec<Life<'a>>>,
    broken: BTreeSet<String>,
}

fn is_read(pdu: &PduRow) -> bool {
    !matches!(pdu.kind, PduKind::Hidden | PduKind::Unknown)
}

impl<'a> Truth<'a> {
    fn of(store: &'a Store) -> Self {
        let mut truth = Self {
            whole: store,
            pdus: BTreeMap::new(),
            requests: BTreeMap::new(),
            lives: BTreeMap::new(),
            broken: BTreeSet::new(),
        };
        for (_, pdu) in store.pdus_from(PduId(0)).filter(|(_, pdu)| is_read(pdu)) {
            if let Some(place) = pdu_place(store, &pdu) {
                truth.pdus.insert(place, pdu);
            }
        }
        for request in store.requests() {
            let first = store.pdu(request.first_pdu).unwrap();
            if let Some(place) = pdu_place(store, &first) {
                truth.requests.insert(place, request);
            }
        }
        for session in store.sessions() {
            let conn = store.conn(session.conn).unwrap();
            let lives = truth.lives.entry(session_key(conn, session)).or_default();
            lives.push((conn, session));
        }
        let broken = store.violations().iter().map(|v| format!("{:?}", v.check));
        truth.broken.extend(broken);
        truth
    }
}

/// Which end is the client may not be known.
fn session_key(conn: &ConnRow, session: &SessionRow) -> (Endpoint, Endpoint, Sid) {
    let [a, b] = conn.ends.0;
    (a.min(b), a.max(b), session.sid)
}

/// What is said of a derived capture that is not so.
fn false_words(truth: &Truth<'_>, store: &Store, variant: Variant) -> Vec<String> {
    let mut wrong = Vec::new();
    for (_, pdu) in store.pdus_from(PduId(0)).filter(|(_, pdu)| is_read(pdu)) {
        let found = pdu_place(store, &pdu).and_then(|place| truth.pdus.get(&place));
        let facts = |p: &PduRow| (p.kind, p.len, p.sid, p.seqnum, p.wndw);
        if found.is_none_or(|found| facts(found) != facts(&pdu)) {
            wrong.push(format!("{pdu:?} is {found:?}"));
        }
    }
    for request in store.requests() {
        let first = store.pdu(request.first_pdu).unwrap();
        let found = pdu_place(store, &first).and_then(|place| truth.requests.get(&place));
        let Some(found) = found else {
            wrong.push(format!("{request:?} is none"));
            continue;
        };
        let (said, truly) = ((store, &request), (truth.whole, found));
        if !is_true_of(said, truly) && !left_no_trace(said, truly) {
            wrong.push(format!("{request:?} is {found:?}"));
        }
    }
    for session in store.sessions() {
        let conn = store.conn(session.conn).unwrap();
        match truth.lives.get(&session_key(conn, session)) {
            None => wrong.push(format!("{session:?} is none")),
            Some(lives) => {
                if let [(there, life)] = lives.as_slice()
                    && !counts_are_true((store, conn, session), (truth.whole, there, life))
                {
                    let ends = |s: &SessionRow| format!("{:?}", s.ends.0.map(|e| e.counts));
                    let holes = session.holes;
                    let (ours, theirs) = (ends(session), ends(life));
                    let name = session.sid;
                    wrong.push(format!("Sid {name} (holes: {holes}): {ours} is {theirs}"));
                }
            }
        }
    }
    // Packets in another order break rules that rest on the order.
    if !matches!(variant, Variant::Reordered(_)) {
        for violation in store.violations() {
            let known = truth.broken.contains(&format!("{:?}", violation.check));
            if violation.severity != Severity::Note && !known {
                wrong.push(format!("{violation:?} is not so"));
            }
        }
    }
    wrong
}

/// Whether a request is called outstanding because all of its answer is left out, and nothing in the file tells of it.
fn left_no_trace(
    (store, said): (&Store, &RequestRow),
    (whole, found): (&Store, &RequestRow),
) -> bool {
    let Some(answer) = found.answer_first_frame.and_then(|no| whole.frame(no)) else {
        return false;
    };
    let conn = store.conn(said.conn).unwrap();
    let server = conn.client.other();
    said.end == RequestEnd::Outstanding && !is_told_of(store, conn, server, answer.seq)
}

/// Whether anything in the file tells of an end's byte: the end sent it or what follows it, or the other one
/// acknowledged it.
fn is_told_of(store: &Store, conn: &ConnRow, end: End, byte: TcpSeq) -> bool {
    store.frames_from(FrameNo(1)).any(|(_, frame)| {
        let up_to = if frame.end() == end {
            frame.seq.plus(frame.payload_len)
        } else {
            frame.ack
        };
        let flags = frame.tcp_flags;
        let counts = frame.conn == Some(conn.id) && flags.ack() && !flags.rst();
        counts && byte.before(up_to)
    })
}

fn is_true_of((store, said): (&Store, &RequestRow), (whole, found): (&Store, &RequestRow)) -> bool {
    let unread = said.end == RequestEnd::Done && said.rows.is_none();
    said.kind == found.kind
        && whole.text(found.text).starts_with(store.text(said.text))
        && (said.rows.is_none() || said.rows == found.rows)
        && (said.done_status.is_none() || said.done_status == found.done_status)
        && (said.error.is_none() || said.error == found.error)
        && (said.end == RequestEnd::Unknown
            || said.end == found.end
            || (unread && found.end != RequestEnd::Outstanding))
}

fn counts_are_true(
    (store, conn, said): (&Store, &ConnRow, &SessionRow),
    (whole, there, life): (&Store, &ConnRow, &SessionRow),
) -> bool {
    let complete = said.syn_seen && !said.holes;
    let last_is_told_of = |true_end, end| {
        let last = life.ends.get(true_end).last_pdu;
        let last = last.and_then(|id| whole.pdu(id)).unwrap();
        let (_, _, seq) = pdu_place(whole, &last).unwrap();
        is_told_of(store, conn, end, TcpSeq(seq))
    };
    let same_ends = conn.ends.get(End::A) == there.ends.get(End::A);
    End::BOTH.into_iter().all(|end| {
        let true_end = if same_ends { end } else { end.other() };
        let all = |c: SmpCounts| [c.syn, c.ack, c.fin, c.data];
        let counts = all(said.ends.get(end).counts);
        let mut truth = all(life.ends.get(true_end).counts);
        truth[3] += life.hidden_data(true_end);
        let data = said.ends.get(end).counts.data + said.hidden_data(end);
        counts.iter().zip(truth).all(|(c, t)| *c <= t)
            && (!complete || counts == truth || !last_is_told_of(true_end, end))
            && data <= truth[3]
    })
}

fn recorded(shared: &Path) -> Vec<PathBuf> {
    let only = std::env::var("DERIVED").unwrap_or_default();
    let mut files: Vec<_> = fs::read_dir(shared.join("captures/recorded"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.contains(".pcap") && name.contains(&only)
        })
        .filter(|path| fs::metadata(path).is_ok_and(|m| m.len() < LARGEST))
        .collect();
    files.sort();
    files
}

fn load(path: &Path) -> (Capture, Store) {
    let capture = Capture::open(&[path.to_owned()], &OpenOptions::default()).unwrap();
    let store = track::load(&capture);
    (capture, store)
}

fn report(wrong: &[String], tried: usize) {
    let some: Vec<_> = wrong.iter().take(12).cloned().collect();
    assert!(tried > 0);
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        some.join("\n")
    );
}

#[test]
fn nothing_false_is_said_of_captures_with_less_or_more_in_them() {
    let test = "nothing_false_is_said_of_captures_with_less_or_more_in_them";
    let Some(shared) = shared_or_skip(test) else {
        return;
    };
    let set = std::env::var("DERIVED_ROUNDS").ok();
    let rounds: Option<u64> = set.and_then(|n| n.parse().ok());
    let mut wrong = Vec::new();
    let mut tried = 0;
    for (number, path) in recorded(&shared).into_iter().enumerate() {
        let (capture, store) = load(&path);
        let truth = Truth::of(&store);
        let whole = frames(&capture, &store);
        for seed in 0..rounds.unwrap_or(1) {
            for (i, variant) in VARIANTS.into_iter().enumerate() {
                // Without further notice each file is tried in some ways, and each way with some files.
                if rounds.is_none() && (number + i) % 4 != 0 {
                    continue;
                }
                tried += 1;
                let derived = variant.of(&whole, &store, &mut Rng::new(seed * 100 + i as u64));
                let said = false_words(&truth, &index(&derived), variant);
                let name = path.file_name().unwrap().to_string_lossy();
                let of = said.len();
                if let Some(first) = said.into_iter().next() {
                    wrong.push(format!("{name} {variant:?} seed {seed} ({of}): {first}"));
                }
            }
        }
    }
    report(&wrong, tried);
}

/// Both points of a connection in one file: every segment is there twice, and everything is said once.
#[test]
fn both_points_in_one_file_say_what_each_says() {
    let Some(shared) = shared_or_skip("both_points_in_one_file_say_what_each_says") else {
        return;
    };
    let mut wrong = Vec::new();
    let mut tried = 0;
    for client in recorded(&shared) {
        let name = client.to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".client.pcapng") else {
            continue;
        };
        let server = PathBuf::from(format!("{stem}.server.pcap"));
        // In a lossy network each point sees what the other does not.
        let lossy = ["k1-", "k4-", "m1-", "m2-", "x"];
        let file = client.file_name().unwrap().to_string_lossy().into_owned();
        if !server.exists() || lossy.iter().any(|part| file.starts_with(part)) {
            continue;
        }
        tried += 1;
        let (capture, store) = load(&client);
        let (capture_there, store_there) = load(&server);
        let truth = Truth::of(&store);
        let merged = frames(&capture, &store).merge(frames(&capture_there, &store_there));
        let both = index(&merged);
        let said = false_words(&truth, &both, Variant::Reordered(0));
        wrong.extend(
            said.into_iter()
                .take(1)
                .map(|said| format!("{file}: {said}")),
        );
        let counts = |store: &Store| -> Vec<_> {
            let row = |conn: &ConnRow| (conn.smp, conn.tds);
            let ids = (0..store.conns().len()).map(ConnId::from_index);
            ids.filter_map(|id| store.conn(id).map(row)).collect()
        };
        if counts(&both) != counts(&store) {
            wrong.push(format!(
                "{file}: {:?} is {:?}",
                counts(&both),
                counts(&store)
            ));
        }
    }
    report(&wrong, tried);
}
