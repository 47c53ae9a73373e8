//! Rows and values of an answer, skipped by their lengths.

use crate::decode::reader::Reader;
use crate::decode::tds::type_info::ValueLength;

use super::metadata::{Bytes, Description};
use super::{ROW, Row, State, Step, Stop, Walker};

/// How a result's rows are delimited.
#[derive(Debug)]
pub(super) struct Columns {
    rules: Vec<ValueLength>,
    /// Bytes in front of a row's first length: the token, and columns that have none.
    ahead: u32,
    /// The columns with a length in front.
    hops: Vec<Hop>,
    /// There are columns, and none is delimited in another way than by a short length.
    hop_by_hop: bool,
    /// How the last row began.
    start: RowStart,
    /// What they were read from.
    pub(super) description: Description,
}

/// A value with its length in front, and what lies behind it without lengths.
#[derive(Debug, Clone, Copy)]
struct Hop {
    /// The bits of a length of two bytes; 0xFFFF is NULL. Of one byte it is the lower ones; 0 is NULL.
    length: u32,
    /// Bytes beside those of the value: 65 535 columns have 255 each at most.
    beside: u32,
    /// The length in the row before.
    before: u32,
    /// All bytes, with that length.
    step: usize,
}

impl Hop {
    const BYTE: Self = Self::new(0xff, 1);
    const SHORT: Self = Self::new(0xffff, 2);

    const fn new(length: u32, beside: u8) -> Self {
        Self {
            length,
            beside: beside as u32,
            before: 0,
            step: beside as usize,
        }
    }

    /// So many bytes more are beside.
    fn add_beside(&mut self, bytes: u32) {
        self.beside = self.beside.saturating_add(bytes);
        self.step = self.step.saturating_add(size(bytes));
    }

    /// All its bytes, by the first two. The lengths of most columns are the same in row after row: where they are, the
    /// processor need not wait for one to be read before it reads the next.
    #[inline]
    fn bytes(&mut self, pair: [u8; 2]) -> usize {
        let length = u32::from(u16::from_le_bytes(pair)) & self.length;
        if length != self.before {
            std::hint::cold_path();
            self.before = length;
            let of_value = if length == 0xffff { 0 } else { length };
            self.step = size(self.beside.wrapping_add(of_value));
        }
        self.step
    }

    /// Its bytes by the first two of a view, where that may end sooner.
    fn len_in(&mut self, view: &[u8]) -> Option<usize> {
        match view {
            [low, high, ..] => Some(self.bytes([*low, *high])),
            [low] if self.length == 0xff => Some(self.bytes([*low, 0])),
            _ => None,
        }
    }
}

/// How a row begins: its token and its first length, and what lies between them. Where that length is the same in row
/// after row, one look at each tells.
#[derive(Debug, Clone, Copy)]
struct RowStart {
    /// Those bits of a row's first eight bytes that are of its token and its first length.
    bits: u64,
    /// What they are.
    like: u64,
    /// The bytes of such a row up to its second length.
    bytes: usize,
}

impl RowStart {
    /// No row begins so.
    const NONE: Self = Self {
        bits: 0,
        like: 1,
        bytes: 0,
    };

    /// Of a row with so many bytes in front of its first length, which was the last that was read.
    fn of(ahead: u32, first: &Hop) -> Self {
        // A length of two bytes must lie within the first eight.
        if ahead > 6 {
            return Self::NONE;
        }
        let shift = ahead.saturating_mul(8);
        Self {
            bits: 0xff | u64::from(first.length) << shift,
            like: u64::from(ROW) | u64::from(first.before) << shift,
            bytes: size(ahead).wrapping_add(first.step),
        }
    }

    /// Whether a row begins in this way.
    #[inline]
    fn is_that_of(self, row: [u8; 8]) -> bool {
        u64::from_le_bytes(row) & self.bits == self.like
    }
}

/// A place in a view of rows, or behind it by no more than one hop.
#[derive(Debug, Clone, Copy)]
struct RowPlace<'a> {
    view: &'a [u8],
    at: usize,
}

