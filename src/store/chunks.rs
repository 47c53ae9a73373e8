//! A table that grows without ever moving its rows: chunks of a fixed number of rows.

/// Rows of a chunk.
pub(crate) const ROWS: usize = 4096;

/// Rows in chunks, so that growth costs neither a copy of the table nor twice its memory.
#[derive(Debug)]
pub(crate) struct Chunks<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Chunks<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that the chunks hold.
    pub(crate) fn memory(&self) -> usize {
        let rows: usize = self.chunks.iter().map(Vec::capacity).sum();
        rows.saturating_mul(size_of::<T>())
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / ROWS)?.get(index % ROWS)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / ROWS)?.get_mut(index % ROWS)
    }

    #[inline]
    pub(crate) fn push(&mut self, row: T) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < ROWS => chunk.push(row),
            _ => {
                let mut chunk = Vec::with_capacity(ROWS);
                chunk.push(row);
                self.chunks.push(chunk);
            }
        }
        self.len = self.len.saturating_add(1);
    }

    /// Takes over chunks, all but the last of them full, in place of the rows from `start` on, with which a chunk begins.
    /// Returns the chunk that was there, if there was one.
    pub(crate) fn take_over(&mut self, start: usize, chunks: Vec<Vec<T>>) -> Option<Vec<T>> {
        let kept = start / ROWS;
        if chunks.is_empty() || self.chunks.len() < kept {
            debug_assert!(chunks.is_empty(), "rows arrive in their order");
            return None;
        }
        let replaced = self.chunks.drain(kept..).next();
        self.chunks.extend(chunks);
        let last = self.chunks.last().map_or(0, Vec::len);
        let full = self.chunks.len().saturating_sub(1);
        self.len = full.saturating_mul(ROWS).saturating_add(last);
        replaced
    }

    /// Gives back what the last chunk holds in reserve.
    pub(crate) fn shrink_to_fit(&mut self) {
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.shrink_to_fit();
        }
    }

    pub(crate) fn iter_from(&self, start: usize) -> impl Iterator<Item = &T> + Clone {
        let first = start / ROWS;
        let skip = start % ROWS;
        self.chunks
            .get(first..)
            .unwrap_or_default()
            .iter()
            .flatten()
            .skip(skip)
    }

    /// Calls `f` with the rows from one index to another, and their indices; a loop over slices, which scans need to be
    /// fast.
    #[expect(
        clippy::inline_always,
        reason = "in a scan's loop only what the scan looks at is unpacked"
    )]
    #[inline(always)]
    pub(crate) fn each(&self, start: usize, end: usize, mut f: impl FnMut(usize, &T)) {
        let mut index = start;
        while index < end {
            let rows = self
                .chunks
                .get(index / ROWS)
                .and_then(|rows| rows.get(index % ROWS..))
                .unwrap_or_default();
            if rows.is_empty() {
                return;
            }
            for row in rows.iter().take(end.saturating_sub(index)) {
                f(index, row);
                index = index.saturating_add(1);
            }
        }
    }

    /// The first index whose row does not satisfy the predicate; the rows that do must come first.
    pub(crate) fn partition_point(&self, holds: impl Fn(&T) -> bool) -> usize {
        let chunk = self
            .chunks
            .partition_point(|chunk| chunk.last().is_some_and(&holds));
        let inside = self
            .chunks
            .get(chunk)
            .map_or(0, |rows| rows.partition_point(holds));
        chunk
            .saturating_mul(ROWS)
            .saturating_add(inside)
            .min(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_index_across_chunk_borders() {
        let mut table = Chunks::default();
        (0..ROWS + 10).for_each(|row| table.push(row));
        let chunk = |from: usize| (from..from + ROWS).collect();
        let replaced = table.take_over(ROWS, vec![chunk(ROWS), chunk(2 * ROWS)]);
        assert!(replaced.is_some_and(|rows| rows.into_iter().eq(ROWS..ROWS + 10)));
        assert_eq!(table.len(), 3 * ROWS);
        assert_eq!(table.get(ROWS), Some(&ROWS));
        assert_eq!(
            table
                .iter_from(ROWS - 1)
                .copied()
                .take(3)
                .collect::<Vec<_>>(),
            vec![ROWS - 1, ROWS, ROWS + 1]
        );
        assert_eq!(table.partition_point(|v| *v < 2 * ROWS + 5), 2 * ROWS + 5);
        assert_eq!(table.partition_point(|_| true), 3 * ROWS);
        assert_eq!(table.partition_point(|_| false), 0);
    }
}
