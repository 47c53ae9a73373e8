//! The row of a captured frame, with what the pass found out about it.

use crate::units::{ConnId, End, FileOffset, FrameNo, InterfaceId, Nanos, TcpSeq};

/// TCP flags as in the header: bit 0 FIN, 1 SYN, 2 RST, 3 PSH, 4 ACK, 5 URG, 6 ECE, 7 CWR, 8 NS/AE (RFC 9293 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct TcpFlags(pub u16);

impl TcpFlags {
    /// FIN.
    pub const FIN: Self = Self(0x001);
    /// SYN.
    pub const SYN: Self = Self(0x002);
    /// RST.
    pub const RST: Self = Self(0x004);
    /// PSH.
    pub const PSH: Self = Self(0x008);
    /// ACK.
    pub const ACK: Self = Self(0x010);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether FIN is set.
    pub fn fin(self) -> bool {
        self.has(Self::FIN)
    }

    /// Whether SYN is set.
    pub fn syn(self) -> bool {
        self.has(Self::SYN)
    }

    /// Whether RST is set.
    pub fn rst(self) -> bool {
        self.has(Self::RST)
    }

    /// Whether ACK is set.
    pub fn ack(self) -> bool {
        self.has(Self::ACK)
    }
}

/// What the pass found out about a frame, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct FrameFlags(pub u32);

impl FrameFlags {
    /// Sent by end B of its connection (else by end A).
    pub const FROM_B: Self = Self(1);
    /// Holds a TCP header whose ports and sequence number could be read.
    pub const TCP: Self = Self(1 << 1);
    /// IPv6 (else IPv4, where `TCP` is set).
    pub const IPV6: Self = Self(1 << 2);
    /// The snap length cut the frame.
    pub const CUT: Self = Self(1 << 3);
    /// All payload bytes were seen before, or the SYN or FIN of a segment without payload.
    pub const RETRANSMISSION: Self = Self(1 << 4);
    /// Some payload bytes were seen before.
    pub const OVERLAP: Self = Self(1 << 5);
    /// Arrived behind a later segment of its direction.
    pub const OUT_OF_ORDER: Self = Self(1 << 6);
    /// A copy of one transmission (two capture points, mirrored port); left out of the analysis.
    pub const DUPLICATE: Self = Self(1 << 7);
    /// A keepalive probe.
    pub const KEEPALIVE: Self = Self(1 << 8);
    /// The answer to a keepalive probe.
    pub const KEEPALIVE_ANSWER: Self = Self(1 << 9);
    /// A probe of a closed window.
    pub const WINDOW_PROBE: Self = Self(1 << 10);
    /// Advertises a window of 0 (no SYN, FIN, RST).
    pub const ZERO_WINDOW: Self = Self(1 << 11);
    /// The TCP checksum was computed and is wrong.
    pub const BAD_CHECKSUM: Self = Self(1 << 12);
    /// The TCP checksum was computed and is right.
    pub const GOOD_CHECKSUM: Self = Self(1 << 13);
    /// An IP fragment that could not be put together.
    pub const FRAGMENT: Self = Self(1 << 14);
    /// Bytes that this frame's acknowledgement covers are not in the file, or only behind it.
    pub const GAP_BEFORE: Self = Self(1 << 15);
    /// Some of its payload does not decode.
    pub const BAD: Self = Self(1 << 16);
    /// Not decoded below the link layer (unknown link type, or no IP).
    pub const NOT_IP: Self = Self(1 << 17);
    /// UDP.
    pub const UDP: Self = Self(1 << 18);
    /// Carries payload that is not accepted into the stream (a keepalive's byte, data of a RST, beyond a FIN).
    pub const NOT_IN_STREAM: Self = Self(1 << 19);

    /// What Wireshark marks as a keepalive: probes of an idle peer or of a closed window.
    pub const PROBE: Self = Self(Self::KEEPALIVE.0 | Self::WINDOW_PROBE.0);

