//! Copies of one transmission in a file: two capture points merged, a mirrored port, a capture on "any".
//!
//! A copy has the same IP identification, TCP header (without the checksum) and payload (`close-patterns.md` 7,
//! `dup-frames`). Compared is a digest over the numbers, the options and both ends of the payload. Bounds: [`NEAR`]
//! digests per direction, or [`FAR`] where the capture has several interfaces.

use std::collections::{HashMap, VecDeque};
use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::store::TcpFlags;
use crate::units::Nanos;

use super::conn::Incoming;

/// On one interface a copy follows within so many frames of its direction.
const NEAR: usize = 20;
/// Transmissions kept per direction where the capture has several interfaces.
const FAR: usize = 4096;
/// Without an IP identification that counts up, a copy on the same interface follows within this time.
const SOON: i64 = 1_000_000;
/// As [`SOON`], for SYNs: shorter than any time after which one is sent again.
const SOON_SYN: i64 = 300_000_000;
/// As many bytes at each end of the payload go into the digest.
const SAMPLE: usize = 32;

#[derive(Debug, Clone, Copy)]
struct Seen {
    digest: u64,
    interface: u32,
    time: Nanos,
}

/// The transmissions of one direction seen so far.
#[derive(Debug, Default)]
pub(super) struct Copies {
    near: VecDeque<Seen>,
    far: Option<Box<Far>>,
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
    /// Whether a frame is a copy of one before.
    pub(super) fn is_copy(&mut self, incoming: &Incoming<'_>) -> bool {
        let seen = Seen {
            digest: digest(incoming),
            interface: incoming.interface,
            time: incoming.time,
        };
        let numbered = incoming.segment.ip.id != 0;
        let flags = TcpFlags(incoming.segment.flags);
        let reset_without_id = !numbered && flags.rst();
        let soon = if flags.syn() { SOON_SYN } else { SOON };
        let near = !reset_without_id
            && self.near.iter().any(|old| {
                old.digest == seen.digest
                    && old.interface == seen.interface
                    && (numbered || seen.time.since(old.time).abs() <= soon)
            });
        if near {
            return true;
        }
        if self.near.len() >= NEAR {
            self.near.pop_front();
        }
        self.near.push_back(seen);
        incoming.several_interfaces && self.far.get_or_insert_default().is_copy(&seen)
    }
}

impl Far {
    /// The n-th transmission of its kind on an interface is a copy if another interface has shown n already.
    fn is_copy(&mut self, seen: &Seen) -> bool {
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
        if here == 1 && !copy {
            self.order.push_back(seen.digest);
            if self.order.len() > FAR
                && let Some(old) = self.order.pop_front()
            {
                self.most.remove(&old);
                for interface in &self.interfaces {
                    self.counts.remove(&(old, *interface));
                }
            }
        }
        copy
    }
}

fn digest(incoming: &Incoming<'_>) -> u64 {
    let segment = incoming.segment;
    let payload = segment.payload(incoming.frame);
    let mut hash = FxHasher::default();
    hash.write_u32(segment.seq.0);
    hash.write_u32(segment.ack.0);
    hash.write_u32(segment.payload_len);
    hash.write_u16(segment.flags);
    hash.write_u16(segment.window);
    hash.write_u16(segment.ip.id);
    // The checksum before the options differs where a network card fills it in.
    hash.write(segment.header(incoming.frame).get(20..).unwrap_or_default());
    hash.write(payload.get(..SAMPLE).unwrap_or(payload));
    if payload.len() > SAMPLE {
        let tail = payload.len().saturating_sub(SAMPLE);
        hash.write(payload.get(tail..).unwrap_or_default());
    }
    hash.finish()
}
