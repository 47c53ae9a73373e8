//! The table of frames: rows come packed, and are unpacked when they are asked for.

use super::chunks::Chunks;
use super::few::Few;
use super::frame::FrameRow;
use super::oddity::Oddities;
use super::packed_frame::{NewFrames, Packed, Shape};
use crate::units::{FrameNo, Nanos};

/// The frames in file order.
#[derive(Debug, Default)]
pub(super) struct FrameTable {
    rows: Chunks<Packed>,
    /// For each chunk the time of its first frame.
    bases: Vec<Nanos>,
    shapes: Vec<Shape>,
    whole: Few<FrameRow>,
    far: Few<FrameNo>,
    oddities: Oddities,
}

impl FrameTable {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// What is odd about them.
    pub(super) fn oddities(&self) -> &Oddities {
        &self.oddities
    }

    /// Gives back what is held in reserve, as nothing more comes.
    pub(super) fn shrink_to_fit(&mut self) {
        self.rows.shrink_to_fit();
    }

    /// Bytes that the table holds.
    pub(super) fn memory(&self) -> usize {
        let beside = self.whole.memory().saturating_add(self.far.memory());
        self.rows.memory().saturating_add(beside)
    }

    /// Takes in the next frames.
    pub(super) fn append(&mut self, new: NewFrames) {
        new.rows.move_into(&mut self.rows);
        self.bases.extend(new.bases);
        self.shapes.extend(new.shapes);
        self.whole.extend(new.whole);
        self.far.extend(new.far);
        self.oddities = new.oddities;
    }

    pub(super) fn get(&self, index: usize) -> Option<FrameRow> {
        self.unpack(index, self.rows.get(index)?)
    }

    pub(super) fn iter_from(&self, start: usize) -> impl Iterator<Item = FrameRow> {
        let rows = self.rows.iter_from(start).enumerate();
        rows.filter_map(move |(i, row)| self.unpack(start.saturating_add(i), row))
    }

    /// Calls `f` with so many rows and their indices; a loop over slices, which scans need to be fast.
    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    pub(super) fn each(&self, start: usize, len: usize, mut f: impl FnMut(usize, &FrameRow)) {
        self.rows
            .each(start, start.saturating_add(len), |index, row| {
                if let Some(row) = &self.unpack(index, row) {
                    f(index, row);
                }
            });
    }

    /// Calls `f` with a row, if there is one; what it says is the answer.
    #[expect(clippy::inline_always, reason = "only what `f` looks at is unpacked")]
    #[inline(always)]
    pub(super) fn visit<R>(
        &self,
        index: usize,
        f: impl FnOnce(&FrameRow) -> Option<R>,
    ) -> Option<R> {
        f(&self.unpack(index, self.rows.get(index)?)?)
    }

    #[expect(
        clippy::inline_always,
        reason = "in a loop only what the loop looks at is unpacked"
    )]
    #[inline(always)]
    fn unpack(&self, index: usize, row: &Packed) -> Option<FrameRow> {
        row.unpack(index, &self.bases, &self.shapes)
            .or_else(|| self.unpack_with_beside(index, row))
    }

    #[cold]
    fn unpack_with_beside(&self, index: usize, row: &Packed) -> Option<FrameRow> {
        let near = row.without_far();
        match near.unpack(index, &self.bases, &self.shapes) {
            Some(near) => Some(FrameRow {
                prev: self.far.get(index),
                ..near
            }),
            None => self.whole.get(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FrameFlags, FramePacker, TcpFlags};
    use super::*;
    use crate::units::{ConnId, FileOffset, InterfaceId, TcpSeq};

    fn usual() -> FrameRow {
        FrameRow {
            offset: FileOffset(0x12_3456_789a),
            time: Nanos(1_700_000_000_123_456_789),
            captured: 1514,
            wire: 1514,
            conn: Some(ConnId(524_287)),
            prev: None,
            seq: TcpSeq(u32::MAX),
            ack: TcpSeq(1),
            payload_len: 1460,
            payload_offset: 54,
            window: 65_535,
            ip_id: 65_535,
            tcp_flags: TcpFlags(0x1ff),
            interface: InterfaceId(4000),
            ttl: 255,
            flags: FrameFlags(0x007f_ffff),
        }
    }

    fn comes_back(rows: &[FrameRow], whole: usize) {
        let mut table = FrameTable::default();
        let mut packer = FramePacker::default();
        for rows in rows.chunks(5000).flat_map(|rows| [&rows[..1], &rows[1..]]) {
            for row in rows {
                packer.push(*row);
            }
            table.append(packer.take());
        }
        assert_eq!(table.iter_from(0).collect::<Vec<_>>(), rows);
        assert_eq!(table.whole.len(), whole);
        assert_eq!(table.get(rows.len()), None);
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let row = usual();
        let padded = FrameRow {
            captured: 60,
            wire: 60,
            payload_len: 0,
            ..row
        };
        let cut = FrameRow {
            captured: 96,
            flags: FrameFlags::CUT,
            ..row
        };
        let not_ip = FrameRow {
            payload_len: 0,
            payload_offset: 0,
            conn: None,
            prev: None,
            ..row
        };
        let before = FrameRow {
            time: Nanos(row.time.0 - 1_000_000_000_000),
            ..row
        };
        let large = FrameRow {
            offset: FileOffset(u64::MAX),
            wire: 1514 + 65_536,
            captured: 1514 + 65_536,
            tcp_flags: TcpFlags(u16::MAX),
            flags: FrameFlags(u32::MAX),
            ..row
        };
        let first = FrameRow {
            prev: Some(FrameNo(0)),
            ..row
        };
        comes_back(&[row, padded, cut, not_ip, before, large, first], 0);
    }

    #[test]
    fn rows_that_do_not_fit_are_kept_whole() {
        let row = usual();
        let sizes = |captured, wire, payload_len| FrameRow {
            captured,
            wire,
            payload_len,
            ..row
        };
        let odd = [
            sizes(1514, 1515, 1460),
            sizes(1514, 1513, 1460),
            sizes(1514, 1514, 1461),
            sizes(65_590, 65_590, 65_536),
            sizes(u32::MAX, u32::MAX, u32::MAX),
            FrameRow {
                conn: Some(ConnId(u32::MAX)),
                ..row
            },
            FrameRow {
                time: Nanos(row.time.0 + (1 << 47)),
                ..row
            },
            FrameRow {
                prev: Some(FrameNo(1000)),
                ..row
            },
            FrameRow {
                prev: Some(FrameNo(u32::MAX)),
                ..row
            },
        ];
        let mut rows = vec![row];
        rows.extend(odd);
        rows.push(row);
        comes_back(&rows, odd.len());
    }

    #[test]
    fn the_frame_before_is_found_however_far_it_is() {
        let at = |no: usize| FrameRow {
            prev: match no % 3 {
                0 => no.checked_sub(1).map(FrameNo::from_index),
                1 => no.checked_sub(65_534).map(FrameNo::from_index),
                _ => no.checked_sub(65_535).map(FrameNo::from_index),
            },
            ..usual()
        };
        let rows: Vec<FrameRow> = (0..70_000).map(at).collect();
        comes_back(&rows, 0);
    }

    #[test]
    fn more_shapes_than_there_are_numbers_cost_memory_and_lose_nothing() {
        let rows: Vec<FrameRow> = (0..70_000)
            .map(|number| FrameRow {
                interface: InterfaceId(number),
                ..usual()
            })
            .collect();
        comes_back(&rows, 70_000 - 65_535);
    }
}
