//! SMP sessions: one state machine per (connection, Sid, life), both sides, with the checks of `smp.md` 6.
//!
//! Everything one side knows of the other has passed the capture point before, so each packet is compared with
//! all that was captured from the peer. Behind a gap, and in sessions joined late, the numbers are taken from the
//! next packet and the checks that would need the missing ones are not made.

use crate::decode::smp;
use crate::decode::tds::packet_type as pt;
use crate::store::{
    CheckId, ConnRow, PduKind, PduRow, Phase, SessionEnd, SessionRow, Severity, Stall,
};
use crate::units::{End, FrameNo, PduId, PerEnd, SessionId, Sid, SmpSeq};

use super::chain::{Chain, Moment};
use super::missing::{Around, Missing, Seen, WINDOW};
use super::order::At;
use super::out::{Broken, Ctx, error, note, warn};
use super::sender::{ChainEnd, SmpEnd};

/// A new life of a Sid.
pub(super) fn new_life(
    conn: &Ctx<'_>,
    id: SessionId,
    sid: Sid,
    life: u32,
    at: At,
    syn: Option<SmpSeq>,
) -> SessionRow {
    SessionRow {
        life,
        syn_seen: syn.is_some(),
        initial_window: syn.unwrap_or(SmpSeq(WINDOW)),
        // Where the connection is here from its start, the SYN lies in a hole.
        holes: syn.is_none() && conn.row.syn_frame.is_some(),
        ..SessionRow::opened(id, conn.row.id, sid, at.done)
    }
}

/// Both ends' numbers at the start of a session: certain when its SYN was seen.
pub(super) fn starting_ends(around: &Around, syn_seen: bool) -> PerEnd<ChainEnd> {
    let side = |end| {
        let numbers = SmpEnd {
            synced: syn_seen,
            ..SmpEnd::default()
        };
        ChainEnd::starting(numbers, around.seen(end))
    };
    PerEnd([side(End::A), side(End::B)])
}

/// Whether a packet belongs to the life of its Sid that its sender's last one was of, and has nothing missing in front of
/// it, by what is quick to ask. Most are so.
#[inline]
pub(super) fn just_goes_on(chain: &Chain, moment: &Moment<'_>, pdu: &PduRow) -> bool {
    let Moment { end, around, .. } = *moment;
    let side = chain.ends.get(end);
    pdu.kind != PduKind::Syn
        && !pdu.seqnum.before(side.smp.seq)
        && (chain.clear_at == around.version()
            || side.smp.synced && !side.smp.fin && !side.seen.is_followed_by_hole(around.seen(end)))
}

/// Whether a session is clear: all numbers are certain, nothing may be missing, and neither end has closed it. That stays
/// so until an end closes it or something may be missing.
fn is_clear(chain: &Chain, around: &Around) -> bool {
    End::BOTH.into_iter().all(|end| {
        let side = chain.ends.get(end);
        side.smp.synced && !side.smp.fin && !around.may_miss(end, side.seen)
    })
}

/// An SMP packet begins: what is missing in front of it, by its numbers.
#[inline]
pub(super) fn arrive(chain: &mut Chain, moment: &Moment<'_>, pdu: &PduRow) {
    let Moment { end, around, .. } = *moment;
    let side = chain.ends.get(end);
    // Without a hole nothing was passed over either.
    if !side.smp.synced || side.seen.is_followed_by_hole(around.seen(end)) {
        arrive_behind(chain, end, pdu, around.seen(end));
    }
}

/// An SMP packet begins behind a hole, or the numbers in front of it are not known.
#[cold]
fn arrive_behind(chain: &mut Chain, end: End, pdu: &PduRow, now: Seen) {
    let side = chain.ends.get_mut(end);
    let hole = side.seen.is_followed_by_hole(now);
    let joined = !side.smp.synced;
    let room = (!joined).then_some((side.seen, now));
    let missing = Missing::by_number(side.smp.last(), pdu, room);
    side.miss(missing);
    // Without DATA it can only have been an ACK, which raises WNDW.
    let spared = !joined && !missing.is_something() && pdu.wndw == side.smp.wnd;
    side.smp.synced = false;
    side.smp.blocked = None;
    side.seen = now;
    chain.clear_at = Around::NEVER;
    if hole
        && !spared
        && let Some(session) = &mut chain.session
    {
        session.holes = true;
    }
}

