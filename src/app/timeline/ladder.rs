//! The lines of the ladder: the connection's frames around the cursor, and the waits between them.

use crate::app::App;
use crate::units::{FrameNo, Nanos};

/// A line of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// A frame.
    Frame(FrameNo),
    /// A wait of so many nanoseconds before the next frame.
    Wait(i64),
}

impl App {
    /// The lines that fit a height, with the cursor's frame in the middle where there is enough on both sides of it.
    /// Frames that the filter hides are left out.
    pub fn rungs(&self, height: usize) -> Vec<Rung> {
        let store = &self.store;
        let here = self.list.cursor;
        let Some(conn) = self.lane_conn().and_then(|id| store.conn(id)) else {
            return Vec::new();
        };
        let own = |no: &FrameNo| {
            store
                .frame(*no)
                .is_some_and(|row| row.conn == Some(conn.id))
        };
        let near = |forward| {
            self.list
                .rows
                .walk(store, here, forward)
                .take_while(|no| (conn.first_frame..=conn.last_frame).contains(no))
                .filter(own)
                .take(height)
        };
        let mut frames: Vec<FrameNo> = near(false).collect();
        frames.reverse();
        if own(&here) {
            frames.push(here);
        }
        frames.extend(near(true));
        let gap = i64::from(self.settings.gap_ms).saturating_mul(1_000_000);
        let mut rungs = Vec::new();
        let mut middle = 0;
        let mut before: Option<Nanos> = None;
        for no in frames {
            let time = store.time_of(no);
            let wait = time.zip(before).map_or(0, |(time, b)| time.since(b));
            if wait > gap {
                rungs.push(Rung::Wait(wait));
            }
            before = time;
            if no <= here {
                middle = rungs.len();
            }
            rungs.push(Rung::Frame(no));
        }
        let most = rungs.len().saturating_sub(height);
        let skip = middle.saturating_sub(height / 2).min(most);
        rungs.into_iter().skip(skip).take(height).collect()
    }
}
