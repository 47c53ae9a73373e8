//! A frame in 32 bytes, and what packs frames as they are found, while they are in the processor's cache.
//!
//! What most frames have in common (interface, time to live, flags, length of the headers, padding) stands once in a
//! list of shapes. Times are kept as distances from the first of their chunk, the frame before in the connection as a
//! distance as well. The rare row that does not fit (65 536 bytes of payload, a pause of 39 hours, one shape too many)
//! is kept whole beside.

use super::chunks::ROWS;
use super::few::{FAR, Few, distance};
use super::filling::{Filling, NewRows};
use super::frame::{FrameFlags, FrameRow, TcpFlags};
use super::oddity::Oddities;
use super::shapes::Shapes;
use crate::units::{ConnId, FileOffset, FrameNo, InterfaceId, Nanos, TcpSeq};

/// As many shapes have a number; the one behind says that a row is kept whole.
const SHAPES: u16 = u16::MAX;

/// What many frames have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    interface: InterfaceId,
    flags: FrameFlags,
    offset_high: u32,
    /// See [`Size`].
    bytes: u32,
    size: Size,
    tcp_flags: TcpFlags,
    payload_offset: u16,
    ttl: u8,
}

/// How a frame's size follows from its payload's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// All is in the file: the headers, the payload, and so many bytes of padding.
    Padded,
    /// So many bytes of headers and payload are in the file.
    Cut,
    /// No payload is known: the packed length is that of the frame.
    Alone,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Packed {
    offset_low: u32,
    time_low: u32,
    seq: u32,
    ack: u32,
    /// The connection's index + 1, or 0.
    conn: u32,
    shape: u16,
    /// So far in front is the frame before it in its connection; 0 without one.
    prev: u16,
    time_high: i16,
    /// Of the payload, or of the frame.
    len: u16,
    window: u16,
    ip_id: u16,
}

impl Packed {
    /// The same without the one before, where that is far away.
    pub(super) fn without_far(self) -> Self {
        Self { prev: 0, ..self }
    }

    fn whole() -> Self {
        Self {
            offset_low: 0,
            time_low: 0,
            seq: 0,
            ack: 0,
            conn: 0,
            shape: SHAPES,
            prev: 0,
            time_high: 0,
            len: 0,
            window: 0,
            ip_id: 0,
        }
    }

    /// The row of the frame at an index; `None` if it has something beside.
    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    pub(super) fn unpack(
        &self,
        index: usize,
        bases: &[Nanos],
        shapes: &[Shape],
    ) -> Option<FrameRow> {
        if self.prev == FAR {
            return None;
        }
        let shape = shapes.get(usize::from(self.shape))?;
        let base = bases.get(index / ROWS).copied().unwrap_or_default();
        let time = (i64::from(self.time_high) << 32) | i64::from(self.time_low);
        let (len, bytes) = (u32::from(self.len), shape.bytes);
        let whole = u32::from(shape.payload_offset).saturating_add(len);
        let (captured, wire, payload_len) = match shape.size {
            Size::Padded => {
                let size = whole.saturating_add(bytes);
                (size, size, len)
            }
            Size::Cut => (bytes, whole, len),
            Size::Alone => (len, len, 0),
        };
        let distance = u32::from(self.prev);
        let prev = FrameNo::from_index(index).0.saturating_sub(distance);
        let prev = (distance > 0).then_some(FrameNo(prev));
        Some(FrameRow {
            offset: FileOffset((u64::from(shape.offset_high) << 32) | u64::from(self.offset_low)),
            time: Nanos(base.0.wrapping_add(time)),
            captured,
            wire,
            conn: self.conn.checked_sub(1).map(ConnId),
            prev,
            seq: TcpSeq(self.seq),
            ack: TcpSeq(self.ack),
            payload_len,
            payload_offset: shape.payload_offset,
            window: self.window,
            ip_id: self.ip_id,
            tcp_flags: shape.tcp_flags,
            interface: shape.interface,
            ttl: shape.ttl,
            flags: shape.flags,
        })
    }
}

/// Packed frames on their way into the table, with what they need that the table does not have yet.
#[derive(Debug, Default)]
pub struct NewFrames {
    pub(super) rows: NewRows<Packed>,
    /// The times of those that begin a chunk of the table.
    pub(super) bases: Vec<Nanos>,
    pub(super) shapes: Vec<Shape>,
    /// Those that do not fit.
    pub(super) whole: Few<FrameRow>,
    /// The frame before in the connection, where it is far away.
    pub(super) far: Few<FrameNo>,
    /// What is odd about all frames up to the last of them.
    pub(super) oddities: Oddities,
}

/// The first frames of a capture.
impl FromIterator<FrameRow> for NewFrames {
    fn from_iter<I: IntoIterator<Item = FrameRow>>(rows: I) -> Self {
        let mut packer = FramePacker::default();
        rows.into_iter().for_each(|row| packer.push(row));
        packer.take()
    }
}

/// Packs the frames of a capture in file order.
#[derive(Debug)]
pub struct FramePacker {
    rows: Filling<Packed>,
    /// All but the rows.
    new: NewFrames,
    /// The number that the next frame gets.
    next: FrameNo,
    /// The time of the first frame of the chunk at hand.
    base: Nanos,
    /// The time of the frame before.
    before: Nanos,
    shapes: Shapes<Shape, 3>,
}

