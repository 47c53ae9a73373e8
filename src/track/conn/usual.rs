//! The segment that just goes on: the next bytes of its side's stream, or none, and an acknowledgement of what the
//! peer has been seen to send.
//!
//! Nearly all segments of a capture are of this kind. Of the steps of [`Conn::segment`] most have nothing to find in
//! one, so that they are left out; for what they look for, it is not of this kind.

use super::{Conn, Incoming, checksum};
use crate::store::{FrameFlags, TcpFlags};
use crate::track::order::{Content, Piece};
use crate::track::out::{Ctx, Out};
use crate::units::{End, PerEnd};

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
        let acked = self.is_usual(end, incoming)?;
        let mut found = self.count(end, incoming);
        let segment = incoming.segment;
        let len = segment.payload_len;
        let (side, peer) = self.sides.get_both_mut(end);
        if len > 0 && !incoming.several_interfaces {
            // What repeats bytes is not the next of its stream.
            side.copies.note(incoming);
        } else if side.copies.is_copy(incoming) {
            found.set(FrameFlags::DUPLICATE);
            return Some(found);
        }
        found.set(checksum(&mut side.checksums, incoming));
        side.acknowledges(segment.ack);
        peer.order.is_acknowledged(acked);
        side.window = Some(segment.window);
        side.probed = false;
        self.round_trip(end.other(), incoming);
        if len > 0 {
            self.next_bytes(end, incoming, out);
        } else {
            self.sides.get_mut(end).order.claim_next();
        }
        Some(found)
    }

    /// The position up to which it acknowledges the peer's stream, if it is of this kind.
    #[inline]
    fn is_usual(&self, end: End, incoming: &Incoming<'_>) -> Option<u64> {
        let segment = incoming.segment;
        let len = segment.payload_len;
        let (side, peer) = (self.sides.get(end), self.sides.get(end.other()));
        // One byte can be a probe of the peer, and no byte the answer to one.
        let plain = segment.flags & !TcpFlags::PSH.0 == TcpFlags::ACK.0
            && segment.header_seen >= 20
            && segment.captured_payload == len
            && len != 1
            && !(len == 0 && peer.probed)
            && segment.window > 0;
        if self.steady && plain && side.order.next_seq() == Some(segment.seq) {
            peer.order.handed_on_until(segment.ack)
        } else {
            None
        }
    }

    /// Whether both sides just go on: segments of this kind leave it so.
    pub(super) fn is_steady(&self) -> bool {
        let opened = self.row.handshake_frame.is_some() || self.row.syn_ack_frame.is_none();
        let open = self.has_payload() && self.closed_by.is_none();
        let mut sides = self.sides.0.iter();
        opened && open && sides.all(|side| side.zero_since.is_none() && side.order.is_whole())
    }

    #[inline]
    fn next_bytes(&mut self, end: End, incoming: &Incoming<'_>, out: &mut Out) {
        let segment = incoming.segment;
        let side = self.sides.get_mut(end);
        let pos = side.order.take_next(segment.payload_len);
        if side.timed.is_none() {
            side.timed = Some((segment.seq.plus(segment.payload_len), incoming.time));
        }
        let stats = self.row.tcp.get_mut(end);
        stats.bytes = stats.bytes.saturating_add(u64::from(segment.payload_len));
        let Some(deep) = &mut self.deep else {
            return;
        };
        let piece = Piece {
            pos,
            at: incoming.at(),
            content: Content::Bytes(segment.payload(incoming.frame)),
            starts_segment: true,
        };
        let mut ctx = Ctx {
            out,
            row: &mut self.row,
            violations: &mut self.violations,
        };
        // All is there that was acknowledged.
        let behind_ack = PerEnd::default();
        if deep.piece(end, &piece, behind_ack, &mut ctx) {
            self.leave();
        }
    }
}
