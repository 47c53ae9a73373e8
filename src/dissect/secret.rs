//! Which bytes of a frame are secrets: they are masked wherever bytes or text of the capture are shown.
//!
//! A copy of a segment hides what the segment hides. Where the bytes of a login cannot be told from one another,
//! because its beginning, or a part in its middle, is not in the file, all of them are secret.

use std::ops::Range;

use super::message::Index;
use super::request::{self, is_request};
use super::stream::{Frames, position};
use super::{Dissector, carried, packed};
use crate::capture::link::{Network, network};
use crate::decode::field::{Field, Span, Value};
use crate::decode::net::{self, Ip, Packet, protocol};
use crate::decode::smp;
use crate::decode::tds::tokens::token;
use crate::decode::tds::{self, HEADER_LEN, packet_type, sql_secret};
use crate::store::{FrameFlags, FrameRow, PduFlags, PduKind, PduRow, Protocol, Store};
use crate::units::ranges::joined;
use crate::units::{ConnId, FrameNo, PduId, Side};

/// Packets of a client that carry its secrets.
fn is_login(kind: u8) -> bool {
    matches!(
        kind,
        packet_type::LOGIN_OLD | packet_type::LOGIN7 | packet_type::SSPI | packet_type::FED_AUTH
    )
}

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

/// The ranges of a frame's bytes, in order; none touches another.
pub fn ranges(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    no: FrameNo,
) -> Vec<Range<usize>> {
    let store = frames.store;
    let Some(row) = store.frame(no) else {
        return Vec::new();
    };
    if !row.is_tcp() {
        return joined(of_stranger(frames, no, &row));
    }
    if row.payload_len == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut known = Vec::new();
    let mut unfinished = Vec::new();
    for (id, pdu) in carried::pdus(store, no, &row) {
        let Some(place) = carried::place(store, &row, &pdu, 0..pdu.len) else {
            continue;
        };
        match of_pdu(dissector, frames, id, &pdu) {
            Secrets::At(spans) => {
                found.extend(spans.iter().filter_map(|span| here(store, span, no, &row)));
            }
            Secrets::Body(header) => {
                found.extend(carried::place(store, &row, &pdu, header..pdu.len));
            }
            Secrets::Parts(parts) => {
                let parts = parts.into_iter();
                found.extend(parts.filter_map(|part| carried::place(store, &row, &pdu, part)));
                if pdu.kind == PduKind::Unknown {
                    unfinished.push(place.clone());
                }
            }
        }
        if !matches!(pdu.kind, PduKind::Unknown | PduKind::Hidden) {
            known.push(place);
        }
    }
    if may_be_login(store, &row) {
        found.extend(between(carried::payload(&row), known));
    } else if is_client_of_server(store, &row) {
        known.extend(unfinished);
        let bytes = frames.read(no, &row);
        let is_tds = row
            .conn
            .and_then(|id| store.conn(id))
            .is_some_and(|conn| conn.protocol == Protocol::Tds);
        for part in between(carried::payload(&row), known) {
            let strange = bytes.get(part.clone()).unwrap_or_default();
            let place = |at: u32| part.start.saturating_add(size(at));
            let hidden = request::of_strange(strange, is_tds).into_iter();
            found.extend(hidden.map(|range| place(range.start)..place(range.end)));
        }
    }
    joined(found)
}

/// What of a PDU is secret.
enum Secrets {
    /// These bytes.
    At(Vec<Span>),
    /// Everything behind a header of so many bytes.
    Body(u32),
    /// These of its bytes, counted from its first.
    Parts(Vec<Range<u32>>),
}

fn of_pdu(dissector: &mut Dissector, frames: &mut Frames<'_>, id: PduId, pdu: &PduRow) -> Secrets {
    if matches!(pdu.kind, PduKind::Unknown | PduKind::Hidden) {
        return of_unknown(dissector, frames, id, pdu);
    }
    if !matches!(pdu.kind, PduKind::Data | PduKind::Tds) {
        return Secrets::At(Vec::new());
    }
    // A login of Sybase's kind has its password at a place that is not read here: nothing of it is shown.
    if pdu.tds_type == packet_type::LOGIN_OLD {
        return Secrets::Body(0);
    }
    let headers = u32::try_from(HEADER_LEN)
        .unwrap_or(0)
        .saturating_add(pdu.smp_header_len());
    if let Some(parts) = request::parts(dissector, frames, id, pdu, headers) {
        return Secrets::Parts(parts);
    }
    let Some(fields) = fields(dissector, frames, id, pdu) else {
        return Secrets::Body(headers);
    };
    let mut spans = Vec::new();
    for field in &fields {
        field.walk(&mut |field| {
            if matches!(field.value, Value::Secret(_)) {
                spans.extend(field.spans.iter().cloned());
            }
        });
    }
    Secrets::At(spans)
}

