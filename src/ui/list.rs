//! The frame list: columns by width, one row per frame, the packets of an opened row below it.

use std::collections::BTreeSet;

use ratatui::layout::Position;

use super::paint::Pen;
use super::theme::Role;
use crate::app::App;
use crate::app::clock::{self, DeltaFrom};
use crate::app::columns::{Columns, GUTTER, Shown, closed_at, time_text};
use crate::app::command::Command;
use crate::app::copy::arrow;
use crate::app::facts::{self, Facts};
use crate::app::gutter::Gutter;
use crate::app::layout::{Area, Pane};
use crate::app::settings::Column;
use crate::dissect::listing;
use crate::store::FrameRow;
use crate::units::runs::in_words;
use crate::units::{FrameNo, SessionId, Side};

/// Frames looked back for the one that a delta counts from.
const LOOK_BACK: usize = 20_000;

/// Draws head and rows; returns the place of the cursor's row.
pub fn draw(pen: &mut Pen<'_>, app: &App, heads: Option<Area>, area: Area) -> Option<Position> {
    let Columns {
        shown: columns,
        lanes,
        ..
    } = Columns::new(app, area.w);
    if let Some(heads) = heads {
        draw_heads(pen, app, &columns, &lanes, heads);
    }
    let mut at = None;
    let mut y = 0;
    let mut row = app.list.top;
    while y < area.h {
        let Some(no) = app.list.rows.at(&app.store, row) else {
            break;
        };
        let here = no == app.list.cursor;
        let line = area.row(y);
        draw_row(pen, app, &columns, &lanes, no, line);
        if here && app.list.sub == 0 {
            at = Some(Position::new(area.x, line.y));
            cursor(pen, app, &columns, line);
        }
        y = y.saturating_add(1);
        for sub in 0..app.sub_rows(no) {
            if y >= area.h {
                break;
            }
            let line = area.row(y);
            draw_packet(pen, app, &columns, no, sub, line);
            if here && app.list.sub == sub.saturating_add(1) {
                at = Some(Position::new(area.x, line.y));
                cursor(pen, app, &columns, line);
            }
            y = y.saturating_add(1);
        }
        row = row.saturating_add(1);
    }
    if row == app.list.top {
        let text = empty_text(app);
        pen.text(1, area.y, area.w.saturating_sub(1), &text, Role::Dim);
    }
    at
}

/// The cursor's row is reversed in its first column, the number: what stands to the right need not be written
/// again when the cursor moves on.
fn cursor(pen: &mut Pen<'_>, app: &App, columns: &[Shown], line: Area) {
    pen.text(line.x, line.y, 1, ">", Role::Text);
    if app.focus == Pane::List {
        let numbers: u16 = columns
            .iter()
            .take_while(|c| !matches!(c.column, Column::Info | Column::Lanes))
            .take(1)
            .map(|c| c.width.saturating_add(1))
            .fold(GUTTER, u16::saturating_add);
        let w = numbers.saturating_sub(1).min(line.w);
        pen.over(Area { w, ..line }, Role::Cursor);
    }
}

fn empty_text(app: &App) -> String {
    if app.list.rows.is_filtered() {
        if app.jobs.filter.running {
            let stop = app.key_of(Command::Cancel);
            return format!("no frame yet that matches {}; {stop} stops", app.filter);
        }
        let sids = app.store.sessions().iter().map(|s| s.sid.0);
        let sids: Vec<u16> = sids.collect::<BTreeSet<_>>().into_iter().collect();
        return format!(
            "no frames match {} (Sids here: {}); & then Enter clears",
            app.filter,
            if sids.is_empty() {
                "none".to_string()
            } else {
                in_words(&sids, " ", 12)
            }
        );
    }
    if app.jobs.opening {
        let (close, cancel) = (app.key_of(Command::Close), app.key_of(Command::Cancel));
        format!("waiting for {}; {close} or {cancel} ends this", app.name)
    } else if app.jobs.indexing {
        "reading the capture ...".to_string()
    } else {
        "this capture holds no frames".to_string()
    }
}

fn heading(app: &App, column: Column) -> &'static str {
    match column {
        Column::No => "No",
        Column::Time => app.settings.time.heading(),
        Column::Delta => "d ms",
        Column::Conn => "C",
        Column::Dir => "Dr",
        Column::Sid => "Sid",
        Column::Kind => "Kind",
        Column::Seq => "Seq",
        Column::Wnd => "Wnd",
        Column::Len => "Len",
        Column::Lanes => "",
        Column::Src => "Source",
        Column::Dst => "Destination",
        Column::Flags => "Flags",
        Column::Info => "Info",
    }
}

