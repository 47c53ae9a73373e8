//! Two threads that take turns at a capture: while one takes frames in, the other reads on and cuts what it reads into
//! frames.
//!
//! Each thread takes in what it has read itself, so that the bytes stay in the cache of their processor. (A thread that
//! only reads takes a fifth more processor time, measured.) While the other still reads what comes before, it does not
//! wait: it reads on from where that will end, as far as that is known, and cuts later. (Cutting what was read at once
//! is faster, though: 3 % of the processor time of all.) What is known of the connections goes from one to the other:
//! where there is much of that and little to read, as with very many short connections, one thread alone is faster, and
//! the other leaves.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::capture::{Ahead, Capture, CaptureFile, Chunk, ChunkReader};

/// So often a growing file is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// With fewer bytes a second thread saves nothing that one would notice.
const WORTH_A_THREAD: u64 = 8 << 20;
/// So many chunks make a turn, 2 MB of a file in all: handing over then costs little beside taking them in. (Measured for
/// 1 GB: turns of 1 MB take 3 % more processor time and a tenth more time in all, those of 4 MB the same, and more memory.)
const TURN: usize = 8;
/// So many turns are taken before it is asked whether the second thread is of use.
const TRIAL: u64 = 8;
/// It is of none where taking in takes so many times as long as reading. (Of captures made for measurements, 1.4 times
/// with long answers: the second thread saves 30 % of the time; 30 times with short connections: it costs 10 %.)
const MUCH_LONGER: u32 = 4;

/// What reads the capture and what takes its frames in, for threads that share the work.
struct Shared<'a, F> {
    stop: &'a AtomicBool,
    reading: Turns<ChunkReader>,
    taking: Turns<F>,
    /// There are two threads.
    two: AtomicBool,
}

/// One of the two parts of the work, which the threads do in turns.
struct Turns<T> {
    part: Mutex<Part<T>>,
    /// Another turn is over, or a thread has left.
    over: Condvar,
}

struct Part<T> {
    with: T,
    /// Turns that it is done with.
    turns: u64,
    /// Time that they took.
    time: Duration,
}

impl<T> Turns<T> {
    fn new(with: T) -> Self {
        let part = Part {
            with,
            turns: 0,
            time: Duration::ZERO,
        };
        Self {
            part: Mutex::new(part),
            over: Condvar::new(),
        }
    }

    /// Waits for the turn that is due by its number; `None` if the other thread panicked.
    fn wait(&self, is_due: impl Fn(u64) -> bool) -> Option<MutexGuard<'_, Part<T>>> {
        let part = self.part.lock().ok()?;
        let part = self.over.wait_while(part, |part| !is_due(part.turns));
        part.ok()
    }

    /// Whether the turn is due at once, so that nothing has to be waited for.
    fn is_now(&self, is_due: impl Fn(u64) -> bool) -> bool {
        let part = self.part.try_lock();
        part.is_ok_and(|part| is_due(part.turns))
    }

    /// The turn is over.
    fn end(&self, mut part: MutexGuard<'_, Part<T>>) {
        part.turns = part.turns.saturating_add(1);
        drop(part);
        self.over.notify_all();
    }

    /// Has those that wait look around.
    fn wake(&self) {
        // Whoever is about to wait has looked around before; with the lock in between, it does wait already.
        drop(self.part.lock());
        self.over.notify_all();
    }
}

impl<T> Part<T> {
    /// Works on a turn, and counts the time.
    fn work(&mut self, work: impl FnOnce(&mut T)) {
        let start = Instant::now();
        work(&mut self.with);
        self.took(start.elapsed());
    }

