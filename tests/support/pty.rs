//! The real program in a pseudo-terminal; what it writes is counted and read through a terminal emulator.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, ExitStatus, MasterPty, PtySize, native_pty_system};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);
/// So long a program on a busy machine may be without a processor when a key is pressed.
const ANSWER: Duration = Duration::from_secs(4);

/// A piece of what was written: when it came, and where it ends.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    pub at: Instant,
    pub end: usize,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
    changes: Vec<Change>,
    at: Instant,
    ended: bool,
}

/// The program on its terminal.
pub struct Terminal {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
}

impl Terminal {
    /// Starts the program with arguments on a terminal of a size. The environment is that of an xterm with the C
    /// locale; `env` goes before it.
    pub fn start(size: (u16, u16), args: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_marstui"));
        command.args(args);
        Self::command(size, command, env)
    }

    /// Starts any command.
    pub fn command(size: (u16, u16), mut command: CommandBuilder, env: &[(&str, &str)]) -> Self {
        let pty = native_pty_system().openpty(pty_size(size)).unwrap();
        for name in ["NO_COLOR", "TMUX", "COLORTERM", "LANG", "LC_CTYPE"] {
            command.env_remove(name);
        }
        let home = std::env::temp_dir().join(format!("marstui-home-{}", std::process::id()));
        command.env("TERM", "xterm");
        command.env("LC_ALL", "C");
        command.env("XDG_CONFIG_HOME", &home);
        command.env("XDG_STATE_HOME", &home);
        for (name, value) in env {
            command.env(name, value);
        }
        let child = pty.slave.spawn_command(command).unwrap();
        drop(pty.slave);
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(at_least_one(size.1), at_least_one(size.0), 0),
            raw: Vec::new(),
            changes: Vec::new(),
            at: Instant::now(),
            ended: false,
        }));
        let mut reader = pty.master.try_clone_reader().unwrap();
        let writer = pty.master.take_writer().unwrap();
        let shared = Arc::clone(&seen);
        thread::spawn(move || {
            let mut buf = [0; 4096];
            while let Ok(n) = reader.read(&mut buf) {
                let mut seen = shared.lock().unwrap();
                if n == 0 {
                    break;
                }
                seen.parser.process(&buf[..n]);
                seen.raw.extend_from_slice(&buf[..n]);
                seen.at = Instant::now();
                let change = Change {
                    at: seen.at,
                    end: seen.raw.len(),
                };
                seen.changes.push(change);
            }
            shared.lock().unwrap().ended = true;
        });
        Self {
            child,
            master: pty.master,
            writer,
            seen,
        }
    }

    /// Types text as it is.
    pub fn send(&mut self, text: &str) {
        self.writer.write_all(text.as_bytes()).unwrap();
        self.writer.flush().unwrap();
    }

    /// Types text and waits until the screen answers and then rests.
    pub fn press(&mut self, text: &str) {
        let before = self.written();
        self.send(text);
        self.rest_after(before);
    }

    /// Marks the close of the demo's MARS connection and opens the export form for it; the frames of the opening
    /// are taken out, and their line has the focus.
    pub fn offer_the_close(&mut self) {
        self.press(":93689\r");
        self.press("v");
        self.press(":93704\r");
        self.press("m");
        self.wait_for("16 marked");
        self.press("w");
        self.wait_for("(*) marked 16");
        self.press("\t");
        self.press(" ");
    }

    /// Waits until more than `before` bytes were written, and then for rest. A key may be without an answer.
    fn rest_after(&self, before: usize) {
        let start = Instant::now();
        while self.written() == before && start.elapsed() < ANSWER {
            thread::sleep(Duration::from_millis(2));
        }
        self.rest();
    }

    /// Waits until nothing was written for a while.
    pub fn rest(&self) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let seen = self.seen.lock().unwrap();
            if seen.ended || seen.at.elapsed() > Duration::from_millis(120) {
                return;
            }
            drop(seen);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the screen holds a text, and then for rest.
    pub fn wait_for(&self, text: &str) {
        self.wait_until(text);
        self.rest();
    }

    /// Waits until the screen holds a text.
    pub fn wait_until(&self, text: &str) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if self.screen().contains(text) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("no {text:?} on screen:\n{}", self.screen());
    }

    /// The pieces that were written behind a number of bytes.
    pub fn changes(&self, from: usize) -> Vec<Change> {
        let seen = self.seen.lock().unwrap();
        let behind = |change: &&Change| change.end > from;
        seen.changes.iter().filter(behind).copied().collect()
    }

    /// The screen as text.
    pub fn screen(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// One line of the screen.
    pub fn line(&self, row: u16) -> String {
        let seen = self.seen.lock().unwrap();
        let screen = seen.parser.screen();
        let (_, columns) = screen.size();
        screen.contents_between(row, 0, row, columns.get())
    }

    /// Whether the alternate screen is on.
    pub fn is_alternate(&self) -> bool {
        self.seen.lock().unwrap().parser.screen().alternate_screen()
    }

    /// Bytes written so far.
    pub fn written(&self) -> usize {
        self.seen.lock().unwrap().raw.len()
    }

    /// Everything written so far.
    pub fn raw(&self) -> Vec<u8> {
        self.seen.lock().unwrap().raw.clone()
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, size: (u16, u16)) {
        self.seen
            .lock()
            .unwrap()
            .parser
            .screen_mut()
            .set_size(at_least_one(size.1), at_least_one(size.0));
        let before = self.written();
        self.master.resize(pty_size(size)).unwrap();
        self.rest_after(before);
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.process_id().unwrap().to_string();
        let done = std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(done.success());
    }

    /// Waits for the end.
    pub fn end(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What it wrote last is still on its way through the reader.
                let start = Instant::now();
                while !self.seen.lock().unwrap().ended && start.elapsed() < Duration::from_secs(2) {
                    thread::sleep(Duration::from_millis(5));
                }
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("the program does not end:\n{}", self.screen());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already in tests that pass.
        let _ = self.child.kill();
    }
}

fn pty_size((cols, rows): (u16, u16)) -> PtySize {
    PtySize {
        rows,
        cols,
        pixel_width: 0,
        pixel_height: 0,
    }
}

fn at_least_one(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap_or(NonZero::<u16>::MIN)
}
