//! The table of frames, 36 bytes a row: rows are packed when they come and unpacked when they are asked for.
//!
//! What most frames have in common (interface, time to live, length of the headers, padding) stands once in a list of
//! shapes. Times are kept as distances from the first of their chunk. The rare row that does not fit (65 536 bytes of
//! payload, a pause of 39 hours, one shape too many) is kept whole beside.

use rustc_hash::FxHashMap;

use super::chunks::{Chunks, ROWS};
use super::frame::{FrameFlags, FrameRow, TcpFlags};
use super::shapes::{Key, Shapes};
use crate::units::{ConnId, FileOffset, FrameNo, InterfaceId, Nanos, TcpSeq};

/// In `owner`: the row does not fit and is kept whole.
const WHOLE: u32 = u32::MAX;
const CONN_BITS: u32 = 20;
const TCP_FLAG_BITS: u32 = 9;
/// As many shapes have a number.
const SHAPES: u32 = 1 << (32 - CONN_BITS);

/// What many frames have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    interface: InterfaceId,
    offset_high: u32,
    ttl: u8,
    payload_offset: u16,
    size: Size,
}

impl super::shapes::Shape for Shape {
    #[inline]
    fn key(self) -> Key {
        let (kind, bytes) = match self.size {
            Size::Padded(bytes) => (1, bytes),
            Size::Cut(bytes) => (2, bytes),
            Size::Alone => (3, 0),
        };
        let small = (kind << 24) | (u64::from(self.ttl) << 16) | u64::from(self.payload_offset);
        [
            (small << 32) | u64::from(self.interface.0),
            (u64::from(bytes) << 32) | u64::from(self.offset_high),
        ]
    }
}

/// How a frame's size follows from its payload's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Size {
    /// All is in the file: the headers, the payload, and so many bytes of padding.
    Padded(u32),
    /// So many bytes of headers and payload are in the file.
    Cut(u32),
    /// No payload is known: the packed length is that of the frame.
    Alone,
}

#[derive(Debug, Clone, Copy)]
struct Packed {
    offset_low: u32,
    time_low: u32,
    seq: u32,
    ack: u32,
    /// Number of the frame before it in its connection, or 0.
    prev: u32,
    /// The connection's index + 1 or 0, in 20 bits; above it the shape.
    owner: u32,
    /// TCP flags in 9 bits; above them the frame's flags.
    flags: u32,
    time_high: i16,
    /// Of the payload, or of the frame.
    len: u16,
    window: u16,
    ip_id: u16,
}

impl Packed {
    /// Packs all but the shape, which `owner` still lacks.
    #[inline]
    fn pack(row: &FrameRow, base: Nanos) -> Option<(Self, Shape)> {
        let [offset_low, offset_high] = halves(row.offset.0);
        let time = row.time.0.checked_sub(base.0)?;
        let [time_low, _] = halves(time.cast_unsigned());
        let len = row.payload_len;
        let whole = u32::from(row.payload_offset).checked_add(len)?;
        let (size, len) = if row.wire == row.captured {
            match row.captured.checked_sub(whole) {
                Some(padding) if row.payload_offset > 0 => (Size::Padded(padding), len),
                _ if len == 0 => (Size::Alone, row.captured),
                _ => return None,
            }
        } else if row.wire == whole {
            (Size::Cut(row.captured), len)
        } else {
            return None;
        };
        let packed = Self {
            offset_low,
            time_low,
            seq: row.seq.0,
            ack: row.ack.0,
            prev: row.prev.map_or(0, |prev| prev.0),
            owner: row.conn.map_or(Some(0), |conn| conn.0.checked_add(1))?,
            flags: joined(u32::from(row.tcp_flags.0), TCP_FLAG_BITS, row.flags.0)?,
            time_high: i16::try_from(time >> 32).ok()?,
            len: u16::try_from(len).ok()?,
            window: row.window,
            ip_id: row.ip_id,
        };
        let shape = Shape {
            interface: row.interface,
            offset_high,
            ttl: row.ttl,
            payload_offset: row.payload_offset,
            size,
        };
        Some((packed, shape))
    }

