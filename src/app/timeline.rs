//! The timeline: which stretch of time it shows, which lanes, and what stands in each cell. Pure; drawing is not done here.

use crate::store::{FrameFlags, PduKind, RequestEnd, SessionRow, Store, Verdict};
use crate::units::{ConnId, End, FrameNo, Nanos, SessionId, Side};

use crate::export::FrameSet;

/// The strongest event of a cell, by rank: the first one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Mark {
    /// The session is not open.
    #[default]
    Empty,
    /// Open and quiet.
    Open,
    /// A request waits for its reply.
    Waiting,
    /// A wait between two frames (event scale).
    Gap,
    /// A border of phases (TCP lane).
    Border,
    /// ACK.
    Ack,
    /// DATA from the server.
    Reply,
    /// DATA from the client.
    Request,
    /// DATA from both.
    Both,
    /// SYN.
    Syn,
    /// FIN.
    Fin,
    /// A fault on this frame.
    Fault,
    /// A reset that a rule calls harmless.
    HarmlessReset,
    /// A reset.
    Reset,
}

impl Mark {
    /// Its letter.
    pub fn letter(self) -> char {
        match self {
            Self::Empty => ' ',
            Self::Open => '-',
            Self::Waiting => '=',
            Self::Gap => ':',
            Self::Border => '|',
            Self::Ack => 'a',
            Self::Reply => '<',
            Self::Request => '>',
            Self::Both => 'X',
            Self::Syn => 'S',
            Self::Fin => 'F',
            Self::Fault => '!',
            Self::HarmlessReset | Self::Reset => 'R',
        }
    }

    fn join(self, other: Self) -> Self {
        match (self, other) {
            (Self::Reply, Self::Request) | (Self::Request, Self::Reply) => Self::Both,
            _ => self.max(other),
        }
    }
}

/// A cell of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// What is drawn.
    pub mark: Mark,
    /// Events in it.
    pub events: u32,
}

impl Cell {
    fn hit(&mut self, mark: Mark) {
        self.mark = if self.events == 0 {
            mark
        } else {
            self.mark.join(mark)
        };
        self.events = self.events.saturating_add(1);
    }
}

/// What a lane shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneOf {
    /// A life of a Sid.
    Session(SessionId),
    /// The segments without SMP.
    Tcp,
}

/// A lane, ready to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// What it shows.
    pub of: LaneOf,
    /// Its name: `Sid 5`, `Sid 5'`, `TCP`.
    pub name: String,
    /// Its cells.
    pub cells: Vec<Cell>,
    /// The remark behind it.
    pub tail: String,
    /// Whether the user keeps it in view.
    pub pinned: bool,
}

/// How columns relate to frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Every column the same time.
    #[default]
    Linear,
    /// Every frame of the connection a column.
    Events,
}

/// The part of the timeline's state that the user changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// Time of the first column.
    pub from: Nanos,
    /// Nanoseconds per column, 1, 2 or 5 times a power of ten.
    pub per_col: i64,
    /// Linear or by events.
    pub scale: Scale,
    /// The ladder instead of the lanes.
    pub ladder: bool,
    /// Lanes kept in view.
    pub pinned: Vec<SessionId>,
    /// Lanes scrolled past.
    pub scroll: usize,
    /// The lane with the cursor, when the timeline has the focus.
    pub row: usize,
    /// A wait that the event scale shows, in nanoseconds.
    pub gap_ns: i64,
    /// Whether the window was placed already.
    pub placed: bool,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            from: Nanos(0),
            per_col: 1_000_000,
            scale: Scale::Linear,
            ladder: false,
            pinned: Vec::new(),
            scroll: 0,
            row: 0,
            gap_ns: 100_000_000,
            placed: false,
        }
    }
}

/// The smallest step that is at least `ns`: 1, 2 or 5 times a power of ten.
pub fn round_step(ns: i64) -> i64 {
    let mut base = 1_i64;
    loop {
        for factor in [1, 2, 5] {
            let step = base.saturating_mul(factor);
            if step >= ns || step >= 1_000_000_000_000_000 {
                return step;
            }
        }
        base = base.saturating_mul(10);
    }
}

