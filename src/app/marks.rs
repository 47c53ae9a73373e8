//! Marked frames as ranges, so that marking a million frames costs no more than marking one.

use std::fmt::Write as _;

use crate::units::FrameNo;

/// A set of frames as ranges that neither touch nor overlap, in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrameSet {
    ranges: Vec<(u32, u32)>,
}

impl FrameSet {
    /// The set of one range, both ends included.
    pub fn range(first: FrameNo, last: FrameNo) -> Self {
        Self {
            ranges: vec![(first.0.min(last.0), first.0.max(last.0))],
        }
    }

    /// A set with these ranges, in any order.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut set = Self::default();
        for (first, last) in ranges {
            set.insert(FrameNo(first), FrameNo(last));
        }
        set
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many frames are in it.
    pub fn len(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(first, last)| u64::from(last.saturating_sub(*first)).saturating_add(1))
            .sum()
    }

    /// The ranges, in file order.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// All frames, in file order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = FrameNo> + '_ {
        self.ranges
            .iter()
            .flat_map(|(first, last)| (*first..=*last).map(FrameNo))
    }

    /// Whether a frame is in it.
    pub fn contains(&self, frame: FrameNo) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < frame.0);
        self.ranges
            .get(at)
            .is_some_and(|(first, _)| *first <= frame.0)
    }

    /// The first and the last frame.
    pub fn ends(&self) -> Option<(FrameNo, FrameNo)> {
        Some((
            FrameNo(self.ranges.first()?.0),
            FrameNo(self.ranges.last()?.1),
        ))
    }

    /// Adds a range, both ends included.
    pub fn insert(&mut self, first: FrameNo, last: FrameNo) {
        let (mut first, mut last) = (first.0.min(last.0), first.0.max(last.0));
        let from = self
            .ranges
            .partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self
            .ranges
            .partition_point(|(start, _)| *start <= last.saturating_add(1));
        for (start, end) in self.ranges.drain(from..to.max(from)) {
            first = first.min(start);
            last = last.max(end);
        }
        self.ranges.insert(from, (first, last));
    }

    /// Takes a range out, both ends included.
    pub fn remove(&mut self, first: FrameNo, last: FrameNo) {
        let (first, last) = (first.0.min(last.0), first.0.max(last.0));
        let mut kept = Vec::with_capacity(self.ranges.len().saturating_add(1));
        for (start, end) in self.ranges.drain(..) {
            if end < first || start > last {
                kept.push((start, end));
                continue;
            }
            if start < first {
                kept.push((start, first.saturating_sub(1)));
            }
            if end > last {
                kept.push((last.saturating_add(1), end));
            }
        }
        self.ranges = kept;
    }

    /// Puts a frame in, or takes it out if it is in.
    pub fn toggle(&mut self, frame: FrameNo) {
        if self.contains(frame) {
            self.remove(frame, frame);
        } else {
            self.insert(frame, frame);
        }
    }

    /// The way ranges are written: `12,1045-1049`.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (first, last) in &self.ranges {
            if !out.is_empty() {
                out.push(',');
            }
            let _ = if first == last {
                write!(out, "{first}")
            } else {
                write!(out, "{first}-{last}")
            };
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_grow_together_and_fall_apart() {
        let mut set = FrameSet::default();
        set.toggle(FrameNo(5));
        set.toggle(FrameNo(7));
        set.toggle(FrameNo(6));
        assert_eq!(set.text(), "5-7");
        set.toggle(FrameNo(6));
        assert_eq!(set.text(), "5,7");
        set.insert(FrameNo(10), FrameNo(1));
        assert_eq!((set.text().as_str(), set.len()), ("1-10", 10));
    }

    proptest! {
        #[test]
        fn it_behaves_as_a_set(steps in proptest::collection::vec((any::<bool>(), 1u32..40, 1u32..40), 0..30)) {
            let mut set = FrameSet::default();
            let mut model = std::collections::BTreeSet::new();
            for (add, a, b) in steps {
                let (low, high) = (a.min(b), a.max(b));
                if add {
                    set.insert(FrameNo(a), FrameNo(b));
                    model.extend(low..=high);
                } else {
                    set.remove(FrameNo(a), FrameNo(b));
                    model.retain(|n| *n < low || *n > high);
                }
            }
            prop_assert_eq!(set.iter().map(|f| f.0).collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.len(), model.len() as u64);
            for n in 0..42 {
                prop_assert_eq!(set.contains(FrameNo(n)), model.contains(&n));
            }
            prop_assert!(set.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0));
        }
    }
}
