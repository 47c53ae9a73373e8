//! An SMP packet as a tree: its header, what it does to its session, and the checks that it breaks.

use crate::decode::field::{Field, Value};
use crate::decode::smp;
use crate::decode::walk::{Flag, Step, Walk};
use crate::store::{PduKind, PduRow, SessionRow, Severity, Store};
use crate::units::{End, PduId, Side, SmpSeq};

/// PDUs looked at, backwards, for the last packet of an end.
const LOOK_BACK: u32 = 20_000;

const FLAGS: &[Flag] = &[
    (0x01, "smp.flags.syn", "SYN"),
    (0x02, "smp.flags.ack", "ACK"),
    (0x04, "smp.flags.fin", "FIN"),
    (0x08, "smp.flags.data", "DATA"),
];

/// The header's fields; ranges count from the packet's first byte.
pub fn header(bytes: &[u8]) -> Vec<Field> {
    let mut w = Walk::new(bytes.get(..smp::HEADER_LEN).unwrap_or(bytes), 0);
    let result = header_fields(&mut w);
    w.finish(result).fields
}

fn header_fields(w: &mut Walk<'_>) -> Step<()> {
    w.hex("smp.smid", "SMID", 1)?;
    let flags = w.hex("smp.flags", "flags", 1)?;
    w.flags(flags, FLAGS);
    if !matches!(flags, 1 | 2 | 4 | 8) {
        w.say("not exactly one of SYN, ACK, FIN, DATA");
    }
    w.le("smp.sid", "Sid", 2)?;
    w.le("smp.length", "length", 4)?;
    w.le("smp.seqnum", "SEQNUM", 4)?;
    w.le("smp.wndw", "WNDW", 4)?;
    Ok(())
}

/// The name of an SMP packet.
pub fn kind_name(kind: PduKind) -> &'static str {
    match kind {
        PduKind::Syn => "SYN",
        PduKind::Ack => "ACK",
        PduKind::Fin => "FIN",
        PduKind::Data => "DATA",
        _ => "BAD",
    }
}

/// A heading for a packet.
pub fn heading(pdu: &PduRow) -> String {
    format!(
        "{}  Sid {}  SEQNUM {}  WNDW {}  length {}",
        kind_name(pdu.kind),
        pdu.sid,
        pdu.seqnum,
        pdu.wndw,
        pdu.len
    )
}

/// How an end stands behind its last packet at or before a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stand {
    /// SEQNUM of the last DATA.
    pub sent: SmpSeq,
    /// Highest SEQNUM that it accepts.
    pub window: SmpSeq,
}

/// How an end stands at a PDU (that PDU included); `None` if it has sent nothing and the session's start is not
/// in the file.
pub fn stand(store: &Store, session: &SessionRow, end: End, at: PduId) -> Option<Stand> {
    let stands = |pdu: &PduRow| Stand {
        sent: pdu.seqnum,
        window: pdu.wndw,
    };
    let first = session_first(store, session);
    // Its last packet may lie right in front, or so far that it is found sooner from its last one in the file.
    let mut chain = session.ends.get(end).last_pdu;
    for back in 0..LOOK_BACK {
        let Some(id) = at.0.checked_sub(back).map(PduId) else {
            break;
        };
        let Some(pdu) = store.pdu(id) else { break };
        if pdu.session == Some(session.id) && pdu.end == end {
            return Some(stands(&pdu));
        }
        if first.is_some_and(|first| id <= first) {
            break;
        }
        let Some((last, pdu)) = chain.and_then(|id| Some((id, store.pdu(id)?))) else {
            break;
        };
        if last <= at {
            return Some(stands(&pdu));
        }
        chain = pdu.prev;
    }
    session.syn_seen.then_some(Stand {
        sent: SmpSeq(0),
        window: session.initial_window,
    })
}

fn session_first(store: &Store, session: &SessionRow) -> Option<PduId> {
    store
        .pdus_in(session.open_frame)
        .find(|(_, pdu)| pdu.session == Some(session.id))
        .map(|(id, _)| id)
}

/// The state of a session in words, as an observer sees it, with the FINs at or before a PDU counted.
pub fn state(
    store: &Store,
    session: &SessionRow,
    fin_passed: impl Fn(PduId) -> bool,
) -> &'static str {
    let Some(conn) = store.conn(session.conn) else {
        return "unknown";
    };
    let closed = |side| {
        session
            .ends
            .get(conn.end_of(side))
            .fin_pdu
            .is_some_and(&fin_passed)
    };
    match (closed(Side::Client), closed(Side::Server)) {
        (false, false) if !session.syn_seen => "open, joined late",
        (false, false) => "open",
        (true, false) => "closed by the client",
        (false, true) => "closed by the server",
        (true, true) => "closed",
    }
}

