//! Segments that the analysis marks: what was sent again, and none that is as it should be.

use marstui::capture::Capture;
use marstui::query::{self, Context, Dissected, Eval};
use marstui::store::Store;
use marstui::track;
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
