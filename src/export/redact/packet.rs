//! The headers of a frame: addresses replaced, checksums made right again, lengths and numbers as they were. What is
//! no header that is known here is zeroed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::checksum::{Pseudo, checksum_at, set_ipv4, set_upper, set_whole};
use super::mask::Mask;
use super::names::Names;
use crate::capture::link::{Network, link_type, network};

/// How often one packet may stand in another before the rest counts as not understood.
const MAX_NESTING: usize = 4;

/// Fills the copy of a payload, which holds zeros, from the original.
pub(super) type Fill<'f> = dyn FnMut(&[u8], &mut [u8], &mut Names) + 'f;

/// What is to be done with the TCP segment of a frame.
pub(super) struct Segment<'f> {
    /// Fills the payload's copy.
    pub(super) payload: &'f mut Fill<'f>,
    /// The source port gets a stand-in, and the destination port.
    pub(super) replace_ports: (bool, bool),
    /// The checksum of a packet of which the frame holds the first part.
    pub(super) whole_checksum: Option<[u8; 2]>,
}

/// A redacted copy of a frame.
pub(super) fn frame(
    link: u32,
    original: &[u8],
    names: &mut Names,
    segment: &mut Segment<'_>,
) -> Vec<u8> {
    let mut copy = vec![0; original.len()];
    link_layer(link, original, &mut copy, names, segment, 0);
    copy
}

fn link_layer(
    link: u32,
    original: &[u8],
    copy: &mut [u8],
    names: &mut Names,
    segment: &mut Segment<'_>,
    depth: usize,
) {
    let mut mask = Mask::new(original, copy);
    let ip = match network(link, original) {
        Network::Ip(at) => Some(at),
        Network::Other(_) | Network::Cut | Network::UnknownLink => None,
    };
    match link {
        link_type::ETHERNET => {
            mac(&mut mask, names);
            sender(&mut mask, names, 6);
            mask.keep(ip.map_or(2, |at| at.saturating_sub(12)));
        }
        link_type::LINUX_SLL => {
            let len = mask.keep(6).and_then(<[u8]>::last).copied();
            sender(&mut mask, names, len.unwrap_or(0));
            mask.hide(2);
            mask.keep(2);
        }
        link_type::LINUX_SLL2 => {
            let len = mask.keep(12).and_then(<[u8]>::last).copied();
            sender(&mut mask, names, len.unwrap_or(0));
            mask.hide(2);
        }
        link_type::NULL | link_type::LOOP => drop(mask.keep(4)),
        _ => {}
    }
    let Some(at) = ip else { return };
    let passed = mask.position();
    if passed < at {
        mask.keep(at.saturating_sub(passed));
    }
    if let (Some(from), Some(to)) = (original.get(at..), copy.get_mut(at..)) {
        ip_packet(from, to, names, segment, depth);
    }
}

fn mac(mask: &mut Mask<'_>, names: &mut Names) {
    if let Some(address) = mask.rest().first_chunk::<6>() {
        mask.put(&names.mac(*address));
    } else {
        mask.hide_rest();
    }
}

/// The address of who sent a frame, of so many bytes. One that is no MAC address, as tunnels have, is not kept, nor one
/// that looks like a group's.
fn sender(mask: &mut Mask<'_>, names: &mut Names, len: u8) {
    let group = mask.peek().is_some_and(|first| first & 1 != 0);
    if len == 6 && !group {
        mac(mask, names);
    } else if mask.hide(6).is_none() {
        mask.hide_rest();
    }
}

fn ip_packet(
    original: &[u8],
    copy: &mut [u8],
    names: &mut Names,
    segment: &mut Segment<'_>,
    depth: usize,
) {
    let Some(header) = ip_header(original, copy, names) else {
        return;
    };
    let end = header.end.unwrap_or(original.len());
    let complete = end <= original.len();
    let range = header.at..end.min(original.len());
    let (Some(from), Some(to)) = (original.get(range.clone()), copy.get_mut(range)) else {
        return;
    };
    match header.fragment {
        None => upper(&header, from, to, complete, names, segment, depth),
        Some(0) => first_part(&header, from, to, names, segment),
        Some(_) if header.protocol == 6 => (segment.payload)(from, to, names),
        Some(_) => {}
    }
}

/// The first of several parts has the header; its checksum is over all parts.
fn first_part(
    header: &Header,
    original: &[u8],
    copy: &mut [u8],
    names: &mut Names,
    segment: &mut Segment<'_>,
) {
    match header.protocol {
        6 => tcp(header, original, copy, names, segment),
        17 => drop(Mask::new(original, copy).keep(8)),
        1 | 58 => drop(Mask::new(original, copy).keep(4)),
        _ => {}
    }
    if let (Some(at), Some(checksum)) = (checksum_at(header.protocol), segment.whole_checksum) {
        Mask::new(original, copy).overwrite(at, &checksum);
    }
}

