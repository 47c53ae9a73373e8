//! Findings across connections, and on the capture itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::catalogue::{
    BAD_CHECKSUM, CLOCK_STEP, DUP_FRAMES, MASS_CLOSE, NON_POOLED, OFFLOAD_CHECKSUM, PORT_REUSE,
    SNAPLEN, count, duration,
};
use super::engine;
use super::facts::{Facts, Stage};
use super::rule::{Check, Conclusion, MOST_FRAMES, Rule, evidence};
use super::settings::{Settings, Threshold};
use crate::store::{Confidence, Endpoint, Exhibit, Finding, Oddity, Protocol, Store, Verdict};
use crate::units::{ConnId, FrameNo, Nanos, Side};

/// A connection that its server ended.
#[derive(Debug, Clone, Copy)]
struct ServerEnd {
    conn: ConnId,
    frame: FrameNo,
    time: Nanos,
}

/// What is kept of each connection until all are judged.
#[derive(Debug, Default)]
pub(super) struct Across {
    server_ends: FxHashMap<Endpoint, Vec<ServerEnd>>,
    /// The last connection of each pair of addresses and ports, and the connections that used it again.
    pairs: FxHashMap<(Endpoint, Endpoint), Vec<ConnId>>,
    /// Logins of each server that were answered too late.
    late_logins: FxHashMap<Endpoint, Vec<ConnId>>,
    /// Whole connections of each client to each server, and those of them that were short.
    lengths: FxHashMap<(IpAddr, Endpoint), Lengths>,
    checksums: Checksums,
}

/// How many connections of one client to one server were short.
#[derive(Debug, Clone, Default)]
struct Lengths {
    whole: usize,
    short: usize,
    /// The first few short ones: the frame that began each.
    examples: Vec<FrameNo>,
}

/// Frames with wrong TCP checksums, of connections in which one direction has them, or both.
#[derive(Debug, Clone, Copy, Default)]
struct Checksums {
    one_way: Oddity,
    both_ways: Oddity,
}

/// What is said once every connection was judged.
#[derive(Debug, Default)]
pub(super) struct Finished {
    pub findings: Vec<Finding>,
    /// Notes for the closes of connections that such a finding explains.
    pub explained: Vec<(ConnId, String)>,
}

impl Across {
    /// Takes note of a judged connection.
    pub(super) fn note(&mut self, facts: &Facts<'_>, close: Option<&Finding>) {
        let fault = close.is_some_and(|f| f.verdict == Verdict::Fault);
        // What the server refused or sent elsewhere is told already.
        let refused = close.is_some_and(|f| f.rule.starts_with("syn-") || f.rule == "login-failed");
        if let Some((Side::Server, seg)) = facts.close.ender
            && fault
            && !refused
        {
            let server = *facts.conn.endpoint(Side::Server);
            self.server_ends.entry(server).or_default().push(ServerEnd {
                conn: facts.conn.id,
                frame: seg.no,
                time: seg.time,
            });
        }
        let [a, b] = facts.conn.ends.0;
        let pair = if a <= b { (a, b) } else { (b, a) };
        if facts.conn.incarnation > 0 {
            self.pairs.entry(pair).or_default().push(facts.conn.id);
        }
        if close.is_some_and(|f| f.rule == "late-loginack") {
            let server = *facts.conn.endpoint(Side::Server);
            self.late_logins
                .entry(server)
                .or_default()
                .push(facts.conn.id);
        }
        self.note_length(facts);
        self.note_checksums(facts);
    }

    fn note_length(&mut self, facts: &Facts<'_>) {
        let conn = facts.conn;
        let whole = conn.from_start() && facts.close.closed_by(Side::Client);
        if !whole || facts.stage != Stage::Ready || conn.protocol != Protocol::Tds {
            return;
        }
        let key = (conn.endpoint(Side::Client).ip, *conn.endpoint(Side::Server));
        let lengths = self.lengths.entry(key).or_default();
        lengths.whole = lengths.whole.saturating_add(1);
        let frames = conn.frames.saturating_sub(facts.frames.copies);
        if i64::from(frames) < facts.settings.get(Threshold::ShortConnection) {
            lengths.short = lengths.short.saturating_add(1);
            if lengths.examples.len() < MOST_FRAMES {
                lengths.examples.push(conn.first_frame);
            }
        }
    }

    fn note_checksums(&mut self, facts: &Facts<'_>) {
        let [client, server] = &facts.frames.bad_checksums.0;
        for (client, server) in client.values().zip(server.values()) {
            let both = client.frames > 0 && server.frames > 0;
            let slot = if both {
                &mut self.checksums.both_ways
            } else {
                &mut self.checksums.one_way
            };
            slot.add(*client);
            slot.add(*server);
        }
    }

