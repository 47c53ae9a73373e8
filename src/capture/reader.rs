//! Reading a capture from its first frame to its last in chunks, with bounded memory; several files one after the
//! other, or merged by time where they overlap.

use std::collections::VecDeque;

use super::chunk::{Chunk, Damage, Pool, RecordMeta};
use super::cut::to_u64;
use super::file::{FileReader, STRETCH, Step};
use super::open::Capture;
use super::window::{Ahead, ReadAhead};
use crate::units::{InterfaceId, Nanos};

/// Reads the frames of a capture in order. It can be moved to a thread of its own.
#[derive(Debug)]
pub struct ChunkReader {
    capture: Capture,
    pool: Pool,
    next_interface: u32,
    /// Files that have not been begun, in the order of their first frames.
    pending: VecDeque<usize>,
    /// Files being read.
    active: Vec<Active>,
    /// Bytes read of the files that are done with.
    bytes_before: u64,
    /// It was said that everything there is has been read.
    told: bool,
}

/// A file being read, with the records of it that are not handed over yet.
#[derive(Debug)]
struct Active {
    file: usize,
    reader: FileReader,
    chunk: Chunk,
    at: usize,
    /// Its reader had nothing when it was asked last.
    pause: Option<Pause>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    Busy,
    Waiting,
    Idle,
}

impl Active {
    fn head(&self) -> Option<&RecordMeta> {
        self.chunk.records.get(self.at)
    }

    /// Its next record is not there yet and will come.
    fn is_arriving(&self) -> bool {
        self.head().is_none() && matches!(self.pause, Some(Pause::Busy | Pause::Waiting))
    }
}

impl ChunkReader {
    pub(super) fn new(capture: Capture) -> Self {
        Self {
            pending: order(&capture),
            capture,
            pool: Pool::default(),
            next_interface: 0,
            active: Vec::new(),
            bytes_before: 0,
            told: false,
        }
    }

