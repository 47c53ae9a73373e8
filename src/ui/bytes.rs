//! The bytes pane: hex and ASCII; the bytes of the field under the decode cursor are reversed, and the field of the
//! byte under this pane's cursor is the one that the decode pane stands on.

use std::ops::Range;

use ratatui::layout::Position;

use super::paint::Pen;
use super::theme::Role;
use crate::app::App;
use crate::app::command::Command;
use crate::app::hexing::{PER_LINE, hex_column, text_column};
use crate::app::layout::{Area, Pane};

/// Draws the pane; returns the place of its cursor.
pub fn draw(pen: &mut Pen<'_>, app: &App, area: Area) -> Option<Position> {
    let focused = app.focus == Pane::Bytes;
    let tree = app.decoded();
    let len = tree.map_or(0, |t| t.bytes.len());
    pen.head(area.row(0), &format!("Bytes {len:>4} B"), "", focused);
    if area.x > 0 {
        border(pen, area);
    }
    let body = area.below(1);
    let tree = tree?;
    let lines = app.bytes_limit().unwrap_or(body.h).min(body.h);
    let body = Area { h: lines, ..body };
    let marked = app.field_bytes();
    // While the list walks, no field was chosen: none stands out, and the line need not tell where one lies.
    let shown = marked
        .as_ref()
        .filter(|_| app.focus != Pane::List || app.tree.chosen);
    let top = app.bytes_top.min(len.div_ceil(PER_LINE).saturating_sub(1));
    // The field under the decode cursor is brought into view unless the pane was scrolled by hand.
    let top = match &marked {
        Some(range)
            if !focused && range.start / PER_LINE >= top.saturating_add(usize::from(body.h)) =>
        {
            range.start / PER_LINE
        }
        _ => top,
    };
    for y in 0..body.h {
        let start = top.saturating_add(usize::from(y)).saturating_mul(PER_LINE);
        let Some(bytes) = tree.bytes.get(start..) else {
            break;
        };
        if bytes.is_empty() {
            break;
        }
        let row = body.row(y);
        draw_line(pen, start, bytes, row, shown);
    }
    if lines < area.h.saturating_sub(1) {
        draw_rest(pen, app, len, top, area.row(lines.saturating_add(1)));
    }
    let byte = app.byte();
    let line = (byte / PER_LINE).checked_sub(top)?;
    let y = u16::try_from(line).ok().filter(|y| *y < body.h)?;
    let x = body.x.saturating_add(hex_column(byte % PER_LINE));
    Some(Position::new(x, body.y.saturating_add(y)))
}

/// That more bytes follow, and how they are asked for.
fn draw_rest(pen: &mut Pen<'_>, app: &App, len: usize, top: usize, row: Area) {
    let lines = app.bytes_limit().map_or(0, usize::from);
    let shown = top.saturating_add(lines).saturating_mul(PER_LINE);
    if len > shown {
        let key = app.key_of(Command::Bytes);
        let text = format!("...   {key} shows all bytes");
        let room = row.w.saturating_sub(2);
        pen.text(row.x.saturating_add(2), row.y, room, &text, Role::Dim);
    }
}

/// The line between this pane and the one beside it.
fn border(pen: &mut Pen<'_>, area: Area) {
    let (corner, side) = if pen.ascii() {
        ("+", "|")
    } else {
        ("\u{252c}", "\u{2502}")
    };
    for y in 0..area.h {
        let row = area.row(y);
        let sign = if y == 0 { corner } else { side };
        pen.text(row.x, row.y, 1, sign, Role::Dim);
    }
}

fn draw_line(
    pen: &mut Pen<'_>,
    start: usize,
    bytes: &[u8],
    row: Area,
    marked: Option<&Range<usize>>,
) {
    let end = row.x.saturating_add(row.w);
    let room = |x: u16| end.saturating_sub(x);
    pen.text(
        row.x.saturating_add(2),
        row.y,
        6,
        &format!("{start:04x}"),
        Role::Text,
    );
    for (i, byte) in bytes.iter().take(PER_LINE).enumerate() {
        let x = row.x.saturating_add(hex_column(i));
        let ascii = row.x.saturating_add(text_column(i));
        let is_marked =
            |at: usize| marked.is_some_and(|range| range.contains(&start.saturating_add(at)));
        let role = if is_marked(i) {
            Role::Cursor
        } else {
            Role::Text
        };
        if room(x) >= 2 {
            pen.text(x, row.y, 2, &format!("{byte:02x}"), role);
        }
        // The blanks within a field belong to it: one run costs the line less than one for each byte.
        let next = i.saturating_add(1);
        if is_marked(i) && is_marked(next) && next < bytes.len().min(PER_LINE) {
            let (from, to) = (x.saturating_add(2), hex_column(next).saturating_add(row.x));
            let blanks = to.saturating_sub(from).min(room(from));
            pen.text(from, row.y, blanks, &" ".repeat(usize::from(blanks)), role);
        }
        if room(ascii) >= 1 {
            let shown = if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '.'
            };
            pen.text(ascii, row.y, 1, &shown.to_string(), role);
        }
    }
}
