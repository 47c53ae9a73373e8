//! Draws the state of the screen with ratatui. Pure: the same state and size give the same buffer.

mod bytes;
mod colors;
mod decode;
mod export_form;
mod ladder;
mod lanes;
mod layers;
mod lines;
mod list;
mod paint;
pub mod safe_text;
mod theme;
mod title;

use ratatui::buffer::Buffer;
use ratatui::layout::Position;

use crate::app::layout::{Area, Layout, Pane, SMALLEST};
use crate::app::ordering::wrap;
use crate::app::{App, Layer};
use paint::Pen;
use theme::Role;

/// Draws the screen and returns where the terminal's cursor stands. With a screen that is `kept`, the panes beside
/// the list are taken from it instead of being drawn anew.
pub fn draw(app: &App, buf: &mut Buffer, kept: Option<&Buffer>) -> Option<Position> {
    let layout = app.layout();
    if let Some(kept) = kept {
        for area in layout.panes_beside_list() {
            copy(kept, buf, area);
        }
    }
    let mut pen = Pen::new(app, buf);
    if layout.too_small {
        let text = format!("terminal too small: {}x{} needed", SMALLEST.0, SMALLEST.1);
        let width = usize::from(layout.screen.w);
        for (y, line) in (0..layout.screen.h).zip(wrap(&text, width)) {
            pen.text(0, y, layout.screen.w, &line, Role::Text);
        }
        return None;
    }
    let mut cursor = None;
    // What lies over the panes leaves the status line and the key line free.
    let above = Area {
        h: layout.status.map_or(layout.screen.h, |area| area.y),
        ..layout.screen
    };
    let over = app.layers.last();
    // Where lines are printed, nothing stands behind the form.
    let over = over.filter(|l| app.settings.plain || !matches!(l, Layer::Export(_)));
    if let Some(layer) = over {
        cursor = draw_layer(&mut pen, app, layer, above);
    } else {
        if let Some(area) = layout.title {
            title::draw(&mut pen, app, area);
        }
        if layout.list.h > 0 {
            let at = list::draw(&mut pen, app, layout.heads, layout.list);
            if app.focus == Pane::List {
                cursor = at;
            }
        }
        if kept.is_none() {
            cursor = cursor.or(draw_panes(&mut pen, app, &layout));
        }
    }
    if let Some(Layer::Export(form)) = app.layers.last() {
        cursor = Some(export_form::draw(&mut pen, form, above));
    }
    let typed = layout
        .status
        .and_then(|area| lines::status(&mut pen, app, area, layout.keys.is_some()));
    if let Some(area) = layout.keys {
        lines::keys(&mut pen, app, area);
    } else if let Some(status) = layout.status
        && lines::is_answered(app)
    {
        // What is wrong with the input, or what may follow it, stands where there is no line for keys, too.
        let area = Area {
            y: status.y.saturating_sub(1),
            ..status
        };
        pen.text(
            0,
            area.y,
            area.w,
            &" ".repeat(usize::from(area.w)),
            Role::Text,
        );
        lines::keys(&mut pen, app, area);
    }
    lines::pending(&mut pen, app, layout.screen);
    typed.or(cursor)
}

/// Draws the panes beside the list; returns the place of the cursor, if one of them has the focus.
fn draw_panes(pen: &mut Pen<'_>, app: &App, layout: &Layout) -> Option<Position> {
    let mut cursor = None;
    if let Some(area) = layout.lanes {
        let at = if app.timeline.ladder {
            ladder::draw(pen, app, area)
        } else {
            lanes::draw(pen, app, area)
        };
        if app.focus == Pane::Lanes {
            cursor = at;
        }
    }
    if let Some(area) = layout.decode {
        let at = decode::draw(pen, app, area);
        if app.focus == Pane::Decode {
            cursor = at;
        }
    }
    if let Some(area) = layout.bytes {
        let at = bytes::draw(pen, app, area);
        if app.focus == Pane::Bytes {
            cursor = at;
        }
    }
    cursor
}

fn copy(from: &Buffer, to: &mut Buffer, area: Area) {
    for y in area.y..area.y.saturating_add(area.h) {
        for x in area.x..area.x.saturating_add(area.w) {
            if let (Some(old), Some(cell)) = (from.cell((x, y)), to.cell_mut((x, y))) {
                cell.clone_from(old);
            }
        }
    }
}

fn draw_layer(pen: &mut Pen<'_>, app: &App, layer: &Layer, area: Area) -> Option<Position> {
    match layer {
        Layer::Table(table) => layers::table(pen, app, table, area),
        Layer::Export(form) => Some(export_form::draw(pen, form, area)),
        Layer::Help(help) => Some(layers::help(pen, app, help, area)),
        Layer::Text(page) => Some(layers::text(pen, page, area)),
    }
}

#[cfg(test)]
mod scenes;
#[cfg(test)]
mod tests;
