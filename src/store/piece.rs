//! Memory for the rows of a chunk, cut from stretches that the system gives in huge pages where it can: a table of
//! millions of rows would otherwise wait for it once every 4 KB.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use bytemuck::Pod;
use memmap2::{MmapMut, MmapOptions};

use super::chunks::{Chunk, ROWS};

/// Bytes of a huge page, and of the stretches that pieces are cut from.
const STRETCH: usize = 2 << 20;

type Bytes = &'static mut [u8];

/// By their size the pieces that no chunk has. They are not given back to the system: a capture that is indexed again
/// needs as many.
static FREE: Mutex<BTreeMap<usize, Vec<Bytes>>> = Mutex::new(BTreeMap::new());

fn take(size: usize) -> Bytes {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    // Of the first stretch most captures need little, so that it comes in small pages.
    let huge = free.contains_key(&size);
    let pieces = free.entry(size).or_default();
    if pieces.is_empty()
        && let Ok(stretch) = stretch(huge)
    {
        pieces.extend(stretch.chunks_exact_mut(size).rev());
    }
    let piece = pieces.pop();
    piece.unwrap_or_else(|| Box::leak(vec![0; size].into()))
}

fn give_back(piece: Bytes) {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    free.entry(piece.len()).or_default().push(piece);
}

/// A stretch that begins where a huge page does.
fn stretch(huge: bool) -> io::Result<Bytes> {
    let map = MmapOptions::new().len(2 * STRETCH).map_anon()?;
    if huge {
        advise(&map);
    }
    let map: &'static mut MmapMut = Box::leak(Box::new(map));
    let bytes: Bytes = &mut *map;
    let before = bytes.as_ptr().align_offset(STRETCH);
    let behind = bytes.get_mut(before..).unwrap_or_default();
    Ok(behind.get_mut(..STRETCH).unwrap_or_default())
}

#[cfg(target_os = "linux")]
fn advise(map: &MmapMut) {
    // Where there are no huge pages, small ones do.
    let _ = map.advise(memmap2::Advice::HugePage);
}

#[cfg(not(target_os = "linux"))]
fn advise(_: &MmapMut) {}

/// The rows of a chunk in such memory.
pub(super) struct Piece<T: Pod> {
    rows: &'static mut [T],
    len: usize,
}

impl<T: Pod> Chunk for Piece<T> {
    type Row = T;

    fn with_room() -> Self {
        let bytes = take(ROWS * size_of::<T>());
        Self {
            rows: bytemuck::try_cast_slice_mut(bytes).unwrap_or_default(),
            len: 0,
        }
    }

    #[inline]
    fn push(&mut self, row: T) {
        if let Some(place) = self.rows.get_mut(self.len) {
            *place = row;
            self.len = self.len.wrapping_add(1);
        }
    }

    fn room(&self) -> usize {
        self.rows.len()
    }
}

impl<T: Pod> Clone for Piece<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::with_room();
        copy.len = self.len;
        copy.copy_from_slice(self);
        copy
    }
}

/// One without room.
impl<T: Pod> Default for Piece<T> {
    fn default() -> Self {
        Self {
            rows: &mut [],
            len: 0,
        }
    }
}

impl<T: Pod> Drop for Piece<T> {
    fn drop(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        if !rows.is_empty()
            && let Ok(bytes) = bytemuck::try_cast_slice_mut(rows)
        {
            give_back(bytes);
        }
    }
}

impl<T: Pod> Deref for Piece<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        self.rows.get(..self.len).unwrap_or_default()
    }
}

impl<T: Pod> DerefMut for Piece<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.rows.get_mut(..self.len).unwrap_or_default()
    }
}

impl<T: Pod> fmt::Debug for Piece<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_takes_a_chunk_of_rows_and_is_used_again_by_the_next() {
        // A size that no other test asks for.
        type Row = [u64; 11];
        let full = || {
            let mut piece = Piece::<Row>::with_room();
            for row in 0..=u64::try_from(ROWS).unwrap() {
                piece.push([row; 11]);
            }
            assert_eq!(piece.len(), ROWS);
            assert!((0..).zip(&*piece).all(|(n, row)| *row == [n; 11]));
            piece.as_ptr()
        };
        let first = full();
        let two = [Piece::<Row>::with_room(), Piece::with_room()];
        assert_eq!(two[0].rows.as_ptr(), first);
        assert_ne!(two[1].rows.as_ptr(), first);
        assert!(two.iter().all(|piece| piece.is_empty()));
        // More than one stretch has.
        let many: Vec<_> = (0..20).map(|_| Piece::<Row>::with_room()).collect();
        assert!(many.iter().all(|piece| piece.room() == ROWS));
        assert_eq!(size_of_val(&*many[19].rows) % size_of::<Row>(), 0);
    }
}
