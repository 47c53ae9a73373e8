//! The terminal's screen: taken over, drawn on, given back. Everything written is counted.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{Command, execute, queue};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::line::Line;
use super::plain::Plain;
use crate::app::layout::Layout;
use crate::app::{App, Event, Stats, update};
use crate::ui;

/// Whether the terminal is taken over, so that whoever ends the program knows what to undo.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether the alternate screen is used; lines are printed where the shell printed its own.
static ALTERNATE: AtomicBool = AtomicBool::new(true);
/// Whether the mouse is captured.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// A writer that counts.
struct Counted {
    out: BufWriter<Stdout>,
    bytes: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buf)?;
        let more = u64::try_from(written).unwrap_or(0);
        self.bytes.fetch_add(more, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The screen.
pub struct Screen {
    line: Line<Counted>,
    bytes: Arc<AtomicU64>,
    draws: u64,
    keys: u64,
    /// Bytes of the capture read in a second.
    rate: u64,
    /// Where the panes stand, if nothing lies over them.
    panes: Option<Layout>,
    /// What was printed, where lines are printed.
    plain: Option<Plain>,
}

impl Screen {
    /// Takes the terminal over; `synchronized` where it shall show each drawing at once (mode 2026).
    /// With `plain` it prints lines instead of drawing.
    pub fn enter(mouse: bool, synchronized: bool, plain: bool) -> io::Result<Self> {
        ALTERNATE.store(!plain, Ordering::Relaxed);
        MOUSE.store(mouse, Ordering::Relaxed);
        take_over()?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            out: BufWriter::with_capacity(32 * 1024, io::stdout()),
            bytes: Arc::clone(&bytes),
        };
        Ok(Self {
            line: Line::new(counted, synchronized),
            bytes,
            draws: 0,
            keys: 0,
            rate: 0,
            panes: None,
            plain: plain.then(Plain::default),
        })
    }

    /// Columns and rows.
    pub fn size() -> (u16, u16) {
        crossterm::terminal::size().unwrap_or((80, 24))
    }

    /// Whether the panes beside the list stand on screen where they would be drawn.
    pub fn can_keep_panes(&self, app: &App) -> bool {
        self.line.shown().is_some() && self.panes == Some(app.layout())
    }

    /// Draws the state, if that changes anything on screen. With `keep`, the panes beside the list stay as they are.
    pub fn draw(&mut self, app: &mut App, keep: bool) {
        let stats = Stats {
            rate: self.rate,
            bytes: self.bytes.load(Ordering::Relaxed),
            draws: self.draws,
            keys: self.keys,
        };
        update(app, Event::Stats(stats));
        if let Some(plain) = &mut self.plain {
            // See below about errors.
            let drawn = plain.draw(&mut self.line, app).is_ok_and(|drawn| drawn);
            self.draws = self.draws.saturating_add(u64::from(drawn));
            return;
        }
        let (w, h) = app.size;
        let mut next = Buffer::empty(Rect::new(0, 0, w, h));
        let kept = self.line.shown().filter(|_| keep);
        let cursor = ui::draw(app, &mut next, kept);
        let cursor = cursor.filter(|at| at.x < w && at.y < h);
        // An error here means that the terminal is gone; its hang-up signal or end of input ends the program.
        if self.line.draw(&next, cursor).is_ok_and(|drawn| drawn) {
            self.draws = self.draws.saturating_add(1);
        }
        let bare = app.layers.is_empty() && app.prompt.is_none() && app.pending.is_empty();
        self.panes = bare.then(|| app.layout());
    }

    /// Uses the mouse, or leaves it to the terminal.
    pub fn use_mouse(&mut self, on: bool) {
        MOUSE.store(on, Ordering::Relaxed);
        let out = &mut self.line;
        // See `draw` about errors.
        let _ = if on {
            execute!(out, EnableMouseCapture)
        } else {
            execute!(out, DisableMouseCapture)
        };
    }

    /// Notes how fast the capture is read, for the status line.
    pub fn set_rate(&mut self, rate: u64) {
        self.rate = rate;
    }

    /// Counts a key, for the statistics.
    pub fn count_key(&mut self) {
        self.keys = self.keys.saturating_add(1);
    }

    /// Forgets what is on screen, so that the next draw writes everything.
    pub fn forget(&mut self) {
        self.line.forget();
        if let Some(plain) = &mut self.plain {
            plain.forget();
        }
    }

    /// Puts text on the terminal's clipboard; inside tmux and screen wrapped so that it gets through.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut sequence = String::new();
        CopyToClipboard::to_clipboard_from(text)
            .write_ansi(&mut sequence)
            .map_err(|_| io::Error::other("the text cannot be encoded"))?;
        let sequence = super::caps::wrapped(&sequence, &|name| std::env::var(name).ok());
        let out = &mut self.line;
        out.write_all(sequence.as_bytes())?;
        out.flush()
    }

    /// Gives the terminal back, stops the program, and takes the terminal over again when it goes on.
    pub fn suspend(&mut self) {
        restore();
        // Without job control the signal does nothing, and the program simply goes on.
        let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTSTP);
        // See `draw` about errors.
        let _ = take_over();
        self.forget();
    }

    /// Gives the terminal back.
    pub fn leave(&mut self) {
        let _ = self.line.flush();
        restore();
    }
}

fn take_over() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut out = io::stdout();
    if ALTERNATE.load(Ordering::Relaxed) {
        queue!(out, EnterAlternateScreen)?;
    }
    execute!(out, EnableBracketedPaste)?;
    if MOUSE.load(Ordering::Relaxed) {
        execute!(out, EnableMouseCapture)?;
    }
    Ok(())
}

/// Gives the terminal back, if it is taken; whoever comes first does it, others do nothing. A terminal that is
/// gone cannot be restored, so errors are of no use to anybody.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    if MOUSE.load(Ordering::Relaxed) {
        let _ = queue!(out, DisableMouseCapture);
    }
    if ALTERNATE.load(Ordering::Relaxed) {
        let _ = queue!(out, LeaveAlternateScreen);
    }
    let _ = execute!(out, DisableBracketedPaste, Show);
    let _ = disable_raw_mode();
}
