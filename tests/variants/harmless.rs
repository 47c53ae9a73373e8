//! Closes that harm nobody.

use super::*;

fn harmless() -> Vec<Scenario> {
    vec![
        scenario("one session", GOOD, |s| {
            let mut c = used(s, 1);
            driver_close(&mut c, 1, false);
            c
        }),
        scenario("nine sessions", GOOD, |s| {
            let mut c = used(s, 9);
            driver_close(&mut c, 9, false);
            c
        }),
        scenario("forty sessions and bare ACKs", GOOD, |s| {
            let mut c = used(s, 40);
            driver_close(&mut c, 40, true);
            c
        }),
        scenario("all FINs in one segment", GOOD, |s| {
            let mut c = used(s, 5);
            coalesced_close(&mut c, 5);
            c
        }),
        scenario("unread SMP:FINs, then bare resets", GOOD, |s| {
            let mut c = used(s, 3);
            c.client_fins(&[0, 1, 2]);
            c.trip(60 * US);
            c.server_fins(&[0, 1]);
            c.trip(20 * US);
            c.client_tcp_fin();
            abort_and_bare(&mut c, &|c| c.server_fins(&[2]));
            c
        }),
        scenario("quiet for a while, with keepalives", GOOD, |s| {
            let mut c = used(s, 2);
            for _ in 0..3 {
                c.wait(30_000 * MS);
                let (seq, ack) = (c.snd_nxt(Client).wrapping_sub(1), c.received(Client));
                c.push(Client, ACK, seq, ack, &[]);
                c.trip(10 * US);
                c.send(Server, ACK, &[]);
                c.trip(0);
            }
            c.wait(9_000 * MS);
            driver_close(&mut c, 2, false);
            c
        }),
        scenario("the server sends its FINs again", GOOD, |s| {
            let mut c = used(s, 1);
            driver_close(&mut c, 1, false);
            let at = c.segments.iter().position(|s| s.label == "sfin:0").unwrap();
            c.wait(200 * MS);
            let again = c.resend(at);
            let ack = c.segments[again].ack;
            c.trip(US);
            c.bare_reset(Client, ack);
            c.label("rst:again");
            c
        }),
        scenario("clean", &[("mars-close-clean", Normal)], |s| {
            let mut c = used(s, 3);
            c.close_clean(&[0, 1, 2]);
            c
        }),
        scenario("no SMP:FIN (FreeTDS)", &[("close-4way", Normal)], |s| {
            let mut c = used(s, 1);
            four_way(&mut c);
            c
        }),
        scenario("no MARS", &[("close-4way", Normal)], |s| {
            let mut c = plain(s);
            four_way(&mut c);
            c
        }),
    ]
}

fn four_way(c: &mut Conn) {
    c.client_tcp_fin();
    c.trip(30 * US);
    c.send(Server, ACK | FIN, &[]);
    c.trip(10 * US);
    c.send(Client, ACK, &[]);
}

#[test]
fn harmless_closes_are_harmless_in_every_setting() {
    try_all(&harmless(), &|scenario, setting, verdict, rule| {
        let accepted = scenario.accepted;
        if setting.snap.is_some() {
            // Cut frames may leave conditions unknown; nothing becomes a fault.
            return !matches!(verdict, Fault | Verdict::Notice);
        }
        accepted.contains(&(rule, verdict))
    });
}
