//! Files of both ends: which interface stands nearer to which end of a connection, and what the one shows that the
//! other does not.
//!
//! Addresses do not tell at which end a file was taken, and clocks differ. But whatever the clocks say, a segment
//! of the client passes the point near the client first, and one of the server passes it last: the difference between
//! the two directions' time offsets is twice the way between the points.

use rustc_hash::{FxHashMap, FxHashSet};

use super::frames::{Axis, Pos};
use crate::rules::settings::{Settings, Threshold};
use crate::store::{ConnRow, FrameFlags, FrameRow, Store, TcpFlags};
use crate::units::{FrameNo, InterfaceId, Nanos, PerSide, Side};

/// More interfaces of one connection than this are not told apart.
const MOST_INTERFACES: usize = 8;
/// More frames of one connection than this, from its end on, are not compared.
const MOST_FRAMES: usize = 1 << 20;
/// As many segments of each direction must be at both points before these count as the connection's two ends.
pub(super) const LEAST_PAIRS: u32 = 2;

/// The point at which a frame of a connection was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(in crate::rules) enum Point {
    /// The file has one point of the connection, or it is not known how several stand to each other.
    #[default]
    Only,
    /// The point nearer to this side, of two.
    Near(Side),
}

impl Point {
    pub(super) const ALL: [Self; 3] = [
        Self::Only,
        Self::Near(Side::Client),
        Self::Near(Side::Server),
    ];
}

/// One value for each point of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::rules) struct PerPoint<T>([T; 3]);

impl<T> PerPoint<T> {
    /// The value of a point.
    pub(in crate::rules) fn get(&self, point: Point) -> &T {
        let [only, client, server] = &self.0;
        match point {
            Point::Only => only,
            Point::Near(Side::Client) => client,
            Point::Near(Side::Server) => server,
        }
    }

    pub(super) fn get_mut(&mut self, point: Point) -> &mut T {
        let [only, client, server] = &mut self.0;
        match point {
            Point::Only => only,
            Point::Near(Side::Client) => client,
            Point::Near(Side::Server) => server,
        }
    }

    pub(in crate::rules) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut()
    }
}

/// Frames in a row of one side that its own file shows and the other end's file does not, while the other direction
/// worked.
#[derive(Debug, Clone)]
pub(in crate::rules) struct LostRow {
    /// Whose frames were lost.
    pub side: Side,
    pub frames: Vec<FrameNo>,
    /// From the first to the last of them.
    pub lasted: i64,
    /// Frames of the other side that arrived meanwhile.
    pub arrived: Vec<FrameNo>,
}

/// What comparing both ends' files tells.
#[derive(Debug, Default)]
pub(in crate::rules) struct Ends {
    interfaces: Vec<(InterfaceId, Point)>,
    /// Marks of the segments that are at both points: those of the one that came first in the file.
    marks: FxHashMap<Key, FrameFlags>,
    /// Both ends' files are there.
    pub both: bool,
    /// Resets that arrived at the other end and are not in the file of the end that they name as their sender.
    pub unsent: PerSide<Vec<FrameNo>>,
    /// Those of them behind which the file of that end goes on, so that it was running when they would have been sent.
    pub denied: PerSide<Vec<FrameNo>>,
    pub lost: Vec<LostRow>,
    /// Frames that their sender's file shows and the other end's does not.
    pub not_arrived: FxHashSet<FrameNo>,
}

impl Ends {
    /// There is one point of the connection, so that every frame counts as it is.
    #[inline]
    pub(super) fn one_point(&self) -> bool {
        self.interfaces.is_empty() && self.marks.is_empty()
    }

    /// The point at which a frame was captured.
    pub(super) fn point(&self, row: &FrameRow) -> Point {
        self.point_of(row.interface)
    }

    /// The point of an interface.
    pub(super) fn point_of(&self, interface: InterfaceId) -> Point {
        let found = self.interfaces.iter().find(|(id, _)| *id == interface);
        found.map_or(Point::Only, |(_, point)| *point)
    }

