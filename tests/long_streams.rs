//! Long connections: judged as short ones are, also where they carry more than sequence numbers count.

use marstui::rules::{Settings, judge};
use marstui::store::Verdict;
use marstui::units::Side;

use crate::generated::index;
use crate::near_misses::describe;
use crate::support::synth::cases;
use crate::support::synth::close::Form;
use crate::support::synth::conn::{Conn, MS, US};
use crate::support::synth::file::{Capture, Frame};
use crate::support::synth::rng::Rng;
use crate::support::synth::tds;
use crate::support::synth::wire::ACK;

const IP: usize = 14;
/// Payload of a frame that a card sends in parts, cut behind its headers.
const LARGE: u32 = 64_000;

fn tcp(frame: &Frame) -> usize {
    IP + usize::from(frame.data[IP] & 15) * 4
}

fn number(frame: &Frame, at: usize) -> u32 {
    u32::from_be_bytes(frame.data[at..at + 4].try_into().unwrap())
}

fn set_number(frame: &mut Frame, at: usize, number: u32) {
    frame.data[at..at + 4].copy_from_slice(&number.to_be_bytes());
}

fn of_server(frame: &Frame) -> bool {
    frame.data[tcp(frame)..tcp(frame) + 2] == 1433_u16.to_be_bytes()
}

fn payload_len(frame: &Frame) -> u32 {
    let headers = tcp(frame) + usize::from(frame.data[tcp(frame) + 12] >> 4) * 4;
    u32::try_from(frame.wire_len - headers).unwrap()
}

/// The headers of a frame alone, with other numbers, in front of so many bytes that are not in the file.
fn bare(like: &Frame, seq: u32, ack: u32, len: u32) -> Frame {
    let mut frame = like.clone();
    let tcp = tcp(&frame);
    frame.data.truncate(tcp + 20);
    frame.data[tcp + 12] = 0x50;
    frame.data[tcp + 13] = 0x10;
    set_number(&mut frame, tcp + 4, seq);
    set_number(&mut frame, tcp + 8, ack);
    let size = u32::try_from(tcp - IP + 20).unwrap() + len;
    let size = u16::try_from(size).unwrap();
    frame.data[IP + 2..IP + 4].copy_from_slice(&size.to_be_bytes());
    frame.wire_len = IP + usize::from(size);
    frame.label = String::new();
    frame
}

/// Puts `bytes` of the server's, acknowledged as they come, in front of the last request.
fn prolong(capture: &mut Capture, bytes: u32) {
    let requests = |frame: &Frame| !of_server(frame) && payload_len(frame) > 40;
    let at = capture.frames.iter().rposition(requests).unwrap();
    let request = capture.frames[at].clone();
    let server = capture.frames[..at].iter().rfind(|f| of_server(f)).unwrap();
    let (client_seq, server_seq) = (
        number(&request, tcp(&request) + 4),
        number(&request, tcp(&request) + 8),
    );
    let mut inserted = Vec::new();
    let mut sent = 0;
    while sent < bytes {
        let len = LARGE.min(bytes - sent);
        inserted.push(bare(server, server_seq.wrapping_add(sent), client_seq, len));
        sent += len;
        let seen = server_seq.wrapping_add(sent);
        inserted.push(bare(&request, client_seq, seen, 0));
    }
    for (id, frame) in (1..=u16::MAX).cycle().zip(&mut inserted) {
        frame.data[IP + 4..IP + 6].copy_from_slice(&id.to_be_bytes());
        frame.time = request.time;
    }
    for frame in &mut capture.frames[at..] {
        let field = tcp(frame) + if of_server(frame) { 4 } else { 8 };
        let shifted = number(frame, field).wrapping_add(bytes);
        if field == tcp(frame) + 4 || frame.data[tcp(frame) + 13] & 0x10 != 0 {
            set_number(frame, field, shifted);
        }
    }
    capture.frames.splice(at..at, inserted);
}

#[test]
fn a_close_behind_more_than_two_gibibytes_is_judged_as_any_other() {
    for view in Side::BOTH {
        for form in Form::ALL {
            let mut c = cases::opened(form, &[0, 1]);
            c.close_benign(form, &[0, 1]);
            for bytes in [1_000_000, 2_200_000_000, 3_900_000_000] {
                let mut capture = c.capture(view);
                prolong(&mut capture, bytes);
                let mut store = index(&capture);
                judge(&mut store, &Settings::default());
                let close = store.findings().iter().find(|f| f.close).unwrap();
                assert_eq!(
                    (close.rule.as_ref(), close.verdict),
                    ("mars-close-rst", Verdict::Benign),
                    "{view:?} {form:?} {bytes}: {}",
                    describe(close)
                );
            }
        }
    }
}

/// Something that happens on the way, or nothing.
fn happens(c: &mut Conn, rng: &mut Rng) {
    let side = if rng.below(2) == 0 {
        Side::Client
    } else {
        Side::Server
    };
    let (seq, ack) = (c.snd_nxt(side), c.received(side));
    match rng.below(6) {
        0 => {
            c.push(side, ACK, seq.wrapping_sub(1), ack, &[0]);
            c.trip(20 * US);
            let peer = side.other();
            c.push(peer, ACK, c.snd_nxt(peer), c.snd_nxt(side), &[]);
        }
        1 => {
            c.resend(c.segments.len() - 1);
        }
        2 => {
            c.push(side, ACK, seq, ack, &[]);
            c.last().win = 0;
            c.trip(MS);
            c.push(side, ACK, seq, ack, &[]);
        }
        3 => {
            c.last().arrives += 400 * MS;
            c.wait(500 * MS);
        }
        4 => c.last().ttl = Some(33),
        _ => c.last().lost = true,
    }
}

/// Builds with debug assertions compare the facts taken in one step with those taken frame by frame.
#[test]
fn a_calm_beginning_counts_as_frame_by_frame_wherever_it_ends() {
    let (mut calm, mut cut) = (0, 0);
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let form = Form::ALL[usize::try_from(seed % 3).unwrap()];
        let mut c = cases::opened(form, &[0, 1]);
        let events = rng.below(3);
        let at: Vec<u64> = (0..events).map(|_| rng.below(120)).collect();
        for i in 0..120 {
            c.request(
                u16::from(i % 2 == 0),
                "select id from dbo.Note",
                &tds::rows(2),
            );
            if at.contains(&i) {
                happens(&mut c, &mut rng);
            }
        }
        c.close_benign(form, &[0, 1]);
        for view in Side::BOTH {
            let whole = c.capture(view);
            for capture in [whole.clone(), whole.snap(96)] {
                let mut store = index(&capture);
                let calms = store.conns().iter().filter_map(|conn| conn.calm.first());
                calm += calms.clone().count();
                cut += calms.filter(|calm| calm.cut).count();
                judge(&mut store, &Settings::default());
                assert!(store.findings().iter().any(|finding| finding.close));
            }
        }
    }
    assert!(calm > 40 && cut > 20 && calm > cut, "{calm}, {cut}");
}
