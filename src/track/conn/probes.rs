//! What a segment says beside its payload: the window, and whether it only asks if the peer is still there.

use super::{Conn, Incoming};
use crate::store::FrameFlags;
use crate::units::End;

impl Conn {
    /// Notes the window, and for how long it was closed.
    pub(super) fn window(&mut self, end: End, incoming: &Incoming<'_>, found: &mut FrameFlags) {
        let flags = incoming.flags();
        // The window stands in bytes 14 and 15 of the header; behind a cut it reads as 0 and says nothing.
        if flags.syn() || flags.rst() || incoming.segment.header_seen < 16 {
            return;
        }
        let side = self.sides.get_mut(end);
        side.closed = incoming.segment.window == 0;
        if side.closed && !flags.fin() {
            found.set(FrameFlags::ZERO_WINDOW);
            side.zero_since.get_or_insert(incoming.time);
        } else if let Some(since) = side.zero_since.take() {
            let span = incoming.time.since(since).max(0);
            side.stats.zero_window_ns = side.stats.zero_window_ns.saturating_add(span);
        }
    }

    /// Keepalive probes (of 0 or 1 byte), their answers, and probes of a closed window. Whether the payload, if
    /// there is any, is no part of the stream.
    pub(super) fn probe(
        &mut self,
        end: End,
        incoming: &Incoming<'_>,
        found: &mut FrameFlags,
    ) -> bool {
        let segment = incoming.segment;
        let flags = incoming.flags();
        let plain = !(flags.syn() || flags.fin() || flags.rst());
        if segment.payload_len > 1 || !plain {
            self.sides.get_mut(end).probed = false;
            return false;
        }
        let peer = self.sides.get(end.other());
        let peer_closed = peer.closed;
        let acked = peer.last_ack;
        let peer_probed = peer.probed;
        let side = self.sides.get(end);
        let sent_next = side.order.sent_next();
        let before_next = sent_next == Some(segment.seq.plus(1)) && !side.order.fin_seen();
        // A probe repeats a number that the peer has acknowledged; anything else is a retransmission.
        let repeats = acked == Some(segment.seq.plus(1));
        let known = before_next && acked == sent_next;
        let joined_late = repeats && !side.order.is_firm();
        let is_probe = known || joined_late;
        if is_probe {
            found.set(if peer_closed {
                FrameFlags::WINDOW_PROBE
            } else {
                FrameFlags::KEEPALIVE
            });
            if segment.payload_len > 0 {
                found.set(FrameFlags::NOT_IN_STREAM);
            }
            if !peer_closed {
                let stats = &mut self.sides.get_mut(end).stats;
                stats.keepalives = stats.keepalives.saturating_add(1);
            }
        } else if segment.payload_len == 1 && peer_closed {
            found.set(FrameFlags::WINDOW_PROBE);
        } else if segment.payload_len == 0 && peer_probed && flags.ack() {
            found.set(FrameFlags::KEEPALIVE_ANSWER);
            self.sides.get_mut(end.other()).probed = false;
        }
        self.sides.get_mut(end).probed = is_probe && !peer_closed;
        is_probe
    }
}