/// The next smaller step.
pub fn smaller_step(step: i64) -> i64 {
    let mut power = 1_i64;
    while power.saturating_mul(10) <= step {
        power = power.saturating_mul(10);
    }
    match step.checked_div(power).unwrap_or(1) {
        5.. => power.saturating_mul(2),
        2..5 => power,
        _ => (power / 2).max(1),
    }
}

impl Timeline {
    /// The time behind the last column.
    pub fn end(&self, columns: u16) -> Nanos {
        Nanos(
            self.from
                .0
                .saturating_add(self.per_col.saturating_mul(i64::from(columns))),
        )
    }

    /// The column of a time; `None` outside.
    pub fn column(&self, time: Nanos, columns: u16) -> Option<usize> {
        let at = time.since(self.from);
        if at < 0 {
            return None;
        }
        usize::try_from(at.checked_div(self.per_col.max(1))?)
            .ok()
            .filter(|c| *c < usize::from(columns))
    }

    /// Shows a stretch of time completely.
    pub fn fit(&mut self, first: Nanos, last: Nanos, columns: u16) {
        let columns = i64::from(columns.max(4));
        let span = last.since(first).max(1);
        let usable = columns.saturating_sub(2).max(1);
        self.per_col = round_step(span.checked_div(usable).unwrap_or(span).saturating_add(1));
        self.from = Nanos(first.0.saturating_sub(self.per_col));
        self.placed = true;
    }

    /// Moves the window so that a time is in it, with a third of the width before or behind it.
    pub fn keep_in_view(&mut self, time: Nanos, columns: u16) {
        if self.column(time, columns).is_some() {
            return;
        }
        let third = self.per_col.saturating_mul(i64::from(columns) / 3);
        let back = if time < self.from {
            third
        } else {
            third.saturating_mul(2)
        };
        self.from = Nanos(time.0.saturating_sub(back));
    }

    /// Changes the time per column and keeps a time in its column.
    pub fn zoom(&mut self, around: Nanos, columns: u16, closer: bool) {
        let column = self.column(around, columns).map_or_else(
            || i64::from(columns) / 2,
            |c| i64::try_from(c).unwrap_or_default(),
        );
        self.per_col = if closer {
            smaller_step(self.per_col)
        } else {
            round_step(self.per_col.saturating_add(1))
        };
        self.from = Nanos(around.0.saturating_sub(self.per_col.saturating_mul(column)));
    }

    /// Moves the window by a share of its width: quarters.
    pub fn pan(&mut self, columns: u16, quarters: i64) {
        let width = self.per_col.saturating_mul(i64::from(columns));
        self.from = Nanos(
            self.from
                .0
                .saturating_add((width / 4).saturating_mul(quarters)),
        );
    }
}

/// The name of a session's lane: a prime for each earlier life.
pub fn lane_name(session: &SessionRow) -> String {
    let primes = usize::try_from(session.life.saturating_sub(1)).unwrap_or(0);
    if primes <= 3 {
        format!("{}{}", session.sid, "'".repeat(primes))
    } else {
        format!("{}'{}", session.sid, session.life)
    }
}

/// What lanes are made from.
pub struct Scene<'a> {
    /// Rows.
    pub store: &'a Store,
    /// Connection.
    pub conn: ConnId,
    /// Frame of the cursor.
    pub cursor: FrameNo,
    /// Frames left out.
    pub ignored: &'a FrameSet,
    /// Columns of the cells.
    pub columns: u16,
}

