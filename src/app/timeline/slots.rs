//! The event scale: a column per frame, and one for each long wait between two of them.

use super::Scene;
use crate::units::{FrameNo, Nanos};

/// A column of the event scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A frame.
    Frame(FrameNo),
    /// A wait before a frame, of so many nanoseconds.
    Gap(FrameNo, i64),
}

impl Slot {
    /// The frame that it is, or that ends it.
    pub fn frame(self) -> FrameNo {
        match self {
            Self::Frame(no) | Self::Gap(no, _) => no,
        }
    }
}

/// The columns: the connection's frames around the cursor, and the waits between them.
pub(super) fn slots(scene: &Scene<'_>) -> Vec<Slot> {
    let columns = usize::from(scene.columns);
    let mut slots = Vec::new();
    let mut at = 0;
    let mut time: Option<Nanos> = None;
    for no in frames_around(scene, columns) {
        let Some(frame) = scene.store.frame(no) else {
            continue;
        };
        let wait = time.map_or(0, |t| frame.time.since(t));
        if wait > scene.timeline.gap_ns {
            slots.push(Slot::Gap(no, wait));
        }
        time = Some(frame.time);
        if no <= scene.cursor {
            at = slots.len();
        }
        slots.push(Slot::Frame(no));
    }
    // The cursor stands in the middle where there is enough on both sides.
    let most = slots.len().saturating_sub(columns);
    let skip = at.saturating_sub(columns / 2).min(most);
    slots.into_iter().skip(skip).take(columns).collect()
}

/// Frames of the connection: as many as there are columns before the cursor, and as many behind it.
fn frames_around(scene: &Scene<'_>, columns: usize) -> Vec<FrameNo> {
    let store = scene.store;
    let Some(last) = store.conn(scene.conn).map(|c| c.last_frame) else {
        return Vec::new();
    };
    let own = |no: &FrameNo| store.frame(*no).is_some_and(|f| f.conn == Some(scene.conn));
    let here = scene.cursor.min(last);
    // Those before by the connection's chain, those behind by looking through the file.
    let mut frames: Vec<FrameNo> = Vec::new();
    let mut before = (1..=here.0).rev().map(FrameNo).find(own);
    while let Some(no) = before.filter(|_| frames.len() < columns) {
        frames.push(no);
        before = store.frame(no).and_then(|f| f.prev).filter(|p| *p < no);
    }
    frames.reverse();
    let behind = store
        .frames_from(FrameNo(here.0.saturating_add(1)))
        .take_while(|(no, _)| *no <= last)
        .filter(|(_, f)| f.conn == Some(scene.conn))
        .map(|(no, _)| no)
        .take(columns);
    frames.extend(behind);
    frames
}
