//! What few rows of a table have beside it, and how a row says that it is one of them.

/// In the place of a distance: it is a greater one, and what lies there is kept beside.
pub(super) const FAR: u16 = u16::MAX;

/// How far in front of `here` a row is, both by their numbers, or that it is far; `None` if it is not in front.
#[inline]
pub(super) fn distance(here: u32, before: u32) -> Option<u16> {
    let distance = here.checked_sub(before)?;
    (distance > 0).then(|| u16::try_from(distance).unwrap_or(FAR))
}

/// Values by the indices of their rows, which rise.
#[derive(Debug)]
pub(super) struct Few<T>(Vec<(usize, T)>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Few<T> {
    /// Of a row behind all that have one so far.
    #[inline]
    pub(super) fn push(&mut self, index: usize, value: T) {
        self.0.push((index, value));
    }

    /// Those of rows behind all that have one so far.
    pub(super) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(super) fn get(&self, index: usize) -> Option<T> {
        let place = self.0.binary_search_by_key(&index, |(index, _)| *index);
        self.0.get(place.ok()?).map(|(_, value)| *value)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes that they hold.
    pub(super) fn memory(&self) -> usize {
        size_of::<(usize, T)>().saturating_mul(self.0.capacity())
    }
}
