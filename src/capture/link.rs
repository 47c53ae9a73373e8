//! Link layers: from a link type and a frame's bytes to the place where the IP packet begins.

/// LINKTYPE_ numbers of the link layers that are taken apart.
pub mod link_type {
    /// BSD loopback, address family in the byte order of the capturing host.
    pub const NULL: u32 = 0;
    /// Ethernet.
    pub const ETHERNET: u32 = 1;
    /// Raw IP, number of some older systems.
    pub const RAW_12: u32 = 12;
    /// Raw IP, number of OpenBSD.
    pub const RAW_14: u32 = 14;
    /// Raw IP, version 4 or 6.
    pub const RAW: u32 = 101;
    /// OpenBSD loopback, address family in network byte order.
    pub const LOOP: u32 = 108;
    /// Linux cooked capture v1.
    pub const LINUX_SLL: u32 = 113;
    /// Raw IPv4.
    pub const IPV4: u32 = 228;
    /// Raw IPv6.
    pub const IPV6: u32 = 229;
    /// Linux cooked capture v2.
    pub const LINUX_SLL2: u32 = 276;
    /// IEEE 802.11 without further headers; not taken apart.
    pub const IEEE802_11: u32 = 105;
    /// No link layer at all, for what capture files hold beside frames; it is one of the numbers that are
    /// reserved for private use, which other programs leave alone.
    pub const NONE: u32 = 162;
}

/// What the link layer of a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// An IP packet (version 4 or 6, its first byte tells) that begins at this position.
    Ip(usize),
    /// Something else: EtherType where there is one.
    Other(Option<u16>),
    /// The frame is cut before that can be told.
    Cut,
    /// A link type that is not taken apart.
    UnknownLink,
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// Where the IPv4 packet begins in an Ethernet frame without tags.
pub const BEHIND_ETHERNET: usize = 14;

/// The least bytes of a TCP segment's frame: those of the headers of Ethernet, IPv4 and TCP.
const LEAST: usize = BEHIND_ETHERNET + 40;

/// Whether an Ethernet frame has no tags, and an IPv4 packet with room for a TCP segment.
#[inline]
pub fn is_ipv4_on_ethernet(frame: &[u8]) -> bool {
    let headers = frame.first_chunk::<LEAST>();
    headers.is_some_and(|headers| u16_at(headers, 12) == Some(IPV4))
}

/// Where the IP packet in a frame begins, if there is one.
pub fn ip_packet(link: u32, frame: &[u8]) -> Option<usize> {
    match network(link, frame) {
        Network::Ip(at) => Some(at),
        _ => None,
    }
}

/// Finds the IP packet in a frame.
pub fn network(link: u32, frame: &[u8]) -> Network {
    match link {
        link_type::ETHERNET => match u16_at(frame, 12) {
            Some(ether_type) => behind(ether_type, frame, 14),
            None => Network::Cut,
        },
        link_type::LINUX_SLL => match u16_at(frame, 14) {
            Some(ether_type) => behind(ether_type, frame, 16),
            None => Network::Cut,
        },
        link_type::LINUX_SLL2 => match u16_at(frame, 0) {
            Some(ether_type) => behind(ether_type, frame, 20),
            None => Network::Cut,
        },
        link_type::RAW
        | link_type::RAW_12
        | link_type::RAW_14
        | link_type::IPV4
        | link_type::IPV6 => ip_or_other(frame, 0),
        // The family's number for IPv6 differs between systems; the packet's first byte does not.
        link_type::NULL | link_type::LOOP => ip_or_other(frame, 4),
        _ => Network::UnknownLink,
    }
}

