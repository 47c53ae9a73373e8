//! The rows of the store. They refer to each other by number and hold no payload.

use std::net::IpAddr;
use std::sync::Arc;

use crate::units::{
    ConnId, End, FileOffset, FrameNo, InterfaceId, Nanos, PduId, PerEnd, RequestId, SessionId, Sid,
    Side, SmpSeq, StreamPos, TcpSeq,
};

/// TCP flags as in the header: bit 0 FIN, 1 SYN, 2 RST, 3 PSH, 4 ACK, 5 URG, 6 ECE, 7 CWR, 8 NS/AE (RFC 9293 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// FIN.
    pub const FIN: Self = Self(0x001);
    /// SYN.
    pub const SYN: Self = Self(0x002);
    /// RST.
    pub const RST: Self = Self(0x004);
    /// PSH.
    pub const PSH: Self = Self(0x008);
    /// ACK.
    pub const ACK: Self = Self(0x010);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether FIN is set.
    pub fn fin(self) -> bool {
        self.has(Self::FIN)
    }

    /// Whether SYN is set.
    pub fn syn(self) -> bool {
        self.has(Self::SYN)
    }

    /// Whether RST is set.
    pub fn rst(self) -> bool {
        self.has(Self::RST)
    }

    /// Whether ACK is set.
    pub fn ack(self) -> bool {
        self.has(Self::ACK)
    }
}

/// What the pass found out about a frame, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct FrameFlags(pub u32);

