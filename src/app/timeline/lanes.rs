//! Which lanes stand on screen, and what they show between their events: open, waiting, closed.

use super::by_session::BySession;
use super::made::View;
use super::slots::Slot;
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
    /// Makes the lanes of the sessions that are shown.
    pub(super) fn new(
        scene: &Scene<'_>,
        view: &View,
        shown: &[SessionId],
        above: Option<usize>,
    ) -> Self {
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
            Scale::Events => paint_slots(scene, &view.slots, &mut lanes),
        }
        view.events.put_over(scene, &mut lanes);
        Self {
            lanes,
            total: view.numbers.len(),
            above,
            slots: view.slots.clone(),
        }
    }
}

/// Which lane each session has, if it has one.
pub(super) type Places = BySession<Option<u16>>;

/// Which lane each session has, and which one TCP.
pub(super) fn places(scene: &Scene<'_>, lanes: &[Lane]) -> (Places, Option<u16>) {
    let mut places = BySession::new(scene.store, scene.conn, None);
    let mut tcp = None;
    for (at, lane) in lanes.iter().enumerate() {
        let at = u16::try_from(at).ok();
        match lane.of {
            LaneOf::Tcp => tcp = at,
            LaneOf::Session(id) => {
                if let Some(place) = places.get_mut(id) {
                    *place = at;
                }
            }
        }
    }
    (places, tcp)
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
    let (places, _) = places(scene, lanes);
    let mut ends = Vec::new();
    for (at, lane) in lanes.iter().enumerate() {
        let open = open_frames(scene, lane.of);
        if let Some(open) = open {
            paint(at, open, Mark::Open);
        }
        ends.push(open.map(|(_, end)| end));
    }
    scene.store.each_conn_request(scene.conn, |request| {
        if let Some(session) = request.session
            && let Some(at) = places.get(session).copied().flatten().map(usize::from)
            && let Some(open_end) = ends.get(at).copied().flatten()
            && let Some(frames) = waiting_frames(request, open_end)
        {
            paint(at, frames, Mark::Waiting);
        }
    });
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
