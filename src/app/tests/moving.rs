//! Keys that move the cursor, and where it lands.

use super::*;

/// Start at a frame, press keys, and be on a frame.
fn moves(start: u32, keys: &str) -> u32 {
    let mut app = app(80, 24);
    app.moved = true;
    app.list.cursor = FrameNo(start);
    press(&mut app, keys);
    app.list.cursor.0
}

#[test]
fn moving_keys_land_where_they_say() {
    for (start, keys, end) in [
        (1, "j", 2),
        (1, "3 j", 4),
        (4, "2 k", 2),
        (1, "k", 1),
        (12, "j", 12),
        (1, "G", 12),
        (9, "g g", 1),
        (1, "7 G", 7),
        (1, ": 5 Enter", 5),
        (4, ".", 5),
        (6, ".", 10),
        (10, ",", 6),
        (7, ".", 8),
        (12, "<", 11),
        (1, "r", 12),
        (12, "R", 12),
        (1, "e", 12),
        (1, "]", 4),
        (4, "]", 12),
        (12, "[", 4),
        (1, "s", 8),
        (12, "S", 8),
        (1, "t 0 . 0 0 7 Enter", 6),
        (1, "t + 5 m s Enter", 4),
        (5, "r (", 5),
        (5, "r ( )", 12),
    ] {
        assert_eq!(moves(start, keys), end, "from {start}: {keys}");
    }
}

#[test]
fn the_first_e_goes_to_the_gravest_finding() {
    let mut app = app(80, 24);
    press(&mut app, "e");
    assert_eq!(app.list.cursor, FrameNo(12));
    press(&mut app, "e");
    assert!(
        app.message
            .as_ref()
            .unwrap()
            .1
            .contains("no further finding")
    );
}

#[test]
fn the_first_e_goes_to_the_gravest_finding_after_other_keys_too() {
    for before in ["j", "G", "8 G", "r (", "c Esc"] {
        let mut app = app(80, 24);
        let mut fault = testing::finding();
        fault.verdict = crate::store::Verdict::Fault;
        fault.marks = vec![FrameNo(3)];
        Arc::get_mut(&mut app.store).unwrap().add_finding(fault);
        press(&mut app, before);
        press(&mut app, "e");
        assert_eq!(app.list.cursor, FrameNo(3), "{before}");
        press(&mut app, "e");
        assert_eq!(app.list.cursor, FrameNo(12), "{before}");
    }
    // From the list of findings the way goes on.
    let mut app = app(80, 24);
    press(&mut app, "F Enter e");
    let (_, text) = app.message.as_ref().unwrap();
    assert_eq!(text, "no further finding; 1 in all");
}

#[test]
fn the_cursor_goes_with_the_end_of_a_file_that_grows_and_stays_anywhere_else() {
    let caught_up = |app: &mut App, mut batch: crate::store::Batch| {
        batch.progress.complete = false;
        // What is written at once may come in two pieces.
        for caught_up in [false, true] {
            batch.progress.caught_up = caught_up;
            let piece = std::mem::take(&mut batch);
            update(app, Event::Batch(Box::new(piece)));
        }
    };
    for (keys, at) in [
        ("j", 2),
        ("G", 24),
        ("G k", 11),
        ("G Tab", 12),
        ("G k G", 24),
    ] {
        let mut app = App::new("live.pcapng", (80, 24), Settings::default());
        caught_up(&mut app, testing::batch());
        press(&mut app, keys);
        // The table of frames goes on with the rows of its last stretch.
        let frames = || app.store.frames_from(FrameNo(1)).map(|(_, row)| row);
        let more = crate::store::Batch {
            frames: frames().chain(frames()).collect(),
            ..crate::store::Batch::default()
        };
        caught_up(&mut app, more);
        assert_eq!(app.store.frame_count(), 24);
        assert_eq!(app.list.cursor, FrameNo(at), "{keys}");
    }
}

#[test]
fn a_time_outside_the_capture_is_told() {
    for (time, frame, said) in [
        (
            "03:00:00",
            1,
            "03:00:00 is before the first frame (2026-03-14 09:",
        ),
        ("+1h", 12, "+1h is after the last frame (2026-03-14 09:"),
        ("0.007", 6, ""),
        ("0", 1, ""),
    ] {
        let mut app = app(80, 24);
        app.goto_time(time);
        assert_eq!(app.list.cursor, FrameNo(frame));
        let text = app.message.map_or_else(String::new, |(_, text)| text);
        assert!(
            text.starts_with(said) && text.is_empty() == said.is_empty(),
            "{text}"
        );
    }
}

#[test]
fn what_is_far_away_is_found_in_either_direction_and_the_nearest_first() {
    let mut app = testing::many_sids(5000, 0);
    let marked = [1, 2, 4097, 4098, 9000].map(FrameNo);
    app.marks = marked.into_iter().collect();
    let mut walk = |from: FrameNo, key: &str| {
        app.list.cursor = from;
        press(&mut app, key);
        app.list.cursor
    };
    for pair in marked.windows(2) {
        assert_eq!(walk(pair[0], "'"), pair[1]);
        assert_eq!(walk(pair[1], "\""), pair[0]);
    }
    assert_eq!(walk(FrameNo(8999), "\""), FrameNo(4098));
    app.list.rows = Rows::only(vec![FrameNo(2), FrameNo(3)]);
    app.list.cursor = FrameNo(3);
    press(&mut app, "'");
    let said = testing::said(&app);
    assert!(said.ends_with("; 3 hidden by the filter"), "{said}");
    press(&mut app, "\"");
    assert_eq!(app.list.cursor, FrameNo(2));
}

#[test]
fn enter_in_the_connections_list_lands_on_the_end_of_the_connection() {
    let mut app = app(80, 24);
    press(&mut app, "c Enter");
    assert!(app.layers.is_empty());
    assert_eq!(app.list.cursor, FrameNo(12));
    press(&mut app, "(");
    assert_eq!(app.list.cursor, FrameNo(1));
    press(&mut app, "F Enter");
    assert_eq!(app.list.cursor, FrameNo(12));
}

#[test]
fn at_the_edge_the_page_moves_by_a_third_and_on_a_slow_line_by_half() {
    // Eight of twelve rows are on screen.
    for (slow, top) in [(false, 3), (true, 4)] {
        let mut app = app(80, 18);
        assert_eq!(app.page(), 8);
        app.settings.low_bandwidth = slow;
        press(&mut app, "g g 7 j");
        assert_eq!(app.list.top, 0);
        press(&mut app, "j");
        assert_eq!(app.list.top, top, "{slow}");
    }
}

#[test]
fn e_says_what_was_found_where_the_screen_does_not_show_it() {
    let said = |size: (u16, u16), start: u32| {
        let mut app = app(size.0, size.1);
        app.moved = false;
        app.list.cursor = FrameNo(start);
        press(&mut app, "e");
        assert_eq!(app.list.cursor, FrameNo(12));
        app.message.map(|(_, text)| text)
    };
    // The decode pane shows it.
    assert_eq!(said((80, 24), 1), None);
    // There is none, or nothing else tells that the key did something.
    for (size, start) in [((40, 10), 1), ((80, 24), 12)] {
        let text = said(size, start).unwrap();
        assert!(text.starts_with("mars-close-rst: "), "{text}");
    }
}
