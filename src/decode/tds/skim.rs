//! Skims the token stream of an answer in whatever pieces it comes: which tokens begin where, and which columns are
//! in force, so that decoding can begin anywhere in a long answer. Values are stepped over by their lengths.

use std::sync::Arc;

use super::columns::{Column, size};
use super::message::Context;
use super::tokens::{self, Known, token};
use super::type_info::ValueLength;
use crate::decode::reader::Reader;
use crate::decode::walk::Walk;

/// The longest token other than a row that is waited for.
const MAX_TOKEN: usize = 1 << 20;

/// A token that begins in the piece at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// The token.
    pub token: u8,
    /// Its position in the message.
    pub at: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Token,
    Row { column: usize },
    Chunk { column: usize },
    Failed,
}

/// How far the skim has come.
#[derive(Debug, Clone)]
pub struct Skim {
    context: Context,
    known: Known,
    state: State,
    nulls: Vec<u8>,
    /// Bytes of a value still to be stepped over.
    left: u64,
    /// The beginning of something that was not whole yet.
    carry: Vec<u8>,
    /// Position of the next byte that is not in `carry`.
    pos: u64,
    /// Position of the token at hand, or of the next one.
    token_at: u64,
    /// The token at hand was reported.
    reported: bool,
}

impl Skim {
    /// At the first byte of a message.
    pub fn new(context: Context) -> Self {
        Self {
            known: Known::new(&context),
            context: Context {
                open_end: true,
                ..context
            },
            state: State::Token,
            nulls: Vec::new(),
            left: 0,
            carry: Vec::new(),
            pos: 0,
            token_at: 0,
            reported: false,
        }
    }

    /// The columns in force at the token at hand.
    pub fn columns(&self) -> Option<&Arc<Vec<Column>>> {
        self.known.columns.as_ref()
    }

    /// Position of the token at hand: the one that the next byte belongs to, or begins.
    pub fn token_at(&self) -> u64 {
        self.token_at
    }

    /// The stream could not be followed any more.
    pub fn failed(&self) -> bool {
        self.state == State::Failed
    }

    /// Bytes are missing: nothing behind them can be followed.
    pub fn give_up(&mut self) {
        self.state = State::Failed;
        self.carry = Vec::new();
    }

    /// Takes the next piece; tells of every token that begins in it.
    pub fn feed(&mut self, piece: &[u8], mut begin: impl FnMut(Begin)) {
        let mut joined = std::mem::take(&mut self.carry);
        let bytes = if joined.is_empty() {
            piece
        } else {
            joined.extend_from_slice(piece);
            joined.as_slice()
        };
        let first = self
            .pos
            .saturating_sub(count(bytes.len().saturating_sub(piece.len())));
        self.pos = self.pos.saturating_add(count(piece.len()));
        let mut r = Reader::new(bytes);
        while !r.is_empty() && self.state != State::Failed {
            let before = r;
            let at = first.saturating_add(count(r.position()));
            if self.step(&mut r, at, &mut begin).is_none() {
                if before.left() > MAX_TOKEN {
                    self.give_up();
                } else if self.state != State::Failed {
                    self.carry = before.rest().to_vec();
                }
                return;
            }
        }
    }

    /// One step; `None` if more bytes are needed (or the stream makes no sense: then the state says so).
    fn step(&mut self, r: &mut Reader<'_>, at: u64, begin: &mut impl FnMut(Begin)) -> Option<()> {
        if self.left > 0 {
            let len = self.left.min(count(r.left()));
            self.left = self.left.saturating_sub(len);
            r.skip(size(len))?;
            return Some(());
        }
        match self.state {
            State::Token => self.token(r, at, begin),
            State::Row { column } => self.value(r, at, column),
            State::Chunk { column } => {
                let len = r.u32_le()?;
                if len == 0 {
                    self.next_column(column, at.saturating_add(4));
                } else {
                    self.left = u64::from(len);
                }
                Some(())
            }
            State::Failed => None,
        }
    }

    fn token(&mut self, r: &mut Reader<'_>, at: u64, begin: &mut impl FnMut(Begin)) -> Option<()> {
        let next = r.peek()?;
        self.token_at = at;
        if !self.reported {
            begin(Begin { token: next, at });
            self.reported = true;
        }
        if matches!(next, token::ROW | token::NBCROW) {
            let Some(columns) = &self.known.columns else {
                self.give_up();
                return None;
            };
            self.nulls.clear();
            if next == token::NBCROW {
                let mut ahead = *r;
                ahead.u8()?;
                self.nulls
                    .extend_from_slice(ahead.take(columns.len().div_ceil(8))?);
                *r = ahead;
            } else {
                r.u8()?;
            }
            self.state = State::Row { column: 0 };
            return Some(());
        }
        let mut w = Walk::new(r.rest(), 0);
        match tokens::single(&mut w, &self.context, &mut self.known, next) {
            Ok(()) => {
                r.skip(w.at())?;
                self.token_at = at.saturating_add(count(w.at()));
                self.reported = false;
                Some(())
            }
            Err(stop) => {
                if !stop.short {
                    self.give_up();
                }
                None
            }
        }
    }

