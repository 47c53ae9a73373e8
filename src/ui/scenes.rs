//! Every screen in colours, without, and in ASCII: the same facts stand there, and none is told by a colour alone.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::draw;
use crate::app::settings::{ColorDepth, GlyphSet, ThemeName};
use crate::app::testing::{app, press};
use crate::app::{App, Tone};
use crate::store::Verdict;
use crate::units::FrameNo;

const SIZES: [(u16, u16); 5] = [(80, 24), (160, 48), (100, 30), (60, 12), (20, 5)];

/// Screens: a name, and the keys that lead there.
const SCENES: [(&str, &str); 21] = [
    ("start", "g g"),
    ("finding", "e"),
    ("marks", "e m k Space v k"),
    ("timeline", "e Tab"),
    ("timeline of a Sid", "8 G Tab"),
    ("event scale", "e ="),
    ("ladder", "e L"),
    ("decode", "e Enter"),
    ("bytes", "e b"),
    ("connections", "c"),
    ("findings", "F"),
    ("requests", "Q"),
    ("phases", ": p h a s e s Enter"),
    ("card", "g c"),
    ("help", "?"),
    ("next keys", "y"),
    ("command", ": z o o Tab"),
    ("filter error", "& s i d d Space = = Space 1"),
    ("export form", "e m w"),
    ("message", "9 9 G"),
    ("rule", "e g e"),
];

fn buffer(app: &App) -> Buffer {
    let (w, h) = app.size;
    let mut buf = Buffer::empty(Rect::new(0, 0, w, h));
    draw(app, &mut buf, None);
    buf
}

