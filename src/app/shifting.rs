//! The clock of one of several files moved: the frames are merged anew, and marks go with their frames.

use std::collections::HashMap;
use std::sync::Arc;

use super::clock;
use super::timeline::{Density, Memo, Timeline};
use super::{App, Effect, Jobs, Tone};
use crate::export::FrameSet;
use crate::settings::span_ns;
use crate::store::Store;
use crate::units::FrameNo;

/// A frame by its file and its number there: that stays when files are merged anew.
type Place = (usize, u32);

/// What is carried over into the new order.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    marks: Vec<Place>,
    ignored: Vec<Place>,
    time_ref: Option<Place>,
    cursor: Option<Place>,
}

impl App {
    /// `:shift b +0.8ms`: the times of a file, named by its letter or a part of its name, are moved.
    pub(super) fn shift(&mut self, argument: &str) -> Vec<Effect> {
        match self.read_shift(argument) {
            Ok((file, ns)) => {
                self.begin_anew();
                let name = self.file_names().get(file).cloned().unwrap_or_default();
                let way = if ns < 0 { "" } else { "+" };
                self.say(
                    Tone::Info,
                    format!(
                        "{name} moves by {way}{}; the capture is read anew",
                        clock::span(ns)
                    ),
                );
                vec![Effect::Shift(file, ns)]
            }
            Err(why) => {
                self.say(Tone::Error, why);
                Vec::new()
            }
        }
    }

    /// `:follow-file`: the capture is read anew, and read on while its last file grows.
    pub(super) fn follow_file(&mut self) -> Vec<Effect> {
        let why_not = if self.shifted {
            Some("the times of a file were moved: open the files anew with --follow")
        } else if self.jobs.exporting.is_some() {
            Some("an export is being written; Ctrl-C stops it")
        } else if self.store.progress().caught_up {
            Some("the file is being followed already")
        } else {
            None
        };
        if let Some(why) = why_not {
            self.say(Tone::Error, why);
            return Vec::new();
        }
        self.begin_anew();
        // The frames keep their numbers.
        self.shifted = false;
        self.say(
            Tone::Info,
            "read anew; what is written to the file from now on appears",
        );
        vec![Effect::FollowFile]
    }

    fn file_names(&self) -> Vec<String> {
        self.files_open
            .iter()
            .map(|path| path.rsplit('/').next().unwrap_or(path).to_string())
            .collect()
    }

