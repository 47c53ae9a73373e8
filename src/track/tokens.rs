//! Walks the token stream of an answer ([MS-TDS] 2.2.7) in whatever pieces it comes, to know where it ends: rows
//! are skipped by their lengths, DONE, ERROR and the tokens of a login are read.
//!
//! Bounds: no more than [`MAX_ELEMENT`] bytes of one element are kept, and no more columns than a u16 counts.

mod classification;
mod described;
mod metadata;
mod outcome;
mod rows;
#[cfg(test)]
mod tests;

use crate::decode::reader::Reader;
use crate::decode::tds::tokens::{self, Class};
use crate::decode::tds::type_info::ValueLength;
use crate::decode::tds::version::Version;

use metadata::Bytes;
pub(super) use outcome::{Note, Outcome, done};
use rows::Columns;

/// The longest element that is kept until it is complete. Longer ones make the walk give up.
const MAX_ELEMENT: usize = 128 << 10;
/// As much of an ERROR, ENVCHANGE or LOGINACK is read; the rest is skipped.
const MAX_BODY: usize = 2048;
/// The token of a row.
const ROW: u8 = 0xd1;
/// The token of the columns of rows.
const COLMETADATA: u8 = 0x81;
/// COMPUTE clauses of one result.
const MAX_CLAUSES: usize = 64;

/// What was agreed at login about the shape of tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Agreed {
    /// The TDS version, if anything tells.
    pub(super) version: Option<Version>,
    /// COLMETADATA has a table of encryption keys.
    pub(super) column_encryption: bool,
    /// The version of DATACLASSIFICATION.
    pub(super) classification: Option<u8>,
}

/// What a row holds: the columns of COLMETADATA, those of them that are not NULL, or those of a COMPUTE clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Plain,
    Compressed,
    Compute(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Token,
    /// Encryption keys of COLMETADATA left to read, and values left of the key at hand; then so many columns.
    Keys {
        left: u16,
        values: u8,
        columns: u16,
    },
    /// Columns left to read; of a COMPUTE clause if there is one.
    Columns {
        left: u16,
        clause: Option<usize>,
    },
    /// The next column of a row.
    Row {
        column: usize,
        row: Row,
    },
    /// The next column with a length, in a row of short ones.
    Hop(usize),
    /// The value of a RETURNVALUE.
    Value(ValueLength),
    /// A chunk of a PLP value, then on with the row or value.
    Chunk {
        column: Option<(usize, Row)>,
    },
    FeatureAck,
    Classification(classification::Place),
    /// No more is read of the message.
    GivenUp,
}

/// Why a step could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// So many bytes must be there to go on.
    Need(usize),
    /// Not understood.
    Bad,
}

type Step = Result<usize, Stop>;

/// The walk through one direction's answers; column metadata outlives a message.
#[derive(Debug)]
pub(super) struct Walker {
    version: Version,
    version_known: bool,
    column_encryption: bool,
    classification: Option<u8>,
    has_keys: bool,
    columns: Columns,
    /// COMPUTE clauses by their ids.
    clauses: Vec<(u16, Vec<ValueLength>)>,
    nulls: Vec<u8>,
    state: State,
    skip: u64,
    carry: Vec<u8>,
    pub(super) outcome: Outcome,
}

impl Walker {
    pub(super) fn new() -> Self {
        Self {
            version: Version::V74,
            version_known: false,
            column_encryption: false,
            classification: None,
            has_keys: false,
            columns: Columns::default(),
            clauses: Vec::new(),
            nulls: Vec::new(),
            state: State::Token,
            skip: 0,
            carry: Vec::new(),
            outcome: Outcome::default(),
        }
    }

