//! The parts of TCP segments that IP sent in several packets: each gets its own place in the stream.
//!
//! Nothing is put together in memory: the first part tells ports, sequence number and header length, and with them
//! every further part is a segment of its own, whose bytes can be read from its own frame. Parts may come in any order
//! and overlap, as segments may; whoever meets one before its first part looks for that further on
//! ([`Fragments::wants_first`], [`Fragments::foresee`]).

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::{Fragment, Segment, protocol, to_u32, to_usize};

/// So many packets are remembered at a time.
const MAX_PACKETS: usize = 1024;
/// A packet is forgotten after so many parts of others: identifications are used again.
const MAX_AGE: u64 = 8192;

const FIN_AND_PUSH: u16 = 0x009;
const SYN_AND_RESET: u16 = 0x006;

/// Remembers the first parts of packets that came in several, bounded in number.
#[derive(Debug, Default)]
pub struct Fragments {
    first: HashMap<Key, First>,
    /// The packets in the order of their first parts, to forget the oldest.
    order: VecDeque<(u64, Key)>,
    parts: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    src: IpAddr,
    dst: IpAddr,
    id: u32,
}

impl Key {
    fn of(part: &Fragment) -> Self {
        Self {
            src: part.ip.src,
            dst: part.ip.dst,
            id: part.id,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct First {
    segment: Segment,
    born: u64,
}

impl Fragments {
    /// Takes in a part and returns it as a segment: the first part without FIN and PSH, which belong to the end of
    /// the packet; the others without SYN and RST, which belong to its start. `None` for parts of other protocols,
    /// and for parts whose first part has not come before them.
    pub fn place(&mut self, part: &Fragment, frame: &[u8]) -> Option<Segment> {
        if part.ip.protocol != protocol::TCP {
            return None;
        }
        self.parts = self.parts.saturating_add(1);
        if part.offset == 0 {
            let segment = part.segment.filter(Segment::has_flags)?;
            self.remember(Key::of(part), segment);
            return Some(Segment {
                flags: segment.flags & !FIN_AND_PUSH,
                ..segment
            });
        }
        let first = self.first_of(part)?;
        let skipped = part
            .offset
            .checked_sub(u32::from(first.segment.header_len))?;
        let start = part.ip.payload;
        let there = to_u32(frame.len().saturating_sub(to_usize(start)));
        let mut flags = first.segment.flags & !SYN_AND_RESET;
        if part.more {
            flags &= !FIN_AND_PUSH;
        }
        Some(Segment {
            ip: part.ip,
            seq: first.segment.seq.plus(skipped),
            flags,
            header_len: 0,
            header_seen: 0,
            continued: true,
            payload_offset: u16::try_from(start).ok()?,
            payload_len: part.ip.payload_len,
            captured_payload: there.min(part.ip.payload_len),
            ..first.segment
        })
    }

    /// Whether a part is of use only with a first part that has not come before it.
    pub fn wants_first(&self, part: &Fragment) -> bool {
        part.ip.protocol == protocol::TCP && part.offset > 0 && self.first_of(part).is_none()
    }

    /// Remembers a first part that stands behind another part of its packet; says whether `found` is that.
    pub fn foresee(&mut self, part: &Fragment, found: &Fragment) -> bool {
        let segment = found.segment.filter(Segment::has_flags);
        let Some(segment) = segment.filter(|_| Key::of(part) == Key::of(found)) else {
            return false;
        };
        self.remember(Key::of(part), segment);
        true
    }

    fn first_of(&self, part: &Fragment) -> Option<&First> {
        let first = self.first.get(&Key::of(part));
        first.filter(|first| self.parts.saturating_sub(first.born) <= MAX_AGE)
    }

    /// Packets whose first part is remembered.
    pub fn remembered(&self) -> usize {
        self.order.len().max(self.first.len())
    }

    fn remember(&mut self, key: Key, segment: Segment) {
        let born = self.parts;
        self.first.insert(key, First { segment, born });
        self.order.push_back((born, key));
        while self.order.len() > MAX_PACKETS {
            let Some((born, key)) = self.order.pop_front() else {
                break;
            };
            // Unless the identification has been used again since.
            if self.first.get(&key).is_some_and(|first| first.born == born) {
                self.first.remove(&key);
            }
        }
    }
}
