//! Finds the band of rows that a new screen has moved up or down, so that the terminal can move it by itself.

use std::hash::{Hash, Hasher};
use std::ops::Range;

use ratatui::buffer::{Buffer, Cell};
use rustc_hash::FxHasher;

/// Cells at the start of a row that do not count: the cursor's sign and marks change where the row stays the same.
const GUTTER: u16 = 3;
/// Rows that must have moved together; fewer are written again as cheaply.
const LEAST: usize = 2;
/// Cells that a move must save: those that its sequences cost.
const PRICE: usize = 24;

/// Rows that moved, all by the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    /// The rows of the screen within which the terminal moves.
    pub rows: Range<u16>,
    /// By how many rows, and whether up.
    pub by: u16,
    /// Up, as when the list moves on.
    pub up: bool,
}

impl Band {
    /// The band whose move leaves less to write, and the screen after the move.
    pub fn worth_moving(last: &Buffer, next: &Buffer) -> Option<(Self, Buffer)> {
        let band = Self::find(last, next)?;
        let mut moved = last.clone();
        band.apply(&mut moved);
        let cost = |screen: &Buffer| {
            let cells = screen.content().iter().zip(next.content());
            cells.filter(|(a, b)| a != b).count()
        };
        (cost(&moved).saturating_add(PRICE) < cost(last)).then_some((band, moved))
    }

    /// The band in which most rows stand elsewhere as they stood.
    fn find(last: &Buffer, next: &Buffer) -> Option<Self> {
        if last.area() != next.area() {
            return None;
        }
        let (old, new) = (rows(last), rows(next));
        let mut best = (0, None);
        for by in 1..new.len() {
            for up in [true, false] {
                let (saved, band) = longest(&old, &new, by, up);
                if saved > best.0 {
                    best = (saved, band);
                }
            }
        }
        best.1
    }

    /// Does to the screen's copy what the terminal does.
    pub fn apply(&self, screen: &mut Buffer) {
        let width = screen.area().width;
        let source = |y: u16| {
            let from = if self.up {
                y.checked_add(self.by)
            } else {
                y.checked_sub(self.by)
            };
            from.filter(|from| self.rows.contains(from))
        };
        let mut move_row = |y: u16| {
            for x in 0..width {
                let from = source(y).and_then(|from| screen.cell((x, from)).cloned());
                if let Some(cell) = screen.cell_mut((x, y)) {
                    *cell = from.unwrap_or_else(|| Cell::new(" "));
                }
            }
        };
        if self.up {
            self.rows.clone().for_each(&mut move_row);
        } else {
            self.rows.clone().rev().for_each(&mut move_row);
        }
    }
}

/// What stands in each row, as a number; `None` for a blank one.
fn rows(buffer: &Buffer) -> Vec<Option<u64>> {
    let area = buffer.area();
    let row = |y| {
        let mut hash = FxHasher::default();
        let mut blank = true;
        for x in GUTTER.min(area.width)..area.width {
            let symbol = buffer.cell((x, y)).map_or(" ", Cell::symbol);
            blank &= symbol == " ";
            symbol.hash(&mut hash);
        }
        (!blank).then(|| hash.finish())
    };
    (area.top()..area.bottom()).map(row).collect()
}

/// The longest run of rows that stand in `new` by so many rows higher or lower than in `old`, with how many of
/// them a move saves.
fn longest(old: &[Option<u64>], new: &[Option<u64>], by: usize, up: bool) -> (usize, Option<Band>) {
    let mut best = (0, None);
    let mut run: Range<usize> = 0..0;
    let mut saved = 0_usize;
    for to in 0..new.len() {
        let from = if up {
            to.checked_add(by)
        } else {
            to.checked_sub(by)
        };
        let was = from.and_then(|from| old.get(from)).copied().flatten();
        let is = new.get(to).copied().flatten();
        if was.is_none() || was != is {
            run = to..to;
            saved = 0;
            continue;
        }
        if run.is_empty() {
            run.start = to;
        }
        run.end = to.saturating_add(1);
        saved = saved.saturating_add(usize::from(old.get(to).copied().flatten() != is));
        if saved >= LEAST && saved > best.0 {
            best = (saved, band(&run, by, up));
        }
    }
    best
}

/// The rows that take part when those of `run` get their new place: where they came from, too.
fn band(run: &Range<usize>, by: usize, up: bool) -> Option<Band> {
    let rows = if up {
        run.start..run.end.checked_add(by)?
    } else {
        run.start.checked_sub(by)?..run.end
    };
    Some(Band {
        rows: u16::try_from(rows.start).ok()?..u16::try_from(rows.end).ok()?,
        by: u16::try_from(by).ok()?,
        up,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    fn screen(lines: &[&str]) -> Buffer {
        let height = u16::try_from(lines.len()).unwrap();
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, height));
        for (y, line) in (0..).zip(lines) {
            buffer.set_stringn(0, y, line, 10, Style::new());
        }
        buffer
    }

    #[test]
    fn a_list_that_moved_on_is_found_whatever_its_cursor_does() {
        let last = screen(&["title", "   one", "   two", "   three", ">  four", "foot"]);
        let next = screen(&["title", "   three", "   four", ">  five", "   six", "foot"]);
        let band = Band::find(&last, &next).unwrap();
        let up = Band {
            rows: 1..5,
            by: 2,
            up: true,
        };
        assert_eq!(band, up);
        let back = Band::find(&next, &last).unwrap();
        assert_eq!(back, Band { up: false, ..up });
    }

    #[test]
    fn a_move_changes_the_copy_as_the_terminal_does() {
        let mut last = screen(&["title", "a", "b", "c", "d", "foot"]);
        let band = Band {
            rows: 1..5,
            by: 1,
            up: true,
        };
        band.apply(&mut last);
        assert_eq!(last, screen(&["title", "b", "c", "d", "", "foot"]));
        Band { up: false, ..band }.apply(&mut last);
        assert_eq!(last, screen(&["title", "", "b", "c", "d", "foot"]));
    }

    #[test]
    fn screens_that_have_little_in_common_are_left_alone() {
        let last = screen(&["   one", "   two", "", "", ""]);
        let next = screen(&["   two", "   ten", "", "", ""]);
        assert_eq!(Band::find(&last, &next), None);
        assert_eq!(Band::find(&last, &last), None);
        assert_eq!(Band::find(&last, &screen(&["   two"])), None);
    }
}
