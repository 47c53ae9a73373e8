//! The full-width lists: connections, findings, requests, phases. Which rows, in which order, with which cells.

use std::cmp::Ordering;

use super::App;
use super::clock;
use super::summary::counted;
use crate::store::{ConnRow, Finding, Phase, RequestRow, Store, Verdict};
use crate::units::{ConnId, End, FrameNo, Nanos, Side};

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Connections.
    Connections,
    /// Findings.
    Findings,
    /// Requests of all connections, or of one.
    Requests(Option<ConnId>),
    /// Phases of a connection.
    Phases(ConnId),
}

/// A row of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A row of the store, by its number.
    One(u32),
    /// Findings of one rule and verdict, folded into a line: the first of them and how many.
    Folded(u32, u32),
}

/// An open list.
#[derive(Debug, Clone)]
pub struct Table {
    /// Which list.
    pub kind: Kind,
    /// Its rows, sorted and filtered.
    pub rows: Vec<Row>,
    /// The row under the cursor.
    pub cursor: usize,
    /// The first row on screen.
    pub top: usize,
    /// The column that it is sorted by; `None` for the list's own order.
    pub sort: Option<usize>,
    /// The other way round.
    pub descending: bool,
    /// Only rows that hold this text.
    pub filter: String,
    /// Benign findings are shown one by one.
    pub unfolded: bool,
}

/// A column's head: name, width (0 for what is left), numbers stand to the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Name.
    pub name: &'static str,
    /// Width in cells; 0 takes what is left.
    pub width: u16,
    /// Stands to the right.
    pub right: bool,
    /// The least screen width at which it is shown.
    pub from: u16,
}

const fn head(name: &'static str, width: u16, right: bool, from: u16) -> Head {
    Head {
        name,
        width,
        right,
        from,
    }
}

const CONNECTIONS: &[Head] = &[
    head("", 1, false, 0),
    head("C", 4, true, 0),
    head("Client", 21, false, 0),
    head("Server", 21, false, 60),
    head("Start(s)", 11, true, 100),
    head("Duration", 9, true, 100),
    head("Frames", 7, true, 100),
    head("Bytes", 8, true, 120),
    head("MARS", 4, false, 0),
    head("Encr", 6, false, 120),
    head("Sids", 7, true, 80),
    head("SPID", 5, true, 130),
    head("Host", 12, false, 150),
    head("Program", 14, false, 170),
    head("Database", 10, false, 160),
    head("Retr", 4, true, 140),
    head("RST", 3, true, 100),
    head("End", 0, false, 0),
];
const FINDINGS: &[Head] = &[
    head("", 1, false, 0),
    head("Rule", 26, false, 0),
    head("Verdict", 12, false, 100),
    head("Frame", 9, true, 0),
    head("C", 4, true, 0),
    head("Time(s)", 13, true, 100),
    head("What", 0, false, 0),
];
const REQUESTS: &[Head] = &[
    head("Frame", 9, true, 0),
    head("Start(s)", 13, true, 100),
    head("C", 4, true, 60),
    head("Sid", 5, true, 0),
    head("Kind", 8, false, 60),
    head("First", 9, true, 100),
    head("Duration", 9, true, 0),
    head("Rows", 7, true, 90),
    head("Bytes", 8, true, 110),
    head("End", 11, false, 0),
    head("Text", 0, false, 0),
];
const PHASES: &[Head] = &[
    head("Frame", 9, true, 0),
    head("Start(s)", 13, true, 0),
    head("Length", 10, true, 0),
    head("Phase", 0, false, 0),
];

impl Table {
    /// A list with its rows.
    pub fn new(kind: Kind, app: &App) -> Self {
        let mut table = Self {
            kind,
            rows: Vec::new(),
            cursor: 0,
            top: 0,
            sort: None,
            descending: false,
            filter: String::new(),
            unfolded: false,
        };
        table.refresh(app);
        table
    }

    /// Its title.
    pub fn title(&self) -> String {
        match self.kind {
            Kind::Connections => "Connections".to_string(),
            Kind::Findings => "Findings".to_string(),
            Kind::Requests(None) => "Requests".to_string(),
            Kind::Requests(Some(conn)) => format!("Requests of connection {conn}"),
            Kind::Phases(conn) => format!("Phases of connection {conn}"),
        }
    }

