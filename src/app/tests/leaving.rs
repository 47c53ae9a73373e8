//! What is in front is closed, what runs is stopped, and what quits.

use super::*;

#[test]
fn the_help_is_searched_for_any_word_and_esc_closes_it() {
    let search = |app: &App| match app.layers.last() {
        Some(Layer::Help(help)) => Some(help.search.clone()),
        _ => None,
    };
    for (keys, expected) in [
        ("? m a r k", Some("mark")),
        ("? / q u i t", Some("quit")),
        ("? / q Backspace Backspace q", None),
        ("? q", None),
        ("? m a Esc", None),
    ] {
        let mut app = app(80, 24);
        press(&mut app, keys);
        assert_eq!(search(&app).as_deref(), expected, "{keys}");
        assert!(app.prompt.is_none() && app.ignored.is_empty());
    }
}

#[test]
fn q_and_esc_close_what_is_in_front_one_at_a_time() {
    for (keys, layers, ranged) in [
        ("? ?", 0, false),
        ("c ? ?", 1, false),
        ("c 5 Esc", 1, false),
        ("v j ? Esc", 0, true),
        ("v j ? q", 0, true),
        ("v j ? Esc Esc", 0, false),
        ("g l Esc", 0, false),
    ] {
        let mut app = app(80, 24);
        let effects = press(&mut app, keys);
        let quits = effects.iter().any(|e| matches!(e, Effect::Quit));
        assert!(!quits, "{keys}");
        assert_eq!(app.layers.len(), layers, "{keys}");
        assert_eq!(app.range.is_some(), ranged, "{keys}");
        assert_eq!(app.count, None, "{keys}");
    }
}

#[test]
fn q_does_not_lose_an_export_that_is_being_written() {
    let mut app = app(80, 24);
    app.jobs.exporting = Some(5);
    assert!(press(&mut app, "q").is_empty());
    assert_eq!(
        testing::said(&app),
        "an export is being written; Ctrl-C stops it, :quit leaves"
    );
    app.jobs.exporting = None;
    assert!(matches!(press(&mut app, "q")[..], [Effect::Quit]));
}

#[test]
fn nothing_but_q_and_ctrl_c_quits_and_layers_close_first() {
    let mut app = app(80, 24);
    assert!(press(&mut app, "Esc Esc").is_empty());
    press(&mut app, "c ?");
    assert_eq!(app.layers.len(), 2);
    assert!(press(&mut app, "q").is_empty());
    assert!(press(&mut app, "q").is_empty());
    assert!(app.layers.is_empty());
    assert!(matches!(press(&mut app, "q")[..], [Effect::Quit]));
    assert!(matches!(press(&mut app, "Ctrl-C")[..], [Effect::Quit]));
}

#[test]
fn ctrl_c_stops_the_index_before_it_quits() {
    let mut app = App::new("x", (80, 24), Settings::default());
    assert!(matches!(
        press(&mut app, "Ctrl-C")[..],
        [Effect::StopIndexing]
    ));
    update(&mut app, Event::Indexed(Some("stopped by the user".into())));
    assert!(matches!(press(&mut app, "Ctrl-C")[..], [Effect::Quit]));
}

#[test]
fn esc_stops_a_search_when_there_is_nothing_else_to_leave() {
    let mut app = app(80, 24);
    answer(&mut app, "/", "nowhere");
    assert!(app.jobs.find.running);
    let job = app.jobs.find.job;
    press(&mut app, "Tab");
    assert!(
        press(&mut app, "Esc").is_empty(),
        "the first leaves the pane"
    );
    let effects = press(&mut app, "Esc");
    assert!(matches!(effects[..], [Effect::StopSearch(n)] if n == job));
    assert!(!app.jobs.find.running);
}
