//! Closes that something or somebody broke.

use super::*;

fn faults() -> Vec<Scenario> {
    let mut list = client_faults();
    list.extend(server_faults());
    list.extend(path_faults());
    list
}

fn client_faults() -> Vec<Scenario> {
    vec![
        scenario("closed in mid-result, rows unread", WITH_REQUEST, |s| {
            let mut c = used(s, 3);
            let packets = answered_in_part(&mut c, 1, 3);
            c.client_fins(&[2, 1, 0]);
            c.client_tcp_fin();
            abort_and_bare(&mut c, &|c| {
                c.send_tds(Server, 1, &packets[3]);
            });
            c
        }),
        scenario(
            "closed in mid-result while the server pauses",
            WITH_REQUEST,
            |s| {
                let mut c = used(s, 3);
                answered_in_part(&mut c, 1, 2);
                driver_close(&mut c, 3, false);
                c
            },
        ),
        scenario("closed before the answer begins", WITH_REQUEST, |s| {
            let mut c = used(s, 2);
            c.ask(0, "exec dbo.Slow");
            c.trip(40 * MS);
            c.send(Server, ACK, &[]);
            c.trip(20 * MS);
            driver_close(&mut c, 2, false);
            c
        }),
        scenario("died with rows unread", WITH_REQUEST, |s| {
            let mut c = used(s, 2);
            let packets = answered_in_part(&mut c, 0, 2);
            abort_and_bare(&mut c, &|c| {
                for packet in &packets[2..4] {
                    c.send_tds(Server, 0, packet);
                }
            });
            c
        }),
        scenario("died with nothing unread", WITH_REQUEST, |s| {
            let mut c = used(s, 2);
            let packets = answered_in_part(&mut c, 0, 1);
            c.send(Client, ACK, &[]);
            c.trip(0);
            died(&mut c, &|c| {
                for packet in &packets[1..4] {
                    c.send_tds(Server, 0, packet);
                }
            });
            c
        }),
        scenario(
            "died, and the server has nothing more to send",
            &[("close-with-request", Fault)],
            |s| {
                let mut c = used(s, 2);
                c.ask(1, "waitfor delay '1:00'");
                c.trip(50 * MS);
                c.client_tcp_fin();
                c.trip(30 * US);
                c.send(Server, ACK, &[]);
                c
            },
        ),
        scenario(
            "no MARS: closed in mid-result",
            &[("rst-with-request", Fault), ("rst-data-lost", Fault)],
            |s| {
                let mut c = plain(s);
                c.data(Client, &ask());
                c.trip(300 * US);
                let packets = long_answer(&c, 40_000);
                for packet in &packets[..3] {
                    c.data(Server, packet);
                }
                c.trip(10 * US);
                c.client_tcp_fin();
                abort_and_bare(&mut c, &|c| {
                    for packet in &packets[3..5] {
                        c.data(Server, packet);
                    }
                });
                c
            },
        ),
        scenario(
            "no SMP:FIN: killed in mid-result, a reset for each segment",
            WITH_REQUEST,
            |s| {
                let mut c = used(s, 1);
                let packets = answered_in_part(&mut c, 0, 2);
                died(&mut c, &|c| {
                    for packet in &packets[2..4] {
                        c.send_tds(Server, 0, packet);
                        c.wait(100 * US);
                    }
                });
                c
            },
        ),
    ]
}

