//! What many rows have in common, kept once and named by a number.

use rustc_hash::FxHashMap;

/// A shape as some numbers, which are quick to compare: different for different shapes, and never all ones.
pub(super) type Key<const N: usize> = [u64; N];

/// Places for the shapes that came last; a power of two.
const RECENT: usize = 64;

/// Gives shapes their numbers, in the order in which they first come.
#[derive(Debug)]
pub(super) struct Shapes<S, const N: usize> {
    numbers: FxHashMap<Key<N>, u16>,
    /// Those that came last, each at a place of its own: a capture has a handful that take turns.
    recent: [(Key<N>, u16); RECENT],
    /// Those that got a number since they were last taken.
    new: Vec<S>,
}

impl<S, const N: usize> Default for Shapes<S, N> {
    fn default() -> Self {
        Self {
            numbers: FxHashMap::default(),
            recent: [([u64::MAX; N], 0); RECENT],
            new: Vec::new(),
        }
    }
}

impl<S, const N: usize> Shapes<S, N> {
    /// The number of the shape with a key, if it was the last at its place.
    #[expect(
        clippy::inline_always,
        reason = "asked for each row, right where its key is made"
    )]
    #[inline(always)]
    pub(super) fn recent(&self, key: Key<N>) -> Option<u16> {
        self.at(place(key), key)
    }

    /// The number of the shape with a key, if it was the last at its place but one.
    #[inline]
    pub(super) fn beside(&self, key: Key<N>) -> Option<u16> {
        self.at(beside(place(key)), key)
    }

    #[inline]
    fn at(&self, place: usize, key: Key<N>) -> Option<u16> {
        let (known, number) = self.recent.get(place)?;
        let pairs = known.iter().zip(key);
        let differing = pairs.fold(0, |all, (known, part)| all | (known ^ part));
        (differing == 0).then_some(*number)
    }

    /// The number of the shape with a key; `None` for a new one if there are `limit` already. It is then the recent one
    /// at its place, and the one that was there is so beside it, for two can take turns at a place.
    #[cold]
    pub(super) fn number(&mut self, key: Key<N>, limit: u16, shape: S) -> Option<u16> {
        if let Some(number) = self.beside(key) {
            return Some(number);
        }
        let number = if let Some(number) = self.numbers.get(&key) {
            *number
        } else {
            let next = u16::try_from(self.numbers.len()).ok();
            let next = next.filter(|next| *next < limit)?;
            self.new.push(shape);
            self.numbers.insert(key, next);
            next
        };
        let place = place(key);
        self.recent.swap(place, beside(place));
        if let Some(recent) = self.recent.get_mut(place) {
            *recent = (key, number);
        }
        Some(number)
    }

    /// The shapes that are new since this was asked last, in the order of their numbers.
    pub(super) fn take_new(&mut self) -> Vec<S> {
        std::mem::take(&mut self.new)
    }
}

/// The place that a place shares its shapes with.
#[inline]
fn beside(place: usize) -> usize {
    place ^ 1
}

#[inline]
fn place<const N: usize>(key: Key<N>) -> usize {
    let all = key.into_iter().fold(0, |all, part| all ^ part);
    let mixed = all.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - RECENT.ilog2());
    usize::try_from(mixed).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_keeps_its_number_wherever_it_is_found() {
        let mut shapes: Shapes<u64, 2> = Shapes::default();
        let mut numbers = FxHashMap::default();
        let mut found = [0; 3];
        for n in 0..40_000_u64 {
            // Few of them come often, many now and then, more than there are places.
            let shape = if n % 3 == 0 { n / 3 % 500 } else { n % 17 };
            let key = [shape, shape << 32];
            let (way, number) = match (shapes.recent(key), shapes.beside(key)) {
                (Some(number), _) => (0, number),
                (None, Some(number)) => (1, number),
                (None, None) => (2, shapes.number(key, 500, shape).unwrap()),
            };
            found[way] += 1;
            assert_eq!(*numbers.entry(shape).or_insert(number), number);
        }
        assert!(found.iter().all(|times| *times > 100), "{found:?}");
        // They got their numbers as they came, each once, and no more than there may be.
        let new = shapes.take_new();
        assert_eq!(new.len(), 500);
        for (number, shape) in new.iter().enumerate() {
            let known = shapes.number([*shape, shape << 32], 500, *shape);
            assert_eq!(known.map(usize::from), Some(number));
        }
        assert_eq!(shapes.number([500, 0], 500, 500), None);
    }
}