    fn whole() -> Self {
        Self {
            offset_low: 0,
            time_low: 0,
            seq: 0,
            ack: 0,
            prev: 0,
            owner: WHOLE,
            flags: 0,
            time_high: 0,
            len: 0,
            window: 0,
            ip_id: 0,
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    fn unpack(&self, base: Nanos, shapes: &Shapes<Shape>) -> Option<FrameRow> {
        let (conn, shape) = parted(self.owner, CONN_BITS);
        let shape = shapes.get(shape)?;
        let (tcp_flags, flags) = parted(self.flags, TCP_FLAG_BITS);
        let time = (i64::from(self.time_high) << 32) | i64::from(self.time_low);
        let len = u32::from(self.len);
        let whole = u32::from(shape.payload_offset).saturating_add(len);
        let (captured, wire, payload_len) = match shape.size {
            Size::Padded(padding) => {
                let size = whole.saturating_add(padding);
                (size, size, len)
            }
            Size::Cut(captured) => (captured, whole, len),
            Size::Alone => (len, len, 0),
        };
        Some(FrameRow {
            offset: FileOffset((u64::from(shape.offset_high) << 32) | u64::from(self.offset_low)),
            time: Nanos(base.0.saturating_add(time)),
            captured,
            wire,
            conn: conn.checked_sub(1).map(ConnId),
            prev: (self.prev != 0).then_some(FrameNo(self.prev)),
            seq: TcpSeq(self.seq),
            ack: TcpSeq(self.ack),
            payload_len,
            payload_offset: shape.payload_offset,
            window: self.window,
            ip_id: self.ip_id,
            tcp_flags: TcpFlags(u16::try_from(tcp_flags).unwrap_or(0)),
            interface: shape.interface,
            ttl: shape.ttl,
            flags: FrameFlags(flags),
        })
    }
}

/// The frames in file order.
#[derive(Debug, Default)]
pub(super) struct FrameTable {
    rows: Chunks<Packed>,
    /// For each chunk the time of its first frame.
    bases: Vec<Nanos>,
    shapes: Shapes<Shape>,
    whole: FxHashMap<usize, FrameRow>,
}

impl FrameTable {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes that the table holds.
    pub(super) fn memory(&self) -> usize {
        let whole = size_of::<(usize, FrameRow)>().saturating_mul(self.whole.capacity());
        self.rows.memory().saturating_add(whole)
    }

    pub(super) fn push(&mut self, row: &FrameRow) {
        let index = self.rows.len();
        if index.is_multiple_of(ROWS) {
            self.bases.push(row.time);
        }
        let base = self.bases.last().copied().unwrap_or(row.time);
        let packed = self.pack(row, base).unwrap_or_else(|| {
            self.whole.insert(index, *row);
            Packed::whole()
        });
        self.rows.push(packed);
    }

    fn pack(&mut self, row: &FrameRow, base: Nanos) -> Option<Packed> {
        let (mut packed, shape) = Packed::pack(row, base)?;
        let shape = self.shapes.number(shape, SHAPES)?;
        packed.owner = joined(packed.owner, CONN_BITS, shape)?;
        (packed.owner != WHOLE).then_some(packed)
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
        if row.owner == WHOLE {
            return self.whole.get(&index).copied();
        }
        let base = self.bases.get(index / ROWS)?;
        row.unpack(*base, &self.shapes)
    }
}

/// The lower and the upper 32 bits.
pub(super) fn halves(number: u64) -> [u32; 2] {
    let low = number & u64::from(u32::MAX);
    [low, number >> 32].map(|half| u32::try_from(half).unwrap_or(u32::MAX))
}

/// `low` in the lower `bits`, `high` in those above; `None` if one of them does not fit.
pub(super) fn joined(low: u32, bits: u32, high: u32) -> Option<u32> {
    let fits = low >> bits == 0 && high >> 32_u32.saturating_sub(bits) == 0;
    fits.then_some((high << bits) | low)
}

/// The lower `bits` and those above.
#[inline]
pub(super) fn parted(number: u32, bits: u32) -> (u32, u32) {
    let high = number >> bits;
    (number ^ (high << bits), high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> FrameRow {
        FrameRow {
            offset: FileOffset(0x12_3456_789a),
            time: Nanos(1_700_000_000_123_456_789),
            captured: 1514,
            wire: 1514,
            conn: Some(ConnId(524_287)),
            prev: Some(FrameNo(u32::MAX)),
            seq: TcpSeq(u32::MAX),
            ack: TcpSeq(1),
            payload_len: 1460,
            payload_offset: 54,
            window: 65_535,
            ip_id: 65_535,
            tcp_flags: TcpFlags(0x1ff),
            interface: InterfaceId(4000),
            ttl: 255,
            flags: FrameFlags(0x000f_ffff),
        }
    }

    fn comes_back(rows: &[FrameRow], whole: usize) {
        let mut table = FrameTable::default();
        for row in rows {
            table.push(row);
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
        comes_back(&[row, padded, cut, not_ip, before, row], 0);
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
                time: Nanos(i64::MIN),
                ..row
            },
            FrameRow {
                flags: FrameFlags(u32::MAX),
                ..row
            },
        ];
        let mut rows = vec![row];
        rows.extend(odd);
        rows.push(row);
        comes_back(&rows, odd.len());
    }

    #[test]
    fn more_shapes_than_there_are_numbers_cost_memory_and_lose_nothing() {
        let rows: Vec<FrameRow> = (0..5000)
            .map(|number| FrameRow {
                interface: InterfaceId(number),
                ..usual()
            })
            .collect();
        comes_back(&rows, 5000 - 4096);
    }

    #[test]
    fn a_frame_costs_36_bytes() {
        assert_eq!(size_of::<Packed>(), 36);
    }
}
