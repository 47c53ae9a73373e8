//! A PDU in 24 bytes, and what packs PDUs as they are completed.
//!
//! What most PDUs have in common (kind, flags, TDS header, the upper halves of numbers that rarely are so high) stands
//! once in a list of shapes, and what those of a session have in common once for each session. The rare row that does
//! not fit, and one that comes late, is kept whole beside.

use super::few::{FAR, Few, distance};
use super::filling::{Filling, NewRows};
use super::packed_frame::halves;
use super::pdu::{PduFlags, PduKind, PduRow};
use super::session::SessionRow;
use super::shapes::{Key, Shapes};
use crate::units::{ConnId, End, FrameNo, PduId, SessionId, Sid, SmpSeq, StreamPos};

/// As many shapes have a number; the one behind says that a row is kept whole.
const SHAPES: u16 = u16::MAX;
/// In `owner`: the rest is the number of a session, else of a connection.
const OF_SESSION: u32 = 1 << 31;

/// What many PDUs have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pos_high: u32,
    seqnum_high: u16,
    wndw_high: u16,
    flags: PduFlags,
    end: End,
    kind: PduKind,
    tds_type: u8,
    tds_status: u8,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Packed {
    /// Its frame; of a row that is kept whole, the highest frame so far.
    pub(super) frame: u32,
    owner: u32,
    pos_low: u32,
    shape: u16,
    len: u16,
    /// Frames between its first and its last.
    span: u16,
    /// So far in front is the PDU before it in its chain; 0 without one.
    prev: u16,
    seqnum: u16,
    wndw: u16,
}

impl Packed {
    /// The same without the one before, where that is far away.
    pub(super) fn without_far(self) -> Self {
        Self { prev: 0, ..self }
    }

    fn whole(frame: FrameNo) -> Self {
        Self {
            frame: frame.0,
            owner: 0,
            pos_low: 0,
            shape: SHAPES,
            len: 0,
            span: 0,
            prev: 0,
            seqnum: 0,
            wndw: 0,
        }
    }

    /// The row of the PDU at an index; `None` if it has something beside.
    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    pub(super) fn unpack(&self, index: usize, shapes: &[Shape], owners: &Owners) -> Option<PduRow> {
        if self.prev == FAR {
            return None;
        }
        let shape = shapes.get(usize::from(self.shape))?;
        let (conn, session, sid) = owners.of(self.owner);
        let number = |high: u16, low: u16| (u32::from(high) << 16) | u32::from(low);
        let distance = u32::from(self.prev);
        let prev = PduId::from_index(index).0.saturating_sub(distance);
        let prev = (distance > 0).then_some(PduId(prev));
        Some(PduRow {
            frame: FrameNo(self.frame),
            first_frame: FrameNo(self.frame.saturating_sub(u32::from(self.span))),
            conn,
            end: shape.end,
            kind: shape.kind,
            flags: shape.flags,
            pos: StreamPos((u64::from(shape.pos_high) << 32) | u64::from(self.pos_low)),
            len: u32::from(self.len),
            session,
            sid,
            seqnum: SmpSeq(number(shape.seqnum_high, self.seqnum)),
            wndw: SmpSeq(number(shape.wndw_high, self.wndw)),
            tds_type: shape.tds_type,
            tds_status: shape.tds_status,
            prev,
        })
    }
}

/// The connection and the Sid of a session.
pub type Owner = (ConnId, Sid);

/// The owner of each session.
#[derive(Debug, Default)]
pub(super) struct Owners(Vec<Option<Owner>>);

impl Owners {
    /// Of a session: what is known, to be set if it is not. `None` for a number far beyond those so far: sessions are
    /// numbered as they come, it is none of theirs.
    #[inline]
    pub(super) fn of_session(&mut self, session: SessionId) -> Option<&mut Option<Owner>> {
        let index = session.index();
        if index >= self.0.len() {
            if index > self.0.len().saturating_add(1 << 16) || session.0 >= OF_SESSION {
                return None;
            }
            self.0.resize(index.saturating_add(1), None);
        }
        self.0.get_mut(index)
    }

