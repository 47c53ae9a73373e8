//! Where jumps came from, and the states that undo goes back to.

use crate::export::FrameSet;
use crate::units::FrameNo;

/// How many places and states are kept.
const KEPT: usize = 200;

/// Places that jumps left, with the way forward again.
#[derive(Debug, Clone, Default)]
pub struct Jumps {
    back: Vec<FrameNo>,
    forward: Vec<FrameNo>,
}

impl Jumps {
    /// Notes that a jump leaves a frame.
    pub fn leave(&mut self, from: FrameNo) {
        if self.back.last() != Some(&from) {
            self.back.push(from);
            if self.back.len() > KEPT {
                self.back.remove(0);
            }
        }
        self.forward.clear();
    }

    /// How many places there are to go back to, and forward.
    pub(super) fn depths(&self) -> (usize, usize) {
        (self.back.len(), self.forward.len())
    }

    /// The place to go back to.
    pub fn back(&mut self, here: FrameNo) -> Option<FrameNo> {
        let to = self.back.pop()?;
        self.forward.push(here);
        Some(to)
    }

    /// The place to go forward to.
    pub fn forward(&mut self, here: FrameNo) -> Option<FrameNo> {
        let to = self.forward.pop()?;
        self.back.push(here);
        Some(to)
    }
}

/// What undo brings back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undoable {
    /// Marked frames.
    pub marks: FrameSet,
    /// Frames left out of the lanes.
    pub ignored: FrameSet,
    /// The filter's text; empty for none.
    pub filter: String,
    /// The frame that times count from.
    pub time_ref: Option<FrameNo>,
}

/// States before and after the present one, each with what led away from it.
#[derive(Debug, Clone, Default)]
pub struct UndoStack {
    past: Vec<(Undoable, &'static str)>,
    future: Vec<(Undoable, &'static str)>,
}

impl UndoStack {
    /// Notes the state before a change.
    pub fn before(&mut self, state: Undoable, what: &'static str) {
        self.past.push((state, what));
        if self.past.len() > KEPT {
            self.past.remove(0);
        }
        self.future.clear();
    }

    /// How many changes can be undone.
    #[cfg(test)]
    pub(super) fn depth(&self) -> usize {
        self.past.len()
    }

    /// The state before the last change, and what the change was.
    pub fn undo(&mut self, now: Undoable) -> Option<(Undoable, &'static str)> {
        let (state, what) = self.past.pop()?;
        self.future.push((now, what));
        Some((state, what))
    }

    /// The state behind the last undone change.
    pub fn redo(&mut self, now: Undoable) -> Option<(Undoable, &'static str)> {
        let (state, what) = self.future.pop()?;
        self.past.push((now, what));
        Some((state, what))
    }
}
