//! The tree of one PDU: SMP, TDS with the message that it belongs to, TLS.

use super::message::{Decoded, Index};
use super::packed::{self, Packed};
use super::stream::{Frames, Gathered};
use super::{Dissector, FrameTree, Options, handles, smp};
use crate::decode::field::{Field, Value};
use crate::decode::smp as smp_header;
use crate::decode::tds::Header;
use crate::decode::tds::message::{self as tds, Message};
use crate::store::{PduFlags, PduKind, PduRow, RequestRow, Store};
use crate::units::{PduId, Side};

/// Adds PDUs to a frame's tree.
pub struct Builder<'a, 'f> {
    /// What is remembered between frames.
    pub dissector: &'a mut Dissector,
    /// The frames.
    pub frames: &'a mut Frames<'f>,
    /// How much is decoded.
    pub options: &'a Options,
    /// The PDUs that are shown, so that a message that has several packets among them is shown with the last.
    pub shown: Vec<PduId>,
    /// The tree.
    pub tree: FrameTree,
}

impl Builder<'_, '_> {
    /// Adds a PDU.
    pub fn add(&mut self, id: PduId, pdu: &PduRow) {
        match pdu.kind {
            PduKind::Hidden => {
                self.push(Field::new("tds.more", "hidden", Value::None).text(format!(
                    "{} bytes of the stream are not in the file; what they hold is not known",
                    pdu.len
                )));
            }
            PduKind::Unknown => {
                let bytes = self.frames.stretch(pdu, pdu.pos, pdu.len.min(4096));
                self.push(placed(
                    Field::new("tcp.payload", "unknown", Value::None)
                        .text(super::info::unread(pdu))
                        .at(0..bytes.bytes.len()),
                    &bytes,
                ));
            }
            PduKind::Tls => {
                let layer = tls_layer(self.frames, id);
                self.push(layer);
            }
            _ => self.smp_or_tds(id, pdu),
        }
    }

    fn push(&mut self, field: Field) {
        self.tree.fields.push(field);
    }

    fn smp_or_tds(&mut self, id: PduId, pdu: &PduRow) {
        let head_len = pdu.smp_header_len().saturating_add(8).min(pdu.len);
        let bytes = self.frames.stretch(pdu, pdu.pos, head_len);
        let mut at = 0;
        if pdu.kind.is_smp() {
            let layer = smp_layer(self.frames.store, id, pdu, &bytes);
            self.push(layer);
            at = smp_header::HEADER_LEN;
            if pdu.kind != PduKind::Data {
                return;
            }
        }
        if let Some(packed) = packed::of(self.dissector, self.frames, id, pdu) {
            return self.packed(pdu, &packed);
        }
        if !pdu.flags.has(PduFlags::TDS_HEADER) {
            return self.push(
                Field::new("tds.stop", "TDS", Value::None)
                    .text("the packet header is not in the file"),
            );
        }
        self.tds_packet(id, pdu, &bytes, at);
    }

    fn tds_packet(&mut self, id: PduId, pdu: &PduRow, bytes: &Gathered, at: usize) {
        let store = self.frames.store;
        let head = bytes.bytes.get(at..).unwrap_or_default();
        let (fields, header) = tds::header(head, at);
        let mut field = Field::new("", "TDS", Value::None)
            .text(tds::type_name(pdu.tds_type))
            .children(fields)
            .at(at..at.saturating_add(8));
        field = placed(field, bytes);
        let assumed = self
            .dissector
            .spoken(self.frames, pdu.conn)
            .and_then(|spoken| spoken.assumed);
        let Some(index) = self.dissector.index(self.frames, id) else {
            return self.push(field);
        };
        let part = index.place(id).unwrap_or(0);
        if let Some(header) = header {
            field.text = heading(header);
            if index.wrapped_tls {
                field.text.push_str("  with a TLS handshake");
            }
        }
        field.children.push(message_field(store, index, part));
        if let Some(pairing) = pairing(store, pdu) {
            field.children.extend(pairing);
        }
        if let Some(words) = assumed {
            field
                .children
                .push(Field::new("tds.assumed", "assumed", Value::None).text(words));
        }
        let whole = self.options.message || !index.is_answer();
        let behind = index
            .parts
            .get(part.saturating_add(1)..)
            .unwrap_or_default();
        if whole && behind.iter().any(|id| self.shown.contains(id)) {
            field.children.push(
                Field::new("tds.more", "contents", Value::None)
                    .text("shown with the last packet of the message in this frame"),
            );
            return self.push(field);
        }
        let decoded = if index.wrapped_tls {
            let (fields, missing) = super::tls::fields(self.frames, &index.parts);
            Decoded::of_fields(fields, missing)
        } else {
            index.decode(
                self.frames,
                part,
                self.options.max_rows,
                self.options.message,
            )
        };
        self.contents(pdu, field, decoded);
    }

