//! Reads frames, and stretches of a direction's stream, back from the file.

use std::ops::Range;
use std::sync::Arc;

use crate::capture::FrameSource;
use crate::decode::field::Span;
use crate::store::{FrameFlags, FrameRow, PduRow, Store};
use crate::units::{End, FrameNo, StreamPos};

/// Frames that are kept after reading.
const KEEP_FRAMES: usize = 64;
/// Most frames of a connection that are looked at for one PDU.
const MAX_FRAMES: usize = 8192;

/// Reads frames by number and keeps the last of them.
pub struct Frames<'a> {
    /// The rows.
    pub store: &'a Store,
    source: &'a dyn FrameSource,
    kept: Vec<(FrameNo, Arc<Vec<u8>>)>,
}

/// Where a stretch of the bytes put together lies.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    start: usize,
    end: usize,
    frame: FrameNo,
    at: usize,
}

/// Bytes put together from frames, and where each of them lies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gathered {
    /// The bytes, up to the first one that is not in the file.
    pub bytes: Vec<u8>,
    /// Bytes asked for; more than there are if some are not in the file.
    pub wanted: usize,
    pieces: Vec<Piece>,
}

impl Gathered {
    /// Whether all bytes asked for are there.
    pub fn is_whole(&self) -> bool {
        self.bytes.len() == self.wanted
    }

    /// Adds a part of other bytes behind these; the part must be there in whole.
    pub fn append(&mut self, other: &Self, range: Range<usize>) {
        let shift = self.bytes.len();
        let Some(bytes) = other.bytes.get(range.clone()) else {
            return;
        };
        self.bytes.extend_from_slice(bytes);
        self.wanted = self.wanted.saturating_add(range.len());
        for piece in &other.pieces {
            let start = piece.start.max(range.start);
            let end = piece.end.min(range.end);
            if start < end {
                self.pieces.push(Piece {
                    start: start.saturating_sub(range.start).saturating_add(shift),
                    end: end.saturating_sub(range.start).saturating_add(shift),
                    frame: piece.frame,
                    at: piece.at.saturating_add(start.saturating_sub(piece.start)),
                });
            }
        }
    }

    /// Where a range of the bytes lies in frames; stretches that touch are one.
    pub fn spans(&self, range: Range<usize>) -> Vec<Span> {
        let first = self.pieces.partition_point(|p| p.end <= range.start);
        let mut spans: Vec<Span> = Vec::new();
        for piece in self.pieces.get(first..).unwrap_or_default() {
            let start = piece.start.max(range.start);
            let end = piece.end.min(range.end);
            if start >= end {
                break;
            }
            let at = piece.at.saturating_add(start.saturating_sub(piece.start));
            let bytes = at..at.saturating_add(end.saturating_sub(start));
            match spans.last_mut() {
                Some(last) if last.frame == piece.frame && last.bytes.end == bytes.start => {
                    last.bytes.end = bytes.end;
                }
                _ => spans.push(Span {
                    frame: piece.frame,
                    bytes,
                }),
            }
        }
        spans
    }
}

impl<'a> Frames<'a> {
    /// Over a store and the files behind it.
    pub fn new(store: &'a Store, source: &'a dyn FrameSource) -> Self {
        Self {
            store,
            source,
            kept: Vec::new(),
        }
    }

    /// The link type of a frame.
    pub fn link_type(&self, row: &FrameRow) -> Option<u32> {
        self.source.link_type(row.interface)
    }

    /// The comments that the capture file holds on a frame.
    pub fn comments(&self, row: &FrameRow) -> Vec<String> {
        let comments = self
            .source
            .comments(row.interface, row.offset, row.captured);
        comments.unwrap_or_default()
    }

    /// The bytes of a frame; empty if the file cannot be read any more.
    pub fn read(&mut self, no: FrameNo, row: &FrameRow) -> Arc<Vec<u8>> {
        if let Some((_, bytes)) = self.kept.iter().rev().find(|(kept, _)| *kept == no) {
            return Arc::clone(bytes);
        }
        let mut bytes = Vec::new();
        if self
            .source
            .read_frame(row.interface, row.offset, row.captured, &mut bytes)
            .is_err()
        {
            bytes.clear();
        }
        let bytes = Arc::new(bytes);
        if self.kept.len() >= KEEP_FRAMES {
            self.kept.remove(0);
        }
        self.kept.push((no, Arc::clone(&bytes)));
        bytes
    }

