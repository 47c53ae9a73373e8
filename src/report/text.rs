//! The report as text for people: the capture, then each connection with its verdict in one sentence.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::build::{Facts, duration};
use super::facts;
use super::stats::Stats;
use super::words::{as_seen_by, bytes, counted, cut, frames, safe, span};
use crate::store::{ConnRow, Finding, Outcome, Protocol, Verdict};
use crate::units::FrameNo;

/// Requests listed per connection; more are counted.
const MAX_REQUESTS: usize = 50;
/// Connections without TDS that are listed one by one; more are counted.
const MAX_OTHER: usize = 20;

/// With `stats`, what the run cost stands in the place of the connections.
pub(super) fn write(
    facts: Facts<'_>,
    stats: Option<&Stats>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let store = facts.store();
    head(facts, out)?;
    if let Some(stats) = stats {
        writeln!(out)?;
        return stats.write_text(out);
    }
    let mut others = 0_usize;
    for row in store.conns() {
        let plain = row.protocol == Protocol::Other && store.conn_findings(row.id).next().is_none();
        if plain {
            others = others.saturating_add(1);
            if others > MAX_OTHER {
                continue;
            }
        }
        connection(facts, row, out)?;
    }
    if others > MAX_OTHER {
        let more = others.saturating_sub(MAX_OTHER) as u64;
        writeln!(
            out,
            "\nand {} without TDS or findings",
            counted(more, "more connection")
        )?;
    }
    let general: Vec<_> = store
        .findings()
        .iter()
        .filter(|f| f.conn.is_none())
        .collect();
    if !general.is_empty() {
        writeln!(out, "\nAcross connections")?;
        for row in general {
            finding(facts, row, out)?;
        }
    }
    Ok(())
}

/// The capture and what its findings add up to.
fn head(facts: Facts<'_>, out: &mut dyn Write) -> io::Result<()> {
    let store = facts.store();
    let capture = facts.capture();
    for file in &capture.files {
        writeln!(
            out,
            "{}  {}, {}, {}",
            safe(&file.path),
            file.format,
            bytes(file.bytes),
            counted(file.frames, "frame")
        )?;
    }
    if let (Some(first), Some(last)) = (&capture.first_time, &capture.last_time) {
        writeln!(out, "from {first} to {last}")?;
    }
    match capture.view {
        Some(view) => writeln!(
            out,
            "taken on: {view} ({})",
            safe(&capture.view_evidence.join("; "))
        )?,
        None => writeln!(out, "taken on: not known")?,
    }
    if !capture.complete {
        let why = store
            .progress()
            .stopped
            .as_deref()
            .unwrap_or("reading was stopped");
        writeln!(out, "not complete: {}", safe(why))?;
    }
    for problem in &capture.problems {
        let frame = problem
            .frame
            .map_or_else(String::new, |f| format!(", frame {f}"));
        writeln!(
            out,
            "problem at byte {}{frame}: {}",
            problem.offset,
            safe(&problem.what)
        )?;
    }
    writeln!(out, "{}", summary(facts))
}

/// `3 connections, 2 MARS, 5 resets: 4 benign, 1 fault.`
pub(super) fn summary(facts: Facts<'_>) -> String {
    let store = facts.store();
    let mars = store
        .conns()
        .iter()
        .filter(|c| c.mars == Some(true))
        .count();
    let resets = store.oddities().resets.frames;
    let counts: Vec<_> = [
        (Verdict::Fault, "fault"),
        (Verdict::Undecided, "undecided"),
        (Verdict::Notice, "notice"),
        (Verdict::LikelyBenign, "likely benign"),
        (Verdict::Benign, "benign"),
        (Verdict::Normal, "normal"),
    ]
    .into_iter()
    .map(|(verdict, word)| {
        (
            store
                .findings()
                .iter()
                .filter(|f| f.verdict == verdict)
                .count(),
            word,
        )
    })
    .filter(|(n, _)| *n > 0)
    .map(|(n, word)| format!("{n} {word}"))
    .collect();
    let findings = if counts.is_empty() {
        "no findings".to_owned()
    } else {
        format!("findings: {}", counts.join(", "))
    };
    format!(
        "{}, {mars} MARS, {}; {findings}",
        counted(store.conns().len() as u64, "connection"),
        counted(u64::from(resets), "reset")
    )
}

