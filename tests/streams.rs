//! However a conversation is cut into segments, sent again, reordered and renumbered, the same comes out; and with
//! segments missing nothing comes out that was not there.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the numbers are the test's own, and small"
)]

use std::collections::BTreeMap;

use marstui::capture::{Capture, FrameSource, OpenOptions};
use marstui::dissect::stream::Frames;
use marstui::store::{
    FrameFlags, PduKind, PduRow, RequestEnd, RequestRow, Severity, SmpCounts, Store,
};
use marstui::track;
use marstui::units::{End, FrameNo};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use crate::support::shared_or_skip;

/// What each end said, in the order of the file.
pub type Talk = Vec<(End, Vec<u8>)>;

pub const FILES: [&str; 4] = [
    "b1-interleaved-odbc.client.pcapng",
    "i1-login-only-tls-mars.server.pcap",
    "g2-attention-mid-result.client.pcapng",
    "h4-nonmars-freetds-normal.client.pcapng",
];

pub fn talk(file: &str) -> Option<Talk> {
    let path = shared_or_skip("streams")?
        .join("captures/recorded")
        .join(file);
    let capture = Capture::open(&[path], &OpenOptions::default()).unwrap();
    let store = track::load(&capture);
    let mut buf = Vec::new();
    let mut talk = Talk::new();
    for (_, frame) in store.frames_from(FrameNo(1)) {
        let skip =
            FrameFlags::RETRANSMISSION.0 | FrameFlags::NOT_IN_STREAM.0 | FrameFlags::DUPLICATE.0;
        if frame.payload_len == 0 || frame.flags.0 & skip != 0 {
            continue;
        }
        capture
            .read_frame(frame.interface, frame.offset, frame.captured, &mut buf)
            .unwrap();
        let payload = buf[usize::from(frame.payload_offset)..].to_vec();
        match talk.last_mut() {
            Some((end, bytes)) if *end == frame.end() => bytes.extend(payload),
            _ => talk.push((frame.end(), payload)),
        }
    }
    Some(talk)
}

/// A small generator of numbers, so that a failing case is one number.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as usize % n.max(1)
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Network {
    pub largest: usize,
    pub reorder: usize,
    pub again: usize,
    pub lose: usize,
    pub with_syn: bool,
    pub first_seq: [u32; 2],
}

/// Writes a conversation as raw IPv4 packets.
pub struct Wire {
    pub file: Vec<u8>,
    /// Address and port of end A.
    pub client: ([u8; 4], u16),
    ip_id: u16,
    frames: u32,
    /// Microseconds between frames that went by beyond the usual.
    waited: u32,
    /// Stream ranges that were left out, by end.
    lost: Vec<(End, u64, u64)>,
}

impl Wire {
    pub fn new() -> Self {
        let mut file = 0xa1b2_c3d4_u32.to_le_bytes().to_vec();
        file.extend(2_u16.to_le_bytes());
        file.extend(4_u16.to_le_bytes());
        file.extend([0; 8]);
        file.extend(65_535_u32.to_le_bytes());
        file.extend(101_u32.to_le_bytes());
        Self {
            file,
            client: ([10, 0, 0, 1], 50_000),
            ip_id: 1,
            frames: 0,
            waited: 0,
            lost: Vec::new(),
        }
    }

    /// Lets time go by.
    pub fn wait(&mut self, millis: u32) {
        self.waited += millis * 1000;
    }

