//! Walks the token stream of an answer ([MS-TDS] 2.2.7) in whatever pieces it comes, to know where it ends: rows
//! are skipped by their lengths, DONE, ERROR and the tokens of a login are read.
//!
//! Bounds: no more than [`MAX_ELEMENT`] bytes of one element are kept, and no more columns than a u16 counts.

#[cfg(test)]
mod tests;

use crate::decode::reader::Reader;
use crate::decode::tds::type_info::{Place, TypeError, TypeInfo, ValueLength, us_varchar, utf16};
use crate::decode::tds::version::Version;

/// The longest element that is kept until it is complete. Longer ones make the walk give up.
const MAX_ELEMENT: usize = 128 << 10;
/// As much of an ERROR, ENVCHANGE or LOGINACK is read; the rest is skipped.
const MAX_BODY: usize = 2048;

/// DONE status bits ([MS-TDS] 2.2.7.6).
pub(super) mod done {
    pub(in super::super) const MORE: u16 = 0x001;
    pub(in super::super) const COUNT: u16 = 0x010;
    pub(in super::super) const ATTN: u16 = 0x020;
    pub(in super::super) const SRVERROR: u16 = 0x100;
}

/// The token of a row.
const ROW: u8 = 0xd1;

/// CurCmd of SELECT.
const SELECT: u16 = 0xc1;

/// Tokens of a login that the connection's row wants to know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Note {
    LoginAck { version: u32 },
    PacketSize(u32),
    Database(String),
    Routing,
    ColumnEncryption,
    Sspi(Vec<u8>),
    FedAuthInfo,
}

/// What an answer has shown so far.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) rows_seen: u64,
    pub(super) rows_counted: Option<u64>,
    pub(super) last_done: Option<u16>,
    pub(super) attention_ack: bool,
    pub(super) error: Option<(i32, u8, Box<str>)>,
    pub(super) worst_class: Option<u8>,
    /// The last token read was a DONE, DONEPROC or DONEINPROC.
    pub(super) ends_with_done: bool,
    pub(super) notes: Vec<Note>,
}

impl Outcome {
    /// Rows of the answer, where anything tells.
    pub(super) fn rows(&self) -> Option<u64> {
        self.rows_counted
            .or((self.rows_seen > 0).then_some(self.rows_seen))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Token,
    /// Columns of COLMETADATA left to read.
    Columns {
        left: u16,
    },
    /// The next column of a row, of `Walker::columns`.
    Row {
        column: usize,
        compressed: bool,
    },
    /// The value of a RETURNVALUE.
    Value(ValueLength),
    /// A chunk of a PLP value, then on with the row or value.
    Chunk {
        column: Option<(usize, bool)>,
    },
    FeatureAck,
}

/// Why a step could not be made.
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
    columns: Vec<ValueLength>,
    nulls: Vec<u8>,
    state: State,
    skip: u64,
    carry: Vec<u8>,
    failed: bool,
    pub(super) outcome: Outcome,
}

impl Walker {
    pub(super) fn new() -> Self {
        Self {
            version: Version::V74,
            version_known: false,
            column_encryption: false,
            columns: Vec::new(),
            nulls: Vec::new(),
            state: State::Token,
            skip: 0,
            carry: Vec::new(),
            failed: false,
            outcome: Outcome::default(),
        }
    }

    /// Begins the next message; the tokens' shapes follow the version.
    pub(super) fn begin(&mut self, version: Option<Version>, column_encryption: bool) {
        if let Some(version) = version {
            self.version = version;
            self.version_known = true;
        }
        self.column_encryption = column_encryption;
        self.state = State::Token;
        self.skip = 0;
        self.carry.clear();
        self.failed = false;
        self.outcome.ends_with_done = false;
        self.outcome.last_done = None;
    }

    /// What the answer has shown, which begins anew.
    pub(super) fn take_outcome(&mut self) -> Outcome {
        std::mem::take(&mut self.outcome)
    }

    /// Bytes of the message are not in the file, or it is joined in its middle: no more is read of it.
    pub(super) fn give_up(&mut self) {
        self.failed = true;
        self.carry.clear();
    }