    #[inline]
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

    /// Bytes that they hold.
    pub(super) fn memory(&self) -> usize {
        size_of::<Option<Owner>>().saturating_mul(self.0.capacity())
    }
}

/// Packed PDUs on their way into the table, with what they need that the table does not have yet.
#[derive(Debug, Default)]
pub struct NewPdus {
    pub(super) rows: NewRows<Packed>,
    pub(super) shapes: Vec<Shape>,
    pub(super) owners: Vec<(SessionId, Owner)>,
    /// Those that do not fit, or come late.
    pub(super) whole: Few<PduRow>,
    /// The PDU before in the chain, where it is far away.
    pub(super) far: Few<PduId>,
    /// Those whose frame stands before that of one that was there already.
    pub(super) late: Vec<(FrameNo, PduId)>,
}

/// The first PDUs of a capture.
impl FromIterator<PduRow> for NewPdus {
    fn from_iter<I: IntoIterator<Item = PduRow>>(rows: I) -> Self {
        let mut packer = PduPacker::default();
        rows.into_iter().for_each(|row| packer.push(&row));
        packer.take()
    }
}

/// Packs the PDUs of a capture in order of completion.
#[derive(Debug, Default)]
pub struct PduPacker {
    rows: Filling<Packed>,
    /// All but the rows.
    new: NewPdus,
    /// So many PDUs came so far.
    len: u32,
    shapes: Shapes<Shape, 2>,
    owners: Owners,
    /// The highest frame so far.
    last: u32,
}

impl PduPacker {
    /// The number that the next PDU gets.
    #[inline]
    pub fn next(&self) -> PduId {
        PduId(self.len)
    }

    fn index(&self) -> usize {
        self.next().index()
    }

    /// Takes in the next PDU.
    pub fn push(&mut self, row: &PduRow) {
        let packed = self.owner(row).and_then(|owner| self.pack(owner, row));
        match packed {
            Some(packed) => self.put(packed),
            None => self.push_whole(row),
        }
    }

