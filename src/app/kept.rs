//! What is kept of a capture from one run to the next: marks, ignored frames, filter, position, time reference.

use serde::{Deserialize, Serialize};

use super::{App, Effect};
use crate::export::{FrameSet, parse_frames};
use crate::units::FrameNo;

/// What is kept. Frames are written as ranges, so that a person can read the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Marked frames.
    pub marks: String,
    /// Frames left out of the lanes.
    pub ignored: String,
    /// The filter.
    pub filter: String,
    /// The frame under the cursor.
    pub cursor: u32,
    /// The frame that times count from; 0 for the first.
    pub time_ref: u32,
}

impl App {
    /// What is to be kept; `None` when there is nothing worth it.
    pub fn kept(&self) -> Option<Kept> {
        let kept = Kept {
            marks: self.marks.to_string(),
            ignored: self.ignored.to_string(),
            filter: self.filter.clone(),
            cursor: self.list.cursor.0,
            time_ref: self.time_ref.map_or(0, |no| no.0),
        };
        let nothing = Kept {
            cursor: 1,
            ..Kept::default()
        };
        (self.store.frame_count() > 0 && kept != nothing).then_some(kept)
    }

    /// Takes in what was kept, once the frames are there. What the user has done meanwhile goes before it.
    pub(super) fn restore_kept(&mut self) -> Vec<Effect> {
        let Some(kept) = self.to_restore.take() else {
            return Vec::new();
        };
        let frames = |text: &str| -> FrameSet {
            if text.is_empty() {
                return FrameSet::default();
            }
            parse_frames(text, &self.store).unwrap_or_default()
        };
        let (marks, ignored) = (frames(&kept.marks), frames(&kept.ignored));
        self.marks = self.marks.union(&marks);
        self.ignored = self.ignored.union(&ignored);
        if self.moved {
            return Vec::new();
        }
        let there = |no: u32| self.store.frame(FrameNo(no)).map(|_| FrameNo(no));
        self.time_ref = there(kept.time_ref);
        if self.time_ref.is_some() {
            self.settings.time = super::clock::TimeFormat::Reference;
        }
        if let Some(frame) = there(kept.cursor) {
            self.land(frame);
        }
        if kept.filter.is_empty() {
            return Vec::new();
        }
        self.filter = kept.filter;
        self.restart_filter()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{app, press};

    #[test]
    fn marks_and_place_come_back() {
        let mut first = app(80, 24);
        press(&mut first, "3 G m j m 8 G T");
        let kept = first.kept().unwrap();
        let mut second = app(80, 24);
        second.to_restore = Some(kept.clone());
        second.restore_kept();
        assert_eq!(second.kept().unwrap(), kept);
        assert_eq!(second.marks.to_string(), "3-4");
        assert_eq!(app(80, 24).kept(), None);
    }
}