/// The sessions of the connection in the order of their lanes: pinned, the cursor's, with findings, most active
/// in view, by number.
pub fn lane_order(scene: &Scene<'_>, timeline: &Timeline) -> Vec<SessionId> {
    let store = scene.store;
    let here: Vec<_> = super::facts::sessions_of(store, scene.cursor);
    let flagged: Vec<_> = store
        .conn_findings(scene.conn)
        .filter(|f| f.verdict == Verdict::Fault)
        .filter_map(|f| f.session)
        .collect();
    let (from, to) = (timeline.from, timeline.end(scene.columns));
    let in_view = |s: &SessionRow| {
        let time = |no| store.frame(no).map(|f| f.time);
        time(s.open_frame).is_some_and(|t| t <= to) && time(s.last_frame).is_some_and(|t| t >= from)
    };
    let mut order: Vec<_> = store
        .conn_sessions(scene.conn)
        .map(|s| {
            (
                !timeline.pinned.contains(&s.id),
                !here.contains(&s.id),
                !flagged.contains(&s.id),
                !in_view(s),
                s.sid,
                s.life,
                s.id,
            )
        })
        .collect();
    order.sort_unstable();
    order.into_iter().map(|key| key.6).collect()
}

/// A column of the event scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A frame.
    Frame(FrameNo),
    /// A wait of so many nanoseconds.
    Gap(i64),
}

/// The columns of the event scale: the connection's frames around the cursor, and the waits between them.
pub fn slots(scene: &Scene<'_>, gap_ns: i64) -> Vec<Slot> {
    let store = scene.store;
    let columns = usize::from(scene.columns);
    let own = |no: &FrameNo| store.frame(*no).is_some_and(|f| f.conn == Some(scene.conn));
    let Some(last) = store.conn(scene.conn).map(|c| c.last_frame) else {
        return Vec::new();
    };
    let here = scene.cursor.min(last);
    // Frames before the cursor by the connection's chain, those behind it by looking through the file.
    let mut frames: Vec<FrameNo> = Vec::new();
    let mut before = (1..=here.0).rev().map(FrameNo).find(own);
    while let Some(no) = before.filter(|_| frames.len() < columns) {
        frames.push(no);
        before = store.frame(no).and_then(|f| f.prev);
    }
    frames.reverse();
    let behind = store
        .frames_from(FrameNo(here.0.saturating_add(1)))
        .take_while(|(no, _)| *no <= last)
        .filter(|(_, f)| f.conn == Some(scene.conn))
        .map(|(no, _)| no)
        .take(columns);
    frames.extend(behind);
    let mut slots = Vec::new();
    let mut at = 0;
    let mut time: Option<Nanos> = None;
    for no in frames {
        let Some(frame) = store.frame(no) else {
            continue;
        };
        let wait = time.map_or(0, |t| frame.time.since(t));
        if wait > gap_ns {
            slots.push(Slot::Gap(wait));
        }
        time = Some(frame.time);
        if no <= here {
            at = slots.len();
        }
        slots.push(Slot::Frame(no));
    }
    // The cursor stands in the middle where there is enough on both sides.
    let most = slots.len().saturating_sub(columns);
    let skip = at.saturating_sub(columns / 2).min(most);
    slots.into_iter().skip(skip).take(columns).collect()
}

/// The lanes of the event scale: every slot a column.
fn event_lanes(scene: &Scene<'_>, slots: &[Slot], lanes: &mut [Lane]) {
    let conn_last = scene.store.conn(scene.conn).map(|c| c.last_frame);
    for lane in lanes.iter_mut() {
        lane.cells = vec![Cell::default(); usize::from(scene.columns)];
        let LaneOf::Session(id) = lane.of else {
            continue;
        };
        let Some(session) = scene.store.session(id) else {
            continue;
        };
        let end = session_closed(session)
            .or(conn_last)
            .unwrap_or(session.last_frame);
        let requests: Vec<(FrameNo, FrameNo)> = scene
            .store
            .conn_requests(scene.conn)
            .filter(|r| r.session == Some(id))
            .map(|r| (r.first_frame, r.answer_last_frame.unwrap_or(end)))
            .collect();
        for (cell, slot) in lane.cells.iter_mut().zip(slots) {
            if let Slot::Frame(no) = slot
                && (session.open_frame..=end).contains(no)
            {
                let waiting = requests.iter().any(|(a, b)| a < no && no < b);
                cell.mark = if waiting { Mark::Waiting } else { Mark::Open };
            }
        }
    }
    for (column, slot) in slots.iter().enumerate() {
        match slot {
            Slot::Frame(no) if !scene.ignored.contains(*no) => {
                frame_events(scene, *no, lanes, column);
            }
            Slot::Frame(_) => {}
            Slot::Gap(_) => {
                for lane in lanes.iter_mut() {
                    if let Some(cell) = lane.cells.get_mut(column) {
                        cell.mark = Mark::Gap;
                    }
                }
            }
        }
    }
}

