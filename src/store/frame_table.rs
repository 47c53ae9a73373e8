//! The table of frames, 44 bytes a row: rows are packed when they come and unpacked when they are asked for.
//!
//! Times are kept as distances from the first of their chunk, and numbers in as many bits as captures need. The rare
//! row that does not fit (more than 4096 interfaces, a frame of 16 MB, a pause of 39 hours) is kept whole beside.

use rustc_hash::FxHashMap;

use super::chunks::{Chunks, ROWS};
use super::frame::{FrameFlags, FrameRow, TcpFlags};
use crate::units::{ConnId, FileOffset, FrameNo, InterfaceId, Nanos, TcpSeq};

/// In `owner`: the row does not fit and is kept whole.
const WHOLE: u32 = u32::MAX;
const CONN_BITS: u32 = 20;
const TCP_FLAG_BITS: u32 = 9;

#[derive(Debug, Clone, Copy)]
struct Packed {
    offset_low: u32,
    /// Bytes captured in 24 bits; above them bits 32 to 39 of the offset.
    captured: u32,
    time_low: u32,
    seq: u32,
    ack: u32,
    /// Number of the frame before it in its connection, or 0.
    prev: u32,
    /// The connection's index + 1 or 0, in 20 bits; above it the interface.
    owner: u32,
    /// TCP flags in 9 bits; above them the frame's flags.
    flags: u32,
    time_high: i16,
    payload_len: u16,
    window: u16,
    ip_id: u16,
    /// Bytes on the wire that are not in the file.
    unseen: u16,
    payload_offset: u8,
    ttl: u8,
}

impl Packed {
    fn pack(row: &FrameRow, base: Nanos) -> Option<Self> {
        let [offset_low, offset_high] = halves(row.offset.0);
        let time = row.time.0.checked_sub(base.0)?;
        let [time_low, _] = halves(time.cast_unsigned());
        let time_high = i16::try_from(time >> 32).ok()?;
        let conn = row.conn.map_or(Some(0), |conn| conn.0.checked_add(1))?;
        let owner = joined(conn, CONN_BITS, row.interface.0)?;
        Some(Self {
            offset_low,
            captured: joined(row.captured, 24, offset_high)?,
            time_low,
            seq: row.seq.0,
            ack: row.ack.0,
            prev: row.prev.map_or(0, |prev| prev.0),
            owner: Some(owner).filter(|owner| *owner != WHOLE)?,
            flags: joined(u32::from(row.tcp_flags.0), TCP_FLAG_BITS, row.flags.0)?,
            time_high,
            payload_len: u16::try_from(row.payload_len).ok()?,
            window: row.window,
            ip_id: row.ip_id,
            unseen: u16::try_from(row.wire.checked_sub(row.captured)?).ok()?,
            payload_offset: u8::try_from(row.payload_offset).ok()?,
            ttl: row.ttl,
        })
    }

    fn whole() -> Self {
        Self {
            offset_low: 0,
            captured: 0,
            time_low: 0,
            seq: 0,
            ack: 0,
            prev: 0,
            owner: WHOLE,
            flags: 0,
            time_high: 0,
            payload_len: 0,
            window: 0,
            ip_id: 0,
            unseen: 0,
            payload_offset: 0,
            ttl: 0,
        }
    }

    fn unpack(&self, base: Nanos) -> FrameRow {
        let (captured, offset_high) = parted(self.captured, 24);
        let (conn, interface) = parted(self.owner, CONN_BITS);
        let (tcp_flags, flags) = parted(self.flags, TCP_FLAG_BITS);
        let time = (i64::from(self.time_high) << 32) | i64::from(self.time_low);
        FrameRow {
            offset: FileOffset((u64::from(offset_high) << 32) | u64::from(self.offset_low)),
            time: Nanos(base.0.saturating_add(time)),
            captured,
            wire: captured.saturating_add(u32::from(self.unseen)),
            conn: conn.checked_sub(1).map(ConnId),
            prev: (self.prev != 0).then_some(FrameNo(self.prev)),
            seq: TcpSeq(self.seq),
            ack: TcpSeq(self.ack),
            payload_len: u32::from(self.payload_len),
            payload_offset: u16::from(self.payload_offset),
            window: self.window,
            ip_id: self.ip_id,
            tcp_flags: TcpFlags(u16::try_from(tcp_flags).unwrap_or(0)),
            interface: InterfaceId(interface),
            ttl: self.ttl,
            flags: FrameFlags(flags),
        }
    }
}

/// The frames in file order.
#[derive(Debug, Default)]
pub(super) struct FrameTable {
    rows: Chunks<Packed>,
    /// For each chunk the time of its first frame.
    bases: Vec<Nanos>,
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
        let packed = Packed::pack(row, base).unwrap_or_else(|| {
            self.whole.insert(index, *row);
            Packed::whole()
        });
        self.rows.push(packed);
    }

    pub(super) fn get(&self, index: usize) -> Option<FrameRow> {
        let row = self.rows.get(index)?;
        Some(self.unpack(index, row))
    }

    pub(super) fn iter_from(&self, start: usize) -> impl Iterator<Item = FrameRow> {
        let rows = self.rows.iter_from(start).enumerate();
        rows.map(move |(i, row)| self.unpack(start.saturating_add(i), row))
    }

    #[inline]
    fn unpack(&self, index: usize, row: &Packed) -> FrameRow {
        if row.owner == WHOLE
            && let Some(row) = self.whole.get(&index)
        {
            return *row;
        }
        let base = self.bases.get(index / ROWS).copied();
        row.unpack(base.unwrap_or(Nanos(0)))
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
            wire: 1600,
            conn: Some(ConnId(524_287)),
            prev: Some(FrameNo(u32::MAX)),
            seq: TcpSeq(u32::MAX),
            ack: TcpSeq(1),
            payload_len: 65_535,
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
        let before = FrameRow {
            time: Nanos(row.time.0 - 1_000_000_000_000),
            conn: None,
            prev: None,
            ..row
        };
        comes_back(&[row, before, row], 0);
    }

    #[test]
    fn rows_that_do_not_fit_are_kept_whole() {
        let row = usual();
        let odd = [
            FrameRow {
                captured: 1 << 24,
                wire: 1 << 24,
                ..row
            },
            FrameRow {
                wire: u32::MAX,
                ..row
            },
            FrameRow { wire: 0, ..row },
            FrameRow {
                conn: Some(ConnId(u32::MAX)),
                ..row
            },
            FrameRow {
                interface: InterfaceId(4096),
                ..row
            },
            FrameRow {
                interface: InterfaceId(4095),
                conn: Some(ConnId(0x000f_fffe)),
                ..row
            },
            FrameRow {
                payload_len: 65_536,
                ..row
            },
            FrameRow {
                payload_offset: 256,
                ..row
            },
            FrameRow {
                offset: FileOffset(1 << 40),
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
    fn a_frame_costs_44_bytes() {
        assert_eq!(size_of::<Packed>(), 44);
    }
}
