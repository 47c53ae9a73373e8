//! The times of requests and of stalls in captures of several points: what one end sends comes first at that end, what
//! the other one answers at the other, by another clock, so a time is taken between frames of one point only.
//!
//! Of the points that have both, the one counts where it took longest: the nearest to who waits for all of it. Bounds:
//! [`MOST`] requests and stalls of all connections, beyond which a connection keeps [`LEAST`] of its own, and [`RECENT`]
//! frames of a direction.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::out::{Mark, Out, StallId, Timed};
use crate::store::{RequestTimes, Stall};
use crate::units::{End, Nanos, PerEnd, RequestId};

/// Of so many requests and stalls, over all connections, frames are looked for at other points.
const MOST: usize = 1 << 16;
/// Of so many of a connection they are in any case. Of what came before, the times stay as they are.
const LEAST: usize = 1024;
/// So many frames of a direction may a packet have that is read with the last of them.
const RECENT: usize = 32;
/// Ranges of a direction that may wait at a point for what it lacks; beyond that it is not waited for any more.
const AHEAD: usize = 512;
/// Points of a connection.
const POINTS: usize = 8;

/// What a time is taken from: a byte in one of both streams. A stall is from one packet sent to the end of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::track) enum What {
    /// The header of the request's first packet.
    Start,
    /// The last byte of the request.
    Sent,
    /// The header of the answer's first packet.
    FirstByte,
    /// The last byte of the answer.
    End,
}

/// Bytes that an end sent, as they passed a point.
#[derive(Debug, Clone, Copy)]
pub(in crate::track) struct Passed {
    pub(in crate::track) interface: u32,
    pub(in crate::track) time: Nanos,
    /// Position of the first in the stream, and that behind the last.
    pub(in crate::track) from: u64,
    pub(in crate::track) until: u64,
}

/// When the bytes that times are taken from passed each point.
#[derive(Debug, Default)]
struct Times {
    places: Vec<(What, End, u64)>,
    points: Vec<(u32, [Option<Nanos>; 4])>,
    /// The stall that they are of, once it has ended, as the frames tell it that came first.
    stall: Option<Stall>,
}

impl Times {
    /// Bytes with what a time is taken from have passed; whether they are the first to do so at their point.
    fn pass(&mut self, what: What, bytes: &Passed) -> bool {
        let known = self
            .points
            .iter()
            .position(|(id, _)| *id == bytes.interface);
        let at = known.unwrap_or_else(|| {
            // Mostly there is one, or there are two.
            self.points.reserve_exact(1);
            self.points.push((bytes.interface, [None; 4]));
            self.points.len().saturating_sub(1)
        });
        let slot = self.points.get_mut(at).map(|(_, times)| {
            let [start, sent, first, end] = times;
            match what {
                What::Start => start,
                What::Sent => sent,
                What::FirstByte => first,
                What::End => end,
            }
        });
        let slot = slot.filter(|slot| slot.is_none());
        slot.map(|slot| *slot = Some(bytes.time)).is_some()
    }

    /// Says what is known of a request or a stall whose connection several points show, or one.
    fn tell(&self, of: Timed, copied: bool, out: &mut Out) {
        let points = self.points.iter().map(|(_, times)| times);
        let between = |from: Option<Nanos>, to: Option<Nanos>| Some(to?.since(from?));
        match (of, self.stall) {
            (Timed::Request(request), _) if copied => out.batch.request_times.push(RequestTimes {
                request,
                first_byte_ns: points
                    .clone()
                    .filter_map(|[_, sent, first, _]| between(*sent, *first))
                    .max(),
                duration_ns: points
                    .filter_map(|[start, .., end]| between(*start, *end))
                    .max(),
            }),
            (Timed::Stall(_), Some(stall)) => {
                let at_a_point = points.filter_map(|[_, sent, _, end]| between(*sent, *end));
                let longest = at_a_point.max();
                let ns = if copied { longest } else { Some(stall.ns) };
                let told = ns.map(|ns| Stall { ns, ..stall });
                out.batch.stalls.extend(told.filter(Stall::counts));
            }
            _ => {}
        }
    }

    /// Whether each of so many points has told all that there is to tell.
    fn is_settled(&self, points: usize) -> bool {
        let ended = self.places.iter().any(|(what, ..)| *what == What::End);
        let marked = self.places.len();
        let mut all = self.points.iter().map(|(_, times)| times);
        ended
            && points > 1
            && self.points.len() >= points
            && all.all(|times| times.iter().flatten().count() >= marked)
    }
}

