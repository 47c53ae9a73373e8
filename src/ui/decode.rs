//! The decode pane: the tree of the frame under the cursor.

use std::fmt::Write as _;

use ratatui::layout::Position;

use super::paint::Pen;
use super::safe_text::{safe_text, width};
use super::theme::Role;
use crate::app::App;
use crate::app::layout::{Area, Pane};
use crate::app::tables::phase_name;
use crate::app::tree;
use crate::dissect::render;

/// Draws the pane; returns the place of the field under the cursor.
pub fn draw(pen: &mut Pen<'_>, app: &App, area: Area) -> Option<Position> {
    let focused = app.focus == Pane::Decode;
    let title = title(app);
    let right = verdict(app);
    pen.head(area.row(0), &title, &right, focused);
    let body = area.below(1);
    let lines = app.tree.lines(app.decoded()?);
    let mut at = None;
    let shown = lines.iter().enumerate().skip(app.tree.top);
    for (y, (i, line)) in shown.take(usize::from(body.h)).enumerate() {
        let row = body.row(u16::try_from(y).unwrap_or(0));
        let sign = match line.open {
            Some(true) => "v",
            Some(false) => ">",
            None => " ",
        };
        let sign = if line.goes_on { " " } else { sign };
        let before = tree::indent(line.depth).saturating_sub(2);
        let words = line
            .part
            .clone()
            .unwrap_or_else(|| render::line(line.field));
        let text = format!("{:before$}{sign} {}", "", words.trim_end());
        pen.text(row.x, row.y, row.w, &text, Role::Text);
        if line.depth == 0 && !line.goes_on {
            // The name alone: a line of many frames changes behind it, and costs no change of colour there.
            let name = width(&safe_text(&line.field.label, pen.ascii()));
            let w = u16::try_from(before.saturating_add(name).saturating_add(2)).unwrap_or(row.w);
            pen.over(
                Area {
                    w: w.min(row.w),
                    ..row
                },
                Role::Head,
            );
        }
        if i == app.tree.cursor {
            at = Some(Position::new(row.x, row.y));
            // With the bytes in focus, it is the field that their cursor stands in.
            if focused || app.focus == Pane::Bytes {
                pen.over(row, Role::Cursor);
            }
        }
    }
    at
}

fn title(app: &App) -> String {
    let no = app.list.cursor;
    if app.store.frame(no).is_none() {
        return "Frame".to_string();
    }
    let mut out = format!("Frame {no}");
    let conn = app.conn().and_then(|id| app.store.conn(id));
    if let Some(conn) = conn {
        let phase = conn.phases.iter().rev().find(|p| p.frame <= no);
        if let Some(phase) = phase {
            out.push_str("  ");
            out.push_str(phase_name(phase.phase));
            if let Some(sid) = phase.sid {
                let _ = write!(out, " (Sid {sid})");
            }
        }
    }
    out
}

fn verdict(app: &App) -> String {
    app.store
        .finding_shown_on(app.list.cursor)
        .map_or_else(String::new, |f| {
            let letter = f.verdict.letter();
            format!("verdict {letter} {}", f.verdict.name())
        })
}
