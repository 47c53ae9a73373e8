//! What the panes show: folds, focus, sizes, pages of text.

use super::card::folded;
use super::command::Context;
use super::layout::{Layout, Pane, Wishes};
use super::ordering::wrap;
use super::page::Page;
use super::tables::human;
use super::{App, CameFrom, Layer, Tone};
use crate::decode::field::Value;
use crate::report::words::problems;
use crate::units::FrameNo;

impl App {
    /// The areas of the screen.
    pub fn layout(&self) -> Layout {
        let (w, h) = self.size;
        let sessions = self
            .lane_conn()
            .map_or(0, |conn| self.store.conn_session_ids(conn).len());
        // The lanes themselves, `all` and `TCP`; on a high screen also the time axis, the cursor line and the legend.
        let furniture = if h >= 40 { 7 } else { 2 };
        // A ladder has a row per frame.
        let sessions = if self.timeline.ladder { 60 } else { sessions };
        let lanes = u16::try_from(sessions.clamp(1, 60))
            .unwrap_or(60)
            .saturating_add(furniture);
        let lanes = if w < 80 { lanes.min(3) } else { lanes };
        Layout::new(
            w,
            h,
            Wishes {
                lanes,
                bytes: self.bytes.unwrap_or(self.bytes_unasked()),
                zoomed: self.zoomed,
                extra: self.extra,
                plain: self.settings.plain,
            },
        )
    }

    /// Columns of the cells in the timeline.
    pub fn lane_columns(&self) -> u16 {
        let (w, _) = self.size;
        let tail = if w >= 120 { 22 } else { 12 };
        w.saturating_sub(10).saturating_sub(tail).max(8)
    }

    /// Which pane's keys hold.
    pub fn context(&self) -> Context {
        match self.layers.last() {
            Some(Layer::Table(_)) => Context::Table,
            Some(_) => Context::Anywhere,
            None => match self.focus {
                Pane::List => Context::List,
                Pane::Lanes => Context::Lanes,
                Pane::Decode => Context::Decode,
                Pane::Bytes => Context::Bytes,
            },
        }
    }

    /// Rows of the list on screen.
    pub fn page(&self) -> usize {
        usize::from(self.layout().list.h).max(1)
    }

    /// The frames of the rows on screen.
    pub fn visible(&self) -> Vec<FrameNo> {
        (self.list.top..self.list.top.saturating_add(self.page()))
            .map_while(|row| self.list.rows.at(&self.store, row))
            .collect()
    }

    /// Whether the lanes stand as columns in the list.
    pub fn lane_gutter(&self) -> bool {
        let (w, _) = self.size;
        let sids = self
            .conn()
            .map_or(0, |conn| self.store.conn_session_ids(conn).len());
        self.settings
            .lane_gutter
            .unwrap_or(w >= 160 || (w >= 100 && sids <= 8))
    }

    /// The panes that can have the focus. Where lines are printed, the fields have no place of their own.
    pub(super) fn panes(&self) -> Vec<Pane> {
        if self.settings.plain {
            return vec![Pane::List, Pane::Decode];
        }
        self.layout().panes()
    }

    pub(super) fn next_pane(&mut self, forward: bool) {
        if !self.layers.is_empty() {
            return;
        }
        let panes = self.panes();
        if let Some(zoomed) = &mut self.zoomed {
            // A zoomed pane gives the whole screen to the next one.
            let all = [Pane::List, Pane::Lanes, Pane::Decode, Pane::Bytes];
            *zoomed = neighbour(&all, *zoomed, forward);
            self.focus = *zoomed;
        } else {
            self.focus = neighbour(&panes, self.focus, forward);
        }
        self.show_cursor(true);
    }

