//! The columns of the store under the names of fields: what can be answered without reading the file.

use std::net::IpAddr;

use crate::store::{
    ConnRow, FrameFlags, FrameRow, PduFlags, PduKind, PduRow, Phase, Store, TcpFlags,
};
use crate::units::{End, FrameNo, Side, TcpSeq};

/// Codes with their words; a code may have several words.
pub(super) type Words = &'static [(i64, &'static str)];

/// Where a column's values lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    /// In the frame's own row (and its connection's).
    Frame(FrameCol),
    /// In the rows of the PDUs that are completed in the frame.
    Pdu(PduCol),
    /// Addresses of the frame's connection.
    Addr(AddrCol),
    /// In frame and PDUs both.
    Kind,
    /// Bytes of the PDUs, or of the TCP payload where none is completed.
    Size,
    /// On few frames: findings, broken checks, requests.
    Sparse(SparseCol),
    /// Marks and the like, which are the user's.
    User(UserCol),
}

macro_rules! columns {
    (scanned $(#[$doc:meta])* $name:ident, $($variant:ident $field:literal),* $(,)?) => {
        columns!($(#[$doc])* $name, $($variant $field),*);

        impl $name {
            /// Calls `f` with the column as a constant, so that a loop inside is compiled for each column.
            #[inline]
            pub(super) fn with<R>(self, f: &mut impl Each<Self, R>) -> R {
                match self { $(Self::$variant => f.run(|| Self::$variant)),* }
            }
        }
    };
    ($(#[$doc:meta])* $name:ident, $($variant:ident $field:literal),* $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum $name { $($variant),* }

        impl $name {
            pub(super) const ALL: &'static [(&'static str, Self)] = &[$(($field, Self::$variant)),*];
        }
    };
}

/// Work that is compiled once for each column.
pub(super) trait Each<C, R> {
    fn run(&mut self, column: impl Fn() -> C + Copy) -> R;
}

columns!(
    scanned
    /// Columns of frames; several fields may be one column.
    FrameCol,
    Number "frame.number",
    Time "frame.time",
    Epoch "frame.time_epoch",
    Relative "frame.time_relative",
    TimeDelta "frame.time_delta",
    TimeDeltaShown "frame.time_delta_displayed",
    Delta "delta",
    DeltaConn "delta.conn",
    Len "frame.len",
    CapLen "frame.cap_len",
    Interface "frame.interface_id",
    Offset "frame.file_off",
    Ip4 "ip",
    Ip6 "ipv6",
    Tcp "tcp",
    Ttl "ip.ttl",
    HopLimit "ipv6.hlim",
    IpId "ip.id",
    SrcPort "tcp.srcport",
    DstPort "tcp.dstport",
    Port "tcp.port",
    Stream "tcp.stream",
    Conn "conn",
    TcpLen "tcp.len",
    Seq "tcp.seq",
    SeqRaw "tcp.seq_raw",
    NextSeq "tcp.nxtseq",
    Ack "tcp.ack",
    AckRaw "tcp.ack_raw",
    Flags "tcp.flags",
    FlagAe "tcp.flags.ae",
    FlagCwr "tcp.flags.cwr",
    FlagEce "tcp.flags.ece",
    FlagUrg "tcp.flags.urg",
    FlagAck "tcp.flags.ack",
    FlagPush "tcp.flags.push",
    FlagReset "tcp.flags.reset",
    FlagSyn "tcp.flags.syn",
    FlagFin "tcp.flags.fin",
    Window "tcp.window_size_value",
    TcpTime "tcp.time_relative",
    TcpDelta "tcp.time_delta",
    Retransmission "tcp.analysis.retransmission",
    OutOfOrder "tcp.analysis.out_of_order",
    LostSegment "tcp.analysis.lost_segment",
    KeepAlive "tcp.analysis.keep_alive",
    KeepAliveAck "tcp.analysis.keep_alive_ack",
    ZeroWindow "tcp.analysis.zero_window",
    ChecksumStatus "tcp.checksum.status",
    Side "side",
    Phase "phase",
);

columns!(
    scanned
    /// Columns of PDUs.
    PduCol,
    Smp "smp",
    Smid "smp.smid",
    Flags "smp.flags",
    Syn "smp.flags.syn",
    Ack "smp.flags.ack",
    Fin "smp.flags.fin",
    Data "smp.flags.data",
    Sid "smp.sid",
    OwnSid "sid",
    Length "smp.length",
    Seqnum "smp.seqnum",
    Wndw "smp.wndw",
    Seq "seq",
    Wnd "wnd",
    Life "life",
    Incarnation "smp.incarnation",
    Dir "smp.dir",
    Tds "tds",
    TdsType "tds.type",
    Status "tds.status",
    Eom "tds.status.eom",
    Ignore "tds.status.ignore",
    EventNotif "tds.status.event_notif",
    ResetConn "tds.status.reset_conn",
    ResetSkip "tds.status.reset_conn_skip_tran",
    TdsLength "tds.length",
);

columns!(
    /// Columns of addresses.
    AddrCol,
    Src "ip.src",
    Dst "ip.dst",
    Any "ip.addr",
    Host "ip.host",
    Src6 "ipv6.src",
    Dst6 "ipv6.dst",
    Any6 "ipv6.addr",
);

columns!(
    /// Columns that few frames have, or that need a walk over all of them.
    SparseCol,
    Finding "finding",
    Verdict "verdict",
    Analysis "smp.analysis",
    CheckId "smp.analysis.id",
    Severity "smp.analysis.severity",
    DeltaSid "delta.sid",
    Request "request",
    Duration "request.duration",
    FirstByte "request.first_byte",
    ResponseTime "tds.response_time",
    Rows "request.rows",
    RequestEnd "request.end",
    RequestIn "tds.request_in",
    ResponseIn "tds.response_in",
);

columns!(
    /// Columns of what the user did.
    UserCol,
    Marked "marked",
    FrameMarked "frame.marked",
    Ignored "ignored",
    FrameIgnored "frame.ignored",
);

/// The column with a field's name.
pub(super) fn find(name: &str) -> Option<Column> {
    fn in_table<C: Copy>(table: &[(&str, C)], name: &str) -> Option<C> {
        table.iter().find(|(n, _)| *n == name).map(|(_, c)| *c)
    }
    match name {
        "kind" => return Some(Column::Kind),
        "len" => return Some(Column::Size),
        _ => {}
    }
    in_table(FrameCol::ALL, name)
        .map(Column::Frame)
        .or_else(|| in_table(PduCol::ALL, name).map(Column::Pdu))
        .or_else(|| in_table(AddrCol::ALL, name).map(Column::Addr))
        .or_else(|| in_table(SparseCol::ALL, name).map(Column::Sparse))
        .or_else(|| in_table(UserCol::ALL, name).map(Column::User))
}

/// The words of the columns whose values are codes of our own.
pub(super) fn words(column: Column) -> Words {
    match column {
        Column::Kind => KINDS,
        Column::Frame(FrameCol::Side) => &[(0, "client"), (1, "server")],
        Column::Pdu(PduCol::Dir) => &[
            (0, "C→S"),
            (1, "S→C"),
            (0, "client"),
            (1, "server"),
            (0, "c2s"),
            (1, "s2c"),
        ],
        Column::Frame(FrameCol::Phase) => PHASES,
        Column::Sparse(SparseCol::Verdict) => &[
            (0, "Benign"),
            (1, "Normal"),
            (2, "LikelyBenign"),
            (3, "Notice"),
            (4, "Fault"),
            (5, "Undecided"),
        ],
        Column::Sparse(SparseCol::Severity) => &[(0, "note"), (1, "warn"), (2, "error")],
        Column::Sparse(SparseCol::CheckId) => CHECKS,
        Column::Sparse(SparseCol::RequestEnd) => &[
            (0, "done"),
            (1, "error"),
            (2, "attention"),
            (3, "outstanding"),
            (4, "unknown"),
        ],
        _ => &[],
    }
}

const KINDS: Words = &[
    (0, "SYN"),
    (1, "ACK"),
    (2, "FIN"),
    (3, "DATA"),
    (4, "T.SYN"),
    (5, "T.ACK"),
    (6, "T.FIN"),
    (7, "T.RST"),
    (8, "TDS"),
    (9, "TLS"),
    (10, "GAP"),
    (11, "CUT"),
    (12, "BAD"),
    (13, "part"),
    (7, "RST"),
];

const PHASES: Words = &[
    (0, "connect"),
    (1, "prelogin"),
    (2, "tls"),
    (3, "login"),
    (4, "session-open"),
    (5, "commands"),
    (6, "session-closed"),
    (7, "closing"),
    (8, "reset"),
];

pub(super) const CHECKS: Words = &[
    (0, "H1"),
    (1, "H2"),
    (2, "H3"),
    (3, "H4"),
    (4, "H5"),
    (5, "H6"),
    (6, "S1"),
    (7, "S2"),
    (8, "S3"),
    (9, "S4"),
    (10, "S5"),
    (11, "S6"),
    (12, "S7"),
    (13, "Q1"),
    (14, "Q2"),
    (15, "Q3"),
    (16, "Q4"),
    (17, "W1"),
    (18, "W2"),
    (19, "W3"),
    (20, "W4"),
    (21, "W5"),
    (22, "W6"),
    (23, "F1"),
    (24, "F2"),
    (25, "F3"),
    (26, "F4"),
    (27, "F5"),
    (28, "F6"),
    (29, "F7"),
    (30, "P1"),
    (31, "P2"),
    (32, "P3"),
    (33, "M1"),
];

/// A frame's row with what its columns need besides.
#[derive(Clone, Copy)]
pub(super) struct FrameAt<'a> {
    pub(super) store: &'a Store,
    pub(super) no: FrameNo,
    pub(super) row: FrameRow,
    /// Time of the frame before, in nanoseconds.
    pub(super) before: Option<i64>,
    /// Time of the first frame, in nanoseconds.
    pub(super) start: i64,
}

impl<'a> FrameAt<'a> {
    pub(super) fn new(store: &'a Store, no: FrameNo) -> Option<Self> {
        let row = store.frame(no)?;
        let before = no.0.checked_sub(1).and_then(|n| store.frame(FrameNo(n)));
        Some(Self {
            store,
            no,
            row,
            before: before.map(|f| f.time.0),
            start: store.start_time().map_or(0, |t| t.0),
        })
    }

    fn conn(&self) -> Option<&'a ConnRow> {
        self.store.conn(self.row.conn?)
    }
}