    /// What it lists, in a word that can be part of a file's name.
    pub fn word(&self) -> &'static str {
        match self.kind {
            Kind::Connections => "connections",
            Kind::Findings => "findings",
            Kind::Requests(_) => "requests",
            Kind::Phases(_) => "phases",
        }
    }

    /// All its columns.
    pub fn columns(&self) -> &'static [Head] {
        match self.kind {
            Kind::Connections => CONNECTIONS,
            Kind::Findings => FINDINGS,
            Kind::Requests(_) => REQUESTS,
            Kind::Phases(_) => PHASES,
        }
    }

    /// The columns at a screen width, by their numbers.
    pub fn shown(&self, width: u16) -> Vec<usize> {
        self.columns()
            .iter()
            .enumerate()
            .filter(|(_, head)| head.from <= width)
            .map(|(i, _)| i)
            .collect()
    }

    /// Makes its rows anew, and keeps the cursor on its row.
    pub fn refresh(&mut self, app: &App) {
        let here = self.rows.get(self.cursor).copied();
        let store = &app.store;
        let mut rows = match self.kind {
            Kind::Connections => numbers(store.conns().len()),
            Kind::Findings => self.finding_rows(store),
            Kind::Requests(None) => numbers(store.requests().len()),
            Kind::Requests(Some(conn)) => store
                .conn_requests(conn)
                .map(|r| Row::One(r.id.0))
                .collect(),
            Kind::Phases(conn) => numbers(store.conn(conn).map_or(0, |c| c.phases.len())),
        };
        if !self.filter.is_empty() {
            let word = self.filter.to_lowercase();
            rows.retain(|row| {
                (0..self.columns().len())
                    .any(|column| self.cell(app, *row, column).to_lowercase().contains(&word))
            });
        }
        if let Some(column) = self.sort {
            rows.sort_by(|a, b| self.compare(app, *a, *b, column));
            if self.descending {
                rows.reverse();
            }
        }
        self.rows = rows;
        self.cursor = here
            .and_then(|row| self.rows.iter().position(|r| *r == row))
            .unwrap_or(self.cursor)
            .min(self.rows.len().saturating_sub(1));
    }

    /// Faults first; benign ones and notices of one rule folded into a line.
    fn finding_rows(&self, store: &Store) -> Vec<Row> {
        let mut order: Vec<&Finding> = store.findings().iter().collect();
        order.sort_by(|a, b| {
            let key = |f: &Finding| {
                (
                    std::cmp::Reverse(f.verdict.weight()),
                    f.rule.to_string(),
                    f.decisive_frame(),
                )
            };
            key(a).cmp(&key(b))
        });
        let mut rows: Vec<Row> = Vec::new();
        let mut last: Option<(&str, Verdict)> = None;
        for finding in order {
            let this = (finding.rule.as_ref(), finding.verdict);
            let folds =
                !self.unfolded && !matches!(finding.verdict, Verdict::Fault | Verdict::Undecided);
            if folds && last == Some(this) {
                match rows.last_mut() {
                    Some(Row::Folded(_, n)) => *n = n.saturating_add(1),
                    Some(row) => {
                        if let Row::One(first) = *row {
                            *row = Row::Folded(first, 2);
                        }
                    }
                    None => {}
                }
            } else {
                rows.push(Row::One(finding.id.0));
            }
            last = Some(this);
        }
        rows
    }

    /// The row of the screen on which the first of its rows stands.
    pub fn rows_from(&self) -> u16 {
        if self.kind == Kind::Findings { 3 } else { 2 }
    }

    /// Moves the cursor.
    pub fn step(&mut self, by: i64, height: usize) {
        let last = i64::try_from(self.rows.len().saturating_sub(1)).unwrap_or(0);
        let now = i64::try_from(self.cursor).unwrap_or(0);
        self.cursor = usize::try_from(now.saturating_add(by).clamp(0, last)).unwrap_or(0);
        let height = height.max(1);
        if self.cursor < self.top {
            self.top = self.cursor.saturating_sub(height / 3);
        } else if self.cursor >= self.top.saturating_add(height) {
            self.top = self
                .cursor
                .saturating_add(height / 3)
                .saturating_add(1)
                .saturating_sub(height);
        }
        self.top = self.top.min(self.rows.len().saturating_sub(height));
    }

    /// Sorts by the next column; by the last one again it turns the order round.
    pub fn sort_next(&mut self, app: &App) {
        let shown = self.shown(app.size.0);
        let at = self
            .sort
            .and_then(|now| shown.iter().position(|c| *c == now));
        match (at, self.descending) {
            (Some(_), false) => self.descending = true,
            (Some(at), true) => {
                self.descending = false;
                self.sort = shown.get(at.saturating_add(1)).copied();
            }
            (None, _) => {
                self.descending = false;
                self.sort = shown.first().copied();
            }
        }
        self.refresh(app);
    }

    /// Sorts by a column's name.
    pub fn sort_by(&mut self, app: &App, name: &str) -> Result<(), String> {
        let found = self
            .columns()
            .iter()
            .position(|head| head.name.to_lowercase().starts_with(&name.to_lowercase()));
        let Some(column) = found else {
            let names: Vec<_> = self.columns().iter().map(|h| h.name).collect();
            return Err(format!("no column {name}; there are {}", names.join(" ")));
        };
        self.descending = self.sort == Some(column) && !self.descending;
        self.sort = Some(column);
        self.refresh(app);
        Ok(())
    }

    fn compare(&self, app: &App, a: Row, b: Row, column: usize) -> Ordering {
        let store = &app.store;
        let numeric = match self.kind {
            Kind::Connections => conn_number(store, a, column).cmp(&conn_number(store, b, column)),
            Kind::Requests(_) => {
                request_number(store, a, column).cmp(&request_number(store, b, column))
            }
            Kind::Findings | Kind::Phases(_) => Ordering::Equal,
        };
        numeric.then_with(|| natural(&self.cell(app, a, column), &self.cell(app, b, column)))
    }

    /// The frame that Enter goes to.
    pub fn target(&self, app: &App) -> Option<FrameNo> {
        let store = &app.store;
        let row = *self.rows.get(self.cursor)?;
        let (Row::One(id) | Row::Folded(id, _)) = row;
        match self.kind {
            Kind::Connections => Some(store.conn(ConnId(id))?.last_frame),
            Kind::Findings => store.finding(crate::units::FindingId(id))?.decisive_frame(),
            Kind::Requests(_) => Some(store.request(crate::units::RequestId(id))?.first_frame),
            Kind::Phases(conn) => store
                .conn(conn)?
                .phases
                .get(usize::try_from(id).ok()?)
                .map(|p| p.frame),
        }
    }

    /// The verdict letter of a row, for its colour.
    pub fn verdict(&self, store: &Store, row: Row) -> Option<Verdict> {
        let (Row::One(id) | Row::Folded(id, _)) = row;
        match self.kind {
            Kind::Connections => close_of(store, ConnId(id)).map(|f| f.verdict),
            Kind::Findings => store
                .finding(crate::units::FindingId(id))
                .map(|f| f.verdict),
            Kind::Requests(_) | Kind::Phases(_) => None,
        }
    }

    /// The text of a cell, not yet safe for a terminal.
    pub fn cell(&self, app: &App, row: Row, column: usize) -> String {
        let name = self.columns().get(column).map_or("", |h| h.name);
        let (id, folded) = match row {
            Row::One(id) => (id, 0),
            Row::Folded(id, n) => (id, n),
        };
        let store = &app.store;
        match self.kind {
            Kind::Connections => store
                .conn(ConnId(id))
                .map_or_else(String::new, |c| conn_cell(app, c, name)),
            Kind::Findings => store
                .finding(crate::units::FindingId(id))
                .map_or_else(String::new, |f| finding_cell(app, f, folded, name)),
            Kind::Requests(_) => store
                .request(crate::units::RequestId(id))
                .map_or_else(String::new, |r| request_cell(app, r, name)),
            Kind::Phases(conn) => phase_cell(app, conn, id, name),
        }
    }
}

