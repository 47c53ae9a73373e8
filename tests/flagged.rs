//! Segments that the analysis marks: what was sent again, and none that is as it should be.

use marstui::capture::{Capture, OpenOptions};
use marstui::decode::field::Field;
use marstui::dissect::{Dissector, Options};
use marstui::query::{self, Context, Dissected, Eval};
use marstui::store::{FrameFlags, Store};
use marstui::track;
use marstui::units::FrameNo;
use marstui::units::Side::{self, Client, Server};

use crate::support::synth::conn::{Conn, Host, MS, Stack};
use crate::support::synth::mars::Encryption;
use crate::support::synth::wire::{ACK, FIN, SYN};

fn opened(conn: &Conn) -> (Capture, Store) {
    let capture = Capture::from_bytes("made", conn.capture(Client).to_pcapng()).unwrap();
    let store = track::load(&capture);
    (capture, store)
}

fn frames((capture, store): &(Capture, Store), filter: &str) -> Vec<u32> {
    let filter = query::parse(filter, &Context::default()).unwrap();
    let fields = Dissected::new(capture);
    let eval = Eval {
        decode: Some(&fields),
        ..Eval::of(store)
    };
    let hits = query::run(&filter, &eval);
    hits.into_iter().map(|frame| frame.0).collect()
}

/// A connection with a login; SYNs and FINs are sent `times` times each. Also the numbers of the frames that repeat one.
fn connection(times: usize) -> (Conn, Vec<u32>) {
    let client = Host::new(20, 50123, 1000, Stack::Windows);
    let server = Host::new(22, 1433, 900_000, Stack::Windows);
    let mut conn = Conn::new(client, server);
    let mut repeated = Vec::new();
    let mut send = |conn: &mut Conn, from: Side, flags: u8| {
        let first = conn.send(from, flags, &[]);
        for _ in 1..times {
            conn.trip(MS);
            let again = conn.resend(first);
            repeated.push(u32::try_from(again).unwrap() + 1);
        }
        conn.trip(MS);
    };
    send(&mut conn, Client, SYN);
    send(&mut conn, Server, SYN | ACK);
    conn.send(Client, ACK, &[]);
    conn.trip(MS);
    conn.login(Encryption::None, false);
    conn.trip(MS);
    send(&mut conn, Client, FIN | ACK);
    send(&mut conn, Server, FIN | ACK);
    conn.send(Client, ACK, &[]);
    (conn, repeated)
}

#[test]
fn nothing_of_an_orderly_connection_is_flagged() {
    let (conn, _) = connection(1);
    let opened = opened(&conn);
    assert!(frames(&opened, "tcp.analysis.flags").is_empty());
    assert!(!frames(&opened, "tcp.analysis.ack_rtt").is_empty());
    assert!(!frames(&opened, "tcp.acked_after").is_empty());
}

#[test]
fn syns_and_fins_that_are_sent_again_are_retransmissions() {
    let (conn, repeated) = connection(3);
    assert_eq!(repeated.len(), 8);
    let opened = opened(&conn);
    assert_eq!(frames(&opened, "tcp.analysis.retransmission"), repeated);
    assert_eq!(frames(&opened, "tcp.analysis.flags"), repeated);
    for end in &opened.1.conns()[0].tcp.0 {
        assert_eq!(end.retransmissions, 4);
    }
}

fn names(fields: &[Field], name: &str) -> bool {
    let mut fields = fields.iter();
    fields.any(|field| field.name == name || names(&field.children, name))
}

#[test]
fn the_filter_finds_the_retransmissions_that_the_tree_shows() {
    let root = env!("CARGO_MANIFEST_DIR");
    for file in [
        "dup-frames",
        "keepalive-timeout",
        "retransmit-timeout",
        "port-reuse",
    ] {
        let file = format!("{root}/fixtures/rules/{file}.pcapng.zst");
        let capture = Capture::open(&[file.into()], &OpenOptions::default()).unwrap();
        let store = track::load(&capture);
        let opened = (capture, store);
        for name in ["retransmission", "keep_alive", "reused_ports"] {
            let name = format!("tcp.analysis.{name}");
            let mut dissector = Dissector::new();
            let shown = (opened.1.frames_from(FrameNo(1)))
                .map(|(no, _)| no)
                .filter(|no| {
                    let tree = dissector.frame(&opened.1, &opened.0, *no, &Options::default());
                    names(&tree.unwrap().fields, &name)
                })
                .map(|no| no.0)
                .collect::<Vec<_>>();
            assert_eq!(frames(&opened, &name), shown, "{name}");
        }
    }
}

#[test]
fn a_copy_of_a_bare_acknowledgement_is_no_retransmission() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/rules/dup-frames.pcapng.zst"
    );
    let capture = Capture::open(&[file.into()], &OpenOptions::default()).unwrap();
    let store = track::load(&capture);
    let opened = (capture, store);
    let again = frames(&opened, "tcp.analysis.retransmission");
    let copies = (opened.1.frames_from(FrameNo(1)))
        .filter(|(_, row)| row.flags.has(FrameFlags::DUPLICATE))
        .map(|(no, row)| (no.0, row.next_seq() == row.seq))
        .collect::<Vec<_>>();
    assert!(copies.iter().any(|(_, bare)| *bare) && copies.iter().any(|(_, bare)| !bare));
    for (no, bare) in copies {
        assert_eq!(again.contains(&no), !bare, "frame {no}");
    }
}

#[test]
fn marks_that_are_not_made_are_refused_with_those_that_are() {
    for name in ["duplicate_ack", "window_update", "lost_segment"] {
        let name = format!("tcp.analysis.{name}");
        let error = query::parse(&name, &Context::default()).unwrap_err();
        let said = format!("`{name}` is not worked out here; there is tcp.analysis.");
        assert!(error.message.starts_with(&said), "{}", error.message);
    }
}
