//! The events in view: what each frame of the connection puts into which lane and column.

use super::by_session::BySession;
use super::slots::Slot;
use super::stretch::{self, Stretch};
use super::{Lane, LaneOf, Mark, Scene};
use crate::app::facts;
use crate::store::{ConnRow, Finding, FrameFlags, FrameRow, PduKind, PduRow, Store, Verdict};
use crate::units::{End, FrameNo, Nanos, PerEnd, SessionId, Side};

/// Where times run backwards, it is by a little; this far outside the window nothing more is expected in it.
const SLACK: i64 = 1_000_000_000;
/// PDUs looked at behind the last frame in view, in search of the one that it is a part of.
const PART_SEARCH: usize = 4096;

/// An event: so many cells of all lanes would not fit into memory where a connection has thousands of Sids.
#[derive(Debug, Clone, Copy)]
struct Hit {
    of: LaneOf,
    column: u16,
    mark: Mark,
}

/// The events in view, in file order.
#[derive(Debug, Default)]
pub(super) struct Events {
    hits: Vec<Hit>,
    /// How many events each session has in view.
    counts: BySession<u32>,
    /// The columns in which phases begin.
    borders: Vec<usize>,
}

impl Events {
    /// The events of the frames in the linear window.
    pub(super) fn in_window(scene: &Scene<'_>) -> Self {
        let (timeline, columns) = (scene.timeline, scene.columns);
        let Some(stretch) = window(scene) else {
            return Self::default();
        };
        Self::collect(scene, stretch, |_, time| timeline.column(time, columns))
    }

    /// The events of the frames that have a column of their own.
    pub(super) fn in_slots(scene: &Scene<'_>, slots: &[Slot]) -> Self {
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
            return Self::default();
        };
        let column = |no: FrameNo, _| {
            let at = slots.partition_point(|slot| slot.frame() < no);
            let slot = slots.get(at).filter(|slot| slot.frame() == no)?;
            let gap = matches!(slot, Slot::Gap(..));
            Some(at.saturating_add(usize::from(gap)))
        };
        Self::collect(scene, (first.frame(), last.frame()), column)
    }

    /// How many events a session has in view.
    pub(super) fn count(&self, session: SessionId) -> u32 {
        self.counts.get(session).copied().unwrap_or(0)
    }

    /// Lays the events over what the lanes show between them.
    pub(super) fn put_over(&self, scene: &Scene<'_>, lanes: &mut [Lane]) {
        let (places, tcp) = super::lanes::places(scene, lanes);
        for hit in &self.hits {
            let at = match hit.of {
                LaneOf::Session(id) => places.get(id).copied().flatten(),
                LaneOf::Tcp => tcp,
            };
            let lane = at.and_then(|at| lanes.get_mut(usize::from(at)));
            let cell = lane.and_then(|lane| lane.cells.get_mut(usize::from(hit.column)));
            if let Some(cell) = cell {
                cell.hit(hit.mark);
            }
        }
        let tcp = tcp.and_then(|at| lanes.get_mut(usize::from(at)));
        if let Some(tcp) = tcp {
            for at in &self.borders {
                if let Some(cell) = tcp.cells.get_mut(*at) {
                    cell.mark = cell.mark.max(Mark::Border);
                    cell.events = cell.events.max(1);
                }
            }
        }
    }

    /// Goes through the connection's frames in a stretch; `column` says where those in view stand.
    fn collect(
        scene: &Scene<'_>,
        stretch: Stretch,
        column: impl Fn(FrameNo, Nanos) -> Option<usize>,
    ) -> Self {
        let store = scene.store;
        let Some(conn) = store.conn(scene.conn) else {
            return Self::default();
        };
        let mut collector = Collector {
            store,
            conn,
            parts: PerEnd::default(),
            events: Self {
                hits: Vec::with_capacity(stretch::most(conn, stretch)),
                counts: BySession::new(store, scene.conn, 0),
                borders: Vec::new(),
            },
        };
        let shown = |no, time| column(no, time).filter(|_| !scene.ignored.contains(no));
        let mut findings = store.marked_from(stretch.0).peekable();
        stretch::each_frame(store, conn, stretch, |no, frame, pdus| {
            while findings.next_if(|(marked, _)| *marked < no).is_some() {}
            let finding = findings.next_if(|(marked, _)| *marked == no);
            let finding = finding.and_then(|(_, id)| store.finding(id));
            collector.frame(no, frame, pdus, finding, shown(no, frame.time));
        });
        let mut events = collector.rest(stretch.1);
        events.borders = (conn.phases.iter())
            .map(|phase| phase.frame)
            .filter(|no| (stretch.0..=stretch.1).contains(no))
            .filter_map(|no| shown(no, store.time_of(no)?))
            .collect();
        events
    }

    fn hit_session(&mut self, pdu: &PduRow, at: usize, mark: Mark) {
        if let Some(session) = pdu.session {
            self.hit(LaneOf::Session(session), at, mark);
        }
    }

    fn hit(&mut self, of: LaneOf, at: usize, mark: Mark) {
        if let LaneOf::Session(id) = of
            && let Some(count) = self.counts.get_mut(id)
        {
            *count = count.saturating_add(1);
        }
        if let Ok(column) = u16::try_from(at) {
            self.hits.push(Hit { of, column, mark });
        }
    }
}