/// What an IP header says about what follows it.
struct Header {
    /// Where the upper layer begins.
    at: usize,
    /// Where the packet ends, by its own length; none where the length is 0 (segmentation offload).
    end: Option<usize>,
    protocol: u8,
    /// Where its bytes belong in the packet, where it is a fragment.
    fragment: Option<u16>,
    before: (IpAddr, IpAddr),
    after: (IpAddr, IpAddr),
}

fn ip_header(original: &[u8], copy: &mut [u8], names: &mut Names) -> Option<Header> {
    match original.first()? >> 4 {
        4 => ipv4(original, copy, names),
        6 => ipv6(original, copy, names),
        _ => None,
    }
}

fn ipv4(original: &[u8], copy: &mut [u8], names: &mut Names) -> Option<Header> {
    let head = original.first_chunk::<20>()?;
    let [
        first,
        _,
        len_high,
        len_low,
        ..,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *head;
    let [_, _, _, _, _, _, frag_high, frag_low, _, protocol, ..] = *head;
    let before = (
        IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
    );
    let after = (names.ip(before.0), names.ip(before.1));
    let size = usize::from(first & 0x0f).saturating_mul(4).max(20);
    let mut mask = Mask::new(original, copy);
    mask.keep(12)?;
    for ip in [after.0, after.1] {
        if let IpAddr::V4(ip) = ip {
            mask.put(&ip.octets());
        }
    }
    // Options can hold addresses; zero ends their list.
    if let Some(header) = copy.get_mut(..size) {
        set_ipv4(header);
    }
    let total = usize::from(u16::from_be_bytes([len_high, len_low]));
    let place = u16::from_be_bytes([frag_high, frag_low]);
    let fragment = (place & 0x3fff != 0).then_some(place & 0x1fff);
    Some(Header {
        at: size,
        end: (total >= size).then_some(total),
        protocol,
        fragment,
        before,
        after,
    })
}

fn ipv6(original: &[u8], copy: &mut [u8], names: &mut Names) -> Option<Header> {
    let mut mask = Mask::new(original, copy);
    let head = mask.keep(8)?;
    let [.., len_high, len_low, next, _]: [u8; 8] = head.try_into().ok()?;
    let mut addresses = [Ipv6Addr::UNSPECIFIED; 2];
    for slot in &mut addresses {
        *slot = Ipv6Addr::from(*mask.rest().first_chunk::<16>()?);
        let IpAddr::V6(stand_in) = names.ip(IpAddr::V6(*slot)) else {
            return None;
        };
        mask.put(&stand_in.octets());
    }
    let [source, dest] = addresses;
    let before = (IpAddr::V6(source), IpAddr::V6(dest));
    let after = (names.ip(before.0), names.ip(before.1));
    let len = usize::from(u16::from_be_bytes([len_high, len_low]));
    let mut protocol = next;
    let mut fragment = None;
    // Hop-by-hop, routing and destination options, and the fragment header.
    while matches!(protocol, 0 | 43 | 44 | 60) {
        let this = protocol;
        protocol = mask.u8()?;
        let units = usize::from(mask.u8()?);
        if this == 44 {
            let place = mask.u16_be()?;
            if place & 0xfff9 != 0 {
                fragment = Some(place >> 3);
            }
            mask.keep(4)?;
        } else {
            mask.hide(units.saturating_mul(8).saturating_add(6))?;
        }
    }
    Some(Header {
        at: mask.position(),
        end: (len > 0).then_some(len.saturating_add(40)),
        protocol,
        fragment,
        before,
        after,
    })
}

fn upper(
    header: &Header,
    original: &[u8],
    copy: &mut [u8],
    complete: bool,
    names: &mut Names,
    segment: &mut Segment<'_>,
    depth: usize,
) {
    let nested = depth.saturating_add(1);
    match header.protocol {
        6 => tcp(header, original, copy, names, segment),
        17 => udp(original, copy, names, segment, nested),
        // ICMP, for IPv4 and IPv6: type, code and checksum.
        1 | 58 => drop(Mask::new(original, copy).keep(4)),
        4 | 41 if nested < MAX_NESTING => ip_packet(original, copy, names, segment, nested),
        47 if nested < MAX_NESTING => gre(original, copy, names, segment, nested),
        _ => {}
    }
    let pseudo = |(from, to)| Pseudo {
        from,
        to,
        protocol: header.protocol,
        len: original.len(),
    };
    if let Some(at) = checksum_at(header.protocol) {
        set_upper(
            (pseudo(header.before), original),
            (pseudo(header.after), copy),
            at,
            complete,
        );
    }
}

fn tcp(
    header: &Header,
    original: &[u8],
    copy: &mut [u8],
    names: &mut Names,
    segment: &mut Segment<'_>,
) {
    let mut mask = Mask::new(original, copy);
    let (from, to) = segment.replace_ports;
    for (replace, ip) in [(from, header.before.0), (to, header.before.1)] {
        let Some(port) = mask.reader().u16_be() else {
            return;
        };
        let port = if replace { names.port(ip, port) } else { port };
        mask.put(&port.to_be_bytes());
    }
    let Some(fixed) = mask.rest().get(..16) else {
        let rest = mask.rest().len();
        mask.keep(rest);
        return;
    };
    let size = fixed
        .get(8)
        .map_or(0, |b| usize::from(b >> 4))
        .saturating_mul(4)
        .max(20);
    mask.keep(16);
    let options_end = size.min(original.len());
    if let (Some(from), Some(to)) = (original.get(20..options_end), copy.get_mut(20..options_end)) {
        tcp_options(from, to);
    }
    if let (Some(from), Some(to)) = (original.get(size..), copy.get_mut(size..)) {
        (segment.payload)(from, to, names);
    }
}

/// Options that carry numbers only stay: end, no-operation, segment size, window scale, SACK, time stamps.
fn tcp_options(original: &[u8], copy: &mut [u8]) {
    let mut mask = Mask::new(original, copy);
    while let Some(kind) = mask.peek() {
        if kind < 2 {
            mask.keep(1);
            continue;
        }
        let len = usize::from(mask.rest().get(1).copied().unwrap_or(0));
        // Of another length than theirs they are something else.
        let known = matches!(
            (kind, len),
            (2, 4) | (3, 3) | (4, 2) | (5, 10 | 18 | 26 | 34) | (8, 10)
        );
        let done = match len {
            0 | 1 => None,
            len if known => mask.keep(len).map(drop),
            len => mask
                .keep(2)
                .and_then(|_| mask.hide(len.saturating_sub(2)))
                .map(drop),
        };
        if done.is_none() {
            return;
        }
    }
}

/// UDP: ports and length; of the content only the frames in VXLAN and Geneve are looked into, headers kept.
fn udp(
    original: &[u8],
    copy: &mut [u8],
    names: &mut Names,
    segment: &mut Segment<'_>,
    depth: usize,
) {
    let mut mask = Mask::new(original, copy);
    let Some([_, _, high, low, ..]) = mask.keep(8) else {
        return;
    };
    let port = u16::from_be_bytes([*high, *low]);
    let tunnel = mask.rest().first_chunk::<8>();
    let options = match (port, tunnel.filter(|_| depth < MAX_NESTING)) {
        // 8472 is the port of older Linux.
        (4789 | 8472, Some([0x08, _, _, _, _, _, _, 0])) => 0,
        (6081, Some([first, _, 0x65, 0x58, _, _, _, 0])) if first >> 6 == 0 => {
            usize::from(first & 0x3f).saturating_mul(4)
        }
        _ => return,
    };
    // What Geneve's options say is not known.
    if mask.keep(8).is_none() || mask.hide(options).is_none() {
        return;
    }
    let at = mask.position();
    if let (Some(from), Some(to)) = (original.get(at..), copy.get_mut(at..)) {
        link_layer(link_type::ETHERNET, from, to, names, segment, depth);
    }
}

/// GRE around IP, or around Ethernet (also as ERSPAN).
fn gre(
    original: &[u8],
    copy: &mut [u8],
    names: &mut Names,
    segment: &mut Segment<'_>,
    depth: usize,
) {
    let mut mask = Mask::new(original, copy);
    let (Some(flags), Some(inner)) = (mask.u16_be(), mask.u16_be()) else {
        return;
    };
    let mut skipped = Some(());
    for (bit, keep) in [(0x8000_u16, false), (0x2000, true), (0x1000, true)] {
        if flags & bit != 0 && skipped.is_some() {
            skipped = if keep { mask.keep(4) } else { mask.hide(4) }.map(drop);
        }
    }
    if inner == 0x88be && flags & 0x1000 != 0 {
        skipped = skipped.and_then(|()| mask.keep(8).map(drop));
    }
    if skipped.is_none() || flags & 7 != 0 {
        return;
    }
    let at = mask.position();
    let (Some(from), Some(to)) = (original.get(at..), copy.get_mut(at..)) else {
        return;
    };
    match inner {
        0x0800 | 0x86dd => ip_packet(from, to, names, segment, depth),
        0x6558 | 0x88be => link_layer(link_type::ETHERNET, from, to, names, segment, depth),
        _ => {}
    }
    if flags & 0x8000 != 0 {
        set_whole(copy, 4);
    }
}
