//! One direction's stream by sequence number: what came before is dropped, what comes too early waits (before what it
//! follows, or before what it answers), what never comes is declared hidden.
//!
//! Bounds: at most [`MAX_WAITING_BYTES`] and [`MAX_WAITING_RANGES`] wait per direction, and at most
//! [`MAX_WAITING_TOTAL`] bytes in all directions together; beyond that the gap in front of them is declared.

mod held;
mod positions;

use std::collections::BTreeMap;

use crate::store::FrameFlags;
use crate::units::{FrameNo, Nanos, TcpSeq};

pub(super) use positions::Positions;

/// Payload bytes that may wait behind a gap, per direction: more than any usual receive window.
pub(super) const MAX_WAITING_BYTES: usize = 4 << 20;
/// Ranges that may wait behind gaps, per direction.
pub(super) const MAX_WAITING_RANGES: usize = 4096;
/// Payload bytes that may wait in all directions together.
pub(super) const MAX_WAITING_TOTAL: usize = 64 << 20;
/// What a waiting range costs beyond its bytes: with one byte each, ranges are what fills memory.
const RANGE_COST: usize = 96;
/// The largest window without scaling (RFC 9293 3.1).
const FAR: u64 = 65_535;
/// A segment further ahead than the largest scaled window (RFC 7323 2.3) is not of this stream.
const MAX_AHEAD: u64 = 1 << 30;

/// The frame that carries bytes, and the one in which they arrived in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    /// The frame that holds the bytes.
    pub(super) frame: FrameNo,
    /// The frame to which what ends with these bytes belongs.
    pub(super) done: FrameNo,
    /// Its time.
    pub(super) time: Nanos,
}

/// Takes the pieces of a stream.
pub(super) type Feed<'a> = &'a mut dyn FnMut(Piece<'_>);

/// A piece of the stream, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// Position of its first byte.
    pub(super) pos: u64,
    /// Where it comes from.
    pub(super) at: At,
    /// Its bytes.
    pub(super) content: Content<'a>,
    /// A segment begins with it.
    pub(super) starts_segment: bool,
}

impl<'a> Piece<'a> {
    /// One of bytes that are in the file.
    pub(super) fn of(bytes: &'a [u8], pos: u64, at: At, starts_segment: bool) -> Self {
        Self {
            pos,
            at,
            content: Content::Bytes(bytes),
            starts_segment,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> u64 {
        match self.content {
            Content::Bytes(bytes) => length(bytes),
            Content::Hidden(len) => len,
        }
    }
}

/// So many bytes there are.
#[inline]
pub(super) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The bytes of a piece.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content<'a> {
    /// Bytes that are in the file.
    Bytes(&'a [u8]),
    /// This many bytes that are not.
    Hidden(u64),
}

#[derive(Debug)]
struct Waiting {
    len: u64,
    bytes: Box<[u8]>,
    frame: FrameNo,
    time: Nanos,
    starts_segment: bool,
    /// What its segment acknowledges.
    ack: TcpSeq,
}

/// What a segment carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carried<'a> {
    /// Sequence number of its first byte.
    pub(super) seq: TcpSeq,
    /// So many bytes, of which the file may have fewer.
    pub(super) len: u32,
    /// Those in the file.
    pub(super) payload: &'a [u8],
    /// What it acknowledges of the other stream.
    pub(super) ack: TcpSeq,
}

/// What became of a segment's payload.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Accepted {
    pub(super) flags: FrameFlags,
    /// Bytes that were not in the file before (hidden ones of a cut frame included).
    pub(super) fresh: u64,
}

/// One direction's stream.
#[derive(Debug, Default)]
pub(super) struct Order {
    base: Option<TcpSeq>,
    /// The base comes from a SYN or from accepted payload.
    firm: bool,
    /// Before any payload: the peer's last acknowledgement, and whether it went up, which it did for bytes unseen.
    early_ack: Option<TcpSeq>,
    early_behind: bool,
    next: u64,
    high: u64,
    acked: u64,
    /// The highest position that the sender has gone on from, by segments without payload.
    claimed: u64,
    fin: Option<u64>,
    waiting: BTreeMap<u64, Waiting>,
    kept: usize,
    /// What comes from this position on waits until [`Order::let_go`], though nothing may be missing before it.
    held_from: Option<u64>,
    /// Bytes declared hidden.
    pub(super) missing: u64,
}

