//! The walk over a connection's frames, from the last to the first, that gathers what closes are judged by.

use std::collections::VecDeque;

use super::ends::{PerPoint, Point};
use super::frames::{DELAYED_ACK, Frames, LateAck, Pos, Probe, Ruler, Scale, Seg, ZeroWindow};
use crate::store::{ConnRow, FrameFlags, FrameRow, Store, TcpFlags};
use crate::units::{FrameNo, Nanos, PerSide, Side};

/// More frames of one kind than this are not kept: the latest ones decide.
const KEEP: usize = 20_000;
/// The marks of a frame that shows nothing but that its side went on.
const USUAL: u32 =
    FrameFlags::FROM_B.0 | FrameFlags::TCP.0 | FrameFlags::IPV6.0 | FrameFlags::GOOD_CHECKSUM.0;

/// How many acknowledgements are remembered for finding the one that covers a segment.
const ACKS: usize = 4096;

/// The acknowledgements of one side that stand behind the current frame, the nearest first; each further one covers
/// more than those before it.
#[derive(Debug, Default)]
struct AcksBehind(VecDeque<(Pos, FrameNo, Nanos)>);

impl AcksBehind {
    #[inline]
    fn add(&mut self, ack: Pos, no: FrameNo, time: Nanos) {
        while self.0.front().is_some_and(|(later, ..)| *later <= ack) {
            self.0.pop_front();
        }
        if self.0.len() >= ACKS {
            self.0.pop_back();
        }
        self.0.push_front((ack, no, time));
    }

    /// The first frame behind the current one that acknowledges a position.
    #[inline]
    fn covering(&self, end: Pos) -> Option<(FrameNo, Nanos)> {
        // Mostly one of the nearest does.
        let near = self.0.iter().take(8).position(|(ack, ..)| *ack >= end);
        let at = near.unwrap_or_else(|| self.0.partition_point(|(ack, ..)| *ack < end));
        self.0.get(at).map(|(_, no, time)| (*no, *time))
    }
}

/// A run of zero windows, followed backwards: it ends, in file order, where the window was opened.
#[derive(Debug, Clone, Copy)]
struct ZeroRun {
    start: Seg,
    opened: Option<Seg>,
}

/// The walk, somewhere between the last frame and the first.
struct Walk<'a> {
    store: &'a Store,
    ruler: Ruler<'a>,
    /// From which position of each side's stream on segments are kept.
    from: &'a PerSide<Pos>,
    slow_ack: i64,
    out: Frames,
    heard: PerSide<PerPoint<Option<FrameNo>>>,
    /// The nearest frame behind in which the side's window was open.
    open: PerSide<Option<FrameNo>>,
    runs: PerSide<Option<ZeroRun>>,
    acks: PerSide<AcksBehind>,
    /// Segments with new data so far.
    fresh: PerSide<u32>,
}

/// Walks all frames of a connection. `from` tells from which position of each side's stream on segments are kept.
pub(super) fn walk(
    store: &Store,
    conn: &ConnRow,
    scale: Scale<'_>,
    from: &PerSide<Pos>,
    slow_ack: i64,
) -> Frames {
    let mut walk = Walk {
        store,
        ruler: Ruler::new(scale),
        from,
        slow_ack,
        out: Frames::default(),
        heard: PerSide::default(),
        open: PerSide::default(),
        runs: PerSide([None, None]),
        acks: PerSide::default(),
        fresh: PerSide::default(),
    };
    store.each_conn_frame_back(conn.id, |no, row| {
        let side = conn.side_of(row.end());
        if row.is_tcp() && !walk.usual(no, row, side) {
            walk.frame(no, row, side);
        }
    });
    walk.finish()
}

