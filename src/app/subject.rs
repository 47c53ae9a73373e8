//! What a command acts on: the frame list and the panes beside it, or the row of the list that lies over them.

use super::command::{ActsOn, Command};
use super::tables::{Kind, Row, Table, close_of};
use super::{App, Layer};
use crate::store::{Finding, RequestRow};
use crate::units::{ConnId, FrameNo, RequestId, Sid};

impl App {
    /// Why a command cannot be carried out while something lies over the frames: nothing happens to what is hidden.
    pub(super) fn out_of_reach(&self, command: Command) -> Option<String> {
        let entry = command.entry();
        let over = match (self.layers.last()?, entry.acts_on) {
            (_, ActsOn::Anything) | (Layer::Table(_), ActsOn::Row) => return None,
            (Layer::Table(table), ActsOn::Frames) => format!("the list of {}", table.word()),
            (Layer::Help(_) | Layer::Text(_) | Layer::Export(_), _) => "this page".to_string(),
        };
        let close = self.key_of(Command::Close);
        let name = entry.name;
        Some(format!(
            "{name} has no meaning in {over}; {close} closes it"
        ))
    }

    /// The list on top, if one lies over the frames.
    pub(super) fn table(&self) -> Option<&Table> {
        match self.layers.last() {
            Some(Layer::Table(table)) => Some(table),
            _ => None,
        }
    }

    /// The frame that the row under the cursor stands for: of a finding the deciding one, of a request and a phase the
    /// first. Why there is none, where a row stands for many.
    pub(super) fn frame_here(&self) -> Result<FrameNo, String> {
        let Some(table) = self.table() else {
            let here = self.list.cursor;
            let there = self.store.frame(here).map(|_| here);
            return there.ok_or_else(|| "there are no frames".to_string());
        };
        let follow = self.key_of(Command::Follow);
        match (table.kind, table.rows.get(table.cursor)) {
            (_, None) => Err("the list is empty".to_string()),
            (Kind::Connections, _) => Err(format!(
                "a connection is more than one frame; {follow} goes to its frames"
            )),
            (_, Some(Row::Folded(_, n))) => Err(format!(
                "this row stands for {n} findings; {follow} shows them one by one"
            )),
            _ => table
                .target(self)
                .ok_or_else(|| "this row names no frame".to_string()),
        }
    }

    /// The frames that the row under the cursor stands for: of a finding all that it names, else one.
    pub(super) fn frames_here(&self) -> Result<Vec<FrameNo>, String> {
        let one = self.frame_here()?;
        let finding = self.table().and_then(|table| table.finding(self));
        Ok(finding.map_or_else(|| vec![one], Finding::frames))
    }

    /// The request of the row under the cursor, in a list of requests.
    pub(super) fn request_here(&self) -> Option<RequestRow> {
        let table = self.table()?;
        match (table.kind, table.rows.get(table.cursor)) {
            (Kind::Requests(_), Some(Row::One(id))) => self.store.request(RequestId(*id)),
            _ => None,
        }
    }

    /// The connection of the row under the cursor.
    pub(super) fn conn_here(&self) -> Option<ConnId> {
        match self.table() {
            Some(table) => table.conn(self),
            None => self.conn(),
        }
    }

    /// The finding that the row under the cursor is, or that marks its frame, else the one that says how its connection
    /// ended.
    pub(super) fn finding_here(&self) -> Option<&Finding> {
        let own = match self.table() {
            Some(table) => table.finding(self),
            None => self.store.finding_on(self.list.cursor),
        };
        own.or_else(|| close_of(&self.store, self.conn_here()?))
    }

    /// The connection of the row under the cursor, and its Sid if it is about one.
    pub(super) fn sid_here(&self) -> (Option<ConnId>, Option<Sid>) {
        match self.table() {
            Some(table) => (table.conn(self), table.sid(self)),
            None => self
                .cursor_facts()
                .map_or((None, None), |facts| (facts.conn, facts.sid)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{app, press, said};
    use super::*;
    use crate::app::Effect;

    #[test]
    fn in_a_list_marks_and_copies_are_about_its_row() {
        // The finding names frames 11 and 12, the request frame 5; the frame list stands on frame 1.
        for (keys, marks) in [
            ("F m", "11-12"),
            ("F m m", ""),
            ("F Space", "11-12"),
            ("F g m", "11-12"),
            ("Q m", "5"),
            ("c g m", "11-12"),
        ] {
            let mut app = app(80, 24);
            press(&mut app, keys);
            assert_eq!(app.marks.to_string(), marks, "{keys}: {}", said(&app));
            assert_eq!(app.list.cursor, FrameNo(1), "{keys}");
        }
        for (keys, copied) in [("F y n", "12"), ("Q y n", "5"), ("Q y r", "select 1")] {
            let effects = press(&mut app(80, 24), keys);
            let [Effect::Copy(text)] = &effects[..] else {
                panic!("{keys}: {effects:?}");
            };
            assert!(text.contains(copied), "{keys}: {text}");
        }
        let mut app = app(80, 24);
        press(&mut app, "Q T");
        assert_eq!(app.time_ref, Some(FrameNo(5)));
        press(&mut app, "o");
        assert_eq!(app.filter, "conn == 0 and sid == 0");
        assert!(app.layers.is_empty());
        assert_eq!(app.list.cursor, FrameNo(5));
    }

    #[test]
    fn nothing_happens_to_what_a_list_or_a_page_hides() {
        for layer in ["F", "c", "Q", "g l"] {
            for key in [
                "v", "i", "M", ".", ",", "<", ">", "Left", "b", "z", "+", "|",
            ] {
                let mut app = app(80, 24);
                app.list.cursor = FrameNo(5);
                press(&mut app, layer);
                let hidden = |app: &App| {
                    let panes = (app.zoomed, app.bytes, app.focus, app.lane_gutter());
                    let lanes = app.timeline.per_col;
                    (app.undoable(), app.range, app.list.cursor, panes, lanes)
                };
                let before = hidden(&app);
                press(&mut app, key);
                assert!(hidden(&app) == before, "{layer} {key}");
                assert!(said(&app).contains("no meaning in"), "{layer} {key}");
            }
        }
        // A row that stands for many frames says so.
        let mut app = app(80, 24);
        press(&mut app, "c m");
        assert!(app.marks.is_empty());
        assert!(said(&app).starts_with("a connection is more than one frame"));
    }
}
