//! TDS packets that do not stand alone in their SMP:DATA: several in one, or one over several. The DATA of one sender
//! and session are read as a stream of TDS packets (`smp.md` 7).

use std::collections::BTreeSet;
use std::ops::Range;

use super::Dissector;
use super::message::Decoded;
use super::stream::{Frames, Gathered};
use super::version::Spoken;
use crate::decode::tds::message::Context;
use crate::decode::tds::{HEADER_LEN, Header, Version};
use crate::store::{CheckId, PduFlags, PduKind, PduRow, Store};
use crate::units::{PduId, SessionId, Side, SmpSeq, StreamPos};

/// Most DATA packets on either side of the one at hand that are read.
const AROUND: usize = 64;
/// Most bytes on either side that are read.
const MAX_BYTES: u32 = 1 << 18;
/// PDUs of the capture that are looked through for those behind.
const LOOK_AHEAD: usize = 4096;

/// The sessions in which some DATA did not hold exactly one TDS packet, as far as they were looked up.
#[derive(Debug, Default)]
pub struct Sessions {
    known: BTreeSet<SessionId>,
    seen: usize,
}

impl Sessions {
    /// Whether a PDU belongs to one of them.
    pub fn has(&mut self, store: &Store, pdu: &PduRow) -> bool {
        let all = store.violations();
        if all.len() < self.seen {
            *self = Self::default();
        }
        let new = all.get(self.seen..).unwrap_or_default();
        let packed = new.iter().filter(|v| v.check == CheckId::P1);
        self.known.extend(packed.filter_map(|v| v.session));
        self.seen = all.len();
        pdu.kind == PduKind::Data && pdu.session.is_some_and(|id| self.known.contains(&id))
    }
}

/// A TDS packet in the stream.
#[derive(Debug, Clone, Copy)]
pub struct Packet {
    /// Its header.
    pub header: Header,
    /// Its place among the bytes read, header included.
    start: usize,
    end: usize,
}

/// A TDS message in the stream.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// Its packets.
    pub packets: Vec<Packet>,
    /// Its first packet begins it.
    pub has_start: bool,
    /// Its last packet ends it.
    pub has_end: bool,
}

/// The stream around one DATA.
#[derive(Debug, Default)]
pub struct Packed {
    bytes: Gathered,
    /// The payload of the DATA at hand.
    here: Range<usize>,
    /// The payloads of all DATA read.
    payloads: Vec<Range<usize>>,
    /// The messages that have bytes in the DATA at hand.
    pub messages: Vec<Message>,
}

/// The messages in a DATA of a session in which packets are not one each.
pub fn of(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
) -> Option<Packed> {
    if !dissector.packed.has(frames.store, pdu) {
        return None;
    }
    Packed::read(frames, id, pdu)
}

/// Decodes a message.
pub fn decode(
    store: &Store,
    pdu: &PduRow,
    message: &Message,
    body: &Gathered,
    spoken: Option<Spoken>,
    max_rows: usize,
) -> Decoded {
    let kind = message.packets.first().map_or(0, |p| p.header.kind);
    let context = context(store, pdu, spoken, max_rows);
    let len = u64::try_from(body.bytes.len()).unwrap_or(u64::MAX);
    Decoded::new(kind, body, 0, &context, len, message.has_start)
}

/// In which context the messages of a PDU's session are to be read.
pub fn context(store: &Store, pdu: &PduRow, spoken: Option<Spoken>, max_rows: usize) -> Context {
    let server = store.pdu_side(pdu) == Some(Side::Server);
    Context {
        version: spoken.map_or_else(Version::default, |spoken| spoken.version),
        column_encryption: spoken.is_some_and(|spoken| spoken.features.column_encryption),
        ranks: spoken.and_then(|spoken| spoken.features.ranks),
        from_server: server,
        max_rows,
        ..Context::default()
    }
}

impl Packed {
    /// The messages in a DATA, unless each of them consists of whole DATA.
    fn read(frames: &mut Frames<'_>, id: PduId, pdu: &PduRow) -> Option<Self> {
        let mut packed = Self::default();
        packed.gather(frames, id, pdu);
        let messages = packed.cut();
        let here = packed.here.clone();
        let touches = |p: &Packet| p.start < here.end && p.end > here.start;
        packed.messages = messages
            .into_iter()
            .filter(|message| message.packets.iter().any(touches))
            .collect();
        let plain = packed
            .messages
            .iter()
            .flat_map(|m| &m.packets)
            .all(|packet| {
                let range = packet.start..packet.end;
                packed.payloads.contains(&range)
            });
        (!plain && !packed.messages.is_empty()).then_some(packed)
    }

