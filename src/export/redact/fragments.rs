//! Packets that IP sent in several parts: their checksum stands in the first part and is over all of them, which are
//! other frames.

use super::checksum::{Pseudo, checksum_at, set_upper};
use crate::capture::link::{Network, network};
use crate::decode::net::{self, Fragment, Packet};

/// So many frames before and behind a first part are looked at for the others.
pub(super) const NEAR: usize = 64;

/// The part of a packet that a frame holds, if it holds no whole one.
pub(super) fn part_of(link: u32, frame: &[u8], wire: u32) -> Option<Fragment> {
    let Network::Ip(at) = network(link, frame) else {
        return None;
    };
    match net::packet(frame, at, wire) {
        Packet::Fragment(part) => Some(part),
        _ => None,
    }
}

/// A packet that is put together, as it was and as it is redacted.
pub(super) struct Whole {
    first: Fragment,
    after: Fragment,
    original: Vec<u8>,
    copy: Vec<u8>,
    /// Bytes from the start on that are there; parts may overlap.
    there: Vec<(usize, usize)>,
    end: Option<usize>,
}

impl Whole {
    /// Begins with the first part; `after` is its redacted copy, `frame` and `copy` are the frames that hold them.
    pub(super) fn new(first: Fragment, frame: &[u8], after: Fragment, copy: &[u8]) -> Self {
        let mut whole = Self {
            first,
            after,
            original: Vec::new(),
            copy: Vec::new(),
            there: Vec::new(),
            end: None,
        };
        whole.add(&first, frame, copy);
        whole
    }

    /// Whether a part is one of this packet's.
    pub(super) fn has(&self, part: &Fragment) -> bool {
        let key = |part: &Fragment| (part.ip.src, part.ip.dst, part.ip.protocol, part.id);
        key(part) == key(&self.first)
    }

    /// Adds a part from its frame and that frame's redacted copy.
    pub(super) fn add(&mut self, part: &Fragment, frame: &[u8], copy: &[u8]) {
        let as_size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let from = as_size(part.ip.payload);
        let to = from
            .saturating_add(as_size(part.ip.payload_len))
            .min(frame.len());
        let at = as_size(part.offset);
        put(&mut self.original, at, frame.get(from..to));
        put(&mut self.copy, at, copy.get(from..to));
        self.there
            .push((at, at.saturating_add(to.saturating_sub(from))));
        if !part.more {
            self.end = Some(at.saturating_add(as_size(part.ip.payload_len)));
        }
    }

    /// Whether all parts are there.
    pub(super) fn is_complete(&self) -> bool {
        let mut there = self.there.clone();
        there.sort_unstable();
        let reached = there.iter().fold(0, |reached, (from, to)| {
            if *from <= reached {
                reached.max(*to)
            } else {
                reached
            }
        });
        self.end == Some(reached)
    }

    /// The checksum of the redacted packet, if its protocol has one.
    pub(super) fn checksum(mut self) -> Option<[u8; 2]> {
        let at = checksum_at(self.first.ip.protocol)?;
        let complete = self.is_complete();
        let len = self.end.unwrap_or(self.original.len());
        let pseudo = |part: &Fragment| Pseudo {
            from: part.ip.src,
            to: part.ip.dst,
            protocol: part.ip.protocol,
            len,
        };
        set_upper(
            (pseudo(&self.first), &self.original),
            (pseudo(&self.after), &mut self.copy),
            at,
            complete,
        );
        self.copy.get(at..)?.first_chunk().copied()
    }
}

/// A packet is 64 KiB at most, so that nothing here grows beyond twice that.
fn put(whole: &mut Vec<u8>, at: usize, part: Option<&[u8]>) {
    let Some(part) = part else { return };
    let end = at.saturating_add(part.len());
    if whole.len() < end {
        whole.resize(end, 0);
    }
    if let Some(to) = whole.get_mut(at..end) {
        to.copy_from_slice(part);
    }
}
