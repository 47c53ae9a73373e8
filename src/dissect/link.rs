//! Frame, link and IP headers as trees.

use crate::capture::link::link_type;
use crate::decode::field::{Field, Value};
use crate::decode::registry;
use crate::decode::walk::{Flag, Step, Stop, Walk};
use crate::store::{FrameRow, Store};
use crate::units::FrameNo;

use super::render;

/// The frame itself.
pub fn frame(
    store: &Store,
    no: FrameNo,
    row: &FrameRow,
    link: Option<u32>,
    comments: Vec<String>,
) -> Field {
    let place = store.place(no).filter(|_| store.files().len() > 1);
    let mut text = format!("{}  {} B", render::time(row.time.0), row.wire);
    if let Some((file, number)) = &place {
        // In front, since a reader of two ends' files asks first whose frame it is.
        text = format!("{number} of {}  {text}", file_name(&file.path));
    }
    let mut field = Field::new("frame.number", "Frame", Value::Frame(no)).text(text);
    let mut add = |name, label: &'static str, value| {
        field.children.push(Field::new(name, label, value));
    };
    add("frame.time", "time", Value::Time(row.time.0));
    if let Some(start) = store.start_time() {
        add(
            "frame.time_relative",
            "since the first frame",
            Value::Span(row.time.since(start)),
        );
    }
    let before =
        no.0.checked_sub(1)
            .and_then(|before| store.frame(FrameNo(before)));
    if let Some(before) = before {
        add(
            "frame.time_delta",
            "since the frame before",
            Value::Span(row.time.since(before.time)),
        );
    }
    add(
        "frame.len",
        "bytes on the wire",
        Value::UInt(u64::from(row.wire)),
    );
    add(
        "frame.cap_len",
        "bytes in the file",
        Value::UInt(u64::from(row.captured)),
    );
    add(
        "frame.interface_id",
        "interface",
        Value::UInt(u64::from(row.interface.0)),
    );
    if let Some(name) = store.interface(row.interface).and_then(|i| i.name.clone()) {
        add("frame.interface_name", "interface name", Value::Text(name));
    }
    if let Some(link) = link {
        add(
            "frame.encap_type",
            "link type",
            Value::UInt(u64::from(link)),
        );
    }
    add(
        "frame.file_off",
        "position in the file",
        Value::UInt(row.offset.0),
    );
    if let Some((file, number)) = place {
        add("frame.file", "file", Value::Text(file.path.clone()));
        let number = Value::UInt(u64::from(number.0));
        add("frame.file_number", "number in the file", number);
    }
    for comment in comments {
        add("frame.comment", "comment", Value::Text(comment));
    }
    if row.captured < row.wire {
        field.children.push(
            Field::new("frame.cap_len", "cut", Value::None).text("the snap length cut this frame"),
        );
    }
    field
}

/// The last part of a path.
fn file_name(path: &str) -> std::borrow::Cow<'_, str> {
    let name = std::path::Path::new(path).file_name();
    name.map_or(path.into(), std::ffi::OsStr::to_string_lossy)
}

/// Link and IP headers of a frame, up to the IP packet at `ip`, where there is one, and the IP headers at it.
pub fn headers(bytes: &[u8], link: u32, ip: Option<usize>) -> Vec<Field> {
    let mut w = Walk::new(bytes, 0);
    let result = link_header(&mut w, link);
    let mut fields = w.finish(result).fields;
    if let Some(at) = ip {
        let mut w = Walk::new(bytes.get(at..).unwrap_or_default(), at);
        let result = ip_header(&mut w);
        fields.extend(w.finish(result).fields);
    }
    fields
}

fn ether(w: &mut Walk<'_>, name: &'static str, label: &'static str) -> Step<String> {
    let bytes = w.bytes(name, label, 6)?;
    let text = bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":");
    w.say(text.clone());
    Ok(text)
}

fn ether_type(w: &mut Walk<'_>, name: &'static str) -> Step<u64> {
    let kind = w.hex_be(name, "type", 2)?;
    w.say(registry::word("eth.type", kind).unwrap_or_default());
    Ok(kind)
}

