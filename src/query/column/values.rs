//! The values that a frame or a PDU has in a column.

use std::net::IpAddr;

use super::{AddrCol, FrameCol, PduCol};
use crate::store::{
    ConnRow, FrameFlags, FrameRow, PduFlags, PduKind, PduRow, Phase, PhaseRow, Store, TcpFlags,
    relative_seq,
};
use crate::units::{ConnId, End, FrameNo, Nanos, PerEnd, Side, TcpSeq};

/// What the columns of frames need to know of a connection.
#[derive(Clone, Copy)]
pub(in crate::query) struct Brief<'a> {
    ports: PerEnd<u16>,
    client: End,
    first_time: Nanos,
    /// As in [`ConnRow::base_seq`].
    bases: PerEnd<Option<TcpSeq>>,
    phases: &'a [PhaseRow],
}

impl<'a> Brief<'a> {
    pub(in crate::query) fn of(conn: &'a ConnRow) -> Self {
        let [a, b] = [End::A, End::B].map(|end| conn.ends.get(end).port);
        Self {
            ports: PerEnd([a, b]),
            client: conn.client,
            first_time: conn.first_time,
            bases: conn.base_seq,
            phases: &conn.phases,
        }
    }

    /// A sequence number as Wireshark counts: 0 at the SYN, 1 at the first byte.
    fn relative(&self, raw: TcpSeq, end: End) -> i64 {
        relative_seq(*self.bases.get(end), raw).map_or(1, i64::from)
    }
}

/// Where the columns of frames get their connections from.
pub(in crate::query) trait Conns {
    fn brief(&self, conn: ConnId) -> Option<Brief<'_>>;
}

impl Conns for Store {
    fn brief(&self, conn: ConnId) -> Option<Brief<'_>> {
        self.conn(conn).map(Brief::of)
    }
}

/// All connections in little room, so that a scan finds them in the processor's cache.
#[derive(Debug, Clone, Default)]
pub(in crate::query) struct ConnTable {
    rows: Vec<ConnFacts>,
    phases: Vec<PhaseRow>,
}

#[derive(Debug, Clone, Copy)]
struct ConnFacts {
    ports: PerEnd<u16>,
    client: End,
    first_time: Nanos,
    bases: PerEnd<Option<TcpSeq>>,
    first_phase: u32,
    phases: u32,
}

impl ConnTable {
    pub(in crate::query) fn of(store: &Store) -> Self {
        let mut phases = Vec::new();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let rows = store.conns().iter().map(|conn| {
            let brief = Brief::of(conn);
            let first_phase = count(phases.len());
            phases.extend_from_slice(brief.phases);
            ConnFacts {
                ports: brief.ports,
                client: brief.client,
                first_time: brief.first_time,
                bases: brief.bases,
                first_phase,
                phases: count(brief.phases.len()),
            }
        });
        let rows = rows.collect();
        Self { rows, phases }
    }
}

impl Conns for ConnTable {
    #[inline]
    fn brief(&self, conn: ConnId) -> Option<Brief<'_>> {
        let facts = self.rows.get(conn.index())?;
        let from = usize::try_from(facts.first_phase).ok()?;
        let len = usize::try_from(facts.phases).ok()?;
        let phases = self.phases.get(from..from.saturating_add(len));
        Some(Brief {
            ports: facts.ports,
            client: facts.client,
            first_time: facts.first_time,
            bases: facts.bases,
            phases: phases.unwrap_or_default(),
        })
    }
}

/// A frame's row with what its columns need besides.
#[derive(Clone, Copy)]
pub(in crate::query) struct FrameAt<'a, C> {
    pub(in crate::query) store: &'a Store,
    pub(in crate::query) conns: &'a C,
    pub(in crate::query) no: FrameNo,
    pub(in crate::query) row: FrameRow,
    /// Time of the frame before, in nanoseconds.
    pub(in crate::query) before: Option<i64>,
    /// Time of the first frame, in nanoseconds.
    pub(in crate::query) start: i64,
}

