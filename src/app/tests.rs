//! Keys pressed on the small capture, and the state that comes of them: what is told, shown and hidden.

mod leaving;
mod moving;
mod writing;

use super::command::Command;
use super::testing::{app, press, said};
use super::*;

/// Opens an input line, and answers it.
fn answer(app: &mut App, keys: &str, text: &str) -> Vec<Effect> {
    press(app, keys);
    update(app, Event::Paste(text.to_string()));
    press(app, "Enter")
}

#[test]
fn what_acts_on_a_frame_waits_until_that_frame_is_decoded() {
    let tree = |no| Tree {
        frame: FrameNo(no),
        fields: Vec::new(),
        bytes: vec![u8::try_from(no).unwrap(); 2],
        complete: true,
    };
    let decode = |app: &mut App, no| {
        let looked = Looked {
            tree: Some(tree(no)),
            lines: vec![(FrameNo(no), format!("line {no}"))],
            ..Looked::default()
        };
        update(app, Event::Looked(looked));
    };
    for (keys, expected) in [("y h", "0000  03 03"), ("y r", "line 3")] {
        let mut app = app(80, 24);
        decode(&mut app, 1);
        let effects = press(&mut app, &format!("3 G {keys}"));
        let [Effect::Decode(command, None)] = effects[..] else {
            panic!("{effects:?}");
        };
        assert_eq!(app.wanted().tree, Some(FrameNo(3)));
        decode(&mut app, 3);
        let effects = update(&mut app, Event::Run(command, None));
        let [Effect::Copy(text)] = &effects[..] else {
            panic!("{effects:?}");
        };
        assert!(text.contains(expected), "{text}");
    }
    // In the panes of a frame, what moves in it waits as well.
    let mut app = app(80, 24);
    decode(&mut app, 1);
    app.focus = Pane::Decode;
    let effects = press(&mut app, "3 G j");
    assert!(matches!(effects[..], [Effect::Decode(Command::Down, None)]));
}

#[test]
fn a_chosen_field_stays_under_the_cursor_when_the_rules_have_their_say() {
    use crate::decode::field::{Field, Value};
    let field = |name: &'static str| Field::new(name, name, Value::None);
    let tree = |names: &[&'static str]| Tree {
        frame: FrameNo(5),
        fields: names.iter().map(|name| field(name)).collect(),
        bytes: Vec::new(),
        complete: true,
    };
    let look = |app: &mut App, names: &[&'static str]| {
        let tree = Some(tree(names));
        let looked = Looked {
            tree,
            ..Looked::default()
        };
        update(app, Event::Looked(looked));
    };
    let under_cursor = |app: &App| {
        let tree = app.decoded.as_ref().unwrap();
        app.tree.lines(tree)[app.tree.cursor].field.name
    };
    let before = ["frame", "tcp", "smp", "tds"];
    let after = ["frame", "tcp", "rule", "rule", "smp", "tds"];
    for chosen in ["smp", "tcp"] {
        let mut app = app(80, 24);
        press(&mut app, "5 G");
        look(&mut app, &before);
        press(&mut app, "Tab Tab");
        while under_cursor(&app) != chosen {
            press(&mut app, "k");
        }
        look(&mut app, &after);
        assert_eq!(under_cursor(&app), chosen);
        look(&mut app, &before);
        assert_eq!(under_cursor(&app), chosen);
    }
}