    /// Takes in the next PDU, one of a session whose beginning was told. Its row need say neither the session nor the
    /// connection.
    #[expect(
        clippy::inline_always,
        reason = "whoever has just filled in the row still has most of it in registers"
    )]
    #[inline(always)]
    pub fn push_smp(&mut self, session: &SessionRow, row: &PduRow) {
        debug_assert_eq!(
            self.owners.of_session(session.id).copied().flatten(),
            Some((session.conn, row.sid)),
            "the beginning of session {} was told",
            session.id.0
        );
        let packed = of_session(session.id).and_then(|owner| self.pack(owner, row));
        match packed {
            Some(packed) => self.put(packed),
            None => self.push_whole_smp(session, row),
        }
    }

    #[cold]
    fn push_whole_smp(&mut self, session: &SessionRow, row: &PduRow) {
        self.push_whole(&PduRow {
            conn: session.conn,
            session: Some(session.id),
            sid: session.sid,
            ..*row
        });
    }

    /// Takes in a PDU that does not fit, or comes late.
    #[cold]
    fn push_whole(&mut self, row: &PduRow) {
        let last = self.last.max(row.frame.0);
        if row.frame.0 < last {
            self.new.late.push((row.frame, self.next()));
        }
        self.new.whole.push(self.index(), *row);
        self.put(Packed::whole(FrameNo(last)));
    }

    #[inline]
    fn put(&mut self, packed: Packed) {
        self.last = packed.frame;
        self.rows.push(packed);
        // They do not fit into memory before their numbers are used up.
        self.len = self.len.wrapping_add(1);
    }

    #[expect(
        clippy::inline_always,
        reason = "a part of `push`, and asked nowhere else"
    )]
    #[inline(always)]
    fn pack(&mut self, owner: u32, row: &PduRow) -> Option<Packed> {
        if row.frame.0 < self.last {
            return None;
        }
        let span = row.frame.0.checked_sub(row.first_frame.0)?;
        let (span, len) = (u16::try_from(span).ok()?, u16::try_from(row.len).ok()?);
        let [pos_low, pos_high] = halves(row.pos.0);
        let [seqnum, seqnum_high] = quarters(row.seqnum.0);
        let [wndw, wndw_high] = quarters(row.wndw.0);
        let looks = [row.end as u8, row.kind as u8, row.tds_type, row.tds_status];
        let looks = u64::from(u32::from_le_bytes(looks));
        let high = (u64::from(seqnum_high) << 16) | u64::from(wndw_high);
        let key = [
            (u64::from(row.flags.0) << 32) | looks,
            (u64::from(pos_high) << 32) | high,
        ];
        let recent = self.shapes.recent(key);
        let shape = match recent.or_else(|| self.shapes.beside(key)) {
            Some(shape) => shape,
            None => self.shape(key, row)?,
        };
        Some(Packed {
            frame: row.frame.0,
            owner,
            pos_low,
            shape,
            len,
            span,
            prev: match row.prev {
                None => 0,
                Some(prev) => match self.near(prev) {
                    Some(distance) => distance,
                    None => self.far_distance(prev)?,
                },
            },
            seqnum,
            wndw,
        })
    }

    #[cold]
    fn shape(&mut self, key: Key<2>, row: &PduRow) -> Option<u16> {
        let [_, pos_high] = halves(row.pos.0);
        let [_, seqnum_high] = quarters(row.seqnum.0);
        let [_, wndw_high] = quarters(row.wndw.0);
        let shape = Shape {
            pos_high,
            seqnum_high,
            wndw_high,
            flags: row.flags,
            end: row.end,
            kind: row.kind,
            tds_type: row.tds_type,
            tds_status: row.tds_status,
        };
        self.shapes.number(key, SHAPES, shape)
    }

    /// What stands for the owner of a row, if anything can.
    fn owner(&mut self, row: &PduRow) -> Option<u32> {
        let Some(session) = row.session else {
            return (row.sid == Sid(0) && row.conn.0 < OF_SESSION).then_some(row.conn.0);
        };
        let own = (row.conn, row.sid);
        let is_its = self.begin_session(session, own)? == own;
        of_session(session).filter(|_| is_its)
    }

    /// A session begins, whose PDUs come next; returns the owner that it has, if that can be kept.
    pub fn begin_session(&mut self, session: SessionId, own: Owner) -> Option<Owner> {
        let known = self.owners.of_session(session)?;
        if known.is_none() {
            self.new.owners.push((session, own));
        }
        Some(*known.get_or_insert(own))
    }

    /// How far in front a PDU is that is near.
    #[inline]
    fn near(&self, prev: PduId) -> Option<u16> {
        let distance = self.len.checked_sub(prev.0)?;
        if distance == 0 || distance >= u32::from(FAR) {
            return None;
        }
        let [near, _] = quarters(distance);
        Some(near)
    }

    /// How far in front a PDU is that is not near; `None` if it is none of those in front.
    #[cold]
    fn far_distance(&mut self, prev: PduId) -> Option<u16> {
        let distance = distance(self.len, prev.0)?;
        self.new.far.push(self.index(), prev);
        Some(distance)
    }

    /// The PDUs that came since this was asked last.
    pub fn take(&mut self) -> NewPdus {
        self.new.shapes = self.shapes.take_new();
        self.new.rows = self.rows.take();
        std::mem::take(&mut self.new)
    }
}

/// What stands for a session, if anything can.
#[inline]
fn of_session(session: SessionId) -> Option<u32> {
    (session.0 < OF_SESSION).then_some(session.0 | OF_SESSION)
}

/// The lower and the upper 16 bits.
#[inline]
fn quarters(number: u32) -> [u16; 2] {
    let [a, b, c, d] = number.to_le_bytes();
    [[a, b], [c, d]].map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pdu_costs_24_bytes() {
        assert_eq!(size_of::<Packed>(), 24);
    }
}
