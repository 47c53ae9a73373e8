//! The lines below the panes: status with messages and input, keys, and the box of next keys.

use ratatui::layout::Position;

use super::paint::Pen;
use super::safe_text::width;
use super::theme::Role;
use crate::app::command::{Command, Context};
use crate::app::layout::Area;
use crate::app::ordering::wrap;
use crate::app::prompt::{Ask, Mistake, Prompt};
use crate::app::timeline::Scale;
use crate::app::{App, Layer, Searching, Tone};

/// Where the state has less room than this, only the place in the capture is shown.
const LEAST_STATE: u16 = 10;

/// The role of a message.
fn role(tone: Tone) -> Role {
    match tone {
        Tone::Info => Role::Text,
        Tone::Error => Role::Error,
    }
}

/// A message and the rest of it that the status line has no room for.
fn message(app: &App, area: Area) -> Option<(Role, String, String)> {
    let (tone, text) = app.message.as_ref()?;
    let room = usize::from(area.w.saturating_sub(2));
    if width(text) <= room {
        return Some((role(*tone), text.clone(), String::new()));
    }
    let mut lines = wrap(text, room);
    let first = lines.remove(0);
    Some((role(*tone), first, lines.join(" ")))
}

/// The status line: input, message or state; a message that is too long goes on in the key line, if there is one.
/// Returns the place of the input's cursor.
pub fn status(pen: &mut Pen<'_>, app: &App, area: Area, with_keys: bool) -> Option<Position> {
    if let Some(prompt) = &app.prompt {
        return Some(input(pen, prompt, area));
    }
    let right = place(app);
    let right_width = u16::try_from(right.len()).unwrap_or(20).saturating_add(1);
    let end = area.x.saturating_add(area.w);
    if let Some((role, first, rest)) = message(app, area) {
        let text = match &app.message {
            Some((_, whole)) if !with_keys && !rest.is_empty() => whole,
            _ => &first,
        };
        let x = area.x.saturating_add(1);
        pen.text(x, area.y, area.w.saturating_sub(2), text, role);
        return None;
    }
    let left = state(app, area.w);
    let room = area.w.saturating_sub(right_width).saturating_sub(2);
    if room < LEAST_STATE {
        // The place alone, in few words.
        let short = right.replace("indexed ", "").replace(" frames", " fr");
        pen.text(area.x, area.y, area.w, short.trim(), Role::Text);
    } else {
        pen.text(area.x, area.y, room, &left, Role::Text);
        pen.right(
            end.saturating_sub(1),
            area.y,
            right_width,
            &right,
            Role::Text,
        );
    }
    None
}

fn input(pen: &mut Pen<'_>, prompt: &Prompt, area: Area) -> Position {
    let sign = prompt.ask.sign();
    pen.text(area.x.saturating_add(1), area.y, area.w, sign, Role::Key);
    let (x, room, scroll) = input_window(prompt, area);
    let shown: String = prompt.text().chars().skip(scroll).collect();
    let end = pen.text(x, area.y, room, &shown, Role::Text);
    if !prompt.remark.is_empty() {
        let left = area
            .x
            .saturating_add(area.w)
            .saturating_sub(end.saturating_add(2));
        pen.right(
            area.x.saturating_add(area.w).saturating_sub(1),
            area.y,
            left,
            &prompt.remark,
            Role::Dim,
        );
    }
    let at = prompt.input.visual_cursor().saturating_sub(scroll);
    let at = u16::try_from(at).unwrap_or(room).min(room);
    Position::new(x.saturating_add(at), area.y)
}

/// Where the text of an input stands: its first cell, its cells, and how many of its characters are scrolled past.
fn input_window(prompt: &Prompt, area: Area) -> (u16, u16, usize) {
    let sign = u16::try_from(prompt.ask.sign().len()).unwrap_or(area.w);
    let x = area.x.saturating_add(1).saturating_add(sign);
    let end = area.x.saturating_add(area.w);
    let room = end.saturating_sub(x).saturating_sub(1);
    let scroll = prompt.input.visual_scroll(usize::from(room.max(1)));
    (x, room, scroll)
}

