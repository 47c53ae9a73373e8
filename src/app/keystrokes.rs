//! Every command of the table: keys pressed on the small capture, and the state that comes of them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::command::{COMMANDS, Command, Context};
use super::export_form::Line;
use super::key::{KeyCode, parse_sequence};
use super::layout::Pane;
use super::testing::{app, press, read};
use super::tree::Tree;
use super::*;
use crate::decode::field::{Field, Value};
use crate::query::find::Needle;
use crate::query::{self, Eval};

/// A command, the frame to start at, keys, and words of the state that are there then and were not all there before
/// the last key.
/// Keys are written as in the command table; `:text:` types a text.
const CASES: &[(&str, u32, &str, &str)] = &[
    // Moving.
    ("down", 1, "j", "frame=2"),
    ("down", 1, "3 Down", "frame=4"),
    ("up", 4, "2 k", "frame=2"),
    ("up", 4, "Up", "frame=3"),
    ("page-down", 1, "PgDn", "frame=11"),
    ("page-down", 1, "Ctrl-F", "frame=11"),
    ("page-up", 12, "PgUp", "frame=2"),
    ("half-down", 1, "Ctrl-D", "frame=6"),
    ("half-up", 12, "Ctrl-U", "frame=7"),
    ("first", 9, "g g", "frame=1"),
    ("first", 9, "Home", "frame=1"),
    ("last", 1, "G", "frame=12"),
    ("last", 1, "End", "frame=12"),
    ("last", 1, "7 G", "frame=7"),
    ("goto", 1, "g f :9: Enter", "frame=9"),
    ("goto", 1, ": :5: Enter", "frame=5"),
    ("goto", 1, ": :goto 6: Enter", "frame=6"),
    ("goto-time", 1, "t :0.007: Enter", "frame=6"),
    ("goto-time", 1, "t :+5ms: Enter", "frame=4"),
    // Jumping by meaning.
    ("next-same-sid", 4, ".", "frame=5"),
    ("next-same-sid", 4, "2 .", "frame=6"),
    ("prev-same-sid", 10, ",", "frame=6"),
    ("next-same-conn", 1, ">", "frame=2"),
    ("prev-same-conn", 12, "<", "frame=11"),
    ("pair", 5, "p", "frame=6"),
    ("pair", 6, "p", "frame=5"),
    ("next-finding", 1, "e", "frame=12"),
    (
        "prev-finding",
        12,
        "k E",
        "message=no earlier finding; 1 in all",
    ),
    ("next-reset", 1, "r", "frame=12"),
    ("prev-reset", 12, "k R", "message=no earlier TCP reset"),
    ("next-phase", 1, "]", "frame=4"),
    ("prev-phase", 12, "[", "frame=4"),
    ("next-gap", 1, "s", "frame=8"),
    ("prev-gap", 12, "S", "frame=8"),
    ("back", 5, "r (", "frame=5 back=0 forward=1"),
    ("back", 5, "c Enter (", "frame=5 layer=Connections"),
    ("back", 12, "c Enter (", "layer=Connections"),
    ("back", 5, "c Enter g g ( (", "frame=5 layer=Connections"),
    ("forward", 5, "r ( )", "frame=12 back=1"),
    ("next-mark", 5, "m g g '", "frame=5 marks=5"),
    ("prev-mark", 5, "m G \"", "frame=5 marks=5"),
    (
        "follow-file",
        5,
        ": :follow-file: Enter",
        "rows=12 effect=FollowFile",
    ),
    (
        "follow-file",
        5,
        ": :follow file: Enter",
        "rows=12 effect=FollowFile",
    ),
    (
        "follow-file",
        5,
        ": :follow: Enter",
        "rows=12 effect=FollowFile",
    ),
    // Lists.
    ("connections", 1, "c", "layer=Connections"),
    ("findings", 1, "F", "layer=Findings"),
    ("requests", 1, "Q", "layer=Requests of connection 0"),
    ("requests", 1, "Q Q", "layer=Requests;"),
    (
        "phases",
        1,
        ": :phases: Enter",
        "layer=Phases of connection 0",
    ),
    (
        "sort",
        1,
        ": :phases: Enter S Enter S Enter",
        "sort=0 descending",
    ),
    (
        "sort",
        1,
        "c S :cl: Enter S :client: Enter",
        "sort=2 descending",
    ),
    ("sort", 1, "c S :d: Tab Tab Enter", "sort=14"),
    ("sort", 1, "Q S :du: Enter", "sort=6 descending"),
    ("sort", 1, "c : :sort client: Enter", "sort=2"),
    ("card", 1, "g c", "layer=Connection 0"),
    // Find and filter.
    ("find", 1, "/", "prompt=Find"),
    (
        "find",
        1,
        "/ :kind == FIN: Enter",
        "frame=8 find=kind == FIN",
    ),
    ("find-next", 1, "/ :kind == FIN: Enter n", "frame=9"),
    (
        "find-prev",
        1,
        "/ :kind == FIN: Enter n N",
        "frame=8 find=kind == FIN",
    ),
    (
        "filter",
        1,
        "& :sid == 5: Enter",
        "filter=sid == 5 rows=3 frame=7",
    ),
    (
        "filter",
        9,
        "& :sid == 5: Enter & Ctrl-U Enter",
        "filter=; rows=12",
    ),
    ("only-sid", 8, "o", "filter=conn == 0 and sid == 5"),
    ("only-sid", 8, "o o", "filter=conn == 0;"),
    (
        "copy-filter",
        8,
        "o : :copy-filter: Enter",
        "copied=tcp.stream",
    ),
    // Marks and export.
    ("mark", 3, "m", "marks=3"),
    ("mark", 3, "v 2 j m", "marks=3-5"),
    ("mark-down", 3, "Space Space", "marks=3-4 frame=5"),
    ("mark-finding", 12, "g m", "marks=11-12"),
    ("range", 3, "v j", "range=3-4"),
    ("mark-to-here", 3, "m 3 j M", "marks=3-6"),
    ("clear-marks", 3, "m j m : :clear-marks: Enter", "undo=3"),
    ("undo", 3, "m j m u", "marks=3;"),
    ("redo", 3, "m u U", "marks=3"),
    ("time-ref", 5, "T", "ref=5 time=ref"),
    ("ignore", 5, "i", "ignored=5"),
    ("export", 5, "m w", "layer=Export"),
    ("copy-row", 5, "y r", "copied=5 0.0051"),
    ("copy-field", 5, "Tab Tab j y f", "copied=Sid  0"),
    ("copy-hex", 5, "y h", "copied=0000"),
    ("copy-frame", 5, "y n", "copied=5"),
    ("copy-frame", 5, "m j m y n", "copied=5-6"),
    ("copy-ladder", 10, "v j y l", "copied=        0.2100"),
    // Timeline.
    ("zoom-in", 1, "0 +", "column=2000000"),
    ("zoom-out", 1, "0 -", "column=10000000"),
    ("zoom-all", 1, "+ + 0", "column=5000000"),
    ("fit", 8, "f", "from=0"),
    ("fit", 4, "f f", "from=-5000"),
    ("event-scale", 1, "=", "scale=Events"),
    ("ladder", 1, "L", "ladder"),
    ("pin", 8, "P", "pinned=1"),
    ("pan-left", 8, "0 + + Tab h", "from=151000"),
    ("pan-right", 8, "0 + + Tab l", "from=180000"),
    ("pan-left-page", 8, "0 + + Tab H", "from=108000"),
    ("pan-right-page", 8, "0 + + Tab L", "from=224000"),
    ("lane-next-event", 7, "Tab .", "frame=8 focus=Lanes"),
    ("lane-prev-event", 9, "Tab ,", "frame=8 focus=Lanes"),
    ("lane-here", 8, "Tab k Enter", "frame=10 focus=List"),
    // Panes and what they show.
    ("pane", 1, "Tab", "focus=Lanes"),
    ("pane", 1, "Tab Tab", "focus=Decode"),
    ("pane-back", 1, "Shift-Tab", "focus=Decode"),
    ("zoom-pane", 1, "Tab z", "zoomed=Lanes"),
    ("bytes", 1, "b", "bytes"),
    ("fold", 5, "Tab Tab Left", "tree=1 of 1"),
    ("open", 5, "Tab Tab Left Right", "focus=Decode tree=1 of 3"),
    ("follow", 5, "Enter", "focus=Decode"),
    ("follow", 5, "Enter 2 j Enter", "frame=6 back=1"),
    ("follow", 5, "Enter 2 j : :follow: Enter", "frame=6 back=1"),
    ("grow-pane", 1, "Ctrl-W +", "list=11"),
    ("shrink-pane", 1, "Ctrl-W -", "list=9"),
    (
        "delta",
        1,
        "d",
        "message=d counts from the previous frame of the Sid",
    ),
    ("time-format", 1, "D", "time=ref"),
    ("lane-gutter", 1, "|", "gutter"),
    ("columns", 1, ": :columns no info: Enter", "columns=no info"),
    ("theme", 1, ": :theme mono: Enter", "theme=mono"),
    ("glyphs", 1, ": :glyphs unicode: Enter", "glyphs=unicode"),
    ("set", 1, ": :set gap-ms 250: Enter", "gap=250"),
    ("set", 1, ": :set mouse on: Enter", "effect=Mouse(true)"),
    // The program.
    ("command", 1, ":", "prompt=Command"),
    ("help", 1, "?", "layer=Help"),
    ("explain", 12, "g e", "layer=Rule mars-close-rst"),
    (
        "explain",
        1,
        ": :explain rst-with-request: Enter",
        "layer=Rule rst-with-request",
    ),
    (
        "shift",
        1,
        ": :shift b +1ms: Enter",
        "message=there is one file",
    ),
    ("map", 1, ": :map x mark: Enter x", "marks=1"),
    ("messages", 1, "d g l", "layer=Messages"),
    ("stats", 1, ": :stats: Enter", "layer=Numbers"),
    (
        "summary",
        1,
        "g s",
        "message=1 connection, 1 MARS, 1 reset; findings: 1 benign",
    ),
    ("close", 1, "q", "effect=Quit"),
    ("close", 1, "c ? q", "layers=1"),
    ("quit", 1, "c : :quit: Enter", "effect=Quit"),
    ("escape", 3, "v j Esc", "message=range dropped"),
    ("escape", 3, "Tab Tab Esc j", "focus=List frame=4"),
    ("cancel", 1, "Ctrl-C", "effect=Quit"),
    ("redraw", 1, "Ctrl-L", "effect=Clear"),
    ("suspend", 1, "Ctrl-Z", "effect=Suspend"),
];

