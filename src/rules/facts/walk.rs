//! The walk over a connection's frames, from the last to the first, that gathers what closes are judged by.

use super::ends::{PerPoint, Point};
use super::frames::{
    DELAYED_ACK, Frames, LateAck, Pos, Probe, Ruler, Scale, Seg, TtlCounts, ZeroWindow,
};
use crate::store::{Calm, ConnRow, FrameFlags, FrameRow, Store};
use crate::units::{FrameNo, Nanos, PerSide, Side};

/// More frames of one kind than this are not kept: the latest ones decide.
const KEEP: usize = 20_000;

/// How many acknowledgements are remembered for finding the one that covers a segment.
const ACKS: usize = 4096;

/// As many segments that came late or again are looked through for the reason of a late acknowledgement.
const NEAREST: usize = 64;

/// The acknowledgements of one side that stand behind the current frame, the nearest last; each covers more than those
/// after it.
#[derive(Debug, Default)]
struct AcksBehind(Vec<(Pos, FrameNo, Nanos)>);

impl AcksBehind {
    #[inline]
    fn add(&mut self, ack: Pos, no: FrameNo, time: Nanos) {
        while self.0.last().is_some_and(|(later, ..)| *later <= ack) {
            self.0.pop();
        }
        if self.0.len() >= 2 * ACKS {
            self.0.drain(..ACKS);
        }
        self.0.push((ack, no, time));
    }

    /// The first frame behind the current one that acknowledges a position.
    #[inline]
    fn covering(&self, end: Pos) -> Option<(FrameNo, Nanos)> {
        // Mostly the nearest does.
        let found = match self.0.last()? {
            nearest if nearest.0 >= end => nearest,
            _ => {
                let covering = self.0.partition_point(|(ack, ..)| *ack >= end);
                self.0.get(covering.checked_sub(1)?)?
            }
        };
        let (_, no, time) = found;
        Some((*no, *time))
    }
}

/// A run of zero windows, followed backwards: it ends, in file order, where the window was opened.
#[derive(Debug, Clone, Copy)]
struct ZeroRun {
    start: Seg,
    opened: Option<Seg>,
}

/// What the walk knows of one side.
#[derive(Debug, Default)]
struct Half {
    /// From which position of the side's stream on segments are kept.
    from: Pos,
    /// The nearest frame behind, at each point.
    heard: PerPoint<Option<FrameNo>>,
    /// The nearest frame behind in which the window was open, at each point.
    open: PerPoint<Option<FrameNo>>,
    run: PerPoint<Option<ZeroRun>>,
    /// As each point saw them: how late one came is told by the clock of the data.
    acks: PerPoint<AcksBehind>,
    /// Segments with new data so far, as each point saw them.
    fresh: PerPoint<u32>,
    /// Where the segments that came late or again begin, those behind the current frame, the nearest last.
    gone_back: Vec<(Pos, FrameNo)>,
    late: Vec<Seg>,
    ttl: PerPoint<TtlCounts>,
    sent_end: Option<Pos>,
    acked: PerPoint<Option<Pos>>,
    last_payload: Option<Seg>,
    last_sent: PerPoint<Option<FrameNo>>,
}

impl Half {
    /// Forgets what it knows.
    fn begin(&mut self, from: Pos) {
        let mut acks = std::mem::take(&mut self.acks);
        acks.values_mut().for_each(|acks| acks.0.clear());
        *self = Self {
            from,
            acks,
            late: emptied(&mut self.late),
            ..Self::default()
        };
    }

    /// Takes in a segment that came late or again.
    fn went_back(&mut self, seg: &Seg) {
        if self.gone_back.len() >= 2 * NEAREST {
            self.gone_back.drain(..NEAREST);
        }
        self.gone_back.push((seg.pos, seg.no));
    }

    /// Whether the side filled, behind the current frame and up to another, a hole in front of a position: until then
    /// its peer could acknowledge nothing behind it.
    fn filled_hole(&self, before: Pos, until: FrameNo) -> bool {
        let mut nearest = self.gone_back.iter().rev().take(NEAREST);
        nearest.any(|(pos, no)| *pos < before && *no <= until)
    }

