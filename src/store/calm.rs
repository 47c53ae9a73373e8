//! The beginning of a connection in which both sides just went on, so that nobody has to look at it frame by frame.

use crate::units::{FrameNo, Nanos, PerEnd, TcpSeq};

/// From its SYN up to a frame a connection showed this and nothing else: the SYN and its answer, segments in order,
/// each sent once and with an open window, one time to live a side, and times that do not go backward. All data were
/// acknowledged [soon](Calm::ACKED_WITHIN), the last of them in the frame behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calm {
    /// The last of these frames.
    pub until: FrameNo,
    /// The snap length cut one with payload.
    pub cut: bool,
    /// What each end sent.
    pub ends: PerEnd<CalmEnd>,
}

impl Calm {
    /// Everything was acknowledged within this time.
    pub const ACKED_WITHIN: Nanos = Nanos(150_000_000);
}

/// What one end sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalmEnd {
    /// So many frames.
    pub frames: u32,
    /// Their time to live.
    pub ttl: u8,
    /// The sequence number behind the last of them.
    pub next_seq: TcpSeq,
    /// What the last of them acknowledges.
    pub ack: TcpSeq,
    /// The last of them.
    pub last: FrameNo,
    /// The last with payload.
    pub last_payload: Option<FrameNo>,
}