/// An SMP packet is complete: counts, numbers, window, checks. Its row is told the packet before it.
#[expect(
    clippy::inline_always,
    reason = "what is done with a complete packet is not to be taken apart"
)]
#[inline(always)]
pub(super) fn packet(
    chain: &mut Chain,
    moment: &Moment<'_>,
    pdu: &mut PduRow,
    id: PduId,
    ctx: &mut Ctx<'_>,
) {
    let Moment { end, at, around } = *moment;
    let (own, peer) = chain.ends.get_both_mut(end);
    let is_usual = chain.clear_at == around.version() && is_usual(&own.smp, &peer.smp, pdu);
    if !is_usual {
        tell_unopened(chain, moment.at.done, Some(id), ctx);
        check(chain, moment, pdu, id, ctx);
    }
    let (own, peer) = chain.ends.get_both_mut(end);
    let ChainEnd { smp, row, .. } = own;
    let raised = pdu.wndw.diff(smp.wnd) > 0;
    smp.wnd = pdu.wndw;
    pdu.prev = row.last_pdu.replace(id);
    smp.last_seq = pdu.seqnum;
    if pdu.kind == PduKind::Data {
        smp.seq = pdu.seqnum;
        smp.last_data = pdu.seqnum;
        smp.settled = smp.last();
        smp.blocked = None;
        let credit = peer.smp.wnd.diff(smp.seq);
        if credit <= 1 {
            smp.used_last_slot |= credit <= 0;
            // SqlClient's own network layer stops one before the limit.
            let closed = credit <= 0 || !smp.used_last_slot;
            if own.message.is_some() && closed {
                let lacking = PerEnd([around.seen(End::A), around.seen(End::B)]);
                smp.blocked = Some((at.time, lacking));
                if ctx.out.marks_wanted {
                    smp.mark = ctx.out.begin_stall(pdu);
                }
            }
        }
        row.last_data = Some(id);
        // There are no more of them than numbers of PDUs, nor of ACKs below.
        row.counts.data = row.counts.data.wrapping_add(1);
    } else {
        if !smp.synced && pdu.kind != PduKind::BadSmp {
            smp.seq = pdu.seqnum;
        }
        if pdu.kind == PduKind::Ack {
            row.counts.ack = row.counts.ack.wrapping_add(1);
        } else {
            opens_or_closes(smp, row, pdu, id, at.done, ctx);
        }
    }
    smp.synced = true;
    if raised && peer.smp.blocked.is_some() {
        end_stall(chain, moment, pdu, ctx);
    }
    if !is_usual {
        look_anew(chain, around);
        // No session is clear before its first packet.
        ctx.row.first_pdu.get_or_insert(id);
    }
}

/// Looks whether the session is clear now.
#[cold]
fn look_anew(chain: &mut Chain, around: &Around) {
    chain.clear_at = if is_clear(chain, around) {
        around.version()
    } else {
        Around::NEVER
    };
}

/// What [`packet`] notes of one that opens or closes the session, or makes no sense.
#[cold]
fn opens_or_closes(
    smp: &mut SmpEnd,
    row: &mut SessionEnd,
    pdu: &PduRow,
    id: PduId,
    done: FrameNo,
    ctx: &mut Ctx<'_>,
) {
    let counts = &mut row.counts;
    let count = match pdu.kind {
        PduKind::Syn => &mut counts.syn,
        PduKind::Fin => {
            smp.fin = true;
            smp.blocked = None;
            if row.fin_pdu.is_none() {
                row.fin_pdu = Some(id);
                row.fin_frame = Some(done);
            }
            ctx.phase(Phase::SessionClosed, done, Some(pdu.sid));
            &mut counts.fin
        }
        _ => {
            ctx.out.bad_pdu = true;
            return;
        }
    };
    *count = count.saturating_add(1);
}

