//! The lanes: one row per Sid, time from left to right. marstui's own widget.

use ratatui::layout::Position;
use ratatui::style::Modifier;

use super::paint::Pen;
use super::theme::Role;
use crate::app::App;
use crate::app::clock;
use crate::app::command::Command;
use crate::app::layout::{Area, Pane};
use crate::app::settings::GlyphSet;
use crate::app::timeline::{LANE_NAME as NAME, Lane, Lanes, Mark, Scale, Shape, Slot, TICK};
use crate::store::Protocol;
use crate::units::Nanos;

/// From this width on, the head names the keys.
const WIDE: u16 = 140;

/// Draws the timeline; returns the place of its cursor.
pub fn draw(pen: &mut Pen<'_>, app: &App, area: Area) -> Option<Position> {
    let columns = app.lane_columns();
    let timeline = &app.timeline;
    let focused = app.focus == Pane::Lanes;
    let Some(lanes) = app.lanes(area) else {
        pen.head(area.row(0), "Sids", "", focused);
        if app.store.frame_count() == 0 {
            return None;
        }
        pen.text(
            1,
            area.y.saturating_add(1),
            area.w,
            "this frame belongs to no TCP connection",
            Role::Dim,
        );
        return None;
    };
    let shape = Shape::new(area, app.size.1);
    draw_head(pen, app, area, &lanes);
    let above = shape.above.saturating_sub(1);
    if shape.roomy && timeline.scale == Scale::Linear {
        draw_axis(pen, app, area.row(1), columns);
    }
    if timeline.scale == Scale::Events && above > 0 {
        draw_gaps(pen, app, &lanes.slots, area.row(1));
    }
    if shape.roomy || (above > 0 && timeline.scale == Scale::Linear) {
        draw_density(pen, app, area.row(above), &lanes, columns);
    }
    let here = app.store.time_of(app.list.cursor);
    let at = match timeline.scale {
        Scale::Linear => here.and_then(|time| timeline.column(time, columns)),
        Scale::Events => lanes
            .slots
            .iter()
            .position(|slot| *slot == Slot::Frame(app.list.cursor)),
    };
    let own = app.lane_of_cursor();
    let mut cursor = focused.then(|| Position::new(area.x, area.y));
    let mut y = shape.above;
    for lane in &lanes.lanes {
        if y >= area.h {
            break;
        }
        let line = area.row(y);
        let chosen = lane.of == own;
        // The line below the lanes points at the column; without it, the cell itself stands out.
        let cell = at.filter(|_| chosen && (focused || !shape.roomy));
        draw_lane(pen, lane, line, cell, focused && chosen);
        if focused && chosen {
            let column = at.and_then(|c| u16::try_from(c).ok());
            let x = column.map_or(0, |c| NAME.saturating_add(c));
            cursor = Some(Position::new(line.x.saturating_add(x), line.y));
        }
        y = y.saturating_add(1);
    }
    if shape.roomy {
        draw_pointer(pen, app, area, y, at);
        draw_legend(pen, area, &lanes);
        y = y.saturating_add(1);
    }
    let free = area.h.saturating_sub(u16::from(shape.roomy));
    if lanes.total == 0 && y < free {
        let row = area.row(y);
        let x = row.x.saturating_add(1);
        pen.text(x, row.y, row.w, why_no_sids(app), Role::Dim);
    }
    cursor
}

/// Why there are no lanes of Sids.
fn why_no_sids(app: &App) -> &'static str {
    let conn = app.lane_conn().and_then(|id| app.store.conn(id));
    match conn {
        Some(conn) if conn.hides_sids() => "TLS, Sids not visible",
        Some(conn) if conn.protocol == Protocol::Other => "no SQL Server seen on this connection",
        Some(conn) if conn.mars == Some(false) => "no MARS, so no Sids",
        _ => "",
    }
}

fn draw_legend(pen: &mut Pen<'_>, area: Area, lanes: &Lanes) {
    let line = area.row(area.h.saturating_sub(1));
    let text = " S open  > request  < reply  X both  a ack  F close  R reset  ! fault  - open, quiet  = waiting  | phase";
    let end = pen.text(line.x, line.y, line.w, text, Role::Dim);
    // Where there are none, or none can be seen, that is said in a line of its own.
    if lanes.total == 0 {
        return;
    }
    let shown = lanes.lanes.len().saturating_sub(1);
    let many = format!("Sids {shown} of {}", lanes.total);
    let stop = line.x.saturating_add(line.w);
    let room = stop.saturating_sub(end).saturating_sub(3);
    if usize::from(room) > many.len() {
        pen.right(stop.saturating_sub(1), line.y, room, &many, Role::Dim);
    }
}