fn state(app: &App, w: u16) -> String {
    let mut parts = Vec::new();
    if let Some(count) = app.count {
        parts.push(count.to_string());
    }
    if let Some((first, last)) = app.chosen_range() {
        parts.push(format!("range {first}-{last}"));
    }
    parts.push(match app.marks.first().zip(app.marks.last()) {
        Some((first, last)) if w >= 100 => {
            format!("{} marked ({first}-{last})", app.marks.len())
        }
        _ => format!("{} marked", app.marks.len()),
    });
    if !app.ignored.is_empty() {
        parts.push(format!("{} ignored", app.ignored.len()));
    }
    if app.filter.is_empty() {
        parts.push("filter off".to_string());
    } else {
        let known = known(app, &app.jobs.filter);
        parts.push(format!("filter {} ({known})", app.filter));
    }
    parts.push(if app.find.is_empty() {
        "find -".to_string()
    } else if app.layers.is_empty() {
        format!("find {} ({})", app.find, known(app, &app.jobs.find))
    } else {
        format!("find {}", app.find)
    });
    let conn = app.conn().map_or("-".to_string(), |c| c.to_string());
    let sid = app
        .cursor_facts()
        .and_then(|f| f.sid)
        .map_or("-".to_string(), |s| s.to_string());
    parts.push(format!("conn {conn} Sid {sid}"));
    if w >= 120 {
        parts.push(match app.time_ref {
            Some(no) => format!("time ref {no}"),
            None => "time ref -".to_string(),
        });
        parts.push(format!("theme {}", app.settings.theme.name()));
        parts.push(format!("glyphs {}", app.settings.glyphs.name()));
        parts.push(format!("colour {}", app.settings.colors.name()));
    }
    format!(" {}", parts.join("  "))
}

/// The hits of a search, and how far it has come while it runs.
fn known(app: &App, search: &Searching) -> String {
    if !search.running {
        return search.hits.to_string();
    }
    let frames = u64::try_from(app.store.frame_count()).unwrap_or(u64::MAX);
    let percent = search.asked.saturating_mul(100).checked_div(frames);
    format!("{}+ {}%", search.hits, percent.unwrap_or(0).min(100))
}

fn place(app: &App) -> String {
    if let Some(frames) = app.jobs.exporting {
        return format!("writing  {frames} frames");
    }
    let last = app.store.frame_count();
    let progress = app.store.progress();
    let live = app.jobs.indexing && progress.caught_up;
    if app.jobs.indexing && !live {
        // Of fixed width, so that a second of progress changes a few cells.
        let rate = match app.stats.rate / 1_000_000 {
            _ if app.settings.low_bandwidth => String::new(),
            0 => " ".repeat(11),
            rate => format!("  {rate:>4} MB/s"),
        };
        let percent = progress
            .bytes_done
            .saturating_mul(100)
            .checked_div(progress.bytes_total)
            .unwrap_or(0);
        return format!("indexed {percent:>3}%  {:>6} frames{rate}", many(last));
    }
    if last == 0 {
        return "no frames".to_owned();
    }
    let no = app.list.cursor.0;
    if live {
        // What part of the capture that is goes down as it grows, and says nothing.
        return format!("live  frame {no}/{last}");
    }
    let percent = u64::from(no)
        .saturating_mul(100)
        .checked_div(u64::try_from(last).unwrap_or(1))
        .unwrap_or(0);
    format!("frame {no}/{last}  {percent:>3}%")
}

