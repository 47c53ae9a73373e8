//! V1 to V13 of the catalogue and the list of what must stay benign.

use marstui::store::Verdict::{Benign, LikelyBenign, Normal};
use marstui::units::Side::{Client, Server};

use super::super::close::Form;
use super::super::conn::{Conn, Host, MS, US};
use super::super::mars::Encryption;
use super::super::wire::{self, ACK, Link};
use super::super::{smp, tds};
use super::benign_scripts::{
    abort_then_bare, answered_one_by_one, fin_on_the_last, last_reset, late_server, lossy_close,
    lost_before_close, server_fin_reset_too, wrapping,
};
use super::scripts::{close_session, echoes};
use super::{Case, begin, logged_in, opened, page_close, work};

const ALL: &[Form] = &Form::ALL;
const ABORTS: &[Form] = &Form::ABORTS;
const BARE: &[Form] = &[Form::LinuxL];
const GOOD: &[(&str, marstui::store::Verdict)] = &[("mars-close-rst", Benign)];

pub fn cases() -> Vec<Case> {
    let mut cases = variants();
    cases.extend(stay_benign());
    cases.extend(links());
    cases
}

fn variants() -> Vec<Case> {
    vec![
        Case::new("V1", "the page's close", ALL, page_close, GOOD),
        Case::new(
            "V2",
            "the server's FIN is reset as well",
            ABORTS,
            |form| {
                let mut c = page_close(form);
                server_fin_reset_too(&mut c);
                c
            },
            GOOD,
        ),
        Case::new(
            "V3",
            "three sessions, one reset for all",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1, 2]);
                c.close_benign(form, &[2, 1, 0]);
                c
            },
            GOOD,
        ),
        Case::new(
            "V3b",
            "three sessions, a reset for each",
            ABORTS,
            |form| {
                let mut c = opened(form, &[0, 1, 2]);
                abort_then_bare(&mut c, &[0, 1, 2]);
                c
            },
            GOOD,
        ),
        Case::new(
            "V3c",
            "three sessions, two SMP:FINs of the server",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1, 2]);
                c.close_crossing(form, &[0, 1, 2], &|c| c.server_fins(&[0, 1]));
                c
            },
            GOOD,
        ),
        Case::new(
            "V4",
            "bare resets that count what the server had received",
            BARE,
            |form| {
                let mut c = opened(form, &[0, 1, 2, 3]);
                answered_one_by_one(&mut c, &[0, 1, 2, 3]);
                c
            },
            GOOD,
        ),
        Case::new(
            "V5",
            "the FIN flag on the last SMP:FIN",
            ALL,
            fin_on_the_last,
            GOOD,
        ),
        Case::new(
            "V6",
            "an SMP:ACK among the late PDUs",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.close_crossing(form, &[0], &|c| {
                    c.smp(Server, smp::ACK, 0);
                    c.label("sack");
                    c.server_fins(&[0]);
                });
                c
            },
            GOOD,
        ),
        Case::new(
            "V7",
            "no reset at all",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.close_clean(&[0, 1]);
                c
            },
            &[("mars-close-clean", Normal)],
        ),
        Case::new(
            "V7b",
            "no reset of the close, but the server resets what comes when both ends have closed",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.close_clean(&[0, 1]);
                echoes(&mut c);
                c
            },
            &[("mars-close-clean", Normal)],
        ),
        Case::new(
            "V8",
            "a reset instead of the FIN",
            ABORTS,
            |form| {
                let mut c = opened(form, &[0]);
                c.client_fins(&[0]);
                c.trip(58 * US);
                c.server_fins(&[0]);
                c.trip(20 * US);
                c.send(Client, ACK, &[]);
                c.wait(40 * US);
                c.client_abort();
                c
            },
            &[("mars-close-rst-nofin", LikelyBenign)],
        ),
        Case::new(
            "V9",
            "two SMP:FINs of the server unread before the FIN",
            ABORTS,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.close_unread(&[0, 1]);
                c
            },
            GOOD,
        ),
        Case::new("V10", "the resets overtake the FIN", ALL, page_close, GOOD)
            .edited(|capture| {
                let last = last_reset(capture);
                capture.move_behind("tf", &last);
            })
            .seen_by(&[Server]),
        Case::new(
            "V10b",
            "one SMP:FIN of the server is not in the file: a hole of 16 bytes",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1, 2]);
                c.close_benign(form, &[0, 1, 2]);
                c
            },
            GOOD,
        )
        .edited(|capture| *capture = std::mem::take(capture).without("sfin:1")),
        Case::new(
            "V10c",
            "the client sends SMP:FIN and FIN three times",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                lossy_close(&mut c);
                c
            },
            GOOD,
        ),
        Case::new(
            "V10d",
            "an SMP:ACK before the closing SMP:FINs was lost, and what the server says of it is reset as well",
            BARE,
            |form| {
                let mut c = opened(form, &[0]);
                lost_before_close(&mut c);
                c
            },
            GOOD,
        ),
        Case::new(
            "V11",
            "the FIN was lost before the capture point",
            ALL,
            page_close,
            &[("mars-close-rst-nofin", LikelyBenign)],
        )
        .edited(|capture| *capture = std::mem::take(capture).without("tf"))
        .not_knowing(&["M4"]),
        Case::new(
            "V3d",
            "the packets of an answer share a DATA",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.ask(0, "select 1");
                c.trip(300 * US);
                let body = tds::result_of(300, 20, "Rows. ");
                let packets = tds::message(tds::RESPONSE, c.spid, &body, 128);
                c.send_tds(Server, 0, &packets.concat());
                c.trip(400 * US);
                c.close_benign(form, &[0]);
                c
            },
            GOOD,
        ),
        Case::new(
            "V3e",
            "the packet of an answer is spread over two DATA",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.ask(0, "select 1");
                c.trip(300 * US);
                let packet = tds::packet(tds::RESPONSE, tds::EOM, c.spid, 1, &tds::rows(3));
                let (first, rest) = packet.split_at(packet.len() / 2);
                c.send_tds(Server, 0, first);
                c.send_tds(Server, 0, rest);
                c.trip(400 * US);
                c.close_benign(form, &[0]);
                c
            },
            GOOD,
        ),
        Case::new(
            "V3f",
            "a session closed and opened again, with no data of the server since",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                close_session(&mut c, 1);
                c.trip(10 * MS);
                c.open(1);
                c.trip(10 * MS);
                c.close_benign(form, &[0, 1]);
                c
            },
            GOOD,
        ),
        Case::new(
            "V12",
            "both capture points in one file",
            ALL,
            page_close,
            GOOD,
        )
        .at_both_points(),
        Case::new(
            "V13",
            "the server's SMP:FIN comes late, its FIN never",
            ALL,
            late_server,
            GOOD,
        ),
    ]
}

