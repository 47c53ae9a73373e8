//! What describes values before they come: COLMETADATA and ALTMETADATA, column by column, and RETURNVALUE.

use super::metadata::{self, Bytes, Shape, Terms};
use super::{MAX_CLAUSES, State, Step, Stop, Walker};
use crate::decode::tds::version::Version;

impl Walker {
    /// The bytes of COLMETADATA that describes the columns as they are known.
    #[inline]
    pub(super) fn known_columns(&mut self, view: &[u8]) -> Option<usize> {
        let len = self.columns.description.comes_again(view, self.terms())?;
        self.clauses.clear();
        Some(len)
    }

    /// COLMETADATA of other columns.
    pub(super) fn metadata(&mut self, view: &[u8]) -> Step {
        let mut b = Bytes::new(view, 1);
        let columns = b.u16()?;
        if columns == 0xffff {
            return Ok(b.position());
        }
        let keys = if self.column_encryption { b.u16()? } else { 0 };
        self.forget_columns();
        self.has_keys = keys > 0;
        self.state = if keys > 0 {
            State::Keys {
                left: keys,
                values: 0,
                columns,
            }
        } else {
            Self::columns_or_token(columns)
        };
        self.describe(view, b.position());
        Ok(b.position())
    }

    fn terms(&self) -> Terms {
        Terms {
            version: self.version,
            column_encryption: self.column_encryption,
        }
    }

    /// The first bytes of `view` describe columns of rows, perhaps the last of them.
    fn describe(&mut self, view: &[u8], used: usize) {
        let terms = self.terms();
        let description = &mut self.columns.description;
        description.add(view.get(..used).unwrap_or_default());
        if self.state == State::Token {
            description.end(terms);
        }
    }

    fn columns_or_token(left: u16) -> State {
        if left > 0 {
            State::Columns { left, clause: None }
        } else {
            State::Token
        }
    }

    pub(super) fn key(&mut self, view: &[u8], mut left: u16, mut values: u8, columns: u16) -> Step {
        let used = if values > 0 {
            values = values.saturating_sub(1);
            metadata::key_value(view)?
        } else {
            let (count, used) = metadata::key(view)?;
            values = count;
            left = left.saturating_sub(1);
            used
        };
        self.state = if left == 0 && values == 0 {
            Self::columns_or_token(columns)
        } else {
            State::Keys {
                left,
                values,
                columns,
            }
        };
        self.describe(view, used);
        Ok(used)
    }

    /// ALTMETADATA: a COMPUTE clause, and the columns by which it is grouped.
    pub(super) fn compute_metadata(&mut self, view: &[u8]) -> Step {
        let mut b = Bytes::new(view, 1);
        let left = b.u16()?;
        let id = b.u16()?;
        let by = usize::from(b.u8()?);
        b.take(by.saturating_mul(2))?;
        self.clauses.retain(|(known, _)| *known != id);
        if left == 0 || self.clauses.len() >= MAX_CLAUSES {
            return Err(Stop::Bad);
        }
        let clause = Some(self.clauses.len());
        self.clauses.push((id, Vec::new()));
        self.state = State::Columns { left, clause };
        Ok(b.position())
    }

    pub(super) fn column(&mut self, view: &[u8], left: u16, clause: Option<usize>) -> Step {
        let has_keys = self.has_keys;
        let read = |version| match clause {
            None => metadata::column(view, Shape { version, has_keys }),
            Some(_) => metadata::alt_column(view, version),
        };
        let (rule, used) = match read(self.version) {
            Err(Stop::Bad) if !self.version_known && self.columns.is_empty() => {
                // UserType has 16 bits before 7.2.
                let narrow = if self.version.is_wide() {
                    Version::V71R1
                } else {
                    Version::V74
                };
                let found = read(narrow)?;
                self.version = narrow;
                found
            }
            other => other?,
        };
        match clause {
            None => self.columns.push(rule),
            Some(clause) => {
                let (_, columns) = self.clauses.get_mut(clause).ok_or(Stop::Bad)?;
                columns.push(rule);
            }
        }
        self.state = match left.saturating_sub(1) {
            0 => State::Token,
            left => State::Columns { left, clause },
        };
        if clause.is_none() {
            self.describe(view, used);
        }
        Ok(used)
    }

    pub(super) fn return_value(&mut self, view: &[u8]) -> Step {
        let (rule, used) = metadata::return_value(view, self.version)?;
        self.state = State::Value(rule);
        Ok(used)
    }
}
