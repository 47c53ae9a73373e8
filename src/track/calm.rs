//! Follows the beginning of a connection for as long as both sides just go on.

use crate::store::{Calm, CalmEnd, ConnRow, FrameFlags, FrameRow, TcpFlags};
use crate::units::{End, FrameNo, Nanos, PerEnd, TcpSeq};

/// What is told of the beginning ends so many frames before the last or earlier: how a connection closes is looked at
/// frame by frame.
const APART: u32 = 32;

/// The watch over one connection.
#[derive(Debug, Default)]
pub(super) struct Watch {
    over: bool,
    ends: PerEnd<Option<Half>>,
    frames: u32,
    /// From this number of frames on the beginning so far is looked at.
    due: u32,
    time: Option<Nanos>,
    /// The latest beginning whose data were acknowledged in the frame behind it at the latest.
    settled: Option<Calm>,
}

#[derive(Debug)]
struct Half {
    sent: CalmEnd,
    /// How far the peer acknowledged it.
    acked: TcpSeq,
    /// No later than this the oldest data were sent that are not acknowledged.
    since: Nanos,
    /// The same holds of the data from `mark` on.
    mark: TcpSeq,
    mark_since: Nanos,
}

impl Watch {
    /// Takes in the next frame of the connection, with all that is known of it.
    #[expect(
        clippy::inline_always,
        reason = "what a usual frame says stays in registers from its bytes to its row"
    )]
    #[inline(always)]
    pub(super) fn frame(&mut self, conn: &mut ConnRow, no: FrameNo, row: FrameRow) {
        if self.over {
            return;
        }
        self.frames = self.frames.saturating_add(1);
        let until_here = if self.frames < self.due.max(APART) {
            None
        } else {
            self.so_far(row.end(), row.prev)
        };
        self.over = self.goes_on(conn, no, row).is_none();
        if let Some(calm) = until_here {
            self.settle(calm, conn, row.end());
        }
    }

    #[inline(never)]
    fn settle(&mut self, calm: Calm, conn: &mut ConnRow, end: End) {
        if !self.over && self.all_acked(end.other()) {
            conn.calm = self.settled.replace(calm);
            self.due = self.frames.saturating_add(APART);
        }
    }

    fn all_acked(&self, end: End) -> bool {
        let half = self.ends.get(end).as_ref();
        half.is_some_and(|half| half.acked == half.sent.next_seq)
    }

    /// The beginning up to the frame in front of this one, if the sender has nothing unacknowledged there.
    #[inline(never)]
    fn so_far(&self, end: End, prev: Option<FrameNo>) -> Option<Calm> {
        let PerEnd([Some(a), Some(b)]) = &self.ends else {
            return None;
        };
        Some(Calm {
            until: prev.filter(|_| self.all_acked(end))?,
            ends: PerEnd([a.sent, b.sent]),
        })
    }

    /// `None` if it shows anything else than that its side goes on.
    #[expect(
        clippy::inline_always,
        reason = "it is part of what is done for every frame"
    )]
    #[inline(always)]
    fn goes_on(&mut self, conn: &ConnRow, no: FrameNo, row: FrameRow) -> Option<()> {
        let PerEnd([a, b]) = &mut self.ends;
        let (own, peer) = if row.flags.has(FrameFlags::FROM_B) {
            (b, a)
        } else {
            (a, b)
        };
        holds(row.flags.is_ordinary() && self.time.is_none_or(|time| row.time >= time))?;
        self.time = Some(row.time);
        let own = if row.tcp_flags.syn() {
            holds(own.is_none() && opens(conn, no, row))?;
            own.get_or_insert_with(|| Half::new(no, row))
        } else {
            let own = own.as_mut()?;
            holds(row.just_goes_on() && own.sent.next_seq == row.seq)?;
            own
        };
        holds(own.sent.ttl == row.ttl)?;
        if row.tcp_flags.ack() {
            let peer = peer.as_mut()?;
            if row.ack != peer.acked {
                peer.acknowledged(row.ack, row.time)?;
            }
            own.sent.ack = row.ack;
        }
        if row.payload_len > 0 {
            own.sends(row);
            own.sent.last_payload = Some(no);
        }
        own.sent.frames = own.sent.frames.saturating_add(1);
        own.sent.last = no;
        Some(())
    }
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

impl Half {
    fn new(no: FrameNo, row: FrameRow) -> Self {
        Self {
            sent: CalmEnd {
                frames: 0,
                ttl: row.ttl,
                next_seq: row.next_seq(),
                ack: row.ack,
                last: no,
                last_payload: None,
            },
            acked: row.seq,
            since: row.time,
            mark: row.next_seq(),
            mark_since: row.time,
        }
    }

    fn sends(&mut self, row: FrameRow) {
        let behind = row.next_seq();
        if self.acked == self.sent.next_seq {
            (self.since, self.mark_since) = (row.time, row.time);
            self.mark = behind;
        }
        self.sent.next_seq = behind;
    }

    /// `None` if the number makes no sense, or data waited long for it.
    #[inline(never)]
    fn acknowledged(&mut self, ack: TcpSeq, time: Nanos) -> Option<()> {
        let forward = self.acked.before(ack) && ack.at_or_before(self.sent.next_seq);
        holds(forward && time.since(self.since) < Calm::ACKED_WITHIN.0)?;
        self.acked = ack;
        if self.mark.at_or_before(ack) {
            self.since = self.mark_since;
            self.mark = self.sent.next_seq;
            self.mark_since = time;
        }
        Some(())
    }
}

fn holds(condition: bool) -> Option<()> {
    condition.then_some(())
}