fn link_header(w: &mut Walk<'_>, link: u32) -> Step<()> {
    match link {
        link_type::ETHERNET => {
            let (kind, words) = w.group("", "Ethernet", |w| {
                let to = ether(w, "eth.dst", "receiver")?;
                let from = ether(w, "eth.src", "sender")?;
                Ok((ether_type(w, "eth.type")?, format!("{from} > {to}")))
            })?;
            w.say(words);
            vlan_tags(w, kind)
        }
        link_type::LINUX_SLL => {
            let kind = w.group("", "Linux cooked v1", |w| {
                let packet = w.be("sll.pkttype", "direction", 2)?;
                w.say(packet_type(packet));
                w.be("sll.other", "hardware type", 2)?;
                let len = w.be("sll.other", "address length", 2)?;
                w.bytes("eth.src", "sender", 8)?;
                w.say(format!("the first {len} bytes count"));
                ether_type(w, "sll.etype")
            })?;
            vlan_tags(w, kind)
        }
        link_type::LINUX_SLL2 => w.group("", "Linux cooked v2", |w| {
            ether_type(w, "sll.etype")?;
            w.be("sll.other", "reserved", 2)?;
            w.be("sll.other", "interface", 4)?;
            w.be("sll.other", "hardware type", 2)?;
            let packet = w.be("sll.pkttype", "direction", 1)?;
            w.say(packet_type(packet));
            w.be("sll.other", "address length", 1)?;
            w.bytes("eth.src", "sender", 8)?;
            Ok(())
        }),
        link_type::NULL | link_type::LOOP => w.group("", "loopback", |w| {
            w.le("null.family", "address family", 4)?;
            Ok(())
        }),
        _ => Ok(()),
    }
}

fn packet_type(number: u64) -> &'static str {
    match number {
        0 => "to us",
        1 => "broadcast",
        2 => "multicast",
        3 => "to another host",
        4 => "from us",
        _ => "unknown",
    }
}

fn vlan_tags(w: &mut Walk<'_>, mut kind: u64) -> Step<()> {
    // Two tags are usual at most; a few more are read, a stack without end is not.
    for _ in 0..4 {
        if !matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
            return Ok(());
        }
        kind = w.group("", "VLAN", |w| {
            let at = w.at();
            let tag = w.r.u16_be().ok_or_else(|| Stop::short(at, "a VLAN tag"))?;
            w.push(
                Field::new("vlan.id", "id", Value::UInt(u64::from(tag & 0xfff)))
                    .text(format!("priority {}", tag >> 13))
                    .at(at..w.at()),
            );
            ether_type(w, "eth.type")
        })?;
    }
    Ok(())
}

fn ip_header(w: &mut Walk<'_>) -> Step<()> {
    match w.r.peek().map(|byte| byte >> 4) {
        Some(4) => {
            let words = w.group("", "IPv4", ipv4)?;
            w.say(words);
            Ok(())
        }
        Some(6) => {
            let (next, words) = w.group("", "IPv6", ipv6)?;
            w.say(words);
            extension_headers(w, next)
        }
        _ => Ok(()),
    }
}

const IP_FLAGS: &[Flag] = &[
    (0x4000, "ip.flags.df", "do not fragment"),
    (0x2000, "ip.flags.mf", "more fragments"),
];

