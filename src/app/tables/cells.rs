//! What stands in the cells of the full-width lists, and the numbers that they are sorted by.

use std::sync::Arc;

use super::{CONNECTIONS, REQUESTS, Row, close_of};
use crate::app::App;
use crate::app::clock;
use crate::app::timeline::lane_name;
use crate::store::{ClosedBy, ConnRow, Finding, Phase, RequestRow, Store};
use crate::units::words::counted;
use crate::units::{ConnId, End, Nanos, Side};

/// So many connections, spread over all, have their addresses measured; where others are longer, they are cut.
const MEASURED: usize = 1000;

/// Cells for the addresses of one side of all connections.
pub(super) fn width_of_ends(app: &App, side: Side) -> u16 {
    let (screen, _) = app.size;
    let conns = app.store.conns();
    let apart = conns.len().div_ceil(MEASURED).max(1);
    let longest = conns
        .iter()
        .rev()
        .step_by(apart)
        .map(|conn| conn.endpoint(side).to_string().len())
        .max();
    let least = 6;
    let most = if screen >= 120 { 30 } else { 21 };
    u16::try_from(longest.unwrap_or(0))
        .unwrap_or(most)
        .clamp(least, most)
}

fn at(app: &App, time: Nanos) -> String {
    clock::seconds(time.since(app.time_base()), app.decimals())
}

fn resets(store: &Store, conn: ConnId) -> usize {
    // A reset stands at the end; the frames behind the first one are few.
    store
        .conn_frames_back(conn)
        .take(256)
        .filter(|(_, f)| f.is_tcp() && f.tcp_flags.rst())
        .count()
}

fn bytes_of(conn: &ConnRow) -> u64 {
    End::BOTH
        .iter()
        .map(|end| conn.tcp.get(*end).bytes)
        .fold(0, u64::saturating_add)
}

fn retransmissions(conn: &ConnRow) -> u32 {
    End::BOTH
        .iter()
        .map(|end| conn.tcp.get(*end).retransmissions)
        .fold(0, u32::saturating_add)
}

/// Sids that neither side has closed at the end, and all.
fn sids(store: &Store, conn: &ConnRow) -> (usize, usize) {
    let mut open = 0_usize;
    let mut all = 0_usize;
    for session in store.conn_sessions(conn.id) {
        all = all.saturating_add(1);
        let is_open = session.closed_by(conn.client) == ClosedBy::Nobody;
        open = open.saturating_add(usize::from(is_open));
    }
    (open, all)
}

pub(super) fn conn_cell(app: &App, conn: &ConnRow, name: &str) -> String {
    let store = &app.store;
    let login = conn.login.as_deref();
    let text = |value: Option<&Arc<str>>| value.map_or("-", Arc::as_ref).to_string();
    match name {
        "" => close_of(store, conn.id)
            .map_or(' ', |f| f.verdict.letter())
            .to_string(),
        "C" => conn.id.to_string(),
        "Client" => conn.endpoint(Side::Client).to_string(),
        "Server" => conn.endpoint(Side::Server).to_string(),
        "Start(s)" => at(app, conn.first_time),
        "Duration" => clock::column_span(store.lasted(conn)),
        "Frames" => conn.frames.to_string(),
        "Bytes" => human(bytes_of(conn)),
        "MARS" => match conn.mars {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        }
        .to_string(),
        "Encr" => conn.encryption.map_or("-", |e| e.name()).to_string(),
        "Sids" => match sids(store, conn) {
            (_, 0) if conn.hides_sids() => "hidden".to_string(),
            (open, all) => format!("{open}/{all}"),
        },
        "SPID" => login
            .and_then(|l| l.spid)
            .map_or("-".to_string(), |s| s.to_string()),
        "Host" => text(login.and_then(|l| l.host.as_ref())),
        "Program" => text(login.and_then(|l| l.app.as_ref())),
        "Database" => text(login.and_then(|l| l.database.as_ref())),
        "Retr" => retransmissions(conn).to_string(),
        "RST" => resets(store, conn.id).to_string(),
        "End" => close_of(store, conn.id).map_or("-".to_string(), |f| f.rule.to_string()),
        _ => String::new(),
    }
}

pub(super) fn conn_number(store: &Store, row: Row, column: usize) -> i128 {
    let (Row::One(id) | Row::Folded(id, _)) = row;
    let Some(conn) = store.conn(ConnId(id)) else {
        return 0;
    };
    match CONNECTIONS.get(column).map_or("", |h| h.name) {
        "C" => i128::from(id),
        "Start(s)" => i128::from(conn.first_time.0),
        "Duration" => i128::from(store.lasted(conn)),
        "Frames" => i128::from(conn.frames),
        "Bytes" => i128::from(bytes_of(conn)),
        "Sids" => i128::try_from(sids(store, conn).1).unwrap_or(0),
        "" | "End" => close_of(store, conn.id).map_or(0, |f| -i128::from(f.verdict.weight())),
        _ => 0,
    }
}

