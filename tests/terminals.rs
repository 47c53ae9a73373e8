//! The real program on terminals of all kinds: what they lack, what becomes of them, and what goes on meanwhile.

use portable_pty::CommandBuilder;

use crate::support::pty::Terminal;
use crate::support::skip;

const DESIGN: (u16, u16) = (80, 24);

fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}.pcapng.zst", env!("CARGO_MANIFEST_DIR"))
}

/// Colours that were sent: parameters of SGR sequences that choose one.
fn colours(raw: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(raw);
    text.split("\x1b[")
        .skip(1)
        .filter_map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
            let (parameters, behind) = rest.split_at(end);
            behind.starts_with('m').then(|| parameters.to_string())
        })
        .filter(|parameters| {
            parameters.split(';').any(|p| {
                let n: u16 = p.parse().unwrap_or(0);
                matches!(n, 30..=38 | 40..=48 | 90..=107)
            })
        })
        .collect()
}

#[test]
fn every_terminal_shows_the_fault_and_its_reason() {
    let file = fixture("near-misses/N04c");
    for (env, ascii, coloured) in [
        (vec![("TERM", "linux"), ("LC_ALL", "C.UTF-8")], true, true),
        (vec![("TERM", "dumb")], true, false),
        (vec![("TERM", "vt100")], true, false),
        (vec![("NO_COLOR", "1"), ("LC_ALL", "C.UTF-8")], false, false),
        (vec![("LC_ALL", "C")], true, true),
        (
            vec![("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8")],
            false,
            true,
        ),
        (vec![("TERM", "screen-256color")], true, true),
    ] {
        let mut term = Terminal::start(DESIGN, &[&file, "--no-state"], &env);
        term.wait_for("1 fault");
        term.press("e");
        term.wait_for("> !    30");
        let screen = term.screen();
        for text in ["verdict ! Fault", "RST !", "M3  no", "fault"] {
            assert!(screen.contains(text), "{env:?}: no {text}\n{screen}");
        }
        for keys in ["c", "q", "F", "q", "Q", "q", "?", "q", "L", "L", "=", "q"] {
            term.press(keys);
        }
        assert_eq!(term.end().exit_code(), 0, "{env:?}");
        assert_eq!(term.raw().is_ascii(), ascii, "{env:?}");
        let sent = colours(&term.raw());
        assert_eq!(!sent.is_empty(), coloured, "{env:?}: {sent:?}");
    }
}

#[test]
fn windows_of_any_size_are_lived_through() {
    let file = fixture("near-misses/N04c");
    for size in [(20, 5), (80, 1), (19, 24), (1, 1), (60, 12), (300, 4)] {
        let mut term = Terminal::start(size, &[&file, "--no-state"], &[]);
        std::thread::sleep(std::time::Duration::from_millis(300));
        for keys in [
            "e", "c", "\r", "F", "q", "Q", "q", "?", "q", "=", "L", "z", "z", "\t", "j", "w",
            "\x1b",
        ] {
            term.send(keys);
            std::thread::sleep(std::time::Duration::from_millis(40));
        }
        let small = size.0 < 20 || size.1 < 5;
        let told = term.screen().contains("too sm") || size.0 < 8;
        assert!(!small || told, "{size:?}: {}", term.screen());
        term.resize(DESIGN);
        term.press("\x1b");
        term.press(":30\r");
        term.wait_for("> !    30");
        term.press(":quit\r");
        assert_eq!(term.end().exit_code(), 0, "{size:?}");
    }
}

#[test]
fn a_panic_gives_the_terminal_back_before_it_is_reported() {
    if !cfg!(debug_assertions) {
        skip("a_panic", "only debug builds can be made to panic");
        return;
    }
    let file = fixture("near-misses/N04c");
    let env = [("MARSTUI_PANIC_AT_KEY", "K")];
    let mut term = Terminal::start(DESIGN, &[&file, "--no-state", "--mouse"], &env);
    term.wait_for("1 fault");
    assert!(term.is_alternate());
    term.press("K");
    assert_ne!(term.end().exit_code(), 0);
    assert!(!term.is_alternate());
    let raw = term.raw();
    let raw = String::from_utf8_lossy(&raw);
    let left = raw.rfind("\x1b[?1049l").unwrap();
    let report = raw.rfind("asked for by").unwrap();
    assert!(left < report, "the report stands on the shell's screen");
    assert!(raw[..report].contains("\x1b[?25h"), "the cursor is shown");
    assert!(
        raw[..report].contains("\x1b[?1000l"),
        "the mouse is given back"
    );
}

