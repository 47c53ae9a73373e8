//! Moving within whatever is on top: the list, a pane, a layer.

use super::command::{ActsOn, Command};
use super::layout::Pane;
use super::tables::{Table, detail_rows};
use super::{App, CameFrom, Layer, Tone};
use crate::units::FrameNo;

impl App {
    pub(super) fn move_rows(&mut self, by: i64) {
        let height = self.layer_height();
        let decode_height = self.decode_height();
        match self.layers.last_mut() {
            Some(Layer::Table(table)) => table.step(by, height),
            Some(Layer::Help(help)) => help.top = scrolled(help.top, by),
            Some(Layer::Text(page)) => {
                page.top = scrolled(page.top, by).min(page.lines.len().saturating_sub(height));
            }
            Some(Layer::Export(_)) => {}
            None => match self.focus {
                Pane::List => self.step(by),
                Pane::Decode => {
                    let lines = self
                        .decoded
                        .as_ref()
                        .map_or(0, |tree| self.tree.lines(tree).len());
                    self.tree.step(lines, decode_height, by);
                    self.byte_chosen = None;
                }
                Pane::Bytes => {
                    let line = i64::try_from(super::hexing::PER_LINE).unwrap_or(16);
                    self.step_byte(by.saturating_mul(line));
                }
                Pane::Lanes => self.choose_lane(by),
            },
        }
        self.keep_help_in_range();
    }

    pub(super) fn keep_help_in_range(&mut self) {
        let height = self.layer_height();
        let (keymap, (width, _)) = (&self.keymap, self.size);
        if let Some(Layer::Help(help)) = self.layers.last_mut() {
            let lines = help.lines(keymap, width).len();
            help.top = help.top.min(lines.saturating_sub(height));
        }
    }

    /// Moves by half pages.
    pub(super) fn move_pages(&mut self, halves: i64) {
        let page = match (self.layers.is_empty(), self.focus) {
            (true, Pane::List) => self.page(),
            (true, Pane::Decode | Pane::Bytes | Pane::Lanes) => self.decode_height(),
            _ => self.layer_height(),
        };
        let page = i64::try_from(page.max(2)).unwrap_or(2);
        let by = page.saturating_mul(halves) / 2;
        if self.layers.is_empty() && self.focus == Pane::List {
            self.step_rows(by);
        } else {
            self.move_rows(by);
        }
    }

    pub(super) fn move_to_end(&mut self, last: bool) {
        if !self.layers.is_empty() || self.focus != Pane::List {
            self.move_rows(if last { 1_000_000_000 } else { -1_000_000_000 });
            return;
        }
        let row = if last {
            self.list.rows.len(&self.store).saturating_sub(1)
        } else {
            0
        };
        if let Some(frame) = self.list.rows.at(&self.store, row) {
            self.jump(frame);
        }
        if last && self.jobs.indexing {
            let text = if self.is_being_read() {
                "this is the last frame indexed so far; the index is not complete"
            } else {
                "the cursor goes with the end while the file grows"
            };
            self.say(Tone::Info, text);
        }
    }

    fn last_row(&self) -> Option<FrameNo> {
        let rows = self.list.rows.len(&self.store);
        self.list.rows.at(&self.store, rows.checked_sub(1)?)
    }

    /// Notes whether the cursor stands at the end of a capture that is followed. Who is at work within the frame stays
    /// on it.
    pub(super) fn note_end(&mut self) {
        let followed = self.jobs.indexing && (self.at_end || self.store.progress().caught_up);
        let in_list = self.focus == Pane::List && self.list.opened.is_none();
        self.at_end = followed && in_list && self.last_row() == Some(self.list.cursor);
    }

    /// The list has grown: a cursor that stood at the end stands there again.
    pub(super) fn keep_at_end(&mut self) {
        if let Some(last) = self.last_row().filter(|_| self.at_end) {
            self.land(last);
        }
    }

    /// Rows of a layer's body.
    pub(super) fn layer_height(&self) -> usize {
        match self.layers.last() {
            Some(Layer::Table(table)) => self.table_height(table),
            _ => usize::from(self.above_status().saturating_sub(2)).max(1),
        }
    }

