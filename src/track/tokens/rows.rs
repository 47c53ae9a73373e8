//! Rows and values of an answer, skipped by their lengths.

use crate::decode::reader::Reader;
use crate::decode::tds::type_info::ValueLength;

use super::metadata::Bytes;
use super::{ROW, Row, State, Step, Stop, Walker};

/// How a result's rows are delimited.
#[derive(Debug, Default)]
pub(super) struct Columns {
    rules: Vec<ValueLength>,
    /// The columns with a length in front, and the bytes that lie between them.
    hops: Vec<Hop>,
    /// Bytes behind the last of them.
    rest: usize,
    /// Some column is delimited in another way than by a short length.
    others: bool,
}

/// Bytes of columns without a length, then a length and its bytes.
#[derive(Debug, Clone, Copy)]
struct Hop {
    over: usize,
    length: Length,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// In one byte; 0 is NULL.
    Byte,
    /// In two bytes; 0xFFFF is NULL.
    Short,
}

impl Columns {
    pub(super) fn clear(&mut self) {
        *self = Self {
            rules: std::mem::take(&mut self.rules),
            hops: std::mem::take(&mut self.hops),
            ..Self::default()
        };
        self.rules.clear();
        self.hops.clear();
    }

    pub(super) fn push(&mut self, rule: ValueLength) {
        self.rules.push(rule);
        let length = match rule {
            ValueLength::Fixed(n) => {
                self.rest = self.rest.saturating_add(usize::from(n));
                return;
            }
            ValueLength::Byte => Length::Byte,
            ValueLength::Short => Length::Short,
            _ => {
                self.others = true;
                return;
            }
        };
        let over = std::mem::take(&mut self.rest);
        self.hops.push(Hop { over, length });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// What stands behind a row whose values begin with `rest`, if it lies whole in it.
    #[inline]
    fn behind_row<'a>(&self, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        for hop in &self.hops {
            let value = rest.get(hop.over..)?;
            rest = match hop.length {
                Length::Byte => {
                    let (len, value) = value.split_first()?;
                    value.get(usize::from(*len)..)?
                }
                Length::Short => {
                    let (len, value) = value.split_first_chunk()?;
                    match u16::from_le_bytes(*len) {
                        u16::MAX => value,
                        len => value.get(usize::from(len)..)?,
                    }
                }
            };
        }
        rest.get(self.rest..)
    }
}

impl Walker {
    /// Skips the rows at the start of `view` that lie whole in it: they are what most bytes of an answer are.
    /// Returns what stands behind them.
    #[inline]
    pub(super) fn behind_rows<'a>(&mut self, view: &'a [u8]) -> &'a [u8] {
        if self.state != State::Token || self.columns.is_empty() || self.columns.others {
            return view;
        }
        let (mut rest, mut rows) = (view, 0_u64);
        while let Some((&ROW, values)) = rest.split_first()
            && let Some(behind) = self.columns.behind_row(values)
        {
            rest = behind;
            rows = rows.saturating_add(1);
        }
        if rows > 0 {
            self.outcome.ends_with_done = false;
            self.outcome.rows_seen = self.outcome.rows_seen.saturating_add(rows);
        }
        rest
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

fn is_null(bits: &[u8], column: usize) -> bool {
    bits.get(column / 8)
        .is_some_and(|byte| byte >> (column % 8) & 1 != 0)
}
