//! The ladder: time downward, client left, server right, one arrow per frame.

use super::paint::Pen;
use super::theme::Role;
use crate::app::App;
use crate::app::layout::{Area, Pane};
use crate::units::FrameNo;

/// Draws the ladder around the cursor's frame: the frames of its connection.
pub fn draw(pen: &mut Pen<'_>, app: &App, area: Area) {
    let Some(conn) = app.lane_conn() else {
        pen.head(area.row(0), "Ladder", "", app.focus == Pane::Lanes);
        return;
    };
    pen.head(
        area.row(0),
        &format!("Ladder  conn {conn}"),
        "client left, server right",
        app.focus == Pane::Lanes,
    );
    let rows = usize::from(area.h.saturating_sub(1));
    let here = app.list.cursor;
    let own = |no: &FrameNo| {
        app.store
            .frame(*no)
            .is_some_and(|row| row.conn == Some(conn))
    };
    let mut shown: Vec<FrameNo> = app
        .list
        .rows
        .walk(&app.store, here, false)
        .filter(own)
        .take(rows / 2)
        .collect();
    shown.reverse();
    shown.push(here);
    let left = rows.saturating_sub(shown.len());
    shown.extend(
        app.list
            .rows
            .walk(&app.store, here, true)
            .filter(own)
            .take(left),
    );
    for (i, no) in shown.into_iter().take(rows).enumerate() {
        let line = area.row(u16::try_from(i).unwrap_or(0).saturating_add(1));
        let text = app.ladder_line(no);
        pen.text(line.x, line.y, line.w, &text, Role::Text);
        if no == here {
            pen.over(line, Role::Cursor);
        }
    }
}
