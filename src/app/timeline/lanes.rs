//! Which lanes stand on screen, and what they show between their events: open, waiting, closed.

use rustc_hash::FxHashMap;

use super::events::Events;
use super::slots::{self, Slot};
use super::{Cell, LANE_NAME, Lane, LaneOf, Mark, Scale, Timeline, lane_name};
use crate::export::FrameSet;
use crate::store::{ClosedBy, RequestEnd, RequestRow, SessionRow, Store, Verdict};
use crate::units::{ConnId, End, FrameNo, SessionId};

/// Frames at the end of a connection in which resets are counted.
const RESETS_WITHIN: usize = 64;

/// What lanes are made from.
pub struct Scene<'a> {
    /// Rows.
    pub store: &'a Store,
    /// The part that the user changes.
    pub timeline: &'a Timeline,
    /// Connection.
    pub conn: ConnId,
    /// Frame of the cursor.
    pub cursor: FrameNo,
    /// Frames left out.
    pub ignored: &'a FrameSet,
    /// Columns of the cells.
    pub columns: u16,
    /// Rows for lanes, that of TCP among them.
    pub rows: usize,
    /// The timeline has the focus: lanes stand by number, and the user scrolls them.
    pub scrolled: bool,
}

/// The lanes on screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lanes {
    /// Lanes of Sids by number, pinned ones first, and that of TCP last.
    pub lanes: Vec<Lane>,
    /// How many lives of Sids the connection has.
    pub total: usize,
    /// Of these, how many stand above the first one shown; `None` where the most telling ones were chosen.
    pub above: Option<usize>,
    /// What stands in each column of the event scale; empty on the linear one.
    pub slots: Vec<Slot>,
}

impl Lanes {
    /// Makes the lanes.
    pub fn new(scene: &Scene<'_>) -> Self {
        let (slots, events) = match scene.timeline.scale {
            Scale::Linear => (Vec::new(), Events::in_window(scene)),
            Scale::Events => {
                let slots = slots::slots(scene);
                let events = Events::in_slots(scene, &slots);
                (slots, events)
            }
        };
        let all = by_number(scene.store, scene.conn, scene.timeline);
        let total = all.len();
        let room = scene.rows.saturating_sub(1);
        let (shown, above) = if total <= room {
            (all, None)
        } else if scene.scrolled {
            let above = scene.timeline.scroll.min(total.saturating_sub(room));
            (
                all.into_iter().skip(above).take(room).collect(),
                Some(above),
            )
        } else {
            (most_telling(scene, &events, &all, room), None)
        };
        let mut lanes: Vec<Lane> = shown
            .iter()
            .filter_map(|id| scene.store.session(*id))
            .map(|session| session_lane(scene, session))
            .collect();
        lanes.push(Lane {
            of: LaneOf::Tcp,
            name: "TCP".to_string(),
            cells: vec![Cell::default(); usize::from(scene.columns)],
            tail: tcp_tail(scene),
            pinned: false,
        });
        match scene.timeline.scale {
            Scale::Linear => paint_linear(scene, &mut lanes),
            Scale::Events => paint_slots(scene, &slots, &mut lanes),
        }
        for lane in &mut lanes {
            events.put_over(lane);
        }
        Self {
            lanes,
            total,
            above,
            slots,
        }
    }
}

/// The lives of a connection's Sids by number, pinned ones first.
pub(super) fn by_number(store: &Store, conn: ConnId, timeline: &Timeline) -> Vec<SessionId> {
    let mut all: Vec<_> = store
        .conn_sessions(conn)
        .map(|s| (!timeline.pinned.contains(&s.id), s.sid, s.life, s.id))
        .collect();
    all.sort_unstable();
    all.into_iter().map(|key| key.3).collect()
}

/// Where there is no room for all: pinned ones, those of the cursor, those with findings, the most active in view,
/// the smallest numbers. They keep their order, so that moving does not shuffle them.
fn most_telling(
    scene: &Scene<'_>,
    events: &Events,
    all: &[SessionId],
    room: usize,
) -> Vec<SessionId> {
    let here = crate::app::facts::sessions_of(scene.store, scene.cursor);
    let flagged: Vec<_> = scene
        .store
        .conn_findings(scene.conn)
        .filter(|f| f.verdict == Verdict::Fault)
        .filter_map(|f| f.session)
        .collect();
    let mut order: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(at, id)| {
            (
                !scene.timeline.pinned.contains(id),
                !here.contains(id),
                !flagged.contains(id),
                std::cmp::Reverse(events.count(LaneOf::Session(*id))),
                at,
            )
        })
        .collect();
    order.sort_unstable();
    let mut chosen: Vec<usize> = order.into_iter().take(room).map(|key| key.4).collect();
    chosen.sort_unstable();
    chosen
        .into_iter()
        .filter_map(|at| all.get(at).copied())
        .collect()
}

/// The name of a lane: with the word before it, as long as there is room for both.
fn whole_name(session: &SessionRow) -> String {
    let name = lane_name(session);
    // A blank in front and one behind.
    let room = usize::from(LANE_NAME).saturating_sub(2);
    ["Sid ", "Sid", ""]
        .map(|word| format!("{word}{name}"))
        .into_iter()
        .find(|whole| whole.len() <= room)
        .unwrap_or(name)
}

