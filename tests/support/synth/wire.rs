//! Headers from the link up to TCP and UDP, with checksums that are right or left to offload.

use std::net::IpAddr;

/// TCP flags.
pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;
pub const ECE: u8 = 0x40;
pub const CWR: u8 = 0x80;

/// What stands before the IP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    Ethernet,
    /// Ethernet with 802.1Q tags, outermost first.
    Vlan(Vec<u16>),
    /// Linux cooked capture, version 1.
    Sll,
    /// Linux cooked capture, version 2.
    Sll2,
    /// The IP packet alone.
    RawIp,
    /// BSD loopback: the address family in the byte order of the capturing machine.
    Null,
}

impl Link {
    /// The LINKTYPE_ number.
    pub fn number(&self) -> u32 {
        match self {
            Self::Ethernet | Self::Vlan(_) => 1,
            Self::Sll => 113,
            Self::Sll2 => 276,
            Self::RawIp => 101,
            Self::Null => 0,
        }
    }

    /// Puts the link header before an IP packet. `outgoing` is seen from the capturing host.
    pub fn wrap(&self, ip: &[u8], from: [u8; 6], to: [u8; 6], outgoing: bool) -> Vec<u8> {
        let v6 = ip.first().is_some_and(|b| b >> 4 == 6);
        let ether_type: u16 = if v6 { 0x86DD } else { 0x0800 };
        let mut frame = Vec::with_capacity(ip.len() + 32);
        match self {
            Self::Ethernet => {
                frame.extend(to);
                frame.extend(from);
                frame.extend(ether_type.to_be_bytes());
            }
            Self::Vlan(tags) => {
                frame.extend(to);
                frame.extend(from);
                for (i, tag) in tags.iter().enumerate() {
                    let outer = i == 0 && tags.len() > 1;
                    frame.extend(if outer { [0x88, 0xA8] } else { [0x81, 0x00] });
                    frame.extend(tag.to_be_bytes());
                }
                frame.extend(ether_type.to_be_bytes());
            }
            Self::Sll => {
                frame.extend(if outgoing { [0, 4] } else { [0, 0] });
                frame.extend([0, 1, 0, 6]);
                frame.extend(from);
                frame.extend([0, 0]);
                frame.extend(ether_type.to_be_bytes());
            }
            Self::Sll2 => {
                frame.extend(ether_type.to_be_bytes());
                frame.extend([0, 0, 0, 0, 0, 2, 0, 1]);
                frame.push(if outgoing { 4 } else { 0 });
                frame.push(6);
                frame.extend(from);
                frame.extend([0, 0]);
            }
            Self::RawIp => {}
            Self::Null => frame.extend(if v6 { [24, 0, 0, 0] } else { [2, 0, 0, 0] }),
        }
        frame.extend(ip);
        // Ethernet pads short frames; a host's own outgoing frames are captured before that happens.
        if matches!(self, Self::Ethernet | Self::Vlan(_)) && !outgoing && frame.len() < 60 {
            frame.resize(60, 0);
        }
        frame
    }
}

/// An IP packet. The identification is left out for IPv6, which has none.
pub fn ip(src: IpAddr, dst: IpAddr, protocol: u8, id: u16, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(payload.len() + 40);
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            // Segmentation offload can make more than an IPv4 length holds; such frames say 0.
            let len = u16::try_from(payload.len() + 20).unwrap_or(0);
            packet.extend([0x45, 0]);
            packet.extend(len.to_be_bytes());
            packet.extend(id.to_be_bytes());
            packet.extend([0x40, 0, ttl, protocol, 0, 0]);
            packet.extend(src.octets());
            packet.extend(dst.octets());
            let sum = !fold(sum(&packet));
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            packet.extend([0x60, 0, 0, 0]);
            packet.extend(u16::try_from(payload.len()).unwrap_or(0).to_be_bytes());
            packet.extend([protocol, ttl]);
            packet.extend(src.octets());
            packet.extend(dst.octets());
        }
        _ => panic!("one address family per connection"),
    }
    packet.extend(payload);
    packet
}

/// Takes so many from the time to live of IPv4 in an Ethernet frame, as routers do.
pub fn count_down(frame: &mut [u8], hops: u8) {
    let header = &mut frame[14..34];
    header[8] -= hops;
    header[10..12].fill(0);
    let sum = !fold(sum(header));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// The fields of a TCP header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tcp {
    pub src_port: u16,
    pub dst_port: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub win: u16,
    /// Options, a multiple of four bytes.
    pub options: Vec<u8>,
}

impl Tcp {
    /// Header and payload. With `offload` the checksum is that of the pseudo header alone, as a stack leaves it
    /// for the network card to finish.
    pub fn segment(&self, src: IpAddr, dst: IpAddr, payload: &[u8], offload: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(payload.len() + 40);
        bytes.extend(self.src_port.to_be_bytes());
        bytes.extend(self.dst_port.to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.push(u8::try_from(5 + self.options.len() / 4).unwrap() << 4);
        bytes.push(self.flags);
        bytes.extend(self.win.to_be_bytes());
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(&self.options);
        bytes.extend(payload);
        let pseudo = pseudo_header(src, dst, 6, bytes.len());
        let check = if offload {
            fold(sum(&pseudo))
        } else {
            !fold(sum(&pseudo) + sum(&bytes))
        };
        bytes[16..18].copy_from_slice(&check.to_be_bytes());
        bytes
    }
}

/// A UDP datagram; without checksum (0) where IPv4 allows that.
pub fn udp(src_port: u16, dst_port: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 8);
    bytes.extend(src_port.to_be_bytes());
    bytes.extend(dst_port.to_be_bytes());
    bytes.extend(u16::try_from(payload.len() + 8).unwrap().to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

/// An ICMP echo request or reply.
pub fn icmp_echo(reply: bool, id: u16, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![if reply { 0 } else { 8 }, 0, 0, 0];
    bytes.extend(id.to_be_bytes());
    bytes.extend(seq.to_be_bytes());
    bytes.extend(payload);
    let check = !fold(sum(&bytes));
    bytes[2..4].copy_from_slice(&check.to_be_bytes());
    bytes
}

fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    for addr in [src, dst] {
        match addr {
            IpAddr::V4(a) => bytes.extend(a.octets()),
            IpAddr::V6(a) => bytes.extend(a.octets()),
        }
    }
    bytes.extend(u32::try_from(len).unwrap().to_be_bytes());
    bytes.extend([0, 0, 0, protocol]);
    bytes
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).fold(0u32, |total, pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        total + u32::from(u16::from_be_bytes([pair[0], low]))
    })
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}
