//! Puts the tree of one frame together: frame, link, IP, TCP, then every PDU that ends in it, then the rule.

use super::message::Index;
use super::stream::{Frames, Gathered};
use super::{Dissector, FrameTree, Options, finding, link, smp, tcp};
use crate::capture::link::{Network, network};
use crate::decode::field::{Field, Value};
use crate::decode::net::{self, Packet};
use crate::decode::tds::{message as tds, packet_type};
use crate::decode::walk::Walk;
use crate::decode::{smp as smp_header, tls};
use crate::store::{FrameRow, PduFlags, PduKind, PduRow, RequestRow, Store};
use crate::units::{FrameNo, PduId, Side, StreamPos};

/// The tree of a frame.
pub fn frame(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    no: FrameNo,
    options: &Options,
) -> Option<FrameTree> {
    let store = frames.store;
    let row = store.frame(no)?;
    let bytes = frames.read(no, &row);
    let link = frames.link_type(&row);
    let mut tree = FrameTree {
        frame: no,
        fields: vec![link::frame(store, no, &row, link, frames.comments(&row))],
        sql: Vec::new(),
        grids: Vec::new(),
    };
    let conn = row.conn.and_then(|id| store.conn(id));
    let scale = tcp::window_scale(frames, conn, &row);
    lower_layers(store, no, &row, &bytes, link, scale, &mut tree);
    let mut any = false;
    let pdus: Vec<(PduId, PduRow)> = store.pdus_in(no).collect();
    let more = pdus.len().saturating_sub(options.max_pdus);
    for (id, pdu) in pdus.into_iter().take(options.max_pdus) {
        any = true;
        one_pdu(dissector, frames, id, &pdu, options, &mut tree);
    }
    if more > 0 {
        tree.fields.push(
            Field::new("tds.more", "more", Value::None)
                .text(format!("{more} more packets end in this frame")),
        );
    }
    if !any && let Some(field) = part_of_later(store, no, &row) {
        tree.fields.push(field);
    }
    if let Some(field) = finding::on(store, no) {
        tree.fields.push(field);
    }
    let sni = conn.and_then(|conn| conn.tls.as_ref()?.sni.clone());
    judge_certificates(&mut tree.fields, row.time.0, sni.as_deref());
    Some(tree)
}

/// The fields of one PDU.
pub fn pdu(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    options: &Options,
) -> Vec<Field> {
    let Some(row) = frames.store.pdu(id) else {
        return Vec::new();
    };
    let mut tree = FrameTree {
        frame: row.frame,
        fields: Vec::new(),
        sql: Vec::new(),
        grids: Vec::new(),
    };
    one_pdu(dissector, frames, id, &row, options, &mut tree);
    tree.fields
}

fn lower_layers(
    store: &Store,
    no: FrameNo,
    row: &FrameRow,
    bytes: &[u8],
    link: Option<u32>,
    scale: tcp::Scale,
    tree: &mut FrameTree,
) {
    let Some(link) = link else {
        return;
    };
    let ip = match network(link, bytes) {
        Network::Ip(at) => Some(at),
        Network::Other(_) | Network::Cut | Network::UnknownLink => None,
    };
    let mut fields = link::headers(bytes, link, ip);
    if let Some(at) = ip {
        match net::packet(bytes, at, row.wire) {
            Packet::Tcp(segment) => {
                fields.push(tcp::segment(store, no, row, &segment, bytes, scale));
            }
            Packet::Udp(_, from, to) => {
                fields.push(Field::new("", "UDP", Value::None).text(format!("{from} > {to}")));
            }
            Packet::Fragment(fragment) => fields.push(
                Field::new(
                    "ip.frag_offset",
                    "IP fragment",
                    Value::UInt(u64::from(fragment.offset)),
                )
                .text(if fragment.more {
                    "more follow"
                } else {
                    "the last"
                }),
            ),
            Packet::Other(ip) => fields.push(
                Field::new("ip.proto", "protocol", Value::UInt(u64::from(ip.protocol)))
                    .text("not decoded"),
            ),
            Packet::Broken(why) => {
                fields.push(Field::new("", "IP", Value::None).text(why));
            }
        }
    }
    for field in &mut fields {
        field.place(&|range| {
            vec![crate::decode::field::Span {
                frame: no,
                bytes: range,
            }]
        });
    }
    tree.fields.extend(fields);
}

/// For a frame in which no PDU ends: the PDU that its payload is a part of.
fn part_of_later(store: &Store, no: FrameNo, row: &FrameRow) -> Option<Field> {
    if row.payload_len == 0 {
        return None;
    }
    let (_, pdu) = later_pdu(store, no, row)?;
    Some(
        Field::new(
            "tcp.reassembled_in",
            "part of a PDU in frame",
            Value::Frame(pdu.frame),
        )
        .text(format!("{} of {} bytes", pdu_name(&pdu), pdu.len))
        .link(pdu.frame),
    )
}

/// PDUs looked at for the one that a frame's payload is a part of.
const LOOK_AHEAD: usize = 4096;

