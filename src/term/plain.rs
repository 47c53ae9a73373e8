//! The screen as lines, for those who have it read to them: every change prints what it is about and nothing else.

use std::fmt::Write as _;
use std::io::{self, Write};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::app::layout::Pane;
use crate::app::tables::Table;
use crate::app::{App, Layer};
use crate::dissect::render;
use crate::ui;
use crate::ui::safe_text::safe_text;
use crate::units::words::counted;

/// What a box is drawn with, and blanks.
const FRAME: &[char] = &[' ', '|', '+', '-', '│', '─', '┌', '┐', '└', '┘'];

/// What was printed last, so that only changes are.
#[derive(Debug, Default)]
pub struct Plain {
    /// Messages printed so far.
    messages: usize,
    /// The row, field or list row that was printed last.
    here: String,
    /// The title of the list or page on top.
    title: String,
    /// The lines of the page on top.
    page: Vec<String>,
    /// The input line as it stands there; `None` without one.
    input: Option<String>,
    /// What was said about the input.
    remark: String,
}

impl Plain {
    /// Prints what has changed; returns whether anything had.
    pub fn draw(&mut self, out: &mut impl Write, app: &App) -> io::Result<bool> {
        let mut lines = Vec::new();
        let new = app.news.told.saturating_sub(self.messages);
        let before = app.news.all.len().saturating_sub(new);
        let new = app.news.all.iter().skip(before);
        lines.extend(new.map(|(_, text)| text.clone()));
        self.messages = app.news.told;
        if app.prompt.is_none() {
            self.what_is_on_top(app, &mut lines);
        }
        let ascii = app.settings.glyphs == crate::app::settings::GlyphSet::Ascii;
        let (input, remark) = input(app);
        if remark != self.remark && !remark.is_empty() {
            lines.push(remark.clone());
        }
        self.remark = remark;
        if lines.is_empty() && input == self.input {
            return Ok(false);
        }
        let had_input = self.input.is_some();
        if had_input && (!lines.is_empty() || input.is_none()) {
            out.write_all(b"\r\n")?;
        }
        for line in lines {
            write!(out, "{}\r\n", safe_text(line.trim_end(), ascii))?;
        }
        if let Some(text) = &input {
            write!(out, "\r\x1b[K{}", safe_text(text, ascii))?;
        }
        self.input = input;
        out.flush()?;
        Ok(true)
    }

    /// Forgets what was printed, so that it is printed again.
    pub fn forget(&mut self) {
        let messages = self.messages;
        *self = Self {
            messages,
            ..Self::default()
        };
    }

    fn what_is_on_top(&mut self, app: &App, lines: &mut Vec<String>) {
        let (title, here) = match app.layers.last() {
            Some(Layer::Table(table)) => (
                format!("{}, {}", table.title(), counted(table.rows.len(), "row")),
                table_row(app, table),
            ),
            Some(_) => {
                self.page(app, lines);
                return;
            }
            None if app.focus == Pane::Decode => ("fields".to_string(), field(app)),
            None => (String::new(), row(app)),
        };
        self.page.clear();
        if title != self.title && !title.is_empty() {
            lines.push(title.clone());
        }
        if (here != self.here || title != self.title) && !here.is_empty() {
            lines.push(here.clone());
        }
        self.title = title;
        self.here = here;
    }

    /// The lines of a page or form that are new on it.
    fn page(&mut self, app: &App, lines: &mut Vec<String>) {
        let (w, h) = app.size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, w, h));
        ui::draw(app, &mut buffer, None);
        // The last two lines are status and keys.
        let body = h.saturating_sub(2);
        let in_box = matches!(app.layers.last(), Some(Layer::Export(_)));
        let text = |y| -> String {
            let cells = (0..w).filter_map(|x| buffer.cell((x, y)));
            let line: String = cells.map(ratatui::buffer::Cell::symbol).collect();
            if in_box {
                return line.trim_matches(FRAME).to_string();
            }
            without_rule(line.trim_end())
        };
        let page: Vec<String> = (0..body).map(text).collect();
        let new = page
            .iter()
            .filter(|l| !l.is_empty() && !self.page.contains(l));
        lines.extend(new.cloned());
        self.page = page;
        self.title.clear();
        self.here.clear();
    }
}

