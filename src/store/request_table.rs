//! The table of requests: a row is packed into 64 bytes when it comes, and unpacked when it is asked for.
//!
//! The few rows with something that most do not have (an ERROR, an attention, an answer that took longer than four
//! seconds) are kept whole beside.

use std::collections::BTreeMap;

use super::chunks::Chunks;
use super::request::{HeaderCheck, RequestEnd, RequestKind, RequestRow};
use crate::units::{ConnId, FrameNo, Nanos, PduId, RequestId, SessionId, TextId};

/// In the place of a number: there is none.
const NONE: u32 = u32::MAX;

/// What a request has or has not, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Marks(u8);

impl Marks {
    const COMPLETE: u8 = 1;
    const IGNORED: u8 = 1 << 1;
    const RESET_CONNECTION: u8 = 1 << 2;
    const RESET_ACKNOWLEDGED: u8 = 1 << 3;
    const DONE_READ: u8 = 1 << 4;
    /// The row is kept whole beside.
    const WHOLE: u8 = 1 << 5;

    fn of(row: &RequestRow) -> Self {
        let mark = |set: bool, mark: u8| if set { mark } else { 0 };
        Self(
            mark(row.complete, Self::COMPLETE)
                | mark(row.ignored, Self::IGNORED)
                | mark(row.reset_connection, Self::RESET_CONNECTION)
                | mark(row.reset_acknowledged, Self::RESET_ACKNOWLEDGED)
                | mark(row.done_status.is_some(), Self::DONE_READ),
        )
    }

    #[inline]
    fn has(self, mark: u8) -> bool {
        self.0 & mark != 0
    }
}

/// [`HeaderCheck`] without its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Headers {
    Unknown,
    Sound,
    Total,
    NoDescriptor,
    DescriptorLength,
}

#[derive(Debug, Clone, Copy)]
struct Packed {
    start: i64,
    conn: u32,
    /// The session's index + 1, or 0.
    session: u32,
    text: u32,
    first_frame: u32,
    last_frame: u32,
    first_pdu: u32,
    /// Frames of the answer; 0 without.
    answer_first_frame: u32,
    answer_last_frame: u32,
    answer_bytes: u32,
    /// In nanoseconds.
    first_byte: u32,
    /// In nanoseconds.
    duration: u32,
    rows: u32,
    done_status: u16,
    outstanding: u16,
    headers: Headers,
    kind: RequestKind,
    end: RequestEnd,
    marks: Marks,
}

impl Packed {
    /// `None` if it does not fit.
    fn of(row: &RequestRow) -> Option<Self> {
        let plain = row.error.is_none() && row.attention_frame.is_none();
        if !plain || row.attention_ack_frame.is_some() {
            return None;
        }
        let (headers, outstanding) = match row.headers {
            HeaderCheck::Unknown => (Headers::Unknown, 0),
            HeaderCheck::Sound(count) => (Headers::Sound, u16::try_from(count).ok()?),
            HeaderCheck::Total => (Headers::Total, 0),
            HeaderCheck::NoDescriptor => (Headers::NoDescriptor, 0),
            HeaderCheck::DescriptorLength => (Headers::DescriptorLength, 0),
        };
        Some(Self {
            start: row.start.0,
            conn: row.conn.0,
            session: match row.session {
                Some(session) => session.0.checked_add(1)?,
                None => 0,
            },
            text: row.text.0,
            first_frame: row.first_frame.0,
            last_frame: row.last_frame.0,
            first_pdu: row.first_pdu.0,
            answer_first_frame: packed_frame(row.answer_first_frame)?,
            answer_last_frame: packed_frame(row.answer_last_frame)?,
            answer_bytes: u32::try_from(row.answer_bytes).ok()?,
            first_byte: packed_number(row.first_byte_ns)?,
            duration: packed_number(row.duration_ns)?,
            rows: packed_number(row.rows)?,
            done_status: row.done_status.unwrap_or(0),
            outstanding,
            headers,
            kind: row.kind,
            end: row.end,
            marks: Marks::of(row),
        })
    }

    /// In the place of a row that is kept whole.
    fn whole() -> Self {
        Self {
            start: 0,
            conn: 0,
            session: 0,
            text: 0,
            first_frame: 0,
            last_frame: 0,
            first_pdu: 0,
            answer_first_frame: 0,
            answer_last_frame: 0,
            answer_bytes: 0,
            first_byte: NONE,
            duration: NONE,
            rows: NONE,
            done_status: 0,
            outstanding: 0,
            headers: Headers::Unknown,
            kind: RequestKind::SqlBatch,
            end: RequestEnd::Unknown,
            marks: Marks(Marks::WHOLE),
        }
    }