fn draw_head(pen: &mut Pen<'_>, app: &App, area: Area, lanes: &Lanes) {
    let conn = app
        .lane_conn()
        .map_or(String::new(), |c| format!("conn {c}"));
    let shown = lanes.lanes.len().saturating_sub(1);
    let total = lanes.total;
    let many = match lanes.above {
        Some(above) => format!(
            "Sids {}-{} of {total}",
            above.saturating_add(1),
            above.saturating_add(shown)
        ),
        None if shown < total => format!("Sids {shown} of {total}"),
        None => "Sids".to_string(),
    };
    let title = format!("{many}  {conn}");
    let mut right = match app.timeline.scale {
        Scale::Linear => {
            let base = app.time_base();
            let decimals = app.timeline.decimals();
            let time = |at: Nanos| clock::seconds(at.since(base), decimals);
            let from = time(app.timeline.from);
            let to = time(app.timeline.end(app.lane_columns()));
            format!("{from} .. {to}  {}/col", clock::span(app.timeline.per_col))
        }
        Scale::Events => "event scale: a column per frame, : a wait".to_string(),
    };
    if area.w >= WIDE && app.timeline.scale == Scale::Linear {
        let key = |command| app.key_of(command);
        right = format!(
            "{right}   {}/{} zoom   {} fit   {} events",
            key(Command::ZoomIn),
            key(Command::ZoomOut),
            key(Command::Fit),
            key(Command::EventScale),
        );
    }
    pen.head(area.row(0), &title, &right, app.focus == Pane::Lanes);
}

/// The times of some columns; they stand at round times, so that they move with the lanes.
fn draw_axis(pen: &mut Pen<'_>, app: &App, line: Area, columns: u16) {
    let base = app.time_base();
    let timeline = &app.timeline;
    let decimals = timeline.decimals();
    let behind = timeline
        .from
        .since(base)
        .div_euclid(timeline.per_col.max(1));
    let first = behind.saturating_neg().rem_euclid(i64::from(TICK));
    let mut column = u16::try_from(first).unwrap_or(0);
    while column.saturating_add(14) <= columns {
        let time = timeline.start_of(column);
        let text = format!("|{}", clock::seconds(time.since(base), decimals));
        let x = line.x.saturating_add(NAME).saturating_add(column);
        pen.text(x, line.y, 18, &text, Role::Dim);
        column = column.saturating_add(TICK);
    }
}

/// The lengths of the waits, above their columns, as far as they do not overlap.
fn draw_gaps(pen: &mut Pen<'_>, app: &App, slots: &[Slot], line: Area) {
    pen.text(line.x, line.y, NAME, " waits", Role::Dim);
    if slots.iter().all(|slot| matches!(slot, Slot::Frame(_))) {
        let text = format!("none longer than {}", clock::span(app.timeline.gap_ns));
        let x = line.x.saturating_add(NAME);
        pen.text(x, line.y, line.w.saturating_sub(NAME), &text, Role::Dim);
    }
    let mut free = 0;
    for (column, slot) in slots.iter().enumerate() {
        if let Slot::Gap(_, wait) = slot
            && column >= free
        {
            let text = format!(":{}", clock::span(*wait));
            let x = u16::try_from(column).unwrap_or(u16::MAX);
            let x = line.x.saturating_add(NAME).saturating_add(x);
            pen.text(x, line.y, 12, &text, Role::Dim);
            free = column.saturating_add(text.len()).saturating_add(1);
        }
    }
}

/// The density of the whole capture; what the lanes show stands in brackets.
fn draw_density(pen: &mut Pen<'_>, app: &App, line: Area, lanes: &Lanes, columns: u16) {
    pen.text(line.x, line.y, NAME, " all", Role::Dim);
    // Each second of progress would draw it anew.
    if app.is_being_read() {
        return;
    }
    let (Some(start), Some(last)) = (app.store.start_time(), app.store.end_time()) else {
        return;
    };
    let counts = app.density.columns(last, columns);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let glyphs: &[char] = match pen.glyphs {
        GlyphSet::Ascii => &['.', ':', '-', '=', '+', '*', '#'],
        GlyphSet::Unicode => &[
            '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}',
            '\u{2588}',
        ],
        GlyphSet::Braille => &[
            '\u{2840}', '\u{28c0}', '\u{28c4}', '\u{28e4}', '\u{28e6}', '\u{28f6}', '\u{28f7}',
            '\u{28ff}',
        ],
    };
    let mut text: Vec<char> = counts
        .iter()
        .map(|n| density_glyph(*n, most, glyphs))
        .collect();
    let span = i128::from(last.since(start).max(1));
    let column_of = |time: Nanos| {
        let at = i128::from(time.since(start)).clamp(0, span);
        usize::try_from(at.saturating_mul(i128::from(columns.saturating_sub(1))) / span)
            .unwrap_or(0)
    };
    let (from, to) = shown_times(app, lanes, columns);
    let from = column_of(from);
    let to = column_of(to).max(from.saturating_add(1));
    if let Some(cell) = text.get_mut(from) {
        *cell = '[';
    }
    let last_cell = text.len().saturating_sub(1);
    if let Some(cell) = text.get_mut(to.min(last_cell)) {
        *cell = ']';
    }
    let text: String = text.into_iter().collect();
    pen.text(
        line.x.saturating_add(NAME),
        line.y,
        columns,
        &text,
        Role::Dim,
    );
}

