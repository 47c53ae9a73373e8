//! Moving: where a command leads from the cursor. Rows that the filter hides are never landed on.

use std::ops::Range;

use super::App;
use super::facts;
use super::summary::gravest;
use crate::app::command::Command;
use crate::store::{FrameRow, RequestRow, Verdict};
use crate::units::{FrameNo, Nanos};

/// Frames on each side of the cursor that the first window of the timeline shows.
const NEARBY: usize = 10;
/// Frames looked through for those behind the cursor.
const LOOK_AHEAD: usize = 20_000;
/// Frames looked through at once for one that satisfies a condition.
const BLOCK: usize = 4096;

impl App {
    /// Puts the cursor on a frame, or on the nearest shown one, and brings it on screen.
    pub(super) fn land(&mut self, frame: FrameNo) {
        if let Some(frame) = self.list.rows.nearest(&self.store, frame) {
            if self.list.cursor != frame {
                self.list.opened = None;
                self.forget_byte();
            }
            self.list.cursor = frame;
            self.list.sub = 0;
        }
        self.show_cursor(true);
    }

    /// As [`App::land`], and notes where it came from.
    pub(super) fn jump(&mut self, frame: FrameNo) {
        if frame != self.list.cursor {
            self.jumps.leave(self.list.cursor);
        }
        self.land(frame);
        if !self.timeline.by_hand {
            self.place_timeline();
        }
    }

    /// Brings the cursor's row on screen. A far jump puts it into the middle; at the edge the page moves by a
    /// third, which writes less to the line than moving by a row.
    pub(super) fn show_cursor(&mut self, far: bool) {
        let page = self.page();
        let row = self.list.rows.row_of(self.list.cursor);
        let len = self.list.rows.len(&self.store);
        let most = len.saturating_sub(page);
        let step = if self.settings.low_bandwidth {
            page / 2
        } else {
            page / 3
        };
        let top = self.list.top;
        if row < top {
            self.list.top = if far && top.saturating_sub(row) > page {
                row.saturating_sub(page / 2)
            } else {
                row.saturating_sub(step)
            };
        } else if row >= top.saturating_add(page) {
            self.list.top = if far && row.saturating_sub(top) > page.saturating_mul(2) {
                row.saturating_sub(page / 2)
            } else {
                row.saturating_add(1)
                    .saturating_add(step)
                    .saturating_sub(page)
            };
        }
        self.list.top = self.list.top.min(most);
        self.show_time();
    }

    /// Keeps the cursor's frame in the timeline's window.
    pub(super) fn show_time(&mut self) {
        self.last_conn = self.lane_conn();
        let columns = self.lane_columns();
        let Some(frame) = self.store.frame(self.list.cursor) else {
            return;
        };
        let time = frame.time;
        if !self.timeline.placed {
            self.place_timeline();
        }
        self.timeline.keep_in_view(time, columns);
    }

    /// Another width shows another stretch of time: the window is placed anew, unless the user chose it.
    pub(super) fn fit_window(&mut self) {
        if self.timeline.placed && !self.timeline.by_hand {
            self.place_timeline();
        }
    }