/// A number of frames in few digits.
fn many(n: usize) -> String {
    let tenths = |unit: usize| {
        let tenths = n / (unit / 10);
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    match n {
        0..100_000 => n.to_string(),
        100_000..1_000_000 => format!("{}k", n / 1000),
        _ => format!("{}M", tenths(1_000_000)),
    }
}

/// Whether the key line has an answer to what is being typed.
pub fn is_answered(app: &App) -> bool {
    app.prompt
        .as_ref()
        .is_some_and(|prompt| prompt.mistake.is_some() || !prompt.offers.is_empty())
}

/// The most useful keys of what has the focus.
pub fn keys(pen: &mut Pen<'_>, app: &App, area: Area) {
    if let Some(prompt) = &app.prompt {
        let (text, role) = match &prompt.mistake {
            Some(mistake) => {
                under_word(pen, prompt, mistake, area);
                return;
            }
            None if !prompt.offers.is_empty() => {
                let room = usize::from(area.w.saturating_sub(1));
                (offers(app, prompt, room), Role::Text)
            }
            None => (
                "Enter takes it   Tab completes   Up earlier inputs   Esc leaves".to_string(),
                Role::Dim,
            ),
        };
        let x = area.x.saturating_add(1);
        pen.text(x, area.y, area.w.saturating_sub(1), &text, role);
        return;
    }
    if let Some((role, _, rest)) = message(app, area).filter(|(.., rest)| !rest.is_empty()) {
        let x = area.x.saturating_add(1);
        pen.text(x, area.y, area.w.saturating_sub(2), &rest, role);
        return;
    }
    if matches!(app.layers.last(), Some(Layer::Help(_))) {
        let text = "letters search   Down PgDn scroll   Backspace takes back   Esc closes";
        let x = area.x.saturating_add(1);
        pen.text(x, area.y, area.w.saturating_sub(1), text, Role::Dim);
        return;
    }
    let mut x = area.x.saturating_add(1);
    let end = area.x.saturating_add(area.w);
    for command in key_line(app) {
        // A key that the focused pane uses for something else is no offer.
        let keys = app.keymap.keys_in(app.context(), *command);
        let Some(first) = keys.into_iter().next() else {
            continue;
        };
        let short = match command {
            Command::Close if !app.layers.is_empty() => "close",
            Command::Follow if app.context() == Context::Table => "frames",
            Command::Ladder | Command::PanRightPage if app.timeline.ladder => "lanes",
            Command::EventScale => "time scale",
            _ => command.entry().short,
        };
        let needed =
            u16::try_from(first.len().saturating_add(short.len()).saturating_add(1)).unwrap_or(20);
        if x.saturating_add(needed) > end {
            break;
        }
        x = pen.text(x, area.y, end.saturating_sub(x), &first, Role::Key);
        x = pen.text(
            x.saturating_add(1),
            area.y,
            end.saturating_sub(x),
            short,
            Role::Dim,
        );
        x = x.saturating_add(2);
    }
}

/// What may stand in the input line, without the words that all of it begins with; commands with their keys. Of what
/// there is no room for, the part with the one that is filled in.
fn offers(app: &App, prompt: &Prompt, room: usize) -> String {
    let all = &prompt.offers;
    let first = all.first().map_or("", String::as_str);
    let same = all.iter().skip(1).fold(first.len(), |same, text| {
        let pairs = first.bytes().zip(text.bytes());
        same.min(pairs.take_while(|(a, b)| a == b).count())
    });
    let words = first.get(..same).and_then(|same| same.rfind(' '));
    let stem = words.map_or(0, |at| at.saturating_add(1));
    let shown = |text: &String| {
        let command = Command::by_name(text).filter(|_| prompt.ask == Ask::Command);
        let key = command.and_then(|command| app.keymap.keys_of(command).into_iter().next());
        let text = text.get(stem..).unwrap_or(text);
        key.map_or_else(|| text.to_owned(), |key| format!("{text} ({key})"))
    };
    let mut line = String::new();
    for (at, text) in all.iter().map(shown).enumerate() {
        let needed = width(&line).saturating_add(width(&text)).saturating_add(2);
        if needed > room && prompt.chosen.is_some_and(|chosen| chosen >= at) {
            line.clear();
        }
        if !line.is_empty() {
            line.push_str("  ");
        }
        line.push_str(&text);
    }
    line
}

/// The mistake: marks under its word, and what is wrong on that side of them where there is more room.
fn under_word(pen: &mut Pen<'_>, prompt: &Prompt, mistake: &Mistake, area: Area) {
    let (x, room, scroll) = input_window(prompt, area);
    let cells = |text: &mut dyn Iterator<Item = char>| width(&text.collect::<String>());
    let from = cells(&mut prompt.text().chars().take(mistake.at).skip(scroll));
    let hidden = scroll.saturating_sub(mistake.at);
    let wrong = prompt.text().chars().skip(mistake.at.max(scroll));
    let long = cells(&mut wrong.take(mistake.len.saturating_sub(hidden)));
    let from = u16::try_from(from).unwrap_or(room).min(room);
    let long = u16::try_from(long.max(1)).unwrap_or(room);
    let long = long.min(room.saturating_sub(from)).max(1);
    let marks_at = x.saturating_add(from);
    let marks = "^".repeat(usize::from(long));
    pen.text(marks_at, area.y, long, &marks, Role::Error);
    let behind = marks_at.saturating_add(long).saturating_add(1);
    let right = area.x.saturating_add(area.w).saturating_sub(behind);
    let left = marks_at.saturating_sub(area.x).saturating_sub(2);
    let needed = u16::try_from(width(&mistake.text)).unwrap_or(u16::MAX);
    if needed <= right || left <= right {
        pen.text(behind, area.y, right, &mistake.text, Role::Error);
    } else {
        let start = marks_at.saturating_sub(needed.min(left)).saturating_sub(1);
        pen.text(start, area.y, needed.min(left), &mistake.text, Role::Error);
    }
}

fn key_line(app: &App) -> &'static [Command] {
    use Command as C;
    match app.layers.last() {
        Some(Layer::Export(_)) => &[],
        Some(Layer::Help(_) | Layer::Text(_)) => &[C::Close, C::Down, C::PageDown],
        Some(Layer::Table(_)) => &[
            C::Follow,
            C::Sort,
            C::Find,
            C::Filter,
            C::Close,
            C::Help,
            C::Connections,
            C::Findings,
            C::Requests,
        ],
        None => match app.context() {
            Context::Lanes => lanes_keys(app),
            Context::Decode => &[
                C::Down,
                C::Open,
                C::Follow,
                C::Pane,
                C::ZoomPane,
                C::Bytes,
                C::Help,
                C::NextFinding,
                C::Close,
            ],
            Context::Bytes => &[
                C::Down,
                C::Follow,
                C::Pane,
                C::ZoomPane,
                C::Bytes,
                C::NextFinding,
                C::Help,
                C::Close,
            ],
            _ => &[
                C::Down,
                C::NextFinding,
                C::NextReset,
                C::Find,
                C::Filter,
                C::Mark,
                C::Export,
                C::Help,
                C::CommandLine,
                C::NextSameSid,
                C::Pane,
                C::Range,
                C::Connections,
                C::Findings,
                C::Ladder,
                C::ZoomPane,
                C::Close,
            ],
        },
    }
}