    /// The bytes pane: its first lines (where it is shown unasked), the whole frame, hidden, and from the start.
    pub(super) fn cycle_bytes(&mut self) {
        if let Some(zoomed) = &mut self.zoomed {
            *zoomed = match *zoomed {
                Pane::Bytes => Pane::Decode,
                _ => Pane::Bytes,
            };
            self.focus = *zoomed;
            return;
        }
        let shown = self.layout().bytes.is_some();
        let first_lines = !shown && self.bytes_unasked();
        let whole = !shown || self.bytes_limit().is_some();
        self.bytes = (!first_lines).then_some(whole);
        let panes = self.layout().panes();
        if !panes.contains(&self.focus) {
            self.focus = if shown { Pane::Decode } else { Pane::Bytes };
        }
    }

    /// Whether the bytes pane is there without being asked for.
    pub(super) fn bytes_unasked(&self) -> bool {
        let (w, _) = self.size;
        w >= 160
    }

    /// Lines that the bytes pane shows while nobody asked for it: stepping through frames would write it anew for
    /// each of them. `None` for as many as fit.
    pub fn bytes_limit(&self) -> Option<u16> {
        let asked = self.bytes == Some(true)
            || self.focus == Pane::Bytes
            || self.zoomed == Some(Pane::Bytes)
            || !self.bytes_unasked();
        let lines = u16::try_from(self.settings.bytes_lines).unwrap_or(u16::MAX);
        (!asked && lines > 0).then_some(lines)
    }

    pub(super) fn resize_pane(&mut self, by: i16) {
        match self.focus {
            Pane::List => self.extra.0 = self.extra.0.saturating_add(by).clamp(-200, 200),
            Pane::Lanes => self.extra.1 = self.extra.1.saturating_add(by).clamp(-200, 200),
            Pane::Decode | Pane::Bytes => {
                self.extra.0 = self.extra.0.saturating_sub(by).clamp(-200, 200);
            }
        }
        self.show_cursor(true);
    }

    pub(super) fn fold(&mut self, open: bool) {
        if self.context() == Context::List {
            let here = self.list.cursor;
            if open {
                let several = self.cursor_facts().is_some_and(|f| f.pdus > 1);
                if several || self.sub_rows(here) > 0 {
                    self.list.opened = Some(here);
                } else {
                    self.say(Tone::Info, "this frame holds no more than one packet");
                }
            } else {
                self.list.opened = None;
                self.list.sub = 0;
            }
            return;
        }
        if self.context() == Context::Bytes {
            self.step_byte(if open { 1 } else { -1 });
            return;
        }
        let height = self.decode_height();
        let Some(tree) = &self.decoded else {
            return;
        };
        let lines = self.tree.lines(tree);
        let Some(line) = lines.get(self.tree.cursor) else {
            return;
        };
        match (line.open, open) {
            (Some(now), wanted) if now != wanted => {
                let path = line.path.clone();
                self.tree.fold(&path, wanted);
            }
            (_, false) => {
                // A leaf or a closed node: to the node above.
                let above = lines
                    .iter()
                    .take(self.tree.cursor)
                    .rposition(|l| l.depth < line.depth);
                if let Some(above) = above {
                    let by = i64::try_from(self.tree.cursor.saturating_sub(above)).unwrap_or(0);
                    let count = lines.len();
                    self.tree.step(count, height, -by);
                }
            }
            _ => {}
        }
    }