fn draw_heads(pen: &mut Pen<'_>, app: &App, columns: &[Shown], lanes: &Gutter, area: Area) {
    let mut x = area.x.saturating_add(GUTTER);
    for shown in columns {
        if shown.column == Column::Lanes {
            pen.text(x, area.y, shown.width, &lanes.head(), Role::Head);
        } else {
            cell(pen, x, area, shown, heading(app, shown.column), Role::Head);
        }
        x = x.saturating_add(shown.width).saturating_add(1);
    }
}

/// Writes a cell; the last column takes what is left of the line.
fn cell(pen: &mut Pen<'_>, x: u16, line: Area, shown: &Shown, text: &str, role: Role) {
    let end = line.x.saturating_add(line.w);
    if x >= end {
        return;
    }
    let room = end.saturating_sub(x);
    if shown.column == Column::Info {
        pen.text(x, line.y, room, text, role);
    } else if shown.right {
        let width = shown.width.min(room);
        pen.right(x.saturating_add(width), line.y, width, text, role);
    } else {
        pen.text(x, line.y, shown.width.min(room), text, role);
    }
}

fn draw_row(
    pen: &mut Pen<'_>,
    app: &App,
    columns: &[Shown],
    lanes: &Gutter,
    no: FrameNo,
    line: Area,
) {
    let (Some(row), Some(facts)) = (app.store.frame(no), facts::facts(&app.store, no)) else {
        return;
    };
    let marked = app.marks.contains(no);
    let base = if marked { Role::Marked } else { Role::Text };
    if marked {
        pen.text(line.x.saturating_add(1), line.y, 1, "*", Role::Marked);
    }
    if let Some(finding) = app.store.finding_shown_on(no) {
        let letter = finding.verdict.letter().to_string();
        let role = Role::Verdict(finding.verdict);
        pen.text(line.x.saturating_add(2), line.y, 1, &letter, role);
    }
    let mut x = line.x.saturating_add(GUTTER);
    let mut colored: Option<(u16, u16)> = None;
    for shown in columns {
        if matches!(shown.column, Column::Dir | Column::Sid | Column::Kind) {
            let from = colored.map_or(x, |(from, _)| from);
            colored = Some((from, x.saturating_add(shown.width)));
        }
        match shown.column {
            Column::Lanes => draw_gutter(pen, app, lanes, no, x, line.y),
            column => {
                let text = text_of(app, column, no, &row, &facts);
                let role = match column {
                    Column::Dir | Column::Sid | Column::Kind => side_role(facts.side, base),
                    _ => base,
                };
                cell(pen, x, line, shown, &text, role);
            }
        }
        x = x.saturating_add(shown.width).saturating_add(1);
    }
    // One run of colour over direction, Sid and kind costs less to write than three.
    if let Some((from, to)) = colored {
        let w = to.saturating_sub(from).min(line.w.saturating_sub(from));
        pen.over(Area { x: from, w, ..line }, side_role(facts.side, base));
    }
    if app
        .chosen_range()
        .is_some_and(|(first, last)| first <= no && no <= last)
    {
        pen.over(line, Role::Chosen);
    }
}

fn draw_packet(
    pen: &mut Pen<'_>,
    app: &App,
    columns: &[Shown],
    no: FrameNo,
    sub: usize,
    line: Area,
) {
    let (Some(row), Some(facts)) = (app.store.frame(no), facts::pdu_facts(&app.store, no, sub))
    else {
        return;
    };
    let mut x = line.x.saturating_add(GUTTER);
    for shown in columns {
        let text = match shown.column {
            Column::No => format!("{no}.{}", sub.saturating_add(1)),
            Column::Time | Column::Delta | Column::Conn | Column::Lanes => String::new(),
            Column::Info => packet_info(app, no, sub),
            column => text_of(app, column, no, &row, &facts),
        };
        cell(
            pen,
            x,
            line,
            shown,
            &text,
            side_role(facts.side, Role::Text),
        );
        x = x.saturating_add(shown.width).saturating_add(1);
    }
}

fn side_role(side: Option<Side>, base: Role) -> Role {
    match side {
        _ if base == Role::Marked => base,
        Some(Side::Client) => Role::Client,
        Some(Side::Server) => Role::Server,
        None => base,
    }
}

