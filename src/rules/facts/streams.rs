//! The ends of both streams: the row of SMP:FINs that closes, the server's packets behind its last data, hidden ranges.

use super::frames::{Axis, Pos};
use super::sessions::{Session, chain_back, put_in_its_frame};
use crate::store::{ConnRow, PduFlags, PduKind, PduRow, Store};
use crate::units::{FrameNo, PerSide, Side, TcpSeq};

/// Bytes of an SMP control packet.
pub(in crate::rules) const CONTROL: Pos = 16;

/// What the end of the server's stream consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum TailKind {
    /// A packet.
    Pdu,
    /// 16 bytes between two known borders that are not in the file: one control packet.
    Hole,
    /// Bytes whose borders are not known.
    Hidden,
}

/// A piece of the server's stream behind its last data.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct TailPart {
    pub kind: TailKind,
    pub pos: Pos,
    pub end: Pos,
    pub pdu: Option<PduRow>,
    /// It belongs to an earlier life of its Sid: the client opened that again, and had read all that came before.
    pub earlier_life: bool,
}

impl TailPart {
    /// Whether it is an SMP:FIN that can be read, of the last life of its Sid.
    pub fn is_fin(&self) -> bool {
        let is_fin = self.kind == TailKind::Pdu && self.pdu.is_some_and(|p| p.kind == PduKind::Fin);
        is_fin && !self.earlier_life
    }
}

/// A client SMP:FIN that counts for the close.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct ClosingFin {
    pub pdu: PduRow,
    pub pos: Pos,
    pub end: Pos,
}

/// The ends of both streams.
#[derive(Debug)]
pub(in crate::rules) struct Streams {
    pub axes: PerSide<Option<Axis>>,
    /// The client's SMP:FINs, of the last life of each Sid, in stream order.
    pub client_fins: Vec<ClosingFin>,
    /// End of the last client SMP:FIN.
    pub e: Option<Pos>,
    /// Start of the row of SMP:FINs that ends at `e`.
    pub c0: Option<Pos>,
    /// End of the client's last data: of its last request, or of its login where it asked nothing.
    pub asked: Pos,
    /// End of the server's last DATA (or TDS packet).
    pub b: Pos,
    /// The file holds data of the server; else `b` is only where its part of the stream begins.
    pub data_seen: bool,
    /// The server's packets from `b` on that were decoded, in stream order.
    pub tail_pdus: Vec<PduRow>,
    /// Where those of them stand that belong to an earlier life of their Sid, in order.
    earlier_lives: Vec<Pos>,
    /// End of each side's last decoded packet.
    pub decoded_end: PerSide<Pos>,
    /// Ranges of each side that cannot be read: position and length.
    pub hidden: PerSide<Vec<(Pos, Pos)>>,
    /// The first packet of the client behind its last SMP:FIN, if there is one.
    pub client_after_e: Option<PduRow>,
    /// The packet that the client began with its last bytes, and did not send to its end.
    pub client_begun: Option<PduRow>,
}

pub(in crate::rules) fn start_of(pdu: &PduRow) -> Pos {
    Pos::try_from(pdu.pos.0).unwrap_or(Pos::MAX / 2)
}

pub(in crate::rules) fn end_of(pdu: &PduRow) -> Pos {
    start_of(pdu).saturating_add(Pos::from(pdu.len))
}