/// What stands in a rule over a page, without the rule.
fn without_rule(line: &str) -> String {
    let rule = ["──", "--"].into_iter().find(|rule| line.starts_with(rule));
    let Some(rule) = rule else {
        return line.to_string();
    };
    let words = line.split(rule).map(|word| word.trim_matches(FRAME));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(", ")
}

/// The input line and what is known of it.
fn input(app: &App) -> (Option<String>, String) {
    let Some(prompt) = &app.prompt else {
        return (None, String::new());
    };
    let text = format!("{}{}", prompt.ask.sign(), prompt.text());
    let remark = match &prompt.mistake {
        Some(mistake) => mistake.text.clone(),
        None if prompt.remark.is_empty() => prompt.offers.join("  "),
        None => prompt.remark.clone(),
    };
    (Some(text), remark)
}

/// The row under the cursor and its finding.
fn row(app: &App) -> String {
    let no = app.list.cursor;
    let mut text = app.row_text(no);
    if app.list.sub > 0 {
        let packet = app.store.pdus_in(no).nth(app.list.sub.saturating_sub(1));
        let line = packet.and_then(|(id, _)| app.packet_line(id));
        text = format!("{no}.{} {}", app.list.sub, line.unwrap_or_default());
    }
    if app.marks.contains(no) {
        text.push_str("; marked");
    }
    if let Some(finding) = app.store.finding_shown_on(no) {
        let (name, letter) = (finding.verdict.name(), finding.verdict.letter());
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "; {letter} {name}, {}: {}",
            finding.rule, finding.text
        );
    }
    text
}

/// The field under the decode cursor.
fn field(app: &App) -> String {
    let Some(tree) = app.decoded() else {
        return String::new();
    };
    let lines = app.tree.lines(tree);
    lines.get(app.tree.cursor).map_or_else(String::new, |line| {
        let state = match line.open {
            Some(true) => ", open",
            Some(false) => ", closed",
            None => "",
        };
        format!("{}{state}", render::line(line.field).trim_end())
    })
}

/// The row under the cursor of a list, each cell behind its column's name.
fn table_row(app: &App, table: &Table) -> String {
    let Some(row) = table.rows.get(table.cursor) else {
        return "no rows".to_string();
    };
    let heads = table.columns().iter().enumerate();
    let cells = heads.filter_map(|(column, head)| {
        let cell = table.cell(app, *row, column);
        let cell = cell.trim();
        (!cell.is_empty() && cell != "-")
            .then(|| format!("{} {cell}", head.name).trim().to_string())
    });
    cells.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing::{app, press};

    fn printed(plain: &mut Plain, app: &App) -> String {
        let mut out = Vec::new();
        plain.draw(&mut out, app).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_move_prints_its_row_and_nothing_else() {
        let mut app = app(80, 24);
        app.settings.plain = true;
        let mut plain = Plain::default();
        printed(&mut plain, &app);
        press(&mut app, "j");
        let text = printed(&mut plain, &app);
        assert!(text.starts_with("2 "), "{text}");
        assert_eq!(text.matches("\r\n").count(), 1, "{text}");
        assert_eq!(printed(&mut plain, &app), "");
        press(&mut app, "k");
        assert!(printed(&mut plain, &app).starts_with("1 "));
    }

    #[test]
    fn inputs_lists_and_pages_are_printed_as_they_come() {
        let mut app = app(80, 24);
        app.settings.plain = true;
        let mut plain = Plain::default();
        printed(&mut plain, &app);
        press(&mut app, ": 5");
        assert_eq!(printed(&mut plain, &app), "\r\x1b[K:5");
        press(&mut app, "Enter");
        assert!(printed(&mut plain, &app).starts_with("\r\n5 "));
        press(&mut app, "c");
        let text = printed(&mut plain, &app);
        assert!(text.starts_with("Connections, "), "{text}");
        assert_eq!(text.matches("\r\n").count(), 2, "{text}");
        press(&mut app, "q ?");
        let text = printed(&mut plain, &app);
        assert!(text.starts_with("Keys, type to search"), "{text}");
        assert!(text.matches("\r\n").count() > 10);
        press(&mut app, "q");
        assert!(printed(&mut plain, &app).starts_with("5 "));
        press(&mut app, "w");
        let text = printed(&mut plain, &app);
        assert!(text.starts_with("Write frames\r\nwhat "), "{text}");
        assert!(!text.contains(['|', '│']), "{text}");
        press(&mut app, "Tab Space");
        let text = printed(&mut plain, &app);
        assert!(!text.contains("Write frames"), "{text}");
    }
}
