//! Puts the tree of one frame together: frame, link, IP, TCP, then every PDU that ends in it, then the rule.

use super::pdu::Builder;
use super::stream::Frames;
use super::{Dissector, FrameTree, Options, finding, link, smp, tcp};
use crate::capture::link::{Network, network};
use crate::decode::field::{Field, Value};
use crate::decode::net::{self, Packet};
use crate::decode::tds::message as tds;
use crate::decode::tls;
use crate::store::{FrameRow, PduFlags, PduKind, PduRow, Store};
use crate::units::{FrameNo, PduId};

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
    let mut pdus: Vec<(PduId, PduRow)> = store.pdus_in(no).collect();
    let any = !pdus.is_empty();
    let more = pdus.len().saturating_sub(options.max_pdus);
    pdus.truncate(options.max_pdus);
    let mut builder = Builder {
        dissector,
        frames,
        options,
        shown: pdus.iter().map(|(id, _)| *id).collect(),
        tree,
    };
    for (id, pdu) in &pdus {
        builder.add(*id, pdu);
    }
    let mut tree = builder.tree;
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
    let mut builder = Builder {
        dissector,
        frames,
        options,
        shown: vec![id],
        tree: FrameTree {
            frame: row.frame,
            fields: Vec::new(),
            sql: Vec::new(),
            grids: Vec::new(),
        },
    };
    builder.add(id, &row);
    builder.tree.fields
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

/// PDUs looked at behind a frame for those that its payload is a part of.
pub(super) const LOOK_AHEAD: usize = 4096;

/// The PDU that a frame's payload is a part of, where it ends in a later frame.
pub fn later_pdu(store: &Store, no: FrameNo, row: &FrameRow) -> Option<(PduId, PduRow)> {
    let mut behind = store.sent_behind_frame(no, row, LOOK_AHEAD);
    behind.next().filter(|(_, pdu)| pdu.first_frame <= no)
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
        PduKind::Unknown if pdu.flags.has(PduFlags::UNFINISHED) => {
            let header = pdu.flags.has(PduFlags::TDS_HEADER);
            let kind = header.then(|| tds::type_name(pdu.tds_type));
            let kind = kind.map_or(String::new(), |kind| format!("{kind} "));
            format!("an unfinished {kind}packet")
        }
        PduKind::Unknown => "bytes of no known protocol".to_owned(),
    }
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