fn stay_benign() -> Vec<Case> {
    vec![
        Case::new(
            "S1",
            "sequence numbers wrap inside the close",
            ALL,
            wrapping,
            GOOD,
        ),
        Case::new("S2", "frames of others in between", ALL, page_close, GOOD).edited(|capture| {
            let mut other = opened(Form::WindowsW, &[0, 1]);
            other.hosts[0].port = 50_001;
            other.close_clean(&[0, 1]);
            let shift = capture.frames.last().unwrap().time - other.segments.last().unwrap().sent;
            capture
                .frames
                .extend(other.capture(Server).frames.into_iter().map(|mut f| {
                    f.label.clear();
                    f.time += shift;
                    f
                }));
            capture.frames.sort_by_key(|f| f.time);
        }),
        Case::new(
            "S3",
            "every frame twice, same identification and bytes",
            ALL,
            page_close,
            GOOD,
        )
        .edited(|capture| {
            capture.frames = capture
                .frames
                .iter()
                .flat_map(|f| [f.clone(), f.clone()])
                .collect();
        }),
        Case::new(
            "S3b",
            "every frame twice, before two routers and behind them",
            ALL,
            page_close,
            GOOD,
        )
        .edited(|capture| {
            capture.frames = capture
                .frames
                .iter()
                .flat_map(|f| {
                    let mut copy = f.clone();
                    wire::count_down(&mut copy.data, 2);
                    [f.clone(), copy]
                })
                .collect();
        }),
        Case::new(
            "S4",
            "one time stamp for the whole close",
            ALL,
            page_close,
            GOOD,
        )
        .edited(|capture| {
            let time = capture
                .frames
                .iter()
                .find(|f| f.label == "cfin:0")
                .unwrap()
                .time;
            for frame in capture.frames.iter_mut().filter(|f| f.time >= time) {
                frame.time = time;
            }
        }),
        Case::new(
            "S5",
            "time runs backwards in the close",
            ALL,
            page_close,
            GOOD,
        )
        .edited(|capture| {
            let at = capture
                .frames
                .iter()
                .position(|f| f.label == "cfin:0")
                .unwrap();
            for (i, frame) in capture.frames[at..].iter_mut().enumerate() {
                frame.time -= i64::try_from(i).unwrap() * 300 * US;
            }
        }),
        Case::new(
            "S6",
            "segments of a few bytes",
            ALL,
            |form| {
                let mut c = logged_in(form, true);
                c.mss = 13;
                c.hosts[1].offload = false;
                c.open(0);
                c.request(0, "select 1", &tds::rows(3));
                c.close_benign(form, &[0]);
                c
            },
            GOOD,
        ),
        Case::new(
            "S7",
            "login-only encryption",
            ALL,
            |form| {
                let mut c = begin(form);
                c.handshake();
                c.login(Encryption::Login, true);
                work(&mut c, &[0]);
                c.close_benign(form, &[0]);
                c
            },
            GOOD,
        ),
        Case::new(
            "S8",
            "a session opened again after its close",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                close_session(&mut c, 1);
                c.trip(100 * US);
                work(&mut c, &[1]);
                c.close_benign(form, &[1, 0]);
                c
            },
            GOOD,
        ),
        Case::new(
            "S8b",
            "a session opened again that was closed before with a request outstanding",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                c.ask(1, "exec dbo.Slow");
                c.trip(200 * US);
                close_session(&mut c, 1);
                c.trip(100 * US);
                work(&mut c, &[1]);
                c.close_benign(form, &[1, 0]);
                c
            },
            GOOD,
        )
        .noting("was closed once before without a complete answer"),
        Case::new(
            "S9",
            "an attention that was acknowledged",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.ask(0, "exec dbo.Slow");
                c.wait(700 * MS);
                c.send_tds(Client, 0, &tds::attention());
                c.trip(200 * US);
                c.answer(0, &tds::done(0xFD, tds::ATTN, 0, 0));
                c.trip(500 * US);
                c.close_benign(form, &[0]);
                c
            },
            GOOD,
        ),
        Case::new(
            "S9b",
            "the DONE that acknowledges an attention is cut off, and another request was answered since",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                c.ask(0, "exec dbo.Slow");
                c.wait(700 * MS);
                c.send_tds(Client, 0, &tds::attention());
                c.trip(200 * US);
                let mut rows = tds::columns();
                rows.extend((1..20).flat_map(|id| tds::row(id, "as far as it came")));
                rows.extend(tds::done(0xFD, tds::ATTN, 0, 0));
                c.answer(0, &rows);
                c.trip(500 * US);
                c.request(0, "use Shop", &tds::done(0xFD, 0, 0, 0));
                c.close_benign(form, &[0]);
                c
            },
            GOOD,
        )
        .edited(|capture| *capture = std::mem::take(capture).snap(160)),
        Case::new(
            "S10",
            "a session that was never used",
            ALL,
            |form| {
                let mut c = logged_in(form, true);
                c.open(0);
                work(&mut c, &[1]);
                c.close_benign(form, &[1, 0]);
                c
            },
            GOOD,
        ),
        Case::new(
            "S11",
            "remote procedure calls",
            ALL,
            |form| {
                let mut c = opened(form, &[0]);
                let call = tds::executesql("select text from dbo.Note where id=@p1", 7);
                c.send_tds(Client, 0, &tds::packet(tds::RPC, tds::EOM, 0, 1, &call));
                c.trip(300 * US);
                let mut body = tds::columns();
                body.extend(tds::row(7, "seven"));
                body.extend(tds::done(0xFF, tds::COUNT | tds::MORE, 0xC1, 1));
                body.extend([0x79, 0, 0, 0, 0]);
                body.extend(tds::done(0xFE, 0, 0xE0, 0));
                c.answer(0, &body);
                c.trip(400 * US);
                c.close_benign(form, &[0]);
                c
            },
            GOOD,
        ),
        Case::new(
            "S12",
            "an SMP header on the border of two segments, client and server",
            ALL,
            |form| {
                let mut c = opened(form, &[0, 1]);
                let fins = |c: &mut Conn, from| {
                    [c.control(from, smp::FIN, 0), c.control(from, smp::FIN, 1)].concat()
                };
                let bytes = fins(&mut c, Client);
                c.data_in(Client, &bytes, 11);
                c.close_crossing(form, &[], &|c| {
                    let bytes = fins(c, Server);
                    c.data_in(Server, &bytes, 11);
                });
                c
            },
            GOOD,
        ),
    ]
}

