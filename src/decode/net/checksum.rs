//! The TCP checksum.

use std::net::IpAddr;

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
    let start = to_usize(segment.ip.payload);
    let end = start.saturating_add(to_usize(segment.ip.payload_len));
    let Some(bytes) = frame.get(start..end).filter(|bytes| bytes.len() >= 20) else {
        return Checksum::CannotTell;
    };
    if segment.continued {
        return Checksum::CannotTell;
    }
    let addresses = match (segment.ip.src, segment.ip.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            sum_words(&src.octets()).saturating_add(sum_words(&dst.octets()))
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            sum_words(&src.octets()).saturating_add(sum_words(&dst.octets()))
        }
        _ => return Checksum::CannotTell,
    };
    sums_up(addresses, segment.ip.payload_len, bytes)
}

/// Whether a segment's bytes and what is summed up with them are as its checksum says.
#[inline(never)]
fn sums_up(addresses: u64, len: u32, bytes: &[u8]) -> Checksum {
    let sum = addresses
        .saturating_add(sum_words(&[0, protocol::TCP]))
        .saturating_add(sum_words(&len.to_be_bytes()))
        .saturating_add(sum_words(bytes));
    if folded(sum) == 0xffff {
        Checksum::Good
    } else {
        Checksum::Bad
    }
}

/// The sum of a header's or payload's 16-bit words, 32 bits at a time and in the machine's order, of which neither
/// changes whether the folded sum is all ones (RFC 1071 2).
fn sum_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let last = u64::from(u32::from_ne_bytes(last));
    // More words than a frame can hold are needed for the sum to wrap.
    words.iter().fold(last, |sum, word| {
        sum.wrapping_add(u64::from(u32::from_ne_bytes(*word)))
    })
}

/// A sum of words with what was carried over added to it, until 16 bits hold it.
fn folded(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff).saturating_add(sum >> 16);
    }
    sum
}