    /// The next stretch of frames; `None` when there are no more. Where a growing file is followed, a chunk that is
    /// `caught_up` and then `None` mean that there are no more yet, and it can be asked again. While a stream is still arriving, it returns within
    /// some 20 ms, with a chunk that holds no records if need be, so that its caller can look around.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        let mut out = Chunk::default();
        self.fill(&mut out);
        if self.alone() {
            self.hand_over(&mut out);
        } else {
            self.merge(&mut out);
        }
        let empty = out.records.is_empty() && out.interfaces.is_empty() && out.problems.is_empty();
        // This holds of no files at all, too: they are done with.
        let idle = empty && self.active.iter().all(|a| a.pause == Some(Pause::Idle));
        if idle && (self.told || self.active.is_empty()) {
            return None;
        }
        self.told = idle;
        let busy = self.active.iter().any(|a| a.pause == Some(Pause::Busy));
        out.caught_up = empty && !busy;
        let files = self.capture.files();
        out.bytes_done = self.active.iter().fold(self.bytes_before, |sum, active| {
            let file = files.get(active.file);
            sum.saturating_add(file.map_or(0, |file| active.reader.progress(file)))
        });
        out.bytes_total = self.capture.expected_bytes().max(out.bytes_done);
        Some(out)
    }

    /// What can be read while others take their turn at reading first, of as many chunks; then come `chunks`, which are
    /// that. `None` if it is not known well enough what comes then.
    pub fn ahead(&self, others: usize, chunks: usize) -> Option<Ahead> {
        let [active] = self.active.as_slice() else {
            return None;
        };
        let file = self.capture.files().get(active.file)?;
        let before = others.saturating_mul(STRETCH);
        Some(Ahead {
            capture: self.capture.clone(),
            file: active.file,
            pool: self.pool.clone(),
            position: active.reader.behind(to_u64(before), file)?,
            windows: chunks,
        })
    }

    /// Takes over what was read ahead, of which use is made where it is what comes next.
    pub fn offer(&mut self, ahead: ReadAhead) {
        let mut active = self.active.iter_mut();
        if let Some(active) = active.find(|active| active.file == ahead.file) {
            active.reader.offer(ahead.windows);
        }
    }

    /// Whether nothing will come any more, also where a growing file is followed.
    pub fn is_at_end(&self) -> bool {
        self.active.is_empty() && self.pending.is_empty()
    }

    /// Whether the frames of one file can be handed over as they are: no other file has frames of the same time.
    fn alone(&self) -> bool {
        let [active] = self.active.as_slice() else {
            return false;
        };
        let first_of_next = self
            .pending
            .front()
            .and_then(|file| self.capture.first_time(*file));
        active.at == 0
            && first_of_next.is_none_or(|next| {
                let mut times = active.chunk.records.iter().map(|record| record.time);
                times.all(|time| time < next)
            })
    }

    fn hand_over(&mut self, out: &mut Chunk) {
        if let Some(active) = self.active.first_mut() {
            let chunk = std::mem::take(&mut active.chunk);
            let before = std::mem::take(&mut out.problems);
            out.data = chunk.data;
            out.records = chunk.records;
            out.problems = before;
            out.problems.extend(chunk.problems);
        }
    }

    /// Copies frames of several files into one chunk, the earliest first; each file keeps its own order.
    fn merge(&mut self, out: &mut Chunk) {
        let mut buf = self.pool.take(STRETCH);
        let mut len = 0_usize;
        loop {
            self.fill(out);
            let begun = !out.records.is_empty();
            // What is still arriving may be earlier than all others.
            let arriving = self.active.iter().any(Active::is_arriving);
            if arriving || begun && self.alone() {
                break;
            }
            let heads = self.active.iter().enumerate();
            let earliest = heads
                .filter_map(|(i, active)| Some((active.head()?.time, i)))
                .min();
            let Some((_, active)) = earliest.and_then(|(time, i)| {
                let active = self.active.get_mut(i)?;
                Some((time, active))
            }) else {
                break;
            };
            let Some(record) = active.head().copied() else {
                break;
            };
            let bytes = active.chunk.bytes(&record);
            let end = len.saturating_add(bytes.len());
            if end > buf.len() {
                if len > 0 {
                    break;
                }
                buf.resize(end, 0);
            }
            if let Some(to) = buf.get_mut(len..end) {
                to.copy_from_slice(bytes);
            }
            out.records.push(RecordMeta {
                start: u32::try_from(len).unwrap_or(u32::MAX),
                ..record
            });
            len = end;
            active.at = active.at.saturating_add(1);
        }
        out.data = self.pool.data(buf, 0..len);
    }

    /// Sees to it that every file being read has its next record at hand, as far as there is one, and begins the
    /// files whose time has come. Interfaces go to `out` at once, problems behind the records they belong to.
    fn fill(&mut self, out: &mut Chunk) {
        loop {
            let mut i = 0;
            while let Some(active) = self.active.get_mut(i) {
                if active.head().is_some() || active.pause.is_some() && !out.records.is_empty() {
                    i = i.saturating_add(1);
                    continue;
                }
                late(std::mem::take(&mut active.chunk.problems), out);
                let Some(file) = self.capture.files().get(active.file) else {
                    self.active.remove(i);
                    continue;
                };
                active.at = 0;
                active.pause = None;
                match active
                    .reader
                    .step(file, &self.pool, &mut self.next_interface)
                {
                    Step::Chunk(chunk) => {
                        active.chunk = chunk;
                        let shift = self.capture.shift(active.file);
                        if shift != 0 {
                            for record in &mut active.chunk.records {
                                record.time = Nanos(record.time.0.saturating_add(shift));
                            }
                        }
                        let interfaces = std::mem::take(&mut active.chunk.interfaces);
                        self.capture.note(&active.chunk.side_blocks);
                        self.declare(interfaces, out);
                        continue;
                    }
                    Step::Busy => active.pause = Some(Pause::Busy),
                    Step::Waiting => active.pause = Some(Pause::Waiting),
                    Step::Idle => active.pause = Some(Pause::Idle),
                    Step::Done => {
                        self.bytes_before = self.bytes_before.saturating_add(file.expected_bytes());
                        self.active.remove(i);
                        continue;
                    }
                }
                i = i.saturating_add(1);
            }
            if !self.begin_next() {
                return;
            }
        }
    }

    /// Begins the next file if nothing of an earlier time stands before it.
    fn begin_next(&mut self) -> bool {
        let Some(file) = self.pending.front().copied() else {
            return false;
        };
        let first = self.capture.first_time(file);
        let earliest = self.earliest();
        let due = match (first, earliest) {
            (_, None) => self.active.is_empty(),
            (None, Some(_)) => false,
            (Some(first), Some(earliest)) => first <= earliest,
        };
        if due {
            self.pending.pop_front();
            let follow = self.capture.options().follow && self.pending.is_empty();
            self.active.push(Active {
                file,
                reader: FileReader::new(file, follow),
                chunk: Chunk::default(),
                at: 0,
                pause: None,
            });
        }
        due
    }

    fn earliest(&self) -> Option<Nanos> {
        let heads = self.active.iter().filter_map(Active::head);
        heads.map(|record| record.time).min()
    }

    fn declare(&self, interfaces: Vec<super::Interface>, out: &mut Chunk) {
        let count = u32::try_from(interfaces.len()).unwrap_or(0);
        let mut number = self.next_interface.saturating_sub(count);
        for interface in interfaces {
            self.capture.declare(InterfaceId(number), &interface);
            number = number.saturating_add(1);
            out.interfaces.push(interface);
        }
    }
}

/// The files in the order of their first frames; those without frames go last.
fn order(capture: &Capture) -> VecDeque<usize> {
    let mut files: Vec<usize> = (0..capture.files().len()).collect();
    files.sort_by_key(|file| {
        let time = capture.first_time(*file);
        (time.is_none(), time)
    });
    files.into()
}

/// Problems behind all records so far.
fn late(problems: Vec<Damage>, out: &mut Chunk) {
    let records_before = out.records.len();
    out.problems
        .extend(problems.into_iter().map(|problem| Damage {
            records_before,
            ..problem
        }));
}
