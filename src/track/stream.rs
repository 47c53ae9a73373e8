//! Reads bytes of a stream back from the file: a PDU's, or a TDS message's, wherever their frames lie.
//!
//! The frames of the connection between the first and the last one that hold a PDU's bytes are placed by their
//! sequence numbers; where bytes were sent more than once, those seen first count, as in the pass.

use std::io;
use std::ops::Range;

use crate::capture::FrameSource;
use crate::store::{FrameFlags, FrameRow, PduFlags, PduKind, PduRow, Store};
use crate::units::{FrameNo, PduId};

/// Frames that are looked at for one PDU, at most.
const MAX_FRAMES: usize = 100_000;
/// PDUs of one message, at most.
const MAX_PDUS: usize = 100_000;

/// Bytes read back from the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamBytes {
    /// The bytes; where the file lacks some, zeros stand in for them.
    pub bytes: Vec<u8>,
    /// Where they lie in the file, in order of their place in `bytes`.
    pub spans: Vec<StreamSpan>,
    /// Ranges of `bytes` that the file lacks, in order.
    pub missing: Vec<Range<usize>>,
    /// There are more bytes than were asked for.
    pub more: bool,
}

/// Bytes that lie together in one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSpan {
    /// Place of the first byte in [`StreamBytes::bytes`].
    pub at: usize,
    /// The frame.
    pub frame: FrameNo,
    /// Position of the first byte in the frame.
    pub offset: usize,
    /// How many bytes.
    pub len: usize,
}

impl StreamBytes {
    /// Whether nothing is missing and nothing was left out.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && !self.more
    }

    /// Where a range of `bytes` lies: frames and positions within them.
    pub fn locate(&self, range: Range<usize>) -> Vec<(FrameNo, Range<usize>)> {
        self.spans
            .iter()
            .filter_map(|span| {
                let start = range.start.max(span.at);
                let end = range.end.min(span.at.saturating_add(span.len));
                let from = span
                    .offset
                    .checked_add(start.checked_sub(span.at)?)
                    .filter(|_| start < end)?;
                let len = end.saturating_sub(start);
                Some((span.frame, from..from.saturating_add(len)))
            })
            .collect()
    }

    /// The bytes up to the first that is missing.
    pub fn prefix(&self) -> &[u8] {
        let end = self.missing.first().map_or(self.bytes.len(), |m| m.start);
        self.bytes.get(..end).unwrap_or(&self.bytes)
    }

    fn append(&mut self, mut other: Self, skip: usize) {
        let at = self.bytes.len();
        let skip = skip.min(other.bytes.len());
        other.bytes.drain(..skip);
        let len = other.bytes.len();
        let place = |from: usize, to: usize| {
            let start = from.saturating_sub(skip);
            let end = to.saturating_sub(skip).min(len);
            (start < end).then(|| (start.saturating_add(at), end.saturating_add(at)))
        };
        for span in other.spans {
            let end = span.at.saturating_add(span.len);
            if let Some((start, end)) = place(span.at, end) {
                let cut = skip.saturating_sub(span.at);
                self.spans.push(StreamSpan {
                    at: start,
                    frame: span.frame,
                    offset: span.offset.saturating_add(cut),
                    len: end.saturating_sub(start),
                });
            }
        }
        for range in other.missing {
            if let Some((start, end)) = place(range.start, range.end) {
                self.missing.push(start..end);
            }
        }
        self.bytes.append(&mut other.bytes);
    }
}

/// Reads the first `max` bytes of a PDU, headers included.
///
/// # Errors
/// When the file cannot be read.
pub fn read_pdu_bytes(
    store: &Store,
    source: &dyn FrameSource,
    pdu: PduId,
    max: usize,
) -> io::Result<StreamBytes> {
    match store.pdu(pdu) {
        Some(row) => read_row(store, source, row, max),
        None => Ok(StreamBytes::default()),
    }
}

