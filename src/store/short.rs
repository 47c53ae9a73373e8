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
    /// Adds an entry behind the others.
    #[inline]
    pub fn push(&mut self, value: T) {
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

    /// Adds an entry in front of the one at a place, or behind all.
    pub fn insert(&mut self, at: usize, value: T) {
        self.push(value);
        let entries = match self {
            Self::Few(few, len) => few.get_mut(..usize::from(*len)).unwrap_or_default(),
            Self::Many(many) => many,
        };
        if let Some(behind) = entries.get_mut(at..) {
            behind.rotate_right(1);
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
            for at in 0..=count {
                let mut list = list.clone();
                list.insert(at as usize, 99);
                let expected = (0..at).chain([99]).chain(at..count);
                assert!(list.as_slice().iter().copied().eq(expected));
            }
        }
    }
}
