//! Captures for the rules on connecting and logging in.

use marstui::store::Verdict::{Fault, Normal, Notice};
use marstui::units::Side::{Client, Server};

use super::super::conn::{Conn, MS, US};
use super::super::file::Capture;
use super::super::wire::{ACK, FIN, RST, SYN};
use super::super::{tds, tls};
use super::rule_scripts::{add, four_way, plain_work};
use super::rules::{RuleCase, W, case, rule};
use super::{begin, logged_in, scripts};

pub fn connect() -> Vec<RuleCase> {
    vec![
        rule(
            "syn-no-answer",
            Fault,
            "three SYNs, no answer",
            || {
                let mut c = begin(W);
                syns(&mut c, 3);
                c.capture(Client)
            },
            || {
                let mut c = begin(W);
                syns(&mut c, 2);
                c.hosts[0].port += 1;
                c.set_isns(c.hosts[0].isn, c.hosts[1].isn);
                plain_work(&mut c);
                let mut capture = c.capture(Client);
                capture.frames.drain(..1);
                capture.frames.drain(..1);
                capture
            },
        ),
        rule(
            "syn-refused",
            Fault,
            "a SYN answered by RST+ACK",
            || {
                let mut c = begin(W);
                refused(&mut c);
                c.capture(Client)
            },
            || {
                let mut c = begin(W);
                plain_work(&mut c);
                four_way(&mut c);
                c.capture(Client)
            },
        ),
        rule(
            "syn-backlog",
            Fault,
            "a SYN refused while others are let in",
            || backlog(2_000 * MS),
            || backlog(9_000 * MS),
        ),
        rule(
            "handshake-incomplete",
            Fault,
            "SYN+ACK three times, and no ACK",
            || {
                let mut c = begin(W);
                c.send(Client, SYN, &[]);
                c.trip(30 * US);
                c.send(Server, SYN | ACK, &[]);
                let at = c.segments.len() - 1;
                for wait in [3, 6] {
                    c.wait(wait * 1_000 * MS);
                    c.resend(at);
                }
                c.capture(Server)
            },
            || {
                let mut c = begin(W);
                plain_work(&mut c);
                c.capture(Server)
            },
        ),
        rule(
            "probe-connection",
            Normal,
            "a connection without a byte",
            || {
                let mut c = begin(W);
                c.handshake();
                c.wait(MS);
                four_way(&mut c);
                c.capture(Server)
            },
            || {
                let mut c = begin(W);
                c.handshake();
                c.prelogin(tds::ENCRYPT_NOT_SUP, false, false);
                four_way(&mut c);
                c.capture(Server)
            },
        ),
        rule(
            "prelogin-no-response",
            Fault,
            "PRELOGIN is acknowledged and never answered",
            || {
                let mut c = unanswered_prelogin();
                c.wait(6_000 * MS);
                four_way(&mut c);
                c.capture(Client)
            },
            || {
                let mut c = begin(W);
                c.handshake();
                c.prelogin(tds::ENCRYPT_NOT_SUP, true, true);
                c.wait(6_000 * MS);
                four_way(&mut c);
                c.capture(Client)
            },
        ),
        rule(
            "client-gave-up",
            Notice,
            "PRELOGIN and at once the client's FIN",
            || {
                let mut c = begin(W);
                c.handshake();
                c.prelogin(tds::ENCRYPT_NOT_SUP, true, true);
                c.wait(20 * MS);
                four_way(&mut c);
                c.capture(Client)
            },
            || {
                let mut c = begin(W);
                plain_work(&mut c);
                four_way(&mut c);
                c.capture(Client)
            },
        ),
        rule(
            "port-reuse",
            Notice,
            "the same ports again within seconds",
            || case("N18"),
            || case("S2"),
        ),
    ]
}

pub fn login() -> Vec<RuleCase> {
    vec![
        rule(
            "mars-refused",
            Notice,
            "the client asks for MARS, the server says no, the client closes",
            || {
                let mut c = begin(W);
                c.handshake();
                c.prelogin(tds::ENCRYPT_NOT_SUP, true, false);
                four_way(&mut c);
                c.capture(Server)
            },
            || {
                let mut c = begin(W);
                c.handshake();
                c.prelogin(tds::ENCRYPT_NOT_SUP, true, true);
                four_way(&mut c);
                c.capture(Server)
            },
        ),
        rule(
            "close-in-tls",
            Fault,
            "the server closes after the ClientHello",
            || {
                let mut c = client_hello();
                c.send(Server, FIN | ACK, &[]);
                c.trip(10 * US);
                c.send(Client, FIN | ACK, &[]);
                c.capture(Client)
            },
            || case("S7"),
        ),
        rule(
            "close-in-prelogin",
            Fault,
            "the server closes after PRELOGIN",
            || {
                let mut c = begin(W);
                c.handshake();
                c.prelogin(tds::ENCRYPT_NOT_SUP, true, true);
                c.send(Server, FIN | ACK, &[]);
                c.trip(10 * US);
                c.send(Client, FIN | ACK, &[]);
                c.capture(Client)
            },
            || case("V7"),
        ),
        rule(
            "login-failed",
            Fault,
            "error 18456 in place of LOGINACK",
            || failed_login(18456, 14),
            || {
                let mut c = logged_in(W, false);
                c.send(Server, FIN | ACK, &[]);
                c.trip(10 * US);
                c.send(Client, FIN | ACK, &[]);
                c.capture(Server)
            },
        ),
        rule(
            "login-timeout",
            Fault,
            "no login answer for 15 seconds, then the client's FIN",
            || waiting_login(15_000 * MS),
            || waiting_login(4_000 * MS),
        ),
        rule(
            "late-loginack",
            Fault,
            "LOGINACK after the client's FIN",
            || late_login(16_000 * MS, true),
            || late_login(MS, false),
        ),
        rule(
            "login-redirect",
            Normal,
            "the login answer names another server",
            || redirected(true),
            || redirected(false),
        ),
        rule(
            "login-slow",
            Notice,
            "a login of two and a half seconds",
            || slow_login(2_500 * MS),
            || slow_login(900 * MS),
        ),
    ]
}