    /// The marks of a frame, where a segment at both points counts at its sender's: which of the two stands first in
    /// the file depends on clocks.
    pub(super) fn marks(&self, row: &FrameRow, side: Side) -> FrameFlags {
        let found = (!self.marks.is_empty()).then(|| self.marks.get(&Key::of(row, side)));
        match (found.flatten(), self.point(row)) {
            (Some(marks), Point::Near(near)) if near == side => *marks,
            (Some(marks), Point::Near(_)) => {
                let mut marks = *marks;
                marks.set(FrameFlags::DUPLICATE);
                marks
            }
            _ => row.flags,
        }
    }

    /// Each end saw a reset of the other, and neither sent one.
    pub(in crate::rules) fn neither_sent(&self) -> bool {
        self.unsent.0.iter().all(|frames| !frames.is_empty())
    }
}

/// A frame as far as both files are compared by it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) no: FrameNo,
    pub(super) side: Side,
    /// Place of its interface in the list.
    pub(super) at: usize,
    pub(super) time: Nanos,
    pub(super) key: Key,
    marks: FrameFlags,
    /// Where its payload stands in the stream; `None` where it has none there.
    pub(super) bytes: Option<(Pos, Pos)>,
}

/// What is the same in a segment at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) side: Side,
    seq: u32,
    ack: u32,
    len: u32,
    pub(super) flags: u16,
    window: u16,
    ip_id: u16,
}

impl Key {
    /// Resets of several stacks have identification 0 and any window.
    fn of(row: &FrameRow, side: Side) -> Self {
        let reset = row.tcp_flags.rst();
        Self {
            side,
            seq: row.seq.0,
            ack: row.ack.0,
            len: row.payload_len,
            flags: row.tcp_flags.0,
            window: if reset { 0 } else { row.window },
            ip_id: if reset { 0 } else { row.ip_id },
        }
    }
}

/// Compares the files of both ends, if a connection is in several.
pub(super) fn read(
    store: &Store,
    conn: &ConnRow,
    axes: &PerSide<Option<Axis>>,
    settings: &Settings,
) -> Ends {
    if store.interfaces().len() < 2 {
        return Ends::default();
    }
    let (interfaces, pieces) = pieces(store, conn, axes);
    let points = points(&pieces, interfaces.len());
    let near = |side| points.contains(&Point::Near(side));
    let both = near(Side::Client) && near(Side::Server);
    let mut ends = Ends {
        interfaces: interfaces.into_iter().zip(points.iter().copied()).collect(),
        both,
        ..Ends::default()
    };
    if !both {
        ends.interfaces.clear();
        return ends;
    }
    ends.marks = marks_at_both(&pieces, &points);
    for side in Side::BOTH {
        let unsent = unsent(&pieces, &points, side);
        *ends.denied.get_mut(side) = denied(&pieces, &points, side, &unsent);
        *ends.unsent.get_mut(side) = unsent;
        let rows = lost_rows(&pieces, &points, side);
        let lost = rows.iter().flat_map(|row| &row.frames);
        ends.not_arrived.extend(lost);
        ends.lost.extend(rows.into_iter().filter(|row| {
            row.frames.len() >= settings.count(Threshold::OneWayFrames)
                && row.lasted >= settings.get(Threshold::OneWayLasting)
                && row.arrived.len() >= 2
        }));
    }
    ends
}

/// The interfaces and the frames of a connection, in file order; no frames where there is one interface only.
pub(super) fn pieces(
    store: &Store,
    conn: &ConnRow,
    axes: &PerSide<Option<Axis>>,
) -> (Vec<InterfaceId>, Vec<Piece>) {
    let mut interfaces: Vec<InterfaceId> = Vec::new();
    for (_, row) in store.conn_frames_back(conn.id) {
        if !interfaces.contains(&row.interface) && interfaces.len() < MOST_INTERFACES {
            interfaces.push(row.interface);
        }
    }
    let mut out = Vec::new();
    if interfaces.len() < 2 {
        return (interfaces, out);
    }
    let mut axes = *axes;
    for (no, row) in store.conn_frames_back(conn.id).take(MOST_FRAMES) {
        let Some(at) = interfaces.iter().position(|id| *id == row.interface) else {
            continue;
        };
        if !row.is_tcp() {
            continue;
        }
        let side = conn.side_of(row.end());
        let in_stream = row.payload_len > 0 && !row.flags.has(FrameFlags::NOT_IN_STREAM);
        let start = axes.get(side).map(|axis| axis.pos(row.seq));
        if let (Some(start), Some(axis)) = (start, axes.get_mut(side))
            && !row.tcp_flags.rst()
        {
            axis.move_to(start, row.seq);
        }
        out.push(Piece {
            no,
            side,
            at,
            time: row.time,
            key: Key::of(&row, side),
            marks: row.flags,
            bytes: start
                .filter(|_| in_stream)
                .map(|start| (start, start.saturating_add(Pos::from(row.payload_len)))),
        });
    }
    out.reverse();
    (interfaces, out)
}