#[cold]
fn end_stall(chain: &mut Chain, moment: &Moment<'_>, pdu: &PduRow, ctx: &mut Ctx<'_>) {
    let Moment { at, around, .. } = *moment;
    let sender = moment.end.other();
    let smp = &mut chain.ends.get_mut(sender).smp;
    let mark = smp.mark;
    let Some((since, lacking)) = smp.blocked.take() else {
        return;
    };
    // What lies in a hole may have ended it earlier.
    let unseen = |end| around.may_miss(end, *lacking.get(end));
    if unseen(End::A) || unseen(End::B) {
        return;
    }
    if let Some(session) = &mut chain.session {
        let stall = Stall {
            session: session.id,
            sender,
            ns: at.time.since(since),
            frame: at.done,
        };
        if ctx.out.marks_wanted {
            // Another point may tell how long it was.
            ctx.out.end_stall(mark, stall, pdu);
        } else if stall.counts() {
            session.add_stall(&stall);
        }
    }
}

/// Whether DATA or an ACK of a clear session is as it has to be: such a packet breaks no check.
#[inline]
fn is_usual(own: &SmpEnd, peer: &SmpEnd, pdu: &PduRow) -> bool {
    let raised = pdu.wndw.diff(own.wnd);
    let fits = match pdu.kind {
        PduKind::Data => {
            (17..=smp::MAX_DATA_LEN).contains(&pdu.len)
                && pdu.seqnum == own.seq.plus(1)
                && pdu.seqnum.at_or_before(peer.wnd)
                && raised >= 0
        }
        PduKind::Ack => pdu.len == 16 && pdu.seqnum == own.seq && raised > 1,
        _ => false,
    };
    fits && u32::try_from(pdu.wndw.diff(peer.seq)).is_ok_and(|window| window <= WINDOW)
}

/// Notes a session's first packet if that was to be a SYN. `done` is the frame that completes it, or with which it breaks
/// off.
#[cold]
pub(super) fn tell_unopened(
    chain: &mut Chain,
    done: FrameNo,
    id: Option<PduId>,
    ctx: &mut Ctx<'_>,
) {
    if std::mem::take(&mut chain.unopened)
        && let Some(session) = &chain.session
    {
        let fact = format!("packet for Sid {}, which was not opened", session.sid);
        ctx.violation(error(CheckId::S1, fact), done, id, Some(session.id));
    }
}

/// Notes every check that a packet breaks.
#[cold]
fn check(chain: &Chain, moment: &Moment<'_>, pdu: &PduRow, id: PduId, ctx: &mut Ctx<'_>) {
    let (peer, around) = (moment.end.other(), moment.around);
    let numbers = chain.ends.get(peer);
    // What the peer sent before a hole says nothing about its numbers behind it.
    let certain = numbers.smp.synced && !around.may_miss(peer, numbers.seen);
    let session = chain.session.as_ref().map(|s| s.id);
    let client = ctx.row.known_client();
    checks(chain, moment.end, pdu, client, certain, &mut |broken| {
        ctx.violation(broken, moment.at.done, Some(id), session);
    });
}

