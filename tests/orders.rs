//! What the other end saw: the page's two listings, each inferred from the other's capture.

use std::collections::HashMap;

use marstui::capture::{Capture, OpenOptions};
use marstui::rules::order::{at_other_end, captured_side};
use marstui::rules::{self, Settings};
use marstui::store::Store;
use marstui::track;
use marstui::units::{FrameNo, Side};

use crate::generated::index;
use crate::support::shared_or_skip;
use crate::support::synth::seed;

/// The page's frames of the close in the server's listing, and the same segments in the client's.
const SERVER: [u32; 5] = [93665, 93689, 93691, 93692, 93704];
const CLIENT: [u32; 5] = [12345, 12346, 12352, 12361, 12374];

/// What identifies a segment in both captures: sender, sequence number, payload length, flags.
fn segment(store: &Store, no: FrameNo) -> (Side, u32, u32, u16) {
    let frame = store.frame(no).unwrap();
    let side = store.side(&frame).unwrap();
    (side, frame.seq.0, frame.payload_len, frame.tcp_flags.0)
}

/// The order at the other end, as segments, checked against that end's own capture.
fn compare(here: &Store, frames: [u32; 5], side: Side, there: &Store, expected: [u32; 5]) {
    let frames: Vec<FrameNo> = frames.into_iter().map(FrameNo).collect();
    let conn = here.frame(frames[0]).unwrap().conn.unwrap();
    assert_eq!(captured_side(here), side);
    let orders = at_other_end(here, conn, &frames, side).unwrap();
    assert_eq!(orders.captured, frames);
    let inferred: Vec<_> = orders
        .inferred
        .iter()
        .map(|step| segment(here, step.frame))
        .collect();
    let known: Vec<_> = expected
        .into_iter()
        .map(|no| segment(there, FrameNo(no)))
        .collect();
    assert_eq!(inferred, known, "{:#?}", orders.inferred);
    assert_ne!(
        orders
            .inferred
            .iter()
            .map(|step| step.frame)
            .collect::<Vec<_>>(),
        frames,
        "the two ends saw different orders"
    );
    assert!(
        orders
            .inferred
            .iter()
            .all(|step| step.known && !step.reason.is_empty())
    );
}

#[test]
fn the_clients_listing_follows_from_the_servers_capture() {
    let (server, client) = (index(&seed::server_view()), index(&seed::client_view()));
    compare(&server, SERVER, Side::Server, &client, CLIENT);
}

#[test]
fn the_servers_listing_follows_from_the_clients_capture() {
    let (server, client) = (index(&seed::server_view()), index(&seed::client_view()));
    compare(&client, CLIENT, Side::Client, &server, SERVER);
}

/// Recorded at both ends without loss or reordering; the first is what the order at the second is inferred from.
const PAIRS: [&str; 12] = [
    "a1-one-sid-benign-rst",
    "a2-one-sid-benign-rst-20ms",
    "a3-wiki-shape-rst-ack",
    "a5-wiki-shape-two-sids",
    "b1-interleaved-odbc",
    "b3-interleaved-sqlclient",
    "b5-statement-reopen-odbc",
    "c1-server-fin-reset-too",
    "c5-sqlclient-fast-close",
    "e3-server-killed",
    "f7-sqlclient-fast-link",
    "o1-ipv6",
];

fn recorded(shared: &std::path::Path, name: &str, view: &str) -> Store {
    let path = shared
        .join("captures/recorded")
        .join(format!("{name}.{view}"));
    let capture = Capture::open(&[path], &OpenOptions::default()).unwrap();
    let mut store = track::load(&capture);
    rules::judge(&mut store, &Settings::default());
    store
}

/// For each step of the inferred order, where the other end's own capture has that segment.
fn disagreements(name: &str, here: &Store, side: Side, there: &Store) -> Vec<String> {
    let mut places: HashMap<_, Vec<FrameNo>> = HashMap::new();
    for (no, frame) in there.frames_from(FrameNo(1)) {
        let segment = (segment(there, no), frame.ack.0);
        places.entry(segment).or_default().push(no);
    }
    let finding = here.findings().iter().find(|f| f.close).unwrap();
    let frames = finding.frames();
    let orders = at_other_end(here, finding.conn.unwrap(), &frames, side).unwrap();
    let mut wrong = Vec::new();
    let mut last: Option<FrameNo> = None;
    for step in orders.inferred.iter().filter(|step| step.known) {
        let ack = here.frame(step.frame).unwrap().ack.0;
        // Segments that look alike cannot be told apart.
        let Some([place]) = places
            .get(&(segment(here, step.frame), ack))
            .map(Vec::as_slice)
        else {
            continue;
        };
        if last.is_some_and(|last| last > *place) {
            wrong.push(format!(
                "{name} from {side:?}: frame {}: {}",
                step.frame, step.reason
            ));
        }
        last = Some(*place);
    }
    wrong
}

#[test]
fn what_is_called_known_agrees_with_the_other_ends_capture() {
    let Some(shared) = shared_or_skip("what_is_called_known_agrees_with_the_other_ends_capture")
    else {
        return;
    };
    let mut wrong = Vec::new();
    for name in PAIRS {
        let client = recorded(&shared, name, "client.pcapng");
        let server = recorded(&shared, name, "server.pcap");
        wrong.extend(disagreements(name, &client, Side::Client, &server));
        wrong.extend(disagreements(name, &server, Side::Server, &client));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
