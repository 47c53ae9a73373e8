//! Screens over the small capture as text.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw;
use crate::app::testing::{app, press};
use crate::app::{App, Event, update};
use crate::units::FrameNo;

/// The screen as text, lines without trailing blanks.
fn picture(app: &App) -> String {
    let (w, h) = app.size;
    let mut buf = Buffer::empty(Rect::new(0, 0, w, h));
    draw(app, &mut buf, None);
    let mut out = String::new();
    for y in 0..h {
        let line: String = (0..w).map(|x| buf[(x, y)].symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[test]
fn any_size_draws_and_keeps_the_cursor() {
    let mut app = app(80, 24);
    press(&mut app, "8 G");
    for (w, h) in [
        (160, 48),
        (60, 12),
        (20, 5),
        (3, 1),
        (0, 0),
        (200, 60),
        (80, 24),
    ] {
        update(&mut app, Event::Resize(w, h));
        picture(&app);
        assert_eq!(app.list.cursor, FrameNo(8), "{w}x{h}");
    }
}

#[test]
fn the_design_size_shows_list_lanes_and_verdict() {
    let mut app = app(80, 24);
    press(&mut app, "e");
    insta::assert_snapshot!(picture(&app));
}

#[test]
fn every_command_can_be_asked_for_by_name_anywhere() {
    use crate::app::command::COMMANDS;
    for before in ["", "c", "Tab", "Tab Tab", "v j", "F", "L"] {
        for entry in COMMANDS {
            let mut app = app(80, 24);
            press(&mut app, "e k");
            if !before.is_empty() {
                press(&mut app, before);
            }
            press(&mut app, ":");
            for c in entry.name.chars() {
                update(&mut app, Event::Key(crate::app::key::Key::char(c)));
            }
            press(&mut app, "Enter");
            picture(&app);
            let said = app.message.as_ref().map_or("", |(_, text)| text.as_str());
            assert!(!said.starts_with("no command"), "{}: {said}", entry.name);
            // While the capture is read anew, its frames are still to come.
            let there = app.store.frame(app.list.cursor).is_some();
            assert!(there || app.jobs.indexing, "{}", entry.name);
        }
    }
}
