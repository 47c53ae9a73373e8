//! Two threads that take turns at a capture: while one takes frames in, the other reads on and cuts what it reads into
//! frames.
//!
//! Each thread takes in what it has read itself, so that the bytes stay in the cache of their processor. (A thread that
//! only reads takes a fifth more processor time, measured.) What is known of the connections goes from one to the
//! other, though: where there is much of that and little to read, as with very many short connections, one thread alone
//! is faster, and the other leaves.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::capture::{Capture, CaptureFile, Chunk, ChunkReader};

/// So often a growing file is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// With fewer bytes a second thread saves nothing that one would notice.
const WORTH_A_THREAD: u64 = 8 << 20;
/// So many chunks make a turn, 2 MB of a file in all. Handing over then costs little beside taking them in; that they do
/// not fit into a processor's nearest cache costs less (measured for 1 GB: turns of 512 KB 0.34 s of processor time and
/// 0.24 s in all, 768 KB 0.33 and 0.22 s, 2 MB 0.32 and 0.20 s; longer ones save no more).
const TURN: usize = 8;
/// So many turns are taken before it is asked whether the second thread is of use.
const TRIAL: u64 = 8;
/// It is of none where taking in takes so many times as long as reading. (Of captures made for measurements, 1.4 times
/// with long answers: the second thread saves 30 % of the time; 30 times with short connections: it costs 10 %.)
const MUCH_LONGER: u32 = 4;

/// What reads the capture and what takes its frames in, for threads that share the work.
struct Shared<'a, F> {
    stop: &'a AtomicBool,
    reading: Mutex<Part<ChunkReader>>,
    taking: Mutex<Part<F>>,
    /// Another turn is over.
    taken: Condvar,
    /// There are two threads.
    two: AtomicBool,
}

/// One of the two parts of the work, which one thread does at a time.
struct Part<T> {
    with: T,
    /// Turns that it is done with.
    turns: u64,
    /// Time that they took.
    time: Duration,
}

impl<T> Part<T> {
    fn new(with: T) -> Mutex<Self> {
        Mutex::new(Self {
            with,
            turns: 0,
            time: Duration::ZERO,
        })
    }

    /// Works on a turn, and counts the time.
    fn work(&mut self, work: impl FnOnce(&mut T)) {
        let start = Instant::now();
        work(&mut self.with);
        self.time = self.time.saturating_add(start.elapsed());
    }

    fn end_turn(&mut self) {
        self.turns = self.turns.saturating_add(1);
    }
}

/// Reads a capture to its end, or until it is stopped, and has its chunks taken in, in their order. `hands` threads do
/// so, or as many as are worth it; a panic of one of them becomes one of this thread.
pub(super) fn pass(
    capture: &Capture,
    hands: Option<usize>,
    stop: &AtomicBool,
    take: impl FnMut(&Chunk) + Send,
) {
    let shared = Shared {
        stop,
        reading: Part::new(capture.chunks()),
        taking: Part::new(take),
        taken: Condvar::new(),
        two: AtomicBool::new(hands.unwrap_or_else(|| worth(capture)) > 1),
    };
    std::thread::scope(|scope| {
        if shared.two.load(Ordering::Relaxed) {
            let other = std::thread::Builder::new().name("index 2".to_owned());
            let other = other.spawn_scoped(scope, || shared.work(true));
            shared.two.store(other.is_ok(), Ordering::Relaxed);
        }
        shared.work(false);
    });
}

/// So many threads are worth it.
fn worth(capture: &Capture) -> usize {
    let files = capture.files().iter();
    // Another thread unpacks the compressed ones.
    let plain = files.filter(|file| !file.is_stream());
    let bytes: u64 = plain.map(CaptureFile::size).sum();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    if bytes < WORTH_A_THREAD {
        1
    } else {
        processors
    }
}

