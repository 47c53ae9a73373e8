//! Copies of one transmission in a file: two capture points merged, a mirrored port, a capture on "any".
//!
//! A copy has the same IP identification, TCP header (without the checksum) and payload (`close-patterns.md` 7,
//! `dup-frames`). Compared is a digest over the numbers, the options and both ends of the payload. Bounds: [`NEAR`]
//! digests per direction, or [`FAR`] where the capture has several interfaces, and more where it is of two files.

use std::collections::{HashMap, VecDeque};
use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::store::TcpFlags;
use crate::units::Nanos;

use super::conn::Incoming;

/// On one interface a copy follows within so many frames of its direction.
const NEAR: usize = 20;
/// Transmissions kept per direction where the capture has several interfaces.
pub(super) const FAR: u32 = 4096;
/// Without an IP identification that counts up, a copy on the same interface follows within this time.
const SOON: u64 = 1_000_000;
/// As [`SOON`], for SYNs: shorter than any time after which one is sent again.
const SOON_SYN: u64 = 300_000_000;
/// As many bytes at each end of the payload go into the digest.
const SAMPLE: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Seen {
    digest: u64,
    interface: u32,
    time: Nanos,
}

impl Seen {
    #[inline]
    fn new(incoming: &Incoming<'_>) -> Self {
        Self {
            digest: digest(incoming),
            interface: incoming.interface,
            time: incoming.time,
        }
    }
}

/// The transmissions of one direction seen so far.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Many a direction has one only, of which memory for [`NEAR`] would be a waste.
    first: Option<Seen>,
    near: Option<Box<Near>>,
    /// Where the next goes in `near`; here, as this is at hand when the rest is not.
    next: usize,
    far: Option<Box<Far>>,
    /// Some were copies of what another interface had shown.
    pub(super) elsewhere: bool,
}

/// The last transmissions, the digests apart from the rest: all of them are looked through.
#[derive(Debug)]
struct Near {
    digests: [u32; NEAR],
    seen: [Seen; NEAR],
}

impl Default for Near {
    fn default() -> Self {
        let none = Seen {
            digest: 0,
            interface: u32::MAX,
            time: Nanos(0),
        };
        Self {
            digests: [0; NEAR],
            seen: [none; NEAR],
        }
    }
}

impl Near {
    fn any(&self, digest: u64, fits: impl Fn(&Seen) -> bool) -> bool {
        // Without a way out of the loop it is a handful of instructions.
        let mut found = false;
        let short = shortened(digest);
        for known in &self.digests {
            found |= *known == short;
        }
        found
            && self
                .seen
                .iter()
                .any(|old| old.digest == digest && fits(old))
    }

    /// Puts a transmission in the place of the oldest, behind the one before; returns where the next one goes.
    #[inline]
    fn put(&mut self, at: usize, seen: Seen) -> usize {
        let at = if at < NEAR { at } else { 0 };
        if let (Some(digest), Some(place)) = (self.digests.get_mut(at), self.seen.get_mut(at)) {
            *digest = shortened(seen.digest);
            // Part by part: what was written in parts is slow to copy in one.
            place.digest = seen.digest;
            place.interface = seen.interface;
            place.time = seen.time;
        }
        at.wrapping_add(1)
    }
}

