//! The times of requests in captures of several points: the frames of a request and those of its answer come first at
//! different ends, by different clocks, so a time is taken between frames of one point only.
//!
//! Of the points that have both, the one counts where it took longest: the nearest to the client, who waits for all of
//! it. Bounds: [`MOST`] requests of a connection, and [`RECENT`] frames of a direction.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::out::{Mark, Out};
use crate::store::RequestTimes;
use crate::units::{End, Nanos, PerEnd, RequestId};

/// Requests whose frames at other points are looked for; of what came before, the times stay as they are.
const MOST: usize = 4096;
/// So many frames of a direction may a packet have that is read with the last of them.
const RECENT: usize = 32;
/// Ranges of a direction that may wait at a point for what it lacks; beyond that it is not waited for any more.
const AHEAD: usize = 512;
/// Points of a connection.
const POINTS: usize = 8;

/// What a time of a request is taken from: a byte in one of both streams.
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

/// When the bytes of a request passed each point.
#[derive(Debug, Default)]
struct Times {
    places: Vec<(What, End, u64)>,
    points: Vec<(u32, [Option<Nanos>; 4])>,
}

impl Times {
    /// Bytes with what a time is taken from have passed; whether they are the first to do so at their point.
    fn pass(&mut self, what: What, bytes: &Passed) -> bool {
        let known = self
            .points
            .iter()
            .position(|(id, _)| *id == bytes.interface);
        let at = known.unwrap_or_else(|| {
            self.points.push((bytes.interface, [None; 4]));
            self.points.len().saturating_sub(1)
        });
        let slot = self.points.get_mut(at).map(|(_, times)| match what {
            What::Start => &mut times[0],
            What::Sent => &mut times[1],
            What::FirstByte => &mut times[2],
            What::End => &mut times[3],
        });
        let slot = slot.filter(|slot| slot.is_none());
        slot.map(|slot| *slot = Some(bytes.time)).is_some()
    }

    /// Says what is known; nothing where there was one point only.
    fn tell(&self, request: RequestId, out: &mut Out) {
        if self.points.len() < 2 {
            return;
        }
        let points = self.points.iter().map(|(_, times)| times);
        let between = |from: Option<Nanos>, to: Option<Nanos>| Some(to?.since(from?));
        out.batch.request_times.push(RequestTimes {
            request,
            first_byte_ns: points
                .clone()
                .filter_map(|[_, sent, first, _]| between(*sent, *first))
                .max(),
            duration_ns: points
                .filter_map(|[start, .., end]| between(*start, *end))
                .max(),
        });
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

/// The times of a connection's requests.
#[derive(Debug, Default)]
pub(in crate::track) struct Points {
    requests: BTreeMap<RequestId, Times>,
    /// Those of which something is to be told: it has come, or the row was written again without it.
    changed: BTreeSet<RequestId>,
    /// The bytes that are looked for, by their position.
    places: PerEnd<BTreeSet<(u64, RequestId, What)>>,
    streams: PerEnd<Vec<Stream>>,
    recent: PerEnd<VecDeque<Passed>>,
}

impl Points {
    /// A frame of an end has come.
    pub(in crate::track) fn pass(&mut self, end: End, frame: Passed, out: &mut Out) {
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
        let first = RequestId(0);
        let range = (bytes.from, first, What::Start)..(bytes.until, first, What::Start);
        for (_, request, what) in self.places.get(end).range(range) {
            let times = self.requests.get_mut(request);
            if times.is_some_and(|times| times.pass(*what, &bytes)) {
                self.changed.insert(*request);
            }
        }
    }

    /// Nothing more comes: what waits at a point waits in vain.
    pub(super) fn end(&mut self, out: &mut Out) {
        self.take_marks(out);
        for end in End::BOTH {
            for mut stream in std::mem::take(self.streams.get_mut(end)) {
                while !stream.ahead.is_empty() {
                    stream.leave_gap(&mut |bytes| self.come(end, bytes));
                }
            }
        }
        self.flush(out);
    }

    /// Takes note of the bytes that requests and answers have just turned out to begin and to end with.
    pub(super) fn take_marks(&mut self, out: &mut Out) {
        for mark in std::mem::take(&mut out.marks) {
            self.mark(&mark);
        }
        let rewritten = std::mem::take(&mut out.rewritten).into_iter();
        let known = rewritten.filter(|request| self.requests.contains_key(request));
        self.changed.extend(known);
        while self.requests.len() > MOST
            && let Some((request, times)) = self.requests.pop_first()
        {
            if self.changed.remove(&request) {
                times.tell(request, out);
            }
            for (what, end, pos) in times.places {
                self.places.get_mut(end).remove(&(pos, request, what));
            }
        }
    }

    fn mark(&mut self, mark: &Mark) {
        let Mark {
            request,
            what,
            end,
            pos,
        } = *mark;
        let times = self.requests.entry(request).or_default();
        if times.places.iter().any(|(known, ..)| *known == what) {
            return;
        }
        times.places.push((what, end, pos));
        self.places.get_mut(end).insert((pos, request, what));
        for bytes in self.recent.get(end) {
            if (bytes.from..bytes.until).contains(&pos) && times.pass(what, bytes) {
                self.changed.insert(request);
            }
        }
    }

    /// The rows leave: tells what there is to tell.
    pub(super) fn flush(&mut self, out: &mut Out) {
        self.take_marks(out);
        for request in std::mem::take(&mut self.changed) {
            if let Some(times) = self.requests.get(&request) {
                times.tell(request, out);
            }
        }
    }
}
