//! The events in view: what each frame of the connection puts into which lane and column.

use rustc_hash::FxHashMap;

use super::slots::Slot;
use super::{Cell, Lane, LaneOf, Mark, Scene};
use crate::app::facts;
use crate::store::{ConnRow, FrameFlags, FrameRow, PduKind, PduRow, Store, Verdict};
use crate::units::{End, FrameNo, Nanos, PerEnd, Side};

/// Times may run backwards by a little; this far outside the window nothing more is expected in it.
const SLACK: i64 = 1_000_000_000;
/// PDUs looked at behind the last frame in view, in search of the one that it is a part of.
const PART_SEARCH: usize = 4096;

/// Events by lane and column.
#[derive(Debug, Default)]
pub(super) struct Events {
    lanes: FxHashMap<LaneOf, (u32, Vec<Cell>)>,
    columns: usize,
}

impl Events {
    /// The events of the frames in the linear window.
    pub(super) fn in_window(scene: &Scene<'_>) -> Self {
        let (timeline, columns) = (scene.timeline, scene.columns);
        let mut frames = frames_in_window(scene);
        frames.retain(|(no, _)| !scene.ignored.contains(*no));
        Self::collect(scene, &frames, |_, time| timeline.column(time, columns))
    }

    /// The events of the frames that have a column of their own.
    pub(super) fn in_slots(scene: &Scene<'_>, slots: &[Slot]) -> Self {
        let frames: Vec<(FrameNo, Nanos)> = slots
            .iter()
            .filter_map(|slot| match slot {
                Slot::Frame(no) => Some((*no, scene.store.time_of(*no)?)),
                Slot::Gap(..) => None,
            })
            .filter(|(no, _)| !scene.ignored.contains(*no))
            .collect();
        let column = |no: FrameNo, _| {
            let at = slots.partition_point(|slot| slot.frame() < no);
            let gap = slots.get(at).is_some_and(|s| matches!(s, Slot::Gap(..)));
            Some(at.saturating_add(usize::from(gap)))
        };
        Self::collect(scene, &frames, column)
    }

    /// How many events a lane has in view.
    pub(super) fn count(&self, of: LaneOf) -> u32 {
        self.lanes.get(&of).map_or(0, |(count, _)| *count)
    }

    /// Lays the events of a lane over what it shows between them.
    pub(super) fn put_over(&self, lane: &mut Lane) {
        let Some((_, cells)) = self.lanes.get(&lane.of) else {
            return;
        };
        for (cell, event) in lane.cells.iter_mut().zip(cells) {
            if event.events > 0 {
                *cell = *event;
            }
        }
    }

    /// Goes through frames, which are in file order, and the PDUs that are completed in them side by side.
    fn collect(
        scene: &Scene<'_>,
        frames: &[(FrameNo, Nanos)],
        column: impl Fn(FrameNo, Nanos) -> Option<usize>,
    ) -> Self {
        let mut events = Self {
            columns: usize::from(scene.columns),
            ..Self::default()
        };
        let store = scene.store;
        let (Some(conn), Some((first, _))) = (store.conn(scene.conn), frames.first()) else {
            return events;
        };
        let mut pdus = store
            .pdus_from(store.first_pdu_from(*first))
            .map(|(_, pdu)| pdu)
            .peekable();
        // Frames that may be parts of a packet that is completed later.
        let mut parts: PerEnd<Vec<(FrameNo, usize)>> = PerEnd::default();
        for (no, time) in frames {
            let at = column(*no, *time);
            let mut found = Found::default();
            while let Some(pdu) = pdus.next_if(|pdu| pdu.frame <= *no) {
                if pdu.conn != scene.conn {
                    continue;
                }
                events.settle(conn, &mut parts, &pdu);
                if pdu.frame == *no {
                    found.take(&pdu);
                    if let (Some(at), Some(mark)) = (at, smp_mark(conn, &pdu)) {
                        events.hit_session(&pdu, at, mark);
                    }
                }
            }
            if let Some(at) = at {
                events.frame(scene, conn, *no, at, found, &mut parts);
            }
        }
        for pdu in pdus.take(PART_SEARCH).filter(|pdu| pdu.conn == scene.conn) {
            events.settle(conn, &mut parts, &pdu);
        }
        for end in End::BOTH {
            for (_, at) in std::mem::take(parts.get_mut(end)) {
                events.hit(LaneOf::Tcp, at, data_mark(conn, end));
            }
        }
        events.borders(scene, conn, frames, &column);
        events
    }

