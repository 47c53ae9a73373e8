//! How many frames stand where in the whole capture.

use crate::store::Store;
use crate::units::{FrameNo, Nanos};

/// Frames per stretch of time, and how many of all are resets; it grows with the index at a constant cost per frame.
#[derive(Debug, Clone)]
pub struct Density {
    bins: Vec<u32>,
    start: Option<Nanos>,
    width: i64,
    counted: usize,
    resets: usize,
}

const BINS: usize = 2048;

impl Default for Density {
    fn default() -> Self {
        Self {
            bins: vec![0; BINS],
            start: None,
            width: 1_000,
            counted: 0,
            resets: 0,
        }
    }
}

impl Density {
    /// Takes in the frames that were indexed since the last call.
    pub fn grow(&mut self, store: &Store) {
        for (_, frame) in store.frames_from(FrameNo::from_index(self.counted)) {
            let start = *self.start.get_or_insert(frame.time);
            let at = frame.time.since(start).max(0);
            while at.checked_div(self.width).unwrap_or(0) >= i64::try_from(BINS).unwrap_or(i64::MAX)
            {
                self.halve();
            }
            let bin = usize::try_from(at.checked_div(self.width).unwrap_or(0)).unwrap_or(0);
            if let Some(count) = self.bins.get_mut(bin) {
                *count = count.saturating_add(1);
            }
            let is_reset = frame.is_tcp() && frame.tcp_flags.rst();
            self.resets = self.resets.saturating_add(usize::from(is_reset));
        }
        self.counted = store.frame_count();
    }

    fn halve(&mut self) {
        let mut merged: Vec<u32> = self
            .bins
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |sum: u32, n| sum.saturating_add(*n)))
            .collect();
        merged.resize(BINS, 0);
        self.bins = merged;
        self.width = self.width.saturating_mul(2);
    }

    /// TCP resets so far.
    pub fn resets(&self) -> usize {
        self.resets
    }

    /// Frames per column over the whole capture, which ends at `last`.
    pub fn columns(&self, last: Nanos, columns: u16) -> Vec<u64> {
        let mut out = vec![0_u64; usize::from(columns)];
        let Some(start) = self.start else {
            return out;
        };
        let span = i128::from(last.since(start).max(1));
        let columns = i128::from(columns.max(1));
        for (bin, count) in self.bins.iter().enumerate().filter(|(_, n)| **n > 0) {
            let at = i128::try_from(bin)
                .unwrap_or(0)
                .saturating_mul(i128::from(self.width));
            let column = (at.saturating_mul(columns))
                .checked_div(span.saturating_add(1))
                .unwrap_or(0)
                .min(columns.saturating_sub(1));
            if let Some(slot) = usize::try_from(column).ok().and_then(|c| out.get_mut(c)) {
                *slot = slot.saturating_add(u64::from(*count));
            }
        }
        out
    }
}
