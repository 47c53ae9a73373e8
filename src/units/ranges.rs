//! Ranges of bytes that stand together.

use std::ops::Range;

/// Ranges in order, those that overlap or touch as one.
pub fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_overlap_or_touch_are_one() {
        let ranges = vec![8..9, 0..3, 3..5, 1..2, 6..7];
        assert_eq!(joined(ranges), [0..5, 6..7, 8..9]);
    }
}
