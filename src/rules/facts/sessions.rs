//! The sessions of a connection, with the packets that tell how each of them ended.

use rustc_hash::FxHashMap;

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
}

/// The sessions of a connection in the order in which they were opened.
pub(super) fn read<'a>(store: &'a Store, conn: &ConnRow) -> Vec<Session<'a>> {
    let mut sessions: Vec<Session<'a>> = store
        .conn_sessions(conn.id)
        .map(|row| {
            let half = |side| Half::read(store, row.ends.get(conn.end_of(side)));
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
