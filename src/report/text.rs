//! The report as text for people: the capture, then each connection with its verdict in one sentence.

use std::io::{self, Write};

use super::build::Facts;
use super::facts;
use super::lines::{
    about, close_sentence, endpoint, general, kind_line, listed, login_line, proof, summary,
    traffic_line,
};
use super::stats::Stats;
use super::words::{as_seen_by, bytes, cut, safe, span};
use crate::store::{ConnRow, Finding};
use crate::units::words::counted;

/// Requests listed per connection; more are counted.
const MAX_REQUESTS: usize = 50;

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
    let (rows, more) = listed(store);
    for row in rows {
        connection(facts, row, out)?;
    }
    if let Some(more) = more {
        writeln!(out, "\n{more}")?;
    }
    let general = general(store);
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
    for line in about(facts) {
        writeln!(out, "{}", safe(&line))?;
    }
    writeln!(out, "{}", summary(facts))
}

pub(super) fn connection(facts: Facts<'_>, row: &ConnRow, out: &mut dyn Write) -> io::Result<()> {
    let store = facts.store();
    let conn = facts.connection_with(row, MAX_REQUESTS);
    writeln!(
        out,
        "\nConnection {}  {} > {}  {}, {}-{}, {}",
        conn.id,
        endpoint(&conn.client),
        endpoint(&conn.server),
        counted(u64::from(conn.frames), "frame"),
        conn.first_frame,
        conn.last_frame,
        span(store.lasted(row))
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
    requests(&conn, store.conn_request_count(row.id), out)?;
    for row in store.conn_findings(row.id) {
        finding(facts, row, out)?;
    }
    Ok(())
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

fn requests(conn: &facts::Connection, all: usize, out: &mut dyn Write) -> io::Result<()> {
    if conn.requests.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  {:>9} {:>5} {:<10} {:>11} {:>8} {:<11} text",
        "frame", "Sid", "request", "took ms", "rows", "ended"
    )?;
    for r in &conn.requests {
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
    let more = all.saturating_sub(conn.requests.len());
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
        "  [{}] {} (finding {}) {}, {}: {}{sid}",
        row.verdict.letter(),
        finding.rule,
        row.id,
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
    for (condition, applied) in finding.conditions.iter().zip(row.conditions.iter()) {
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