/// How far a direction's stream has come at a point: whoever reads it there waits for what is missing in between.
#[derive(Debug)]
struct Stream {
    interface: u32,
    next: u64,
    /// What waits, by its first position: the one behind its last, and when it passed.
    ahead: BTreeMap<u64, (u64, Nanos)>,
}

impl Stream {
    /// Takes in a frame; hands on what has come in order with it.
    fn pass(&mut self, frame: &Passed, hand_on: &mut impl FnMut(Passed)) {
        if frame.from > self.next {
            let (until, _) = self
                .ahead
                .entry(frame.from)
                .or_insert((frame.until, frame.time));
            *until = frame.until.max(*until);
            if self.ahead.len() > AHEAD {
                self.leave_gap(hand_on);
            }
        } else if frame.until > self.next {
            self.go_on(frame.until, frame.time, hand_on);
        }
    }

    /// What lies in front of the first range that waits is not there at this point.
    fn leave_gap(&mut self, hand_on: &mut impl FnMut(Passed)) {
        if let Some((from, (until, time))) = self.ahead.pop_first() {
            self.next = from.max(self.next);
            self.go_on(until, time, hand_on);
        }
    }

    fn go_on(&mut self, until: u64, time: Nanos, hand_on: &mut impl FnMut(Passed)) {
        let (mut until, mut time) = (until, time);
        loop {
            if until > self.next {
                hand_on(Passed {
                    interface: self.interface,
                    time,
                    from: self.next,
                    until,
                });
                self.next = until;
            }
            let Some(first) = self.ahead.first_entry().filter(|e| *e.key() <= self.next) else {
                return;
            };
            let (behind, passed) = first.remove();
            (until, time) = (behind, time.max(passed));
        }
    }
}

/// The times of a connection's requests and stalls.
#[derive(Debug, Default)]
pub(in crate::track) struct Points {
    times: BTreeMap<Timed, Times>,
    /// How many of them are of stalls.
    stalls: usize,
    /// Those of which something is to be told: it has come, or the row was written again without it.
    changed: BTreeSet<Timed>,
    /// The bytes that are looked for, by their position.
    places: PerEnd<BTreeSet<(u64, Timed, What)>>,
    /// Several points show the same frames of the connection.
    copied: bool,
    streams: PerEnd<Vec<Stream>>,
    recent: PerEnd<VecDeque<Passed>>,
}

impl Points {
    /// A frame of an end has come, of a connection that several points are known to show or not.
    pub(in crate::track) fn pass(&mut self, end: End, frame: Passed, copied: bool, out: &mut Out) {
        self.copied = copied;
        self.take_marks(out);
        let mut streams = std::mem::take(self.streams.get_mut(end));
        let known = streams.iter().position(|s| s.interface == frame.interface);
        let at = known.unwrap_or(streams.len());
        if known.is_none() && at < POINTS {
            streams.push(Stream {
                interface: frame.interface,
                next: frame.from,
                ahead: BTreeMap::new(),
            });
        }
        if let Some(stream) = streams.get_mut(at) {
            stream.pass(&frame, &mut |bytes| self.come(end, bytes));
        }
        *self.streams.get_mut(end) = streams;
    }

    /// Bytes have come in order at a point; those that are marked may be among them.
    fn come(&mut self, end: End, bytes: Passed) {
        let recent = self.recent.get_mut(end);
        if recent.len() >= RECENT {
            recent.pop_front();
        }
        recent.push_back(bytes);
        let first = Timed::Request(RequestId(0));
        let range = (bytes.from, first, What::Start)..(bytes.until, first, What::Start);
        for (_, of, what) in self.places.get(end).range(range) {
            let times = self.times.get_mut(of);
            if times.is_some_and(|times| times.pass(*what, &bytes)) {
                self.changed.insert(*of);
            }
        }
    }