    /// What a frame itself shows: a TCP segment without SMP, a reset, a fault.
    fn frame(
        &mut self,
        scene: &Scene<'_>,
        conn: &ConnRow,
        no: FrameNo,
        at: usize,
        found: Found,
        parts: &mut PerEnd<Vec<(FrameNo, usize)>>,
    ) {
        let Some(frame) = scene.store.frame(no) else {
            return;
        };
        match place(scene.store, conn, no, &frame, found) {
            Place::In(of, mark) => self.hit(of, at, mark),
            Place::WithItsPackets => {}
            Place::Part => parts.get_mut(frame.end()).push((no, at)),
        }
    }

    /// A packet is complete: the frames before it that hold parts of it belong to its lane.
    fn settle(&mut self, conn: &ConnRow, parts: &mut PerEnd<Vec<(FrameNo, usize)>>, pdu: &PduRow) {
        let waiting = parts.get_mut(pdu.end);
        if waiting.is_empty() {
            return;
        }
        for (no, at) in std::mem::take(waiting) {
            let mark = data_mark(conn, pdu.end);
            if pdu.first_frame <= no && pdu.session.is_some() {
                self.hit_session(pdu, at, mark);
            } else {
                self.hit(LaneOf::Tcp, at, mark);
            }
        }
    }

    /// The borders of phases stand in the lane of TCP.
    fn borders(
        &mut self,
        scene: &Scene<'_>,
        conn: &ConnRow,
        frames: &[(FrameNo, Nanos)],
        column: &impl Fn(FrameNo, Nanos) -> Option<usize>,
    ) {
        for phase in conn.phases.iter() {
            if let Ok(found) = frames.binary_search_by_key(&phase.frame, |(no, _)| *no)
                && let Some((no, time)) = frames.get(found)
                && let Some(at) = column(*no, *time)
            {
                let columns = usize::from(scene.columns);
                let cell = self.cells(LaneOf::Tcp, columns).1.get_mut(at);
                if let Some(cell) = cell {
                    cell.mark = cell.mark.max(Mark::Border);
                    cell.events = cell.events.max(1);
                }
            }
        }
    }

    fn hit_session(&mut self, pdu: &PduRow, at: usize, mark: Mark) {
        if let Some(session) = pdu.session {
            self.hit(LaneOf::Session(session), at, mark);
        }
    }

    fn hit(&mut self, of: LaneOf, at: usize, mark: Mark) {
        let (count, cells) = self.cells(of, self.columns);
        if let Some(cell) = cells.get_mut(at) {
            cell.hit(mark);
            *count = count.saturating_add(1);
        }
    }

    fn cells(&mut self, of: LaneOf, columns: usize) -> &mut (u32, Vec<Cell>) {
        self.lanes
            .entry(of)
            .or_insert_with(|| (0, vec![Cell::default(); columns]))
    }
}

/// Where a frame stands by itself.
enum Place {
    /// In a lane, as this.
    In(LaneOf, Mark),
    /// In the lanes of its packets' Sids.
    WithItsPackets,
    /// It may be a part of a packet that is completed later.
    Part,
}

