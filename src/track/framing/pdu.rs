//! The PDU whose bytes go by, and where it begins.

use super::super::order::{Piece, length};
use crate::decode::smp;
use crate::decode::tds;
use crate::decode::tls::RecordHeader;
use crate::store::{PduFlags, PduKind, PduRow};
use crate::units::{ConnId, End, FrameNo, Sid, SmpSeq, StreamPos};

/// A PDU whose body is being read.
#[derive(Debug, Clone)]
pub(in crate::track) struct OpenPdu {
    /// Its row, without what is only known when it is complete: the frame, the connection, the session and the PDU before
    /// it. What stands there is of no meaning.
    pub(in crate::track) row: PduRow,
    /// Bytes of its body that have not come yet.
    pub(in crate::track) left: usize,
    /// Inside SMP: where its session stands among those of the connection.
    pub(in crate::track) chain: usize,
}

impl Default for OpenPdu {
    fn default() -> Self {
        Self::new(PduKind::Unknown, End::A, 0, FrameNo(0))
    }
}

impl OpenPdu {
    /// One that begins at `pos`, of which nothing more is known.
    #[inline]
    pub(in crate::track) fn new(kind: PduKind, end: End, pos: u64, first_frame: FrameNo) -> Self {
        Self {
            row: PduRow {
                frame: first_frame,
                first_frame,
                conn: ConnId(0),
                end,
                kind,
                flags: PduFlags::default(),
                pos: StreamPos(pos),
                len: 0,
                session: None,
                sid: Sid(0),
                seqnum: SmpSeq(0),
                wndw: SmpSeq(0),
                tds_type: 0,
                tds_status: 0,
                prev: None,
            },
            left: 0,
            chain: 0,
        }
    }

    /// In the place of a packet of this end comes an SMP packet of a kind, whose header was read. What is known of one
    /// only when it is complete stays as it was with the packet before. Returns the length of its body.
    #[inline]
    pub(super) fn begin_smp(
        &mut self,
        kind: PduKind,
        header: smp::Header,
        end: End,
        begin: Begin,
    ) -> usize {
        let row = &mut self.row;
        row.first_frame = begin.frame;
        row.end = end;
        row.kind = kind;
        row.flags = PduFlags::default();
        row.pos = StreamPos(begin.pos);
        row.len = header.length.max(16);
        row.sid = header.sid;
        row.seqnum = header.seqnum;
        row.wndw = header.wndw;
        row.tds_type = 0;
        row.tds_status = 0;
        size(header.length.saturating_sub(16))
    }

    /// An SMP packet of a kind, whose header was read.
    fn smp(kind: PduKind, header: smp::Header, end: End, begin: Begin) -> Self {
        let mut pdu = Self::default();
        pdu.left = pdu.begin_smp(kind, header, end, begin);
        pdu
    }

    /// An SMP packet whose header was read, be it one of a kind or not.
    pub(super) fn any_smp(header: smp::Header, end: End, begin: Begin) -> Self {
        if let Some(kind) = smp_kind(header.flags) {
            return Self::smp(kind, header, end, begin);
        }
        let mut pdu = Self::smp(PduKind::BadSmp, header, end, begin);
        pdu.row.tds_type = header.flags;
        pdu
    }

    /// A frame holds some of its bytes.
    #[inline]
    pub(in crate::track) fn is_held_by(&mut self, frame: FrameNo) {
        if frame < self.row.first_frame {
            self.row.first_frame = frame;
        }
    }

    /// Bytes of it that have come, those of its header among them.
    pub(in crate::track) fn come(&self) -> u32 {
        let left = u32::try_from(self.left).unwrap_or(u32::MAX);
        self.row.len.saturating_sub(left)
    }

    /// A TDS packet outside SMP whose header was read.
    pub(super) fn tds(header: tds::Header, end: End, begin: Begin) -> Self {
        let mut pdu = Self::new(PduKind::Tds, end, begin.pos, begin.frame);
        pdu.row.flags = PduFlags::TDS_HEADER;
        pdu.row.len = u32::from(header.length);
        pdu.row.tds_type = header.kind;
        pdu.row.tds_status = header.status;
        pdu.left = usize::from(header.length.saturating_sub(8));
        pdu
    }

    /// A TLS record whose header was read.
    pub(super) fn tls(header: RecordHeader, end: End, begin: Begin) -> Self {
        let mut pdu = Self::new(PduKind::Tls, end, begin.pos, begin.frame);
        pdu.left = usize::from(header.length);
        pdu.row.len = u32::from(header.length).saturating_add(5);
        pdu.row.tds_type = header.content;
        pdu
    }
}

/// Where a PDU begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    pub(super) pos: u64,
    pub(super) frame: FrameNo,
    /// A segment begins with it.
    pub(super) starts_segment: bool,
}

impl Begin {
    /// Where the last bytes of a piece begin.
    #[inline]
    pub(super) fn of(last: &[u8], piece: &Piece<'_>) -> Self {
        // They are some of its bytes, and a position has 64 bits.
        let before = piece.len().wrapping_sub(length(last));
        Self {
            pos: piece.pos.wrapping_add(before),
            frame: piece.at.frame,
            starts_segment: piece.starts_segment && before == 0,
        }
    }
}

impl Default for Begin {
    fn default() -> Self {
        Self {
            pos: 0,
            frame: FrameNo(0),
            starts_segment: false,
        }
    }
}

/// What an SMP packet is by its FLAGS, of which exactly one is set ([MC-SMP] 2.2.1).
#[inline]
pub(super) fn smp_kind(flags: u8) -> Option<PduKind> {
    /// By FLAGS: they have one bit each, in this order.
    const KINDS: [Option<PduKind>; 9] = [
        None,
        Some(PduKind::Syn),
        Some(PduKind::Ack),
        None,
        Some(PduKind::Fin),
        None,
        None,
        None,
        Some(PduKind::Data),
    ];
    *KINDS.get(usize::from(flags))?
}

fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// An SMP header that leads to the next one: a LENGTH below the header's own or far beyond the largest packet cannot.
#[inline]
pub(super) fn walkable_smp(view: &[u8]) -> Option<smp::Header> {
    let walkable = |header: &smp::Header| (16..=smp::MAX_DATA_LEN * 4).contains(&header.length);
    smp::Header::read(view).filter(walkable)
}