/// The state in words, each fact once.
fn state(app: &App, effects: &[String]) -> String {
    let mut out = String::new();
    let mut fact = |text: String| {
        let _ = write!(out, " {text};");
    };
    fact(format!("frame={}", app.list.cursor));
    fact(format!("rows={}", app.list.rows.len(&app.store)));
    fact(format!("list={}", app.layout().list.h));
    fact(format!("focus={:?}", app.focus));
    if let Some(pane) = app.zoomed {
        fact(format!("zoomed={pane:?}"));
    }
    if app.layout().bytes.is_some() {
        fact("bytes".to_string());
    }
    fact(format!("marks={}", app.marks));
    if let Some((first, last)) = app.chosen_range() {
        fact(format!("range={first}-{last}"));
    }
    fact(format!("ignored={}", app.ignored));
    fact(format!("filter={}", app.filter));
    fact(format!("find={}", app.find));
    if let Some(no) = app.time_ref {
        fact(format!("ref={no}"));
    }
    let (back, forward) = app.jumps.depths();
    fact(format!("back={back}"));
    fact(format!("forward={forward}"));
    fact(format!("undo={}", app.undo.depth()));
    fact(format!("layers={}", app.layers.len()));
    match app.layers.last() {
        Some(Layer::Table(table)) => {
            fact(format!("layer={}", table.title()));
            let way = if table.descending { " descending" } else { "" };
            if let Some(column) = table.sort {
                fact(format!("sort={column}{way}"));
            }
        }
        Some(Layer::Text(page)) => fact(format!("layer={}", page.title)),
        Some(Layer::Help(_)) => fact("layer=Help".to_string()),
        Some(Layer::Export(_)) => fact("layer=Export".to_string()),
        None => {}
    }
    if let Some(prompt) = &app.prompt {
        fact(format!("prompt={:?}", prompt.ask));
    }
    let settings = &app.settings;
    fact(format!("time={}", settings.time.name()));
    fact(format!("theme={}", settings.theme.name()));
    fact(format!("glyphs={}", settings.glyphs.name()));
    fact(format!("gap={}", settings.gap_ms));
    if let Some(columns) = &settings.columns {
        let names: Vec<_> = columns.iter().map(|c| c.name()).collect();
        fact(format!("columns={}", names.join(" ")));
    }
    if app.lane_gutter() {
        fact("gutter".to_string());
    }
    let start = app.store.start_time().unwrap_or(crate::units::Nanos(0));
    fact(format!("column={}", app.timeline.per_col));
    fact(format!("from={}", app.timeline.from.since(start) / 1000));
    fact(format!("scale={:?}", app.timeline.scale));
    if app.timeline.ladder {
        fact("ladder".to_string());
    }
    fact(format!("pinned={}", app.timeline.pinned.len()));
    if let Some(tree) = app.decoded() {
        let lines = app.tree.lines(tree).len();
        fact(format!("tree={} of {lines}", app.tree.cursor + 1));
    }
    if let Some((_, text)) = &app.message {
        fact(format!("message={text}"));
    }
    for effect in effects {
        fact(effect.clone());
    }
    out
}