#[test]
fn in_the_list_the_sign_for_the_value_stands_for_what_the_row_says_of_the_field() {
    // Frame 8 is of Sid 5; frame 12 has none.
    for (frame, typed, filter) in [
        (8, "sid == %", Ok("sid == 5")),
        (
            8,
            "kind == FIN and conn == %",
            Ok("kind == FIN and conn == 0"),
        ),
        (8, "frame >= %", Ok("frame >= 8")),
        (8, "sid eq %", Ok("sid eq 5")),
        (8, "sid in {1, %}", Ok("sid in {1, 5}")),
        (12, "conn == %", Ok("conn == 0")),
        (12, "sid == %", Err(7)),
        (8, "conn == % and sid == %", Ok("conn == 0 and sid == 5")),
        (12, "conn == % and sid == %", Err(21)),
        (8, "sid == % and len == %", Err(20)),
    ] {
        let mut app = app(80, 24);
        app.list.cursor = FrameNo(frame);
        let set = app.set_filter(typed).map(|_| app.filter.clone());
        let set = set.as_deref().map_err(|error| error.column);
        assert_eq!(set, filter, "{typed} on frame {frame}");
    }
}

#[test]
fn a_word_on_the_other_side_of_a_lists_cursor_is_not_denied() {
    let mut app = app(120, 40);
    let mut fault = testing::finding();
    fault.verdict = crate::store::Verdict::Fault;
    fault.marks = vec![FrameNo(3)];
    Arc::get_mut(&mut app.store).unwrap().add_finding(fault);
    for (keys, said) in [
        ("F g g / B e n i g n Enter", ""),
        ("n", "no further row of 1 with Benign"),
        ("/ F a u l t Enter", "no further row of 1 with Fault"),
        ("N", ""),
        ("N", "no earlier row of 1 with Fault"),
        ("/ N o n e s u c h Enter", "not found: Nonesuch"),
    ] {
        press(&mut app, keys);
        assert_eq!(testing::said(&app), said, "{keys}");
    }
}

#[test]
fn one_is_told_as_one() {
    let mut app = app(80, 24);
    press(&mut app, "1 2 G g m");
    assert_eq!(testing::said(&app), "2 frames of the finding marked");
    let mut fault = testing::finding();
    (fault.marks, fault.evidence) = (
        vec![FrameNo(3)],
        std::iter::empty::<crate::store::Evidence>().collect(),
    );
    Arc::get_mut(&mut app.store).unwrap().add_finding(fault);
    press(&mut app, "3 G g m");
    assert_eq!(testing::said(&app), "1 frame of the finding marked");
}

#[test]
fn a_refused_command_says_what_to_write_and_changes_nothing() {
    for (typed, told) in [
        ("goto abc", "no frame number: abc; write 1049"),
        ("mark 5", "mark takes no argument, not 5"),
        ("only-sid 5", "only-sid takes no argument, not 5"),
        (
            "sort frames",
            "no list is open that could be sorted; c, F, Q open one",
        ),
        ("q", "no command is called q; nearest: quit"),
        ("set gap 5", "no setting is called gap; nearest: gap-ms"),
    ] {
        let mut app = app(80, 24);
        press(&mut app, "5 G :");
        update(&mut app, Event::Paste(typed.to_owned()));
        press(&mut app, "Enter");
        assert_eq!(testing::said(&app), told, "{typed}");
        assert_eq!(app.list.cursor, FrameNo(5), "{typed}");
        assert!(app.marks.is_empty() && app.filter.is_empty(), "{typed}");
    }
}

#[test]
fn what_the_filter_hides_is_told_and_not_denied() {
    // The only finding and the only reset stand on frame 12; frames 4, 5, 6 and 10 are of Sid 0.
    let mut app = app(80, 24);
    press(&mut app, "1 0 G m");
    app.find_hits = vec![FrameNo(10), FrameNo(12)];
    app.find = "x".to_string();
    app.list.rows = Rows::only(vec![FrameNo(5), FrameNo(7)]);
    for (start, key, said) in [
        (
            5,
            "e",
            "no further finding is shown; 1 hidden by the filter",
        ),
        (
            5,
            "r",
            "no further TCP reset is shown; 1 hidden by the filter",
        ),
        (
            5,
            ".",
            "no further frame of Sid 0 is shown; 2 hidden by the filter",
        ),
        (
            5,
            "'",
            "no further marked frame is shown; 1 hidden by the filter",
        ),
        (5, "n", "no further hit is shown; 2 hidden by the filter: x"),
        (7, "E", "no earlier finding; 1 in all"),
        (7, "R", "no earlier TCP reset"),
        (
            5,
            "]",
            "frame 12 is hidden by the filter; 7 is the nearest shown",
        ),
    ] {
        app.list.cursor = FrameNo(start);
        press(&mut app, key);
        let (_, text) = app.message.as_ref().unwrap();
        assert_eq!(text, said, "{key}");
    }
}