impl<'a> RowPlace<'a> {
    /// The last place from which on so many bytes are there, if there is one.
    #[inline]
    fn last(self, bytes: usize) -> Option<usize> {
        self.view.len().checked_sub(bytes)
    }

    /// So many bytes from here on, where this place is not behind the `last` one from which on they are there.
    #[inline]
    fn bytes(self, bytes: usize, last: usize) -> Option<&'a [u8]> {
        if self.at > last {
            return None;
        }
        self.view.get(self.at..)?.get(..bytes)
    }

    /// Whether a row begins here in such a way, where `last` is the last place from which on eight bytes are there.
    #[inline]
    fn is_at(self, start: RowStart, last: usize) -> bool {
        let row = self.bytes(8, last).and_then(<[u8]>::first_chunk);
        row.is_some_and(|row| start.is_that_of(*row))
    }

    /// Passes over a row hop by hop, as long as two bytes are there; how many hops are left.
    #[inline]
    fn pass(&mut self, hops: &mut [Hop]) -> usize {
        let mut left = hops.len();
        if let Some(last) = self.last(2) {
            for hop in hops {
                let Some([low, high]) = self.bytes(2, last) else {
                    break;
                };
                self.at = self.at.wrapping_add(hop.bytes([*low, *high]));
                left = left.wrapping_sub(1);
            }
        }
        left
    }

    /// Passes over rows, and over as much as there is of one that goes on behind the view. Counts the rows that end
    /// in it, and says how many hops are left of the last.
    #[inline]
    fn pass_rows(&mut self, columns: &mut Columns, rows: &mut u64) -> usize {
        loop {
            let left = self.pass_alike(columns, rows);
            if left > 0 {
                return left;
            }
            if self.view.get(self.at) != Some(&ROW) {
                return 0;
            }
            let (at, left, others) = columns.pass_others(self.view, self.at);
            self.at = at;
            *rows = rows.wrapping_add(others);
            if left > 0 {
                return left;
            }
        }
    }

    /// As [`RowPlace::pass_rows`], over those that begin as the one before did.
    #[inline]
    fn pass_alike(&mut self, columns: &mut Columns, rows: &mut u64) -> usize {
        let start = columns.start;
        if let Some(last) = self.last(8)
            && let Some((_, later)) = columns.hops.split_first_mut()
        {
            while self.is_at(start, last) {
                self.at = self.at.wrapping_add(start.bytes);
                let left = self.pass(later);
                if left > 0 {
                    return left;
                }
                *rows = rows.wrapping_add(1);
            }
        }
        0
    }
}

impl Default for Columns {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            ahead: 1,
            hops: Vec::new(),
            hop_by_hop: false,
            start: RowStart::NONE,
            description: Description::default(),
        }
    }
}

impl Columns {
    pub(super) fn clear(&mut self) {
        self.rules.clear();
        self.hops.clear();
        self.ahead = 1;
        self.hop_by_hop = false;
        self.start = RowStart::NONE;
        self.description.clear();
    }

    pub(super) fn push(&mut self, rule: ValueLength) {
        self.hop_by_hop |= self.rules.is_empty();
        self.rules.push(rule);
        match rule {
            ValueLength::Fixed(n) => {
                let bytes = u32::from(n);
                match self.hops.last_mut() {
                    Some(hop) => hop.add_beside(bytes),
                    None => self.ahead = self.ahead.saturating_add(bytes),
                }
            }
            ValueLength::Byte => self.hops.push(Hop::BYTE),
            ValueLength::Short => self.hops.push(Hop::SHORT),
            _ => self.hop_by_hop = false,
        }
    }

    /// As [`RowPlace::pass_rows`], over a row that does not begin as the one before did, or ends behind the view, and on
    /// until one does. Returns the place behind them, how many hops are left of the last, and the rows.
    #[inline]
    fn pass_others(&mut self, view: &[u8], at: usize) -> (usize, usize, u64) {
        let mut place = RowPlace { view, at };
        let (mut left, mut rows) = (0, 0_u64);
        while view.get(place.at) == Some(&ROW) {
            place.at = place.at.wrapping_add(size(self.ahead));
            left = place.pass(&mut self.hops);
            if let Some(first) = self.hops.first() {
                self.start = RowStart::of(self.ahead, first);
            }
            if left > 0 {
                break;
            }
            rows = rows.wrapping_add(1);
            if place
                .last(8)
                .is_some_and(|last| place.is_at(self.start, last))
            {
                break;
            }
        }
        (place.at, left, rows)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }
}

