//! An indexed capture for the commands without a screen: opened, read to its end with progress on standard error,
//! and judged by the rules. Ctrl-C stops the reading and keeps what is there.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGHUP, SIGTERM};

use super::args::RuleArgs;
use super::failure::Failure;
use super::output;
use super::wishes::Wishes;
use crate::capture::{Capture, CaptureFile, OpenOptions};
use crate::exit::Exit;
use crate::export::FrameSet;
use crate::query;
use crate::query::user_rules::{self, UserRule};
use crate::report::stats::{self, Stats};
use crate::report::words;
use crate::rules;
use crate::store::Store;
use crate::track;

/// How often Ctrl-C is looked for while nothing arrives.
const LOOK_UP: Duration = Duration::from_millis(20);

/// So long standard input may stay silent before that is said.
const PATIENCE: Duration = Duration::from_millis(700);

/// Places of damage that are named; `report` lists them all.
const DAMAGES: usize = 3;

/// The capture of `--demo`.
const DEMO: &[u8] = include_bytes!("../../fixtures/demo.pcapng.zst");

/// An indexed and judged capture.
pub struct Opened {
    /// The files.
    pub capture: Capture,
    /// The rows and findings.
    pub store: Store,
    /// What the user wishes.
    pub wishes: Wishes,
    stop: Arc<AtomicBool>,
    index_time: Duration,
    rules_time: Duration,
}

/// Opens the files that were named, or the built-in capture. With `follow`, the last file may still grow.
pub fn open(files: &[PathBuf], demo: bool, follow: bool) -> Result<Capture, Failure> {
    if demo {
        let bytes = zstd::decode_all(DEMO)
            .map_err(|error| Failure::new(Exit::CannotRead, format!("marstui: --demo: {error}")))?;
        return Ok(Capture::from_bytes("demo.pcapng", bytes)?);
    }
    Ok(Capture::open(files, &OpenOptions { follow })?)
}

/// Opens the files on a thread of its own, which ends with the program: what it waits for cannot be interrupted.
fn open_until_stopped(
    files: &[PathBuf],
    demo: bool,
    stop: &AtomicBool,
) -> Result<Capture, Failure> {
    let (tell, opened) = crossbeam_channel::bounded(1);
    let files = files.to_vec();
    std::thread::spawn(move || tell.send(open(&files, demo, false)));
    loop {
        match opened.recv_timeout(LOOK_UP) {
            Ok(opened) => return opened,
            Err(RecvTimeoutError::Timeout) => {
                if stop.load(Ordering::Relaxed) {
                    let text = "marstui: stopped before the capture was open; nothing was read";
                    return Err(Failure::new(Exit::Interrupted, text));
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                let text = "marstui: the capture could not be opened";
                return Err(Failure::new(Exit::CannotRead, text));
            }
        }
    }
}

/// Says after a moment that nothing arrives on standard input; silent once it is dropped.
struct Waiting {
    _done: crossbeam_channel::Sender<()>,
}

impl Waiting {
    fn new() -> Self {
        let (done, arrived) = crossbeam_channel::bounded::<()>(0);
        std::thread::spawn(move || {
            if arrived.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                output::say("marstui: waiting for a capture on standard input; Ctrl-C ends this");
            }
        });
        Self { _done: done }
    }
}

/// Applies the rules of the user's own. Ctrl-C stops them.
fn apply_own(own: &[UserRule], store: &mut Store, capture: &Capture, stop: &AtomicBool) {
    if own.is_empty() {
        return;
    }
    let fields = query::Dissected::new(capture);
    let eval = query::Eval {
        decode: Some(&fields),
        ..query::Eval::of(store)
    };
    let applied = user_rules::apply(own, &eval, &mut || stop.load(Ordering::Relaxed));
    for (rule, conn) in &applied.too_broad {
        output::say(&format!(
            "marstui: the rule `{rule}` gave up on connection {conn}: its steps fit too many frames"
        ));
    }
    for finding in applied.findings {
        store.add_finding(finding);
    }
}

/// A command ends with the program, which gives its memory back as a whole: taking the rows apart one by one before
/// that would be for nothing.
impl Drop for Opened {
    fn drop(&mut self) {
        std::mem::forget(std::mem::take(&mut self.store));
    }
}

