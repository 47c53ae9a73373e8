//! From an IP packet to the TCP segment in it: addresses, numbers, and where the payload lies and how long it is.
//!
//! The IP and TCP headers are read by hand, a few loads each (etherparse 0.21 reads beyond the end of IPv6 extension
//! headers that are cut); the Ethernet frames inside tunnels and TCP options are left to etherparse. Tunnels (IP in IP, 6in4,
//! GRE, VXLAN, Geneve) are looked through.

mod fragments;
#[cfg(test)]
mod tests;

pub use fragments::Fragments;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    LaxNetSlice, LaxSlicedPacket, TcpOptionElement, TcpOptionReadError, TcpOptionsIterator,
};

use crate::units::TcpSeq;

/// IP protocol numbers that are told apart.
mod protocol {
    pub(super) const IPV4: u8 = 4;
    pub(super) const TCP: u8 = 6;
    pub(super) const UDP: u8 = 17;
    pub(super) const IPV6: u8 = 41;
    pub(super) const GRE: u8 = 47;
}

/// Tunnels inside tunnels beyond this depth are left alone.
const MAX_TUNNELS: u8 = 4;

/// What an IP packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet {
    /// A TCP segment whose ports and sequence number could be read.
    Tcp(Segment),
    /// A UDP datagram: IP header, source port, destination port.
    Udp(Ip, u16, u16),
    /// A part of an IP packet that was sent in several.
    Fragment(Fragment),
    /// Another protocol, or a TCP or UDP header that is not there.
    Other(Ip),
    /// No IP header that makes sense, and why.
    Broken(&'static str),
}

/// The innermost IP header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    /// Sender.
    pub src: IpAddr,
    /// Receiver.
    pub dst: IpAddr,
    /// Protocol number of what it carries, behind extension headers.
    pub protocol: u8,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 identification; 0 for IPv6.
    pub id: u16,
    /// Position of the header in the frame.
    pub header: u32,
    /// Position of what it carries in the frame.
    pub payload: u32,
    /// Bytes of what it carries, on the wire: by the length field, or by the frame's length where that is 0
    /// (segmentation offload).
    pub payload_len: u32,
    /// The length field was 0.
    pub offloaded: bool,
}

/// A TCP segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its IP header.
    pub ip: Ip,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: TcpSeq,
    /// Acknowledgement number field, also where the ACK flag is clear.
    pub ack: TcpSeq,
    /// Flags as bits: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128, AE 256.
    pub flags: u16,
    /// Window field, not scaled.
    pub window: u16,
    /// Bytes of the TCP header as it says itself; 0 where that was cut off.
    pub header_len: u8,
    /// Bytes of the TCP header that are in the file; fewer than 20 when the snap length cut it. Fields beyond
    /// are 0.
    pub header_seen: u8,
    /// A further part of a segment whose header stands in another frame.
    pub continued: bool,
    /// Position of the payload in the frame.
    pub payload_offset: u16,
    /// Payload bytes on the wire.
    pub payload_len: u32,
    /// Payload bytes that are in the file.
    pub captured_payload: u32,
}

impl Segment {
    /// Whether flags and header length are known.
    pub fn has_flags(&self) -> bool {
        self.continued || self.header_seen >= 14
    }

    /// The payload bytes that are in the file.
    pub fn payload<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let start = usize::from(self.payload_offset);
        let len = to_usize(self.captured_payload);
        frame
            .get(start..start.saturating_add(len))
            .unwrap_or_default()
    }

    /// The bytes of the TCP header that are in the file.
    pub fn header<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        let start = to_usize(self.ip.payload);
        let len = usize::from(self.header_seen);
        frame
            .get(start..start.saturating_add(len))
            .unwrap_or_default()
    }
}

