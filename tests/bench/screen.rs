//! Measures how soon the screen answers a key: `cargo run --release --example bench-screen`.
//!
//! Starts the real program in a pseudo-terminal on a capture of more than a million frames (made with the project's
//! generator, or one that is there), types keys, and notes when the first and the last byte of each answer arrive:
//! on the complete index, while the capture is being indexed, and while a find reads all of its messages.
#![allow(
    clippy::print_stdout,
    reason = "this program's output is for whoever started it"
)]

mod common;

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use color_eyre::eyre::{Result, bail, eyre};
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};

#[derive(Parser)]
#[command(about = "Measure the time from a key to the screen")]
struct Arguments {
    /// Size of the capture to make; 1G has more than a million frames
    #[arg(long, default_value = "1G")]
    size: String,
    /// How often the program is started for the keys typed while it indexes
    #[arg(long, default_value_t = 5)]
    starts: usize,
    /// Columns of the terminal
    #[arg(long, default_value_t = 80)]
    columns: u16,
    /// Rows of the terminal
    #[arg(long, default_value_t = 24)]
    rows: u16,
    /// Measure this part only
    #[arg(long)]
    only: Option<Part>,
    /// A capture to measure on, instead of one made for it
    file: Option<PathBuf>,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// The start of the program
    Start,
    /// Keys on the complete index
    Index,
    /// Keys while the capture is being indexed
    Indexing,
    /// Keys while a find reads all messages
    Finding,
}

/// An answer has ended when nothing more has come for this long.
const QUIET: Duration = Duration::from_millis(15);
/// A key that changes nothing on screen is given up after this time.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long the program may take to read the capture.
const LONG: Duration = Duration::from_mins(5);

/// What is typed on the complete index: what it is, keys that lead there and are not measured, the keys that are,
/// and how often.
const KEYS: [(&str, &str, &[&str], usize); 26] = [
    ("row down", "500000G", &["j"], 40),
    ("row up", "", &["k"], 40),
    ("page down", "", &["\x1b[6~"], 20),
    ("page up", "", &["\x1b[5~"], 20),
    ("first, last frame", "", &["gg", "G"], 10),
    ("frame by number", "", &["123456G", "900000G"], 10),
    ("next finding", "500000G", &["e"], 10),
    ("next reset", "", &["r"], 10),
    ("same Sid", "500000G", &[".", ","], 10),
    ("same connection", "", &[">", "<"], 10),
    ("phase", "", &["]", "["], 10),
    ("request and reply", "", &["p"], 10),
    ("mark", "", &["m"], 10),
    ("lanes: zoom", "", &["+", "-"], 10),
    ("lanes: fit, whole capture", "", &["f", "0"], 10),
    ("row down, whole capture in the lanes", "0", &["j"], 20),
    ("lanes: pan", "f\t", &["l", "h"], 10),
    ("event scale", "\x1b", &["="], 10),
    ("ladder", "", &["L"], 10),
    ("connections", "", &["c", "q"], 10),
    ("findings", "", &["F", "q"], 10),
    ("requests", "", &["Q", "q"], 10),
    ("requests of all", "Q", &["Q"], 10),
    ("help", "\x1b\x1b", &["?", "q"], 5),
    ("letter of a filter", "&sid == ", &["2", "\x7f"], 10),
    ("filter, and off", "\x15\r", &["&sid == 2\r", "&\x15\r"], 5),
];

/// What is typed while the program is at work.
const AT_WORK: [&str; 12] = [
    "j", "j", "\x1b[6~", "k", "+", "G", "k", ".", "-", "gg", "c", "q",
];

fn main() -> Result<()> {
    color_eyre::install()?;
    let arguments = Arguments::parse();
    common::build()?;
    let file = match &arguments.file {
        Some(file) => file.clone(),
        None => common::make("big", &arguments.size, "pcapng")?,
    };
    let size = (arguments.columns, arguments.rows);
    // Once for nothing: the file is in the page cache from here on.
    std::io::copy(&mut std::fs::File::open(&file)?, &mut std::io::sink())?;
    let wanted = |part| arguments.only.is_none_or(|only| only == part);
    if wanted(Part::Start) {
        starting(&file, size, arguments.starts)?;
    }
    if wanted(Part::Index) {
        on_the_index(&file, size)?;
    }
    if wanted(Part::Indexing) {
        while_indexing(&file, size, arguments.starts)?;
    }
    if wanted(Part::Finding) {
        while_finding(&file, size)?;
    }
    Ok(())
}

