//! A stream that is held at a position, as what comes there answers what the file has not shown yet.

use super::{At, Feed, Order};
use crate::units::TcpSeq;

impl Order {
    /// What comes from a sequence number on waits from now on.
    pub(in crate::track) fn hold_from(&mut self, seq: TcpSeq) {
        if let Some(position) = self.place(seq) {
            self.hold_at(position);
        }
    }

    /// What comes from a position on waits from now on.
    pub(in crate::track) fn hold_at(&mut self, position: u64) {
        self.held_from = Some(self.free_until().min(position));
    }

    /// Position from which on everything waits.
    pub(super) fn free_until(&self) -> u64 {
        self.held_from.unwrap_or(u64::MAX)
    }

    /// What was held waits no more, but for what is not in order, or only from a position on. `by_gap`: it waited in vain.
    pub(in crate::track) fn let_go(
        &mut self,
        until: Option<u64>,
        now: At,
        by_gap: bool,
        total: &mut usize,
        sink: Feed<'_>,
    ) {
        self.held_from = until;
        self.release(now, by_gap, total, sink);
    }

    /// Position behind what an acknowledgement is of that was taken note of.
    pub(in crate::track) fn reached(&self, ack: TcpSeq) -> u64 {
        self.bytes_until(self.place(ack).unwrap_or(0).min(self.acked))
    }

    /// Position behind the bytes that the peer acknowledged, if some of them have not been handed on.
    pub(in crate::track) fn unseen_until(&self) -> Option<u64> {
        let acked = self.bytes_until(self.acked);
        (self.firm && acked > self.next).then_some(acked)
    }

    /// Position behind the last byte in front of an acknowledged position: the FIN takes one too, also one that the file
    /// lacks.
    fn bytes_until(&self, acked: u64) -> u64 {
        match self.fin {
            Some(fin) => fin.min(acked),
            None if acked == self.high.saturating_add(1) => self.high,
            None => acked,
        }
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

    /// The first position from another on at which something waits that was sent with an acknowledgement of more than the
    /// peer's stream has handed on.
    pub(in crate::track) fn answers_unseen(&self, from: u64, peer: &Self) -> Option<u64> {
        let mut waiting = self.waiting.range(from..);
        let answers = |ack| peer.place(ack).is_some_and(|acked| acked > peer.next);
        waiting.find_map(|(pos, waiting)| answers(waiting.ack).then_some(*pos))
    }

    /// Whether something waits that was sent behind a position.
    pub(in crate::track) fn waits_behind(&self, position: u64) -> bool {
        self.waiting.range(position..).next().is_some()
    }
}