/// The PDU that a frame's payload is a part of, where it ends in a later frame.
pub fn later_pdu(store: &Store, no: FrameNo, row: &FrameRow) -> Option<(PduId, PduRow)> {
    // The first PDU behind this frame: all that end in it have smaller numbers.
    let mut low = 0;
    let mut high = store.pdu_count();
    while low < high {
        let mid = low.midpoint(high);
        if store
            .pdu(PduId::from_index(mid))
            .is_some_and(|pdu| pdu.frame <= no)
        {
            low = mid.saturating_add(1);
        } else {
            high = mid;
        }
    }
    store
        .pdus_from(PduId::from_index(low))
        .take(LOOK_AHEAD)
        .find(|(_, pdu)| Some(pdu.conn) == row.conn && pdu.end == row.end())
        .filter(|(_, pdu)| pdu.first_frame <= no)
}

/// The name of a PDU.
pub fn pdu_name(pdu: &PduRow) -> String {
    match pdu.kind {
        PduKind::Syn | PduKind::Ack | PduKind::Fin => format!("SMP {}", smp::kind_name(pdu.kind)),
        PduKind::Data => format!("SMP DATA, {}", tds::type_name(pdu.tds_type)),
        PduKind::BadSmp => "SMP with wrong FLAGS".to_owned(),
        PduKind::Tds => format!("TDS {}", tds::type_name(pdu.tds_type)),
        PduKind::Tls => format!("TLS {}", tls::names::content(pdu.tds_type)),
        PduKind::Hidden => "hidden bytes".to_owned(),
        PduKind::Unknown => "bytes of no known protocol".to_owned(),
    }
}

fn one_pdu(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
    options: &Options,
    tree: &mut FrameTree,
) {
    let store = frames.store;
    let head_len = pdu.smp_header_len().saturating_add(8).min(pdu.len);
    match pdu.kind {
        PduKind::Hidden => {
            tree.fields
                .push(Field::new("tds.more", "hidden", Value::None).text(format!(
                    "{} bytes of the stream are not in the file; what they hold is not known",
                    pdu.len
                )));
            return;
        }
        PduKind::Unknown => {
            let bytes = frames.stretch(pdu, pdu.pos, pdu.len.min(4096));
            tree.fields.push(placed(
                Field::new("tcp.payload", "unknown", Value::None)
                    .text(format!("{} bytes of no known protocol", pdu.len))
                    .at(0..bytes.bytes.len()),
                &bytes,
            ));
            return;
        }
        PduKind::Tls => {
            let bytes = frames.stretch(pdu, pdu.pos, pdu.len.min(1 << 16));
            tree.fields.extend(tls_fields(&bytes));
            return;
        }
        _ => {}
    }
    let bytes = frames.stretch(pdu, pdu.pos, head_len);
    let mut at = 0;
    if pdu.kind.is_smp() {
        let mut field = Field::new("", "SMP", Value::None)
            .text(smp::heading(pdu))
            .children(smp::header(&bytes.bytes))
            .at(0..smp_header::HEADER_LEN);
        field = placed(field, &bytes);
        if pdu.first_frame != pdu.frame {
            field = field.link(pdu.first_frame);
        }
        field.children.extend(smp::effect(store, id, pdu));
        field.children.extend(smp::violations(store, id, pdu));
        tree.fields.push(field);
        at = smp_header::HEADER_LEN;
        if pdu.kind != PduKind::Data {
            return;
        }
    }
    if !pdu.flags.has(PduFlags::TDS_HEADER) {
        tree.fields.push(
            Field::new("tds.stop", "TDS", Value::None).text("the packet header is not in the file"),
        );
        return;
    }
    tds_packet(dissector, frames, id, pdu, &bytes, at, options, tree);
}