fn session_lane(scene: &Scene<'_>, session: &SessionRow) -> Lane {
    let client = scene.store.conn(session.conn).map_or(End::A, |c| c.client);
    let tail = match session.closed_by(client) {
        _ if session.outstanding > 0 => "waiting",
        ClosedBy::Nobody => "open",
        ClosedBy::Client => "client FIN",
        ClosedBy::Server => "server FIN",
        ClosedBy::Both => "closed",
    };
    Lane {
        of: LaneOf::Session(session.id),
        name: whole_name(session),
        cells: vec![Cell::default(); usize::from(scene.columns)],
        tail: format!("{} req  {tail}", session.requests),
        pinned: scene.timeline.pinned.contains(&session.id),
    }
}

/// The frame of the later SMP:FIN, when both ends sent one.
fn session_closed(session: &SessionRow) -> Option<FrameNo> {
    match End::BOTH.map(|end| session.ends.get(end).fin_frame) {
        [Some(a), Some(b)] => Some(a.max(b)),
        _ => None,
    }
}

fn tcp_tail(scene: &Scene<'_>) -> String {
    let resets = scene
        .store
        .conn_frames_back(scene.conn)
        .take(RESETS_WITHIN)
        .filter(|(_, frame)| frame.tcp_flags.rst())
        .count();
    let close = scene
        .store
        .conn_findings(scene.conn)
        .find(|f| f.close)
        .map(|f| f.verdict);
    let letter = close.map_or(' ', Verdict::letter);
    match resets {
        0 => close.map_or_else(String::new, |v| v.name().to_string()),
        1 => format!("RST {letter}"),
        _ => format!("{resets} RST {letter}"),
    }
}

/// The frames between which a lane is open.
fn open_frames(scene: &Scene<'_>, of: LaneOf) -> Option<(FrameNo, FrameNo)> {
    let conn = scene.store.conn(scene.conn)?;
    Some(match of {
        LaneOf::Tcp => (conn.first_frame, conn.last_frame),
        LaneOf::Session(id) => {
            let session = scene.store.session(id)?;
            let end = session_closed(session).unwrap_or(conn.last_frame);
            (session.open_frame, end)
        }
    })
}

/// The frames between which a request waits for its answer; `None` where the capture does not show when that came.
fn waiting_frames(request: &RequestRow, open_end: FrameNo) -> Option<(FrameNo, FrameNo)> {
    let until = match request.end {
        RequestEnd::Outstanding => Some(open_end),
        _ => request.answer_last_frame,
    };
    Some((request.first_frame, until?))
}

/// Calls `paint` for every open and every waiting stretch: lane, first frame, last frame, what is drawn.
fn stretches(
    scene: &Scene<'_>,
    lanes: &[Lane],
    mut paint: impl FnMut(usize, (FrameNo, FrameNo), Mark),
) {
    let mut ends: FxHashMap<SessionId, (usize, FrameNo)> = FxHashMap::default();
    for (at, lane) in lanes.iter().enumerate() {
        if let Some(open) = open_frames(scene, lane.of) {
            paint(at, open, Mark::Open);
            if let LaneOf::Session(id) = lane.of {
                ends.insert(id, (at, open.1));
            }
        }
    }
    for request in scene.store.conn_requests(scene.conn) {
        if let Some(session) = request.session
            && let Some((at, open_end)) = ends.get(&session)
            && let Some(frames) = waiting_frames(&request, *open_end)
        {
            paint(*at, frames, Mark::Waiting);
        }
    }
}

fn paint_linear(scene: &Scene<'_>, lanes: &mut [Lane]) {
    let (timeline, columns) = (scene.timeline, scene.columns);
    let mut painted = Vec::new();
    stretches(scene, lanes, |at, (first, last), mark| {
        let time = |no| scene.store.time_of(no);
        let (Some(first), Some(last)) = (time(first), time(last)) else {
            return;
        };
        if last < timeline.from || first >= timeline.end(columns) {
            return;
        }
        let from = timeline.column(first, columns).unwrap_or(0);
        let to = timeline
            .column(last, columns)
            .unwrap_or_else(|| usize::from(columns).saturating_sub(1));
        painted.push((at, from, to, mark));
    });
    for (at, from, to, mark) in painted {
        let cells = lanes.get_mut(at).map(|lane| &mut lane.cells);
        for cell in cells
            .into_iter()
            .flatten()
            .take(to.saturating_add(1))
            .skip(from)
        {
            cell.mark = cell.mark.max(mark);
        }
    }
}

fn paint_slots(scene: &Scene<'_>, slots: &[Slot], lanes: &mut [Lane]) {
    let mut painted = Vec::new();
    stretches(scene, lanes, |at, (first, last), mark| {
        let from = slots.partition_point(|slot| slot.frame() < first);
        let to = slots.partition_point(|slot| slot.frame() <= last);
        if from < to {
            painted.push((at, from, to, mark));
        }
    });
    for (at, from, to, mark) in painted {
        let cells = lanes.get_mut(at).map(|lane| &mut lane.cells);
        for cell in cells.into_iter().flatten().take(to).skip(from) {
            cell.mark = cell.mark.max(mark);
        }
    }
    for (column, slot) in slots.iter().enumerate() {
        if let Slot::Gap(..) = slot {
            for cell in lanes.iter_mut().filter_map(|l| l.cells.get_mut(column)) {
                cell.mark = Mark::Gap;
            }
        }
    }
}