    /// Enter: from the list into the decode pane, from a field to the frame that it names, from a table's row to
    /// its frame.
    pub(super) fn follow(&mut self) {
        match self.layers.last() {
            Some(Layer::Table(table)) => {
                let row = table.rows.get(table.cursor).copied();
                if let Some(super::tables::Row::Folded(..)) = row {
                    let mut table = table.clone();
                    table.unfolded = true;
                    table.refresh(self);
                    if let Some(Layer::Table(slot)) = self.layers.last_mut() {
                        *slot = table;
                    }
                } else if let Some(frame) = table.target(self) {
                    let table = table.clone();
                    self.at_findings |= table.kind == super::tables::Kind::Findings;
                    let (before, _) = self.jumps.depths();
                    self.goto(frame);
                    self.enter_list();
                    let (depth, _) = self.jumps.depths();
                    self.came_from = Some(CameFrom {
                        table,
                        depth,
                        jumped: depth > before,
                    });
                }
            }
            Some(Layer::Help(_) | Layer::Text(_) | Layer::Export(_)) => {
                self.layers.pop();
            }
            None => match self.focus {
                Pane::List | Pane::Lanes => {
                    self.focus = Pane::Decode;
                    if !self.panes().contains(&Pane::Decode) {
                        // Where there is no room for it beside the list, it takes the whole screen.
                        self.zoomed = Some(Pane::Decode);
                    }
                }
                Pane::Decode | Pane::Bytes => self.follow_field(),
            },
        }
    }

    /// Puts the focus on the list, and the list on screen.
    fn enter_list(&mut self) {
        self.focus = Pane::List;
        if self.zoomed.is_some_and(|pane| pane != Pane::List) {
            self.leave_zoom();
        }
    }

    /// Shows all panes again, if one fills the screen. Returns whether one did.
    pub(super) fn leave_zoom(&mut self) -> bool {
        let was = self.zoomed.take().is_some();
        if was {
            if !self.panes().contains(&self.focus) {
                self.focus = Pane::List;
            }
            self.show_cursor(true);
        }
        was
    }

    pub(super) fn follow_field(&mut self) {
        let Some(tree) = &self.decoded else {
            return;
        };
        let lines = self.tree.lines(tree);
        let Some(line) = lines.get(self.tree.cursor) else {
            return;
        };
        let here = self.list.cursor;
        let target = match line.field.value {
            Value::Frame(no) => Some(no),
            _ => line.field.links.iter().find(|no| **no != here).copied(),
        };
        match target {
            Some(frame) => self.goto(frame),
            None => match line.open {
                Some(open) => {
                    let path = line.path.clone();
                    self.tree.fold(&path, !open);
                }
                None => self.say(Tone::Info, "this field names no other frame"),
            },
        }
    }

    pub(super) fn show_messages(&mut self) {
        let lines: Vec<String> = self
            .news
            .all
            .iter()
            .map(|(tone, text)| match tone {
                Tone::Info => text.clone(),
                Tone::Error => format!("error: {text}"),
            })
            .collect();
        let whole = lines.iter().map(String::as_str);
        let mut page = Page::new("Messages", whole, wrap, self.size.0);
        page.top = page.lines.len().saturating_sub(self.layer_height());
        self.layers.push(Layer::Text(page));
    }

    pub(super) fn show_stats(&mut self) {
        let stats = self.stats;
        let store = &self.store;
        let per_key = stats.bytes.checked_div(stats.keys.max(1)).unwrap_or(0);
        let mut lines = vec![
            format!("bytes written    {}", stats.bytes),
            format!("keys             {}", stats.keys),
            format!("bytes per key    {per_key}"),
            format!("draws            {}", stats.draws),
            format!("frames           {}", store.frame_count()),
            format!("packets          {}", store.pdu_count()),
            format!("connections      {}", store.conns().len()),
            format!("sessions         {}", store.sessions().len()),
            format!("requests         {}", store.request_count()),
            format!("findings         {}", store.findings().len()),
            format!("index memory     {}", human(store.memory())),
        ];
        lines.extend(problems(store, 0));
        let whole = lines.iter().map(String::as_str);
        let page = Page::new("Numbers", whole, folded, self.size.0);
        self.layers.push(Layer::Text(page));
    }
}

fn neighbour(panes: &[Pane], now: Pane, forward: bool) -> Pane {
    let at = panes.iter().position(|p| *p == now).unwrap_or(0);
    let step = if forward {
        1
    } else {
        panes.len().saturating_sub(1)
    };
    panes
        .iter()
        .cycle()
        .nth(at.saturating_add(step))
        .copied()
        .unwrap_or(now)
}
