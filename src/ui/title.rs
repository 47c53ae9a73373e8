//! The title: the file, and the connection of the cursor.

use std::fmt::Write as _;

use super::paint::Pen;
use super::safe_text::{safe_text, width};
use super::theme::Role;
use crate::app::App;
use crate::app::layout::Area;
use crate::app::tables::human;
use crate::store::{ConnRow, Encryption, Protocol, View};
use crate::units::Side;

/// File and connection.
pub fn draw(pen: &mut Pen<'_>, app: &App, area: Area) {
    // While they are counted, the status line alone says how many there are: each change costs the line.
    let frames = if app.is_being_read() {
        "indexing".to_owned()
    } else {
        let damaged = if app.store.problems().is_empty() {
            ""
        } else {
            ", damaged"
        };
        format!("{} fr{damaged}", app.store.frame_count())
    };
    let wide = area.w >= 120;
    let full = usize::from(area.w);
    let cells = |text: &str| width(&safe_text(text, pen.ascii()));
    // The frame of the PRELOGIN and the unit of time are said where there is room for all the rest; so is where the
    // capture was taken.
    let forms = [(true, true), (false, true), (false, false)];
    let said = |(all, taken)| {
        (
            file_words(app, wide, all, taken),
            conn_head(app, area.w, all),
        )
    };
    let needed = |left: &str, middle: &str| {
        let words = cells(left).saturating_add(cells(middle));
        words.saturating_add(frames.len()).saturating_add(6)
    };
    let (left, middle) = forms
        .map(said)
        .into_iter()
        .find(|(left, middle)| needed(left, middle) <= full)
        .unwrap_or_else(|| said((false, false)));
    let needed = needed("", &middle);
    let room = u16::try_from(full.saturating_sub(needed).max(10)).unwrap_or(area.w);
    let end = pen.text(area.x, area.y, room, &left, Role::Head);
    let stop = area.x.saturating_add(area.w);
    let frames_at = stop.saturating_sub(u16::try_from(frames.len()).unwrap_or(8).saturating_add(1));
    let from = end.saturating_add(3);
    let room = frames_at.saturating_sub(from).saturating_sub(1);
    pen.text(from, area.y, room, &middle, Role::Head);
    pen.text(
        frames_at,
        area.y,
        stop.saturating_sub(frames_at),
        &frames,
        Role::Head,
    );
}

/// The file, and where it was taken; in a wide window with its size, format and unit of time.
fn file_words(app: &App, wide: bool, all: bool, taken: bool) -> String {
    let mut out = format!(" marstui {}", app.name);
    if let Some(file) = app.store.files().first().filter(|_| wide) {
        let _ = write!(out, "  {}  {}", human(file.bytes), file.format);
        if all {
            out.push_str(match app.decimals() {
                6 => "  us",
                9 => "  ns",
                7 => "  100 ns",
                3 => "  ms",
                _ => "",
            });
        }
    }
    if let Some(taken) = taken_words(app.store.view().0).filter(|_| taken) {
        let _ = write!(out, "  {taken}");
    }
    out
}

/// Where the capture was taken, if that is known.
fn taken_words(view: View) -> Option<&'static str> {
    match view {
        View::Client => Some("taken on: client"),
        View::Server => Some("taken on: server"),
        View::Middle => Some("taken on: both ends or between"),
        View::Unknown => None,
    }
}

/// The connection of the cursor.
fn conn_head(app: &App, w: u16, all: bool) -> String {
    let Some(conn) = app.conn().and_then(|id| app.store.conn(id)) else {
        return String::new();
    };
    let conns = app.store.conns().len();
    let mut out = format!("conn {}/{conns}  {}", conn.id, conn.endpoint(Side::Client));
    if w >= 80 {
        let _ = write!(out, " > {}", conn.endpoint(Side::Server));
    }
    if w >= 120 {
        out.push_str(&conn_words(conn, all));
    }
    out
}

fn conn_words(conn: &ConnRow, all: bool) -> String {
    let prelogin = conn.prelogin.client_frame.filter(|_| all);
    let prelogin = prelogin.map_or_else(String::new, |no| format!(" (PRELOGIN {no})"));
    let mars = match conn.mars {
        Some(true) => "MARS yes",
        Some(false) => "MARS no",
        None if conn.protocol == Protocol::Other => "not SQL Server",
        None => "MARS ?",
    };
    let tls = match conn.encryption {
        Some(Encryption::None) => "no TLS",
        Some(Encryption::Login) => "TLS login only",
        Some(Encryption::Full) => "TLS, Sids not visible",
        Some(Encryption::Strict) => "TLS strict, Sids not visible",
        None => "",
    };
    format!("  {mars}{prelogin}  {tls}")
}
