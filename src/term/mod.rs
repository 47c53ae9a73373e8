//! The terminal: enters and leaves it, turns its events into the program's, carries out effects, draws.
//!
//! One queue brings keys, signals, rows of the index and notices of workers together. All that waits is taken in
//! before the screen is drawn once; nothing is written when nothing has changed.

mod band;
mod caps;
mod config;
mod guard;
mod input;
mod keep;
mod line;
mod look;
mod opening;
mod pace;
mod plain;
mod screen;
mod search;
mod work;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select};

use crate::app::export_form::Order;
use crate::app::keymap::Keymap;
use crate::app::settings::{ColorDepth, GlyphSet, Settings};
use crate::app::{App, Effect, Event, Wanted, update};
use crate::capture::{Capture, CaptureFile, OpenOptions};
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
/// Waiting events are taken in for as long before a draw, so that a flood cannot hold the screen back.
const DRAINED: Duration = Duration::from_millis(6);
/// A search that was just started may answer within this time before the screen is drawn without its hits: one draw
/// instead of two.
const QUICK_ANSWER: Duration = Duration::from_millis(12);

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

/// What the queue brought.
enum Came {
    Input(Input),
    Signal(Signal),
    Batch(Option<Box<Batch>>),
    Notice(Event),
    /// It is time to draw what the index brought.
    Time,
    /// Nothing waits: time for a slice of work.
    Idle,
}

impl Session {
    fn run(&mut self, screen: &mut Screen) -> Exit {
        loop {
            let now = Instant::now();
            let waits = self.next_draw().is_some_and(|until| now < until);
            let panes_due = self.panes_behind && self.pace.due(now).is_none();
            if panes_due || (self.stale && !waits) {
                self.draw(screen);
            }
            if !self.app.has_work() {
                self.searches.go_on(&self.app);
            }
            let Some(mut came) = self.wait() else {
                return Exit::Fine;
            };
            let start = Instant::now();
            loop {
                if let Some(exit) = self.take(came, screen) {
                    return exit;
                }
                match self.poll() {
                    Some(next) if start.elapsed() < DRAINED => came = next,
                    Some(next) => {
                        if let Some(exit) = self.take(next, screen) {
                            return exit;
                        }
                        break;
                    }
                    None => break,
                }
            }
        }
    }

