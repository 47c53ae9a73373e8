//! From an IP packet to the TCP segment in it: addresses, numbers, and where the payload lies and how long it is.
//!
//! The IP and TCP headers are read by hand, a few loads each (etherparse 0.21 reads beyond the end of IPv6 extension
//! headers that are cut); the Ethernet frames inside tunnels and TCP options are left to etherparse. Tunnels (IP in IP, 6in4,
//! GRE, VXLAN, Geneve) are looked through.

mod checksum;
mod extensions;
mod fragments;
mod options;
#[cfg(test)]
mod tests;
mod tunnels;

pub use checksum::{Checksum, tcp_checksum};
pub use fragments::Fragments;
pub use options::{TcpOptions, tcp_options};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::units::TcpSeq;

use extensions::extensions;
use tunnels::{gre, inside, udp};

/// IP protocol numbers that are told apart.
pub(crate) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const IPV4: u8 = 4;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const IPV6: u8 = 41;
    pub(crate) const GRE: u8 = 47;
    pub(crate) const ICMPV6: u8 = 58;
}

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

fn ipv4(frame: &[u8], bytes: &[u8], at: usize, wire: u32, depth: u8) -> Packet {
    let Some(header) = bytes.first_chunk::<20>() else {
        return Packet::Broken("the frame ends within the IPv4 header");
    };
    let [
        first,
        _,
        len0,
        len1,
        id0,
        id1,
        frag0,
        frag1,
        ttl,
        protocol,
        _,
        _,
        addresses @ ..,
    ] = *header;
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
    let (src, dst) = ipv4_addresses(addresses);
    let ip = Ip {
        src,
        dst,
        protocol,
        ttl,
        id: u16::from_be_bytes([id0, id1]),
        header: to_u32(at),
        payload: to_u32(payload),
        payload_len,
        offloaded: total == 0,
    };
    let fragment = u16::from_be_bytes([frag0, frag1]) & 0x3fff;
    if fragment != 0 {
        let offset = u32::from(fragment & 0x1fff).saturating_mul(8);
        return self::fragment(ip, frame, u32::from(ip.id), offset, fragment & 0x2000 != 0);
    }
    carried(ip, frame, wire, depth)
}

fn ipv4_addresses([s0, s1, s2, s3, d0, d1, d2, d3]: [u8; 8]) -> (IpAddr, IpAddr) {
    (
        IpAddr::V4(Ipv4Addr::new(s0, s1, s2, s3)),
        IpAddr::V4(Ipv4Addr::new(d0, d1, d2, d3)),
    )
}

/// The TCP segment in an IPv4 packet that begins at `at` in a frame, and its payload, both with headers of their least
/// length or the TCP header with options, all of it in the file, which nearly every frame is. What it finds is what
/// [`packet`] finds; where it finds nothing, [`packet`] may.
#[expect(
    clippy::inline_always,
    reason = "what a usual frame says stays in registers from its bytes to its row"
)]
#[inline(always)]
pub fn usual(frame: &[u8], at: usize) -> Option<(Segment, &[u8])> {
    let bytes = frame.get(at..)?;
    // As RFC 791 3.1 and RFC 9293 3.1 draw them: words of 32 bits.
    let (words, _) = bytes.first_chunk::<40>()?.as_chunks::<4>();
    let &[
        [0x45, _, len0, len1],
        part,
        [ttl, protocol::TCP, _, _],
        src,
        dst,
        ports,
        seq,
        ack,
        control,
        _,
    ] = words
    else {
        return None;
    };
    let total = u16::from_be_bytes([len0, len1]);
    let [ports, control] = [ports, control].map(u32::from_be_bytes);
    let header_len = octet(control >> 26) & 0x3c;
    let part = u32::from_be_bytes(part);
    if part & 0x3fff != 0 || header_len < 20 {
        return None;
    }
    let headers = usize::from(header_len).saturating_add(20);
    let payload = bytes.get(headers..usize::from(total))?;
    let payload_len = u32::try_from(payload.len()).ok()?;
    let payload_offset = u16::try_from(at.saturating_add(headers)).ok()?;
    let at = u32::try_from(at).ok()?;
    let segment = Segment {
        ip: Ip {
            src: IpAddr::V4(Ipv4Addr::from_octets(src)),
            dst: IpAddr::V4(Ipv4Addr::from_octets(dst)),
            protocol: protocol::TCP,
            ttl,
            id: lower(part >> 16),
            header: at,
            payload: at.saturating_add(20),
            payload_len: u32::from(header_len).saturating_add(payload_len),
            offloaded: false,
        },
        src_port: lower(ports >> 16),
        dst_port: lower(ports),
        seq: TcpSeq(u32::from_be_bytes(seq)),
        ack: TcpSeq(u32::from_be_bytes(ack)),
        flags: lower(control >> 16) & 0x01ff,
        window: lower(control),
        header_len,
        header_seen: header_len,
        continued: false,
        payload_offset,
        payload_len,
        captured_payload: payload_len,
    };
    Some((segment, payload))
}

/// The lower 16 bits.
fn lower(word: u32) -> u16 {
    let [.., a, b] = word.to_be_bytes();
    u16::from_be_bytes([a, b])
}

/// The lowest 8 bits.
fn octet(word: u32) -> u8 {
    let [.., octet] = word.to_be_bytes();
    octet
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

/// Reads a TCP header, as much as there is of it; without ports and sequence number it is just another packet.
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

fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
