//! Writes texts into the screen's buffer. Every text passes the gate of [`super::safe_text`] here and nowhere else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::safe_text::{cut, safe_text, width};
use super::theme::{Role, Theme};
use crate::app::App;
use crate::app::layout::Area;
use crate::app::settings::GlyphSet;

/// A pen: the buffer with theme and glyphs.
pub struct Pen<'a> {
    buf: &'a mut Buffer,
    theme: Theme<'a>,
    /// Characters for lines and graphs.
    pub glyphs: GlyphSet,
}

impl<'a> Pen<'a> {
    /// A pen for a screen.
    pub fn new(app: &'a App, buf: &'a mut Buffer) -> Self {
        Self {
            buf,
            theme: Theme::new(
                app.settings.theme,
                app.settings.colors,
                app.settings.own_theme.as_deref(),
            ),
            glyphs: app.settings.glyphs,
        }
    }

    /// Whether only ASCII may be written.
    pub fn ascii(&self) -> bool {
        self.glyphs == GlyphSet::Ascii
    }

    /// The style of a role.
    pub fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// Writes a text into at most `cells` cells and returns the column behind it.
    pub fn text(&mut self, x: u16, y: u16, cells: u16, text: &str, role: Role) -> u16 {
        let style = self.style(role);
        self.styled(x, y, cells, text, style)
    }

    /// As [`Pen::text`], with a style of one's own.
    pub fn styled(&mut self, x: u16, y: u16, cells: u16, text: &str, style: Style) -> u16 {
        let area = *self.buf.area();
        if y >= area.bottom() || x >= area.right() {
            return x;
        }
        let cells = cells.min(area.right().saturating_sub(x));
        let safe = safe_text(text, self.ascii());
        let fits = cut(&safe, usize::from(cells));
        // What stood there before leaves nothing of its look behind.
        let style = Style::reset().patch(style);
        self.buf
            .set_stringn(x, y, fits.as_ref(), usize::from(cells), style)
            .0
    }

    /// Writes a text that ends at a column (not included).
    pub fn right(&mut self, end: u16, y: u16, cells: u16, text: &str, role: Role) {
        let safe = safe_text(text, self.ascii());
        let fits = cut(&safe, usize::from(cells));
        let used = u16::try_from(width(&fits)).unwrap_or(cells).min(cells);
        let text = fits.into_owned();
        self.text(end.saturating_sub(used), y, used, &text, role);
    }

    /// Lays attributes and colours over cells that are written.
    pub fn over(&mut self, area: Area, role: Role) {
        let style = self.style(role);
        let rect = Rect::new(area.x, area.y, area.w, area.h).intersection(*self.buf.area());
        self.buf.set_style(rect, style);
    }

    /// The head of a pane: a line with the title in it, and a text at its right end.
    pub fn head(&mut self, area: Area, title: &str, right: &str, focused: bool) {
        let line = if self.ascii() { "-" } else { "\u{2500}" };
        let role = if focused { Role::Focus } else { Role::Head };
        let full = line.repeat(usize::from(area.w));
        self.text(area.x, area.y, area.w, &full, Role::Dim);
        let room = area.w.saturating_sub(4);
        let title = if title.is_empty() {
            String::new()
        } else {
            format!(" {title} ")
        };
        let end = self.text(area.x.saturating_add(2), area.y, room, &title, role);
        if !right.is_empty() {
            let right = format!(" {right} ");
            let stop = area.x.saturating_add(area.w).saturating_sub(2);
            let room = stop.saturating_sub(end).saturating_sub(1);
            if usize::from(room) >= width(&right).min(12) {
                self.right(stop, area.y, room, &right, role);
            }
        }
    }
}
