//! Writes changes of the screen sparingly: short colour codes, only when they change; moves relative where that is
//! shorter; blanks erased instead of written; rows that only move are moved by the terminal.

use std::io::{self, Write};

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Position;
use ratatui::style::{Color, Modifier};

use super::band::Band;

/// Attributes with their codes.
const ATTRIBUTES: [(Modifier, &str); 4] = [
    (Modifier::BOLD, "1"),
    (Modifier::DIM, "2"),
    (Modifier::UNDERLINED, "4"),
    (Modifier::REVERSED, "7"),
];

/// Unchanged cells that are written again rather than moved over.
const SHORT_GAP: u16 = 4;
/// Blanks that are erased by their number rather than written; the sequence is as long.
const MANY_BLANKS: u16 = 6;

/// How cells look: what the terminal is told before they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    fg: Color,
    bg: Color,
    attributes: Modifier,
}

impl Look {
    /// Whether a blank looks the same in both: the text's colour, bold and dim do not show on it.
    fn same_on_blank(self, other: Self) -> bool {
        let shows = Modifier::REVERSED.union(Modifier::UNDERLINED);
        self == other
            || self.bg == other.bg
                && !self.attributes.intersects(shows)
                && !other.attributes.intersects(shows)
    }

    /// Whether a cell written now would look as it should.
    fn fits(self, cell: &Cell) -> bool {
        let wanted = Self::of(cell);
        wanted == self || cell.symbol() == " " && wanted.same_on_blank(self)
    }

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

/// The line to the terminal, and what the terminal shows.
#[derive(Debug)]
pub struct Line<W: Write> {
    out: W,
    look: Look,
    /// Where the terminal's cursor stands; `None` when that is not certain.
    at: Option<Position>,
    shown: Option<bool>,
    /// What is on screen; `None` when that is not certain.
    screen: Option<Buffer>,
    /// The terminal is told where a drawing begins and ends (mode 2026).
    synchronized: bool,
}

impl<W: Write> Line<W> {
    /// A line that writes to `out`.
    pub fn new(out: W, synchronized: bool) -> Self {
        Self {
            out,
            look: Look::PLAIN,
            at: None,
            shown: None,
            screen: None,
            synchronized,
        }
    }

    /// Nothing is known about the terminal any more: somebody else has written to it, or it has another size.
    pub fn forget(&mut self) {
        self.at = None;
        self.shown = None;
        self.screen = None;
    }

    /// What is on screen, if that is certain.
    pub fn shown(&self) -> Option<&Buffer> {
        self.screen.as_ref()
    }

    /// Writes what a new screen changes, and where the cursor stands. Returns whether anything changed.
    pub fn draw(&mut self, next: &Buffer, cursor: Option<Position>) -> io::Result<bool> {
        let same_size = |screen: &Buffer| screen.area() == next.area();
        let mut screen = self.screen.take().filter(same_size);
        let stays = match cursor {
            Some(at) => self.at == Some(at) && self.shown == Some(true),
            None => self.shown == Some(false),
        };
        if stays && screen.as_ref() == Some(next) {
            self.screen = screen;
            return Ok(false);
        }
        if self.synchronized {
            self.out.write_all(b"\x1b[?2026h")?;
        }
        if screen.is_none() {
            self.wear(Look::PLAIN)?;
            self.out.write_all(b"\x1b[2J")?;
        }
        let screen = screen.get_or_insert_with(|| Buffer::empty(*next.area()));
        if let Some((band, moved)) = Band::worth_moving(screen, next) {
            self.move_band(&band)?;
            *screen = moved;
        }
        self.write_changes(screen, next)?;
        if let Some(at) = cursor {
            self.go(at, next)?;
        }
        self.show_cursor(cursor.is_some())?;
        if self.synchronized {
            self.out.write_all(b"\x1b[?2026l")?;
        }
        self.out.flush()?;
        screen.clone_from(next);
        self.screen = Some(std::mem::take(screen));
        Ok(true)
    }

    /// Lets the terminal move rows: within their band, as many as they move by are taken out or put in at its top.
    fn move_band(&mut self, band: &Band) -> io::Result<()> {
        self.wear(Look::PLAIN)?;
        let (top, bottom) = (band.rows.start.saturating_add(1), band.rows.end);
        let what = if band.up { 'M' } else { 'L' };
        write!(self.out, "\x1b[{top};{bottom}r\x1b[{top}H\x1b[")?;
        if band.by > 1 {
            write!(self.out, "{}", band.by)?;
        }
        write!(self.out, "{what}\x1b[r")?;
        // Terminals differ about where the cursor is now.
        self.at = None;
        Ok(())
    }