    /// The window that the user gets without asking: the frames of the connection next to the cursor, or those on
    /// screen where it is on none.
    fn place_timeline(&mut self) {
        let mut frames = self.frames_nearby();
        if frames.is_empty() {
            frames = self.visible();
        }
        let times: Vec<Nanos> = frames
            .iter()
            .filter_map(|no| self.store.frame(*no))
            .map(|f| f.time)
            .collect();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return;
        };
        let last = Nanos(last.0.max(first.0.saturating_add(1_000)));
        let columns = self.lane_columns();
        self.timeline.fit(*first, last, columns);
    }

    /// Frames of the cursor's connection around the cursor.
    fn frames_nearby(&self) -> Vec<FrameNo> {
        let here = self.list.cursor;
        let Some(conn) = self.conn() else {
            return Vec::new();
        };
        let back = |no: &FrameNo| self.store.frame(*no)?.prev.filter(|prev| prev < no);
        let behind = self
            .store
            .frames_from(FrameNo(here.0.saturating_add(1)))
            .take(LOOK_AHEAD)
            .filter(|(_, row)| row.conn == Some(conn))
            .map(|(no, _)| no);
        std::iter::successors(Some(here), back)
            .take(NEARBY)
            .chain(behind.take(NEARBY))
            .collect()
    }

    /// Moves by rows; the packets of an opened row are rows too.
    pub(super) fn step(&mut self, by: i64) {
        let down = by > 0;
        for _ in 0..by.unsigned_abs() {
            if !self.step_one(down) {
                break;
            }
        }
        self.show_cursor(false);
    }

    fn step_one(&mut self, down: bool) -> bool {
        let packets = self.sub_rows(self.list.cursor);
        if down && self.list.sub < packets {
            self.list.sub = self.list.sub.saturating_add(1);
            return true;
        }
        if !down && self.list.sub > 0 {
            self.list.sub = self.list.sub.saturating_sub(1);
            return true;
        }
        let next = self
            .list
            .rows
            .walk(&self.store, self.list.cursor, down)
            .next();
        let Some(next) = next else {
            return false;
        };
        self.list.cursor = next;
        self.forget_byte();
        self.list.sub = if down { 0 } else { self.sub_rows(next) };
        true
    }

    /// Rows below a frame's row: its packets, when it is open.
    pub fn sub_rows(&self, frame: FrameNo) -> usize {
        if self.list.opened != Some(frame) {
            return 0;
        }
        facts::facts(&self.store, frame).map_or(0, |f| f.pdus)
    }

    /// Moves by whole frames; for pages.
    pub(super) fn step_rows(&mut self, by: i64) {
        let row = i64::try_from(self.list.rows.row_of(self.list.cursor)).unwrap_or(i64::MAX);
        let last = i64::try_from(self.list.rows.len(&self.store).saturating_sub(1)).unwrap_or(0);
        let to = usize::try_from(row.saturating_add(by).clamp(0, last)).unwrap_or(0);
        if let Some(frame) = self.list.rows.at(&self.store, to) {
            // The page moves with the cursor, so that the cursor keeps its place on screen.
            let top = i64::try_from(self.list.top).unwrap_or(0);
            let most = i64::try_from(self.list.rows.len(&self.store).saturating_sub(self.page()))
                .unwrap_or(0);
            self.list.top = usize::try_from(top.saturating_add(by).clamp(0, most)).unwrap_or(0);
            self.land(frame);
        }
    }

    /// The first shown frame in a direction that satisfies a condition; where there is none, what is not there, and
    /// how much of it the filter hides.
    fn seek(
        &self,
        forward: bool,
        what: &str,
        holds: impl Fn(FrameNo, &FrameRow) -> bool,
    ) -> Result<FrameNo, String> {
        let none = || format!("no {} {what}", way(forward));
        if !self.list.rows.is_filtered() {
            return self.nearest(forward, &holds).ok_or_else(none);
        }
        let shown = |no: &FrameNo| self.store.frame(*no).is_some_and(|row| holds(*no, &row));
        let mut rows = self.list.rows.walk(&self.store, self.list.cursor, forward);
        rows.find(shown).ok_or_else(|| {
            let hidden = self.count(forward, &holds);
            none_shown(forward, what, hidden).unwrap_or_else(none)
        })
    }

    /// The nearest frame in a direction that satisfies a condition, shown or not. Whole blocks are looked through, which
    /// is much faster than frame by frame: a key must not wait for a capture of millions.
    fn nearest(
        &self,
        forward: bool,
        holds: &impl Fn(FrameNo, &FrameRow) -> bool,
    ) -> Option<FrameNo> {
        let mut left = self.frames_beyond(forward);
        let mut found = None;
        while found.is_none() && !left.is_empty() {
            let block = if forward {
                let end = left.start.saturating_add(BLOCK).min(left.end);
                std::mem::replace(&mut left.start, end)..end
            } else {
                let start = left.end.saturating_sub(BLOCK).max(left.start);
                start..std::mem::replace(&mut left.end, start)
            };
            let first = FrameNo::from_index(block.start);
            self.store.each_frame(first, block.len(), |no, row| {
                if (found.is_none() || !forward) && holds(no, row) {
                    found = Some(no);
                }
            });
        }
        found
    }

    /// How many frames in a direction satisfy a condition, shown or not.
    fn count(&self, forward: bool, holds: &impl Fn(FrameNo, &FrameRow) -> bool) -> usize {
        let beyond = self.frames_beyond(forward);
        let first = FrameNo::from_index(beyond.start);
        let mut count = 0_usize;
        self.store.each_frame(first, beyond.len(), |no, row| {
            count = count.saturating_add(usize::from(holds(no, row)));
        });
        count
    }

    /// The places of all frames behind the cursor, or in front of it.
    fn frames_beyond(&self, forward: bool) -> Range<usize> {
        let all = self.store.frame_count();
        let here = self.list.cursor.index().min(all);
        if forward {
            here.saturating_add(1).min(all)..all
        } else {
            0..here
        }
    }

    /// Where a command leads, or why it leads nowhere.
    pub(super) fn target(&self, command: Command) -> Result<FrameNo, String> {
        use Command as C;
        match command {
            C::NextSameSid => self.same_sid(true),
            C::PrevSameSid => self.same_sid(false),
            C::NextSameConn => self.same_conn(true),
            C::PrevSameConn => self.same_conn(false),
            C::NextReset => self.reset(true),
            C::PrevReset => self.reset(false),
            C::NextGap => self.gap(true),
            C::PrevGap => self.gap(false),
            C::NextFinding => self.finding(true),
            C::PrevFinding => self.finding(false),
            C::NextPhase => self.phase(true),
            C::PrevPhase => self.phase(false),
            C::NextMark => self.marked(true),
            C::PrevMark => self.marked(false),
            C::Pair => self.pair(),
            _ => Err(format!("{} is no move", command.entry().name)),
        }
    }

    fn same_sid(&self, forward: bool) -> Result<FrameNo, String> {
        let facts = self.cursor_facts().ok_or("there are no frames")?;
        let Some(session) = facts.session else {
            return Err("this frame has no Sid; > and < stay on the connection".to_string());
        };
        let sid = facts.sid.map_or_else(String::new, |sid| sid.to_string());
        self.seek(forward, &format!("frame of Sid {sid}"), |no, row| {
            row.conn == facts.conn && facts::carries(&self.store, no, session)
        })
    }

    fn same_conn(&self, forward: bool) -> Result<FrameNo, String> {
        let conn = self.conn().ok_or("this frame belongs to no connection")?;
        let what = format!("frame of connection {conn}");
        self.seek(forward, &what, |_, row| row.conn == Some(conn))
    }

    fn reset(&self, forward: bool) -> Result<FrameNo, String> {
        self.seek(forward, "TCP reset", |_, row| {
            row.is_tcp() && row.tcp_flags.rst()
        })
    }

    /// The frame behind the next wait, as the shown frames have it.
    fn gap(&self, forward: bool) -> Result<FrameNo, String> {
        let limit = i64::from(self.settings.gap_ms).saturating_mul(1_000_000);
        // The frame of this walk before the one that is looked at; forward, the first one is under the cursor.
        let here = self.list.cursor;
        let start = self.store.time_of(here).filter(|_| forward);
        let mut last = start.map(|time| (here, time));
        for no in self.list.rows.walk(&self.store, here, forward) {
            let Some(time) = self.store.time_of(no) else {
                continue;
            };
            if let Some((before, then)) = last {
                if forward && time.since(then) > limit {
                    return Ok(no);
                }
                if !forward && then.since(time) > limit {
                    return Ok(before);
                }
            }
            last = Some((no, time));
        }
        Err(format!(
            "no {} wait longer than {} ms; :set gap-ms changes the limit",
            way(forward),
            self.settings.gap_ms
        ))
    }

    /// One stop per finding: its first marked frame. Whoever has not been to one yet is led to the gravest.
    fn finding(&self, forward: bool) -> Result<FrameNo, String> {
        if !self.jobs.judged && self.store.findings().is_empty() {
            return Err("the rules run when the capture is indexed; not yet".to_string());
        }
        if forward
            && !self.at_findings
            && let Some(frame) = gravest(&self.store)
            && self.list.rows.contains(&self.store, frame)
        {
            return Ok(frame);
        }
        let mut stops: Vec<FrameNo> = self
            .store
            .findings()
            .iter()
            .filter(|f| f.verdict != Verdict::Normal)
            .filter_map(crate::store::Finding::decisive_frame)
            .collect();
        stops.sort_unstable();
        stops.dedup();
        let here = self.list.cursor;
        let ahead: Vec<FrameNo> = if forward {
            stops.iter().filter(|no| **no > here).copied().collect()
        } else {
            let before = stops.iter().rev();
            before.filter(|no| **no < here).copied().collect()
        };
        let shown = |no: &&FrameNo| self.list.rows.contains(&self.store, **no);
        ahead.iter().find(shown).copied().ok_or_else(|| {
            if stops.is_empty() {
                return "no findings".to_string();
            }
            none_shown(forward, "finding", ahead.len())
                .unwrap_or_else(|| format!("no {} finding; {} in all", way(forward), stops.len()))
        })
    }

    fn phase(&self, forward: bool) -> Result<FrameNo, String> {
        let conn = self
            .conn()
            .and_then(|id| self.store.conn(id))
            .ok_or("this frame belongs to no connection")?;
        let here = self.list.cursor;
        let mut frames: Vec<FrameNo> = conn.phases.iter().map(|p| p.frame).collect();
        frames.sort_unstable();
        let next = if forward {
            frames.iter().find(|no| **no > here)
        } else {
            frames.iter().rev().find(|no| **no < here)
        };
        next.copied()
            .ok_or_else(|| format!("no {} phase of connection {}", way(forward), conn.id))
    }

    fn marked(&self, forward: bool) -> Result<FrameNo, String> {
        if self.marks.is_empty() {
            return Err("nothing is marked; m marks the row".to_string());
        }
        self.seek(forward, "marked frame", |no, _| self.marks.contains(no))
    }

    /// From a request to its reply, and back.
    fn pair(&self) -> Result<FrameNo, String> {
        let without = || "this request has no reply in the capture".to_string();
        // A row of the list of requests is one itself.
        if let Some(request) = self.request_here() {
            return request.answer_first_frame.ok_or_else(without);
        }
        let conn = self.conn().ok_or("this frame belongs to no connection")?;
        let here = self.list.cursor;
        let sessions = facts::sessions_of(&self.store, here);
        let spans = |r: &RequestRow| {
            let last = r.answer_last_frame.unwrap_or(r.last_frame);
            r.first_frame <= here
                && here <= last
                && match r.session {
                    Some(session) => sessions.is_empty() || sessions.contains(&session),
                    None => true,
                }
        };
        let request = self
            .store
            .conn_requests(conn)
            .rfind(spans)
            .ok_or("this frame belongs to no request and to no reply")?;
        if here <= request.last_frame {
            request.answer_first_frame.ok_or_else(without)
        } else {
            Ok(request.first_frame)
        }
    }
}

/// What is said where only the filter is why there is no further one; `None` where it hides none.
pub(super) fn none_shown(forward: bool, what: &str, hidden: usize) -> Option<String> {
    let way = way(forward);
    (hidden > 0).then(|| format!("no {way} {what} is shown; {hidden} hidden by the filter"))
}

fn way(forward: bool) -> &'static str {
    if forward { "further" } else { "earlier" }
}