/// Calls `f` with each value that a frame has in a column.
#[expect(
    clippy::inline_always,
    reason = "with a constant column only that column's arm is left in a scan's loop"
)]
#[inline(always)]
pub(super) fn frame_each(column: FrameCol, at: &FrameAt<'_>, f: &mut impl FnMut(i64)) {
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
        FrameCol::Retransmission if row.flags.has(FrameFlags::RETRANSMISSION) => f(1),
        FrameCol::OutOfOrder if row.flags.has(FrameFlags::OUT_OF_ORDER) => f(1),
        FrameCol::LostSegment if row.flags.has(FrameFlags::GAP_BEFORE) => f(1),
        FrameCol::KeepAlive if row.flags.has(FrameFlags::KEEPALIVE) => f(1),
        FrameCol::KeepAliveAck if row.flags.has(FrameFlags::KEEPALIVE_ANSWER) => f(1),
        FrameCol::ZeroWindow if row.flags.has(FrameFlags::ZERO_WINDOW) => f(1),
        FrameCol::ChecksumStatus => f(checksum_status(row.flags)),
        FrameCol::Stream | FrameCol::Conn => {
            if let Some(conn) = row.conn {
                num(conn.0);
            }
        }
        _ => {
            if let Some(conn) = at.conn() {
                of_conn(column, at, conn, f);
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
fn of_conn(column: FrameCol, at: &FrameAt<'_>, conn: &ConnRow, f: &mut impl FnMut(i64)) {
    let row = at.row;
    let end = row.end();
    let port = |end: End| i64::from(conn.ends.get(end).port);
    match column {
        FrameCol::SrcPort => f(port(end)),
        FrameCol::DstPort => f(port(end.other())),
        FrameCol::Port => {
            f(port(end));
            f(port(end.other()));
        }
        FrameCol::Seq => f(relative(row.seq.0, conn, end)),
        FrameCol::NextSeq => f(relative(row.next_seq().0, conn, end)),
        FrameCol::Ack if row.tcp_flags.ack() => f(relative(row.ack.0, conn, end.other())),
        FrameCol::Ack => f(i64::from(row.ack.0)),
        FrameCol::TcpTime => f(row.time.since(conn.first_time)),
        FrameCol::TcpDelta | FrameCol::DeltaConn => {
            let before = row.prev.and_then(|no| at.store.frame(no));
            f(before.map_or(0, |b| row.time.since(b.time)));
        }
        FrameCol::Side => f(side_code(conn.side_of(end))),
        FrameCol::Phase => {
            let reached = conn.phases.iter().rev().find(|p| p.frame <= at.no);
            if let Some(phase) = reached {
                f(phase_code(phase.phase));
            }
        }
        _ => {}
    }
}

/// A sequence number as Wireshark counts: 0 at the SYN, 1 at the first byte.
fn relative(raw: u32, conn: &ConnRow, end: End) -> i64 {
    conn.relative_seq(end, TcpSeq(raw)).map_or(1, i64::from)
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
    }
}

/// The value that a PDU has in a column.
#[expect(
    clippy::inline_always,
    reason = "with a constant column only that column's arm is left in a scan's loop"
)]
#[inline(always)]
pub(super) fn pdu_value(column: PduCol, store: &Store, pdu: &PduRow) -> Option<i64> {
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
        PduCol::Sid | PduCol::OwnSid => smp().map(|_| i64::from(pdu.sid.0)),
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
pub(super) fn pdu_kind(pdu: &PduRow) -> i64 {
    match pdu.kind {
        PduKind::Syn => 0,
        PduKind::Ack => 1,
        PduKind::Fin => 2,
        PduKind::Data => 3,
        PduKind::Tds => 8,
        PduKind::Tls => 9,
        PduKind::Hidden => 10,
        PduKind::BadSmp | PduKind::Unknown => 12,
    }
}

/// The kinds that a frame has by itself, as codes of `kind`; `bare` if no PDU is completed in it.
#[inline]
pub(super) fn frame_kinds(row: &FrameRow, bare: bool, f: &mut impl FnMut(i64)) {
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
    }
    if row.flags.has(FrameFlags::CUT) {
        f(11);
    }
    if row.flags.has(FrameFlags::BAD) {
        f(12);
    }
}

/// Calls `f` with each address of a column, for a frame sent by one end of a connection.
pub(super) fn addr_each(column: AddrCol, conn: &ConnRow, sender: End, f: &mut impl FnMut(IpAddr)) {
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
pub(super) fn may_hold_tds(pdu: &PduRow) -> bool {
    pdu.carries_tds() && !pdu.flags.has(PduFlags::WRAPPED_TLS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::registry;

    #[test]
    fn every_column_is_a_field_of_the_registry_or_a_protocol() {
        let names = FrameCol::ALL
            .iter()
            .map(|(n, _)| *n)
            .chain(PduCol::ALL.iter().map(|(n, _)| *n))
            .chain(AddrCol::ALL.iter().map(|(n, _)| *n))
            .chain(SparseCol::ALL.iter().map(|(n, _)| *n))
            .chain(UserCol::ALL.iter().map(|(n, _)| *n));
        let extra = ["ip", "ipv6", "tcp", "smp", "tds", "ignored"];
        let unknown: Vec<_> = names
            .filter(|n| registry::find(n).is_none() && !extra.contains(n))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
