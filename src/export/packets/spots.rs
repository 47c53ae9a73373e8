//! Where the frames of a plan stand, one after the other: what is needed to take over their records, and no more.

use crate::capture::original::PACKET_HEADER;
use crate::export::frames::FrameSet;
use crate::export::reading::{GAP, Place, STRETCH};
use crate::store::Store;
use crate::units::{FrameNo, InterfaceId, Nanos};

/// Frames that are looked up at once.
const BLOCK: usize = 1024;
/// Room for the headers and the options of a frame's block, and for the header of the next.
const OPTIONS: u64 = 256;

/// Where a frame stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) no: FrameNo,
    pub(super) time: Nanos,
    pub(super) interface: InterfaceId,
    /// The file, by its position in the list of files.
    pub(super) file: usize,
    /// Where its bytes begin in the file.
    pub(super) start: u64,
    /// Where they end.
    pub(super) end: u64,
}

impl Spot {
    /// Where its bytes end, with the padding of pcapng.
    pub(super) fn padded_end(&self) -> u64 {
        let len = self.end.saturating_sub(self.start).next_multiple_of(4);
        self.start.saturating_add(len)
    }

    /// Its bytes in the file.
    pub(super) fn captured(&self) -> u32 {
        u32::try_from(self.end.saturating_sub(self.start)).unwrap_or(u32::MAX)
    }

    /// Its place; `next` is the frame that will be asked for after it.
    pub(super) fn place(&self, next: Option<&Spot>) -> Place {
        let header = PACKET_HEADER as u64;
        let close = next.is_some_and(|next| {
            let between = next.start.checked_sub(self.end);
            next.file == self.file && between.is_some_and(|n| n < GAP.saturating_add(header))
        });
        self.place_with(if close { STRETCH } else { 0 })
    }

    /// Its place, where what follows it will be read in another way: ahead stands its block, with usual options.
    pub(super) fn place_alone(&self) -> Place {
        self.place_with(self.end.saturating_sub(self.start).saturating_add(OPTIONS))
    }

    fn place_with(&self, ahead: u64) -> Place {
        Place {
            interface: self.interface,
            file: self.file,
            ahead,
        }
    }
}

/// Walks through the frames of a set, in file order.
pub(super) struct Spots<'a> {
    store: &'a Store,
    /// What is still to be looked up.
    ranges: Vec<(FrameNo, FrameNo)>,
    block: std::vec::IntoIter<Spot>,
}

impl<'a> Spots<'a> {
    pub(super) fn new(store: &'a Store, frames: &FrameSet) -> Self {
        let mut ranges: Vec<_> = frames.ranges().collect();
        ranges.reverse();
        Self {
            store,
            ranges,
            block: Vec::new().into_iter(),
        }
    }

    fn look_up(&mut self) -> Option<Vec<Spot>> {
        let mut block = Vec::with_capacity(BLOCK);
        while block.len() < BLOCK
            && let Some((first, last)) = self.ranges.pop()
        {
            let left = BLOCK.saturating_sub(block.len());
            let end = u32::try_from(left).map_or(last.0, |left| first.0.saturating_add(left));
            if end <= last.0 {
                self.ranges.push((FrameNo(end), last));
            }
            let len = end.min(last.0.saturating_add(1)).saturating_sub(first.0);
            let len = usize::try_from(len).unwrap_or(left);
            self.store.each_frame(first, len, |no, row| {
                let start = row.offset.0;
                block.push(Spot {
                    no,
                    time: row.time,
                    interface: row.interface,
                    file: usize::MAX,
                    start,
                    end: start.saturating_add(u64::from(row.captured)),
                });
            });
        }
        for spot in &mut block {
            if let Some(interface) = self.store.interface(spot.interface) {
                spot.file = interface.file;
            }
        }
        (!block.is_empty()).then_some(block)
    }
}

impl Iterator for Spots<'_> {
    type Item = Spot;

    fn next(&mut self) -> Option<Spot> {
        loop {
            if let Some(spot) = self.block.next() {
                return Some(spot);
            }
            self.block = self.look_up()?.into_iter();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::store_with_times;

    #[test]
    fn every_frame_of_a_set_comes_once_and_in_order() {
        let times: Vec<i64> = (1..=5000).collect();
        let store = store_with_times(&times);
        let sets = [
            FrameSet::range(FrameNo(1), FrameNo(5000)),
            FrameSet::range(FrameNo(1024), FrameNo(1025)),
            (1..=5000).step_by(3).map(FrameNo).collect(),
            FrameSet::range(FrameNo(7), FrameNo(4000))
                .minus(&FrameSet::range(FrameNo(1000), FrameNo(1030))),
            FrameSet::new(),
        ];
        for set in sets {
            let walked: Vec<_> = Spots::new(&store, &set).map(|spot| spot.no).collect();
            assert_eq!(walked, set.iter().collect::<Vec<_>>(), "{set}");
        }
        let all = FrameSet::range(FrameNo(1), FrameNo(5000));
        let mut spots = Spots::new(&store, &all);
        assert!(spots.all(|spot| spot.time == Nanos(i64::from(spot.no.0))));
    }
}
