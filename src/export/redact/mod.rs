//! Redaction: a capture whose addresses, names, texts and data are replaced by stable stand-ins of the same length.
//! Times, lengths, sequence numbers, flags and the shape of every packet stay, so that the analysis comes to the
//! same result. What is not understood is zeroed, never passed on.

mod checksum;
mod copy;
mod fragments;
mod login;
mod mask;
mod names;
mod packet;
mod request;
mod result;
mod stream;
#[cfg(test)]
mod tests;
mod tls;
mod values;

use std::collections::{BTreeSet, HashMap};

use super::job::{Job, Redaction};
use crate::decode::net::Fragment;
use crate::decode::tds::version::Version;
use crate::dissect::stream::Frames;
use crate::store::FrameRow;
use crate::units::{ConnId, End, FrameNo, Side};
pub(super) use copy::Copy;
use fragments::Whole;
use names::Names;
use packet::Segment;
use stream::Stream;

/// Redacts the frames of a job, in file order.
pub(super) struct Redactor<'a> {
    frames: Frames<'a>,
    wish: Redaction,
    names: Names,
    streams: HashMap<(ConnId, End), Stream>,
    versions: HashMap<ConnId, Version>,
}

impl<'a> Redactor<'a> {
    pub(super) fn new(job: &Job<'a>, wish: Redaction) -> Self {
        let store = job.store;
        let wanted: BTreeSet<_> = job.plan.conns.iter().copied().collect();
        let mut pdus = stream::pdus_by_direction(store, |conn| wanted.contains(&conn));
        let mut streams = HashMap::new();
        let mut versions = HashMap::new();
        for conn in wanted.iter().filter_map(|id| store.conn(*id)) {
            for end in End::BOTH {
                let list = pdus.remove(&(conn.id, end)).unwrap_or_default();
                streams.insert((conn.id, end), Stream::new(store, conn, end, list));
            }
            versions.insert(conn.id, stream::version_of(conn));
        }
        Self {
            frames: Frames::new(store, job.capture),
            wish,
            names: Names::default(),
            streams,
            versions,
        }
    }

    /// A redacted copy of a frame.
    pub(super) fn frame(&mut self, no: FrameNo, row: &FrameRow, bytes: &[u8]) -> Vec<u8> {
        let copy = self.copy_of(row, bytes, None);
        let part = fragments::part_of(self.link(row), bytes, row.wire);
        let Some(first) = part.filter(|part| part.offset == 0) else {
            return copy;
        };
        let checksum = self.checksum_of_parts(no, row, first, bytes, &copy);
        self.copy_of(row, bytes, checksum)
    }

    /// The checksum over all parts of a packet, found from its first part; the others stand near it.
    fn checksum_of_parts(
        &mut self,
        no: FrameNo,
        row: &FrameRow,
        first: Fragment,
        bytes: &[u8],
        copy: &[u8],
    ) -> Option<[u8; 2]> {
        let after = fragments::part_of(self.link(row), copy, row.wire)?;
        let mut whole = Whole::new(first, bytes, after, copy);
        let behind = (no.0..).skip(1).take(fragments::NEAR);
        let before = (1..no.0).rev().take(fragments::NEAR);
        for near in behind.chain(before).map(FrameNo) {
            if whole.is_complete() {
                break;
            }
            let Some(row) = self.frames.store.frame(near) else {
                continue;
            };
            let bytes = self.frames.read(near, &row);
            let part = fragments::part_of(self.link(&row), &bytes, row.wire);
            if let Some(part) = part.filter(|part| whole.has(part)) {
                let copy = self.copy_of(&row, &bytes, None);
                whole.add(&part, &bytes, &copy);
            }
        }
        whole.checksum()
    }

    fn link(&self, row: &FrameRow) -> u32 {
        let interface = self.frames.store.interface(row.interface);
        interface.map_or(u32::MAX, |i| i.link_type)
    }

    fn copy_of(
        &mut self,
        row: &FrameRow,
        bytes: &[u8],
        whole_checksum: Option<[u8; 2]>,
    ) -> Vec<u8> {
        let store = self.frames.store;
        let link = self.link(row);
        let mut stream = row
            .conn
            .and_then(|conn| self.streams.get_mut(&(conn, row.end())));
        let version = row
            .conn
            .and_then(|conn| self.versions.get(&conn))
            .copied()
            .unwrap_or_default();
        let frames = &mut self.frames;
        let mut fill = |original: &[u8], copy: &mut [u8], names: &mut Names| {
            if let Some(stream) = stream.as_mut() {
                stream.payload(frames, version, row, original, copy, names);
            }
        };
        let client_sends = store.side(row) == Some(Side::Client);
        let known = row.conn.is_some() && self.wish.ports;
        let mut segment = Segment {
            payload: &mut fill,
            replace_ports: (known && client_sends, known && !client_sends),
            whole_checksum,
        };
        packet::frame(link, bytes, &mut self.names, &mut segment)
    }
}
