//! The table of PDUs, 32 bytes a row: rows are packed when they come and unpacked when they are asked for.
//!
//! The PDUs of a frame are found by binary search, so that the table is in the order of frames. A PDU whose frame
//! stands before that of one already there (a later frame revealed the gap in front of it) is kept whole beside, with
//! the place that it has in the order; so is the rare row that does not fit. What most PDUs have in common stands once
//! in a list of shapes, and what those of a session have in common once for each session.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::chunks::Chunks;
use super::frame_table::{halves, joined, parted};
use super::pdu::{PduFlags, PduKind, PduRow};
use super::shapes::{Key, Shapes};
use crate::units::{ConnId, End, FrameNo, PduId, SessionId, Sid, SmpSeq, StreamPos};

/// The shape of a row that does not fit and is kept whole.
const WHOLE: u16 = u16::MAX;
/// As many shapes have a number.
const SHAPES: u32 = 0xffff;
const LEN_BITS: u32 = 24;
/// In `owner`: the rest is the number of a session, else of a connection.
const OF_SESSION: u32 = 1 << 31;

/// What many PDUs have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    end: End,
    kind: PduKind,
    flags: PduFlags,
    tds_type: u8,
    tds_status: u8,
}

impl super::shapes::Shape for Shape {
    #[inline]
    fn key(self) -> Key {
        let kind = u64::from(self.kind as u8);
        let kind = (kind << 1) | u64::from(self.end == End::B);
        let small = (kind << 16) | (u64::from(self.tds_type) << 8) | u64::from(self.tds_status);
        [small, u64::from(self.flags.0)]
    }
}

#[derive(Debug, Clone, Copy)]
struct Packed {
    /// Its frame; of a row that is kept whole, the highest frame so far.
    frame: u32,
    owner: u32,
    pos_low: u32,
    /// The length in 24 bits; above it bits 32 to 39 of the position.
    len: u32,
    /// The index + 1 of the PDU before it in its chain, or 0.
    prev: u32,
    seqnum: u32,
    wndw: u32,
    /// Frames between its first and its last.
    span: u16,
    shape: u16,
}

impl Packed {
    /// Packs all but the shape.
    fn pack(row: &PduRow, owner: u32) -> Option<Self> {
        let [pos_low, pos_high] = halves(row.pos.0);
        Some(Self {
            frame: row.frame.0,
            owner,
            pos_low,
            len: joined(row.len, LEN_BITS, pos_high)?,
            prev: row.prev.map_or(Some(0), |id| id.0.checked_add(1))?,
            seqnum: row.seqnum.0,
            wndw: row.wndw.0,
            span: u16::try_from(row.frame.0.checked_sub(row.first_frame.0)?).ok()?,
            shape: WHOLE,
        })
    }

    fn whole(frame: FrameNo) -> Self {
        Self {
            frame: frame.0,
            owner: 0,
            pos_low: 0,
            len: 0,
            prev: 0,
            seqnum: 0,
            wndw: 0,
            span: 0,
            shape: WHOLE,
        }
    }

    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    fn unpack(&self, shape: Shape, owners: &Owners) -> PduRow {
        let (len, pos_high) = parted(self.len, LEN_BITS);
        let (conn, session, sid) = owners.of(self.owner);
        PduRow {
            frame: FrameNo(self.frame),
            first_frame: FrameNo(self.frame.saturating_sub(u32::from(self.span))),
            conn,
            end: shape.end,
            kind: shape.kind,
            flags: shape.flags,
            pos: StreamPos((u64::from(pos_high) << 32) | u64::from(self.pos_low)),
            len,
            session,
            sid,
            seqnum: SmpSeq(self.seqnum),
            wndw: SmpSeq(self.wndw),
            tds_type: shape.tds_type,
            tds_status: shape.tds_status,
            prev: self.prev.checked_sub(1).map(PduId),
        }
    }
}

/// Of each session: its connection and its Sid.
#[derive(Debug, Default)]
struct Owners(Vec<Option<(ConnId, Sid)>>);

impl Owners {
    /// What stands for the owner of a row.
    fn number(&mut self, row: &PduRow) -> Option<u32> {
        let Some(session) = row.session else {
            return (row.sid == Sid(0) && row.conn.0 < OF_SESSION).then_some(row.conn.0);
        };
        let index = session.index();
        if index >= self.0.len() {
            // Sessions are numbered as they come; a number far beyond is none of theirs.
            if index > self.0.len().saturating_add(1 << 16) || session.0 >= OF_SESSION {
                return None;
            }
            self.0.resize(index.saturating_add(1), None);
        }
        let own = (row.conn, row.sid);
        let known = self.0.get_mut(index)?.get_or_insert(own);
        (*known == own).then_some(session.0 | OF_SESSION)
    }

