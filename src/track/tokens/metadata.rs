//! What describes rows and values in an answer, read to skip the values by their lengths: the columns of COLMETADATA
//! and ALTMETADATA, encryption keys, RETURNVALUE.

use crate::decode::reader::Reader;
use crate::decode::tds::type_info::{Place, TypeError, TypeInfo, ValueLength};
use crate::decode::tds::version::Version;

use super::Stop;

/// Column flag: the values are encrypted by the client's driver ([MS-TDS] 2.2.7.4).
const ENCRYPTED: u16 = 0x0800;

/// Bytes read from the front; says how many must be there where they end too early.
pub(super) struct Bytes<'a> {
    view: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(view: &'a [u8], at: usize) -> Self {
        Self { view, at }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.saturating_add(len);
        let bytes = self.view.get(self.at..end).ok_or(Stop::Need(end))?;
        self.at = end;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Stop> {
        let bytes = self.take(1)?;
        bytes.first().copied().ok_or(Stop::Bad)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Stop> {
        let bytes = self.take(2)?;
        let bytes = bytes.first_chunk().ok_or(Stop::Bad)?;
        Ok(u16::from_le_bytes(*bytes))
    }

    /// A text with its count of characters in one byte.
    pub(super) fn b_varchar(&mut self) -> Result<(), Stop> {
        let chars = usize::from(self.u8()?);
        self.take(chars.saturating_mul(2)).map(drop)
    }

    /// A text with its count of characters in two bytes.
    fn us_varchar(&mut self) -> Result<(), Stop> {
        let chars = usize::from(self.u16()?);
        self.take(chars.saturating_mul(2)).map(drop)
    }

    fn user_type(&mut self, version: Version) -> Result<(), Stop> {
        self.take(if version.is_wide() { 4 } else { 2 }).map(drop)
    }

    fn type_info(&mut self, place: Place, version: Version) -> Result<TypeInfo, Stop> {
        let mut r = Reader::new(self.view.get(self.at..).unwrap_or_default());
        let info = TypeInfo::read(&mut r, place, version).map_err(|error| match error {
            TypeError::Short => Stop::Need(self.view.len().saturating_add(1)),
            TypeError::Unknown(_) => Stop::Bad,
        })?;
        self.at = self.at.saturating_add(r.position());
        Ok(info)
    }

    /// How the values of an encrypted column or value look when they are decrypted.
    fn crypto_metadata(&mut self, version: Version, with_ordinal: bool) -> Result<(), Stop> {
        self.take(if with_ordinal { 6 } else { 4 })?;
        self.type_info(Place::Column, version)?;
        if self.u8()? == 0 {
            self.b_varchar()?;
        }
        self.take(2).map(drop)
    }
}

/// The bytes of the COLMETADATA that describes the columns: a result that comes again need not be read again.
#[derive(Debug, Default)]
pub(super) struct Description {
    bytes: Vec<u8>,
    /// They are all that describes them, read on these terms.
    whole: Option<Terms>,
}

/// What the meaning of COLMETADATA's bytes rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) version: Version,
    /// A table of encryption keys comes first.
    pub(super) column_encryption: bool,
}

impl Description {
    /// The longest that is kept.
    const MAX: usize = 4096;
    /// Room that a few columns need: they come one by one.
    const USUAL: usize = 64;

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.whole = None;
    }

    /// Takes the bytes that were read next.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if self.bytes.is_empty() {
            self.bytes.reserve(Self::USUAL);
        }
        let room = (Self::MAX + 1).saturating_sub(self.bytes.len());
        self.bytes
            .extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// All columns are read.
    pub(super) fn end(&mut self, terms: Terms) {
        self.whole = (self.bytes.len() <= Self::MAX).then_some(terms);
    }

    /// Whether `view` begins with the same, on the same terms; its bytes.
    pub(super) fn comes_again(&self, view: &[u8], terms: Terms) -> Option<usize> {
        let same = self.whole == Some(terms) && view.starts_with(&self.bytes);
        same.then_some(self.bytes.len())
    }
}

/// What columns look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) version: Version,
    /// There is a table of encryption keys, to which encrypted columns refer.
    pub(super) has_keys: bool,
}

/// Reads a column of COLMETADATA; says how its values are delimited and how many bytes it took.
pub(super) fn column(view: &[u8], shape: Shape) -> Result<(ValueLength, usize), Stop> {
    read_column(Bytes::new(view, 0), shape)
}

/// Reads a column of ALTMETADATA: an operator and the column that it works on come first.
pub(super) fn alt_column(view: &[u8], version: Version) -> Result<(ValueLength, usize), Stop> {
    let mut b = Bytes::new(view, 0);
    b.take(3)?;
    let shape = Shape {
        version,
        has_keys: false,
    };
    read_column(b, shape)
}

fn read_column(mut b: Bytes<'_>, shape: Shape) -> Result<(ValueLength, usize), Stop> {
    let version = shape.version;
    b.user_type(version)?;
    let flags = b.u16()?;
    let info = b.type_info(Place::Column, version)?;
    if info.has_table_name() {
        let parts = if version.is_wide() { b.u8()? } else { 1 };
        for _ in 0..parts {
            b.us_varchar()?;
        }
    }
    if flags & ENCRYPTED != 0 {
        b.crypto_metadata(version, shape.has_keys)?;
    }
    b.b_varchar()?;
    Ok((info.length, b.position()))
}

/// Reads an encryption key up to its values; says how many there are and how many bytes it took.
pub(super) fn key(view: &[u8]) -> Result<(u8, usize), Stop> {
    let mut b = Bytes::new(view, 0);
    b.take(20)?;
    Ok((b.u8()?, b.position()))
}

/// Passes over one of the values of an encryption key.
pub(super) fn key_value(view: &[u8]) -> Result<usize, Stop> {
    let mut b = Bytes::new(view, 0);
    let len = usize::from(b.u16()?);
    b.take(len)?;
    b.b_varchar()?;
    b.us_varchar()?;
    b.b_varchar()?;
    Ok(b.position())
}

/// Reads a RETURNVALUE up to its value.
pub(super) fn return_value(view: &[u8], version: Version) -> Result<(ValueLength, usize), Stop> {
    let mut b = Bytes::new(view, 1);
    b.u16()?;
    b.b_varchar()?;
    b.u8()?;
    b.user_type(version)?;
    let flags = b.u16()?;
    let info = b.type_info(Place::ReturnValue, version)?;
    if flags & ENCRYPTED != 0 {
        b.crypto_metadata(version, false)?;
    }
    Ok((info.length, b.position()))
}