    /// What a message says, below the field of its packet.
    fn contents(&mut self, pdu: &PduRow, mut field: Field, decoded: Decoded) {
        if let Some((begin, end, open_at)) = decoded.value_before {
            field.children.push(
                Field::new("tds.more", "continued", Value::None).text(format!(
                    "{} bytes of a row that begins {} bytes before",
                    end.saturating_sub(begin),
                    begin.saturating_sub(open_at)
                )),
            );
        }
        let mut message = decoded.message;
        field.children.append(&mut message.fields);
        self.statements(pdu, &mut field, &mut message);
        if decoded.unread > 0 {
            field
                .children
                .push(Field::new("tds.more", "unread", Value::None).text(format!(
                    "{} more bytes of the message are not decoded here",
                    decoded.unread
                )));
        }
        if decoded.missing {
            field.children.push(
                Field::new("tds.stop", "missing", Value::None)
                    .text("bytes of the message are not in the file; decoding ends there"),
            );
        }
        self.push(field);
        self.tree.sql.append(&mut message.sql);
        self.tree.grids.append(&mut message.grids);
    }

    /// Calls as T-SQL, with the statements that their handles stand for.
    fn statements(&mut self, pdu: &PduRow, field: &mut Field, message: &mut Message) {
        for (call, sql) in message.calls.iter().zip(&mut message.sql) {
            let text = Value::Text(sql.clone());
            field.children.push(Field::new("tds.sql", "as T-SQL", text));
            let before = pdu.first_frame;
            let origin = handles::origin(self.dissector, self.frames, pdu.conn, before, call);
            if let Some(origin) = origin {
                *sql = format!(
                    "{}\n{sql}",
                    commented(&format!("from frame {}:\n{}", origin.frame, origin.text))
                );
                field.children.push(
                    Field::new("tds.sql", "statement", Value::Text(origin.text))
                        .text("of the handle, from the call that made it")
                        .link(origin.frame),
                );
            }
        }
    }

    /// A DATA whose TDS packets are not one each: all messages with bytes in it.
    fn packed(&mut self, pdu: &PduRow, packed: &Packed) {
        let spoken = self.dissector.spoken(self.frames, pdu.conn);
        for message in &packed.messages {
            let mut field = Field::new("", "TDS", Value::None);
            let mut words = Vec::new();
            for (header, bytes) in packed.headers(message) {
                let (fields, _) = tds::header(&bytes.bytes, 0);
                words.push(heading(header));
                let header = Field::new("tds.packet", "packet", Value::None)
                    .text(heading(header))
                    .children(fields)
                    .at(0..bytes.bytes.len());
                field.children.push(placed(header, &bytes));
            }
            field.text = match (words.as_slice(), message.packets.first()) {
                ([], Some(first)) => {
                    format!("{}  more of a packet", tds::type_name(first.header.kind))
                }
                _ => words.join(", "),
            };
            field.spans = field
                .children
                .iter()
                .flat_map(|c| c.spans.clone())
                .collect();
            let body = packed.body(message);
            let count = message.packets.len();
            let mut words = format!("{count} packets, {} bytes", body.bytes.len());
            if !message.has_start {
                words.push_str("; its beginning was not found");
            }
            if !message.has_end {
                words.push_str("; its end was not found");
            }
            let about = Field::new("tds.message", "message", Value::None).text(words);
            field.children.push(about);
            let decoded = packed::decode(
                self.frames.store,
                pdu,
                message,
                &body,
                spoken,
                self.options.max_rows,
            );
            self.contents(pdu, field, decoded);
        }
    }
}

