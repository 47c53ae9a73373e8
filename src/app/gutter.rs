//! The lanes that stand beside the rows of the list: which sessions have one, and how wide they are.

use std::fmt::Write as _;

use super::App;
use super::columns::closed_at;
use super::timeline::lane_name;
use crate::store::SessionRow;
use crate::units::{FrameNo, SessionId};

/// Lanes of sessions.
const MOST: usize = 8;
/// Characters of a name, the last ones, which tell it from others.
const NAME: usize = 5;

/// A lane of the gutter.
pub struct GutterLane {
    /// Its session; none for that of TCP.
    pub session: Option<SessionId>,
    /// Its name.
    pub name: String,
}

/// The lanes beside the rows on screen.
#[derive(Default)]
pub struct Gutter {
    /// The lanes, that of TCP last; none where there is nothing to show.
    pub lanes: Vec<GutterLane>,
    /// Cells from one to the next.
    pub step: u16,
    /// Sessions that are open near these rows and have no lane.
    more: usize,
    /// Cells for their number: as many as the connection's sessions need, so that nothing moves while one scrolls.
    sign: usize,
}

impl Gutter {
    /// The sessions of the cursor's connection that are open near the rows on screen, and TCP. Where there are too many,
    /// those with packets on these rows come first, and that of the cursor before them; then those opened last.
    pub(super) fn of(app: &App) -> Self {
        let Some(conn) = app.conn().filter(|_| app.lane_gutter()) else {
            return Self::default();
        };
        let visible = app.visible();
        let (Some(first), Some(last)) = (visible.first(), visible.last()) else {
            return Self::default();
        };
        let all = app.store.conn_sessions(conn);
        let near = |s: &&SessionRow| s.open_frame <= *last && closed_at(s) >= *first;
        let mut open: Vec<SessionId> = all.filter(near).map(|s| s.id).collect();
        // They are numbered as they are opened.
        open.sort_unstable();
        if open.is_empty() {
            return Self::default();
        }
        let more = open.len().saturating_sub(MOST);
        let count = app.store.conn_session_ids(conn).len();
        let sign = if count > MOST {
            count.to_string().len()
        } else {
            0
        };
        if more > 0 {
            open = chosen(app, &visible, &open);
            open.sort_unstable();
        }
        let sessions = open.iter().filter_map(|id| app.store.session(*id));
        let mut lanes: Vec<GutterLane> = sessions
            .map(|session| GutterLane {
                session: Some(session.id),
                name: short(&lane_name(session)),
            })
            .collect();
        let longest = lanes.iter().map(|lane| lane.name.len()).max().unwrap_or(1);
        lanes.push(GutterLane {
            session: None,
            name: "T".to_string(),
        });
        Self {
            lanes,
            step: u16::try_from(longest.saturating_add(1)).unwrap_or(2),
            more,
            sign,
        }
    }

    /// Whether there are no lanes.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Its cells.
    pub fn width(&self) -> u16 {
        let count = u16::try_from(self.lanes.len().saturating_sub(1)).unwrap_or(0);
        let sign = match u16::try_from(self.sign).unwrap_or(0) {
            0 => 0,
            digits => digits.saturating_add(2),
        };
        count
            .saturating_mul(self.step)
            .saturating_add(1)
            .saturating_add(sign)
    }

    /// Its head: the names of the lanes, and how many more there are.
    pub fn head(&self) -> String {
        let step = usize::from(self.step);
        let names = self
            .lanes
            .iter()
            .map(|lane| format!("{:<step$}", lane.name));
        let mut head = names.collect::<String>().trim_end().to_string();
        if self.more > 0 {
            // Writing to a String cannot fail.
            let _ = write!(head, " +{}", self.more);
        }
        head
    }
}

/// Those of the open sessions that get a lane, where there is none for all.
fn chosen(app: &App, visible: &[FrameNo], open: &[SessionId]) -> Vec<SessionId> {
    let cursor = Some(app.list.cursor);
    let on_rows = cursor.into_iter().chain(visible.iter().copied());
    let with_packets = on_rows.flat_map(|no| super::facts::sessions_of(&app.store, no));
    let mut chosen: Vec<SessionId> = Vec::new();
    for id in with_packets.chain(open.iter().rev().copied()) {
        if chosen.len() >= MOST {
            break;
        }
        if !chosen.contains(&id) && open.binary_search(&id).is_ok() {
            chosen.push(id);
        }
    }
    chosen
}

/// The end of a name, which tells it from others.
fn short(name: &str) -> String {
    let skipped = name.chars().count().saturating_sub(NAME);
    name.chars().skip(skipped).collect()
}
