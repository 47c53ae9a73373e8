//! Closes as real drivers and stacks make them, each in many settings: what is said of them does not depend on link,
//! addresses, ports, segment sizes, sequence numbers, systems, delay, TLS mode, or the end at which they were captured.

use marstui::rules::{Settings, judge};
use marstui::store::Verdict::{self, Benign, Fault, LikelyBenign, Normal, Undecided};
use marstui::units::Side::{self, Client, Server};

use crate::generated::index;
use crate::near_misses::describe;
use crate::support::synth::conn::{Conn, Host, MS, Stack, US, ix};
use crate::support::synth::mars::Encryption;
use crate::support::synth::wire::{ACK, FIN, Link, PSH, RST};
use crate::support::synth::{smp, tds};

/// The setting of a connection.
#[derive(Debug, Clone)]
struct Setting {
    name: &'static str,
    stacks: [Stack; 2],
    offload: bool,
    mss: usize,
    delay: i64,
    encryption: Encryption,
    link: Link,
    v6: bool,
    ports: (u16, u16),
    hops: u8,
    /// Both ends' numbers wrap between the last SMP:FIN, or the last data, and the end.
    wrap: bool,
    /// Cuts captured frames.
    snap: Option<usize>,
}

fn settings() -> Vec<Setting> {
    let usual = Setting {
        name: "usual",
        stacks: [Stack::Linux, Stack::Linux],
        offload: false,
        mss: 1460,
        delay: 250 * US,
        encryption: Encryption::Login,
        link: Link::Ethernet,
        v6: false,
        ports: (48_212, 1433),
        hops: 1,
        wrap: false,
        snap: None,
    };
    let with = |name, change: &dyn Fn(&mut Setting)| {
        let mut setting = usual.clone();
        setting.name = name;
        change(&mut setting);
        setting
    };
    vec![
        with("usual", &|_| {}),
        with("Windows", &|s| s.stacks = [Stack::Windows; 2]),
        with("Windows client", &|s| {
            s.stacks = [Stack::Windows, Stack::Linux];
        }),
        with("Windows server, offload", &|s| {
            s.stacks = [Stack::Linux, Stack::Windows];
            s.offload = true;
        }),
        with("small segments", &|s| s.mss = 61),
        with("jumbo", &|s| s.mss = 8948),
        with("far away", &|s| {
            s.delay = 80 * MS;
            s.hops = 14;
        }),
        with("same machine", &|s| {
            s.delay = 20 * US;
            s.hops = 0;
            s.link = Link::Null;
        }),
        with("no TLS", &|s| s.encryption = Encryption::None),
        with("VLAN", &|s| s.link = Link::Vlan(vec![12])),
        with("two tags", &|s| s.link = Link::Vlan(vec![900, 12])),
        with("SLL", &|s| s.link = Link::Sll),
        with("SLL2 IPv6", &|s| {
            s.link = Link::Sll2;
            s.v6 = true;
        }),
        with("raw", &|s| s.link = Link::RawIp),
        with("IPv6", &|s| s.v6 = true),
        with("high server port", &|s| s.ports = (1025, 51_433)),
        with("numbers wrap", &|s| s.wrap = true),
        with("snap 128", &|s| s.snap = Some(128)),
        with("snap 256", &|s| s.snap = Some(256)),
    ]
}

/// A connection after its login; MARS or not.
fn logged_in(s: &Setting, mars: bool) -> Conn {
    let mut client = Host::new(31, s.ports.0, 1_911_000_007, s.stacks[0]);
    let mut server = Host::new(77, s.ports.1, 3_020_400_551, s.stacks[1]);
    server.offload = s.offload;
    if s.v6 {
        (client, server) = (client.v6(), server.v6());
    }
    let mut c = Conn::new(client, server);
    (c.mss, c.delay, c.link, c.hops) = (s.mss, s.delay, s.link.clone(), s.hops);
    c.handshake();
    c.login(s.encryption, mars);
    c
}