/// When the first rows stand, and how soon a stop is answered.
fn starting(file: &Path, size: (u16, u16), starts: usize) -> Result<()> {
    let (mut rows, mut stops, mut quits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..starts {
        let mut term = Term::start(file, size)?;
        term.wait(|screen| screen.contains("frame") && screen.contains("  1 "))?;
        rows.push(term.latest.saturating_duration_since(term.started));
        thread::sleep(Duration::from_millis(150));
        stops.extend(term.press("\x03")?.map(|answer| answer.0));
        let start = Instant::now();
        term.send("\x03")?;
        while term.child.try_wait()?.is_none() {
            if start.elapsed() > Duration::from_secs(10) {
                bail!("Ctrl-C does not end the program");
            }
            thread::sleep(Duration::from_micros(200));
        }
        quits.push(start.elapsed());
    }
    println!("\n| from the start of the program | median | worst |\n|---|---:|---:|");
    for (what, times) in [
        ("first rows on screen", rows),
        ("Ctrl-C stops the indexing", stops),
        ("Ctrl-C ends the program", quits),
    ] {
        let (median, _, worst) = spread(times);
        println!("| {what} | {median:.1?} | {worst:.1?} |");
    }
    Ok(())
}

fn on_the_index(file: &Path, size: (u16, u16)) -> Result<()> {
    let mut term = Term::start(file, size)?;
    term.wait(is_ready)?;
    println!("\ncomplete index, {}", term.frames());
    let mut table = Answers::new();
    for (what, lead, keys, times) in KEYS {
        for key in pieces(lead) {
            term.press(&key)?;
        }
        for _ in 0..times {
            for key in keys {
                let answer = term.press(key)?;
                table.note(what, answer);
            }
        }
    }
    term.end()?;
    table.print();
    Ok(())
}

fn while_indexing(file: &Path, size: (u16, u16), starts: usize) -> Result<()> {
    let mut table = Answers::new();
    for _ in 0..starts {
        let mut term = Term::start(file, size)?;
        term.wait(|screen| screen.contains("  1 "))?;
        for key in AT_WORK.iter().cycle() {
            if is_ready(&term.text()) {
                break;
            }
            let answer = term.press(key)?;
            table.note(name_of(key), answer);
        }
        term.end()?;
    }
    println!("\nwhile the capture is being indexed, {starts} times");
    table.print();
    Ok(())
}

fn while_finding(file: &Path, size: (u16, u16)) -> Result<()> {
    let mut term = Term::start(file, size)?;
    term.wait(is_ready)?;
    let mut table = Answers::new();
    term.press("/zzqx\r")?;
    for key in AT_WORK.iter().cycle().take(240) {
        if is_found(&term.text()) {
            break;
        }
        let answer = term.press(key)?;
        table.note(name_of(key), answer);
    }
    println!("\nwhile a find reads all messages");
    table.print();
    if is_found(&term.text()) {
        println!("\nThe find was over before all keys were typed: a larger capture tells more.");
        return term.end();
    }
    // Without a find that runs, Ctrl-C ends the program.
    let start = Instant::now();
    term.send("\x03")?;
    match term.wait(|screen| screen.contains("stopped")) {
        Ok(()) => println!("\nCtrl-C stops the find: {:.1?}", term.latest - start),
        Err(_) if term.child.try_wait()?.is_some() => {
            println!("\nThe find was over when Ctrl-C was typed.");
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    term.end()
}

/// Whether the state line says that the find has ended, without a hit.
fn is_found(screen: &str) -> bool {
    screen.contains("not found") || screen.contains("find zzqx (0)")
}

/// A key as it is called.
fn name_of(key: &'static str) -> &'static str {
    match key {
        "\x1b[6~" => "PgDn",
        key => key,
    }
}

/// Keys as they are typed one after the other: an escape sequence is one key.
fn pieces(keys: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for c in keys.chars() {
        match pieces.last_mut() {
            Some(last) if last.len() > 1 || (last == "\x1b" && c == '[') => last.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    pieces
}

/// Whether the capture is indexed and judged.
fn is_ready(screen: &str) -> bool {
    screen.contains('%') && !screen.contains("indexed ")
}

/// First and last byte of an answer, counted from the key.
type Answer = (Duration, Duration);

/// Times by what was typed, in the order in which it was typed first.
struct Answers(Vec<(&'static str, Vec<Answer>, usize)>);

impl Answers {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn note(&mut self, what: &'static str, answer: Option<Answer>) {
        if !self.0.iter().any(|(name, ..)| *name == what) {
            self.0.push((what, Vec::new(), 0));
        }
        for (name, answers, none) in &mut self.0 {
            if *name == what {
                match answer {
                    Some(answer) => answers.push(answer),
                    None => *none += 1,
                }
            }
        }
    }

    fn print(&self) {
        println!(
            "\n| key | answers | no change | first byte: median | last byte: median | 95 of 100 | worst |"
        );
        println!("|---|---:|---:|---:|---:|---:|---:|");
        let line = |what: &str, answers: &[Answer], none: usize| {
            let (first, ..) = spread(answers.iter().map(|a| a.0).collect());
            let (median, most, worst) = spread(answers.iter().map(|a| a.1).collect());
            println!(
                "| {what} | {} | {none} | {first:.1?} | {median:.1?} | {most:.1?} | {worst:.1?} |",
                answers.len()
            );
        };
        for (what, answers, none) in &self.0 {
            line(what, answers, *none);
        }
        let all: Vec<Answer> = self.0.iter().flat_map(|(_, a, _)| a.clone()).collect();
        if self.0.len() > 1 {
            line("all", &all, self.0.iter().map(|(.., n)| n).sum());
        }
    }
}

/// Median, 95th percentile and worst.
fn spread(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort();
    let at = |share: usize| {
        let last = times.len().saturating_sub(1);
        times.get(last * share / 100).copied().unwrap_or_default()
    };
    (at(50), at(95), at(100))
}

/// The program on its terminal.
struct Term {
    child: Box<dyn Child + Send + Sync>,
    writer: Box<dyn Write + Send>,
    output: Receiver<(Instant, Vec<u8>)>,
    parser: vt100::Parser,
    started: Instant,
    latest: Instant,
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Term {
    fn start(file: &Path, (cols, rows): (u16, u16)) -> Result<Self> {
        let failed = |error| eyre!("{error:#}");
        let pty = native_pty_system()
            .openpty(PtySize {
                rows,
                cols,
                pixel_width: 0,
                pixel_height: 0,
            })
            .map_err(failed)?;
        let mut command = CommandBuilder::new(common::target("marstui"));
        command.args(["--no-state".as_ref(), file.as_os_str()]);
        command.env("TERM", "xterm");
        command.env("LC_ALL", "C");
        let mut reader = pty.master.try_clone_reader().map_err(failed)?;
        let writer = pty.master.take_writer().map_err(failed)?;
        let started = Instant::now();
        let child = pty.slave.spawn_command(command).map_err(failed)?;
        let (send, output) = channel();
        thread::spawn(move || {
            let mut buf = vec![0; 64 * 1024];
            while let Ok(n @ 1..) = reader.read(&mut buf) {
                let bytes = buf.get(..n).unwrap_or_default().to_vec();
                if send.send((Instant::now(), bytes)).is_err() {
                    return;
                }
            }
        });
        let cells = |n| NonZero::new(n).unwrap_or(NonZero::<u16>::MIN);
        Ok(Self {
            child,
            writer,
            output,
            parser: vt100::Parser::new(cells(rows), cells(cols), 0),
            started,
            latest: started,
            _master: pty.master,
        })
    }

    fn send(&mut self, keys: &str) -> Result<()> {
        self.writer.write_all(keys.as_bytes())?;
        Ok(self.writer.flush()?)
    }

    /// Types a key; when its answer began and when it ended. What was on its way before is taken in first.
    fn press(&mut self, key: &str) -> Result<Option<Answer>> {
        while self.read(Duration::ZERO)? {}
        let start = Instant::now();
        self.send(key)?;
        if !self.read(PATIENCE)? {
            return Ok(None);
        }
        let first = self.latest;
        while self.read(QUIET)? {}
        Ok(Some((first - start, self.latest - start)))
    }

    /// Waits until the screen is as it should be.
    fn wait(&mut self, is: impl Fn(&str) -> bool) -> Result<()> {
        let start = Instant::now();
        while !is(&self.text()) {
            if start.elapsed() > LONG {
                bail!("the program does not get on:\n{}", self.text());
            }
            self.read(PATIENCE)?;
        }
        Ok(())
    }

    fn read(&mut self, patience: Duration) -> Result<bool> {
        match self.output.recv_timeout(patience) {
            Ok((at, bytes)) => {
                self.latest = at;
                self.parser.process(&bytes);
                Ok(true)
            }
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the program has ended:\n{}", self.text())
            }
        }
    }

    fn text(&self) -> String {
        self.parser.screen().contents()
    }

    /// The end of the title, which has the number of frames.
    fn frames(&self) -> String {
        let text = self.text();
        let title = text.lines().next().unwrap_or_default().trim_end();
        let from = title.rfind("  ").unwrap_or(0);
        title.get(from..).unwrap_or_default().trim().to_owned()
    }

    fn end(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}
