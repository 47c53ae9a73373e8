//! Which connections are over for so long that what is needed to read on in them can be given up.
//!
//! A capture can hold very many short connections. Each costs some kilobytes as long as more may come of its streams,
//! and behind its end hardly anything does.

use std::collections::VecDeque;

use crate::units::FrameNo;

/// So many connections that were over last, or that showed frames since, can be read on.
pub(super) const KEPT: usize = 256;

/// Connections that are over, the one that is so for longest first.
#[derive(Debug)]
pub(super) struct Over {
    /// Their indices, each with the last frame that was known when it took its place.
    queue: VecDeque<(usize, FrameNo)>,
    pub(super) kept: usize,
}

impl Default for Over {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            kept: KEPT,
        }
    }
}

impl Over {
    /// A connection is over, or still so, with a frame.
    pub(super) fn push(&mut self, index: usize, frame: FrameNo) {
        self.queue.push_back((index, frame));
    }

    /// Takes out the one that is over for longest if there are more than can be kept, with the frame it was put in with.
    pub(super) fn pop(&mut self) -> Option<(usize, FrameNo)> {
        (self.queue.len() > self.kept).then(|| self.queue.pop_front())?
    }
}
