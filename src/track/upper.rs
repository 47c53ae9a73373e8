//! What stands above one connection's byte streams: its PDUs, sessions, messages and requests.
//!
//! Bounds: a session per Sid (65 536 at most), each with the state of its latest life only.

mod layer;
mod lives;
mod points;

use crate::store::{PduKind, PduRow, Phase, SessionRow};
use crate::units::{End, FrameNo, PerEnd, Sid};

use super::chain::{Chain, Moment};
use super::framing::Framer;
use super::login::LoginState;
use super::missing::Around;
use super::order::{At, Piece};
use super::out::{Ctx, Out};
use super::sessions;

use layer::Layer;
use lives::Sessions;
use points::Points;
pub(super) use points::{Passed, What};

/// Bytes of an SMP packet that is only a header.
const LEAST: u32 = 16;

/// A connection's framers and what they feed; made with its first payload.
#[derive(Debug, Default)]
pub(super) struct Deep {
    framers: PerEnd<Framer>,
    around: Around,
    upper: Upper,
    points: Option<Box<Points>>,
}

impl Deep {
    /// Of a connection, one of whose ports is SQL Server's or not.
    pub(super) fn new(sql_port: bool) -> Self {
        let upper = Upper {
            sql_port,
            ..Upper::default()
        };
        Self {
            framers: PerEnd::default(),
            around: Around::default(),
            upper,
            points: None,
        }
    }

    /// Whether bytes of each end were acknowledged that were not seen (yet): nothing may be missed of what they hold.
    /// That holds for the pieces that come until it is said otherwise.
    pub(super) fn set_behind_ack(&mut self, behind_ack: PerEnd<bool>) {
        self.around.set_behind_ack(behind_ack);
    }

    /// The next piece of a direction's stream. Whether the connection carries nothing of interest, so that its payload
    /// need not be looked at any more.
    #[inline(never)]
    pub(super) fn piece(&mut self, end: End, piece: &Piece<'_>, ctx: &mut Ctx<'_>) -> bool {
        let mut layer = Layer {
            moment: Moment {
                end,
                at: &piece.at,
                around: &self.around,
            },
            upper: &mut self.upper,
            ctx,
        };
        let framer = self.framers.get_mut(end);
        framer.piece(piece, &mut layer);
        let is_other = !self.upper.proven && framer.is_other();
        if ctx.out.marks_wanted {
            self.pass_piece(end, piece, ctx);
        }
        is_other
    }

    /// A piece goes through, in a capture of several points: what waited is no news of them.
    #[cold]
    fn pass_piece(&mut self, end: End, piece: &Piece<'_>, ctx: &mut Ctx<'_>) {
        if piece.at.frame == ctx.out.next_frame() {
            let frame = Passed {
                interface: ctx.out.interface,
                time: piece.at.time,
                from: piece.pos,
                until: piece.pos.saturating_add(piece.len()),
            };
            self.pass(end, frame, ctx.row.copied, ctx.out);
        }
    }

    /// Nothing more comes. `next` are the positions behind each end's last byte, `closed_by` the frame with the
    /// first FIN or RST.
    pub(super) fn end(
        &mut self,
        next: PerEnd<u64>,
        closed_by: Option<FrameNo>,
        at: At,
        ctx: &mut Ctx<'_>,
    ) {
        for end in End::BOTH {
            let mut layer = Layer {
                moment: Moment {
                    end,
                    at: &at,
                    around: &self.around,
                },
                upper: &mut self.upper,
                ctx,
            };
            let framer = self.framers.get_mut(end);
            framer.end(*next.get(end), at.done, &mut layer);
        }
        self.upper.end(closed_by, &self.around, ctx);
        if let Some(points) = &mut self.points {
            points.end(ctx.row.copied, ctx.out);
        }
        ctx.out.marks.clear();
        ctx.out.stalls.clear();
        ctx.out.rewritten.clear();
    }

