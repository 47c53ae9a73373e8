//! Logins that are sent again, cut or not there from their beginning: nothing of a password can be read in any frame.

use marstui::capture::{Capture, FrameSource};
use marstui::dissect::Dissector;
use marstui::export::{Choice, Format, Options, Plan, What};
use marstui::query::find::{Find, Needle};
use marstui::query::{Dissected, Eval};
use marstui::units::{FrameNo, Side};
use marstui::{rules, track};
use std::fmt::Write as _;

use crate::support::exporting::exported;
use crate::support::synth::conn::{Conn, Host, MS, Stack};
use crate::support::synth::tds::{self, Login, Prelogin};
use crate::support::synth::wire::{ACK, PSH};

const PASSWORD: &str = "correct horse battery";
const DATA: u8 = ACK | PSH;

fn login() -> Vec<u8> {
    Login {
        host: "WS1",
        user: "app_user",
        password: PASSWORD,
        app: "app",
        server: "db",
        library: "ODBC",
        database: "orders",
        sspi: &[],
    }
    .packet()
}

/// The password as it is on the wire.
fn wire() -> Vec<u8> {
    let plain = tds::utf16(PASSWORD);
    plain.iter().map(|b| b.rotate_left(4) ^ 0xA5).collect()
}

/// Where it begins in the login.
fn place() -> usize {
    memchr::memmem::find(&login(), &wire()).unwrap()
}

/// A connection up to PRELOGIN; `script` sends the login.
fn opened(script: impl FnOnce(&mut Conn)) -> Conn {
    let client = Host::new(20, 50123, 1000, Stack::Windows);
    let server = Host::new(22, 1433, 900_000, Stack::Windows);
    let mut conn = Conn::new(client, server);
    conn.handshake();
    for side in [Side::Client, Side::Server] {
        let prelogin = Prelogin {
            version: [16, 0, 16, 0, 0, 0],
            encryption: 2,
            mars: 0,
            from_client: side == Side::Client,
        };
        conn.trip(MS);
        conn.send(side, DATA, &prelogin.packet());
    }
    conn.trip(MS);
    script(&mut conn);
    conn
}

/// Sends the answer to the login, and a first request.
fn go_on(conn: &mut Conn) {
    conn.trip(MS);
    let answer = tds::packet(4, 1, 55, 1, &tds::login_answer("orders", "db"));
    conn.send(Side::Server, DATA, &answer);
    conn.trip(MS);
    conn.send(
        Side::Client,
        DATA,
        &tds::packet(1, 1, 0, 1, &tds::batch("select 1")),
    );
}

/// Nothing of the password is left where bytes are shown, and none of it is found.
fn hides(what: &str, bytes: Vec<u8>) {
    let secret = wire();
    let capture = Capture::from_bytes("made", bytes).unwrap();
    let mut store = track::load(&capture);
    rules::judge(&mut store, &rules::Settings::default());
    let mut dissector = Dissector::new();
    for (no, row) in store.frames_from(FrameNo(1)) {
        let mut bytes = Vec::new();
        capture
            .read_frame(row.interface, row.offset, row.captured, &mut bytes)
            .unwrap();
        for range in dissector.secret_ranges(&store, &capture, no) {
            bytes[range].fill(0);
        }
        for part in secret.windows(4) {
            assert_eq!(
                memchr::memmem::find(&bytes, part),
                None,
                "{what}: frame {no}"
            );
        }
    }
    let decoder = Dissected::new(&capture);
    for part in secret.chunks(6) {
        let mut find = Find::new(Needle::Bytes(part.to_vec()));
        let end = loop {
            let step = find.step(
                &Eval::of(&store),
                &decoder,
                &mut || false,
                &mut |_: &[FrameNo]| (),
            );
            if step.done {
                break step;
            }
        };
        assert_eq!(end.hits, 0, "{what}");
    }
    let plan = Plan::new(&store, &Choice::of(What::All));
    let mut options = Options::of(Format::Csv);
    options.fields = vec!["tcp.payload".to_owned()];
    let csv = exported(&store, &capture, &plan, &options);
    for part in secret.windows(4) {
        let hex = part.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        assert_eq!(
            memchr::memmem::find(&csv, hex.as_bytes()),
            None,
            "{what}: {hex}"
        );
    }
}

fn file(conn: &Conn) -> Vec<u8> {
    conn.capture(Side::Client).to_pcapng()
}

#[test]
fn a_login_that_is_sent_again_is_hidden_again() {
    let at_once = opened(|conn| {
        let first = conn.send(Side::Client, DATA, &login());
        conn.wait(300 * MS);
        conn.resend(first);
        go_on(conn);
    });
    hides("at once", file(&at_once));
    let late = opened(|conn| {
        let first = conn.send(Side::Client, DATA, &login());
        go_on(conn);
        conn.wait(300 * MS);
        conn.resend(first);
    });
    hides("late", file(&late));
}

