//! Screens of the real program as text, at the sizes of the design.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::support::pty::Terminal;

const SIZES: [(u16, u16); 5] = [(80, 24), (160, 48), (100, 30), (60, 12), (20, 5)];

/// A capture, keys to press after it was read, and what the screen shows then.
const SCENES: [(&str, &str, &[&str]); 16] = [
    ("start", "seed-client", &[]),
    ("finding", "seed-client", &["e"]),
    ("fault", "near-misses/N04c", &["e"]),
    ("lanes-near", "near-misses/N04c", &["e", "+", "+"]),
    ("lanes-far", "near-misses/N04c", &["e", "-", "-"]),
    ("lanes-fit", "near-misses/N04c", &["e", "f", "f"]),
    ("event-scale", "near-misses/N04c", &["e", "="]),
    ("ladder", "near-misses/N04c", &["e", "L"]),
    ("connections", "near-misses/N04c", &["c"]),
    ("findings", "near-misses/N04c", &["F"]),
    ("requests", "near-misses/N04c", &["Q", "Q"]),
    ("help", "near-misses/N04c", &["?"]),
    ("filter-error", "near-misses/N04c", &["&", "sidd == 1"]),
    (
        "filter-without-hits",
        "near-misses/N04c",
        &["&", "sid == 9\r"],
    ),
    ("export-form", "near-misses/N04c", &["e", "m", "w"]),
    ("next-keys", "near-misses/N04c", &["y"]),
];

fn capture(name: &str) -> String {
    format!("{}/fixtures/{name}.pcapng.zst", env!("CARGO_MANIFEST_DIR"))
}

fn opened(size: (u16, u16), name: &str, args: &[&str], env: &[(&str, &str)]) -> Terminal {
    let file = capture(name);
    let mut all = vec![file.as_str(), "--no-state"];
    all.extend(args);
    let term = Terminal::start(size, &all, env);
    // The sentence that sums the capture up.
    term.wait_for("MARS, ");
    term
}

fn picture(term: &Terminal) -> String {
    let lines: Vec<String> = term
        .screen()
        .lines()
        .map(|line| line.trim_end().to_string())
        .collect();
    lines.join("\n")
}

/// The screen once it is as stored; on a busy machine the program may be stopped in the middle of drawing. What is
/// not as stored after a while is really different.
fn settled(term: &Terminal, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/pictures/{name}.snap"));
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    let stored = stored.splitn(3, "---\n").last().unwrap_or_default().trim();
    let mut seen = picture(term);
    for _ in 0..20 {
        if seen.trim() == stored {
            break;
        }
        sleep(Duration::from_millis(100));
        seen = picture(term);
    }
    seen
}

fn check(name: &str, term: &Terminal) {
    let picture = settled(term, name);
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("pictures");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, picture));
}

fn at_every_size(name: &str, term: &mut Terminal) {
    for size in SIZES {
        term.resize(size);
        check(&format!("{name}-{}x{}", size.0, size.1), term);
    }
}

#[test]
fn every_scene_at_every_size() {
    for (name, file, keys) in SCENES {
        let mut term = opened((160, 48), file, &[], &[]);
        for key in keys {
            term.press(key);
        }
        at_every_size(name, &mut term);
    }
}

#[test]
fn without_colour_and_with_unicode_the_same_facts_stand_there() {
    let mut mono = opened((80, 24), "near-misses/N04c", &[], &[("NO_COLOR", "1")]);
    mono.press("e");
    at_every_size("mono", &mut mono);
    let raw = mono.raw();
    let raw = String::from_utf8_lossy(&raw);
    for colour in ["\x1b[3", "\x1b[4", "\x1b[9", "\x1b[0;3"] {
        let sent = raw.match_indices(colour).any(|(at, _)| {
            let rest = &raw[at + 2..];
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ';'));
            end.is_some_and(|end| rest.as_bytes()[end] == b'm' && rest[..end].len() > 1)
        });
        assert!(!sent, "a colour was sent: {colour:?}");
    }
    let env = [("LC_ALL", "C.UTF-8")];
    let mut unicode = opened((80, 24), "near-misses/N04c", &[], &env);
    unicode.press("e");
    at_every_size("unicode", &mut unicode);
    for (name, env) in [("linux", [("TERM", "linux")]), ("dumb", [("TERM", "dumb")])] {
        let mut term = opened((80, 24), "near-misses/N04c", &[], &env);
        term.press("e");
        mono.resize((80, 24));
        assert_eq!(picture(&term), picture(&mono), "{name}");
    }
}