impl Order {
    /// Sequence number of position 0.
    pub(super) fn base(&self) -> Option<TcpSeq> {
        self.base
    }

    /// Whether position 0 is certain.
    pub(super) fn is_firm(&self) -> bool {
        self.firm
    }

    /// Position behind the last byte handed on.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The sequence number behind the highest byte (or FIN) sent.
    pub(super) fn sent_next(&self) -> Option<TcpSeq> {
        let fin = u64::from(self.fin.is_some_and(|f| f == self.high));
        Some(self.base?.plus(low32(self.high.saturating_add(fin))))
    }

    /// Bytes that are in the file (hidden ones of a cut frame included), each counted once.
    pub(super) fn bytes(&self) -> u64 {
        let shown = self.next.saturating_sub(self.missing);
        let waiting = self.waiting.values();
        waiting.fold(shown, |sum, waiting| sum.saturating_add(waiting.len))
    }

    /// Whether a FIN was seen.
    pub(super) fn fin_seen(&self) -> bool {
        self.fin.is_some()
    }

    /// Whether a FIN with this number was seen.
    pub(super) fn has_fin_at(&self, seq_behind: TcpSeq) -> bool {
        self.fin.is_some() && self.place(seq_behind) == self.fin
    }

    /// Whether the peer acknowledged bytes that have not been handed on: they may be missing from the file.
    pub(super) fn behind_ack(&self) -> bool {
        if self.firm {
            self.acked > self.next && self.fin != Some(self.next)
        } else {
            self.early_behind
        }
    }

    /// At the end: whether anything shows that the sender has sent bytes which are not handed on, nor declared hidden.
    pub(super) fn lacks_an_end(&self) -> bool {
        if !self.firm {
            return self.early_behind;
        }
        // One number behind the last byte is the FIN, which the file may lack.
        let with_fin = self.next.saturating_add(1);
        self.acked.max(self.claimed) > with_fin || self.fin.is_some_and(|fin| fin > self.next)
    }

    /// The sender goes on from a sequence number, with a segment that has no payload.
    pub(super) fn claim(&mut self, seq: TcpSeq) {
        let next = self.next;
        if let Some(claimed) = self
            .place(seq)
            .filter(|p| *p <= next.saturating_add(MAX_AHEAD))
        {
            self.claimed = self.claimed.max(claimed);
        }
    }

    /// Whether a sequence number lies further from the stream than a window without scaling: before its start, or
    /// behind all that was sent or acknowledged.
    pub(super) fn is_far(&self, seq: TcpSeq) -> bool {
        let end = self.high.max(self.acked).saturating_add(FAR);
        self.position(seq)
            .is_some_and(|p| u64::try_from(p).map_or_else(|_| p.unsigned_abs() > FAR, |p| p > end))
    }

    /// The SYN fixes position 0.
    pub(super) fn syn(&mut self, seq: TcpSeq) {
        if !self.firm {
            self.base = Some(seq.plus(1));
            self.firm = true;
        }
    }

    /// The first segment of a connection joined late gives a position 0 that the first payload may replace.
    pub(super) fn joined(&mut self, seq: TcpSeq) {
        if !self.firm {
            self.base = Some(seq);
        }
    }

    /// The position of a sequence number; negative for what was sent before position 0.
    pub(super) fn position(&self, seq: TcpSeq) -> Option<i64> {
        let next = i64::try_from(self.next).ok()?;
        next.checked_add(i64::from(seq.diff(self.next_seq()?)))
    }

    /// The position of a sequence number; `None` for what was sent before position 0.
    fn place(&self, seq: TcpSeq) -> Option<u64> {
        u64::try_from(self.position(seq)?).ok()
    }

