//! The table of PDUs, 40 bytes a row: rows are packed when they come and unpacked when they are asked for.
//!
//! The PDUs of a frame are found by binary search, so that the table is in the order of frames. A PDU whose frame
//! stands before that of one already there (a later frame revealed the gap in front of it) is kept whole beside, with
//! the place that it has in the order; so is the rare row that does not fit.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::chunks::Chunks;
use super::frame_table::{halves, joined, parted};
use super::pdu::{PduFlags, PduKind, PduRow};
use crate::units::{ConnId, End, FrameNo, PduId, SessionId, Sid, SmpSeq, StreamPos};

/// In `owner`: the row does not fit and is kept whole.
const WHOLE: u32 = u32::MAX;
const CONN_BITS: u32 = 20;
const LEN_BITS: u32 = 24;

/// All kinds, each at the number that stands for it.
const KINDS: [PduKind; 9] = [
    PduKind::Syn,
    PduKind::Ack,
    PduKind::Fin,
    PduKind::Data,
    PduKind::BadSmp,
    PduKind::Tds,
    PduKind::Tls,
    PduKind::Hidden,
    PduKind::Unknown,
];

#[derive(Debug, Clone, Copy)]
struct Packed {
    /// Its frame; of a row that is kept whole, the highest frame so far.
    frame: u32,
    /// The connection in 20 bits; above it the end in 1 bit, and the kind.
    owner: u32,
    pos_low: u32,
    /// The length in 24 bits; above it bits 32 to 39 of the position.
    len: u32,
    /// The session's index + 1, or 0.
    session: u32,
    /// The index + 1 of the PDU before it in its chain, or 0.
    prev: u32,
    seqnum: u32,
    wndw: u32,
    /// Frames between its first and its last.
    span: u16,
    flags: u16,
    sid: u16,
    tds_type: u8,
    tds_status: u8,
}

impl Packed {
    fn pack(row: &PduRow) -> Option<Self> {
        let [pos_low, pos_high] = halves(row.pos.0);
        let kind = KINDS.iter().position(|kind| *kind == row.kind)?;
        let kind = u32::try_from(kind).ok()?;
        let what = joined(u32::from(row.end == End::B), 1, kind)?;
        let owner = joined(row.conn.0, CONN_BITS, what)?;
        let plus_one = |index: Option<u32>| index.map_or(Some(0), |index| index.checked_add(1));
        Some(Self {
            frame: row.frame.0,
            owner: Some(owner).filter(|owner| *owner != WHOLE)?,
            pos_low,
            len: joined(row.len, LEN_BITS, pos_high)?,
            session: plus_one(row.session.map(|id| id.0))?,
            prev: plus_one(row.prev.map(|id| id.0))?,
            seqnum: row.seqnum.0,
            wndw: row.wndw.0,
            span: u16::try_from(row.frame.0.checked_sub(row.first_frame.0)?).ok()?,
            flags: row.flags.0,
            sid: row.sid.0,
            tds_type: row.tds_type,
            tds_status: row.tds_status,
        })
    }

    fn whole(frame: FrameNo) -> Self {
        Self {
            frame: frame.0,
            owner: WHOLE,
            pos_low: 0,
            len: 0,
            session: 0,
            prev: 0,
            seqnum: 0,
            wndw: 0,
            span: 0,
            flags: 0,
            sid: 0,
            tds_type: 0,
            tds_status: 0,
        }
    }

    fn unpack(&self) -> PduRow {
        let (len, pos_high) = parted(self.len, LEN_BITS);
        let (conn, what) = parted(self.owner, CONN_BITS);
        let (end, kind) = parted(what, 1);
        let kind = usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind));
        PduRow {
            frame: FrameNo(self.frame),
            first_frame: FrameNo(self.frame.saturating_sub(u32::from(self.span))),
            conn: ConnId(conn),
            end: if end == 0 { End::A } else { End::B },
            kind: kind.copied().unwrap_or(PduKind::Unknown),
            flags: PduFlags(self.flags),
            pos: StreamPos((u64::from(pos_high) << 32) | u64::from(self.pos_low)),
            len,
            session: self.session.checked_sub(1).map(SessionId),
            sid: Sid(self.sid),
            seqnum: SmpSeq(self.seqnum),
            wndw: SmpSeq(self.wndw),
            tds_type: self.tds_type,
            tds_status: self.tds_status,
            prev: self.prev.checked_sub(1).map(PduId),
        }
    }
}

/// The PDUs in order of completion.
#[derive(Debug, Default)]
pub(super) struct PduTable {
    rows: Chunks<Packed>,
    whole: FxHashMap<usize, PduRow>,
    /// Those behind a gap that a later frame revealed, by the frame that they belong to.
    late: BTreeMap<FrameNo, Vec<PduId>>,
    /// The highest frame so far.
    last: Option<FrameNo>,
}

impl PduTable {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes that the table holds.
    pub(super) fn memory(&self) -> usize {
        let whole = size_of::<(usize, PduRow)>().saturating_mul(self.whole.capacity());
        self.rows.memory().saturating_add(whole)
    }