/// The lanes that fit, and how many there would be.
pub fn lanes(scene: &Scene<'_>, timeline: &Timeline, rows: usize) -> (Vec<Lane>, usize) {
    let order = lane_order(scene, timeline);
    let total = order.len();
    let room = rows.saturating_sub(1);
    let scroll = timeline.scroll.min(total.saturating_sub(room));
    let mut shown: Vec<SessionId> = order.into_iter().skip(scroll).take(room).collect();
    // The order decides which lanes are shown; on screen they stand by number, so that moving does not shuffle them.
    shown.sort_by_key(|id| {
        scene
            .store
            .session(*id)
            .map(|s| (!timeline.pinned.contains(id), s.sid, s.life))
    });
    let mut made: Vec<Lane> = shown
        .iter()
        .filter_map(|id| scene.store.session(*id))
        .map(|session| session_lane(scene, timeline, session))
        .collect();
    made.push(Lane {
        of: LaneOf::Tcp,
        name: "TCP".to_string(),
        cells: vec![Cell::default(); usize::from(scene.columns)],
        tail: tcp_tail(scene),
        pinned: false,
    });
    match timeline.scale {
        Scale::Linear => fill_events(scene, timeline, &mut made),
        Scale::Events => event_lanes(scene, &slots(scene, timeline.gap_ns), &mut made),
    }
    (made, total)
}

/// An empty lane with the open and waiting stretches drawn in.
fn session_lane(scene: &Scene<'_>, timeline: &Timeline, session: &SessionRow) -> Lane {
    let mut cells = vec![Cell::default(); usize::from(scene.columns)];
    let closed = session_closed(session);
    let conn_end = scene.store.conn(scene.conn).map(|c| c.last_frame);
    let open_end = closed.or(conn_end).unwrap_or(session.last_frame);
    paint(
        scene,
        timeline,
        &mut cells,
        session.open_frame,
        open_end,
        Mark::Open,
    );
    if timeline.scale == Scale::Linear {
        for request in scene
            .store
            .conn_requests(scene.conn)
            .filter(|r| r.session == Some(session.id))
        {
            let until = match request.end {
                RequestEnd::Outstanding | RequestEnd::Unknown => Some(open_end),
                _ => request.answer_last_frame,
            };
            if let Some(until) = until {
                paint(
                    scene,
                    timeline,
                    &mut cells,
                    request.first_frame,
                    until,
                    Mark::Waiting,
                );
            }
        }
    }
    let tail = match (closed, session.outstanding) {
        (_, 1..) => "waiting",
        (Some(_), _) => "closed",
        _ => "open",
    };
    let tail = format!("{} req  {tail}", session.requests);
    Lane {
        of: LaneOf::Session(session.id),
        name: format!("Sid {}", lane_name(session)),
        cells,
        tail,
        pinned: timeline.pinned.contains(&session.id),
    }
}

/// The frame of the later SMP:FIN, when both ends sent one.
fn session_closed(session: &SessionRow) -> Option<FrameNo> {
    let fins = End::BOTH.map(|end| session.ends.get(end).fin_frame);
    match fins {
        [Some(a), Some(b)] => Some(a.max(b)),
        _ => None,
    }
}

