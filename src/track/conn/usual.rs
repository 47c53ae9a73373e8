//! The segment that just goes on: the next bytes of its side's stream, or none, and an acknowledgement of what the
//! peer has been seen to send.
//!
//! Nearly all segments of a capture are of this kind. Of the steps of [`Conn::segment`] most have nothing to find in
//! one, so that they are left out; for what they look for, it is not of this kind.

use super::{Conn, Incoming, Side, checksum, sent_by};
use crate::decode::net::Segment;
use crate::store::{FrameFlags, TcpFlags};
use crate::track::calm::Watch;
use crate::track::order::{Content, Piece};
use crate::track::out::{Ctx, Out};
use crate::units::{End, Nanos, TcpSeq};

impl Conn {
    /// Takes in a segment if it is of this kind; returns what was found out about its frame.
    #[expect(
        clippy::inline_always,
        reason = "what a usual frame says stays in registers from its bytes to its row"
    )]
    #[inline(always)]
    pub(in crate::track) fn goes_on(
        &mut self,
        end: End,
        incoming: &Incoming<'_>,
        out: &mut Out,
    ) -> Option<FrameFlags> {
        let segment = incoming.segment;
        let (len, ack) = (segment.payload_len, segment.ack);
        if !self.steady || !is_plain(segment) {
            return None;
        }
        let (side, peer) = self.sides.get_both_mut(end);
        let acks_more = side.last_ack != Some(ack);
        if side.order.next_seq() != Some(segment.seq)
            || acks_more && !side.acknowledges_of(peer, ack)
        {
            return None;
        }
        let mut found = sent_by(end);
        if (len > 0 || acks_more) && !incoming.several_interfaces() {
            // What repeats neither bytes nor an acknowledgement is not there twice.
            side.copies.note(incoming);
        } else {
            self.points.add(incoming.interface);
            if side.copies.is_copy(incoming) {
                found.set(FrameFlags::DUPLICATE);
                self.pass(end, segment.seq, len, incoming.time, out);
                return Some(found);
            }
        }
        found.set(checksum(&mut side.checksums, incoming));
        if acks_more {
            acknowledges_more(side, peer, ack, incoming.time, &mut self.watch);
        }
        if len == 0 {
            side.order.claim_next();
            return Some(found);
        }
        let all_acked = side.order.is_acked();
        let pos = side.order.take_next(len);
        side.sends(segment.seq.plus(len), incoming.time, all_acked);
        if let Some(deep) = &mut self.deep {
            let piece = Piece {
                pos,
                at: incoming.at(),
                content: Content::Bytes(incoming.payload),
                starts_segment: true,
            };
            let mut ctx = Ctx {
                out,
                row: &mut self.row,
                violations: &mut self.violations,
            };
            if deep.piece(end, &piece, &mut ctx) {
                self.leave();
            }
        }
        Some(found)
    }

    /// Whether nothing is to be noted of a segment of this kind but that it came.
    #[inline]
    pub(in crate::track) fn is_like_before(
        &self,
        end: End,
        incoming: &Incoming<'_>,
        flags: FrameFlags,
    ) -> bool {
        flags.says_nothing()
            && self.sides.get(end).ttl == Some(incoming.segment.ip.ttl)
            && self.row.last_time <= incoming.time
    }

    /// Whether both sides just go on: segments of this kind leave it so.
    pub(super) fn is_steady(&self) -> bool {
        let opened = self.row.handshake_frame.is_some() || self.row.syn_ack_frame.is_none();
        let open = self.has_payload() && self.closed_by.is_none();
        let [a, b] = &self.sides.0;
        opened && open && self.evidence.is_complete() && a.is_steady(b) && b.is_steady(a)
    }
}

/// A side acknowledges more of what its peer sent than before.
#[expect(
    clippy::inline_always,
    reason = "what a usual frame says stays in registers from its bytes to its row"
)]
#[inline(always)]
fn acknowledges_more(
    side: &mut Side,
    peer: &mut Side,
    ack: TcpSeq,
    time: Nanos,
    watch: &mut Watch,
) {
    watch.look_back(side, peer, ack);
    watch.acked(peer, time);
    side.last_ack = Some(ack);
    peer.order.acknowledged_more(ack);
    peer.round_trip(ack, time);
}

impl Side {
    /// Whether it just goes on. What it acknowledged is then the same number for all that look at it, and nothing that
    /// is acknowledged waits for being so.
    fn is_steady(&self, peer: &Self) -> bool {
        let acked = self.order.acked_seq();
        let timed = self.timed.zip(acked);
        self.order.is_whole()
            && self.zero_since.is_none()
            && !self.closed
            && !self.probed
            && acked == peer.last_ack
            && timed.is_none_or(|((until, _), acked)| acked.before(until))
    }

    /// Whether a number acknowledges more than those before it, and nothing that the peer has not been seen to send.
    #[inline]
    fn acknowledges_of(&self, peer: &Self, ack: TcpSeq) -> bool {
        let sent = peer.order.next_seq();
        self.acknowledges_more(ack) && sent.is_some_and(|sent| ack.at_or_before(sent))
    }
}

/// Whether a segment is all in the file, with an open window, and shows nothing but data or an acknowledgement. One byte
/// can be a probe of the peer.
#[inline]
fn is_plain(segment: &Segment) -> bool {
    segment.flags & !TcpFlags::PSH.0 == TcpFlags::ACK.0
        && segment.header_seen >= 20
        && segment.captured_payload == segment.payload_len
        && segment.payload_len != 1
        && segment.window > 0
}
