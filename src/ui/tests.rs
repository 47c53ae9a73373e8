//! Screens over the small capture as text.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::draw;
use crate::app::settings::Settings;
use crate::app::testing::{app, batch, many_sids, press, read};
use crate::app::tree::Tree;
use crate::app::{App, Effect, Event, Looked, update};
use crate::decode::field::{Field, Value};
use crate::store::View;
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
            let effects = press(&mut app, "Enter");
            picture(&app);
            let anew = |e: &Effect| matches!(e, Effect::FollowFile | Effect::Shift(..));
            if effects.iter().any(anew) {
                assert!(app.jobs.indexing);
                read(&mut app);
            }
            let said = app.message.as_ref().map_or("", |(_, text)| text.as_str());
            assert!(!said.starts_with("no command"), "{}: {said}", entry.name);
            let there = app.store.frame(app.list.cursor).is_some();
            assert!(there, "{}", entry.name);
        }
    }
}

#[test]
fn a_list_says_in_full_what_the_row_under_the_cursor_says() {
    let text = crate::app::testing::finding().text;
    for (keys, size) in [("F", (80, 24)), ("c", (60, 30))] {
        let mut app = app(size.0, size.1);
        press(&mut app, keys);
        let shown = picture(&app);
        let words: Vec<&str> = shown.split_whitespace().collect();
        assert!(words.join(" ").contains(&text.to_string()), "{shown}");
    }
    // Where there is no room for it, the rows have it.
    let mut app = app(60, 12);
    press(&mut app, "F");
    assert!(!picture(&app).contains("mars-close-rst: "));
}

#[test]
fn where_only_the_list_has_room_any_pane_can_take_its_place() {
    let mut app = app(40, 8);
    press(&mut app, "e Enter");
    assert!(
        picture(&app).starts_with("-- Frame 12"),
        "{}",
        picture(&app)
    );
    press(&mut app, "Tab");
    assert!(picture(&app).starts_with("-- Bytes"), "{}", picture(&app));
    press(&mut app, "q");
    assert!(picture(&app).contains("T.RST"), "{}", picture(&app));
    assert_eq!(app.focus, crate::app::layout::Pane::List);
}

#[test]
fn what_is_left_out_of_the_lanes_is_said_and_counted() {
    let mut app = app(80, 24);
    press(&mut app, "5 G i");
    let said = crate::app::testing::said(&app);
    assert_eq!(
        said,
        "frame 5 is left out of the lanes; i takes it in again"
    );
    press(&mut app, "j");
    assert!(picture(&app).contains(" 0 marked  1 ignored  filter off"));
    press(&mut app, "k i");
    let said = crate::app::testing::said(&app);
    assert_eq!(said, "frame 5 is in the lanes again");
    press(&mut app, "j");
    assert!(!picture(&app).contains("ignored"));
}

#[test]
fn a_mistake_is_said_where_there_is_no_line_for_keys() {
    let mut app = app(30, 6);
    press(&mut app, "& s i d d");
    let shown = picture(&app);
    let mistake = shown.lines().nth(4).unwrap();
    assert!(mistake.contains("^^^^ no such field"), "{shown}");
    assert!(shown.lines().nth(5).unwrap().contains("&sidd"), "{shown}");
}

#[test]
fn the_export_form_leaves_the_status_line_free_at_any_height() {
    for h in 5..30 {
        let mut app = app(80, h);
        press(&mut app, "e m w");
        let shown = picture(&app);
        let status = app.layout().status.unwrap();
        let line = shown.lines().nth(usize::from(status.y)).unwrap();
        assert!(
            line.contains("frame 12/12") && !line.contains('|'),
            "{shown}"
        );
        // What will happen, and how, stand in view.
        assert!(shown.contains("1 connection"), "{shown}");
        assert!(shown.contains("Enter write"), "{shown}");
    }
}

#[test]
fn the_bytes_of_a_chosen_field_stand_out_whatever_has_the_focus() {
    let look = |app: &mut App, no: u32| {
        let frame = FrameNo(no);
        let part =
            |label: &'static str, bytes| Field::new("", label, Value::None).span(frame, bytes);
        let tree = Tree {
            frame,
            fields: vec![part("TCP", 0..20), part("SMP", 20..36)],
            bytes: vec![0; 36],
            complete: true,
        };
        let looked = Looked {
            tree: Some(tree),
            ..Looked::default()
        };
        update(app, Event::Looked(looked));
    };
    // Reversed cells in the bytes pane and in the decode pane.
    let reversed = |app: &App| {
        let (w, h) = app.size;
        let mut buf = Buffer::empty(Rect::new(0, 0, w, h));
        draw(app, &mut buf, None);
        let layout = app.layout();
        [layout.bytes.unwrap(), layout.decode.unwrap()].map(|area| {
            let cells = (area.y..area.y + area.h)
                .flat_map(|y| (area.x..area.x + area.w).map(move |x| (x, y)));
            cells
                .filter(|at| buf[*at].modifier.contains(Modifier::REVERSED))
                .count()
        })
    };
    let mut app = app(160, 48);
    look(&mut app, 1);
    assert_eq!(reversed(&app), [0, 0], "the list walks");
    press(&mut app, "Tab Tab k");
    let [bytes, fields] = reversed(&app);
    assert!(bytes >= 20 * 3 && fields > 0, "{bytes} {fields}");
    press(&mut app, "Tab");
    assert_eq!(reversed(&app), [bytes, fields], "the bytes have the focus");
    press(&mut app, "Tab");
    assert_eq!(app.focus, crate::app::layout::Pane::List);
    assert_eq!(reversed(&app), [bytes, 0], "the field was chosen");
    press(&mut app, "j");
    look(&mut app, 2);
    assert_eq!(reversed(&app), [0, 0], "another frame");
}

