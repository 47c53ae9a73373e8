//! The row of a PDU: an SMP packet, a TDS packet outside SMP, a TLS record, or a hidden range.

use crate::units::{ConnId, End, FrameNo, PduId, SessionId, Sid, SmpSeq, StreamPos};

/// What a PDU is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PduKind {
    /// SMP:SYN.
    Syn,
    /// SMP:ACK.
    Ack,
    /// SMP:FIN.
    Fin,
    /// SMP:DATA; the TDS header fields are those of the packet inside.
    Data,
    /// An SMP header whose FLAGS are not exactly one of 1, 2, 4, 8; `tds_type` holds the FLAGS.
    BadSmp,
    /// A TDS packet outside SMP.
    Tds,
    /// A TLS record outside TDS packets; `tds_type` holds the content type.
    Tls,
    /// A range of the stream whose PDU borders cannot be read: bytes that are not in the file.
    Hidden,
    /// Bytes that are there and are none of the above.
    Unknown,
}

impl PduKind {
    /// Whether it is an SMP packet.
    pub fn is_smp(self) -> bool {
        matches!(
            self,
            Self::Syn | Self::Ack | Self::Fin | Self::Data | Self::BadSmp
        )
    }

    /// Whether it is an SMP control packet (16 bytes).
    pub fn is_control(self) -> bool {
        matches!(self, Self::Syn | Self::Ack | Self::Fin)
    }
}

/// What the pass found out about a PDU, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct PduFlags(pub u16);

impl PduFlags {
    /// `tds_type`, `tds_status` and the TDS length were read.
    pub const TDS_HEADER: Self = Self(1);
    /// A TDS packet whose body is TLS handshake bytes.
    pub const WRAPPED_TLS: Self = Self(1 << 1);
    /// Part of its body is not in the file (snap length or gap); the header was read.
    pub const BODY_HIDDEN: Self = Self(1 << 2);
    /// It begins a TDS message.
    pub const MESSAGE_START: Self = Self(1 << 3);
    /// It ends a TDS message (EOM).
    pub const MESSAGE_END: Self = Self(1 << 4);
    /// It ends an answer: EOM, and the last DONE token is there and has no MORE bit (or tokens could not be read).
    pub const ANSWER_END: Self = Self(1 << 5);
    /// The DONE token that ends it was read (else `ANSWER_END` rests on EOM alone).
    pub const DONE_READ: Self = Self(1 << 6);
    /// Its final DONE has the attention bit 0x0020.
    pub const DONE_ATTN: Self = Self(1 << 7);
    /// The answer goes on although the message ends here: its final DONE has the MORE bit 0x0001, or all of it was read
    /// and it has no DONE.
    pub const DONE_MORE: Self = Self(1 << 8);
    /// Its final DONE has SRVERROR 0x0100.
    pub const DONE_SRVERROR: Self = Self(1 << 9);
    /// It holds an ERROR token of class 20 or more.
    pub const ERROR_FATAL: Self = Self(1 << 10);
    /// It was found again after a gap or a late start, by its looks.
    pub const RESYNCED: Self = Self(1 << 11);
    /// It holds an ERROR token.
    pub const ERROR: Self = Self(1 << 12);
    /// The beginning of a packet that nothing in the file goes on with; such a row's kind is `Unknown` or `Hidden`. What
    /// was read of its header stands in the row.
    pub const UNFINISHED: Self = Self(1 << 13);
    /// Other TDS packets stand behind the first in its DATA.
    pub const SHARED: Self = Self(1 << 14);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other`.
    pub fn set(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A PDU of one direction's stream: an SMP packet, a TDS packet outside SMP, a TLS record, or a hidden range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PduRow {
    /// The frame in which its last byte first arrived in order.
    pub frame: FrameNo,
    /// The lowest frame that holds any of its bytes.
    pub first_frame: FrameNo,
    /// Its connection.
    pub conn: ConnId,
    /// The end that sent it.
    pub end: End,
    /// What it is.
    pub kind: PduKind,
    /// What the pass found out.
    pub flags: PduFlags,
    /// Position of its first byte in its direction's stream.
    pub pos: StreamPos,
    /// Its bytes in the stream, header included.
    pub len: u32,
    /// The session, for SMP packets.
    pub session: Option<SessionId>,
    /// SMP Sid; 0 outside SMP.
    pub sid: Sid,
    /// SMP SEQNUM.
    pub seqnum: SmpSeq,
    /// SMP WNDW.
    pub wndw: SmpSeq,
    /// TDS packet type (or TLS content type, or bad SMP FLAGS).
    pub tds_type: u8,
    /// TDS packet status bits.
    pub tds_status: u8,
    /// The PDU before it in its chain: same sender and session, or same sender outside SMP.
    pub prev: Option<PduId>,
}

impl PduRow {
    /// Position behind its last byte.
    pub fn end_pos(&self) -> StreamPos {
        StreamPos(self.pos.0.saturating_add(u64::from(self.len)))
    }

    /// Whether it carries (part of) a TDS message.
    pub fn carries_tds(&self) -> bool {
        matches!(self.kind, PduKind::Data | PduKind::Tds) && self.flags.has(PduFlags::TDS_HEADER)
    }

    /// Whether both reset bits are set, or one of them behind the first packet of a message (`tds.md` 1).
    pub fn wrong_reset_bits(&self) -> bool {
        const RESET: u8 = 0x08;
        const RESET_SKIP_TRAN: u8 = 0x10;
        let bits = self.tds_status & (RESET | RESET_SKIP_TRAN);
        let both = bits == RESET | RESET_SKIP_TRAN;
        let later = bits != 0 && !self.flags.has(PduFlags::MESSAGE_START);
        (both || later) && self.carries_tds()
    }

    /// Bytes of PDU headers in front of the TDS packet: 16 for SMP:DATA, 0 for plain TDS.
    pub fn smp_header_len(&self) -> u32 {
        if self.kind.is_smp() { 16 } else { 0 }
    }
}
