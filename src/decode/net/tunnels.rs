//! Packets inside packets: IP in IP, GRE, VXLAN, Geneve.

use etherparse::{LaxNetSlice, LaxSlicedPacket};

use super::{Ip, Packet, ip_packet, to_usize};

/// Tunnels inside tunnels beyond this depth are left alone.
const MAX_TUNNELS: u8 = 4;

/// The packet inside a tunnel, or the tunnel's own where there is none.
pub(super) fn inside(ip: Ip, frame: &[u8], at: Option<usize>, wire: u32, depth: u8) -> Packet {
    let Some(at) = at.filter(|_| depth < MAX_TUNNELS) else {
        return Packet::Other(ip);
    };
    match ip_packet(frame, at, wire, depth.saturating_add(1)) {
        Packet::Broken(_) => Packet::Other(ip),
        found => found,
    }
}

/// GRE (RFC 2784, 2890): optional checksum, key and sequence number, then IP, or Ethernet (also as ERSPAN).
pub(super) fn gre(frame: &[u8], at: usize) -> Option<usize> {
    let [flags0, flags1, kind0, kind1] = *frame.get(at..)?.first_chunk::<4>()?;
    if flags1 & 0x07 != 0 {
        return None;
    }
    let options = [0x80, 0x20, 0x10].iter().filter(|bit| flags0 & **bit != 0);
    let sequenced = flags0 & 0x10 != 0;
    let inner = at
        .saturating_add(4)
        .saturating_add(options.count().saturating_mul(4));
    match u16::from_be_bytes([kind0, kind1]) {
        0x0800 | 0x86dd => Some(inner),
        // ERSPAN type II has a GRE sequence number and eight bytes of its own; type I has neither.
        0x88be if sequenced => ethernet(frame, inner.saturating_add(8)),
        0x6558 | 0x88be => ethernet(frame, inner),
        _ => None,
    }
}

pub(super) fn udp(ip: Ip, frame: &[u8], wire: u32, depth: u8) -> Packet {
    let at = to_usize(ip.payload);
    let header = frame.get(at..).and_then(<[u8]>::first_chunk::<4>);
    let Some([s0, s1, d0, d1]) = header else {
        return Packet::Other(ip);
    };
    let src_port = u16::from_be_bytes([*s0, *s1]);
    let dst_port = u16::from_be_bytes([*d0, *d1]);
    if depth < MAX_TUNNELS
        && let Some(inner) = udp_tunnel(frame, at.saturating_add(8), dst_port)
    {
        match ip_packet(frame, inner, wire, depth.saturating_add(1)) {
            Packet::Broken(_) => {}
            found => return found,
        }
    }
    Packet::Udp(ip, src_port, dst_port)
}

/// VXLAN (RFC 7348; 8472 is its port in older Linux) and Geneve (RFC 8926) with an Ethernet frame inside.
fn udp_tunnel(frame: &[u8], at: usize, port: u16) -> Option<usize> {
    let header = frame.get(at..)?.first_chunk::<8>()?;
    match (port, header) {
        (4789 | 8472, [0x08, _, _, _, _, _, _, 0]) => ethernet(frame, at.saturating_add(8)),
        (6081, [first, _, 0x65, 0x58, _, _, _, 0]) if first >> 6 == 0 => {
            let options = usize::from(first & 0x3f).saturating_mul(4);
            ethernet(frame, at.saturating_add(8).saturating_add(options))
        }
        _ => None,
    }
}

/// The IP packet in an Ethernet frame inside a tunnel.
fn ethernet(frame: &[u8], at: usize) -> Option<usize> {
    let packet = LaxSlicedPacket::from_ethernet(frame.get(at..)?).ok()?;
    if !matches!(
        packet.net,
        Some(LaxNetSlice::Ipv4(_) | LaxNetSlice::Ipv6(_))
    ) {
        return None;
    }
    let tags = packet
        .link_exts
        .iter()
        .fold(0, |sum: usize, tag| sum.saturating_add(tag.header_len()));
    Some(at.saturating_add(14).saturating_add(tags))
}
