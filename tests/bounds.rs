//! Many connections, many sessions, and captures made to fill memory: the pass stays bounded and goes on.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the numbers are the test's own, and small"
)]

use std::time::{Duration, Instant};

use marstui::capture::Capture;
use marstui::decode::smp::{ACK, FIN, Header, SYN};
use marstui::rules;
use marstui::store::{PduKind, Store};
use marstui::track::{self, Options};
use marstui::units::{End, FrameNo, PduId, Sid, SmpSeq};

use crate::streams::{Wire, load};
use crate::support::synth::big::{self, Talk};
use crate::support::synth::cases;
use crate::support::synth::file::Format;
use crate::usual_segments::rows;

#[test]
fn a_hundred_thousand_connections_are_followed() {
    let mut wire = Wire::new();
    for i in 0..100_000_u32 {
        let [_, a, b, c] = (i / 50_000).to_be_bytes();
        wire.client = ([11, a, b, c], 1024 + (i % 50_000) as u16);
        wire.send(End::A, i.wrapping_mul(2_654_435_761), 0, 2, &[]);
    }
    let (_, store) = load(&wire);
    assert_eq!(store.conns().len(), 100_000);
    assert!(store.conns().iter().all(|conn| conn.frames == 1));
    assert!(store.problems().is_empty());
}

/// On two threads, in slices, and in slices of another size.
#[test]
fn many_connections_are_judged_alike_however_the_work_is_parted() {
    let mut wire = Wire::new();
    for i in 0..4000_u32 {
        // Every port is used twice; every third connection is refused.
        wire.client = ([10, 0, 0, 7], 2000 + (i % 2000) as u16);
        wire.send(End::A, i * 1000, 0, 0x02, &[]);
        let flags = if i % 3 == 0 { 0x14 } else { 0x12 };
        wire.send(End::B, i * 77, i * 1000 + 1, flags, &[]);
        if i % 5 == 0 {
            wire.send(End::A, i * 1000 + 1, i * 77 + 1, 0x14, &[]);
        }
    }
    let (_, mut store) = load(&wire);
    assert_eq!(store.conns().len(), 4000);
    let settings = rules::Settings::default();
    rules::judge(&mut store, &settings);
    let at_once = store.findings().to_vec();
    assert!(at_once.iter().any(|f| f.rule == "port-reuse"));
    assert!(at_once.len() > 1200);
    for conns in [1, 7, 1000] {
        let mut judge = rules::Judge::new(settings.clone());
        while !judge.step(&mut store, conns) {}
        assert_eq!(store.findings(), at_once);
    }
}

/// Nothing proves SMP but its own packets: the connection's start is not in the file.
#[test]
fn all_sids_of_a_connection_can_be_open_at_once() {
    let control = |flags, sid: u32| {
        Header {
            flags,
            sid: Sid(sid as u16),
            length: 16,
            seqnum: SmpSeq(0),
            wndw: SmpSeq(4),
        }
        .to_bytes()
    };
    let mut wire = Wire::new();
    let mut seq = 1000_u32;
    for flags in [SYN, ACK, FIN] {
        for first in (0..65_536).step_by(80) {
            let bytes: Vec<u8> = (first..65_536.min(first + 80))
                .flat_map(|sid| control(flags, sid))
                .collect();
            wire.send(End::A, seq, 1, 0x18, &bytes);
            seq += bytes.len() as u32;
        }
    }
    let (_, store) = load(&wire);
    assert_eq!(store.sessions().len(), 65_536);
    assert_eq!(store.pdu_count(), 3 * 65_536);
    let conn = &store.conns()[0];
    let counts = conn.smp.get(conn.client);
    assert_eq!(
        (counts.syn, counts.ack, counts.fin),
        (65_536, 65_536, 65_536)
    );
    assert!(store.violations().len() <= 1000);
}

/// Every second segment never comes: what waits behind the gaps is bounded in bytes and in ranges.
#[test]
fn segments_that_never_fill_a_hole_do_not_pile_up() {
    for (step, len) in [(3_u32, 2_usize), (3000, 1400)] {
        let mut wire = Wire::new();
        wire.send(End::A, 999, 0, 2, &[]);
        wire.send(End::A, 1000, 1, 0x18, &prelogin());
        let payload = vec![0xaa; len];
        for i in 1..20_000_u32 {
            wire.send(End::A, 2000 + i * step, 1, 0x18, &payload);
        }
        let (_, store) = load(&wire);
        let conn = &store.conns()[0];
        // Gaps were given up on the way, which nothing but the bound makes happen: nobody acknowledged anything.
        let first_hidden = store
            .pdus_from(PduId(0))
            .find(|(_, pdu)| pdu.kind == PduKind::Hidden)
            .map(|(_, pdu)| pdu.first_frame.0);
        assert!(
            first_hidden.is_some_and(|frame| frame < 6000),
            "{first_hidden:?}"
        );
        assert!(conn.tcp.get(End::A).missing_bytes > 0);
        assert!(store.pdu_count() < 10);
    }
}

