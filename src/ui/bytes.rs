//! The bytes pane: hex and ASCII; the bytes of the field under the decode cursor are reversed.

use std::ops::Range;

use ratatui::layout::Position;

use super::paint::Pen;
use super::theme::Role;
use crate::app::App;
use crate::app::layout::{Area, Pane};

const PER_LINE: usize = 16;

/// Draws the pane; returns the place of its first line.
pub fn draw(pen: &mut Pen<'_>, app: &App, area: Area) -> Option<Position> {
    let focused = app.focus == Pane::Bytes;
    let tree = app.decoded();
    let len = tree.map_or(0, |t| t.bytes.len());
    pen.head(area.row(0), &format!("Bytes {len} B"), "", focused);
    let body = area.below(1);
    let tree = tree?;
    let marked = field_bytes(app);
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
        draw_line(pen, start, bytes, row, marked.as_ref());
    }
    Some(Position::new(body.x, body.y))
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
        row.x.saturating_add(1),
        row.y,
        6,
        &format!("{start:04x}"),
        Role::Dim,
    );
    let mut x = row.x.saturating_add(7);
    let mut ascii = row.x.saturating_add(57);
    for (i, byte) in bytes.iter().take(PER_LINE).enumerate() {
        let role = if marked.is_some_and(|r| r.contains(&start.saturating_add(i))) {
            Role::Cursor
        } else {
            Role::Text
        };
        if room(x) >= 2 {
            pen.text(x, row.y, 2, &format!("{byte:02x}"), role);
        }
        if room(ascii) >= 1 {
            let shown = if byte.is_ascii_graphic() || *byte == b' ' {
                char::from(*byte)
            } else {
                '.'
            };
            pen.text(ascii, row.y, 1, &shown.to_string(), role);
        }
        x = x.saturating_add(if i == 7 { 4 } else { 3 });
        ascii = ascii.saturating_add(1);
    }
}

/// The bytes of the field under the decode cursor, in the frame on screen.
fn field_bytes(app: &App) -> Option<Range<usize>> {
    let tree = app.decoded()?;
    let lines = app.tree.lines(tree);
    let field = lines.get(app.tree.cursor)?.field;
    field
        .spans
        .iter()
        .find(|s| s.frame == tree.frame)
        .map(|s| s.bytes.clone())
}
