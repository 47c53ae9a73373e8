//! The row of a request with its answer.

use crate::units::{ConnId, FrameNo, Nanos, PduId, RequestId, SessionId, TextId};

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

/// What ALL_HEADERS of a request say, checked as a server checks them ([MS-TDS] 2.2.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum HeaderCheck {
    /// The bytes do not reach far enough.
    #[default]
    Unknown,
    /// The parts fill the total, and a transaction descriptor is among them; the outstanding requests that it counts.
    Sound(u32),
    /// The lengths of the parts do not sum up to the total.
    Total,
    /// No header is a transaction descriptor (type 2).
    NoDescriptor,
    /// The transaction descriptor has another length than 18.
    DescriptorLength,
}

/// An ERROR token of the server ([MS-TDS] 2.2.7.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRow {
    /// Number.
    pub number: i32,
    /// Class: its severity; from 20 on the server ends the connection.
    pub class: u8,
    /// State: which place in the server raised it.
    pub state: u8,
    /// Text (first 200 characters).
    pub text: Box<str>,
    /// The server's name; empty where the token is cut before it.
    pub server: Box<str>,
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
    /// The first 200 characters of the SQL text, or the procedure's name, or the transaction request
    /// ([`Store::text`](super::Store::text)).
    pub text: TextId,
    /// What its ALL_HEADERS say.
    pub headers: HeaderCheck,
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
    /// The answer holds ENVCHANGE 18: the server did reset the session's state.
    pub reset_acknowledged: bool,
    /// First frame of the answer.
    pub answer_first_frame: Option<FrameNo>,
    /// Last frame of the answer so far.
    pub answer_last_frame: Option<FrameNo>,
    /// Bytes of the answer's TDS packets so far.
    pub answer_bytes: u64,
    /// Time of the request's first packet.
    pub start: Nanos,
    /// From the end of the request to the first byte of the answer, in nanoseconds; in a capture of several points at the
    /// one of those with both frames where it took longest, which is the nearest to the client.
    pub first_byte_ns: Option<i64>,
    /// From the start of the request to the end of the answer, in nanoseconds; likewise.
    pub duration_ns: Option<i64>,
    /// Rows: the sum of the counts of DONE tokens that carry one for rows sent, or of ROW tokens seen.
    pub rows: Option<u64>,
    /// First ERROR of the answer.
    pub error: Option<Box<ErrorRow>>,
    /// Status bits of the last DONE.
    pub done_status: Option<u16>,
    /// Frame of the attention that cancels it.
    pub attention_frame: Option<FrameNo>,
    /// Frame of the DONE that acknowledges the attention.
    pub attention_ack_frame: Option<FrameNo>,
    /// How it ended.
    pub end: RequestEnd,
}

/// What of the requests of a connection is rare or worth a remark, so that they need not be looked at one by one where
/// there is nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestSigns {
    /// One was cancelled by an attention that was acknowledged.
    pub cancelled: bool,
    /// One has a bit for pool reuse.
    pub reset_connection: bool,
    /// The longest time from the end of a request to the first byte of its answer, in nanoseconds.
    pub longest_first_byte_ns: Option<i64>,
}

impl RequestSigns {
    /// Takes note of a request as it is now; nothing that was noted goes away when it changes.
    pub(super) fn note(&mut self, row: &RequestRow) {
        self.cancelled |= row.attention_frame.is_some() && row.attention_ack_frame.is_some();
        self.reset_connection |= row.reset_connection;
        self.longest_first_byte_ns = self.longest_first_byte_ns.max(row.first_byte_ns);
    }
}
