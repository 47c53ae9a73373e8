//! Captures that are still being written: new frames appear, the place stays, and what is said holds so far.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use portable_pty::CommandBuilder;

use crate::support::pty::Terminal;

const SIZE: (u16, u16) = (140, 24);

/// The bytes of a benign close, and where to part them so that the close is in the second half.
fn capture() -> (Vec<u8>, usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/closes/V1.pcapng.zst");
    let bytes = zstd::decode_all(File::open(path).unwrap()).unwrap();
    let half = bytes.len() / 2;
    (bytes, half)
}

/// A file that holds the first half of the capture so far.
struct Growing {
    folder: tempfile::TempDir,
    rest: Vec<u8>,
}

impl Growing {
    fn new() -> Self {
        let (bytes, half) = capture();
        let growing = Self {
            folder: tempfile::tempdir().unwrap(),
            rest: bytes[half..].to_vec(),
        };
        std::fs::write(growing.path(), &bytes[..half]).unwrap();
        growing
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("growing.pcapng")
    }

    /// The program with the file open.
    fn open(&self, args: &[&str]) -> Terminal {
        let path = self.path();
        let all: Vec<&str> = [&["--no-state"], args, &[path.to_str().unwrap()]].concat();
        Terminal::start(SIZE, &all, &[])
    }

    /// The other half is written, too.
    fn grow(&self) {
        let mut file = OpenOptions::new().append(true).open(self.path()).unwrap();
        file.write_all(&self.rest).unwrap();
    }
}

#[test]
fn a_followed_file_shows_what_is_added_and_keeps_the_place() {
    let growing = Growing::new();
    let mut terminal = growing.open(&["--follow"]);
    terminal.wait_for("so far 1 connection");
    assert!(terminal.screen().contains("no findings"));
    terminal.press("jj");
    let cursor = |terminal: &Terminal| {
        let screen = terminal.screen();
        let line = screen.lines().find(|line| line.starts_with('>'));
        line.unwrap_or_default().trim_end().to_owned()
    };
    let before = cursor(&terminal);
    assert!(before.contains(" 3 "), "{before}");
    growing.grow();
    // With the rest of the file the close is there, and it is benign.
    terminal.press("F");
    terminal.wait_for("mars-close-rst");
    terminal.press("\x1b");
    assert_eq!(cursor(&terminal), before);
    let bytes = std::fs::metadata(growing.path()).unwrap().len();
    terminal.wait_for(&marstui::report::words::bytes(bytes));
    terminal.press("q");
    assert!(terminal.end().success());
}

#[test]
fn a_file_that_was_opened_as_it_is_can_be_followed_later() {
    let growing = Growing::new();
    let mut terminal = growing.open(&[]);
    terminal.wait_for("11 fr");
    terminal.press("jjm");
    terminal.wait_for("1 marked");
    terminal.press(":follow\r");
    terminal.wait_for("read anew; ");
    // Mark and place are those from before.
    terminal.wait_for(">*      3 ");
    growing.grow();
    terminal.press("F");
    terminal.wait_for("mars-close-rst");
    terminal.press("\x1b");
    terminal.press(":follow-file\r");
    terminal.wait_for("the file is being followed already");
    terminal.wait_for(">*      3 ");
    terminal.press("q");
    assert!(terminal.end().success());
}

#[test]
fn standard_input_is_shown_while_it_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let (bytes, half) = capture();
    let part = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (first, second) = (
        part("first", &bytes[..half]),
        part("second", &bytes[half..]),
    );
    let go = folder.path().join("go");
    let mut command = CommandBuilder::new("sh");
    command.args([
        "-c",
        "{ cat \"$1\"; while [ ! -e \"$3\" ]; do sleep 0.05; done; cat \"$2\"; } | \"$4\" --no-state -",
        "sh",
        &first,
        &second,
        go.to_str().unwrap(),
        env!("CARGO_BIN_EXE_marstui"),
    ]);
    let mut terminal = Terminal::command(SIZE, command, &[]);
    terminal.wait_for("so far 1 connection");
    File::create(&go).unwrap();
    terminal.wait_for("1 benign");
    assert!(!terminal.screen().contains("so far"));
    terminal.press("q");
    assert!(terminal.end().success());
}

#[test]
fn the_terminal_is_no_capture() {
    for args in [&["--no-state", "-"][..], &["report", "-"]] {
        let mut terminal = Terminal::start(SIZE, args, &[]);
        assert_eq!(terminal.end().exit_code(), 2, "{args:?}");
        let screen = terminal.screen();
        let said = screen.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains("standard input is this terminal"), "{said}");
        assert!(said.contains("name a file"), "{said}");
        assert!(!terminal.is_alternate());
    }
}

#[test]
fn the_screen_says_that_it_waits_for_standard_input_and_can_be_left() {
    let waiting = |then: &str| {
        let mut command = CommandBuilder::new("sh");
        let script = format!("{{ sleep 30 & echo $!; }} | {{ read pid; {then} }}");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_marstui")]);
        let terminal = Terminal::command(SIZE, command, &[]);
        terminal.wait_for("waiting for a capture on standard input; q or Ctrl-C ends this");
        assert!(terminal.is_alternate());
        terminal
    };
    // What feeds the pipe is stopped with the program, so that the shell ends too.
    for key in ["q", "\x03"] {
        let mut terminal = waiting("\"$1\" --no-state -; kill $pid;");
        terminal.press("j");
        terminal.press(key);
        terminal.end();
        assert!(!terminal.is_alternate());
    }
    // What arrives is no capture: the terminal is given back before that is said.
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let mut command = CommandBuilder::new("sh");
    command.args([
        "-c",
        "{ while [ ! -e \"$1\" ]; do sleep 0.05; done; echo this is no capture; } | \"$2\" --no-state -",
        "sh",
        go.to_str().unwrap(),
        env!("CARGO_BIN_EXE_marstui"),
    ]);
    let mut terminal = Terminal::command((100, 24), command, &[]);
    terminal.wait_for("waiting for a capture on standard input");
    File::create(&go).unwrap();
    assert_eq!(terminal.end().exit_code(), 3);
    assert!(!terminal.is_alternate());
    assert!(
        terminal.screen().contains("marstui: "),
        "{}",
        terminal.screen()
    );
}
