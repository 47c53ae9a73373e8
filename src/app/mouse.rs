//! The mouse, where it is used: a click goes to what it points at, the wheel moves in what is under it, and a drag in
//! the timeline zooms to its stretch of time.

use super::layout::{Area, Pane};
use super::timeline::{LANE_NAME, LaneOf, Rung, Scale, Shape};
use super::{App, Effect, Layer};
use crate::units::{FrameNo, Nanos};

/// Rows that the wheel moves by.
const WHEEL: i64 = 3;
/// Columns that a drag covers at least; less is a click with an unsteady hand.
const LEAST_DRAG: u16 = 2;

/// What was done with the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseAct {
    /// The left button went down.
    Press,
    /// The left button came up.
    Release,
    /// The wheel turned towards the user.
    WheelDown,
    /// The wheel turned away from the user.
    WheelUp,
}

/// The mouse: what was done, and at which column and row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mouse {
    /// What was done.
    pub act: MouseAct,
    /// Column.
    pub x: u16,
    /// Row.
    pub y: u16,
}

/// Where a drag in the timeline began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drag {
    /// Column of the cells.
    column: u16,
    /// On the row of the whole capture instead of the lanes.
    whole: bool,
}

impl App {
    pub(super) fn mouse(&mut self, mouse: Mouse) -> Vec<Effect> {
        if self.prompt.is_some() || matches!(self.layers.last(), Some(Layer::Export(_))) {
            return Vec::new();
        }
        self.message_read();
        match mouse.act {
            MouseAct::WheelDown => self.wheel(mouse, WHEEL),
            MouseAct::WheelUp => self.wheel(mouse, -WHEEL),
            MouseAct::Press => self.press(mouse),
            MouseAct::Release => self.release(mouse),
        }
        Vec::new()
    }

    fn pane_at(&self, x: u16, y: u16) -> Option<(Pane, Area)> {
        let layout = self.layout();
        [
            (Pane::List, Some(layout.list)),
            (Pane::Lanes, layout.lanes),
            (Pane::Decode, layout.decode),
            (Pane::Bytes, layout.bytes),
        ]
        .into_iter()
        .filter_map(|(pane, area)| Some((pane, area?)))
        .find(|(_, area)| area.contains(x, y))
    }

    /// Moves in what is under the pointer, without giving it the focus.
    fn wheel(&mut self, mouse: Mouse, by: i64) {
        let focus = self.focus;
        if self.layers.is_empty() {
            match self.pane_at(mouse.x, mouse.y) {
                // In the lanes the list moves on, as it would anywhere else.
                Some((Pane::Lanes, _)) | None => self.focus = Pane::List,
                Some((pane, _)) => self.focus = pane,
            }
        }
        self.move_rows(by);
        self.focus = focus;
        self.moved = true;
    }

    fn press(&mut self, mouse: Mouse) {
        self.moved = true;
        if let Some(Layer::Table(_)) = self.layers.last() {
            self.press_table(mouse.y);
            return;
        }
        if !self.layers.is_empty() {
            return;
        }
        let Some((pane, area)) = self.pane_at(mouse.x, mouse.y) else {
            return;
        };
        self.focus = pane;
        let row = mouse.y.saturating_sub(area.y);
        match pane {
            Pane::List => self.press_list(row),
            Pane::Lanes => self.press_lanes(area, mouse.x, row),
            Pane::Decode => self.press_decode(row),
            Pane::Bytes => self.press_bytes(area, mouse.x, row),
        }
    }

    /// A click on a row chooses it; on the chosen row it follows it, as Enter does.
    fn press_table(&mut self, y: u16) {
        let height = self.layer_height();
        let Some(Layer::Table(table)) = self.layers.last_mut() else {
            return;
        };
        let Some(row) = y.checked_sub(table.rows_from()).map(usize::from) else {
            return;
        };
        let to = table.top.saturating_add(row);
        if row >= height || to >= table.rows.len() {
            return;
        }
        if table.cursor == to {
            self.follow();
        } else {
            table.cursor = to;
        }
    }