impl FrameFlags {
    /// Sent by end B of its connection (else by end A).
    pub const FROM_B: Self = Self(1);
    /// Holds a TCP header whose ports and sequence number could be read.
    pub const TCP: Self = Self(1 << 1);
    /// IPv6 (else IPv4, where `TCP` is set).
    pub const IPV6: Self = Self(1 << 2);
    /// The snap length cut the frame.
    pub const CUT: Self = Self(1 << 3);
    /// All payload bytes were seen before.
    pub const RETRANSMISSION: Self = Self(1 << 4);
    /// Some payload bytes were seen before.
    pub const OVERLAP: Self = Self(1 << 5);
    /// Arrived behind a later segment of its direction.
    pub const OUT_OF_ORDER: Self = Self(1 << 6);
    /// A copy of one transmission (two capture points, mirrored port); left out of the analysis.
    pub const DUPLICATE: Self = Self(1 << 7);
    /// A keepalive probe.
    pub const KEEPALIVE: Self = Self(1 << 8);
    /// The answer to a keepalive probe.
    pub const KEEPALIVE_ANSWER: Self = Self(1 << 9);
    /// A probe of a closed window.
    pub const WINDOW_PROBE: Self = Self(1 << 10);
    /// Advertises a window of 0 (no SYN, FIN, RST).
    pub const ZERO_WINDOW: Self = Self(1 << 11);
    /// The TCP checksum was computed and is wrong.
    pub const BAD_CHECKSUM: Self = Self(1 << 12);
    /// The TCP checksum was computed and is right.
    pub const GOOD_CHECKSUM: Self = Self(1 << 13);
    /// An IP fragment that could not be put together.
    pub const FRAGMENT: Self = Self(1 << 14);
    /// Bytes that this frame's acknowledgement covers, or that stand before its payload, are not in the file.
    pub const GAP_BEFORE: Self = Self(1 << 15);
    /// Some of its payload does not decode.
    pub const BAD: Self = Self(1 << 16);
    /// Not decoded below the link layer (unknown link type, or no IP).
    pub const NOT_IP: Self = Self(1 << 17);
    /// UDP.
    pub const UDP: Self = Self(1 << 18);
    /// Carries payload that is not accepted into the stream (a keepalive's byte, data of a RST, beyond a FIN).
    pub const NOT_IN_STREAM: Self = Self(1 << 19);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other`.
    pub fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A captured frame. The TCP fields are zero where `FrameFlags::TCP` is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRow {
    /// Position of the frame's bytes in its file.
    pub offset: FileOffset,
    /// Capture time.
    pub time: Nanos,
    /// Bytes of the frame in the file.
    pub captured: u32,
    /// Bytes of the frame on the wire.
    pub wire: u32,
    /// Its connection.
    pub conn: Option<ConnId>,
    /// The frame before it in its connection.
    pub prev: Option<FrameNo>,
    /// TCP sequence number of the first payload byte (or of SYN, FIN, RST).
    pub seq: TcpSeq,
    /// TCP acknowledgement number field, also where the ACK flag is clear.
    pub ack: TcpSeq,
    /// TCP payload bytes on the wire, by the IP length.
    pub payload_len: u32,
    /// Position of the TCP payload in the frame.
    pub payload_offset: u16,
    /// TCP window field, not scaled.
    pub window: u16,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// TCP flags.
    pub tcp_flags: TcpFlags,
    /// The interface that it was captured on, which also tells the file.
    pub interface: InterfaceId,
    /// IP time to live or hop limit.
    pub ttl: u8,
    /// What the pass found out.
    pub flags: FrameFlags,
}

impl FrameRow {
    /// The end that sent it.
    pub fn end(&self) -> End {
        if self.flags.has(FrameFlags::FROM_B) {
            End::B
        } else {
            End::A
        }
    }

    /// Whether it holds a readable TCP header.
    pub fn is_tcp(&self) -> bool {
        self.flags.has(FrameFlags::TCP)
    }

    /// The sequence number behind it: payload, SYN and FIN counted.
    pub fn next_seq(&self) -> TcpSeq {
        self.seq
            .plus(self.payload_len)
            .plus(u32::from(self.tcp_flags.syn()))
            .plus(u32::from(self.tcp_flags.fin()))
    }
}

/// What a PDU is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PduKind {
    /// SMP:SYN.
    Syn,
    /// SMP:ACK.
    Ack,
    /// SMP:FIN.
    Fin,
    /// SMP:DATA; the TDS header fields are those of the packet inside.
    Data,
    /// An SMP header whose FLAGS are not exactly one of 1, 2, 4, 8; `tds_type` holds the FLAGS.
    BadSmp,
    /// A TDS packet outside SMP.
    Tds,
    /// A TLS record outside TDS packets; `tds_type` holds the content type.
    Tls,
    /// A range of the stream whose PDU borders cannot be read: bytes that are not in the file.
    Hidden,
    /// Bytes that are there and are none of the above.
    Unknown,
}

impl PduKind {
    /// Whether it is an SMP packet.
    pub fn is_smp(self) -> bool {
        matches!(
            self,
            Self::Syn | Self::Ack | Self::Fin | Self::Data | Self::BadSmp
        )
    }

    /// Whether it is an SMP control packet (16 bytes).
    pub fn is_control(self) -> bool {
        matches!(self, Self::Syn | Self::Ack | Self::Fin)
    }
}

/// What the pass found out about a PDU, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct PduFlags(pub u16);

impl PduFlags {
    /// `tds_type`, `tds_status` and the TDS length were read.
    pub const TDS_HEADER: Self = Self(1);
    /// A TDS packet whose body is TLS handshake bytes.
    pub const WRAPPED_TLS: Self = Self(1 << 1);
    /// Part of its body is not in the file (snap length or gap); the header was read.
    pub const BODY_HIDDEN: Self = Self(1 << 2);
    /// It begins a TDS message.
    pub const MESSAGE_START: Self = Self(1 << 3);
    /// It ends a TDS message (EOM).
    pub const MESSAGE_END: Self = Self(1 << 4);
    /// It ends an answer: EOM, and the last DONE token has no MORE bit (or tokens could not be read).
    pub const ANSWER_END: Self = Self(1 << 5);
    /// The DONE token that ends it was read (else `ANSWER_END` rests on EOM alone).
    pub const DONE_READ: Self = Self(1 << 6);
    /// Its final DONE has the attention bit 0x0020.
    pub const DONE_ATTN: Self = Self(1 << 7);
    /// Its final DONE has the MORE bit 0x0001 although the message ends here.
    pub const DONE_MORE: Self = Self(1 << 8);
    /// Its final DONE has SRVERROR 0x0100.
    pub const DONE_SRVERROR: Self = Self(1 << 9);
    /// It holds an ERROR token of class 20 or more.
    pub const ERROR_FATAL: Self = Self(1 << 10);
    /// It was found again after a gap or a late start, by its looks.
    pub const RESYNCED: Self = Self(1 << 11);
    /// It holds an ERROR token.
    pub const ERROR: Self = Self(1 << 12);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other`.
    pub fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A PDU of one direction's stream: an SMP packet, a TDS packet outside SMP, a TLS record, or a hidden range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduRow {
    /// The frame in which its last byte first arrived in order.
    pub frame: FrameNo,
    /// The lowest frame that holds any of its bytes.
    pub first_frame: FrameNo,
    /// Its connection.
    pub conn: ConnId,
    /// The end that sent it.
    pub end: End,
    /// What it is.
    pub kind: PduKind,
    /// What the pass found out.
    pub flags: PduFlags,
    /// Position of its first byte in its direction's stream.
    pub pos: StreamPos,
    /// Its bytes in the stream, header included.
    pub len: u32,
    /// The session, for SMP packets.
    pub session: Option<SessionId>,
    /// SMP Sid; 0 outside SMP.
    pub sid: Sid,
    /// SMP SEQNUM.
    pub seqnum: SmpSeq,
    /// SMP WNDW.
    pub wndw: SmpSeq,
    /// TDS packet type (or TLS content type, or bad SMP FLAGS).
    pub tds_type: u8,
    /// TDS packet status bits.
    pub tds_status: u8,
    /// The PDU before it in its chain: same sender and session, or same sender outside SMP.
    pub prev: Option<PduId>,
}