    /// Adds what was kept of connections behind these.
    pub(super) fn merge(&mut self, behind: Self) {
        for (server, ends) in behind.server_ends {
            self.server_ends.entry(server).or_default().extend(ends);
        }
        for (pair, conns) in behind.pairs {
            self.pairs.entry(pair).or_default().extend(conns);
        }
        for (server, conns) in behind.late_logins {
            self.late_logins.entry(server).or_default().extend(conns);
        }
        for (key, more) in behind.lengths {
            let lengths = self.lengths.entry(key).or_default();
            lengths.whole = lengths.whole.saturating_add(more.whole);
            lengths.short = lengths.short.saturating_add(more.short);
            lengths.examples.extend(more.examples);
            lengths.examples.truncate(MOST_FRAMES);
        }
        self.checksums.one_way.add(behind.checksums.one_way);
        self.checksums.both_ways.add(behind.checksums.both_ways);
    }

    /// The findings, once every connection was noted.
    pub(super) fn finish(&mut self, store: &Store, settings: &Settings) -> Finished {
        let mut out = Vec::new();
        let mut explained = Vec::new();
        let mut servers: Vec<_> = std::mem::take(&mut self.server_ends).into_iter().collect();
        servers.sort_by_key(|(server, _)| *server);
        for (server, ends) in servers {
            for (finding, conns) in mass_close(server, ends, settings) {
                let why = format!("explained: part of mass-close. {}", finding.text);
                if settings.is_on(&finding.rule) {
                    explained.extend(conns.into_iter().map(|conn| (conn, why.clone())));
                }
                out.push(finding);
            }
        }
        for (server, conns) in std::mem::take(&mut self.late_logins) {
            if conns.len() > 1 {
                let why = format!(
                    "{} of {server} were accepted too late: its threads were busy, or a domain controller was slow",
                    count(conns.len(), "login")
                );
                explained.extend(conns.into_iter().map(|conn| (conn, why.clone())));
            }
        }
        let mut pairs: Vec<_> = std::mem::take(&mut self.pairs).into_iter().collect();
        pairs.sort_by_key(|(_, conns)| conns.first().copied());
        out.extend(port_reuses(store, &pairs, settings));
        let mut lengths: Vec<_> = std::mem::take(&mut self.lengths).into_iter().collect();
        lengths.sort_by_key(|(key, _)| *key);
        let least = settings.count(Threshold::ShortConnections);
        let short = lengths.iter().filter(|(_, l)| l.short >= least);
        out.extend(short.map(|((client, server), l)| not_pooled(*client, *server, l)));
        out.extend(artefacts(store, self.checksums));
        out.retain(|finding| settings.is_on(&finding.rule));
        Finished {
            findings: out,
            explained,
        }
    }
}

fn stated(rule: &Rule, verdict: Verdict, text: String, proof: Vec<Exhibit>) -> Finding {
    let frames: Vec<FrameNo> = proof.iter().map(|e| e.frame).collect();
    let conclusion = Conclusion::new(verdict, Confidence::Proven, text).with_evidence(proof);
    let mut finding = engine::finding(rule, None, conclusion);
    finding.conditions = rule
        .conditions
        .iter()
        .map(|c| c.with(Check::held("").on(frames.iter().copied())))
        .collect();
    finding
}

