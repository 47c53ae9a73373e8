//! The timeline: which stretch of time it shows, which lanes, and what stands in each cell. Pure; drawing is not done here.

mod by_session;
mod commands;
mod density;
mod events;
mod ladder;
mod lanes;
mod made;
mod slots;
mod stretch;
#[cfg(test)]
mod tests;

pub use commands::Shape;
pub use density::Density;
pub use ladder::Rung;
pub use lanes::{Lanes, Scene};
pub use made::Memo;
pub use slots::Slot;

use super::mouse::Drag;
use crate::store::SessionRow;
use crate::units::{Nanos, SessionId};

/// Cells of a lane's name, which stands before its columns.
pub const LANE_NAME: u16 = 10;
/// Columns between two times on the axis.
pub const TICK: u16 = 20;

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
    /// ACK.
    Ack,
    /// DATA from the server.
    Reply,
    /// DATA from the client.
    Request,
    /// DATA from both.
    Both,
    /// A phase of the connection begins (TCP lane).
    Border,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    /// The lane chosen while the timeline has the focus.
    pub chosen: Option<LaneOf>,
    /// While it has the focus, lanes stand by number: how many of them are scrolled past.
    pub scroll: usize,
    /// A wait that the event scale shows, in nanoseconds.
    pub gap_ns: i64,
    /// Whether the window was placed already.
    pub placed: bool,
    /// The user has chosen the window: it stays as it is when the cursor jumps.
    pub by_hand: bool,
    /// Where the mouse went down.
    pub drag: Option<Drag>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            from: Nanos(0),
            per_col: 1_000_000,
            scale: Scale::Linear,
            ladder: false,
            pinned: Vec::new(),
            chosen: None,
            scroll: 0,
            gap_ns: 100_000_000,
            placed: false,
            by_hand: false,
            drag: None,
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
        self.start_of(columns)
    }

    /// The time at which a column begins.
    pub fn start_of(&self, column: u16) -> Nanos {
        let at = self.per_col.saturating_mul(i64::from(column));
        Nanos(self.from.0.saturating_add(at))
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
        let wanted = time.0.saturating_sub(back);
        // Times on the axis stay in their columns, so that only their digits change.
        let ticks = self.per_col.saturating_mul(i64::from(TICK)).max(1);
        let off = wanted.saturating_sub(self.from.0).rem_euclid(ticks);
        let near = Nanos(wanted.saturating_sub(off));
        self.from = if time.since(near) < self.per_col.saturating_mul(i64::from(columns)) {
            near
        } else {
            Nanos(wanted)
        };
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

    /// Lets columns begin at round times, as counted from `base`; the window moves by less than a column.
    pub fn round(&mut self, base: Nanos) {
        let off = self.from.since(base).rem_euclid(self.per_col.max(1));
        self.from = Nanos(self.from.0.saturating_sub(off));
    }

    /// Decimals of a second that tell two columns apart.
    pub fn decimals(&self) -> usize {
        let digits = self.per_col.max(1).ilog10();
        usize::try_from(9_u32.saturating_sub(digits)).unwrap_or(9)
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
