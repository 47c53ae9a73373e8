//! The export form over the panes.

use ratatui::layout::Position;

use super::lines::boxed;
use super::paint::Pen;
use super::theme::Role;
use crate::app::ExportForm;
use crate::app::export_form::Line;
use crate::app::layout::Area;
use crate::export::Format;

/// Columns of a line's name.
const NAME: u16 = 9;

/// Draws the form; returns the place of its cursor.
pub fn draw(pen: &mut Pen<'_>, form: &ExportForm, screen: Area) -> Position {
    let w = screen.w.min(78);
    let lines = lines(form, w.saturating_sub(4).saturating_sub(NAME));
    let h = u16::try_from(lines.len().saturating_add(3))
        .unwrap_or(screen.h)
        .min(screen.h);
    let area = Area {
        x: screen.w.saturating_sub(w) / 2,
        y: screen.h.saturating_sub(h) / 2,
        w,
        h,
    };
    boxed(pen, area, "Write frames");
    let foot = area.row(h.saturating_sub(1));
    let keys = if form.format.is_capture() {
        " Enter write   Tab next   Left Right Space choose   Esc cancel "
    } else {
        " Enter write   ^y copy   Tab next   Left Right Space choose   Esc cancel "
    };
    pen.text(
        foot.x.saturating_add(2),
        foot.y,
        w.saturating_sub(4),
        keys,
        Role::Head,
    );
    let mut at = Position::new(area.x, area.y);
    let room = h.saturating_sub(3);
    // When the form is higher than the screen, the line with the cursor stays in view.
    let own = |line: &FormLine| line.of == Some(form.line);
    let own = lines
        .iter()
        .rposition(|line| own(line) && line.text.contains("(*)"))
        .or_else(|| lines.iter().rposition(own))
        .unwrap_or(0);
    let skip = own.saturating_add(1).saturating_sub(usize::from(room));
    for (i, line) in lines.iter().skip(skip).take(usize::from(room)).enumerate() {
        let row = area.row(u16::try_from(i).unwrap_or(0).saturating_add(1));
        let x = row.x.saturating_add(2);
        pen.text(x, row.y, NAME, line.name, Role::Head);
        let text_at = x.saturating_add(NAME);
        let cells = w.saturating_sub(4).saturating_sub(NAME);
        if line.of == Some(form.line) {
            pen.text(text_at, row.y, cells, &line.text, Role::Key);
            if at == Position::new(area.x, area.y) {
                let cursor = line.cursor.min(cells);
                at = Position::new(text_at.saturating_add(cursor), row.y);
            }
        } else {
            pen.text(text_at, row.y, cells, &line.text, Role::Text);
        }
    }
    let last = area.row(h.saturating_sub(2));
    let role = if form.is_ready() {
        Role::Text
    } else {
        Role::Error
    };
    pen.text(
        last.x.saturating_add(2),
        last.y,
        w.saturating_sub(4),
        &form.outcome(),
        role,
    );
    at
}

struct FormLine {
    of: Option<Line>,
    name: &'static str,
    text: String,
    cursor: u16,
}

fn lines(form: &ExportForm, cells: u16) -> Vec<FormLine> {
    let mut out = Vec::new();
    let mut what: Vec<String> = form
        .offers
        .iter()
        .enumerate()
        .map(|(i, offer)| format!("{} {}", radio(i == form.chosen), offer.words))
        .collect();
    let typed = format!("{} frames: {}", radio(form.is_typed()), form.typed.value());
    what.push(typed);
    let words = wrapped(&what, usize::from(cells));
    for (i, text) in words.into_iter().enumerate() {
        let frames = text.contains("frames: ") && form.line == Line::Frames;
        out.push(FormLine {
            of: Some(if frames { Line::Frames } else { Line::What }),
            name: if i == 0 { "what" } else { "" },
            cursor: if frames {
                u16::try_from(text.chars().count()).unwrap_or(0)
            } else {
                0
            },
            text,
        });
    }
    let mut line = |of, name, text: String, cursor: usize| {
        out.push(FormLine {
            of: Some(of),
            name,
            text,
            cursor: u16::try_from(cursor).unwrap_or(0),
        });
    };
    line(
        Line::Opening,
        "add",
        format!(
            "{} handshake, PRELOGIN and login of the connection{}",
            tick(form.context.opening),
            added(form)
        ),
        1,
    );
    let last = form.context.last_frames;
    let words = if last > 0 {
        format!("the last {last} frames of each direction")
    } else {
        "last frames of each direction".to_string()
    };
    line(Line::Last, "", format!("{} {words}", tick(last > 0)), 1);
    line(
        Line::Between,
        "",
        format!(
            "{} everything between first and last",
            tick(form.context.between)
        ),
        1,
    );
    let formats: Vec<String> = Format::ALL
        .iter()
        .map(|f| format!("{} {}", radio(*f == form.format), f.name()))
        .collect();
    for (i, text) in wrapped(&formats, usize::from(cells))
        .into_iter()
        .enumerate()
    {
        line(Line::Format, if i == 0 { "as" } else { "" }, text, 0);
    }
    if form.format == Format::Pcapng {
        line(
            Line::Notes,
            "notes",
            format!("{} findings and marks as packet comments", tick(form.notes)),
            1,
        );
    }
    line(
        Line::Redact,
        "redact",
        format!(
            "{} addresses, names, SQL text and data replaced{}",
            tick(form.redact.is_some()),
            match form.redact {
                Some(wish) if wish.ports => ", ports too",
                _ => "",
            }
        ),
        1,
    );
    // A path longer than the line moves under the cursor.
    let scroll = form
        .file
        .visual_scroll(usize::from(cells).saturating_sub(1));
    line(
        Line::File,
        "file",
        form.file.value().chars().skip(scroll).collect(),
        form.file.visual_cursor().saturating_sub(scroll),
    );
    for note in form.notes() {
        let words: Vec<String> = note.split(' ').map(str::to_owned).collect();
        for (i, text) in joined(&words, " ", usize::from(cells))
            .into_iter()
            .enumerate()
        {
            out.push(FormLine {
                of: None,
                name: if i == 0 { "remark" } else { "" },
                text,
                cursor: 0,
            });
        }
    }
    out
}

/// The frames that come along besides the chosen ones.
fn added(form: &ExportForm) -> String {
    let context = &form.plan.context;
    match (context.first(), context.last()) {
        (Some(first), Some(last)) if form.context.opening => format!(" ({first}..{last})"),
        _ => String::new(),
    }
}

fn radio(on: bool) -> &'static str {
    if on { "(*)" } else { "( )" }
}

fn tick(on: bool) -> &'static str {
    if on { "[x]" } else { "[ ]" }
}

/// Choices in lines of at most so many cells.
fn wrapped(choices: &[String], cells: usize) -> Vec<String> {
    joined(choices, "   ", cells)
}

/// Words in lines of at most so many cells, with something between them.
fn joined(words: &[String], between: &str, cells: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        let needed = word.len().saturating_add(between.len());
        match lines.last_mut() {
            Some(line) if line.len().saturating_add(needed) <= cells => {
                line.push_str(between);
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines
}
