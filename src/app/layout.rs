//! Sizes to areas: which panes there are at a terminal size and where each of them stands. Tested without drawing.

/// A rectangle of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Area {
    /// Left column.
    pub x: u16,
    /// Top row.
    pub y: u16,
    /// Columns.
    pub w: u16,
    /// Rows.
    pub h: u16,
}

impl Area {
    /// The row at an offset from the top, as an area of one row; empty outside.
    #[must_use]
    pub fn row(self, at: u16) -> Self {
        Self {
            y: self.y.saturating_add(at),
            h: u16::from(at < self.h),
            ..self
        }
    }

    /// Whether a cell lies in it.
    pub fn contains(self, x: u16, y: u16) -> bool {
        (self.x..self.x.saturating_add(self.w)).contains(&x)
            && (self.y..self.y.saturating_add(self.h)).contains(&y)
    }

    /// Without its first rows.
    #[must_use]
    pub fn below(self, rows: u16) -> Self {
        let rows = rows.min(self.h);
        Self {
            y: self.y.saturating_add(rows),
            h: self.h.saturating_sub(rows),
            ..self
        }
    }
}

/// A pane that can have the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub enum Pane {
    /// The frame list.
    #[default]
    List,
    /// The timeline.
    Lanes,
    /// The decode tree.
    Decode,
    /// The bytes.
    Bytes,
}

/// What the layout depends on besides the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wishes {
    /// Rows that the timeline could use, its head not counted.
    pub lanes: u16,
    /// The bytes pane is wanted.
    pub bytes: bool,
    /// The pane that fills the screen.
    pub zoomed: Option<Pane>,
    /// Rows added to the list and to the timeline by the user.
    pub extra: (i16, i16),
    /// No frames, no timeline, one pane.
    pub plain: bool,
}

/// The areas of a screen. Panes other than the list carry their head in their first row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layout {
    /// The whole screen.
    pub screen: Area,
    /// File and connection.
    pub title: Option<Area>,
    /// Heads of the columns.
    pub heads: Option<Area>,
    /// Rows of the list.
    pub list: Area,
    /// Timeline.
    pub lanes: Option<Area>,
    /// Decode tree.
    pub decode: Option<Area>,
    /// Bytes.
    pub bytes: Option<Area>,
    /// Status line.
    pub status: Option<Area>,
    /// Key line.
    pub keys: Option<Area>,
    /// Too small for anything but a sentence.
    pub too_small: bool,
}

/// The smallest size that shows a list.
pub const SMALLEST: (u16, u16) = (20, 5);
/// From this width on decode tree and bytes stand side by side.
const WIDE: u16 = 160;
const BYTES_WIDTH: u16 = 75;

impl Layout {
    /// The areas for a size.
    pub fn new(w: u16, h: u16, wishes: Wishes) -> Self {
        let screen = Area { x: 0, y: 0, w, h };
        let mut layout = Self {
            screen,
            ..Self::default()
        };
        if w < SMALLEST.0 || h < SMALLEST.1 {
            layout.too_small = true;
            return layout;
        }
        // Plain means one pane and nothing around it, so that a screen reader hears the row and no more.
        if w < 60 || h < 12 || (wishes.plain && wishes.zoomed.is_none()) {
            let body = Area {
                h: h.saturating_sub(1),
                ..screen
            };
            match wishes.zoomed {
                Some(Pane::Lanes) => layout.lanes = Some(body),
                Some(Pane::Decode) => layout.decode = Some(body),
                Some(Pane::Bytes) => layout.bytes = Some(body),
                Some(Pane::List) | None => layout.list = body,
            }
            layout.status = Some(screen.row(h.saturating_sub(1)));
            return layout;
        }
        layout.title = Some(screen.row(0));
        layout.status = Some(screen.row(h.saturating_sub(2)));
        layout.keys = Some(screen.row(h.saturating_sub(1)));
        let body = Area {
            y: 1,
            h: h.saturating_sub(3),
            ..screen
        };
        match wishes.zoomed {
            Some(Pane::Lanes) => layout.lanes = Some(body),
            Some(Pane::Decode) => layout.decode = Some(body),
            Some(Pane::Bytes) => layout.bytes = Some(body),
            Some(Pane::List) => {
                layout.heads = Some(body.row(0));
                layout.list = body.below(1);
            }
            None => layout.split(body, h, wishes),
        }
        layout
    }

