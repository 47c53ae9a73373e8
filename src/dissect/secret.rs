//! Which bytes of a frame are secrets: they are masked wherever bytes or text of the capture are shown.

use std::ops::Range;

use super::message::Index;
use super::stream::Frames;
use super::tree::later_pdu;
use super::{Dissector, packed};
use crate::decode::field::{Field, Value};
use crate::decode::smp;
use crate::decode::tds::tokens::token;
use crate::decode::tds::{HEADER_LEN, packet_type};
use crate::store::{PduFlags, PduKind, PduRow};
use crate::units::{FrameNo, PduId};

/// Whether a part of a message may carry secrets: logins, tokens, answers during the login, and session state.
fn may_be_secret(index: &mut Index, frames: &mut Frames<'_>, part: usize, pdu: &PduRow) -> bool {
    match pdu.tds_type {
        packet_type::LOGIN7 | packet_type::SSPI | packet_type::FED_AUTH => true,
        packet_type::TABULAR_RESULT if pdu.kind == PduKind::Tds => true,
        packet_type::TABULAR_RESULT => {
            let state = |token: Option<&(u8, u32)>| {
                token.is_some_and(|(token, _)| *token == token::SESSIONSTATE)
            };
            let here = index.tokens(frames, part).unwrap_or_default().0;
            let before = part
                .checked_sub(1)
                .and_then(|before| index.tokens(frames, before))
                .unwrap_or_default()
                .0;
            here.iter().any(|run| state(Some(run))) || state(before.last())
        }
        _ => false,
    }
}

/// The ranges of a frame's bytes, in order.
pub fn ranges(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    no: FrameNo,
) -> Vec<Range<usize>> {
    let store = frames.store;
    let Some(row) = store.frame(no) else {
        return Vec::new();
    };
    let mut pdus: Vec<(PduId, PduRow)> = store.pdus_in(no).collect();
    // The bytes may belong to a PDU that ends in a later frame.
    pdus.extend(later_pdu(store, no, &row));
    let mut found: Vec<Range<usize>> = Vec::new();
    for (id, pdu) in pdus {
        if pdu.flags.has(PduFlags::UNFINISHED) {
            found.extend(of_unfinished(frames, &pdu, no));
            continue;
        }
        if !matches!(pdu.kind, PduKind::Data | PduKind::Tds) {
            continue;
        }
        // A login of Sybase's kind has its password at a place that is not read here: nothing of it is shown.
        if pdu.tds_type == packet_type::LOGIN_OLD {
            let start = usize::from(row.payload_offset);
            found.push(start..usize::try_from(row.captured).unwrap_or(start));
            continue;
        }
        let fields = fields(dissector, frames, id, &pdu);
        for field in &fields {
            field.walk(&mut |field| {
                if matches!(field.value, Value::Secret(_)) {
                    let spans = field.spans.iter().filter(|span| span.frame == no);
                    found.extend(spans.map(|span| span.bytes.clone()));
                }
            });
        }
    }
    found.sort_by_key(|range| range.start);
    found.dedup();
    found
}

/// The bytes behind the header of a packet that does not end and may carry secrets: what it holds is not decoded.
fn of_unfinished(frames: &mut Frames<'_>, pdu: &PduRow, no: FrameNo) -> Vec<Range<usize>> {
    let packet = frames.stretch(pdu, pdu.pos, pdu.len);
    let smp = match packet.bytes.first() {
        Some(&smp::SMID) => smp::HEADER_LEN,
        _ => 0,
    };
    let secret = packet.bytes.get(smp).is_some_and(|kind| {
        matches!(
            *kind,
            packet_type::LOGIN_OLD
                | packet_type::FED_AUTH
                | packet_type::LOGIN7
                | packet_type::SSPI
        )
    });
    let from = smp.saturating_add(HEADER_LEN);
    if !secret || from >= packet.bytes.len() {
        return Vec::new();
    }
    let spans = packet.spans(from..packet.bytes.len());
    let here = spans.into_iter().filter(|span| span.frame == no);
    here.map(|span| span.bytes).collect()
}

/// The fields of what a PDU carries, if there may be secrets among them.
fn fields(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
) -> Vec<Field> {
    if let Some(packed) = packed::of(dissector, frames, id, pdu) {
        let spoken = dissector.spoken(frames, pdu.conn);
        let messages = packed.messages.iter();
        return messages
            .flat_map(|message| {
                let body = packed.body(message);
                let decoded = packed::decode(frames.store, pdu, message, &body, spoken, 0);
                decoded.message.fields
            })
            .collect();
    }
    let Some(index) = dissector.index(frames, id) else {
        return Vec::new();
    };
    let part = index.place(id);
    let Some(part) = part.filter(|part| may_be_secret(index, frames, *part, pdu)) else {
        return Vec::new();
    };
    index.decode(frames, part, 0, false).message.fields
}
