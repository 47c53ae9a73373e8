//! The pass on threads of its own: a stretch of the file is read and taken apart, and batches are handed over; whoever
//! receives them stores and judges them meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::capture::{Capture, Chunk};
use crate::store::{Batch, Progress, Store};

use super::hands;
use super::over;
use super::tracker::{MAX_CONNS, Tracker};

/// Batches that may wait for the receiver.
const BATCHES_AHEAD: usize = 8;

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
    /// Connections that are followed at most; frames of further ones are kept as frames only, and a problem says so.
    pub connections: usize,
    /// Connections that are over and can still be read on, should more come; the others are ended.
    pub over: usize,
    /// Threads that take turns at the capture; `None` for as many as are worth it.
    pub hands: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first_batch: Duration::from_millis(5),
            every: Duration::from_millis(80),
            frames: 16_384,
            frames_only: false,
            connections: MAX_CONNS,
            over: over::KEPT,
            hands: None,
        }
    }
}

/// A pass that runs on threads of its own.
#[derive(Debug)]
pub struct Indexing {
    /// The batches, in order; closed behind the last one, whose progress is complete.
    pub batches: Receiver<Batch>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
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

    /// Waits until the thread has ended. Batches that were not taken are dropped.
    pub fn join(self) {
        self.stop();
        drop(self.batches);
        if let Some(thread) = self.thread {
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
    tracker.finish(None, |batch| store.append(batch));
    store
}

/// Starts indexing a capture on threads of its own.
pub fn start(capture: Capture, options: Options) -> Indexing {
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, batches) = bounded::<Batch>(BATCHES_AHEAD);
    let worker = {
        let stop = stop.clone();
        move || {
            guarded(&sender, "indexing the capture", || {
                index(&capture, options, &stop, &sender);
            });
        }
    };
    let thread = std::thread::Builder::new().name("index".to_owned());
    Indexing {
        batches,
        stop,
        thread: thread.spawn(worker).ok(),
    }
}

fn index(capture: &Capture, options: Options, stop: &AtomicBool, batches: &Sender<Batch>) {
    let mut tracker = Tracker::new(capture);
    tracker.frames_only = options.frames_only;
    tracker.max_conns = options.connections;
    tracker.over.kept = options.over;
    let mut handing = HandingOver {
        tracker,
        batches,
        options,
        stop,
        due: Instant::now() + options.first_batch,
        sent_frames: 0,
        idle: false,
    };
    hands::pass(capture, options.hands, stop, |chunk| handing.take(chunk));
    let stopped = stop
        .load(Ordering::Relaxed)
        .then(|| "stopped before the end of the capture".to_owned());
    handing.tracker.finish(stopped, |batch| {
        // The receiver may be gone; then nobody wants the rest.
        let _ = batches.send(batch);
    });
}

/// Takes in one chunk after the other, and hands over what came of them.
struct HandingOver<'a> {
    tracker: Tracker,
    batches: &'a Sender<Batch>,
    options: Options,
    stop: &'a AtomicBool,
    /// When the next batch leaves.
    due: Instant,
    /// Frames handed over.
    sent_frames: u32,
    /// The last chunk had caught up with what there is.
    idle: bool,
}

impl HandingOver<'_> {
    /// Takes in the next chunk.
    fn take(&mut self, chunk: &Chunk) {
        // What there is was handed over when it was caught up with; after that there is nothing new.
        if self.idle && chunk.caught_up {
            return;
        }
        self.idle = chunk.caught_up;
        self.tracker.chunk(chunk);
        let frames = self.tracker.frames();
        let many = frames.saturating_sub(self.sent_frames) >= self.options.frames;
        if many || self.idle || Instant::now() >= self.due {
            self.due = Instant::now() + self.options.every;
            self.sent_frames = frames;
            if self.batches.send(self.tracker.take()).is_err() {
                self.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// A panic of a worker ends the pass, not the program: what was indexed stays.
fn guarded(batches: &Sender<Batch>, doing: &str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_ok() {
        return;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::FileRow;

    #[test]
    fn a_worker_that_panics_ends_in_an_error_and_what_it_had_stays() {
        let (sender, batches) = bounded::<Batch>(4);
        guarded(&sender, "reading", || {
            let half = Batch {
                files: vec![FileRow {
                    index: 0,
                    path: "half.pcap".to_owned(),
                    format: "pcap",
                    bytes: 24,
                    frames: 0,
                }],
                ..Batch::default()
            };
            sender.send(half).unwrap();
            panic!("a mistake");
        });
        let mut store = Store::new();
        for batch in batches.try_iter() {
            store.append(batch);
        }
        assert_eq!(store.files().len(), 1);
        let progress = store.progress();
        assert!(progress.complete);
        let why = progress.stopped.as_deref();
        assert_eq!(why, Some("an error in marstui while reading"));
    }
}