    /// Whether the store can change. A job that holds it keeps the rows of the index waiting in their bounded
    /// channel.
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.app.store) == 1
    }

    /// Waits for the next thing; `None` when nothing can come any more.
    fn wait(&self) -> Option<Came> {
        if let Some(came) = self.poll() {
            return Some(came);
        }
        let nothing = never();
        let batches = match &self.batches {
            Some(batches) if self.is_free() => batches,
            _ => &nothing,
        };
        let panes = if self.panes_behind {
            self.pace.due(Instant::now())
        } else {
            None
        };
        let due = [panes, self.next_draw()].into_iter().flatten().min();
        let due = due.map_or_else(never, crossbeam_channel::at);
        let slice = if self.app.has_work() && self.is_free() {
            crossbeam_channel::after(Duration::ZERO)
        } else {
            never()
        };
        select! {
            recv(self.inputs) -> input => input.ok().map(Came::Input),
            recv(self.signals) -> signal => signal.ok().map(Came::Signal),
            recv(batches) -> batch => Some(Came::Batch(batch.ok().map(Box::new))),
            recv(self.noticed) -> notice => notice.ok().map(Came::Notice),
            recv(due) -> _ => Some(Came::Time),
            recv(slice) -> _ => Some(Came::Idle),
        }
    }

    /// Until when what has changed waits to be drawn.
    fn next_draw(&self) -> Option<Instant> {
        let progress = self
            .waiting_progress
            .then(|| self.drawn.checked_add(PROGRESS))
            .flatten();
        progress.or(self.held_back.filter(|_| self.stale))
    }

    /// What is waiting already; keys first.
    fn poll(&self) -> Option<Came> {
        if let Ok(input) = self.inputs.try_recv() {
            return Some(Came::Input(input));
        }
        if let Ok(signal) = self.signals.try_recv() {
            return Some(Came::Signal(signal));
        }
        if let Ok(notice) = self.noticed.try_recv() {
            return Some(Came::Notice(notice));
        }
        let batches = self.batches.as_ref().filter(|_| self.is_free())?;
        batches
            .try_recv()
            .ok()
            .map(|batch| Came::Batch(Some(Box::new(batch))))
    }

    /// Takes one thing in; returns how the program ends, if it ends.
    fn take(&mut self, came: Came, screen: &mut Screen) -> Option<Exit> {
        let mut can_wait = false;
        // When a key came.
        let mut key = None;
        let event = match came {
            Came::Input(Input::Event(event)) => {
                if matches!(event, Event::Key(_)) {
                    screen.count_key();
                    key = Some(Instant::now());
                }
                #[cfg(debug_assertions)]
                if let Event::Key(key) = event {
                    guard::panic_if_asked(key);
                }
                event
            }
            Came::Input(Input::Gone) | Came::Signal(Signal::End) => {
                return Some(Exit::Interrupted);
            }
            Came::Signal(Signal::Suspend) => {
                screen.suspend();
                Event::Resumed
            }
            Came::Batch(Some(batch)) => {
                can_wait = true;
                Event::Batch(batch)
            }
            Came::Batch(None) => {
                self.batches = None;
                Event::Indexed(self.app.store.progress().stopped.clone())
            }
            Came::Notice(event) => {
                if let Event::Found { job, done, .. } = event {
                    self.searches.ended(job, done);
                    self.held_back = None;
                    can_wait = !done;
                }
                event
            }
            Came::Idle => {
                can_wait = true;
                Event::Work
            }
            Came::Time => return None,
        };
        let working = self.app.has_work();
        let full = self.app.visible().len() >= self.app.page();
        let cursor = self.app.list.cursor;
        let effects = update(&mut self.app, event);
        let moved = self.app.list.cursor != cursor;
        if let Some(when) = key {
            let searches = |effect: &Effect| matches!(effect, Effect::Search(_));
            let leads_on = moved || effects.iter().any(searches);
            self.pace.set_slow(self.app.settings.low_bandwidth);
            self.pace.key(when, leads_on);
        }
        // Rows behind a full page, and verdicts still to come, change only numbers: they can wait.
        can_wait &= full && !moved && (!working || self.app.has_work());
        self.waiting_progress = can_wait && (self.waiting_progress || !self.stale);
        self.stale = true;
        effects
            .into_iter()
            .find_map(|effect| self.carry_out(effect, screen))
    }

    /// Reads a capture in place of the one before: the same files with other times, or growing. What is still
    /// under way of the old one is stopped.
    fn read_anew(&mut self, capture: Capture) {
        self.indexing.stop();
        self.stop_rules.store(true, Ordering::Relaxed);
        self.capture = capture;
        self.dissector = Dissector::new();
        match Searches::new(self.capture.clone(), self.tell.clone()) {
            Ok(searches) => self.searches = searches,
            Err(error) => {
                let text = format!("a thread cannot be started: {error}");
                update(&mut self.app, Event::Message(Err(text)));
            }
        }
        self.started = Instant::now();
        self.indexing = track::start(self.capture.clone(), track::Options::default());
        self.batches = Some(self.indexing.batches.clone());
    }

    fn ordered(&self, order: Box<Order>) -> work::Ordered {
        work::Ordered {
            store: Arc::clone(&self.app.store),
            capture: self.capture.clone(),
            order,
            rules: self.app.rules.clone(),
        }
    }

    fn carry_out(&mut self, effect: Effect, screen: &mut Screen) -> Option<Exit> {
        match effect {
            Effect::Quit => return Some(Exit::Fine),
            Effect::Suspend => {
                screen.suspend();
                update(&mut self.app, Event::Resumed);
            }
            Effect::Clear => screen.forget(),
            Effect::Decode(command, count) => {
                self.look(&self.app.wanted());
                let effects = update(&mut self.app, Event::Run(command, count));
                return effects
                    .into_iter()
                    .find_map(|effect| self.carry_out(effect, screen));
            }
            Effect::Mouse(on) => screen.use_mouse(on),
            Effect::Copy(text) => {
                if let Err(error) = screen.copy(&text) {
                    update(&mut self.app, Event::Message(Err(format!("copy: {error}"))));
                }
            }
            Effect::StopIndexing => self.indexing.stop(),
            Effect::Shift(file, ns) => self.read_anew(self.capture.shifted(file, ns)),
            Effect::FollowFile => {
                let paths: Vec<_> = self
                    .capture
                    .files()
                    .iter()
                    .map(|f| f.path().to_owned())
                    .collect();
                match Capture::open(&paths, &OpenOptions { follow: true }) {
                    Ok(capture) => self.read_anew(capture),
                    Err(error) => {
                        // What was read before is read again.
                        self.read_anew(self.capture.clone());
                        update(&mut self.app, Event::Message(Err(error.to_string())));
                    }
                }
            }
            Effect::ApplyRules(job) => {
                self.stop_rules.store(true, Ordering::Relaxed);
                self.stop_rules = Arc::new(AtomicBool::new(false));
                work::apply_rules(
                    Arc::clone(&self.app.store),
                    self.capture.clone(),
                    self.app.own_rules.clone(),
                    job,
                    Arc::clone(&self.stop_rules),
                    self.tell.clone(),
                );
            }
            Effect::Export(order) => {
                self.stop_export.store(false, Ordering::Relaxed);
                self.exporting = work::export(
                    self.ordered(order),
                    Arc::clone(&self.stop_export),
                    self.tell.clone(),
                );
            }
            Effect::ExportText(order) => {
                work::export_text(self.ordered(order), self.tell.clone());
            }
            Effect::Foresee(number, order) => {
                work::foresee(self.ordered(order), number, self.tell.clone());
            }
            Effect::WriteList {
                list,
                path,
                replace,
            } => {
                let result = list.save(Path::new(&path), &self.capture, replace);
                update(&mut self.app, Event::ListWritten(path, result));
            }
            Effect::Keep {
                section,
                key,
                value,
            } => {
                let result = self.config.keep(section, &key, &value);
                update(&mut self.app, Event::Message(result));
            }
            Effect::StopExport => self.stop_export.store(true, Ordering::Relaxed),
            Effect::Search(search) => {
                self.searches.start(*search);
                self.held_back = Instant::now().checked_add(QUICK_ANSWER);
            }
            Effect::StopSearch(job) => self.searches.stop(job),
        }
        None
    }

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
