//! The few frames of a connection which closes are judged by, and what all of them show together.

use super::ends::{Ends, PerPoint, Point};
use crate::store::{ConnRow, FrameFlags, FrameRow, Oddity, TcpFlags};
use crate::units::{FrameNo, Nanos, PerSide, Side, TcpSeq};

/// A position in one side's byte stream; signed, so that distances need no care.
pub(in crate::rules) type Pos = i64;

/// Turns a side's sequence numbers into stream positions, around the end of its stream.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct Axis {
    near: Pos,
    near_seq: TcpSeq,
}

impl Axis {
    pub(super) fn new(conn: &ConnRow, side: Side) -> Option<Self> {
        let end = conn.end_of(side);
        let base = (*conn.base_seq.get(end))?;
        let tcp = conn.tcp.get(end);
        let near = tcp.bytes.saturating_add(tcp.missing_bytes);
        // The low 32 bits are all that sequence numbers hold.
        let low = u32::try_from(near & u64::from(u32::MAX)).unwrap_or(0);
        Some(Self {
            near: Pos::try_from(near).unwrap_or(Pos::MAX / 2),
            near_seq: base.plus(low),
        })
    }

    /// The position around which it measures: at first the end of the side's stream, as far as is known.
    pub(super) fn end(self) -> Pos {
        self.near
    }

    #[inline]
    pub(in crate::rules) fn pos(self, seq: TcpSeq) -> Pos {
        self.near.saturating_add(Pos::from(seq.diff(self.near_seq)))
    }

    /// Goes on from a number whose position is known.
    #[inline]
    pub(super) fn move_to(&mut self, pos: Pos, seq: TcpSeq) {
        (self.near, self.near_seq) = (pos, seq);
    }

    /// The number on the wire of a position.
    pub(in crate::rules) fn seq(self, pos: Pos) -> TcpSeq {
        let delta = pos.saturating_sub(self.near);
        let low = u32::try_from(delta & Pos::from(u32::MAX)).unwrap_or(0);
        self.near_seq.plus(low)
    }
}

/// A TCP segment with its numbers as stream positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct Seg {
    pub no: FrameNo,
    pub side: Side,
    pub time: Nanos,
    /// Position of its first byte, in its sender's stream.
    pub pos: Pos,
    /// Position behind its payload.
    pub end: Pos,
    /// Position behind payload, SYN and FIN.
    pub next: Pos,
    /// Position that it acknowledges, in the peer's stream; `None` without ACK flag.
    pub ack: Option<Pos>,
    pub seq: TcpSeq,
    pub raw_ack: TcpSeq,
    pub len: u32,
    pub flags: TcpFlags,
    pub marks: FrameFlags,
    pub window: u16,
    pub ttl: u8,
    /// Where it was captured.
    pub point: Point,
}

/// What a segment's numbers are measured with, and where it was captured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale<'a> {
    pub axes: &'a PerSide<Option<Axis>>,
    pub ends: &'a Ends,
}

impl Seg {
    pub(super) fn new(no: FrameNo, row: &FrameRow, side: Side, scale: Scale<'_>) -> Self {
        let seen = (scale.ends.marks(row, side), scale.ends.point(row));
        Self::seen(no, row, side, scale.axes, seen)
    }

    /// A segment whose marks and point of capture are known.
    #[expect(
        clippy::inline_always,
        reason = "only where a segment is needed its row is unpacked"
    )]
    #[inline(always)]
    fn seen(
        no: FrameNo,
        row: &FrameRow,
        side: Side,
        axes: &PerSide<Option<Axis>>,
        (marks, point): (FrameFlags, Point),
    ) -> Self {
        let own = axes.get(side);
        let peer = axes.get(side.other());
        let pos = own.map_or(0, |axis| axis.pos(row.seq));
        let end = pos.saturating_add(Pos::from(row.payload_len));
        let extra = Pos::from(row.tcp_flags.syn()) + Pos::from(row.tcp_flags.fin());
        Self {
            no,
            side,
            time: row.time,
            pos,
            end,
            next: end.saturating_add(extra),
            ack: peer
                .filter(|_| row.tcp_flags.ack())
                .map(|axis| axis.pos(row.ack)),
            seq: row.seq,
            raw_ack: row.ack,
            len: row.payload_len,
            flags: row.tcp_flags,
            marks,
            window: row.window,
            ttl: row.ttl,
            point,
        }
    }

    /// Whether it is a copy of a transmission that stands in the file before.
    pub fn is_copy(&self) -> bool {
        self.marks.has(FrameFlags::DUPLICATE)
    }
}