/// Tells of every check that a packet breaks. `synced` says that the peer's numbers are certain.
fn checks(
    chain: &Chain,
    end: End,
    pdu: &PduRow,
    client: Option<End>,
    synced: bool,
    tell: &mut impl FnMut(Broken),
) {
    let ChainEnd { smp: own, row, .. } = chain.ends.get(end);
    let peer = &chain.ends.get(end.other()).smp;
    header_checks(pdu, tell);
    match pdu.kind {
        PduKind::Syn => syn_checks(end, pdu, client, tell),
        PduKind::Data => {
            let is_first = row.last_data.is_none();
            data_checks(own, peer, is_first, synced, pdu, tell);
        }
        PduKind::Ack => {
            if own.synced && pdu.seqnum != own.seq {
                let fact = format!("ACK with SEQNUM {}, last DATA was {}", pdu.seqnum, own.seq);
                tell(error(CheckId::Q3, fact));
            }
            if own.fin {
                tell(warn(CheckId::F2, "ACK behind the own FIN".to_owned()));
            }
            if own.synced {
                match pdu.wndw.diff(own.wnd) {
                    0 => tell(note(CheckId::W5, format!("WNDW stays {}", pdu.wndw))),
                    1 => tell(note(CheckId::W6, format!("WNDW up by one to {}", pdu.wndw))),
                    _ => {}
                }
            }
        }
        PduKind::Fin => {
            if own.synced && pdu.seqnum != own.seq {
                let fact = format!("FIN with SEQNUM {}, last DATA was {}", pdu.seqnum, own.seq);
                tell(warn(CheckId::Q4, fact));
            }
            if own.fin {
                tell(error(CheckId::F3, "a second FIN".to_owned()));
            }
            if chain.outstanding() > 0 && !own.fin {
                let fact = format!("{} requests without a complete answer", chain.outstanding());
                tell(note(CheckId::F7, fact));
            }
        }
        _ => {}
    }
    if pdu.kind != PduKind::Syn && pdu.kind != PduKind::BadSmp {
        window_checks(own, peer, synced, pdu, tell);
    }
}

fn header_checks(pdu: &PduRow, tell: &mut impl FnMut(Broken)) {
    match pdu.kind {
        PduKind::BadSmp => {
            tell(error(CheckId::H2, format!("FLAGS 0x{:02x}", pdu.tds_type)));
        }
        PduKind::Data if pdu.len == 16 => {
            tell(warn(CheckId::H5, "DATA without data".to_owned()));
        }
        PduKind::Data if pdu.len > smp::MAX_DATA_LEN => {
            let fact = format!("LENGTH {} above {}", pdu.len, smp::MAX_DATA_LEN);
            tell(warn(CheckId::H6, fact));
        }
        PduKind::Data => {}
        _ if pdu.len != 16 => {
            tell(error(
                CheckId::H4,
                format!("control packet with LENGTH {}", pdu.len),
            ));
        }
        _ => {}
    }
}

fn syn_checks(end: End, pdu: &PduRow, client: Option<End>, tell: &mut impl FnMut(Broken)) {
    if client.is_some_and(|client| client != end) {
        tell(error(CheckId::S3, "SYN from the server".to_owned()));
    }
    if pdu.seqnum != SmpSeq(0) {
        tell(warn(CheckId::S4, format!("SYN with SEQNUM {}", pdu.seqnum)));
    }
    if pdu.wndw != SmpSeq(WINDOW) {
        tell(note(CheckId::S5, format!("SYN with WNDW {}", pdu.wndw)));
    }
}

/// `synced` says that the peer's numbers are certain.
fn data_checks(
    own: &SmpEnd,
    peer: &SmpEnd,
    is_first: bool,
    synced: bool,
    pdu: &PduRow,
    tell: &mut impl FnMut(Broken),
) {
    let expected = own.seq.plus(1);
    if own.synced && pdu.seqnum != expected {
        let check = if is_first { CheckId::Q1 } else { CheckId::Q2 };
        let fact = format!("DATA with SEQNUM {}, expected {expected}", pdu.seqnum);
        tell(error(check, fact));
    }
    if synced {
        let excess = pdu.seqnum.diff(peer.wnd);
        if excess > 0 {
            let fact = format!("DATA with SEQNUM {} beyond WNDW {}", pdu.seqnum, peer.wnd);
            // FreeTDS sends an attention without looking at the window.
            let attention = excess == 1 && pdu.tds_type == pt::ATTENTION;
            tell(if attention {
                warn(CheckId::W1, fact)
            } else {
                error(CheckId::W1, fact)
            });
        }
    }
    if own.fin {
        tell(error(CheckId::F1, "DATA behind the own FIN".to_owned()));
    }
    if peer.fin && !own.fin {
        tell(note(CheckId::F4, "DATA behind the peer's FIN".to_owned()));
    }
}