    /// The message is over. Whether its last token was read and is a DONE.
    pub(super) fn end(&mut self) -> bool {
        // Before 7.2 a DONE has 8 bytes; a client whose login was not captured shows it only here.
        if !self.failed
            && !self.version_known
            && self.carry.len() == 9
            && matches!(self.carry.first(), Some(0xfd..=0xff))
        {
            self.version = Version::V71R1;
            let carry = std::mem::take(&mut self.carry);
            if self.token(&carry).is_err() {
                self.failed = true;
            }
        }
        !self.failed
            && self.skip == 0
            && self.carry.is_empty()
            && self.state == State::Token
            && self.outcome.ends_with_done
    }

    /// Takes the next bytes of the message.
    pub(super) fn feed(&mut self, mut data: &[u8]) {
        while !data.is_empty() && !self.failed {
            if self.skip > 0 {
                let n = usize::try_from(self.skip)
                    .unwrap_or(usize::MAX)
                    .min(data.len());
                self.skip = self
                    .skip
                    .saturating_sub(u64::try_from(n).unwrap_or(u64::MAX));
                data = data.get(n..).unwrap_or_default();
                continue;
            }
            if self.carry.is_empty() {
                if let Some(n) = self.whole_row(data) {
                    data = data.get(n..).unwrap_or_default();
                    continue;
                }
                match self.step(data) {
                    Ok(n) => data = data.get(n..).unwrap_or_default(),
                    Err(Stop::Need(need)) if need <= MAX_ELEMENT => {
                        self.carry.extend_from_slice(data);
                        return;
                    }
                    Err(_) => self.give_up(),
                }
            } else {
                data = self.feed_carry(data);
            }
        }
    }

