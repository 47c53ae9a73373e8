//! The lanes: one row per Sid, time from left to right. marstui's own widget.

use super::paint::Pen;
use super::theme::Role;
use crate::app::App;
use crate::app::clock;
use crate::app::layout::{Area, Pane};
use crate::app::settings::GlyphSet;
use crate::app::timeline::{Lane, LaneOf, Mark, Scale, Scene, Slot, lanes, slots};
use crate::units::Nanos;
use ratatui::style::Modifier;

/// Cells of a lane's name.
const NAME: u16 = 10;
/// From this height of the screen on, the axis, the cursor's line and the legend are shown.
const ROOMY: u16 = 40;

/// Draws the timeline.
pub fn draw(pen: &mut Pen<'_>, app: &App, area: Area) {
    let columns = app.lane_columns();
    let timeline = &app.timeline;
    let focused = app.focus == Pane::Lanes;
    let Some(conn) = app.lane_conn() else {
        pen.head(area.row(0), "Sids", "", focused);
        pen.text(
            1,
            area.y.saturating_add(1),
            area.w,
            "this frame belongs to no TCP connection",
            Role::Dim,
        );
        return;
    };
    let scene = Scene {
        store: &app.store,
        conn,
        cursor: app.list.cursor,
        ignored: &app.ignored,
        columns,
    };
    let roomy = app.size.1 >= ROOMY && area.h >= 8;
    let furniture = if roomy { 5 } else { 2 };
    let room = usize::from(area.h.saturating_sub(furniture)).max(1);
    let (made, total) = lanes(&scene, timeline, room);
    draw_head(pen, app, area, made.len().saturating_sub(1), total);
    let mut y = 1;
    if roomy {
        match timeline.scale {
            Scale::Linear => draw_axis(pen, app, area.row(y), columns),
            Scale::Events => draw_gaps(pen, &slots(&scene, timeline.gap_ns), area.row(y)),
        }
        y = y.saturating_add(1);
    }
    if area.h > 2 {
        draw_density(pen, app, area.row(y), columns);
        y = y.saturating_add(1);
    }
    let here = app.store.frame(app.list.cursor).map(|f| f.time);
    let at = match timeline.scale {
        Scale::Linear => here.and_then(|time| timeline.column(time, columns)),
        Scale::Events => slots(&scene, timeline.gap_ns)
            .iter()
            .position(|slot| *slot == Slot::Frame(app.list.cursor)),
    };
    let own = app.session().map_or(LaneOf::Tcp, LaneOf::Session);
    for lane in &made {
        if y >= area.h {
            break;
        }
        draw_lane(pen, lane, area.row(y), at.filter(|_| lane.of == own));
        y = y.saturating_add(1);
    }
    if roomy {
        draw_pointer(pen, app, area, y, at);
        let last = area.h.saturating_sub(1);
        let text = " S open  > request  < reply  X both  a ack  F close  R reset  ! fault  - open, quiet  = waiting";
        pen.text(area.x, area.y.saturating_add(last), area.w, text, Role::Dim);
    }
}

fn draw_head(pen: &mut Pen<'_>, app: &App, area: Area, shown: usize, total: usize) {
    let conn = app
        .lane_conn()
        .map_or(String::new(), |c| format!("conn {c}"));
    let columns = app.lane_columns();
    let base = app.time_base();
    let decimals = app.decimals().min(6);
    let from = clock::seconds(app.timeline.from.since(base), decimals);
    let to = clock::seconds(app.timeline.end(columns).since(base), decimals);
    let many = if shown < total {
        format!("Sids {shown} of {total}")
    } else {
        "Sids".to_string()
    };
    let title = format!("{many}  {conn}");
    let right = match app.timeline.scale {
        Scale::Linear => format!("{from} .. {to}  {}/col", clock::span(app.timeline.per_col)),
        Scale::Events => "event scale: a column per frame, : a wait".to_string(),
    };
    pen.head(area.row(0), &title, &right, app.focus == Pane::Lanes);
}

fn draw_axis(pen: &mut Pen<'_>, app: &App, line: Area, columns: u16) {
    let base = app.time_base();
    let decimals = app.decimals().min(6);
    let mut column = 0_u16;
    while column.saturating_add(14) <= columns {
        let time = Nanos(
            app.timeline
                .from
                .0
                .saturating_add(app.timeline.per_col.saturating_mul(i64::from(column))),
        );
        let text = format!("|{}", clock::seconds(time.since(base), decimals));
        let x = line.x.saturating_add(NAME).saturating_add(column);
        pen.text(x, line.y, 18, &text, Role::Dim);
        column = column.saturating_add(20);
    }
}

/// The lengths of the waits, above their columns, as far as they do not overlap.
fn draw_gaps(pen: &mut Pen<'_>, slots: &[Slot], line: Area) {
    let mut free = 0;
    for (column, slot) in slots.iter().enumerate() {
        if let Slot::Gap(wait) = slot
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
fn draw_density(pen: &mut Pen<'_>, app: &App, line: Area, columns: u16) {
    pen.text(line.x, line.y, NAME, " all", Role::Dim);
    let (Some(start), Some(last)) = (
        app.store.start_time(),
        app.store
            .last_frame()
            .and_then(|no| app.store.frame(no))
            .map(|f| f.time),
    ) else {
        return;
    };
    let counts = app.density.columns(last, columns);
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let glyphs: &[char] = match pen.glyphs {
        GlyphSet::Ascii => &['.', ':', '-', '=', '+', '#'],
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
    let from = column_of(app.timeline.from);
    let to = column_of(app.timeline.end(columns)).max(from.saturating_add(1));
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

fn draw_lane(pen: &mut Pen<'_>, lane: &Lane, area: Area, cursor: Option<usize>) {
    let pin = if lane.pinned { "*" } else { " " };
    let name = format!("{pin}{}", lane.name);
    pen.text(area.x, area.y, NAME.saturating_sub(1), &name, Role::Text);
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
        (_, Mark::Waiting) => '\u{2550}',
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