fn read_row(
    store: &Store,
    source: &dyn FrameSource,
    pdu: &PduRow,
    max: usize,
) -> io::Result<StreamBytes> {
    let whole = usize::try_from(pdu.len).unwrap_or(usize::MAX);
    let len = whole.min(max);
    let mut result = StreamBytes {
        bytes: vec![0; len],
        more: len < whole,
        ..StreamBytes::default()
    };
    let base = store
        .conn(pdu.conn)
        .and_then(|conn| *conn.base_seq.get(pdu.end));
    let Some(base) = base else {
        result.missing.push(0..len);
        return Ok(result);
    };
    let low = u32::try_from(pdu.pos.0 & 0xffff_ffff).unwrap_or(0);
    let start = base.plus(low);
    // Places of each candidate frame's payload within the PDU, the last frame first.
    let mut found: Vec<(FrameNo, &FrameRow, i64)> = Vec::new();
    let mut next = Some(pdu.frame.max(pdu.first_frame));
    for _ in 0..MAX_FRAMES {
        let Some(no) = next.filter(|no| *no >= pdu.first_frame) else {
            break;
        };
        let Some(frame) = store.frame(no) else { break };
        next = frame.prev.filter(|prev| *prev < no);
        let apart = FrameFlags::DUPLICATE.0 | FrameFlags::KEEPALIVE.0;
        let carries = frame.conn == Some(pdu.conn)
            && frame.end() == pdu.end
            && frame.payload_len > 0
            && frame.flags.0 & apart == 0
            && !frame.tcp_flags.rst();
        if carries {
            let seq = frame.seq.plus(u32::from(frame.tcp_flags.syn()));
            let at = i64::from(seq.diff(start));
            let reaches = at.saturating_add(i64::from(frame.payload_len)) > 0;
            if reaches && at < i64::try_from(len).unwrap_or(i64::MAX) {
                found.push((no, frame, at));
            }
        }
    }
    let mut free: Vec<_> = std::iter::once(0..len).collect();
    let mut buf = Vec::new();
    for (no, frame, at) in found.into_iter().rev() {
        if free.is_empty() {
            break;
        }
        source.read_frame(frame.interface, frame.offset, frame.captured, &mut buf)?;
        let offset = usize::from(frame.payload_offset);
        let payload_len = usize::try_from(frame.payload_len).unwrap_or(usize::MAX);
        let payload = buf.get(offset..).unwrap_or_default();
        let payload = payload.get(..payload_len).unwrap_or(payload);
        fill(&mut result, &mut free, no, offset, payload, at);
    }
    result.spans.sort_by_key(|span| span.at);
    result.missing = free;
    Ok(result)
}

/// Puts a frame's payload, whose first byte stands at `at`, into the ranges that are still free.
fn fill(
    result: &mut StreamBytes,
    free: &mut Vec<Range<usize>>,
    frame: FrameNo,
    offset: usize,
    payload: &[u8],
    at: i64,
) {
    let place = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let end = at.saturating_add(place(payload.len()));
    let mut left = Vec::new();
    for range in free.drain(..) {
        let from = place(range.start).max(at);
        let to = place(range.end).min(end);
        let (Ok(start), Ok(stop), Ok(skip)) = (
            usize::try_from(from),
            usize::try_from(to),
            usize::try_from(from.saturating_sub(at)),
        ) else {
            left.push(range);
            continue;
        };
        if start >= stop {
            left.push(range);
            continue;
        }
        let len = stop.saturating_sub(start);
        let bytes = payload.get(skip..skip.saturating_add(len));
        if let (Some(slot), Some(bytes)) = (result.bytes.get_mut(start..stop), bytes) {
            slot.copy_from_slice(bytes);
            result.spans.push(StreamSpan {
                at: start,
                frame,
                offset: offset.saturating_add(skip),
                len,
            });
        }
        if range.start < start {
            left.push(range.start..start);
        }
        if stop < range.end {
            left.push(stop..range.end);
        }
    }
    *free = left;
}

/// The PDUs of the TDS message that a PDU belongs to, in order; empty if it carries no TDS.
pub fn message_pdus(store: &Store, pdu: PduId) -> Vec<PduId> {
    let Some(row) = store.pdu(pdu).filter(|row| row.carries_tds()) else {
        return Vec::new();
    };
    let mut pdus = Vec::new();
    for (id, part) in store.pdu_chain_back(Some(pdu)).take(MAX_PDUS) {
        if part.kind == PduKind::Hidden || (id != pdu && part.flags.has(PduFlags::MESSAGE_END)) {
            break;
        }
        if part.carries_tds() {
            pdus.push(id);
            if part.flags.has(PduFlags::MESSAGE_START) {
                break;
            }
        }
    }
    pdus.reverse();
    if row.flags.has(PduFlags::MESSAGE_END) {
        return pdus;
    }
    let conn_last = store.conn(row.conn).and_then(|conn| conn.last_pdu);
    let mut previous = pdu;
    for (id, part) in store.pdus_from(PduId(pdu.0.saturating_add(1))) {
        if conn_last.is_some_and(|last| id > last) || pdus.len() >= MAX_PDUS {
            break;
        }
        if part.conn != row.conn || part.end != row.end || part.prev != Some(previous) {
            continue;
        }
        previous = id;
        if part.kind == PduKind::Hidden || part.flags.has(PduFlags::MESSAGE_START) {
            break;
        }
        if part.carries_tds() {
            pdus.push(id);
            if part.flags.has(PduFlags::MESSAGE_END) {
                break;
            }
        }
    }
    pdus
}

/// Reads the first `max` bytes of the message that a PDU belongs to: packet bodies joined, without SMP and TDS
/// headers.
///
/// # Errors
/// When the file cannot be read.
pub fn read_message_bytes(
    store: &Store,
    source: &dyn FrameSource,
    pdu: PduId,
    max: usize,
) -> io::Result<StreamBytes> {
    let mut result = StreamBytes::default();
    for id in message_pdus(store, pdu) {
        let Some(row) = store.pdu(id) else { break };
        let room = max.saturating_sub(result.bytes.len());
        if room == 0 {
            result.more = true;
            break;
        }
        let head = usize::try_from(row.smp_header_len())
            .unwrap_or(0)
            .saturating_add(crate::decode::tds::HEADER_LEN);
        let part = read_row(store, source, row, room.saturating_add(head))?;
        result.more |= part.more;
        result.append(part, head);
    }
    Ok(result)
}