/// The keys of the timeline, by what it shows: a ladder and the event scale have no time to zoom.
fn lanes_keys(app: &App) -> &'static [Command] {
    use Command as C;
    if app.timeline.ladder {
        return &[
            C::Down,
            C::PanLeft,
            C::LaneNext,
            C::LaneHere,
            C::PanRightPage,
            C::Pane,
            C::Help,
            C::Close,
        ];
    }
    match app.timeline.scale {
        Scale::Linear => &[
            C::PanLeft,
            C::ZoomIn,
            C::Fit,
            C::LaneNext,
            C::LaneHere,
            C::Ladder,
            C::Pane,
            C::Help,
            C::Close,
        ],
        Scale::Events => &[
            C::PanLeft,
            C::EventScale,
            C::LaneNext,
            C::LaneHere,
            C::Ladder,
            C::Pane,
            C::Help,
            C::Close,
        ],
    }
}

/// The box that lists what may follow the first key of a sequence.
pub fn pending(pen: &mut Pen<'_>, app: &App, screen: Area) {
    if app.pending.is_empty() {
        return;
    }
    let next = app.keymap.continuations(app.context(), &app.pending);
    let lines: Vec<String> = next
        .iter()
        .map(|(key, command)| format!("{key:<6} {}", command.entry().sentence))
        .collect();
    let inner = lines
        .iter()
        .map(|l| width(l))
        .max()
        .unwrap_or(0)
        .min(usize::from(screen.w.saturating_sub(4)));
    let w = u16::try_from(inner.saturating_add(4))
        .unwrap_or(screen.w)
        .min(screen.w);
    let h = u16::try_from(lines.len().saturating_add(2))
        .unwrap_or(screen.h)
        .min(screen.h.saturating_sub(1));
    let y = screen.h.saturating_sub(h).saturating_sub(2);
    let area = Area {
        x: screen.w.saturating_sub(w),
        y,
        w,
        h,
    };
    boxed(pen, area, &crate::app::key::show_sequence(&app.pending));
    for (i, line) in lines
        .iter()
        .enumerate()
        .take(usize::from(h.saturating_sub(2)))
    {
        let row = area.row(u16::try_from(i).unwrap_or(0).saturating_add(1));
        pen.text(
            row.x.saturating_add(2),
            row.y,
            w.saturating_sub(4),
            line,
            Role::Text,
        );
    }
}

/// A frame with a title, blank inside.
pub fn boxed(pen: &mut Pen<'_>, area: Area, title: &str) {
    let (corners, line, side) = if pen.ascii() {
        (["+"; 4], "-", "|")
    } else {
        let corners = ["\u{250c}", "\u{2510}", "\u{2514}", "\u{2518}"];
        (corners, "\u{2500}", "\u{2502}")
    };
    let inner = usize::from(area.w.saturating_sub(2));
    let [left, right, left_below, right_below] = corners;
    let top = format!("{left}{}{right}", line.repeat(inner));
    let bottom = format!("{left_below}{}{right_below}", line.repeat(inner));
    let blank = format!("{side}{}{side}", " ".repeat(inner));
    for y in 0..area.h {
        let row = area.row(y);
        let text = if y == 0 {
            &top
        } else if y.saturating_add(1) == area.h {
            &bottom
        } else {
            &blank
        };
        pen.text(row.x, row.y, row.w, text, Role::Text);
    }
    pen.text(
        area.x.saturating_add(2),
        area.y,
        area.w.saturating_sub(4),
        &format!(" {title} "),
        Role::Head,
    );
}