    fn took(&mut self, time: Duration) {
        self.time = self.time.saturating_add(time);
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
        reading: Turns::new(capture.chunks()),
        taking: Turns::new(take),
        two: AtomicBool::new(hands.unwrap_or_else(|| worth(capture)) > 1),
    };
    std::thread::scope(|scope| {
        if shared.two.load(Ordering::Relaxed) {
            let other = std::thread::Builder::new().name("index 2".to_owned());
            let other = other.spawn_scoped(scope, || shared.work(Hand::Second));
            shared.two.store(other.is_ok(), Ordering::Relaxed);
        }
        shared.work(Hand::First);
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

/// One of the threads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hand {
    /// Has every other turn, and all when it is alone.
    First,
    Second,
}

impl Hand {
    fn has(self, turn: u64) -> bool {
        turn.is_multiple_of(2) == (self == Self::First)
    }
}

impl<F: FnMut(&Chunk) + Send> Shared<'_, F> {
    /// Reads a turn's chunks, takes them in when all before them are, and begins anew.
    fn work(&self, hand: Hand) {
        let _leave = Leave(self);
        let mut chunks = Vec::with_capacity(TURN);
        let mut ahead = None;
        while let Some((turn, reading)) = self.read(hand, &mut ahead, &mut chunks) {
            let Some(taking) = self.take(turn, &chunks) else {
                return;
            };
            let is_trial = turn < TRIAL || hand == Hand::First;
            if !is_trial && taking > reading.saturating_mul(MUCH_LONGER) {
                return;
            }
            // Nobody waits for this, and the buffers that are given back are those that are filled next.
            chunks.clear();
        }
    }

    /// Reads the next turn's chunks; while those before are still being read, what is known to be among them. Returns the
    /// turn's number, and the time that was spent reading so far; `None` at the end.
    fn read(
        &self,
        hand: Hand,
        ahead: &mut Option<Ahead>,
        chunks: &mut Vec<Chunk>,
    ) -> Option<(u64, Duration)> {
        let is_due = |turn| hand.has(turn) || !self.two.load(Ordering::Relaxed);
        let start = Instant::now();
        let known = ahead.take().filter(|_| !self.reading.is_now(is_due));
        let there = known.map(Ahead::read);
        let took = start.elapsed();
        let mut reading = self.reading.wait(is_due)?;
        reading.took(took);
        if let Some(there) = there {
            reading.with.offer(there);
        }
        while !self.stop.load(Ordering::Relaxed) {
            let turn = reading.turns;
            let two = self.two.load(Ordering::Relaxed);
            // The first rows are wanted at once, and one thread alone has nobody to hand over to.
            let size = if two && turn > 0 { TURN } else { 1 };
            reading.work(|reader| fill(chunks, size, reader));
            if !chunks.is_empty() {
                // The next turn is the other's.
                let next = two.then(|| reading.with.ahead(TURN, TURN));
                *ahead = next.flatten();
                let time = reading.time;
                self.reading.end(reading);
                return Some((turn, time));
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
        let mut taking = self.taking.wait(|due| due == turn)?;
        let wanted = chunks.iter();
        let wanted = wanted.take_while(|_| !self.stop.load(Ordering::Relaxed));
        taking.work(|take| wanted.for_each(take));
        let time = taking.time;
        self.taking.end(taking);
        Some(time)
    }
}

/// A thread leaves, or panics: nobody waits for it any more.
struct Leave<'a, F>(&'a Shared<'a, F>);

impl<F> Drop for Leave<'_, F> {
    fn drop(&mut self) {
        self.0.two.store(false, Ordering::Relaxed);
        self.0.reading.wake();
        self.0.taking.wake();
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

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::capture::write::{Frame, InterfaceSpec, PcapShape, PcapWriter};
    use crate::units::{FileOffset, Nanos};

    /// Enough for some turns: 30 MB.
    fn capture() -> Capture {
        Capture::from_bytes("many.pcap", bytes(|_| 0)).unwrap()
    }

    /// A capture's bytes, with so many bytes more in each frame.
    fn bytes(more: impl Fn(u16) -> usize) -> Vec<u8> {
        let interface = InterfaceSpec {
            link_type: 1,
            snap_len: 262_144,
            ticks_per_second: 1_000_000_000,
            name: None,
        };
        let shape = PcapShape::of([interface]).unwrap();
        let mut writer = PcapWriter::new(Vec::new(), shape).unwrap();
        for i in 0..30_000_u16 {
            let bytes = vec![0; 900 + usize::from(i % 300) + more(i)];
            let frame = Frame {
                time: Nanos(i64::from(i)),
                wire: 300_000,
                bytes: &bytes,
            };
            writer.frame(&frame).unwrap();
        }
        writer.finish()
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
    fn long_records_and_damage_are_read_over_as_by_one_thread() {
        let long = |i: u16| if i.is_multiple_of(500) { 250_000 } else { 0 };
        let mut bytes = bytes(long);
        for damaged in [5_000_000, 5_300_000, 20_000_000] {
            bytes[damaged..damaged + 5000].fill(0xff);
        }
        let capture = Capture::from_bytes("long.pcap", bytes).unwrap();
        let one = offsets(&capture, Some(1));
        assert!((29_000..30_000).contains(&one.len()), "{}", one.len());
        assert_eq!(offsets(&capture, Some(2)), one);
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
