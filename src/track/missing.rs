//! What may be missing of a sender's packets: the holes of its direction tell, and inside SMP its numbers tell
//! exactly.
//!
//! SEQNUM counts the DATA of a session ([MC-SMP] 2.2.1), so the next packet behind a hole says how many of them the
//! hole has swallowed, and WNDW says how many the other end has taken.

use std::cell::Cell;

use crate::decode::tds;
use crate::store::{PduKind, PduRow};
use crate::units::{End, PerEnd, SmpSeq};

/// The window that every known implementation begins with ([MC-SMP] 3.1.3.1).
pub(super) const WINDOW: u32 = 4;

/// Bytes of the smallest SMP packet.
const LEAST_PACKET: u64 = 16;

/// What a session needs to know of its connection's streams. What they lack is noted while a piece of one of them goes
/// through, and others look at it.
#[derive(Debug)]
pub(super) struct Around {
    /// What each end sends.
    ends: PerEnd<Direction>,
    /// The peer acknowledged bytes of each end that were not seen (yet).
    behind_ack: PerEnd<bool>,
    /// Changes with what may be missing.
    version: Cell<u64>,
}

/// What may be missing of what an end sends.
#[derive(Debug, Default)]
struct Direction {
    /// What is lacking so far.
    seen: Cell<Seen>,
    /// No PDU border is known at present.
    lost: Cell<bool>,
}

impl Default for Around {
    fn default() -> Self {
        Self {
            ends: PerEnd::default(),
            behind_ack: PerEnd::default(),
            version: Cell::new(Self::NEVER.saturating_add(1)),
        }
    }
}

impl Around {
    /// No version.
    pub(super) const NEVER: u64 = 0;

    /// While this is the same, [`Around::may_miss`] and holes are so, too.
    pub(super) fn version(&self) -> u64 {
        self.version.get()
    }

    fn has_changed(&self) {
        self.version.set(self.version().saturating_add(1));
    }

    /// Whether the peer of each end acknowledged bytes of it that were not seen (yet).
    pub(super) fn set_behind_ack(&mut self, behind_ack: PerEnd<bool>) {
        if self.behind_ack != behind_ack {
            self.behind_ack = behind_ack;
            self.has_changed();
        }
    }

    /// Whether the peer acknowledged bytes of an end that were not seen (yet).
    pub(super) fn behind_ack(&self, end: End) -> bool {
        *self.behind_ack.get(end)
    }

    /// What a direction lacks so far.
    pub(super) fn seen(&self, end: End) -> Seen {
        self.ends.get(end).seen.get()
    }

    /// Bytes of a direction are missing, among them possibly whole PDUs.
    pub(super) fn note_hole(&self, end: End) {
        let seen = self.seen(end);
        let holes = seen.holes.saturating_add(1);
        self.ends.get(end).seen.set(Seen { holes, ..seen });
        self.has_changed();
    }

    /// Of so many bytes of a direction no PDU is known.
    pub(super) fn note_unread(&self, end: End, len: u64) {
        let seen = self.seen(end);
        let unread = seen.unread.saturating_add(len);
        self.ends.get(end).seen.set(Seen { unread, ..seen });
    }

    /// Whether no PDU border of a direction is known from here on.
    pub(super) fn set_lost(&self, end: End, lost: bool) {
        if self.ends.get(end).lost.replace(lost) != lost {
            self.has_changed();
        }
    }

    /// Whether packets of a direction may be missing since `seen`.
    pub(super) fn may_miss(&self, end: End, seen: Seen) -> bool {
        let now = self.ends.get(end);
        seen.is_followed_by_hole(now.seen.get()) || now.lost.get() || *self.behind_ack.get(end)
    }
}

/// What a direction lacked when a sender's last packet was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// Holes so far.
    pub(super) holes: u32,
    /// Bytes so far that no PDU is known of.
    pub(super) unread: u64,
}

impl Seen {
    /// Whether there was a hole in between.
    pub(super) fn is_followed_by_hole(self, now: Self) -> bool {
        self.holes != now.holes
    }

    /// Bytes in between that no PDU is known of.
    fn bytes_until(self, now: Self) -> u64 {
        now.unread.saturating_sub(self.unread)
    }
}

/// What is missing of a sender's packets between its last one and the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Missing {
    #[default]
    Nothing,
    /// So many packets, for certain.
    Packets(u32),
    /// Any packets that fit into so many bytes.
    Bytes(u64),
    /// Nobody knows.
    Unknown,
}

impl Missing {
    pub(super) fn is_something(self) -> bool {
        self != Self::Nothing
    }

