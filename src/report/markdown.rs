//! The report as Markdown for people.

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

/// Rows of a table; more are counted.
const MAX_ROWS: usize = 50;

pub(super) fn write(
    facts: Facts<'_>,
    stats: Option<&Stats>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let store = facts.store();
    let capture = facts.capture();
    writeln!(out, "# Capture report\n")?;
    for file in &capture.files {
        writeln!(
            out,
            "- file: {} ({}, {}, {})",
            code(&file.path),
            file.format,
            bytes(file.bytes),
            counted(file.frames, "frame")
        )?;
    }
    if let (Some(first), Some(last)) = (&capture.first_time, &capture.last_time) {
        writeln!(out, "- from {first} to {last}")?;
    }
    for line in about(facts) {
        writeln!(out, "- {}", escape(&line))?;
    }
    writeln!(out, "- {}", summary(facts))?;
    let (rows, more) = listed(store);
    for row in rows {
        connection(facts, row, out)?;
    }
    if let Some(more) = more {
        writeln!(out, "\n{more}")?;
    }
    let general = general(store);
    if !general.is_empty() {
        writeln!(out, "\n## Across connections\n")?;
        for row in general {
            finding(facts, row, out)?;
        }
    }
    if let Some(stats) = stats {
        writeln!(out, "\n## Cost\n\n```text")?;
        stats.write_text(out)?;
        writeln!(out, "```")?;
    }
    Ok(())
}

fn connection(facts: Facts<'_>, row: &ConnRow, out: &mut dyn Write) -> io::Result<()> {
    let conn = facts.connection_with(row, MAX_ROWS);
    let store = facts.store();
    writeln!(
        out,
        "\n## Connection {}: {} > {}\n",
        conn.id,
        endpoint(&conn.client),
        endpoint(&conn.server)
    )?;
    let close = store
        .conn_findings(row.id)
        .find(|f| f.close)
        .map(|f| facts.finding(f));
    writeln!(
        out,
        "**{}**\n",
        escape(&close_sentence(facts, row, close.as_ref()))
    )?;
    writeln!(
        out,
        "- {}, {} to {}, {}",
        counted(u64::from(conn.frames), "frame"),
        conn.first_frame,
        conn.last_frame,
        span(store.lasted(row))
    )?;
    writeln!(out, "- {}", kind_line(&conn))?;
    if let Some(line) = conn.login.as_ref().and_then(login_line) {
        writeln!(out, "- {}", escape(&line))?;
    }
    writeln!(out, "- {}", traffic_line(&conn))?;
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
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    writeln!(
        out,
        "\n| Sid | life | opened | client FIN | server FIN | SEQNUM client / server | WNDW client / server | requests | not answered |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    for s in conn.sessions.iter().take(MAX_ROWS) {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} / {} | {} / {} | {} | {} |",
            s.sid,
            s.life,
            s.open_frame,
            number(s.client.fin_frame),
            number(s.server.fin_frame),
            number(s.client.last_seqnum),
            number(s.server.last_seqnum),
            number(s.client.last_wndw),
            number(s.server.last_wndw),
            s.requests,
            s.outstanding
        )?;
    }
    more(conn.sessions.len(), "more session", out)
}

fn requests(conn: &facts::Connection, all: usize, out: &mut dyn Write) -> io::Result<()> {
    if conn.requests.is_empty() {
        return Ok(());
    }
    let dash = || "-".to_owned();
    writeln!(
        out,
        "\n| frame | Sid | request | took ms | rows | ended | text |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for r in &conn.requests {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            r.first_frame,
            r.sid.map_or_else(dash, |s| s.to_string()),
            r.kind,
            r.duration_ms.map_or_else(dash, |ms| format!("{ms:.3}")),
            r.rows.map_or_else(dash, |n| n.to_string()),
            r.end,
            r.text.as_deref().map_or_else(
                || "(left out)".to_owned(),
                |t| code_cell(&cut(&safe(t), 120))
            )
        )?;
    }
    more(all, "more request", out)
}

fn more(len: usize, what: &str, out: &mut dyn Write) -> io::Result<()> {
    match len.saturating_sub(MAX_ROWS) {
        0 => Ok(()),
        more => writeln!(out, "\nand {}", counted(more as u64, what)),
    }
}

fn finding(facts: Facts<'_>, row: &Finding, out: &mut dyn Write) -> io::Result<()> {
    let finding = facts.finding(row);
    writeln!(
        out,
        "\n### {} `{}`: {}, {}\n\n{}\n",
        row.verdict.letter(),
        finding.rule,
        finding.verdict,
        finding.confidence,
        escape(&finding.text)
    )?;
    for e in &finding.evidence {
        writeln!(
            out,
            "- frame {}: {} {}",
            e.frame,
            escape(&e.role),
            escape(&e.fact)
        )?;
    }
    if !finding.conditions.is_empty() {
        writeln!(out, "\n| condition | holds | what |\n|---|---|---|")?;
    }
    for (condition, applied) in finding.conditions.iter().zip(row.conditions.iter()) {
        writeln!(
            out,
            "| {} | {} | {}{} |",
            condition.id,
            applied.outcome.word(),
            escape(&condition.text),
            escape(&proof(&applied.frames, &condition.fact, applied.outcome))
        )?;
    }
    for note in &finding.notes {
        writeln!(out, "\nNote: {}", escape(note))?;
    }
    if let Some(other) = &finding.other_end {
        let mut words = as_seen_by(facts.store(), other.side);
        if let Some(first) = words.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        writeln!(out, "\n{words}:\n")?;
        for step in &other.order {
            let sure = if step.known { "known" } else { "inferred" };
            writeln!(
                out,
                "1. frame {}, {sure}: {}",
                step.frame,
                escape(&step.reason)
            )?;
        }
    }
    Ok(())
}

/// Text from a capture or about it, so that Markdown shows it as it is.
pub fn escape(text: &str) -> String {
    let text = safe(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '~'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Text as code in a cell of a table, where a bar would end the cell.
fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Text as code, whatever ticks it holds.
pub fn code(text: &str) -> String {
    let text = safe(text);
    let ticks = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(ticks.saturating_add(1));
    let pad = if text.starts_with('`') || text.ends_with('`') || text.is_empty() {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_cannot_be_smuggled_in() {
        assert_eq!(escape("a|b [x](y)"), "a\\|b \\[x\\](y)");
        assert_eq!(code("a`b|c"), "``a`b|c``");
        assert_eq!(code_cell("a|b"), "`a\\|b`");
        assert_eq!(code("`x``"), "``` `x`` ```");
    }
}
