//! Captures for the rules beside the closes: sessions, requests, several connections.

use marstui::store::Verdict::{Fault, Normal, Notice};
use marstui::units::Side::{Client, Server};

use super::super::conn::{Host, MS, START, Stack, US};
use super::super::file::Capture;
use super::super::wire::{ACK, FIN};
use super::super::{smp, tds};
use super::rule_scripts::{add, four_way, plain_work};
use super::rules::{RuleCase, W, case, rule};
use super::{begin, opened};

pub fn beside() -> Vec<RuleCase> {
    vec![
        rule(
            "mars-sid-close",
            Normal,
            "a session is closed and the connection goes on",
            || case("S8"),
            || case("V3"),
        ),
        rule(
            "pool-reset",
            Normal,
            "RESETCONNECTION in the first request of a use",
            || pooled(0x09),
            || pooled(0x01),
        ),
        rule(
            "tds-violation",
            Fault,
            "both reset bits at once",
            || pooled(0x19),
            || pooled(0x09),
        ),
        rule(
            "attention-ok",
            Notice,
            "an attention is acknowledged",
            || case("S9"),
            || case("N05"),
        ),
        rule(
            "mars-window-stall",
            Notice,
            "the client takes nothing for half a second",
            || stalled(500 * MS),
            || stalled(90 * MS),
        ),
        rule(
            "orphan-sid",
            Notice,
            "two sessions stay open",
            || {
                let mut c = opened(W, &[0, 1, 2]);
                c.close_benign(W, &[0]);
                c.capture(Server)
            },
            || case("V3"),
        ),
        rule(
            "slow-response",
            Notice,
            "an answer after one and a half seconds",
            || answered_after(1_500 * MS),
            || answered_after(600 * MS),
        ),
        rule(
            "slow-ack",
            Notice,
            "data is acknowledged after 700 milliseconds",
            || acknowledged_after(700 * MS),
            || acknowledged_after(180 * MS),
        ),
        rule(
            "one-way-loss",
            Fault,
            "fresh data comes, and what was asked is never acknowledged",
            || one_way(true),
            || one_way(false),
        ),
        rule(
            "seq-rewritten",
            Normal,
            "two capture points with a firewall between them that writes sequence numbers of its own",
            || of_two_points(3_000_000_000),
            || of_two_points(0),
        ),
        rule(
            "non-pooled",
            Notice,
            "a connection for each of twenty-one requests",
            || short_connections(21),
            || short_connections(19),
        ),
        rule(
            "mass-close",
            Fault,
            "six connections closed by the server within a second",
            || mass_close(6),
            || mass_close(4),
        ),
    ]
}

/// A request with a status byte.
fn pooled(status: u8) -> Capture {
    let mut c = opened(W, &[0]);
    let ask = tds::packet(tds::SQL_BATCH, status, 0, 1, &tds::batch("select 1"));
    c.send_tds(Client, 0, &ask);
    c.trip(200 * US);
    c.answer(0, &tds::rows(1));
    c.trip(300 * US);
    c.close_clean(&[0]);
    c.capture(Server)
}

/// The client leaves the server without SMP window for some time.
fn stalled(time: i64) -> Capture {
    let mut c = opened(W, &[0]);
    c.ask(0, "select id, text from dbo.Note");
    c.trip(300 * US);
    let body = tds::result_of(7 * 4088, 90, "An answer of many packets. ");
    let packets = tds::message(tds::RESPONSE, c.spid, &body, 4096);
    for packet in &packets[..4] {
        c.send_tds(Server, 0, packet);
        c.untake(Server, 0, 1);
    }
    c.trip(0);
    c.send(Client, ACK, &[]);
    c.wait(time);
    c.sessions.get_mut(&0).unwrap().taken[0] += 4;
    c.smp(Client, smp::ACK, 0);
    c.trip(10 * US);
    for packet in &packets[4..] {
        c.send_tds(Server, 0, packet);
    }
    c.trip(200 * US);
    c.close_clean(&[0]);
    c.capture(Server)
}

fn answered_after(time: i64) -> Capture {
    let mut c = opened(W, &[0]);
    c.ask(0, "exec dbo.Slow");
    c.trip(100 * US);
    c.send(Server, ACK, &[]);
    c.wait(time);
    c.answer(0, &tds::rows(1));
    c.trip(200 * US);
    c.close_clean(&[0]);
    c.capture(Server)
}