/// SQL text as comment lines.
fn commented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("-- {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

fn heading(header: Header) -> String {
    format!(
        "{}  packet {}  SPID {}{}",
        tds::type_name(header.kind),
        header.packet_id,
        header.spid,
        if header.is_eom() { "  EOM" } else { "" }
    )
}

fn smp_layer(store: &Store, id: PduId, pdu: &PduRow, bytes: &Gathered) -> Field {
    let mut field = Field::new("", "SMP", Value::None)
        .text(smp::heading(pdu))
        .children(smp::header(&bytes.bytes))
        .at(0..smp_header::HEADER_LEN);
    field = placed(field, bytes);
    if pdu.first_frame != pdu.frame {
        field = field.link(pdu.first_frame);
    }
    field.children.extend(smp::effect(store, id, pdu));
    field.children.extend(smp::violations(store, id, pdu));
    field
}

fn message_field(store: &Store, index: &Index, part: usize) -> Field {
    let many = index.parts.len();
    let frame_of = |id: Option<&PduId>| id.and_then(|id| store.pdu(*id)).map(|pdu| pdu.frame);
    let mut words = format!(
        "packet {} of {many}{}, {} bytes",
        part.saturating_add(1),
        if index.has_end { "" } else { " or more" },
        index.body_len()
    );
    if !index.has_start {
        words.push_str("; its beginning is not in the capture");
    }
    if !index.has_end {
        words.push_str("; its end is not in the capture");
    }
    let mut field = Field::new("tds.message", "message", Value::None).text(words);
    if many > 1 {
        for frame in [frame_of(index.parts.first()), frame_of(index.parts.last())]
            .into_iter()
            .flatten()
        {
            field = field.link(frame);
        }
    }
    field
}

/// The request that a PDU belongs to: its other half.
pub fn request_of(store: &Store, pdu: &PduRow) -> Option<RequestRow> {
    store
        .requests_back(pdu.frame)
        .take(4096)
        .find(|r| r.conn == pdu.conn && r.session == pdu.session)
}

fn pairing(store: &Store, pdu: &PduRow) -> Option<Vec<Field>> {
    let request = request_of(store, pdu)?;
    let mut fields = Vec::new();
    let by_client = store.pdu_side(pdu) == Some(Side::Client);
    if by_client {
        let answer = request
            .answer_first_frame
            .filter(|_| (request.first_frame..=request.last_frame).contains(&pdu.frame))?;
        fields.push(
            Field::new("tds.response_in", "answer in frame", Value::Frame(answer)).link(answer),
        );
        if let Some(nanos) = request.first_byte_ns {
            fields.push(Field::new(
                "tds.response_time",
                "time to the answer",
                Value::Span(nanos),
            ));
        }
    } else {
        let last = request.answer_last_frame?;
        let first = request.answer_first_frame?;
        if !(first..=last).contains(&pdu.frame) {
            return None;
        }
        fields.push(
            Field::new(
                "tds.request_in",
                "answers the request in frame",
                Value::Frame(request.first_frame),
            )
            .text(store.text(request.text).to_owned())
            .link(request.first_frame),
        );
    }
    Some(fields)
}

fn tls_layer(frames: &mut Frames<'_>, id: PduId) -> Field {
    let (records, missing) = super::tls::fields(frames, &[id]);
    let words = records
        .iter()
        .filter(|field| field.name == "tls.record")
        .map(|record| {
            format!("{} {}", record.label, record.text)
                .trim_end()
                .to_owned()
        })
        .collect::<Vec<_>>()
        .join("; ");
    let mut field = Field::new("", "TLS", Value::None).text(words);
    field.spans = records
        .iter()
        .flat_map(|record| record.spans.clone())
        .collect();
    field.children = records;
    if missing {
        field.children.push(
            Field::new("tds.stop", "missing", Value::None)
                .text("bytes of the record are not in the file"),
        );
    }
    field
}

fn placed(mut field: Field, bytes: &Gathered) -> Field {
    field.place(&|range| bytes.spans(range));
    field
}
