//! From where to where a segment goes, as numbers that are quick to compare.

use std::net::IpAddr;

use crate::decode::net::Segment;
use crate::store::Endpoint;

/// Both ends, the sender first. Those of IPv6 have no numbers that tell all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::track) struct Way {
    addresses: u64,
    /// Both ports, and above them whether the addresses are those of IPv6.
    ports: u64,
}

impl Way {
    #[inline]
    pub(super) fn new((src, src_port): (IpAddr, u16), (dst, dst_port): (IpAddr, u16)) -> Self {
        let (addresses, is_ipv6) = match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let addresses = (u64::from(src.to_bits()) << 32) | u64::from(dst.to_bits());
                (addresses, false)
            }
            _ => (0, true),
        };
        let ports = (u64::from(src_port) << 16) | u64::from(dst_port);
        Self {
            addresses,
            ports: (u64::from(is_ipv6) << 32) | ports,
        }
    }

    #[inline]
    pub(super) fn of(segment: &Segment) -> Self {
        let from = (segment.ip.src, segment.src_port);
        Self::new(from, (segment.ip.dst, segment.dst_port))
    }

    /// The same whichever of both ends sends.
    pub(in crate::track) fn either(a: Endpoint, b: Endpoint) -> Self {
        let [a, b] = [a, b].map(|end| (end.ip, end.port));
        Self::new(a, b).min(Self::new(b, a))
    }

    /// Whether no other ends have the same numbers.
    #[inline]
    pub(in crate::track) fn tells_all(self) -> bool {
        self.ports >> 32 == 0
    }
}
