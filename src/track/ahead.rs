//! What stands behind a frame: parts of IP packets can come before the first part, which tells where they belong.
//!
//! Bounds: [`FRAMES`] frames are looked at, and only for such a part. Where the chunk ends before that many, the
//! frames from the part on are held back until the next chunk, [`BYTES`] at most.

use crate::capture::link;
use crate::capture::{Chunk, RecordMeta};
use crate::decode::net::{self, Fragment, Fragments, Packet};

use super::tracker::Source;

/// So far behind a part its first part is looked for.
const FRAMES: usize = 64;
/// So many bytes of frames are held back at most.
const BYTES: usize = 4 << 20;

/// A frame that waits for what follows it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) record: RecordMeta,
    pub(super) bytes: Vec<u8>,
}

/// The frames behind a frame: those held back, then those of the chunk.
#[derive(Clone, Copy)]
pub(super) struct Ahead<'a> {
    pub(super) held: &'a [Held],
    pub(super) chunk: &'a Chunk,
    pub(super) records: &'a [RecordMeta],
    /// Nothing follows, or nobody wants to wait for it.
    pub(super) last: bool,
}

/// What came of looking for a first part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// It is there, and remembered.
    Found,
    /// It does not come.
    Missing,
    /// More frames are needed to tell.
    Later,
}

impl<'a> Ahead<'a> {
    /// The next frame of those held back; from then on this is what stands behind it.
    pub(super) fn next_held(&mut self) -> Option<(&'a RecordMeta, &'a [u8])> {
        let (Held { record, bytes }, rest) = self.held.split_first()?;
        self.held = rest;
        Some((record, bytes))
    }

    /// What stands behind the frame in front of the last so many of the chunk's.
    pub(super) fn behind(self, last: usize) -> Self {
        let all = &self.chunk.records;
        let records = all.get(all.len().saturating_sub(last)..);
        Self {
            records: records.unwrap_or_default(),
            ..self
        }
    }

    fn frames(self) -> impl Iterator<Item = (&'a RecordMeta, &'a [u8])> {
        let held = self.held.iter().map(|h| (&h.record, h.bytes.as_slice()));
        let of_chunk = self.records.iter();
        held.chain(of_chunk.map(move |record| (record, self.chunk.bytes(record))))
    }

    /// Looks for the first part of the packet that `part` belongs to.
    pub(super) fn first_part(
        self,
        part: &Fragment,
        sources: &[Source],
        fragments: &mut Fragments,
    ) -> First {
        let mut seen = 0;
        for (record, bytes) in self.frames().take(FRAMES) {
            seen += 1;
            let source = sources.get(record.interface.index());
            let link = source.map_or(u32::MAX, |source| source.link_type);
            if let Some(at) = link::ip_packet(link, bytes)
                && let Packet::Fragment(found) = net::packet(bytes, at, record.wire)
                && fragments.foresee(part, &found)
            {
                return First::Found;
            }
        }
        let bytes: usize = self.frames().take(seen).map(|(_, bytes)| bytes.len()).sum();
        if seen < FRAMES && !self.last && bytes <= BYTES {
            First::Later
        } else {
            First::Missing
        }
    }

    /// A frame and all behind it, to be held back.
    pub(super) fn hold(self, record: &RecordMeta, bytes: &[u8]) -> Vec<Held> {
        std::iter::once((record, bytes))
            .chain(self.frames())
            .map(|(record, bytes)| Held {
                record: *record,
                bytes: bytes.to_vec(),
            })
            .collect()
    }
}
