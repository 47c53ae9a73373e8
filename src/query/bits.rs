//! Sets of frames within a block, one bit for each frame.

/// Frames in a block.
pub(super) const BLOCK: usize = 4096;
const WORDS: usize = BLOCK / 64;

/// One bit for each frame of a block.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Bits([u64; WORDS]);

impl Bits {
    pub(super) fn none() -> Self {
        Self([0; WORDS])
    }

    /// The first `len` frames.
    pub(super) fn first(len: usize) -> Self {
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

    pub(super) fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    pub(super) fn has(&self, at: usize) -> bool {
        self.0
            .get(at / 64)
            .is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|w| *w == 0)
    }

    fn zip(&self, other: &Self, f: impl Fn(u64, u64) -> u64) -> Self {
        let mut out = Self::none();
        for ((out, a), b) in out.0.iter_mut().zip(&self.0).zip(&other.0) {
            *out = f(*a, *b);
        }
        out
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & b)
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a | b)
    }

    pub(super) fn without(&self, other: &Self) -> Self {
        self.zip(other, |a, b| a & !b)
    }

    /// The positions that are set, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
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