    pub fn send(&mut self, end: End, seq: u32, ack: u32, flags: u8, payload: &[u8]) {
        let len = (40 + payload.len()) as u32;
        self.frames += 1;
        let micros = self.frames * 10 + self.waited;
        self.file
            .extend((1_700_000_000 + micros / 1_000_000).to_le_bytes());
        self.file.extend((micros % 1_000_000).to_le_bytes());
        self.file.extend(len.to_le_bytes());
        self.file.extend(len.to_le_bytes());
        let hosts: [[u8; 4]; 2] = [self.client.0, [10, 0, 0, 2]];
        let ports: [u16; 2] = [self.client.1, 14_330];
        let (from, to) = if end == End::A { (0, 1) } else { (1, 0) };
        self.file.extend([0x45, 0]);
        self.file.extend((len as u16).to_be_bytes());
        self.file.extend(self.ip_id.to_be_bytes());
        self.ip_id = self.ip_id.wrapping_add(1).max(1);
        self.file.extend([0x40, 0, 64, 6, 0, 0]);
        self.file.extend(hosts[from]);
        self.file.extend(hosts[to]);
        self.file.extend(ports[from].to_be_bytes());
        self.file.extend(ports[to].to_be_bytes());
        self.file.extend(seq.to_be_bytes());
        self.file.extend(ack.to_be_bytes());
        self.file.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
        self.file.extend(payload);
    }
}

fn index(end: End) -> usize {
    usize::from(end == End::B)
}

pub fn capture(talk: &Talk, network: Network, dice: &mut Dice) -> Wire {
    let mut wire = Wire::new();
    let mut sent = [0_u64; 2];
    let first = network.first_seq;
    if network.with_syn {
        wire.send(End::A, first[0].wrapping_sub(1), 0, 2, &[]);
        wire.send(End::B, first[1].wrapping_sub(1), first[0], 0x12, &[]);
        wire.send(End::A, first[0], first[1], 0x10, &[]);
    }
    let number = |end: End, pos: u64| first[index(end)].wrapping_add(pos as u32);
    for (end, bytes) in talk {
        let start = sent[index(*end)];
        let ack = number(end.other(), sent[index(end.other())]);
        let mut segments = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let len = (1 + dice.below(network.largest)).min(bytes.len() - at);
            segments.push((at, len));
            at += len;
        }
        for i in 1..segments.len() {
            if dice.chance(network.reorder) {
                let other = i.saturating_sub(1 + dice.below(4));
                segments.swap(i, other);
            }
        }
        let mut done = vec![false; bytes.len()];
        let mut contiguous = 0;
        for (i, (at, len)) in segments.iter().copied().enumerate() {
            let pos = start + at as u64;
            if dice.chance(network.lose) {
                wire.lost.push((*end, pos, pos + len as u64));
                done[at..at + len].fill(true);
                continue;
            }
            wire.send(*end, number(*end, pos), ack, 0x18, &bytes[at..at + len]);
            done[at..at + len].fill(true);
            if dice.chance(network.again) {
                let (from, _) = segments[dice.below(i + 1)];
                let len = (1 + dice.below(3 * network.largest)).min(bytes.len() - from);
                // Bytes that the receiver has, and what follows them as far as it was sent.
                let len = (0..len).take_while(|n| done[from + n]).count();
                let not_lost = |pos: u64| {
                    !wire
                        .lost
                        .iter()
                        .any(|(e, a, b)| e == end && (*a..*b).contains(&pos))
                };
                let len = (0..len)
                    .take_while(|n| not_lost(start + (from + n) as u64))
                    .count();
                let seq = number(*end, start + from as u64);
                wire.send(*end, seq, ack, 0x18, &bytes[from..from + len]);
            }
            if dice.chance(20) {
                while done.get(contiguous) == Some(&true) {
                    contiguous += 1;
                }
                let got = contiguous as u64;
                let seq = number(end.other(), sent[index(end.other())]);
                wire.send(end.other(), seq, number(*end, start + got), 0x10, &[]);
            }
        }
        sent[index(*end)] = start + bytes.len() as u64;
    }
    // Both ends acknowledge everything and close.
    for end in [End::A, End::B] {
        let seq = number(end, sent[index(end)]);
        let ack = number(
            end.other(),
            sent[index(end.other())] + u64::from(end == End::B),
        );
        wire.send(end, seq, ack, 0x11, &[]);
    }
    let seq = number(End::A, sent[0] + 1);
    wire.send(End::A, seq, number(End::B, sent[1] + 1), 0x10, &[]);
    wire
}