/// The page's close on every link and address family.
fn links() -> Vec<Case> {
    vec![
        Case::new(
            "L1",
            "a VLAN tag",
            ALL,
            |form| on(form, Link::Vlan(vec![207])),
            GOOD,
        ),
        Case::new(
            "L2",
            "two VLAN tags",
            ALL,
            |form| on(form, Link::Vlan(vec![100, 207])),
            GOOD,
        ),
        Case::new(
            "L3",
            "Linux cooked capture",
            ALL,
            |form| on(form, Link::Sll),
            GOOD,
        ),
        Case::new(
            "L4",
            "Linux cooked capture, version 2",
            ALL,
            |form| on(form, Link::Sll2),
            GOOD,
        ),
        Case::new(
            "L5",
            "no link header",
            ALL,
            |form| on(form, Link::RawIp),
            GOOD,
        ),
        Case::new("L6", "BSD loopback", ALL, |form| on(form, Link::Null), GOOD),
        Case::new(
            "L7",
            "IPv6",
            ALL,
            |form| {
                let mut c = page_close(form);
                c.hosts = c.hosts.map(Host::v6);
                c
            },
            GOOD,
        ),
    ]
}

fn on(form: Form, link: Link) -> Conn {
    let mut c = page_close(form);
    c.link = link;
    c
}