impl PduRow {
    /// Position behind its last byte.
    pub fn end_pos(&self) -> StreamPos {
        StreamPos(self.pos.0.saturating_add(u64::from(self.len)))
    }

    /// Whether it carries (part of) a TDS message.
    pub fn carries_tds(&self) -> bool {
        matches!(self.kind, PduKind::Data | PduKind::Tds) && self.flags.has(PduFlags::TDS_HEADER)
    }

    /// Bytes of PDU headers in front of the TDS packet: 16 for SMP:DATA, 0 for plain TDS.
    pub fn smp_header_len(&self) -> u32 {
        if self.kind.is_smp() { 16 } else { 0 }
    }
}

/// An address and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// IP address.
    pub ip: IpAddr,
    /// TCP port.
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "{ip}:{}", self.port),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{}", self.port),
        }
    }
}

/// What a connection carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Protocol {
    /// TDS (with or without SMP and TLS), found by content.
    Tds,
    /// Something else, or nothing that tells.
    #[default]
    Other,
}

/// How a SQL Server connection is encrypted (`tls-in-tds.md` 1, shapes A to D).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// Shape A: none.
    None,
    /// Shape B: the login packet only.
    Login,
    /// Shape C: all after PRELOGIN.
    Full,
    /// Shape D: TDS 8.0, TLS from the first byte.
    Strict,
}

impl Encryption {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Login => "login",
            Self::Full => "full",
            Self::Strict => "strict",
        }
    }
}

/// Counts of one direction's TCP segments and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpStats {
    /// Frames.
    pub frames: u32,
    /// Stream bytes that are in the file, each counted once.
    pub bytes: u64,
    /// Stream bytes that the peer acknowledged, or that stand before later bytes, and the file never shows.
    pub missing_bytes: u64,
    /// Segments whose payload was all seen before.
    pub retransmissions: u32,
    /// Segments that arrived behind a later one.
    pub out_of_order: u32,
    /// Keepalive probes.
    pub keepalives: u32,
    /// Nanoseconds during which this end advertised a window of 0.
    pub zero_window_ns: i64,
    /// Smallest round trip seen at the capture point for this end's data, in nanoseconds.
    pub round_trip_ns: Option<i64>,
}

/// Counts of one direction's SMP packets; retransmissions counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SmpCounts {
    /// SYN.
    pub syn: u32,
    /// ACK.
    pub ack: u32,
    /// FIN.
    pub fin: u32,
    /// DATA.
    pub data: u32,
}

/// Counts of one direction's TDS messages by type; retransmissions counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TdsCounts {
    /// Type 1.
    pub sql_batch: u32,
    /// Type 3.
    pub rpc: u32,
    /// Type 4.
    pub tabular_result: u32,
    /// Type 6.
    pub attention: u32,
    /// Type 7.
    pub bulk_load: u32,
    /// Type 8.
    pub fed_auth_token: u32,
    /// Type 14.
    pub transaction_manager: u32,
    /// Type 16.
    pub login7: u32,
    /// Type 17.
    pub sspi: u32,
    /// Type 18 with options (and the server's answer to it, whatever its type).
    pub prelogin: u32,
    /// Flights of a TLS handshake wrapped in TDS packets.
    pub tls: u32,
    /// Any other type.
    pub other: u32,
}

