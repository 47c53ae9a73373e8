//! Sets of frame numbers as ranges: how they are written (`5,10-15,20-,-5`, `@12.0..12.1`) and computed with.

use std::fmt;

use crate::store::Store;
use crate::units::{FrameNo, Nanos};

/// A set of frames, kept as sorted ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FrameSet {
    ranges: Vec<(u32, u32)>,
}

impl FrameSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// All frames from `first` to `last`, both included, in either order.
    pub fn range(first: FrameNo, last: FrameNo) -> Self {
        let (low, high) = (first.0.min(last.0).max(1), first.0.max(last.0));
        let ranges = if high == 0 {
            Vec::new()
        } else {
            vec![(low, high)]
        };
        Self { ranges }
    }

    /// Whether no frame is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Number of frames.
    pub fn len(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(low, high)| u64::from(high.saturating_sub(*low)).saturating_add(1))
            .sum()
    }

    /// Whether a frame is in it.
    pub fn contains(&self, frame: FrameNo) -> bool {
        let at = self.ranges.partition_point(|(_, high)| *high < frame.0);
        self.ranges.get(at).is_some_and(|(low, _)| *low <= frame.0)
    }

    /// Its first frame at or behind another.
    pub fn from(&self, frame: FrameNo) -> Option<FrameNo> {
        let at = self.ranges.partition_point(|(_, high)| *high < frame.0);
        let (low, _) = self.ranges.get(at)?;
        Some(frame.max(FrameNo(*low)))
    }

    /// Its frames in file order.
    pub fn iter(&self) -> impl Iterator<Item = FrameNo> + '_ {
        self.ranges
            .iter()
            .flat_map(|(low, high)| (*low..=*high).map(FrameNo))
    }

    /// Its ranges, first and last frame of each.
    pub fn ranges(&self) -> impl Iterator<Item = (FrameNo, FrameNo)> + '_ {
        self.ranges.iter().map(|(a, b)| (FrameNo(*a), FrameNo(*b)))
    }

    /// The first frame.
    pub fn first(&self) -> Option<FrameNo> {
        self.ranges.first().map(|(low, _)| FrameNo(*low))
    }

    /// The last frame.
    pub fn last(&self) -> Option<FrameNo> {
        self.ranges.last().map(|(_, high)| FrameNo(*high))
    }

    /// The frames of this set or of the other.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.ranges.clone();
        all.extend_from_slice(&other.ranges);
        Self::from_ranges(all)
    }

    /// The frames of this set that are not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut out = Vec::with_capacity(self.ranges.len());
        let mut cuts = other.ranges.iter().peekable();
        for &(low, high) in &self.ranges {
            let mut from = low;
            while let Some(&&(cut_low, cut_high)) = cuts.peek() {
                if cut_high < from {
                    cuts.next();
                    continue;
                }
                if cut_low > high {
                    break;
                }
                if cut_low > from {
                    out.push((from, cut_low.saturating_sub(1)));
                }
                from = cut_high.saturating_add(1);
                if cut_high >= high {
                    break;
                }
                cuts.next();
            }
            if from <= high {
                out.push((from, high));
            }
        }
        Self { ranges: out }
    }

    /// The part from frame 1 to `last`.
    #[must_use]
    pub fn up_to(&self, last: FrameNo) -> Self {
        let ranges = self
            .ranges
            .iter()
            .filter(|(low, _)| *low <= last.0)
            .map(|(low, high)| (*low, (*high).min(last.0)))
            .collect();
        Self { ranges }
    }

    fn from_ranges(mut all: Vec<(u32, u32)>) -> Self {
        all.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::with_capacity(all.len());
        for (low, high) in all {
            match ranges.last_mut() {
                Some((_, end)) if low <= end.saturating_add(1) => *end = (*end).max(high),
                _ => ranges.push((low, high)),
            }
        }
        Self { ranges }
    }
}

impl FromIterator<FrameNo> for FrameSet {
    fn from_iter<T: IntoIterator<Item = FrameNo>>(frames: T) -> Self {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut sorted = true;
        for FrameNo(no) in frames {
            if no == 0 {
                continue;
            }
            match ranges.last_mut() {
                Some((_, end)) if no == end.saturating_add(1) => *end = no,
                Some((low, end)) if (*low..=*end).contains(&no) => {}
                last => {
                    sorted &= last.is_none_or(|(_, end)| *end < no);
                    ranges.push((no, no));
                }
            }
        }
        if sorted {
            Self { ranges }
        } else {
            Self::from_ranges(ranges)
        }
    }
}

impl fmt::Display for FrameSet {
    /// As it can be typed again: `5,10-15`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (low, high)) in self.ranges.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if low == high {
                write!(f, "{comma}{low}")?;
            } else {
                write!(f, "{comma}{low}-{high}")?;
            }
        }
        Ok(())
    }
}

/// Why a list of frames could not be read: what, at which column of the text (from 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeError {
    /// What is wrong.
    pub what: String,
    /// The column where it stands, from 1.
    pub column: usize,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (column {}); frames are written like 5,10-15,20-,-5 or @12.0..12.1",
            self.what, self.column
        )
    }
}

