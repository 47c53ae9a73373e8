//! The full-width lists: connections, findings, requests, phases. Which rows, in which order.

mod cells;

use std::cmp::Ordering;

pub use cells::{human, phase_name};

use super::App;
use crate::store::{ConnRow, Finding, Store, Verdict};
use crate::units::words::counted;
use crate::units::{ConnId, FindingId, FrameNo, RequestId, Sid, Side};
use cells::{
    conn_cell, conn_number, finding_cell, phase_cell, request_cell, request_number, width_of_ends,
};

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
    /// Cells that the ends of connections take.
    ends: [u16; 2],
    /// Cells that the longest number of a connection takes.
    number: u16,
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
    head("Frames", 7, true, 110),
    head("Bytes", 8, true, 120),
    head("MARS", 4, false, 0),
    head("Encr", 6, false, 132),
    head("Sids", 7, true, 80),
    head("SPID", 5, true, 138),
    head("Host", 12, false, 156),
    head("Program", 14, false, 170),
    head("Database", 10, false, 160),
    head("Retr", 4, true, 143),
    head("RST", 3, true, 124),
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

/// Rows below a list for what the row under the cursor says in full, with a line above, where there is room.
pub fn detail_rows(height: u16) -> u16 {
    if height >= 16 { 4 } else { 0 }
}

