//! What is odd about frames, counted as they come, so that nobody has to look at all of them again.

use super::frame::{FrameFlags, FrameRow};
use crate::units::FrameNo;

/// How many frames are odd in one way, and the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Oddity {
    /// So many.
    pub frames: u32,
    /// The first.
    pub first: Option<FrameNo>,
}

impl Oddity {
    /// Counts others with these.
    pub fn add(&mut self, other: Self) {
        self.frames = self.frames.saturating_add(other.frames);
        self.first = self.first.into_iter().chain(other.first).min();
    }

    fn note(&mut self, no: FrameNo, odd: bool) {
        if odd {
            self.frames = self.frames.saturating_add(1);
            self.first = self.first.or(Some(no));
        }
    }
}

/// The oddities of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Oddities {
    /// Copies of another frame.
    pub copies: Oddity,
    /// Cut by the snap length, with payload.
    pub cut: Oddity,
    /// Stamped earlier than the frame before.
    pub earlier: Oddity,
    /// Resets.
    pub resets: Oddity,
}

impl Oddities {
    /// Whether a frame can be odd by itself; few are.
    #[inline]
    pub(super) fn may_be_odd(row: &FrameRow) -> bool {
        row.flags.0 & (FrameFlags::DUPLICATE.0 | FrameFlags::CUT.0) != 0 || row.tcp_flags.rst()
    }

    /// Takes note of a frame that may be odd.
    #[inline]
    pub(super) fn note(&mut self, no: FrameNo, row: &FrameRow, earlier: bool) {
        let flags = row.flags;
        self.copies.note(no, flags.has(FrameFlags::DUPLICATE));
        self.cut.note(no, row.is_cut());
        self.earlier.note(no, earlier);
        self.resets.note(no, row.tcp_flags.rst());
    }
}