impl Walk<'_> {
    /// Takes in a frame that shows nothing but that its side went on, as most do: the same as [`Walk::frame`], made
    /// short. Returns false, with nothing done, for any other.
    #[inline]
    fn usual(&mut self, no: FrameNo, row: &FrameRow, side: Side) -> bool {
        let plain = row.flags.0 & !USUAL == 0
            && row.tcp_flags.0 & !TcpFlags::PSH.0 == TcpFlags::ACK.0
            && row.window > 0
            && self.ruler.ends.one_point()
            && self.runs.get(side).is_none();
        let Some((pos, ack)) = self.ruler.numbers(row, side) else {
            return false;
        };
        let end = pos.saturating_add(Pos::from(row.payload_len));
        let with_data = row.payload_len > 0;
        let start = *self.from.get(side);
        let late = end > start || pos >= start;
        if !plain || late || (with_data && self.out.last_payload.get(side).is_none()) {
            return false;
        }
        self.ruler.go_on(side, (pos, row.seq), Some((ack, row.ack)));
        self.out
            .last_sent
            .get_mut(side)
            .get_mut(Point::Only)
            .get_or_insert(no);
        self.out.ttl.get_mut(side).get_mut(Point::Only).add(row.ttl);
        raise(self.out.acked.get_mut(side), Some(ack));
        raise(
            self.out.acked_at.get_mut(side).get_mut(Point::Only),
            Some(ack),
        );
        if with_data {
            raise(self.out.sent_end.get_mut(side), Some(end));
            let ruler = self.ruler;
            self.fresh_data(side, end, row.time, || ruler.measure(no, row, side));
        }
        self.acks.get_mut(side).add(ack, no, row.time);
        *self.open.get_mut(side) = Some(no);
        *self.heard.get_mut(side).get_mut(Point::Only) = Some(no);
        true
    }

    fn frame(&mut self, no: FrameNo, row: &FrameRow, side: Side) {
        let seg = self.ruler.seg(no, row, side);
        let out = &mut self.out;
        out.cut |= row.flags.has(FrameFlags::CUT) && row.payload_len > 0;
        if seg.flags.rst() {
            out.rsts.push(seg);
            return;
        }
        let last = out.last_sent.get_mut(side).get_mut(seg.point);
        last.get_or_insert(no);
        if row.flags.has(FrameFlags::BAD_CHECKSUM) {
            let bad = out.bad_checksums.get_mut(side).get_mut(seg.point);
            bad.frames = bad.frames.saturating_add(1);
            bad.first = Some(no);
        }
        if seg.is_copy() {
            out.copies = out.copies.saturating_add(1);
        }
        out.ttl.get_mut(side).get_mut(seg.point).add(row.ttl);
        raise(out.acked.get_mut(side), seg.ack);
        raise(out.acked_at.get_mut(side).get_mut(seg.point), seg.ack);
        if seg.flags.syn() {
            out.syns.push(seg);
            *self.heard.get_mut(side).get_mut(seg.point) = Some(no);
            return;
        }
        if seg.flags.fin() {
            out.fins.push(seg);
        }
        let in_stream = !seg.marks.has(FrameFlags::NOT_IN_STREAM);
        if seg.len > 0 && in_stream {
            raise(out.sent_end.get_mut(side), Some(seg.end));
            if out.last_payload.get(side).is_none() {
                *out.last_payload.get_mut(side) = Some(seg);
            }
        }
        let start = *self.from.get(side);
        if (seg.next > start || seg.pos >= start) && out.late.get(side).len() < KEEP * 10 {
            out.late.get_mut(side).push(seg);
        }
        self.data(seg, in_stream);
        if let Some(ack) = seg.ack {
            self.acks.get_mut(side).add(ack, no, seg.time);
        }
        self.window(seg);
        *self.heard.get_mut(side).get_mut(seg.point) = Some(no);
    }

    /// Probes, what was sent again, and new data.
    fn data(&mut self, seg: Seg, in_stream: bool) {
        let side = seg.side;
        let out = &mut self.out;
        if seg.marks.has(FrameFlags::KEEPALIVE) && !seg.is_copy() {
            if out.probes.len() < KEEP {
                let peer = *self.heard.get(side.other()).get(seg.point);
                let own = *self.heard.get(side).get(seg.point);
                out.probes.push(Probe {
                    seg,
                    heard: peer,
                    answered: peer.is_some_and(|peer| own.is_none_or(|own| peer < own)),
                });
            }
        } else if seg.marks.has(FrameFlags::RETRANSMISSION)
            && seg.len > 0
            && !seg.is_copy()
            && out.resent.len() < KEEP
        {
            out.resent.push(seg);
            out.fresh_behind.push(*self.fresh.get(side.other()));
        } else if seg.len > 0 && in_stream && !seg.is_copy() {
            self.fresh_data(side, seg.end, seg.time, || seg);
        }
    }

    /// New data up to `end`: whether its acknowledgement came late.
    #[inline]
    fn fresh_data(&mut self, side: Side, end: Pos, time: Nanos, seg: impl FnOnce() -> Seg) {
        let count = self.fresh.get_mut(side);
        *count = count.saturating_add(1);
        let Some((acked_in, acked)) = self.acks.get(side.other()).covering(end) else {
            return;
        };
        let after = acked.since(time);
        let delayed = DELAYED_ACK.contains(&after);
        if !delayed && after < self.slow_ack {
            return;
        }
        let late = LateAck {
            data: seg(),
            acked_in,
            after,
        };
        if delayed {
            let of_side = self.out.delayed_acks.get_mut(side.other());
            of_side.count = of_side.count.saturating_add(1);
            of_side.example.get_or_insert(late);
        }
        if after >= self.slow_ack {
            self.late_ack(late);
        }
    }

    fn late_ack(&mut self, late: LateAck) {
        let out = &mut self.out;
        let data = late.data;
        let nearest = out.resent.iter().rev().take(64);
        let again = nearest
            .filter(|resent| resent.side == data.side)
            .any(|resent| resent.pos == data.pos);
        if !again && out.late_acks.len() < KEEP {
            out.late_acks.push(late);
        }
    }

    /// Windows of 0, and those that opened again.
    fn window(&mut self, seg: Seg) {
        let side = seg.side;
        if seg.marks.has(FrameFlags::ZERO_WINDOW) {
            if let Some(run) = self.runs.get_mut(side) {
                run.start = seg;
                return;
            }
            let opened = self.open.get(side);
            let opened = opened.and_then(|no| Some((no, self.store.frame(no)?)));
            let opened = opened.map(|(no, row)| self.ruler.measure(no, &row, side));
            *self.runs.get_mut(side) = Some(ZeroRun { start: seg, opened });
        } else if seg.window > 0 {
            self.close_run(side);
            *self.open.get_mut(side) = Some(seg.no);
        }
    }

    fn close_run(&mut self, side: Side) {
        let found = &mut self.out.zero_windows;
        if let Some(run) = self.runs.get_mut(side).take()
            && found.len() < KEEP
        {
            found.push(ZeroWindow {
                start: run.start,
                opened: run.opened,
            });
        }
    }

    /// What was gathered, every list in file order.
    fn finish(mut self) -> Frames {
        for side in Side::BOTH {
            self.close_run(side);
        }
        let mut out = self.out;
        out.syns.reverse();
        out.fins.reverse();
        out.rsts.reverse();
        out.probes.reverse();
        out.resent.reverse();
        out.fresh_behind.reverse();
        out.late_acks.reverse();
        out.zero_windows.sort_by_key(|z| z.start.no);
        for side in Side::BOTH {
            out.late.get_mut(side).reverse();
        }
        out
    }
}

/// Raises a maximum.
#[inline]
fn raise(slot: &mut Option<Pos>, value: Option<Pos>) {
    if let Some(value) = value {
        *slot = Some(slot.map_or(value, |old| old.max(value)));
    }
}
