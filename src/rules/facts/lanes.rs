//! What each session (or the connection, where there is no SMP) had outstanding when the closing side closed.

mod session;

use super::frames::{Axis, Pos};
use super::sessions::{Session, chain_back};
use super::streams::{AnswerEnd, answer_end, cut_in_packets, end_of, start_of};
use crate::decode::tds::packet_type;
use crate::store::{ConnRow, PduFlags, PduKind, PduRow, Protocol, RequestEnd, SessionRow, Store};
use crate::units::{FrameNo, PerSide, Sid, Side, SmpSeq, TcpSeq};
use session::session_work;

/// Why it is not known whether something is outstanding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum Doubt {
    /// The last DATA of the session is not in the file, or may not be.
    LastMissing,
    /// The last packet is cut before its TDS type and EOM bit.
    HeaderCut,
    /// Type and EOM say that the answer ended; only its DONE lies behind the snap length.
    DoneCut,
    /// What stands behind its last packet is no TDS.
    NotTds,
    /// It is encrypted.
    Encrypted,
}

/// What a lane had outstanding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) enum Work {
    /// Nothing was ever asked.
    Unused,
    /// The last answer ended.
    Answered,
    /// A request has no complete answer.
    Request,
    /// An attention was not acknowledged.
    Attention,
    /// The capture does not tell.
    Unknown(Doubt),
}

/// One session, or the connection without SMP.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct Lane<'a> {
    pub session: Option<&'a SessionRow>,
    /// Whether it is the last life of its Sid.
    pub last_life: bool,
    pub client_fin: Option<PduRow>,
    pub server_fin: Option<PduRow>,
    /// The last packet with TDS of each side in the file.
    pub last_data: PerSide<Option<PduRow>>,
    /// The last packet of the server that had reached the client when that closed.
    pub reached: Option<PduRow>,
    pub work: Work,
}

impl Lane<'_> {
    pub fn sid(&self) -> Option<Sid> {
        self.session.map(|s| s.sid)
    }

    /// `Sid 3`, or `the connection` where there is no SMP.
    pub fn name(&self) -> String {
        self.sid()
            .map_or_else(|| "the connection".to_owned(), |sid| format!("Sid {sid}"))
    }
}

/// What the judgement of a lane needs to know about the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds<'a> {
    /// Position in the server's stream that the closing segment of the client acknowledges.
    pub reached: Option<Pos>,
    /// The server's segment that ended the connection; what the client sends behind it was not outstanding then.
    pub ended_in: Option<FrameNo>,
    /// Scales of both streams.
    pub axes: &'a PerSide<Option<Axis>>,
    /// Hidden ranges of both sides.
    pub hidden: &'a PerSide<Vec<(Pos, Pos)>>,
    /// Ends of what was decoded of both sides.
    pub decoded_end: PerSide<Pos>,
    /// The packet that the client began with its last bytes, and did not send to its end.
    pub begun: Option<&'a PduRow>,
    /// Ends of what both sides are known to have sent.
    pub known_end: PerSide<Pos>,
    /// The file has the start of the connection.
    pub from_start: bool,
}

impl Bounds<'_> {
    /// The packet that the client began before the server ended the connection, and did not send to its end.
    fn begun_in_time(&self) -> Option<PduRow> {
        self.begun.copied().filter(|pdu| self.is_in_time(pdu))
    }

    /// Whether all that both sides are known to have sent is in the file and was read: then requests and answers were told
    /// apart without a doubt.
    fn hide_nothing(&self) -> bool {
        let read = |side: Side| {
            self.hidden.get(side).is_empty()
                && self.known_end.get(side) <= self.decoded_end.get(side)
        };
        self.from_start && Side::BOTH.into_iter().all(read)
    }

    /// Whether a packet of the client was sent before the server ended the connection.
    fn is_in_time(&self, pdu: &PduRow) -> bool {
        self.ended_in.is_none_or(|end| pdu.first_frame < end)
    }
}

/// The lanes of a connection: its sessions, or itself.
pub(super) fn read<'a>(
    store: &'a Store,
    conn: &'a ConnRow,
    sessions: &[Session<'a>],
    bounds: Bounds<'_>,
) -> Vec<Lane<'a>> {
    if conn.smp_seen {
        let lane = |session| session_lane(store, session, bounds);
        return sessions.iter().map(lane).collect();
    }
    vec![plain_lane(store, conn, bounds)]
}