#[expect(
    clippy::too_many_arguments,
    reason = "one step of a walk, cut out only to keep the function above short"
)]
fn tds_packet(
    dissector: &mut Dissector,
    frames: &mut Frames<'_>,
    id: PduId,
    pdu: &PduRow,
    bytes: &Gathered,
    at: usize,
    options: &Options,
    tree: &mut FrameTree,
) {
    let store = frames.store;
    let head = bytes.bytes.get(at..).unwrap_or_default();
    let (fields, header) = tds::header(head, at);
    let mut field = Field::new("", "TDS", Value::None)
        .text(tds::type_name(pdu.tds_type))
        .children(fields)
        .at(at..at.saturating_add(8));
    field = placed(field, bytes);
    let assumed = dissector
        .spoken(frames, pdu.conn)
        .and_then(|spoken| spoken.assumed);
    let Some(index) = dissector.index(frames, id) else {
        tree.fields.push(field);
        return;
    };
    let part = index.place(id).unwrap_or(0);
    if let Some(header) = header {
        field.text = format!(
            "{}  packet {}  SPID {}{}",
            tds::type_name(header.kind),
            header.packet_id,
            header.spid,
            if header.is_eom() { "  EOM" } else { "" }
        );
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
    let decoded = index.decode(frames, part, options.max_rows, options.message);
    if let Some((begin, end, open_at)) = decoded.value_before {
        field.children.push(
            Field::new("tds.more", "continued", Value::None).text(format!(
                "{} bytes of a row that begins {} bytes before",
                end.saturating_sub(begin),
                begin.saturating_sub(open_at)
            )),
        );
    }
    field.children.extend(decoded.message.fields);
    if pdu.tds_type == packet_type::RPC {
        let calls = decoded.message.sql.iter();
        field
            .children
            .extend(calls.map(|sql| Field::new("tds.sql", "as T-SQL", Value::Text(sql.clone()))));
    }
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
    let extra = extra_packets(frames, pdu, header.map_or(0, |h| h.length));
    tree.fields.push(field);
    tree.fields.extend(extra);
    tree.sql.extend(decoded.message.sql);
    tree.grids.extend(decoded.message.grids);
}

/// TDS packets behind the first one of a DATA packet, which should hold one: their headers.
fn extra_packets(frames: &mut Frames<'_>, pdu: &PduRow, first: u16) -> Vec<Field> {
    let mut found = Vec::new();
    if pdu.kind != PduKind::Data {
        return found;
    }
    let mut at = pdu.smp_header_len().saturating_add(u32::from(first));
    while first >= 8 && at.saturating_add(8) <= pdu.len && found.len() < 16 {
        let from = StreamPos(pdu.pos.0.saturating_add(u64::from(at)));
        let bytes = frames.stretch(pdu, from, 8);
        let (fields, header) = tds::header(&bytes.bytes, 0);
        let Some(header) = header.filter(|h| h.length >= 8) else {
            break;
        };
        let field = Field::new("", "TDS", Value::None)
            .text(format!(
                "{}  another packet in the same DATA",
                tds::type_name(header.kind)
            ))
            .children(fields)
            .at(0..8);
        found.push(placed(field, &bytes));
        at = at.saturating_add(u32::from(header.length));
    }
    found
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
pub fn request_of<'s>(store: &'s Store, pdu: &PduRow) -> Option<&'s RequestRow> {
    // Requests stand in the order of their first frames.
    let all = store.requests();
    let behind = all.partition_point(|r| r.first_frame <= pdu.frame);
    all.get(..behind)
        .unwrap_or_default()
        .iter()
        .rev()
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
            .text(request.text.to_string())
            .link(request.first_frame),
        );
    }
    Some(fields)
}

fn tls_fields(bytes: &Gathered) -> Vec<Field> {
    let mut w = Walk::new(&bytes.bytes, 0);
    let result = tls::tree::records(&mut w);
    let decoded = w.finish(result);
    let mut field = Field::new("", "TLS", Value::None)
        .text(
            decoded
                .fields
                .iter()
                .map(|record| format!("{} {}", record.label, record.text))
                .collect::<Vec<_>>()
                .join("; "),
        )
        .at(0..bytes.bytes.len())
        .children(decoded.fields);
    if let Some(stop) = &decoded.stop {
        field
            .children
            .push(tds::stop_field(stop, 0, bytes.bytes.len()));
    }
    vec![placed(field, bytes)]
}

fn placed(mut field: Field, bytes: &Gathered) -> Field {
    field.place(&|range| bytes.spans(range));
    field
}

/// Says of certificates whether they were valid when the frame was captured, and whether the first one is for the
/// server that the client asked for.
fn judge_certificates(fields: &mut [Field], time: i64, mut sni: Option<&str>) {
    for field in fields {
        match (field.name, &field.value) {
            ("x509.not_before", Value::Time(from)) if *from > time => {
                "not yet valid at capture time".clone_into(&mut field.text);
            }
            ("x509.not_after", Value::Time(to)) if *to < time => {
                "expired at capture time".clone_into(&mut field.text);
            }
            ("tls.handshake.certificate", _) => {
                if let Some(asked) = sni.take().filter(|asked| !is_for(field, asked)) {
                    field.children.push(Field::new(
                        "x509.remark",
                        "remark",
                        Value::Text(format!("not for {asked}, the server asked for")),
                    ));
                }
            }
            _ => {}
        }
        judge_certificates(&mut field.children, time, sni);
    }
}

/// Whether a certificate names a host: in its host names, or where it has none, as its common name.
fn is_for(certificate: &Field, host: &str) -> bool {
    let mut names = Vec::new();
    for child in &certificate.children {
        match (child.name, &child.value) {
            ("x509ce.dNSName", Value::Text(name)) => names.push(name.clone()),
            ("x509.subject", Value::Text(subject)) => names.extend(
                subject
                    .split(", ")
                    .filter_map(|part| part.strip_prefix("CN="))
                    .map(str::to_owned),
            ),
            _ => {}
        }
    }
    names.iter().any(|name| {
        name.eq_ignore_ascii_case(host)
            || name.strip_prefix("*.").is_some_and(|domain| {
                host.split_once('.')
                    .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain))
            })
    })
}