/// The stretch of time that the lanes show.
fn shown_times(app: &App, lanes: &Lanes, columns: u16) -> (Nanos, Nanos) {
    let time = |slot: Option<&Slot>| Some(app.store.frame(slot?.frame())?.time);
    match (time(lanes.slots.first()), time(lanes.slots.last())) {
        (Some(first), Some(last)) => (first, last),
        _ => (app.timeline.from, app.timeline.end(columns)),
    }
}

/// Something that is there is never drawn as nothing: the scale is by powers of two below the most.
fn density_glyph(n: u64, most: u64, glyphs: &[char]) -> char {
    if n == 0 {
        return ' ';
    }
    let below = most.checked_ilog2().unwrap_or(0).saturating_sub(n.ilog2());
    let top = glyphs.len().saturating_sub(1);
    let at = top.saturating_sub(usize::try_from(below).unwrap_or(top));
    glyphs.get(at).copied().unwrap_or('.')
}

fn draw_lane(pen: &mut Pen<'_>, lane: &Lane, area: Area, cursor: Option<usize>, chosen: bool) {
    let sign = if chosen { ">" } else { " " };
    let pin = if lane.pinned { "*" } else { "" };
    let name = format!("{sign}{}{pin}", lane.name);
    pen.text(area.x, area.y, NAME.saturating_sub(1), &name, Role::Text);
    if chosen {
        let name = Area {
            w: NAME.saturating_sub(1),
            ..area
        };
        pen.over(name, Role::Cursor);
    }
    let mut x = area.x.saturating_add(NAME);
    for (i, cell) in lane.cells.iter().enumerate() {
        let mut style = pen.style(Role::Lane(cell.mark));
        if cell.events > 1 {
            style = style.add_modifier(Modifier::UNDERLINED);
        }
        if cursor == Some(i) {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let glyph = glyph(pen.glyphs, cell.mark);
        if glyph != ' ' || cursor == Some(i) {
            let mut text = [0; 4];
            pen.styled(x, area.y, 1, glyph.encode_utf8(&mut text), style);
        }
        x = x.saturating_add(1);
    }
    let room = area
        .x
        .saturating_add(area.w)
        .saturating_sub(x.saturating_add(1));
    let tail = if room < 20 {
        lane.tail.rsplit("  ").next().unwrap_or(&lane.tail)
    } else {
        &lane.tail
    };
    pen.text(x.saturating_add(1), area.y, room, tail, Role::Text);
}

/// Lines get better glyphs where the terminal has them; events stay letters in every set.
fn glyph(glyphs: GlyphSet, mark: Mark) -> char {
    match (glyphs, mark) {
        (GlyphSet::Ascii, _) => mark.letter(),
        (_, Mark::Open) => '\u{2500}',
        (_, Mark::Waiting) => '\u{2501}',
        (_, Mark::Border) => '\u{2502}',
        _ => mark.letter(),
    }
}

fn draw_pointer(pen: &mut Pen<'_>, app: &App, area: Area, y: u16, at: Option<usize>) {
    if y >= area.h.saturating_sub(1) {
        return;
    }
    let Some(column) = at.and_then(|c| u16::try_from(c).ok()) else {
        return;
    };
    let text = format!("^ frame {}", app.list.cursor);
    let x = area.x.saturating_add(NAME).saturating_add(column);
    let room = area.w.saturating_sub(NAME.saturating_add(column));
    if usize::from(room) > text.len() {
        pen.text(x, area.y.saturating_add(y), room, &text, Role::Text);
    } else {
        let text = format!("frame {} ^", app.list.cursor);
        pen.right(
            x.saturating_add(1),
            area.y.saturating_add(y),
            x,
            &text,
            Role::Text,
        );
    }
}
