//! The near misses N17 to N32 of the catalogue.

use marstui::store::Verdict::{Benign, Fault, LikelyBenign, Normal, Notice, Undecided};
use marstui::units::Side::{Client, Server};

use super::super::close::Form;
use super::super::conn::{Conn, MS, Segment, US};
use super::super::mars::Encryption;
use super::super::tds;
use super::super::wire::{ACK, FIN, RST, SYN};
use super::scripts::{ask_and_answer_in_part, close_without_smp, plain};
use super::{Case, begin, logged_in, opened, page_close, work};

const ALL: &[Form] = &Form::ALL;
const ABORTS: &[Form] = &Form::ABORTS;
const BARE: &[Form] = &[Form::LinuxL];

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "N17",
            "not MARS: bytes that merely begin with 0x53",
            ABORTS,
            |form| {
                let mut c = plain(form);
                c.data(Client, b"SELECT 'not TDS at all'");
                let sent = c.now;
                c.client_tcp_fin();
                c.now = sent + c.delay + 58 * US;
                c.data(Server, b"SORRY, 16 bytes.");
                c.now = c.last().arrives + US;
                c.client_abort();
                c
            },
            // The server's bytes behind the FIN's acknowledgement are cut off, whatever they are.
            &[("rst-data-lost", Fault)],
        ),
        Case::new(
            "N17b",
            "not MARS: bytes that begin with 0x53, and bare resets that answer the server's FIN",
            BARE,
            |form| {
                let mut c = plain(form);
                c.data(Client, b"SELECT 'not TDS at all'");
                c.trip(58 * US);
                c.data(Server, b"SORRY, 16 bytes.");
                c.trip(58 * US);
                close_without_smp(&mut c, form);
                c
            },
            // What was asked in no TDS may be outstanding, so that rst-after-close is not given.
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M1"]),
        Case::new(
            "N17c",
            "not MARS, a request that was answered, and bare resets that answer the server's FIN",
            BARE,
            |form| {
                let mut c = plain(form);
                close_without_smp(&mut c, form);
                c
            },
            &[("rst-after-close", Normal)],
        ),
        Case::new(
            "N18",
            "SMP:FIN and FIN belong to an earlier connection of the same ports",
            ALL,
            |form| {
                let mut c = page_close(form);
                label_old(&mut c);
                c.wait(5_000 * MS);
                c.reconnect(3_000_000_000, 2_100_000_000);
                work(&mut c, &[0]);
                close_without_smp(&mut c, form);
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M2"])
        .also(&[("old:rst", "mars-close-rst", Benign)]),
        Case::new(
            "N19",
            "the server's SMP:FIN stands after the reset",
            ALL,
            page_close,
            &[("rst-abort-client", Undecided)],
        )
        .edited(|capture| {
            let last = capture
                .frames
                .iter()
                .rfind(|f| f.label.starts_with("rst"))
                .unwrap()
                .label
                .clone();
            capture.move_behind("sfin:0", &last);
            if capture.frames.iter().any(|f| f.label == "stf") {
                capture.move_behind("stf", "sfin:0");
            }
        }),
        Case::new(
            "N20",
            "an ERROR of class 20 in the last answer",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                let mut body =
                    tds::message_token(true, 50_000, 20, "Something is badly wrong.", "SQLPROD1");
                body.extend(tds::done(0xFD, tds::ERROR, 0xC1, 0));
                c.request(0, "exec dbo.Fail", &body);
                c.close_benign(form, &[0]);
                c
            },
            &[("mars-close-rst", Notice)],
        )
        .noting("error-before-close"),
        Case::new(
            "N20b",
            "the last DONE has SRVERROR",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.request(
                    0,
                    "exec dbo.Fail",
                    &tds::done(0xFD, tds::ERROR | tds::SRVERROR, 0xC1, 0),
                );
                c.close_benign(form, &[0]);
                c
            },
            &[("mars-close-rst", Notice)],
        )
        .noting("error-before-close"),
        Case::new(
            "N21",
            "the reset is lost, the server sends its SMP:FIN again",
            ALL,
            |form| {
                let mut c = page_close(form);
                for segment in c.segments.iter_mut().filter(|s| s.flags & RST != 0) {
                    segment.lost = true;
                }
                c.wait(300 * MS);
                let at = c.segments.iter().position(|s| s.label == "sfin:0").unwrap();
                let again = c.resend(at);
                let ack = c.segments[again].ack;
                c.trip(US);
                c.bare_reset(Client, ack);
                c.label("rst:again");
                c
            },
            &[("mars-close-rst", Benign)],
        )
        .noting("loss-after-close"),
        Case::new(
            "N22",
            "the snap length cuts the SMP headers",
            ALL,
            page_close,
            &[("", Undecided)],
        )
        .edited(|capture| *capture = std::mem::take(capture).snap(60)),
        Case::new(
            "N23",
            "the reset comes a second and a half later",
            ALL,
            |form| {
                let mut c = page_close(form);
                for segment in c.segments.iter_mut().filter(|s| s.flags & RST != 0) {
                    segment.sent += 1_500 * MS;
                    segment.arrives += 1_500 * MS;
                }
                c
            },
            &[("mars-close-rst", LikelyBenign)],
        )
        .not_knowing(&["M15"]),
        Case::new(
            "N24",
            "the server's SMP:FIN was there, unread, before the FIN",
            ABORTS,
            |form| {
                let mut c = opened(form, &[0]);
                c.close_unread(&[0]);
                c
            },
            &[("mars-close-rst", Benign)],
        ),
        Case::new(
            "N25",
            "as N24, and one packet of the answer was not taken",
            ABORTS,
            |form| {
                let mut c = opened(form, &[0]);
                c.untake(Server, 0, 1);
                c.close_unread(&[0]);
                c
            },
            &[("rst-unread-data", Notice)],
        )
        .failing(&["M14"]),
        Case::new(
            "N26",
            "one bare reset's Seq is within a PDU",
            BARE,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.close_benign(form, &[0, 1]);
                c.segment("rst").seq -= 24;
                c
            },
            &[("rst-odd-seq", Undecided)],
        )
        .failing(&["M8"]),
        Case::new(
            "N27",
            "one packet of the answer was not taken",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.untake(Server, 0, 1);
                c.close_benign(form, &[0]);
                c
            },
            &[("rst-unread-data", Notice)],
        )
        .failing(&["M14"]),
        Case::new(
            "N28",
            "the server's SMP:FIN is no answer to the client's",
            ALL,
            |form| {
                let mut c = page_close(form);
                c.segment("sfin:0").ack -= 16;
                if form == Form::LinuxL {
                    c.segment("rst").seq -= 16;
                }
                c
            },
            &[("smp-server-closed-sid", Notice)],
        )
        .failing(&["M13"]),
        Case::new(
            "N29",
            "the server's FIN does not acknowledge the client's",
            ALL,
            |form| {
                if form == Form::LinuxL {
                    let mut c = page_close(form);
                    c.segment("stf").ack -= 1;
                    c.segment("rst:stf").seq -= 1;
                    return c;
                }
                let mut c = opened(form, &[0]);
                c.close_crossing(form, &[0], &|c| {
                    c.server_fins(&[0]);
                    c.send(Server, ACK | FIN, &[]);
                    c.label("stf");
                });
                c
            },
            &[("server-fin-first", Fault)],
        )
        .failing(&["M9"]),
        Case::new(
            "N30",
            "a server that pauses in the middle of an answer",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1, 2]);
                ask_and_answer_in_part(&mut c, 1);
                c.close_benign(form, &[0, 1, 2]);
                c
            },
            &[("rst-with-request", Fault)],
        )
        .failing(&["M3"]),
        Case::new(
            "N31",
            "a reset that nobody minds, and later the close",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                let seq = c.snd_nxt(Client);
                c.bare_reset(Client, seq);
                c.label("forged");
                c.wait(20 * MS);
                c.request(0, "select 1", &tds::rows(1));
                c.close_benign(form, &[0]);
                c
            },
            &[("mars-close-rst", Benign)],
        )
        .also(&[("forged", "rst-ignored", Fault)]),
        Case::new(
            "N31b",
            "the server still knows an earlier connection of the ports, and the client resets that one",
            ALL,
            |form| {
                let mut c = page_close(form);
                let (seq, ack) = (c.snd_nxt(Server), c.snd_nxt(Client));
                open_again(&mut c);
                let syn = c.segments.len() - 1;
                c.trip(40 * US);
                c.push(Server, ACK, seq, ack, &[]);
                c.trip(10 * US);
                c.bare_reset(Client, ack);
                c.label("wait");
                c.wait(1_000 * MS);
                c.resend(syn);
                c.segments.last_mut().unwrap().ack = 0;
                answer_and_close(c, form)
            },
            &[("mars-close-rst", Benign)],
        )
        .also(&[("old:rst", "mars-close-rst", Benign), ("wait", "port-reuse", Notice)]),
        Case::new(
            "N31c",
            "before its SYN is answered, the client resets what came late of an earlier connection",
            ALL,
            |form| {
                let mut c = page_close(form);
                let ack = c.snd_nxt(Client);
                open_again(&mut c);
                c.trip(10 * US);
                c.bare_reset(Client, ack);
                c.label("late");
                answer_and_close(c, form)
            },
            &[("mars-close-rst", Benign)],
        )
        .also(&[("old:rst", "mars-close-rst", Benign), ("late", "port-reuse", Notice)]),
        Case::new(
            "N32",
            "two of three SMP:FINs of the server are not in the file",
            BARE,
            |form| {
                let mut c = opened(form, &[0, 1, 2]);
                c.close_benign(form, &[0, 1, 2]);
                c
            },
            // One SMP:FIN of the server is left to be read, so that no condition leaves it undecided.
            &[("mars-close-rst", LikelyBenign)],
        )
        .edited(|capture| *capture = std::mem::take(capture).without("sfin:0").without("sfin:1"))
        .not_knowing(&["M5"]),
        Case::new(
            "E1",
            "strict TLS: the close is inside it, and the resets stand behind it",
            ALL,
            |form| {
                let mut c = begin(form);
                c.handshake();
                c.strict_login();
                c.tls(Client, 120);
                c.trip(300 * US);
                c.tls(Server, 900);
                c.trip(400 * US);
                c.tls(Client, 16);
                c.close_crossing(form, &[], &|c| c.tls(Server, 16));
                c
            },
            &[("rst-encrypted", Undecided)],
        ),
        // Cases in which one condition alone fails, for those that no row of the table isolates.
        Case::new(
            "M1",
            "SMP in a connection whose PRELOGINs said no",
            ALL,
            |form| {
                let mut c = logged_in(form, false);
                // With the SYN, the PRELOGIN is known to be the first of the stream.
                let asks = |s: &&mut Segment| {
                    s.payload.first() == Some(&tds::PRELOGIN) || s.flags == SYN
                };
                for segment in c.segments.iter_mut().filter(asks) {
                    "prelogin".clone_into(&mut segment.label);
                }
                work(&mut c, &[0]);
                c.close_benign(form, &[0]);
                c
            },
            // SMP without MARS is an error of the check list (M1 there), which comes before this condition.
            &[("smp-violation", Fault)],
        )
        .failing(&["M1"]),
        Case::new(
            "M5",
            "the server answers with its FIN alone",
            BARE,
            |form| {
                let mut c = opened(form, &[0]);
                c.close_crossing(form, &[0], &|_| {});
                c
            },
            &[("rst-abort-client", Undecided)],
        )
        .failing(&["M5"]),
        Case::new(
            "M6",
            "the server closes the session twice",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.close_crossing(form, &[0], &|c| c.server_fins(&[0, 0]));
                c
            },
            // A second SMP:FIN is an error of the check list (F3), which comes before M6.
            &[("smp-violation", Fault)],
        ),
        Case::new(
            "M7",
            "late DATA that the client has given credit for",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.sessions.get_mut(&0).unwrap().taken[0] += 1;
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
        ),
    ]
}

/// What was sent so far is of an earlier connection of the same ports.
fn label_old(c: &mut Conn) {
    for segment in &mut c.segments {
        segment.label.insert_str(0, "old:");
    }
}

/// The client's SYN of another connection of the same ports.
fn open_again(c: &mut Conn) {
    label_old(c);
    c.wait(20_000 * MS);
    c.set_isns(3_000_000_000, 2_100_000_000);
    c.sessions.clear();
    c.send(Client, SYN, &[]);
}

/// The server answers that SYN; what follows is usual.
fn answer_and_close(mut c: Conn, form: Form) -> Conn {
    c.trip(40 * US);
    c.send(Server, SYN | ACK, &[]);
    c.trip(20 * US);
    c.send(Client, ACK, &[]);
    c.login(Encryption::None, true);
    work(&mut c, &[0]);
    c.close_benign(form, &[0]);
    c
}