pub fn load(wire: &Wire) -> (Capture, Store) {
    let capture = Capture::from_bytes("made.pcap", wire.file.clone()).unwrap();
    let store = track::load(&capture);
    (capture, store)
}

type PduFacts = (bool, PduKind, u64, u32, u16, u32, u32, u8, u8, u16);

fn pdu_facts(pdu: &PduRow) -> PduFacts {
    (
        pdu.end == End::B,
        pdu.kind,
        pdu.pos.0,
        pdu.len,
        pdu.sid.0,
        pdu.seqnum.0,
        pdu.wndw.0,
        pdu.tds_type,
        pdu.tds_status,
        pdu.flags.0,
    )
}

/// Everything that must not depend on how the bytes travelled.
fn facts(store: &Store) -> Vec<String> {
    assert_eq!(store.conns().len(), 1);
    let conn = &store.conns()[0];
    let mut facts = vec![format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        conn.protocol, conn.mars, conn.encryption, conn.smp, conn.tds, conn.client
    )];
    facts.extend(
        store
            .pdus_from(marstui::units::PduId(0))
            .map(|(_, pdu)| format!("{:?}", pdu_facts(&pdu))),
    );
    for session in store.sessions() {
        let ends = session
            .ends
            .0
            .map(|e| (e.counts, e.last_seqnum, e.last_wndw, e.last_data_seqnum));
        facts.push(format!(
            "Sid {} life {} {ends:?} {} {} {}",
            session.sid, session.life, session.requests, session.outstanding, session.holes
        ));
    }
    facts.extend(store.requests().map(|r| {
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {}",
            r.kind,
            store.text(r.text),
            r.rows,
            r.error,
            r.end,
            r.done_status,
            r.answer_bytes
        )
    }));
    facts.extend(store.violations().iter().map(|v| format!("{:?}", v.check)));
    facts
}

pub fn plain() -> Network {
    Network {
        largest: 1448,
        with_syn: true,
        first_seq: [1000, 2000],
        ..Network::default()
    }
}

/// However the bytes of `file` travelled, the same comes out.
fn nothing_changes(
    seed: u64,
    file: &str,
    largest: usize,
    reorder: usize,
    again: usize,
    wrap: u32,
) -> TestCaseResult {
    let Some(talk) = talk(file) else {
        return Ok(());
    };
    let mut dice = Dice(seed);
    let reference = facts(&load(&capture(&talk, plain(), &mut dice)).1);
    let network = Network {
        largest,
        reorder,
        again,
        lose: 0,
        with_syn: true,
        first_seq: [0_u32.wrapping_sub(wrap), 0_u32.wrapping_sub(wrap / 3)],
    };
    let wire = capture(&talk, network, &mut dice);
    let (source, store) = load(&wire);
    let changed = facts(&store);
    for (a, b) in reference.iter().zip(&changed) {
        prop_assert_eq!(a, b);
    }
    prop_assert_eq!(reference.len(), changed.len());
    // Every PDU's bytes can be read back, from whichever frames they came.
    let mut streams = [Vec::new(), Vec::new()];
    for (end, bytes) in &talk {
        streams[index(*end)].extend_from_slice(bytes);
    }
    let mut frames = Frames::new(&store, &source);
    for (id, pdu) in store.pdus_from(marstui::units::PduId(0)) {
        let read = frames.stretch(&pdu, pdu.pos, pdu.len);
        let start = pdu.pos.0 as usize;
        let want = &streams[index(pdu.end)][start..start + pdu.len as usize];
        prop_assert!(
            read.is_whole() && read.bytes == want,
            "PDU {} at {}",
            id,
            start
        );
        prop_assert!(store.pdus_in(pdu.frame).any(|(other, _)| other == id));
    }
    Ok(())
}