/// A part of an IP packet that was sent in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// The IP header of this part.
    pub ip: Ip,
    /// Identification: 16 bits of IPv4, 32 of IPv6.
    pub id: u32,
    /// Place of this part's bytes in what the whole packet carries.
    pub offset: u32,
    /// More parts follow.
    pub more: bool,
    /// The TCP header, if this part holds it; its payload is what this part carries of it.
    pub segment: Option<Segment>,
}

/// Reads the IP packet that begins at `at` in a frame of `wire` bytes.
pub fn packet(frame: &[u8], at: usize, wire: u32) -> Packet {
    ip_packet(frame, at, wire, 0)
}

fn ip_packet(frame: &[u8], at: usize, wire: u32, depth: u8) -> Packet {
    let bytes = frame.get(at..).unwrap_or_default();
    match bytes.first().map(|first| first >> 4) {
        Some(4) => ipv4(frame, bytes, at, wire, depth),
        Some(6) => ipv6(frame, bytes, at, wire, depth),
        Some(_) => Packet::Broken("the IP version is neither 4 nor 6"),
        None => Packet::Broken("the frame ends before the IP header"),
    }
}

#[expect(
    clippy::inline_always,
    reason = "what is found is large, and every call would copy it"
)]
#[inline(always)]
fn ipv4(frame: &[u8], bytes: &[u8], at: usize, wire: u32, depth: u8) -> Packet {
    let Some(header) = bytes.first_chunk::<20>() else {
        return Packet::Broken("the frame ends within the IPv4 header");
    };
    let [first, _, len0, len1, _, _, frag0, frag1, _, protocol, ..] = *header;
    let header_len = usize::from(first & 0x0f).saturating_mul(4);
    if header_len < 20 {
        return Packet::Broken("an IPv4 header length below 20");
    }
    let payload = at.saturating_add(header_len);
    let total = u16::from_be_bytes([len0, len1]);
    let payload_len = if total == 0 {
        wire.saturating_sub(to_u32(payload))
    } else if usize::from(total) < header_len {
        return Packet::Broken("an IPv4 total length below the header length");
    } else {
        u32::from(total).saturating_sub(to_u32(header_len))
    };
    let fragment = u16::from_be_bytes([frag0, frag1]) & 0x3fff;
    if protocol == protocol::TCP && fragment == 0 {
        // The usual case, without a variable for the header: copied, it would be read before its parts are written.
        return tcp(ipv4_header(header, at, payload, payload_len), frame);
    }
    let ip = ipv4_header(header, at, payload, payload_len);
    if fragment != 0 {
        let offset = u32::from(fragment & 0x1fff).saturating_mul(8);
        return self::fragment(ip, frame, u32::from(ip.id), offset, fragment & 0x2000 != 0);
    }
    carried(ip, frame, wire, depth)
}

