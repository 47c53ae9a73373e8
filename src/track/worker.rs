//! The two threads of the pass: one reads the file and cuts frames, one tracks and fills batches.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::capture::{Capture, Chunk};
use crate::store::{Batch, Progress, Store};

use super::tracker::Tracker;

/// Chunks that may wait for the tracking thread.
const CHUNKS_AHEAD: usize = 8;
/// Batches that may wait for the receiver.
const BATCHES_AHEAD: usize = 8;
/// So often a growing file is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How a capture is indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Time until the first batch leaves.
    pub first_batch: Duration,
    /// Time between batches.
    pub every: Duration,
    /// Frames after which a batch leaves in any case: so few that their rows are still in the cache when they are
    /// stored.
    pub frames: u32,
    /// Only note where frames stand, without looking into them.
    pub frames_only: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first_batch: Duration::from_millis(5),
            every: Duration::from_millis(80),
            frames: 8192,
            frames_only: false,
        }
    }
}

/// A pass that runs on threads of its own.
#[derive(Debug)]
pub struct Indexing {
    /// The batches, in order; closed behind the last one, whose progress is complete.
    pub batches: Receiver<Batch>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Indexing {
    /// Asks the pass to stop; a last batch with what there is follows within some 50 ms.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The flag behind [`Indexing::stop`], for a caller that keeps only the batches.
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Whether it was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Waits until both threads have ended. Batches that were not taken are dropped.
    pub fn join(self) {
        self.stop();
        drop(self.batches);
        for thread in self.threads {
            // A panic inside was caught and has become a batch; there is nothing else to report.
            let _ = thread.join();
        }
    }
}

/// Indexes a whole capture on this thread.
pub fn load(capture: &Capture) -> Store {
    let mut store = Store::new();
    let mut tracker = Tracker::new(capture);
    let mut chunks = capture.chunks();
    let mut since = 0;
    while let Some(chunk) = chunks.next_chunk() {
        tracker.chunk(&chunk);
        if tracker.frames().saturating_sub(since) >= Options::default().frames {
            since = tracker.frames();
            store.append(tracker.take());
        }
    }
    store.append(tracker.finish(None));
    store
}

/// Starts indexing a capture on two threads.
pub fn start(capture: Capture, options: Options) -> Indexing {
    let stop = Arc::new(AtomicBool::new(false));
    let (chunk_sender, chunk_receiver) = bounded::<Chunk>(CHUNKS_AHEAD);
    let (sender, batches) = bounded::<Batch>(BATCHES_AHEAD);
    let mut threads = Vec::new();
    let reader = {
        let (stop, capture, failed) = (stop.clone(), capture.clone(), sender.clone());
        move || {
            let work = AssertUnwindSafe(|| read(&capture, &stop, &chunk_sender));
            if catch_unwind(work).is_err() {
                report_panic(&failed, "reading the capture");
            }
        }
    };
    let worker = {
        let stop = stop.clone();
        move || {
            let work = AssertUnwindSafe(|| {
                track(&capture, options, &stop, &chunk_receiver, &sender);
            });
            if catch_unwind(work).is_err() {
                report_panic(&sender, "indexing the capture");
            }
        }
    };
    let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
    threads.extend(named("read").spawn(reader).ok());
    threads.extend(named("track").spawn(worker).ok());
    Indexing {
        batches,
        stop,
        threads,
    }
}

fn read(capture: &Capture, stop: &AtomicBool, chunks: &Sender<Chunk>) {
    let mut reader = capture.chunks();
    while !stop.load(Ordering::Relaxed) {
        match reader.next_chunk() {
            Some(chunk) => {
                if chunks.send(chunk).is_err() {
                    return;
                }
            }
            None if !reader.is_at_end() => std::thread::sleep(LOOK_AGAIN),
            None => return,
        }
    }
}

fn track(
    capture: &Capture,
    options: Options,
    stop: &AtomicBool,
    chunks: &Receiver<Chunk>,
    batches: &Sender<Batch>,
) {
    let mut tracker = Tracker::new(capture);
    tracker.frames_only = options.frames_only;
    let mut due = Instant::now() + options.first_batch;
    let mut sent_frames = 0;
    let mut idle = false;
    while let Ok(chunk) = chunks.recv() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // What there is was handed over when it was caught up with; after that there is nothing new.
        if idle && chunk.caught_up {
            continue;
        }
        idle = chunk.caught_up;
        tracker.chunk(&chunk);
        let many = tracker.frames().saturating_sub(sent_frames) >= options.frames;
        if many || idle || Instant::now() >= due {
            due = Instant::now() + options.every;
            sent_frames = tracker.frames();
            if batches.send(tracker.take()).is_err() {
                return;
            }
        }
    }
    let stopped = stop
        .load(Ordering::Relaxed)
        .then(|| "stopped before the end of the capture".to_owned());
    // The receiver may be gone; then nobody wants the rest.
    let _ = batches.send(tracker.finish(stopped));
}

/// A panic of a worker ends the pass, not the program: what was indexed stays.
fn report_panic(batches: &Sender<Batch>, doing: &str) {
    let batch = Batch {
        progress: Progress {
            complete: true,
            stopped: Some(format!("an error in marstui while {doing}")),
            ..Progress::default()
        },
        ..Batch::default()
    };
    let _ = batches.send(batch);
}
