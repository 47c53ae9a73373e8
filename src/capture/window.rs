//! Bytes read from one position of a file, with room in front for what is left of those before: so they can be read
//! while nobody knows yet where their first record begins.

use std::io;
use std::ops::Range;

use super::chunk::Pool;
use super::cut::to_u64;
use super::file::STRETCH;
use super::open::Capture;
use super::source::Source;

/// Room in front of a window: more than the longest record of most captures needs.
const ROOM: usize = 128 << 10;

/// Bytes that the system copies fastest: those of its pages to places that begin like them. (Some bytes beside that, and
/// reading takes a fifth longer, measured.)
const PAGE: usize = 4096;

/// Bytes of a file, read from one position on.
#[derive(Debug)]
pub(super) struct Window {
    /// Where they stand in the file.
    pub(super) position: u64,
    buf: Vec<u8>,
    /// Where they stand in `buf`.
    read: Range<usize>,
}

impl Window {
    /// Reads `size` bytes, or those that there are, and leaves room for `front` others.
    pub(super) fn read(
        source: &Source,
        pool: &Pool,
        position: u64,
        front: usize,
        size: usize,
    ) -> io::Result<Self> {
        let room = ROOM.max(front);
        let mut buf = pool.take(room.saturating_add(PAGE).saturating_add(size));
        let room = room.saturating_add(buf.as_ptr().align_offset(PAGE).min(PAGE));
        let end = room.saturating_add(size);
        let got = match buf.get_mut(room..end) {
            Some(to) => source.read_at(to, position)?,
            None => 0,
        };
        Ok(Self {
            position,
            buf,
            read: room..room.saturating_add(got),
        })
    }

    /// How many bytes were read.
    pub(super) fn len(&self) -> usize {
        self.read.len()
    }

    /// Whether there is room for so many bytes in front.
    fn has_room(&self, front: usize) -> bool {
        front <= self.read.start
    }

    /// The buffer, with these bytes in front of those read, and where all of them stand in it.
    pub(super) fn behind(mut self, front: &[u8]) -> (Vec<u8>, Range<usize>) {
        let start = self.read.start.saturating_sub(front.len());
        if let Some(to) = self.buf.get_mut(start..self.read.start) {
            to.copy_from_slice(front);
        }
        (self.buf, start..self.read.end)
    }
}

/// Windows that were read ahead, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Windows(std::vec::IntoIter<Window>);

impl Windows {
    /// The next one, if it is that from a position on and has room for so many bytes in front. If it is another, all
    /// are of no use.
    pub(super) fn next_at(&mut self, position: u64, front: usize) -> Option<Window> {
        let next = self.0.next()?;
        if next.position == position && next.has_room(front) {
            return Some(next);
        }
        self.0 = Vec::new().into_iter();
        None
    }
}

/// What will be read of a file when those in front of it have had their turn.
#[derive(Debug)]
pub struct Ahead {
    pub(super) capture: Capture,
    pub(super) file: usize,
    pub(super) pool: Pool,
    /// Where it begins.
    pub(super) position: u64,
    /// So many windows.
    pub(super) windows: usize,
}

/// What was read ahead.
#[derive(Debug)]
pub struct ReadAhead {
    pub(super) file: usize,
    pub(super) windows: Windows,
}

impl Ahead {
    /// Reads it. What cannot be read is left for the reader, which then says why.
    pub fn read(self) -> ReadAhead {
        let mut windows = Vec::with_capacity(self.windows);
        let file = self.capture.files().get(self.file);
        let mut position = self.position;
        while let Some(file) = file
            && windows.len() < self.windows
            && let Ok(window) = Window::read(file.source(), &self.pool, position, 0, STRETCH)
            && window.len() == STRETCH
        {
            position = position.saturating_add(to_u64(window.len()));
            windows.push(window);
        }
        ReadAhead {
            file: self.file,
            windows: Windows(windows.into_iter()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::chunk::Chunk;
    use super::super::reader::ChunkReader;
    use super::*;
    use crate::capture::write::{Frame, InterfaceSpec, PcapShape, PcapWriter};
    use crate::units::Nanos;

    /// Ten stretches.
    fn capture() -> Capture {
        let interface = InterfaceSpec {
            link_type: 1,
            snap_len: 65_535,
            ticks_per_second: 1_000_000,
            name: None,
        };
        let shape = PcapShape::of([interface]).unwrap();
        let mut writer = PcapWriter::new(Vec::new(), shape).unwrap();
        let mut i = 0;
        for len in (0..).map(|i| 500 + i % 1000).take(10 * STRETCH / 1000) {
            i += 1;
            let frame = Frame {
                time: Nanos(i * 1000),
                wire: u32::try_from(len).unwrap(),
                bytes: &vec![u8::try_from(i % 256).unwrap(); len],
            };
            writer.frame(&frame).unwrap();
        }
        Capture::from_bytes("a.pcap", writer.finish()).unwrap()
    }

    fn frames(chunks: &[Chunk]) -> Vec<(u64, Vec<u8>)> {
        let of_chunk = |chunk: &Chunk| {
            let records = chunk.records.iter();
            let frames = records.map(|record| (record.offset.0, chunk.bytes(record).to_vec()));
            frames.collect::<Vec<_>>()
        };
        chunks.iter().flat_map(of_chunk).collect()
    }

    fn rest(reader: &mut ChunkReader) -> Vec<Chunk> {
        std::iter::from_fn(|| reader.next_chunk()).collect()
    }

    #[test]
    fn what_was_read_ahead_is_what_is_read_without() {
        let capture = capture();
        let wanted = frames(&rest(&mut capture.chunks()));
        let mut reader = capture.chunks();
        let mut chunks = vec![reader.next_chunk().unwrap()];
        let ahead = reader.ahead(2, 3).unwrap();
        let position = ahead.position;
        chunks.extend([reader.next_chunk().unwrap(), reader.next_chunk().unwrap()]);
        assert_eq!(chunks.last().unwrap().bytes_done, position);
        let ahead = ahead.read();
        assert_eq!(ahead.windows.0.len(), 3);
        reader.offer(ahead);
        chunks.extend(rest(&mut reader));
        assert_eq!(frames(&chunks), wanted);
    }

    #[test]
    fn what_was_read_elsewhere_is_of_no_use_and_does_no_harm() {
        let capture = capture();
        let wanted = frames(&rest(&mut capture.chunks()));
        for others in [0, 1, 3, 5] {
            let mut reader = capture.chunks();
            let mut chunks = vec![reader.next_chunk().unwrap()];
            let ahead = reader.ahead(others, 2).unwrap().read();
            chunks.push(reader.next_chunk().unwrap());
            chunks.push(reader.next_chunk().unwrap());
            reader.offer(ahead);
            chunks.extend(rest(&mut reader));
            assert_eq!(frames(&chunks), wanted);
        }
    }

    #[test]
    fn nothing_is_read_ahead_before_the_format_is_known_and_behind_the_end() {
        let capture = capture();
        let mut reader = capture.chunks();
        assert!(reader.ahead(1, 1).is_none());
        reader.next_chunk().unwrap();
        assert!(reader.ahead(20, 1).is_none());
        rest(&mut reader);
        assert!(reader.ahead(0, 1).is_none());
    }
}
