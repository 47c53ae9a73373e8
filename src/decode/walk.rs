//! Builds field trees while reading: every step reads some bytes and leaves a field with their range behind, so
//! that what was read before a failure is kept.

use std::borrow::Cow;

use super::field::{Field, Value};
use super::reader::Reader;
use super::tds::sql_secret::{self, Reading, Width};
use super::tds::type_info::utf16;

/// Most bytes of one value that a field keeps.
pub const KEEP_BYTES: usize = 4096;
/// Most bytes of text that a field keeps.
pub const KEEP_TEXT: usize = 65536;
/// Most fields that one walk leaves behind: a message of a megabyte can consist of hundreds of thousands, which nobody
/// reads and which take a hundred times the memory of their bytes.
pub const MOST_FIELDS: usize = 100_000;

/// The bytes of a value.
struct Taken<'a> {
    bytes: &'a [u8],
    /// Those of them that its field holds.
    kept: &'a [u8],
    /// How many there should have been, where the bytes ended before.
    cut: Option<usize>,
}

/// Why decoding stopped, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Position, counted as the ranges are.
    pub at: usize,
    /// The reason, as a remark to the reader.
    pub why: Cow<'static, str>,
    /// The bytes ended: with more of them it would have gone on.
    pub short: bool,
}

impl Stop {
    /// Bytes ended in the middle of something.
    pub fn short(at: usize, what: &str) -> Self {
        Self {
            at,
            why: format!("the bytes end within {what}").into(),
            short: true,
        }
    }

    /// Bytes that make no sense.
    pub fn wrong(at: usize, why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            at,
            why: why.into(),
            short: false,
        }
    }
}

/// What a step of decoding returns.
pub type Step<T> = Result<T, Stop>;

/// What decoding returned: the fields read, and why it stopped before the end, if it did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decoded {
    /// The fields.
    pub fields: Vec<Field>,
    /// Why it stopped.
    pub stop: Option<Stop>,
}

/// One flag of a bit field: mask, name in the registry, label.
pub type Flag = (u64, &'static str, &'static str);

/// A reader that leaves fields behind.
#[derive(Debug)]
pub struct Walk<'a> {
    /// The reader.
    pub r: Reader<'a>,
    out: Vec<Field>,
    /// Fields that may still be left behind.
    room: usize,
}

impl<'a> Walk<'a> {
    /// Over `bytes`, whose first byte has position `base`.
    pub fn new(bytes: &'a [u8], base: usize) -> Self {
        Self {
            r: Reader::at(bytes, base),
            out: Vec::new(),
            room: MOST_FIELDS,
        }
    }

    /// The result; a failure becomes the reason.
    pub fn finish(self, result: Step<()>) -> Decoded {
        Decoded {
            fields: self.out,
            stop: result.err(),
        }
    }

    /// Leaves a field behind.
    pub fn push(&mut self, field: Field) -> &mut Field {
        self.room = self.room.saturating_sub(1);
        self.out.push(field);
        let last = self.out.len().saturating_sub(1);
        #[expect(clippy::indexing_slicing, reason = "pushed just above")]
        &mut self.out[last]
    }

    /// Adds words to the field that was read last.
    pub fn say(&mut self, text: impl Into<String>) {
        if let Some(field) = self.out.last_mut() {
            field.text = text.into();
        }
    }

    /// Leaves a remark without bytes behind.
    pub fn remark(&mut self, name: &'static str, text: impl Into<String>) {
        self.push(Field::new(name, "", Value::None).text(text));
    }

    /// Position of the next byte.
    pub fn at(&self) -> usize {
        self.r.position()
    }

    fn number(
        &mut self,
        label: &str,
        len: usize,
        big: bool,
    ) -> Step<(u64, std::ops::Range<usize>)> {
        let at = self.at();
        if self.room == 0 {
            return Err(Stop::wrong(
                at,
                format!("{MOST_FIELDS} fields were read, the rest is not shown"),
            ));
        }
        let Some(bytes) = self.r.take(len) else {
            return Err(Stop::short(at, label));
        };
        let fold = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        let value = if big {
            bytes.iter().fold(0, fold)
        } else {
            bytes.iter().rev().fold(0, fold)
        };
        Ok((value, self.r.last(len)))
    }

    /// An unsigned little-endian number of `len` bytes (at most 8).
    pub fn le(&mut self, name: &'static str, label: &'static str, len: usize) -> Step<u64> {
        let (value, range) = self.number(label, len, false)?;
        self.push(Field::new(name, label, Value::UInt(value)).at(range));
        Ok(value)
    }

    /// An unsigned big-endian number of `len` bytes.
    pub fn be(&mut self, name: &'static str, label: &'static str, len: usize) -> Step<u64> {
        let (value, range) = self.number(label, len, true)?;
        self.push(Field::new(name, label, Value::UInt(value)).at(range));
        Ok(value)
    }