/// The client acknowledges an answer late.
fn acknowledged_after(time: i64) -> Capture {
    let mut c = opened(W, &[0]);
    c.ask(0, "select 1");
    c.trip(200 * US);
    c.answer(0, &tds::rows(1));
    c.trip(time);
    c.send(Client, ACK, &[]);
    c.wait(10 * MS);
    c.close_clean(&[0]);
    c.capture(Client)
}

/// The server's fresh data arrives, and never acknowledges what the client sends again and again.
fn one_way(lost: bool) -> Capture {
    let mut c = opened(W, &[0, 1]);
    c.ask(1, "select id, text from dbo.Log");
    c.trip(300 * US);
    let body = tds::result_of(8 * 4088, 90, "A log of many lines. ");
    let packets = tds::message(tds::RESPONSE, c.spid, &body, 4096);
    c.send_tds(Server, 1, &packets[0]);
    c.trip(100 * US);
    c.ask(0, "select 1");
    c.last().lost = lost;
    let at = c.segments.len() - 1;
    for (i, packet) in packets[1..4].iter().enumerate() {
        c.wait((200 * MS) << i.min(4));
        if lost {
            let again = c.resend(at);
            c.segments[again].lost = true;
        }
        c.send_tds(Server, 1, packet);
        c.trip(10 * US);
        if !lost {
            c.send(Client, ACK, &[]);
            c.trip(10 * US);
        }
    }
    c.capture(Client)
}

/// Both ends' captures of one connection in one file; the client's numbers are so much higher at the server.
fn of_two_points(higher: u32) -> Capture {
    let mut c = opened(W, &[0, 1]);
    c.close_benign(W, &[0, 1]);
    let client = c.capture(Client);
    c.raise_client_numbers(higher);
    client.merge(c.capture(Server))
}

/// One client that uses so many ports twice, a second apart.
pub fn reused_ports(count: u16) -> Capture {
    let mut capture = Capture::default();
    for i in 0..count {
        let mut c = begin(W);
        c.hosts[0].port = 50_000 + i;
        for round in 0..2 {
            c.now = START + i64::from(round) * 1_000 * MS + i64::from(i) * 20 * MS;
            let isn = 7_000_000 * u32::from(i) + 90_000 * round + 1;
            c.set_isns(isn, isn + 5_000_000);
            plain_work(&mut c);
            c.client_tcp_fin();
            c.trip(30 * US);
            c.send(Server, ACK | FIN, &[]);
            c.trip(10 * US);
            c.send(Client, ACK, &[]);
        }
        capture = add(capture, c.capture(Server));
    }
    capture
}

/// Connections of one client, each with one request.
fn short_connections(count: u16) -> Capture {
    let mut capture = Capture::default();
    for i in 0..count {
        let mut c = begin(W);
        c.hosts[0].port = 50_000 + i;
        let isn = 7_000_000 * u32::from(i) + 1;
        c.set_isns(isn, isn + 5_000_000);
        c.wait(i64::from(i) * 200 * MS);
        plain_work(&mut c);
        four_way(&mut c);
        capture = add(capture, c.capture(Server));
    }
    capture
}

/// Connections that the server closes within a second.
fn mass_close(count: u16) -> Capture {
    let mut capture = Capture::default();
    for i in 0..count {
        let client = Host::new(
            40 + u8::try_from(i).unwrap(),
            50_000 + i,
            7_000_000 * u32::from(i),
            Stack::Windows,
        );
        let mut c = begin(W);
        c.hosts[0] = client;
        c.set_isns(c.hosts[0].isn, c.hosts[1].isn);
        c.wait(i64::from(i) * 40 * MS);
        plain_work(&mut c);
        c.now = START + 2_000 * MS + i64::from(i) * 50 * MS;
        c.send(Server, FIN | ACK, &[]);
        c.trip(30 * US);
        c.send(Client, FIN | ACK, &[]);
        c.trip(0);
        c.send(Server, ACK, &[]);
        capture = add(capture, c.capture(Server));
    }
    capture
}