pub(super) fn connection(facts: Facts<'_>, row: &ConnRow, out: &mut dyn Write) -> io::Result<()> {
    let store = facts.store();
    let conn = facts.connection(row);
    writeln!(
        out,
        "\nConnection {}  {} > {}  {}, {}-{}, {}",
        conn.id,
        endpoint(&conn.client),
        endpoint(&conn.server),
        counted(u64::from(conn.frames), "frame"),
        conn.first_frame,
        conn.last_frame,
        span(duration(row))
    )?;
    writeln!(out, "  {}", kind_line(&conn))?;
    if let Some(line) = conn.login.as_ref().and_then(login_line) {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "  {}", traffic_line(&conn))?;
    if conn.protocol == "tds" || conn.close.is_some() || !conn.resets.is_empty() {
        let close = store
            .conn_findings(row.id)
            .find(|f| f.close)
            .map(|f| facts.finding(f));
        writeln!(out, "  {}", close_sentence(facts, row, close.as_ref()))?;
    }
    sessions(&conn, out)?;
    requests(&conn, out)?;
    for row in store.conn_findings(row.id) {
        finding(facts, row, out)?;
    }
    Ok(())
}

/// How a connection ended, in one sentence, with names as the facts give them.
pub(super) fn close_sentence(
    facts: Facts<'_>,
    row: &ConnRow,
    close: Option<&facts::Finding>,
) -> String {
    let Some(finding) = close else {
        return super::words::close_sentence(facts.store(), row.id);
    };
    let place = match finding.frames.as_slice() {
        [] => String::new(),
        [one] => format!("Frame {one}: "),
        [first, .., last] => format!("Frames {first}-{last}: "),
    };
    let text = safe(finding.text.trim_end_matches('.')).into_owned();
    format!(
        "{place}{text} ({}, {}).",
        finding.verdict, finding.confidence
    )
}

pub(super) fn endpoint(endpoint: &facts::Endpoint) -> String {
    if endpoint.ip.contains(':') {
        format!("[{}]:{}", endpoint.ip, endpoint.port)
    } else {
        format!("{}:{}", endpoint.ip, endpoint.port)
    }
}

pub(super) fn kind_line(conn: &facts::Connection) -> String {
    let mars = match conn.mars {
        Some(true) => "MARS",
        Some(false) => "no MARS",
        None => "MARS not known",
    };
    if conn.protocol != "tds" {
        return "no TDS seen".into();
    }
    let encryption = match conn.encryption {
        Some("none") => "not encrypted".to_owned(),
        Some("login") => "login encrypted".to_owned(),
        Some("full") => "encrypted".to_owned(),
        Some(other) => format!("encrypted ({other})"),
        None => "encryption not known".to_owned(),
    };
    let tls = conn.tls.as_ref().map_or_else(String::new, |tls| {
        let parts: Vec<_> = [tls.version, tls.cipher.as_deref()]
            .into_iter()
            .flatten()
            .collect();
        if parts.is_empty() {
            String::new()
        } else {
            format!(" ({})", parts.join(", "))
        }
    });
    format!("TDS, {mars}, {encryption}{tls}")
}