/// Time offsets from one interface to another, of the segments of one direction that are on both.
#[derive(Debug, Clone, Copy, Default)]
struct Offsets {
    count: u32,
    sum: i128,
}

impl Offsets {
    fn add(&mut self, offset: i64) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(i128::from(offset));
    }
}

/// For each interface which end it is nearer to, where that is known.
pub(super) fn points(pieces: &[Piece], interfaces: usize) -> Vec<Point> {
    let mut seen: FxHashMap<Key, [Option<Nanos>; MOST_INTERFACES]> = FxHashMap::default();
    for piece in pieces.iter().filter(|p| !TcpFlags(p.key.flags).rst()) {
        let times = seen.entry(piece.key).or_default();
        if let Some(slot) = times.get_mut(piece.at) {
            slot.get_or_insert(piece.time);
        }
    }
    let mut points = vec![Point::Only; interfaces];
    let mut mixed = vec![false; interfaces];
    for a in 0..interfaces {
        for b in a.saturating_add(1)..interfaces {
            let Some(nearer_client) = nearer_to_client(&seen, a, b) else {
                continue;
            };
            let (client, server) = if nearer_client { (a, b) } else { (b, a) };
            for (at, side) in [(client, Side::Client), (server, Side::Server)] {
                if let (Some(point), Some(mixed)) = (points.get_mut(at), mixed.get_mut(at)) {
                    *mixed |= *point == Point::Near(side.other());
                    *point = Point::Near(side);
                }
            }
        }
    }
    // A point between two others is neither end's.
    for (point, mixed) in points.iter_mut().zip(mixed) {
        if mixed {
            *point = Point::Only;
        }
    }
    points
}

/// Whether the first of two interfaces is the nearer one to the client; `None` where they have too little in common.
fn nearer_to_client(
    seen: &FxHashMap<Key, [Option<Nanos>; MOST_INTERFACES]>,
    a: usize,
    b: usize,
) -> Option<bool> {
    let mut offsets: PerSide<Offsets> = PerSide::default();
    for (key, times) in seen {
        if let (Some(Some(first)), Some(Some(second))) = (times.get(a), times.get(b)) {
            offsets.get_mut(key.side).add(second.since(*first));
        }
    }
    let [client, server] = Side::BOTH.map(|side| *offsets.get(side));
    if client.count < LEAST_PAIRS || server.count < LEAST_PAIRS {
        return None;
    }
    // Means are compared without dividing.
    let way = client
        .sum
        .saturating_mul(i128::from(server.count))
        .saturating_sub(server.sum.saturating_mul(i128::from(client.count)));
    (way != 0).then_some(way > 0)
}

/// The marks of the segments, resets left aside, that are at both points.
fn marks_at_both(pieces: &[Piece], points: &[Point]) -> FxHashMap<Key, FrameFlags> {
    let mut seen: FxHashMap<Key, (FrameFlags, PerSide<bool>)> = FxHashMap::default();
    for piece in pieces.iter().filter(|p| !TcpFlags(p.key.flags).rst()) {
        let Some(Point::Near(near)) = points.get(piece.at) else {
            continue;
        };
        let fresh = (piece.marks, PerSide::default());
        let (_, at) = seen.entry(piece.key).or_insert(fresh);
        *at.get_mut(*near) = true;
    }
    let both = |at: &PerSide<bool>| at.0.iter().all(|there| *there);
    let found = seen.into_iter().filter(|(_, (_, at))| both(at));
    found.map(|(key, (marks, _))| (key, marks)).collect()
}

