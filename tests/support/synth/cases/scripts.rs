//! Pieces of scripts that several cases share.

use marstui::units::Side::{self, Client, Server};

use super::super::close::Form;
use super::super::conn::{Conn, MS, Stack, US, ix};
use super::super::wire::{ACK, FIN};
use super::super::{smp, tds};
use super::{logged_in, opened};

pub fn server_reset(form: Form) -> Conn {
    let mut c = opened(form, &[0]);
    server_resets(&mut c, &[0]);
    c
}

/// SMP:FINs and FIN as in the page, then an abort of the server.
pub fn server_resets(c: &mut Conn, sids: &[u16]) {
    c.client_fins(sids);
    c.trip(58 * US);
    c.server_fins(sids);
    c.now -= c.delay / 2;
    c.client_tcp_fin();
    c.trip(10 * US);
    let (seq, ack) = (c.snd_nxt(Server), c.received(Server));
    c.abort(Server, seq, ack);
    c.label("rst");
}

/// The network delivers the client's FIN once more to a server whose socket is gone.
pub fn echoes(c: &mut Conn) {
    let fin = c.segment("tf").clone();
    c.trip(3 * MS);
    c.push(Client, fin.flags, fin.seq, fin.ack, &[]);
    c.last().ip_id = fin.ip_id;
    c.trip(5 * US);
    c.bare_reset(Server, fin.ack);
}

/// A FIN and a reset, and nothing of SMP.
pub fn close_without_smp(c: &mut Conn, form: Form) {
    if form == Form::LinuxL {
        c.client_tcp_fin();
        let since = c.now;
        c.trip(40 * US);
        c.send(Server, ACK | FIN, &[]);
        c.label("stf");
        c.answer_with_resets(since);
    } else {
        c.client_tcp_fin();
        c.wait(5 * US);
        c.client_abort();
    }
}

/// One session is closed from both sides, the connection goes on.
pub fn close_session(c: &mut Conn, sid: u16) {
    c.smp(Client, smp::FIN, sid);
    c.trip(58 * US);
    c.smp(Server, smp::FIN, sid);
}

/// The two packets of an answer.
pub fn long_answer(c: &Conn) -> Vec<Vec<u8>> {
    let body = tds::result_of(6000, 90, "An answer that takes two packets. ");
    tds::message(tds::RESPONSE, c.spid, &body, 4096)
}

/// A request of which only the answer's first packet comes.
pub fn ask_and_answer_in_part(c: &mut Conn, sid: u16) {
    c.ask(sid, "select id, text from dbo.Note");
    c.trip(300 * US);
    let first = &long_answer(c)[0];
    c.send_tds(Server, sid, first);
    c.trip(400 * US);
}

/// A connection without MARS that has asked once.
pub fn plain(form: Form) -> Conn {
    let mut c = logged_in(form, false);
    plain_request(&mut c);
    c
}

/// A request and its answer, without SMP.
pub fn plain_request(c: &mut Conn) {
    let ask = tds::packet(tds::SQL_BATCH, tds::EOM, 0, 1, &tds::batch("select 1"));
    c.data(Client, &ask);
    c.trip(100 * US);
    let answer = tds::packet(tds::RESPONSE, tds::EOM, c.spid, 1, &tds::rows(1));
    c.data(Server, &answer);
    c.trip(500 * US);
}

/// Segment `at` again `times` times, 0.3, 0.6, 1.2 … seconds after the one before.
pub fn again_with_growing_gaps(c: &mut Conn, at: usize, times: u32) {
    for i in 0..times {
        c.wait((300 * MS) << i);
        let lost = c.segments[at].lost;
        let again = c.resend(at);
        c.segments[again].lost = lost;
        c.segments[again].label = format!("again:{i}");
    }
}

/// A request that reaches the server, whose answers are lost until the request was sent `times` times again.
pub fn request_sent_again(c: &mut Conn, times: u32) {
    c.ask(0, "select 1");
    let ask = c.segments.len() - 1;
    let asked = c.now;
    c.trip(300 * US);
    c.answer(0, &tds::rows(1));
    c.last().lost = true;
    let answer = c.segments.len() - 1;
    c.now = asked;
    again_with_growing_gaps(c, ask, times);
    c.trip(50 * US);
    let again = c.resend(answer);
    "answer:again".clone_into(&mut c.segments[again].label);
    c.trip(500 * US);
}

/// Keep-alives of the client, one a second, all lost.
pub fn unanswered_keepalives(c: &mut Conn, count: u32) {
    unanswered_keepalives_of(c, Client, count);
}

/// Keep-alives of a side, one a second, all lost.
pub fn unanswered_keepalives_of(c: &mut Conn, side: Side, count: u32) {
    for _ in 0..count {
        let (seq, ack) = (c.snd_nxt(side).wrapping_sub(1), c.received(side));
        let probe: &[u8] = if c.hosts[ix(side)].stack == Stack::Windows {
            &[0]
        } else {
            &[]
        };
        c.push(side, ACK, seq, ack, probe);
        c.last().lost = true;
        c.wait(1_000 * MS);
    }
}
