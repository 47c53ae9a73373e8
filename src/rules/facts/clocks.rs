//! How long it took from one frame of a connection to another, where several points show it: each has a clock of its
//! own, and clocks of two hosts may be seconds apart.
//!
//! A time is taken between frames of one point only. Of a frame that another point shows, too, the copy there is looked
//! for: the segment that looks the same, or else the first that holds the same last byte, as network cards put payload
//! together or cut it.

use rustc_hash::FxHashMap;

use super::ends::{Ends, Key, Piece, Point, pieces};
use super::frames::{Axis, Pos};
use crate::store::{ConnRow, Store};
use crate::units::{FrameNo, InterfaceId, Nanos, PerSide, Side};

/// A clock that times of a connection were taken by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::rules) enum Clock {
    /// That of the only point, or of several that go on where others end.
    Only,
    /// That of the points nearer to this side.
    Near(Side),
    /// That of an interface of which it is not known where it stands.
    Of(InterfaceId),
}

/// How long it took from one frame to another, by one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct Span {
    pub clock: Clock,
    pub ns: i64,
}

/// A frame as a clock saw it.
#[derive(Debug, Clone, Copy)]
struct Sight {
    key: Key,
    clock: Clock,
    no: FrameNo,
    time: Nanos,
}

/// New bytes of a side as they first passed a point.
#[derive(Debug, Clone, Copy)]
struct Bytes {
    from: Pos,
    until: Pos,
    no: FrameNo,
    time: Nanos,
}

/// The frames of a connection by each of the clocks that saw them.
#[derive(Debug, Default)]
pub(in crate::rules) struct Clocks {
    all: Vec<Clock>,
    /// By what they look like, then by clock, then in file order.
    sights: Vec<Sight>,
    /// In the order of the stream.
    bytes: FxHashMap<(Clock, Side), Vec<Bytes>>,
    /// Where the payload of a frame ends that its point saw for the first time.
    fresh: FxHashMap<FrameNo, (Side, Pos)>,
    of_frame: FxHashMap<FrameNo, (Key, Clock)>,
}

impl Clocks {
    /// Reads the frames of a connection that several points show.
    pub(super) fn read(
        store: &Store,
        conn: &ConnRow,
        axes: &PerSide<Option<Axis>>,
        ends: &Ends,
    ) -> Self {
        let (interfaces, pieces) = pieces(store, conn, axes);
        let mut clocks: Vec<Clock> = interfaces.iter().map(|id| clock(*id, ends)).collect();
        let mut out = Self::default();
        for piece in &pieces {
            if let Some(clock) = clocks.get(piece.at) {
                out.add(piece, *clock);
            }
        }
        out.sights
            .sort_unstable_by_key(|sight| (sight.key, sight.clock, sight.no));
        clocks.sort_unstable();
        clocks.dedup();
        out.all = clocks;
        out
    }

    fn add(&mut self, piece: &Piece, clock: Clock) {
        self.of_frame.insert(piece.no, (piece.key, clock));
        self.sights.push(Sight {
            key: piece.key,
            clock,
            no: piece.no,
            time: piece.time,
        });
        let Some((start, until)) = piece.bytes else {
            return;
        };
        let passed = self.bytes.entry((clock, piece.side)).or_default();
        let from = passed.last().map_or(start, |last| start.max(last.until));
        if until > from {
            self.fresh.insert(piece.no, (piece.side, until));
            passed.push(Bytes {
                from,
                until,
                no: piece.no,
                time: piece.time,
            });
        }
    }

    /// The frames that look like one by a clock, in file order.
    fn alike(&self, key: Key, clock: Clock) -> &[Sight] {
        let place = |sight: &Sight| (sight.key, sight.clock);
        let from = self.sights.partition_point(|s| place(s) < (key, clock));
        let until = self.sights.partition_point(|s| place(s) <= (key, clock));
        self.sights.get(from..until).unwrap_or_default()
    }

    /// A frame as a clock saw it: itself, or its copy at the point of that clock.
    pub(in crate::rules) fn seen(&self, no: FrameNo, clock: Clock) -> Option<(FrameNo, Nanos)> {
        let (key, own) = *self.of_frame.get(&no)?;
        let here = self.alike(key, own);
        let at = here.iter().position(|sight| sight.no == no)?;
        let there = self.alike(key, clock);
        // Of segments that look the same it is known which is which where none is missing.
        if there.len() == here.len() {
            return there.get(at).map(|sight| (sight.no, sight.time));
        }
        let (side, end) = *self.fresh.get(&no)?;
        let last = end.saturating_sub(1);
        let passed = self.bytes.get(&(clock, side))?;
        let found = passed.get(passed.partition_point(|bytes| bytes.until <= last))?;
        (found.from <= last).then_some((found.no, found.time))
    }

    /// How long it took from one frame to another, by a clock that saw both: the one near a side, or else that by which
    /// it took longest.
    pub(super) fn span(&self, from: FrameNo, to: FrameNo, near: Side) -> Option<Span> {
        let span = |clock: Clock| {
            let ((_, from), (_, to)) = (self.seen(from, clock)?, self.seen(to, clock)?);
            let ns = to.since(from);
            Some(Span { clock, ns })
        };
        span(Clock::Near(near)).or_else(|| {
            let all = self.all.iter();
            all.filter_map(|clock| span(*clock))
                .max_by_key(|span| span.ns)
        })
    }
}

fn clock(id: InterfaceId, ends: &Ends) -> Clock {
    match ends.point_of(id) {
        Point::Near(side) => Clock::Near(side),
        Point::Only => Clock::Of(id),
    }
}
