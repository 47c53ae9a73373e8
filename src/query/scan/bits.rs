//! Sets of frames within a block, one bit for each frame.

use crate::units::FrameNo;

/// Frames in a block; few where the tests of this layer are to reach the borders of blocks.
pub(in crate::query) const BLOCK: usize = if cfg!(test) { 128 } else { 4096 };
/// Frames in a word.
pub(super) const WORD: usize = 64;
const WORDS: usize = BLOCK / WORD;

/// One bit for each frame of a block.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::query) struct Bits([u64; WORDS]);

impl Bits {
    pub(in crate::query) fn none() -> Self {
        Self([0; WORDS])
    }

    /// The first `len` frames.
    pub(in crate::query) fn first(len: usize) -> Self {
        let mut bits = Self::none();
        for (at, word) in bits.0.iter_mut().enumerate() {
            let left = len.saturating_sub(at.saturating_mul(64)).min(64);
            *word = match u32::try_from(left) {
                Ok(64) => u64::MAX,
                Ok(n) => (1_u64 << n).wrapping_sub(1),
                Err(_) => 0,
            };
        }
        bits
    }

    pub(in crate::query) fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// Adds a frame if `wanted`, without a branch.
    #[inline]
    pub(super) fn set_if(&mut self, at: usize, wanted: bool) {
        if let Some(word) = self.0.get_mut(at / WORD) {
            *word |= u64::from(wanted) << (at % WORD);
        }
    }

    /// Adds the frames from one to another (not included).
    pub(super) fn set_range(&mut self, from: usize, behind: usize) {
        let range = Self::first(behind).without(&Self::first(from));
        *self = self.or(&range);
    }

    /// The words, each with the place of its first frame.
    pub(super) fn words(&mut self) -> impl Iterator<Item = (usize, &mut u64)> {
        let places = (0..).step_by(WORD);
        places.zip(&mut self.0)
    }

    pub(super) fn word(&self, at: usize) -> u64 {
        self.0.get(at / WORD).copied().unwrap_or(0)
    }

    /// Appends the frames, of which the first of the block is `first`.
    pub(in crate::query) fn push_to(&self, first: FrameNo, out: &mut Vec<FrameNo>) {
        let count: u32 = self.0.iter().map(|word| word.count_ones()).sum();
        out.reserve(usize::try_from(count).unwrap_or(0));
        let mut start = first.0;
        for word in self.0 {
            if word == u64::MAX {
                out.extend((start..start.saturating_add(64)).map(FrameNo));
            } else {
                let mut left = word;
                while left != 0 {
                    out.push(FrameNo(start.saturating_add(left.trailing_zeros())));
                    left &= left.wrapping_sub(1);
                }
            }
            start = start.saturating_add(64);
        }
    }

    pub(in crate::query) fn has(&self, at: usize) -> bool {
        self.0
            .get(at / 64)
            .is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    pub(in crate::query) fn is_empty(&self) -> bool {
        self.0.iter().all(|w| *w == 0)
    }

    fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let mut out = Self::none();
        for ((out, a), b) in out.0.iter_mut().zip(&self.0).zip(&other.0) {
            *out = f(*a, *b);
        }
        out
    }

    pub(in crate::query) fn and(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    pub(in crate::query) fn or(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    pub(in crate::query) fn without(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    /// The positions that are set, in order.
    pub(in crate::query) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = usize::try_from(left.trailing_zeros()).unwrap_or(0);
                left &= left.wrapping_sub(1);
                Some(at.saturating_mul(64).saturating_add(bit))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_frames_in_order() {
        let mut bits = Bits::none();
        bits.set_range(60, 100);
        bits.set_range(5, 5);
        bits.set_if(3, true);
        bits.set_if(4, false);
        let wanted: Vec<usize> = std::iter::once(3).chain(60..100).collect();
        assert_eq!(bits.iter().collect::<Vec<_>>(), wanted);
        let mut frames = Vec::new();
        bits.push_to(FrameNo(4097), &mut frames);
        let frames: Vec<usize> = frames.iter().map(|no| no.index() - 4096).collect();
        assert_eq!(frames, wanted);
        let mut all = Bits::none();
        all.set_range(0, BLOCK);
        assert!(all == Bits::first(BLOCK));
    }
}