/// SYNs of one attempt, none of which arrives.
fn syns(c: &mut Conn, count: u32) {
    c.send(Client, SYN, &[]);
    c.last().lost = true;
    let at = c.segments.len() - 1;
    scripts::again_with_growing_gaps(c, at, count - 1);
    c.wait(3_000 * MS);
}

fn refused(c: &mut Conn) {
    c.send(Client, SYN, &[]);
    c.trip(20 * US);
    let ack = c.received(Server);
    c.push(Server, RST | ACK, 0, ack, &[]);
    c.last().win = 0;
}

/// Four connections that are let in, and one that is refused some time after the last.
fn backlog(later: i64) -> Capture {
    let mut capture = Capture::default();
    for i in 0..5 {
        let mut c = begin(W);
        c.hosts[0].port += i;
        c.wait(i64::from(i) * MS);
        if i == 4 {
            c.wait(later);
            refused(&mut c);
        } else {
            plain_work(&mut c);
        }
        capture = add(capture, c.capture(Server));
    }
    capture
}

fn unanswered_prelogin() -> Conn {
    let mut c = begin(W);
    c.handshake();
    let ask = tds::Prelogin {
        version: [17, 10, 0, 5, 0, 0],
        encryption: tds::ENCRYPT_NOT_SUP,
        mars: 1,
        from_client: true,
    };
    c.data(Client, &ask.packet());
    c.trip(50 * MS);
    c.send(Server, ACK, &[]);
    c
}

fn client_hello() -> Conn {
    let mut c = begin(W);
    c.handshake();
    c.prelogin(tds::ENCRYPT_OFF, true, true);
    let hello = tls::client_hello(193, &mut c.rng);
    c.data(Client, &tds::packet(tds::PRELOGIN, tds::EOM, 0, 0, &hello));
    c.trip(100 * US);
    c
}

/// A connection whose LOGIN7 was sent and has arrived.
fn login_sent() -> Conn {
    let mut c = begin(W);
    c.handshake();
    c.prelogin(tds::ENCRYPT_NOT_SUP, false, false);
    c.send_login();
    c
}

fn failed_login(number: i32, class: u8) -> Capture {
    let mut c = login_sent();
    let mut body = tds::message_token(
        true,
        number,
        class,
        "Login failed for user 'joe133'.",
        "SQLPROD1",
    );
    body.extend(tds::done(0xFD, tds::ERROR, 0, 0));
    c.data(
        Server,
        &tds::packet(tds::RESPONSE, tds::EOM, c.spid, 1, &body),
    );
    c.wait(20 * US);
    c.send(Server, FIN | ACK, &[]);
    c.trip(30 * US);
    c.send(Client, FIN | ACK, &[]);
    c.trip(0);
    c.send(Server, ACK, &[]);
    c.capture(Server)
}

/// A login that the client gives up after some time.
fn waiting_login(patience: i64) -> Capture {
    let mut c = login_sent();
    c.wait(100 * MS);
    c.send(Server, ACK, &[]);
    c.wait(patience);
    four_way(&mut c);
    c.capture(Server)
}

/// A login answer that comes before or after the client's FIN.
fn late_login(after: i64, gives_up: bool) -> Capture {
    let mut c = login_sent();
    c.wait(after);
    if gives_up {
        c.client_tcp_fin();
        c.trip(10 * MS);
    }
    c.answer_login(&tds::login_answer("Shop", "SQLPROD1"));
    c.trip(100 * US);
    if gives_up {
        c.bare_reset(Client, c.snd_nxt(Client));
    } else {
        four_way(&mut c);
    }
    c.capture(Server)
}

fn redirected(elsewhere: bool) -> Capture {
    let mut c = login_sent();
    let mut body = tds::login_answer("Shop", "SQLPROD1");
    if elsewhere {
        let done = body.split_off(body.len() - 13);
        body.extend(tds::routing(1433, "sqlprod2.corp.contoso.example"));
        body.extend(done);
    }
    c.answer_login(&body);
    c.trip(100 * US);
    four_way(&mut c);
    c.capture(Server)
}

fn slow_login(time: i64) -> Capture {
    let mut c = login_sent();
    c.wait(time);
    c.answer_login(&tds::login_answer("Shop", "SQLPROD1"));
    c.trip(100 * US);
    scripts::plain_request(&mut c);
    four_way(&mut c);
    c.capture(Server)
}