    fn write_changes(&mut self, last: &Buffer, next: &Buffer) -> io::Result<()> {
        let width = next.area().width;
        let mut erased = None;
        let mut tail = (u16::MAX, 0);
        // Behind the blanks that were erased last, in their row.
        let mut blank = (u16::MAX, 0);
        for (x, y, cell) in last.diff(next) {
            if erased == Some(y) {
                continue;
            }
            if tail.0 != y {
                tail = (y, tail_of(next, y));
            }
            if x >= tail.1 {
                erased = Some(y);
                // What stands between is blank, too.
                let here = self
                    .at
                    .filter(|at| at.y == y && (tail.1..=x).contains(&at.x));
                self.go(here.unwrap_or(Position::new(x, y)), next)?;
                if !self.look.same_on_blank(Look::PLAIN) {
                    self.wear(Look::PLAIN)?;
                }
                self.out.write_all(b"\x1b[K")?;
                continue;
            }
            let stays = last.cell((x, y)).is_some_and(|old| shows_alike(old, cell));
            if stays || (blank.0 == y && x < blank.1) {
                continue;
            }
            let blanks = blanks_from(last, next, x, y);
            if blanks >= MANY_BLANKS {
                blank = (y, x.saturating_add(blanks));
                self.go(Position::new(x, y), next)?;
                if !self.look.same_on_blank(Look::PLAIN) {
                    self.wear(Look::PLAIN)?;
                }
                write!(self.out, "\x1b[{blanks}X")?;
                continue;
            }
            self.go(Position::new(x, y), next)?;
            if !self.look.fits(cell) {
                self.wear(Look::of(cell))?;
            }
            self.out.write_all(cell.symbol().as_bytes())?;
            let cells = u16::try_from(crate::ui::safe_text::width(cell.symbol())).unwrap_or(1);
            // Behind the last column terminals differ about where the cursor is.
            let behind = x.saturating_add(cells);
            self.at = (behind < width).then(|| Position::new(behind, y));
        }
        self.wear(Look::PLAIN)
    }

    fn show_cursor(&mut self, shown: bool) -> io::Result<()> {
        if self.shown == Some(shown) {
            return Ok(());
        }
        self.shown = Some(shown);
        self.out
            .write_all(if shown { b"\x1b[?25h" } else { b"\x1b[?25l" })
    }

    fn go(&mut self, to: Position, next: &Buffer) -> io::Result<()> {
        let Some(at) = self.at else {
            self.at = Some(to);
            return self.out.write_all(place(to).as_bytes());
        };
        if at == to {
            return Ok(());
        }
        let by = to.x.saturating_sub(at.x);
        if at.y == to.y && at.x < to.x && by <= SHORT_GAP && self.fill(at, to, next)? {
            self.at = Some(to);
            return Ok(());
        }
        let mut way = place(to);
        let shorter = match to.y.checked_sub(at.y) {
            Some(0) if at.x < to.x => forward(by),
            Some(0) => column(to.x),
            // A line feed goes one row down; whether it also goes to the left depends on the terminal.
            Some(1) => format!("\n{}", column(to.x)),
            Some(2) => format!("\n\n{}", column(to.x)),
            _ => way.clone(),
        };
        if shorter.len() < way.len() {
            way = shorter;
        }
        self.out.write_all(way.as_bytes())?;
        self.at = Some(to);
        Ok(())
    }

