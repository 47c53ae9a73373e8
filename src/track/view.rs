//! Which end a capture was taken on (`close-patterns.md` 1.3), with the evidence.
//!
//! Evidence in this order: wrong TCP checksums from one side only (its network card fills them in later), a time to
//! live that no router has touched from one side only, and the two gaps of the TCP handshake. Segments longer than
//! the MTU say nothing: a sender's offload and a receiver's coalescing look alike.

use crate::store::{FrameFlags, FrameRow, Protocol, View};
use crate::units::{Nanos, PerSide, Side};

/// Initial values that hosts use.
const INITIAL_TTL: [u8; 3] = [64, 128, 255];
/// Gaps of a handshake tell only if they differ by this much, and one is this many times the other.
const GAP_DIFFERENCE: i64 = 50_000;
const GAP_FACTOR: i64 = 4;

/// What one connection shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    bad_checksums: PerSide<u16>,
    good_checksums: PerSide<u16>,
    /// The time to live of each side, while it is the same in all its frames.
    ttl: PerSide<Option<u8>>,
    ttl_varies: PerSide<bool>,
    syn: Option<Nanos>,
    syn_ack: Option<Nanos>,
    gaps: Option<(i64, i64)>,
    copies_on_interfaces: bool,
}

impl Evidence {
    /// Takes note of a frame that a side of the connection sent. Those with nothing found out about them and the time to
    /// live of the one before add nothing once the evidence is complete.
    pub(super) fn frame(&mut self, side: Side, row: FrameRow, several_interfaces: bool) {
        if row.flags.has(FrameFlags::DUPLICATE) {
            self.copies_on_interfaces |= several_interfaces;
            return;
        }
        let counted = if row.flags.has(FrameFlags::BAD_CHECKSUM) {
            Some(&mut self.bad_checksums)
        } else if row.flags.has(FrameFlags::GOOD_CHECKSUM) {
            Some(&mut self.good_checksums)
        } else {
            None
        };
        if let Some(counts) = counted {
            let count = counts.get_mut(side);
            *count = count.saturating_add(1);
        }
        // A reset's may differ: a device in the path may have sent it.
        if !row.tcp_flags.rst() {
            let before = self.ttl.get_mut(side).replace(row.ttl);
            if before.is_some_and(|before| before != row.ttl) {
                *self.ttl_varies.get_mut(side) = true;
            }
        }
        if row.tcp_flags.syn() {
            let slot = if row.tcp_flags.ack() {
                &mut self.syn_ack
            } else {
                &mut self.syn
            };
            slot.get_or_insert(row.time);
        } else if self.gaps.is_none()
            && side == Side::Client
            && let (Some(syn), Some(syn_ack)) = (self.syn, self.syn_ack)
        {
            self.gaps = Some((syn_ack.since(syn), row.time.since(syn_ack)));
        }
    }

    /// Whether the gaps of the handshake are known, or will not be.
    pub(super) fn is_complete(&self) -> bool {
        self.gaps.is_some() || self.syn.is_none() || self.syn_ack.is_none()
    }

    fn ttl_of(&self, side: Side) -> Option<u8> {
        self.ttl.get(side).filter(|_| !self.ttl_varies.get(side))
    }
}

/// The evidence of all connections together.
#[derive(Debug, Default)]
struct Votes {
    bad: PerSide<u32>,
    good: PerSide<u32>,
    untouched: PerSide<u32>,
    fast_server: u32,
    fast_client: u32,
    even: u32,
    copies: u32,
}

/// The verdict over the connections that carry TDS, or over all if none does.
pub(super) fn verdict<'a>(
    conns: impl Iterator<Item = (Protocol, &'a Evidence)>,
) -> Option<(View, Vec<String>)> {
    let is_tds = |(protocol, _): &(Protocol, &Evidence)| *protocol == Protocol::Tds;
    let mut votes = Votes::default();
    for (_, evidence) in conns.filter(is_tds) {
        votes.add(evidence);
    }
    votes.decide()
}

impl Votes {
    fn add(&mut self, evidence: &Evidence) {
        for side in Side::BOTH {
            let bad = self.bad.get_mut(side);
            *bad = bad.saturating_add(u32::from(*evidence.bad_checksums.get(side)));
            let good = self.good.get_mut(side);
            *good = good.saturating_add(u32::from(*evidence.good_checksums.get(side)));
            let own = evidence.ttl_of(side);
            let other = evidence.ttl_of(side.other());
            let initial = |ttl: Option<u8>| ttl.is_some_and(|ttl| INITIAL_TTL.contains(&ttl));
            if initial(own) && other.is_some() && !initial(other) {
                let untouched = self.untouched.get_mut(side);
                *untouched = untouched.saturating_add(1);
            }
        }
        if let Some((server, client)) = evidence.gaps {
            let apart = server.saturating_sub(client).abs() >= GAP_DIFFERENCE;
            let slot = if apart && server.saturating_mul(GAP_FACTOR) <= client {
                &mut self.fast_server
            } else if apart && client.saturating_mul(GAP_FACTOR) <= server {
                &mut self.fast_client
            } else {
                &mut self.even
            };
            *slot = slot.saturating_add(1);
        }
        self.copies = self
            .copies
            .saturating_add(u32::from(evidence.copies_on_interfaces));
    }

    fn decide(&self) -> Option<(View, Vec<String>)> {
        if self.copies > 0 {
            let why = "frames are there twice, on several interfaces: more than one capture point";
            return Some((View::Middle, vec![why.to_owned()]));
        }
        let mut why = Vec::new();
        let mut first = None;
        for side in Side::BOTH {
            let (view, other) = (view_of(side), side.other());
            let (bad, good) = (*self.bad.get(side), *self.good.get(other));
            if bad > 0 && *self.bad.get(other) == 0 && good > 0 {
                why.push(format!(
                    "wrong TCP checksums only from the {} ({bad} frames): its network card fills them in",
                    side.word()
                ));
                first.get_or_insert(view);
            }
        }
        for side in Side::BOTH {
            let untouched = *self.untouched.get(side);
            if untouched > 0 && *self.untouched.get(side.other()) == 0 {
                why.push(format!(
                    "the time to live of the {}'s frames is a host's initial value, the {}'s is not",
                    side.word(),
                    side.other().word()
                ));
                first.get_or_insert(view_of(side));
            }
        }
        let (server, client) = (self.fast_server, self.fast_client);
        if server > 0 && client == 0 && self.even <= server {
            why.push(format!(
                "SYN+ACK follows SYN much faster than ACK follows SYN+ACK (handshakes: {server})"
            ));
            first.get_or_insert(View::Server);
        } else if client > 0 && server == 0 && self.even <= client {
            why.push(format!(
                "ACK follows SYN+ACK much faster than SYN+ACK follows SYN (handshakes: {client})"
            ));
            first.get_or_insert(View::Client);
        }
        first.map(|view| (view, why))
    }
}

fn view_of(side: Side) -> View {
    match side {
        Side::Client => View::Client,
        Side::Server => View::Server,
    }
}
