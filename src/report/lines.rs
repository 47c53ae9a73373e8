//! What the reports for people say alike, line by line, before text or Markdown makes it safe and sets it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::build::Facts;
use super::facts;
use super::words::{file_name, frames, problem, safe};
use crate::store::{ConnRow, Finding, Outcome, Protocol, Store, Verdict};
use crate::units::words::counted;
use crate::units::{FileOffset, FrameNo};

/// Connections without TDS that are listed one by one; more are counted.
const MAX_OTHER: usize = 20;

/// Where the capture was taken, and what is wrong with it.
pub(super) fn about(facts: Facts<'_>) -> Vec<String> {
    let capture = facts.capture();
    let mut out = vec![match capture.view {
        Some(view) => {
            let view = match view {
                "middle" => "both ends, or between them",
                end => end,
            };
            format!("taken on: {view} ({})", capture.view_evidence.join("; "))
        }
        None => "taken on: not known".to_owned(),
    }];
    if !capture.complete {
        let why = facts.store().progress().stopped.as_deref();
        out.push(format!(
            "not complete: {}",
            why.unwrap_or("only the frames so far were read")
        ));
    }
    let several = capture.files.len() > 1;
    out.extend(capture.problems.iter().map(|p| {
        let name = p.file.as_deref().filter(|_| several).map(file_name);
        let frame = p.frame.map(FrameNo);
        problem(name.as_deref(), FileOffset(p.offset), frame, &p.what)
    }));
    out
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

/// The connections that are listed, and a line on those that are only counted.
pub(super) fn listed(store: &Store) -> (Vec<&ConnRow>, Option<String>) {
    let plain = |row: &ConnRow| {
        row.protocol == Protocol::Other && store.conn_findings(row.id).next().is_none()
    };
    let mut others = 0_usize;
    let rows = store.conns().iter().map(Arc::as_ref).filter(|row| {
        others = others.saturating_add(usize::from(plain(row)));
        !plain(row) || others <= MAX_OTHER
    });
    let rows = rows.collect();
    let more = others.checked_sub(MAX_OTHER).filter(|more| *more > 0);
    let line = more.map(|more| {
        let more = counted(more as u64, "more connection");
        format!("and {more} without TDS or findings")
    });
    (rows, line)
}

/// The findings that are about no single connection.
pub(super) fn general(store: &Store) -> Vec<&Finding> {
    let findings = store.findings().iter();
    findings.filter(|finding| finding.conn.is_none()).collect()
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

/// Address and port.
pub(super) fn endpoint(endpoint: &facts::Endpoint) -> String {
    if endpoint.ip.contains(':') {
        format!("[{}]:{}", endpoint.ip, endpoint.port)
    } else {
        format!("{}:{}", endpoint.ip, endpoint.port)
    }
}

/// Protocol, MARS, encryption.
pub(super) fn kind_line(conn: &facts::Connection) -> String {
    let mars = match conn.mars {
        Some(true) => "MARS",
        Some(false) => "no MARS",
        None => "MARS not known",
    };
    if conn.protocol != "tds" {
        return "no TDS seen".into();
    }
    let version = conn
        .login
        .as_ref()
        .and_then(|login| login.tds_version.as_deref());
    if version == Some("5.0") {
        return "TDS 5.0, of a Sybase server, not SQL Server: its requests are not decoded".into();
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

/// What the login told, if there was one.
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
    // The number alone stands in every packet of the server.
    if let (Some(spid), 1) = (login.spid, parts.len()) {
        return Some(format!("SPID {spid}; the login is not shown by the file"));
    }
    (!parts.is_empty()).then(|| format!("login: {}", parts.join(", ")))
}

/// Bytes and troubles of both ends.
pub(super) fn traffic_line(conn: &facts::Connection) -> String {
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
        resets(&conn.resets)
    )
}

/// `2 resets and 2 copies`
fn resets(resets: &[facts::Reset]) -> String {
    let copies = resets.iter().filter(|reset| reset.duplicate).count() as u64;
    let sent = counted((resets.len() as u64).saturating_sub(copies), "reset");
    match copies {
        0 => sent,
        1 => format!("{sent} and 1 copy"),
        _ => format!("{sent} and {copies} copies"),
    }
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