/// Takes in frame after frame.
struct Collector<'a> {
    store: &'a Store,
    conn: &'a ConnRow,
    /// Frames that may be parts of a packet that is completed later, with their columns.
    parts: PerEnd<Vec<(FrameNo, usize)>>,
    events: Events,
}

impl Collector<'_> {
    /// A frame with the packets that are completed in it, the finding that marks it, and its column, if it is in view.
    fn frame(
        &mut self,
        no: FrameNo,
        frame: &FrameRow,
        pdus: &[PduRow],
        finding: Option<&Finding>,
        at: Option<usize>,
    ) {
        let mut found = Found::default();
        for pdu in pdus {
            self.settle(pdu);
            if pdu.frame == no {
                found.take(pdu);
                if let (Some(at), Some(mark)) = (at, smp_mark(self.conn, pdu)) {
                    self.events.hit_session(pdu, at, mark);
                }
            }
        }
        let Some(at) = at else {
            return;
        };
        match place(self.conn, frame, finding, found) {
            Place::In(of, mark) => self.events.hit(of, at, mark),
            Place::WithItsPackets => {}
            Place::Part => self.parts.get_mut(frame.end()).push((no, at)),
        }
    }

    /// A packet is complete: the frames before it that hold parts of it belong to its lane.
    fn settle(&mut self, pdu: &PduRow) {
        let waiting = self.parts.get_mut(pdu.end);
        if waiting.is_empty() {
            return;
        }
        for (no, at) in std::mem::take(waiting) {
            let mark = data_mark(self.conn, pdu.end);
            if pdu.first_frame <= no && pdu.session.is_some() {
                self.events.hit_session(pdu, at, mark);
            } else {
                self.events.hit(LaneOf::Tcp, at, mark);
            }
        }
    }

    /// All events, when the last frame was taken in.
    fn rest(mut self, last: FrameNo) -> Events {
        let behind = self.store.pdus_behind(last).take(PART_SEARCH);
        for pdu in behind.filter(|pdu| pdu.conn == self.conn.id) {
            self.settle(&pdu);
        }
        for end in End::BOTH {
            for (_, at) in std::mem::take(self.parts.get_mut(end)) {
                self.events.hit(LaneOf::Tcp, at, data_mark(self.conn, end));
            }
        }
        self.events
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

fn place(conn: &ConnRow, frame: &FrameRow, finding: Option<&Finding>, found: Found) -> Place {
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
    match place(conn, frame, store.finding_on(no), found) {
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
    session: Option<SessionId>,
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

/// The stretch of the file in which the frames of the window stand.
fn window(scene: &Scene<'_>) -> Option<Stretch> {
    let store = scene.store;
    let slack = if store.oddities().earlier.frames > 0 {
        SLACK
    } else {
        0
    };
    let from = Nanos(scene.timeline.from.0.saturating_sub(slack));
    let end = scene.timeline.end(scene.columns);
    let end = Nanos(end.0.saturating_add(slack));
    let before = store.frame_at(Nanos(from.0.saturating_sub(1)));
    let first = before.map_or(FrameNo(1), |no| FrameNo(no.0.saturating_add(1)));
    Some((first, store.frame_at(end)?))
}