/// How far a connection has come, and its parts (`ux.md` 5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// TCP handshake.
    Connect,
    /// PRELOGIN.
    Prelogin,
    /// TLS handshake.
    Tls,
    /// LOGIN7 to the login answer.
    Login,
    /// A session was opened.
    SessionOpen,
    /// Commands.
    Commands,
    /// A session was closed.
    SessionClosed,
    /// TCP close.
    Closing,
    /// A reset.
    Reset,
}

/// Where a phase begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseRow {
    /// The phase.
    pub phase: Phase,
    /// Its first frame.
    pub frame: FrameNo,
    /// The Sid, for phases of sessions.
    pub sid: Option<Sid>,
}

/// How a login proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// User name and password.
    Sql,
    /// NTLM.
    Ntlm,
    /// Kerberos.
    Kerberos,
    /// SPNEGO, mechanism not visible.
    Spnego,
    /// Federated authentication.
    FedAuth,
}

impl Auth {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Ntlm => "ntlm",
            Self::Kerberos => "kerberos",
            Self::Spnego => "spnego",
            Self::FedAuth => "fedauth",
        }
    }
}

/// What both PRELOGINs said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PreloginInfo {
    /// Frame of the client's PRELOGIN.
    pub client_frame: Option<FrameNo>,
    /// Frame of the server's answer.
    pub server_frame: Option<FrameNo>,
    /// MARS option of the client.
    pub client_mars: Option<bool>,
    /// MARS option of the server.
    pub server_mars: Option<bool>,
    /// ENCRYPTION option of the client.
    pub client_encryption: Option<u8>,
    /// ENCRYPTION option of the server.
    pub server_encryption: Option<u8>,
    /// Major version of the server.
    pub server_major: Option<u8>,
    /// Connection id (TRACEID) as 16 bytes.
    pub connection_guid: Option<[u8; 16]>,
}

/// What the TLS hellos show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsInfo {
    /// Frame of the ClientHello.
    pub client_hello: Option<FrameNo>,
    /// Frame of the ServerHello.
    pub server_hello: Option<FrameNo>,
    /// Version chosen, for example `TLS 1.2`.
    pub version: Option<&'static str>,
    /// Cipher suite chosen (IANA number).
    pub cipher: Option<u16>,
    /// Server name indication.
    pub sni: Option<String>,
    /// Application protocol.
    pub alpn: Option<String>,
    /// First alert seen in clear: sender, level, description, frame.
    pub alert: Option<(End, u8, u8, FrameNo)>,
}

/// What the login shows; secrets are never part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoginInfo {
    /// Frame of the LOGIN7 (or of the TLS record that holds it).
    pub login_frame: Option<FrameNo>,
    /// Frame of the login answer (LOGINACK or ERROR).
    pub answer_frame: Option<FrameNo>,
    /// LOGINACK was seen.
    pub accepted: bool,
    /// Host name of the client.
    pub host: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// Program name.
    pub app: Option<String>,
    /// Server name asked for.
    pub server: Option<String>,
    /// Database.
    pub database: Option<String>,
    /// Client library.
    pub library: Option<String>,
    /// TDS version as the u32 of `tds.md` 2.
    pub tds_version: Option<u32>,
    /// Packet size agreed.
    pub packet_size: Option<u32>,
    /// The server's session id.
    pub spid: Option<u16>,
    /// Kind of authentication.
    pub auth: Option<Auth>,
    /// First ERROR of a failed login: number, class, text.
    pub error: Option<(i32, u8, String)>,
    /// ENVCHANGE 20 or 21 was seen: the client is sent elsewhere.
    pub routed: bool,
}

