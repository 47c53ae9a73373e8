//! The SMP checks, one broken conversation each, and the conversations of real drivers that break none.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the numbers are the test's own, and small"
)]

use marstui::decode::smp::{ACK, DATA, FIN, Header, SYN};
use marstui::rules::{Settings, judge};
use marstui::store::{CheckId, Severity, StallInfo, Verdict, ViolationRow};
use marstui::units::{End, Sid, Side, SmpSeq};

use crate::generated::index;
use crate::streams::{Wire, load};
use crate::support::synth::cases;
use crate::support::synth::close::Form;
use crate::support::synth::conn::Conn;
use crate::support::synth::mars::Session;
use crate::support::synth::tds;
use End::{A, B};

type Step = (End, Vec<u8>);
/// A name, a conversation, and the checks that it breaks.
type Case = (&'static str, Vec<Step>, Vec<(CheckId, Severity)>);

fn packet(end: End, flags: u8, seqnum: u32, wndw: u32, payload: &[u8]) -> Step {
    let header = Header {
        flags,
        sid: Sid(7),
        length: 16 + payload.len() as u32,
        seqnum: SmpSeq(seqnum),
        wndw: SmpSeq(wndw),
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(payload);
    (end, bytes)
}

fn control(end: End, flags: u8, seqnum: u32, wndw: u32) -> Step {
    packet(end, flags, seqnum, wndw, &[])
}

/// A DATA with a whole message: a batch from the client, a DONE from the server.
fn data(end: End, seqnum: u32, wndw: u32) -> Step {
    let batch = [1, 1, 0, 12, 0, 0, 1, 0, b'x', 0, b'y', 0];
    let done = [
        4, 1, 0, 21, 0, 55, 1, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    packet(
        end,
        DATA,
        seqnum,
        wndw,
        if end == A { &batch } else { &done },
    )
}

fn syn() -> Step {
    control(A, SYN, 0, 4)
}

fn broken(steps: &[Step]) -> Vec<(CheckId, Severity)> {
    let mut wire = Wire::new();
    let mut next = [1_u32, 1];
    for (end, bytes) in steps {
        let (own, other) = if *end == A { (0, 1) } else { (1, 0) };
        wire.send(*end, next[own], next[other], 0x18, bytes);
        next[own] += bytes.len() as u32;
    }
    let (_, store) = load(&wire);
    assert!(store.pdu_count() > 0);
    store
        .violations()
        .iter()
        .map(|v| (v.check, v.severity))
        .collect()
}

#[test]
fn a_clean_conversation_breaks_nothing() {
    let steps = [
        syn(),
        data(A, 1, 4),
        data(B, 1, 5),
        data(A, 2, 5),
        data(B, 2, 6),
        data(B, 3, 6),
        control(A, ACK, 2, 7),
        control(A, FIN, 2, 7),
        control(B, FIN, 3, 6),
    ];
    assert_eq!(broken(&steps), []);
    // SEQNUM and WNDW may wrap, and a Sid may be opened again.
    let mut again = steps.to_vec();
    again.extend([syn(), data(A, 1, 4)]);
    assert_eq!(broken(&again), [(CheckId::S6, Severity::Note)]);
}

#[test]
fn each_check_is_made() {
    use CheckId as C;
    use Severity::{Error, Note, Warn};
    let open = || vec![syn(), data(A, 1, 4), data(B, 1, 5)];
    let with = |more: Vec<Step>| [open(), more].concat();
    let attention = packet(A, DATA, 5, 4, &[6, 1, 0, 8, 0, 0, 1, 0]);
    let mut long = vec![1, 1, 0x80, 2, 0, 0, 1, 0];
    long.resize(0x8002, b'x');
    let burst = || {
        vec![
            syn(),
            data(A, 1, 4),
            data(A, 2, 4),
            data(A, 3, 4),
            data(A, 4, 4),
        ]
    };
    let cases: Vec<Case> = vec![
        ("H2", with(vec![control(A, 6, 1, 5)]), vec![(C::H2, Error)]),
        (
            "H4",
            with(vec![packet(A, ACK, 1, 7, &[0; 8])]),
            vec![(C::H4, Error), (C::W3, Warn)],
        ),
        (
            "H5",
            with(vec![control(A, DATA, 2, 5)]),
            vec![(C::H5, Warn)],
        ),
        (
            "H6",
            with(vec![packet(A, DATA, 2, 5, &long)]),
            vec![(C::H6, Warn)],
        ),
        (
            "H1",
            with(vec![(
                A,
                vec![1, 1, 0, 12, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            )]),
            vec![(C::H1, Error)],
        ),
        ("S2", with(vec![syn()]), vec![(C::S2, Error)]),
        (
            "S3",
            vec![syn(), packet(B, SYN, 0, 4, &[])],
            vec![(C::S2, Error), (C::S3, Error)],
        ),
        (
            "S7",
            with(vec![control(A, FIN, 1, 5), syn()]),
            vec![(C::S7, Error)],
        ),
        ("Q1", vec![syn(), data(A, 2, 4)], vec![(C::Q1, Error)]),
        ("Q2", with(vec![data(A, 3, 5)]), vec![(C::Q2, Error)]),
        (
            "Q3",
            with(vec![data(B, 2, 5), control(A, ACK, 4, 6)]),
            vec![(C::Q3, Error)],
        ),
        ("Q4", with(vec![control(A, FIN, 9, 5)]), vec![(C::Q4, Warn)]),
        (
            "W1",
            [burst(), vec![data(A, 5, 4)]].concat(),
            vec![(C::W1, Error)],
        ),
        (
            "W1 attention",
            [burst(), vec![attention]].concat(),
            vec![(C::W1, Warn)],
        ),
        ("W2", with(vec![data(A, 2, 3)]), vec![(C::W2, Error)]),
        ("W3", with(vec![data(A, 2, 9)]), vec![(C::W3, Warn)]),
        ("W5", with(vec![control(B, ACK, 1, 5)]), vec![(C::W5, Note)]),
        (
            "F1",
            with(vec![control(A, FIN, 1, 5), data(A, 2, 5)]),
            vec![(C::F1, Error)],
        ),
        (
            "F3",
            with(vec![control(A, FIN, 1, 5), control(A, FIN, 1, 5)]),
            vec![(C::F3, Error)],
        ),
        (
            "F4",
            with(vec![control(A, FIN, 1, 5), data(B, 2, 5)]),
            vec![(C::F4, Note)],
        ),
        (
            "F7",
            with(vec![data(A, 2, 5), control(A, FIN, 2, 5)]),
            vec![(C::F7, Note)],
        ),
        (
            "P2",
            with(vec![packet(A, DATA, 2, 5, &[0x53; 16])]),
            vec![(C::P2, Error)],
        ),
    ];
    for (name, steps, expected) in cases {
        assert_eq!(broken(&steps), expected, "{name}");
    }
}

/// A DATA with a packet of an answer that goes on.
fn part(seqnum: u32) -> Step {
    let mut packet = vec![4, 0, 0, 21, 0, 55, seqnum as u8, 0];
    packet.extend([0; 13]);
    self::packet(B, DATA, seqnum, 5, &packet)
}

/// Four packets of an answer, then nothing for want of window until the client takes two of them; what each end stood
/// still. `lost` leaves out a step, whose bytes are acknowledged all the same.
fn stalls(millis: u32, lost: Option<usize>) -> [StallInfo; 2] {
    let mut steps = vec![syn(), data(A, 1, 4)];
    steps.extend((1..=4).map(part));
    steps.extend([
        control(A, ACK, 1, 6),
        control(A, ACK, 1, 7),
        part(5),
        part(6),
    ]);
    let mut wire = Wire::new();
    let mut next = [1_u32, 1];
    for (number, (end, bytes)) in steps.iter().enumerate() {
        let (own, other) = if *end == A { (0, 1) } else { (1, 0) };
        if number == 6 {
            wire.wait(millis);
        }
        if lost != Some(number) {
            wire.send(*end, next[own], next[other], 0x18, bytes);
        }
        next[own] += bytes.len() as u32;
    }
    let (_, store) = load(&wire);
    let session = &store.sessions()[0];
    [session.stall(A), session.stall(B)]
}

#[test]
fn a_sender_without_window_has_stalled_until_the_other_end_takes_something() {
    let [client, server] = stalls(500, None);
    assert_eq!(client, StallInfo::default());
    assert_eq!((server.count, server.total_ns), (1, 500_010_000));
    assert_eq!(server.longest_ns, 500_010_000);
    assert_eq!(server.longest_frame.map(|no| no.0), Some(7));
    // A pause is no stall.
    assert_eq!(stalls(100, None)[1], StallInfo::default());
    // The frame that ended it may be the one that is missing.
    assert_eq!(stalls(500, Some(6))[1], StallInfo::default());
}

fn batch() -> Vec<u8> {
    tds::packet(tds::SQL_BATCH, tds::EOM, 0, 1, &tds::batch("select 1"))
}

/// The client's bytes in segments of `size`, behind whatever a connection has had so far; the checks that they break, each
/// with whether it stands on the frame with the last of these bytes.
fn broken_by(mut c: Conn, bytes: &[u8], size: usize) -> Vec<(CheckId, bool)> {
    assert_eq!(index(&c.capture(Side::Client)).violations(), []);
    c.data_in(Side::Client, bytes, size);
    let store = index(&c.capture(Side::Client));
    let last = store.last_frame();
    let told = |v: &ViolationRow| {
        // What names a packet stands where its row does.
        let row = v.pdu.map(|id| store.pdu(id).unwrap().frame);
        assert_eq!(row.unwrap_or(v.frame), v.frame, "{:?}", v.check);
        (v.check, Some(v.frame) == last)
    };
    store.violations().iter().map(told).collect()
}

#[test]
fn what_a_packet_in_several_segments_breaks_stands_where_it_is_complete() {
    use CheckId as C;
    for size in [3, 8, 15, 16] {
        let mut c = cases::logged_in(Form::WindowsW, true);
        c.open(0);
        let again = c.control(Side::Client, SYN, 0);
        assert_eq!(broken_by(c, &again, size), [(C::S2, true)], "{size}");

        let mut c = cases::logged_in(Form::WindowsW, true);
        c.open(0);
        c.smp(Side::Client, FIN, 0);
        let again = c.control(Side::Client, SYN, 0);
        assert_eq!(broken_by(c, &again, size), [(C::S7, true)], "{size}");

        let mut c = cases::logged_in(Form::WindowsW, true);
        c.open(0);
        c.sessions.insert(9, Session::default());
        let never_opened = c.smp_data(Side::Client, 9, &batch());
        assert_eq!(broken_by(c, &never_opened, size), [(C::S1, true)], "{size}");
    }
    // One that breaks off is told of as far as it came.
    let mut c = cases::logged_in(Form::WindowsW, true);
    c.open(0);
    c.sessions.insert(9, Session::default());
    let never_opened = c.smp_data(Side::Client, 9, &batch());
    assert_eq!(broken_by(c, &never_opened[..20], 10), [(C::S1, true)]);
}

#[test]
fn behind_a_login_that_agrees_on_mars_nothing_but_smp_may_follow() {
    use CheckId as C;
    let after_login = || cases::logged_in(Form::WindowsW, true);
    let syn = |change: fn(&mut Vec<u8>)| {
        let mut bytes = after_login().control(Side::Client, SYN, 0);
        change(&mut bytes);
        bytes
    };
    let cases: [(&str, Vec<u8>, &[C]); 6] = [
        ("garbage", vec![0xf7; 40], &[C::H1]),
        ("a batch", batch(), &[C::M1]),
        ("FLAGS", syn(|bytes| bytes[1] = 6), &[C::H2]),
        ("LENGTH", syn(|bytes| bytes[4] = 8), &[C::H3]),
        ("a long SYN", syn(|bytes| bytes[4] = 24), &[C::H4]),
        (
            "a huge DATA",
            syn(|bytes| (bytes[1], bytes[6]) = (8, 1)),
            &[C::H6],
        ),
    ];
    for (name, bytes, expected) in &cases {
        let found = broken_by(after_login(), bytes, 1460);
        let told: Vec<C> = found.iter().map(|(check, _)| *check).collect();
        assert_eq!(told, *expected, "{name}");
        // It is what the close is judged by, and what is said of a connection that goes on.
        for ends in [false, true] {
            let mut c = after_login();
            c.data(Side::Client, bytes);
            c.trip(0);
            if ends {
                let (seq, ack) = (c.snd_nxt(Side::Server), c.received(Side::Server));
                c.abort(Side::Server, seq, ack);
            }
            let mut store = index(&c.capture(Side::Client));
            judge(&mut store, &Settings::default());
            let finding = store.findings().iter().find(|f| f.rule == "smp-violation");
            let finding = finding.unwrap_or_else(|| panic!("{name} ends {ends}: no finding"));
            assert_eq!(finding.verdict, Verdict::Fault, "{name} ends {ends}");
        }
    }
    // Several requests outside SMP are one and the same mistake.
    let batch = batch();
    let found = broken_by(after_login(), &[&batch[..], &batch].concat(), 1460);
    assert_eq!(found.len(), 1);
    // Without MARS a batch is what has to follow.
    let plain = cases::logged_in(Form::WindowsW, false);
    assert_eq!(broken_by(plain, &batch, 1460), []);
}

/// The answer to a login may have several packets, and of one the file may have no more than a part of its header.
#[test]
fn what_is_left_of_a_packet_of_the_login_is_no_broken_smp() {
    for left in 1..20 {
        let mut c = cases::logged_in(Form::WindowsW, true);
        let body = [
            tds::login_answer("Shop", "SQLPROD1"),
            tds::done(0xfd, 0, 0, 0),
        ];
        c.set_isns(71_000, 82_000);
        c.handshake();
        c.prelogin(tds::ENCRYPT_NOT_SUP, true, true);
        c.send_login();
        c.data(
            Side::Server,
            &tds::packet(tds::RESPONSE, 0, c.spid, 1, &body[0]),
        );
        let rest = tds::packet(tds::RESPONSE, tds::EOM, c.spid, 2, &body[1]);
        c.data(Side::Server, &rest[..left]);
        c.data(Side::Server, &rest[left..]);
        c.label("lost");
        c.trip(0);
        c.sessions.clear();
        c.open(0);
        c.request(0, "select 1", &tds::rows(1));
        let store = index(&c.capture(Side::Client).without("lost"));
        let last = store.conns().last().unwrap();
        assert!(last.login.as_ref().is_some_and(|login| login.accepted));
        assert!(last.smp_seen);
        assert_eq!(store.violations(), [], "{left}");
    }
}
