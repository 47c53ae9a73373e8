//! Data that stand in the file behind their own acknowledgement: captures that several queues or ports were written to
//! at once have such.
//!
//! What the acknowledging end sends from then on may be the answer, so it is held back until what was overtaken is there,
//! or does not come; and so is what is sent behind that, which may answer it in turn.

use super::{Conn, Incoming};
use crate::track::order::{At, MAX_WAITING_RANGES};
use crate::track::out::Out;
use crate::units::End;

/// Within so many frames of the connection, the first of them the one that acknowledges it, comes what was overtaken, or it
/// does not come.
const FRAMES: u8 = 8;

/// Bytes were acknowledged that the file has not shown yet.
#[derive(Debug)]
pub(super) struct Overtaken {
    /// Who sent them.
    sender: End,
    /// Their first position.
    from: u64,
    /// Position behind them.
    until: u64,
    /// The frame that acknowledges them.
    at: At,
    /// Frames until they are given up.
    frames: u8,
}

impl Conn {
    /// Whether something that an end sent is waited for.
    pub(super) fn is_waiting_for(&self, sender: End) -> bool {
        let overtaken = self.overtaken.as_ref();
        overtaken.is_some_and(|overtaken| overtaken.sender == sender)
    }

    /// Holds back what comes from the other end until the acknowledged bytes of an end are there, if anybody reads it.
    #[cold]
    pub(super) fn waits_for_overtaken(&mut self, sender: End, incoming: &Incoming<'_>) -> bool {
        if self.left || self.overtaken.as_ref().is_some_and(|o| o.sender != sender) {
            return false;
        }
        let order = &mut self.sides.get_mut(sender).order;
        if self.overtaken.is_none() {
            let until = order.reached(incoming.segment.ack);
            self.overtaken = Some(Overtaken {
                sender,
                from: order.next(),
                until,
                at: incoming.at(),
                frames: FRAMES,
            });
            // What was sent behind that may answer what is held back, and is to come behind it.
            order.hold_at(until);
        }
        if incoming.segment.payload_len > 0 {
            let answering = &mut self.sides.get_mut(sender.other()).order;
            answering.hold_from(incoming.segment.seq);
        }
        true
    }

    /// Whether data came with an acknowledgement of more than what is waited for: they are to come behind what is held
    /// back. Then that goes on.
    pub(super) fn look_for_more_acknowledged(
        &mut self,
        sender: End,
        incoming: &Incoming<'_>,
        out: &mut Out,
    ) {
        let order = &self.sides.get(sender).order;
        if let Some(overtaken) = &self.overtaken
            && overtaken.sender == sender
            && incoming.segment.payload_len > 0
            && overtaken.until < order.reached(incoming.segment.ack)
        {
            self.go_on(incoming.at(), out);
        }
    }

    /// Whether what was overtaken is there now, with this segment, or does not come. Then what was held back goes on.
    pub(super) fn look_for_overtaken(&mut self, incoming: &Incoming<'_>, out: &mut Out) {
        if let Some(overtaken) = &mut self.overtaken {
            overtaken.frames = overtaken.frames.saturating_sub(1);
            let order = &self.sides.get(overtaken.sender).order;
            let comes = order.next() < overtaken.until
                && !incoming.flags().rst()
                && !incoming.flags().fin();
            if overtaken.frames == 0 || !comes {
                self.go_on(incoming.at(), out);
            }
        }
    }

    /// What was held back goes on, behind what was overtaken, as far as that has come.
    #[cold]
    fn go_on(&mut self, at: At, out: &mut Out) {
        let Some(Overtaken {
            sender,
            from,
            until,
            at: acknowledged,
            ..
        }) = self.overtaken.take()
        else {
            return;
        };
        let order = &self.sides.get(sender).order;
        let next = order.next();
        // Where the sender goes on from there, it had not sent what was acknowledged: the number is wrong.
        let missing = next < until && (next == from || order.waits_behind(until));
        if missing {
            self.feed(sender, out, |order, total, sink| {
                order.declare_until(until, acknowledged, total, sink);
            });
        }
        self.feed(sender.other(), out, |order, total, sink| {
            order.let_go(None, at, missing, total, sink);
            order.declare_due(false, at, total, sink);
        });
        // What the sender sent behind that was sent later than what was held back. It may answer what was held back and is
        // missing in its turn: then it waits for that.
        let waits = self.waits_in_turn(sender, until, at);
        self.feed(sender, out, |order, total, sink| {
            order.let_go(waits, at, missing, total, sink);
        });
    }

    /// Nothing more comes: what is held back goes on, behind what it answers.
    pub(super) fn wait_no_more(&mut self, at: At, out: &mut Out) {
        // Each time something that waits goes on.
        for _ in 0..MAX_WAITING_RANGES {
            if self.overtaken.is_none() {
                break;
            }
            self.go_on(at, out);
        }
    }

    /// From where on the data of an end, which wait behind a position, were sent with an acknowledgement of more of the
    /// other end's than the file has shown. That is waited for then.
    fn waits_in_turn(&mut self, end: End, held_from: u64, at: At) -> Option<u64> {
        let (own, peer) = self.sides.get_both_mut(end);
        let until = peer.order.unseen_until()?;
        let from = own.order.answers_unseen(held_from, &peer.order)?;
        self.overtaken = Some(Overtaken {
            sender: end.other(),
            from: peer.order.next(),
            until,
            at,
            frames: FRAMES,
        });
        peer.order.hold_at(until);
        Some(from)
    }
}