/// The decoded frame: a node with two fields; the second names frame 6.
fn tree(frame: FrameNo) -> Tree {
    let node = Field::new("smp", "SMP", Value::None)
        .child(Field::new("smp.sid", "Sid", Value::UInt(0)))
        .child(Field::new("", "answer", Value::Frame(FrameNo(6))));
    Tree {
        frame,
        fields: vec![node],
        bytes: vec![0; 20],
        complete: true,
    }
}

/// Does what the loop would do with effects, and writes the others down.
fn carry_out(app: &mut App, effects: Vec<Effect>, done: &mut Vec<String>) {
    for effect in effects {
        match effect {
            Effect::Search(search) => {
                let Needle::Filter(filter) = search.needle else {
                    continue;
                };
                let frames = query::run(&filter, &Eval::of(&app.store));
                let found = Event::Found {
                    job: search.job,
                    frames,
                    asked: 12,
                    done: true,
                };
                update(app, found);
            }
            Effect::Decode(command, count) => {
                decode(app);
                let effects = update(app, Event::Run(command, count));
                carry_out(app, effects, done);
            }
            Effect::Copy(text) => done.push(format!("copied={text}")),
            Effect::StopSearch(_) => done.push("effect=StopSearch".to_string()),
            anew @ (Effect::FollowFile | Effect::Shift(..)) => {
                done.push(format!("effect={anew:?}"));
                let effects = read(app);
                carry_out(app, effects, done);
            }
            other => done.push(format!("effect={other:?}")),
        }
    }
    assert!(app.store.frame(app.list.cursor).is_some());
    if app.decoded().is_none() {
        decode(app);
    }
}