    /// `len` bytes from `from` on of the stream that a PDU belongs to, within its frames.
    pub fn stretch(&mut self, pdu: &PduRow, from: StreamPos, len: u32) -> Gathered {
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        let mut out = Gathered {
            wanted,
            ..Gathered::default()
        };
        let mut pieces = self.find_pieces(pdu, from, wanted);
        // The first copy of a byte is the one that counts; where copies overlap the later one fills the rest.
        pieces.sort_by_key(|piece| (piece.start, piece.frame));
        for piece in pieces {
            let have = out.bytes.len();
            if piece.start > have {
                break;
            }
            let skip = have.saturating_sub(piece.start);
            if piece.start.saturating_add(skip) >= piece.end {
                continue;
            }
            let Some(row) = self.store.frame(piece.frame) else {
                continue;
            };
            let frame = self.read(piece.frame, &row);
            let at = piece.at.saturating_add(skip);
            let len = piece.end.saturating_sub(have);
            let Some(bytes) = frame.get(at..at.saturating_add(len)) else {
                break;
            };
            out.bytes.extend_from_slice(bytes);
            out.pieces.push(Piece {
                start: have,
                end: have.saturating_add(len),
                frame: piece.frame,
                at,
            });
        }
        out
    }

    /// The frames that hold any of the stretch, as pieces of it; copies included.
    fn find_pieces(&self, pdu: &PduRow, from: StreamPos, wanted: usize) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut next = Some(pdu.frame);
        for _ in 0..MAX_FRAMES {
            let Some(no) = next.filter(|no| *no >= pdu.first_frame) else {
                break;
            };
            let Some(row) = self.store.frame(no) else {
                break;
            };
            next = row.prev;
            if let Some((start, end, at)) = self.overlap(&row, pdu, from, wanted) {
                pieces.push(Piece {
                    start,
                    end,
                    frame: no,
                    at,
                });
            }
        }
        pieces
    }

    /// The part of the stretch that a frame holds: start and end in the stretch, and where it lies in the frame.
    fn overlap(
        &self,
        row: &FrameRow,
        pdu: &PduRow,
        from: StreamPos,
        wanted: usize,
    ) -> Option<(usize, usize, usize)> {
        let ignored = row.flags.has(FrameFlags::DUPLICATE)
            || row.flags.has(FrameFlags::NOT_IN_STREAM)
            || row.flags.has(FrameFlags::FRAGMENT);
        if !row.is_tcp() || row.payload_len == 0 || row.end() != pdu.end || ignored {
            return None;
        }
        let offset = position(self.store, row, pdu.end, from)?;
        let payload_at = usize::from(row.payload_offset);
        let captured = usize::try_from(row.captured).unwrap_or(usize::MAX);
        let have = usize::try_from(row.payload_len)
            .unwrap_or(usize::MAX)
            .min(captured.saturating_sub(payload_at));
        // `offset` is where the payload begins, counted from the start of the stretch; it may stand before it.
        let start = usize::try_from(offset.max(0)).ok()?;
        let skip = usize::try_from(offset.min(0).unsigned_abs()).ok()?;
        let len = have.checked_sub(skip)?;
        let end = start.saturating_add(len).min(wanted);
        (start < end).then(|| (start, end, payload_at.saturating_add(skip)))
    }
}

/// Where a frame's payload begins, counted from a position of its stream.
pub(super) fn position(store: &Store, row: &FrameRow, end: End, from: StreamPos) -> Option<i64> {
    let base = (*store.conn(row.conn?)?.base_seq.get(end))?;
    // Sequence numbers are positions modulo 2^32; the PDU's frames are near its position.
    let low = u32::try_from(from.0 & 0xffff_ffff).unwrap_or(0);
    let first = if row.tcp_flags.syn() {
        row.seq.plus(1)
    } else {
        row.seq
    };
    Some(i64::from(first.diff(base.plus(low))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_across_frames_have_a_span_in_each() {
        let mut gathered = Gathered::default();
        let mut source = Gathered {
            bytes: vec![1, 2, 3, 4],
            wanted: 4,
            pieces: Vec::new(),
        };
        source.pieces = vec![
            Piece {
                start: 0,
                end: 2,
                frame: FrameNo(5),
                at: 60,
            },
            Piece {
                start: 2,
                end: 4,
                frame: FrameNo(7),
                at: 54,
            },
        ];
        gathered.append(&source, 1..4);
        assert_eq!(gathered.bytes, [2, 3, 4]);
        let spans = gathered.spans(0..2);
        assert_eq!(spans.len(), 2);
        assert_eq!(
            (spans[0].frame, spans[0].bytes.clone()),
            (FrameNo(5), 61..62)
        );
        assert_eq!(
            (spans[1].frame, spans[1].bytes.clone()),
            (FrameNo(7), 54..55)
        );
    }
}
