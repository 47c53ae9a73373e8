//! Which columns the list has: those chosen, or usual, that its width has room for.

use super::clock::{self, TimeFormat};
use super::facts;
use super::gutter::Gutter;
use super::settings::Column;
use super::{App, Tone};
use crate::store::{FrameRow, SessionRow};
use crate::units::{ConnId, End, FrameNo, Sid};

/// Cells before the first column: cursor, mark, verdict.
pub const GUTTER: u16 = 3;

/// Columns in the order in which they give way.
const GIVE_WAY: [Column; 12] = [
    Column::Flags,
    Column::Dst,
    Column::Src,
    Column::Lanes,
    Column::Wnd,
    Column::Seq,
    Column::Conn,
    Column::Len,
    Column::Delta,
    Column::Dir,
    Column::Time,
    Column::Sid,
];

/// A column on screen.
pub struct Shown {
    /// Which one.
    pub column: Column,
    /// Its cells.
    pub width: u16,
    /// Its texts stand on the right.
    pub right: bool,
}

/// The columns of the list.
pub struct Columns {
    /// Those that are shown, from left to right.
    pub shown: Vec<Shown>,
    /// The lanes of their column for lanes.
    pub lanes: Gutter,
    /// Those that there is no room for.
    left_out: Vec<Column>,
}

impl Columns {
    /// Those for a list of a width.
    pub fn new(app: &App, width: u16) -> Self {
        let lanes = Gutter::of(app);
        let all = wished(app, width, &lanes);
        let mut shown: Vec<Shown> = all.into_iter().map(|c| shown(app, c, &lanes)).collect();
        let mut left_out = Vec::new();
        // Columns give way when the rest leaves no room for a word or two of Info.
        while shown.len() > 2 && cells(&shown) > width {
            let place = |c: &Column| shown.iter().position(|s| s.column == *c);
            let Some(at) = GIVE_WAY.iter().find_map(place) else {
                break;
            };
            left_out.push(shown.remove(at).column);
        }
        Self {
            shown,
            lanes,
            left_out,
        }
    }
}

impl App {
    /// Which of the columns that the user chose have no room on screen, in words.
    pub(super) fn columns_left_out(&self) -> Option<String> {
        let (width, _) = self.size;
        let left_out = Columns::new(self, width).left_out;
        let of_all = Column::ALL.iter().filter(|c| left_out.contains(c));
        let names: Vec<&str> = of_all.map(|c| c.name()).collect();
        (!names.is_empty()).then(|| format!("no room at {width} columns for {}", names.join(", ")))
    }

    /// Says which columns have no room, if there are any.
    pub(super) fn say_columns_left_out(&mut self) {
        if let Some(text) = self.columns_left_out() {
            self.say(Tone::Info, text);
        }
    }
}

/// The columns that are wished for, whether they have room or not.
fn wished(app: &App, width: u16, lanes: &Gutter) -> Vec<Column> {
    let chosen = app.settings.columns.clone();
    let mut all = chosen.unwrap_or_else(|| Column::standard(width));
    if !lanes.is_empty() && !all.contains(&Column::Lanes) {
        let info = all.iter().position(|c| *c == Column::Info);
        all.insert(info.unwrap_or(all.len()), Column::Lanes);
    }
    all.retain(|c| *c != Column::Lanes || !lanes.is_empty());
    all
}

fn shown(app: &App, column: Column, lanes: &Gutter) -> Shown {
    Shown {
        column,
        width: column_width(app, column, lanes),
        right: matches!(
            column,
            Column::No
                | Column::Time
                | Column::Delta
                | Column::Conn
                | Column::Sid
                | Column::Seq
                | Column::Wnd
                | Column::Len
        ),
    }
}

/// The cells of all columns, with the gutter in front and a blank behind each.
fn cells(shown: &[Shown]) -> u16 {
    let each = shown.iter().map(|s| s.width.saturating_add(1));
    each.fold(GUTTER, u16::saturating_add)
}