fn text_of(app: &App, column: Column, no: FrameNo, row: &FrameRow, facts: &Facts) -> String {
    let dash = || "-".to_string();
    let number = |n: Option<u32>| n.map_or_else(dash, |n| n.to_string());
    let endpoint = |source: bool| {
        let end = if source { row.end() } else { row.end().other() };
        app.store
            .conn(row.conn?)
            .map(|c| c.ends.get(end).to_string())
    };
    match column {
        Column::No => no.to_string(),
        Column::Time => time_text(app, no, row),
        Column::Delta => delta_text(app, no, row, facts),
        Column::Conn => facts.conn.map_or_else(dash, |c| c.to_string()),
        Column::Dir => arrow(facts.side).to_string(),
        Column::Sid => facts.sid.map_or_else(dash, |s| s.to_string()),
        Column::Kind => facts.kind.clone(),
        Column::Seq => number(facts.seqnum),
        Column::Wnd => number(facts.wndw),
        Column::Len => facts.len.to_string(),
        Column::Src => endpoint(true).unwrap_or_else(dash),
        Column::Dst => endpoint(false).unwrap_or_else(dash),
        Column::Flags => listing::flag_letters(row.tcp_flags),
        Column::Info => info_text(app, no, facts),
        Column::Lanes => String::new(),
    }
}

fn packet_info(app: &App, no: FrameNo, sub: usize) -> String {
    app.store
        .pdus_in(no)
        .nth(sub)
        .and_then(|(id, _)| app.packet_line(id))
        .unwrap_or_default()
        .to_string()
}

/// What the frame says; a verdict's sentence stands before it.
fn info_text(app: &App, no: FrameNo, facts: &Facts) -> String {
    if let Some(part) = facts.part_of {
        return format!("part of {part}");
    }
    app.line(no).unwrap_or_default().to_string()
}

fn delta_text(app: &App, no: FrameNo, row: &FrameRow, facts: &Facts) -> String {
    let before = match app.settings.delta {
        DeltaFrom::Shown => app.list.rows.walk(&app.store, no, false).next(),
        DeltaFrom::Conn => row.prev,
        DeltaFrom::Sid => facts.session.and_then(|session| {
            let mut at = row.prev;
            for _ in 0..LOOK_BACK {
                let no = at?;
                if facts::carries(&app.store, no, session) {
                    return Some(no);
                }
                at = app.store.frame(no)?.prev;
            }
            None
        }),
    };
    before
        .and_then(|b| app.store.frame(b))
        .map_or_else(|| "-".to_string(), |b| clock::delta(row.time.since(b.time)))
}

fn draw_gutter(pen: &mut Pen<'_>, app: &App, lanes: &Gutter, no: FrameNo, x: u16, y: u16) {
    let conn = app.conn();
    let Some(row) = app.store.frame(no).filter(|row| row.conn == conn) else {
        return;
    };
    let mut x = x;
    for lane in &lanes.lanes {
        let (letter, role) = match lane.session {
            Some(session) => session_letter(app, session, no),
            None => tcp_letter(app, &row, no),
        };
        pen.text(x, y, 1, letter, role);
        x = x.saturating_add(lanes.step);
    }
}

fn session_letter(app: &App, session: SessionId, no: FrameNo) -> (&'static str, Role) {
    use crate::store::PduKind;
    let pdu = app
        .store
        .pdus_in(no)
        .find(|(_, pdu)| pdu.session == Some(session));
    if let Some((_, pdu)) = pdu {
        let side = app.store.pdu_side(&pdu);
        let letter = match (pdu.kind, side) {
            (PduKind::Syn, _) => "S",
            (PduKind::Ack, _) => "a",
            (PduKind::Fin, _) => "F",
            (_, Some(Side::Server)) => "<",
            _ => ">",
        };
        // The row's own columns have the colour of the side; here it would cost the line as much again.
        return (letter, Role::Text);
    }
    let open = app
        .store
        .session(session)
        .is_some_and(|s| s.open_frame <= no && no <= closed_at(s));
    (if open { "|" } else { " " }, Role::Text)
}

fn tcp_letter(app: &App, row: &FrameRow, no: FrameNo) -> (&'static str, Role) {
    let flags = row.tcp_flags;
    let letter = if flags.rst() {
        "R"
    } else if flags.fin() {
        "F"
    } else if flags.syn() {
        "S"
    } else {
        " "
    };
    let role = app
        .store
        .finding_on(no)
        .map_or(Role::Text, |f| Role::Verdict(f.verdict));
    (letter, role)
}
