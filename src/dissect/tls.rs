//! TLS records of a frame, with what their handshake messages need of the records before and behind them: raw on TCP,
//! or wrapped in TDS packets.

use std::ops::Range;

use super::message;
use super::stream::{Frames, Gathered};
use crate::decode::field::{Field, Value};
use crate::decode::tds::message::stop_field;
use crate::decode::tls::records::Stream;
use crate::decode::tls::{content, tree};
use crate::store::{PduFlags, PduKind, PduRow};
use crate::units::PduId;

/// Most PDUs in front of the ones at hand, and behind them, that are read for a handshake message.
const AROUND: usize = 64;
/// Most bytes that are read for a handshake message.
const MAX_BYTES: usize = 1 << 18;
/// PDUs of the capture that are looked through for those behind.
const LOOK_AHEAD: usize = 4096;
/// Most bytes of the PDUs at hand.
const MAX_LEN: u32 = 1 << 16;

/// A stretch of a direction's TLS stream around some PDUs.
#[derive(Debug, Default)]
struct Window {
    bytes: Gathered,
    /// The bytes of the PDUs themselves.
    wanted: Range<usize>,
    /// Some of them are not in the file.
    missing: bool,
    /// A Change Cipher Spec stands before it.
    encrypted: bool,
}

/// Whether a PDU carries handshake messages, wrapped or raw.
fn is_handshake(pdu: &PduRow) -> bool {
    match pdu.kind {
        PduKind::Tls => pdu.tds_type == content::HANDSHAKE,
        _ => pdu.carries_tds() && pdu.flags.has(PduFlags::WRAPPED_TLS),
    }
}

/// The TLS bytes that a PDU carries.
fn read(frames: &mut Frames<'_>, pdu: &PduRow) -> Gathered {
    if pdu.kind == PduKind::Tls {
        frames.stretch(pdu, pdu.pos, pdu.len.min(MAX_LEN))
    } else {
        message::body(frames, pdu, MAX_LEN)
    }
}

impl Window {
    /// The PDUs from `ids` and what stands directly around them, so that handshake messages can be put together.
    fn around(frames: &mut Frames<'_>, ids: &[PduId]) -> Self {
        let store = frames.store;
        let rows: Vec<PduRow> = ids.iter().filter_map(|id| store.pdu(*id)).collect();
        let (Some(first), Some(last), Some(last_id)) = (rows.first(), rows.last(), ids.last())
        else {
            return Self::default();
        };
        let mut window = Self::default();
        if is_handshake(first) {
            window.before(frames, first);
        }
        let start = window.bytes.bytes.len();
        for row in &rows {
            if !window.add(frames, row) {
                break;
            }
        }
        window.wanted = start..window.bytes.bytes.len();
        window.missing = !window.bytes.is_whole();
        if is_handshake(last) && !window.missing {
            window.behind(frames, *last_id, last);
        }
        window
    }

    /// Adds the bytes of a PDU; whether they are all there.
    fn add(&mut self, frames: &mut Frames<'_>, pdu: &PduRow) -> bool {
        let bytes = read(frames, pdu);
        self.bytes.append(&bytes, 0..bytes.bytes.len());
        self.bytes.wanted = self
            .bytes
            .wanted
            .saturating_add(bytes.wanted.saturating_sub(bytes.bytes.len()));
        bytes.is_whole()
    }

    /// The handshake of the same sender up to a PDU.
    fn before(&mut self, frames: &mut Frames<'_>, first: &PduRow) {
        let store = frames.store;
        let mut rows = Vec::new();
        let mut left = MAX_BYTES;
        for (_, row) in store.pdu_chain_back(first.prev).take(AROUND) {
            if row.kind == PduKind::Tls && row.tds_type == content::CHANGE_CIPHER_SPEC {
                self.encrypted = true;
            }
            let len = usize::try_from(row.len).unwrap_or(usize::MAX);
            if !is_handshake(&row) || len > left {
                break;
            }
            left = left.saturating_sub(len);
            rows.push(row);
        }
        for row in rows.iter().rev() {
            // Behind bytes that are not in the file, records are read from where they are there again.
            if !self.add(frames, row) {
                self.bytes = Gathered::default();
            }
        }
    }

    /// The records behind the last PDU, as long as a message of it is not complete.
    fn behind(&mut self, frames: &mut Frames<'_>, last: PduId, row: &PduRow) {
        let store = frames.store;
        let next = store.sent_behind(last, row, LOOK_AHEAD).take(AROUND);
        for (_, next) in next {
            let is_open = self.bytes.bytes.len() < MAX_BYTES && self.is_open();
            if !is_open || !is_handshake(&next) || !self.add(frames, &next) {
                break;
            }
        }
    }

    /// Whether a message with bytes in the wanted part goes on behind the window.
    fn is_open(&self) -> bool {
        let stream = Stream::read(&self.bytes.bytes, self.encrypted);
        let last = stream.messages.last();
        last.is_some_and(|message| {
            let ranges = &message.ranges;
            !message.is_whole()
                && ranges
                    .iter()
                    .any(|r| r.start < self.wanted.end && r.end > self.wanted.start)
        }) || stream
            .stop
            .is_some_and(|stop| stop.short && self.wanted.end == self.bytes.bytes.len())
    }
}

/// The records in PDUs of one sender that stand behind one another, as fields placed in frames; and whether some of
/// their bytes are not in the file.
pub fn fields(frames: &mut Frames<'_>, ids: &[PduId]) -> (Vec<Field>, bool) {
    let window = Window::around(frames, ids);
    let (decoded, _) = tree::within(&window.bytes.bytes, &window.wanted, window.encrypted);
    let mut fields = decoded.fields;
    if let Some(stop) = &decoded.stop {
        fields.push(stop_field(stop, window.wanted.start, window.wanted.len()));
    }
    for field in &mut fields {
        field.place(&|range| window.bytes.spans(range));
        link_fragments(field);
    }
    (fields, window.missing)
}

/// Gives parts of messages the frame that shows the whole.
fn link_fragments(field: &mut Field) {
    if field.name == "tls.handshake.reassembled_in"
        && let Some(span) = field.spans.last()
    {
        let frame = span.frame;
        field.value = Value::Frame(frame);
        field.links.push(frame);
        field.text.clear();
        field.label = "shown whole in frame".into();
    }
    for child in &mut field.children {
        link_fragments(child);
    }
}

/// The same records in words: content type, and what is in each.
pub fn words(frames: &mut Frames<'_>, ids: &[PduId]) -> Vec<(u8, Vec<String>)> {
    let window = Window::around(frames, ids);
    let stream = Stream::read(&window.bytes.bytes, window.encrypted);
    stream.words(&window.bytes.bytes, &window.wanted)
}
