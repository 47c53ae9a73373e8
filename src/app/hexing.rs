//! The bytes pane's cursor: it stands on a byte, and the decode pane shows the field that the byte belongs to.

use super::App;
use super::layout::Area;
use crate::decode::field::Field;
use crate::units::FrameNo;

/// Bytes in a line of the pane.
pub const PER_LINE: usize = 16;
/// Column of the first byte, of its text, and how far a byte reaches.
const HEX: u16 = 8;
const TEXT: u16 = 58;

/// The column of a byte's digits within its line.
pub fn hex_column(at: usize) -> u16 {
    let at = u16::try_from(at).unwrap_or(0);
    HEX.saturating_add(at.saturating_mul(3))
        .saturating_add(u16::from(at >= 8))
}

/// The column of a byte's character within its line.
pub fn text_column(at: usize) -> u16 {
    TEXT.saturating_add(u16::try_from(at).unwrap_or(0))
}

impl App {
    /// Another frame: the cursor stands where its decode pane says.
    pub(super) fn forget_byte(&mut self) {
        self.bytes_top = 0;
        self.byte_chosen = None;
    }

    /// Moves the cursor by bytes.
    pub(super) fn step_byte(&mut self, by: i64) {
        let Some(last) = self
            .decoded
            .as_ref()
            .and_then(|tree| tree.bytes.len().checked_sub(1))
        else {
            return;
        };
        let now = i64::try_from(self.byte()).unwrap_or(0);
        let last = i64::try_from(last).unwrap_or(i64::MAX);
        let to = usize::try_from(now.saturating_add(by).clamp(0, last)).unwrap_or(0);
        self.go_to_byte(to);
    }

    /// The byte under the cursor: the one chosen, else the first of the field under the decode cursor.
    pub fn byte(&self) -> usize {
        self.byte_chosen
            .or_else(|| self.field_bytes().map(|bytes| bytes.start))
            .unwrap_or(0)
    }

    /// The bytes of the field under the decode cursor, in the frame on screen.
    pub fn field_bytes(&self) -> Option<std::ops::Range<usize>> {
        let tree = self.decoded.as_ref()?;
        let lines = self.tree.lines(tree);
        let field = lines.get(self.tree.cursor)?.field;
        own_bytes(field, tree.frame)
    }

    fn go_to_byte(&mut self, to: usize) {
        let height = self
            .layout()
            .bytes
            .map_or(1, |area| usize::from(area.h.saturating_sub(1)).max(1));
        let line = to / PER_LINE;
        let least = line.saturating_add(1).saturating_sub(height);
        self.bytes_top = self.bytes_top.clamp(least, line);
        self.byte_chosen = Some(to);
        let decode_height = self.decode_height();
        if let Some(tree) = &self.decoded
            && let Some(path) = path_to(&tree.fields, tree.frame, to)
        {
            self.tree.show(tree, &path, decode_height);
        }
    }

    /// A click goes to its byte.
    pub(super) fn press_bytes(&mut self, area: Area, x: u16, row: u16) {
        let Some(row) = row.checked_sub(1) else {
            return;
        };
        let x = x.saturating_sub(area.x);
        let under = (0..PER_LINE).find(|at| {
            let hex = hex_column(*at);
            (hex..hex.saturating_add(2)).contains(&x) || x == text_column(*at)
        });
        let len = self.decoded.as_ref().map_or(0, |tree| tree.bytes.len());
        let line = self.bytes_top.saturating_add(usize::from(row));
        if let Some(under) = under {
            let to = line.saturating_mul(PER_LINE).saturating_add(under);
            if to < len {
                self.go_to_byte(to);
            }
        }
    }
}

fn own_bytes(field: &Field, frame: FrameNo) -> Option<std::ops::Range<usize>> {
    let span = field.spans.iter().find(|span| span.frame == frame)?;
    Some(span.bytes.clone())
}

/// The way to the smallest field that holds a byte: positions among the children, from the top.
fn path_to(fields: &[Field], frame: FrameNo, byte: usize) -> Option<Vec<usize>> {
    let mut best: Option<(usize, Vec<usize>)> = None;
    let mut open: Vec<(Vec<usize>, &Field)> = fields
        .iter()
        .enumerate()
        .map(|(at, field)| (vec![at], field))
        .collect();
    while let Some((path, field)) = open.pop() {
        let holds = field
            .spans
            .iter()
            .find(|span| span.frame == frame && span.bytes.contains(&byte));
        if let Some(span) = holds {
            let better = best
                .as_ref()
                .is_none_or(|(len, old)| (span.bytes.len(), old.len()) < (*len, path.len()));
            if better {
                best = Some((span.bytes.len(), path.clone()));
            }
        }
        for (at, child) in field.children.iter().enumerate() {
            let mut deeper = path.clone();
            deeper.push(at);
            open.push((deeper, child));
        }
    }
    best.map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::layout::Pane;
    use crate::app::testing::{app, press};
    use crate::app::tree::Tree;
    use crate::app::{Event, Looked, update};
    use crate::decode::field::Value;

    fn field(label: &'static str, bytes: std::ops::Range<usize>) -> Field {
        Field::new("", label, Value::None).span(FrameNo(1), bytes)
    }

    #[test]
    fn the_cursor_on_a_byte_puts_the_decode_pane_on_its_field() {
        let mut app = app(160, 48);
        let ports = field("TCP", 0..20)
            .child(field("source", 0..2))
            .child(field("destination", 2..4));
        let tree = Tree {
            frame: FrameNo(1),
            fields: vec![ports, field("SMP", 20..36)],
            bytes: vec![0; 36],
            complete: true,
        };
        let tree = Some(tree);
        update(
            &mut app,
            Event::Looked(Looked {
                tree,
                ..Looked::default()
            }),
        );
        app.focus = Pane::Bytes;
        let on = |app: &App| {
            let tree = app.decoded().unwrap();
            app.tree.lines(tree)[app.tree.cursor]
                .field
                .label
                .to_string()
        };
        app.byte_chosen = Some(0);
        press(&mut app, "Right Right");
        assert_eq!((app.byte(), on(&app).as_str()), (2, "destination"));
        press(&mut app, "j");
        assert_eq!((app.byte(), on(&app).as_str()), (18, "TCP"));
        press(&mut app, "j j");
        assert_eq!((app.byte(), on(&app).as_str()), (35, "SMP"));
        press(&mut app, "Left");
        assert_eq!(app.field_bytes(), Some(20..36));
        let bytes = app.layout().bytes.unwrap();
        app.press_bytes(bytes, bytes.x + text_column(3), 1);
        assert_eq!((app.byte(), on(&app).as_str()), (3, "destination"));
        press(&mut app, "Tab j");
        assert_eq!(app.byte_chosen, None);
    }
}
