//! A list that mostly has few entries, which it then holds without memory of its own.

/// Up to `N` entries beside the length, more of them in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Short<T, const N: usize> {
    /// The first so many of these.
    Few([T; N], u8),
    /// More than fit there.
    Many(Vec<T>),
}

impl<T: Copy + Default, const N: usize> Default for Short<T, N> {
    fn default() -> Self {
        Self::Few([T::default(); N], 0)
    }
}

impl<T: Copy + Default, const N: usize> Short<T, N> {
    const FITS: () = assert!(N <= 255, "the length is a byte");

    /// Adds an entry behind the others.
    #[inline]
    pub fn push(&mut self, value: T) {
        let () = Self::FITS;
        match self {
            Self::Few(few, len) => {
                if let Some(slot) = few.get_mut(usize::from(*len)) {
                    *slot = value;
                    *len = len.saturating_add(1);
                } else {
                    // Where more than the usual few come, it is often several times as many.
                    let mut many = Vec::with_capacity(N.saturating_mul(4));
                    many.extend_from_slice(few);
                    many.push(value);
                    *self = Self::Many(many);
                }
            }
            Self::Many(many) => many.push(value),
        }
    }

    /// Puts the entries in order, each once.
    pub fn sort_dedup(&mut self)
    where
        T: Ord,
    {
        self.as_mut_slice().sort_unstable();
        let sorted = std::mem::take(self);
        for value in sorted.as_slice() {
            if self.as_slice().last() != Some(value) {
                self.push(*value);
            }
        }
    }

    /// Bytes that it holds beside its own.
    pub fn memory(&self) -> usize {
        match self {
            Self::Few(..) => 0,
            Self::Many(many) => many.capacity().saturating_mul(size_of::<T>()),
        }
    }

    /// Gives back what it holds in reserve.
    pub fn shrink_to_fit(&mut self) {
        if let Self::Many(many) = self {
            many.shrink_to_fit();
        }
    }

    /// All entries, to change them.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Self::Few(few, len) => few.get_mut(..usize::from(*len)).unwrap_or_default(),
            Self::Many(many) => many,
        }
    }

    /// All entries.
    #[inline]
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::Few(few, len) => few.get(..usize::from(*len)).unwrap_or_default(),
            Self::Many(many) => many,
        }
    }
}

impl<T: Copy + Default, const N: usize> Extend<T> for Short<T, N> {
    #[inline]
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        for value in values {
            self.push(value);
        }
    }
}

impl<T: Copy + Default, const N: usize> FromIterator<T> for Short<T, N> {
    #[inline]
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut out = Self::default();
        out.extend(values);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_in_their_order_whether_few_or_many() {
        for count in 0..9_u32 {
            let list: Short<u32, 3> = (0..count).collect();
            assert!(list.as_slice().iter().copied().eq(0..count));
            assert_eq!(matches!(list, Short::Many(_)), count > 3);
            let mut twice: Short<u32, 3> = (0..count).rev().chain(0..count).collect();
            twice.sort_dedup();
            assert!(twice.as_slice().iter().copied().eq(0..count));
        }
    }
}
