//! A block of frames, with loops over its rows that are fast enough for scans.

use super::bits::{BLOCK, Bits, WORD};
use crate::store::{FrameRow, PduRow, Store};
use crate::units::FrameNo;

/// A stretch of frames with the PDUs that are completed in them.
#[derive(Clone, Copy)]
pub(in crate::query) struct Block<'a> {
    pub(super) store: &'a Store,
    pub(super) first: FrameNo,
    pub(in crate::query) len: usize,
}

impl<'a> Block<'a> {
    /// The frames from `from` on, as many as a block holds; `None` behind the last one.
    pub(in crate::query) fn at(store: &'a Store, from: FrameNo) -> Option<Self> {
        let len = store.frame_count().checked_sub(from.index())?.min(BLOCK);
        (len > 0).then_some(Self {
            store,
            first: from,
            len,
        })
    }

    pub(super) fn frame(&self, at: usize) -> FrameNo {
        FrameNo::from_index(self.first.index().saturating_add(at))
    }

    pub(super) fn position(&self, frame: FrameNo) -> Option<usize> {
        let at = frame.index().checked_sub(self.first.index())?;
        (at < self.len).then_some(at)
    }

    /// Calls `f` with each frame, its place in the block, and the time of the frame before it.
    #[inline]
    pub(super) fn each_frame(&self, mut f: impl FnMut(usize, FrameNo, &FrameRow, Option<i64>)) {
        self.some_frames(0, self.len, &mut f);
    }

    /// The frames that fit, of those in `mask`; words without any are passed over.
    #[inline]
    pub(super) fn frame_bits(
        &self,
        mask: &Bits,
        mut fits: impl FnMut(FrameNo, &FrameRow, Option<i64>) -> bool,
    ) -> Bits {
        let mut bits = Bits::none();
        for (start, word) in bits.words() {
            let len = self.len.saturating_sub(start).min(WORD);
            let wanted = mask.word(start);
            if wanted == 0 || len == 0 {
                continue;
            }
            let mut found = 0;
            let mut bit = 1_u64;
            self.some_frames(start, len, &mut |_, no, row, before| {
                if fits(no, row, before) {
                    found |= bit;
                }
                bit <<= 1;
            });
            *word = found & wanted;
        }
        bits
    }

    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    fn some_frames(
        &self,
        start: usize,
        len: usize,
        f: &mut impl FnMut(usize, FrameNo, &FrameRow, Option<i64>),
    ) {
        let from = self.frame(start);
        let before = from.0.checked_sub(1).map(FrameNo);
        let mut before = before.and_then(|no| self.store.time_of(no)).map(|t| t.0);
        let mut at = start;
        self.store.each_frame(from, len, |no, row| {
            f(at, no, row, before);
            before = Some(row.time.0);
            at = at.wrapping_add(1);
        });
    }

    /// Calls `f` with each PDU and the place of its frame in the block. Those that came late come last.
    #[inline]
    pub(super) fn each_pdu(&self, mut f: impl FnMut(usize, &PduRow)) {
        let first = self.first.index();
        self.store.each_pdu(self.first, self.len, |pdu| {
            f(pdu.frame.index().wrapping_sub(first), pdu);
        });
    }

    /// The frames whose completed PDUs fit.
    pub(super) fn pdu_bits(&self, mut fits: impl FnMut(&PduRow) -> bool) -> Bits {
        let mut bits = Bits::none();
        self.each_pdu(|at, pdu| bits.set_if(at, fits(pdu)));
        bits
    }
}