    /// Says that nothing happened: which end sent the frame, what it holds, that its checksum is right, and that the
    /// file has only a part of it.
    const ORDINARY: u32 =
        Self::FROM_B.0 | Self::TCP.0 | Self::IPV6.0 | Self::GOOD_CHECKSUM.0 | Self::CUT.0;

    /// Whether nothing is said of the frame but what holds of most.
    #[inline]
    pub fn is_ordinary(self) -> bool {
        self.0 & !Self::ORDINARY == 0
    }

    /// Whether nothing is said of the frame but which end sent it and what it holds.
    #[inline]
    pub fn says_nothing(self) -> bool {
        self.0 & !(Self::FROM_B.0 | Self::TCP.0 | Self::IPV6.0) == 0
    }

    /// The same with the bits of `other` clear.
    #[inline]
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether a bit of `other` is set.
    #[inline]
    pub fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other`.
    pub fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A captured frame. The TCP fields are zero where `FrameFlags::TCP` is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRow {
    /// Position of the frame's bytes in its file.
    pub offset: FileOffset,
    /// Capture time.
    pub time: Nanos,
    /// Bytes of the frame in the file.
    pub captured: u32,
    /// Bytes of the frame on the wire.
    pub wire: u32,
    /// Its connection.
    pub conn: Option<ConnId>,
    /// The frame before it in its connection.
    pub prev: Option<FrameNo>,
    /// TCP sequence number of the first payload byte (or of SYN, FIN, RST).
    pub seq: TcpSeq,
    /// TCP acknowledgement number field, also where the ACK flag is clear.
    pub ack: TcpSeq,
    /// TCP payload bytes on the wire, by the IP length.
    pub payload_len: u32,
    /// Position of the TCP payload in the frame.
    pub payload_offset: u16,
    /// TCP window field, not scaled.
    pub window: u16,
    /// IPv4 identification; 0 for IPv6.
    pub ip_id: u16,
    /// TCP flags.
    pub tcp_flags: TcpFlags,
    /// The interface that it was captured on, which also tells the file.
    pub interface: InterfaceId,
    /// IP time to live or hop limit.
    pub ttl: u8,
    /// What the pass found out.
    pub flags: FrameFlags,
}

impl FrameRow {
    /// The end that sent it.
    pub fn end(&self) -> End {
        if self.flags.has(FrameFlags::FROM_B) {
            End::B
        } else {
            End::A
        }
    }

    /// Whether it holds a readable TCP header.
    pub fn is_tcp(&self) -> bool {
        self.flags.has(FrameFlags::TCP)
    }

    /// Whether the snap length cut it and it carries payload.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.flags.has(FrameFlags::CUT) && self.payload_len > 0
    }

    /// Whether it shows nothing but that its side goes on: data or an acknowledgement, with an open window.
    #[inline]
    pub fn just_goes_on(&self) -> bool {
        self.flags.is_ordinary() && self.acknowledges_with_open_window()
    }

    /// Whether its header says nothing but what it acknowledges, with an open window.
    #[inline]
    pub fn acknowledges_with_open_window(&self) -> bool {
        self.tcp_flags.0 & !TcpFlags::PSH.0 == TcpFlags::ACK.0 && self.window > 0
    }

    /// Whether payload, SYN or FIN were there before, sent again or as a copy, as Wireshark marks a retransmission.
    #[inline]
    pub fn was_seen_before(&self) -> bool {
        let again = FrameFlags(FrameFlags::RETRANSMISSION.0 | FrameFlags::OVERLAP.0);
        self.flags.has_any(again) || self.is_copy_with_data()
    }

    /// Whether it is a copy of a segment with payload, SYN or FIN.
    pub fn is_copy_with_data(&self) -> bool {
        self.flags.has(FrameFlags::DUPLICATE) && self.next_seq() != self.seq
    }

    /// The sequence number behind it: payload, SYN and FIN counted.
    pub fn next_seq(&self) -> TcpSeq {
        self.seq
            .plus(self.payload_len)
            .plus(u32::from(self.tcp_flags.syn()))
            .plus(u32::from(self.tcp_flags.fin()))
    }
}