#[test]
fn marks_and_ranges_can_be_undone_and_done_again() {
    let mut app = app(80, 24);
    press(&mut app, "m Space j v 2 j m");
    assert_eq!(app.marks.to_string(), "3-5");
    assert_eq!(app.range, None);
    press(&mut app, "u");
    assert!(app.marks.is_empty(), "{}", app.marks.to_string());
    press(&mut app, "u");
    assert_eq!(app.marks.to_string(), "1");
    press(&mut app, "U U");
    assert_eq!(app.marks.to_string(), "3-5");
    press(&mut app, "g g '");
    assert_eq!(app.list.cursor, FrameNo(3));
    press(&mut app, "v j Esc");
    assert_eq!((app.range, app.marks.to_string().as_str()), (None, "3-5"));
    press(&mut app, "1 2 G m 9 G M");
    assert_eq!(app.marks.to_string(), "3-5,9-12");
}

#[test]
fn an_unknown_key_says_so_and_does_nothing() {
    let mut app = app(80, 24);
    press(&mut app, "K");
    assert!(
        app.message
            .as_ref()
            .unwrap()
            .1
            .starts_with("K means nothing here")
    );
    press(&mut app, "9 9 G");
    assert_eq!(app.message.as_ref().unwrap().1, "no frame 99; there are 12");
}

#[test]
fn rows_stay_until_a_new_filter_has_answered() {
    let mut app = app(80, 24);
    let all = app.visible();
    answer(&mut app, "&", "sid == 0");
    assert_eq!(app.visible(), all, "nothing is known yet");
    let job = app.jobs.filter.job;
    let found = |frames: &[u32], done| Event::Found {
        job,
        frames: frames.iter().copied().map(FrameNo).collect(),
        asked: 5,
        done,
    };
    update(&mut app, found(&[], false));
    assert_eq!(app.visible(), all);
    update(&mut app, found(&[4, 5], false));
    assert_eq!(app.visible(), [FrameNo(4), FrameNo(5)]);
    update(&mut app, found(&[9], true));
    assert_eq!(app.visible(), [4, 5, 9].map(FrameNo));
}

#[test]
fn the_bytes_pane_goes_from_its_first_lines_to_the_whole_frame_to_nothing() {
    let mut app = app(160, 48);
    let seen = |app: &App| (app.layout().bytes.is_some(), app.bytes_limit());
    assert_eq!(seen(&app), (true, Some(5)));
    for expected in [(true, None), (false, None), (true, Some(5))] {
        press(&mut app, "b");
        assert_eq!(seen(&app).0, expected.0);
        assert_eq!(seen(&app).1.filter(|_| expected.0), expected.1);
    }
    // Where it is asked for by going there, it shows all.
    app.focus = Pane::Bytes;
    assert_eq!(app.bytes_limit(), None);
    app.focus = Pane::List;
    press(&mut app, ":");
    for c in "set bytes-lines 0".chars() {
        update(&mut app, Event::Key(Key::char(c)));
    }
    press(&mut app, "Enter");
    assert_eq!(app.bytes_limit(), None);
    // On a narrow screen it takes the place of the decode pane, and shows all.
    app = crate::app::testing::app(80, 24);
    for shown in [true, false, true] {
        press(&mut app, "b");
        assert_eq!(seen(&app), (shown, None));
    }
}

