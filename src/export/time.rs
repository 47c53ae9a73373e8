//! Times of a listing: seconds since the capture's first frame, exact, with as many digits as they need.

use crate::store::Store;
use crate::units::{FrameNo, Nanos};

/// Writes offsets in seconds with one fixed number of digits that shows every one of them exactly.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offsets {
    start: Nanos,
    digits: usize,
}

impl Offsets {
    /// For these frames of a store.
    pub(super) fn new(store: &Store, frames: impl Iterator<Item = FrameNo>) -> Self {
        let start = store.start_time().unwrap_or(Nanos(0));
        let mut digits = 6;
        for frame in frames.filter_map(|no| store.frame(no)) {
            let offset = frame.time.since(start);
            if offset % 100 != 0 {
                digits = 9;
                break;
            }
            if offset % 1000 != 0 {
                digits = 7;
            }
        }
        Self { start, digits }
    }

    /// The offset of a time.
    pub(super) fn show(&self, time: Nanos) -> String {
        seconds(time.since(self.start), self.digits)
    }
}

/// Nanoseconds as decimal seconds with this many digits; the rest is cut, not rounded.
pub(super) fn seconds(ns: i64, digits: usize) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let ns = ns.unsigned_abs();
    let fraction = format!("{:09}", ns % 1_000_000_000);
    let fraction = fraction.get(..digits.min(9)).unwrap_or(&fraction);
    format!("{sign}{}.{fraction}", ns / 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::store_with_times;

    #[test]
    fn every_time_is_shown_exactly_and_with_the_same_digits() {
        let all = |times: &[i64]| {
            let store = store_with_times(times);
            let offsets = Offsets::new(&store, store.frames_from(FrameNo(1)).map(|(no, _)| no));
            times
                .iter()
                .map(|t| offsets.show(Nanos(*t)))
                .collect::<Vec<_>>()
        };
        assert_eq!(all(&[5_000, 2_000_006_000]), ["0.000000", "2.000001"]);
        assert_eq!(all(&[0, 569_917_005_600]), ["0.0000000", "569.9170056"]);
        assert_eq!(all(&[10, 3]), ["0.000000000", "-0.000000007"]);
    }
}