    /// The rows on screen are frames, and packets below the one that is open.
    fn press_list(&mut self, row: u16) {
        let mut left = usize::from(row);
        let mut at = self.list.top;
        while let Some(no) = self.list.rows.at(&self.store, at) {
            let packets = self.sub_rows(no);
            if left <= packets {
                self.land(no);
                self.list.sub = left;
                return;
            }
            left = left.saturating_sub(packets.saturating_add(1));
            at = at.saturating_add(1);
        }
    }

    fn press_lanes(&mut self, area: Area, x: u16, row: u16) {
        if self.timeline.ladder {
            let height = usize::from(area.h.saturating_sub(1));
            let at = usize::from(row).checked_sub(1);
            if let Some(Rung::Frame(no)) = at.and_then(|at| self.rungs(height).get(at).copied()) {
                self.land(no);
            }
            return;
        }
        let shape = Shape::new(area, self.size.1);
        let column = self.column_at(x);
        let Some(lane) = row.checked_sub(shape.above) else {
            if let Some(column) = column.filter(|_| row.saturating_add(1) == shape.above) {
                let whole = self.timeline.scale == Scale::Linear;
                self.timeline.drag = whole.then_some(Drag { column, whole });
                if let Some(frame) = whole.then(|| self.whole_time(column)).flatten() {
                    let frame = self.store.frame_at(frame).unwrap_or(FrameNo(1));
                    self.jump(frame);
                }
            }
            return;
        };
        let lanes = self.lanes(area);
        let of = lanes
            .as_ref()
            .and_then(|lanes| lanes.lanes.get(usize::from(lane)))
            .map(|lane| lane.of);
        let Some(of) = of else {
            return;
        };
        self.timeline.chosen = Some(of);
        if let Some(column) = column {
            let whole = false;
            self.timeline.drag = Some(Drag { column, whole });
            self.land_in_lane(area, of, column);
        }
    }

    fn land_in_lane(&mut self, area: Area, of: LaneOf, column: u16) {
        if let Some(no) = self.lane_frame(area, of, column) {
            // The window stays: what was clicked at remains under the pointer.
            let timeline = self.timeline.clone();
            self.land(no);
            self.timeline.from = timeline.from;
        }
    }

    /// A drag over several columns zooms to its stretch.
    fn release(&mut self, mouse: Mouse) {
        let Some(drag) = self.timeline.drag.take() else {
            return;
        };
        let columns = self.lane_columns();
        let to = mouse
            .x
            .saturating_sub(LANE_NAME)
            .min(columns.saturating_sub(1));
        let (first, last) = (drag.column.min(to), drag.column.max(to));
        if last.saturating_sub(first) < LEAST_DRAG || self.timeline.scale == Scale::Events {
            return;
        }
        let times = if drag.whole {
            self.whole_time(first)
                .zip(self.whole_time(last.saturating_add(1)))
        } else {
            Some((
                self.timeline.start_of(first),
                self.timeline.start_of(last.saturating_add(1)),
            ))
        };
        if let Some((from, until)) = times {
            self.timeline.fit(from, until, columns);
            self.timeline.by_hand = true;
        }
    }

    /// The column of the cells at a column of the screen.
    fn column_at(&self, x: u16) -> Option<u16> {
        x.checked_sub(LANE_NAME)
            .filter(|column| *column < self.lane_columns())
    }

    /// The time of a column on the row of the whole capture.
    fn whole_time(&self, column: u16) -> Option<Nanos> {
        let start = self.store.start_time()?;
        let last = self.store.end_time()?;
        let span = i128::from(last.since(start).max(1));
        let columns = i128::from(self.lane_columns().saturating_sub(1).max(1));
        let at = span.saturating_mul(i128::from(column)) / columns;
        Some(Nanos(
            start
                .0
                .saturating_add(i64::try_from(at).unwrap_or(i64::MAX)),
        ))
    }