fn ipv4(w: &mut Walk<'_>) -> Step<String> {
    let start = w.at();
    let first =
        w.r.u8()
            .ok_or_else(|| Stop::short(start, "the IP header"))?;
    let len = usize::from(first & 0x0f) * 4;
    for (name, label, value) in [
        ("ip.version", "version", u64::from(first >> 4)),
        ("ip.hdr_len", "header length", u64::from(first & 0x0f) * 4),
    ] {
        w.push(Field::new(name, label, Value::UInt(value)).at(start..w.r.position()));
    }
    let ds = w.hex("ip.dsfield", "differentiated services", 1)?;
    w.say(match ds & 3 {
        1 | 2 => "ECN capable",
        3 => "congestion experienced",
        _ => "",
    });
    let total = w.be("ip.len", "total length", 2)?;
    if total == 0 {
        w.say("0: the network card cuts it later (segmentation offload)");
    }
    w.be("ip.id", "identification", 2)?;
    let at = w.at();
    let offset =
        w.r.u16_be()
            .ok_or_else(|| Stop::short(at, "flags and offset"))?;
    w.push(
        Field::new("ip.flags", "flags", Value::Hex(u64::from(offset >> 13), 1))
            .at(at..at.saturating_add(1)),
    );
    w.flags(u64::from(offset), IP_FLAGS);
    w.push(
        Field::new(
            "ip.frag_offset",
            "fragment offset",
            Value::UInt(u64::from(offset & 0x1fff) * 8),
        )
        .at(at..w.at()),
    );
    w.be("ip.ttl", "time to live", 1)?;
    let protocol = w.le("ip.proto", "protocol", 1)?;
    w.say(registry::word("ip.proto", protocol).unwrap_or_default());
    w.hex_be("ip.checksum", "header checksum", 2)?;
    let src = address4(w, "ip.src", "sender")?;
    let dst = address4(w, "ip.dst", "receiver")?;
    let options = len.saturating_sub(w.at().saturating_sub(start));
    if options > 0 {
        w.bytes("ip.opt", "options", options)?;
    }
    Ok(format!("{src} > {dst}"))
}

fn address4(w: &mut Walk<'_>, name: &'static str, label: &'static str) -> Step<String> {
    let at = w.at();
    let bytes: [u8; 4] = w.r.array().ok_or_else(|| Stop::short(at, label))?;
    let ip = std::net::Ipv4Addr::from(bytes);
    let range = w.r.last(4);
    w.push(Field::new(name, label, Value::Ip(ip.into())).at(range));
    Ok(ip.to_string())
}

fn ipv6(w: &mut Walk<'_>) -> Step<(u64, String)> {
    let first = w.hex_be("ipv6.version", "version, class, flow", 4)?;
    let at = w.r.last(4);
    w.push(Field::new("ip.version", "version", Value::UInt(first >> 28)).at(at));
    w.be("ipv6.plen", "payload length", 2)?;
    let next = w.le("ipv6.nxt", "next header", 1)?;
    w.say(next_header(next));
    w.le("ipv6.hlim", "hop limit", 1)?;
    let src = address6(w, "ipv6.src", "sender")?;
    let dst = address6(w, "ipv6.dst", "receiver")?;
    Ok((next, format!("{src} > {dst}")))
}

fn address6(w: &mut Walk<'_>, name: &'static str, label: &'static str) -> Step<String> {
    let at = w.at();
    let bytes: [u8; 16] = w.r.array().ok_or_else(|| Stop::short(at, label))?;
    let ip = std::net::Ipv6Addr::from(bytes);
    let range = w.r.last(16);
    w.push(Field::new(name, label, Value::Ip(ip.into())).at(range));
    Ok(ip.to_string())
}

fn next_header(number: u64) -> &'static str {
    match number {
        0 => "hop-by-hop options",
        43 => "routing",
        44 => "fragment",
        51 => "authentication",
        60 => "destination options",
        other => registry::word("ipv6.nxt", other).unwrap_or_default(),
    }
}

fn extension_headers(w: &mut Walk<'_>, mut next: u64) -> Step<()> {
    for _ in 0..8 {
        if !matches!(next, 0 | 43 | 44 | 60) {
            return Ok(());
        }
        let kind = next;
        next = w.group("ipv6.ext", next_header(kind), |w| {
            let next = w.le("ipv6.nxt", "next header", 1)?;
            w.say(next_header(next));
            let len = w.le("ipv6.ext", "length", 1)?;
            // The fragment header has 8 bytes; the others count the units of 8 behind the first.
            let rest = if kind == 44 { 6 } else { len * 8 + 6 };
            w.bytes("ipv6.ext", "data", usize::try_from(rest).unwrap_or(0))?;
            Ok(next)
        })?;
    }
    Ok(())
}
