//! Which numbers a condition takes, ready to be asked a million times.

use crate::query::value::Ranges;

/// As many ranges are looked at one after the other.
const FEW: usize = 8;

/// A set of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fits {
    /// From `low` on as many as `span` tells besides; all others if `outside`.
    Range { low: i64, span: u64, outside: bool },
    /// Inclusive ranges in order, without overlaps.
    Ranges(Vec<(i64, i64)>),
    /// Those with one of these bits.
    Mask(i64),
}

impl Fits {
    /// All numbers.
    pub(super) fn all() -> Self {
        Self::range(i64::MIN, i64::MAX, false)
    }

    fn range(low: i64, high: i64, outside: bool) -> Self {
        let span = high.wrapping_sub(low).cast_unsigned();
        Self::Range { low, span, outside }
    }

    pub(super) fn of(ranges: &Ranges) -> Self {
        let mut list: Vec<(i64, i64)> = ranges
            .0
            .iter()
            .filter(|(low, high)| {
                low <= high && *high >= i128::from(i64::MIN) && *low <= i128::from(i64::MAX)
            })
            .map(|(low, high)| (narrow(*low), narrow(*high)))
            .collect();
        list.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::with_capacity(list.len());
        for (low, high) in list {
            match joined.last_mut() {
                Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
                _ => joined.push((low, high)),
            }
        }
        match joined[..] {
            [(low, high)] => Self::range(low, high, false),
            [(i64::MIN, end), (next, i64::MAX)] => {
                Self::range(end.saturating_add(1), next.saturating_sub(1), true)
            }
            _ => Self::Ranges(joined),
        }
    }

    #[inline]
    pub(super) fn has(&self, n: i64) -> bool {
        match self {
            Self::Range { low, span, outside } => {
                (n.wrapping_sub(*low).cast_unsigned() <= *span) != *outside
            }
            Self::Ranges(ranges) if ranges.len() <= FEW => {
                ranges.iter().any(|(low, high)| *low <= n && n <= *high)
            }
            Self::Ranges(ranges) => {
                let at = ranges.partition_point(|(_, high)| *high < n);
                ranges.get(at).is_some_and(|(low, _)| *low <= n)
            }
            Self::Mask(bits) => n & *bits != 0,
        }
    }

    /// The codes below 64 that fit, as bits.
    pub(super) fn codes(&self) -> u64 {
        let codes = (0..64).filter(|code| self.has(*code));
        codes.fold(0, |bits, code| bits | (1 << code))
    }
}

fn narrow(n: i128) -> i64 {
    i64::try_from(n).unwrap_or(if n < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_same_numbers_as_the_ranges_they_come_from(
            ranges in proptest::collection::vec((-30_i128..30, 0_i128..3), 0..14),
            negated: bool,
            far: bool,
        ) {
            let ranges = ranges.into_iter().map(|(low, more)| (low, low + more - 1));
            let mut ranges = Ranges(ranges.collect());
            if far {
                ranges.0.push((i128::from(i64::MAX) - 1, i128::MAX));
                ranges.0.push((i128::MIN, i128::from(i64::MIN) + 1));
            }
            if negated {
                ranges.0.retain(|(low, high)| low <= high);
                ranges = ranges.complement();
            }
            let fits = Fits::of(&ranges);
            let near = -35_i64..35;
            for n in near.chain([i64::MIN, i64::MIN + 1, i64::MIN + 2, i64::MAX - 2, i64::MAX - 1, i64::MAX]) {
                prop_assert_eq!(fits.has(n), ranges.has(i128::from(n)), "{}", n);
            }
        }
    }

    #[test]
    fn bits_and_codes() {
        assert!(Fits::Mask(5).has(4));
        assert!(!Fits::Mask(5).has(2));
        assert_eq!(Fits::of(&Ranges(vec![(1, 2), (70, 70)])).codes(), 0b110);
        assert!(Fits::all().has(i64::MIN) && Fits::all().has(i64::MAX));
    }
}