/// With segments of `file` missing, nothing comes out that was not there.
fn nothing_false_appears(
    seed: u64,
    file: &str,
    largest: usize,
    lose: usize,
    with_syn: bool,
    wrap: u32,
) -> TestCaseResult {
    let Some(talk) = talk(file) else {
        return Ok(());
    };
    let mut dice = Dice(seed);
    let whole = load(&capture(&talk, plain(), &mut dice)).1;
    let network = Network {
        largest,
        lose,
        with_syn,
        first_seq: [5, 0_u32.wrapping_sub(wrap)],
        ..Network::default()
    };
    let wire = capture(&talk, network, &mut dice);
    let (_, store) = load(&wire);
    let mut true_pdus = BTreeMap::new();
    for (_, pdu) in whole.pdus_from(marstui::units::PduId(0)) {
        true_pdus.insert((pdu.end == End::B, pdu.pos.0), pdu);
    }
    // The first frame may be lost, and with it the order of the ends.
    let swapped = store.conns()[0].ends.get(End::A).port == 14_330;
    let ours = |end: End| if swapped { end.other() } else { end };
    // Without SYN the first byte of each end stands at position 0.
    let shift = |end: End| {
        if with_syn {
            return 0;
        }
        let mut pos = 0_u64;
        for (e, a, b) in &wire.lost {
            if *e == end && *a <= pos {
                pos = pos.max(*b);
            }
        }
        pos
    };
    let mut next = [0_u64; 2];
    for (_, pdu) in store.pdus_from(marstui::units::PduId(0)) {
        // The PDUs of a direction cover its stream without gap or overlap.
        prop_assert_eq!(pdu.pos.0, next[index(pdu.end)]);
        next[index(pdu.end)] = pdu.end_pos().0;
        if matches!(pdu.kind, PduKind::Hidden | PduKind::Unknown) {
            continue;
        }
        let key = (ours(pdu.end) == End::B, pdu.pos.0 + shift(ours(pdu.end)));
        let found = true_pdus.get(&key);
        // Without the login a TDS packet whose SMP header is lost looks like one outside SMP.
        let inside = (key.0, key.1.saturating_sub(16));
        if !with_syn
            && found.is_none()
            && true_pdus
                .get(&inside)
                .is_some_and(|p| p.kind == PduKind::Data)
        {
            return Ok(());
        }
        prop_assert!(found.is_some(), "{:?} is none", pdu);
        let found = found.unwrap();
        prop_assert_eq!(
            (found.kind, found.len, found.sid, found.seqnum),
            (pdu.kind, pdu.len, pdu.sid, pdu.seqnum)
        );
    }
    // An answer is never given to another request.
    let place = |store: &Store, request: &RequestRow, shift: u64| {
        store.pdu(request.first_pdu).unwrap().pos.0 + shift
    };
    let client = whole.conns()[0].client;
    let truth: BTreeMap<u64, RequestRow> = whole
        .requests()
        .map(|request| (place(&whole, &request, 0), request))
        .collect();
    for request in store.requests() {
        let found = truth.get(&place(&store, &request, shift(client)));
        prop_assert!(found.is_some(), "{:?} is none", request);
        let found = found.unwrap();
        prop_assert_eq!(found.kind, request.kind);
        let said = format!("{request:?}, and it is {found:?}");
        let (text, whole_text) = (store.text(request.text), whole.text(found.text));
        prop_assert!(whole_text.starts_with(text), "{}", said);
        prop_assert!(
            request.rows.is_none() || request.rows == found.rows,
            "{}",
            said
        );
        prop_assert!(
            request.done_status.is_none() || request.done_status == found.done_status,
            "{}",
            said
        );
        prop_assert!(
            request.error.is_none() || request.error == found.error,
            "{}",
            said
        );
        let unread = request.end == RequestEnd::Done && request.rows.is_none();
        let right = request.end == RequestEnd::Unknown || request.end == found.end;
        prop_assert!(right || unread, "{}", said);
    }
    if with_syn {
        for violation in store.violations() {
            prop_assert!(violation.severity == Severity::Note, "{:?}", violation);
        }
        for session in store.sessions() {
            let found = whole
                .sessions()
                .iter()
                .find(|s| (s.sid, s.life) == (session.sid, session.life));
            prop_assert!(found.is_some(), "{:?} is none", session);
            let found = found.unwrap();
            for end in [End::A, End::B] {
                let said = format!("{session:?}, and it is {found:?}");
                let (own, truth) = (session.ends.get(end), found.ends.get(end));
                let all = |c: SmpCounts| [c.syn, c.ack, c.fin, c.data];
                let (counts, truths) = (all(own.counts), all(truth.counts));
                prop_assert!(counts.iter().zip(truths).all(|(c, t)| *c <= t), "{}", said);
                prop_assert!(session.holes || counts == truths, "{}", said);
                let data = own.counts.data + session.hidden_data(end);
                prop_assert!(data <= truth.counts.data, "{}", said);
            }
        }
    }
    let missing: u64 = store.conns()[0].tcp.0.iter().map(|t| t.missing_bytes).sum();
    let left_out: u64 = wire.lost.iter().map(|(_, a, b)| b - a).sum();
    prop_assert!(missing <= left_out);
    if with_syn && store.conns()[0].protocol == marstui::store::Protocol::Tds {
        prop_assert_eq!(missing, left_out);
    }
    Ok(())
}