    fn read_shift(&self, argument: &str) -> Result<(usize, i64), String> {
        let names = self.file_names();
        if names.len() < 2 {
            return Err("there is one file: its times need no other's clock".to_string());
        }
        let letter = |at: usize| char::from(b'a'.saturating_add(u8::try_from(at).unwrap_or(25)));
        let known: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(at, name)| format!("{} {name}", letter(at)))
            .collect();
        let usage = || {
            format!(
                "shift FILE TIME, as in shift b +0.8ms; files: {}",
                known.join(", ")
            )
        };
        let (file, time) = argument.split_once(char::is_whitespace).ok_or_else(usage)?;
        let by_letter = (0..names.len()).find(|at| file.chars().eq([letter(*at)]));
        let by_name = || {
            names
                .iter()
                .position(|n| file.len() > 1 && n.contains(file))
        };
        let found = by_letter.or_else(by_name);
        let file = found.ok_or_else(usage)?;
        let time = time.trim();
        let ns = span_ns(time.strip_prefix('+').unwrap_or(time))
            .ok_or_else(|| format!("{time} is no span of time; write +0.8ms or -2s"))?;
        if self.jobs.exporting.is_some() {
            return Err("an export is being written; Ctrl-C stops it".to_string());
        }
        Ok((file, ns))
    }

    /// Forgets the index; what belongs to frames is carried over.
    fn begin_anew(&mut self) {
        let places = |set: &FrameSet| set.iter().filter_map(|no| self.place_of(no)).collect();
        self.carried = Some(Carried {
            marks: places(&self.marks),
            ignored: places(&self.ignored),
            time_ref: self.time_ref.and_then(|no| self.place_of(no)),
            cursor: self.place_of(self.list.cursor),
        });
        self.shifted = true;
        // What was done is not to give way to what is said of a capture that is opened.
        self.moved = true;
        self.store = Arc::new(Store::new());
        self.lanes_made = Memo::default();
        self.layers.clear();
        self.came_from = None;
        self.list.rows = super::Rows::all();
        self.list.cursor = FrameNo(1);
        self.list.top = 0;
        self.list.sub = 0;
        self.list.opened = None;
        self.marks = FrameSet::default();
        self.ignored = FrameSet::default();
        self.last_mark = None;
        self.range = None;
        self.time_ref = None;
        self.undo = super::history::UndoStack::default();
        self.jumps = super::history::Jumps::default();
        self.timeline = Timeline {
            scale: self.timeline.scale,
            ladder: self.timeline.ladder,
            gap_ns: self.timeline.gap_ns,
            ..Timeline::default()
        };
        self.density = Density::default();
        self.jobs = Jobs {
            indexing: true,
            ..Jobs::default()
        };
        self.lines.clear();
        self.packets.clear();
        self.decoded = None;
        self.home = None;
        self.find_hits.clear();
        self.find_wait = None;
        self.last_conn = None;
        self.judge = None;
        self.own_job = 0;
        self.own_found.clear();
    }

    fn place_of(&self, no: FrameNo) -> Option<Place> {
        let (file, number) = self.store.place(no)?;
        Some((file.index, number.0))
    }

    /// The new order is complete: marks and cursor go to their frames, and the filter is asked again.
    pub(super) fn restore_carried(&mut self) -> Vec<Effect> {
        let Some(carried) = self.carried.take() else {
            return Vec::new();
        };
        let mut wanted: HashMap<Place, Option<FrameNo>> = HashMap::new();
        let single = carried.time_ref.iter().chain(&carried.cursor);
        for place in carried.marks.iter().chain(&carried.ignored).chain(single) {
            wanted.insert(*place, None);
        }
        let mut counts: HashMap<usize, u32> = HashMap::new();
        for (no, frame) in self.store.frames_from(FrameNo(1)) {
            let Some(interface) = self.store.interface(frame.interface) else {
                continue;
            };
            let count = counts.entry(interface.file).or_default();
            *count = count.saturating_add(1);
            if let Some(slot) = wanted.get_mut(&(interface.file, *count)) {
                *slot = Some(no);
            }
        }
        let now = |place: &Place| wanted.get(place).copied().flatten();
        self.marks = carried.marks.iter().filter_map(now).collect();
        self.ignored = carried.ignored.iter().filter_map(now).collect();
        self.time_ref = carried.time_ref.as_ref().and_then(now);
        if let Some(no) = carried.cursor.as_ref().and_then(now) {
            self.land(no);
        }
        if self.filter.is_empty() {
            Vec::new()
        } else {
            self.restart_filter()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::{app, press, said};

    #[test]
    fn one_file_has_nothing_to_be_shifted_against() {
        let mut app = app(80, 24);
        assert!(app.shift("a +1ms").is_empty());
        assert!(said(&app).starts_with("there is one file"));
    }

    #[test]
    fn a_file_is_named_by_its_letter_or_a_part_of_its_name() {
        let mut app = app(160, 48);
        app.files_open = vec!["/x/client.pcapng".into(), "/x/server.pcap".into()];
        press(&mut app, "3 G m");
        for (argument, expected) in [
            ("b +0.8ms", (1, 800_000)),
            ("server -2s", (1, -2_000_000_000)),
            ("a 5us", (0, 5_000)),
        ] {
            assert_eq!(app.read_shift(argument), Ok(expected), "{argument}");
        }
        for (argument, word) in [
            ("c +1ms", "files: a client.pcapng, b server.pcap"),
            ("b", "shift FILE TIME"),
            ("b 3", "no span"),
        ] {
            let why = app.read_shift(argument).unwrap_err();
            assert!(why.contains(word), "{argument}: {why}");
        }
        let effects = app.shift("b +0.8ms");
        assert!(matches!(effects[..], [Effect::Shift(1, 800_000)]));
        assert!(app.jobs.indexing && app.store.frame_count() == 0);
        assert!(
            said(&app).starts_with("server.pcap moves by +800"),
            "{}",
            said(&app)
        );
    }
}