/// A connection: one incarnation of a TCP 4-tuple.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnRow {
    /// Its number.
    pub id: ConnId,
    /// Address of each end.
    pub ends: PerEnd<Endpoint>,
    /// The end that is the client.
    pub client: End,
    /// Why; `None` when nothing tells and `client` is a guess.
    pub client_evidence: Option<&'static str>,
    /// How often this 4-tuple was in the file before.
    pub incarnation: u32,
    /// First frame.
    pub first_frame: FrameNo,
    /// Last frame so far.
    pub last_frame: FrameNo,
    /// Frames, copies included.
    pub frames: u32,
    /// Time of the first frame.
    pub first_time: Nanos,
    /// Time of the last frame.
    pub last_time: Nanos,
    /// What it carries.
    pub protocol: Protocol,
    /// Whether MARS is in use: SMP seen or agreed; `None` if it cannot be told.
    pub mars: Option<bool>,
    /// SMP packets were seen.
    pub smp_seen: bool,
    /// How it is encrypted.
    pub encryption: Option<Encryption>,
    /// The SYN of the end that opened it (its initial sequence number), if it is in the file.
    pub syn_frame: Option<FrameNo>,
    /// The SYN+ACK.
    pub syn_ack_frame: Option<FrameNo>,
    /// The frame that completes the handshake.
    pub handshake_frame: Option<FrameNo>,
    /// Sequence number of stream position 0 of each end; `None` until it sent something.
    pub base_seq: PerEnd<Option<TcpSeq>>,
    /// TCP counts of each end's segments.
    pub tcp: PerEnd<TcpStats>,
    /// SMP counts of each end's packets.
    pub smp: PerEnd<SmpCounts>,
    /// TDS counts of each end's messages.
    pub tds: PerEnd<TdsCounts>,
    /// PRELOGIN.
    pub prelogin: PreloginInfo,
    /// TLS hellos, if there were any.
    pub tls: Option<Arc<TlsInfo>>,
    /// Login, if anything of it was seen.
    pub login: Option<Arc<LoginInfo>>,
    /// Where its phases begin, in file order (bounded: sessions beyond the first 64 are left out).
    pub phases: Arc<Vec<PhaseRow>>,
    /// The last PDU of each end outside SMP sessions (plain TDS, TLS, hidden ranges): head of the chain.
    pub last_plain_pdu: PerEnd<Option<PduId>>,
    /// The first PDU of the connection.
    pub first_pdu: Option<PduId>,
    /// The last PDU of the connection.
    pub last_pdu: Option<PduId>,
}

impl ConnRow {
    /// The side that an end is (assumed where `client_evidence` is `None`).
    pub fn side_of(&self, end: End) -> Side {
        if end == self.client {
            Side::Client
        } else {
            Side::Server
        }
    }

    /// The end that a side is.
    pub fn end_of(&self, side: Side) -> End {
        match side {
            Side::Client => self.client,
            Side::Server => self.client.other(),
        }
    }

    /// The address of a side.
    pub fn endpoint(&self, side: Side) -> &Endpoint {
        self.ends.get(self.end_of(side))
    }

    /// Whether the whole start of the connection is in the file.
    pub fn from_start(&self) -> bool {
        self.syn_frame.is_some()
    }
}

/// How one side of a session stands at its last packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionEnd {
    /// Packets sent.
    pub counts: SmpCounts,
    /// SEQNUM of its last packet.
    pub last_seqnum: Option<SmpSeq>,
    /// WNDW of its last packet.
    pub last_wndw: Option<SmpSeq>,
    /// SEQNUM of its last DATA.
    pub last_data_seqnum: Option<SmpSeq>,
    /// Its SMP:FIN.
    pub fin_pdu: Option<PduId>,
    /// The frame of its SMP:FIN.
    pub fin_frame: Option<FrameNo>,
    /// Its last packet: head of the chain.
    pub last_pdu: Option<PduId>,
    /// Its last DATA packet.
    pub last_data: Option<PduId>,
}

/// Time that a sender stood still for want of window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StallInfo {
    /// How often.
    pub count: u32,
    /// In all, in nanoseconds.
    pub total_ns: i64,
    /// The longest, in nanoseconds.
    pub longest_ns: i64,
    /// The frame that ended the longest.
    pub longest_frame: Option<FrameNo>,
}

