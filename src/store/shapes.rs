//! What many rows have in common, kept once and named by a number.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// A shape as two numbers, which are quick to compare.
pub(super) type Key = [u64; 2];

/// Places for the shapes that came last; a power of two.
const RECENT: usize = 16;

/// What rows have in common.
pub(super) trait Shape: Copy + Eq + Hash {
    /// Different for different shapes.
    fn key(self) -> Key;
}

/// The shapes so far, each at the number that stands for it.
#[derive(Debug)]
pub(super) struct Shapes<S> {
    list: Vec<S>,
    numbers: FxHashMap<S, u32>,
    /// Those that came last, each at a place of its own: a capture has a handful that take turns.
    recent: [Option<(Key, u32)>; RECENT],
}

impl<S> Default for Shapes<S> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            numbers: FxHashMap::default(),
            recent: [None; RECENT],
        }
    }
}

impl<S: Shape> Shapes<S> {
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&S> {
        self.list.get(usize::try_from(number).ok()?)
    }

    /// The number of a shape; `None` for a new one if there are `limit` already.
    #[inline]
    pub(super) fn number(&mut self, shape: S, limit: u32) -> Option<u32> {
        let key = shape.key();
        if let Some(Some((known, number))) = self.recent.get(place(key))
            && *known == key
        {
            return Some(*number);
        }
        let number = self.look_up(shape, limit)?;
        if let Some(recent) = self.recent.get_mut(place(key)) {
            *recent = Some((key, number));
        }
        Some(number)
    }

    fn look_up(&mut self, shape: S, limit: u32) -> Option<u32> {
        if let Some(number) = self.numbers.get(&shape) {
            return Some(*number);
        }
        let next = u32::try_from(self.list.len())
            .ok()
            .filter(|next| *next < limit)?;
        self.list.push(shape);
        self.numbers.insert(shape, next);
        Some(next)
    }
}

#[inline]
fn place([low, high]: Key) -> usize {
    let mixed = (low ^ high).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - RECENT.ilog2());
    usize::try_from(mixed).unwrap_or(0)
}