fn tcp_tail(scene: &Scene<'_>) -> String {
    let mut resets = 0_usize;
    for (_, frame) in scene.store.conn_frames_back(scene.conn).take(64) {
        resets = resets.saturating_add(usize::from(frame.tcp_flags.rst()));
    }
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

fn paint(
    scene: &Scene<'_>,
    timeline: &Timeline,
    cells: &mut [Cell],
    first: FrameNo,
    last: FrameNo,
    mark: Mark,
) {
    let (Some(first), Some(last)) = (scene.store.frame(first), scene.store.frame(last)) else {
        return;
    };
    if last.time < timeline.from || first.time >= timeline.end(scene.columns) {
        return;
    }
    let from = timeline.column(first.time, scene.columns).unwrap_or(0);
    let to = timeline
        .column(last.time, scene.columns)
        .unwrap_or_else(|| cells.len().saturating_sub(1));
    for cell in cells.iter_mut().take(to.saturating_add(1)).skip(from) {
        cell.mark = cell.mark.max(mark);
    }
}

/// Puts the events of the frames in view into the lanes.
fn fill_events(scene: &Scene<'_>, timeline: &Timeline, lanes: &mut [Lane]) {
    let store = scene.store;
    let end = timeline.end(scene.columns);
    let mut frames = Vec::new();
    for (no, frame) in store.conn_frames_back(scene.conn) {
        if frame.time < timeline.from {
            // Times may run backwards by a little; a whole second before the window nothing more is expected.
            if timeline.from.since(frame.time) > 1_000_000_000 {
                break;
            }
        } else if frame.time < end {
            frames.push(no);
        }
    }
    for no in frames.into_iter().rev() {
        let Some(frame) = store.frame(no) else {
            continue;
        };
        if let Some(column) = timeline.column(frame.time, scene.columns)
            && !scene.ignored.contains(no)
        {
            frame_events(scene, no, lanes, column);
        }
    }
}

/// The events of one frame, put into a column.
fn frame_events(scene: &Scene<'_>, no: FrameNo, lanes: &mut [Lane], column: usize) {
    let store = scene.store;
    let mut smp = false;
    for (_, pdu) in store.pdus_in(no) {
        let mark = match pdu.kind {
            PduKind::Syn => Mark::Syn,
            PduKind::Ack => Mark::Ack,
            PduKind::Fin => Mark::Fin,
            PduKind::Data => match store.pdu_side(pdu) {
                Some(Side::Server) => Mark::Reply,
                _ => Mark::Request,
            },
            _ => continue,
        };
        smp = true;
        if let Some(session) = pdu.session {
            hit(lanes, LaneOf::Session(session), column, mark);
        }
    }
    let Some(frame) = store.frame(no) else {
        return;
    };
    let verdict = store.finding_on(no).map(|f| f.verdict);
    let flags = frame.tcp_flags;
    let mark = if flags.rst() {
        match verdict {
            Some(Verdict::Benign | Verdict::LikelyBenign | Verdict::Normal) => Mark::HarmlessReset,
            _ => Mark::Reset,
        }
    } else if verdict == Some(Verdict::Fault) {
        Mark::Fault
    } else if flags.fin() {
        Mark::Fin
    } else if flags.syn() {
        Mark::Syn
    } else if smp {
        return;
    } else if frame.payload_len > 0 && !frame.flags.has(FrameFlags::KEEPALIVE) {
        match store.side(frame) {
            Some(Side::Server) => Mark::Reply,
            _ => Mark::Request,
        }
    } else {
        Mark::Ack
    };
    hit(lanes, LaneOf::Tcp, column, mark);
}

fn hit(lanes: &mut [Lane], of: LaneOf, column: usize, mark: Mark) {
    if let Some(lane) = lanes.iter_mut().find(|lane| lane.of == of)
        && let Some(cell) = lane.cells.get_mut(column)
    {
        cell.hit(mark);
    }
}

/// How many frames stand where in the whole capture; it grows with the index at a constant cost per frame.
#[derive(Debug, Clone)]
pub struct Density {
    bins: Vec<u32>,
    start: Option<Nanos>,
    width: i64,
    counted: usize,
}

const BINS: usize = 2048;

impl Default for Density {
    fn default() -> Self {
        Self {
            bins: vec![0; BINS],
            start: None,
            width: 1_000,
            counted: 0,
        }
    }
}

impl Density {
    /// Takes in the frames that were indexed since the last call.
    pub fn grow(&mut self, store: &Store) {
        for (_, frame) in store.frames_from(FrameNo::from_index(self.counted)) {
            let start = *self.start.get_or_insert(frame.time);
            let at = frame.time.since(start).max(0);
            while at.checked_div(self.width).unwrap_or(0) >= i64::try_from(BINS).unwrap_or(i64::MAX)
            {
                self.halve();
            }
            let bin = usize::try_from(at.checked_div(self.width).unwrap_or(0)).unwrap_or(0);
            if let Some(count) = self.bins.get_mut(bin) {
                *count = count.saturating_add(1);
            }
        }
        self.counted = store.frame_count();
    }

    fn halve(&mut self) {
        let mut merged: Vec<u32> = self
            .bins
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |sum: u32, n| sum.saturating_add(*n)))
            .collect();
        merged.resize(BINS, 0);
        self.bins = merged;
        self.width = self.width.saturating_mul(2);
    }

    /// Frames per column over the whole capture, which ends at `last`.
    pub fn columns(&self, last: Nanos, columns: u16) -> Vec<u64> {
        let mut out = vec![0_u64; usize::from(columns)];
        let Some(start) = self.start else {
            return out;
        };
        let span = i128::from(last.since(start).max(1));
        let columns = i128::from(columns.max(1));
        for (bin, count) in self.bins.iter().enumerate().filter(|(_, n)| **n > 0) {
            let at = i128::try_from(bin)
                .unwrap_or(0)
                .saturating_mul(i128::from(self.width));
            let column = (at.saturating_mul(columns))
                .checked_div(span.saturating_add(1))
                .unwrap_or(0)
                .min(columns.saturating_sub(1));
            if let Some(slot) = usize::try_from(column).ok().and_then(|c| out.get_mut(c)) {
                *slot = slot.saturating_add(u64::from(*count));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_one_two_five() {
        let mut step = 1;
        let mut seen = vec![step];
        for _ in 0..6 {
            step = round_step(step + 1);
            seen.push(step);
        }
        assert_eq!(seen, [1, 2, 5, 10, 20, 50, 100]);
        for pair in seen.windows(2) {
            assert_eq!(smaller_step(pair[1]), pair[0]);
        }
        assert_eq!(smaller_step(1), 1);
    }

    #[test]
    fn zooming_keeps_the_time_in_its_column() {
        let mut timeline = Timeline::default();
        timeline.fit(Nanos(0), Nanos(60_000_000), 60);
        let time = Nanos(30_000_000);
        let before = timeline.column(time, 60).unwrap();
        for closer in [true, true, false, true] {
            timeline.zoom(time, 60, closer);
            assert_eq!(timeline.column(time, 60), Some(before));
        }
    }

    #[test]
    fn fit_shows_both_ends() {
        for span in [1_i64, 999, 1_000_000, 3_600_000_000_000] {
            let mut timeline = Timeline::default();
            timeline.fit(Nanos(5), Nanos(5 + span), 60);
            assert!(timeline.column(Nanos(5), 60).is_some());
            assert!(timeline.column(Nanos(5 + span), 60).is_some());
        }
    }

    #[test]
    fn a_request_and_a_reply_in_one_cell_are_both_and_a_reset_wins() {
        let mut cell = Cell::default();
        cell.hit(Mark::Request);
        cell.hit(Mark::Reply);
        assert_eq!((cell.mark, cell.events), (Mark::Both, 2));
        cell.hit(Mark::Reset);
        cell.hit(Mark::Ack);
        assert_eq!(cell.mark.letter(), 'R');
    }
}
