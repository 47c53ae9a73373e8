//! Marks, ranges, ignored frames, the time reference, undo and copies.

use super::command::Command;
use super::history::Undoable;
use super::page::{Page, unbroken};
use super::{App, Effect, Layer, Tone, clock};
use crate::export::FrameSet;
use crate::store::Finding;
use crate::units::FrameNo;
use crate::units::words::counted;

impl App {
    /// Changes something that undo brings back.
    pub(super) fn change(&mut self, what: &'static str, change: impl FnOnce(&mut Self)) {
        let before = self.undoable();
        change(self);
        if self.undoable() != before {
            self.undo.before(before, what);
        }
    }

    pub(super) fn undo_redo(&mut self, undo: bool) -> Vec<Effect> {
        let now = self.undoable();
        let found = if undo {
            self.undo.undo(now)
        } else {
            self.undo.redo(now)
        };
        match found {
            Some((state, what)) => {
                let filter = self.filter.clone();
                self.restore(state);
                let word = if undo { "undone" } else { "done again" };
                self.say(Tone::Info, format!("{word}: {what}"));
                if self.filter != filter {
                    return self.restart_filter();
                }
            }
            None => self.say(
                Tone::Info,
                if undo {
                    "nothing to undo"
                } else {
                    "nothing to do again"
                },
            ),
        }
        Vec::new()
    }

    pub(super) fn restore(&mut self, state: Undoable) {
        self.marks = state.marks;
        self.ignored = state.ignored;
        self.time_ref = state.time_ref;
        self.filter = state.filter;
    }

    pub(super) fn mark(&mut self) {
        if self.table().is_some() {
            self.mark_row_of_list();
            return;
        }
        let here = self.list.cursor;
        if self.store.frame(here).is_none() {
            return;
        }
        if let Some((first, last)) = self.chosen_range() {
            self.range = None;
            self.mark_shown(first, last);
        } else {
            self.change("marks", |app| app.marks = toggled(&app.marks, here));
        }
        self.last_mark = Some(here);
    }

    /// Marks the frames of the row of the list on top, or takes their marks off. The list does not show marks: it is
    /// said which they are.
    fn mark_row_of_list(&mut self) {
        match self.frames_here() {
            Ok(frames) => {
                let frames: FrameSet = frames.into_iter().collect();
                let off = frames.minus(&self.marks).is_empty();
                self.last_mark = self.frame_here().ok();
                let done = if off { "mark taken off" } else { "marked" };
                self.say(Tone::Info, format!("{done}: {frames}"));
                self.change("marks", |app| {
                    app.marks = if off {
                        app.marks.minus(&frames)
                    } else {
                        app.marks.union(&frames)
                    };
                });
            }
            Err(why) => self.say(Tone::Info, why),
        }
    }

    /// Marks the shown frames from one to another.
    pub(super) fn mark_shown(&mut self, first: FrameNo, last: FrameNo) {
        let frames: Option<Vec<FrameNo>> = self.list.rows.is_filtered().then(|| {
            let before = FrameNo(first.0.saturating_sub(1));
            self.list
                .rows
                .walk(&self.store, before, true)
                .take_while(|no| *no <= last)
                .collect()
        });
        self.change("marks", |app| match frames {
            None => app.marks = app.marks.union(&FrameSet::range(first, last)),
            Some(frames) => {
                app.marks = app.marks.union(&frames.into_iter().collect());
            }
        });
        let n = self.marks.len();
        self.say(Tone::Info, format!("{n} marked"));
    }

    pub(super) fn mark_to_here(&mut self) {
        let here = self.list.cursor;
        let from = self.last_mark.unwrap_or(here);
        self.mark_shown(from.min(here), from.max(here));
        self.last_mark = Some(here);
    }

    pub(super) fn mark_finding(&mut self) {
        let frames = self.finding_here().map(Finding::frames);
        match frames {
            Some(frames) if !frames.is_empty() => {
                let n = frames.len();
                self.change("marks", |app| {
                    app.marks = app.marks.union(&frames.into_iter().collect());
                });
                self.say(
                    Tone::Info,
                    format!("{} of the finding marked", counted(n, "frame")),
                );
            }
            _ => self.say(Tone::Info, "no finding here"),
        }
    }

    pub(super) fn toggle_range(&mut self) {
        if self.range.take().is_none() {
            self.range = Some(self.list.cursor);
            let mark = self.key_of(Command::Mark);
            self.say(
                Tone::Info,
                format!(
                    "range begins at {}; move, then {mark} marks it, Esc drops it",
                    self.list.cursor
                ),
            );
        }
    }

    /// Leaves the frame out of the lanes, or takes it in again. The list does not show which are left out: it is said.
    pub(super) fn toggle_ignored(&mut self) {
        let here = self.list.cursor;
        if self.store.frame(here).is_none() {
            return;
        }
        self.change("ignored frames", |app| {
            app.ignored = toggled(&app.ignored, here);
        });
        let key = self.key_of(Command::Ignore);
        let text = if self.ignored.contains(here) {
            format!("frame {here} is left out of the lanes; {key} takes it in again")
        } else {
            format!("frame {here} is in the lanes again")
        };
        self.say(Tone::Info, text);
    }

    pub(super) fn toggle_time_ref(&mut self) {
        let here = match self.frame_here() {
            Ok(here) => here,
            Err(why) => {
                self.say(Tone::Info, why);
                return;
            }
        };
        self.change("time reference", |app| {
            app.time_ref = (app.time_ref != Some(here)).then_some(here);
        });
        self.settings.time = match self.time_ref {
            Some(_) => clock::TimeFormat::Reference,
            None => clock::TimeFormat::Start,
        };
        let from = match self.time_ref {
            Some(no) => format!("times count from frame {no}"),
            None => "times count from the first frame".to_owned(),
        };
        self.say(Tone::Info, from);
    }

    pub(super) fn copy(&mut self, command: Command) -> Vec<Effect> {
        let text = self.copy_text(command);
        let what = match command {
            Command::CopyRow => "row: ",
            Command::CopyField => "field: ",
            Command::CopyHex => "bytes of the frame: ",
            Command::CopyFrame if self.marks.is_empty() => "frame number: ",
            Command::CopyFrame => "numbers of the marked frames: ",
            Command::CopyFilter => "filter: ",
            Command::CopyLadder if self.chosen_range().is_some() => "ladder of the range: ",
            Command::CopyLadder if !self.marks.is_empty() => "ladder of the marked frames: ",
            Command::CopyLadder => "ladder of the rows on screen: ",
            _ => "",
        };
        self.put_on_clipboard(what, text)
    }

    /// Copies a text, or says why there is none.
    pub(super) fn put_on_clipboard(
        &mut self,
        what: &str,
        text: Result<String, String>,
    ) -> Vec<Effect> {
        match text {
            Ok(text) if self.settings.osc52 => {
                let n = text.len();
                self.say(
                    Tone::Info,
                    format!("{what}{} sent to terminal clipboard", counted(n, "byte")),
                );
                vec![Effect::Copy(text)]
            }
            Ok(text) => {
                let page = Page::new("Copy", text.lines(), unbroken, self.size.0);
                self.layers.push(Layer::Text(page));
                Vec::new()
            }
            Err(why) => {
                self.say(Tone::Error, why);
                Vec::new()
            }
        }
    }
}

/// The set with a frame put in, or taken out if it was in.
pub(super) fn toggled(set: &FrameSet, frame: FrameNo) -> FrameSet {
    let one = FrameSet::range(frame, frame);
    if set.contains(frame) {
        set.minus(&one)
    } else {
        set.union(&one)
    }
}
