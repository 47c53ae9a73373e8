//! Work beside the screen, on a thread of its own; what comes of it arrives as an event.

use std::cell::Cell;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::Sender;

use crate::app::Event;
use crate::app::copy;
use crate::app::export_form::{Foreseen, Order};
use crate::capture::Capture;
use crate::export::{ExportError, Job, Target};
use crate::query::user_rules::{self, UserRule};
use crate::query::{Dissected, Eval};
use crate::rules;
use crate::store::Store;

/// Frames between two notices of an export's progress; a multiple of the writers' own step of 256.
const STEP: u64 = 51_200;

/// An export that the form asks for, with what it is made from. The store is held as long as this is; rows of the index
/// wait until then.
pub struct Ordered {
    /// The rows.
    pub store: Arc<Store>,
    /// The bytes.
    pub capture: Capture,
    /// What, how and where.
    pub order: Box<Order>,
    /// The thresholds of the rules.
    pub rules: rules::Settings,
}

impl Ordered {
    fn job<'a>(&'a self, stop: &'a AtomicBool, progress: &'a dyn Fn(u64)) -> Job<'a> {
        Job {
            store: &self.store,
            capture: &self.capture,
            plan: &self.order.plan,
            options: &self.order.options,
            rules: &self.rules,
            stop,
            progress,
        }
    }
}

/// Writes an export.
pub fn export(
    ordered: Ordered,
    stop: Arc<AtomicBool>,
    tell: Sender<Event>,
) -> Option<JoinHandle<()>> {
    let failed = tell.clone();
    let started = thread::Builder::new()
        .name("export".to_string())
        .spawn(move || {
            let said = Cell::new(0_u64);
            let progress = |frames: u64| {
                if frames.saturating_sub(said.get()) >= STEP {
                    said.set(frames);
                    // The screen is gone when this fails; the export is stopped then.
                    let _ = tell.send(Event::Exporting(frames));
                }
            };
            let job = ordered.job(&stop, &progress);
            let target = Target::from_arg(&ordered.order.path);
            let result =
                catch_unwind(AssertUnwindSafe(|| job.save(&target))).unwrap_or_else(|_| {
                    Err(ExportError::Refused(
                        "an error in marstui stopped it".to_string(),
                    ))
                });
            drop(ordered);
            let _ = tell.send(Event::Exported(result));
        });
    match started {
        Ok(thread) => Some(thread),
        Err(error) => {
            let _ = failed.send(Event::Exported(Err(ExportError::Read(error))));
            None
        }
    }
}

/// Exports of more frames or bytes than these are not written to see how large they are.
const TRIED: (u64, u64) = (5_000, 8_000_000);

/// A writer that only counts.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(buf.len() as u64);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that keeps what can be copied, and counts the rest.
#[derive(Default)]
struct Copied {
    text: Vec<u8>,
    bytes: usize,
}

impl Write for Copied {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bytes = self.bytes.saturating_add(buf.len());
        if self.bytes <= copy::MOST {
            self.text.extend_from_slice(buf);
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Makes the text of an export, to be copied.
pub fn export_text(ordered: Ordered, tell: Sender<Event>) {
    let failed = tell.clone();
    let started = thread::Builder::new()
        .name("copy".to_string())
        .spawn(move || {
            let stop = AtomicBool::new(false);
            let job = ordered.job(&stop, &|_| {});
            let write = || {
                let mut copied = Copied::default();
                job.write_to(&mut copied).map_err(|e| e.to_string())?;
                if copied.bytes > copy::MOST {
                    return Err(copy::too_many(copied.bytes));
                }
                Ok(String::from_utf8_lossy(&copied.text).into_owned())
            };
            let text = catch_unwind(AssertUnwindSafe(write))
                .unwrap_or_else(|_| Err("an error in marstui stopped it".to_string()));
            drop(ordered);
            // The screen is gone when this fails.
            let _ = tell.send(Event::ExportText(text));
        });
    if let Err(error) = started {
        let _ = failed.send(Event::ExportText(Err(format!(
            "it cannot be copied: {error}"
        ))));
    }
}

/// Looks into what an export would come to; a small one is written to nowhere for that.
pub fn foresee(ordered: Ordered, number: u64, tell: Sender<Event>) {
    // Without a thread the form says what the plan says.
    let _ = thread::Builder::new()
        .name("foresee".to_string())
        .spawn(move || {
            let stop = AtomicBool::new(false);
            let job = ordered.job(&stop, &|_| {});
            let look = || {
                let (frames, bytes) = TRIED;
                let plan = job.plan;
                let small = plan.frames.len() <= frames && plan.bytes <= bytes;
                let mut counted = Counted(0);
                let tried = small && job.write_to(&mut counted).is_ok();
                Foreseen {
                    bytes: tried.then_some(counted.0),
                    problems: job.problems(),
                    remarks: job.remarks(),
                }
            };
            let foreseen = catch_unwind(AssertUnwindSafe(look)).unwrap_or_default();
            drop(ordered);
            // The screen is gone when this fails.
            let _ = tell.send(Event::Foreseen(number, foreseen));
        });
}

/// Applies the user's own rules. The store is held until it is done; rows of the index wait as long.
pub fn apply_rules(
    store: Arc<Store>,
    capture: Capture,
    rules: Vec<UserRule>,
    job: u64,
    stop: Arc<AtomicBool>,
    tell: Sender<Event>,
) {
    let failed = tell.clone();
    let started = thread::Builder::new()
        .name("rules".to_string())
        .spawn(move || {
            let work = || {
                let fields = Dissected::new(&capture);
                let eval = Eval {
                    decode: Some(&fields),
                    ..Eval::of(&store)
                };
                user_rules::apply(&rules, &eval, &mut || stop.load(Ordering::Relaxed))
            };
            let result = catch_unwind(AssertUnwindSafe(work));
            drop(store);
            // The screen is gone when this fails.
            let _ = tell.send(match result {
                Ok(applied) if applied.stopped => return,
                Ok(applied) => Event::RulesApplied(job, Box::new(applied)),
                Err(_) => Event::Message(Err(
                    "an error in marstui stopped the rules of your own".to_string()
                )),
            });
        });
    if let Err(error) = started {
        let text = format!("the rules of your own cannot be applied: {error}");
        let _ = failed.send(Event::Message(Err(text)));
    }
}