/// Groups of connections that one server ended within the limit.
fn mass_close(
    server: Endpoint,
    mut ends: Vec<ServerEnd>,
    settings: &Settings,
) -> Vec<(Finding, Vec<ConnId>)> {
    ends.sort_by_key(|end| (end.time, end.frame));
    let within = settings.get(Threshold::MassCloseWithin);
    let least = settings.count(Threshold::MassCloseConnections);
    let mut out = Vec::new();
    let mut rest = ends.as_slice();
    while let Some(first) = rest.first() {
        let together = rest.partition_point(|end| end.time.since(first.time) <= within);
        if together < least {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        // What follows as closely belongs to it, however long it goes on.
        let mut group = together;
        while let [.., last] = rest.get(..group).unwrap_or_default()
            && let Some(next) = rest.get(group)
            && next.time.since(last.time) <= within
        {
            group = group.saturating_add(1);
        }
        let (all, behind) = rest.split_at_checked(group).unwrap_or((rest, &[]));
        rest = behind;
        let conns = all.iter().map(|end| end.conn).collect();
        out.extend(one_mass_close(server, all).map(|finding| (finding, conns)));
    }
    out
}

/// The finding on connections that ended together, in order of time.
fn one_mass_close(server: Endpoint, ends: &[ServerEnd]) -> Option<Finding> {
    let lasted = ends.last()?.time.since(ends.first()?.time);
    let proof = ends
        .iter()
        .take(MOST_FRAMES)
        .map(|end| evidence(end.frame, format!("end of connection {}", end.conn), ""))
        .collect();
    Some(stated(
        &MASS_CLOSE,
        Verdict::Fault,
        format!(
            "The server {server} ended {} connections within {}: restart, fail-over or starvation.",
            ends.len(),
            duration(lasted)
        ),
        proof,
    ))
}

/// Many short connections of one client to one server.
fn not_pooled(client: IpAddr, server: Endpoint, lengths: &Lengths) -> Finding {
    let examples = lengths.examples.iter();
    stated(
        &NON_POOLED,
        Verdict::Notice,
        format!(
            "{} of the {} of the client {client} to {server} were over within a few frames: it seems to use no pool.",
            lengths.short,
            count(lengths.whole, "connection")
        ),
        examples
            .map(|frame| evidence(*frame, "a short connection begins", ""))
            .collect(),
    )
}

/// A pair of addresses and ports, and the connections that used it again.
type Reuse = ((Endpoint, Endpoint), Vec<ConnId>);

/// More ports of one client than this are told in one finding.
const MANY_PORTS: usize = 8;

/// Ports that were used again: each by itself, or those of one client together where they are many.
fn port_reuses(store: &Store, pairs: &[Reuse], settings: &Settings) -> Vec<Finding> {
    let mut by_client: BTreeMap<(IpAddr, Endpoint), Vec<&Reuse>> = BTreeMap::new();
    for reuse in pairs {
        let first = reuse.1.first().and_then(|id| store.conn(*id));
        if let Some(conn) = first {
            let client = conn.endpoint(Side::Client).ip;
            let server = *conn.endpoint(Side::Server);
            by_client.entry((client, server)).or_default().push(reuse);
        }
    }
    let mut out = Vec::new();
    for ((client, server), reuses) in by_client {
        if reuses.len() > MANY_PORTS {
            out.push(many_ports(store, client, server, &reuses));
        } else {
            let each = reuses.into_iter();
            out.extend(each.filter_map(|(pair, conns)| port_reuse(store, *pair, conns, settings)));
        }
    }
    out
}

/// Many ports of one client that were used again.
fn many_ports(store: &Store, client: IpAddr, server: Endpoint, reuses: &[&Reuse]) -> Finding {
    let firsts = reuses
        .iter()
        .filter_map(|(_, conns)| store.conn(*conns.first()?));
    let proof = firsts
        .take(MOST_FRAMES)
        .map(|conn| {
            evidence(
                conn.first_frame,
                format!("connection {}", conn.id),
                format!("port {} begins anew", conn.endpoint(Side::Client).port),
            )
        })
        .collect();
    let later: usize = reuses.iter().map(|(_, conns)| conns.len()).sum();
    let mut finding = stated(
        &PORT_REUSE,
        Verdict::Notice,
        format!(
            "The client {client} used {} to {server} again, for {}.",
            count(reuses.len(), "port"),
            count(later, "later connection")
        ),
        proof,
    );
    finding
        .notes
        .push("many ports of one client: it may be running out of them".to_owned());
    finding
}

/// A pair of addresses and ports that was used again.
fn port_reuse(
    store: &Store,
    pair: (Endpoint, Endpoint),
    conns: &[ConnId],
    settings: &Settings,
) -> Option<Finding> {
    let rows: Vec<_> = conns.iter().filter_map(|id| store.conn(*id)).collect();
    let first = rows.first()?;
    let proof: Vec<Exhibit> = rows
        .iter()
        .take(MOST_FRAMES)
        .map(|conn| {
            evidence(
                conn.first_frame,
                format!("connection {}", conn.id),
                "begins anew",
            )
        })
        .collect();
    let mut finding = stated(
        &PORT_REUSE,
        Verdict::Notice,
        format!(
            "{} and {} were used again for {}.",
            pair.0,
            pair.1,
            count(rows.len(), "later connection")
        ),
        proof,
    );
    finding.conn = Some(first.id);
    let rest = settings.get(Threshold::PortQuarantine);
    let quick = rows.windows(2).any(|two| match two {
        [a, b] => {
            let point = store.frame(b.first_frame).map(|row| row.interface);
            let last = point.and_then(|point| store.last_seen(a, point));
            last.is_some_and(|last| b.first_time.since(last) < rest)
        }
        _ => false,
    });
    if quick {
        finding.notes.push(format!(
            "used again within {}: the client may be running out of ports",
            duration(rest)
        ));
    }
    Some(finding)
}

/// What is peculiar about the capture itself.
fn artefacts(store: &Store, checksums: Checksums) -> Vec<Finding> {
    let odd = store.oddities();
    [
        artefact(
            odd.copies,
            &DUP_FRAMES,
            Verdict::Notice,
            "that are copies of another frame",
        ),
        artefact(odd.cut, &SNAPLEN, Verdict::Notice, "cut, with payload"),
        artefact(
            odd.earlier,
            &CLOCK_STEP,
            Verdict::Normal,
            "stamped earlier than the frame before",
        ),
        artefact(
            checksums.one_way,
            &OFFLOAD_CHECKSUM,
            Verdict::Normal,
            "with a wrong TCP checksum, in one direction of their connections",
        ),
        artefact(
            checksums.both_ways,
            &BAD_CHECKSUM,
            Verdict::Notice,
            "with a wrong TCP checksum, in both directions of their connections",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn artefact(odd: Oddity, rule: &Rule, verdict: Verdict, what: &str) -> Option<Finding> {
    let first = odd.first?;
    let frames = usize::try_from(odd.frames).unwrap_or(usize::MAX);
    Some(stated(
        rule,
        verdict,
        format!(
            "{} {what}, the first is frame {first}.",
            count(frames, "frame")
        ),
        vec![evidence(first, "the first such frame", "")],
    ))
}
