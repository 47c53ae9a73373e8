//! The row of a connection: one incarnation of a TCP 4-tuple, with its login and its counts.

use super::calm::Calm;
use super::request::ErrorRow;
use crate::units::{ConnId, End, FrameNo, InterfaceId, Nanos, PduId, PerEnd, Sid, Side, TcpSeq};
use std::net::IpAddr;
use std::sync::Arc;

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

impl SmpCounts {
    /// Adds what others have counted since they stood at `before`.
    pub fn add_since(&mut self, before: Self, now: Self) {
        for (sum, before, now) in [
            (&mut self.syn, before.syn, now.syn),
            (&mut self.ack, before.ack, now.ack),
            (&mut self.fin, before.fin, now.fin),
            (&mut self.data, before.data, now.data),
        ] {
            *sum = sum.saturating_add(now.saturating_sub(before));
        }
    }
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
    /// Packets, not messages, whose reset bits are wrong ([`PduRow::wrong_reset_bits`](super::PduRow)).
    pub wrong_reset_bits: u32,
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
    /// What TLS hides: of what is said behind the login, or with TLS from the first byte behind the handshake, no frame
    /// shows whether it opens sessions, asks or answers.
    Encrypted,
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

/// What a ClientHello offers (RFC 5246 7.4.1.2, RFC 8446 4.1.2), placeholders left aside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOffer {
    /// Versions in the order of the hello; the highest alone where it has no list.
    pub versions: Vec<u16>,
    /// Cipher suites (IANA numbers) in the order of the hello.
    pub ciphers: Vec<u16>,
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
    /// What the ClientHello offers, as long as no ServerHello has chosen from it.
    pub offer: Option<TlsOffer>,
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
    pub host: Option<Arc<str>>,
    /// User name.
    pub user: Option<Arc<str>>,
    /// Program name.
    pub app: Option<Arc<str>>,
    /// Server name asked for.
    pub server: Option<Arc<str>>,
    /// Database.
    pub database: Option<Arc<str>>,
    /// Client library.
    pub library: Option<Arc<str>>,
    /// TDS version as the u32 of `tds.md` 2.
    pub tds_version: Option<u32>,
    /// Packet size agreed.
    pub packet_size: Option<u32>,
    /// The server's session id.
    pub spid: Option<u16>,
    /// Kind of authentication.
    pub auth: Option<Auth>,
    /// First ERROR of a failed login.
    pub error: Option<Box<ErrorRow>>,
    /// ENVCHANGE 20 or 21 was seen: the client is sent elsewhere.
    pub routed: bool,
}

/// A sequence number as [`ConnRow::relative_seq`] counts, where that of stream position 0 is known.
#[inline]
pub fn relative_seq(base: Option<TcpSeq>, seq: TcpSeq) -> Option<u32> {
    // The SYN stands one before the start of the stream.
    Some(seq.0.wrapping_sub(base?.0).wrapping_add(1))
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
    /// The interface whose frames alone are of it, as they number its bytes otherwise than those of other capture points
    /// do, which are of another connection with the same ends.
    pub apart: Option<InterfaceId>,
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
    /// Several interfaces show the same frames of it: it was captured at several points, each with a clock of its own.
    pub copied: bool,
    /// Its beginning, if nothing happened in it: up to a frame near the last, and up to one well in front of that. Empty
    /// in a short connection.
    pub calm: Box<[Calm]>,
}

impl ConnRow {
    /// The client's end, where anything tells which that is.
    #[inline]
    pub fn known_client(&self) -> Option<End> {
        self.client_evidence.map(|_| self.client)
    }

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

    /// A sequence number of an end as it is counted from 0 at its SYN, modulo 2^32; from its first byte in the file
    /// where that has no SYN.
    pub fn relative_seq(&self, end: End, seq: TcpSeq) -> Option<u32> {
        relative_seq(*self.base_seq.get(end), seq)
    }

    /// Whether its Sids lie within TLS, where no frame shows them.
    pub fn hides_sids(&self) -> bool {
        matches!(self.encryption, Some(Encryption::Full | Encryption::Strict))
    }

    /// Whether nothing was recognised in it, neither TDS nor SMP.
    pub fn is_other(&self) -> bool {
        self.protocol == Protocol::Other && !self.smp_seen
    }

    /// Whether its login is one of TDS 5.0, which Sybase servers speak and SQL Server never did.
    pub fn is_sybase(&self) -> bool {
        let version = self.login.as_ref().and_then(|login| login.tds_version);
        version.is_some_and(|number| number >> 24 == 5)
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