impl<'a> FrameAt<'a, Store> {
    pub(in crate::query) fn new(store: &'a Store, no: FrameNo) -> Option<Self> {
        let row = store.frame(no)?;
        let before = no.0.checked_sub(1).and_then(|n| store.frame(FrameNo(n)));
        Some(Self {
            store,
            conns: store,
            no,
            row,
            before: before.map(|f| f.time.0),
            start: store.start_time().map_or(0, |t| t.0),
        })
    }
}

/// Calls `f` with each value that a frame has in a column.
#[expect(
    clippy::inline_always,
    reason = "with a constant column only that column's arm is left in a scan's loop"
)]
#[inline(always)]
pub(in crate::query) fn frame_each<C: Conns>(
    column: FrameCol,
    at: &FrameAt<'_, C>,
    f: &mut impl FnMut(i64),
) {
    let row = at.row;
    let tcp = row.is_tcp();
    let ip6 = row.flags.has(FrameFlags::IPV6);
    let mut num = |n: u32| f(i64::from(n));
    match column {
        FrameCol::Number => num(at.no.0),
        FrameCol::Time | FrameCol::Epoch => f(row.time.0),
        FrameCol::Relative => f(row.time.0.saturating_sub(at.start)),
        // While frames are being asked, none is hidden yet: the frame shown before is the one captured before.
        FrameCol::TimeDelta | FrameCol::TimeDeltaShown | FrameCol::Delta => {
            f(at.before.map_or(0, |b| row.time.0.saturating_sub(b)));
        }
        FrameCol::Len => num(row.wire),
        FrameCol::CapLen => num(row.captured),
        FrameCol::Interface => num(row.interface.0),
        FrameCol::Offset => f(i64::try_from(row.offset.0).unwrap_or(i64::MAX)),
        FrameCol::Ip4 if !row.flags.has(FrameFlags::NOT_IP) && !ip6 => f(1),
        FrameCol::Ip6 if !row.flags.has(FrameFlags::NOT_IP) && ip6 => f(1),
        FrameCol::Ttl if tcp && !ip6 => num(u32::from(row.ttl)),
        FrameCol::HopLimit if tcp && ip6 => num(u32::from(row.ttl)),
        FrameCol::IpId if tcp && !ip6 => num(u32::from(row.ip_id)),
        _ if !tcp => {}
        FrameCol::Tcp => f(1),
        FrameCol::TcpLen => num(row.payload_len),
        FrameCol::SeqRaw => num(row.seq.0),
        FrameCol::AckRaw => num(row.ack.0),
        FrameCol::Flags => num(u32::from(row.tcp_flags.0)),
        FrameCol::FlagAe => f(i64::from(row.tcp_flags.has(TcpFlags(0x100)))),
        FrameCol::FlagCwr => f(i64::from(row.tcp_flags.has(TcpFlags(0x80)))),
        FrameCol::FlagEce => f(i64::from(row.tcp_flags.has(TcpFlags(0x40)))),
        FrameCol::FlagUrg => f(i64::from(row.tcp_flags.has(TcpFlags(0x20)))),
        FrameCol::FlagAck => f(i64::from(row.tcp_flags.ack())),
        FrameCol::FlagPush => f(i64::from(row.tcp_flags.has(TcpFlags::PSH))),
        FrameCol::FlagReset => f(i64::from(row.tcp_flags.rst())),
        FrameCol::FlagSyn => f(i64::from(row.tcp_flags.syn())),
        FrameCol::FlagFin => f(i64::from(row.tcp_flags.fin())),
        FrameCol::Window => num(u32::from(row.window)),
        FrameCol::Retransmission if row.was_seen_before() => f(1),
        FrameCol::OutOfOrder if row.flags.has(FrameFlags::OUT_OF_ORDER) => f(1),
        FrameCol::AckLostSegment if row.flags.has(FrameFlags::GAP_BEFORE) => f(1),
        FrameCol::KeepAlive if row.flags.has_any(FrameFlags::PROBE) => f(1),
        FrameCol::KeepAliveAck if row.flags.has(FrameFlags::KEEPALIVE_ANSWER) => f(1),
        FrameCol::ZeroWindow if row.flags.has(FrameFlags::ZERO_WINDOW) => f(1),
        FrameCol::ChecksumStatus => f(checksum_status(row.flags)),
        FrameCol::Stream | FrameCol::Conn => {
            if let Some(conn) = row.conn {
                num(conn.0);
            }
        }
        _ => {
            if let Some(conn) = row.conn.and_then(|conn| at.conns.brief(conn)) {
                of_conn(column, at, &conn, f);
            }
        }
    }
}