    /// Nothing more comes: what waits at a point waits in vain.
    pub(super) fn end(&mut self, copied: bool, out: &mut Out) {
        self.copied = copied;
        self.take_marks(out);
        for end in End::BOTH {
            for mut stream in std::mem::take(self.streams.get_mut(end)) {
                while !stream.ahead.is_empty() {
                    stream.leave_gap(&mut |bytes| self.come(end, bytes));
                }
            }
        }
        self.flush(self.copied, out);
        for (of, times) in std::mem::take(&mut self.times) {
            out.watched = out.watched.saturating_sub(1);
            if let Timed::Stall(_) = of {
                times.tell(of, self.copied, out);
            }
        }
        *self = Self::default();
    }

    /// Takes note of the bytes that requests and answers have just turned out to begin and to end with.
    pub(super) fn take_marks(&mut self, out: &mut Out) {
        for mark in std::mem::take(&mut out.marks) {
            self.mark(&mark, out);
        }
        for (id, stall) in std::mem::take(&mut out.stalls) {
            let of = Timed::Stall(id);
            if let Some(times) = self.times.get_mut(&of) {
                times.stall = Some(stall);
                self.changed.insert(of);
            }
        }
        let rewritten = std::mem::take(&mut out.rewritten).into_iter();
        let known = rewritten.map(Timed::Request);
        self.changed
            .extend(known.filter(|of| self.times.contains_key(of)));
        while out.watched > MOST && self.times.len() > LEAST {
            self.give_up_one(out);
        }
    }

    /// Waits no more for what other points may tell of the oldest.
    #[cold]
    fn give_up_one(&mut self, out: &mut Out) {
        let mut stalls = self.times.range(Timed::Stall(StallId(0))..);
        let stall = stalls.next().map(|(of, _)| *of);
        let first = self.times.first_key_value().map(|(of, _)| *of);
        let mostly_stalls = self.stalls.saturating_mul(2) > self.times.len();
        if let Some(of) = stall.filter(|_| mostly_stalls).or(first) {
            let is_told = matches!(of, Timed::Stall(_)) || self.changed.contains(&of);
            if let Some(times) = self.forget(of, out).filter(|_| is_told) {
                times.tell(of, self.copied, out);
            }
        }
    }

    fn forget(&mut self, of: Timed, out: &mut Out) -> Option<Times> {
        let times = self.times.remove(&of)?;
        self.changed.remove(&of);
        let is_stall = matches!(of, Timed::Stall(_));
        self.stalls = self.stalls.saturating_sub(usize::from(is_stall));
        out.watched = out.watched.saturating_sub(1);
        for (what, end, pos) in &times.places {
            self.places.get_mut(*end).remove(&(*pos, of, *what));
        }
        Some(times)
    }

    fn mark(&mut self, mark: &Mark, out: &mut Out) {
        let Mark { of, what, end, pos } = *mark;
        let times = match self.times.entry(of) {
            Entry::Occupied(known) => known.into_mut(),
            // What does not begin here was given up, or has told all.
            Entry::Vacant(free) => {
                let is_stall = matches!(of, Timed::Stall(_));
                if !is_stall && what != What::Start || is_stall && what != What::Sent {
                    return;
                }
                out.watched = out.watched.saturating_add(1);
                self.stalls = self.stalls.saturating_add(usize::from(is_stall));
                free.insert(Times::default())
            }
        };
        if times.places.iter().any(|(known, ..)| *known == what) {
            return;
        }
        times.places.push((what, end, pos));
        self.places.get_mut(end).insert((pos, of, what));
        for bytes in self.recent.get(end) {
            if (bytes.from..bytes.until).contains(&pos) && times.pass(what, bytes) {
                self.changed.insert(of);
            }
        }
    }

    /// The rows leave: tells what there is to tell.
    pub(super) fn flush(&mut self, copied: bool, out: &mut Out) {
        self.copied = copied;
        self.take_marks(out);
        let points = self.point_count();
        for of in std::mem::take(&mut self.changed) {
            let settled = |times: &Times| copied && times.is_settled(points);
            let times = self.times.get(&of);
            if times.is_some_and(settled) {
                if let Some(times) = self.forget(of, out) {
                    times.tell(of, copied, out);
                }
            } else if let (Some(times), Timed::Request(_)) = (times, of) {
                times.tell(of, copied, out);
            }
        }
    }

    /// How many points have shown payload of the connection.
    fn point_count(&self) -> usize {
        let [a, b] = &self.streams.0;
        let more = b
            .iter()
            .filter(|s| a.iter().all(|o| o.interface != s.interface));
        a.len().saturating_add(more.count())
    }
}