/// Of a packet that does not end, or of bytes that look like one: what is behind the header, if that says that secrets
/// follow.
fn of_unknown(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
) -> Secrets {
    let wanted = smp::HEADER_LEN.saturating_add(HEADER_LEN);
    let head = frames.stretch(
        pdu,
        pdu.pos,
        u32::try_from(wanted).unwrap_or(0).min(pdu.len),
    );
    let smp = match head.bytes.first() {
        Some(&smp::SMID) => smp::HEADER_LEN,
        _ => 0,
    };
    let [kind, status, ..] = head.bytes.get(smp..).unwrap_or(&[0, 0]) else {
        return of_stray(dissector, frames, id, pdu);
    };
    // Without a header that was understood only what looks very much like one counts.
    let sure = pdu.flags.has(PduFlags::UNFINISHED) || *status <= 1;
    let headers = u32::try_from(smp.saturating_add(HEADER_LEN)).unwrap_or(0);
    if is_login(*kind) && sure {
        return Secrets::Body(headers);
    }
    let by_client = frames.store.pdu_side(pdu) == Some(Side::Client);
    if !is_request(*kind) || !pdu.flags.has(PduFlags::UNFINISHED) || !by_client {
        return of_stray(dissector, frames, id, pdu);
    }
    Secrets::Parts(request::unfinished(dissector, frames, pdu, *kind, headers))
}

/// Of bytes that no protocol explains.
fn of_stray(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
) -> Secrets {
    match request::stray(dissector, frames, id, pdu) {
        Some(parts) => Secrets::Parts(parts),
        None => Secrets::At(Vec::new()),
    }
}

/// The fields of what a PDU carries, if there may be secrets among them; `None` where there may be and the bytes are not
/// all there, so that nobody knows which they are.
fn fields(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
) -> Option<Vec<Field>> {
    let login = is_login(pdu.tds_type) || is_login_answer(frames.store, pdu);
    if let Some(packed) = packed::of(dissector, frames, id, pdu) {
        let spoken = dissector.spoken(frames, pdu.conn);
        let mut fields = Vec::new();
        for message in &packed.messages {
            let body = packed.body(message);
            let decoded = packed::decode(frames.store, pdu, message, &body, spoken, 0);
            let kind = message.packets.first().map_or(0, |p| p.header.kind);
            let hides = login || is_request(kind);
            if hides && (decoded.missing || !message.has_start) {
                return None;
            }
            if is_request(kind)
                && decoded.message.stop.is_some()
                && sql_secret::may_be_in(&body.bytes)
            {
                return None;
            }
            fields.extend(decoded.message.fields);
        }
        return Some(fields);
    }
    let Some(index) = dissector.index(frames, id) else {
        // A packet whose header is not in the file: of the client's nobody knows what it is.
        let by_server = frames.store.pdu_side(pdu) == Some(Side::Server);
        return by_server.then(Vec::new);
    };
    let part = index.place(id);
    let Some(part) = part.filter(|part| may_be_secret(index, frames, *part, pdu)) else {
        return Some(Vec::new());
    };
    let has_start = index.has_start;
    let decoded = index.decode(frames, part, 0, false);
    let understood = has_start && !decoded.missing && decoded.unread == 0;
    (understood || !login).then_some(decoded.message.fields)
}

/// Whether a packet belongs to what a server says before it accepts the login: challenges are among it.
fn is_login_answer(store: &Store, pdu: &PduRow) -> bool {
    if pdu.kind != PduKind::Tds || pdu.tds_type != packet_type::TABULAR_RESULT {
        return false;
    }
    let login = store.conn(pdu.conn).and_then(|conn| conn.login.as_ref());
    let answer = login.and_then(|login| login.answer_frame);
    answer.is_some_and(|answer| pdu.first_frame <= answer)
}