/// Wireshark's codes: 0 bad, 1 good, 2 not verified.
fn checksum_status(flags: FrameFlags) -> i64 {
    if flags.has(FrameFlags::BAD_CHECKSUM) {
        0
    } else if flags.has(FrameFlags::GOOD_CHECKSUM) {
        1
    } else {
        2
    }
}

/// Columns that rest on the connection.
#[expect(
    clippy::inline_always,
    reason = "with a constant column only that column's arm is left in a scan's loop"
)]
#[inline(always)]
fn of_conn<C>(column: FrameCol, at: &FrameAt<'_, C>, conn: &Brief<'_>, f: &mut impl FnMut(i64)) {
    let row = at.row;
    let end = row.end();
    match column {
        FrameCol::SrcPort | FrameCol::DstPort | FrameCol::Port | FrameCol::Side => {
            of_sender(column, conn, end, f);
        }
        FrameCol::Seq => f(conn.relative(row.seq, end)),
        FrameCol::NextSeq => f(conn.relative(row.next_seq(), end)),
        FrameCol::Ack if row.tcp_flags.ack() => f(conn.relative(row.ack, end.other())),
        FrameCol::Ack => f(i64::from(row.ack.0)),
        FrameCol::TcpTime => f(row.time.since(conn.first_time)),
        FrameCol::TcpDelta | FrameCol::DeltaConn => {
            let before = row.prev.and_then(|no| at.store.time_of(no));
            f(before.map_or(0, |before| row.time.since(before)));
        }
        FrameCol::Phase => {
            let reached = conn.phases.iter().rev().find(|p| p.frame <= at.no);
            if let Some(phase) = reached {
                f(phase_code(phase.phase));
            }
        }
        _ => {}
    }
}

/// Columns that are the same for all frames of an end of a connection.
#[inline]
pub(in crate::query) fn of_sender(
    column: FrameCol,
    conn: &Brief<'_>,
    end: End,
    f: &mut impl FnMut(i64),
) {
    let port = |end: End| i64::from(*conn.ports.get(end));
    match column {
        FrameCol::SrcPort => f(port(end)),
        FrameCol::DstPort => f(port(end.other())),
        FrameCol::Port => {
            f(port(end));
            f(port(end.other()));
        }
        FrameCol::Side => f(i64::from(end != conn.client)),
        _ => {}
    }
}

fn side_code(side: Side) -> i64 {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

fn phase_code(phase: Phase) -> i64 {
    match phase {
        Phase::Connect => 0,
        Phase::Prelogin => 1,
        Phase::Tls => 2,
        Phase::Login => 3,
        Phase::SessionOpen => 4,
        Phase::Commands => 5,
        Phase::SessionClosed => 6,
        Phase::Closing => 7,
        Phase::Reset => 8,
        Phase::Encrypted => 9,
    }
}

/// The value that a PDU has in a column.
#[expect(
    clippy::inline_always,
    reason = "with a constant column only that column's arm is left in a scan's loop"
)]
#[inline(always)]
pub(in crate::query) fn pdu_value(column: PduCol, store: &Store, pdu: &PduRow) -> Option<i64> {
    let flag = |bit: u8| Some(i64::from(pdu.tds_status & bit != 0));
    let smp_flags = match pdu.kind {
        PduKind::Syn => Some(1),
        PduKind::Ack => Some(2),
        PduKind::Fin => Some(4),
        PduKind::Data => Some(8),
        PduKind::BadSmp => Some(pdu.tds_type),
        _ => None,
    };
    let smp = || smp_flags.map(i64::from);
    let smp_bit = |bit: u8| smp_flags.map(|f| i64::from(f & bit != 0));
    let tds = pdu.carries_tds();
    match column {
        PduCol::Smp => smp().map(|_| 1),
        PduCol::Smid => smp().map(|_| 0x53),
        PduCol::Flags => smp(),
        PduCol::Syn => smp_bit(1),
        PduCol::Ack => smp_bit(2),
        PduCol::Fin => smp_bit(4),
        PduCol::Data => smp_bit(8),
        PduCol::Sid => smp().map(|_| i64::from(pdu.sid.0)),
        PduCol::Length => smp().map(|_| i64::from(pdu.len)),
        PduCol::Seqnum | PduCol::Seq => smp().map(|_| i64::from(pdu.seqnum.0)),
        PduCol::Wndw | PduCol::Wnd => smp().map(|_| i64::from(pdu.wndw.0)),
        PduCol::Life | PduCol::Incarnation => {
            let session = store.session(pdu.session?)?;
            Some(i64::from(session.life))
        }
        PduCol::Dir => {
            smp()?;
            Some(side_code(store.pdu_side(pdu)?))
        }
        _ if !tds => None,
        PduCol::Tds => Some(1),
        PduCol::TdsType => Some(i64::from(pdu.tds_type)),
        PduCol::Status => Some(i64::from(pdu.tds_status)),
        PduCol::Eom => flag(0x01),
        PduCol::Ignore => flag(0x02),
        PduCol::EventNotif => flag(0x04),
        PduCol::ResetConn => flag(0x08),
        PduCol::ResetSkip => flag(0x10),
        PduCol::TdsLength => Some(i64::from(pdu.len.saturating_sub(pdu.smp_header_len()))),
    }
}

