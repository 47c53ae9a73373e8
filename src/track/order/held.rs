//! A stream that is held at a position, as what comes there answers what the file has not shown yet.

use super::{At, Feed, Order};
use crate::units::TcpSeq;

impl Order {
    /// What comes from a sequence number on waits from now on, unless something is held already.
    pub(in crate::track) fn hold_from(&mut self, seq: TcpSeq) {
        let position = self.position(seq).and_then(|p| u64::try_from(p).ok());
        self.held_from = self.held_from.or(position);
    }

    /// Position from which on everything waits.
    pub(super) fn free_until(&self) -> u64 {
        self.held_from.unwrap_or(u64::MAX)
    }

    /// What was held waits no more, but for what is not in order. `by_gap`: it waited in vain.
    pub(in crate::track) fn let_go(
        &mut self,
        now: At,
        by_gap: bool,
        total: &mut usize,
        sink: Feed<'_>,
    ) {
        self.held_from = None;
        self.release(now, by_gap, total, sink);
    }

    /// Whether an acknowledgement is one of bytes that were not handed on.
    pub(in crate::track) fn is_behind(&self, ack: TcpSeq) -> bool {
        self.next_seq().is_some_and(|next| next.before(ack))
    }

    /// Hands on what there is in front of a position, and declares what there is not.
    pub(in crate::track) fn declare_until(
        &mut self,
        until: u64,
        now: At,
        total: &mut usize,
        sink: Feed<'_>,
    ) {
        let until = self.fin.map_or(until, |fin| fin.min(until));
        while self.next < until {
            let first = self.waiting.first_key_value().map(|(pos, _)| *pos);
            let gap = first.map_or(until, |first| first.min(until));
            self.hide_until(gap, now, sink);
            self.release_until(until, now, true, total, sink);
        }
    }

    /// Position behind what the peer acknowledged.
    pub(in crate::track) fn acked(&self) -> u64 {
        self.acked
    }

    /// Whether something waits that was sent behind a position.
    pub(in crate::track) fn waits_behind(&self, position: u64) -> bool {
        self.waiting.range(position..).next().is_some()
    }
}