#[test]
fn suspending_gives_the_shell_its_terminal_and_fg_brings_everything_back() {
    let file = fixture("near-misses/N04c");
    let mut shell = CommandBuilder::new("bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    let env = [("PS1", "ready> ")];
    let mut term = Terminal::command(DESIGN, shell, &env);
    term.wait_for("ready> ");
    term.press(&format!(
        "{} {file} --no-state\r",
        env!("CARGO_BIN_EXE_marstui")
    ));
    term.wait_for("1 fault");
    term.press("em");
    term.wait_for("1 marked");
    let lines = |term: &Terminal| -> Vec<String> {
        let screen = term.screen();
        screen.lines().map(|l| l.trim_end().to_string()).collect()
    };
    let before = lines(&term);
    term.press("\x1a");
    term.wait_for("Stopped");
    term.wait_for("ready> ");
    assert!(!term.is_alternate());
    // The terminal echoes and edits lines again.
    term.press("echo the shell is $((40 + 2))\r");
    term.wait_for("the shell is 42");
    term.press("fg\r");
    // The key line is drawn last; the shell's own line may stand there before.
    term.wait_for(before.last().unwrap());
    assert!(term.is_alternate());
    assert_eq!(lines(&term), before);
    term.press("q");
    term.wait_for("ready> ");
    assert!(!term.is_alternate());
    term.send("exit\r");
    term.end();
}

#[test]
fn the_window_may_change_while_the_capture_is_read() {
    let mut term = Terminal::start(DESIGN, &["--demo", "--no-state"], &[]);
    for size in [
        (100, 30),
        (20, 5),
        (1, 1),
        (160, 48),
        (60, 12),
        (81, 25),
        DESIGN,
    ] {
        term.resize(size);
        term.send("jk");
    }
    term.wait_for("93730 fr");
    term.press("e");
    term.wait_for("> B 93704");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
}

#[test]
fn rules_of_one_s_own_are_listed_and_explained() {
    let rules = format!("{}/fixtures/rules/close.toml", env!("CARGO_MANIFEST_DIR"));
    let args = ["--demo", "--no-state", "--rules", &rules];
    let mut term = Terminal::start(DESIGN, &args, &[]);
    term.wait_for("11 connections");
    term.press("F");
    term.wait_for("late-server-fin");
    term.press("/late-server\r");
    term.press("\r");
    term.wait_for("93704");
    term.press(":explain late-server-fin\r");
    term.wait_for("The client had closed every session");
    term.press("q");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
}

#[test]
fn find_counts_hits_and_walks_them() {
    let file = fixture("near-misses/N04c");
    let mut term = Terminal::start(DESIGN, &[&file, "--no-state"], &[]);
    term.wait_for("1 fault");
    for (typed, hit) in [
        ("/dbo.slow\r", "hit 1 of 1: dbo.slow"),
        ("/re:dbo\\.(Note|Slow)\r", "no further hit of 5"),
        ("/hex:ff 14 00 1d\r", "not found: hex:ff 14 00 1d"),
        ("/kind == FIN\r", "hit 1 of 4: kind == FIN"),
    ] {
        term.press(typed);
        term.wait_for(hit);
    }
    term.press("n");
    term.wait_for("hit 2 of 4");
    term.press("2N");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
}

#[test]
fn a_theme_file_colours_roles_and_its_mistakes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("marstui");
    std::fs::create_dir_all(&config).unwrap();
    let settings = "[view]\ntheme-file = \"mine.toml\"\n";
    std::fs::write(config.join("config.toml"), settings).unwrap();
    let theme = "head = \"magenta\"\nverdict-falt = \"red\"\n";
    std::fs::write(config.join("mine.toml"), theme).unwrap();
    let file = fixture("near-misses/N04c");
    let env = [("XDG_CONFIG_HOME", folder.path().to_str().unwrap())];
    let mut term = Terminal::start((120, 24), &[&file, "--no-state"], &env);
    term.wait_for("30 fr");
    term.press("gl");
    term.wait_for("mine.toml:2:1: no role is called `verdict-falt`; nearest: verdict-fault");
    assert!(
        colours(&term.raw())
            .iter()
            .any(|p| p.split(';').any(|p| p == "35"))
    );
    term.press("q");
    term.press("q");
    term.end();
}

#[test]
fn the_clock_of_one_file_can_be_moved_and_marks_go_with_their_frames() {
    let (first, second) = (fixture("near-misses/N04c"), fixture("near-misses/N01"));
    let args = [first.as_str(), second.as_str(), "--no-state"];
    let mut term = Terminal::start((120, 30), &args, &[]);
    term.wait_for("1 connection, 1 MARS");
    // Both begin at the same time: the second frame is the first of the second file.
    term.press(":2\r");
    term.press("m");
    term.wait_for(">*");
    term.press(":shift N01 +10s\r");
    term.wait_for("N01.pcapng.zst moves by +10 s");
    term.wait_for(">*n    31 10.0000000");
    term.press("G");
    term.wait_for("frame 49/49");
    // Back again: the frames stand as before.
    term.press(":shift b -10s\r");
    term.wait_for("N01.pcapng.zst moves by -10 s");
    // The cursor went with its frame, the reset of the second file.
    term.wait_for("> !    37 0.0080350");
    term.press("gg'");
    term.wait_for(">*n     2 0.0000000");
    term.press(":shift c +1ms\r");
    term.wait_for("files: a N04c.pcapng.zst, b N01.pcapng.zst");
    term.press("q");
    assert_eq!(term.end().exit_code(), 0);
}
