//! The facts of a capture as plain values, in the shape in which the JSON report prints them (schema 1). Every key
//! is always there; what is not known is `null`.

use serde::Serialize;

/// The schema's number: the meaning of a key never changes under the same number.
pub const SCHEMA: u32 = 1;

/// The program that made a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Tool {
    /// This program.
    pub const THIS: Self = Self {
        name: "marstui",
        version: env!("CARGO_PKG_VERSION"),
    };
}

/// A capture as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Capture {
    /// Its files.
    pub files: Vec<File>,
    /// Frames of all files.
    pub frames: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Time of the first frame.
    pub first_time: Option<String>,
    /// Time of the last frame.
    pub last_time: Option<String>,
    /// It was read to its end.
    pub complete: bool,
    /// What is wrong with the files.
    pub problems: Vec<Problem>,
    /// The end that it was taken on: `client`, `server`, `middle`.
    pub view: Option<&'static str>,
    /// Why.
    pub view_evidence: Vec<String>,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Its path as given.
    pub path: String,
    /// `pcap`, `pcapng`, `netmon` …
    pub format: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its frames.
    pub frames: u64,
}

/// Something wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file's path, where it is known.
    pub file: Option<String>,
    /// Position in the file, in bytes.
    pub offset: u64,
    /// The frame at or before it.
    pub frame: Option<u32>,
    /// What is wrong.
    pub what: String,
}

/// An address and a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// IP address.
    pub ip: String,
    /// TCP port.
    pub port: u16,
}

/// One value for each side of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sides<T> {
    /// The client's.
    pub client: T,
    /// The server's.
    pub server: T,
}

/// A connection: one incarnation of a TCP 4-tuple.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Connection {
    /// Its number, from 0.
    pub id: u32,
    /// The client's address; which end is the client is a guess where `client_evidence` is `null`.
    pub client: Endpoint,
    /// The server's address.
    pub server: Endpoint,
    /// How it is known which end is the client.
    pub client_evidence: Option<&'static str>,
    /// How often this 4-tuple was in the file before.
    pub incarnation: u32,
    /// First frame.
    pub first_frame: u32,
    /// Last frame.
    pub last_frame: u32,
    /// Number of frames.
    pub frames: u32,
    /// Time of the first frame.
    pub first_time: Option<String>,
    /// Time of the last frame.
    pub last_time: Option<String>,
    /// `tds` or `other`.
    pub protocol: &'static str,
    /// Whether MARS is in use.
    pub mars: Option<bool>,
    /// `none`, `login`, `full`, `strict`.
    pub encryption: Option<&'static str>,
    /// What the TLS hellos show.
    pub tls: Option<Tls>,
    /// What the login shows.
    pub login: Option<Login>,
    /// TCP counts.
    pub tcp: Sides<Tcp>,
    /// SMP packets.
    pub smp: Sides<Smp>,
    /// TDS messages.
    pub tds: Sides<Tds>,
    /// Sessions, in order of opening.
    pub sessions: Vec<Session>,
    /// Requests, in order of their first frame.
    pub requests: Vec<Request>,
    /// How it ended, by the rules.
    pub close: Option<Close>,
    /// Its TCP resets.
    pub resets: Vec<Reset>,
}

/// What the TLS hellos show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tls {
    /// Version chosen.
    pub version: Option<&'static str>,
    /// Cipher suite chosen.
    pub cipher: Option<String>,
    /// Server name indication.
    pub sni: Option<String>,
    /// Application protocol.
    pub alpn: Option<String>,
}

/// What the login shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Login {
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
    /// TDS version.
    pub tds_version: Option<String>,
    /// Packet size.
    pub packet_size: Option<u32>,
    /// The server's session id.
    pub spid: Option<u16>,
    /// `sql`, `ntlm`, `kerberos`, `spnego`, `fedauth`.
    pub auth: Option<&'static str>,
    /// Why it failed.
    pub error: Option<ServerError>,
}

/// An ERROR token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerError {
    /// Number.
    pub number: i32,
    /// Class (severity).
    pub class: u8,
    /// State: which place in the server raised it.
    pub state: u8,
    /// Text.
    pub message: String,
}

/// TCP counts of one side's segments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tcp {
    /// Stream bytes in the file, each counted once.
    pub bytes: u64,
    /// Stream bytes that must have been sent and are not in the file.
    pub missing_bytes: u64,
    /// Segments whose payload had been seen before.
    pub retransmissions: u32,
    /// Segments behind a later one.
    pub out_of_order: u32,
    /// Keepalive probes.
    pub keepalives: u32,
}

/// SMP packets of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct Smp {
    /// SYN.
    pub syn: u32,
    /// ACK.
    pub ack: u32,
    /// FIN.
    pub fin: u32,
    /// DATA.
    pub data: u32,
}