/// A MARS connection with sessions that were all used and answered.
fn used(s: &Setting, sids: u16) -> Conn {
    let mut c = logged_in(s, true);
    for sid in 0..sids {
        c.open(sid);
        c.request(sid, "select 1", &tds::rows(2));
        if sid % 2 == 0 {
            let long = tds::result_of(14_000, 80, "A note of somebody about something. ");
            c.request(sid, "select * from dbo.Note", &long);
        }
    }
    c.wait(3 * MS);
    c
}

/// A connection without MARS that asked once.
fn plain(s: &Setting) -> Conn {
    let mut c = logged_in(s, false);
    c.data(Client, &ask());
    c.trip(100 * US);
    let answer = tds::packet(tds::RESPONSE, tds::EOM, c.spid, 1, &tds::rows(1));
    c.data(Server, &answer);
    c.trip(2 * MS);
    c
}

fn ask() -> Vec<u8> {
    tds::packet(
        tds::SQL_BATCH,
        tds::EOM,
        0,
        1,
        &tds::batch("select * from dbo.Log"),
    )
}

/// The packets of a long answer.
fn long_answer(c: &Conn, bytes: usize) -> Vec<Vec<u8>> {
    let body = tds::result_of(bytes, 90, "A row of a long answer that nobody waits for. ");
    tds::message(tds::RESPONSE, c.spid, &body, 4096)
}

/// Asks on a session and gets the first packets of a long answer.
fn answered_in_part(c: &mut Conn, sid: u16, packets: usize) -> Vec<Vec<u8>> {
    c.ask(sid, "select * from dbo.Log");
    c.trip(300 * US);
    let all = long_answer(c, 40_000);
    for packet in &all[..packets] {
        c.send_tds(Server, sid, packet);
        c.wait(6 * US);
    }
    c.trip(20 * US);
    all
}

fn all(sids: u16) -> Vec<u16> {
    (0..sids).rev().collect()
}

/// SMP:FINs one by one, the TCP FIN right behind, the server's answers, resets for each of its segments.
fn driver_close(c: &mut Conn, sids: u16, bare_acks: bool) {
    let start = c.now;
    c.client_fins(&all(sids));
    c.wait(30 * US);
    c.client_tcp_fin();
    let fin = c.now;
    c.now = start + c.delay + 40 * US;
    let since = c.now;
    for sid in all(sids) {
        c.server_fins(&[sid]);
        if bare_acks {
            c.send(Server, ACK, &[]);
        }
    }
    c.now = c.now.max(fin + c.delay) + 40 * US;
    c.send(Server, ACK | FIN, &[]);
    c.label("stf");
    c.answer_with_resets(since);
}

/// The client's SMP:FINs and its FIN in one segment, the server's SMP:FINs and its FIN in one as well.
fn coalesced_close(c: &mut Conn, sids: u16) {
    let fins = |c: &mut Conn, from| {
        let mut bytes = Vec::new();
        for sid in all(sids) {
            bytes.extend(c.control(from, smp::FIN, sid));
        }
        bytes
    };
    let bytes = fins(c, Client);
    c.send(Client, ACK | PSH | FIN, &bytes);
    c.trip(60 * US);
    let since = c.now;
    let bytes = fins(c, Server);
    c.send(Server, ACK | PSH | FIN, &bytes);
    c.answer_with_resets(since);
}

/// An abort for what lay unread, then a bare reset for each further segment of the server.
fn abort_and_bare(c: &mut Conn, later: &dyn Fn(&mut Conn)) {
    let since = c.now;
    c.client_abort();
    c.now = since - c.delay / 2;
    let from = c.now;
    later(c);
    let abort = c.segments.iter().position(|s| s.label == "rst").unwrap();
    c.answer_with_resets(from);
    "rst:abort".clone_into(&mut c.segments[abort].label);
}

/// The server's abort, and its bare resets for what the client sends behind it.
fn server_abort(c: &mut Conn, behind: &dyn Fn(&mut Conn)) {
    let (seq, ack) = (c.snd_nxt(Server), c.received(Server));
    c.abort(Server, seq, ack);
    c.label("rst:abort");
    let before = c.segments.len();
    behind(c);
    let late: Vec<(i64, u32)> = c.segments[before..]
        .iter()
        .filter(|s| s.from == Client)
        .map(|s| (s.arrives, s.ack))
        .collect();
    for (arrives, ack) in late {
        c.now = arrives + US;
        c.bare_reset(Server, ack);
        c.label("rst:late");
    }
}