    /// The row at an index; `None` if it is kept whole.
    #[expect(clippy::inline_always, reason = "only what is looked at is unpacked")]
    #[inline(always)]
    fn unpack(&self, index: usize) -> Option<RequestRow> {
        if self.marks.has(Marks::WHOLE) {
            return None;
        }
        Some(RequestRow {
            id: RequestId::from_index(index),
            conn: ConnId(self.conn),
            session: self.session.checked_sub(1).map(SessionId),
            kind: self.kind,
            text: TextId(self.text),
            headers: match self.headers {
                Headers::Unknown => HeaderCheck::Unknown,
                Headers::Sound => HeaderCheck::Sound(u32::from(self.outstanding)),
                Headers::Total => HeaderCheck::Total,
                Headers::NoDescriptor => HeaderCheck::NoDescriptor,
                Headers::DescriptorLength => HeaderCheck::DescriptorLength,
            },
            first_frame: FrameNo(self.first_frame),
            last_frame: FrameNo(self.last_frame),
            first_pdu: PduId(self.first_pdu),
            complete: self.marks.has(Marks::COMPLETE),
            ignored: self.marks.has(Marks::IGNORED),
            reset_connection: self.marks.has(Marks::RESET_CONNECTION),
            reset_acknowledged: self.marks.has(Marks::RESET_ACKNOWLEDGED),
            answer_first_frame: frame(self.answer_first_frame),
            answer_last_frame: frame(self.answer_last_frame),
            answer_bytes: u64::from(self.answer_bytes),
            start: Nanos(self.start),
            first_byte_ns: number(self.first_byte).map(i64::from),
            duration_ns: number(self.duration).map(i64::from),
            rows: number(self.rows).map(u64::from),
            error: None,
            done_status: self.marks.has(Marks::DONE_READ).then_some(self.done_status),
            attention_frame: None,
            attention_ack_frame: None,
            end: self.end,
        })
    }
}

/// `None` if it does not fit.
fn packed_number<N>(number: Option<N>) -> Option<u32>
where
    u32: TryFrom<N>,
{
    let Some(number) = number else {
        return Some(NONE);
    };
    u32::try_from(number).ok().filter(|packed| *packed != NONE)
}

#[inline]
fn number(packed: u32) -> Option<u32> {
    (packed != NONE).then_some(packed)
}

/// `None` for frame 0, which does not exist.
fn packed_frame(frame: Option<FrameNo>) -> Option<u32> {
    frame.map_or(Some(0), |no| (no.0 != 0).then_some(no.0))
}

#[inline]
fn frame(packed: u32) -> Option<FrameNo> {
    (packed != 0).then_some(FrameNo(packed))
}

/// The requests in the order of their first frames.
#[derive(Debug, Default)]
pub(super) struct RequestTable {
    rows: Chunks<Packed>,
    whole: BTreeMap<usize, RequestRow>,
}

impl RequestTable {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Gives back what is held in reserve, as nothing more comes.
    pub(super) fn shrink_to_fit(&mut self) {
        self.rows.shrink_to_fit();
    }

    /// Bytes that the table holds.
    pub(super) fn memory(&self) -> usize {
        let beside = size_of::<(usize, RequestRow)>().saturating_mul(self.whole.len());
        self.rows.memory().saturating_add(beside)
    }

    /// Takes in the next row, or one that has changed.
    pub(super) fn put(&mut self, row: &RequestRow) {
        let index = row.id.index();
        let packed = Packed::of(row).unwrap_or_else(|| self.keep_whole(index, row));
        if let Some(known) = self.rows.get_mut(index) {
            if known.marks.has(Marks::WHOLE) && !packed.marks.has(Marks::WHOLE) {
                self.whole.remove(&index);
            }
            *known = packed;
        } else if index == self.rows.len() {
            self.rows.push(packed);
        } else {
            debug_assert!(false, "rows arrive in the order of their numbers");
        }
    }

    #[cold]
    fn keep_whole(&mut self, index: usize, row: &RequestRow) -> Packed {
        self.whole.insert(index, row.clone());
        Packed::whole()
    }

    #[expect(clippy::inline_always, reason = "only what is looked at is unpacked")]
    #[inline(always)]
    fn unpack(&self, index: usize) -> Option<RequestRow> {
        let row = self.rows.get(index)?;
        row.unpack(index).or_else(|| self.kept_whole(index))
    }

    #[cold]
    fn kept_whole(&self, index: usize) -> Option<RequestRow> {
        self.whole.get(&index).cloned()
    }

    pub(super) fn get(&self, index: usize) -> Option<RequestRow> {
        self.unpack(index)
    }

    /// What `f` says of a row, if there is one.
    #[expect(clippy::inline_always, reason = "only what `f` looks at is unpacked")]
    #[inline(always)]
    pub(super) fn visit<R>(&self, index: usize, f: impl FnOnce(&RequestRow) -> R) -> Option<R> {
        Some(f(&self.unpack(index)?))
    }

