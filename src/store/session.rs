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

/// One time that a sender of a session stood still for want of window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// The session.
    pub session: SessionId,
    /// Who stood still.
    pub sender: End,
    /// For how long, in nanoseconds.
    pub ns: i64,
    /// The frame that ended it.
    pub frame: FrameNo,
}

impl Stall {
    /// A shorter time is no stall, in nanoseconds.
    const LEAST: i64 = 200_000_000;

    /// Whether it was long enough to count.
    pub fn counts(&self) -> bool {
        self.ns >= Self::LEAST
    }
}

/// Which sides have closed a session with an SMP:FIN, as an observer sees it ([MC-SMP] 3.1.4.4): a Sid is free again
/// when both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBy {
    /// Neither: it is open.
    Nobody,
    /// The client alone. Its socket may be gone before the server's SMP:FIN could be sent or seen.
    Client,
    /// The server alone.
    Server,
    /// Both.
    Both,
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
    /// `None` as long as neither did.
    pub stalls: Option<Box<PerEnd<StallInfo>>>,
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
            stalls: None,
            holes: false,
        }
    }

    /// Counts a time that a sender stood still.
    pub fn add_stall(&mut self, stall: &Stall) {
        let stalls = self.stalls.get_or_insert_default().get_mut(stall.sender);
        stalls.count = stalls.count.saturating_add(1);
        stalls.total_ns = stalls.total_ns.saturating_add(stall.ns);
        if stall.ns > stalls.longest_ns {
            stalls.longest_ns = stall.ns;
            stalls.longest_frame = Some(stall.frame);
        }
    }

    /// The sender of an end standing still for want of window.
    pub fn stall(&self, end: End) -> StallInfo {
        let stalls = self.stalls.as_ref();
        stalls.map_or_else(StallInfo::default, |stalls| *stalls.get(end))
    }

    /// Which sides have closed it, with the client at one end.
    pub fn closed_by(&self, client: End) -> ClosedBy {
        let closed = |end| self.ends.get(end).fin_frame.is_some();
        match (closed(client), closed(client.other())) {
            (false, false) => ClosedBy::Nobody,
            (true, false) => ClosedBy::Client,
            (false, true) => ClosedBy::Server,
            (true, true) => ClosedBy::Both,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_open_while_neither_side_has_closed_it() {
        for (client, server, expected) in [
            (None, None, ClosedBy::Nobody),
            (Some(7), None, ClosedBy::Client),
            (None, Some(8), ClosedBy::Server),
            (Some(7), Some(8), ClosedBy::Both),
        ] {
            for end in End::BOTH {
                let mut row = SessionRow::opened(SessionId(0), ConnId(0), Sid(0), FrameNo(1));
                row.ends.get_mut(end).fin_frame = client.map(FrameNo);
                row.ends.get_mut(end.other()).fin_frame = server.map(FrameNo);
                assert_eq!(row.closed_by(end), expected);
            }
        }
    }
}