#[test]
fn a_login_whose_segments_overlap_is_hidden_in_each() {
    for (first, second) in [(place() + 11, place() - 9), (place() + 3, 0)] {
        let conn = opened(|conn| {
            let seq = conn.snd_nxt(Side::Client);
            let bytes = login();
            conn.send(Side::Client, DATA, &bytes[..first]);
            conn.send(Side::Client, DATA, &bytes[first..]);
            let again = seq + u32::try_from(second).unwrap();
            let ack = conn.received(Side::Client);
            conn.push(Side::Client, DATA, again, ack, &bytes[second..]);
            go_on(conn);
        });
        hides("overlap", file(&conn));
        // The second segment is not in the file: the rest came with the third.
        let mut capture = conn.capture(Side::Client);
        capture.frames.remove(6);
        hides("overlap without the middle", capture.to_pcapng());
        let mut capture = conn.capture(Side::Client);
        capture.frames.swap(5, 6);
        hides("overlap out of order", capture.to_pcapng());
    }
}

#[test]
fn a_login_without_its_beginning_or_middle_is_hidden() {
    for cut in [4, 30, 120, place() - 3, place() + 6] {
        let conn = opened(|conn| {
            let bytes = login();
            conn.send(Side::Client, DATA, &bytes[..cut]);
            conn.send(Side::Client, DATA, &bytes[cut..]);
            go_on(conn);
        });
        let whole = conn.capture(Side::Client);
        let mut lost = whole.clone();
        lost.frames.remove(5);
        hides("without its beginning", lost.to_pcapng());
        let mut short = whole.clone();
        let keep = short.frames[5].data.len() - 2;
        short.frames[5].data.truncate(keep);
        hides("with a hole", short.to_pcapng());
        let mut late = whole.clone();
        late.frames.drain(..6);
        hides("the file begins in it", late.to_pcapng());
        late.frames.truncate(1);
        hides("nothing else", late.to_pcapng());
        let mut rest = whole;
        rest.frames.truncate(6);
        hides("nothing goes on with it", rest.to_pcapng());
    }
}

#[test]
fn a_login_whose_packet_says_a_wrong_length_is_hidden() {
    for len in [40_u16, 60, 2000] {
        let conn = opened(|conn| {
            let mut bytes = login();
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            conn.send(Side::Client, DATA, &bytes);
            go_on(conn);
        });
        hides("wrong length", file(&conn));
    }
}

#[test]
fn what_an_icmp_message_quotes_of_a_login_is_hidden() {
    use crate::support::synth::{file::Frame, wire};
    use std::net::{IpAddr, Ipv4Addr};
    let conn = opened(|conn| {
        conn.send(Side::Client, DATA, &login());
    });
    let mut capture = conn.capture(Side::Client);
    let sent = capture.frames.last().unwrap().clone();
    let router = IpAddr::V4(Ipv4Addr::new(10, 10, 10, 1));
    let client = conn.hosts[0].ip;
    // Fragmentation needed, with as much of the packet as there is.
    let message = [&[3, 4, 0, 0, 0, 0, 0x05, 0xDC], &sent.data[14..]].concat();
    let packet = wire::ip(router, client, 1, 7, 64, &message);
    let mut frame = Frame::new(wire::Link::Ethernet.wrap(&packet, [2; 6], [4; 6], true));
    frame.time = sent.time + MS;
    capture.frames.push(frame);
    hides("quoted", capture.to_pcapng());
    // A part of a packet whose first part is not in the file.
    let payload = &sent.data[14 + 20 + 16..];
    let mut part = wire::ip(client, conn.hosts[1].ip, 6, 9, 128, payload);
    part[6..8].copy_from_slice(&[0, 2]);
    let mut frame = Frame::new(wire::Link::Ethernet.wrap(&part, [2; 6], [4; 6], true));
    frame.time = sent.time + 2 * MS;
    capture.frames.push(frame);
    hides("in a part of a packet", capture.to_pcapng());
}

#[test]
fn a_new_password_is_found_where_the_host_has_no_place() {
    let secret = b"\xB1\xA5\xB2\xA5\xB3\xA5\xB4\xA5\xB5\xA5\xB6\xA5";
    let mut bytes = login();
    let at = u16::try_from(bytes.len() - 8).unwrap();
    // The host is not given: neither offset nor length.
    bytes[8 + 36..8 + 40].fill(0);
    bytes[8 + 86..8 + 88].copy_from_slice(&at.to_le_bytes());
    bytes[8 + 88..8 + 90].copy_from_slice(&6_u16.to_le_bytes());
    bytes.extend(secret);
    let body = bytes[8..].to_vec();
    let (login, complete) = marstui::decode::tds::login7::Login7::read(&body).unwrap();
    assert!(complete);
    let new = login.change_password.unwrap();
    assert_eq!(&body[new.data], secret);
}