/// Looks through what may stand between an EtherType and the IP packet: VLAN tags (any number), MPLS, PPPoE,
/// and 802.3 frames with a SNAP header.
fn behind(mut ether_type: u16, frame: &[u8], mut at: usize) -> Network {
    loop {
        match ether_type {
            IPV4 | IPV6 => return Network::Ip(at),
            // 802.1Q, 802.1ad, and two numbers that were used for the outer tag before 802.1ad.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 => {
                let Some(next) = u16_at(frame, at.saturating_add(2)) else {
                    return Network::Cut;
                };
                ether_type = next;
                at = at.saturating_add(4);
            }
            // MPLS: labels until the one with the bottom-of-stack bit.
            0x8847 | 0x8848 => {
                let Some(label) = u16_at(frame, at.saturating_add(2)) else {
                    return Network::Cut;
                };
                at = at.saturating_add(4);
                if label & 0x0100 != 0 {
                    return ip_or_other(frame, at);
                }
            }
            // PPPoE session: six bytes of header, then the PPP protocol.
            0x8864 => {
                return match u16_at(frame, at.saturating_add(6)) {
                    Some(0x0021 | 0x0057) => Network::Ip(at.saturating_add(8)),
                    Some(_) => Network::Other(Some(ether_type)),
                    None => Network::Cut,
                };
            }
            // A length: 802.3, with IP only behind a SNAP header. 4 is how cooked captures mark 802.2.
            0..=0x05dc => {
                let snap = frame.get(at..).and_then(<[u8]>::first_chunk::<6>);
                match snap {
                    Some([0xaa, 0xaa, 3, 0, 0, 0]) => {
                        let Some(next) = u16_at(frame, at.saturating_add(6)) else {
                            return Network::Cut;
                        };
                        if next <= 0x05dc {
                            return Network::Other(None);
                        }
                        ether_type = next;
                        at = at.saturating_add(8);
                    }
                    Some(_) => return Network::Other(None),
                    None => return Network::Cut,
                }
            }
            _ => return Network::Other(Some(ether_type)),
        }
    }
}

fn ip_or_other(frame: &[u8], at: usize) -> Network {
    match frame.get(at).map(|first| first >> 4) {
        Some(4 | 6) => Network::Ip(at),
        Some(_) => Network::Other(None),
        None => Network::Cut,
    }
}

fn u16_at(frame: &[u8], at: usize) -> Option<u16> {
    let bytes = frame.get(at..)?.first_chunk::<2>()?;
    Some(u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethernet(tags: &[u8]) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend_from_slice(tags);
        frame.extend_from_slice(&[0x45, 0, 0, 40]);
        frame
    }

    #[test]
    fn vlan_tags_are_looked_through_however_many() {
        assert_eq!(network(1, &ethernet(&[8, 0])), Network::Ip(14));
        let mut tags = vec![0x88, 0xa8, 0, 7];
        for _ in 0..5 {
            tags.extend([0x81, 0, 0, 9]);
        }
        tags.extend([8, 0]);
        assert_eq!(network(1, &ethernet(&tags)), Network::Ip(38));
        assert_eq!(network(1, &ethernet(&tags)[..20]), Network::Cut);
    }

    #[test]
    fn cooked_raw_and_loopback_frames_lead_to_the_packet() {
        let mut sll = vec![0; 14];
        sll.extend([8, 0, 0x45]);
        assert_eq!(network(113, &sll), Network::Ip(16));
        let mut sll2 = vec![0x86, 0xdd];
        sll2.extend([0; 18]);
        assert_eq!(network(276, &sll2), Network::Ip(20));
        assert_eq!(network(101, &[0x60]), Network::Ip(0));
        assert_eq!(network(0, &[2, 0, 0, 0, 0x45]), Network::Ip(4));
        assert_eq!(network(108, &[0, 0, 0, 24, 0x60]), Network::Ip(4));
        assert_eq!(network(101, &[]), Network::Cut);
    }

    #[test]
    fn what_is_not_ip_says_so() {
        assert_eq!(network(1, &ethernet(&[8, 6])), Network::Other(Some(0x0806)));
        assert_eq!(network(1, &[0; 13]), Network::Cut);
        assert_eq!(network(147, &[0; 60]), Network::UnknownLink);
        assert_eq!(
            network(1, &ethernet(&[0, 4, 0x42, 0x42])),
            Network::Other(None)
        );
    }

    #[test]
    fn mpls_pppoe_and_snap_lead_to_the_packet() {
        let mpls = ethernet(&[0x88, 0x47, 0, 1, 0, 64, 0, 2, 1, 64]);
        assert_eq!(network(1, &mpls), Network::Ip(22));
        let pppoe = ethernet(&[0x88, 0x64, 0x11, 0, 0, 1, 0, 42, 0, 0x21]);
        assert_eq!(network(1, &pppoe), Network::Ip(22));
        let snap = ethernet(&[0, 48, 0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
        assert_eq!(network(1, &snap), Network::Ip(22));
    }
}