/// Reads the ends of both streams off the chains of packets; `sessions` are those of the connection.
pub(super) fn read(store: &Store, conn: &ConnRow, sessions: &[Session<'_>]) -> Streams {
    let axes = PerSide(Side::BOTH.map(|side| Axis::new(conn, side)));
    let mut client_fins: Vec<ClosingFin> = sessions
        .iter()
        .filter(|session| session.last_life)
        .filter_map(|session| session.halves.get(Side::Client).fin)
        .map(|pdu| ClosingFin {
            pdu,
            pos: start_of(&pdu),
            end: end_of(&pdu),
        })
        .collect();
    client_fins.sort_by_key(|fin| fin.pos);
    let e = client_fins.last().map(|fin| fin.end);
    let mut c0 = e;
    for fin in client_fins.iter().rev() {
        if Some(fin.end) == c0 {
            c0 = Some(fin.pos);
        }
    }

    let mars = conn.smp_seen;
    let data_end = last_data_end(store, conn, sessions, Side::Server, mars);
    let asked = last_data_end(store, conn, sessions, Side::Client, mars);
    let b = data_end.unwrap_or(0);
    let mut tail_pdus: Vec<PduRow> = Vec::new();
    let mut earlier_lives = Vec::new();
    let mut decoded_end = PerSide([0, 0]);
    let mut client_after_e = None;
    for session in sessions {
        for side in Side::BOTH {
            if let Some(pdu) = session.halves.get(side).last {
                let slot: &mut Pos = decoded_end.get_mut(side);
                *slot = (*slot).max(end_of(&pdu));
                if side == Side::Client {
                    note_after(&mut client_after_e, e, pdu);
                }
            }
        }
        let chain = chain_back(store, session.halves.get(Side::Server).last);
        for pdu in chain.take_while(|pdu| start_of(pdu) >= b) {
            if !session.last_life {
                earlier_lives.push(start_of(&pdu));
            }
            tail_pdus.push(pdu);
        }
    }
    earlier_lives.sort_unstable();
    let mut hidden = PerSide([Vec::new(), Vec::new()]);
    let mut client_begun = None;
    for side in Side::BOTH {
        let end = conn.end_of(side);
        for (_, pdu) in store.plain_pdus_back(conn.id, end) {
            let slot: &mut Pos = decoded_end.get_mut(side);
            *slot = (*slot).max(end_of(&pdu));
            if pdu.kind == PduKind::Hidden {
                hidden
                    .get_mut(side)
                    .push((start_of(&pdu), Pos::from(pdu.len)));
            }
            if side == Side::Client {
                note_after(&mut client_after_e, e, pdu);
                if pdu.flags.has(PduFlags::UNFINISHED) {
                    client_begun = Some(pdu);
                }
            }
            let in_tail = side == Side::Server && start_of(&pdu) >= b;
            if in_tail {
                tail_pdus.push(pdu);
            } else if !mars {
                // Without SMP the chain is the whole stream, and only its end matters.
                break;
            }
        }
        hidden.get_mut(side).reverse();
    }
    let server = *axes.get(Side::Server);
    for pdu in &mut tail_pdus {
        put_in_its_frame(store, server, pdu);
    }
    tail_pdus.sort_by_key(|pdu| pdu.pos);
    Streams {
        axes,
        client_fins,
        e,
        c0,
        asked: asked.unwrap_or(0),
        b,
        data_seen: data_end.is_some(),
        tail_pdus,
        earlier_lives,
        decoded_end,
        hidden,
        client_after_e,
        client_begun,
    }
}

fn note_after(slot: &mut Option<PduRow>, e: Option<Pos>, pdu: PduRow) {
    let behind = e.is_some_and(|e| start_of(&pdu) >= e) && pdu.kind != PduKind::Hidden;
    if behind && slot.is_none_or(|old| pdu.pos < old.pos) {
        *slot = Some(pdu);
    }
}

/// End of the last DATA of any session, or of the last TDS packet outside SMP.
fn last_data_end(
    store: &Store,
    conn: &ConnRow,
    sessions: &[Session<'_>],
    side: Side,
    mars: bool,
) -> Option<Pos> {
    let in_sessions = sessions
        .iter()
        .filter_map(|session| session.halves.get(side).last_data.as_ref())
        .map(end_of)
        .max();
    let plain = store
        .plain_pdus_back(conn.id, conn.end_of(side))
        .map(|(_, pdu)| pdu)
        .take(if mars { usize::MAX } else { 64 })
        .find(|pdu| pdu.kind == PduKind::Tds)
        .map(|pdu| end_of(&pdu));
    in_sessions.max(plain)
}

impl Streams {
    /// The pieces of the server's stream from `b` on, in order and without a gap, up to `end`.
    pub(in crate::rules) fn tail(&self, end: Pos) -> Vec<TailPart> {
        let mut parts: Vec<TailPart> = Vec::new();
        let mut at = self.b;
        let gap = |parts: &mut Vec<TailPart>, from: Pos, to: Pos| {
            let kind = if to.saturating_sub(from) == CONTROL {
                TailKind::Hole
            } else {
                TailKind::Hidden
            };
            parts.push(TailPart {
                kind,
                pos: from,
                end: to,
                pdu: None,
                earlier_life: false,
            });
        };
        for pdu in &self.tail_pdus {
            if pdu.kind == PduKind::Hidden {
                // Treated as what it is: nothing known between two borders.
                continue;
            }
            let (pos, pdu_end) = (start_of(pdu), end_of(pdu));
            if pos < at {
                continue;
            }
            if pos > at {
                gap(&mut parts, at, pos);
            }
            parts.push(TailPart {
                kind: TailKind::Pdu,
                pos,
                end: pdu_end,
                pdu: Some(*pdu),
                earlier_life: self.earlier_lives.binary_search(&pos).is_ok(),
            });
            at = pdu_end;
        }
        if end > at {
            gap(&mut parts, at, end);
        }
        parts
    }

    /// The sequence number of a position of a side.
    pub(in crate::rules) fn seq(&self, side: Side, pos: Pos) -> TcpSeq {
        self.axes.get(side).map_or(TcpSeq(0), |axis| axis.seq(pos))
    }

    /// Whether hidden bytes of the client leave room for a control packet at or behind a position.
    pub(in crate::rules) fn client_hides_control(&self) -> Option<(Pos, Pos)> {
        self.hidden
            .get(Side::Client)
            .iter()
            .copied()
            .find(|(_, len)| *len >= CONTROL)
    }
}

/// Whether a packet ends an answer, as far as its bytes are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum AnswerEnd {
    /// It ends the answer; whether the last DONE acknowledges an attention.
    Yes { attention: bool, done_read: bool },
    /// It does not end the answer.
    No,
    /// Its TDS header cannot be read.
    HeaderCut,
    /// Type and EOM say that the answer ended; the DONE lies behind the snap length.
    DoneCut,
}

/// Whether other TDS packets behind the first of a DATA are cut off.
pub(super) fn cut_in_packets(pdu: &PduRow) -> bool {
    let shared = pdu.flags.has(PduFlags::SHARED);
    shared && pdu.flags.has(PduFlags::BODY_HIDDEN)
}

/// What a server packet says about the end of its answer.
pub(in crate::rules) fn answer_end(pdu: &PduRow) -> AnswerEnd {
    let flags = pdu.flags;
    // Mostly as its own header says; where several TDS packets share a DATA, or one several DATA, as the last one says.
    let message_ends = flags.has(PduFlags::MESSAGE_END);
    if !flags.has(PduFlags::TDS_HEADER) && !message_ends {
        return AnswerEnd::HeaderCut;
    }
    if cut_in_packets(pdu) {
        return AnswerEnd::HeaderCut;
    }
    let says_so = pdu.tds_status & crate::decode::tds::STATUS_EOM != 0;
    if !(says_so || message_ends) || flags.has(PduFlags::DONE_MORE) {
        return AnswerEnd::No;
    }
    let done_read = flags.has(PduFlags::DONE_READ);
    if !done_read && flags.has(PduFlags::BODY_HIDDEN) {
        return AnswerEnd::DoneCut;
    }
    AnswerEnd::Yes {
        attention: flags.has(PduFlags::DONE_ATTN),
        done_read,
    }
}

/// The lowest frame that holds the last byte before `end` in a list of one side's segments, copies included.
pub(in crate::rules) fn first_frame_reaching(
    late: &[super::frames::Seg],
    end: Pos,
) -> Option<FrameNo> {
    late.iter()
        .find(|seg| seg.len > 0 && seg.pos < end && seg.end >= end)
        .map(|seg| seg.no)
}
