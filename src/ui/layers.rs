//! What lies over the panes: the full-width lists, the help, pages of text.

use ratatui::layout::Position;

use super::paint::Pen;
use super::theme::Role;
use crate::app::App;
use crate::app::Help;
use crate::app::help::{Columns, HelpLine};
use crate::app::layout::Area;
use crate::app::ordering::wrap;
use crate::app::page::Page;
use crate::app::tables::{Kind, Row, Table, detail_rows};
use crate::store::Verdict;
use crate::units::words::counted;

/// Draws a list; returns the place of its cursor.
pub fn table(pen: &mut Pen<'_>, app: &App, table: &Table, area: Area) -> Option<Position> {
    let mut right = counted(table.rows.len(), "row");
    if !table.filter.is_empty() {
        right = format!("{right} with {}", table.filter);
    } else if !table.rows.is_empty()
        && let Some(hidden) = table.hidden_by_tls(app)
    {
        right = format!("{right}, without {hidden}");
    }
    let shown = table.shown(app.size.0);
    if let Some(what) = table.what_is_counted(&shown) {
        right = format!("{what}   {right}");
    }
    pen.head(area.row(0), &table.title(), &right, true);
    let mut body = area.below(1);
    if table.kind == Kind::Findings {
        strip(pen, app, body.row(0));
        body = body.below(1);
    }
    let mut x = body.x.saturating_add(1);
    for column in &shown {
        let Some(head) = table.columns().get(*column) else {
            continue;
        };
        let sign = match (table.sort == Some(*column), table.descending) {
            (true, false) => "^",
            (true, true) => "v",
            _ => "",
        };
        let name = format!("{}{sign}", head.name);
        x = cell(
            pen,
            x,
            body.row(0),
            table.width(head),
            head.right,
            &name,
            Role::Head,
        );
    }
    let body = body.below(1);
    let rows = detail_rows(area.h);
    let foot = area.below(area.h.saturating_sub(rows));
    let body = Area {
        h: body.h.saturating_sub(rows),
        ..body
    };
    if rows > 0 {
        detail(pen, app, table, foot);
    }
    let mut at = None;
    for y in 0..body.h {
        let index = table.top.saturating_add(usize::from(y));
        let Some(row) = table.rows.get(index) else {
            break;
        };
        let line = body.row(y);
        draw_row(pen, app, table, *row, &shown, line);
        if index == table.cursor {
            at = Some(Position::new(line.x, line.y));
            pen.text(line.x, line.y, 1, ">", Role::Text);
            pen.over(line, Role::Cursor);
        }
    }
    if table.rows.is_empty() {
        let text = if !table.filter.is_empty() {
            format!("no row holds {}; & then Enter clears", table.filter)
        } else if app.jobs.indexing || (table.kind == Kind::Findings && !app.jobs.judged) {
            "the capture is still being read".to_string()
        } else {
            table.why_empty(app)
        };
        pen.text(1, body.y, body.w, &text, Role::Dim);
    }
    at
}

/// What the row under the cursor says in full, as far as there is room for it.
fn detail(pen: &mut Pen<'_>, app: &App, table: &Table, area: Area) {
    let Some(text) = table.detail(app) else {
        return;
    };
    pen.head(area.row(0), "", "", false);
    let room = area.w.saturating_sub(2);
    let lines = wrap(&text, usize::from(room));
    let last = area.h.saturating_sub(2);
    for (y, line) in (0..area.h.saturating_sub(1)).zip(&lines) {
        let row = area.row(y.saturating_add(1));
        let goes_on = y == last && lines.len() > usize::from(last).saturating_add(1);
        let line = if goes_on {
            format!("{line} ...")
        } else {
            line.clone()
        };
        pen.text(row.x.saturating_add(1), row.y, room, &line, Role::Text);
    }
}

fn draw_row(pen: &mut Pen<'_>, app: &App, table: &Table, row: Row, shown: &[usize], line: Area) {
    let role = table
        .verdict(&app.store, row)
        .map_or(Role::Text, Role::Verdict);
    let mut x = line.x.saturating_add(1);
    for column in shown {
        let Some(head) = table.columns().get(*column) else {
            continue;
        };
        let text = table.cell(app, row, *column);
        let role = if matches!(head.name, "" | "Verdict" | "End") {
            role
        } else {
            Role::Text
        };
        x = cell(pen, x, line, table.width(head), head.right, &text, role);
    }
}