fn session_lane<'a>(store: &Store, session: &Session<'a>, bounds: Bounds<'_>) -> Lane<'a> {
    let PerSide([client, server]) = &session.halves;
    let begun = bounds
        .begun_in_time()
        .filter(|pdu| pdu.session == Some(session.row.id));
    let whole = last_sent(chain_back(store, client.last_data), PduKind::Data, bounds);
    let asked = begun.filter(tells_what_it_is).or(whole);
    let answers = chain_back(store, server.last_data);
    let mut lane = Lane {
        session: Some(session.row),
        last_life: session.last_life,
        client_fin: client.fin,
        server_fin: server.fin,
        last_data: PerSide([asked, server.last_data]),
        reached: last_reached(answers, PduKind::Data, bounds.reached),
        work: Work::Unused,
    };
    let position = |pdu: Option<PduRow>| pdu.map(|pdu| pdu.pos);
    // Where no SMP:FIN of the server tells its last, the client may have left the end of the answer, in a hole.
    let behind = server.last_data.map_or(0, |pdu| end_of(&pdu));
    let in_hole = server.fin.is_none()
        && hides_data(bounds, Side::Server, behind)
        && may_have_reached(bounds, behind);
    let joined = Joined {
        later: position(whole) != position(client.last_data),
        whole: !bounds.from_start && answers_all_before(store, &lane, bounds),
    };
    lane.work = match session_work(store, &lane, session.row, joined, bounds) {
        Work::Request | Work::Attention if in_hole => Work::Unknown(Doubt::LastMissing),
        work => work,
    };
    // Behind its SMP:FIN a session sends nothing: what the client began there is of another one.
    let untold = bounds.begun_in_time().is_some_and(|pdu| {
        !tells_what_it_is(&pdu) && pdu.session.is_none_or(|id| id == session.row.id)
    });
    // Another request may have stood behind the one that is read.
    let cut = asked.as_ref().is_some_and(cut_in_packets);
    if cut && matches!(lane.work, Work::Answered) {
        lane.work = Work::Unknown(Doubt::HeaderCut);
    }
    // What the client sent behind the end was not outstanding then.
    let certain = !joined.later && bounds.hide_nothing();
    if certain && matches!(lane.work, Work::Answered | Work::Unused) {
        lane.work = still_open(session.row).unwrap_or(lane.work);
    }
    let open = session.last_life && lane.client_fin.is_none();
    if untold && open && matches!(lane.work, Work::Answered | Work::Unused) {
        lane.work = Work::Unknown(Doubt::HeaderCut);
    }
    lane
}

/// What was found outstanding on a session where its answers were read, whatever its last packet says: several messages
/// may share a DATA, and an answer may be to the request before the last.
fn still_open(session: &SessionRow) -> Option<Work> {
    if session.attention_outstanding {
        Some(Work::Attention)
    } else {
        (session.outstanding > 0).then_some(Work::Request)
    }
}

/// Whether the TDS header of a packet that was begun was read.
fn tells_what_it_is(pdu: &PduRow) -> bool {
    pdu.flags.has(PduFlags::TDS_HEADER)
}

/// What else the judgement of a session rests on.
#[derive(Debug, Clone, Copy)]
struct Joined {
    /// The client sent more behind the end, so that its SMP:FIN counts too much.
    later: bool,
    /// The file begins later, and the server's last packet was sent with all that the client had sent before that.
    whole: bool,
}

/// Whether the segment with the server's last packet acknowledges the client's stream up to where the file begins to
/// show it: what it does not acknowledge was sent later, and is missing from the file.
fn answers_all_before(store: &Store, lane: &Lane<'_>, bounds: Bounds<'_>) -> bool {
    let answer = *lane.last_data.get(Side::Server);
    let acknowledged = answer.and_then(|pdu| acknowledged_in(store, pdu.frame));
    let axis = *bounds.axes.get(Side::Client);
    acknowledged
        .zip(axis)
        .is_some_and(|(ack, axis)| axis.pos(ack) >= 0)
}

/// What a frame acknowledges.
fn acknowledged_in(store: &Store, frame: FrameNo) -> Option<TcpSeq> {
    let row = store.frame(frame)?;
    row.tcp_flags.ack().then_some(row.ack)
}

/// The last packet of a kind in a chain that was sent before the server ended the connection.
fn last_sent(
    chain: impl Iterator<Item = PduRow>,
    kind: PduKind,
    bounds: Bounds<'_>,
) -> Option<PduRow> {
    chain
        .filter(|pdu| pdu.kind == kind)
        .find(|pdu| bounds.is_in_time(pdu))
}