    fn split(&mut self, body: Area, screen_height: u16, wishes: Wishes) {
        self.heads = Some(body.row(0));
        let body = body.below(1);
        let least = 3;
        let share = |rows: u16, extra: i16, most: u16| {
            rows.saturating_add_signed(extra)
                .clamp(least, most.max(least))
        };
        let with_lanes = !wishes.plain && body.h >= 10;
        let list = share(
            screen_height.saturating_mul(2).div_ceil(5),
            wishes.extra.0,
            body.h.saturating_sub(if with_lanes { 6 } else { 3 }),
        );
        let lanes = if with_lanes {
            share(
                (screen_height / 4).min(wishes.lanes.saturating_add(1)),
                wishes.extra.1,
                body.h.saturating_sub(list).saturating_sub(3),
            )
        } else {
            0
        };
        self.list = Area { h: list, ..body };
        let rest = body.below(list);
        if lanes > 0 {
            self.lanes = Some(Area { h: lanes, ..rest });
        }
        self.details(rest.below(lanes), wishes.bytes);
    }

    /// Decode tree and bytes share what is left.
    fn details(&mut self, area: Area, bytes: bool) {
        if !bytes {
            self.decode = Some(area);
        } else if area.w >= WIDE {
            let left = area.w.saturating_sub(BYTES_WIDTH);
            self.decode = Some(Area { w: left, ..area });
            self.bytes = Some(Area {
                x: area.x.saturating_add(left),
                w: BYTES_WIDTH,
                ..area
            });
        } else if area.w >= 100 && area.h >= 8 {
            let upper = area.h.div_ceil(2);
            self.decode = Some(Area { h: upper, ..area });
            self.bytes = Some(area.below(upper));
        } else {
            self.bytes = Some(area);
        }
    }

    /// Where the timeline, the decode tree and the bytes stand.
    pub fn panes_beside_list(&self) -> impl Iterator<Item = Area> {
        [self.lanes, self.decode, self.bytes].into_iter().flatten()
    }

    /// The panes on screen, in the order of Tab.
    pub fn panes(&self) -> Vec<Pane> {
        let mut panes = Vec::new();
        if self.list.h > 0 {
            panes.push(Pane::List);
        }
        if self.lanes.is_some() {
            panes.push(Pane::Lanes);
        }
        if self.decode.is_some() {
            panes.push(Pane::Decode);
        }
        if self.bytes.is_some() {
            panes.push(Pane::Bytes);
        }
        panes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Wishes = Wishes {
        lanes: 5,
        bytes: false,
        zoomed: None,
        extra: (0, 0),
        plain: false,
    };

    #[test]
    fn the_design_size_has_ten_rows_of_list_and_five_lanes() {
        let layout = Layout::new(80, 24, PLAIN);
        assert_eq!(layout.list.h, 10);
        assert_eq!(layout.lanes.unwrap().h, 6);
        assert_eq!(layout.decode.unwrap().h, 4);
        assert_eq!(layout.keys.unwrap().y, 23);
    }

    #[test]
    fn plain_is_the_list_and_the_status_line() {
        let wishes = Wishes {
            plain: true,
            ..PLAIN
        };
        let layout = Layout::new(80, 24, wishes);
        assert_eq!(layout.panes(), [Pane::List]);
        assert_eq!((layout.list.h, layout.keys, layout.title), (23, None, None));
    }

    #[test]
    fn at_any_size_no_area_leaves_the_screen_and_none_overlap() {
        for w in 0..200 {
            for h in 0..60 {
                for zoomed in [None, Some(Pane::Lanes), Some(Pane::List)] {
                    for bytes in [false, true] {
                        let wishes = Wishes {
                            bytes,
                            zoomed,
                            extra: (i16::try_from(h).unwrap() - 30, 4),
                            ..PLAIN
                        };
                        check(w, h, &Layout::new(w, h, wishes));
                    }
                }
            }
        }
    }

    fn check(w: u16, h: u16, layout: &Layout) {
        let mut used = vec![false; usize::from(w) * usize::from(h)];
        for area in [
            layout.title,
            layout.heads,
            Some(layout.list),
            layout.lanes,
            layout.decode,
            layout.bytes,
            layout.status,
            layout.keys,
        ]
        .into_iter()
        .flatten()
        {
            for y in area.y..area.y + area.h {
                for x in area.x..area.x + area.w {
                    assert!(x < w && y < h, "{area:?} leaves {w}x{h}");
                    let cell = usize::from(y) * usize::from(w) + usize::from(x);
                    assert!(!std::mem::replace(&mut used[cell], true), "{w}x{h} overlap");
                }
            }
        }
        assert_eq!(layout.too_small, w < 20 || h < 5);
        if !layout.too_small {
            assert!(used.iter().all(|u| *u), "{w}x{h} leaves cells unused");
        }
    }
}