/// Writes a cell and returns where the next one begins.
fn cell(
    pen: &mut Pen<'_>,
    x: u16,
    line: Area,
    width: u16,
    right: bool,
    text: &str,
    role: Role,
) -> u16 {
    let end = line.x.saturating_add(line.w);
    let room = end.saturating_sub(x);
    let width = if width == 0 { room } else { width.min(room) };
    if right {
        pen.right(x.saturating_add(width), line.y, width, text, role);
    } else {
        pen.text(x, line.y, width, text, role);
    }
    x.saturating_add(width).saturating_add(1)
}

/// When findings happened: one cell per stretch of time, the gravest of each.
fn strip(pen: &mut Pen<'_>, app: &App, line: Area) {
    let store = &app.store;
    let columns = line.w.saturating_sub(2);
    let (Some(start), Some(last)) = (store.start_time(), store.end_time()) else {
        return;
    };
    let span = i128::from(last.since(start).max(1));
    let mut cells: Vec<Option<Verdict>> = vec![None; usize::from(columns)];
    for finding in store.findings() {
        let time = finding.decisive_frame().and_then(|no| store.time_of(no));
        let Some(time) = time else {
            continue;
        };
        let at = i128::from(time.since(start)).clamp(0, span);
        let column = at
            .saturating_mul(i128::from(columns.saturating_sub(1)))
            .checked_div(span)
            .unwrap_or(0);
        if let Some(cell) = usize::try_from(column).ok().and_then(|c| cells.get_mut(c))
            && cell.is_none_or(|v| v.weight() < finding.verdict.weight())
        {
            *cell = Some(finding.verdict);
        }
    }
    let mut x = line.x.saturating_add(1);
    for cell in cells {
        match cell {
            Some(verdict) => {
                let letter = verdict.letter().to_string();
                pen.text(x, line.y, 1, &letter, Role::Verdict(verdict));
            }
            None => {
                pen.text(x, line.y, 1, ".", Role::Dim);
            }
        }
        x = x.saturating_add(1);
    }
}

/// Draws the help.
pub fn help(pen: &mut Pen<'_>, app: &App, help: &Help, area: Area) -> Position {
    let right = if help.search.is_empty() && !help.begun {
        "type to search, or / and a word; q closes".to_string()
    } else {
        format!("search: {}", help.search)
    };
    pen.head(area.row(0), "Keys", &right, true);
    let body = area.below(1);
    let lines = help.lines(&app.keymap, area.w);
    let columns = Columns::new(area.w);
    let sentence = |pen: &mut Pen<'_>, row: Area, part: &str| {
        let x = row.x.saturating_add(columns.sentence);
        pen.text(x, row.y, row.w.saturating_sub(x), part, Role::Text);
    };
    for (y, line) in lines
        .iter()
        .skip(help.top)
        .take(usize::from(body.h))
        .enumerate()
    {
        let row = body.row(u16::try_from(y).unwrap_or(0));
        match line {
            HelpLine::Heading(text) => {
                pen.text(row.x.saturating_add(1), row.y, row.w, text, Role::Head);
            }
            HelpLine::Command(keys, name, part) => {
                let at = row.x.saturating_add(Columns::KEYS);
                let room = columns.name.unwrap_or(columns.sentence).max(19);
                let room = room.saturating_sub(Columns::KEYS).saturating_sub(1);
                pen.text(at, row.y, room, keys, Role::Key);
                if let Some(name_at) = columns.name {
                    let at = row.x.saturating_add(name_at);
                    let room = columns.sentence.saturating_sub(name_at).saturating_sub(1);
                    pen.text(at, row.y, room, name, Role::Dim);
                }
                sentence(pen, row, part);
            }
            HelpLine::More(part) => sentence(pen, row, part),
        }
    }
    if lines.is_empty() {
        pen.text(
            1,
            body.y,
            body.w,
            "no command matches; Backspace removes a letter",
            Role::Dim,
        );
    }
    Position::new(area.x, area.y)
}

/// Draws a page of text.
pub fn text(pen: &mut Pen<'_>, page: &Page, area: Area) -> Position {
    let Page {
        title, lines, top, ..
    } = page;
    pen.head(area.row(0), title, &counted(lines.len(), "line"), true);
    let body = area.below(1);
    for (y, line) in lines
        .iter()
        .skip(*top)
        .take(usize::from(body.h))
        .enumerate()
    {
        let row = body.row(u16::try_from(y).unwrap_or(0));
        pen.text(
            row.x.saturating_add(1),
            row.y,
            row.w.saturating_sub(1),
            line,
            Role::Text,
        );
    }
    Position::new(area.x, area.y)
}
