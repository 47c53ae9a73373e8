//! The number of a frame within its own file, where a capture consists of several.

use super::InterfaceRow;
use crate::units::InterfaceId;

/// Frames between two notes of how far each file is.
const STEP: usize = 4096;

/// How many frames of each file stand before every so-manieth frame of the capture.
#[derive(Debug, Default)]
pub(super) struct Places {
    notes: Vec<Box<[u32]>>,
    counts: Vec<u32>,
    frames: usize,
}

impl Places {
    /// Takes in the next frame.
    pub(super) fn push(&mut self, file: usize, files: usize) {
        if self.counts.len() < files {
            self.counts.resize(files, 0);
        }
        if self.frames.is_multiple_of(STEP) {
            self.notes.push(self.counts.clone().into_boxed_slice());
        }
        if let Some(count) = self.counts.get_mut(file) {
            *count = count.saturating_add(1);
        }
        self.frames = self.frames.saturating_add(1);
    }

    /// The number, from 1, of a frame of `file` within it. `interfaces` tells the interfaces of the frames from an
    /// index on.
    pub(super) fn number<I: Iterator<Item = InterfaceId>>(
        &self,
        index: usize,
        file: usize,
        table: &[InterfaceRow],
        interfaces: impl Fn(usize) -> I,
    ) -> Option<u32> {
        let note = index.checked_div(STEP)?;
        let before = self.notes.get(note)?.get(file).copied().unwrap_or(0);
        let start = note.saturating_mul(STEP);
        let of_file = |id: &InterfaceId| table.get(id.index()).is_some_and(|row| row.file == file);
        let since = interfaces(start)
            .take(index.saturating_sub(start))
            .filter(of_file)
            .count();
        let since = u32::try_from(since).unwrap_or(u32::MAX);
        Some(before.saturating_add(since).saturating_add(1))
    }
}