/// What the loop decodes for the cursor's frame.
fn decode(app: &mut App) {
    let here = app.list.cursor;
    let looked = Looked {
        tree: Some(tree(here)),
        lines: vec![(here, format!("line {here}"))],
        ..Looked::default()
    };
    update(app, Event::Looked(looked));
}

/// Presses keys; a text between colons is typed.
fn play(app: &mut App, keys: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut rest = keys;
    loop {
        rest = rest.trim_start();
        // A colon alone is a key; one with something behind it begins a text.
        let text = rest
            .strip_prefix(':')
            .filter(|r| !r.is_empty() && !r.starts_with(' '));
        if let Some(text) = text {
            let (typed, behind) = text.split_once(':').unwrap();
            for c in typed.chars() {
                let effects = update(app, Event::Key(Key::char(c)));
                carry_out(app, effects, &mut Vec::new());
            }
            rest = behind;
            continue;
        }
        let (key, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        if key.is_empty() {
            return done;
        }
        let effects = press(app, key);
        carry_out(app, effects, &mut done);
        rest = behind;
    }
}

fn start(frame: u32) -> App {
    let mut app = app(80, 24);
    app.moved = frame != 1;
    app.list.cursor = FrameNo(frame);
    carry_out(&mut app, Vec::new(), &mut Vec::new());
    app
}

/// The words that a case expects: facts, separated by blanks before `name=`.
fn facts(expected: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in expected.split(' ') {
        let begins = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase())
        });
        match out.last_mut() {
            Some(last) if !begins => {
                last.push(' ');
                last.push_str(word);
            }
            _ => out.push(word.to_string()),
        }
    }
    out.into_iter().map(|fact| format!(" {fact}")).collect()
}