    fn gather(&mut self, frames: &mut Frames<'_>, id: PduId, pdu: &PduRow) {
        let store = frames.store;
        let mut before = Vec::new();
        let mut left = MAX_BYTES;
        let mut next = *pdu;
        for (_, row) in store.pdu_chain_back(pdu.prev).take(2 * AROUND) {
            if row.kind.is_control() {
                continue;
            }
            let adjacent = row.kind == PduKind::Data && next.seqnum.diff(row.seqnum) == 1;
            if !adjacent || before.len() >= AROUND || row.len > left {
                break;
            }
            left = left.saturating_sub(row.len);
            next = row;
            before.push(row);
        }
        for row in before.iter().rev() {
            // Only where a packet begins can the stream be entered.
            if (self.payloads.is_empty() && !begins_packet(frames, row)) || !self.add(frames, row) {
                *self = Self::default();
            }
        }
        let start = self.bytes.bytes.len();
        let whole = self.add(frames, pdu);
        self.here = start..self.bytes.bytes.len();
        if whole {
            self.behind(frames, id, pdu);
        }
    }

    fn behind(&mut self, frames: &mut Frames<'_>, id: PduId, pdu: &PduRow) {
        let store = frames.store;
        let rows = store
            .sent_behind(id, pdu, LOOK_AHEAD)
            .filter(|(_, row)| row.session == pdu.session && row.kind == PduKind::Data)
            .take(AROUND);
        let mut before = *pdu;
        let mut left = MAX_BYTES;
        for (_, row) in rows {
            let open = self.cut().last().is_some_and(|message| !message.has_end);
            let adjacent = row.seqnum.diff(before.seqnum) == 1;
            if !open || !adjacent || row.len > left || !self.add(frames, &row) {
                break;
            }
            left = left.saturating_sub(row.len);
            before = row;
        }
    }

    /// Adds the payload of a DATA; whether it is there in whole.
    fn add(&mut self, frames: &mut Frames<'_>, row: &PduRow) -> bool {
        let payload = payload(frames, row, u32::MAX);
        let start = self.bytes.bytes.len();
        self.bytes.append(&payload, 0..payload.bytes.len());
        self.payloads.push(start..self.bytes.bytes.len());
        payload.is_whole()
    }

    /// The messages in the bytes read.
    fn cut(&self) -> Vec<Message> {
        let bytes = &self.bytes.bytes;
        let mut messages: Vec<Message> = Vec::new();
        let mut at = 0_usize;
        while let Some(header) = bytes.get(at..).and_then(Header::read) {
            if !header.is_plausible() {
                break;
            }
            let end = at.saturating_add(usize::from(header.length));
            let packet = Packet {
                header,
                start: at,
                end: end.min(bytes.len()),
            };
            let goes_on = messages.last().is_some_and(|message| {
                !message.has_end
                    && message
                        .packets
                        .last()
                        .is_some_and(|p| p.header.kind == header.kind)
            });
            if !goes_on {
                messages.push(Message {
                    has_start: header.packet_id <= 1,
                    ..Message::default()
                });
            }
            if let Some(message) = messages.last_mut() {
                message.packets.push(packet);
                message.has_end = header.is_eom() && end <= bytes.len();
            }
            at = end;
        }
        messages
    }

    /// The headers of a message's packets that begin in the DATA at hand, and where their bytes lie.
    pub fn headers(&self, message: &Message) -> Vec<(Header, Gathered)> {
        let here = message
            .packets
            .iter()
            .filter(|p| self.here.contains(&p.start));
        here.map(|packet| {
            let mut bytes = Gathered::default();
            let end = packet.start.saturating_add(HEADER_LEN).min(packet.end);
            bytes.append(&self.bytes, packet.start..end);
            (packet.header, bytes)
        })
        .collect()
    }

    /// The body of a message, as far as it was read.
    pub fn body(&self, message: &Message) -> Gathered {
        let mut body = Gathered::default();
        for packet in &message.packets {
            let start = packet.start.saturating_add(HEADER_LEN).min(packet.end);
            body.append(&self.bytes, start..packet.end);
        }
        body
    }
}

/// The payload of a DATA, at most so many bytes of it.
fn payload(frames: &mut Frames<'_>, row: &PduRow, limit: u32) -> Gathered {
    let smp = row.smp_header_len();
    let from = StreamPos(row.pos.0.saturating_add(u64::from(smp)));
    frames.stretch(row, from, row.len.saturating_sub(smp).min(limit))
}

/// Whether the payload of a DATA begins with a TDS packet, by all that is known of it.
fn begins_packet(frames: &mut Frames<'_>, row: &PduRow) -> bool {
    let head = payload(frames, row, 8);
    let header = Header::read(&head.bytes).filter(Header::is_plausible);
    let fits = header.is_some_and(|h| h.kind == row.tds_type && h.status == row.tds_status);
    // The first DATA of a session begins one, even if it is too short for the header.
    row.seqnum == SmpSeq(1) || (row.flags.has(PduFlags::TDS_HEADER) && fits)
}
