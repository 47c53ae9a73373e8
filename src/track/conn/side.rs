//! One end of a connection: what its segments have shown, and its counts.

use super::Incoming;
use crate::store::{FrameFlags, TcpStats};
use crate::track::copies::Copies;
use crate::track::order::Order;
use crate::units::{End, FrameNo, Nanos, TcpSeq};

/// What each end's segments have shown.
#[derive(Debug)]
pub(in crate::track) struct Side {
    pub(in crate::track) end: End,
    pub(in crate::track) order: Order,
    /// Initial sequence number, from its SYN.
    pub(super) isn: Option<TcpSeq>,
    pub(in crate::track) last_ack: Option<TcpSeq>,
    /// A segment whose acknowledgement is awaited, to measure the round trip.
    pub(super) timed: Option<(TcpSeq, Nanos)>,
    /// No later than this the oldest data were sent that are not acknowledged.
    pub(in crate::track) unacked_since: Nanos,
    /// Its counts, but for those that its order knows.
    pub(in crate::track) stats: TcpStats,
    /// The last of its frames, and the last with payload.
    pub(in crate::track) last: FrameNo,
    pub(in crate::track) last_payload: FrameNo,
    /// The time to live of the last that is no reset.
    pub(in crate::track) ttl: Option<u8>,
    pub(super) checksums: u8,
    /// Its window is closed.
    pub(super) closed: bool,
    pub(super) zero_since: Option<Nanos>,
    /// The last segment was a keepalive probe.
    pub(super) probed: bool,
    pub(super) copies: Copies,
}

impl Side {
    pub(super) fn new(end: End) -> Self {
        Self {
            end,
            order: Order::default(),
            isn: None,
            last_ack: None,
            timed: None,
            unacked_since: Nanos::default(),
            stats: TcpStats::default(),
            last: FrameNo::default(),
            last_payload: FrameNo::default(),
            ttl: None,
            checksums: 0,
            closed: false,
            zero_since: None,
            probed: false,
            copies: Copies::default(),
        }
    }

    /// Whether an acknowledgement says more than those before it.
    pub(super) fn acknowledges_more(&self, ack: TcpSeq) -> bool {
        self.last_ack.is_none_or(|last| last.before(ack))
    }

    /// Sends its SYN or FIN again. Payload that comes with one tells by itself whether it is sent again.
    pub(super) fn repeats_bare(&mut self, incoming: &Incoming<'_>, found: &mut FrameFlags) {
        if incoming.segment.payload_len == 0 {
            found.set(FrameFlags::RETRANSMISSION);
            self.stats.retransmissions = self.stats.retransmissions.saturating_add(1);
        }
    }

    /// Sends new data, the last of them in front of a number.
    #[inline]
    pub(super) fn sends(&mut self, until: TcpSeq, time: Nanos, all_acked: bool) {
        if self.timed.is_none() {
            self.timed = Some((until, time));
            if all_acked {
                self.unacked_since = time;
            }
        }
    }

    /// Measures the round trip if what was sent is acknowledged now.
    #[inline]
    pub(super) fn round_trip(&mut self, ack: TcpSeq, time: Nanos) {
        if let Some((until, sent)) = self.timed
            && until.at_or_before(ack)
        {
            self.timed = None;
            self.unacked_since = sent;
            let span = time.since(sent);
            let best = &mut self.stats.round_trip_ns;
            if span >= 0 && best.is_none_or(|best| span < best) {
                *best = Some(span);
            }
        }
    }

    /// All counts.
    pub(super) fn tcp(&self) -> TcpStats {
        TcpStats {
            bytes: self.order.bytes(),
            missing_bytes: self.order.missing,
            ..self.stats
        }
    }
}