#[test]
fn keys_lead_from_a_start_to_a_state() {
    let mut wrong = Vec::new();
    for (name, frame, keys, expected) in CASES {
        let (first, last) = keys.rsplit_once(' ').unwrap_or(("", keys));
        let mut app = start(*frame);
        let done = play(&mut app, first);
        let before = state(&app, &done);
        let done = play(&mut app, last);
        let after = state(&app, &done);
        let facts = facts(expected);
        for fact in &facts {
            if !after.contains(fact) {
                wrong.push(format!("{name}: {keys} from {frame}: no{fact} in{after}"));
            }
        }
        if facts.iter().all(|fact| before.contains(fact)) {
            wrong.push(format!(
                "{name}: {keys}: {expected} was there before the last key"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_has_a_case_that_asks_for_it() {
    for entry in COMMANDS {
        let asked = CASES
            .iter()
            .filter(|case| case.0 == entry.name)
            .any(|case| {
                entry.keys.iter().any(|key| case.2.contains(key))
                    || case.2.contains(&format!(":{}", entry.name))
            });
        assert!(
            asked,
            "no case of the keystroke table asks for {}",
            entry.name
        );
    }
    let names: BTreeSet<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
    for case in CASES {
        assert!(names.contains(case.0), "{} is no command", case.0);
    }
}

#[test]
fn every_key_of_the_table_is_bound_to_its_command() {
    let map = keymap::Keymap::standard();
    for entry in COMMANDS {
        for key in entry.keys {
            let keys = parse_sequence(key).unwrap();
            let found = map.lookup(entry.context, &keys);
            assert_eq!(found, keymap::Lookup::Command(entry.command), "{key}");
        }
    }
}

#[test]
fn a_command_by_name_does_what_its_key_does() {
    for (name, frame, keys, expected) in CASES {
        let command = Command::by_name(name).unwrap();
        let entry = command.entry();
        // Those that are asked for by one key alone, in the list.
        let alone = entry.keys.contains(keys) && entry.context == Context::Anywhere;
        // Typed in the list, `:follow` follows the file: Enter is what enters the decode pane.
        if !alone || *name == "follow" {
            continue;
        }
        let mut app = start(*frame);
        let done = play(&mut app, &format!(": :{name}: Enter"));
        let after = state(&app, &done);
        for fact in facts(expected) {
            assert!(after.contains(&fact), ":{name}: no{fact} in{after}");
        }
    }
}

#[test]
fn the_export_form_takes_keys_of_its_own() {
    let mut app = start(5);
    press(&mut app, "m w Tab");
    let Some(Layer::Export(form)) = app.layers.last() else {
        panic!("the form is closed");
    };
    assert_ne!(form.line, Line::What);
    update(&mut app, Event::Key(Key::plain(KeyCode::Esc)));
    assert!(app.layers.is_empty());
    assert_eq!(app.focus, Pane::List);
}