fn numbers(len: usize) -> Vec<Row> {
    (0..len)
        .map(|i| Row::One(u32::try_from(i).unwrap_or(u32::MAX)))
        .collect()
}

/// Compares texts so that 9 stands before 10.
fn natural(a: &str, b: &str) -> Ordering {
    match (a.trim().parse::<f64>(), b.trim().parse::<f64>()) {
        (Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    }
}

/// The finding that says how a connection ended.
pub fn close_of(store: &Store, conn: ConnId) -> Option<&Finding> {
    store.conn_findings(conn).find(|f| f.close)
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

/// Sids open at the end, and all.
fn sids(store: &Store, conn: ConnId) -> (usize, usize) {
    let mut open = 0_usize;
    let mut all = 0_usize;
    for session in store.conn_sessions(conn) {
        all = all.saturating_add(1);
        let closed = End::BOTH
            .iter()
            .all(|end| session.ends.get(*end).fin_frame.is_some());
        open = open.saturating_add(usize::from(!closed));
    }
    (open, all)
}

fn conn_cell(app: &App, conn: &ConnRow, name: &str) -> String {
    let store = &app.store;
    let login = conn.login.as_deref();
    let text = |value: Option<&String>| value.cloned().unwrap_or_else(|| "-".to_string());
    match name {
        "" => close_of(store, conn.id)
            .map_or(' ', |f| f.verdict.letter())
            .to_string(),
        "C" => conn.id.to_string(),
        "Client" => conn.endpoint(Side::Client).to_string(),
        "Server" => conn.endpoint(Side::Server).to_string(),
        "Start(s)" => at(app, conn.first_time),
        "Duration" => clock::span(conn.last_time.since(conn.first_time)),
        "Frames" => conn.frames.to_string(),
        "Bytes" => human(bytes_of(conn)),
        "MARS" => match conn.mars {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        }
        .to_string(),
        "Encr" => conn.encryption.map_or("-", |e| e.name()).to_string(),
        "Sids" => {
            let (open, all) = sids(store, conn.id);
            format!("{open}/{all}")
        }
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

fn conn_number(store: &Store, row: Row, column: usize) -> i128 {
    let (Row::One(id) | Row::Folded(id, _)) = row;
    let Some(conn) = store.conn(ConnId(id)) else {
        return 0;
    };
    match CONNECTIONS.get(column).map_or("", |h| h.name) {
        "C" => i128::from(id),
        "Start(s)" => i128::from(conn.first_time.0),
        "Duration" => i128::from(conn.last_time.since(conn.first_time)),
        "Frames" => i128::from(conn.frames),
        "Bytes" => i128::from(bytes_of(conn)),
        "Sids" => i128::try_from(sids(store, conn.id).1).unwrap_or(0),
        "" | "End" => close_of(store, conn.id).map_or(0, |f| -i128::from(f.verdict.weight())),
        _ => 0,
    }
}

fn finding_cell(app: &App, finding: &Finding, folded: u32, name: &str) -> String {
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

fn request_cell(app: &App, request: &RequestRow, name: &str) -> String {
    let dash = || "-".to_string();
    let waiting = request.end == crate::store::RequestEnd::Outstanding;
    match name {
        "Frame" => request.first_frame.to_string(),
        "Start(s)" => at(app, request.start),
        "C" => request.conn.to_string(),
        "Sid" => request
            .session
            .and_then(|s| app.store.session(s))
            .map_or_else(dash, super::timeline::lane_name),
        "Kind" => request.kind.name().to_string(),
        "First" => request.first_byte_ns.map_or_else(dash, clock::span),
        "Duration" if waiting => "=".to_string(),
        "Duration" => request.duration_ns.map_or_else(dash, clock::span),
        "Rows" => request.rows.map_or_else(dash, |r| r.to_string()),
        "Bytes" => human(request.answer_bytes),
        "End" => request.end.name().to_string(),
        "Text" => request.text.to_string(),
        _ => String::new(),
    }
}

fn request_number(store: &Store, row: Row, column: usize) -> i128 {
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
        Phase::SessionOpen => "session opened",
        Phase::Commands => "commands",
        Phase::SessionClosed => "session closed",
        Phase::Closing => "TCP close",
        Phase::Reset => "reset",
    }
}

fn phase_cell(app: &App, conn: ConnId, id: u32, name: &str) -> String {
    let Some(row) = app.store.conn(conn) else {
        return String::new();
    };
    let index = usize::try_from(id).unwrap_or(usize::MAX);
    let Some(phase) = row.phases.get(index) else {
        return String::new();
    };
    let start = app.store.frame(phase.frame).map(|f| f.time);
    match name {
        "Frame" => phase.frame.to_string(),
        "Start(s)" => start.map_or("-".to_string(), |t| at(app, t)),
        "Length" => {
            let next = row
                .phases
                .get(index.saturating_add(1))
                .and_then(|p| app.store.frame(p.frame))
                .map_or(row.last_time, |f| f.time);
            start.map_or("-".to_string(), |t| clock::span(next.since(t)))
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