fn plain_lane<'a>(store: &'a Store, conn: &'a ConnRow, bounds: Bounds<'_>) -> Lane<'a> {
    let last = |side: Side| {
        let chain = store.plain_pdus_back(conn.id, conn.end_of(side));
        let whole = Bounds {
            ended_in: bounds.ended_in.filter(|_| side == Side::Client),
            ..bounds
        };
        last_sent(chain.map(|(_, pdu)| pdu), PduKind::Tds, whole)
    };
    let chain = store
        .plain_pdus_back(conn.id, conn.end_of(Side::Server))
        .map(|(_, pdu)| pdu);
    let begun = bounds.begun_in_time().filter(tells_what_it_is);
    let asked = begun.or_else(|| last(Side::Client));
    let mut lane = Lane {
        session: None,
        last_life: true,
        client_fin: None,
        server_fin: None,
        last_data: PerSide([asked, last(Side::Server)]),
        reached: last_reached(chain, PduKind::Tds, bounds.reached),
        work: Work::Unused,
    };
    // Bytes behind the last packet that are no TDS may be a request or part of an answer as well.
    let no_tds = |side: Side| {
        let head = *conn.last_plain_pdu.get(conn.end_of(side));
        conn.protocol == Protocol::Tds
            && head
                .and_then(|id| store.pdu(id))
                .is_some_and(|pdu| matches!(pdu.kind, PduKind::Unknown | PduKind::BadSmp))
    };
    lane.work = match plain_work(store, &lane, bounds) {
        Work::Answered | Work::Unused if Side::BOTH.into_iter().any(no_tds) => {
            Work::Unknown(Doubt::NotTds)
        }
        Work::Answered if bounds.hide_nothing() && has_open_request(store, conn, bounds) => {
            Work::Request
        }
        work => work,
    };
    lane
}

/// Whether one of the requests of a connection without SMP that were sent before its end has no complete answer: the
/// last answer may be to the request before.
fn has_open_request(store: &Store, conn: &ConnRow, bounds: Bounds<'_>) -> bool {
    let mut is_any = false;
    store.each_conn_request(conn.id, |request| {
        let in_time = bounds.ended_in.is_none_or(|end| request.first_frame < end);
        is_any |= in_time && request.end == RequestEnd::Outstanding;
    });
    is_any
}

/// The last packet of a kind that ends at or before what the client had.
fn last_reached(
    chain: impl Iterator<Item = PduRow>,
    kind: PduKind,
    reached: Option<Pos>,
) -> Option<PduRow> {
    chain
        .filter(|pdu| pdu.kind == kind)
        .find(|pdu| reached.is_none_or(|limit| end_of(pdu) <= limit))
}

/// Whether a packet of the server was sent when one of the client had begun to arrive, so that it may answer it: its
/// first segment acknowledges some of that. Where the two stand in the file tells less: they may have met on the way, or
/// been captured one before the other.
fn follows(store: &Store, answer: &PduRow, asked: &PduRow, bounds: Bounds<'_>) -> bool {
    let acknowledged = acknowledged_in(store, answer.first_frame);
    match acknowledged.zip(*bounds.axes.get(Side::Client)) {
        Some((ack, axis)) => axis.seq(start_of(asked)).before(ack),
        None => answer.first_frame > asked.first_frame,
    }
}

/// Whether an SMP:FIN tells of another last DATA than the one that the file has: what is the last is not known then.
fn misnumbered(last: Option<PduRow>, fin: Option<PduRow>) -> bool {
    last.zip(fin)
        .is_some_and(|(last, fin)| fin.seqnum.diff(last.seqnum) < 0)
}

/// Whether a SEQNUM that a FIN or window tells of lies behind the last DATA in the file.
fn missing_behind(last: Option<PduRow>, told: Option<SmpSeq>) -> bool {
    told.is_some_and(|told| told.diff(last.map_or(SmpSeq(0), |pdu| pdu.seqnum)) > 0)
}

/// Whether bytes of a side behind a position are not in the file and could be data.
fn hides_data(bounds: Bounds<'_>, side: Side, from: Pos) -> bool {
    let hidden = bounds
        .hidden
        .get(side)
        .iter()
        .any(|(pos, len)| pos.saturating_add(*len) > from && *len > super::streams::CONTROL);
    hidden || bounds.known_end.get(side) > bounds.decoded_end.get(side)
}

/// Whether bytes of the server behind a position that are not in the file, and could be data, may have reached the client
/// before it closed.
fn may_have_reached(bounds: Bounds<'_>, from: Pos) -> bool {
    let Some(reached) = bounds.reached else {
        return true;
    };
    let hidden = bounds.hidden.get(Side::Server).iter();
    let mut data = hidden.filter(|(_, len)| *len > super::streams::CONTROL);
    let unread = reached.saturating_sub(*bounds.decoded_end.get(Side::Server));
    data.any(|(pos, len)| *pos < reached && pos.saturating_add(*len) > from)
        || unread > super::streams::CONTROL
}