    /// Puts the changed sessions and requests into the batch.
    pub(super) fn flush(&mut self, ctx: &mut Ctx<'_>) {
        self.upper.flush(ctx);
        if let Some(points) = &mut self.points {
            points.flush(ctx.row.copied, ctx.out);
        }
    }

    /// A frame with payload, in a capture of several points; whether its bytes came before, or are to come, is all one.
    #[cold]
    pub(super) fn pass(&mut self, end: End, frame: Passed, copied: bool, out: &mut Out) {
        let points = self.points.get_or_insert_default();
        points.pass(end, frame, copied, out);
    }
}

#[derive(Debug, Default)]
struct Upper {
    sql_port: bool,
    proven: bool,
    plain: Chain,
    sessions: Sessions,
    login: LoginState,
    /// A TLS record outside TDS packets was read.
    bare_tls: bool,
    /// The SMP switch-over has been seen in a direction.
    smp_in: PerEnd<bool>,
    /// The client has sent a request outside SMP although MARS was agreed, which was told.
    asked_outside: bool,
}

impl Upper {
    fn flush(&mut self, ctx: &mut Ctx<'_>) {
        let Sessions {
            chains, changed, ..
        } = &mut self.sessions;
        for place in changed.drain(..) {
            if let Some(chain) = chains.get_mut(place) {
                chain.flush(ctx);
            }
        }
        self.plain.flush(ctx);
    }

    fn end(&mut self, closed_by: Option<FrameNo>, around: &Around, ctx: &mut Ctx<'_>) {
        let mut places: Vec<(Sid, usize)> =
            self.sessions.places.iter().map(|(s, p)| (*s, *p)).collect();
        places.sort_unstable();
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

    /// A life of a Sid begins, if it can. A Sid that was never opened gets one from its first packet on.
    #[cold]
    fn begin_life(&mut self, moment: &Moment<'_>, pdu: &PduRow, ctx: &mut Ctx<'_>) -> usize {
        let life = match self.sessions.of(pdu.sid) {
            Some((place, old)) => {
                let reopen = if pdu.kind == PduKind::Syn {
                    sessions::reopen(old)
                } else {
                    sessions::Reopen::Legal
                };
                let id = old.session.as_ref().map(|s| s.id);
                // A packet that is only a header is complete with it, and the next PDU.
                let pdu_id = (pdu.len <= LEAST).then(|| ctx.out.next_pdu());
                ctx.violation(reopen.broken(), moment.at.done, pdu_id, id);
                if reopen == sessions::Reopen::WhileOpen {
                    return place;
                }
                old.session.as_ref().map_or(1, |s| s.life).saturating_add(1)
            }
            None => 1,
        };
        self.begin_session(moment, pdu, life, ctx)
    }

    fn begin_session(
        &mut self,
        moment: &Moment<'_>,
        pdu: &PduRow,
        life: u32,
        ctx: &mut Ctx<'_>,
    ) -> usize {
        let Moment { end, at, around } = *moment;
        let sid = pdu.sid;
        let is_syn = pdu.kind == PduKind::Syn;
        let at = At {
            done: pdu.first_frame.min(at.done),
            ..*at
        };
        let client = ctx.row.known_client();
        let may_miss = client.is_some_and(|c| around.seen(c).holes > 0 || around.behind_ack(c));
        let id = ctx.out.new_session(ctx.row.id, sid);
        let syn = is_syn.then_some(pdu.wndw);
        let row: SessionRow = sessions::new_life(ctx, id, sid, life, at, syn);
        let ends = sessions::starting_ends(around, is_syn);
        let mut chain = Chain::starting(row, ends);
        chain.unopened = !is_syn && ctx.row.syn_frame.is_some() && !may_miss;
        let place = self.sessions.begin(sid, chain, ctx);
        if is_syn && end == ctx.row.client {
            ctx.phase(Phase::SessionOpen, at.done, Some(sid));
        }
        place
    }
}
