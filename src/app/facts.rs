//! What the index says about one frame for its row: kind, Sid, numbers, direction. Nothing here reads the file.

use crate::store::{FrameFlags, FrameRow, PduFlags, PduKind, PduRow, Store};
use crate::units::{ConnId, FrameNo, SessionId, Sid, Side};

/// PDUs looked at in search of the one that a frame is a middle part of.
const PART_SEARCH: usize = 4096;

/// A frame, or one SMP packet in it, as a row shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Kind of the row, for example `DATA`, `T.RST`, `DATA+2r`.
    pub kind: String,
    /// Connection.
    pub conn: Option<ConnId>,
    /// Who sent it, where it is known.
    pub side: Option<Side>,
    /// Session.
    pub session: Option<SessionId>,
    /// Sid.
    pub sid: Option<Sid>,
    /// SMP SEQNUM.
    pub seqnum: Option<u32>,
    /// SMP WNDW.
    pub wndw: Option<u32>,
    /// Bytes: of the SMP or TDS packet, else of the TCP payload.
    pub len: u32,
    /// PDUs in the frame.
    pub pdus: usize,
    /// The frame that completes the PDU that this one is only a part of.
    pub part_of: Option<FrameNo>,
}

/// The facts of a frame.
pub fn facts(store: &Store, no: FrameNo) -> Option<Facts> {
    let frame = store.frame(no)?;
    let mut pdus = store.pdus_in(no);
    let first = pdus.next().map(|(_, pdu)| pdu);
    let more = pdus.count();
    // A middle part of a packet belongs to the Sid of the packet.
    let whole = if first.is_none() && frame.payload_len > 0 {
        completing(store, no, &frame)
    } else {
        None
    };
    let part_of = whole.map(|pdu| pdu.frame);
    let mut kind = match (first, part_of) {
        (Some(pdu), _) => pdu_word(&pdu).to_string(),
        (None, Some(_)) => "part".to_string(),
        (None, None) => frame_word(&frame).to_string(),
    };
    if more > 0 {
        kind.push('+');
        kind.push_str(&more.to_string());
    }
    kind.push_str(order_mark(&frame));
    let smp = first.filter(|pdu| pdu.session.is_some());
    let of_sid = smp.or(whole.filter(|pdu| pdu.session.is_some()));
    Some(Facts {
        kind,
        conn: frame.conn,
        side: store.side(&frame),
        session: of_sid.and_then(|pdu| pdu.session),
        sid: of_sid.map(|pdu| pdu.sid),
        seqnum: smp.map(|pdu| pdu.seqnum.0),
        wndw: smp.map(|pdu| pdu.wndw.0),
        len: first.map_or(frame.payload_len, |pdu| pdu.len),
        pdus: more.saturating_add(usize::from(first.is_some())),
        part_of,
    })
}

/// The facts of one PDU within a frame, the first being 0.
pub fn pdu_facts(store: &Store, no: FrameNo, at: usize) -> Option<Facts> {
    let (_, pdu) = store.pdus_in(no).nth(at)?;
    let smp = pdu.session.is_some();
    Some(Facts {
        kind: pdu_word(&pdu).to_string(),
        conn: Some(pdu.conn),
        side: store.pdu_side(&pdu),
        session: pdu.session,
        sid: smp.then_some(pdu.sid),
        seqnum: smp.then_some(pdu.seqnum.0),
        wndw: smp.then_some(pdu.wndw.0),
        len: pdu.len,
        pdus: 1,
        part_of: None,
    })
}

/// The Sids that a frame carries, each once.
pub fn sessions_of(store: &Store, no: FrameNo) -> Vec<SessionId> {
    let mut found = Vec::new();
    for (_, pdu) in store.pdus_in(no) {
        if let Some(session) = pdu.session
            && !found.contains(&session)
        {
            found.push(session);
        }
    }
    found
}

/// Whether a frame carries a packet of a session.
pub fn carries(store: &Store, no: FrameNo, session: SessionId) -> bool {
    store
        .pdus_in(no)
        .any(|(_, pdu)| pdu.session == Some(session))
}