#[test]
fn times_before_the_reference_are_shown_to_their_last_digit() {
    for width in [80, 160] {
        let mut app = app(width, 24);
        press(&mut app, "G T g g");
        let shown = picture(&app);
        assert!(shown.contains(" -0.210300 "), "{shown}");
        assert!(shown.contains(" -0.002300 "), "{shown}");
        press(&mut app, "D D D D");
        assert!(!shown.contains('~'), "{shown}");
    }
}

#[test]
fn long_sids_stand_whole_in_list_and_lanes() {
    let mut app = many_sids(12_002, 0);
    press(&mut app, "G");
    let shown = picture(&app);
    let rows: Vec<_> = shown.lines().filter(|line| line.contains("DATA")).collect();
    assert!(rows.iter().any(|row| row.contains(" 12001 ")), "{shown}");
    assert!(
        shown.contains(" Sid12001 ") || shown.contains(" 12001  "),
        "{shown}"
    );
    assert!(!shown.contains('~'), "{shown}");
}

/// The input line of a filter, and the line with the marks of a mistake.
fn input(app: &App) -> (String, String) {
    let shown = picture(app);
    let line = |holds: &str| {
        let found = shown.lines().rev().find(|line| line.contains(holds));
        found.unwrap_or_default().to_string()
    };
    (line(" &"), line("^"))
}

#[test]
fn the_marks_of_a_mistake_stand_under_its_word() {
    let long = format!("frame in {{{}5}} and kind == FOO", "1,2,3,4,".repeat(12));
    for text in ["kind == FOO", "sidd", long.as_str()] {
        for width in [40, 80, 160] {
            let mut app = app(width, 24);
            press(&mut app, "&");
            update(&mut app, Event::Paste(text.to_string()));
            let (typed, marks) = input(&app);
            let word = if text.contains("FOO") { "FOO" } else { "sidd" };
            let at = typed.find(word).unwrap_or_else(|| panic!("{typed}"));
            let under: String = marks.chars().skip(at).take(word.len()).collect();
            assert_eq!(under, "^".repeat(word.len()), "{typed}\n{marks}");
            assert_eq!(marks.matches('^').count(), word.len(), "{marks}");
            let says = if word == "FOO" {
                "`FOO`"
            } else {
                "no such field"
            };
            assert!(marks.contains(says), "{marks}");
        }
    }
}

#[test]
fn where_the_capture_was_taken_is_said_as_soon_as_there_is_room() {
    let title_of = |view: View, width: u16, name: &str| {
        let mut app = App::new(name, (width, 24), Settings::default());
        let mut read = batch();
        read.view = Some((view, vec!["it is so".to_string()]));
        update(&mut app, Event::Batch(Box::new(read)));
        update(&mut app, Event::Indexed(None));
        picture(&app).lines().next().unwrap_or_default().to_string()
    };
    let title = |width: u16, name: &str| title_of(View::Client, width, name);
    assert!(title(100, "a.pcap").contains("  taken on: client "));
    let both = title_of(View::Middle, 160, "a.pcap");
    assert!(both.contains("  taken on: both ends or between "), "{both}");
    let wide = title(130, "order-svc-of-yesterday-evening-at-ten.pcapng");
    assert!(!wide.contains("taken on"), "{wide}");
    let narrow = title(80, "order-svc-of-yesterday.pcapng");
    assert!(!narrow.contains("taken on"), "{narrow}");
    assert!(narrow.ends_with(" 12 fr"), "{narrow}");
}

#[test]
fn offers_are_shown_without_what_was_typed_and_with_the_one_that_is_filled_in() {
    let mut app = app(80, 24);
    press(&mut app, ":");
    update(&mut app, Event::Paste("explain ".to_owned()));
    press(&mut app, "Tab");
    let keys = |app: &App| picture(app).lines().last().unwrap().to_owned();
    assert!(
        keys(&app).starts_with(" syn-backlog  syn-refused  "),
        "{}",
        keys(&app)
    );
    for _ in 0..20 {
        press(&mut app, "Tab");
        let chosen = app.prompt.as_ref().unwrap().text().to_owned();
        let chosen = chosen.strip_prefix("explain ").unwrap();
        assert!(keys(&app).contains(chosen), "{chosen}: {}", keys(&app));
    }
}
