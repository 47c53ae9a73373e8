//! The chunks of a table on their way: one thread fills them, another takes them over as they are, so that a row is
//! written once and stays where it was written (but for those of a chunk that is not full yet, of which a copy goes).

use bytemuck::Pod;

use super::chunks::{Chunk, Chunks, ROWS};
use super::piece::Piece;

/// Fills chunks of a table.
#[derive(Debug)]
pub(super) struct Filling<T: Pod> {
    /// Rows of the chunks that were handed over and are done with.
    before: usize,
    full: Vec<Piece<T>>,
    /// The chunk at hand.
    chunk: Piece<T>,
    /// So many of its rows were handed over.
    told: usize,
}

impl<T: Pod> Default for Filling<T> {
    fn default() -> Self {
        Self {
            before: 0,
            full: Vec::new(),
            chunk: Piece::default(),
            told: 0,
        }
    }
}

impl<T: Pod> Filling<T> {
    /// Adds a row.
    #[inline]
    pub(super) fn push(&mut self, row: T) {
        self.begin();
        self.put(row);
    }

    /// Makes ready for the next row; says whether a chunk begins with it.
    #[inline]
    pub(super) fn begin(&mut self) -> bool {
        let begins = !(1..ROWS).contains(&self.chunk.len());
        if begins {
            self.next_chunk();
        }
        begins
    }

    /// Adds the row that it was made ready for.
    #[inline]
    pub(super) fn put(&mut self, row: T) {
        self.chunk.push(row);
    }

    /// Begins a chunk, if the one at hand is full or there is none.
    #[cold]
    fn next_chunk(&mut self) {
        if self.chunk.is_empty() && self.chunk.room() > 0 {
            return;
        }
        let chunk = std::mem::replace(&mut self.chunk, Piece::with_room());
        if !chunk.is_empty() {
            self.full.push(chunk);
        }
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
            chunks.push(self.chunk.clone());
        }
        NewRows { start, chunks }
    }
}

/// Rows on their way into a table: whole chunks, and the beginning of another.
#[derive(Debug)]
pub(super) struct NewRows<T: Pod> {
    /// So many rows stand before them. Those of the table behind that are among them.
    start: usize,
    chunks: Vec<Piece<T>>,
}

impl<T: Pod> Default for NewRows<T> {
    fn default() -> Self {
        Self {
            start: 0,
            chunks: Vec::new(),
        }
    }
}

impl<T: Pod> NewRows<T> {
    /// Puts them into their table.
    pub(super) fn move_into(self, table: &mut Chunks<Piece<T>>) {
        table.take_over(self.start, self.chunks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out where so many rows are handed over at a time.
    fn through(steps: &[usize]) -> Chunks<Piece<usize>> {
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
}