#[expect(
    clippy::inline_always,
    reason = "what is found is large, and every call would copy it"
)]
#[inline(always)]
fn ipv4_header(header: &[u8; 20], at: usize, payload: usize, payload_len: u32) -> Ip {
    #[rustfmt::skip]
    let [_, _, len0, len1, id0, id1, _, _, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *header;
    Ip {
        src: IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        dst: IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
        protocol,
        ttl,
        id: u16::from_be_bytes([id0, id1]),
        header: to_u32(at),
        payload: to_u32(payload),
        payload_len,
        offloaded: [len0, len1] == [0, 0],
    }
}

fn ipv6(frame: &[u8], bytes: &[u8], at: usize, wire: u32, depth: u8) -> Packet {
    let Some(header) = bytes.first_chunk::<40>() else {
        return Packet::Broken("the frame ends within the IPv6 header");
    };
    let [_, _, _, _, len0, len1, next, ttl, addresses @ ..] = header;
    let Some((src, dst)) = addresses.split_first_chunk::<16>() else {
        return Packet::Broken("the frame ends within the IPv6 header");
    };
    let dst = dst.first_chunk::<16>().copied().unwrap_or_default();
    let payload = at.saturating_add(40);
    let length = u16::from_be_bytes([*len0, *len1]);
    let mut ip = Ip {
        src: IpAddr::V6(Ipv6Addr::from(*src)),
        dst: IpAddr::V6(Ipv6Addr::from(dst)),
        protocol: *next,
        ttl: *ttl,
        id: 0,
        header: to_u32(at),
        payload: to_u32(payload),
        payload_len: match length {
            0 => wire.saturating_sub(to_u32(payload)),
            _ => u32::from(length),
        },
        offloaded: length == 0,
    };
    if !matches!(
        ip.protocol,
        protocol::TCP | protocol::UDP | protocol::GRE | protocol::IPV4 | protocol::IPV6
    ) {
        let behind = bytes.get(40..).unwrap_or_default();
        let end = behind.len().min(to_usize(ip.payload_len));
        let chain = extensions(ip.protocol, behind.get(..end).unwrap_or_default());
        ip.protocol = chain.next;
        ip.payload = ip.payload.saturating_add(chain.len);
        ip.payload_len = ip.payload_len.saturating_sub(chain.len);
        if let Some((id, offset, more)) = chain.part {
            return fragment(ip, frame, id, offset, more);
        }
    }
    carried(ip, frame, wire, depth)
}

/// Extension headers of one packet that are walked.
const MAX_EXTENSIONS: usize = 16;

/// The extension headers of an IPv6 packet.
struct Extensions {
    /// Protocol number of what stands behind them; of the first header that is not there in whole, if one is not.
    next: u8,
    /// Their bytes.
    len: u32,
    /// What the fragment header says of a packet that was sent in several parts: identification, place, more follow.
    part: Option<(u32, u32, bool)>,
}

/// Walks the extension headers (RFC 8200 4, RFC 4302 2.2) from the first one's number on. What stands behind the
/// header of a further part is not another header.
fn extensions(first: u8, bytes: &[u8]) -> Extensions {
    let mut found = Extensions {
        next: first,
        len: 0,
        part: None,
    };
    let mut rest = bytes;
    for _ in 0..MAX_EXTENSIONS {
        let Some([next, length, high, low, id @ ..]) = rest.first_chunk::<8>() else {
            break;
        };
        let len = match found.next {
            // Hop-by-hop options, routing, destination options, mobility, host identity, shim6.
            0 | 43 | 60 | 135 | 139 | 140 => {
                usize::from(*length).saturating_add(1).saturating_mul(8)
            }
            44 => 8,
            51 => usize::from(*length).saturating_add(2).saturating_mul(4),
            _ => break,
        };
        let Some(behind) = rest.get(len..) else {
            break;
        };
        let place = u16::from_be_bytes([*high, *low]);
        if found.next == 44 && place & !0x6 != 0 {
            let offset = u32::from(place & !0x7);
            found.part = Some((u32::from_be_bytes(*id), offset, place & 1 == 1));
        }
        found.next = *next;
        found.len = found.len.saturating_add(to_u32(len));
        rest = behind;
        if found.part.is_some_and(|(_, offset, _)| offset > 0) {
            break;
        }
    }
    found
}

fn fragment(ip: Ip, frame: &[u8], id: u32, offset: u32, more: bool) -> Packet {
    let segment = match offset {
        0 if ip.protocol == protocol::TCP => match tcp(ip, frame) {
            Packet::Tcp(segment) => Some(segment),
            _ => None,
        },
        _ => None,
    };
    Packet::Fragment(Fragment {
        ip,
        id,
        offset,
        more,
        segment,
    })
}

#[expect(
    clippy::inline_always,
    reason = "what is found is large, and every call would copy it"
)]
#[inline(always)]
fn carried(ip: Ip, frame: &[u8], wire: u32, depth: u8) -> Packet {
    match ip.protocol {
        protocol::TCP => tcp(ip, frame),
        protocol::UDP => udp(ip, frame, wire, depth),
        protocol::IPV4 | protocol::IPV6 => {
            inside(ip, frame, Some(to_usize(ip.payload)), wire, depth)
        }
        protocol::GRE => inside(ip, frame, gre(frame, to_usize(ip.payload)), wire, depth),
        _ => Packet::Other(ip),
    }
}

