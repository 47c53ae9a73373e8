//! Searches on a thread of their own, so that keys are answered while frames are decoded.
//!
//! The thread gets the store for a slice of time and gives it back with the slice's hits: in between, rows of the
//! index can come in. A search that has seen all frames waits for more.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::app::{App, Event, Search};
use crate::capture::Capture;
use crate::query::find::{Find, Needle};
use crate::query::{Dissected, Eval};
use crate::store::Store;

/// How long a slice takes; rows of the index wait as long.
const SLICE: Duration = Duration::from_millis(20);

/// Frames as ranges in file order, both ends included.
type Ranges = Vec<(u32, u32)>;

/// The searches that run, and those that have seen all frames so far and wait for more.
#[derive(Debug)]
pub struct Searches {
    orders: Sender<Order>,
    running: Vec<Job>,
    /// A slice is being worked on; its end comes as [`Event::Found`].
    at_work: bool,
}

#[derive(Debug)]
struct Job {
    number: u64,
    /// Tells the thread to leave the slice.
    stop: Arc<AtomicBool>,
    /// Frames of the store when the last slice began, and whether the search has seen them all.
    seen: (usize, bool),
}

#[derive(Debug)]
enum Order {
    Start(u64, Box<Needle>, Arc<AtomicBool>),
    Forget(u64),
    Slice(Box<Slice>),
}

#[derive(Debug)]
struct Slice {
    number: u64,
    store: Arc<Store>,
    marked: Ranges,
    ignored: Ranges,
}

impl Searches {
    /// Starts the thread, which reads frames of a capture and tells of its hits.
    pub fn new(capture: Capture, tell: Sender<Event>) -> std::io::Result<Self> {
        let (orders, ordered) = unbounded();
        thread::Builder::new()
            .name("search".to_string())
            .spawn(move || work(&ordered, &capture, &tell))?;
        Ok(Self {
            orders,
            running: Vec::new(),
            at_work: false,
        })
    }

    /// Starts a search.
    pub fn start(&mut self, search: Search) {
        let stop = Arc::new(AtomicBool::new(false));
        self.order(Order::Start(
            search.job,
            Box::new(search.needle),
            Arc::clone(&stop),
        ));
        self.running.push(Job {
            number: search.job,
            stop,
            seen: (0, false),
        });
    }

    /// Stops a search; the slice that is being worked on ends with the frame that is being decoded.
    pub fn stop(&mut self, number: u64) {
        if let Some(at) = self.running.iter().position(|job| job.number == number) {
            let job = self.running.remove(at);
            job.stop.store(true, Ordering::Relaxed);
            self.order(Order::Forget(number));
        }
    }

    /// Gives the thread its next slice, if it waits for one and a search has frames to ask.
    pub fn go_on(&mut self, app: &App) {
        let count = app.store.frame_count();
        let has_frames = |job: &&mut Job| job.seen != (count, true);
        if self.at_work {
            return;
        }
        let Some(job) = self.running.iter_mut().find(has_frames) else {
            return;
        };
        job.seen = (count, false);
        let ranges = |set: &crate::export::FrameSet| -> Ranges {
            set.ranges().map(|(a, b)| (a.0, b.0)).collect()
        };
        let slice = Slice {
            number: job.number,
            store: Arc::clone(&app.store),
            marked: ranges(&app.marks),
            ignored: ranges(&app.ignored),
        };
        self.at_work = true;
        self.order(Order::Slice(Box::new(slice)));
    }

    /// A slice has ended.
    pub fn ended(&mut self, number: u64, done: bool) {
        self.at_work = false;
        if let Some(job) = self.running.iter_mut().find(|job| job.number == number) {
            job.seen.1 = done;
        }
    }

    fn order(&self, order: Order) {
        // The thread ends with the program only: whatever a search does to it is caught there.
        let _ = self.orders.send(order);
    }
}

/// The thread.
fn work(orders: &Receiver<Order>, capture: &Capture, tell: &Sender<Event>) {
    let decoder = Dissected::new(capture);
    let mut finds: HashMap<u64, (Find, Arc<AtomicBool>)> = HashMap::new();
    for order in orders {
        match order {
            Order::Start(number, needle, stop) => {
                finds.insert(number, (Find::new(*needle), stop));
            }
            Order::Forget(number) => {
                finds.remove(&number);
            }
            Order::Slice(slice) => {
                let number = slice.number;
                let one = || match finds.get_mut(&number) {
                    Some((find, stop)) => step(find, stop, &slice, &decoder),
                    None => nothing(number),
                };
                let found = catch_unwind(AssertUnwindSafe(one)).unwrap_or_else(|_| {
                    // What was wrong is told where panics are reported; the search is over.
                    finds.remove(&number);
                    nothing(number)
                });
                drop(slice);
                if tell.send(found).is_err() {
                    return;
                }
            }
        }
    }
}

fn nothing(job: u64) -> Event {
    Event::Found {
        job,
        frames: Vec::new(),
        asked: 0,
        done: true,
    }
}

fn step(find: &mut Find, stop: &AtomicBool, slice: &Slice, decoder: &Dissected<'_>) -> Event {
    let eval = Eval {
        marked: &slice.marked,
        ignored: &slice.ignored,
        decode: Some(decoder),
        ..Eval::of(&slice.store)
    };
    let end = Instant::now() + SLICE;
    let mut frames = Vec::new();
    let progress = find.step(
        &eval,
        decoder,
        &mut || stop.load(Ordering::Relaxed) || Instant::now() >= end,
        &mut |hits| frames.extend(hits),
    );
    Event::Found {
        job: slice.number,
        frames,
        asked: u64::from(progress.next.0.saturating_sub(1)),
        done: progress.done,
    }
}
