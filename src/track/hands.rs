//! Two threads that take turns at one capture: while one takes frames in, the other reads the stretch behind and cuts
//! it into frames.
//!
//! Each thread takes in what it has read itself, so that the bytes stay in the cache of their processor. (A thread that
//! only reads takes a fifth more processor time, measured.)

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use crate::capture::{Capture, CaptureFile, Chunk, ChunkReader, ReadAhead};

/// So often a growing file is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// With fewer bytes a second thread saves nothing that one would notice.
const WORTH_A_THREAD: u64 = 8 << 20;

/// The capture and what takes its frames in, for threads that share the work.
struct Shared<'a, F> {
    capture: &'a Capture,
    stop: &'a AtomicBool,
    reading: Mutex<Reading>,
    taking: Mutex<Taking<F>>,
    /// Another chunk is taken in.
    taken: Condvar,
}

struct Reading {
    chunks: ChunkReader,
    /// Chunks read so far.
    count: u64,
}

struct Taking<F> {
    take: F,
    /// Chunks taken in so far.
    count: u64,
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
        }),
        taking: Mutex::new(Taking { take, count: 0 }),
        taken: Condvar::new(),
    };
    std::thread::scope(|scope| {
        let two = hands.unwrap_or_else(|| worth(capture)) > 1;
        let other = std::thread::Builder::new().name("index 2".to_owned());
        let two = two && other.spawn_scoped(scope, || shared.hand(true)).is_ok();
        shared.hand(two);
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
    /// One thread's part: reads a chunk, takes it in when its turn comes, and begins anew.
    fn hand(&self, with_another: bool) {
        let mut ahead = None;
        while let Some((no, chunk)) = self.read(&mut ahead, with_another) {
            if !self.take(no, &chunk) {
                return;
            }
            drop(chunk);
            // Nobody waits for this, and its buffer is the one that was just given back.
            if let Some(ahead) = &mut ahead {
                ahead.read(self.capture);
            }
        }
    }

    /// The next chunk and its number, made of what was read ahead if that is what comes next; `ahead` becomes the
    /// stretch to read ahead for the chunk after the other thread's. `None` at the end.
    fn read(&self, ahead: &mut Option<ReadAhead>, with_another: bool) -> Option<(u64, Chunk)> {
        // Where the lock is poisoned, the other thread panicked, which ends the pass.
        let mut reading = self.reading.lock().ok()?;
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(chunk) = reading.chunks.next_chunk_of(ahead.take()) {
                let no = reading.count;
                reading.count = no.saturating_add(1);
                if with_another {
                    *ahead = reading.chunks.ahead(1);
                }
                return Some((no, chunk));
            }
            if reading.chunks.is_at_end() {
                return None;
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        None
    }

    /// Takes a chunk in behind those before it; says whether it could.
    fn take(&self, no: u64, chunk: &Chunk) -> bool {
        // Also on a panic, so that nobody waits for ever.
        let _wake = Wake(&self.taken);
        let due = self
            .taking
            .lock()
            .and_then(|taking| self.taken.wait_while(taking, |taking| taking.count != no));
        let Ok(mut taking) = due else {
            return false;
        };
        (taking.take)(chunk);
        taking.count = no.saturating_add(1);
        true
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

    /// Enough for many turns: 20 MB.
    fn capture() -> Capture {
        let interface = InterfaceSpec {
            link_type: 1,
            snap_len: 262_144,
            ticks_per_second: 1_000_000_000,
            name: None,
        };
        let shape = PcapShape::of([interface]).unwrap();
        let mut writer = PcapWriter::new(Vec::new(), shape).unwrap();
        for i in 0..20_000_u16 {
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
        assert_eq!(one.len(), 20_000);
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