/// Resets that say they come from a side and are in no file but the other end's.
fn unsent(pieces: &[Piece], points: &[Point], side: Side) -> Vec<FrameNo> {
    let resets = pieces
        .iter()
        .filter(|p| p.side == side && TcpFlags(p.key.flags).rst());
    let far = Some(&Point::Near(side.other()));
    let elsewhere: FxHashSet<Key> = resets
        .clone()
        .filter(|p| points.get(p.at) != far)
        .map(|p| p.key)
        .collect();
    resets
        .filter(|p| points.get(p.at) == far && !elsewhere.contains(&p.key))
        .map(|p| p.no)
        .collect()
}

/// Those resets of `unsent` that arrived before something else of their sender which its own file shows.
fn denied(pieces: &[Piece], points: &[Point], side: Side, unsent: &[FrameNo]) -> Vec<FrameNo> {
    if unsent.is_empty() {
        return Vec::new();
    }
    let of_side = || pieces.iter().filter(|p| p.side == side);
    let (here, there) = (Some(&Point::Near(side)), Some(&Point::Near(side.other())));
    let shown: FxHashSet<Key> = of_side()
        .filter(|p| points.get(p.at) == here)
        .map(|p| p.key)
        .collect();
    let last = of_side()
        .filter(|p| points.get(p.at) == there && shown.contains(&p.key))
        .map(|p| p.no)
        .max();
    let before_last = |no: &&FrameNo| last.is_some_and(|last| **no < last);
    unsent.iter().filter(before_last).copied().collect()
}

/// What is in the file of one side's segments, at some of the points.
struct Shown {
    keys: FxHashSet<Key>,
    /// Ranges of the stream, in order, without overlap.
    bytes: Vec<(Pos, Pos)>,
}

impl Shown {
    fn read(pieces: &[Piece], points: &[Point], side: Side, at: impl Fn(Point) -> bool) -> Self {
        let there = || {
            let known = |p: &&Piece| points.get(p.at).is_some_and(|point| at(*point));
            pieces.iter().filter(move |p| p.side == side).filter(known)
        };
        let mut ranges: Vec<(Pos, Pos)> = there().filter_map(|p| p.bytes).collect();
        ranges.sort_unstable();
        let mut bytes: Vec<(Pos, Pos)> = Vec::new();
        for (start, end) in ranges {
            match bytes.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => bytes.push((start, end)),
            }
        }
        let keys = there().map(|p| p.key).collect();
        Self { keys, bytes }
    }

    /// A network card may have put payload together or cut it, so its bytes are looked for, not the segment.
    fn has(&self, piece: &Piece) -> bool {
        let Some((start, end)) = piece.bytes else {
            return self.keys.contains(&piece.key);
        };
        let at = self.bytes.partition_point(|(_, to)| *to <= start);
        let found = self.bytes.get(at);
        found.is_some_and(|(from, to)| *from <= start && end <= *to)
    }
}

/// Rows of frames of one side that did not arrive, each with what arrived of the other side meanwhile.
fn lost_rows(pieces: &[Piece], points: &[Point], side: Side) -> Vec<LostRow> {
    let (here, there) = (Point::Near(side), Point::Near(side.other()));
    let arrived = Shown::read(pieces, points, side, |point| point != here);
    let sent_there = Shown::read(pieces, points, side.other(), |point| point == there);
    let mut out: Vec<LostRow> = Vec::new();
    let mut since: Option<Nanos> = None;
    let mut waiting: Vec<FrameNo> = Vec::new();
    for piece in pieces.iter().filter(|p| points.get(p.at) == Some(&here)) {
        if piece.side != side {
            // It reached this end; that the far file has it as well tells that this one was running.
            if sent_there.has(piece) {
                waiting.push(piece.no);
            }
        } else if arrived.has(piece) {
            since = None;
        } else {
            if let (Some(since), Some(row)) = (since, out.last_mut()) {
                row.arrived.append(&mut waiting);
                row.frames.push(piece.no);
                row.lasted = piece.time.since(since);
            } else {
                since = Some(piece.time);
                out.push(LostRow {
                    side,
                    frames: vec![piece.no],
                    lasted: 0,
                    arrived: Vec::new(),
                });
            }
            waiting.clear();
        }
    }
    out
}
