//! Copies a structure from the original while it is read; whatever is not copied on purpose stays zero.

use crate::decode::reader::Reader;

/// Reads the original and fills a copy of the same length that began as zeros.
pub(super) struct Mask<'a> {
    original: &'a [u8],
    copy: &'a mut [u8],
    at: usize,
}

impl<'a> Mask<'a> {
    /// `copy` has the length of `original` and holds zeros.
    pub(super) fn new(original: &'a [u8], copy: &'a mut [u8]) -> Self {
        Self {
            original,
            copy,
            at: 0,
        }
    }

    /// Bytes not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.original.get(self.at..).unwrap_or_default()
    }

    /// Whether all is read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// The next byte, without moving.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Keeps the next `n` bytes as they are.
    pub(super) fn keep(&mut self, n: usize) -> Option<&'a [u8]> {
        let bytes = self.rest().get(..n)?;
        self.put(bytes);
        Some(bytes)
    }

    /// Leaves the next `n` bytes zero.
    pub(super) fn hide(&mut self, n: usize) -> Option<&'a [u8]> {
        let bytes = self.rest().get(..n)?;
        self.at = self.at.saturating_add(n);
        Some(bytes)
    }

    /// Leaves all that is left zero.
    pub(super) fn hide_rest(&mut self) {
        self.at = self.original.len();
    }

    /// Replaces the next bytes by others of the same length.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let end = self.at.saturating_add(bytes.len());
        if let Some(to) = self.copy.get_mut(self.at..end) {
            to.copy_from_slice(bytes);
        }
        self.at = end;
    }

    /// A reader over what is left, to find out how much of it a structure takes.
    pub(super) fn reader(&self) -> Reader<'a> {
        Reader::new(self.rest())
    }

    /// Replaces bytes at a place of the copy that was passed already.
    pub(super) fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let end = at.saturating_add(bytes.len());
        if let Some(to) = self.copy.get_mut(at..end) {
            to.copy_from_slice(bytes);
        }
    }

    /// Where the next byte stands.
    pub(super) fn position(&self) -> usize {
        self.at
    }
}

macro_rules! kept_number {
    ($($name:ident $ty:ty, $from:ident;)*) => {
        impl Mask<'_> {
            $(
                /// Keeps the next number and returns it.
                pub(super) fn $name(&mut self) -> Option<$ty> {
                    let bytes = self.keep(size_of::<$ty>())?;
                    bytes.try_into().ok().map(<$ty>::$from)
                }
            )*
        }
    };
}

kept_number! {
    u8 u8, from_le_bytes;
    u16_le u16, from_le_bytes;
    u16_be u16, from_be_bytes;
    u32_le u32, from_le_bytes;
    i32_le i32, from_le_bytes;
    u64_le u64, from_le_bytes;
}
