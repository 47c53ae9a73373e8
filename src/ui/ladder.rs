//! The ladder: time downward, client left, server right, one arrow per frame.

use ratatui::layout::Position;

use super::paint::Pen;
use super::theme::Role;
use crate::app::App;
use crate::app::clock;
use crate::app::layout::{Area, Pane};
use crate::app::timeline::Rung;

/// Draws the ladder around the cursor's frame; returns the place of the cursor.
pub fn draw(pen: &mut Pen<'_>, app: &App, area: Area) -> Option<Position> {
    let focused = app.focus == Pane::Lanes;
    let title = app
        .lane_conn()
        .map_or("Ladder".to_string(), |conn| format!("Ladder  conn {conn}"));
    pen.head(area.row(0), &title, "client left, server right", focused);
    let height = usize::from(area.h.saturating_sub(1));
    let mut at = None;
    for (i, rung) in app.rungs(height).into_iter().enumerate() {
        let line = area.row(u16::try_from(i).unwrap_or(0).saturating_add(1));
        match rung {
            Rung::Frame(no) => {
                let text = app.ladder_line(no);
                pen.text(line.x, line.y, line.w, &text, Role::Text);
                if no == app.list.cursor {
                    at = Some(Position::new(line.x, line.y));
                    pen.text(line.x, line.y, 1, ">", Role::Text);
                    pen.over(line, Role::Cursor);
                }
            }
            Rung::Wait(ns) => {
                let text = format!("{:>16}  :  {}", "", clock::span(ns));
                pen.text(line.x, line.y, line.w, &text, Role::Dim);
            }
        }
    }
    at
}