/// How many cases each property is tried with: `STREAM_CASES`, or a few.
/// How each property is tried.
pub fn config() -> ProptestConfig {
    let set = std::env::var("STREAM_CASES").ok();
    ProptestConfig {
        cases: set.and_then(|n| n.parse().ok()).unwrap_or(24),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn cutting_repeating_reordering_and_renumbering_change_nothing(
        seed: u64,
        file in 0..FILES.len(),
        largest in prop_oneof![5_usize..40, 40_usize..300, 300_usize..4000],
        reorder in 0_usize..60,
        again in 0_usize..40,
        wrap in 0_u32..100_000,
    ) {
        nothing_changes(seed, FILES[file], largest, reorder, again, wrap)?;
    }

    #[test]
    fn with_segments_missing_nothing_false_appears(
        seed: u64,
        file in 0..FILES.len(),
        largest in prop_oneof![20_usize..300, 300_usize..2000],
        lose in 1_usize..12,
        with_syn: bool,
        wrap in 0_u32..100_000,
    ) {
        nothing_false_appears(seed, FILES[file], largest, lose, with_syn, wrap)?;
    }
}

/// Cases that were wrong once.
#[test]
fn what_was_read_wrong_once_is_right() {
    for (seed, file, largest, lose, with_syn) in [
        (7_799_234_041_684_466_365, 0, 105, 9, true),
        (217_348_337_532_094_017, 2, 192, 11, false),
        (3_239_941_074_828_791_989, 1, 79, 4, true),
        (15_379_550_833_310_009_392, 0, 1799, 1, true),
        (3_305_925_224_171_085_284, 1, 26, 3, true),
        (17_785_965_959_699_571_387, 1, 1690, 3, false),
        (2_067_710_464_875_783_078, 0, 171, 5, true),
        (4_623_474_058_998_514_831, 0, 84, 4, false),
        (10_713_150_664_167_739_604, 1, 252, 7, false),
        (7_992_871_505_118_272_338, 1, 281, 11, false),
        (12_801_033_974_056_389_334, 1, 102, 10, true),
        (381_265_897_640_791_693, 1, 247, 10, false),
        (6_393_980_510_840_574_586, 1, 65, 4, false),
        (13_232_570_092_599_498_089, 3, 231, 11, false),
        (2_966_442_399_396_108_252, 3, 809, 7, false),
        (12_035_060_791_251_931_467, 3, 294, 1, false),
        (6_804_559_946_484_428_495, 3, 34, 3, false),
        (5_855_329_285_914_330_187, 1, 1130, 8, true),
        (11_892_215_087_864_452_873, 0, 130, 7, false),
        (4_204_900_224_209_139_151, 3, 41, 6, false),
    ] {
        nothing_false_appears(seed, FILES[file], largest, lose, with_syn, 0).unwrap();
    }
}