fn server_faults() -> Vec<Scenario> {
    vec![
        scenario("the server aborts in mid-result", WITH_REQUEST, |s| {
            let mut c = used(s, 2);
            answered_in_part(&mut c, 1, 2);
            c.wait(20 * MS);
            server_abort(&mut c, &|c| c.smp(Client, smp::ACK, 1));
            c
        }),
        scenario(
            "the server aborts, idle",
            &[("rst-abort-server", Fault)],
            |s| {
                let mut c = used(s, 2);
                c.wait(4_000 * MS);
                server_abort(&mut c, &|c| c.client_fins(&[0, 1]));
                c
            },
        ),
        scenario(
            "the server dies in mid-result",
            &[("rst-with-request", Fault), ("server-fin-first", Fault)],
            |s| {
                let mut c = used(s, 2);
                answered_in_part(&mut c, 1, 2);
                c.send(Server, ACK | FIN, &[]);
                c.trip(200 * US);
                c.send(Client, ACK, &[]);
                c.client_fins(&[0, 1]);
                c.client_tcp_fin();
                let acks: Vec<u32> = c.segments.iter().rev().take(3).map(|s| s.ack).collect();
                c.trip(US);
                for ack in acks {
                    c.bare_reset(Server, ack);
                    c.label("rst:late");
                }
                c
            },
        ),
        scenario(
            "the server closes, idle",
            &[("server-fin-first", Fault)],
            |s| {
                let mut c = used(s, 2);
                c.wait(2_000 * MS);
                c.send(Server, ACK | FIN, &[]);
                c.trip(200 * US);
                c.send(Client, ACK, &[]);
                c.wait(100 * US);
                c.client_tcp_fin();
                c.trip(10 * US);
                c.send(Server, ACK, &[]);
                c
            },
        ),
        scenario(
            "the server closes, and the client closes its sessions into it",
            &[("server-fin-first", Fault)],
            |s| {
                let mut c = used(s, 2);
                c.wait(2_000 * MS);
                c.send(Server, ACK | FIN, &[]);
                c.trip(200 * US);
                c.client_fins(&[0, 1]);
                c.client_tcp_fin();
                let acks: Vec<u32> = c.segments.iter().rev().take(3).map(|s| s.ack).collect();
                c.trip(US);
                for ack in acks {
                    c.bare_reset(Server, ack);
                    c.label("rst:late");
                }
                c
            },
        ),
    ]
}

fn path_faults() -> Vec<Scenario> {
    let mut list = vec![
        scenario(
            "a device resets in mid-result, in the server's name, with its time to live",
            &[("rst-middlebox", Fault)],
            |s| {
                let mut c = used(s, 2);
                answered_in_part(&mut c, 1, 2);
                c.wait(700 * MS);
                let seq = c.snd_nxt(Server);
                c.bare_reset(Server, seq);
                c.last().ttl = Some(243);
                c.label("rst:forged");
                c
            },
        ),
        scenario(
            "a device resets in mid-result, in the server's name, with the usual time to live",
            &[("rst-with-request", Fault), ("rst-middlebox", Fault)],
            |s| {
                let mut c = used(s, 2);
                answered_in_part(&mut c, 1, 2);
                c.wait(700 * MS);
                let (seq, ack) = (c.snd_nxt(Server), c.received(Server));
                c.abort(Server, seq, ack);
                c.label("rst:forged");
                c
            },
        ),
        scenario(
            "a device resets an idle connection in the client's name",
            &[("rst-abort-client", Undecided), ("rst-middlebox", Fault)],
            |s| {
                let mut c = used(s, 2);
                c.wait(60_000 * MS);
                let seq = c.snd_nxt(Client);
                c.bare_reset(Client, seq);
                c.label("rst:forged");
                c
            },
        ),
        scenario(
            "keepalives of the server without an answer",
            &[("keepalive-timeout", Fault)],
            |s| {
                let mut c = used(s, 1);
                c.send(Client, ACK, &[]);
                c.wait(30_000 * MS);
                for _ in 0..10 {
                    let (seq, ack) = (c.snd_nxt(Server).wrapping_sub(1), c.received(Server));
                    c.push(Server, ACK, seq, ack, &[]);
                    c.last().lost = true;
                    c.wait(1_000 * MS);
                }
                let (seq, ack) = (c.snd_nxt(Server), c.received(Server));
                c.abort(Server, seq, ack);
                c.label("rst:dead");
                c
            },
        ),
    ];
    for scenario in &mut list {
        // What a device sends to one end, or what is lost on the way, only one end's file shows.
        scenario.views = match scenario.name {
            name if name.contains("server's name") => &[Client],
            _ => &[Server],
        };
    }
    list
}

#[test]
fn faults_are_faults_in_every_setting() {
    try_all(&faults(), &|scenario, setting, verdict, rule| {
        let accepted = scenario.accepted;
        if setting.snap.is_some() {
            return !matches!(verdict, Benign | LikelyBenign | Normal);
        }
        accepted.contains(&(rule, verdict))
    });
}
