//! A bounded reader over captured bytes: it cannot leave its range and knows its position in the whole.

use std::ops::Range;

/// Reads on from a position; every getter returns `None` and moves nothing when too few bytes are left.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    data: &'a [u8],
    base: usize,
    pos: usize,
}

impl<'a> Reader<'a> {
    /// A reader over `data`, whose first byte has position 0.
    pub fn new(data: &'a [u8]) -> Self {
        Self::at(data, 0)
    }

    /// A reader over `data`, whose first byte has position `base` in the whole.
    pub fn at(data: &'a [u8], base: usize) -> Self {
        Self { data, base, pos: 0 }
    }

    /// Position of the next byte in the whole.
    pub fn position(&self) -> usize {
        self.base.saturating_add(self.pos)
    }

    /// Bytes left.
    pub fn left(&self) -> usize {
        self.data.len().saturating_sub(self.pos)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left() == 0
    }

    /// All bytes left, without moving.
    pub fn rest(&self) -> &'a [u8] {
        self.data.get(self.pos..).unwrap_or_default()
    }

    /// The range of the last `len` bytes read, in the whole.
    pub fn last(&self, len: usize) -> Range<usize> {
        let end = self.position();
        end.saturating_sub(len)..end
    }

    /// The next byte, without moving.
    pub fn peek(&self) -> Option<u8> {
        self.data.get(self.pos).copied()
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.pos.checked_add(len)?;
        let bytes = self.data.get(self.pos..end)?;
        self.pos = end;
        Some(bytes)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A reader over the next `len` bytes; this one moves behind them.
    pub fn sub(&mut self, len: usize) -> Option<Self> {
        let base = self.position();
        Some(Self::at(self.take(len)?, base))
    }

    /// As [`Reader::sub`], but over what is left where that is less; the second value says whether it was cut.
    pub fn sub_lax(&mut self, len: usize) -> (Self, bool) {
        let have = self.left().min(len);
        let base = self.position();
        let data = self.take(have).unwrap_or_default();
        (Self::at(data, base), have < len)
    }

    /// Skips `len` bytes.
    pub fn skip(&mut self, len: usize) -> Option<()> {
        self.take(len).map(|_| ())
    }
}

macro_rules! number {
    ($($le:ident $be:ident $ty:ty),*) => {
        impl Reader<'_> {
            $(
                #[doc = concat!("The next little-endian `", stringify!($ty), "`.")]
                pub fn $le(&mut self) -> Option<$ty> {
                    self.array().map(<$ty>::from_le_bytes)
                }

                #[doc = concat!("The next big-endian `", stringify!($ty), "`.")]
                pub fn $be(&mut self) -> Option<$ty> {
                    self.array().map(<$ty>::from_be_bytes)
                }
            )*
        }
    };
}

number!(u16_le u16_be u16, u32_le u32_be u32, u64_le u64_be u64, i16_le i16_be i16, i32_le i32_be i32, i64_le i64_be i64);

impl Reader<'_> {
    /// The next byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[b]| b)
    }

    /// The next big-endian number of three bytes, as TLS writes lengths.
    pub fn u24_be(&mut self) -> Option<usize> {
        let [high, middle, low] = self.array()?;
        usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_cannot_leave_its_range_and_positions_count_from_the_whole() {
        let mut r = Reader::at(&[1, 2, 3, 4, 5], 100);
        assert_eq!(r.u8(), Some(1));
        let mut child = r.sub(2).unwrap();
        assert_eq!(child.position(), 101);
        assert_eq!(child.u16_be(), Some(0x0203));
        assert_eq!(child.u8(), None);
        assert_eq!(r.u32_le(), None);
        assert_eq!(r.left(), 2);
        assert_eq!(r.last(3), 100..103);
    }
}