pub(super) fn login_line(login: &facts::Login) -> Option<String> {
    let quoted = |name: &str, value: &Option<String>| {
        value
            .as_ref()
            .filter(|v| !v.is_empty())
            .map(|v| format!("{name} {}", safe(v)))
    };
    let mut parts: Vec<String> = [
        quoted("host", &login.host),
        quoted("user", &login.user),
        quoted("program", &login.app),
        quoted("server", &login.server),
        quoted("database", &login.database),
        login.tds_version.as_ref().map(|v| format!("TDS {v}")),
        login.packet_size.map(|n| format!("packets of {n} B")),
        login.spid.map(|n| format!("SPID {n}")),
        login.auth.map(|a| format!("authentication {a}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Some(error) = &login.error {
        parts.push(format!(
            "failed with {}: {}",
            error.number,
            safe(&error.message)
        ));
    }
    (!parts.is_empty()).then(|| format!("login: {}", parts.join(", ")))
}

fn traffic_line(conn: &facts::Connection) -> String {
    let side = |name: &str, tcp: &facts::Tcp| {
        let mut text = format!("{name} {} B", tcp.bytes);
        for (n, what) in [
            (tcp.missing_bytes, "B missing"),
            (u64::from(tcp.retransmissions), "retransmitted"),
            (u64::from(tcp.out_of_order), "out of order"),
            (u64::from(tcp.keepalives), "keepalives"),
        ] {
            if n > 0 {
                let _ = write!(text, ", {n} {what}");
            }
        }
        text
    };
    format!(
        "{}; {}; {}",
        side("client", &conn.tcp.client),
        side("server", &conn.tcp.server),
        counted(conn.resets.len() as u64, "reset")
    )
}

fn sessions(conn: &facts::Connection, out: &mut dyn Write) -> io::Result<()> {
    if conn.sessions.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  {:>5} {:>9} {:>9} {:>9} {:>13} {:>13}  requests",
        "Sid", "opened", "FIN >", "FIN <", "SEQNUM > / <", "WNDW > / <"
    )?;
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for s in &conn.sessions {
        let life = if s.life > 1 {
            format!("({})", s.life)
        } else {
            String::new()
        };
        let waiting = if s.outstanding > 0 {
            format!(", {} not answered", s.outstanding)
        } else {
            String::new()
        };
        writeln!(
            out,
            "  {:>5} {:>9} {:>9} {:>9} {:>13} {:>13}  {}{waiting}",
            format!("{}{life}", s.sid),
            s.open_frame,
            number(s.client.fin_frame),
            number(s.server.fin_frame),
            format!(
                "{} / {}",
                number(s.client.last_seqnum),
                number(s.server.last_seqnum)
            ),
            format!(
                "{} / {}",
                number(s.client.last_wndw),
                number(s.server.last_wndw)
            ),
            s.requests
        )?;
    }
    Ok(())
}

fn requests(conn: &facts::Connection, out: &mut dyn Write) -> io::Result<()> {
    if conn.requests.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  {:>9} {:>5} {:<10} {:>11} {:>8} {:<11} text",
        "frame", "Sid", "request", "took ms", "rows", "ended"
    )?;
    for r in conn.requests.iter().take(MAX_REQUESTS) {
        let dash = || "-".to_owned();
        let error = r.error.as_ref().map_or_else(String::new, |e| {
            format!("  error {}: {}", e.number, cut(&safe(&e.message), 60))
        });
        let kind = if r.kind == "TransactionManager" {
            "Transact"
        } else {
            r.kind
        };
        writeln!(
            out,
            "  {:>9} {:>5} {kind:<10} {:>11} {:>8} {:<11} {}{error}",
            r.first_frame,
            r.sid.map_or_else(dash, |s| s.to_string()),
            r.duration_ms.map_or_else(dash, |ms| format!("{ms:.3}")),
            r.rows.map_or_else(dash, |n| n.to_string()),
            r.end,
            cut(&safe(r.text.as_deref().unwrap_or("(left out)")), 80)
        )?;
    }
    let more = conn.requests.len().saturating_sub(MAX_REQUESTS);
    if more > 0 {
        writeln!(
            out,
            "  and {} (all are in --format json)",
            counted(more as u64, "more request")
        )?;
    }
    Ok(())
}

/// A finding with its evidence and conditions.
fn finding(facts: Facts<'_>, row: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let finding = facts.finding(row);
    let sid = finding
        .sid
        .map_or_else(String::new, |sid| format!(" (Sid {sid})"));
    writeln!(
        out,
        "  [{}] {} {}, {}: {}{sid}",
        row.verdict.letter(),
        finding.rule,
        finding.verdict,
        finding.confidence,
        safe(&finding.text)
    )?;
    for e in &finding.evidence {
        writeln!(
            out,
            "      {:>8}  {}  {}",
            e.frame,
            safe(&e.role),
            safe(&e.fact)
        )?;
    }
    for (condition, applied) in finding.conditions.iter().zip(&row.conditions) {
        writeln!(
            out,
            "      {:<4} {:<7} {}{}",
            condition.id,
            applied.outcome.word(),
            safe(&condition.text),
            proof(&applied.frames, &condition.fact, applied.outcome)
        )?;
    }
    for note in &finding.notes {
        writeln!(out, "      note: {}", safe(note))?;
    }
    if let Some(other) = &finding.other_end {
        writeln!(out, "      {}", as_seen_by(facts.store(), other.side))?;
        for step in &other.order {
            let sure = if step.known { "known" } else { "inferred" };
            writeln!(out, "      {:>8}  {sure}: {}", step.frame, step.reason)?;
        }
    }
    Ok(())
}

/// Frames and numbers of a condition, in brackets.
pub(super) fn proof(list: &[FrameNo], fact: &str, outcome: Outcome) -> String {
    let frames = frames(list);
    let parts: Vec<_> = [frames.as_str(), fact]
        .into_iter()
        .filter(|p| !p.is_empty())
        .collect();
    match (parts.is_empty(), outcome) {
        (true, _) => String::new(),
        (false, _) => format!("  [{}]", safe(&parts.join(": "))),
    }
}