/// Whether bytes of a frame that are in no packet may be a part of the client's login: they stand before its first
/// request, or nowhere in its stream.
fn may_be_login(store: &Store, row: &FrameRow) -> bool {
    let Some(conn) = row.conn.filter(|_| is_client_of_server(store, row)) else {
        return false;
    };
    let request = first_request(store, conn).and_then(|pdu| {
        let place = position(store, row, pdu.end, pdu.pos)?;
        Some((pdu, place))
    });
    match request {
        Some((pdu, place)) if pdu.end == row.end() => {
            place < 0 || row.flags.has(FrameFlags::NOT_IN_STREAM)
        }
        _ => true,
    }
}

/// Whether a frame is sent by the client of what is, or seems to be, SQL Server.
fn is_client_of_server(store: &Store, row: &FrameRow) -> bool {
    row.conn.and_then(|id| store.conn(id)).is_some_and(|conn| {
        let sql_server =
            conn.protocol == Protocol::Tds || conn.ends.0.iter().any(|end| end.port == tds::PORT);
        sql_server && conn.side_of(row.end()) == Side::Client
    })
}

/// The first packet of the first request of a connection.
fn first_request(store: &Store, conn: ConnId) -> Option<PduRow> {
    store.pdu(store.conn_requests(conn).next()?.first_pdu)
}

/// A span of bytes as it lies in a frame, which may carry them again.
fn here(store: &Store, span: &Span, no: FrameNo, row: &FrameRow) -> Option<Range<usize>> {
    if span.frame == no {
        return Some(span.bytes.clone());
    }
    carried::moved(&store.frame(span.frame)?, &span.bytes, row)
}

/// Parts of a range that are in none of the others.
fn between(whole: Range<usize>, others: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut left = Vec::new();
    let mut from = whole.start;
    for other in joined(others) {
        if from < other.start {
            left.push(from..other.start.min(whole.end));
        }
        from = from.max(other.end);
    }
    if from < whole.end {
        left.push(from..whole.end);
    }
    left
}

/// Of a frame that is no segment of a connection: what a part of a segment carries whose first part is not in the file,
/// and what an ICMP message quotes behind a TCP header.
fn of_stranger(frames: &mut Frames<'_>, no: FrameNo, row: &FrameRow) -> Vec<Range<usize>> {
    let Some(link) = frames.link_type(row) else {
        return Vec::new();
    };
    let bytes = frames.read(no, row);
    let Network::Ip(at) = network(link, &bytes) else {
        return Vec::new();
    };
    let start = match net::packet(&bytes, at, row.wire) {
        Packet::Fragment(part) if part.ip.protocol == protocol::TCP => size(part.ip.payload),
        Packet::Other(ip) if matches!(ip.protocol, protocol::ICMP | protocol::ICMPV6) => {
            let Some(start) = quoted(&bytes, &ip) else {
                return Vec::new();
            };
            start
        }
        _ => return Vec::new(),
    };
    let all = start..bytes.len().max(start);
    vec![all]
}

/// The header of ICMP messages that quote a packet (RFC 792, RFC 4443), and what of TCP's header follows the ports and
/// sequence number that they quote at least.
const ICMP_HEADER: usize = 8;
const TCP_HEADER: usize = 20;

/// Where the payload of a TCP segment begins that an ICMP message quotes.
fn quoted(bytes: &[u8], icmp: &Ip) -> Option<usize> {
    let at = size(icmp.payload).saturating_add(ICMP_HEADER);
    let first = *bytes.get(at)?;
    let (header, carried) = match first >> 4 {
        4 => (
            usize::from(first & 0x0f).saturating_mul(4),
            at.saturating_add(9),
        ),
        6 => (40, at.saturating_add(6)),
        _ => return None,
    };
    // Behind IPv6 extension headers a segment is not looked for: what follows is hidden as if it were one.
    let udp = bytes
        .get(carried)
        .is_some_and(|carried| *carried == protocol::UDP);
    (!udp).then(|| at.saturating_add(header).saturating_add(TCP_HEADER))
}

fn size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_between_known_ranges_is_left() {
        assert_eq!(between(10..20, vec![12..14, 13..16]), [10..12, 16..20]);
        assert_eq!(between(10..20, vec![12..14, 16..30]), [10..12, 14..16]);
        assert!(between(10..20, vec![0..12, 12..20]).is_empty());
    }

    #[test]
    fn ranges_that_touch_are_one() {
        assert_eq!(joined(vec![4..6, 0..2, 6..9, 1..3]), [0..3, 4..9]);
    }
}
