//! Which connections are over for so long that what is needed to read on in them can be given up.
//!
//! A capture can hold very many short connections. Each costs some kilobytes as long as more may come of its streams,
//! and behind its end hardly anything does.

use std::collections::VecDeque;

use crate::units::FrameNo;

/// So many connections that were over last, or that showed frames since, can be read on.
pub(super) const KEPT: usize = 1024;

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
    /// A connection is over, with a frame.
    pub(super) fn push(&mut self, index: usize, frame: FrameNo) {
        self.queue.push_back((index, frame));
    }

    /// Calls `give_up` for those that are more than can be kept, which returns the connection's last frame if it has
    /// shown more than the one given: then it takes its place anew.
    pub(super) fn give_up(&mut self, mut give_up: impl FnMut(usize, FrameNo) -> Option<FrameNo>) {
        let more = self.queue.len().saturating_sub(self.kept);
        for _ in 0..more {
            let Some((index, frame)) = self.queue.pop_front() else {
                return;
            };
            if let Some(later) = give_up(index, frame) {
                self.queue.push_back((index, later));
            }
        }
    }
}