/// TDS messages of one side; kinds that did not occur are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tds {
    /// SQLBatch.
    #[serde(rename = "SQLBatch", skip_serializing_if = "is_zero")]
    pub sql_batch: u32,
    /// RPC.
    #[serde(rename = "RPC", skip_serializing_if = "is_zero")]
    pub rpc: u32,
    /// TabularResult.
    #[serde(rename = "TabularResult", skip_serializing_if = "is_zero")]
    pub tabular_result: u32,
    /// Attention.
    #[serde(rename = "Attention", skip_serializing_if = "is_zero")]
    pub attention: u32,
    /// BulkLoad.
    #[serde(rename = "BulkLoad", skip_serializing_if = "is_zero")]
    pub bulk_load: u32,
    /// FedAuthToken.
    #[serde(rename = "FedAuthToken", skip_serializing_if = "is_zero")]
    pub fed_auth_token: u32,
    /// TransactionManager.
    #[serde(rename = "TransactionManager", skip_serializing_if = "is_zero")]
    pub transaction_manager: u32,
    /// LOGIN7.
    #[serde(rename = "LOGIN7", skip_serializing_if = "is_zero")]
    pub login7: u32,
    /// SSPI.
    #[serde(rename = "SSPI", skip_serializing_if = "is_zero")]
    pub sspi: u32,
    /// PRELOGIN.
    #[serde(rename = "PRELOGIN", skip_serializing_if = "is_zero")]
    pub prelogin: u32,
    /// Flights of a TLS handshake wrapped in TDS packets.
    #[serde(rename = "TLS", skip_serializing_if = "is_zero")]
    pub tls: u32,
    /// Any other type.
    #[serde(rename = "Other", skip_serializing_if = "is_zero")]
    pub other: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands over a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// One life of an SMP session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Session {
    /// Sid.
    pub sid: u16,
    /// 1 for the first life of the Sid.
    pub life: u32,
    /// The frame of its SYN, or of its first packet seen.
    pub open_frame: u32,
    /// The client's part.
    pub client: SessionSide,
    /// The server's part.
    pub server: SessionSide,
    /// Requests sent on it.
    pub requests: u32,
    /// Requests whose answer does not end in the file. What was outstanding when the connection was closed is said by the
    /// finding of the close: an answer that ends behind that came too late.
    pub outstanding: u32,
}

/// One side of a session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionSide {
    /// Packets sent.
    #[serde(flatten)]
    pub smp: Smp,
    /// SEQNUM of its last packet.
    pub last_seqnum: Option<u32>,
    /// WNDW of its last packet.
    pub last_wndw: Option<u32>,
    /// The frame of its SMP:FIN.
    pub fin_frame: Option<u32>,
    /// How often it stood still for want of window.
    pub stalls: u32,
    /// How long in all, in milliseconds.
    pub stalled_ms: f64,
    /// The longest, in milliseconds.
    pub longest_stall_ms: f64,
}

/// A request with its answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    /// Sid; `null` outside SMP.
    pub sid: Option<u16>,
    /// `SQLBatch`, `RPC`, `BulkLoad`, `TransactionManager`.
    pub kind: &'static str,
    /// The start of the SQL text, or the procedure's name; `null` in a redacted report.
    pub text: Option<String>,
    /// First frame of the request.
    pub first_frame: u32,
    /// Last frame of the request.
    pub last_frame: u32,
    /// First frame of the answer.
    pub answer_first_frame: Option<u32>,
    /// Last frame of the answer.
    pub answer_last_frame: Option<u32>,
    /// From the end of the request to the first byte of the answer, in milliseconds; with several capture points between
    /// frames of one of them, the nearest to the client.
    pub first_byte_ms: Option<f64>,
    /// From the start of the request to the end of the answer, in milliseconds; likewise.
    pub duration_ms: Option<f64>,
    /// Rows sent or affected.
    pub rows: Option<u64>,
    /// First ERROR of the answer.
    pub error: Option<ServerError>,
    /// `done`, `error`, `attention`, `outstanding`, `unknown`, by all that the file holds, as [`Session::outstanding`] is.
    pub end: &'static str,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Close {
    /// The rule's id.
    pub rule: String,
    /// Its verdict.
    pub verdict: &'static str,
    /// The finding.
    pub finding: u32,
}

/// A TCP reset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reset {
    /// Its frame.
    pub frame: u32,
    /// `client` or `server`.
    pub from: Option<&'static str>,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number, also where the ACK flag is clear.
    pub ack: u32,
    /// Window field.
    pub window: u16,
    /// Letters of the flags that are set, of `CEUAPRSF`.
    pub flags: String,
    /// A copy of another frame of the capture.
    pub duplicate: bool,
    /// The finding that explains it.
    pub finding: Option<u32>,
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its number, from 0.
    pub id: u32,
    /// The rule's id.
    pub rule: String,
    /// `Benign`, `Normal`, `LikelyBenign`, `Notice`, `Fault`, `Undecided`.
    pub verdict: &'static str,
    /// `proven`, `likely`, `possible`.
    pub confidence: &'static str,
    /// Its connection.
    pub connection: Option<u32>,
    /// Its Sid.
    pub sid: Option<u16>,
    /// All frames that it speaks of.
    pub frames: Vec<u32>,
    /// Frames and the parts they play.
    pub evidence: Vec<Evidence>,
    /// The rule's conditions, applied.
    pub conditions: Vec<Condition>,
    /// Further remarks.
    pub notes: Vec<String>,
    /// What happened, in a sentence.
    pub text: String,
    /// Of a close: the order in which the other end must have seen its frames, where it is another than here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_end: Option<OtherEnd>,
}

/// The order of a close's frames at the other end, by their numbers in this capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OtherEnd {
    /// Which end that is.
    pub side: &'static str,
    /// The frames in the order in which it must have seen them.
    pub order: Vec<Step>,
}

/// A frame's place in the order of the other end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The frame.
    pub frame: u32,
    /// Whether numbers prove its place.
    pub known: bool,
    /// Why it stands there.
    pub reason: String,
}

/// A frame and the part it plays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The frame.
    pub frame: u32,
    /// The part it plays.
    pub role: String,
    /// The fact taken from it.
    pub fact: String,
}

/// A condition, applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// Its id in the catalogue.
    pub id: String,
    /// Whether it holds; `null` when it could not be checked.
    pub holds: Option<bool>,
    /// Its sentence.
    pub text: String,
    /// The frames that it was decided on.
    pub frames: Vec<u32>,
    /// The numbers.
    pub fact: String,
}
