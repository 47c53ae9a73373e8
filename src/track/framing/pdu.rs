//! The PDU whose bytes go by, and where it begins.

use crate::decode::smp;
use crate::decode::tds;
use crate::decode::tls::RecordHeader;
use crate::store::{PduFlags, PduKind};
use crate::units::{FrameNo, SessionId, Sid, SmpSeq};

/// A PDU whose body is being read.
#[derive(Debug, Clone)]
pub(in crate::track) struct OpenPdu {
    pub(in crate::track) kind: PduKind,
    pub(in crate::track) flags: PduFlags,
    pub(in crate::track) pos: u64,
    pub(in crate::track) len: u32,
    pub(in crate::track) left: u32,
    pub(in crate::track) first_frame: FrameNo,
    pub(in crate::track) sid: Sid,
    pub(in crate::track) seqnum: SmpSeq,
    pub(in crate::track) wndw: SmpSeq,
    pub(in crate::track) tds_type: u8,
    pub(in crate::track) tds_status: u8,
    pub(in crate::track) session: Option<SessionId>,
    /// Inside SMP: where its session stands among those of the connection.
    pub(in crate::track) chain: usize,
}

impl Default for OpenPdu {
    fn default() -> Self {
        Self::new(PduKind::Unknown, 0, FrameNo(0))
    }
}

impl OpenPdu {
    /// One that begins at `pos`, of which nothing more is known.
    pub(in crate::track) fn new(kind: PduKind, pos: u64, first_frame: FrameNo) -> Self {
        Self {
            kind,
            flags: PduFlags::default(),
            pos,
            len: 0,
            left: 0,
            first_frame,
            sid: Sid(0),
            seqnum: SmpSeq(0),
            wndw: SmpSeq(0),
            tds_type: 0,
            tds_status: 0,
            session: None,
            chain: 0,
        }
    }

    /// An SMP packet whose header was read.
    #[inline]
    pub(super) fn smp(header: smp::Header, begin: Begin) -> Self {
        let kind = match header.flags {
            smp::SYN => PduKind::Syn,
            smp::ACK => PduKind::Ack,
            smp::FIN => PduKind::Fin,
            smp::DATA => PduKind::Data,
            _ => PduKind::BadSmp,
        };
        let is_bad = kind == PduKind::BadSmp;
        Self {
            len: header.length.max(16),
            left: header.length.saturating_sub(16),
            sid: header.sid,
            seqnum: header.seqnum,
            wndw: header.wndw,
            tds_type: if is_bad { header.flags } else { 0 },
            ..Self::new(kind, begin.pos, begin.frame)
        }
    }

    /// A TDS packet outside SMP whose header was read.
    pub(super) fn tds(header: tds::Header, begin: Begin) -> Self {
        Self {
            flags: PduFlags::TDS_HEADER,
            len: u32::from(header.length),
            left: u32::from(header.length.saturating_sub(8)),
            tds_type: header.kind,
            tds_status: header.status,
            ..Self::new(PduKind::Tds, begin.pos, begin.frame)
        }
    }

    /// A TLS record whose header was read.
    pub(super) fn tls(header: RecordHeader, begin: Begin) -> Self {
        let left = u32::from(header.length);
        Self {
            len: left.saturating_add(5),
            left,
            tds_type: header.content,
            ..Self::new(PduKind::Tls, begin.pos, begin.frame)
        }
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

impl Default for Begin {
    fn default() -> Self {
        Self {
            pos: 0,
            frame: FrameNo(0),
            starts_segment: false,
        }
    }
}

/// An SMP header that leads to the next one: a LENGTH below the header's own or far beyond the largest packet cannot.
#[inline]
pub(super) fn walkable_smp(view: &[u8]) -> Option<smp::Header> {
    let walkable = |header: &smp::Header| (16..=smp::MAX_DATA_LEN * 4).contains(&header.length);
    smp::Header::read(view).filter(walkable)
}
