//! A backend for ratatui that is sparing with what it writes: short colour codes, only when they change; moves
//! relative where that is shorter; the blank end of a row erased instead of written.

use std::io::{self, Write};

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};

/// Attributes with their codes.
const ATTRIBUTES: [(Modifier, &str); 4] = [
    (Modifier::BOLD, "1"),
    (Modifier::DIM, "2"),
    (Modifier::UNDERLINED, "4"),
    (Modifier::REVERSED, "7"),
];

/// Unchanged cells that are written again rather than moved over.
const SHORT_GAP: u16 = 4;

/// How cells look: what the terminal is told before they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    fg: Color,
    bg: Color,
    attributes: Modifier,
}

impl Look {
    const PLAIN: Self = Self {
        fg: Color::Reset,
        bg: Color::Reset,
        attributes: Modifier::empty(),
    };

    fn of(cell: &Cell) -> Self {
        let known = ATTRIBUTES
            .iter()
            .fold(Modifier::empty(), |all, (one, _)| all | *one);
        Self {
            fg: cell.fg,
            bg: cell.bg,
            attributes: cell.modifier & known,
        }
    }
}

/// The backend.
#[derive(Debug)]
pub struct Line<W: Write> {
    out: W,
    look: Look,
    /// Where the terminal's cursor stands; `None` when that is not certain.
    at: Option<Position>,
    shown: Option<bool>,
    /// Per row, the column from which on it is plain and blank.
    tails: Vec<u16>,
    /// The screen that is drawn.
    next: Buffer,
}

impl<W: Write> Line<W> {
    /// A backend that writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            look: Look::PLAIN,
            at: None,
            shown: None,
            tails: Vec::new(),
            next: Buffer::default(),
        }
    }

    /// Nothing is known about the terminal any more: somebody else has written to it.
    pub fn forget(&mut self) {
        self.at = None;
        self.shown = None;
    }

    /// Notes where the rows of the next drawing end.
    pub fn expect(&mut self, next: &Buffer) {
        self.next.clone_from(next);
        let area = *next.area();
        self.tails = (area.top()..area.bottom())
            .map(|y| {
                let blanks = (area.left()..area.right())
                    .rev()
                    .take_while(|x| next.cell((*x, y)).is_some_and(is_plain_blank))
                    .count();
                area.right()
                    .saturating_sub(u16::try_from(blanks).unwrap_or(0))
            })
            .collect();
    }

    fn tail(&self, y: u16) -> u16 {
        self.tails.get(usize::from(y)).copied().unwrap_or(u16::MAX)
    }

    fn go(&mut self, to: Position) -> io::Result<()> {
        match self.at {
            Some(at) if at == to => return Ok(()),
            Some(at) if at.y == to.y && at.x < to.x => {
                let by = to.x.saturating_sub(at.x);
                if by <= SHORT_GAP && self.fill(at, to)? {
                    self.at = Some(to);
                    return Ok(());
                }
                if by == 1 {
                    write!(self.out, "\x1b[C")?;
                } else {
                    write!(self.out, "\x1b[{by}C")?;
                }
            }
            Some(at) if to.x == 0 && to.y == at.y.saturating_add(1) => {
                self.out.write_all(b"\r\n")?;
            }
            Some(at) if to.x == 0 && to.y == at.y => self.out.write_all(b"\r")?,
            _ => {
                let (row, column) = (to.y.saturating_add(1), to.x.saturating_add(1));
                if column == 1 {
                    write!(self.out, "\x1b[{row}H")?;
                } else {
                    write!(self.out, "\x1b[{row};{column}H")?;
                }
            }
        }
        self.at = Some(to);
        Ok(())
    }

    /// Writes the unchanged cells between two places of a row again, if that needs no change of look: shorter than
    /// to move over them.
    fn fill(&mut self, from: Position, to: Position) -> io::Result<bool> {
        let cells: Option<Vec<&Cell>> = (from.x..to.x)
            .map(|x| self.next.cell((x, from.y)))
            .collect();
        let Some(cells) = cells else {
            return Ok(false);
        };
        let fits = |cell: &&Cell| Look::of(cell) == self.look && cell.symbol().len() == 1;
        if !cells.iter().all(fits) {
            return Ok(false);
        }
        for cell in cells {
            self.out.write_all(cell.symbol().as_bytes())?;
        }
        Ok(true)
    }

    fn wear(&mut self, look: Look) -> io::Result<()> {
        if look == self.look {
            return Ok(());
        }
        let mut codes: Vec<String> = Vec::new();
        let mut now = self.look;
        if look == Look::PLAIN {
            self.look = look;
            return self.out.write_all(b"\x1b[m");
        }
        if !look.attributes.contains(now.attributes) {
            codes.push("0".to_string());
            now = Look::PLAIN;
        }
        for (attribute, code) in ATTRIBUTES {
            if look.attributes.contains(attribute) && !now.attributes.contains(attribute) {
                codes.push(code.to_string());
            }
        }
        if look.fg != now.fg {
            codes.push(color_code(look.fg, 30));
        }
        if look.bg != now.bg {
            codes.push(color_code(look.bg, 40));
        }
        self.look = look;
        write!(self.out, "\x1b[{}m", codes.join(";"))
    }
}

