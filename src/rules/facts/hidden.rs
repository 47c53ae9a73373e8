//! What the client may have sent that the file does not hold: requests of sessions of which nothing else is seen.

use super::{CONTROL, Facts, Lane, Pos, Work};
use crate::units::Side;

/// Bytes of the smallest DATA that begins a request: the headers of SMP and TDS.
const REQUEST: Pos = 24;

/// Why the client may have had more outstanding than the sessions in the file tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum Unseen {
    /// From a position on so many bytes cannot be read, enough for a session to be opened and a request sent.
    Bytes { pos: Pos, len: Pos },
    /// Where the client's stream ends is not known.
    End,
}

impl Facts<'_> {
    /// Whether the client may have opened a session, for the first time or again, and sent a request on it, all in bytes
    /// that are not in the file. Sessions that the file shows tell by their numbers what it lacks of them.
    pub(in crate::rules) fn unseen_request(&self) -> Option<Unseen> {
        if !self.conn.smp_seen {
            return None;
        }
        if self.is_client_end_open() {
            return Some(Unseen::End);
        }
        let decoded = *self.streams.decoded_end.get(Side::Client);
        let last = self.known_end.get(Side::Client).saturating_sub(decoded);
        let hidden = self.streams.hidden.get(Side::Client).iter().copied();
        let smp = self.login_answered().unwrap_or(0);
        let mut room_for_syn = false;
        for (from, len) in hidden.chain([(decoded, last)]) {
            let pos = from.max(smp);
            let len = from.saturating_add(len).saturating_sub(pos);
            let own_syn = if room_for_syn { 0 } else { CONTROL };
            if len >= REQUEST.saturating_add(own_syn) {
                return Some(Unseen::Bytes { pos, len });
            }
            room_for_syn |= len >= CONTROL;
        }
        None
    }

    /// Whether the file begins later, and shows only sessions on which nothing was asked: those that worked were closed
    /// before it began, maybe with a request open.
    pub(in crate::rules) fn shows_late_unused(&self) -> bool {
        let unused = |lane: &Lane<'_>| lane.work == Work::Unused && lane.reached.is_none();
        !self.conn.from_start() && self.lanes.iter().all(unused)
    }

    /// Whether the client's stream may go on behind what the file shows of it: its FIN is not in the file, and neither a
    /// number of its resets nor one of the server's acknowledgements says where it ends. A reset without ACK flag only
    /// repeats what the server acknowledged.
    pub(in crate::rules) fn is_client_end_open(&self) -> bool {
        let close = &self.close;
        if !close.tf.is_empty() || close.resets.is_empty() || close.abort().is_some() {
            return false;
        }
        let decoded = *self.streams.decoded_end.get(Side::Client);
        let sent = self.frames.sent_end.get(Side::Client).unwrap_or(0);
        let acked = *self.frames.acked.get(Side::Server);
        let told = close.resets.iter().map(|reset| reset.pos).max().max(acked);
        told.is_none_or(|told| told <= sent.max(decoded))
    }

    /// Up to which position of its stream the server had the client's bytes when it answered the login. SMP begins
    /// behind that.
    fn login_answered(&self) -> Option<Pos> {
        let login = self.conn.login.as_ref().filter(|login| login.accepted)?;
        let row = self.store.frame(login.answer_frame?)?;
        let axis = (*self.streams.axes.get(Side::Client))?;
        row.tcp_flags.ack().then(|| axis.pos(row.ack))
    }
}