/// The smallest PRELOGIN that is one: VERSION and the terminator.
fn prelogin() -> Vec<u8> {
    let mut body = vec![0, 0, 6, 0, 6, 0xff];
    body.extend([16, 0, 0, 0, 0, 0]);
    let mut packet = vec![0x12, 1, 0, 8 + body.len() as u8, 0, 0, 1, 0];
    packet.extend(body);
    packet
}

fn many_frames() -> Capture {
    let mut wire = Wire::new();
    wire.send(End::A, 999, 0, 2, &[]);
    wire.send(End::A, 1000, 1, 0x18, &prelogin());
    for i in 0..60_000_u32 {
        wire.send(End::B, 1 + i, 1020, 0x18, &[0]);
    }
    Capture::from_bytes("many.pcap", wire.file).unwrap()
}

#[test]
fn batches_put_together_are_what_one_pass_gives() {
    let capture = many_frames();
    let whole = track::load(&capture);
    let options = Options {
        first_batch: Duration::ZERO,
        every: Duration::from_millis(1),
        ..Options::default()
    };
    let indexing = track::start(capture, options);
    let mut store = Store::new();
    let mut batches = 0;
    for batch in &indexing.batches {
        let ids: Vec<_> = batch.conns.iter().map(|conn| conn.id).collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]));
        batches += 1;
        store.append(batch);
    }
    indexing.join();
    assert!(batches > 1);
    assert!(store.progress().complete && store.progress().stopped.is_none());
    assert_eq!(store.frame_count(), whole.frame_count());
    assert_eq!(store.conns(), whole.conns());
    assert_eq!(store.pdu_count(), whole.pdu_count());
}

#[test]
fn two_threads_in_turns_find_what_one_finds() {
    let mut file = Vec::new();
    big::write(&mut file, Format::Pcapng, 9_000_000, Talk::Long).unwrap();
    let capture = Capture::from_bytes("busy.pcapng", file).unwrap();
    let options = Options {
        hands: Some(2),
        ..Options::default()
    };
    let indexing = track::start(capture.clone(), options);
    let mut store = Store::new();
    for batch in &indexing.batches {
        store.append(batch);
    }
    indexing.join();
    let one = rows(&track::load(&capture));
    assert!(one.len() > 10_000);
    assert!(rows(&store) == one);
}

#[test]
fn a_stopped_pass_keeps_what_there_is() {
    let indexing = track::start(
        many_frames(),
        Options {
            first_batch: Duration::ZERO,
            every: Duration::ZERO,
            ..Options::default()
        },
    );
    let mut store = Store::new();
    store.append(indexing.batches.recv().unwrap());
    let asked = Instant::now();
    indexing.stop();
    for batch in &indexing.batches {
        store.append(batch);
    }
    // A busy machine is slow to start threads; what must not happen is that the pass runs on.
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert!(store.progress().complete);
    assert!(store.frame_count() > 0);
    indexing.join();
}

#[test]
fn frames_of_more_connections_than_are_followed_stay_frames_and_a_problem_says_so() {
    let case = cases::rules().into_iter().find(|c| c.rule == "non-pooled");
    let capture = (case.unwrap().triggers)();
    let bytes = capture.to_pcapng();
    let options = Options {
        connections: 5,
        ..Options::default()
    };
    let capture = Capture::from_bytes("many.pcapng", bytes).unwrap();
    let indexing = track::start(capture, options);
    let mut store = Store::new();
    for batch in &indexing.batches {
        store.append(batch);
    }
    indexing.join();
    assert_eq!(store.conns().len(), 5);
    let problems: Vec<_> = store.problems().iter().map(|p| &*p.what).collect();
    assert_eq!(
        problems,
        ["more than 5 connections: frames of further ones are not assigned"]
    );
    let rows = store.frames_from(FrameNo(1));
    let (of_conns, others): (Vec<_>, Vec<_>) = rows.partition(|(_, row)| row.conn.is_some());
    assert!(!of_conns.is_empty() && !others.is_empty());
    rules::judge(&mut store, &rules::Settings::default());
    assert!(
        store
            .conns()
            .iter()
            .all(|c| store.conn_findings(c.id).any(|f| f.close))
    );
}