    fn close_run(&mut self, point: Point, found: &mut Vec<ZeroWindow>) {
        if let Some(run) = self.run.get_mut(point).take()
            && found.len() < KEEP
        {
            found.push(ZeroWindow {
                start: run.start,
                opened: run.opened,
            });
        }
    }
}

/// A list without entries that keeps its memory.
fn emptied<T>(list: &mut Vec<T>) -> Vec<T> {
    list.clear();
    std::mem::take(list)
}

/// The walk, somewhere between the last frame and the first.
struct Walk<'a> {
    store: &'a Store,
    ruler: Ruler<'a>,
    /// Every frame counts as it is.
    one_point: bool,
    /// Several clocks took the times, and it is not known which point is whose.
    mixed: bool,
    slow_ack: i64,
    halves: &'a mut PerSide<Half>,
    out: &'a mut Frames,
}

/// Walks over connections, one behind the other, in the memory that the first of them needed.
#[derive(Debug, Default)]
pub(in crate::rules) struct Walker {
    halves: PerSide<Half>,
    out: Frames,
}

impl Walker {
    /// Walks the frames of a connection, its calm beginning in one step. `from` tells from which position of each
    /// side's stream on segments are kept.
    pub(super) fn walk(
        &mut self,
        store: &Store,
        conn: &ConnRow,
        scale: Scale<'_>,
        from: PerSide<Pos>,
        slow_ack: i64,
    ) -> &Frames {
        let late = slow_ack.min(DELAYED_ACK.start);
        let known = scale.ends.one_point() && late >= Calm::ACKED_WITHIN.0;
        let calms = if known { &*conn.calm } else { &[] };
        self.begin(store, conn, scale, from, slow_ack)
            .all(conn, calms);
        debug_assert_eq!(
            self.out,
            {
                let mut other = Self::default();
                other
                    .begin(store, conn, scale, from, slow_ack)
                    .all(conn, &[]);
                other.out
            },
            "the calm beginning of {}",
            conn.id
        );
        &self.out
    }

    fn begin<'a>(
        &'a mut self,
        store: &'a Store,
        conn: &ConnRow,
        scale: Scale<'a>,
        from: PerSide<Pos>,
        slow_ack: i64,
    ) -> Walk<'a> {
        for side in Side::BOTH {
            self.halves.get_mut(side).begin(*from.get(side));
        }
        let out = &mut self.out;
        *out = Frames {
            syns: emptied(&mut out.syns),
            fins: emptied(&mut out.fins),
            rsts: emptied(&mut out.rsts),
            late: PerSide(out.late.0.each_mut().map(emptied)),
            ..Frames::default()
        };
        Walk {
            store,
            ruler: Ruler::new(scale),
            one_point: scale.ends.one_point(),
            mixed: conn.copied && !scale.ends.both,
            slow_ack,
            halves: &mut self.halves,
            out,
        }
    }
}