/// One life of an SMP session.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionRow {
    /// Its number.
    pub id: SessionId,
    /// Its connection.
    pub conn: ConnId,
    /// Its Sid.
    pub sid: Sid,
    /// 1 for the first life of the Sid, 2 after it was opened again.
    pub life: u32,
    /// The frame of its SYN, or of its first packet seen.
    pub open_frame: FrameNo,
    /// The frame of its last packet.
    pub last_frame: FrameNo,
    /// Its SYN is in the file.
    pub syn_seen: bool,
    /// WNDW of its SYN; 4 where the SYN was not seen.
    pub initial_window: SmpSeq,
    /// Each end's part.
    pub ends: PerEnd<SessionEnd>,
    /// Requests sent on it.
    pub requests: u32,
    /// Requests whose answer has not ended.
    pub outstanding: u32,
    /// An attention was sent and no DONE with the attention bit came.
    pub attention_outstanding: bool,
    /// The sender of each end standing still for want of window.
    pub stalls: PerEnd<StallInfo>,
    /// Some bytes of the session are hidden: numbers before may be incomplete.
    pub holes: bool,
}

impl SessionRow {
    /// DATA packets of one end that are known only by the numbers of later packets: SEQNUM counts DATA since the
    /// SYN ([MC-SMP] 2.2.1), so a header that is not in the file still leaves its mark there. 0 where the session
    /// is complete or was joined late.
    pub fn hidden_data(&self, end: End) -> u32 {
        let end = self.ends.get(end);
        match end.last_seqnum {
            Some(SmpSeq(last)) if self.holes && self.syn_seen => {
                last.saturating_sub(end.counts.data)
            }
            _ => 0,
        }
    }
}

/// What a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// TDS type 1.
    SqlBatch,
    /// TDS type 3.
    Rpc,
    /// TDS type 7.
    BulkLoad,
    /// TDS type 14.
    TransactionManager,
}

impl RequestKind {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::SqlBatch => "SQLBatch",
            Self::Rpc => "RPC",
            Self::BulkLoad => "BulkLoad",
            Self::TransactionManager => "TransactionManager",
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestEnd {
    /// Its answer is complete.
    Done,
    /// Its answer is complete and holds an ERROR.
    Error,
    /// It was cancelled by an attention, and that was acknowledged.
    Attention,
    /// Its answer has not ended.
    Outstanding,
    /// The file does not tell.
    Unknown,
}

impl RequestEnd {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Error => "error",
            Self::Attention => "attention",
            Self::Outstanding => "outstanding",
            Self::Unknown => "unknown",
        }
    }
}

/// A request with its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestRow {
    /// Its number.
    pub id: RequestId,
    /// Its connection.
    pub conn: ConnId,
    /// Its session; `None` outside SMP.
    pub session: Option<SessionId>,
    /// What it is.
    pub kind: RequestKind,
    /// The first 200 characters of the SQL text, or the procedure's name, or the transaction request.
    pub text: Box<str>,
    /// First frame of the request.
    pub first_frame: FrameNo,
    /// Last frame of the request so far.
    pub last_frame: FrameNo,
    /// The PDU that begins it.
    pub first_pdu: PduId,
    /// The request was sent to its EOM.
    pub complete: bool,
    /// The client took it back by status bits 0x02 and 0x01.
    pub ignored: bool,
    /// Status bit RESETCONNECTION (0x08) or RESETCONNECTIONSKIPTRAN (0x10) on its first packet: pool reuse.
    pub reset_connection: bool,
    /// First frame of the answer.
    pub answer_first_frame: Option<FrameNo>,
    /// Last frame of the answer so far.
    pub answer_last_frame: Option<FrameNo>,
    /// Bytes of the answer's TDS packets so far.
    pub answer_bytes: u64,
    /// Time of the request's first packet.
    pub start: Nanos,
    /// From the end of the request to the first byte of the answer, in nanoseconds.
    pub first_byte_ns: Option<i64>,
    /// From the start of the request to the end of the answer, in nanoseconds.
    pub duration_ns: Option<i64>,
    /// Rows: the sum of the counts of DONE tokens that carry one for rows sent, or of ROW tokens seen.
    pub rows: Option<u64>,
    /// First ERROR of the answer: number, class, text (first 200 characters).
    pub error: Option<(i32, u8, Box<str>)>,
    /// Status bits of the last DONE.
    pub done_status: Option<u16>,
    /// Frame of the attention that cancels it.
    pub attention_frame: Option<FrameNo>,
    /// Frame of the DONE that acknowledges the attention.
    pub attention_ack_frame: Option<FrameNo>,
    /// How it ended.
    pub end: RequestEnd,
}