/// The packet that a frame without an end of a packet is a part of.
pub(super) fn completing(store: &Store, no: FrameNo, frame: &FrameRow) -> Option<PduRow> {
    let conn = frame.conn?;
    let last = store.conn(conn)?.last_frame;
    store
        .pdus_behind(no)
        .take(PART_SEARCH)
        .take_while(|pdu| pdu.frame <= last)
        .find(|pdu| pdu.conn == conn && pdu.end == frame.end())
        .filter(|pdu| pdu.first_frame <= no)
}

fn pdu_word(pdu: &PduRow) -> &'static str {
    match pdu.kind {
        PduKind::Syn => "SYN",
        PduKind::Ack => "ACK",
        PduKind::Fin => "FIN",
        PduKind::Data => "DATA",
        PduKind::Unknown if pdu.flags.has(PduFlags::UNFINISHED) => "part",
        PduKind::BadSmp | PduKind::Unknown => "BAD",
        PduKind::Tds => "TDS",
        PduKind::Tls => "TLS",
        PduKind::Hidden => "GAP",
    }
}

/// The word for a frame without a PDU of its own.
fn frame_word(frame: &FrameRow) -> &'static str {
    let flags = frame.tcp_flags;
    if frame.is_tcp() {
        return match (flags.rst(), flags.syn(), flags.fin()) {
            (true, _, _) => "T.RST",
            (_, true, _) => "T.SYN",
            (_, _, true) => "T.FIN",
            _ if frame.flags.has(FrameFlags::BAD) => "BAD",
            _ if frame.is_cut() => "CUT",
            // Of a packet that is nowhere complete: bytes sent again, of another protocol, or at the end of the file.
            _ if frame.payload_len > 0 => "part",
            _ => "T.ACK",
        };
    }
    if frame.flags.has(FrameFlags::UDP) {
        "UDP"
    } else if frame.flags.has(FrameFlags::FRAGMENT) {
        "FRAG"
    } else if frame.flags.has(FrameFlags::CUT) {
        "CUT"
    } else if frame.flags.has(FrameFlags::NOT_IP) {
        "link"
    } else {
        "IP"
    }
}

fn order_mark(frame: &FrameRow) -> &'static str {
    if frame.flags.has(FrameFlags::DUPLICATE) {
        "d"
    } else if frame.flags.has(FrameFlags::RETRANSMISSION) {
        "r"
    } else if frame.flags.has(FrameFlags::OUT_OF_ORDER) {
        "o"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::batch;
    use crate::query;

    #[test]
    fn filters_know_the_kinds_of_all_segments() {
        let mut store = Store::new();
        store.append(batch());
        let mut frame = store.frame(FrameNo(3)).unwrap();
        for payload_len in [0, 9] {
            frame.payload_len = payload_len;
            for flags in [0x02, 0x10, 0x11, 0x14] {
                frame.tcp_flags = crate::store::TcpFlags(flags);
                let text = format!("kind == {}", frame_word(&frame));
                assert!(
                    query::parse(&text, &query::Context::default()).is_ok(),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn a_filter_on_the_kind_of_other_frames_finds_them() {
        for (flags, word) in [
            (FrameFlags::UDP, "UDP"),
            (FrameFlags::FRAGMENT, "FRAG"),
            (FrameFlags::NOT_IP, "link"),
            (FrameFlags::default(), "IP"),
        ] {
            let mut known = Store::new();
            known.append(batch());
            let mut frames: Vec<_> = known.frames_from(FrameNo(1)).map(|(_, row)| row).collect();
            let no = FrameNo::from_index(frames.len() - 1);
            let other = frames.last_mut().unwrap();
            (other.conn, other.prev, other.flags) = (None, None, flags);
            assert_eq!(frame_word(other), word);
            let mut batch = batch();
            batch.frames = frames.into_iter().collect();
            let mut store = Store::new();
            store.append(batch);
            let text = format!("kind == {word}");
            let filter = query::parse(&text, &query::Context::default()).unwrap();
            assert_eq!(
                query::run(&filter, &query::Eval::of(&store)),
                [no],
                "{word}"
            );
        }
    }
}