    /// As [`Walk::le`], shown in hexadecimal.
    pub fn hex(&mut self, name: &'static str, label: &'static str, len: usize) -> Step<u64> {
        let (value, range) = self.number(label, len, false)?;
        self.push(Field::new(name, label, Value::Hex(value, digits(len))).at(range));
        Ok(value)
    }

    /// As [`Walk::be`], shown in hexadecimal.
    pub fn hex_be(&mut self, name: &'static str, label: &'static str, len: usize) -> Step<u64> {
        let (value, range) = self.number(label, len, true)?;
        self.push(Field::new(name, label, Value::Hex(value, digits(len))).at(range));
        Ok(value)
    }

    /// A signed little-endian number of 4 bytes.
    pub fn i32(&mut self, name: &'static str, label: &'static str) -> Step<i32> {
        let at = self.at();
        let value = self.r.i32_le().ok_or_else(|| Stop::short(at, label))?;
        let range = self.r.last(4);
        self.push(Field::new(name, label, Value::Int(i64::from(value))).at(range));
        Ok(value)
    }

    /// Puts the flags of the number read last below it: those that are set, and those that are not.
    pub fn flags(&mut self, value: u64, flags: &[Flag]) {
        let Some(field) = self.out.last_mut() else {
            return;
        };
        let spans = field.spans.clone();
        let mut words = Vec::new();
        for (mask, name, label) in flags {
            let set = value & mask != 0;
            if set {
                words.push(*label);
            }
            let mut flag = Field::new(name, *label, Value::Bool(set));
            flag.spans.clone_from(&spans);
            field.children.push(flag);
        }
        if field.text.is_empty() {
            field.text = words.join(", ");
        }
    }

