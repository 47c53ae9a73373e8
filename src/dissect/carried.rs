//! Which PDUs a frame carries bytes of, the first time or again, and where in the frame these bytes lie: by sequence
//! numbers, so that a copy of a segment is read as the segment itself.

use std::ops::Range;

use super::stream::position;
use super::tree::LOOK_AHEAD;
use crate::store::{FrameFlags, FrameRow, PduRow, Store};
use crate::units::{FrameNo, PduId};

/// Frames of a connection looked at for the first copies of what a frame carries again.
const LOOK_BACK: usize = 1024;

/// The PDUs that have bytes in a frame; some of them may turn out to have none.
pub(super) fn pdus(store: &Store, no: FrameNo, row: &FrameRow) -> Vec<(PduId, PduRow)> {
    let mut found = first_time(store, no, row);
    if is_again(row) {
        for (no, row) in first_copies(store, row) {
            found.extend(first_time(store, no, &row));
        }
    }
    found.sort_by_key(|(id, _)| *id);
    found.dedup_by_key(|(id, _)| *id);
    found
}

/// Where bytes of a PDU lie in a frame: those from `from` to `to`, counted from its first byte.
pub(super) fn place(
    store: &Store,
    row: &FrameRow,
    pdu: &PduRow,
    part: Range<u32>,
) -> Option<Range<usize>> {
    let payload = position(store, row, pdu.end, pdu.pos)?;
    within(
        row,
        i64::from(part.start).saturating_sub(payload),
        i64::from(part.end).saturating_sub(payload),
    )
}

/// Where bytes of one frame lie in another of the same sender.
pub(super) fn moved(from: &FrameRow, bytes: &Range<usize>, to: &FrameRow) -> Option<Range<usize>> {
    let ahead = i64::from(payload_seq(from).diff(payload_seq(to)));
    let shift = |at: usize| {
        let at = i64::try_from(at).unwrap_or(i64::MAX);
        at.saturating_sub(i64::from(from.payload_offset))
            .saturating_add(ahead)
    };
    within(to, shift(bytes.start), shift(bytes.end))
}

/// A stretch of a frame's payload, counted from the payload's start, as far as it is there.
fn within(row: &FrameRow, start: i64, end: i64) -> Option<Range<usize>> {
    let payload = payload(row);
    let len = i64::try_from(payload.len()).unwrap_or(0);
    let at = |n: i64| {
        let n = usize::try_from(n.clamp(0, len)).unwrap_or(0);
        payload.start.saturating_add(n)
    };
    let range = at(start)..at(end);
    (!range.is_empty()).then_some(range)
}

/// Where a frame's payload lies, as far as it is in the file.
pub(super) fn payload(row: &FrameRow) -> Range<usize> {
    let start = usize::from(row.payload_offset);
    let len = usize::try_from(row.payload_len).unwrap_or(usize::MAX);
    let captured = usize::try_from(row.captured).unwrap_or(usize::MAX);
    start..start.saturating_add(len).min(captured).max(start)
}

fn payload_seq(row: &FrameRow) -> crate::units::TcpSeq {
    row.seq.plus(u32::from(row.tcp_flags.syn()))
}

/// Whether a frame may carry bytes that another one carries too.
fn is_again(row: &FrameRow) -> bool {
    [
        FrameFlags::RETRANSMISSION,
        FrameFlags::OVERLAP,
        FrameFlags::DUPLICATE,
        FrameFlags::NOT_IN_STREAM,
    ]
    .into_iter()
    .any(|flag| row.flags.has(flag))
}

/// The PDUs that end in a frame, and those that it holds a part of. A segment that was overtaken may begin these: where
/// they stand in the stream tells, not the frame that has their first byte.
fn first_time(store: &Store, no: FrameNo, row: &FrameRow) -> Vec<(PduId, PduRow)> {
    let mut found: Vec<_> = store.pdus_in(no).collect();
    let len = i64::try_from(payload(row).len()).unwrap_or(i64::MAX);
    for (id, pdu) in store.sent_behind_frame(no, row, LOOK_AHEAD) {
        let Some(payload) = position(store, row, pdu.end, pdu.pos) else {
            break;
        };
        // Nothing of the frame is left for this one and those behind it.
        if payload.saturating_add(len) <= 0 {
            break;
        }
        if payload < i64::from(pdu.len) {
            found.push((id, pdu));
        }
    }
    found
}

/// The frames before one that carry the same bytes, until all of them are found.
fn first_copies(store: &Store, row: &FrameRow) -> Vec<(FrameNo, FrameRow)> {
    let mut found = Vec::new();
    let mut missing = payload(row).len();
    let mut next = row.prev;
    for _ in 0..LOOK_BACK {
        let Some((no, before)) = next.and_then(|no| Some((no, store.frame(no)?))) else {
            break;
        };
        next = before.prev.filter(|prev| *prev < no);
        let ignored = is_again(&before) && !before.flags.has(FrameFlags::OVERLAP);
        if before.end() != row.end() || before.payload_len == 0 || ignored {
            continue;
        }
        let whole = payload(&before);
        if let Some(shared) = moved(&before, &whole, row) {
            missing = missing.saturating_sub(shared.len());
            found.push((no, before));
        }
        if missing == 0 {
            break;
        }
    }
    found
}