fn text(buf: &Buffer) -> String {
    let area = buf.area();
    let mut out = String::new();
    for y in 0..area.height {
        let line: String = (0..area.width).map(|x| buf[(x, y)].symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn scene((w, h): (u16, u16), keys: &str) -> App {
    let mut app = app(w, h);
    app.moved = false;
    press(&mut app, keys);
    app
}

#[test]
fn themes_and_depths_change_no_character() {
    for (name, keys) in SCENES {
        for size in SIZES {
            let mut app = scene(size, keys);
            // The status line names theme and depth where there is room.
            let facts = |app: &App| {
                let text = text(&buffer(app));
                let lines: Vec<&str> = text.lines().filter(|l| !l.contains("theme ")).collect();
                lines.join("\n")
            };
            app.settings.colors = ColorDepth::Never;
            app.settings.theme = ThemeName::Mono;
            let plain = facts(&app);
            for theme in ThemeName::ALL {
                for depth in [ColorDepth::Sixteen, ColorDepth::Palette, ColorDepth::True] {
                    app.settings.theme = theme;
                    app.settings.colors = depth;
                    assert_eq!(facts(&app), plain, "{name} {size:?} {theme:?} {depth:?}");
                }
            }
        }
    }
}

#[test]
fn ascii_is_ascii_and_mono_sends_no_colour() {
    for (name, keys) in SCENES {
        for size in SIZES {
            let mut app = scene(size, keys);
            app.settings.glyphs = GlyphSet::Ascii;
            app.settings.colors = ColorDepth::Never;
            let buf = buffer(&app);
            assert!(text(&buf).is_ascii(), "{name} {size:?}");
            for cell in buf.content() {
                assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}");
            }
        }
    }
}

#[test]
fn no_theme_tells_anything_by_the_colour_of_the_ground() {
    for (name, keys) in SCENES {
        let mut app = scene((160, 48), keys);
        for depth in [ColorDepth::Sixteen, ColorDepth::Palette] {
            app.settings.colors = depth;
            let buf = buffer(&app);
            for cell in buf.content() {
                assert_eq!(cell.bg, Color::Reset, "{name}");
            }
        }
    }
}

#[test]
fn commands_are_completed_with_their_keys() {
    let shown = text(&buffer(&scene((80, 24), ": z o o Tab")));
    assert!(shown.contains("zoom-in (+)  zoom-out (-)"), "{shown}");
}

/// What tells a state that has a colour of its own, where there is none: a letter, a word or an attribute.
#[test]
fn every_state_has_a_letter_or_an_attribute() {
    let mono = |keys: &str| {
        let mut app = scene((80, 24), keys);
        app.settings.colors = ColorDepth::Never;
        app
    };
    let row_of = |app: &App, no: u32| {
        let list = app.layout().list;
        let at = usize::try_from(no).unwrap() - 1 - app.list.top;
        list.y + u16::try_from(at).unwrap()
    };
    let app = mono("e m k");
    let buf = buffer(&app);
    let line = |y: u16| -> String { (0..80).map(|x| buf[(x, y)].symbol()).collect() };
    // Verdict and mark of a row, direction, cursor.
    assert!(line(row_of(&app, 12)).starts_with(" *B"));
    assert!(line(row_of(&app, 12)).contains("->"));
    let here = row_of(&app, 11);
    assert!(line(here).starts_with('>'));
    assert!(buf[(4, here)].modifier.contains(Modifier::REVERSED));
    assert!(buf[(1, row_of(&app, 12))].modifier.contains(Modifier::BOLD));
    // The verdict of the connection, in words and as a letter.
    assert!(text(&buf).contains("RST B"));
    let listed = text(&buffer(&mono("c")));
    assert!(listed.contains(">B"), "{listed}");
    // A range, by its underline and its numbers.
    let app = mono("3 G v 2 j");
    let buf = buffer(&app);
    assert!(text(&buf).contains("range 3-5"));
    // The focused pane, by its bold head.
    let app = mono("Tab");
    let lanes = app.layout().lanes.unwrap();
    let buf = buffer(&app);
    assert!(buf[(3, lanes.y)].modifier.contains(Modifier::BOLD));
    // An error, by its weight.
    let mut app = mono("g g");
    app.say(Tone::Error, "that did not work");
    let status = app.layout().status.unwrap();
    assert!(
        buffer(&app)[(1, status.y)]
            .modifier
            .contains(Modifier::BOLD)
    );
    for verdict in [
        Verdict::Fault,
        Verdict::Undecided,
        Verdict::Notice,
        Verdict::Benign,
        Verdict::LikelyBenign,
    ] {
        assert_ne!(verdict.letter(), ' ', "{verdict:?}");
    }
}

#[test]
fn a_message_that_is_too_long_is_marked_and_can_be_read_in_full() {
    for (w, h) in SIZES {
        let mut app = app(w, h);
        let long = "the capture ends in the middle of a block at byte 123456789; ".repeat(6);
        app.say(Tone::Error, format!("{long}what came before stays usable"));
        let shown = text(&buffer(&app));
        let name = format!("message-too-long-{w}x{h}");
        check(&name, &shown);
        // It goes on in the key line, if there is one.
        let layout = app.layout();
        let last = layout.keys.or(layout.status).unwrap();
        let last = shown.lines().nth(usize::from(last.y));
        assert!(last.unwrap().ends_with('~'), "{shown}");
        press(&mut app, "g l");
        let all = text(&buffer(&app));
        let words: Vec<&str> = all.split_whitespace().collect();
        let words = words.join(" ");
        // The page scrolls to its end, whatever the height.
        assert!(words.contains("stays usable"), "{all}");
    }
}

#[test]
fn while_the_capture_is_read_the_screen_says_how_far() {
    for (w, h) in SIZES {
        let mut app = App::new(
            "big.pcapng",
            (w, h),
            crate::app::settings::Settings::default(),
        );
        let mut batch = crate::app::testing::batch();
        batch.progress.complete = false;
        batch.progress.bytes_done = 41_000_000;
        batch.progress.bytes_total = 100_000_000;
        crate::app::update(&mut app, crate::app::Event::Batch(Box::new(batch)));
        let shown = text(&buffer(&app));
        check(&format!("indexing-{w}x{h}"), &shown);
        assert!(shown.contains("41%") && shown.contains("12 fr"), "{shown}");
        press(&mut app, "G");
        assert_eq!(app.list.cursor, FrameNo(12));
        let said = &app.message.as_ref().unwrap().1;
        assert!(said.contains("not complete"), "{said}");
    }
}

#[test]
fn a_live_capture_shows_the_place_of_the_cursor_and_that_it_is_live() {
    let mut app = App::new(
        "live.pcapng",
        (80, 24),
        crate::app::settings::Settings::default(),
    );
    let mut batch = crate::app::testing::batch();
    batch.progress.complete = false;
    batch.progress.caught_up = true;
    crate::app::update(&mut app, crate::app::Event::Batch(Box::new(batch)));
    press(&mut app, "4 G Esc");
    app.message = None;
    let shown = text(&buffer(&app));
    assert!(shown.contains("live  frame 4/12"), "{shown}");
}

fn check(name: &str, picture: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../tests/pictures");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, picture));
}

#[test]
fn the_key_line_offers_only_what_the_focused_pane_does() {
    use crate::app::keymap::Lookup;
    for (keys, offered, missing) in [
        ("e Tab", "+ zoom", " ladder"),
        ("e L Tab", "L lanes", " zoom"),
        ("e = Tab", "= time scale", " zoom"),
        ("e L", "L lanes", " ladder"),
        ("e", "L ladder", " lanes"),
    ] {
        let mut app = scene((160, 48), keys);
        let lines = text(&buffer(&app));
        let line = lines.lines().last().unwrap_or_default().to_owned();
        assert!(line.contains(offered), "{keys}: {line}");
        assert!(!line.contains(missing), "{keys}: {line}");
        // What is offered is what the key does.
        for offer in line.split("  ").filter(|offer| !offer.trim().is_empty()) {
            let key = offer.trim().split(' ').next().unwrap_or_default();
            let sequence = crate::app::key::parse_sequence(key).unwrap();
            let found = app.keymap.lookup(app.context(), &sequence);
            assert!(matches!(found, Lookup::Command(_)), "{keys}: {offer}");
        }
        if line.contains("L lanes") {
            press(&mut app, "L");
            assert!(!app.timeline.ladder, "{keys}");
        }
    }
}