/// One scenario: what happens, and what may be said of the close and of every reset.
struct Scenario {
    name: &'static str,
    build: fn(&Setting) -> Conn,
    accepted: &'static [(&'static str, Verdict)],
    views: &'static [Side],
}

const BOTH: &[Side] = &Side::BOTH;
const GOOD: &[(&str, Verdict)] = &[("mars-close-rst", Benign)];
const WITH_REQUEST: &[(&str, Verdict)] = &[("rst-with-request", Fault)];

fn scenario(
    name: &'static str,
    accepted: &'static [(&'static str, Verdict)],
    build: fn(&Setting) -> Conn,
) -> Scenario {
    Scenario {
        name,
        build,
        accepted,
        views: BOTH,
    }
}

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

/// A client whose process ends: FIN without SMP:FIN, a bare reset for each segment that still comes.
fn died(c: &mut Conn, later: &dyn Fn(&mut Conn)) {
    let fin = c.now;
    c.client_tcp_fin();
    c.now = fin - c.delay / 2;
    let since = c.now;
    later(c);
    c.answer_with_resets(since);
}

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

/// Moves the numbers of both ends so that they wrap at some segment of each side, counted from the end.
fn wrap(c: &mut Conn) {
    let last = |side: Side| {
        let mut sent = c.segments.iter().rev();
        let sent = sent.find(|s| s.from == side && s.flags & RST == 0);
        sent.map_or(0, |s| s.seq)
    };
    let shift = [Client, Server].map(|side| 0u32.wrapping_sub(last(side)).wrapping_add(1));
    for segment in &mut c.segments {
        let own = ix(segment.from);
        segment.seq = segment.seq.wrapping_add(shift[own]);
        if segment.flags & ACK != 0 {
            segment.ack = segment.ack.wrapping_add(shift[1 - own]);
        }
    }
}

fn try_all(scenarios: &[Scenario], check: &dyn Fn(&Scenario, &Setting, Verdict, &str) -> bool) {
    let mut wrong = Vec::new();
    let mut tried = 0;
    for scenario in scenarios {
        for setting in settings() {
            let mut c = (scenario.build)(&setting);
            if setting.wrap {
                wrap(&mut c);
            }
            for view in scenario.views {
                let mut capture = c.capture(*view);
                if let Some(snap) = setting.snap {
                    capture = capture.snap(snap);
                }
                let mut store = index(&capture);
                judge(&mut store, &Settings::default());
                let closes = store.findings().iter().filter(|f| f.close);
                let mut findings: Vec<_> = closes.collect();
                if findings.len() != 1 {
                    wrong.push(format!(
                        "{} ({}): {} closes",
                        scenario.name,
                        setting.name,
                        findings.len()
                    ));
                }
                for (no, row) in store.frames_from(marstui::units::FrameNo(1)) {
                    if row.tcp_flags.rst() {
                        match store.finding_on(no) {
                            Some(finding) => findings.push(finding),
                            None => wrong.push(format!("{}: no finding on {no}", scenario.name)),
                        }
                    }
                }
                for finding in findings {
                    tried += 1;
                    if !check(scenario, &setting, finding.verdict, &finding.rule) {
                        wrong.push(format!(
                            "{} ({}, {} view): {} {}",
                            scenario.name,
                            setting.name,
                            view.word(),
                            finding.text,
                            describe(finding)
                        ));
                    }
                }
            }
        }
    }
    wrong.dedup();
    assert!(tried > 0);
    assert!(
        wrong.is_empty(),
        "{} of {tried}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
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

/// A connection whose contents are inside TLS, MARS agreed where that can be seen, with one request answered.
fn encrypted(s: &Setting, strict: bool) -> Conn {
    let full = Setting {
        encryption: Encryption::Full,
        ..s.clone()
    };
    let mut c = if strict {
        let client = Host::new(31, s.ports.0, 1_911_000_007, s.stacks[0]);
        let server = Host::new(77, s.ports.1, 3_020_400_551, s.stacks[1]);
        let mut c = Conn::new(client, server);
        (c.mss, c.delay, c.link, c.hops) = (s.mss, s.delay, s.link.clone(), s.hops);
        c.handshake();
        c.strict_login();
        c
    } else {
        logged_in(&full, true)
    };
    c.tls(Client, 16);
    c.tls(Client, 120);
    c.trip(300 * US);
    c.tls(Server, 900);
    c.trip(900 * US);
    c
}

/// The close of two sessions as far as TLS shows it, with records of the size that SMP:FINs make.
fn encrypted_close(c: &mut Conn) {
    let start = c.now;
    c.tls(Client, 16);
    c.tls(Client, 16);
    c.wait(30 * US);
    c.client_tcp_fin();
    let fin = c.now;
    c.now = start + c.delay + 40 * US;
    let since = c.now;
    c.tls(Server, 16);
    c.tls(Server, 16);
    c.now = c.now.max(fin + c.delay) + 40 * US;
    c.send(Server, ACK | FIN, &[]);
    c.answer_with_resets(since);
}

/// What happens inside TLS, and what may be said of it, without and with TLS from the first byte.
type Hidden = (
    &'static str,
    fn(&mut Conn),
    [&'static [(&'static str, Verdict)]; 2],
);

