//! Bytes of PDUs for searching, with secrets blanked so that nothing can be found in them.

use std::ops::Range;

use super::Dissector;
use super::secret;
use super::stream::{Frames, Gathered};
use crate::decode::tds::{HEADER_LEN, packet_type};
use crate::store::{PduKind, PduRow};
use crate::units::{PduId, StreamPos};

/// Most bytes of one PDU that are read; longer ones are ranges without borders.
const MAX_BYTES: u32 = 1 << 20;

/// The bytes of a PDU as far as they are in the file, secrets as zeros. With `body`, without the headers of SMP and
/// TDS.
pub fn bytes(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    body: bool,
) -> Option<Vec<u8>> {
    let pdu = frames.store.pdu(id)?;
    if matches!(pdu.kind, PduKind::Hidden | PduKind::Tls) || pdu.tds_type == packet_type::LOGIN_OLD
    {
        return None;
    }
    let skip = if body { headers(&pdu) } else { 0 };
    let from = StreamPos(pdu.pos.0.saturating_add(u64::from(skip)));
    let len = pdu.len.saturating_sub(skip).min(MAX_BYTES);
    let mut gathered = frames.stretch(&pdu, from, len);
    blank_secrets(dissector, frames, &pdu, &mut gathered);
    Some(gathered.bytes)
}

fn headers(pdu: &PduRow) -> u32 {
    let tds = if pdu.carries_tds() {
        u32::try_from(HEADER_LEN).unwrap_or(0)
    } else {
        0
    };
    pdu.smp_header_len().saturating_add(tds)
}

fn blank_secrets(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    pdu: &PduRow,
    gathered: &mut Gathered,
) {
    if !matches!(pdu.kind, PduKind::Data | PduKind::Tds | PduKind::Unknown) {
        return;
    }
    let places: Vec<_> = gathered.spans(0..gathered.bytes.len());
    let mut at = 0_usize;
    for place in places {
        let len = place.bytes.len();
        for secret in secret::ranges(dissector, frames, place.frame) {
            let range = overlap(&secret, &place.bytes, at);
            if let Some(bytes) = gathered.bytes.get_mut(range) {
                bytes.fill(0);
            }
        }
        at = at.saturating_add(len);
    }
}

/// The part of a secret that lies in a place, counted from `at`, where the place begins in the bytes.
fn overlap(secret: &Range<usize>, place: &Range<usize>, at: usize) -> Range<usize> {
    let start = secret.start.clamp(place.start, place.end);
    let end = secret.end.clamp(start, place.end);
    let shift = |n: usize| at.saturating_add(n.saturating_sub(place.start));
    shift(start)..shift(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_inside_a_place_is_blanked() {
        assert_eq!(overlap(&(60..70), &(54..64), 10), 16..20);
        assert_eq!(overlap(&(40..58), &(54..64), 0), 0..4);
        assert_eq!(overlap(&(40..50), &(54..64), 3), 3..3);
        assert_eq!(overlap(&(70..80), &(54..64), 3), 13..13);
    }
}