    /// Begins the next message; the tokens' shapes follow the version.
    pub(super) fn begin(&mut self, agreed: Agreed) {
        if let Some(version) = agreed.version {
            self.version = version;
            self.version_known = true;
        }
        self.column_encryption = agreed.column_encryption;
        self.classification = agreed.classification;
        self.state = State::Token;
        self.skip = 0;
        self.carry.clear();
        self.outcome.ends_with_done = false;
        self.outcome.last_done = None;
    }

    /// Bytes of the message are not in the file, or it is joined in its middle: no more is read of it.
    pub(super) fn give_up(&mut self) {
        self.state = State::GivenUp;
        self.carry.clear();
        self.miss();
    }

    /// Another answer follows, of which nothing was read, and the columns are not known.
    pub(super) fn forget(&mut self) {
        self.outcome.clear();
        self.forget_columns();
    }

    fn forget_columns(&mut self) {
        self.columns.clear();
        self.clauses.clear();
    }

    /// Some of the answer is not read: its rows are not known, nor the columns of those that follow.
    pub(super) fn miss(&mut self) {
        self.outcome.partial = true;
        self.forget_columns();
    }

    /// The message is over. Whether its last token was read and is a DONE.
    #[inline]
    pub(super) fn end(&mut self) -> bool {
        if !self.carry.is_empty() {
            self.end_in_carry();
        }
        self.is_between_tokens() && self.outcome.ends_with_done
    }

    /// Of a message that is over and does not end with a DONE: whether all of it was read, and its answer goes on. The
    /// last DONE, wherever it stands, says so, or there is none (`close-patterns.md` 3.3, M3).
    #[cold]
    pub(super) fn is_unfinished(&self) -> bool {
        let more = |status| status & done::MORE != 0;
        self.is_between_tokens() && !self.outcome.partial && self.outcome.last_done.is_none_or(more)
    }

    fn is_between_tokens(&self) -> bool {
        self.state == State::Token && self.skip == 0 && self.carry.is_empty()
    }

    /// The message is over, and an element of it was not.
    #[cold]
    fn end_in_carry(&mut self) {
        // Before 7.2 a DONE has 8 bytes; a client whose login was not captured shows it only here.
        if self.state == State::Token
            && !self.version_known
            && self.carry.len() == 9
            && matches!(self.carry.first(), Some(0xfd..=0xff))
        {
            self.version = Version::V71R1;
            let carry = std::mem::take(&mut self.carry);
            if self.token(&carry).is_err() {
                self.give_up();
            }
        }
    }

    /// Takes the next bytes of the message. Most lie in rows that are alike: those go no further, and whatever else
    /// comes is the last thing that is done here, so that nothing has to be kept for it meanwhile.
    #[inline(never)]
    pub(super) fn feed(&mut self, data: &[u8]) {
        if !self.carry.is_empty() {
            return self.feed_elements(data);
        }
        if self.state != State::Token {
            return self.feed_others(data);
        }
        let place = self.pass_short_rows(data);
        match data.get(place..) {
            None | Some([]) => self.skip_behind(data, place),
            Some([ROW, ..]) => self.feed_others(data),
            Some(rest) => {
                self.skip = 0;
                self.feed_elements(rest);
            }
        }
    }

    /// As [`Walker::feed`], of bytes that are skipped or rows first, and any that follow.
    #[inline(never)]
    fn feed_others(&mut self, data: &[u8]) {
        let rest = self.behind_rows(data);
        if !rest.is_empty() {
            self.feed_elements(rest);
        }
    }