    /// A click on a line chooses it; on the chosen line it follows it, as Enter does.
    fn press_decode(&mut self, row: u16) {
        let Some(row) = row.checked_sub(1) else {
            return;
        };
        let to = self.tree.top.saturating_add(usize::from(row));
        let lines = self
            .decoded
            .as_ref()
            .map_or(0, |tree| self.tree.lines(tree).len());
        if to >= lines {
            return;
        }
        if self.tree.cursor == to {
            self.follow_field();
        } else {
            self.tree.cursor = to;
            self.byte_chosen = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::{app, press};
    use crate::app::{Event, update};

    fn act(app: &mut App, act: MouseAct, x: u16, y: u16) {
        update(app, Event::Mouse(Mouse { act, x, y }));
    }

    fn click(app: &mut App, x: u16, y: u16) {
        act(app, MouseAct::Press, x, y);
        act(app, MouseAct::Release, x, y);
    }

    #[test]
    fn a_click_on_a_frame_goes_to_it() {
        let mut app = app(80, 24);
        let list = app.layout().list;
        click(&mut app, 5, list.y + 6);
        assert_eq!(app.list.cursor, FrameNo(7));
        assert_eq!(app.focus, Pane::List);
        click(&mut app, 5, list.y + list.h + 30);
        assert_eq!(app.list.cursor, FrameNo(7), "outside of everything");
    }

    #[test]
    fn a_click_on_a_cell_of_a_lane_goes_to_its_event() {
        let mut app = app(80, 24);
        press(&mut app, "0");
        let area = app.layout().lanes.unwrap();
        let lanes = app.lanes(area).unwrap();
        let above = Shape::new(area, 24).above;
        // The FINs of Sid 5 (the second lane) stand in one cell; the first of them is frame 8.
        let cells = &lanes.lanes[1].cells;
        let fin = cells.iter().position(|c| c.mark.letter() == 'F').unwrap();
        let x = LANE_NAME + u16::try_from(fin).unwrap();
        click(&mut app, x, area.y + above + 1);
        assert_eq!(app.list.cursor, FrameNo(8));
        assert_eq!(app.focus, Pane::Lanes);
        // A quiet cell shows what the event before it began.
        click(&mut app, x - 5, area.y + above + 1);
        assert_eq!(app.list.cursor, FrameNo(7));
        // A name only chooses the lane.
        click(&mut app, 2, area.y + above);
        assert_eq!(app.list.cursor, FrameNo(7));
        assert_eq!(
            app.lane_of_cursor(),
            LaneOf::Session(crate::units::SessionId(0))
        );
    }

    #[test]
    fn a_drag_in_the_lanes_zooms_to_its_stretch() {
        let mut app = app(80, 24);
        press(&mut app, "0");
        let area = app.layout().lanes.unwrap();
        let y = area.y + Shape::new(area, 24).above;
        let from = app.timeline.start_of(20);
        let until = app.timeline.start_of(31);
        act(&mut app, MouseAct::Press, LANE_NAME + 30, y);
        act(&mut app, MouseAct::Release, LANE_NAME + 20, y);
        let columns = app.lane_columns();
        for time in [from, Nanos(until.0 - 1)] {
            assert!(app.timeline.column(time, columns).is_some());
        }
        let shown = app.timeline.end(columns).since(app.timeline.from);
        assert!(shown < until.since(from) * 4, "{shown}");
    }

    #[test]
    fn the_wheel_moves_what_is_under_it_and_the_focus_stays() {
        let mut app = app(80, 24);
        let layout = app.layout();
        act(&mut app, MouseAct::WheelDown, 5, layout.list.y);
        assert_eq!(app.list.cursor, FrameNo(4));
        act(&mut app, MouseAct::WheelUp, 5, layout.lanes.unwrap().y);
        assert_eq!(app.list.cursor, FrameNo(1));
        act(&mut app, MouseAct::WheelDown, 5, layout.decode.unwrap().y);
        assert_eq!(app.list.cursor, FrameNo(1));
        assert_eq!(app.focus, Pane::List);
    }

    #[test]
    fn a_click_on_a_row_of_a_list_chooses_it_and_on_the_chosen_one_follows_it() {
        let mut app = app(80, 24);
        press(&mut app, ": p h a s e s Enter");
        click(&mut app, 5, 3);
        let Some(Layer::Table(table)) = app.layers.last() else {
            panic!("the list is closed");
        };
        assert_eq!(table.cursor, 1);
        click(&mut app, 5, 3);
        assert!(app.layers.is_empty());
        assert_eq!(app.list.cursor, FrameNo(4));
    }

    #[test]
    fn the_mouse_does_nothing_while_something_is_typed() {
        let mut app = app(80, 24);
        press(&mut app, "/");
        click(&mut app, 5, 8);
        assert_eq!(app.list.cursor, FrameNo(1));
    }
}
