//! The terminal: enters and leaves it, turns its events into the program's, carries out effects, draws.
//!
//! One queue brings keys, signals, rows of the index and notices of workers together. All that waits is taken in
//! before the screen is drawn once; nothing is written when nothing has changed.

mod band;
mod caps;
mod config;
mod effects;
mod guard;
mod input;
mod keep;
mod line;
mod look;
mod opening;
mod pace;
mod plain;
mod queue;
mod screen;
mod search;
mod work;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::app::keymap::Keymap;
use crate::app::settings::{ColorDepth, GlyphSet, Settings};
use crate::app::{App, Event, Wanted, update};
use crate::capture::{Capture, CaptureFile};
use crate::dissect::Dissector;
use crate::exit::Exit;
use crate::export::{self, Choice, Format, Job, Plan, Target, What};
use crate::query::user_rules::UserRule;
use crate::settings::ThemeFile;
use crate::store::Batch;
use crate::track;
use config::Config;
use input::{Input, Signal};
use look::look;
use opening::Opening;
use pace::Pace;
use screen::Screen;
use search::Searches;

/// While a capture is indexed and its first page stands, the screen follows once in this time.
const PROGRESS: Duration = Duration::from_secs(1);
/// What the screen is started with besides the capture.
#[derive(Debug, Default)]
pub struct Options {
    /// Colour depth asked for; `None` for what the environment says.
    pub colors: Option<ColorDepth>,
    /// Glyphs asked for; `None` for what the environment says.
    pub glyphs: Option<GlyphSet>,
    /// One pane, no frames.
    pub plain: bool,
    /// Mistakes in the settings, to be shown first.
    pub problems: Vec<String>,
    /// Print the listing of the marked frames when the screen is left.
    pub print_marks: bool,
    /// Rules of the user's own.
    pub own_rules: Vec<UserRule>,
    /// What the title says until the capture is open.
    pub waiting_for: String,
}

/// Shows a capture until the user leaves. Opening it may take its time, as on standard input; the screen says so,
/// and can be left meanwhile. What was wrong with opening it is returned.
pub fn run<E: Send + 'static>(
    open: impl FnOnce() -> Result<Capture, E> + Send + 'static,
    settings: &crate::settings::Settings,
    rules: crate::rules::Settings,
    options: &Options,
) -> Result<Exit, E> {
    if !io::stdout().is_terminal() {
        return Ok(say_plainly(
            "the screen needs a terminal; `marstui report FILE` prints the facts of a capture",
        ));
    }
    let opening = Opening::start(open);
    let soon = opening.soon().transpose()?;
    let (tell, noticed) = crossbeam_channel::unbounded();
    guard::install(tell.clone());
    let (mut view, mut problems) = Settings::from_file(settings);
    view.plain = options.plain;
    if let Some(name) = &settings.view.theme_file {
        let (theme, wrong) = ThemeFile::load(name);
        view.use_theme(theme);
        problems.extend(wrong.iter().map(ToString::to_string));
    }
    caps::settle(&mut view, settings, options.colors, options.glyphs);
    let keymap = keymap(&settings.keys, &mut problems);
    let mut screen = match Screen::enter(view.mouse, settings.view.sync_output, view.plain) {
        Ok(screen) => screen,
        Err(error) => {
            return Ok(say_plainly(&format!(
                "the terminal cannot be used: {error}"
            )));
        }
    };
    let (inputs, signals) = (input::listen(), input::signals());
    let mut app = App::new(options.waiting_for.as_str(), Screen::size(), view);
    app.keymap = keymap;
    let opened = match soon {
        Some(capture) => Ok(Ok(capture)),
        None => opening.wait(&mut app, &mut screen, &inputs, &signals),
    };
    let capture = match opened {
        Ok(Ok(capture)) => capture,
        Ok(Err(error)) => {
            screen.leave();
            return Err(error);
        }
        Err(exit) => {
            screen.leave();
            return Ok(exit);
        }
    };
    let capture = &capture;
    app.name = name(capture);
    app.files_open = capture
        .files()
        .iter()
        .map(|file| file.path().display().to_string())
        .collect();
    app.rules = rules;
    app.own_rules.clone_from(&options.own_rules);
    let place = if settings.view.state {
        keep::place(capture)
    } else {
        None
    };
    app.to_restore = place.as_deref().and_then(keep::read);
    let problems = options.problems.iter().cloned().chain(problems);
    app.announce_mistakes(problems.collect());
    let slow = app.settings.low_bandwidth;
    let searches = match Searches::new(capture.clone(), tell.clone()) {
        Ok(searches) => searches,
        Err(error) => {
            screen.leave();
            return Ok(say_plainly(&format!("a thread cannot be started: {error}")));
        }
    };
    let indexing = track::start(capture.clone(), track::Options::default());
    let mut session = Session {
        app,
        capture: capture.clone(),
        inputs,
        signals,
        batches: Some(indexing.batches.clone()),
        indexing,
        noticed,
        tell,
        stop_export: Arc::new(AtomicBool::new(false)),
        exporting: None,
        dissector: Dissector::new(),
        stop_rules: Arc::new(AtomicBool::new(false)),
        searches,
        started: Instant::now(),
        drawn: Instant::now(),
        stale: true,
        waiting_progress: false,
        pace: Pace::new(slow),
        panes_behind: false,
        config: Config::of(settings),
        held_back: None,
    };
    let ended = session.run(&mut screen);
    screen.leave();
    session.stop_export.store(true, Ordering::Relaxed);
    if let Some(export) = session.exporting.take() {
        // What went wrong in it was told already.
        let _ = export.join();
    }
    // Numbers of frames in a moved order mean other frames the next time.
    if let Some(place) = place.filter(|_| !session.app.shifted) {
        keep_state(&session.app, &place);
    }
    if options.print_marks && !session.app.marks.is_empty() {
        print_marks(&session.app, &session.capture);
    }
    Ok(ended)
}