    /// Takes bytes at whose start there is something else than rows.
    fn feed_elements(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            data = if self.carry.is_empty() {
                self.feed_element(data)
            } else {
                self.feed_carry(data)
            };
            if self.carry.is_empty() && !data.is_empty() {
                data = self.behind_rows(data);
            }
        }
    }

    /// Takes the element at the start of `data`; returns what stands behind it.
    fn feed_element<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        match self.step(data) {
            Ok(n) => {
                if let Some(rest) = data.get(n..) {
                    return rest;
                }
            }
            Err(Stop::Need(need)) if need <= MAX_ELEMENT => self.carry.extend_from_slice(data),
            Err(_) => self.give_up(),
        }
        &[]
    }

    /// Completes the element at hand; returns what was not needed for it.
    fn feed_carry<'a>(&mut self, mut data: &'a [u8]) -> &'a [u8] {
        let mut carry = std::mem::take(&mut self.carry);
        loop {
            match self.step(&carry) {
                Ok(n) => {
                    carry.drain(..n.min(carry.len()));
                    if carry.is_empty() || self.skip > 0 {
                        // What is kept beyond an element never reaches into a skipped value.
                        self.carry = carry;
                        self.carry.clear();
                        return data;
                    }
                }
                Err(Stop::Need(need)) if need <= MAX_ELEMENT => {
                    let want = need.saturating_sub(carry.len()).max(1);
                    let part = data.get(..want).unwrap_or(data);
                    if part.is_empty() {
                        self.carry = carry;
                        return data;
                    }
                    carry.extend_from_slice(part);
                    data = data.get(part.len()..).unwrap_or_default();
                }
                Err(_) => {
                    self.give_up();
                    return data;
                }
            }
        }
    }

    /// Reads one element at the start of `view`; says how many bytes it took, or what is wanting.
    #[expect(
        clippy::inline_always,
        reason = "mostly it is a token, and that a DONE"
    )]
    #[inline(always)]
    fn step(&mut self, view: &[u8]) -> Step {
        match self.state {
            State::Token => self.token(view),
            inside => self.step_inside(inside, view),
        }
    }

    /// As [`Walker::step`], inside a token.
    fn step_inside(&mut self, state: State, view: &[u8]) -> Step {
        match state {
            State::Token => self.token(view),
            State::Keys {
                left,
                values,
                columns,
            } => self.key(view, left, values, columns),
            State::Columns { left, clause } => self.column(view, left, clause),
            State::Row { column, row } => self.row(view, column, row),
            State::Hop(at) => self.hop(view, at),
            State::Value(rule) => {
                let (used, plp) = self.value(rule, view)?;
                self.state = if plp {
                    State::Chunk { column: None }
                } else {
                    State::Token
                };
                Ok(used)
            }
            State::Chunk { column } => self.chunk(view, column),
            State::FeatureAck => self.feature_ack(view),
            State::Classification(place) => {
                let (next, used) = place.step(view)?;
                self.state = next.map_or(State::Token, State::Classification);
                Ok(used)
            }
            State::GivenUp => Ok(view.len()),
        }
    }

    #[expect(clippy::inline_always, reason = "a part of `step`")]
    #[inline(always)]
    fn token(&mut self, view: &[u8]) -> Step {
        let token = *view.first().ok_or(Stop::Need(1))?;
        self.outcome.ends_with_done = false;
        match token {
            // Each answer has one, and many have little else but columns that are known.
            0xfd..=0xff => self.done(view),
            COLMETADATA => match self.known_columns(view) {
                Some(len) => Ok(len),
                None => self.other_token(token, view),
            },
            _ => self.other_token(token, view),
        }
    }

    fn other_token(&mut self, token: u8, view: &[u8]) -> Step {
        match token {
            ROW => self.begin_row(Row::Plain, 1),
            0xd2 => {
                let bitmap = self.columns.len().div_ceil(8);
                let need = bitmap.saturating_add(1);
                let bits = view.get(1..need).ok_or(Stop::Need(need))?;
                self.nulls.clear();
                self.nulls.extend_from_slice(bits);
                self.begin_row(Row::Compressed, need)
            }
            0xd3 => self.compute_row(view),
            COLMETADATA => self.metadata(view),
            0x88 => self.compute_metadata(view),
            0xa3 => self.classification(),
            0x78 | 0x79 => view.get(..5).map(|_| 5).ok_or(Stop::Need(5)),
            0xaa | 0xab | 0xe3 | 0xad | 0xed => self.counted(token, view),
            0xa4 | 0xa5 | 0xa9 => {
                let mut r = Reader::new(view.get(1..).unwrap_or_default());
                let len = r.u16_le().ok_or(Stop::Need(3))?;
                self.skip = u64::from(len);
                Ok(3)
            }
            0xe4 | 0xee => {
                let mut r = Reader::new(view.get(1..).unwrap_or_default());
                let len = r.u32_le().ok_or(Stop::Need(5))?;
                self.skip = u64::from(len);
                if token == 0xee {
                    self.outcome.notes.push(Note::FedAuthInfo);
                }
                Ok(5)
            }
            0xac => self.return_value(view),
            0xae => {
                self.state = State::FeatureAck;
                Ok(1)
            }
            _ => unknown_token(token, view),
        }
    }

    fn classification(&mut self) -> Step {
        let version = self.classification.ok_or(Stop::Bad)?;
        self.state = State::Classification(classification::Place::start(version));
        Ok(1)
    }

    fn done(&mut self, view: &[u8]) -> Step {
        let size = if self.version.is_wide() { 13 } else { 9 };
        let body = view.get(1..size).ok_or(Stop::Need(size))?;
        let mut r = Reader::new(body);
        let status = r.u16_le().ok_or(Stop::Bad)?;
        let command = r.u16_le().ok_or(Stop::Bad)?;
        let count = if self.version.is_wide() {
            r.u64_le()
        } else {
            r.u32_le().map(u64::from)
        };
        self.outcome.done(status, command, count);
        Ok(size)
    }

    fn feature_ack(&mut self, view: &[u8]) -> Step {
        let mut r = Reader::new(view);
        match r.u8().ok_or(Stop::Need(1))? {
            0xff => {
                self.state = State::Token;
                Ok(1)
            }
            id => {
                let len = r.u32_le().ok_or(Stop::Need(5))?;
                let mut rest = len;
                if id == 4 {
                    self.outcome.notes.push(Note::ColumnEncryption);
                } else if id == 9 && len > 0 {
                    let version = r.u8().ok_or(Stop::Need(6))?;
                    self.outcome.notes.push(Note::Classification(version));
                    rest = len.saturating_sub(1);
                }
                self.skip = u64::from(rest);
                Ok(r.position())
            }
        }
    }

    /// A token with a u16 length whose content counts.
    fn counted(&mut self, token: u8, view: &[u8]) -> Step {
        let mut r = Reader::new(view.get(1..).unwrap_or_default());
        let len = usize::from(r.u16_le().ok_or(Stop::Need(3))?);
        if token == 0xe3 && r.peek() == Some(15) {
            // Promote: the length counts one byte only, an L_VARBYTE and an empty old value follow.
            let mut r = Reader::new(view.get(4..).unwrap_or_default());
            let len = r.u32_le().ok_or(Stop::Need(8))?;
            self.skip = u64::from(len).saturating_add(1);
            return Ok(8);
        }
        let keep = len.min(MAX_BODY);
        let need = keep.saturating_add(3);
        let body = view.get(3..need).ok_or(Stop::Need(need))?;
        self.outcome.note(token, body);
        self.skip = u64::try_from(len.saturating_sub(keep)).unwrap_or(0);
        Ok(need)
    }
}

/// A token that nothing knows is skipped by its class, but only if a token follows that is known ([MS-TDS] 2.2.4.2.1).
fn unknown_token(token: u8, view: &[u8]) -> Step {
    let mut b = Bytes::new(view, 1);
    let len = match tokens::class(token) {
        Some(Class::Fixed(len)) => len,
        Some(Class::Counted) => usize::from(b.u16()?),
        None => return Err(Stop::Bad),
    };
    b.take(len)?;
    let end = b.position();
    match tokens::name(b.u8()?) {
        Some(_) => Ok(end),
        None => Err(Stop::Bad),
    }
}