/// Reads a list of frames: numbers, ranges open at either end, and times `@from..to` in seconds since the first
/// frame. Frames beyond the last one of the capture are left out; times pick every frame whose own time lies in
/// the range, wherever it stands in the file.
pub fn parse_frames(text: &str, store: &Store) -> Result<FrameSet, RangeError> {
    let last = store.last_frame().map_or(0, |no| no.0);
    let mut set = FrameSet::new();
    let mut column = 1_usize;
    for part in text.split(',') {
        let lead = part.chars().take_while(|c| c.is_whitespace()).count();
        let at = column.saturating_add(lead);
        column = column
            .saturating_add(part.chars().count())
            .saturating_add(1);
        let error = |what: String| RangeError { what, column: at };
        let part = part.trim();
        if part.is_empty() {
            return Err(error("a frame number is missing".into()));
        }
        let piece = if let Some(times) = part.strip_prefix('@') {
            time_range(times, store).map_err(error)?
        } else {
            let (low, high) = number_range(part, last).map_err(error)?;
            FrameSet::from_ranges(if low <= high {
                vec![(low, high)]
            } else {
                vec![]
            })
        };
        set = set.union(&piece.up_to(FrameNo(last)));
    }
    Ok(set)
}

fn number_range(part: &str, last: u32) -> Result<(u32, u32), String> {
    let number = |text: &str| match text.trim().parse::<u32>() {
        Ok(0) => Err("the first frame has number 1, not 0".to_owned()),
        Ok(no) => Ok(no),
        Err(_) => Err(format!("`{}` is no frame number", text.trim())),
    };
    match part.split_once('-') {
        None => number(part).map(|no| (no, no)),
        Some(("", to)) => Ok((1, number(to)?)),
        Some((from, "")) => Ok((number(from)?, last)),
        Some((from, to)) => {
            let (from, to) = (number(from)?, number(to)?);
            if from > to {
                return Err(format!("the range {from}-{to} runs backwards"));
            }
            Ok((from, to))
        }
    }
}

fn time_range(text: &str, store: &Store) -> Result<FrameSet, String> {
    let start = store.start_time().unwrap_or(Nanos(0));
    let (from, to) = text
        .split_once("..")
        .ok_or_else(|| format!("`@{text}` is no range of times, two dots are missing"))?;
    let bound = |text: &str, open: i64| {
        if text.trim().is_empty() {
            Ok(open)
        } else {
            seconds(text).map(|ns| start.0.saturating_add(ns))
        }
    };
    let (from, to) = (bound(from, i64::MIN)?, bound(to, i64::MAX)?);
    Ok(store
        .frames_from(FrameNo(1))
        .filter(|(_, row)| (from..=to).contains(&row.time.0))
        .map(|(no, _)| no)
        .collect())
}

/// Decimal seconds as exact nanoseconds.
fn seconds(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is no time in seconds");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.strip_suffix('s').unwrap_or(digits);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 {
        return Err(wrong());
    }
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) {
        return Err(wrong());
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| wrong())?
    };
    let nanos: i64 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(1_000_000_000)
        .and_then(|ns| ns.checked_add(nanos))
        .map(|ns| ns.saturating_mul(sign))
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::store_with_times;

    fn parse(text: &str) -> String {
        let times: Vec<i64> = (0..30).map(|i| i * 100_000_000).collect();
        match parse_frames(text, &store_with_times(&times)) {
            Ok(set) => set.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn numbers_and_open_ranges_read_like_wiresharks() {
        assert_eq!(parse("5,10-15,20-,-2"), "1-2,5,10-15,20-30");
        assert_eq!(parse(" 7 , 6-8, 8-9 "), "6-9");
        assert_eq!(parse("28-40,99"), "28-30");
        assert_eq!(parse("99-"), "");
    }

    #[test]
    fn times_are_exact_and_count_from_the_first_frame() {
        assert_eq!(parse("@0.2..0.4"), "3-5");
        assert_eq!(parse("@2.8.."), "29-30");
        assert_eq!(parse("@..0.099999999"), "1");
    }

    #[test]
    fn frames_out_of_time_order_are_found_by_their_own_time() {
        let store = store_with_times(&[0, 500, 300, 700]);
        let set = parse_frames("@0.0000003..0.0000005", &store).unwrap();
        assert_eq!(set.to_string(), "2-3");
    }

    #[test]
    fn a_mistake_names_its_column() {
        assert!(parse("5,x").starts_with("`x` is no frame number (column 3)"));
        assert!(parse("5,,6").starts_with("a frame number is missing (column 3)"));
        assert!(parse("9-5").contains("runs backwards"));
        assert!(parse("0").contains("not 0"));
        assert!(parse("@1").contains("two dots"));
        assert!(parse("@a..b").contains("no time"));
    }

    #[test]
    fn sets_join_and_subtract() {
        let set = |ranges: &[(u32, u32)]| FrameSet::from_ranges(ranges.to_vec());
        let all = set(&[(1, 10), (20, 30)]);
        let cut = set(&[(1, 2), (5, 5), (9, 21), (30, 40)]);
        assert_eq!(all.minus(&cut).to_string(), "3-4,6-8,22-29");
        assert_eq!(all.minus(&FrameSet::new()), all);
        assert!(all.minus(&all).is_empty());
        assert_eq!(set(&[(1, 2)]).union(&set(&[(3, 4)])).to_string(), "1-4");
        assert_eq!(all.len(), 21);
        let unsorted: FrameSet = [5, 3, 4, 3].map(FrameNo).into_iter().collect();
        assert_eq!(unsorted.to_string(), "3-5");
        assert!(unsorted.contains(FrameNo(4)) && !unsorted.contains(FrameNo(6)));
    }
}
