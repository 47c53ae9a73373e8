//! Which end a capture was taken on (`close-patterns.md` 1.3), with the evidence.

use crate::store::{ConnRow, FrameRow, View};

/// Evidence collected over the frames.
#[derive(Debug, Default)]
pub(super) struct Views {}

impl Views {
    pub(super) fn frame(&mut self, _conn: &ConnRow, _row: &FrameRow) {}

    /// The verdict, once there is one.
    pub(super) fn verdict(&mut self) -> Option<(View, Vec<String>)> {
        None
    }
}