impl Opened {
    /// Opens, indexes and judges files.
    pub fn files(files: &[PathBuf], args: &RuleArgs) -> Result<Self, Failure> {
        Self::new(files, false, args)
    }

    /// Opens files and notes where their frames stand, without looking into them.
    pub fn frames_only(files: &[PathBuf], args: &RuleArgs) -> Result<Self, Failure> {
        let options = track::Options {
            frames_only: true,
            ..track::Options::default()
        };
        Self::with(files, false, args, options)
    }

    /// Opens, indexes and judges files, or the built-in capture.
    pub fn new(files: &[PathBuf], demo: bool, args: &RuleArgs) -> Result<Self, Failure> {
        Self::with(files, demo, args, track::Options::default())
    }

    fn with(
        files: &[PathBuf],
        demo: bool,
        args: &RuleArgs,
        options: track::Options,
    ) -> Result<Self, Failure> {
        let wishes = Wishes::new(args)?;
        let stop = stop_on_interrupt()?;
        let start = Instant::now();
        let arrives = files.iter().any(|file| file.as_os_str() == "-");
        let waiting = arrives.then(Waiting::new);
        let capture = open_until_stopped(files, demo, &stop)?;
        drop(waiting);
        let bar = Bar::bytes(capture.files().iter().map(CaptureFile::size).sum());
        let mut store = Store::new();
        let indexing = track::start(capture.clone(), options);
        loop {
            match indexing.batches.recv_timeout(LOOK_UP) {
                Ok(batch) => {
                    // A stream's length shows only while it arrives.
                    bar.of(batch.progress.bytes_total);
                    bar.set(batch.progress.bytes_done);
                    store.append(batch);
                    bar.frames_so_far(store.frame_count());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if stop.load(Ordering::Relaxed) && !indexing.is_stopping() {
                indexing.stop();
            }
        }
        indexing.join();
        bar.clear();
        let index_time = start.elapsed();
        let start = Instant::now();
        if !options.frames_only {
            rules::judge(&mut store, &wishes.rules);
            apply_own(&wishes.own, &mut store, &capture, &stop);
        }
        let rules_time = start.elapsed();
        let opened = Self {
            capture,
            store,
            wishes,
            stop,
            index_time,
            rules_time,
        };
        if opened.interrupted() {
            output::say(&format!(
                "marstui: stopped after frame {}; what follows is about the frames before",
                opened.store.frame_count()
            ));
        }
        Ok(opened)
    }

    /// The frames that a filter leaves.
    pub fn filtered(&self, text: &str) -> Result<FrameSet, Failure> {
        let frames = self.wishes.filtered(&self.store, &self.capture, text)?;
        Ok(frames.into_iter().collect())
    }

    /// From here on, a signal to end the program ends its work first, so that nothing half written stays.
    pub fn end_on_signals(&self) -> Result<Ending, Failure> {
        let told = Arc::new(AtomicUsize::new(0));
        for signal in [SIGTERM, SIGHUP] {
            let number = usize::try_from(signal).unwrap_or(0);
            signal_hook::flag::register_usize(signal, Arc::clone(&told), number)
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&self.stop)))
                .map_err(no_signals)?;
        }
        Ok(Ending(told))
    }

    /// Set by Ctrl-C.
    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Ctrl-C was pressed while the capture was read, so that what there is counts.
    pub fn was_stopped(&self) -> bool {
        self.store.progress().stopped.is_some()
    }

    /// Ctrl-C was pressed.
    pub fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Says on standard error where the files are damaged: what is printed lacks what stood there.
    pub fn say_damage(&self) {
        for problem in words::problems(&self.store, 0).take(DAMAGES) {
            output::say(&format!("marstui: {problem}"));
        }
        let more = self.store.problems().len().saturating_sub(DAMAGES);
        if more > 0 {
            output::say(&format!("marstui: {more} more; marstui report lists them"));
        }
    }

    /// How the program ends where all went well that was not interrupted.
    pub fn exit(&self) -> Exit {
        if self.interrupted() {
            Exit::Interrupted
        } else {
            Exit::Fine
        }
    }

    /// What it cost so far.
    pub fn stats(&self) -> Stats {
        let frames = self.store.frame_count() as u64;
        let index_bytes = self.store.memory();
        Stats {
            frames,
            bytes: self.store.files().iter().map(|f| f.bytes).sum(),
            index_seconds: self.index_time.as_secs_f64(),
            rules_seconds: self.rules_time.as_secs_f64(),
            index_bytes,
            index_bytes_per_frame: per(index_bytes, frames),
            peak_memory_bytes: stats::peak_memory(),
            cpu_seconds: stats::cpu_seconds(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a mean for people")]
fn per(bytes: u64, frames: u64) -> f64 {
    if frames == 0 {
        0.0
    } else {
        bytes as f64 / frames as f64
    }
}

fn stop_on_interrupt() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    // A second Ctrl-C ends the program at once, whatever it is doing.
    let register = |()| {
        signal_hook::flag::register_conditional_shutdown(
            signal_hook::consts::SIGINT,
            130,
            Arc::clone(&stop),
        )?;
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&stop))
    };
    register(()).map_err(no_signals)?;
    Ok(stop)
}

