//! What is secret in the text and the parameters of requests, packet by packet.
//!
//! What stands behind bytes that are not in the file may be a part of a literal that is secret: it is hidden, unless
//! it is SQL in which nothing begins or ends that could be one.

use std::iter;
use std::ops::Range;

use super::message::secrets_of_request;
use super::stream::Frames;
use super::{Dissector, packed};
use crate::decode::smp;
use crate::decode::tds::{HEADER_LEN, packet_type, sql_secret};
use crate::store::{PduFlags, PduKind, PduRow};
use crate::units::{PduId, Side, StreamPos};

/// PDUs of a sender that are looked at for the packets before one that does not end.
const LOOK_BACK: usize = 4096;

/// Whether messages of a kind carry SQL text or parameters.
pub(super) fn is_request(kind: u8) -> bool {
    matches!(kind, packet_type::SQL_BATCH | packet_type::RPC)
}

/// Of bytes of a client that are in no packet: they may be a part of a request, which is likely if the connection speaks
/// TDS, or if a word of secrets is in them, or a quote, in front of which there may be one.
pub(super) fn of_strange(bytes: &[u8], is_tds: bool) -> Vec<Range<u32>> {
    let quote = |pair: &[u8]| matches!(pair, b"'\0" | b"\"\0");
    if is_tds || sql_secret::may_be_in(bytes) || bytes.windows(2).any(quote) {
        return of_piece(packet_type::SQL_BATCH, bytes);
    }
    Vec::new()
}

/// What of a packet of a request is secret, if it is one that stands alone in its DATA; counted from the first byte of
/// its headers.
pub(super) fn parts(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
    headers: u32,
) -> Option<Vec<Range<u32>>> {
    if !is_request(pdu.tds_type) || dissector.packed.has(frames.store, pdu) {
        return None;
    }
    let index = dissector.index(frames, id)?;
    let part = index.place(id)?;
    Some(behind(headers, index.secret_parts(frames, part)))
}

fn behind(headers: u32, parts: Vec<Range<u32>>) -> Vec<Range<u32>> {
    let shift = |n: u32| n.saturating_add(headers);
    let parts = parts.into_iter();
    parts
        .map(|part| shift(part.start)..shift(part.end))
        .collect()
}

/// As [`parts`], of a packet that does not end.
pub(super) fn unfinished(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    pdu: &PduRow,
    kind: u8,
    headers: u32,
) -> Vec<Range<u32>> {
    let spoken = dissector.spoken(frames, pdu.conn);
    let context = packed::context(frames.store, pdu, spoken, 0);
    let len = pdu.len.saturating_sub(headers);
    let head = frames.stretch(pdu, pdu.pos, headers.min(pdu.len)).bytes;
    let from = StreamPos(pdu.pos.0.saturating_add(u64::from(headers)));
    let body = frames.stretch(pdu, from, len).bytes;
    let mut parts = match before(dissector, frames, pdu, &head, kind) {
        Some(text) => {
            let all = [&text[..], &body].concat();
            let here = |at: usize| short(at.saturating_sub(text.len()));
            let found = secrets_of_request(kind, &all, &context).into_iter();
            found
                .map(|range| here(range.start)..here(range.end))
                .collect()
        }
        None => of_piece(kind, &body),
    };
    parts.push(short(body.len())..len);
    behind(headers, parts)
}

/// As [`parts`], of a client's bytes that no protocol explains and that stand right behind its last packet: they may be
/// more of the request in it, if that says a wrong length. `None` if nobody knows what is before them.
pub(super) fn stray(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
) -> Option<Vec<Range<u32>>> {
    let store = frames.store;
    let before = (0..id.0).rev().take(LOOK_BACK).map(PduId);
    let mut before = before.filter_map(|id| Some((id, store.pdu(id)?)));
    let (before, row) = before.find(|(_, row)| row.conn == pdu.conn && row.end == pdu.end)?;
    let adjacent = row.pos.0.saturating_add(u64::from(row.len)) == pdu.pos.0;
    let is_known = row.kind.is_control() || row.kind == PduKind::Tls || row.carries_tds();
    let by_client = store.pdu_side(pdu) == Some(Side::Client);
    if !adjacent || !is_known || !by_client {
        return None;
    }
    let bytes = frames.stretch(pdu, pdu.pos, pdu.len).bytes;
    let mut tells = sql_secret::may_be_in(&bytes);
    if row.carries_tds() && is_request(row.tds_type) {
        let index = dissector.index(frames, before)?;
        let text = index.whole_body(frames)?;
        tells = sql_secret::may_be_in(&[&text[..], &bytes].concat());
    }
    let harmless = if tells { 0 } else { short(bytes.len()) };
    Some(iter::once(harmless..pdu.len).collect())
}

fn short(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The body of a message as far as it stands before a packet that does not end; `None` where some of it is missing.
fn before(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    pdu: &PduRow,
    head: &[u8],
    kind: u8,
) -> Option<Vec<u8>> {
    let tds = head.get(head.len().checked_sub(HEADER_LEN)?..)?;
    let last = last_before(frames, pdu, head);
    let open = last.filter(|(_, row, _)| {
        row.carries_tds() && row.tds_type == kind && !row.flags.has(PduFlags::MESSAGE_END)
    });
    let Some((id, _, adjacent)) = open else {
        // The first packet of a message.
        return tds.get(6).is_some_and(|number| *number <= 1).then(Vec::new);
    };
    if !adjacent {
        return None;
    }
    dissector.index(frames, id)?.whole_body(frames)
}

/// The packet that its sender sent before another one in the same session, and whether nothing is missing between them.
fn last_before(frames: &Frames<'_>, pdu: &PduRow, head: &[u8]) -> Option<(PduId, PduRow, bool)> {
    let store = frames.store;
    let ends_before = |row: &PduRow| row.pos.0.saturating_add(u64::from(row.len)) <= pdu.pos.0;
    let header = smp::Header::read(head).filter(|_| head.first() == Some(&smp::SMID));
    let Some(header) = header else {
        let mut before = store.plain_pdus_back(pdu.conn, pdu.end).take(LOOK_BACK);
        let (id, row) = before.find(|(_, row)| ends_before(row))?;
        let end = row.pos.0.saturating_add(u64::from(row.len));
        return Some((id, row, end == pdu.pos.0));
    };
    let session = store.session_at(pdu.conn, header.sid, pdu.frame)?;
    let last = session.ends.get(pdu.end).last_data;
    let mut before = store.pdu_chain_back(last).take(LOOK_BACK);
    let (id, row) = before.find(|(_, row)| !row.kind.is_control() && ends_before(row))?;
    Some((id, row, header.seqnum.diff(row.seqnum) == 1))
}

/// Of a piece of a request's body whose beginning is not in the file.
pub(super) fn of_piece(kind: u8, bytes: &[u8]) -> Vec<Range<u32>> {
    let harmless = if kind == packet_type::SQL_BATCH {
        sql_secret::harmless_piece(bytes)
    } else {
        0..0
    };
    vec![
        0..short(harmless.start),
        short(harmless.end)..short(bytes.len()),
    ]
}
