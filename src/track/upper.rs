//! What stands above one connection's byte streams: its PDUs, sessions, messages and requests.
//!
//! Bounds: a session per Sid (65 536 at most), each with the state of its latest life only.

mod layer;
mod lives;

use crate::store::{CheckId, PduKind, PduRow, Phase, SessionRow};
use crate::units::{End, FrameNo, PerEnd, Sid};

use super::chain::Chain;
use super::framing::Framer;
use super::login::LoginState;
use super::missing::Around;
use super::order::{At, Piece};
use super::out::{Ctx, error};
use super::sessions;

use layer::Layer;
use lives::Sessions;

/// A connection's framers and what they feed; made with its first payload.
#[derive(Debug, Default)]
pub(super) struct Deep {
    framers: PerEnd<Framer>,
    upper: Upper,
}

impl Deep {
    /// The next piece of a direction's stream.
    #[inline]
    pub(super) fn piece(&mut self, end: End, piece: &Piece<'_>, facts: Facts, ctx: &mut Ctx<'_>) {
        self.upper.learn(facts);
        let mut layer = Layer {
            upper: &mut self.upper,
            ctx,
        };
        let framer = self.framers.get_mut(end);
        framer.piece(end, piece, &mut layer);
        if !self.upper.proven && framer.is_other() {
            for framer in &mut self.framers.0 {
                framer.set_other();
            }
        }
    }

    /// Whether the connection carries nothing of interest: its payload need not be looked at any more.
    pub(super) fn is_other(&self) -> bool {
        self.framers.0.iter().all(Framer::is_other)
    }

    /// Nothing more comes. `next` are the positions behind each end's last byte, `closed_by` the frame with the
    /// first FIN or RST.
    pub(super) fn end(
        &mut self,
        next: PerEnd<u64>,
        closed_by: Option<FrameNo>,
        facts: Facts,
        at: At,
        ctx: &mut Ctx<'_>,
    ) {
        self.upper.learn(facts);
        let mut layer = Layer {
            upper: &mut self.upper,
            ctx,
        };
        for end in End::BOTH {
            self.framers
                .get_mut(end)
                .end(end, *next.get(end), at.done, &mut layer);
        }
        self.upper.end(closed_by, ctx);
    }

    /// Puts the changed sessions and requests into the batch.
    pub(super) fn flush(&mut self, ctx: &mut Ctx<'_>) {
        self.upper.flush(ctx);
    }
}

/// What the layer of TCP knows and the layers above need.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) client: Option<End>,
    pub(super) sql_port: bool,
    /// Bytes acknowledged that were not seen (yet): nothing may be missed of what they hold.
    pub(super) behind_ack: PerEnd<bool>,
}

#[derive(Debug, Default)]
struct Upper {
    around: Around,
    sql_port: bool,
    proven: bool,
    plain: Chain,
    sessions: Sessions,
    login: LoginState,
    /// A TLS record outside TDS packets was read.
    bare_tls: bool,
    /// The SMP switch-over has been seen in a direction.
    smp_in: PerEnd<bool>,
}

impl Upper {
    fn learn(&mut self, facts: Facts) {
        self.around.client = facts.client;
        self.around.behind_ack = facts.behind_ack;
        self.sql_port = facts.sql_port;
    }

    fn flush(&mut self, ctx: &mut Ctx<'_>) {
        let Sessions {
            chains, changed, ..
        } = &mut self.sessions;
        for place in changed.drain(..) {
            if let Some(chain) = chains.get_mut(place) {
                chain.listed = false;
                chain.flush(ctx);
            }
        }
        self.plain.flush(ctx);
    }

    fn end(&mut self, closed_by: Option<FrameNo>, ctx: &mut Ctx<'_>) {
        let mut places: Vec<(Sid, usize)> =
            self.sessions.places.iter().map(|(s, p)| (*s, *p)).collect();
        places.sort_unstable();
        let around = &self.around;
        for (_, place) in places {
            let Some(chain) = self.sessions.at(place) else {
                continue;
            };
            if sessions::may_lack_an_end(chain, around)
                && let Some(session) = &mut chain.session
            {
                session.holes = true;
                chain.changed = true;
            }
            chain.end(around, ctx);
            if let Some((broken, frame)) = closed_by.and_then(|f| sessions::left_open(chain, f)) {
                let id = chain.session.as_ref().map(|s| s.id);
                ctx.violation(broken, frame, None, id);
            }
            chain.flush(ctx);
        }
        self.plain.end(around, ctx);
        self.plain.flush(ctx);
        self.sessions.changed.clear();
    }

    /// The place of a packet's session; a Sid that was never opened gets one from its first packet on.
    #[inline]
    fn session_for(&mut self, end: End, pdu: &PduRow, at: &At, ctx: &mut Ctx<'_>) -> usize {
        match self.sessions.of(pdu.sid) {
            Some((place, chain))
                if pdu.kind != PduKind::Syn
                    && !sessions::opened_in_a_hole(chain, end, pdu, &self.around) =>
            {
                place
            }
            _ => self.begin_life(end, pdu, at, ctx),
        }
    }

    /// A life of a Sid begins, if it can.
    #[inline(never)]
    fn begin_life(&mut self, end: End, pdu: &PduRow, at: &At, ctx: &mut Ctx<'_>) -> usize {
        let life = match self.sessions.of(pdu.sid) {
            Some((place, old)) => {
                let reopen = if pdu.kind == PduKind::Syn {
                    sessions::reopen(old)
                } else {
                    sessions::Reopen::Legal
                };
                let id = old.session.as_ref().map(|s| s.id);
                let pdu_id = ctx.out.next_pdu();
                let frame = pdu.first_frame.min(at.done);
                ctx.violation(reopen.broken(), frame, Some(pdu_id), id);
                if reopen == sessions::Reopen::WhileOpen {
                    return place;
                }
                old.session.as_ref().map_or(1, |s| s.life).saturating_add(1)
            }
            None => 1,
        };
        self.begin_session(end, pdu, life, at, ctx)
    }

    fn begin_session(
        &mut self,
        end: End,
        pdu: &PduRow,
        life: u32,
        at: &At,
        ctx: &mut Ctx<'_>,
    ) -> usize {
        let sid = pdu.sid;
        let is_syn = pdu.kind == PduKind::Syn;
        let at = At {
            done: pdu.first_frame.min(at.done),
            ..*at
        };
        let client_holes = self.around.client.map_or(0, |c| *self.around.holes.get(c));
        let behind = self
            .around
            .client
            .is_some_and(|c| *self.around.behind_ack.get(c));
        if !is_syn && ctx.row.syn_frame.is_some() && client_holes == 0 && !behind {
            let fact = format!("packet for Sid {sid}, which was not opened");
            ctx.violation(error(CheckId::S1, fact), at.done, None, None);
        }
        let id = ctx.out.new_session();
        let syn = is_syn.then_some(pdu.wndw);
        let row: SessionRow = sessions::new_life(ctx, id, sid, life, at, syn);
        let ends = sessions::starting_ends(&self.around, is_syn);
        let place = self.sessions.begin(sid, Chain::starting(row, ends), ctx);
        self.sessions.touch(place);
        if is_syn && end == ctx.row.client {
            ctx.phase(Phase::SessionOpen, at.done, Some(sid));
        }
        place
    }
}