    /// How many began before a frame or in it.
    pub(super) fn begun_at(&self, frame: FrameNo) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let mid = low.midpoint(high);
            if self.visit(mid, |row| row.first_frame <= frame) == Some(true) {
                low = mid.saturating_add(1);
            } else {
                high = mid;
            }
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::ErrorRow;
    use super::*;

    #[test]
    fn a_request_costs_64_bytes() {
        assert_eq!(size_of::<Packed>(), 64);
    }

    fn usual() -> RequestRow {
        RequestRow {
            id: RequestId(0),
            conn: ConnId(u32::MAX),
            session: Some(SessionId(7)),
            kind: RequestKind::Rpc,
            text: TextId(3),
            headers: HeaderCheck::Sound(1),
            first_frame: FrameNo(5),
            last_frame: FrameNo(6),
            first_pdu: PduId(u32::MAX),
            complete: true,
            ignored: false,
            reset_connection: true,
            reset_acknowledged: false,
            answer_first_frame: Some(FrameNo(7)),
            answer_last_frame: Some(FrameNo(u32::MAX)),
            answer_bytes: u64::from(u32::MAX),
            start: Nanos(1_700_000_000_123_456_789),
            first_byte_ns: Some(0),
            duration_ns: Some(i64::from(u32::MAX - 1)),
            rows: Some(0),
            error: None,
            done_status: Some(0),
            attention_frame: None,
            attention_ack_frame: None,
            end: RequestEnd::Done,
        }
    }

    fn comes_back(rows: &[RequestRow], whole: usize) {
        let mut table = RequestTable::default();
        let numbered = (0..).zip(rows).map(|(id, row)| RequestRow {
            id: RequestId(id),
            ..row.clone()
        });
        let rows: Vec<RequestRow> = numbered.collect();
        for row in &rows {
            table.put(row);
        }
        let all = |table: &RequestTable| -> Vec<_> {
            let len = table.len();
            (0..len).filter_map(|at| table.get(at)).collect()
        };
        assert_eq!(all(&table), rows);
        assert_eq!(table.whole.len(), whole);
        // Each takes the place of another.
        for (at, row) in rows.iter().rev().enumerate() {
            let id = RequestId::from_index(at);
            table.put(&RequestRow { id, ..row.clone() });
        }
        for row in &rows {
            table.put(row);
        }
        assert_eq!(all(&table), rows);
        assert_eq!(table.whole.len(), whole);
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let row = usual();
        let open = RequestRow {
            session: None,
            kind: RequestKind::TransactionManager,
            text: TextId::EMPTY,
            headers: HeaderCheck::NoDescriptor,
            complete: false,
            ignored: true,
            reset_connection: false,
            reset_acknowledged: true,
            answer_first_frame: None,
            answer_last_frame: None,
            answer_bytes: 0,
            first_byte_ns: None,
            duration_ns: None,
            rows: None,
            done_status: None,
            end: RequestEnd::Outstanding,
            ..row.clone()
        };
        let checks = [
            HeaderCheck::Unknown,
            HeaderCheck::Sound(0),
            HeaderCheck::Sound(u32::from(u16::MAX)),
            HeaderCheck::Total,
            HeaderCheck::DescriptorLength,
        ];
        let mut rows = vec![row.clone(), open];
        rows.extend(checks.map(|headers| RequestRow {
            headers,
            ..row.clone()
        }));
        comes_back(&rows, 0);
    }

    #[test]
    fn rows_that_do_not_fit_are_kept_whole() {
        let row = usual();
        let error = ErrorRow {
            number: 1205,
            class: 13,
            state: 51,
            text: "deadlock".into(),
            server: "".into(),
        };
        let with = |change: fn(&mut RequestRow)| {
            let mut row = row.clone();
            change(&mut row);
            row
        };
        let mut rows = vec![
            row.clone(),
            with(|row| row.attention_frame = Some(FrameNo(9))),
            with(|row| row.attention_ack_frame = Some(FrameNo(9))),
            with(|row| row.first_byte_ns = Some(-1)),
            with(|row| row.first_byte_ns = Some(i64::from(u32::MAX))),
            with(|row| row.duration_ns = Some(i64::MAX)),
            with(|row| row.rows = Some(u64::from(u32::MAX))),
            with(|row| row.answer_bytes = 1 << 32),
            with(|row| row.headers = HeaderCheck::Sound(1 << 16)),
            with(|row| row.session = Some(SessionId(u32::MAX))),
            with(|row| row.answer_first_frame = Some(FrameNo(0))),
        ];
        rows.push(RequestRow {
            error: Some(Box::new(error)),
            ..row.clone()
        });
        rows.push(row);
        let whole = rows.len() - 2;
        comes_back(&rows, whole);
    }
}