/// Measures the segments of a walk, from either end of a connection: a number is taken to be within 2 GiB of those
/// around it, not of the end of the stream, which may be longer than sequence numbers tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ruler<'a> {
    axes: PerSide<Option<Axis>>,
    pub ends: &'a Ends,
}

impl<'a> Ruler<'a> {
    /// Begins at the start of both streams.
    fn at_start(conn: &ConnRow, ends: &'a Ends) -> Self {
        let axes = Side::BOTH.map(|side| {
            let base = *conn.base_seq.get(conn.end_of(side));
            base.map(|near_seq| Axis { near: 0, near_seq })
        });
        Self {
            axes: PerSide(axes),
            ends,
        }
    }

    /// The segment that a connection begins with, or the answer to that.
    pub(super) fn opening(&self, conn: &ConnRow, no: FrameNo, row: &FrameRow) -> Seg {
        let side = conn.side_of(row.end());
        Self::at_start(conn, self.ends).measure(no, row, side)
    }

    /// The position of a side's sequence number near the last segment of the walk.
    pub(super) fn position(&self, side: Side, seq: TcpSeq) -> Option<Pos> {
        Some(self.axes.get(side).as_ref()?.pos(seq))
    }

    /// Begins at the end of both streams.
    pub(super) fn new(scale: Scale<'a>) -> Self {
        Self {
            axes: *scale.axes,
            ends: scale.ends,
        }
    }

    /// The next segment of the walk.
    pub(super) fn seg(&mut self, no: FrameNo, row: &FrameRow, side: Side) -> Seg {
        let seg = self.measure(no, row, side);
        self.follow(&seg);
        seg
    }

    /// Goes on to a segment that was measured.
    #[inline]
    pub(super) fn follow(&mut self, seg: &Seg) {
        if !seg.flags.rst() {
            let ack = seg.ack.map(|ack| (ack, seg.raw_ack));
            self.go_on(seg.side, (seg.pos, seg.seq), ack);
        }
    }

    /// A segment near the last one of the walk, which counts as it is.
    #[expect(
        clippy::inline_always,
        reason = "only where a segment is needed its row is unpacked"
    )]
    #[inline(always)]
    pub(super) fn measure_at_one_point(&self, no: FrameNo, row: &FrameRow, side: Side) -> Seg {
        Seg::seen(no, row, side, &self.axes, (row.flags, Point::Only))
    }

    /// A segment near the last one of the walk.
    pub(super) fn measure(&self, no: FrameNo, row: &FrameRow, side: Side) -> Seg {
        let scale = Scale {
            axes: &self.axes,
            ends: self.ends,
        };
        Seg::new(no, row, side, scale)
    }

    /// The positions of a segment's number and of its acknowledgement, where both can be told.
    #[inline]
    pub(super) fn numbers(&self, row: &FrameRow, side: Side) -> Option<(Pos, Pos)> {
        let own = self.axes.get(side).as_ref()?;
        let peer = self.axes.get(side.other()).as_ref()?;
        Some((own.pos(row.seq), peer.pos(row.ack)))
    }

    #[inline]
    pub(super) fn go_on(&mut self, side: Side, own: (Pos, TcpSeq), ack: Option<(Pos, TcpSeq)>) {
        if let Some(axis) = self.axes.get_mut(side) {
            axis.move_to(own.0, own.1);
        }
        if let (Some(axis), Some((pos, seq))) = (self.axes.get_mut(side.other()), ack) {
            axis.move_to(pos, seq);
        }
    }
}

impl ZeroWindow {
    /// Whether it is counted: where files of both ends show it, at its sender's.
    pub(in crate::rules) fn counts(&self) -> bool {
        matches!(self.start.point, Point::Only) || self.start.point == Point::Near(self.start.side)
    }
}

/// A keepalive probe, and what came next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct Probe {
    pub seg: Seg,
    /// The frame in which the peer was heard next.
    pub heard: Option<FrameNo>,
    /// The peer was heard before the prober sent anything else.
    pub answered: bool,
}

/// A period with a TCP window of 0, as one point saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct ZeroWindow {
    pub start: Seg,
    /// The segment that opened the window again.
    pub opened: Option<Seg>,
}

/// How often each time to live was seen in segments of one side, resets left aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::rules) struct TtlCounts([(u8, u32); 4]);

impl TtlCounts {
    #[inline]
    pub(super) fn add(&mut self, ttl: u8, count: u32) {
        for slot in &mut self.0 {
            if slot.1 == 0 || slot.0 == ttl {
                *slot = (ttl, slot.1.saturating_add(count));
                return;
            }
        }
    }