fn column_width(app: &App, column: Column, lanes: &Gutter) -> u16 {
    let digits = |n: usize| u16::try_from(n.max(1).to_string().len()).unwrap_or(9);
    match column {
        Column::No => {
            let shown = app.visible().last().copied();
            let last = shown.max(app.totals.last);
            digits(last.map_or(0, FrameNo::index).saturating_add(1)).max(6)
        }
        Column::Time => time_width(app),
        Column::Delta => 6,
        Column::Conn => {
            let shown = app.visible().into_iter();
            let shown = shown.filter_map(|no| app.store.frame(no)?.conn);
            let shown = shown.map(ConnId::index).max();
            digits(shown.max(Some(app.totals.conns)).unwrap_or(0))
        }
        Column::Dir => 2,
        Column::Sid => {
            let shown = app.visible().into_iter();
            let shown = shown.filter_map(|no| facts::facts(&app.store, no)?.sid);
            let greatest = shown.max().max(app.totals.sid);
            // Room for one that is longer than usual is room for all: the columns beside it move once.
            if greatest > Some(Sid(999)) { 5 } else { 3 }
        }
        Column::Kind => 7,
        Column::Seq | Column::Wnd | Column::Len => 5,
        Column::Lanes => lanes.width(),
        Column::Src | Column::Dst => 21,
        Column::Flags => 8,
        Column::Info => 10,
    }
}

fn time_width(app: &App) -> u16 {
    let decimals = app.decimals();
    match app.settings.time {
        TimeFormat::Utc | TimeFormat::Local => {
            u16::try_from(decimals.saturating_add(9)).unwrap_or(18)
        }
        _ => {
            // Times before a reference are negative; the longest are those of the ends, unless a clock went back.
            let ends = [Some(FrameNo(1)), app.totals.last];
            let frames = ends.into_iter().flatten().chain(app.visible());
            let longest = frames
                .filter_map(|no| Some(time_text(app, no, &app.store.frame(no)?).len()))
                .max();
            u16::try_from(longest.unwrap_or(0).max(8)).unwrap_or(20)
        }
    }
}

/// What the Time column shows of a frame.
pub fn time_text(app: &App, no: FrameNo, row: &FrameRow) -> String {
    let decimals = app.decimals();
    match app.settings.time {
        TimeFormat::Start => {
            let start = app.store.start_time().unwrap_or(row.time);
            clock::seconds(row.time.since(start), decimals)
        }
        TimeFormat::Reference => clock::seconds(row.time.since(app.time_base()), decimals),
        TimeFormat::Utc => clock::time_of_day(row.time, decimals, false),
        TimeFormat::Local => clock::time_of_day(row.time, decimals, true),
        TimeFormat::Delta => {
            let before = app.list.rows.walk(&app.store, no, false).next();
            before
                .and_then(|b| app.store.frame(b))
                .map_or_else(String::new, |b| {
                    clock::seconds(row.time.since(b.time), decimals)
                })
        }
    }
}

/// The frame in which a session was closed for good, behind all frames where it was not.
pub fn closed_at(session: &SessionRow) -> FrameNo {
    let fins = End::BOTH.map(|end| session.ends.get(end).fin_frame);
    match fins {
        [Some(a), Some(b)] => a.max(b),
        _ => FrameNo(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use crate::app::testing::{app, press, said};
    use crate::app::{App, Event, update};

    /// What is said of the choice of columns.
    fn chosen(app: &mut App, names: &str) -> String {
        press(app, ":");
        update(app, Event::Paste(format!("columns {names}")));
        press(app, "Enter");
        said(app).to_owned()
    }

    const MANY: &str = "no time d c dir sid kind len flags src dst info";

    #[test]
    fn chosen_columns_without_room_are_named() {
        let mut app = app(80, 24);
        let told = chosen(&mut app, MANY);
        assert_eq!(told, "no room at 80 columns for flags, src, dst");
        // That they are kept in the config file is said behind it, not in its place.
        update(&mut app, Event::Kept(Ok("kept".to_owned())));
        assert_eq!(said(&app), format!("{told}; kept"));
        assert_eq!(chosen(&mut app, "no kind src dst info"), "");
    }

    #[test]
    fn a_wide_screen_has_room_for_them_and_nothing_is_said() {
        assert_eq!(chosen(&mut app(160, 48), MANY), "");
    }
}
