//! Connections that are over: what is kept to read on in them is given up, and nothing of the result with it.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the numbers are the test's own, and small"
)]

use marstui::capture::Capture;
use marstui::store::{FrameFlags, Store};
use marstui::track::{self, Options};
use marstui::units::{ConnId, End, FrameNo};

use crate::streams::Wire;
use crate::support::synth::big::{self, Talk};
use crate::support::synth::file::Format;
use crate::usual_segments::rows;

const ACK: u8 = 0x10;
const FIN: u8 = 0x11;
const RST: u8 = 0x04;

/// The capture's rows where so many connections that are over can be read on.
fn with_kept(over: usize, file: &[u8]) -> Store {
    let options = Options {
        over,
        frames: 1,
        ..Options::default()
    };
    let capture = Capture::from_bytes("made.pcap", file.to_vec()).unwrap();
    let indexing = track::start(capture, options);
    let mut store = Store::new();
    for batch in &indexing.batches {
        store.append(batch);
    }
    indexing.join();
    store
}

#[test]
fn connections_end_as_they_would_at_the_end_of_the_capture() {
    for (size, talk) in [(24 << 20, Talk::Long), (4 << 20, Talk::Short)] {
        let mut file = Vec::new();
        let mix = big::write(&mut file, Format::Pcap, size, talk).unwrap();
        let [kept, given_up] = [usize::MAX, 0].map(|over| with_kept(over, &file));
        assert_eq!(kept.conns().len() as u64, mix.connections);
        assert_eq!(rows(&given_up), rows(&kept));
    }
}

/// Some connections that are opened, closed by both ends, and never seen again: more than a stretch of the file holds.
fn others(wire: &mut Wire, host: u8) {
    let client = wire.client;
    for port in 1000..1020 {
        wire.client = ([10, 0, 1, host], port);
        wire.send(End::A, 99, 0, 0x02, &[]);
        wire.send(End::B, 199, 100, 0x12, &[]);
        for i in 0..12 {
            wire.send(End::A, 100 + i * 1400, 200, ACK, &[0x55; 1400]);
        }
        wire.send(End::A, 100 + 12 * 1400, 200, FIN, &[]);
        wire.send(End::B, 200, 101 + 12 * 1400, FIN, &[]);
    }
    wire.client = client;
}

/// A SQL batch in a TDS packet of so many bytes.
fn batch(len: u16) -> Vec<u8> {
    let [high, low] = len.to_be_bytes();
    let mut bytes = vec![1, 1, high, low, 0, 0, 1, 0];
    bytes.extend([22, 0, 0, 0, 18, 0, 0, 0, 2, 0]);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    bytes.extend(
        "select 1 "
            .encode_utf16()
            .cycle()
            .flat_map(u16::to_le_bytes)
            .take(usize::from(len) - 30),
    );
    bytes
}

/// A connection's beginning, up to byte 1100.
fn opened() -> Wire {
    let mut prelogin = batch(100);
    prelogin[0] = 0x12;
    prelogin[8..14].copy_from_slice(&[0, 0, 6, 0, 6, 0xff]);
    let mut wire = Wire::new();
    wire.send(End::A, 999, 0, 0x02, &[]);
    wire.send(End::B, 1999, 1000, 0x12, &[]);
    wire.send(End::A, 1000, 2000, ACK, &prelogin);
    wire.send(End::B, 2000, 1100, ACK, &[]);
    wire
}

/// SQL batches that an end has sent.
fn batches(store: &Store, conn: ConnId) -> u32 {
    store.conn(conn).unwrap().tds.get(End::A).sql_batch
}

fn conn_of(store: &Store, frame: FrameNo) -> ConnId {
    store.frame(frame).unwrap().conn.unwrap()
}

/// The number that the next frame gets.
fn next(wire: &Wire) -> FrameNo {
    let store = with_kept(usize::MAX, &wire.file);
    FrameNo(store.frame_count() as u32 + 1)
}

#[test]
fn what_repeats_bytes_long_after_the_end_is_of_the_connection_that_sent_them() {
    let mut wire = opened();
    wire.send(End::A, 1100, 2000, ACK, &batch(100));
    wire.send(End::A, 1200, 2000, FIN, &[]);
    wire.send(End::B, 2000, 1201, FIN, &[]);
    others(&mut wire, 1);
    others(&mut wire, 2);
    let again = next(&wire);
    wire.send(End::A, 1100, 2000, ACK, &batch(100));
    wire.send(End::A, 1201, 2001, ACK, &[]);
    for over in [0, usize::MAX] {
        let store = with_kept(over, &wire.file);
        assert_eq!(conn_of(&store, again), ConnId(0));
        assert_eq!(conn_of(&store, FrameNo(again.0 + 1)), ConnId(0));
        let flags = store.frame(again).unwrap().flags;
        assert!(flags.has(FrameFlags::RETRANSMISSION), "{over}");
        let conn = store.conn(ConnId(0)).unwrap();
        assert_eq!((conn.frames, batches(&store, conn.id)), (9, 1));
    }
}

/// Somebody else took the ports, or a reset did not end it: either way the bytes are read.
#[test]
fn bytes_that_come_long_after_the_end_are_read_as_those_of_another_connection() {
    let mut wire = opened();
    wire.send(End::B, 2000, 0, RST, &[]);
    others(&mut wire, 1);
    others(&mut wire, 2);
    let late = next(&wire);
    wire.send(End::A, 1100, 2000, ACK, &batch(300));
    wire.send(End::B, 2000, 1400, ACK, &[]);
    let store = with_kept(0, &wire.file);
    let conn = store.conn(conn_of(&store, late)).unwrap();
    assert_ne!(conn.id, ConnId(0));
    assert_eq!((conn.incarnation, conn.frames), (1, 2));
    assert_eq!(batches(&store, conn.id), 1);
    // As long as it can be read on, it is the same.
    let store = with_kept(100, &wire.file);
    assert_eq!(conn_of(&store, late), ConnId(0));
    assert_eq!(batches(&store, ConnId(0)), 1);
}

#[test]
fn a_connection_that_goes_on_behind_a_reset_is_followed() {
    let mut wire = opened();
    wire.send(End::B, 2000, 0, RST, &[]);
    for i in 0..20 {
        others(&mut wire, i as u8);
        wire.send(End::A, 1100 + i * 100, 2000, ACK, &batch(100));
    }
    for over in [25, usize::MAX] {
        let store = with_kept(over, &wire.file);
        assert_eq!(store.conn(ConnId(0)).unwrap().frames, 25);
        assert_eq!(batches(&store, ConnId(0)), 20);
    }
}
