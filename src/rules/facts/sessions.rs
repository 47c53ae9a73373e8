//! The sessions of a connection, with the packets that tell how each of them ended.

use rustc_hash::FxHashMap;

use super::frames::Axis;
use super::streams::end_of;
use crate::store::{ConnRow, PduRow, SessionEnd, SessionRow, Store};
use crate::units::{PduId, PerSide, Side};

/// A session, and whether it is the last life of its Sid.
#[derive(Debug)]
pub(super) struct Session<'a> {
    pub row: &'a SessionRow,
    pub last_life: bool,
    pub halves: PerSide<Half>,
}

/// Packets of one side of a session.
#[derive(Debug)]
pub(super) struct Half {
    /// Its SMP:FIN.
    pub fin: Option<PduRow>,
    pub last_data: Option<PduRow>,
    pub last: Option<PduRow>,
}

impl Half {
    fn read(store: &Store, end: &SessionEnd) -> Self {
        let find = |id: Option<PduId>| store.pdu(id?);
        let last = find(end.last_pdu);
        // Mostly a side's last packet is its SMP:FIN or, before the session is closed, its last DATA.
        let other = |id: Option<PduId>| if id == end.last_pdu { last } else { find(id) };
        Self {
            fin: other(end.fin_pdu),
            last_data: other(end.last_data),
            last,
        }
    }

    /// See [`put_in_its_frame`].
    fn put_in_their_frames(&mut self, store: &Store, axis: Option<Axis>) {
        let all = [&mut self.fin, &mut self.last_data, &mut self.last];
        for pdu in all.into_iter().flatten() {
            put_in_its_frame(store, axis, pdu);
        }
    }
}

/// Gives a packet the frame that holds its end, where the one that it came to be complete with has only filled a gap in
/// front of it.
#[inline]
pub(super) fn put_in_its_frame(store: &Store, axis: Option<Axis>, pdu: &mut PduRow) {
    if pdu.first_frame != pdu.frame && is_only_completed(store, axis, pdu) == Some(true) {
        pdu.frame = pdu.first_frame;
    }
}

/// Whether a packet that came to be complete with another frame than its first has its end in that first one.
#[cold]
fn is_only_completed(store: &Store, axis: Option<Axis>, pdu: &PduRow) -> Option<bool> {
    let end = axis?.seq(end_of(pdu));
    let holds = |frame| {
        let row = store.frame(frame)?;
        let seq = row.seq.plus(u32::from(row.tcp_flags.syn()));
        Some(seq.before(end) && end.at_or_before(seq.plus(row.payload_len)))
    };
    Some(!holds(pdu.frame)? && holds(pdu.first_frame)?)
}

/// The sessions of a connection in the order in which they were opened.
pub(super) fn read<'a>(store: &'a Store, conn: &ConnRow) -> Vec<Session<'a>> {
    let axes = PerSide(Side::BOTH.map(|side| Axis::new(conn, side)));
    let mut sessions: Vec<Session<'a>> = store
        .conn_sessions(conn.id)
        .map(|row| {
            let half = |side| {
                let mut half = Half::read(store, row.ends.get(conn.end_of(side)));
                half.put_in_their_frames(store, *axes.get(side));
                half
            };
            Session {
                row,
                last_life: true,
                halves: PerSide(Side::BOTH.map(half)),
            }
        })
        .collect();
    if sessions
        .iter()
        .any(|session| session.row.life != FIRST_LIFE)
    {
        mark_last_lives(&mut sessions);
    }
    sessions
}

/// The number of the life in which a Sid is opened for the first time.
const FIRST_LIFE: u32 = 1;

fn mark_last_lives(sessions: &mut [Session<'_>]) {
    let mut newest: FxHashMap<_, u32> = FxHashMap::default();
    for Session { row, .. } in sessions.iter() {
        let life = newest.entry(row.sid).or_insert(row.life);
        *life = (*life).max(row.life);
    }
    for session in sessions {
        session.last_life = newest.get(&session.row.sid) == Some(&session.row.life);
    }
}

/// A packet, and those before it in its chain.
pub(super) fn chain_back(store: &Store, last: Option<PduRow>) -> impl Iterator<Item = PduRow> {
    let before = store.pdu_chain_back(last.and_then(|last| last.prev));
    last.into_iter().chain(before.map(|(_, pdu)| pdu))
}
