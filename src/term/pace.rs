//! When the panes beside the list are drawn: at once for a single key, after a rest while keys keep moving the cursor.

use std::time::{Duration, Instant};

/// Keys that follow each other faster than this keep coming; the panes follow when they rest for as long.
const FRAME: Duration = Duration::from_millis(33);
/// The same on a slow line, where every key counts as one of many.
const SLOW: Duration = Duration::from_millis(150);

/// The pace of the keys.
#[derive(Debug)]
pub struct Pace {
    slow: bool,
    last: Option<Instant>,
    /// The last key was one of many that move the cursor.
    held: bool,
}

impl Pace {
    /// The pace before the first key.
    pub fn new(slow: bool) -> Self {
        Self {
            slow,
            last: None,
            held: false,
        }
    }

    /// Whether the line is a slow one; that can be set while the program runs.
    pub fn set_slow(&mut self, slow: bool) {
        self.slow = slow;
    }

    fn rest(&self) -> Duration {
        if self.slow { SLOW } else { FRAME }
    }

    /// A key has come, which moves the cursor, now or when the answer of its search is there, or does not: what it
    /// changes is then in the panes.
    pub fn key(&mut self, now: Instant, moves: bool) {
        let quick = self
            .last
            .is_some_and(|last| now.duration_since(last) < self.rest());
        self.held = moves && (self.slow || quick);
        self.last = Some(now);
    }

    /// When the panes may be drawn; `None` for at once.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        let due = self.last?.checked_add(self.rest())?;
        (self.held && now < due).then_some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_keys_are_answered_whole_and_held_ones_when_they_rest() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(false);
        assert_eq!(pace.due(at(0)), None);
        pace.key(at(0), true);
        assert_eq!(pace.due(at(0)), None);
        pace.key(at(20), true);
        assert_eq!(pace.due(at(20)), Some(at(53)));
        assert_eq!(pace.due(at(60)), None);
        pace.key(at(100), true);
        assert_eq!(pace.due(at(100)), None);
    }

    #[test]
    fn a_key_that_leaves_the_cursor_is_answered_whole_among_others_too() {
        let start = Instant::now();
        for slow in [false, true] {
            let mut pace = Pace::new(slow);
            pace.key(start, true);
            pace.key(start, true);
            assert!(pace.due(start).is_some());
            pace.key(start, false);
            assert_eq!(pace.due(start), None);
            pace.key(start, true);
            assert!(pace.due(start).is_some());
        }
    }

    #[test]
    fn on_a_slow_line_the_panes_wait_for_every_key() {
        let start = Instant::now();
        let mut pace = Pace::new(true);
        pace.key(start, true);
        assert_eq!(pace.due(start), Some(start + SLOW));
        assert_eq!(pace.due(start + SLOW), None);
    }
}
