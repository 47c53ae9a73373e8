//! The TCP checksum.

use super::{Segment, protocol, to_usize};

/// What a TCP checksum says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// It is right.
    Good,
    /// It is wrong: damage, or a capture taken before the network card fills it in.
    Bad,
    /// Not all bytes that it covers are in the file.
    CannotTell,
}

/// Checks a segment's TCP checksum (RFC 9293 3.1). Reads the whole payload. Not for parts of fragmented packets.
#[expect(
    clippy::inline_always,
    reason = "so that a segment need not be written for it"
)]
#[inline(always)]
pub fn tcp_checksum(segment: &Segment, frame: &[u8]) -> Checksum {
    if segment.continued {
        return Checksum::CannotTell;
    }
    let ip = &segment.ip;
    // Where both addresses stand.
    let (from, len) = if ip.src.is_ipv4() { (12, 8) } else { (8, 32) };
    let addresses = ip.header.saturating_add(from);
    sums_up(frame, (addresses, len), (ip.payload, ip.payload_len))
}

/// Whether a segment's bytes and what is summed up with them are as its checksum says. Takes the places of both addresses
/// and of the segment.
#[inline(never)]
fn sums_up(frame: &[u8], addresses: (u32, u32), segment: (u32, u32)) -> Checksum {
    let part = |(start, len): (u32, u32)| {
        let start = to_usize(start);
        frame.get(start..start.saturating_add(to_usize(len)))
    };
    let (Some(addresses), Some(bytes)) = (part(addresses), part(segment)) else {
        return Checksum::CannotTell;
    };
    if bytes.len() < 20 {
        return Checksum::CannotTell;
    }
    let (_, len) = segment;
    let sum = sum_words(addresses)
        .saturating_add(sum_words(&[0, protocol::TCP]))
        .saturating_add(sum_words(&len.to_be_bytes()))
        .saturating_add(sum_words(bytes));
    if folded(sum) == 0xffff {
        Checksum::Good
    } else {
        Checksum::Bad
    }
}

/// The sum of a header's or payload's 16-bit words, several at a time and in the machine's order, of which neither changes
/// whether the folded sum is all ones (RFC 1071 2).
#[expect(
    clippy::inline_always,
    reason = "most of what is summed up is a few bytes"
)]
#[inline(always)]
fn sum_words(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<64>();
    let (words, rest) = rest.as_chunks::<4>();
    let last = match *rest {
        [a] => [a, 0, 0, 0],
        [a, b] => [a, b, 0, 0],
        [a, b, c] => [a, b, c, 0],
        _ => [0; 4],
    };
    // More bytes than a frame can hold are needed for the sum to wrap.
    let last = sum_blocks(blocks).wrapping_add(u64::from(u32::from_ne_bytes(last)));
    words.iter().fold(last, |sum, word| {
        sum.wrapping_add(u64::from(u32::from_ne_bytes(*word)))
    })
}

/// As [`sum_words`] of many, added up in 64 bits: what is carried over, and the upper half, count as much as the lowest
/// bits do.
fn sum_blocks(blocks: &[[u8; 64]]) -> u64 {
    let (mut sum, mut carried) = (0_u64, 0_u64);
    for block in blocks {
        let mut carry = false;
        for word in block.as_chunks::<8>().0 {
            (sum, carry) = sum.carrying_add(u64::from_ne_bytes(*word), carry);
        }
        carried = carried.wrapping_add(u64::from(carry));
    }
    let [low, high] = [sum & 0xffff_ffff, sum >> 32];
    low.wrapping_add(high).wrapping_add(carried)
}

/// A sum of words with what was carried over added to it, until 16 bits hold it.
fn folded(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff).saturating_add(sum >> 16);
    }
    sum
}
