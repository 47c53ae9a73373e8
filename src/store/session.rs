//! The row of a session: one life of a Sid, with each end's part.

use super::conn::SmpCounts;
use crate::units::{ConnId, End, FrameNo, PduId, PerEnd, SessionId, Sid, SmpSeq};

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
    /// The first life of a Sid, opened by a SYN with the usual window in a frame, which is all that is known of it.
    pub fn opened(id: SessionId, conn: ConnId, sid: Sid, frame: FrameNo) -> Self {
        Self {
            id,
            conn,
            sid,
            life: 1,
            open_frame: frame,
            last_frame: frame,
            syn_seen: true,
            initial_window: SmpSeq(4),
            ends: PerEnd::default(),
            requests: 0,
            outstanding: 0,
            attention_outstanding: false,
            stalls: PerEnd::default(),
            holes: false,
        }
    }

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
