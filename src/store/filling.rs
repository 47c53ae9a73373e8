//! The chunks of a table on their way: one thread fills them, another takes them over as they are, so that a row is
//! written once and stays where it was written (but for those of a chunk that is not full yet, of which a copy goes).

use super::batch::RowPool;
use super::chunks::{Chunks, ROWS};

/// So many chunks are made ready for the thread that fills them.
const READY: usize = 8;
/// Bytes that the system gives at once.
const PAGE: usize = 4096;

/// Fills chunks of a table.
#[derive(Debug)]
pub(super) struct Filling<T> {
    /// Rows of the chunks that were handed over and are done with.
    before: usize,
    full: Vec<Vec<T>>,
    /// The chunk at hand.
    chunk: Vec<T>,
    /// So many of its rows were handed over.
    told: usize,
    pool: RowPool<T>,
}

impl<T> Default for Filling<T> {
    fn default() -> Self {
        Self {
            before: 0,
            full: Vec::new(),
            chunk: Vec::new(),
            told: 0,
            pool: RowPool::default(),
        }
    }
}

impl<T: Copy> Filling<T> {
    /// Adds a row.
    #[inline]
    pub(super) fn push(&mut self, row: T) {
        self.begin();
        self.put(row);
    }

    /// Makes ready for the next row; says whether a chunk begins with it.
    #[inline]
    pub(super) fn begin(&mut self) -> bool {
        // By its rows, not by its room: all chunks of a table but the last have the same number of rows.
        let begins = !(1..ROWS).contains(&self.chunk.len());
        if begins && !self.chunk.is_empty() {
            self.next_chunk();
        }
        begins
    }

    /// Adds the row that it was made ready for.
    #[inline]
    pub(super) fn put(&mut self, row: T) {
        self.chunk.push(row);
    }

    #[cold]
    fn next_chunk(&mut self) {
        let chunk = std::mem::replace(&mut self.chunk, self.pool.chunk());
        self.full.push(chunk);
        self.told = 0;
    }

    /// The rows that were added since this was asked last.
    pub(super) fn take(&mut self) -> NewRows<T> {
        if self.chunk.len() >= ROWS {
            self.next_chunk();
        }
        let start = self.before;
        let mut chunks = std::mem::take(&mut self.full);
        self.before = start.saturating_add(chunks.len().saturating_mul(ROWS));
        if self.chunk.len() > self.told {
            self.told = self.chunk.len();
            let mut copy = self.pool.chunk();
            copy.extend_from_slice(&self.chunk);
            chunks.push(copy);
        }
        NewRows {
            start,
            chunks,
            pool: Some(self.pool.clone()),
        }
    }
}

/// Rows on their way into a table: whole chunks, and the beginning of another.
#[derive(Debug)]
pub(super) struct NewRows<T> {
    /// So many rows stand before them. Those of the table behind that are among them.
    start: usize,
    chunks: Vec<Vec<T>>,
    pool: Option<RowPool<T>>,
}

impl<T> Default for NewRows<T> {
    fn default() -> Self {
        Self {
            start: 0,
            chunks: Vec::new(),
            pool: None,
        }
    }
}

impl<T: Copy + Default> NewRows<T> {
    /// Puts them into their table, and sees to it that there are as many chunks to fill again.
    pub(super) fn move_into(self, table: &mut Chunks<T>) {
        let taken = self.chunks.len();
        let replaced = table.take_over(self.start, self.chunks);
        if let Some(pool) = self.pool {
            pool.make_ready(taken, replaced);
        }
    }
}

impl<T> RowPool<T> {
    /// Memory for a chunk.
    fn chunk(&self) -> Vec<T> {
        let ready = self.waiting().pop();
        ready.unwrap_or_else(|| Vec::with_capacity(ROWS))
    }
}

impl<T: Copy + Default> RowPool<T> {
    /// Makes so many chunks ready to be filled, out of one that was used if there is one.
    fn make_ready(&self, chunks: usize, used: Option<Vec<T>>) {
        let there = self.waiting().len();
        let wanted = READY.saturating_sub(there).min(chunks);
        let fresh = std::iter::repeat_with(fresh_chunk);
        for mut chunk in used.into_iter().chain(fresh).take(wanted) {
            chunk.clear();
            self.waiting().push(chunk);
        }
    }
}

/// Memory for a chunk, of which something is written on every page: what it costs to get it from the system is to be
/// paid by this thread, not by the one that fills it.
fn fresh_chunk<T: Default>() -> Vec<T> {
    let mut chunk = Vec::with_capacity(ROWS);
    let rows_of_page = (PAGE / size_of::<T>().max(1)).max(1);
    for row in chunk.spare_capacity_mut().iter_mut().step_by(rows_of_page) {
        row.write(T::default());
    }
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out where so many rows are handed over at a time.
    fn through(steps: &[usize]) -> Chunks<usize> {
        let (mut filling, mut table) = (Filling::default(), Chunks::default());
        let mut next = 0..;
        for step in steps {
            next.by_ref().take(*step).for_each(|row| filling.push(row));
            filling.take().move_into(&mut table);
        }
        table
    }

    #[test]
    fn rows_stand_in_the_table_in_the_order_in_which_they_came() {
        for steps in [
            &[1, 0, 1, ROWS - 2, 0, 1][..],
            &[ROWS, 1, ROWS - 1, 2 * ROWS],
            &[3 * ROWS + 10, 5, 0, ROWS, ROWS - 15, 1],
            &[20, 20 * ROWS, 20],
        ] {
            let rows: usize = steps.iter().sum();
            let table = through(steps);
            assert_eq!(table.len(), rows);
            assert!(table.iter_from(0).copied().eq(0..rows));
            assert_eq!(table.get(rows - 1), Some(&(rows - 1)));
        }
    }

    #[test]
    fn no_more_memory_is_kept_than_the_rows_need_and_some_to_go_on() {
        let (mut filling, mut table) = (Filling::default(), Chunks::default());
        for row in 0..100 * ROWS {
            filling.push(row);
            if row % 1000 == 0 {
                filling.take().move_into(&mut table);
            }
        }
        assert!(filling.pool.waiting().len() <= READY);
        assert_eq!(table.memory(), 100 * ROWS * size_of::<usize>());
    }
}