/// Half of a digest, which four at once are compared of.
fn shortened(digest: u64) -> u32 {
    let [.., a, b, c, d] = digest.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[derive(Debug, Default)]
struct Far {
    /// How often each came on each interface.
    counts: HashMap<(u64, u32), u32>,
    most: HashMap<u64, u32>,
    order: VecDeque<u64>,
    interfaces: Vec<u32>,
}

impl Copies {
    /// Whether there were none.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.near.is_none() && self.far.is_none()
    }

    fn any(&self, digest: u64, fits: impl Fn(&Seen) -> bool) -> bool {
        match &self.near {
            Some(near) => near.any(digest, fits),
            None => self
                .first
                .is_some_and(|old| old.digest == digest && fits(&old)),
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "what a usual frame says stays in registers from its bytes to its row"
    )]
    #[inline(always)]
    fn push(&mut self, seen: Seen) {
        if self.near.is_none() {
            let Some(first) = self.first else {
                self.first = Some(seen);
                return;
            };
            self.make_room(first);
        }
        if let Some(near) = &mut self.near {
            self.next = near.put(self.next, seen);
        }
    }

    #[inline(never)]
    fn make_room(&mut self, first: Seen) {
        let near = self.near.insert(Box::default());
        self.next = near.put(0, first);
    }

    /// Takes note of a frame that is no copy of one before.
    #[expect(
        clippy::inline_always,
        reason = "what a usual frame says stays in registers from its bytes to its row"
    )]
    #[inline(always)]
    pub(super) fn note(&mut self, incoming: &Incoming<'_>) {
        self.push(Seen::new(incoming));
    }

    /// Whether a frame is a copy of one before.
    #[expect(
        clippy::inline_always,
        reason = "what a usual frame says stays in registers from its bytes to its row"
    )]
    #[inline(always)]
    pub(super) fn is_copy(&mut self, incoming: &Incoming<'_>) -> bool {
        let flags = TcpFlags(incoming.segment.flags);
        let within = if incoming.segment.ip.id != 0 {
            Some(u64::MAX)
        } else if flags.rst() {
            None
        } else if flags.syn() {
            Some(SOON_SYN)
        } else {
            Some(SOON)
        };
        self.is_known(Seen::new(incoming), within, incoming.far)
    }

    /// Whether a transmission was seen before, on its interface no longer ago than `within`.
    #[inline(never)]
    fn is_known(&mut self, seen: Seen, within: Option<u64>, far: u32) -> bool {
        if let Some(within) = within
            && self.any(seen.digest, |old| {
                let apart = seen.time.since(old.time).unsigned_abs();
                old.interface == seen.interface && apart <= within
            })
        {
            return true;
        }
        self.push(seen);
        let copy = far > 0 && self.far.get_or_insert_default().is_copy(&seen, far);
        self.elsewhere |= copy;
        copy
    }
}

impl Far {
    /// The n-th transmission of its kind on an interface is a copy if another interface has shown n already.
    /// So many transmissions are kept; where that is more than [`FAR`], only until two interfaces have shown them.
    fn is_copy(&mut self, seen: &Seen, keep: u32) -> bool {
        if !self.interfaces.contains(&seen.interface) && self.interfaces.len() < 64 {
            self.interfaces.push(seen.interface);
        }
        let here = self
            .counts
            .entry((seen.digest, seen.interface))
            .or_insert(0);
        *here = here.saturating_add(1);
        let here = *here;
        let most = self.most.entry(seen.digest).or_insert(0);
        let copy = here <= *most;
        *most = (*most).max(here);
        let by_both = copy && here == *most && self.interfaces.len() == 2;
        if by_both && keep > FAR {
            self.forget(seen.digest);
        } else if here == 1 && !copy {
            self.order.push_back(seen.digest);
            self.keep(usize::try_from(keep).unwrap_or(usize::MAX));
        }
        copy
    }

    fn forget(&mut self, digest: u64) {
        self.most.remove(&digest);
        for interface in &self.interfaces {
            self.counts.remove(&(digest, *interface));
        }
    }

    /// Keeps so many transmissions, the latest.
    fn keep(&mut self, most: usize) {
        while self.most.len() > most
            && let Some(old) = self.order.pop_front()
        {
            self.forget(old);
        }
        if self.order.len() > most.saturating_mul(2) {
            // Most of those that were shown by both have left.
            let known = &self.most;
            self.order.retain(|digest| known.contains_key(digest));
        }
    }
}

#[expect(
    clippy::inline_always,
    reason = "what a usual frame says stays in registers from its bytes to its row"
)]
#[inline(always)]
fn digest(incoming: &Incoming<'_>) -> u64 {
    let segment = incoming.segment;
    let payload = incoming.payload;
    let mut hash = FxHasher::default();
    let pair = |high: u32, low: u32| (u64::from(high) << 32) | u64::from(low);
    let small = |high: u16, low: u16| (u32::from(high) << 16) | u32::from(low);
    hash.write_u64(pair(segment.seq.0, segment.ack.0));
    hash.write_u64(pair(
        segment.payload_len,
        small(segment.window, segment.ip.id),
    ));
    hash.write_u16(segment.flags);
    // The checksum before the options differs where a network card fills it in.
    if segment.header_seen > 20 {
        hash.write(segment.header(incoming.frame).get(20..).unwrap_or_default());
    }
    match (
        payload.first_chunk::<SAMPLE>(),
        payload.last_chunk::<SAMPLE>(),
    ) {
        (Some(first), Some(last)) => {
            hash.write_u64(u64::from_le_bytes(*first));
            hash.write_u64(u64::from_le_bytes(*last));
        }
        _ if payload.is_empty() => {}
        _ => hash.write(payload),
    }
    hash.finish()
}