impl<F: FnMut(&Chunk) + Send> Shared<'_, F> {
    /// Reads a turn's chunks, takes them in when all before them are, and begins anew.
    fn work(&self, may_leave: bool) {
        let mut chunks = Vec::with_capacity(TURN);
        while let Some((turn, reading)) = self.read(&mut chunks) {
            let Some(taking) = self.take(turn, &chunks) else {
                return;
            };
            if may_leave && turn >= TRIAL && taking > reading.saturating_mul(MUCH_LONGER) {
                self.two.store(false, Ordering::Relaxed);
                return;
            }
            // Nobody waits for this, and the buffers that are given back are those that are filled next.
            chunks.clear();
        }
    }

    /// Reads the next turn's chunks. Returns the turn's number, and the time that was spent reading so far; `None` at
    /// the end.
    fn read(&self, chunks: &mut Vec<Chunk>) -> Option<(u64, Duration)> {
        // Where the lock is poisoned, the other thread panicked, which ends the pass.
        let mut reading = self.reading.lock().ok()?;
        while !self.stop.load(Ordering::Relaxed) {
            let turn = reading.turns;
            // The first rows are wanted at once, and one thread alone has nobody to hand over to.
            let several = turn > 0 && self.two.load(Ordering::Relaxed);
            let size = if several { TURN } else { 1 };
            reading.work(|reader| fill(chunks, size, reader));
            if !chunks.is_empty() {
                reading.end_turn();
                return Some((turn, reading.time));
            }
            if reading.with.is_at_end() {
                return None;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        None
    }

    /// Takes a turn's chunks in behind those before. Returns the time that was spent with that so far; `None` if the
    /// other thread panicked.
    fn take(&self, turn: u64, chunks: &[Chunk]) -> Option<Duration> {
        // Also on a panic, so that nobody waits for ever.
        let _wake = Wake(&self.taken);
        let taking = self.taking.lock().ok()?;
        let due = self.taken.wait_while(taking, |taking| taking.turns != turn);
        let mut taking = due.ok()?;
        let wanted = chunks.iter();
        let wanted = wanted.take_while(|_| !self.stop.load(Ordering::Relaxed));
        taking.work(|take| wanted.for_each(take));
        taking.end_turn();
        Some(taking.time)
    }
}

/// Reads chunks until there are so many, or no more are there: what is still arriving is taken in as it comes.
fn fill(chunks: &mut Vec<Chunk>, size: usize, reader: &mut ChunkReader) {
    while chunks.len() < size
        && chunks.last().is_none_or(|last| !last.records.is_empty())
        && let Some(chunk) = reader.next_chunk()
    {
        chunks.push(chunk);
    }
}

/// Wakes those who wait when it is dropped.
struct Wake<'a>(&'a Condvar);

impl Drop for Wake<'_> {
    fn drop(&mut self) {
        self.0.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::capture::write::{Frame, InterfaceSpec, PcapShape, PcapWriter};
    use crate::units::{FileOffset, Nanos};

    /// Enough for some turns: 30 MB.
    fn capture() -> Capture {
        let interface = InterfaceSpec {
            link_type: 1,
            snap_len: 262_144,
            ticks_per_second: 1_000_000_000,
            name: None,
        };
        let shape = PcapShape::of([interface]).unwrap();
        let mut writer = PcapWriter::new(Vec::new(), shape).unwrap();
        for i in 0..30_000_u16 {
            let bytes = vec![0; 900 + usize::from(i % 300)];
            let frame = Frame {
                time: Nanos(i64::from(i)),
                wire: 2000,
                bytes: &bytes,
            };
            writer.frame(&frame).unwrap();
        }
        Capture::from_bytes("many.pcap", writer.finish()).unwrap()
    }

    fn offsets(capture: &Capture, hands: Option<usize>) -> Vec<FileOffset> {
        let mut offsets = Vec::new();
        pass(capture, hands, &AtomicBool::new(false), |chunk| {
            offsets.extend(chunk.records.iter().map(|record| record.offset));
        });
        offsets
    }

    #[test]
    fn two_threads_take_the_frames_in_as_one_does() {
        let capture = capture();
        let one = offsets(&capture, Some(1));
        assert_eq!(one.len(), 30_000);
        assert!(one.is_sorted());
        assert_eq!(offsets(&capture, Some(2)), one);
        assert_eq!(offsets(&capture, None), one);
    }

    #[test]
    fn a_panic_of_either_thread_ends_the_pass() {
        let capture = capture();
        for at in [0, 1, 2, 40] {
            let mut chunks = 0;
            let stop = AtomicBool::new(false);
            let passed = catch_unwind(AssertUnwindSafe(|| {
                pass(&capture, Some(2), &stop, |_| {
                    assert_ne!(chunks, at, "a mistake");
                    chunks += 1;
                });
            }));
            assert!(passed.is_err());
            assert_eq!(chunks, at);
        }
    }

    #[test]
    fn the_second_thread_leaves_where_there_is_little_to_read_beside_what_is_to_be_taken_in() {
        let capture = capture();
        let this = std::thread::current().id();
        let mut by = Vec::new();
        let mut offsets = Vec::new();
        pass(&capture, Some(2), &AtomicBool::new(false), |chunk| {
            std::thread::sleep(Duration::from_millis(20));
            by.push(std::thread::current().id() == this);
            offsets.extend(chunk.records.iter().map(|record| record.offset));
        });
        assert!(by.contains(&false));
        assert!(by.ends_with(&[true; 4]), "{by:?}");
        assert_eq!(offsets, super::tests::offsets(&capture, Some(1)));
    }

    #[test]
    fn a_stop_ends_the_pass_behind_the_chunk_that_is_taken_in() {
        let capture = capture();
        let stop = AtomicBool::new(false);
        let mut chunks = 0;
        pass(&capture, Some(2), &stop, |_| {
            chunks += 1;
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(chunks, 1);
    }
}
