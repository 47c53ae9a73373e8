//! IPv6 extension headers: what stands behind them, and whether the packet is part of one that was sent in several.

use super::to_u32;

/// Extension headers of one packet that are walked.
const MAX_EXTENSIONS: usize = 16;

/// The extension headers of an IPv6 packet.
pub(super) struct Extensions {
    /// Protocol number of what stands behind them; of the first header that is not there in whole, if one is not.
    pub(super) next: u8,
    /// Their bytes.
    pub(super) len: u32,
    /// What the fragment header says of a packet that was sent in several parts: identification, place, more follow.
    pub(super) part: Option<(u32, u32, bool)>,
}

/// Walks the extension headers (RFC 8200 4, RFC 4302 2.2) from the first one's number on. What stands behind the
/// header of a further part is not another header.
pub(super) fn extensions(first: u8, bytes: &[u8]) -> Extensions {
    let mut found = Extensions {
        next: first,
        len: 0,
        part: None,
    };
    let mut rest = bytes;
    for _ in 0..MAX_EXTENSIONS {
        let Some([next, length, high, low, id @ ..]) = rest.first_chunk::<8>() else {
            break;
        };
        let len = match found.next {
            // Hop-by-hop options, routing, destination options, mobility, host identity, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => {
                usize::from(*length).saturating_add(1).saturating_mul(8)
            }
            44 => 8,
            51 => usize::from(*length).saturating_add(2).saturating_mul(4),
            _ => break,
        };
        let Some(behind) = rest.get(len..) else {
            break;
        };
        let place = u16::from_be_bytes([*high, *low]);
        if found.next == 44 && place & !0x6 != 0 {
            let offset = u32::from(place & !0x7);
            found.part = Some((u32::from_be_bytes(*id), offset, place & 1 == 1));
        }
        found.next = *next;
        found.len = found.len.saturating_add(to_u32(len));
        rest = behind;
        if found.part.is_some_and(|(_, offset, _)| offset > 0) {
            break;
        }
    }
    found
}
