//! Closes that are benign, step by step.

use marstui::units::Side::{Client, Server};

use super::super::close::Form;
use super::super::conn::{Conn, MS, Stack, US};
use super::super::file::Capture;
use super::super::mars::Encryption;
use super::super::smp;
use super::super::wire::{ACK, FIN, RST};
use super::{begin, opened, page_close, work};

pub fn last_reset(capture: &Capture) -> String {
    let last = capture.frames.iter().rfind(|f| f.label.starts_with("rst"));
    last.unwrap().label.clone()
}

/// The server has the client's FIN before the reset comes: its own FIN is answered by a bare reset.
pub fn server_fin_reset_too(c: &mut Conn) {
    c.now = c.segment("tf").arrives + 40 * US;
    c.send(Server, ACK | FIN, &[]);
    c.label("stf");
    let ack = c.last().ack;
    c.trip(US);
    c.bare_reset(Client, ack);
    c.label("rst:stf");
}

/// The first SMP:FIN of the server meets an open socket, the others a closed one.
pub fn abort_then_bare(c: &mut Conn, sids: &[u16]) {
    let start = c.now;
    c.client_fins(sids);
    c.now = start + c.delay + 58 * US;
    let since = c.now;
    c.server_fins(sids);
    let first = c.segment(&format!("sfin:{}", sids[0])).arrives;
    c.now = first - 2 * US;
    c.client_tcp_fin();
    c.now = first + US;
    c.answer_with_resets(since);
    // The first of these is the abort.
    let seq = c.snd_nxt(Client);
    let ack = c.segment(&format!("sfin:{}", sids[0])).end();
    let window = if c.hosts[0].stack == Stack::Windows {
        0
    } else {
        502
    };
    let rst = c.segment("rst");
    (rst.flags, rst.seq, rst.ack, rst.win) = (RST | ACK, seq, ack, window);
}

/// Each SMP:FIN of the client is answered before the next one arrives.
pub fn answered_one_by_one(c: &mut Conn, sids: &[u16]) {
    let start = c.now;
    for (i, sid) in sids.iter().enumerate() {
        c.now = start + i64::try_from(i).unwrap() * 60 * US;
        c.client_fins(&[*sid]);
    }
    c.wait(80 * US);
    c.client_tcp_fin();
    let fin = c.now;
    for (i, sid) in sids.iter().enumerate() {
        c.now = start + i64::try_from(i).unwrap() * 60 * US + c.delay + 30 * US;
        c.server_fins(&[*sid]);
    }
    c.now = fin + c.delay + 40 * US;
    c.send(Server, ACK | FIN, &[]);
    c.label("stf");
    c.answer_with_resets(start);
}

pub fn fin_on_the_last(form: Form) -> Conn {
    let mut c = opened(form, &[0, 1]);
    c.close_benign(form, &[0, 1]);
    let fin = c.segment("tf").seq;
    c.segments.retain(|s| s.label != "tf");
    let last = c.segment("cfin:1");
    last.flags |= FIN;
    // The server has the FIN when it answers.
    for segment in &mut c.segments {
        if segment.from == Server && segment.ack == fin {
            segment.ack += 1;
        }
        if segment.flags & (RST | ACK) == RST && segment.seq == fin {
            segment.seq += 1;
        }
    }
    c
}

/// SMP:FIN and FIN have to be sent three times, as do the answers.
pub fn lossy_close(c: &mut Conn) {
    c.client_fins(&[0]);
    c.wait(60 * US);
    c.client_tcp_fin();
    c.last().lost = true;
    let fin = c.segments.len() - 1;
    c.now += 200 * MS;
    let again = c.resend(fin);
    c.segments[again].lost = true;
    c.now += 400 * MS;
    c.resend(fin);
    let start = c.now;
    server_closes(c, start);
}

/// The server answers the client's SMP:FIN and its FIN; what arrives since `start` is reset.
fn server_closes(c: &mut Conn, start: i64) {
    c.trip(58 * US);
    c.server_fins(&[0]);
    c.wait(40 * US);
    c.send(Server, ACK | FIN, &[]);
    c.label("stf");
    c.answer_with_resets(start);
}

/// The client's last SMP:ACK is lost, its SMP:FIN and FIN are not; the server's acknowledgement that asks for it is
/// overtaken by all that the server sends once it was repeated.
pub fn lost_before_close(c: &mut Conn) {
    c.smp(Client, smp::ACK, 0);
    c.last().lost = true;
    let lost = c.segments.len() - 1;
    c.client_fins(&[0]);
    c.wait(60 * US);
    c.client_tcp_fin();
    let start = c.now;
    c.trip(58 * US);
    c.send(Server, ACK, &[]);
    let asked = c.segments[lost].seq;
    c.last().ack = asked;
    c.last().arrives += 220 * MS;
    c.label("asks");
    c.wait(200 * MS);
    c.resend(lost);
    server_closes(c, start);
}

/// The server closes the session 30 ms after the client, and its socket not at all.
pub fn late_server(form: Form) -> Conn {
    let mut c = opened(form, &[0]);
    c.client_fins(&[0]);
    if form == Form::LinuxL {
        c.wait(80 * US);
        c.client_tcp_fin();
        c.trip(30 * MS);
        let since = c.now;
        c.server_fins(&[0]);
        c.answer_with_resets(since);
    } else {
        c.trip(30 * MS);
        c.server_fins(&[0]);
        let late = c.last().arrives;
        c.now = late - 2 * US;
        c.client_tcp_fin();
        c.now = late + US;
        c.client_abort();
    }
    c
}

/// The client's numbers wrap within its SMP:FIN, the server's within its own.
pub fn wrapping(form: Form) -> Conn {
    let mut trial = page_close(form);
    let start = |c: &mut Conn, label: &str, isn: u32| c.segment(label).seq.wrapping_sub(isn);
    let client = start(&mut trial, "cfin:0", 661_832_900);
    let server = start(&mut trial, "sfin:0", 492_910_518);
    let mut c = begin(form);
    c.set_isns(0u32.wrapping_sub(8 + client), 0u32.wrapping_sub(4 + server));
    c.handshake();
    c.login(Encryption::None, true);
    work(&mut c, &[0]);
    c.close_benign(form, &[0]);
    c
}