impl Walker {
    /// Skips, with what is to be skipped, the rows with one length that begin as the one before did: one look at each
    /// is all that they need. Returns the place behind them.
    #[inline]
    pub(super) fn pass_short_rows(&mut self, view: &[u8]) -> usize {
        let mut place = RowPlace {
            view,
            at: usize::try_from(self.skip).unwrap_or(usize::MAX),
        };
        if let ([_], Some(last)) = (&*self.columns.hops, place.last(8)) {
            let start = self.columns.start;
            let mut rows = 0_u64;
            while place.is_at(start, last) {
                place.at = place.at.wrapping_add(start.bytes);
                rows = rows.wrapping_add(1);
            }
            self.outcome.rows_seen = self.outcome.rows_seen.wrapping_add(rows);
            self.outcome.ends_with_done &= rows == 0;
            self.skip = count(place.at);
        }
        place.at
    }

    /// A place is at the end of a view or behind it: as much of what follows is to be skipped.
    #[inline]
    pub(super) fn skip_behind(&mut self, view: &[u8], place: usize) {
        self.skip = count(place.wrapping_sub(view.len()));
    }

    /// Passes over bytes that are skipped and the rows behind them, and over as much as there is of one that goes on
    /// behind the view: they are what most bytes of an answer are. Returns what stands behind them.
    #[inline(never)]
    pub(super) fn behind_rows<'a>(&mut self, view: &'a [u8]) -> &'a [u8] {
        if let Some(left) = self.skip.checked_sub(count(view.len())) {
            self.skip = left;
            return &[];
        }
        let start = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let columns = &mut self.columns;
        let mut rows = 0;
        let mut place = RowPlace { view, at: start };
        let mut left = match self.state {
            State::Token if columns.hop_by_hop => 0,
            State::Hop(hop) => {
                let left = place.pass(columns.hops.get_mut(hop..).unwrap_or_default());
                rows = u64::from(left == 0);
                self.state = State::Token;
                left
            }
            _ => {
                self.skip = 0;
                return view.get(start..).unwrap_or_default();
            }
        };
        if left == 0 {
            left = place.pass_rows(columns, &mut rows);
        }
        if left > 0 {
            self.state = State::Hop(columns.hops.len().saturating_sub(left));
        }
        self.outcome.rows_seen = self.outcome.rows_seen.wrapping_add(rows);
        self.outcome.ends_with_done &= place.at == start;
        let Some(rest) = view.get(place.at..) else {
            self.skip_behind(view, place.at);
            return &[];
        };
        self.skip = 0;
        rest
    }

    /// A hop of which less than two bytes are there yet, or were.
    pub(super) fn hop(&mut self, view: &[u8], at: usize) -> Step {
        let hop = self.columns.hops.get_mut(at).ok_or(Stop::Bad)?;
        let need = view.len().saturating_add(1);
        let len = hop.len_in(view).ok_or(Stop::Need(need))?;
        let next = at.saturating_add(1);
        if next < self.columns.hops.len() {
            self.state = State::Hop(next);
        } else {
            self.state = State::Token;
            self.outcome.rows_seen = self.outcome.rows_seen.saturating_add(1);
        }
        let here = len.min(view.len());
        self.skip = u64::try_from(len.saturating_sub(here)).unwrap_or(u64::MAX);
        Ok(here)
    }

    pub(super) fn begin_row(&mut self, row: Row, used: usize) -> Step {
        if self.columns.is_empty() {
            return Err(Stop::Bad);
        }
        self.state = State::Row { column: 0, row };
        Ok(used)
    }

    pub(super) fn compute_row(&mut self, view: &[u8]) -> Step {
        let mut b = Bytes::new(view, 1);
        let id = b.u16()?;
        let clause = self.clauses.iter().position(|(known, _)| *known == id);
        let clause = clause.ok_or(Stop::Bad)?;
        self.state = State::Row {
            column: 0,
            row: Row::Compute(clause),
        };
        Ok(b.position())
    }

    /// How the values of a row's column are delimited; `None` behind the last.
    fn rule(&self, row: Row, column: usize) -> Option<ValueLength> {
        match row {
            Row::Plain | Row::Compressed => self.columns.rules.get(column).copied(),
            Row::Compute(clause) => self.clauses.get(clause)?.1.get(column).copied(),
        }
    }

    pub(super) fn row(&mut self, view: &[u8], mut column: usize, row: Row) -> Step {
        let mut used = 0_usize;
        while let Some(rule) = self.rule(row, column) {
            if row == Row::Compressed && is_null(&self.nulls, column) {
                column = column.saturating_add(1);
                continue;
            }
            let rest = view.get(used..).unwrap_or_default();
            match self.value(rule, rest) {
                Ok((n, true)) => {
                    self.state = State::Chunk {
                        column: Some((column, row)),
                    };
                    return Ok(used.saturating_add(n));
                }
                Ok((n, false)) => {
                    used = used.saturating_add(n);
                    column = column.saturating_add(1);
                    if self.skip > 0 {
                        break;
                    }
                }
                Err(stop) => {
                    self.state = State::Row { column, row };
                    return match stop {
                        Stop::Need(_) if used > 0 => Ok(used),
                        stop => Err(stop),
                    };
                }
            }
        }
        self.after_column(column, row);
        Ok(used)
    }

    fn after_column(&mut self, column: usize, row: Row) {
        if self.rule(row, column).is_some() {
            self.state = State::Row { column, row };
            return;
        }
        if !matches!(row, Row::Compute(_)) {
            self.outcome.rows_seen = self.outcome.rows_seen.saturating_add(1);
        }
        self.state = State::Token;
    }

    /// Reads a value's length and skips its bytes. The flag says that PLP chunks follow.
    pub(super) fn value(&mut self, rule: ValueLength, view: &[u8]) -> Result<(usize, bool), Stop> {
        let mut r = Reader::new(view);
        let (head, len) = match rule {
            ValueLength::Fixed(n) => (0, u64::from(n)),
            ValueLength::Byte => (1, u64::from(r.u8().ok_or(Stop::Need(1))?)),
            ValueLength::Short => match r.u16_le().ok_or(Stop::Need(2))? {
                0xffff => (2, 0),
                len => (2, u64::from(len)),
            },
            ValueLength::Long | ValueLength::Variant => {
                let len = r.i32_le().ok_or(Stop::Need(4))?;
                (4, u64::try_from(len).unwrap_or(0))
            }
            ValueLength::TextPointer => match usize::from(r.u8().ok_or(Stop::Need(1))?) {
                0 => (1, 0),
                pointer => {
                    let head = pointer.saturating_add(13);
                    r.skip(pointer.saturating_add(8)).ok_or(Stop::Need(head))?;
                    let len = r.i32_le().ok_or(Stop::Need(head))?;
                    (head, u64::try_from(len).unwrap_or(0))
                }
            },
            ValueLength::Plp => {
                let total = r.u64_le().ok_or(Stop::Need(8))?;
                return Ok((8, total != u64::MAX));
            }
            ValueLength::Table => return Err(Stop::Bad),
        };
        let have = view.len().saturating_sub(head);
        let here = usize::try_from(len).unwrap_or(usize::MAX).min(have);
        self.skip = len.saturating_sub(u64::try_from(here).unwrap_or(u64::MAX));
        Ok((head.saturating_add(here), false))
    }

    pub(super) fn chunk(&mut self, view: &[u8], column: Option<(usize, Row)>) -> Step {
        let mut r = Reader::new(view);
        let len = r.u32_le().ok_or(Stop::Need(4))?;
        if len == 0 {
            match column {
                Some((column, row)) => self.after_column(column.saturating_add(1), row),
                None => self.state = State::Token,
            }
        } else {
            self.skip = u64::from(len);
        }
        Ok(4)
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn is_null(bits: &[u8], column: usize) -> bool {
    bits.get(column / 8)
        .is_some_and(|byte| byte >> (column % 8) & 1 != 0)
}