    /// `len` bytes as they are; at most [`KEEP_BYTES`] of them are kept.
    pub fn bytes(&mut self, name: &'static str, label: &'static str, len: usize) -> Step<&'a [u8]> {
        let (at, taken) = (self.at(), self.take(len, KEEP_BYTES));
        let value = Value::Bytes(taken.kept.to_vec());
        let field = Field::new(name, label, value).at(at..self.at());
        self.push_taken(field, &taken, label)?;
        Ok(taken.bytes)
    }

    /// A secret of `len` bytes: counted, never kept.
    pub fn secret(&mut self, name: &'static str, label: &'static str, len: usize) -> Step<()> {
        let at = self.at();
        let (part, cut) = self.r.sub_lax(len);
        let have = part.left();
        self.push(Field::new(name, label, Value::Secret(have)).at(at..self.at()));
        if cut {
            return Err(Stop::short(self.at(), label));
        }
        Ok(())
    }

    /// `len` bytes of UTF-16LE text.
    pub fn utf16(&mut self, name: &'static str, label: &'static str, len: usize) -> Step<String> {
        let (at, taken) = (self.at(), self.take(len, KEEP_TEXT));
        let text = utf16(taken.kept);
        let field = Field::new(name, label, Value::Text(text.clone())).at(at..self.at());
        self.push_taken(field, &taken, label)?;
        Ok(text)
    }

    /// `len` bytes of SQL in UTF-16LE; what is secret in it is counted, never kept.
    pub fn sql(&mut self, name: &'static str, label: &'static str, len: usize) -> Step<String> {
        let (at, taken) = (self.at(), self.take(len, KEEP_TEXT));
        let secrets = sql_secret::find(taken.bytes, Width::Wide, Reading::Statement).ranges;
        let text = sql_secret::replaced(taken.kept, &secrets, utf16);
        let mut field = Field::new(name, label, Value::Text(text.clone())).at(at..self.at());
        for secret in &secrets {
            let place = at.saturating_add(secret.start)..at.saturating_add(secret.end);
            field.children.push(sql_secret::field(secret).at(place));
        }
        self.push_taken(field, &taken, label)?;
        Ok(text)
    }

    fn take(&mut self, len: usize, most: usize) -> Taken<'a> {
        let (part, cut) = self.r.sub_lax(len);
        let bytes = part.rest();
        Taken {
            bytes,
            kept: bytes.get(..most).unwrap_or(bytes),
            cut: cut.then_some(len),
        }
    }

    /// Adds the field of a value; it says how much of the value it holds, where that is not all.
    fn push_taken(&mut self, mut field: Field, taken: &Taken<'_>, label: &'static str) -> Step<()> {
        let (kept, all) = (taken.kept.len(), taken.bytes.len());
        if kept < all {
            field.text = format!("{all} bytes, the first {kept} shown");
        }
        if let Some(len) = taken.cut {
            field.text = format!("cut: {all} of {len} bytes");
        }
        self.push(field);
        match taken.cut {
            Some(_) => Err(Stop::short(self.at(), label)),
            None => Ok(()),
        }
    }

    /// Text with a count of characters in `count_len` bytes (1 for B_VARCHAR, 2 for US_VARCHAR). The count gets a
    /// field of its own only if it has a name.
    pub fn counted(
        &mut self,
        count_name: &'static str,
        count_len: usize,
        name: &'static str,
        label: &'static str,
    ) -> Step<String> {
        let (count, range) = self.number(label, count_len, false)?;
        if !count_name.is_empty() {
            let label = Cow::Owned(format!("{label} length"));
            self.push(Field::new(count_name, label, Value::UInt(count)).at(range));
        }
        let len = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_mul(2);
        self.utf16(name, label, len)
    }

    /// As [`Walk::counted`], without a field for a text that is empty.
    pub fn counted_some(
        &mut self,
        count_name: &'static str,
        count_len: usize,
        name: &'static str,
        label: &'static str,
    ) -> Step<String> {
        let text = self.counted(count_name, count_len, name, label)?;
        if text.is_empty() {
            self.out.pop();
        }
        Ok(text)
    }

    /// As [`Walk::counted`], without a field for the count and without NULs at the end of the text.
    pub fn counted_padded(
        &mut self,
        count_len: usize,
        name: &'static str,
        label: &'static str,
    ) -> Step<String> {
        let mut text = self.counted("", count_len, name, label)?;
        let len = text.trim_end_matches('\0').len();
        text.truncate(len);
        if let Some(field) = self.out.last_mut() {
            field.value = Value::Text(text.clone());
        }
        Ok(text)
    }

    /// A heading whose children `inside` reads; it is kept, with what it has, when `inside` fails.
    pub fn group<T>(
        &mut self,
        name: &'static str,
        label: impl Into<Cow<'static, str>>,
        inside: impl FnOnce(&mut Self) -> Step<T>,
    ) -> Step<T> {
        let start = self.at();
        let outer = std::mem::take(&mut self.out);
        let result = inside(self);
        let children = std::mem::replace(&mut self.out, outer);
        let mut field = Field::new(name, label, Value::None).at(start..self.at());
        field.children = children;
        self.push(field);
        result
    }

    /// Reads other bytes, whose first has position `at`, and comes back to where it was.
    pub fn with<T>(
        &mut self,
        bytes: &'a [u8],
        at: usize,
        read: impl FnOnce(&mut Self) -> Step<T>,
    ) -> Step<T> {
        let whole = std::mem::replace(&mut self.r, Reader::at(bytes, at));
        let result = read(self);
        self.r = whole;
        result
    }

    /// As [`Walk::group`], over the next `len` bytes alone: what `inside` leaves is skipped, and it cannot read
    /// further. If fewer bytes are there, it reads those and the result is a failure.
    pub fn bounded<T>(
        &mut self,
        name: &'static str,
        label: impl Into<Cow<'static, str>>,
        len: usize,
        inside: impl FnOnce(&mut Self) -> Step<T>,
    ) -> Step<T> {
        let label = label.into();
        let (part, cut) = self.r.sub_lax(len);
        let whole = std::mem::replace(&mut self.r, part);
        let start = self.at();
        let outer = std::mem::take(&mut self.out);
        let result = inside(self);
        let end = whole.position();
        self.r = whole;
        let children = std::mem::replace(&mut self.out, outer);
        let mut field = Field::new(name, label.clone(), Value::None).at(start..end);
        field.children = children;
        self.push(field);
        if cut {
            return Err(Stop::short(end, &label));
        }
        result
    }
}

fn digits(len: usize) -> u8 {
    u8::try_from(len.saturating_mul(2)).unwrap_or(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_the_end_is_kept() {
        let mut w = Walk::new(&[1, 2, 0, 7], 10);
        let result = w.group("g", "group", |w| {
            w.le("a", "one", 1)?;
            w.le("b", "two", 2)?;
            w.le("c", "four", 4)
        });
        let decoded = w.finish(result.map(|_| ()));
        let group = &decoded.fields[0];
        assert_eq!(group.children.len(), 2);
        assert_eq!(group.children[1].spans[0].bytes, 11..13);
        let stop = decoded.stop.unwrap();
        assert_eq!((stop.at, stop.short), (13, true));
    }

    #[test]
    fn a_bounded_group_cannot_read_beyond_its_length() {
        let mut w = Walk::new(&[1, 2, 3, 4], 0);
        let inside = w.bounded("g", "group", 2, |w| w.le("a", "four", 4));
        assert!(inside.is_err());
        assert_eq!(w.at(), 2);
        assert_eq!(w.le("b", "two", 2).unwrap(), 0x0403);
    }

    #[test]
    fn secrets_leave_their_length_only() {
        let mut w = Walk::new(b"hunter2", 0);
        w.secret("s", "secret", 7).unwrap();
        let decoded = w.finish(Ok(()));
        assert_eq!(decoded.fields[0].value, Value::Secret(7));
        assert!(!format!("{decoded:?}").contains("hunter"));
    }
}