/// The SMP checks of `smp.md` 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckId {
    /// No SMID where a header must start.
    H1,
    /// FLAGS not exactly one of 1, 2, 4, 8.
    H2,
    /// LENGTH below 16.
    H3,
    /// A control packet longer than 16 bytes.
    H4,
    /// Empty DATA.
    H5,
    /// DATA longer than the largest TDS packet.
    H6,
    /// A packet for a Sid never opened.
    S1,
    /// SYN for a Sid that is open.
    S2,
    /// SYN from the server.
    S3,
    /// SYN with a SEQNUM other than 0.
    S4,
    /// SYN with a WNDW other than 4.
    S5,
    /// A Sid opened again after both FINs (legal).
    S6,
    /// A Sid opened again after one FIN.
    S7,
    /// The first DATA is not number 1.
    Q1,
    /// DATA out of sequence.
    Q2,
    /// ACK with another SEQNUM than the last DATA's.
    Q3,
    /// FIN with another SEQNUM than the last DATA's.
    Q4,
    /// DATA beyond the window.
    W1,
    /// The window shrank.
    W2,
    /// The window promises more than 4.
    W3,
    /// The window is below what the peer has sent.
    W4,
    /// An ACK that gives no credit.
    W5,
    /// An ACK that gives one credit.
    W6,
    /// DATA after the own FIN.
    F1,
    /// ACK after the own FIN.
    F2,
    /// A second FIN.
    F3,
    /// DATA after the peer's FIN passed.
    F4,
    /// TCP ended with sessions open.
    F5,
    /// FIN without an answering FIN.
    F6,
    /// FIN with a request unanswered.
    F7,
    /// DATA that does not hold exactly one TDS packet.
    P1,
    /// SMP inside SMP.
    P2,
    /// PacketID or EOM out of order.
    P3,
    /// SMP where there should be none, or none where there should be.
    M1,
}

/// How grave a broken check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth a remark.
    Note,
    /// Unusual, tolerated.
    Warn,
    /// Against the specification.
    Error,
}

/// A broken SMP check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViolationRow {
    /// The check.
    pub check: CheckId,
    /// How grave.
    pub severity: Severity,
    /// The frame.
    pub frame: FrameNo,
    /// The PDU, if there is one.
    pub pdu: Option<PduId>,
    /// The connection.
    pub conn: ConnId,
    /// The session.
    pub session: Option<SessionId>,
    /// What was expected and what came, with numbers.
    pub fact: Box<str>,
}

/// Something wrong with the capture file itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: usize,
    /// Position in the file.
    pub offset: FileOffset,
    /// The frame at or before it.
    pub frame: Option<FrameNo>,
    /// What is wrong.
    pub what: String,
}

/// An interface of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceRow {
    /// The file that declares it.
    pub file: usize,
    /// Its number within its section of its file.
    pub local: u32,
    /// The section within its file.
    pub section: u32,
    /// Link type (LINKTYPE_ number).
    pub link_type: u32,
    /// Snap length, 0 for none.
    pub snap_len: u32,
    /// Time units per second of its frames' time stamps in the file.
    pub ticks_per_second: u64,
    /// Its name.
    pub name: Option<String>,
}

/// A file of the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Its position in the list of files.
    pub index: usize,
    /// Its path as given.
    pub path: String,
    /// `pcap`, `pcapng`, `netmon` …, with the compression where there is one.
    pub format: &'static str,
    /// Its size in bytes.
    pub bytes: u64,
    /// Frames read from it so far.
    pub frames: u64,
}

/// Which end a capture was taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum View {
    /// The client's host.
    Client,
    /// The server's host.
    Server,
    /// Somewhere between, or both.
    Middle,
    /// Nothing tells.
    #[default]
    Unknown,
}

impl View {
    /// The word in reports; `None` where it is not known.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Client => Some("client"),
            Self::Server => Some("server"),
            Self::Middle => Some("middle"),
            Self::Unknown => None,
        }
    }
}