    /// Both, one behind the other.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (Self::Packets(a), Self::Packets(b)) => Self::Packets(a.saturating_add(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Self::Bytes(a.saturating_add(b)),
            _ => Self::Unknown,
        }
    }

    /// Outside SMP: what the holes since `seen` leave open.
    pub(super) fn by_holes(seen: Seen, now: Seen) -> Self {
        if seen.is_followed_by_hole(now) {
            Self::Bytes(seen.bytes_until(now))
        } else {
            Self::Nothing
        }
    }

    /// Inside SMP: what a packet's SEQNUM says, where the sender's last DATA had `last`. The holes since then, if
    /// they are known, must be large enough for it.
    pub(super) fn by_number(last: SmpSeq, pdu: &PduRow, holes: Option<(Seen, Seen)>) -> Self {
        let expected = last.plus(u32::from(pdu.kind == PduKind::Data));
        let room = holes.map_or(u64::MAX, |(seen, now)| seen.bytes_until(now) / LEAST_PACKET);
        match u32::try_from(pdu.seqnum.diff(expected)) {
            Ok(0) => Self::Nothing,
            Ok(packets) if u64::from(packets) <= room => Self::Packets(packets),
            _ => Self::Unknown,
        }
    }
}

/// How many DATA of its peer the sender of this packet has taken: its WNDW is that and the window.
pub(super) fn taken(pdu: &PduRow) -> SmpSeq {
    pdu.wndw.minus(WINDOW)
}

/// How a TDS packet stands to the message of its sender that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It goes on with that message.
    Continues,
    /// It is the first packet of a message.
    Begins,
    /// It belongs to a message whose first packet is not in the file, or it cannot be told to which.
    Unclear,
}

/// The message under way, as far as its packets' numbers go.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderWay {
    pub(super) kind: u8,
    pub(super) last_packet_id: u8,
    /// Bytes of its packets: all but the last have the same.
    pub(super) packet_len: u16,
}

impl UnderWay {
    /// As it is with a packet.
    #[inline]
    pub(super) fn with(packet: tds::Header) -> Self {
        Self {
            kind: packet.kind,
            last_packet_id: packet.packet_id,
            packet_len: packet.length,
        }
    }
}

/// Where a packet of this type and PacketID belongs. PacketID counts the packets of a message modulo 256 and begins
/// at 1, with some clients at 0 ([MS-TDS] 2.2.3.1.5).
pub(super) fn place(
    under_way: Option<UnderWay>,
    kind: u8,
    packet_id: u8,
    missing: Missing,
) -> Place {
    let same = under_way.filter(|m| m.kind == kind);
    let at_start = packet_id <= 1;
    // Packets that must be missing if its message began in the hole: those before it, and the end of the one before.
    let before = u64::from(packet_id.saturating_sub(1));
    let goes_on = |packets: u64| {
        same.is_some_and(|m| {
            let later = u8::try_from(packets & 0xff).unwrap_or(0);
            packet_id == m.last_packet_id.wrapping_add(1).wrapping_add(later)
        })
    };
    let (continues, begins) = match missing {
        Missing::Nothing => (same.is_some(), true),
        Missing::Packets(packets) => {
            let needed = before.saturating_add(u64::from(under_way.is_some()));
            (
                goes_on(u64::from(packets)),
                needed <= u64::from(packets) || at_start,
            )
        }
        Missing::Bytes(bytes) => {
            let len = same.map_or(0, |m| u64::from(m.packet_len));
            let fits = len > 0 && bytes.checked_rem(len) == Some(0);
            let packets = bytes.checked_div(len).unwrap_or(0);
            // The packets before it have the full length; the end of the message before has a header at least.
            let needed = before.saturating_mul(len.max(8)).saturating_add(8);
            (fits && goes_on(packets), needed <= bytes || at_start)
        }
        Missing::Unknown => (false, true),
    };
    match (continues, begins) {
        (true, _) if missing == Missing::Nothing => Place::Continues,
        (true, false) => Place::Continues,
        (false, _) if at_start || missing == Missing::Nothing => Place::Begins,
        _ => Place::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: UnderWay = UnderWay {
        kind: 4,
        last_packet_id: 3,
        packet_len: 4096,
    };

    fn of(packet_id: u8, missing: Missing) -> Place {
        place(Some(ANSWER), 4, packet_id, missing)
    }

    #[test]
    fn without_a_hole_the_type_decides() {
        assert_eq!(of(4, Missing::Nothing), Place::Continues);
        assert_eq!(place(Some(ANSWER), 6, 1, Missing::Nothing), Place::Begins);
        assert_eq!(place(None, 4, 1, Missing::Nothing), Place::Begins);
    }

    #[test]
    fn the_number_of_missing_packets_tells_a_message_from_the_next() {
        assert_eq!(of(6, Missing::Packets(2)), Place::Continues);
        // Of two, one ends the message and one begins the next.
        assert_eq!(of(2, Missing::Packets(2)), Place::Unclear);
        assert_eq!(of(1, Missing::Packets(2)), Place::Begins);
        // PacketID 1 is also the 257th packet.
        assert_eq!(of(1, Missing::Packets(253)), Place::Unclear);
    }

    #[test]
    fn outside_smp_the_bytes_missing_tell() {
        assert_eq!(of(5, Missing::Bytes(4096)), Place::Continues);
        assert_eq!(of(5, Missing::Bytes(4095)), Place::Unclear);
        assert_eq!(of(1, Missing::Bytes(4096)), Place::Begins);
        assert_eq!(of(1, Missing::Bytes(253 * 4096)), Place::Unclear);
        assert_eq!(of(9, Missing::Unknown), Place::Unclear);
    }
}