pub(super) fn finding_cell(app: &App, finding: &Finding, folded: u32, name: &str) -> String {
    let frame = finding.decisive_frame();
    match name {
        "" => finding.verdict.letter().to_string(),
        "Rule" if folded > 0 => format!("{} x{folded}", finding.rule),
        "Rule" => finding.rule.to_string(),
        "Verdict" => finding.verdict.name().to_string(),
        "Frame" => frame.map_or("-".to_string(), |f| f.to_string()),
        "C" => finding.conn.map_or("-".to_string(), |c| c.to_string()),
        "Time(s)" => frame
            .and_then(|f| app.store.frame(f))
            .map_or("-".to_string(), |f| at(app, f.time)),
        "What" if folded > 0 => format!(
            "{} like this: {}; Enter shows them one by one",
            counted(usize::try_from(folded).unwrap_or(0), "finding"),
            finding.text
        ),
        "What" => format!("{} ({})", finding.text, finding.confidence.name()),
        _ => String::new(),
    }
}

pub(super) fn request_cell(app: &App, request: &RequestRow, name: &str) -> String {
    let dash = || "-".to_string();
    let waiting = request.end == crate::store::RequestEnd::Outstanding;
    match name {
        "Frame" => request.first_frame.to_string(),
        "Start(s)" => at(app, request.start),
        "C" => request.conn.to_string(),
        "Sid" => request
            .session
            .and_then(|s| app.store.session(s))
            .map_or_else(dash, lane_name),
        "Kind" => request.kind.name().to_string(),
        "First" => request.first_byte_ns.map_or_else(dash, clock::column_span),
        "Duration" if waiting => "=".to_string(),
        "Duration" => request.duration_ns.map_or_else(dash, clock::column_span),
        "Rows" => request.rows.map_or_else(dash, |r| r.to_string()),
        "Bytes" => human(request.answer_bytes),
        "End" => request.end.name().to_string(),
        "Text" => app.store.text(request.text).to_owned(),
        _ => String::new(),
    }
}

pub(super) fn request_number(store: &Store, row: Row, column: usize) -> i128 {
    let (Row::One(id) | Row::Folded(id, _)) = row;
    let Some(request) = store.request(crate::units::RequestId(id)) else {
        return 0;
    };
    match REQUESTS.get(column).map_or("", |h| h.name) {
        "Frame" => i128::from(request.first_frame.0),
        "Start(s)" => i128::from(request.start.0),
        "First" => i128::from(request.first_byte_ns.unwrap_or(-1)),
        // A request that still waits has taken longest of all.
        "Duration" if request.end == crate::store::RequestEnd::Outstanding => i128::MAX,
        "Duration" => i128::from(request.duration_ns.unwrap_or(-1)),
        "Rows" => request.rows.map_or(-1, i128::from),
        "Bytes" => i128::from(request.answer_bytes),
        _ => 0,
    }
}

/// A phase in words.
pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Connect => "TCP handshake",
        Phase::Prelogin => "PRELOGIN",
        Phase::Tls => "TLS handshake",
        Phase::Login => "login",
        Phase::Encrypted => "encrypted, not known what",
        Phase::SessionOpen => "session opened",
        Phase::Commands => "commands",
        Phase::SessionClosed => "session closed",
        Phase::Closing => "TCP close",
        Phase::Reset => "reset",
    }
}

pub(super) fn phase_cell(app: &App, conn: ConnId, id: u32, name: &str) -> String {
    let Some(row) = app.store.conn(conn) else {
        return String::new();
    };
    let index = usize::try_from(id).unwrap_or(usize::MAX);
    let Some(phase) = row.phases.get(index) else {
        return String::new();
    };
    let start = app.store.time_of(phase.frame);
    match name {
        "Frame" => phase.frame.to_string(),
        "Start(s)" => start.map_or("-".to_string(), |t| at(app, t)),
        "Length" => {
            let next = row
                .phases
                .get(index.saturating_add(1))
                .and_then(|p| app.store.frame(p.frame))
                .map_or(row.last_time, |f| f.time);
            start.map_or("-".to_string(), |t| clock::column_span(next.since(t)))
        }
        "Phase" => match phase.sid {
            Some(sid) => format!("{} (Sid {sid})", phase_name(phase.phase)),
            None => phase_name(phase.phase).to_string(),
        },
        _ => String::new(),
    }
}

/// Bytes for people.
pub fn human(bytes: u64) -> String {
    for (unit, name) in [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")] {
        if bytes >= unit {
            let tenths = u128::from(bytes).saturating_mul(10) / u128::from(unit);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}