fn pending(asked: &PduRow) -> Work {
    if asked.tds_type == packet_type::ATTENTION && asked.flags.has(PduFlags::TDS_HEADER) {
        Work::Attention
    } else {
        Work::Request
    }
}

/// What the last answer says, given that nothing came behind it.
fn finished(lane: &Lane<'_>, asked: Option<PduRow>) -> Work {
    let Some(answer) = lane.reached else {
        return Work::Unknown(Doubt::LastMissing);
    };
    let attention = asked.is_some_and(|pdu| {
        pdu.tds_type == packet_type::ATTENTION && pdu.flags.has(PduFlags::TDS_HEADER)
    });
    if answer.flags.has(PduFlags::TDS_HEADER) && answer.tds_type != packet_type::TABULAR_RESULT {
        return Work::Request;
    }
    match answer_end(&answer) {
        AnswerEnd::No if attention => Work::Attention,
        AnswerEnd::No => Work::Request,
        AnswerEnd::HeaderCut => Work::Unknown(Doubt::HeaderCut),
        AnswerEnd::DoneCut => Work::Unknown(Doubt::DoneCut),
        AnswerEnd::Yes {
            attention: acknowledged,
            done_read,
        } => match (attention, acknowledged, done_read) {
            (false, ..) | (true, true, _) => Work::Answered,
            (true, false, true) => Work::Attention,
            (true, false, false) => Work::Unknown(Doubt::DoneCut),
        },
    }
}

/// The same without SMP: no SEQNUM proves anything, so every byte behind the last packet must be in the file.
fn plain_work(store: &Store, lane: &Lane<'_>, bounds: Bounds<'_>) -> Work {
    let asked = *lane.last_data.get(Side::Client);
    let answered = *lane.last_data.get(Side::Server);
    let lost = |side: Side, last: Option<PduRow>| {
        let from = last.map_or(0, |pdu| end_of(&pdu));
        bounds
            .hidden
            .get(side)
            .iter()
            .any(|(pos, len)| pos.saturating_add(*len) > from)
            || bounds.known_end.get(side) > bounds.decoded_end.get(side)
    };
    // What had not reached the client when it closed ends no answer.
    let lost_in_reach = |last: Option<PduRow>| {
        let from = last.map_or(0, |pdu| end_of(&pdu));
        let hidden = bounds.hidden.get(Side::Server).iter();
        let decoded = *bounds.decoded_end.get(Side::Server);
        bounds.reached.map_or_else(
            || lost(Side::Server, last),
            |limit| {
                let mut in_reach = hidden.filter(|(pos, _)| *pos < limit);
                in_reach.any(|(pos, len)| pos.saturating_add(*len) > from) || limit > decoded
            },
        )
    };
    if lost(Side::Client, asked) {
        return Work::Unknown(Doubt::LastMissing);
    }
    let Some(asked) = asked else {
        return match answered {
            _ if !bounds.from_start => Work::Unknown(Doubt::LastMissing),
            Some(_) => finished(lane, None),
            None => Work::Unused,
        };
    };
    let login = matches!(
        asked.tds_type,
        packet_type::LOGIN_OLD
            | packet_type::FED_AUTH
            | packet_type::LOGIN7
            | packet_type::SSPI
            | packet_type::PRELOGIN
    );
    if login && asked.flags.has(PduFlags::TDS_HEADER) {
        return Work::Unused;
    }
    match lane.reached {
        Some(answer) if follows(store, &answer, &asked, bounds) => {
            if matches!(answer_end(&answer), AnswerEnd::No) {
                // It goes on, and what cannot be read of it may be its end.
                return if lost_in_reach(Some(answer)) {
                    Work::Unknown(Doubt::LastMissing)
                } else {
                    pending(&asked)
                };
            }
            let late_visible = answered.is_some_and(|last| start_of(&last) > start_of(&answer));
            if lost(Side::Server, answered) && !late_visible {
                // More came that is no whole packet: another answer may have begun.
                return Work::Unknown(Doubt::LastMissing);
            }
            finished(lane, Some(asked))
        }
        _ if lost_in_reach(lane.reached)
            && answered.is_none_or(|last| !follows(store, &last, &asked, bounds)) =>
        {
            Work::Unknown(Doubt::LastMissing)
        }
        _ => pending(&asked),
    }
}

/// The frames that a lane's state rests on.
pub(in crate::rules) fn frames_of(lane: &Lane<'_>) -> impl Iterator<Item = FrameNo> {
    let asked = lane.last_data.get(Side::Client).map(|pdu| pdu.frame);
    asked.into_iter().chain(lane.reached.map(|pdu| pdu.frame))
}