const GUESS: &[(&str, Verdict)] = &[("mars-close-rst-tls", LikelyBenign)];
const HIDDEN: &[(&str, Verdict)] = &[("rst-encrypted", Undecided)];
const ABORTED: &[(&str, Verdict)] = &[("rst-abort-server", Fault)];

const ENCRYPTED: &[Hidden] = &[
    ("a benign close", encrypted_close, [GUESS, HIDDEN]),
    (
        "the client dies while an answer comes",
        |c| {
            c.tls(Client, 120);
            c.trip(300 * US);
            c.tls(Server, 4096);
            c.trip(10 * US);
            died(c, &|c| {
                c.tls(Server, 4096);
                c.tls(Server, 4096);
            });
        },
        [HIDDEN, HIDDEN],
    ),
    (
        "the client aborts",
        |c| {
            c.tls(Client, 120);
            c.trip(300 * US);
            c.client_abort();
        },
        [HIDDEN, HIDDEN],
    ),
    (
        "the server aborts",
        |c| {
            c.wait(2_000 * MS);
            server_abort(c, &|c| c.tls(Client, 16));
        },
        [ABORTED, ABORTED],
    ),
    (
        "the server closes",
        |c| {
            c.wait(2_000 * MS);
            c.send(Server, ACK | FIN, &[]);
            c.trip(100 * US);
            c.client_tcp_fin();
            c.trip(10 * US);
            c.send(Server, ACK, &[]);
        },
        [
            &[("server-fin-first", Fault)],
            &[("server-fin-first", Fault)],
        ],
    ),
    (
        "a device resets in the server's name",
        |c| {
            c.tls(Client, 120);
            c.trip(700 * MS);
            let seq = c.snd_nxt(Server);
            c.bare_reset(Server, seq);
            c.last().ttl = Some(250);
        },
        [&[("rst-middlebox", Fault)], &[("rst-middlebox", Fault)]],
    ),
];

#[test]
fn inside_tls_nothing_is_called_benign() {
    for (name, happens, accepted) in ENCRYPTED {
        for (strict, accepted) in [(false, accepted[0]), (true, accepted[1])] {
            for setting in settings().iter().filter(|s| s.snap.is_none() && !s.v6) {
                for view in Side::BOTH {
                    let mut c = encrypted(setting, strict);
                    happens(&mut c);
                    let mut store = index(&c.capture(view));
                    judge(&mut store, &Settings::default());
                    let close = store.findings().iter().find(|f| f.close).unwrap();
                    assert!(
                        accepted.contains(&(&close.rule, close.verdict)),
                        "{name} ({}, strict: {strict}, {} view): {} {}",
                        setting.name,
                        view.word(),
                        close.text,
                        describe(close)
                    );
                    let row = store.conns().first().unwrap();
                    let word = row.encryption.map(marstui::store::Encryption::name);
                    assert_eq!(word, Some(if strict { "strict" } else { "full" }), "{name}");
                }
            }
        }
    }
}
