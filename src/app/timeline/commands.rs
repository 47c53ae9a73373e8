//! What the user does with the timeline: zoom, pan, scale, choice of lanes, and steps along a lane.

use std::rc::Rc;

use super::events::stands_in;
use super::{LaneOf, Lanes, Scale, Scene, Slot};
use crate::app::command::Command;
use crate::app::layout::{Area, Pane};
use crate::app::{App, Tone};
use crate::store::FrameRow;
use crate::units::{ConnId, FrameNo, Nanos};

/// From this height of the screen on, and in a zoomed timeline, axis, pointer and legend are shown.
const ROOMY: u16 = 40;

/// How the rows of the timeline's pane are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Axis, pointer and legend are shown.
    pub roomy: bool,
    /// Rows above the first lane.
    pub above: u16,
    /// Rows for lanes, that of TCP among them.
    pub lanes: u16,
}

impl Shape {
    /// The shape of an area on a screen of a height.
    pub fn new(area: Area, screen_height: u16) -> Self {
        let roomy = area.h >= 8 && (screen_height >= ROOMY || area.h >= 12);
        // In the least room, a lane of a Sid stands rather than the density of the whole capture.
        let (above, below) = match area.h {
            _ if roomy => (3, 2),
            0..=3 => (1, 0),
            _ => (2, 0),
        };
        let above = above.min(area.h.saturating_sub(1));
        Self {
            roomy,
            above,
            lanes: area.h.saturating_sub(above).saturating_sub(below).max(1),
        }
    }
}

impl App {
    /// The lanes of a pane, or nothing where no connection is shown.
    pub fn lanes(&self, area: Area) -> Option<Rc<Lanes>> {
        Some(self.lanes_made.lanes(&self.scene(area)?))
    }