    /// Rows of a list on screen.
    pub(super) fn table_height(&self, table: &Table) -> usize {
        let rows = self.above_status();
        let taken = table.rows_from().saturating_add(detail_rows(rows));
        usize::from(rows.saturating_sub(taken)).max(1)
    }

    /// Rows above the status line.
    fn above_status(&self) -> u16 {
        let below = if self.layout().keys.is_some() { 2 } else { 1 };
        self.size.1.saturating_sub(below)
    }

    /// Goes to a frame by number, or says why it cannot.
    pub(super) fn goto(&mut self, frame: FrameNo) {
        let Some(last) = self.store.last_frame() else {
            self.say(Tone::Error, "there are no frames");
            return;
        };
        if frame.0 == 0 || frame > last {
            let more = if self.jobs.indexing { " so far" } else { "" };
            self.say(
                Tone::Error,
                format!("no frame {frame}; there are {last}{more}"),
            );
            return;
        }
        self.close_layers();
        self.jump(frame);
        self.tell_hidden(frame);
    }

    /// Says where the cursor stands when the filter hides the frame that it was to go to.
    fn tell_hidden(&mut self, frame: FrameNo) {
        if self.list.cursor != frame {
            self.say(
                Tone::Info,
                format!(
                    "frame {frame} is hidden by the filter; {} is the nearest shown",
                    self.list.cursor
                ),
            );
        }
    }

    /// Goes where a command leads, so often. One that closes what lies over the frames is a jump, which can be gone
    /// back; a step among the frames is none.
    pub(super) fn follow_target(&mut self, command: Command, times: i64) {
        let far = command.entry().acts_on != ActsOn::Frames;
        let from = self.list.cursor;
        for _ in 0..times.clamp(1, 10_000) {
            match self.target(command) {
                Ok(frame) if far => {
                    self.close_layers();
                    self.jump(frame);
                    self.tell_hidden(frame);
                }
                Ok(frame) => self.land(frame),
                Err(why) => {
                    self.say(Tone::Info, why);
                    return;
                }
            }
            self.moved = true;
        }
        if matches!(command, Command::NextFinding | Command::PrevFinding) {
            self.at_findings = true;
            self.tell_finding(from);
        }
    }

    /// Says what was found on the cursor's frame, where the screen would not: the finding stands before no row, there
    /// is no decode pane, or the cursor was there already.
    fn tell_finding(&mut self, from: FrameNo) {
        let here = self.list.cursor;
        let marked = self.store.finding_shown_on(here).is_some();
        if marked && from != here && self.layout().decode.is_some() {
            return;
        }
        let findings = self.store.findings().iter();
        let found = findings
            .filter(|finding| finding.decisive_frame() == Some(here))
            .max_by_key(|finding| (finding.verdict.weight(), std::cmp::Reverse(finding.id)));
        if let Some(finding) = found {
            let text = format!("{}: {}", finding.rule, finding.text);
            self.say(Tone::Info, text);
        }
    }

    /// Back to where the last jump came from; where that was a row of a list, the list is open again.
    pub(super) fn go_back(&mut self) {
        let (depth, _) = self.jumps.depths();
        let is_there = |from: &mut CameFrom| from.depth == depth && self.layers.is_empty();
        let from = self.came_from.take_if(is_there);
        if from.as_ref().is_none_or(|from| from.jumped) {
            match self.jumps.back(self.list.cursor) {
                Some(frame) => self.land_from_layer(frame),
                None => self.say(Tone::Info, "no jump to go back to"),
            }
        }
        let (depth, _) = self.jumps.depths();
        self.came_from.take_if(|from| from.depth > depth);
        if let Some(CameFrom { mut table, .. }) = from {
            table.refresh(self);
            self.layers.push(Layer::Table(table));
        }
    }

    pub(super) fn land_from_layer(&mut self, frame: FrameNo) {
        self.close_layers();
        self.land(frame);
    }

    pub(super) fn close_layers(&mut self) {
        self.layers.clear();
    }
}

/// An offset moved by lines, not below 0.
fn scrolled(top: usize, by: i64) -> usize {
    let now = i64::try_from(top).unwrap_or(i64::MAX);
    usize::try_from(now.saturating_add(by).max(0)).unwrap_or(0)
}