/// Keeps marks and place for the next time; where there is nothing to keep, nothing stays behind.
fn keep_state(app: &App, place: &Path) {
    let result = match app.kept() {
        Some(kept) => keep::write(place, &kept),
        None if place.exists() => std::fs::remove_file(place),
        None => Ok(()),
    };
    if let Err(error) = result {
        let _ = writeln!(
            io::stderr(),
            "marstui: {}: {error}; marks and place are not kept (--no-state avoids this)",
            place.display()
        );
    }
}

/// Prints the listing of the marked frames where the shell's output stands again.
fn print_marks(app: &App, capture: &Capture) {
    let plan = Plan::new(&app.store, &Choice::of(What::Marked(app.marks.clone())));
    let job = Job {
        store: &app.store,
        capture,
        plan: &plan,
        options: &export::Options::of(Format::Listing),
        rules: &app.rules,
        stop: &AtomicBool::new(false),
        progress: &|_| (),
    };
    if let Err(error) = job.save(&Target::Stdout) {
        // A reader that left has what it wanted.
        if !error.is_closed_pipe() {
            let _ = writeln!(io::stderr(), "marstui: {error}");
        }
    }
}

/// The capture's name for the title: the first file's, and how many more there are.
fn name(capture: &Capture) -> String {
    let files = capture.files();
    let first = files.first().map(CaptureFile::path);
    let name = first.map_or_else(String::new, |path| {
        path.file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned()
    });
    match files.len() {
        0 | 1 => name,
        n => format!("{name} +{}", n.saturating_sub(1)),
    }
}

/// The keys of the settings; what is wrong with them becomes a message and changes nothing.
fn keymap(keys: &crate::settings::Keys, problems: &mut Vec<String>) -> Keymap {
    let mut map = Keymap::preset(&keys.preset).unwrap_or_else(|problem| {
        if !keys.preset.is_empty() {
            problems.push(problem);
        }
        Keymap::standard()
    });
    for binding in &keys.bindings {
        for key in &binding.keys {
            if let Err(problem) = map.map(key, &binding.command, &binding.place.to_string()) {
                problems.push(format!("{}: {problem}", binding.place));
            }
        }
    }
    map
}

fn say_plainly(text: &str) -> Exit {
    // Nobody is left to tell when even standard error is gone.
    let _ = writeln!(io::stderr(), "marstui: {text}");
    Exit::CannotRead
}

/// A run of the loop.
struct Session {
    app: App,
    capture: Capture,
    indexing: track::Indexing,
    inputs: Receiver<Input>,
    signals: Receiver<Signal>,
    batches: Option<Receiver<Batch>>,
    noticed: Receiver<Event>,
    tell: Sender<Event>,
    stop_export: Arc<AtomicBool>,
    /// The last export, to be waited for at the end: its temporary file goes with it.
    exporting: Option<JoinHandle<()>>,
    dissector: Dissector,
    stop_rules: Arc<AtomicBool>,
    searches: Searches,
    /// When the indexing began.
    started: Instant,
    drawn: Instant,
    /// Something changed since the last draw.
    stale: bool,
    /// Only the index has grown since the last draw.
    waiting_progress: bool,
    pace: Pace,
    /// The panes beside the list are older than the list.
    panes_behind: bool,
    config: Config,
    /// Until when a draw waits for the answer of a search.
    held_back: Option<Instant>,
}

impl Session {
    /// Bytes read in a second since the indexing began; 0 until that says something.
    fn rate(&self, now: Instant) -> u64 {
        let spent = now.duration_since(self.started);
        let done = self.app.store.progress().bytes_done;
        if spent < PROGRESS {
            return 0;
        }
        let millis = u64::try_from(spent.as_millis()).unwrap_or(u64::MAX);
        let rate = done.saturating_mul(1000).checked_div(millis);
        rate.unwrap_or(0)
    }

    /// Decodes what is wanted.
    fn look(&mut self, wanted: &Wanted) {
        if !wanted.is_empty() {
            let looked = look(&mut self.dissector, &self.app.store, &self.capture, wanted);
            update(&mut self.app, Event::Looked(looked));
        }
    }

    /// Decodes what the screen lacks, and draws. While keys keep moving the cursor, the panes beside the list stay as
    /// they are, all of them; when only the index has grown, they need not change.
    fn draw(&mut self, screen: &mut Screen) {
        let now = Instant::now();
        let keys_come = self.pace.due(now).is_some();
        let same = self.waiting_progress && !self.panes_behind;
        let keep = (keys_come || same) && self.app.can_lag() && screen.can_keep_panes(&self.app);
        let mut wanted = self.app.wanted();
        if keep {
            wanted.tree = None;
        }
        self.look(&wanted);
        screen.set_rate(self.rate(now));
        screen.draw(&mut self.app, keep);
        self.panes_behind = keep && keys_come;
        self.stale = false;
        self.waiting_progress = false;
        self.held_back = None;
        self.drawn = now;
    }
}