/// What a packet does to its session.
pub fn effect(store: &Store, id: PduId, pdu: &PduRow) -> Vec<Field> {
    let mut fields = Vec::new();
    let Some(session) = pdu.session.and_then(|id| store.session(id)) else {
        return fields;
    };
    let life = Field::new(
        "smp.incarnation",
        "life of the Sid",
        Value::UInt(u64::from(session.life)),
    );
    fields.push(life.link(session.open_frame));
    if let Some(side) = store.pdu_side(pdu) {
        let arrow = match side {
            Side::Client => "C\u{2192}S",
            Side::Server => "S\u{2192}C",
        };
        fields.push(
            Field::new("smp.dir", "direction", Value::Text(arrow.to_owned()))
                .text(format!("from the {}", side.word())),
        );
    }
    let before = if pdu.kind == PduKind::Syn {
        "not open"
    } else {
        state(store, session, |fin| fin < id)
    };
    let after = state(store, session, |fin| fin <= id);
    let words = if before == after {
        after.to_owned()
    } else {
        format!("{before} -> {after}")
    };
    fields.push(
        Field::new("smp.state", "session", Value::Text(words))
            .link(session.open_frame)
            .child(Field::new(
                "smp.state.before",
                "before",
                Value::Text(before.to_owned()),
            )),
    );
    let own = stand(store, session, pdu.end, id);
    let peer = stand(store, session, pdu.end.other(), id);
    if let (Some(own), Some(peer), Some(conn)) = (own, peer, store.conn(pdu.conn)) {
        for (end, here, there) in [(pdu.end, own, peer), (pdu.end.other(), peer, own)] {
            let side = conn.side_of(end).word();
            let credit = there.window.diff(here.sent);
            let flight = 4_i32.saturating_sub(credit).max(0);
            fields.push(
                Field::new(
                    "smp.window_left",
                    format!("{side} may send"),
                    Value::Int(i64::from(credit)),
                )
                .text(format!("{} - {} = {credit} DATA", there.window, here.sent)),
            );
            fields.push(Field::new(
                "smp.in_flight",
                format!("{side} in flight"),
                Value::Int(i64::from(flight)),
            ));
        }
    }
    if let Some(before) = pdu.prev.and_then(|prev| store.pdu(prev)) {
        let opened = pdu.wndw.diff(before.wndw);
        if opened != 0 {
            fields.push(
                Field::new(
                    "smp.window_moved",
                    "window moved",
                    Value::Int(i64::from(opened)),
                )
                .text(format!("{} -> {}", before.wndw, pdu.wndw)),
            );
        }
    }
    fields
}

/// The checks that a packet breaks.
pub fn violations(store: &Store, id: PduId, pdu: &PduRow) -> Vec<Field> {
    store
        .violations_in(pdu.frame)
        .filter(|v| v.pdu == Some(id))
        .map(|v| {
            let severity = match v.severity {
                Severity::Note => "note",
                Severity::Warn => "warn",
                Severity::Error => "error",
            };
            let id = format!("{:?}", v.check);
            Field::new("smp.analysis", format!("check {id}"), Value::None)
                .text(format!("{severity}: {}: {}", sentence(v.check), v.fact))
                .children([
                    Field::new("smp.analysis.id", "check", Value::Text(id)),
                    Field::new(
                        "smp.analysis.severity",
                        "severity",
                        Value::Text(severity.to_owned()),
                    ),
                ])
        })
        .collect()
}

/// The sentence of a check.
pub fn sentence(check: crate::store::CheckId) -> &'static str {
    use crate::store::CheckId as C;
    match check {
        C::H1 => "an SMP header must begin with SMID 0x53",
        C::H2 => "FLAGS must be exactly one of SYN, ACK, FIN, DATA",
        C::H3 => "LENGTH must be 16 at least",
        C::H4 => "SYN, ACK and FIN have 16 bytes",
        C::H5 => "DATA should carry something",
        C::H6 => "DATA should not exceed the largest TDS packet",
        C::S1 => "a packet needs a session that was opened",
        C::S2 => "a Sid that is open cannot be opened",
        C::S3 => "only the client opens sessions",
        C::S4 => "SYN should have SEQNUM 0",
        C::S5 => "SYN usually has WNDW 4",
        C::S6 => "a Sid is used again after both FINs, which is allowed",
        C::S7 => "a Sid may be used again only after both FINs",
        C::Q1 => "the first DATA has SEQNUM 1",
        C::Q2 => "DATA is numbered without gaps",
        C::Q3 => "ACK carries the SEQNUM of the last DATA sent",
        C::Q4 => "FIN should carry the SEQNUM of the last DATA sent",
        C::W1 => "DATA must fit the receiver's window",
        C::W2 => "the window must not shrink",
        C::W3 => "the window usually promises 4 packets at most",
        C::W4 => "the window cannot stand below what was sent already",
        C::W5 => "an ACK should move the window",
        C::W6 => "an ACK usually moves the window by 2 or more",
        C::F1 => "no DATA after the own FIN",
        C::F2 => "no ACK after the own FIN",
        C::F3 => "one FIN for each side",
        C::F4 => "DATA after the peer's FIN may have been on its way",
        C::F5 => "TCP ended with sessions open",
        C::F6 => "a FIN should be answered by a FIN",
        C::F7 => "a session should not be closed with a request unanswered",
        C::P1 => "DATA usually holds exactly one TDS packet",
        C::P2 => "SMP cannot carry SMP",
        C::P3 => "TDS packets are numbered and end their message in order",
        C::M1 => "SMP is spoken after the login, and only if MARS was agreed",
    }
}