fn is_plain_blank(cell: &Cell) -> bool {
    cell.symbol() == " " && Look::of(cell) == Look::PLAIN
}

/// The code of a colour; `base` is 30 for text, 40 for the ground.
fn color_code(color: Color, base: u16) -> String {
    let sixteen = |n: u16| {
        let code = if n < 8 {
            base.saturating_add(n)
        } else {
            base.saturating_add(52).saturating_add(n)
        };
        code.to_string()
    };
    match color {
        Color::Reset => base.saturating_add(9).to_string(),
        Color::Black => sixteen(0),
        Color::Red => sixteen(1),
        Color::Green => sixteen(2),
        Color::Yellow => sixteen(3),
        Color::Blue => sixteen(4),
        Color::Magenta => sixteen(5),
        Color::Cyan => sixteen(6),
        Color::Gray => sixteen(7),
        Color::DarkGray => sixteen(8),
        Color::LightRed => sixteen(9),
        Color::LightGreen => sixteen(10),
        Color::LightYellow => sixteen(11),
        Color::LightBlue => sixteen(12),
        Color::LightMagenta => sixteen(13),
        Color::LightCyan => sixteen(14),
        Color::White => sixteen(15),
        Color::Indexed(n) => format!("{};5;{n}", base.saturating_add(8)),
        Color::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base.saturating_add(8)),
    }
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.out.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Backend for Line<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut erased = None;
        for (x, y, cell) in content {
            if x >= self.tail(y) {
                if erased != Some(y) {
                    erased = Some(y);
                    self.go(Position::new(x, y))?;
                    self.wear(Look::PLAIN)?;
                    self.out.write_all(b"\x1b[K")?;
                }
                continue;
            }
            self.go(Position::new(x, y))?;
            self.wear(Look::of(cell))?;
            self.out.write_all(cell.symbol().as_bytes())?;
            let cells = u16::try_from(crate::ui::safe_text::width(cell.symbol())).unwrap_or(1);
            // Behind the last column terminals differ about where the cursor is.
            let behind = x.saturating_add(cells);
            self.at = (behind < self.next.area().width).then(|| Position::new(behind, y));
        }
        self.wear(Look::PLAIN)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.shown != Some(false) {
            self.shown = Some(false);
            self.out.write_all(b"\x1b[?25l")?;
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if self.shown != Some(true) {
            self.shown = Some(true);
            self.out.write_all(b"\x1b[?25h")?;
        }
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        // No question is sent to the terminal; the place is known or the corner is as good as any.
        Ok(self.at.unwrap_or(Position::ORIGIN))
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.go(position.into())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.wear(Look::PLAIN)?;
        self.out.write_all(match clear_type {
            ClearType::All => b"\x1b[2J".as_slice(),
            ClearType::AfterCursor => b"\x1b[J",
            ClearType::BeforeCursor => b"\x1b[1J",
            ClearType::CurrentLine => b"\x1b[2K",
            ClearType::UntilNewLine => b"\x1b[K",
        })
    }

    fn size(&self) -> io::Result<Size> {
        let (width, height) = crossterm::terminal::size()?;
        Ok(Size::new(width, height))
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize {
            columns_rows: self.size()?,
            pixels: Size::new(0, 0),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    fn screen(lines: &[(&str, Style)]) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 4));
        for (y, (text, style)) in lines.iter().enumerate() {
            buffer.set_stringn(0, u16::try_from(y).unwrap(), text, 12, *style);
        }
        buffer
    }

    /// Draws screens one after the other and reads the last one through a terminal emulator.
    fn shown(screens: &[Buffer]) -> (vt100::Parser, usize) {
        let mut line = Line::new(Vec::new());
        let mut last = Buffer::empty(Rect::new(0, 0, 12, 4));
        let mut cost = 0;
        for next in screens {
            cost = line.out.len();
            line.expect(next);
            line.draw(last.diff(next).into_iter()).unwrap();
            last.clone_from(next);
        }
        let mut parser = vt100::Parser::new(4.try_into().unwrap(), 12.try_into().unwrap(), 0);
        parser.process(&line.out);
        (parser, line.out.len() - cost)
    }

    fn text(parser: &vt100::Parser) -> Vec<String> {
        parser
            .screen()
            .rows(0, 12)
            .map(|row| row.trim_end().to_string())
            .collect()
    }

    #[test]
    fn a_shorter_line_is_erased_not_written_over() {
        let long = screen(&[("aaaaaaaaaaaa", Style::new()), ("b", Style::new())]);
        let short = screen(&[("ab", Style::new()), ("b", Style::new())]);
        let (parser, cost) = shown(&[long, short]);
        assert_eq!(text(&parser)[0], "ab");
        assert!(cost <= 10, "{cost} bytes");
    }

    #[test]
    fn colours_and_attributes_arrive_and_end() {
        let red = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        let (parser, _) = shown(&[screen(&[("red", red), ("plain", Style::new())])]);
        let cell = parser.screen().cell(0, 0).unwrap();
        assert!(cell.bold());
        assert_eq!(cell.fgcolor(), vt100::Color::Idx(1));
        let cell = parser.screen().cell(1, 0).unwrap();
        assert!(!cell.bold());
        assert_eq!(cell.fgcolor(), vt100::Color::Default);
    }

    proptest! {
        #[test]
        fn any_sequence_of_screens_ends_as_the_last_one(
            screens in proptest::collection::vec(proptest::collection::vec(("[ ab\u{e9}]{0,12}", 0u8..4), 4), 1..5)
        ) {
            let styles = [
                Style::new(),
                Style::new().fg(Color::Indexed(117)),
                Style::new().add_modifier(Modifier::REVERSED),
                Style::new().fg(Color::LightRed).add_modifier(Modifier::DIM),
            ];
            let screens: Vec<Buffer> = screens
                .iter()
                .map(|lines| {
                    let lines: Vec<(&str, Style)> = lines
                        .iter()
                        .map(|(text, style)| (text.as_str(), styles[usize::from(*style)]))
                        .collect();
                    screen(&lines)
                })
                .collect();
            let once = shown(&screens[screens.len() - 1..]).0;
            let all = shown(&screens).0;
            prop_assert_eq!(text(&once), text(&all));
            for y in 0..4 {
                for x in 0..12 {
                    let (a, b) = (once.screen().cell(y, x).unwrap(), all.screen().cell(y, x).unwrap());
                    prop_assert_eq!((a.inverse(), a.dim(), a.contents().trim()), (b.inverse(), b.dim(), b.contents().trim()));
                }
            }
        }
    }
}
