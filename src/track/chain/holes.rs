//! What holes in the file leave open: which requests are not there, and which answers have gone by in them.

use crate::store::PduRow;
use crate::units::End;

use super::super::missing::{self, Around, Missing};
use super::super::out::Ctx;
use super::{Chain, Moment};

impl Chain {
    /// Whether an answer of which packets are missing may be to a request that is not in the file.
    pub(super) fn unseen_request(&self, moment: &Moment<'_>, pdu: &PduRow) -> bool {
        let client = moment.end.other();
        let side = self.ends.get(client);
        if side.missing.is_something() {
            return true;
        }
        if pdu.kind.is_smp() && side.smp.synced {
            // A server answers what it has taken.
            return missing::taken(pdu).diff(side.smp.seq) > 0;
        }
        moment.around.may_miss(client, side.seen)
    }

    /// The answer that was being read has ended in a hole.
    pub(super) fn drop_answer(&mut self, server: End) {
        let side = self.ends.get_mut(server);
        side.message = None;
        if let Some(walker) = &mut self.walker {
            walker.forget();
        }
    }

    /// A request begins, so the answers to those before it are complete: what is missing of them lies in a hole.
    #[inline]
    pub(super) fn settle_answers(&mut self, moment: &Moment<'_>, pdu: &PduRow, ctx: &mut Ctx<'_>) {
        let server = moment.end.other();
        let side = self.ends.get_mut(server);
        let taken = missing::taken(pdu);
        if pdu.kind.is_smp() && side.row.last_pdu.is_none() && !side.smp.synced {
            // Nothing was seen of the server yet: its next DATA follows those that the client has taken.
            side.smp.settled = taken;
        }
        if side.missing.is_something() || moment.around.may_miss(server, side.seen) {
            self.settle_in_hole(moment, pdu, ctx);
        }
    }

    /// As [`Chain::settle_answers`], where something may be missing.
    #[cold]
    fn settle_in_hole(&mut self, moment: &Moment<'_>, pdu: &PduRow, ctx: &mut Ctx<'_>) {
        let server = moment.end.other();
        let side = self.ends.get_mut(server);
        let taken = missing::taken(pdu);
        if pdu.kind.is_smp() {
            let gone = taken.diff(side.smp.last()) > 0;
            if side.smp.synced && !gone && !side.missing.is_something() {
                return;
            }
            if gone {
                side.smp.settled = taken;
                if let Some(session) = &mut self.session {
                    session.holes = true;
                }
            }
        } else {
            side.seen = moment.around.seen(server);
        }
        // What the client had not taken yet may be the answer to this very request, whose end arrived late.
        let ahead = pdu.kind.is_smp() && side.smp.synced && side.smp.seq.diff(taken) > 0;
        if !ahead {
            side.missing = Missing::Nothing;
        }
        self.requests.lose_track(ctx);
        self.drop_answer(server);
    }

    /// Nothing more comes: what may have been answered in a hole is not known to be outstanding.
    pub(in crate::track) fn end(&mut self, around: &Around, ctx: &mut Ctx<'_>) {
        for end in End::BOTH {
            if ctx.row.known_client() == Some(end) || !self.requests.is_any_open() {
                continue;
            }
            let side = self.ends.get(end);
            let closed = side.smp.fin && side.smp.synced;
            let unseen = !closed && around.may_miss(end, side.seen);
            if unseen || side.missing.is_something() {
                self.requests.lose_track(ctx);
                self.changed = true;
            }
        }
    }
}
