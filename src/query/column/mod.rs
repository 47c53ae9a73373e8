//! The columns of the store under the names of fields, and the words of their codes: what can be answered without
//! reading the file.

mod values;

pub(super) use values::{
    Brief, ConnTable, FrameAt, addr_each, frame_each, frame_kinds, may_hold_tds, of_sender,
    pdu_kind, pdu_value,
};

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
    /// On few frames, or told by no row of its own: findings, broken checks, requests, the Sid of each part of a packet.
    Sparse(SparseCol),
    /// Marks and the like, which are the user's.
    User(UserCol),
}

macro_rules! columns {
    (scanned $(#[$doc:meta])* $name:ident, $($variant:ident $field:literal),* $(,)?) => {
        columns!($(#[$doc])* $name, $($variant $field),*);

        impl $name {
            /// Calls `f` with the column as a constant, so that a loop inside is compiled for each column.
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
    AckLostSegment "tcp.analysis.ack_lost_segment",
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
    Sid "sid",
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
    (14, "UDP"),
    (15, "FRAG"),
    (16, "link"),
    (17, "IP"),
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
    (9, "encrypted"),
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