/// The packet inside a tunnel, or the tunnel's own where there is none.
fn inside(ip: Ip, frame: &[u8], at: Option<usize>, wire: u32, depth: u8) -> Packet {
    let Some(at) = at.filter(|_| depth < MAX_TUNNELS) else {
        return Packet::Other(ip);
    };
    match ip_packet(frame, at, wire, depth.saturating_add(1)) {
        Packet::Broken(_) => Packet::Other(ip),
        found => found,
    }
}

/// GRE (RFC 2784, 2890): optional checksum, key and sequence number, then IP, or Ethernet (also as ERSPAN).
fn gre(frame: &[u8], at: usize) -> Option<usize> {
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

fn udp(ip: Ip, frame: &[u8], wire: u32, depth: u8) -> Packet {
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

/// Reads a TCP header, as much as there is of it; without ports and sequence number it is just another packet.
#[expect(
    clippy::inline_always,
    reason = "what is found is large, and every call would copy it"
)]
#[inline(always)]
fn tcp(ip: Ip, frame: &[u8]) -> Packet {
    let at = to_usize(ip.payload);
    let captured = frame.get(at..).unwrap_or_default();
    let available = captured.len().min(to_usize(ip.payload_len));
    if let Some(whole) = captured.first_chunk::<20>().filter(|_| available >= 20) {
        return segment(ip, at, whole, available);
    }
    cut_tcp(ip, at, captured.get(..available).unwrap_or_default())
}

/// As [`tcp`] where the capture ends within the header.
#[cold]
fn cut_tcp(ip: Ip, at: usize, seen: &[u8]) -> Packet {
    if seen.len() < 8 {
        return Packet::Other(ip);
    }
    let mut header = [0; 20];
    for (to, from) in header.iter_mut().zip(seen) {
        *to = *from;
    }
    segment(ip, at, &header, seen.len())
}

/// The segment whose header stands at `at`, so many bytes of it and the payload `available`.
#[expect(
    clippy::inline_always,
    reason = "what is found is large, and every call would copy it"
)]
#[inline(always)]
fn segment(ip: Ip, at: usize, header: &[u8; 20], available: usize) -> Packet {
    #[rustfmt::skip]
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, ..] = *header;
    // A length below 20 is no header's; the payload is taken to follow the fixed part.
    let header_len = match offset >> 4 {
        _ if available < 13 => 0,
        words @ 5.. => words.saturating_mul(4),
        _ => 20,
    };
    let payload_offset = at.saturating_add(usize::from(header_len));
    let payload_len = match header_len {
        0 => 0,
        _ => ip.payload_len.saturating_sub(u32::from(header_len)),
    };
    let behind = available.saturating_sub(usize::from(header_len));
    let Ok(payload_offset) = u16::try_from(payload_offset) else {
        return Packet::Other(ip);
    };
    Packet::Tcp(Segment {
        ip,
        src_port: u16::from_be_bytes([s0, s1]),
        dst_port: u16::from_be_bytes([d0, d1]),
        seq: TcpSeq(u32::from_be_bytes([q0, q1, q2, q3])),
        ack: TcpSeq(u32::from_be_bytes([a0, a1, a2, a3])),
        flags: u16::from_be_bytes([offset & 1, flags]),
        window: u16::from_be_bytes([w0, w1]),
        header_len,
        header_seen: u8::try_from(available)
            .unwrap_or(u8::MAX)
            .min(header_len.max(20)),
        continued: false,
        payload_offset,
        payload_len,
        captured_payload: payload_len.min(to_u32(behind)),
    })
}

