//! Reading a capture from its first frame to its last in chunks, with bounded memory.

use super::chunk::{Chunk, Pool};
use super::cut::{Cutter, Detected, Out, Stop};
use super::open::Capture;
use crate::units::InterfaceId;

/// Bytes read at once: large enough to make reading cheap, small enough to stay in the processor's cache.
const STRETCH: usize = 256 << 10;

/// Reads the frames of a capture in order. It can be moved to a thread of its own.
#[derive(Debug)]
pub struct ChunkReader {
    capture: Capture,
    pool: Pool,
    next_interface: u32,
    /// The file being read.
    file: usize,
    position: Position,
    /// Bytes of the files before.
    bytes_before: u64,
}

/// Where reading stands within one file.
#[derive(Debug, Default)]
struct Position {
    cutter: Option<Cutter>,
    /// Position of the next byte to read.
    next: u64,
    /// Bytes read that belong to an unfinished record.
    carry: Vec<u8>,
    /// Bytes that the unfinished record needs in all.
    wanted: usize,
    /// Nothing more comes from this file.
    done: bool,
}

impl ChunkReader {
    pub(super) fn new(capture: Capture) -> Self {
        Self {
            capture,
            pool: Pool::default(),
            next_interface: 0,
            file: 0,
            position: Position::default(),
            bytes_before: 0,
        }
    }

    /// The next stretch of frames; `None` when there are no more. Where a growing file is followed, `None` means
    /// that there are no more yet, and it can be asked again.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        loop {
            let size = self.capture.files().get(self.file)?.size();
            if let Some(mut chunk) = self.next_of_file() {
                chunk.bytes_done = self.bytes_before.saturating_add(self.position.next);
                chunk.bytes_total = self
                    .capture
                    .files()
                    .iter()
                    .fold(0, |sum: u64, file| sum.saturating_add(file.size()))
                    .max(chunk.bytes_done);
                for (i, interface) in chunk.interfaces.iter().enumerate() {
                    let first = self
                        .next_interface
                        .saturating_sub(u32::try_from(chunk.interfaces.len()).unwrap_or(0));
                    let id = InterfaceId(first.saturating_add(u32::try_from(i).unwrap_or(0)));
                    self.capture
                        .declare(id, interface.file, interface.link_type);
                }
                return Some(chunk);
            }
            if !self.position.done {
                return None;
            }
            self.file = self.file.saturating_add(1);
            self.bytes_before = self.bytes_before.saturating_add(size);
            self.position = Position::default();
        }
    }

    fn next_of_file(&mut self) -> Option<Chunk> {
        let capture = self.capture.clone();
        let file = capture.files().get(self.file)?;
        while !self.position.done {
            let carried = self.position.carry.len();
            let mut buf = self.pool.take(STRETCH.max(self.position.wanted));
            if let Some(front) = buf.get_mut(..carried) {
                front.copy_from_slice(&self.position.carry);
            }
            let room = buf.get_mut(carried..).unwrap_or_default();
            let mut chunk = Chunk::default();
            let mut out = Out {
                file: self.file,
                records: &mut chunk.records,
                interfaces: &mut chunk.interfaces,
                problems: &mut chunk.problems,
                next_interface: &mut self.next_interface,
            };
            let got = match file.source().read_at(room, self.position.next) {
                Ok(got) => got,
                Err(error) => {
                    out.problem(self.position.next, format!("cannot be read on: {error}"));
                    self.position.done = true;
                    return Some(chunk);
                }
            };
            let base = self
                .position
                .next
                .saturating_sub(u64::try_from(carried).unwrap_or(0));
            if got == 0 {
                self.pool.put(buf);
                if capture.options().follow {
                    return None;
                }
                self.position.done = true;
                if carried == 0 {
                    return None;
                }
                out.problem(
                    base,
                    format!(
                        "the file ends within a record: {carried} of its {} bytes are there",
                        self.position.wanted
                    ),
                );
                return Some(chunk);
            }
            self.position.next = self
                .position
                .next
                .saturating_add(u64::try_from(got).unwrap_or(0));
            let filled = carried.saturating_add(got);
            let bytes = buf.get(..filled).unwrap_or_default();
            if self.position.cutter.is_none()
                && let Detected::Format(cutter) = Cutter::detect(bytes)
            {
                self.position.cutter = Some(cutter);
            }
            let Some(cutter) = &mut self.position.cutter else {
                self.position.done = true;
                return None;
            };
            let (consumed, stop) = cutter.cut(bytes, base, &mut out);
            let at = base.saturating_add(u64::try_from(consumed).unwrap_or(0));
            self.position.carry.clear();
            match stop {
                Stop::More(wanted) => {
                    self.position.wanted = wanted;
                    let rest = bytes.get(consumed..).unwrap_or_default();
                    self.position.carry.extend_from_slice(rest);
                }
                Stop::Skip(len) => self.position.next = at.saturating_add(len),
                Stop::Damaged(what) => {
                    out.problem(at, what);
                    self.position.done = true;
                }
            }
            if chunk.records.is_empty() && chunk.problems.is_empty() && chunk.interfaces.is_empty()
            {
                self.pool.put(buf);
                continue;
            }
            chunk.data = self.pool.data(buf, filled);
            return Some(chunk);
        }
        None
    }
}