    /// The sequence number of the next byte to be handed on.
    pub(super) fn next_seq(&self) -> Option<TcpSeq> {
        Some(self.base?.plus(low32(self.next)))
    }

    /// Whether nothing waits, nothing is known to be missing and no end was seen.
    pub(super) fn is_whole(&self) -> bool {
        self.firm
            && self.high == self.next
            && self.acked <= self.next
            && self.fin.is_none()
            && self.waiting.is_empty()
    }

    /// Hands on so many next bytes of a whole stream; returns the position of the first.
    pub(super) fn take_next(&mut self, len: u32) -> u64 {
        let pos = self.next;
        // No capture holds so much of a stream that 64 bits do not count it.
        self.next = pos.wrapping_add(u64::from(len));
        self.high = self.next;
        pos
    }

    /// As [`Self::claim`] of the next byte.
    pub(super) fn claim_next(&mut self) {
        self.claimed = self.claimed.max(self.next);
    }

    /// The sequence number behind what the peer acknowledged.
    pub(super) fn acked_seq(&self) -> Option<TcpSeq> {
        Some(self.base?.plus(low32(self.acked)))
    }

    /// Whether the peer acknowledged all that was handed on.
    pub(super) fn is_acked(&self) -> bool {
        self.acked >= self.next
    }

    /// The peer acknowledges more of a whole stream, of what was handed on.
    #[inline]
    pub(super) fn acknowledged_more(&mut self, ack: TcpSeq) {
        if let Some(before) = self.acked_seq() {
            let more = u64::from(ack.minus(before.0).0);
            // No capture acknowledges so much of a stream that 64 bits do not count it.
            self.acked = self.acked.wrapping_add(more);
        }
    }

    /// Takes in a segment's payload and hands on what is in order now.
    pub(super) fn accept(
        &mut self,
        carried: Carried<'_>,
        now: At,
        total: &mut usize,
        sink: Feed<'_>,
    ) -> Accepted {
        let Carried {
            seq, len, payload, ..
        } = carried;
        if !self.firm {
            self.base = Some(seq);
            self.firm = true;
            self.next = 0;
        }
        let mut accepted = Accepted::default();
        let Some(pos) = self.position(seq) else {
            accepted.flags.set(FrameFlags::NOT_IN_STREAM);
            return accepted;
        };
        let mut end = pos.saturating_add(i64::from(len));
        if let Some(fin) = self.fin.and_then(|f| i64::try_from(f).ok())
            && end > fin
        {
            accepted.flags.set(FrameFlags::NOT_IN_STREAM);
            end = fin;
        }
        let Ok(end) = u64::try_from(end) else {
            accepted.flags.set(FrameFlags::RETRANSMISSION);
            return accepted;
        };
        let start = u64::try_from(pos).unwrap_or(0).max(self.next);
        if start > self.next.saturating_add(MAX_AHEAD) {
            accepted.flags.set(FrameFlags::NOT_IN_STREAM);
            return accepted;
        }
        if end <= start {
            if !accepted.flags.has(FrameFlags::NOT_IN_STREAM) {
                accepted.flags.set(FrameFlags::RETRANSMISSION);
            }
            return accepted;
        }
        let behind_later = start < self.high;
        self.high = self.high.max(end);
        let skip = i64::try_from(start).unwrap_or(i64::MAX).saturating_sub(pos);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let bytes = payload.get(skip..).unwrap_or_default();
        let room = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        if self.waiting.is_empty() && start == self.next && end <= self.free_until() {
            self.next = end;
            accepted.fresh = end.saturating_sub(start);
            hand_on(start, end, bytes, now, skip == 0, sink);
        } else {
            let kept = Carried {
                payload: bytes,
                ..carried
            };
            accepted.fresh = self.keep(start, end, kept, now, skip == 0, total);
            self.release(now, false, total, sink);
            while self.kept > MAX_WAITING_BYTES
                || self.waiting.len() > MAX_WAITING_RANGES
                || (*total > MAX_WAITING_TOTAL && !self.waiting.is_empty())
            {
                self.held_from = None;
                self.declare_first(now, total, sink);
            }
        }
        if accepted.fresh == 0 {
            accepted.flags.set(FrameFlags::RETRANSMISSION);
        } else {
            if accepted.fresh < u64::from(len) {
                accepted.flags.set(FrameFlags::OVERLAP);
            }
            if behind_later {
                accepted.flags.set(FrameFlags::OUT_OF_ORDER);
            }
        }
        accepted
    }