    /// The most frequent one, and those that are at least a quarter as frequent.
    fn common(&self) -> impl Iterator<Item = u8> {
        let most = self.0.iter().map(|slot| slot.1).max().unwrap_or(0);
        let enough = (most / 4).max(1);
        let common = self.0.iter().filter(move |slot| slot.1 >= enough);
        common.map(|slot| slot.0)
    }

    /// The most frequent one.
    pub(in crate::rules) fn mode(&self) -> Option<u8> {
        self.0
            .iter()
            .filter(|slot| slot.1 > 0)
            .max_by_key(|slot| slot.1)
            .map(|slot| slot.0)
    }
}

/// Data whose acknowledgement came late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct LateAck {
    pub data: Seg,
    pub acked_in: FrameNo,
    pub after: i64,
}

/// How late, in nanoseconds, a delayed acknowledgement is (RFC 1122 4.2.3.2; Windows waits 200 ms).
pub(super) const DELAYED_ACK: std::ops::Range<i64> = 185_000_000..230_000_000;

/// Delayed acknowledgements of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::rules) struct DelayedAcks {
    pub count: usize,
    /// The last of them in the file.
    pub example: Option<LateAck>,
}

/// What the walk kept; every list is in file order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::rules) struct Frames {
    pub syns: Vec<Seg>,
    pub fins: Vec<Seg>,
    pub rsts: Vec<Seg>,
    /// Segments of each side, resets and SYNs left aside, that reach beyond the given position of their stream.
    pub late: PerSide<Vec<Seg>>,
    pub probes: Vec<Probe>,
    pub resent: Vec<Seg>,
    /// Runs of the same bytes sent again by one side: first and last frame of each, and how often they were sent
    /// again. FINs without payload count too.
    pub resend_runs: Vec<ResendRun>,
    /// For each of `resent`, how many segments with new data the peer sent behind it.
    pub fresh_behind: Vec<u32>,
    pub late_acks: Vec<LateAck>,
    /// The smallest round trip of each side's data at its own point, where files of both ends are there.
    pub(super) round_trip: PerSide<Option<i64>>,
    /// By the side that acknowledges.
    pub delayed_acks: PerSide<DelayedAcks>,
    /// Segments with a wrong TCP checksum.
    pub bad_checksums: PerSide<PerPoint<Oddity>>,
    pub zero_windows: Vec<ZeroWindow>,
    /// Times to live of each side, at each point: routers between two of them count it down.
    pub ttl: PerSide<PerPoint<TtlCounts>>,
    /// Position behind the last payload byte that a side sent.
    pub sent_end: PerSide<Option<Pos>>,
    /// The highest position of the peer's stream that a side acknowledged.
    pub acked: PerSide<Option<Pos>>,
    /// The same as far as each point saw it.
    pub(super) acked_at: PerSide<PerPoint<Option<Pos>>>,
    pub last_payload: PerSide<Option<Seg>>,
    /// The last segment of each side that is no reset, at each point.
    pub(super) last_sent: PerSide<PerPoint<Option<FrameNo>>>,
    pub copies: u32,
    pub cut: bool,
}

impl Frames {
    /// Counts a wrong checksum in a frame before all that were counted.
    pub(super) fn bad_checksum(&mut self, no: FrameNo, side: Side, point: Point) {
        let bad = self.bad_checksums.get_mut(side).get_mut(point);
        bad.frames = bad.frames.saturating_add(1);
        bad.first = Some(no);
    }

    /// The time to live that a segment's sender has at the same point, resets left aside.
    pub(in crate::rules) fn usual_ttl(&self, seg: &Seg) -> Option<u8> {
        self.ttl.get(seg.side).get(seg.point).mode()
    }

    /// By how much the time to live of a reset differs from those that its sender's segments usually have at the same
    /// point: they have two where frames were taken before and behind routers, each of them twice.
    pub(in crate::rules) fn ttl_off_by(&self, reset: &Seg) -> Option<u8> {
        let seen = self.ttl.get(reset.side).get(reset.point);
        seen.common().map(|ttl| ttl.abs_diff(reset.ttl)).min()
    }

    /// The last segment with payload, of either side, by its place in the file: clocks go back.
    pub(in crate::rules) fn last_with_payload(&self) -> Option<&Seg> {
        let last = self.last_payload.0.iter().flatten();
        last.max_by_key(|seg| seg.no)
    }

    /// The last segment of a side that is no reset.
    pub(in crate::rules) fn last_sent(&self, side: Side) -> Option<FrameNo> {
        self.last_sent.get(side).values().flatten().max().copied()
    }