    /// Skips a row that begins with `view` and lies whole in it: what most bytes of an answer are. Returns its length.
    fn whole_row(&mut self, view: &[u8]) -> Option<usize> {
        if self.state != State::Token || view.first() != Some(&ROW) || self.columns.is_empty() {
            return None;
        }
        let mut at = 1_usize;
        for rule in &self.columns {
            at = match rule {
                ValueLength::Fixed(n) => at.checked_add(usize::from(*n))?,
                ValueLength::Byte => at
                    .checked_add(1)?
                    .checked_add(usize::from(*view.get(at)?))?,
                ValueLength::Short => {
                    let len = view
                        .get(at..)?
                        .first_chunk()
                        .map(|len| u16::from_le_bytes(*len))?;
                    let len = if len == u16::MAX { 0 } else { len };
                    at.checked_add(2)?.checked_add(usize::from(len))?
                }
                _ => return None,
            };
        }
        if at > view.len() {
            return None;
        }
        self.outcome.ends_with_done = false;
        self.outcome.rows_seen = self.outcome.rows_seen.saturating_add(1);
        Some(at)
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
    fn step(&mut self, view: &[u8]) -> Step {
        match self.state {
            State::Token => self.token(view),
            State::Columns { left } => self.column(view, left),
            State::Row { column, compressed } => self.row(view, column, compressed),
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
        }
    }

    fn token(&mut self, view: &[u8]) -> Step {
        let token = *view.first().ok_or(Stop::Need(1))?;
        self.outcome.ends_with_done = false;
        match token {
            ROW => self.begin_row(false, 1),
            0xd2 => {
                let bitmap = self.columns.len().div_ceil(8);
                let need = bitmap.saturating_add(1);
                let bits = view.get(1..need).ok_or(Stop::Need(need))?;
                self.nulls.clear();
                self.nulls.extend_from_slice(bits);
                self.begin_row(true, need)
            }
            0xfd..=0xff => self.done(view),
            0x81 => self.metadata(view),
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
            _ => Err(Stop::Bad),
        }
    }

    fn begin_row(&mut self, compressed: bool, used: usize) -> Step {
        if self.columns.is_empty() {
            return Err(Stop::Bad);
        }
        self.state = State::Row {
            column: 0,
            compressed,
        };
        Ok(used)
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
        let out = &mut self.outcome;
        if status & done::COUNT != 0 && command & 0xff == SELECT {
            let sum = out.rows_counted.unwrap_or(0);
            out.rows_counted = Some(sum.saturating_add(count.unwrap_or(0)));
        }
        out.attention_ack |= status & done::ATTN != 0;
        out.last_done = Some(status);
        out.ends_with_done = true;
        Ok(size)
    }

    fn metadata(&mut self, view: &[u8]) -> Step {
        let mut r = Reader::new(view.get(1..).unwrap_or_default());
        let count = r.u16_le().ok_or(Stop::Need(3))?;
        if count == 0xffff {
            return Ok(3);
        }
        let mut used = 3;
        if self.column_encryption {
            // Column keys: an empty table only; with keys the columns are encrypted and the walk gives up.
            let keys = r.u16_le().ok_or(Stop::Need(5))?;
            if keys != 0 {
                return Err(Stop::Bad);
            }
            used = 5;
        }
        self.columns.clear();
        if count > 0 {
            self.state = State::Columns { left: count };
        }
        Ok(used)
    }

    fn column(&mut self, view: &[u8], left: u16) -> Step {
        let (rule, used) = match read_column(view, self.version) {
            Err(Stop::Bad) if !self.version_known && self.columns.is_empty() => {
                // UserType has 16 bits before 7.2.
                let narrow = if self.version.is_wide() {
                    Version::V71R1
                } else {
                    Version::V74
                };
                let read = read_column(view, narrow)?;
                self.version = narrow;
                read
            }
            other => other?,
        };
        self.columns.push(rule);
        self.state = match left.saturating_sub(1) {
            0 => State::Token,
            left => State::Columns { left },
        };
        Ok(used)
    }

    fn row(&mut self, view: &[u8], mut column: usize, compressed: bool) -> Step {
        let mut used = 0_usize;
        while let Some(rule) = self.columns.get(column).copied() {
            if compressed && is_null(&self.nulls, column) {
                column = column.saturating_add(1);
                continue;
            }
            let rest = view.get(used..).unwrap_or_default();
            match self.value(rule, rest) {
                Ok((n, true)) => {
                    self.state = State::Chunk {
                        column: Some((column, compressed)),
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
                    self.state = State::Row { column, compressed };
                    return match stop {
                        Stop::Need(_) if used > 0 => Ok(used),
                        stop => Err(stop),
                    };
                }
            }
        }
        self.after_column(column, compressed);
        Ok(used)
    }

    fn after_column(&mut self, column: usize, compressed: bool) {
        if column < self.columns.len() {
            self.state = State::Row { column, compressed };
        } else {
            self.outcome.rows_seen = self.outcome.rows_seen.saturating_add(1);
            self.state = State::Token;
        }
    }

    /// Reads a value's length and skips its bytes. The flag says that PLP chunks follow.
    fn value(&mut self, rule: ValueLength, view: &[u8]) -> Result<(usize, bool), Stop> {
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

    fn chunk(&mut self, view: &[u8], column: Option<(usize, bool)>) -> Step {
        let mut r = Reader::new(view);
        let len = r.u32_le().ok_or(Stop::Need(4))?;
        if len == 0 {
            match column {
                Some((column, compressed)) => {
                    self.after_column(column.saturating_add(1), compressed);
                }
                None => self.state = State::Token,
            }
        } else {
            self.skip = u64::from(len);
        }
        Ok(4)
    }

    fn return_value(&mut self, view: &[u8]) -> Step {
        let wanting = Stop::Need(view.len().saturating_add(1));
        let mut r = Reader::new(view.get(1..).unwrap_or_default());
        let version = self.version;
        let mut head = || {
            r.u16_le()?;
            let name = usize::from(r.u8()?).saturating_mul(2);
            r.skip(name)?;
            r.u8()?;
            r.skip(if version.is_wide() { 4 } else { 2 })?;
            r.u16_le()
        };
        let Some(flags) = head() else {
            return Err(wanting);
        };
        let info = match TypeInfo::read(&mut r, Place::ReturnValue, version) {
            Ok(info) => info,
            Err(TypeError::Short) => return Err(wanting),
            Err(TypeError::Unknown(_)) => return Err(Stop::Bad),
        };
        if flags & 0x0800 != 0 {
            crypto_metadata(&mut r, version, false)?.ok_or(wanting)?;
        }
        self.state = State::Value(info.length);
        Ok(r.position().saturating_add(1))
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
                if id == 4 {
                    self.outcome.notes.push(Note::ColumnEncryption);
                }
                self.skip = u64::from(len);
                Ok(5)
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
        match token {
            0xaa => self.error(body),
            0xe3 => self.env_change(body),
            0xad => {
                let version = Reader::new(body.get(1..).unwrap_or_default()).u32_be();
                self.outcome.notes.push(Note::LoginAck {
                    version: version.unwrap_or(0),
                });
            }
            0xed => self.outcome.notes.push(Note::Sspi(body.to_vec())),
            _ => {}
        }
        self.skip = u64::try_from(len.saturating_sub(keep)).unwrap_or(0);
        Ok(need)
    }

    fn error(&mut self, body: &[u8]) {
        let mut r = Reader::new(body);
        let number = r.i32_le().unwrap_or(0);
        r.u8();
        let class = r.u8().unwrap_or(0);
        let out = &mut self.outcome;
        out.worst_class = Some(out.worst_class.unwrap_or(0).max(class));
        if out.error.is_none() {
            let before = r;
            let text = us_varchar(&mut r).unwrap_or_else(|| {
                let mut rest = before;
                rest.skip(2);
                utf16(rest.rest())
            });
            let text: String = text.chars().take(super::TEXT_CHARS).collect();
            out.error = Some((number, class, text.into()));
        }
    }

    fn env_change(&mut self, body: &[u8]) {
        let mut r = Reader::new(body);
        let kind = r.u8();
        let mut text = || {
            let chars = usize::from(r.u8()?);
            r.take(chars.saturating_mul(2)).map(utf16)
        };
        let note = match kind {
            Some(1) => text().map(Note::Database),
            Some(4) => text()
                .and_then(|size| size.trim().parse().ok())
                .map(Note::PacketSize),
            Some(20 | 21) => Some(Note::Routing),
            _ => None,
        };
        self.outcome.notes.extend(note);
    }
}

/// Reads a column of COLMETADATA; says how its values are delimited and how many bytes it took.
fn read_column(view: &[u8], version: Version) -> Result<(ValueLength, usize), Stop> {
    let wanting = || Stop::Need(view.len().saturating_add(1));
    let mut r = Reader::new(view);
    r.skip(if version.is_wide() { 4 } else { 2 })
        .ok_or_else(wanting)?;
    let flags = r.u16_le().ok_or_else(wanting)?;
    let info = match TypeInfo::read(&mut r, Place::Column, version) {
        Ok(info) => info,
        Err(TypeError::Short) => return Err(wanting()),
        Err(TypeError::Unknown(_)) => return Err(Stop::Bad),
    };
    if info.has_table_name() {
        let parts = if version >= Version::V71R1 {
            r.u8().ok_or_else(wanting)?
        } else {
            1
        };
        for _ in 0..parts {
            let chars = usize::from(r.u16_le().ok_or_else(wanting)?);
            r.skip(chars.saturating_mul(2)).ok_or_else(wanting)?;
        }
    }
    if flags & 0x0800 != 0 {
        crypto_metadata(&mut r, version, true)?.ok_or_else(wanting)?;
    }
    let chars = usize::from(r.u8().ok_or_else(wanting)?);
    r.skip(chars.saturating_mul(2)).ok_or_else(wanting)?;
    Ok((info.length, r.position()))
}

/// Skips the description of an encrypted column or value; `None` if bytes are wanting.
fn crypto_metadata(
    r: &mut Reader<'_>,
    version: Version,
    with_ordinal: bool,
) -> Result<Option<()>, Stop> {
    if r.skip(if with_ordinal { 6 } else { 4 }).is_none() {
        return Ok(None);
    }
    match TypeInfo::read(r, Place::Column, version) {
        Ok(_) => {}
        Err(TypeError::Short) => return Ok(None),
        Err(TypeError::Unknown(_)) => return Err(Stop::Bad),
    }
    let mut rest = || {
        if r.u8()? == 0 {
            let chars = usize::from(r.u8()?);
            r.skip(chars.saturating_mul(2))?;
        }
        r.skip(2)
    };
    Ok(rest())
}

fn is_null(bits: &[u8], column: usize) -> bool {
    bits.get(column / 8)
        .is_some_and(|byte| byte >> (column % 8) & 1 != 0)
}