fn place(store: &Store, conn: &ConnRow, no: FrameNo, frame: &FrameRow, found: Found) -> Place {
    let finding = store.finding_on(no);
    let verdict = finding.map(|f| f.verdict);
    let flags = frame.tcp_flags;
    let tcp = |mark| Place::In(LaneOf::Tcp, mark);
    if flags.rst() {
        let harmless = matches!(
            verdict,
            Some(Verdict::Benign | Verdict::LikelyBenign | Verdict::Normal)
        );
        tcp(if harmless {
            Mark::HarmlessReset
        } else {
            Mark::Reset
        })
    } else if verdict == Some(Verdict::Fault) {
        let session = finding.and_then(|f| f.session).or(found.session);
        let of = session.filter(|_| found.smp);
        let of = of.map_or(LaneOf::Tcp, LaneOf::Session);
        Place::In(of, Mark::Fault)
    } else if flags.fin() {
        tcp(Mark::Fin)
    } else if flags.syn() {
        tcp(Mark::Syn)
    } else if found.smp {
        Place::WithItsPackets
    } else if frame.payload_len == 0 || frame.flags.has(FrameFlags::KEEPALIVE) {
        tcp(Mark::Ack)
    } else if found.any {
        tcp(data_mark(conn, frame.end()))
    } else {
        Place::Part
    }
}

/// Whether a frame of a connection is drawn in a lane: what steps along the lane stop at.
pub(super) fn stands_in(
    store: &Store,
    conn: &ConnRow,
    of: LaneOf,
    no: FrameNo,
    frame: &FrameRow,
) -> bool {
    let mut found = Found::default();
    for (_, pdu) in store.pdus_in(no) {
        let of_packet = pdu.session.map(LaneOf::Session);
        if of_packet == Some(of) && smp_mark(conn, &pdu).is_some() {
            return true;
        }
        found.take(&pdu);
    }
    match place(store, conn, no, frame, found) {
        Place::In(lane, _) => lane == of,
        Place::WithItsPackets => false,
        Place::Part => {
            let whole = facts::completing(store, no, frame);
            let session = whole.and_then(|pdu| pdu.session);
            session.map_or(LaneOf::Tcp, LaneOf::Session) == of
        }
    }
}

/// What was found in a frame.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    any: bool,
    smp: bool,
    session: Option<crate::units::SessionId>,
}

impl Found {
    fn take(&mut self, pdu: &PduRow) {
        self.any = true;
        self.smp |= pdu.kind.is_smp();
        self.session = self.session.or(pdu.session);
    }
}

fn smp_mark(conn: &ConnRow, pdu: &PduRow) -> Option<Mark> {
    Some(match pdu.kind {
        PduKind::Syn => Mark::Syn,
        PduKind::Ack => Mark::Ack,
        PduKind::Fin => Mark::Fin,
        PduKind::Data => data_mark(conn, pdu.end),
        _ => return None,
    })
}

fn data_mark(conn: &ConnRow, end: End) -> Mark {
    match conn.side_of(end) {
        Side::Server => Mark::Reply,
        Side::Client => Mark::Request,
    }
}

/// The connection's frames whose times lie in the window, in file order, with their times.
fn frames_in_window(scene: &Scene<'_>) -> Vec<(FrameNo, Nanos)> {
    let store = scene.store;
    let from = scene.timeline.from;
    let end = scene.timeline.end(scene.columns);
    let Some(conn) = store.conn(scene.conn) else {
        return Vec::new();
    };
    let late = Nanos(end.0.saturating_add(SLACK));
    let mut next = if conn.last_time <= late {
        Some(conn.last_frame)
    } else {
        let below = store
            .frame_at(late)
            .map_or(conn.first_frame, |no| no.min(conn.last_frame));
        let own = |no: &FrameNo| store.frame(*no).is_some_and(|f| f.conn == Some(scene.conn));
        (conn.first_frame.0..=below.0).rev().map(FrameNo).find(own)
    };
    let mut frames = Vec::new();
    while let Some(no) = next {
        let Some(frame) = store.frame(no) else {
            break;
        };
        if from.since(frame.time) > SLACK {
            break;
        }
        if frame.time >= from && frame.time < end {
            frames.push((no, frame.time));
        }
        next = frame.prev.filter(|prev| *prev < no);
    }
    frames.reverse();
    frames
}
