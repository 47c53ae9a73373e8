//! Follows the beginning of a connection for as long as both sides just go on.

use crate::store::{Calm, CalmEnd, ConnRow, FrameRow, TcpFlags};
use crate::units::{End, FrameNo, Nanos, PerEnd, TcpSeq};

use super::conn::Side;

/// So many frames or more stand between two beginnings that are told of. The earlier one is for connections whose close,
/// which is looked at frame by frame, takes longer than the later one ends before the last frame.
const APART: u32 = 32;

/// The watch over one connection. It keeps little of its own, for what it tells of each end is known of its side.
#[derive(Debug)]
pub(super) struct Watch {
    /// From this number of frames on the beginning so far is looked at.
    due: u32,
    /// A frame with payload was cut.
    cut: bool,
    /// The latest beginning whose data were acknowledged in the frame behind it at the latest, then the one before.
    settled: Vec<Calm>,
    /// Data were acknowledged late, perhaps the last of the latest beginning, of which nothing is told then.
    late: bool,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            due: APART,
            cut: false,
            settled: Vec::new(),
            late: false,
        }
    }
}

impl Watch {
    /// The beginnings that can be told of, the longest first.
    pub(super) fn told(&self) -> &[Calm] {
        &self.settled
    }

    /// A watch that has stopped, having told of these.
    pub(super) fn stopped(told: &[Calm], late: bool) -> Self {
        Self {
            due: u32::MAX,
            cut: false,
            settled: told.to_vec(),
            late,
        }
    }

    /// Whether nothing is due any more.
    pub(super) fn is_stopped(&self) -> bool {
        self.due == u32::MAX
    }

    /// Whether data were acknowledged late.
    pub(super) fn is_late(&self) -> bool {
        self.late
    }

    /// Something else has happened: nothing is due any more.
    fn stop(&mut self) {
        self.due = u32::MAX;
    }

    /// Takes in the next frame of the connection, with all that was found out about it. Frames in which there is nothing
    /// to be found, which are like others of their side, need not come here.
    pub(super) fn frame(
        &mut self,
        conn: &ConnRow,
        sides: &PerEnd<Side>,
        no: FrameNo,
        row: FrameRow,
    ) {
        let (own, peer) = (sides.get(row.end()), sides.get(row.end().other()));
        let known = row.flags.is_ordinary() && row.time >= conn.last_time;
        if !known || !goes_on(conn, own, peer, no, row) {
            self.stop();
        }
        self.cut |= row.is_cut();
    }

    /// Data of a side are acknowledged further than before.
    #[inline]
    pub(super) fn acked(&mut self, sender: &Side, time: Nanos) {
        let due = sender.unacked_since.0.checked_add(Calm::ACKED_WITHIN.0);
        let late = due.is_some_and(|due| due <= time.0);
        if late && !sender.order.is_acked() {
            self.stop();
            if !std::mem::replace(&mut self.late, true) {
                self.settled.drain(..self.settled.len().min(1));
            }
        }
    }

    /// Looks at the beginning up to the frame in front of one in which a side acknowledges more, before that is noted.
    #[inline]
    pub(super) fn look_back(&mut self, own: &Side, peer: &Side, ack: TcpSeq) {
        let frames = own.stats.frames.saturating_add(peer.stats.frames);
        if frames >= self.due && own.order.is_acked() && peer.order.next_seq() == Some(ack) {
            self.due = frames.saturating_add(APART);
            self.settle(own, peer);
        }
    }

    #[inline(never)]
    fn settle(&mut self, own: &Side, peer: &Side) {
        if let (Some(by_own), Some(by_peer)) = (sent(own), sent(peer)) {
            let settled = Calm {
                until: own.last.max(peer.last),
                cut: self.cut,
                ends: match own.end {
                    End::A => PerEnd([by_own, by_peer]),
                    End::B => PerEnd([by_peer, by_own]),
                },
            };
            self.settled.truncate(1);
            self.settled.insert(0, settled);
        }
    }
}

/// Whether a frame that was taken in, but not counted yet, shows nothing but that its side goes on.
fn goes_on(conn: &ConnRow, own: &Side, peer: &Side, no: FrameNo, row: FrameRow) -> bool {
    let begun = if row.tcp_flags.syn() {
        own.stats.frames == 0 && opens(conn, no, row)
    } else {
        row.just_goes_on() && own.stats.frames > 0 && own.ttl == Some(row.ttl)
    };
    let in_order = own.order.is_whole() && own.order.next_seq() == Some(row.next_seq());
    let acked = [own.last_ack, peer.order.acked_seq()] == [Some(row.ack); 2];
    let acks = acked && peer.stats.frames > 0 && peer.order.is_whole();
    begun && in_order && (acks || !row.tcp_flags.ack())
}

/// Whether it is the SYN that opens the connection, or the answer to that.
fn opens(conn: &ConnRow, no: FrameNo, row: FrameRow) -> bool {
    let first = if row.tcp_flags == TcpFlags::SYN {
        conn.syn_frame == Some(no)
    } else {
        row.tcp_flags == TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0)
            && conn.syn_ack_frame == Some(no)
    };
    first && row.payload_len == 0
}

/// What a side sent so far.
fn sent(side: &Side) -> Option<CalmEnd> {
    Some(CalmEnd {
        frames: side.stats.frames,
        ttl: side.ttl?,
        next_seq: side.order.next_seq()?,
        ack: side.last_ack?,
        last: side.last,
        last_payload: Some(side.last_payload).filter(|no| *no != FrameNo::default()),
    })
}