/// The TCP options that say something about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpOptions {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale: the power of two.
    pub window_scale: Option<u8>,
    /// Selective acknowledgements are permitted.
    pub sack_permitted: bool,
    /// First selective acknowledgement: left and right edge.
    pub sack: Option<(TcpSeq, TcpSeq)>,
    /// Time stamps: own, echoed.
    pub timestamps: Option<(u32, u32)>,
}

impl TcpOptions {
    fn take(&mut self, option: &TcpOptionElement) {
        match *option {
            TcpOptionElement::MaximumSegmentSize(mss) => self.mss = Some(mss),
            TcpOptionElement::WindowScale(power) => self.window_scale = Some(power),
            TcpOptionElement::SelectiveAcknowledgementPermitted => self.sack_permitted = true,
            TcpOptionElement::SelectiveAcknowledgement((left, right), _) => {
                self.sack = Some((TcpSeq(left), TcpSeq(right)));
            }
            TcpOptionElement::Timestamp(own, echoed) => self.timestamps = Some((own, echoed)),
            TcpOptionElement::Noop => {}
        }
    }
}

/// Reads the TCP options of a segment, as far as they are there and make sense.
pub fn tcp_options(segment: &Segment, frame: &[u8]) -> TcpOptions {
    let mut found = TcpOptions::default();
    let mut rest = segment.header(frame).get(20..).unwrap_or_default();
    while !rest.is_empty() {
        let mut options = TcpOptionsIterator::from_slice(rest);
        match options.next() {
            Some(Ok(option)) => {
                found.take(&option);
                rest = options.rest();
            }
            // The iterator stops at options that it does not know; their length leads to the next one.
            Some(Err(TcpOptionReadError::UnknownId(_))) => {
                let len = rest.get(1).map_or(0, |len| usize::from(*len));
                rest = rest.get(len.max(2)..).unwrap_or_default();
            }
            Some(Err(_)) | None => break,
        }
    }
    found
}

/// What a TCP checksum says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// It is right.
    Good,
    /// It is wrong: damage, or a capture taken before the network card fills it in.
    Bad,
    /// Not all bytes that it covers are in the file.
    CannotTell,
}

/// Checks a segment's TCP checksum (RFC 9293 3.1). Reads the whole payload. Not for parts of fragmented packets.
pub fn tcp_checksum(segment: &Segment, frame: &[u8]) -> Checksum {
    let start = to_usize(segment.ip.payload);
    let end = start.saturating_add(to_usize(segment.ip.payload_len));
    let Some(bytes) = frame.get(start..end).filter(|bytes| bytes.len() >= 20) else {
        return Checksum::CannotTell;
    };
    if segment.continued {
        return Checksum::CannotTell;
    }
    let addresses = match (segment.ip.src, segment.ip.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            sum_words(&src.octets()).saturating_add(sum_words(&dst.octets()))
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            sum_words(&src.octets()).saturating_add(sum_words(&dst.octets()))
        }
        _ => return Checksum::CannotTell,
    };
    let sum = addresses
        .saturating_add(sum_words(&[0, protocol::TCP]))
        .saturating_add(sum_words(&segment.ip.payload_len.to_be_bytes()))
        .saturating_add(sum_words(bytes));
    if folded(sum) == 0xffff {
        Checksum::Good
    } else {
        Checksum::Bad
    }
}

/// The sum of a header's or payload's 16-bit words, 32 bits at a time and in the machine's order, of which neither
/// changes whether the folded sum is all ones (RFC 1071 2).
fn sum_words(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let last = u64::from(u32::from_ne_bytes(last));
    // More words than a frame can hold are needed for the sum to wrap.
    words.iter().fold(last, |sum, word| {
        sum.wrapping_add(u64::from(u32::from_ne_bytes(*word)))
    })
}

/// A sum of words with what was carried over added to it, until 16 bits hold it.
fn folded(mut sum: u64) -> u64 {
    while sum > 0xffff {
        sum = (sum & 0xffff).saturating_add(sum >> 16);
    }
    sum
}

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
