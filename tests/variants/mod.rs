//! Closes as real drivers and stacks make them, each in many settings: what is said of them does not depend on link,
//! addresses, ports, segment sizes, sequence numbers, systems, delay, TLS mode, or the end at which they were captured.

mod encrypted;
mod faults;
mod harmless;

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

/// A client whose process ends: FIN without SMP:FIN, a bare reset for each segment that still comes.
fn died(c: &mut Conn, later: &dyn Fn(&mut Conn)) {
    let fin = c.now;
    c.client_tcp_fin();
    c.now = fin - c.delay / 2;
    let since = c.now;
    later(c);
    c.answer_with_resets(since);
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