    /// Keeps those parts of a segment that do not wait already; the bytes seen first win.
    fn keep(
        &mut self,
        start: u64,
        end: u64,
        carried: Carried<'_>,
        now: At,
        whole: bool,
        total: &mut usize,
    ) -> u64 {
        let mut free = Vec::new();
        let mut at = start;
        let before = self.waiting.range(..start).next_back();
        let overlapping = before
            .into_iter()
            .chain(self.waiting.range(start..end))
            .map(|(pos, w)| (*pos, pos.saturating_add(w.len)));
        for (from, to) in overlapping {
            if from > at {
                free.push((at, from.min(end)));
            }
            at = at.max(to);
        }
        if at < end {
            free.push((at, end));
        }
        let mut fresh = 0_u64;
        for (from, to) in free {
            let offset = usize::try_from(from.saturating_sub(start)).unwrap_or(usize::MAX);
            let part = carried.payload.get(offset..).unwrap_or_default();
            let len = to.saturating_sub(from);
            let part = part
                .get(..usize::try_from(len).unwrap_or(usize::MAX))
                .unwrap_or(part);
            fresh = fresh.saturating_add(len);
            let cost = part.len().saturating_add(RANGE_COST);
            self.kept = self.kept.saturating_add(cost);
            *total = total.saturating_add(cost);
            self.waiting.insert(
                from,
                Waiting {
                    len,
                    bytes: part.into(),
                    frame: now.frame,
                    time: now.time,
                    starts_segment: whole && from == start,
                    ack: carried.ack,
                },
            );
        }
        fresh
    }

    fn release(&mut self, now: At, by_gap: bool, total: &mut usize, sink: Feed<'_>) {
        self.release_until(u64::MAX, now, by_gap, total, sink);
    }