/// The kind of a PDU as a code of `kind`.
#[inline]
pub(in crate::query) fn pdu_kind(pdu: &PduRow) -> i64 {
    match pdu.kind {
        PduKind::Syn => 0,
        PduKind::Ack => 1,
        PduKind::Fin => 2,
        PduKind::Data => 3,
        PduKind::Tds => 8,
        PduKind::Tls => 9,
        PduKind::Hidden => 10,
        PduKind::Unknown if pdu.flags.has(PduFlags::UNFINISHED) => 13,
        PduKind::BadSmp | PduKind::Unknown => 12,
    }
}

/// The kinds that a frame has by itself, as codes of `kind`; `bare` if no PDU is completed in it.
#[inline]
pub(in crate::query) fn frame_kinds(row: &FrameRow, bare: bool, f: &mut impl FnMut(i64)) {
    let flags = row.tcp_flags;
    if row.is_tcp() {
        if flags.rst() {
            f(7);
        }
        if flags.syn() {
            f(4);
        }
        if flags.fin() {
            f(6);
        }
        if !flags.rst() && !flags.syn() && !flags.fin() && row.payload_len == 0 {
            f(5);
        }
        if bare && row.payload_len > 0 {
            f(13);
        }
    } else {
        f(other_kind(row.flags));
    }
    if row.flags.has(FrameFlags::CUT) {
        f(11);
    }
    if row.flags.has(FrameFlags::BAD) {
        f(12);
    }
}

/// The kind of a frame that holds no TCP segment.
fn other_kind(flags: FrameFlags) -> i64 {
    if flags.has(FrameFlags::UDP) {
        14
    } else if flags.has(FrameFlags::FRAGMENT) {
        15
    } else if flags.has(FrameFlags::NOT_IP) {
        16
    } else {
        17
    }
}

/// Calls `f` with each address of a column, for a frame sent by one end of a connection.
pub(in crate::query) fn addr_each(
    column: AddrCol,
    conn: &ConnRow,
    sender: End,
    f: &mut impl FnMut(IpAddr),
) {
    let source = conn.ends.get(sender).ip;
    let target = conn.ends.get(sender.other()).ip;
    let six = matches!(column, AddrCol::Src6 | AddrCol::Dst6 | AddrCol::Any6);
    if source.is_ipv6() != six && column != AddrCol::Host {
        return;
    }
    if !matches!(column, AddrCol::Dst | AddrCol::Dst6) {
        f(source);
    }
    if !matches!(column, AddrCol::Src | AddrCol::Src6) {
        f(target);
    }
}

/// Whether a PDU may hold decoded TDS fields.
#[inline]
pub(in crate::query) fn may_hold_tds(pdu: &PduRow) -> bool {
    pdu.carries_tds() && !pdu.flags.has(PduFlags::WRAPPED_TLS)
}