    fn scene(&self, area: Area) -> Option<Scene<'_>> {
        Some(Scene {
            store: &self.store,
            timeline: &self.timeline,
            conn: self.lane_conn()?,
            cursor: self.list.cursor,
            ignored: &self.ignored,
            columns: self.lane_columns(),
            rows: usize::from(Shape::new(area, self.size.1).lanes),
            scrolled: self.focus == Pane::Lanes,
        })
    }

    /// The lane that the user is at: the one chosen in the timeline, else that of the cursor.
    pub fn lane_of_cursor(&self) -> LaneOf {
        match self.timeline.chosen {
            Some(of) if self.focus == Pane::Lanes => of,
            _ => self.session().map_or(LaneOf::Tcp, LaneOf::Session),
        }
    }

    /// Carries out a command of the timeline.
    pub(in crate::app) fn timeline_command(&mut self, command: Command) {
        use Command as C;
        let columns = self.lane_columns();
        let here = self.store.time_of(self.list.cursor);
        let Some(here) = here else {
            return;
        };
        if self.follows_cursor(command) {
            return;
        }
        self.timeline.by_hand |= command.entry().by_hand;
        match command {
            C::ZoomIn => self.timeline.zoom(here, columns, true),
            C::ZoomOut => self.timeline.zoom(here, columns, false),
            C::ZoomAll => {
                let ends = (self.store.start_time(), self.store.end_time());
                if let (Some(first), Some(last)) = ends {
                    self.timeline.fit(first, last, columns);
                }
            }
            C::Fit => self.fit(columns),
            C::EventScale => {
                self.timeline.gap_ns = i64::from(self.settings.gap_ms).saturating_mul(1_000_000);
                self.timeline.scale = match self.timeline.scale {
                    Scale::Linear => Scale::Events,
                    Scale::Events => Scale::Linear,
                };
            }
            C::Ladder => self.timeline.ladder = !self.timeline.ladder,
            C::Pin => self.pin(),
            C::PanLeft => self.timeline.pan(columns, -1),
            C::PanRight => self.timeline.pan(columns, 1),
            C::PanLeftPage => self.timeline.pan(columns, -4),
            C::PanRightPage => self.timeline.pan(columns, 4),
            C::LaneNext => self.lane_step(true),
            C::LanePrev => self.lane_step(false),
            C::LaneHere => self.lane_here(),
            // The others are none of the timeline's.
            _ => {}
        }
        self.say_where_hidden(command);
    }

    /// Says of a key of the timeline's that what it did is not on screen.
    fn say_where_hidden(&mut self, command: Command) {
        if self.layout().lanes.is_some() || command == Command::Pin {
            return;
        }
        let text = match self.zoomed {
            Some(_) => {
                let key = self.key_of(Command::ZoomPane);
                format!("the timeline is not on screen; {key} brings it back")
            }
            None => "there is no room for the timeline on this screen".to_owned(),
        };
        self.say(Tone::Info, text);
    }

    /// Event scale and ladder show what is around the cursor: there, panning moves the cursor along the
    /// connection, and there is no time to zoom. Returns whether that settles the command.
    fn follows_cursor(&mut self, command: Command) -> bool {
        use Command as C;
        let ladder = self.timeline.ladder;
        if !ladder && self.timeline.scale == Scale::Linear {
            return false;
        }
        let page = if ladder {
            let height = self.layout().lanes.map_or(4, |area| area.h);
            i64::from(height.saturating_sub(1).max(4))
        } else {
            i64::from(self.lane_columns())
        };
        match command {
            C::PanRightPage if ladder => self.timeline.ladder = false,
            C::PanLeft => self.follow_target(C::PrevSameConn, page / 4),
            C::PanRight => self.follow_target(C::NextSameConn, page / 4),
            C::PanLeftPage => self.follow_target(C::PrevSameConn, page),
            C::PanRightPage => self.follow_target(C::NextSameConn, page),
            C::ZoomIn | C::ZoomOut | C::ZoomAll | C::Fit => {
                let back = self.key_of(if ladder { C::Ladder } else { C::EventScale });
                let what = if ladder { "ladder" } else { "event scale" };
                let text = format!("the {what} has no time to zoom; {back} goes back to time");
                self.say(Tone::Info, text);
            }
            _ => return false,
        }
        true
    }

    /// Keeps the lane of the Sid in view, or no longer.
    fn pin(&mut self) {
        let LaneOf::Session(session) = self.lane_of_cursor() else {
            self.say(Tone::Error, "this frame has no Sid");
            return;
        };
        let pinned = &mut self.timeline.pinned;
        let name = self.store.session(session).map(super::lane_name);
        let name = name.unwrap_or_default();
        let text = if let Some(at) = pinned.iter().position(|s| *s == session) {
            pinned.remove(at);
            format!("Sid {name} is no longer kept in view")
        } else {
            pinned.push(session);
            format!("the lane of Sid {name} is kept in view")
        };
        self.say(Tone::Info, text);
    }

    /// Fits the Sid of the cursor; when that is what is shown, the connection.
    fn fit(&mut self, columns: u16) {
        let store = &self.store;
        let span = |first, last| Some((store.time_of(first)?, store.time_of(last)?));
        let of_sid = match self.lane_of_cursor() {
            LaneOf::Session(id) => self
                .store
                .session(id)
                .and_then(|s| span(s.open_frame, s.last_frame)),
            LaneOf::Tcp => None,
        };
        let conn = self.conn().and_then(|id| self.store.conn(id));
        let of_conn = conn.and_then(|c| span(c.first_frame, c.last_frame));
        let base = self.time_base();
        let mut fitted = self.timeline.clone();
        // The window that is shown was rounded, and is only met by one that was.
        let mut fit = |(first, last)| {
            fitted.fit(first, last, columns);
            fitted.round(base);
            (fitted.from, fitted.per_col)
        };
        let shown = (self.timeline.from, self.timeline.per_col);
        let sid_was_fitted = of_sid.map(&mut fit).is_none_or(|window| window == shown);
        if sid_was_fitted && let Some(span) = of_conn {
            fit(span);
        }
        self.timeline = fitted;
    }

    /// Chooses another lane, by rows.
    pub(in crate::app) fn choose_lane(&mut self, by: i64) {
        if self.timeline.ladder {
            let way = if by > 0 {
                Command::NextSameConn
            } else {
                Command::PrevSameConn
            };
            let times = i64::try_from(by.unsigned_abs()).unwrap_or(i64::MAX);
            self.follow_target(way, times);
            return;
        }
        let Some(conn) = self.lane_conn() else {
            return;
        };
        let all = self.lanes_made.by_number(&self.store, conn, &self.timeline);
        let now = match self.lane_of_cursor() {
            LaneOf::Session(id) => all.iter().position(|s| *s == id).unwrap_or(0),
            LaneOf::Tcp => all.len(),
        };
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let last = i64::try_from(all.len()).unwrap_or(i64::MAX);
        let to = usize::try_from(now.saturating_add(by).clamp(0, last)).unwrap_or(0);
        let of = all.get(to).map_or(LaneOf::Tcp, |id| LaneOf::Session(*id));
        self.timeline.chosen = Some(of);
    }

    /// Forgets the chosen lane when the timeline has lost the focus or shows another connection, and scrolls so that
    /// it is on screen.
    pub(in crate::app) fn settle_lanes(&mut self) {
        self.timeline.round(self.time_base());
        let conn = self.lane_conn();
        let of_conn = |of: LaneOf| match of {
            LaneOf::Session(id) => self.store.session(id).map(|s| s.conn) == conn,
            LaneOf::Tcp => true,
        };
        // A ladder shows no lane that could have been chosen: there, it is that of the cursor.
        let away = self.focus != Pane::Lanes || self.timeline.ladder;
        if away || !self.timeline.chosen.is_none_or(of_conn) {
            self.timeline.chosen = None;
        }
        let (Pane::Lanes, Some(area), Some(conn)) = (self.focus, self.layout().lanes, conn) else {
            return;
        };
        let chosen = self.lane_of_cursor();
        self.timeline.chosen = Some(chosen);
        let all = self.lanes_made.by_number(&self.store, conn, &self.timeline);
        let rows = usize::from(Shape::new(area, self.size.1).lanes);
        let room = rows.saturating_sub(1).max(1);
        let most = all.len().saturating_sub(room);
        let scroll = &mut self.timeline.scroll;
        if let LaneOf::Session(id) = chosen
            && let Some(at) = all.iter().position(|s| *s == id)
        {
            let least = at.saturating_add(1).saturating_sub(room);
            *scroll = (*scroll).clamp(least, at);
        }
        *scroll = (*scroll).min(most);
    }

    /// Whether a frame of the connection is drawn in a lane.
    fn is_on(&self, of: LaneOf, conn: ConnId, no: FrameNo, row: &FrameRow) -> bool {
        let conn = self.store.conn(conn).filter(|c| row.conn == Some(c.id));
        conn.is_some_and(|conn| {
            !self.ignored.contains(no) && stands_in(&self.store, conn, of, no, row)
        })
    }

    /// The nearest shown frame of a lane behind a frame, or before it.
    fn lane_event(&self, of: LaneOf, from: FrameNo, forward: bool) -> Option<FrameNo> {
        let conn = self.lane_conn()?;
        let rows = &self.list.rows;
        rows.walk(&self.store, from, forward).find(|no| {
            let row = self.store.frame(*no);
            row.is_some_and(|row| self.is_on(of, conn, *no, &row))
        })
    }

    /// Whether the window shows the cursor: it may have been panned away from it.
    fn cursor_in_window(&self) -> bool {
        let shown = self.timeline.scale == Scale::Linear && !self.timeline.ladder;
        let time = self.store.time_of(self.list.cursor);
        !shown || time.is_some_and(|t| self.timeline.column(t, self.lane_columns()).is_some())
    }

    /// The frame that steps along a lane start from: the cursor's, else the edge of the window.
    fn lane_anchor(&self, forward: bool) -> FrameNo {
        if self.cursor_in_window() {
            return self.list.cursor;
        }
        let edge = if forward {
            Nanos(self.timeline.from.0.saturating_sub(1))
        } else {
            self.timeline.end(self.lane_columns())
        };
        let at = self.store.frame_at(edge).map_or(0, |no| no.0);
        FrameNo(at.saturating_add(u32::from(!forward)))
    }

    fn lane_step(&mut self, forward: bool) {
        let of = self.lane_of_cursor();
        if let Some(no) = self.lane_event(of, self.lane_anchor(forward), forward) {
            self.land(no);
        } else {
            let way = if forward { "further" } else { "earlier" };
            self.say(Tone::Info, format!("no {way} event in this lane"));
        }
    }

    /// Puts the list where the timeline stands: at the cursor if its frame is in the chosen lane, else at the
    /// lane's event that is nearest in the window.
    fn lane_here(&mut self) {
        let of = self.lane_of_cursor();
        let here = self.list.cursor;
        let on = self.lane_conn().is_some_and(|conn| {
            let row = self.store.frame(here);
            row.is_some_and(|row| self.is_on(of, conn, here, &row))
        });
        if !(on && self.cursor_in_window()) {
            let from = self.lane_anchor(true);
            let behind = self.lane_event(of, from, true);
            let before = || self.lane_event(of, from, false);
            let nearest = if self.cursor_in_window() {
                let away = |no: &FrameNo| {
                    let time = self.store.time_of(*no).zip(self.store.time_of(here));
                    time.map(|(a, b)| a.since(b).unsigned_abs())
                };
                before().into_iter().chain(behind).min_by_key(away)
            } else {
                behind.or_else(before)
            };
            if let Some(no) = nearest {
                self.jump(no);
            }
        }
        self.focus = Pane::List;
    }

    /// The frame that a cell of a lane shows: the first of the lane in its column, else the nearest before it.
    pub(in crate::app) fn lane_frame(
        &self,
        area: Area,
        of: LaneOf,
        column: u16,
    ) -> Option<FrameNo> {
        if self.timeline.scale == Scale::Events {
            let lanes = self.lanes(area)?;
            return lanes
                .slots
                .get(usize::from(column))
                .map(|s| Slot::frame(*s));
        }
        let timeline = &self.timeline;
        let start = timeline.start_of(column);
        let end = timeline.start_of(column.saturating_add(1));
        let before = self
            .store
            .frame_at(Nanos(start.0.saturating_sub(1)))
            .map_or(FrameNo(0), |no| no);
        let inside = self
            .lane_event(of, before, true)
            .filter(|no| self.store.frame(*no).is_some_and(|f| f.time < end));
        inside.or_else(|| self.lane_event(of, FrameNo(before.0.saturating_add(1)), false))
    }
}