#[test]
fn a_zoomed_decode_pane_is_filled() {
    use crate::decode::field::{Field, Value};
    let fields = (0..15).map(|_| Field::new("smp", "smp", Value::None));
    let tree = Tree {
        frame: FrameNo(1),
        fields: fields.collect(),
        bytes: Vec::new(),
        complete: true,
    };
    let mut app = app(80, 24);
    let looked = Looked {
        tree: Some(tree),
        ..Looked::default()
    };
    update(&mut app, Event::Looked(looked));
    app.focus = Pane::Decode;
    press(&mut app, "G");
    assert!(app.tree.top > 0);
    press(&mut app, "z");
    assert_eq!((app.tree.top, app.tree.cursor), (0, 14));
    // Back in its place, the pane has the cursor in it.
    press(&mut app, "z");
    assert!(app.tree.top > 0 && app.tree.cursor < app.tree.top + app.decode_height());
}

#[test]
fn a_setting_without_a_value_says_what_it_is_and_takes() {
    for (typed, told) in [
        (
            "set gap-ms",
            "gap-ms: 100; it takes milliseconds, 1 or more",
        ),
        (
            "set theme",
            "theme: dark; it is one of dark, light, mono, contrast",
        ),
        (
            "set lane-gutter",
            "lane-gutter: auto; it is one of on, off, auto",
        ),
        (
            "set lane-gutter x",
            "lane-gutter is one of on, off, auto, not x",
        ),
        ("clear-marks", "nothing is marked"),
    ] {
        let mut app = app(80, 24);
        press(&mut app, ":");
        update(&mut app, Event::Paste(typed.to_owned()));
        press(&mut app, "Enter");
        assert_eq!(said(&app), told);
    }
}

#[test]
fn a_copy_says_what_it_is_of() {
    let mut app = app(80, 24);
    for (keys, what) in [
        ("y n", "frame number: "),
        ("y l", "ladder of the rows on screen: "),
        ("m y n", "numbers of the marked frames: "),
        ("y l", "ladder of the marked frames: "),
        ("v j y l", "ladder of the range: "),
    ] {
        press(&mut app, keys);
        assert!(said(&app).starts_with(what), "{}", said(&app));
    }
}

#[test]
fn from_a_row_of_the_requests_one_goes_to_its_reply() {
    let mut app = app(80, 24);
    press(&mut app, "Q p");
    assert!(app.layers.is_empty(), "{}", said(&app));
    assert_eq!(app.list.cursor, FrameNo(6));
}

/// The texts that Tab offers for what was typed.
fn offered(typed: &str) -> Vec<String> {
    let mut app = app(80, 24);
    let (key, typed) = typed.split_at(1);
    press(&mut app, key);
    update(&mut app, Event::Paste(typed.to_owned()));
    press(&mut app, "Tab");
    let prompt = app.prompt.unwrap();
    if prompt.offers.is_empty() {
        return vec![prompt.text().to_owned()];
    }
    prompt.offers
}

#[test]
fn filters_are_completed_behind_their_command_and_patterns_are_not() {
    assert_eq!(
        offered(":filter phase == encr"),
        ["filter phase == encrypted"]
    );
    assert!(offered(":find tcp.flags.f").contains(&"find tcp.flags.fin".to_owned()));
    assert_eq!(offered("/re:"), ["re:"]);
    assert_eq!(offered("/hex:"), ["hex:"]);
}

#[test]
fn keys_of_a_timeline_that_is_not_on_screen_say_so() {
    let mut app = app(80, 24);
    for key in ["+", "f", "0", "=", "=", "L", "L"] {
        press(&mut app, key);
        assert_eq!(said(&app), "", "{key}");
    }
    press(&mut app, "z");
    for key in ["+", "f", "0", "=", "=", "L", "L"] {
        press(&mut app, key);
        let told = "the timeline is not on screen; z brings it back";
        assert_eq!(said(&app), told, "{key}");
    }
    press(&mut app, "z T");
    assert_eq!(said(&app), "times count from frame 1");
}