    /// Hands on what waits in order, as far as it begins in front of a position.
    fn release_until(
        &mut self,
        until: u64,
        now: At,
        by_gap: bool,
        total: &mut usize,
        sink: Feed<'_>,
    ) {
        let mut done = if by_gap { FrameNo(0) } else { now.done };
        let until = until.min(self.free_until());
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > self.next || *entry.key() >= until {
                break;
            }
            let (pos, waiting) = entry.remove_entry();
            let cost = waiting.bytes.len().saturating_add(RANGE_COST);
            self.kept = self.kept.saturating_sub(cost);
            *total = total.saturating_sub(cost);
            let end = pos.saturating_add(waiting.len);
            self.next = end;
            // Behind a gap there is no later frame that completed the order: the bytes' own frames count.
            done = done.max(waiting.frame);
            let at = At {
                frame: waiting.frame,
                done,
                time: if by_gap {
                    waiting.time
                } else {
                    waiting.time.max(now.time)
                },
            };
            hand_on(pos, end, &waiting.bytes, at, waiting.starts_segment, sink);
        }
    }

    /// Takes note of the peer's acknowledgement.
    pub(super) fn acknowledged(&mut self, ack: TcpSeq) {
        if !self.firm {
            self.early_behind |= self.early_ack.is_some_and(|before| before.before(ack));
            self.early_ack = Some(ack);
            return;
        }
        let Some(pos) = self.place(ack) else {
            return;
        };
        if pos > self.acked && pos <= self.high.saturating_add(MAX_AHEAD) {
            self.acked = pos;
        }
    }

    /// Whether a gap has to be declared now: the peer has bytes that the file has not shown, and either later ones wait
    /// here, or it acknowledged them with data, which may answer them. A bare acknowledgement may have been captured a
    /// little before what it acknowledges.
    pub(super) fn has_gap(&self, with_data: bool) -> bool {
        self.gap_due(with_data).is_some()
    }

    /// The position up to which bytes have to be declared hidden now.
    fn gap_due(&self, with_data: bool) -> Option<u64> {
        let acked = self.acked.min(self.free_until());
        if acked <= self.next || !self.firm {
            return None;
        }
        let first = self.waiting.first_key_value().map(|(pos, _)| *pos);
        let fin = self.fin.filter(|f| *f > self.next);
        match first.into_iter().chain(fin).min() {
            Some(until) if until < acked => Some(until),
            _ if self.fin == Some(self.next) => None,
            // One number behind the last byte is the FIN that the file lacks.
            _ if with_data && acked > self.next.saturating_add(1) => Some(acked),
            _ => None,
        }
    }

    /// Declares the gaps that are due.
    pub(super) fn declare_due(
        &mut self,
        with_data: bool,
        now: At,
        total: &mut usize,
        sink: Feed<'_>,
    ) {
        while let Some(until) = self.gap_due(with_data) {
            self.hide_until(until, now, sink);
            self.release(now, true, total, sink);
        }
    }

    fn declare_first(&mut self, now: At, total: &mut usize, sink: Feed<'_>) {
        let until = match (self.waiting.first_key_value(), self.fin) {
            (Some((pos, _)), _) => *pos,
            (None, Some(fin)) => fin,
            (None, None) => return,
        };
        self.hide_until(until, now, sink);
        self.release(now, true, total, sink);
    }

    fn hide_until(&mut self, until: u64, now: At, sink: Feed<'_>) {
        let Some(len) = until.checked_sub(self.next).filter(|len| *len > 0) else {
            return;
        };
        let pos = self.next;
        self.next = until;
        self.missing = self.missing.saturating_add(len);
        sink(Piece {
            pos,
            at: now,
            content: Content::Hidden(len),
            starts_segment: false,
        });
    }

    /// A FIN behind position `end`; whether it is the first.
    pub(super) fn fin(&mut self, seq_behind: TcpSeq) -> bool {
        let Some(pos) = self
            .place(seq_behind)
            .filter(|p| *p <= self.next.saturating_add(MAX_AHEAD))
        else {
            return false;
        };
        if self.fin.is_some() || pos < self.high {
            return false;
        }
        self.fin = Some(pos);
        self.high = self.high.max(pos);
        true
    }

    /// Nothing more comes: what waits is handed on behind its gaps, and what the peer acknowledged is hidden.
    pub(super) fn finish(&mut self, now: At, total: &mut usize, sink: Feed<'_>) {
        self.held_from = None;
        while !self.waiting.is_empty() {
            self.declare_first(now, total, sink);
        }
        let acked = self.fin.map_or(self.acked, |fin| self.acked.min(fin));
        // One acknowledged number behind the last byte is the FIN that the file lacks, not a byte.
        let lone_fin = self.fin.is_none() && acked == self.next.saturating_add(1);
        if !lone_fin {
            self.hide_until(acked, now, sink);
        }
    }
}

/// Hands on a range: the bytes that are there, and the rest of it (behind the snap length) as hidden.
fn hand_on(start: u64, end: u64, bytes: &[u8], at: At, starts_segment: bool, sink: Feed<'_>) {
    if !bytes.is_empty() {
        sink(Piece {
            pos: start,
            at,
            content: Content::Bytes(bytes),
            starts_segment,
        });
    }
    let have = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let pos = start.saturating_add(have);
    if let Some(len) = end.checked_sub(pos).filter(|len| *len > 0) {
        sink(Piece {
            pos,
            at,
            content: Content::Hidden(len),
            starts_segment: starts_segment && have == 0,
        });
    }
}

/// The low 32 bits of a position, for sequence arithmetic.
fn low32(pos: u64) -> u32 {
    u32::try_from(pos & 0xffff_ffff).unwrap_or(0)
}