/// `synced` says that the peer's numbers are certain.
fn window_checks(
    own: &SmpEnd,
    peer: &SmpEnd,
    synced: bool,
    pdu: &PduRow,
    tell: &mut impl FnMut(Broken),
) {
    if own.synced && pdu.wndw.before(own.wnd) {
        let fact = format!("WNDW {} after {}", pdu.wndw, own.wnd);
        tell(error(CheckId::W2, fact));
    }
    if !synced {
        return;
    }
    let window = pdu.wndw.diff(peer.seq);
    if window > i32::try_from(WINDOW).unwrap_or(4) {
        let fact = format!("WNDW {} with {} DATA sent by the peer", pdu.wndw, peer.seq);
        tell(warn(CheckId::W3, fact));
    } else if window < 0 {
        let fact = format!("WNDW {} below the peer's SEQNUM {}", pdu.wndw, peer.seq);
        tell(error(CheckId::W4, fact));
    }
}

/// The connection is over: sessions that were left open, and FINs without an answer.
pub(super) fn left_open(chain: &Chain, closed_by: FrameNo) -> Option<(Broken, FrameNo)> {
    let [a, b] = &chain.ends.0;
    let session = chain.session.as_ref()?;
    match (a.smp.fin, b.smp.fin) {
        (true, true) => None,
        (false, false) => Some((
            note(CheckId::F5, format!("Sid {} is still open", session.sid)),
            closed_by,
        )),
        _ => {
            let fact = format!("the FIN of Sid {} was not answered", session.sid);
            Some((note(CheckId::F6, fact), closed_by))
        }
    }
}

/// A SYN for a Sid that has a session: what it means for the session that is there.
pub(super) fn reopen(chain: &Chain) -> Reopen {
    let [a, b] = &chain.ends.0;
    let certain = a.smp.synced && b.smp.synced;
    match (a.smp.fin, b.smp.fin) {
        (true, true) => Reopen::Legal,
        _ if !certain => Reopen::Legal,
        (false, false) => Reopen::WhileOpen,
        _ => Reopen::HalfClosed,
    }
}

/// Whether DATA belongs to a new life of the Sid whose SYN can lie in a hole of the client's stream since its last
/// packet: the sender had closed the session, or its numbers begin anew.
#[inline]
pub(super) fn opened_in_a_hole(
    chain: &Chain,
    moment: &Moment<'_>,
    pdu: &PduRow,
    conn: &ConnRow,
) -> bool {
    let Moment { end, around, .. } = *moment;
    let side = chain.ends.get(end);
    let anew = side.smp.synced && pdu.seqnum.before(side.smp.seq) && pdu.seqnum.0 <= WINDOW;
    let hidden = |client| around.may_miss(client, chain.ends.get(client).seen);
    pdu.kind == PduKind::Data && (side.smp.fin || anew) && conn.known_client().is_some_and(hidden)
}

/// The connection is over: whether packets of the session may lie in holes behind those that were seen.
pub(super) fn may_lack_an_end(chain: &Chain, around: &Around) -> bool {
    End::BOTH.into_iter().any(|end| {
        let side = chain.ends.get(end);
        // Behind its FIN a side sends nothing ([MC-SMP] 2.2.4).
        let over = side.smp.fin && side.smp.synced;
        !over && around.may_miss(end, side.seen)
    })
}

/// What a SYN for a Sid that was open before is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reopen {
    /// A new life ([MC-SMP] 3.1.4.4), or a gap hides the end of the life before.
    Legal,
    /// After one FIN only.
    HalfClosed,
    /// Without any FIN.
    WhileOpen,
}

impl Reopen {
    /// The check that it breaks, if it is worth a word.
    pub(super) fn broken(self) -> Broken {
        let (check, severity, fact) = match self {
            Self::Legal => (CheckId::S6, Severity::Note, "opened again after both FINs"),
            Self::HalfClosed => (CheckId::S7, Severity::Error, "opened again after one FIN"),
            Self::WhileOpen => (CheckId::S2, Severity::Error, "SYN for a Sid that is open"),
        };
        Broken {
            check,
            severity,
            fact: fact.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
