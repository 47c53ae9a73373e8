//! The table of PDUs: rows come packed, and are unpacked when they are asked for.
//!
//! The PDUs of a frame are found by binary search, so that the table is in the order of frames. A PDU whose frame
//! stands before that of one already there (a later frame revealed the gap in front of it) is kept whole beside, with
//! the place that it has in the order.

use std::collections::BTreeMap;

use super::chunks::Chunks;
use super::few::Few;
use super::packed_pdu::{NewPdus, Owners, Packed, Shape};
use super::pdu::PduRow;
use crate::units::{FrameNo, PduId};

/// The PDUs in order of completion.
#[derive(Debug, Default)]
pub(super) struct PduTable {
    rows: Chunks<Packed>,
    shapes: Vec<Shape>,
    owners: Owners,
    whole: Few<PduRow>,
    far: Few<PduId>,
    /// Those behind a gap that a later frame revealed, by the frame that they belong to.
    late: BTreeMap<FrameNo, Vec<PduId>>,
}

impl PduTable {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no PDU came late.
    pub(super) fn is_in_order(&self) -> bool {
        self.late.is_empty()
    }

    /// Gives back what is held in reserve, as nothing more comes.
    pub(super) fn shrink_to_fit(&mut self) {
        self.rows.shrink_to_fit();
    }

    /// Bytes that the table holds.
    pub(super) fn memory(&self) -> usize {
        let beside = self.whole.memory().saturating_add(self.far.memory());
        let owners = self.owners.memory();
        self.rows
            .memory()
            .saturating_add(beside)
            .saturating_add(owners)
    }

    /// Takes in the next PDUs.
    pub(super) fn append(&mut self, new: NewPdus) {
        new.rows.move_into(&mut self.rows);
        self.shapes.extend(new.shapes);
        for (session, owner) in new.owners {
            if let Some(known) = self.owners.of_session(session) {
                *known = Some(owner);
            }
        }
        self.whole.extend(new.whole);
        self.far.extend(new.far);
        for (frame, id) in new.late {
            self.late.entry(frame).or_default().push(id);
        }
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
        row.unpack(index, &self.shapes, &self.owners)
            .or_else(|| self.unpack_with_beside(index, row))
    }

    #[cold]
    fn unpack_with_beside(&self, index: usize, row: &Packed) -> Option<PduRow> {
        let near = row.without_far();
        match near.unpack(index, &self.shapes, &self.owners) {
            Some(near) => Some(PduRow {
                prev: self.far.get(index),
                ..near
            }),
            None => self.whole.get(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PduFlags, PduKind, PduPacker, SessionRow};
    use super::*;
    use crate::units::{ConnId, End, SessionId, Sid, SmpSeq, StreamPos};

    fn usual() -> PduRow {
        PduRow {
            frame: FrameNo(70_000),
            first_frame: FrameNo(69_000),
            conn: ConnId(524_287),
            end: End::B,
            kind: PduKind::Data,
            flags: PduFlags(0xffff),
            pos: StreamPos(0x12_3456_789a),
            len: 0xffff,
            session: Some(SessionId(0)),
            sid: Sid(u16::MAX),
            seqnum: SmpSeq(u32::MAX),
            wndw: SmpSeq(1),
            tds_type: 0xff,
            tds_status: 0xfe,
            prev: None,
        }
    }

    fn comes_back(rows: &[PduRow], whole: usize) {
        comes_back_by(PduPacker::push, rows, whole);
        // A session has one owner here, whose beginning can be told.
        let mut owners = BTreeMap::new();
        let alike = rows.iter().all(|row| {
            *owners.entry(row.session).or_insert((row.conn, row.sid)) == (row.conn, row.sid)
        });
        if alike {
            comes_back_by(push_as_smp, rows, whole);
        }
    }

    fn push_as_smp(packer: &mut PduPacker, row: &PduRow) {
        let Some(id) = row.session else {
            return packer.push(row);
        };
        packer.begin_session(id, (row.conn, row.sid));
        let session = SessionRow::opened(id, row.conn, row.sid, row.frame);
        let bare = PduRow {
            conn: ConnId(9),
            session: None,
            ..*row
        };
        packer.push_smp(&session, &bare);
    }

    fn comes_back_by(push: fn(&mut PduPacker, &PduRow), rows: &[PduRow], whole: usize) {
        let mut table = PduTable::default();
        let mut packer = PduPacker::default();
        for rows in rows.chunks(5000).flat_map(|rows| [&rows[..1], &rows[1..]]) {
            for row in rows {
                push(&mut packer, row);
            }
            table.append(packer.take());
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
            pos: StreamPos(u64::MAX),
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
                len: 1 << 16,
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
            PduRow {
                prev: Some(PduId(100)),
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
        table.append([1, 5, 3, 5, 9].map(at).into_iter().collect());
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
    fn the_pdu_before_is_found_however_far_it_is() {
        let at = |at: u32| PduRow {
            prev: match at % 3 {
                0 => at.checked_sub(1).map(PduId),
                1 => at.checked_sub(65_534).map(PduId),
                _ => at.checked_sub(65_535).map(PduId),
            },
            ..usual()
        };
        let rows: Vec<PduRow> = (0..70_000).map(at).collect();
        comes_back(&rows, 0);
    }
}
