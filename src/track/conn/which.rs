//! Which of the connections that have the same ports a segment belongs to: this one, one before it, or a new one.

use std::net::IpAddr;

use super::way::Way;
use super::{Conn, Incoming};
use crate::decode::net::Segment;
use crate::store::{Endpoint, TcpFlags};
use crate::units::{End, TcpSeq};

/// Numbers so far apart are not of one stream, though its capture points do not begin, or show it, at the same time.
const OTHER: u32 = 1 << 28;

/// The interfaces that showed frames of a connection; those with high numbers together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Points(u64);

impl Points {
    fn bit(interface: u32) -> u64 {
        1 << interface.min(63)
    }

    pub(super) fn add(&mut self, interface: u32) {
        self.0 |= Self::bit(interface);
    }

    fn has(self, interface: u32) -> bool {
        self.0 & Self::bit(interface) != 0
    }
}

impl Conn {
    /// The end that sent a segment, if it is one of this connection.
    #[inline]
    pub(in crate::track) fn end_of(&self, segment: &Segment) -> Option<End> {
        let way = Way::of(segment);
        if !way.tells_all() {
            return self.end_by_addresses(segment);
        }
        let [from_a, from_b] = self.ways.0;
        if way == from_a {
            Some(End::A)
        } else if way == from_b {
            Some(End::B)
        } else {
            None
        }
    }

    #[inline(never)]
    fn end_by_addresses(&self, segment: &Segment) -> Option<End> {
        let endpoint = |ip: IpAddr, port| Endpoint { ip, port };
        let from = endpoint(segment.ip.src, segment.src_port);
        let to = endpoint(segment.ip.dst, segment.dst_port);
        let ends = &self.row.ends;
        let sent_by = |end: &End| *ends.get(*end) == from && *ends.get(end.other()) == to;
        End::BOTH.into_iter().find(sent_by)
    }

    /// Whether a segment belongs to a new incarnation: a SYN whose initial sequence number is not the one of this
    /// connection, or, where the SYN is not in the file, numbers that this connection cannot have come to,
    /// or more bytes long after its end.
    #[inline]
    pub(in crate::track) fn is_reopened_by(&self, end: End, segment: &Segment) -> bool {
        let flags = TcpFlags(segment.flags);
        if flags.rst() {
            return false;
        }
        if flags.syn() {
            return self.is_reopened_by_syn(end, segment);
        }
        let is_new =
            || self.is_far_from(end, segment) || self.ended && self.goes_beyond(end, segment);
        flags.ack() && self.closed_by.is_some() && is_new()
    }

    #[inline(never)]
    fn is_reopened_by_syn(&self, end: End, segment: &Segment) -> bool {
        let flags = TcpFlags(segment.flags);
        let side = self.sides.get(end);
        match side.isn {
            Some(isn) if isn == segment.seq => false,
            Some(_) if flags.ack() => self.closed_by.is_some() || self.has_payload(),
            Some(_) => true,
            // The SYN of a connection joined by its SYN+ACK, or one that was captured behind its first data.
            None => {
                let known = side.order.base();
                known.is_some_and(|base| base != segment.seq.plus(1))
                    || (!flags.ack() && self.has_payload() && known.is_none())
            }
        }
    }

    /// Whether a segment is the first that its capture point shows of this connection, and has other numbers than those
    /// of the other points: a device between them writes numbers of its own. What such a point shows is a connection
    /// by itself.
    pub(in crate::track) fn is_apart(&self, end: End, incoming: &Incoming<'_>) -> bool {
        let (segment, flags) = (incoming.segment, incoming.flags());
        let may_be = incoming.several_interfaces() && !flags.rst();
        if !may_be || self.points.has(incoming.interface) {
            return false;
        }
        let side = self.sides.get(end);
        if flags.syn() {
            // Behind a close the ports are used again.
            return self.closed_by.is_none() && side.isn.is_some_and(|isn| isn != segment.seq);
        }
        let peer = self.sides.get(end.other());
        // What an end sent, or what the other one acknowledged of it.
        let sent = side.order.sent_next().or(peer.last_ack);
        let acked = side.last_ack.or(peer.order.sent_next());
        let other = |known: Option<TcpSeq>, number| {
            known.is_some_and(|known| known.diff(number).unsigned_abs() > OTHER)
        };
        flags.ack() && (other(sent, segment.seq) || other(acked, segment.ack))
    }

    /// Whether both numbers of a segment lie far outside the streams. One that does so may follow bytes that are
    /// missing from the file; behind a close, and for both ends at once, there are none.
    #[inline(never)]
    fn is_far_from(&self, end: End, segment: &Segment) -> bool {
        let far = |end, seq| self.sides.get(end).order.is_far(seq);
        far(end, segment.seq) && far(end.other(), segment.ack)
    }

    /// Whether a segment brings bytes behind all that were seen. One byte can be a probe.
    fn goes_beyond(&self, end: End, segment: &Segment) -> bool {
        let order = &self.sides.get(end).order;
        let behind = segment.seq.plus(segment.payload_len);
        segment.payload_len > 1 && order.sent_next().is_none_or(|next| next.before(behind))
    }

    /// Whether a segment belongs to an earlier connection of the same ports that the server still knows: it answers
    /// the SYN with an ACK of that one's numbers, and the client resets it (RFC 9293 3.10.7.4). A bare reset of other
    /// numbers than its SYN's is the client's late answer to what the server sent of that one.
    pub(super) fn is_of_earlier(&mut self, end: End, incoming: &Incoming<'_>) -> bool {
        if self.row.syn_frame.is_none() || self.row.syn_ack_frame.is_some() || self.has_payload() {
            return false;
        }
        let (segment, flags) = (incoming.segment, incoming.flags());
        if end == self.row.client {
            let isn = self.sides.get(end).isn;
            let late = !flags.ack() && isn.is_some_and(|isn| !segment.seq.is_near(isn));
            return flags.rst() && (late || self.earlier == Some(segment.seq));
        }
        let next = self.sides.get(end.other()).isn.map(|isn| isn.plus(1));
        // A little ahead of the SYN it rather is this connection's, and the file lacks the frames between.
        let near = next.is_none_or(|next| segment.ack.is_near(next));
        let stale = flags == TcpFlags::ACK && segment.payload_len == 0 && !near;
        if stale {
            self.earlier = Some(segment.ack);
        }
        stale
    }
}