    fn next_column(&mut self, column: usize, at: u64) {
        let columns = self.known.columns.as_ref().map_or(0, |c| c.len());
        let column = column.saturating_add(1);
        if column >= columns {
            self.state = State::Token;
            self.token_at = at;
            self.reported = false;
        } else {
            self.state = State::Row { column };
        }
    }

    fn value(&mut self, r: &mut Reader<'_>, at: u64, column: usize) -> Option<()> {
        let Some(info) = self
            .known
            .columns
            .as_ref()
            .and_then(|columns| columns.get(column))
            .map(|column| column.info.length)
        else {
            self.give_up();
            return None;
        };
        let start = r.position();
        let is_null = self
            .nulls
            .get(column / 8)
            .is_some_and(|byte| byte >> (column % 8) & 1 == 1);
        let mut ahead = *r;
        let left = if is_null {
            0
        } else {
            match info {
                ValueLength::Fixed(len) => u64::from(len),
                ValueLength::Byte => u64::from(ahead.u8()?),
                ValueLength::Short => match ahead.u16_le()? {
                    0xffff => 0,
                    len => u64::from(len),
                },
                ValueLength::Long | ValueLength::Variant => {
                    u64::try_from(ahead.i32_le()?).unwrap_or(0)
                }
                ValueLength::TextPointer => match ahead.u8()? {
                    0 => 0,
                    len => {
                        ahead.skip(usize::from(len).checked_add(8)?)?;
                        u64::try_from(ahead.i32_le()?).unwrap_or(0)
                    }
                },
                ValueLength::Plp => {
                    if ahead.u64_le()? != u64::MAX {
                        *r = ahead;
                        self.state = State::Chunk { column };
                        return Some(());
                    }
                    0
                }
                ValueLength::Table => {
                    self.give_up();
                    return None;
                }
            }
        };
        *r = ahead;
        self.left = left;
        let head = r.position().saturating_sub(start);
        self.next_column(column, at.saturating_add(count(head)).saturating_add(left));
        Some(())
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::tds::message;

    /// COLMETADATA (int, nvarchar(max)), two rows, an NBCROW with a NULL, DONE.
    fn answer() -> Vec<u8> {
        let mut bytes = vec![0x81, 2, 0];
        bytes.extend([0, 0, 0, 0, 8, 0, 0x38, 1, b'a', 0]);
        bytes.extend([
            0, 0, 0, 0, 9, 0, 0xe7, 0xff, 0xff, 9, 4, 0xd0, 0, 0x34, 1, b'b', 0,
        ]);
        for number in [1_u8, 2] {
            bytes.extend([0xd1, number, 0, 0, 0]);
            bytes.extend([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
            bytes.extend([
                4, 0, 0, 0, b'x', 0, b'y', 0, 2, 0, 0, 0, b'z', 0, 0, 0, 0, 0,
            ]);
        }
        bytes.extend([0xd2, 2, 3, 0, 0, 0]);
        bytes.extend([0xfd, 0x10, 0, 0xc1, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
        bytes
    }

    fn skim(pieces: &[&[u8]]) -> (Vec<Begin>, Skim) {
        let mut skim = Skim::new(Context::default());
        let mut found = Vec::new();
        for piece in pieces {
            skim.feed(piece, |begin| found.push(begin));
        }
        (found, skim)
    }

    #[test]
    fn every_cut_in_two_finds_the_same_tokens() {
        let bytes = answer();
        let (whole, end) = skim(&[&bytes]);
        assert_eq!(
            whole.iter().map(|b| b.token).collect::<Vec<_>>(),
            [0x81, 0xd1, 0xd1, 0xd2, 0xfd]
        );
        assert!(!end.failed());
        assert_eq!(end.token_at(), count(bytes.len()));
        for at in 0..=bytes.len() {
            let (a, b) = bytes.split_at(at);
            let (found, skim) = skim(&[a, b]);
            assert_eq!(found, whole, "cut at {at}");
            assert_eq!(skim.token_at(), count(bytes.len()), "cut at {at}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(skim(&single).0, whole);
    }

    #[test]
    fn decoding_from_a_token_found_gives_the_same_rows() {
        let bytes = answer();
        let (found, end) = skim(&[&bytes]);
        let second = size(found[2].at);
        let context = Context {
            from_server: true,
            columns: end.columns().cloned(),
            ..Context::default()
        };
        let message = message::decode(4, &bytes[second..], second, &context);
        assert_eq!(message.stop, None);
        let texts: Vec<Vec<&str>> = message.grids[0]
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.text.as_str()).collect())
            .collect();
        assert_eq!(texts, [["2", "xyz"], ["3", "NULL"]]);
    }

    #[test]
    fn rows_without_columns_end_the_skim() {
        let (_, skim) = skim(&[&[0xd1, 1, 2, 3]]);
        assert!(skim.failed());
    }
}