#[expect(clippy::needless_pass_by_value, reason = "it maps an error")]
fn no_signals(error: std::io::Error) -> Failure {
    Failure::new(Exit::CannotRead, format!("marstui: signals: {error}"))
}

/// Takes note of signals to end the program.
pub struct Ending(Arc<AtomicUsize>);

impl Ending {
    /// Ends the program as the signal does by itself, if one came.
    pub fn end_if_told(&self) {
        let told = self.0.load(Ordering::Relaxed);
        if let Some(signal) = i32::try_from(told).ok().filter(|signal| *signal != 0) {
            // Where that cannot be done, the work was stopped all the same.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
        }
    }
}

/// How the progress reads: percent, frames, rate, time left.
const READING: &str =
    "reading {percent:>3}%  {bytes} of {total_bytes}  {msg}  {bytes_per_sec}  {eta} left";
const WRITING: &str =
    "writing {percent:>3}%  {human_pos} of {human_len} frames  {per_sec}  {eta} left";

/// Progress on standard error; silent when that is no terminal.
pub struct Bar(ProgressBar);

impl Bar {
    fn bytes(len: u64) -> Self {
        Self::new(len, READING)
    }

    /// For frames that are written.
    pub fn frames(len: u64) -> Self {
        Self::new(len, WRITING)
    }

    fn new(len: u64, template: &str) -> Self {
        // The library draws nothing when standard error is no terminal.
        let bar = ProgressBar::new(len);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// How much there is in all, as far as is known now.
    fn of(&self, total: u64) {
        self.0.set_length(total);
    }

    /// How far it is.
    pub fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// How many frames were read so far.
    fn frames_so_far(&self, frames: usize) {
        if !self.0.is_hidden() {
            let frames = HumanCount(u64::try_from(frames).unwrap_or(u64::MAX));
            self.0.set_message(format!("{frames} frames"));
        }
    }

    /// Takes it off the screen.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_percent_frames_rate_and_time_left() {
        use indicatif::{ProgressDrawTarget, TermLike};
        for (bar, said) in [
            (Bar::bytes(1000), ["50%", "1,234 frames", "/s", "left"]),
            (
                Bar::frames(1000),
                ["50%", "500 of 1,000 frames", "/s", "left"],
            ),
        ] {
            let screen = Screen::default();
            let lines = std::sync::Arc::clone(&screen.0);
            let target = ProgressDrawTarget::term_like(Box::new(screen) as Box<dyn TermLike>);
            bar.0.set_draw_target(target);
            bar.frames_so_far(1234);
            bar.set(500);
            bar.0.tick();
            let text = lines.lock().unwrap().clone();
            for word in said {
                assert!(text.contains(word), "{word}: {text}");
            }
        }
    }

    /// Takes note of what is drawn.
    #[derive(Debug, Default)]
    struct Screen(std::sync::Arc<std::sync::Mutex<String>>);

    impl indicatif::TermLike for Screen {
        fn width(&self) -> u16 {
            120
        }

        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> std::io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