    pub(super) fn push(&mut self, row: &PduRow) {
        let index = self.rows.len();
        let last = self.last.map_or(row.frame, |last| last.max(row.frame));
        self.last = Some(last);
        let is_late = row.frame < last;
        if is_late {
            let id = PduId::from_index(index);
            self.late.entry(row.frame).or_default().push(id);
        }
        let packed = Packed::pack(row).filter(|_| !is_late);
        self.rows.push(packed.unwrap_or_else(|| {
            self.whole.insert(index, *row);
            Packed::whole(last)
        }));
    }

    pub(super) fn get(&self, index: usize) -> Option<PduRow> {
        let row = self.rows.get(index)?;
        Some(self.unpack(index, row))
    }

    pub(super) fn iter_from(&self, start: usize) -> impl Iterator<Item = PduRow> {
        let rows = self.rows.iter_from(start).enumerate();
        rows.map(move |(i, row)| self.unpack(start.saturating_add(i), row))
    }

    /// The first place in the order at or behind a frame.
    pub(super) fn first_from(&self, frame: FrameNo) -> usize {
        self.rows.partition_point(|row| row.frame < frame.0)
    }

    /// The PDUs that are completed in a frame, in stream order.
    pub(super) fn of_frame(&self, frame: FrameNo) -> impl Iterator<Item = (PduId, PduRow)> {
        let start = self.first_from(frame);
        let in_order = self.rows.iter_from(start).enumerate();
        let in_order = in_order
            .take_while(move |(_, row)| row.frame == frame.0)
            .map(move |(i, row)| {
                let index = start.saturating_add(i);
                (PduId::from_index(index), self.unpack(index, row))
            })
            // Late ones stand here in the order, and belong to another frame.
            .filter(move |(_, row)| row.frame == frame);
        let late = self.late.get(&frame).into_iter().flatten();
        in_order.chain(late.filter_map(|id| Some((*id, self.get(id.index())?))))
    }

    #[inline]
    fn unpack(&self, index: usize, row: &Packed) -> PduRow {
        if row.owner == WHOLE
            && let Some(row) = self.whole.get(&index)
        {
            return *row;
        }
        row.unpack()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> PduRow {
        PduRow {
            frame: FrameNo(70_000),
            first_frame: FrameNo(69_000),
            conn: ConnId(524_287),
            end: End::B,
            kind: PduKind::Data,
            flags: PduFlags(0xffff),
            pos: StreamPos(0x12_3456_789a),
            len: 0x00ff_ffff,
            session: Some(SessionId(0)),
            sid: Sid(u16::MAX),
            seqnum: SmpSeq(u32::MAX),
            wndw: SmpSeq(1),
            tds_type: 0xff,
            tds_status: 0xfe,
            prev: Some(PduId(0)),
        }
    }

    fn comes_back(rows: &[PduRow], whole: usize) {
        let mut table = PduTable::default();
        for row in rows {
            table.push(row);
        }
        assert_eq!(table.iter_from(0).collect::<Vec<_>>(), rows);
        assert_eq!(table.whole.len(), whole);
        assert_eq!(table.get(rows.len()), None);
    }

    #[test]
    fn rows_of_every_kind_come_back_as_they_were() {
        let kinds = KINDS.map(|kind| PduRow { kind, ..usual() });
        let plain = PduRow {
            end: End::A,
            session: None,
            prev: None,
            ..usual()
        };
        comes_back(&kinds, 0);
        comes_back(&[plain, usual()], 0);
    }

    #[test]
    fn rows_that_do_not_fit_are_kept_whole() {
        let row = usual();
        let odd = [
            PduRow {
                first_frame: FrameNo(1),
                ..row
            },
            PduRow {
                first_frame: FrameNo(70_001),
                ..row
            },
            PduRow {
                conn: ConnId(1 << 20),
                ..row
            },
            PduRow {
                len: 1 << 24,
                ..row
            },
            PduRow {
                pos: StreamPos(1 << 40),
                ..row
            },
            PduRow {
                session: Some(SessionId(u32::MAX)),
                ..row
            },
            PduRow {
                prev: Some(PduId(u32::MAX)),
                ..row
            },
        ];
        let mut rows = vec![row];
        rows.extend(odd);
        comes_back(&rows, odd.len());
    }

    #[test]
    fn late_pdus_are_found_in_their_own_frame() {
        let at = |frame| PduRow {
            frame: FrameNo(frame),
            first_frame: FrameNo(frame),
            ..usual()
        };
        let mut table = PduTable::default();
        for row in [at(1), at(5), at(3), at(5), at(9)] {
            table.push(&row);
        }
        let found = |frame| {
            let pdus = table.of_frame(FrameNo(frame));
            pdus.map(|(id, _)| id.0).collect::<Vec<_>>()
        };
        assert_eq!(found(5), [1, 3]);
        assert_eq!(found(3), [2]);
        assert_eq!(found(4), [0; 0]);
        assert_eq!(table.first_from(FrameNo(6)), 4);
    }

    #[test]
    fn a_pdu_costs_40_bytes() {
        assert_eq!(size_of::<Packed>(), 40);
    }
}