/// Columns of which the greatest values are looked for: the slow ones, the long ones.
const GREATEST_FIRST: [&str; 7] = [
    "Duration", "First", "Rows", "Bytes", "Frames", "Retr", "RST",
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
            ends: [0; 2],
            number: 0,
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

    /// What the numbers of a column that is shown count, where its head has no room to say so.
    pub fn what_is_counted(&self, shown: &[usize]) -> Option<&'static str> {
        let is_sids = |column: &usize| {
            let head = self.columns().get(*column);
            head.is_some_and(|head| head.name == "Sids")
        };
        let says = self.kind == Kind::Connections && shown.iter().any(is_sids);
        says.then_some("Sids: open at the end/all")
    }

    /// Cells of a column; 0 takes what is left. Addresses and numbers of connections get what the longest needs.
    pub fn width(&self, head: &Head) -> u16 {
        let [client, server] = self.ends;
        match head.name {
            "Client" => client,
            "Server" => server,
            "C" => head.width.max(self.number),
            _ => head.width,
        }
    }

    /// Makes its rows anew, and keeps the cursor on its row.
    pub fn refresh(&mut self, app: &App) {
        if self.kind == Kind::Connections {
            self.ends = [Side::Client, Side::Server].map(|side| width_of_ends(app, side));
        }
        let here = self.rows.get(self.cursor).copied();
        let store = &app.store;
        let last = store.conns().len().saturating_sub(1);
        self.number = u16::try_from(last.to_string().len()).unwrap_or(0);
        let mut rows = match self.kind {
            Kind::Connections => numbers(store.conns().len()),
            Kind::Findings => self.finding_rows(store),
            Kind::Requests(None) => numbers(store.request_count()),
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

    /// Whose requests TLS hides, in words, if it does that of any connection.
    pub fn hidden_by_tls(&self, app: &App) -> Option<String> {
        let conns = app.store.conns().iter();
        let hidden = conns.filter(|conn| conn.hides_sids()).count();
        (self.kind == Kind::Requests(None) && hidden > 0)
            .then(|| format!("those of {}", counted(hidden, "encrypted connection")))
    }

    /// What is said in place of rows.
    pub fn why_empty(&self, app: &App) -> String {
        let encrypted = match self.kind {
            Kind::Requests(Some(conn)) => (app.store.conn(conn))
                .is_some_and(ConnRow::hides_sids)
                .then(|| "the connection is encrypted: its requests cannot be seen".to_string()),
            _ => self
                .hidden_by_tls(app)
                .map(|those| format!("none can be seen: {those} are hidden by TLS")),
        };
        encrypted.unwrap_or_else(|| "there are none".to_string())
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

    /// What its columns are called when they are typed, with their numbers.
    fn names(&self) -> impl Iterator<Item = (usize, String)> {
        let word = |name: &str| name.trim_end_matches("(s)").to_lowercase();
        let heads = self.columns().iter().enumerate();
        heads
            .filter(|(_, head)| !head.name.is_empty())
            .map(move |(at, head)| (at, word(head.name)))
    }

    /// The columns whose names begin with what was typed.
    pub fn columns_like(&self, typed: &str) -> Vec<String> {
        let typed = typed.to_lowercase();
        let names = self.names().map(|(_, name)| name);
        names.filter(|name| name.starts_with(&typed)).collect()
    }

    /// Sorts by a column's name, or by the first one that begins so.
    pub fn sort_by(&mut self, app: &App, name: &str) -> Result<(), String> {
        let typed = name.to_lowercase();
        let typed = typed.trim_end_matches("(s)");
        let whole = self.names().find(|(_, name)| *name == typed);
        let found = whole.or_else(|| self.names().find(|(_, name)| name.starts_with(typed)));
        let Some((column, _)) = found else {
            let names = self.columns_like("").join(" ");
            return Err(format!("no column {name}; there are {names}"));
        };
        let name = self.columns().get(column).map_or("", |head| head.name);
        self.descending = if self.sort == Some(column) {
            !self.descending
        } else {
            GREATEST_FIRST.contains(&name)
        };
        self.sort = Some(column);
        self.refresh(app);
        // What was asked for stands at the top.
        self.cursor = 0;
        self.top = 0;
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
        let id = self.number_here()?;
        match self.kind {
            Kind::Connections => Some(store.conn(ConnId(id))?.last_frame),
            Kind::Findings => store.finding(FindingId(id))?.decisive_frame(),
            Kind::Requests(_) => Some(store.request(RequestId(id))?.first_frame),
            Kind::Phases(conn) => store
                .conn(conn)?
                .phases
                .get(usize::try_from(id).ok()?)
                .map(|p| p.frame),
        }
    }

    /// The number in the store of what the row under the cursor shows.
    fn number_here(&self) -> Option<u32> {
        let (Row::One(id) | Row::Folded(id, _)) = *self.rows.get(self.cursor)?;
        Some(id)
    }

    /// The finding that the row under the cursor shows.
    pub(super) fn finding<'a>(&self, app: &'a App) -> Option<&'a Finding> {
        let id = self.number_here()?;
        let finding = || app.store.finding(FindingId(id));
        (self.kind == Kind::Findings).then(finding).flatten()
    }

    /// The connection that the row under the cursor is about.
    pub(super) fn conn(&self, app: &App) -> Option<ConnId> {
        let id = self.number_here()?;
        match self.kind {
            Kind::Connections => Some(ConnId(id)),
            Kind::Findings => app.store.finding(FindingId(id))?.conn,
            Kind::Requests(_) => Some(app.store.request(RequestId(id))?.conn),
            Kind::Phases(conn) => Some(conn),
        }
    }

    /// The Sid that the row under the cursor is about.
    pub(super) fn sid(&self, app: &App) -> Option<Sid> {
        let id = self.number_here()?;
        let session = match self.kind {
            Kind::Connections => None,
            Kind::Findings => app.store.finding(FindingId(id))?.session,
            Kind::Requests(_) => app.store.request(RequestId(id))?.session,
            Kind::Phases(conn) => {
                let at = usize::try_from(id).ok()?;
                return app.store.conn(conn)?.phases.get(at)?.sid;
            }
        };
        Some(app.store.session(session?)?.sid)
    }

    /// The row under the cursor with all its columns, tabs between them.
    pub(super) fn row_text(&self, app: &App) -> Option<String> {
        let row = *self.rows.get(self.cursor)?;
        let cells = (0..self.columns().len()).map(|column| self.cell(app, row, column));
        Some(cells.collect::<Vec<_>>().join("\t"))
    }

    /// What the row under the cursor says in full: how the connection ended, what was found, what was asked for.
    pub fn detail(&self, app: &App) -> Option<String> {
        let store = &app.store;
        let id = self.number_here()?;
        let told = |finding: &Finding| format!("{}: {}", finding.rule, finding.text);
        match self.kind {
            Kind::Connections => close_of(store, ConnId(id)).map(told),
            Kind::Findings => store.finding(FindingId(id)).map(told),
            Kind::Requests(_) => {
                let request = store.request(RequestId(id))?;
                let error = request.error.as_ref();
                let error =
                    error.map_or_else(String::new, |e| format!("  error {}: {}", e.number, e.text));
                Some(format!("{}{error}", store.text(request.text)))
            }
            Kind::Phases(_) => None,
        }
    }

    /// The verdict letter of a row, for its colour.
    pub fn verdict(&self, store: &Store, row: Row) -> Option<Verdict> {
        let (Row::One(id) | Row::Folded(id, _)) = row;
        match self.kind {
            Kind::Connections => close_of(store, ConnId(id)).map(|f| f.verdict),
            Kind::Findings => store.finding(FindingId(id)).map(|f| f.verdict),
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
                .finding(FindingId(id))
                .map_or_else(String::new, |f| finding_cell(app, f, folded, name)),
            Kind::Requests(_) => store
                .request(RequestId(id))
                .map_or_else(String::new, |r| request_cell(app, &r, name)),
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::app::settings::Settings;
    use crate::app::testing;
    use crate::app::{App, Event, update};
    use crate::units::ConnId;

    #[test]
    fn numbers_and_addresses_of_many_connections_are_not_cut() {
        let mut batch = testing::batch();
        let first = batch.conns[0].clone();
        batch.conns = (0..12_000)
            .map(|number| {
                let mut conn = ConnRow::clone(&first);
                conn.id = ConnId(number);
                if number > 9000 {
                    conn.ends.get_mut(conn.client).port = 60_999;
                }
                Arc::new(conn)
            })
            .collect();
        let mut app = App::new("many.pcapng", (100, 24), Settings::default());
        update(&mut app, Event::Batch(Box::new(batch)));
        let table = Table::new(Kind::Connections, &app);
        let [number, client] = ["C", "Client"].map(|name| {
            let column = CONNECTIONS.iter().position(|head| head.name == name);
            let column = column.unwrap();
            let cell = table.cell(&app, Row::One(11_999), column);
            (cell.len(), usize::from(table.width(&CONNECTIONS[column])))
        });
        assert_eq!(number, (5, 5));
        assert_eq!(client.0, client.1);
    }
}
