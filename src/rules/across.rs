//! Findings across connections, and on the capture itself.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rustc_hash::FxHashMap;

use super::catalogue::{
    CLOCK_STEP, DUP_FRAMES, MASS_CLOSE, OFFLOAD_CHECKSUM, PORT_REUSE, SNAPLEN, count, duration,
};
use super::engine;
use super::facts::Facts;
use super::rule::{Check, Conclusion, MOST_FRAMES, Rule, evidence};
use super::settings::{Settings, Threshold};
use crate::store::{Confidence, Endpoint, Evidence, Finding, Oddity, Store, Verdict};
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
    }

    /// Adds what was kept of connections behind these.
    pub(super) fn merge(&mut self, behind: Self) {
        for (server, ends) in behind.server_ends {
            self.server_ends.entry(server).or_default().extend(ends);
        }
        for (pair, conns) in behind.pairs {
            self.pairs.entry(pair).or_default().extend(conns);
        }
    }

    /// The findings, once every connection was noted.
    pub(super) fn finish(&mut self, store: &Store, settings: &Settings) -> Vec<Finding> {
        let mut out = Vec::new();
        let mut servers: Vec<_> = std::mem::take(&mut self.server_ends).into_iter().collect();
        servers.sort_by_key(|(server, _)| *server);
        for (server, ends) in servers {
            out.extend(mass_close(server, ends, settings));
        }
        let mut pairs: Vec<_> = std::mem::take(&mut self.pairs).into_iter().collect();
        pairs.sort_by_key(|(_, conns)| conns.first().copied());
        out.extend(port_reuses(store, &pairs, settings));
        out.extend(artefacts(store));
        out.retain(|finding| settings.is_on(&finding.rule));
        out
    }
}

fn stated(rule: &Rule, verdict: Verdict, text: String, proof: Vec<Evidence>) -> Finding {
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
fn mass_close(server: Endpoint, mut ends: Vec<ServerEnd>, settings: &Settings) -> Vec<Finding> {
    ends.sort_by_key(|end| (end.time, end.frame));
    let within = settings.get(Threshold::MassCloseWithin);
    let least = settings.count(Threshold::MassCloseConnections).max(2);
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
        out.extend(one_mass_close(server, all));
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
    let proof: Vec<Evidence> = rows
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
        [a, b] => b.first_time.since(a.last_time) < rest,
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
fn artefacts(store: &Store) -> Vec<Finding> {
    let odd = store.oddities();
    [
        artefact(
            odd.copies,
            &DUP_FRAMES,
            Verdict::Notice,
            "copies of another frame",
        ),
        artefact(odd.cut, &SNAPLEN, Verdict::Notice, "cut, with payload"),
        artefact(
            odd.earlier,
            &CLOCK_STEP,
            Verdict::Normal,
            "stamped earlier than the frame before",
        ),
        artefact(
            odd.bad_checksums,
            &OFFLOAD_CHECKSUM,
            Verdict::Normal,
            "with a wrong TCP checksum",
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
