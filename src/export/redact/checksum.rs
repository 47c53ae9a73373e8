//! Checksums of IPv4, TCP, UDP and ICMP (RFC 1071), also where the file holds only part of the segment (RFC 1624).

use std::net::IpAddr;

/// Where a protocol above IP has its checksum: TCP, UDP, and ICMP for IPv4 and IPv6.
pub(super) fn checksum_at(protocol: u8) -> Option<usize> {
    match protocol {
        6 => Some(16),
        17 => Some(6),
        1 | 58 => Some(2),
        _ => None,
    }
}

/// What of the IP header counts in a checksum above it.
pub(super) struct Pseudo {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) protocol: u8,
    pub(super) len: usize,
}

impl Pseudo {
    /// ICMP for IPv4 has no pseudo header.
    fn counts(&self) -> bool {
        self.protocol != 1
    }

    fn sum(&self) -> u64 {
        if !self.counts() {
            return 0;
        }
        let len = u64::try_from(self.len).unwrap_or(0);
        let address = |ip: &IpAddr| match ip {
            IpAddr::V4(ip) => words(&ip.octets()),
            IpAddr::V6(ip) => words(&ip.octets()),
        };
        address(&self.from)
            .saturating_add(address(&self.to))
            .saturating_add(u64::from(self.protocol))
            .saturating_add(len & 0xffff)
            .saturating_add(len >> 16)
    }
}

/// Makes the checksum of an IPv4 header right.
pub(super) fn set_ipv4(header: &mut [u8]) {
    set_whole(header, 10);
}

/// Makes a checksum right that counts all bytes and nothing else.
pub(super) fn set_whole(bytes: &mut [u8], at: usize) {
    let Some(end) = at.checked_add(2) else { return };
    if let Some(field) = bytes.get_mut(at..end) {
        field.fill(0);
    }
    let sum = !fold(words(bytes));
    if let Some(field) = bytes.get_mut(at..end) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
}

/// Sets the checksum at a position of a copy. One that was right is right again. A wrong one stays wrong: that it was
/// is a fact of the capture, it tells which end took it. One that holds the sum of the pseudo header alone, for the
/// network card to complete, does so again; any other, also one over bytes that the file does not hold, moves with
/// the bytes that changed (RFC 1624).
pub(super) fn set_upper(
    original: (Pseudo, &[u8]),
    copy: (Pseudo, &mut [u8]),
    at: usize,
    complete: bool,
) {
    let Some(end) = at.checked_add(2) else { return };
    let (before, bytes) = original;
    let (after, to) = copy;
    let Some([high, low]) = bytes.get(at..end) else {
        return;
    };
    let old = u16::from_be_bytes([*high, *low]);
    if before.protocol == 17 && old == 0 {
        // UDP without checksum.
        return;
    }
    if let Some(field) = to.get_mut(at..end) {
        field.fill(0);
    }
    let without = words(bytes).saturating_sub(u64::from(old));
    let old_sum = fold(before.sum().saturating_add(without));
    let new_sum = fold(after.sum().saturating_add(words(to)));
    let right = fold(u64::from(old_sum).saturating_add(u64::from(old))) == 0xffff;
    let new = if complete && right {
        !new_sum
    } else if before.counts() && old == fold(before.sum()) {
        fold(after.sum())
    } else {
        let rest = u64::from(!old).saturating_add(u64::from(!old_sum));
        !fold(rest.saturating_add(u64::from(new_sum)))
    };
    // For UDP a computed 0 is written as all ones; both mean the same to a sum.
    let new = if after.protocol == 17 && new == 0 {
        0xffff
    } else {
        new
    };
    if let Some(field) = to.get_mut(at..end) {
        field.copy_from_slice(&new.to_be_bytes());
    }
}

fn words(bytes: &[u8]) -> u64 {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let sum: u64 = pairs
        .iter()
        .map(|pair| u64::from(u16::from_be_bytes(*pair)))
        .sum();
    sum.saturating_add(rest.first().map_or(0, |last| u64::from(*last) << 8))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff).saturating_add(sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pseudo(last: u8, len: usize) -> Pseudo {
        Pseudo {
            from: IpAddr::from([10, 0, 0, 1]),
            to: IpAddr::from([10, 0, 0, last]),
            protocol: 6,
            len,
        }
    }

    fn is_right(pseudo: &Pseudo, bytes: &[u8]) -> bool {
        fold(pseudo.sum() + words(bytes)) == 0xffff
    }

    fn segment() -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..41).collect();
        bytes[16..18].fill(0);
        let sum = !fold(pseudo(2, bytes.len()).sum() + words(&bytes));
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The copy's checksum field and whether it is right, after the segment's end was zeroed.
    fn after(original: &[u8]) -> (u16, bool) {
        let mut copy = original.to_vec();
        copy[30..].fill(0);
        let len = copy.len();
        set_upper(
            (pseudo(2, len), original),
            (pseudo(9, len), &mut copy),
            16,
            true,
        );
        let field = u16::from_be_bytes([copy[16], copy[17]]);
        (field, is_right(&pseudo(9, len), &copy))
    }

    #[test]
    fn a_right_checksum_is_right_again_and_a_wrong_one_stays_wrong() {
        assert!(after(&segment()).1);
        let mut wrong = segment();
        wrong[16] ^= 0x5a;
        assert!(!after(&wrong).1);
    }

    #[test]
    fn a_checksum_that_was_left_to_the_card_still_is() {
        let mut partial = segment();
        let len = partial.len();
        partial[16..18].copy_from_slice(&fold(pseudo(2, len).sum()).to_be_bytes());
        assert_eq!(after(&partial), (fold(pseudo(9, len).sum()), false));
    }

    #[test]
    fn a_checksum_over_bytes_that_are_not_in_the_file_moves_with_what_changed() {
        let whole = segment();
        let mut cut = whole[..30].to_vec();
        let original = cut.clone();
        cut[20..24].fill(0xee);
        let len = whole.len();
        set_upper(
            (pseudo(2, len), &original),
            (pseudo(9, len), &mut cut),
            16,
            false,
        );
        let mut all = whole;
        all[..30].copy_from_slice(&cut);
        assert!(is_right(&pseudo(9, len), &all));
    }
}