impl Walk<'_> {
    fn all(mut self, conn: &ConnRow, calms: &[Calm]) {
        self.back(conn, calms);
        self.finish();
    }

    /// Walks. Not inlined, so that a side's half is one place in memory, not a choice of two for each of its fields.
    #[inline(never)]
    fn back(&mut self, conn: &ConnRow, calms: &[Calm]) {
        let mut calms = calms.iter();
        let mut calm = calms.next();
        self.store.each_conn_frame_back(conn.id, |no, row| {
            if let Some(beginning) = calm.filter(|calm| no <= calm.until) {
                if self.skips(conn, beginning) {
                    return false;
                }
                calm = calms.next();
            }
            let side = conn.side_of(row.end());
            if row.is_tcp() && !self.usual(no, row, side) {
                if self.one_point {
                    let seg = self.ruler.measure_at_one_point(no, row, side);
                    self.frame(&seg, row.flags);
                } else {
                    self.at_a_point(no, side);
                }
            }
            true
        });
    }

    /// Takes in the whole beginning of a connection, as if frame by frame. Returns false, with nothing done, if
    /// segments of it are to be kept.
    fn skips(&mut self, conn: &ConnRow, calm: &Calm) -> bool {
        let sent = Side::BOTH.map(|side| (side, *calm.ends.get(conn.end_of(side))));
        let kept = sent.iter().any(|(side, sent)| {
            let end = self.ruler.position(*side, sent.next_seq);
            end.is_none_or(|end| end >= self.halves.get(*side).from)
        });
        if kept {
            return false;
        }
        self.out.cut |= calm.cut;
        for (side, sent) in &sent {
            let half = self.halves.get_mut(*side);
            half.ttl.get_mut(Point::Only).add(sent.ttl, sent.frames);
            half.last_sent.get_mut(Point::Only).get_or_insert(sent.last);
            let ack = self.ruler.position(side.other(), sent.ack);
            raise(half.acked.get_mut(Point::Only), ack);
            if let Some(no) = sent.last_payload {
                raise(
                    &mut half.sent_end,
                    self.ruler.position(*side, sent.next_seq),
                );
                if half.last_payload.is_none() {
                    let row = self.store.frame(no);
                    half.last_payload = row.map(|row| self.ruler.measure(no, &row, *side));
                }
            }
        }
        let opening = [conn.syn_ack_frame, conn.syn_frame].into_iter().flatten();
        let opening = opening.filter_map(|no| Some((no, self.store.frame(no)?)));
        let ruler = self.ruler;
        self.out
            .syns
            .extend(opening.map(|(no, row)| ruler.opening(conn, no, &row)));
        true
    }

    /// Takes in a frame that shows nothing but that its side went on, as most do: the same as [`Walk::frame`], made
    /// short. Returns false, with nothing done, for any other.
    #[expect(
        clippy::inline_always,
        reason = "only what it looks at is unpacked, which is little of a row"
    )]
    #[inline(always)]
    fn usual(&mut self, no: FrameNo, row: &FrameRow, side: Side) -> bool {
        // Where a host leaves its checksums to the card, those of all that it sends are wrong.
        let marks = row.flags.without(FrameFlags::BAD_CHECKSUM);
        if !(self.one_point && marks.is_ordinary() && row.acknowledges_with_open_window()) {
            return false;
        }
        let Some((pos, ack)) = self.ruler.numbers(row, side) else {
            return false;
        };
        let (own, peer) = self.halves.get_both_mut(side);
        let end = pos.saturating_add(Pos::from(row.payload_len));
        let with_data = row.payload_len > 0;
        let late = if with_data {
            end > own.from || own.last_payload.is_none()
        } else {
            pos >= own.from
        };
        if late || own.run.get(Point::Only).is_some() {
            return false;
        }
        if row.flags.has(FrameFlags::BAD_CHECKSUM) {
            self.out.bad_checksum(no, side, Point::Only);
        }
        own.last_sent.get_mut(Point::Only).get_or_insert(no);
        own.ttl.get_mut(Point::Only).add(row.ttl, 1);
        raise(own.acked.get_mut(Point::Only), Some(ack));
        if with_data {
            raise(&mut own.sent_end, Some(end));
            let fresh = own.fresh.get_mut(Point::Only);
            *fresh = fresh.saturating_add(1);
            self.out.cut |= row.is_cut();
        }
        own.acks.get_mut(Point::Only).add(ack, no, row.time);
        *own.open.get_mut(Point::Only) = Some(no);
        *own.heard.get_mut(Point::Only) = Some(no);
        if with_data
            && let Some(acked) = acked_after(peer, Point::Only, end, row.time)
            && let Some(late) = if_late(acked, self.slow_ack)
        {
            self.usual_late_ack(no, side, late);
        }
        self.ruler.go_on(side, (pos, row.seq), Some((ack, row.ack)));
        true
    }

    #[inline(never)]
    fn usual_late_ack(&mut self, no: FrameNo, side: Side, late: (FrameNo, i64)) {
        if let Some(row) = self.store.frame(no) {
            self.late_ack(self.ruler.measure(no, &row, side), late);
        }
    }

    /// Takes in a frame of a connection that was captured at several points.
    #[inline(never)]
    fn at_a_point(&mut self, no: FrameNo, side: Side) {
        if let Some(row) = self.store.frame(no) {
            self.frame(&self.ruler.measure(no, &row, side), row.flags);
        }
    }

    /// Takes in a frame; its own flags are not the segment's marks where both ends' files are there.
    #[inline(never)]
    fn frame(&mut self, seg: &Seg, flags: FrameFlags) {
        self.ruler.follow(seg);
        let no = seg.no;
        let own = self.halves.get_mut(seg.side);
        let out = &mut *self.out;
        out.cut |= flags.has(FrameFlags::CUT) && seg.len > 0;
        if seg.flags.rst() {
            out.rsts.push(*seg);
            return;
        }
        own.last_sent.get_mut(seg.point).get_or_insert(no);
        if flags.has(FrameFlags::BAD_CHECKSUM) {
            out.bad_checksum(no, seg.side, seg.point);
        }
        if seg.is_copy() {
            out.copies = out.copies.saturating_add(1);
        }
        own.ttl.get_mut(seg.point).add(seg.ttl, 1);
        raise(own.acked.get_mut(seg.point), seg.ack);
        if seg.flags.syn() {
            out.syns.push(*seg);
            *own.heard.get_mut(seg.point) = Some(no);
            return;
        }
        if seg.flags.fin() {
            out.fins.push(*seg);
        }
        let in_stream = !seg.marks.has(FrameFlags::NOT_IN_STREAM);
        if seg.len > 0 && in_stream {
            raise(&mut own.sent_end, Some(seg.end));
            own.last_payload.get_or_insert(*seg);
        }
        if (seg.next > own.from || seg.pos >= own.from) && own.late.len() < KEEP * 10 {
            if own.late.is_empty() {
                // As many as there mostly are.
                own.late.reserve(8);
            }
            own.late.push(*seg);
        }
        self.data(seg, in_stream);
        let own = self.halves.get_mut(seg.side);
        if let Some(ack) = seg.ack {
            own.acks.get_mut(seg.point).add(ack, no, seg.time);
        }
        self.window(seg);
        let own = self.halves.get_mut(seg.side);
        *own.heard.get_mut(seg.point) = Some(no);
    }

    /// Probes, what was sent again, and new data.
    fn data(&mut self, seg: &Seg, in_stream: bool) {
        let (own, peer) = self.halves.get_both_mut(seg.side);
        let out = &mut *self.out;
        let goes_back =
            seg.marks.has(FrameFlags::RETRANSMISSION) || seg.marks.has(FrameFlags::OUT_OF_ORDER);
        if seg.len > 0 && goes_back && !seg.is_copy() {
            own.went_back(seg);
        }
        let counts = seg.point != Point::Only || !seg.is_copy();
        if seg.len > 0 && in_stream && counts && !seg.marks.has(FrameFlags::RETRANSMISSION) {
            let fresh = own.fresh.get_mut(seg.point);
            *fresh = fresh.saturating_add(1);
        }
        if seg.marks.has(FrameFlags::KEEPALIVE) && !seg.is_copy() {
            if out.probes.len() < KEEP {
                let heard = *peer.heard.get(seg.point);
                let own = *own.heard.get(seg.point);
                out.probes.push(Probe {
                    seg: *seg,
                    heard,
                    answered: heard.is_some_and(|heard| own.is_none_or(|own| heard < own)),
                });
            }
        } else if seg.marks.has(FrameFlags::RETRANSMISSION)
            && seg.len > 0
            && !seg.is_copy()
            && out.resent.len() < KEEP
        {
            out.resent.push(*seg);
            out.fresh_behind.push(*peer.fresh.get(seg.point));
        } else if seg.len > 0
            && in_stream
            && !seg.is_copy()
            && let Some(acked) = acked_after(peer, seg.point, seg.end, seg.time)
        {
            if !self.one_point && acked.1 >= 0 {
                let trip = out.round_trip.get_mut(seg.side);
                *trip = Some(trip.map_or(acked.1, |trip| trip.min(acked.1)));
            }
            if let Some(late) = if_late(acked, self.slow_ack) {
                self.late_ack(*seg, late);
            }
        }
    }

    fn late_ack(&mut self, data: Seg, (acked_in, after): (FrameNo, i64)) {
        let late = LateAck {
            data,
            acked_in,
            after,
        };
        if self.halves.get(data.side).filled_hole(data.pos, acked_in) {
            return;
        }
        let out = &mut *self.out;
        if DELAYED_ACK.contains(&after) {
            let of_side = out.delayed_acks.get_mut(data.side.other());
            of_side.count = of_side.count.saturating_add(1);
            of_side.example.get_or_insert(late);
        }
        let nearest = out.resent.iter().rev().take(NEAREST);
        let again = nearest
            .filter(|resent| resent.side == data.side)
            .any(|resent| resent.pos == data.pos);
        if after >= self.slow_ack && !again && out.late_acks.len() < KEEP {
            out.late_acks.push(late);
        }
    }

    /// Windows of 0, and those that opened again.
    fn window(&mut self, seg: &Seg) {
        let own = self.halves.get_mut(seg.side);
        if seg.marks.has(FrameFlags::ZERO_WINDOW) {
            if let Some(run) = own.run.get_mut(seg.point) {
                run.start = *seg;
                return;
            }
            let open = *own.open.get(seg.point);
            let opened = open.and_then(|no| Some((no, self.store.frame(no)?)));
            let opened = opened.map(|(no, row)| self.ruler.measure(no, &row, seg.side));
            *own.run.get_mut(seg.point) = Some(ZeroRun {
                start: *seg,
                opened,
            });
        } else if seg.window > 0 {
            own.close_run(seg.point, &mut self.out.zero_windows);
            *own.open.get_mut(seg.point) = Some(seg.no);
        }
    }

    /// What was gathered, every list in file order.
    fn finish(self) {
        let Self {
            out, halves, mixed, ..
        } = self;
        if mixed {
            out.late_acks.clear();
            out.delayed_acks = PerSide::default();
        }
        for side in Side::BOTH {
            let half = halves.get_mut(side);
            for point in Point::ALL {
                half.close_run(point, &mut out.zero_windows);
            }
            half.late.reverse();
            std::mem::swap(out.late.get_mut(side), &mut half.late);
            *out.ttl.get_mut(side) = half.ttl;
            *out.sent_end.get_mut(side) = half.sent_end;
            *out.acked.get_mut(side) = half.acked.values().copied().flatten().max();
            *out.acked_at.get_mut(side) = half.acked;
            *out.last_payload.get_mut(side) = half.last_payload;
            *out.last_sent.get_mut(side) = half.last_sent;
        }
        out.syns.reverse();
        out.fins.reverse();
        out.rsts.reverse();
        out.probes.reverse();
        out.resent.reverse();
        out.fresh_behind.reverse();
        out.late_acks.reverse();
        out.zero_windows.sort_by_key(|z| z.start.no);
        out.resend_runs = out.read_resend_runs();
    }
}

/// The frame in which the peer acknowledged data up to `end`, as the point saw it that saw the data, and how long after.
#[inline]
fn acked_after(peer: &Half, point: Point, end: Pos, time: Nanos) -> Option<(FrameNo, i64)> {
    let (acked_in, acked) = peer.acks.get(point).covering(end)?;
    Some((acked_in, acked.since(time)))
}

/// The same, if that was delayed or late.
#[inline]
fn if_late(acked: (FrameNo, i64), slow_ack: i64) -> Option<(FrameNo, i64)> {
    (acked.1 >= slow_ack || DELAYED_ACK.contains(&acked.1)).then_some(acked)
}

/// Raises a maximum.
#[inline]
fn raise(slot: &mut Option<Pos>, value: Option<Pos>) {
    if *slot < value {
        *slot = value;
    }
}