    /// The last segment of a side that is no reset, at one point.
    pub(in crate::rules) fn last_sent_at(&self, side: Side, point: Point) -> Option<FrameNo> {
        *self.last_sent.get(side).get(point)
    }

    /// How far a side acknowledged its peer's stream, as the peer's own point saw it.
    pub(in crate::rules) fn acked_at(&self, side: Side, point: Point) -> Option<Pos> {
        *self.acked_at.get(side).get(point)
    }

    /// The first segment at a side's end of the stream that acknowledges a position of its peer's.
    pub(in crate::rules) fn acked_in(&self, side: Side, want: Pos) -> Option<FrameNo> {
        let late = self.late.get(side).iter();
        late.chain(self.fins_of(side))
            .filter(|seg| seg.ack >= Some(want))
            .map(|seg| seg.no)
            .min()
    }

    /// The FINs of one side, in file order.
    pub(in crate::rules) fn fins_of(&self, side: Side) -> impl Iterator<Item = &Seg> + Clone {
        self.fins.iter().filter(move |seg| seg.side == side)
    }
}

/// A run of keepalive probes of one side between which nothing was heard from the peer.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct ProbeRun {
    pub side: Side,
    pub count: usize,
    pub first: Seg,
    pub last: Seg,
    /// The frame in which the peer was heard after the last probe.
    pub heard: Option<FrameNo>,
    /// The peer answered the last probe.
    pub answered: bool,
    pub shortest_gap: i64,
    pub longest_gap: i64,
}

impl Frames {
    /// The runs of probes, each with the probes between which the peer was silent, in order of their last frame.
    pub(in crate::rules) fn probe_runs(&self) -> Vec<ProbeRun> {
        let mut runs: Vec<ProbeRun> = Vec::new();
        for side in Side::BOTH {
            let mut current: Option<ProbeRun> = None;
            for probe in self.probes.iter().filter(|p| p.seg.side == side) {
                let goes_on = current
                    .as_ref()
                    .is_some_and(|run| run.heard.is_none_or(|heard| heard > probe.seg.no));
                match current.as_mut() {
                    Some(run) if goes_on => {
                        let gap = probe.seg.time.since(run.last.time);
                        run.shortest_gap = run.shortest_gap.min(gap);
                        run.longest_gap = run.longest_gap.max(gap);
                        run.count = run.count.saturating_add(1);
                        run.last = probe.seg;
                        run.heard = probe.heard;
                        run.answered = probe.answered;
                    }
                    _ => {
                        runs.extend(current.take());
                        current = Some(ProbeRun {
                            side,
                            count: 1,
                            first: probe.seg,
                            last: probe.seg,
                            heard: probe.heard,
                            answered: probe.answered,
                            shortest_gap: i64::MAX,
                            longest_gap: 0,
                        });
                    }
                }
            }
            runs.extend(current);
        }
        runs.sort_by_key(|run| run.last.no);
        runs
    }

    /// Finds the runs among what was sent again and the FINs.
    pub(super) fn read_resend_runs(&self) -> Vec<ResendRun> {
        if self.resent.is_empty() && self.fins.len() < 2 {
            return Vec::new();
        }
        let bare_fins = self
            .fins
            .iter()
            .filter(|fin| fin.len == 0 && !fin.is_copy())
            .map(|fin| (fin, true));
        let resent = self.resent.iter().map(|seg| (seg, false));
        let mut sent: Vec<(&Seg, bool)> = resent.chain(bare_fins).collect();
        let place = |seg: &Seg| (seg.side, seg.pos);
        sent.sort_by_key(|(seg, _)| place(seg));
        sent.chunk_by(|(a, _), (b, _)| place(a) == place(b))
            .filter_map(|run| {
                let (first, first_is_original) = *run.first()?;
                // A FIN that was sent once is none.
                let again = run.len() > usize::from(first_is_original);
                again.then(|| ResendRun {
                    side: first.side,
                    pos: first.pos,
                    segs: run.iter().map(|(seg, _)| **seg).collect(),
                    first_is_original,
                })
            })
            .collect()
    }
}

/// The same first byte sent several times by one side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::rules) struct ResendRun {
    pub side: Side,
    pub pos: Pos,
    /// The segments in file order.
    pub segs: Vec<Seg>,
    /// Whether the first of them is the original transmission.
    pub first_is_original: bool,
}

impl ResendRun {
    /// How often it was sent again.
    pub(in crate::rules) fn resent(&self) -> usize {
        self.segs
            .len()
            .saturating_sub(usize::from(self.first_is_original))
    }
}
