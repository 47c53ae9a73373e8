//! The near misses N01 to N16 of the catalogue: the page's close with one thing changed.

use marstui::store::Verdict::{Fault, LikelyBenign, Notice, Undecided};
use marstui::units::Side::{Client, Server};

use super::super::close::Form;
use super::super::conn::{Conn, MS, US};
use super::super::wire::{ACK, FIN, PSH, RST};
use super::super::{smp, tds};
use super::scripts::{
    again_with_growing_gaps, ask_and_answer_in_part, close_session, close_without_smp, echoes,
    long_answer, request_sent_again, server_reset, server_resets, unanswered_keepalives,
    unanswered_keepalives_of,
};
use super::{Case, opened, page_close};

const ALL: &[Form] = &Form::ALL;
const ABORTS: &[Form] = &Form::ABORTS;
const BARE: &[Form] = &[Form::LinuxL];

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "N01",
            "the reset is the server's",
            ALL,
            server_reset,
            &[("rst-server-after-close", Undecided)],
        )
        .failing(&["M9"]),
        Case::new(
            "N01c",
            "the server resets a segment of the client before it has the acknowledgement of its FIN",
            ALL,
            late_server_reset,
            &[("rst-server-after-close", Undecided)],
        )
        .failing(&["M9"]),
        Case::new(
            "N01e",
            "the same without both FINs in the file: the server's acknowledgement tells that it had the client's",
            ALL,
            late_server_reset,
            &[("rst-server-after-close", Undecided)],
        )
        .edited(|capture| {
            capture
                .frames
                .retain(|frame| !["tf", "stf"].contains(&frame.label.as_str()));
        }),
        Case::new(
            "N01d",
            "the client aborts behind its SMP:FIN, and the server resets what it no longer knows",
            &[Form::LinuxW],
            |form| {
                let mut c = opened(form, &[0]);
                c.client_fins(&[0]);
                c.client_abort();
                c.label("rst");
                c.trip(40 * US);
                let seq = c.snd_nxt(Server);
                c.bare_reset(Server, seq);
                c
            },
            &[("rst-abort-client", Undecided)],
        ),
        Case::new(
            "N01b",
            "the reset is the server's, with a request outstanding",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.ask(1, "exec dbo.Slow");
                c.trip(200 * US);
                server_resets(&mut c, &[0, 1]);
                c
            },
            &[("rst-with-request", Fault)],
        ),
        Case::new(
            "N02",
            "no SMP:FIN of the client",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                close_without_smp(&mut c, form);
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M2"]),
        Case::new(
            "N03",
            "session 1 is left open, idle",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-open-sids", Notice)],
        )
        .failing(&["M2"])
        .noting("FreeTDS"),
        Case::new(
            "N03b",
            "session 1 is left open with a request outstanding",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.ask(1, "exec dbo.Slow");
                c.trip(200 * US);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-with-request", Fault)],
        ),
        Case::new(
            "N06",
            "the SMP:FINs were those of session 1, minutes ago",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                close_session(&mut c, 1);
                c.trip(0);
                c.wait(20_000 * MS);
                c.request(0, "select 1", &tds::rows(1));
                close_without_smp(&mut c, form);
                c
            },
            &[("rst-open-sids", Notice)],
        )
        .failing(&["M2"]),
        Case::new(
            "N07",
            "the rest of an unfinished answer comes late",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                ask_and_answer_in_part(&mut c, 0);
                c.close_crossing(form, &[0], &|c| {
                    c.send_tds(Server, 0, &long_answer(c)[1]);
                    c.server_fins(&[0]);
                });
                c
            },
            &[("rst-with-request", Fault)],
        ),
        Case::new(
            "N07b",
            "DATA behind a complete answer comes late",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.close_crossing(form, &[0], &|c| {
                    let body = tds::done(0xFD, 0, 0, 0);
                    c.send_tds(
                        Server,
                        0,
                        &tds::packet(tds::RESPONSE, tds::EOM, c.spid, 1, &body),
                    );
                    c.server_fins(&[0]);
                });
                c
            },
            &[("rst-data-lost", Fault)],
        )
        .failing(&["M7"]),
        Case::new(
            "N07c",
            "the reset acknowledges part of a PDU",
            ABORTS,
            |form| {
                let mut c = page_close(form);
                c.segment("rst").ack -= 6;
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M8"]),
        Case::new(
            "N08",
            "the reset acknowledges nothing that came late",
            ABORTS,
            |form| {
                let mut c = page_close(form);
                c.segment("rst").ack -= 16;
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M8"]),
        Case::new(
            "N09",
            "the abort's Seq lies ahead, in the window",
            ABORTS,
            |form| {
                let mut c = page_close(form);
                c.segment("rst").seq += 100;
                c
            },
            // Condition 3 of rst-middlebox holds, which comes first.
            &[("rst-middlebox", Fault)],
        ),
        Case::new(
            "N09d",
            "the abort's Seq lies ahead, beyond the window",
            ABORTS,
            |form| {
                let mut c = page_close(form);
                c.segment("rst").seq += 1_000_000;
                c
            },
            &[("rst-odd-seq", Undecided)],
        )
        .failing(&["M8"]),
        Case::new(
            "N09e",
            "a bare reset's Seq lies ahead, in the window",
            BARE,
            |form| {
                let mut c = page_close(form);
                c.segment("rst").seq += 100;
                c
            },
            &[("rst-middlebox", Fault)],
        ),
        Case::new(
            "N09b",
            "the abort's Seq is the FIN's own",
            ABORTS,
            |form| {
                let mut c = page_close(form);
                c.segment("rst").seq -= 1;
                c
            },
            &[("rst-odd-seq", Undecided)],
        )
        .failing(&["M8"]),
        Case::new(
            "N09c",
            "a bare reset's Seq is no Ack of the server",
            BARE,
            |form| {
                let mut c = page_close(form);
                c.segment("rst").seq -= 5;
                c
            },
            &[("rst-odd-seq", Undecided)],
        )
        .failing(&["M8"]),
        Case::new(
            "N10",
            "the client sends something behind its last SMP:FIN",
            ALL,
            |form| {
                let mut c = page_close(form);
                let behind = c.segment("tf").end();
                let ack = c.control(Client, smp::ACK, 0);
                for segment in &mut c.segments {
                    match segment.from {
                        Client if segment.seq == behind => segment.seq += 16,
                        Server if segment.ack == behind => segment.ack += 16,
                        _ => {}
                    }
                }
                let tf = c.segment("tf");
                tf.payload = ack;
                tf.flags |= PSH;
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M4"]),
        Case::new(
            "N11",
            "the client's FIN is not in the file",
            ALL,
            page_close,
            &[("mars-close-rst-nofin", LikelyBenign)],
        )
        .edited(|capture| *capture = std::mem::take(capture).without("tf"))
        .not_knowing(&["M4"]),
        Case::new(
            "N12",
            "a request was sent six times before the close",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                request_sent_again(&mut c, 5);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M10"]),
        Case::new(
            "N12b",
            "five keep-alives had no answer before the close",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.wait(30_000 * MS);
                unanswered_keepalives(&mut c, 5);
                c.request(0, "select 1", &tds::rows(1));
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M10"])
        .seen_by(&[Client]),
        Case::new(
            "N12c",
            "SMP:FIN and FIN are sent again and again, then an abort",
            ABORTS,
            |form| {
                let mut c = opened(form, &[0]);
                c.client_fins(&[0]);
                c.last().lost = true;
                let at = c.segments.len() - 1;
                again_with_growing_gaps(&mut c, at, 5);
                c.wait(9_600 * MS);
                c.client_abort();
                c
            },
            &[("retransmit-timeout", Fault)],
        )
        .seen_by(&[Client]),
        Case::new(
            "N12d",
            "ten keep-alives have no answer, then an abort",
            ABORTS,
            |form| {
                let mut c = opened(form, &[0]);
                c.wait(30_000 * MS);
                unanswered_keepalives(&mut c, 10);
                c.client_abort();
                c
            },
            &[("keepalive-timeout", Fault)],
        )
        .seen_by(&[Client]),
        Case::new(
            "N12e",
            "six keep-alives of the server before the close, of which a request answers the last",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.send(Client, ACK, &[]);
                c.wait(30_000 * MS);
                unanswered_keepalives_of(&mut c, Server, 6);
                c.request(0, "select 1", &tds::rows(1));
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M10"])
        .seen_by(&[Server]),
        Case::new(
            "N12f",
            "the server's SMP:FIN is sent again and again in vain, then the server aborts",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.client_fins(&[0]);
                c.client_tcp_fin();
                c.trip(58 * US);
                c.server_fins(&[0]);
                c.last().lost = true;
                let at = c.segments.len() - 1;
                again_with_growing_gaps(&mut c, at, 5);
                c.wait(9_600 * MS);
                let (seq, ack) = (c.snd_nxt(Server), c.received(Server));
                c.abort(Server, seq, ack);
                c.label("rst");
                c
            },
            &[("retransmit-timeout", Fault)],
        )
        .seen_by(&[Server]),
        Case::new(
            "N12g",
            "ten keep-alives of the server have no answer, then it aborts",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.send(Client, ACK, &[]);
                c.wait(30_000 * MS);
                unanswered_keepalives_of(&mut c, Server, 10);
                let (seq, ack) = (c.snd_nxt(Server), c.received(Server));
                c.abort(Server, seq, ack);
                c.label("rst");
                c
            },
            &[("keepalive-timeout", Fault)],
        )
        .seen_by(&[Server]),
        Case::new(
            "N12h",
            "the client's SMP:FINs arrive six times, the server's answers are lost, then the client aborts",
            ABORTS,
            |form| {
                let mut c = opened(form, &[0]);
                c.client_fins(&[0]);
                let at = c.segments.len() - 1;
                let sent = c.now;
                c.trip(58 * US);
                c.server_fins(&[0]);
                c.last().lost = true;
                c.now = sent;
                again_with_growing_gaps(&mut c, at, 5);
                c.wait(9_600 * MS);
                c.client_abort();
                c
            },
            // The server's own file has the acknowledgements: not all of retransmit-timeout's conditions hold there.
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M10"])
        .seen_by(&[Server]),
        Case::new(
            "N13",
            "the reset has another TTL",
            ALL,
            |form| {
                let mut c = page_close(form);
                for segment in c.segments.iter_mut().filter(|s| s.flags & RST != 0) {
                    segment.ttl = Some(57);
                }
                c
            },
            &[("rst-middlebox", Fault)],
        ),
        Case::new(
            "N14",
            "the server closed first",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.send(Server, ACK | FIN, &[]);
                c.label("stf");
                c.trip(100 * US);
                c.client_fins(&[0]);
                c.client_tcp_fin();
                if form == Form::LinuxL {
                    let since = c.now;
                    c.trip(40 * US);
                    c.send(Server, ACK, &[]);
                    c.answer_with_resets(since);
                } else {
                    c.wait(5 * US);
                    c.client_abort();
                }
                c
            },
            &[("server-fin-first", Fault)],
        )
        .failing(&["M9"]),
        Case::new(
            "N14b",
            "the server reset the connection first",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                let (seq, ack) = (c.snd_nxt(Server), c.received(Server));
                c.abort(Server, seq, ack);
                c.label("rst");
                c.wait(20 * US);
                c.client_fins(&[0]);
                c.client_tcp_fin();
                let late: Vec<u32> = c
                    .segments
                    .iter()
                    .rev()
                    .take(2)
                    .map(|late| late.ack)
                    .collect();
                c.trip(10 * US);
                for (at, ack) in late.into_iter().enumerate() {
                    c.bare_reset(Server, ack);
                    c.label(&format!("rst:{at}"));
                }
                c
            },
            // The row names a FIN's rule; section 6 names this one for a reset.
            &[("rst-abort-server", Fault)],
        ),
        Case::new(
            "N15",
            "the server closes a session that the client did not",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.close_crossing(form, &[0], &|c| c.server_fins(&[0, 1]));
                c
            },
            &[("smp-server-closed-sid", Notice)],
        )
        .failing(&["M6"]),
        Case::new(
            "N16",
            "FLAGS 0x06 in the server's SMP:FIN",
            ALL,
            |form| {
                let mut c = page_close(form);
                c.segment("sfin:0").payload[1] = 0x06;
                c
            },
            &[("smp-violation", Fault)],
        ),
        Case::new(
            "N16b",
            "LENGTH 20 in the server's SMP:FIN",
            ALL,
            |form| {
                let mut c = page_close(form);
                let fin = &mut c.segment("sfin:0").payload;
                fin[4] = 20;
                fin.extend([0; 4]);
                if form == Form::LinuxL {
                    c.segment("stf").seq += 4;
                } else {
                    c.segment("rst").ack += 4;
                }
                c
            },
            &[("smp-violation", Fault)],
        ),
        Case::new(
            "N16c",
            "FLAGS 0x0C in the client's SMP:FIN",
            ALL,
            |form| {
                let mut c = page_close(form);
                c.segment("cfin:0").payload[1] = 0x0C;
                c
            },
            &[("smp-violation", Fault)],
        ),
    ]
}

/// The server resets a segment of the client before it has the acknowledgement of its FIN.
fn late_server_reset(form: Form) -> Conn {
    let mut c = opened(form, &[0]);
    c.close_clean(&[0]);
    c.segments.pop();
    echoes(&mut c);
    c
}
