//! Two threads that take turns at one capture: while one takes frames in, the other reads the stretch behind and cuts
//! it into frames.
//!
//! Each thread takes in what it has read itself, so that the bytes stay in the cache of their processor. (A thread that
//! only reads takes a fifth more processor time, measured.) What is known of the connections goes from one to the
//! other, though: where there is much of that and little to read, as with very many short connections, one thread alone
//! is faster, and the other leaves.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::capture::{Capture, CaptureFile, Chunk, ChunkReader, ReadAhead};

/// So often a growing file is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// With fewer bytes a second thread saves nothing that one would notice.
const WORTH_A_THREAD: u64 = 8 << 20;
/// So many chunks are taken in before it is asked whether the second thread is of use.
const TRIAL: u64 = 8;
/// It is of none where taking in takes so many times as long as reading. (Of captures made for measurements, 1.4 times
/// with long answers: the second thread saves 30 % of the time; 30 times with short connections: it costs 10 %.)
const MUCH_LONGER: u32 = 4;

/// The capture and what takes its frames in, for threads that share the work.
struct Shared<'a, F> {
    capture: &'a Capture,
    stop: &'a AtomicBool,
    reading: Mutex<Reading>,
    taking: Mutex<Taking<F>>,
    /// Another chunk is taken in.
    taken: Condvar,
    /// There are two threads.
    two: AtomicBool,
}

struct Reading {
    chunks: ChunkReader,
    /// Chunks read so far.
    count: u64,
    /// Time that took.
    time: Duration,
}

struct Taking<F> {
    take: F,
    /// Chunks taken in so far.
    count: u64,
    /// Time that took.
    time: Duration,
}

/// One thread's part of the work.
#[derive(Default)]
struct Hand {
    /// It leaves when it is of no use.
    may_leave: bool,
    /// What it reads, or has read, before that is due.
    ahead: Option<ReadAhead>,
    /// Time that it took to read that.
    time: Duration,
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
        capture,
        stop,
        reading: Mutex::new(Reading {
            chunks: capture.chunks(),
            count: 0,
            time: Duration::ZERO,
        }),
        taking: Mutex::new(Taking {
            take,
            count: 0,
            time: Duration::ZERO,
        }),
        taken: Condvar::new(),
        two: AtomicBool::new(hands.unwrap_or_else(|| worth(capture)) > 1),
    };
    std::thread::scope(|scope| {
        if shared.two.load(Ordering::Relaxed) {
            let other = std::thread::Builder::new().name("index 2".to_owned());
            let other = other.spawn_scoped(scope, || {
                shared.work(Hand {
                    may_leave: true,
                    ..Hand::default()
                });
            });
            shared.two.store(other.is_ok(), Ordering::Relaxed);
        }
        shared.work(Hand::default());
    });
}

/// So many threads are worth it.
fn worth(capture: &Capture) -> usize {
    let files = capture.files().iter();
    let straight = files.filter(|file| file.goes_straight_on());
    let bytes: u64 = straight.map(CaptureFile::size).sum();
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    if bytes < WORTH_A_THREAD {
        1
    } else {
        processors
    }
}

impl<F: FnMut(&Chunk) + Send> Shared<'_, F> {
    /// Reads a chunk, takes it in when its turn comes, and begins anew.
    fn work(&self, mut hand: Hand) {
        while let Some((no, chunk, reading)) = self.read(&mut hand) {
            let Some(taking) = self.take(no, &chunk) else {
                return;
            };
            if hand.may_leave && no >= TRIAL && taking > reading.saturating_mul(MUCH_LONGER) {
                self.two.store(false, Ordering::Relaxed);
                return;
            }
            drop(chunk);
            // Nobody waits for this, and its buffer is the one that was just given back.
            if let Some(ahead) = &mut hand.ahead {
                let start = Instant::now();
                ahead.read(self.capture);
                hand.time = start.elapsed();
            }
        }
    }

    /// The next chunk, made of what was read ahead if that is what comes next; with its number, and the time that was
    /// spent reading so far. What is to be read ahead then is the stretch behind the other thread's. `None` at the end.
    fn read(&self, hand: &mut Hand) -> Option<(u64, Chunk, Duration)> {
        // Where the lock is poisoned, the other thread panicked, which ends the pass.
        let mut reading = self.reading.lock().ok()?;
        while !self.stop.load(Ordering::Relaxed) {
            let start = Instant::now();
            if let Some(chunk) = reading.chunks.next_chunk_of(hand.ahead.take()) {
                let no = reading.count;
                reading.count = no.saturating_add(1);
                let time = std::mem::take(&mut hand.time).saturating_add(start.elapsed());
                reading.time = reading.time.saturating_add(time);
                if self.two.load(Ordering::Relaxed) {
                    hand.ahead = reading.chunks.ahead(1);
                }
                return Some((no, chunk, reading.time));
            }
            if reading.chunks.is_at_end() {
                return None;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        None
    }

    /// Takes a chunk in behind those before it. Returns the time that was spent with that so far; `None` if the other
    /// thread panicked.
    fn take(&self, no: u64, chunk: &Chunk) -> Option<Duration> {
        // Also on a panic, so that nobody waits for ever.
        let _wake = Wake(&self.taken);
        let taking = self.taking.lock().ok()?;
        let due = self.taken.wait_while(taking, |taking| taking.count != no);
        let mut taking = due.ok()?;
        let start = Instant::now();
        (taking.take)(chunk);
        taking.time = taking.time.saturating_add(start.elapsed());
        taking.count = no.saturating_add(1);
        Some(taking.time)
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
        for at in 0..4 {
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
    fn a_stop_ends_the_pass_behind_the_chunks_that_are_read() {
        let capture = capture();
        let stop = AtomicBool::new(false);
        let mut chunks = 0;
        pass(&capture, Some(2), &stop, |_| {
            chunks += 1;
            stop.store(true, Ordering::Relaxed);
        });
        assert!((1..=2).contains(&chunks), "{chunks}");
    }
}