    fn of(&self, number: u32) -> (ConnId, Option<SessionId>, Sid) {
        if number < OF_SESSION {
            return (ConnId(number), None, Sid(0));
        }
        let session = SessionId(number ^ OF_SESSION);
        let (conn, sid) = self
            .0
            .get(session.index())
            .copied()
            .flatten()
            .unwrap_or((ConnId(0), Sid(0)));
        (conn, Some(session), sid)
    }
}

/// The PDUs in order of completion.
#[derive(Debug, Default)]
pub(super) struct PduTable {
    rows: Chunks<Packed>,
    shapes: Shapes<Shape>,
    owners: Owners,
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

    /// Whether no PDU came late.
    pub(super) fn is_in_order(&self) -> bool {
        self.late.is_empty()
    }

    /// Bytes that the table holds.
    pub(super) fn memory(&self) -> usize {
        let whole = size_of::<(usize, PduRow)>().saturating_mul(self.whole.capacity());
        let owners = size_of::<Option<(ConnId, Sid)>>().saturating_mul(self.owners.0.capacity());
        self.rows
            .memory()
            .saturating_add(whole)
            .saturating_add(owners)
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
        let packed = if is_late { None } else { self.pack(row) };
        self.rows.push(packed.unwrap_or_else(|| {
            self.whole.insert(index, *row);
            Packed::whole(last)
        }));
    }

    fn pack(&mut self, row: &PduRow) -> Option<Packed> {
        let packed = Packed::pack(row, self.owners.number(row)?)?;
        let shape = Shape {
            end: row.end,
            kind: row.kind,
            flags: row.flags,
            tds_type: row.tds_type,
            tds_status: row.tds_status,
        };
        let shape = u16::try_from(self.shapes.number(shape, SHAPES)?).ok()?;
        Some(Packed { shape, ..packed })
    }

    pub(super) fn get(&self, index: usize) -> Option<PduRow> {
        self.unpack(index, self.rows.get(index)?)
    }

    pub(super) fn iter_from(&self, start: usize) -> impl Iterator<Item = PduRow> {
        let rows = self.rows.iter_from(start).enumerate();
        rows.filter_map(move |(i, row)| self.unpack(start.saturating_add(i), row))
    }

    /// Calls `f` with the PDUs that are completed in the frames from one to another (not included): those in the
    /// table's order by a loop over slices, which scans need to be fast, then those that came late.
    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    pub(super) fn each(&self, first: FrameNo, behind: FrameNo, mut f: impl FnMut(&PduRow)) {
        let (start, end) = (self.first_from(first), self.first_from(behind));
        self.rows.each(start, end, |index, row| {
            if let Some(pdu) = &self.unpack(index, row)
                && pdu.frame.0 == row.frame
            {
                f(pdu);
            }
        });
        if first < behind {
            for id in self.late.range(first..behind).flat_map(|(_, ids)| ids) {
                if let Some(pdu) = &self.get(id.index()) {
                    f(pdu);
                }
            }
        }
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
            .filter_map(move |(i, row)| {
                let index = start.saturating_add(i);
                Some((PduId::from_index(index), self.unpack(index, row)?))
            })
            // Late ones stand here in the order, and belong to another frame.
            .filter(move |(_, row)| row.frame == frame);
        let late = self.late.get(&frame).into_iter().flatten();
        in_order.chain(late.filter_map(|id| Some((*id, self.get(id.index())?))))
    }

    #[inline]
    fn unpack(&self, index: usize, row: &Packed) -> Option<PduRow> {
        match self.shapes.get(u32::from(row.shape)) {
            Some(shape) if row.shape != WHOLE => Some(row.unpack(*shape, &self.owners)),
            _ => self.whole.get(&index).copied(),
        }
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
        let kinds = [PduKind::Syn, PduKind::Data, PduKind::Tds, PduKind::Hidden];
        let mut rows = Vec::from(kinds.map(|kind| PduRow { kind, ..usual() }));
        rows.push(PduRow {
            end: End::A,
            session: None,
            sid: Sid(0),
            prev: None,
            ..usual()
        });
        rows.push(PduRow {
            session: Some(SessionId(7)),
            sid: Sid(3),
            conn: ConnId(5),
            ..usual()
        });
        rows.push(usual());
        comes_back(&rows, 0);
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
        let between = |first, behind| {
            let mut frames = Vec::new();
            table.each(FrameNo(first), FrameNo(behind), |pdu| {
                frames.push(pdu.frame.0);
            });
            frames
        };
        assert_eq!(between(1, 10), [1, 5, 5, 9, 3]);
        assert_eq!(between(2, 5), [3]);
        assert_eq!(between(4, 9), [5, 5]);
        assert_eq!(between(5, 5), [0; 0]);
    }

    #[test]
    fn a_pdu_costs_32_bytes() {
        assert_eq!(size_of::<Packed>(), 32);
    }
}
