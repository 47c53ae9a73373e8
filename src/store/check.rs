//! The row of a broken SMP check.

use crate::units::{ConnId, FrameNo, PduId, SessionId};

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