    /// Writes the unchanged cells between two places of a row again, if that needs no change of look: shorter than
    /// to move over them.
    fn fill(&mut self, from: Position, to: Position, next: &Buffer) -> io::Result<bool> {
        let cells: Option<Vec<&Cell>> = (from.x..to.x).map(|x| next.cell((x, from.y))).collect();
        let Some(cells) = cells else {
            return Ok(false);
        };
        let fits = |cell: &&Cell| self.look.fits(cell) && cell.symbol().len() == 1;
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

/// The sequence that puts the cursor to a place.
fn place(to: Position) -> String {
    let (row, column) = (to.y.saturating_add(1), to.x.saturating_add(1));
    if column == 1 {
        format!("\x1b[{row}H")
    } else {
        format!("\x1b[{row};{column}H")
    }
}

/// The sequence that puts the cursor to a column of its row.
fn column(x: u16) -> String {
    if x == 0 {
        "\r".to_string()
    } else {
        format!("\x1b[{}G", x.saturating_add(1))
    }
}

/// The sequence that moves the cursor to the right.
fn forward(by: u16) -> String {
    match by {
        0 => String::new(),
        1 => "\x1b[C".to_string(),
        _ => format!("\x1b[{by}C"),
    }
}

/// Whether nobody can tell two cells apart.
fn shows_alike(old: &Cell, new: &Cell) -> bool {
    let blank = old.symbol() == " " && new.symbol() == " ";
    blank && Look::of(old).same_on_blank(Look::of(new))
}

/// The column from which on a row is plain and blank.
fn tail_of(screen: &Buffer, y: u16) -> u16 {
    let area = screen.area();
    let blanks = (area.left()..area.right())
        .rev()
        .take_while(|x| screen.cell((*x, y)).is_some_and(is_plain_blank))
        .count();
    area.right()
        .saturating_sub(u16::try_from(blanks).unwrap_or(0))
}

/// How many plain blanks stand from a cell on, up to the last of them that is new.
fn blanks_from(last: &Buffer, next: &Buffer, x: u16, y: u16) -> u16 {
    let run = (x..next.area().right())
        .take_while(|x| next.cell((*x, y)).is_some_and(is_plain_blank))
        .filter(|x| last.cell((*x, y)) != next.cell((*x, y)))
        .last();
    run.map_or(0, |end| end.saturating_sub(x).saturating_add(1))
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
        let mut line = Line::new(Vec::new(), false);
        let mut cost = 0;
        for next in screens {
            cost = line.out.len();
            line.draw(next, None).unwrap();
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
    fn many_blanks_within_a_line_are_erased_by_their_number() {
        let red = Style::new().fg(Color::Red);
        let long = screen(&[("aaaaaaaaaaab", red)]);
        let short = screen(&[("a          b", red)]);
        let mut plain = short.clone();
        for x in 1..11 {
            plain[(x, 0)].set_style(Style::reset());
        }
        let (parser, cost) = shown(&[long, plain]);
        assert_eq!(text(&parser)[0], "a          b");
        assert!(cost <= 16, "{cost} bytes");
        assert_eq!(
            parser.screen().cell(0, 11).unwrap().fgcolor(),
            vt100::Color::Idx(1)
        );
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

    #[test]
    fn rows_that_move_are_moved_by_the_terminal() {
        let rows = |from: usize| {
            let lines: Vec<String> = (from..from + 4).map(|n| format!("   row {n}")).collect();
            let lines: Vec<_> = lines.iter().map(|l| (l.as_str(), Style::new())).collect();
            screen(&lines)
        };
        let (parser, cost) = shown(&[rows(10), rows(11)]);
        assert_eq!(
            text(&parser),
            ["   row 11", "   row 12", "   row 13", "   row 14"]
        );
        assert!(cost <= 34, "{cost} bytes");
        let (parser, cost) = shown(&[rows(10), rows(8)]);
        assert_eq!(
            text(&parser),
            ["   row 8", "   row 9", "   row 10", "   row 11"]
        );
        assert!(cost <= 44, "{cost} bytes");
    }

    #[test]
    fn the_same_screen_again_writes_nothing() {
        let once = screen(&[("a", Style::new())]);
        let mut line = Line::new(Vec::new(), true);
        let at = Some(Position::new(0, 0));
        assert!(line.draw(&once, at).unwrap());
        let cost = line.out.len();
        assert!(!line.draw(&once, at).unwrap());
        assert_eq!(line.out.len(), cost);
        assert!(line.out.starts_with(b"\x1b[?2026h") && line.out.ends_with(b"\x1b[?2026l"));
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
                    let look = |parser: &vt100::Parser| {
                        let cell = parser.screen().cell(y, x).unwrap();
                        // On a blank, only what shows on blanks.
                        let text = cell.contents().trim().to_string();
                        (cell.inverse(), cell.dim() && !text.is_empty(), text)
                    };
                    prop_assert_eq!(look(&once), look(&all));
                }
            }
        }
    }
}