impl Default for FramePacker {
    fn default() -> Self {
        Self {
            rows: Filling::default(),
            new: NewFrames::default(),
            next: FrameNo(1),
            base: Nanos::default(),
            before: Nanos::default(),
            shapes: Shapes::default(),
        }
    }
}

impl FramePacker {
    /// So many frames came so far.
    pub fn len(&self) -> u32 {
        self.next.0.saturating_sub(1)
    }

    /// Whether none came so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number that the next frame gets.
    #[inline]
    pub fn next(&self) -> FrameNo {
        self.next
    }

    /// Takes in the next frame. Nothing that is called for most frames is handed the row, so that most rows are never
    /// written anywhere but packed.
    #[expect(
        clippy::inline_always,
        reason = "what a usual frame says stays in registers from its bytes to its row"
    )]
    #[inline(always)]
    pub fn push(&mut self, row: FrameRow) {
        if self.rows.begin() {
            self.begin_chunk(row.time);
        }
        let earlier = row.time < self.before;
        self.before = row.time;
        if earlier || Oddities::may_be_odd(&row) {
            self.new.oddities.note(self.next, &row, earlier);
        }
        if let Some(packed) = self.pack(row) {
            self.rows.put(packed);
        } else {
            self.new.whole.push(self.next.index(), row);
            self.rows.put(Packed::whole());
        }
        // Frames that 32 bits do not count would need more memory than there is.
        self.next = FrameNo(self.next.0.wrapping_add(1));
    }

    #[cold]
    fn begin_chunk(&mut self, time: Nanos) {
        if self.is_empty() {
            self.before = time;
        }
        self.base = time;
        self.new.bases.push(time);
    }

    #[expect(
        clippy::inline_always,
        reason = "what a usual frame says stays in registers from its bytes to its row"
    )]
    #[inline(always)]
    fn pack(&mut self, row: FrameRow) -> Option<Packed> {
        let (wire, captured, len) = (row.wire, row.captured, row.payload_len);
        let whole = u32::from(row.payload_offset).checked_add(len)?;
        let (size, bytes, len) = if captured == wire {
            match captured.checked_sub(whole) {
                Some(padding) if row.payload_offset > 0 => (Size::Padded, padding, len),
                _ if len == 0 => (Size::Alone, 0, captured),
                _ => return None,
            }
        } else if wire == whole {
            (Size::Cut, captured, len)
        } else {
            return None;
        };
        let [offset_low, offset_high] = halves(row.offset.0);
        // What passes the greatest distance the other way round comes back the same way.
        let time = row.time.0.wrapping_sub(self.base.0);
        let time_high = i16::try_from(time >> 32).ok()?;
        let len = u16::try_from(len).ok()?;
        let own = (u64::from(row.payload_offset) << 16) | u64::from(row.tcp_flags.0);
        // No two that lie side by side in the row: read in one piece right after they were written in two, they would
        // make the processor wait.
        let (flags, place, lens) = (
            (u64::from(row.flags.0) << 32) | own,
            (u64::from(row.interface.0) << 32) | (u64::from(row.ttl) << 8) | u64::from(size as u8),
            (u64::from(bytes) << 32) | u64::from(offset_high),
        );
        let shape = if let Some(shape) = self.shapes.recent([flags, place, lens]) {
            shape
        } else {
            let shape = Shape {
                interface: row.interface,
                flags: row.flags,
                offset_high,
                bytes,
                size,
                tcp_flags: row.tcp_flags,
                payload_offset: row.payload_offset,
                ttl: row.ttl,
            };
            self.shape(flags, place, lens, shape)?
        };
        Some(Packed {
            offset_low,
            time_low: halves(time.cast_unsigned())[0],
            seq: row.seq.0,
            ack: row.ack.0,
            conn: match row.conn {
                Some(conn) => conn.0.checked_add(1)?,
                None => 0,
            },
            shape,
            prev: match row.prev {
                Some(prev) => {
                    let distance = distance(self.next.0, prev.0)?;
                    if distance == FAR {
                        self.is_far(prev);
                    }
                    distance
                }
                None => 0,
            },
            time_high,
            len,
            window: row.window,
            ip_id: row.ip_id,
        })
    }

    /// The number of a shape that is not the recent one. Its key comes in parts, which most frames need in no array.
    #[inline(never)]
    fn shape(&mut self, flags: u64, place: u64, lens: u64, shape: Shape) -> Option<u16> {
        self.shapes.number([flags, place, lens], SHAPES, shape)
    }

    #[cold]
    fn is_far(&mut self, prev: FrameNo) {
        self.new.far.push(self.next.index(), prev);
    }

    /// The frames that came since this was asked last.
    pub fn take(&mut self) -> NewFrames {
        self.new.shapes = self.shapes.take_new();
        self.new.rows = self.rows.take();
        let next = NewFrames {
            oddities: self.new.oddities,
            ..NewFrames::default()
        };
        std::mem::replace(&mut self.new, next)
    }
}

/// The lower and the upper 32 bits.
#[inline]
pub(super) fn halves(number: u64) -> [u32; 2] {
    [number, number >> 32].map(|number| {
        let [a, b, c, d, ..] = number.to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_costs_32_bytes() {
        assert_eq!(size_of::<Packed>(), 32);
    }
}
