//! What the indexing pass hands over: rows that are new or changed since the batch before.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    ConnRow, FileRow, InterfaceRow, NewFrames, NewPdus, Problem, RequestRow, SessionRow, Stall,
    View, ViolationRow,
};
use crate::units::{FrameNo, RequestId};

/// New and changed rows of one stretch of the capture. Frames, PDUs, violations, problems and interfaces are
/// appended; connections, sessions, requests and files replace the row with their number or come next.
#[derive(Debug, Default)]
pub struct Batch {
    /// New frames, in file order.
    pub frames: NewFrames,
    /// New PDUs, in order of completion.
    pub pdus: NewPdus,
    /// New and changed connections, by number.
    pub conns: Rows<Arc<ConnRow>>,
    /// New and changed sessions, by number.
    pub sessions: Rows<SessionRow>,
    /// New requests, by number, and behind them those before that have changed.
    pub requests: Rows<RequestRow>,
    /// New texts of requests, by number.
    pub texts: Vec<Arc<str>>,
    /// Attentions to requests that were over.
    pub late_attentions: Vec<LateAttention>,
    /// Times of requests, of this batch or before, that were measured at one of several points.
    pub request_times: Vec<RequestTimes>,
    /// Stalls of sessions, of this batch or before, that were measured at one of several points.
    pub stalls: Vec<Stall>,
    /// New results of the SMP checks.
    pub violations: Vec<ViolationRow>,
    /// New problems of the file.
    pub problems: Vec<Problem>,
    /// New interfaces.
    pub interfaces: Vec<InterfaceRow>,
    /// New and changed files.
    pub files: Vec<FileRow>,
    /// Which end the capture was taken on, once there is evidence.
    pub view: Option<(View, Vec<String>)>,
    /// How far the pass has come with this batch.
    pub progress: Progress,
}

/// An attention, or its acknowledgement, that comes when its request is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LateAttention {
    /// The request, of this batch or one before.
    pub request: RequestId,
    /// The frame of the attention, if that is it.
    pub attention: Option<FrameNo>,
    /// The frame that acknowledges it, if that is it.
    pub acknowledgement: Option<FrameNo>,
}

/// Times of a request between frames of one capture point, where several show its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTimes {
    /// The request.
    pub request: RequestId,
    /// In the place of [`RequestRow::first_byte_ns`]; `None` if no point has both frames.
    pub first_byte_ns: Option<i64>,
    /// In the place of [`RequestRow::duration_ns`], likewise.
    pub duration_ns: Option<i64>,
}

/// How far the indexing pass has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the capture read so far.
    pub bytes_done: u64,
    /// Bytes there are, as far as is known.
    pub bytes_total: u64,
    /// All that has arrived so far is read, and more may come: a growing file, or standard input.
    pub caught_up: bool,
    /// The pass has reached the end (or gave up, see `stopped`).
    pub complete: bool,
    /// Why the pass ended before the end of the capture, if it did.
    pub stopped: Option<String>,
}

/// Rows on their way from one thread to the other. Their memory goes back to where it came from when they are dropped:
/// fresh memory for every batch would cost as much as filling it does.
#[derive(Debug)]
pub struct Rows<T> {
    rows: Vec<T>,
    home: Option<RowPool<T>>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            home: None,
        }
    }
}

impl<T> Deref for Rows<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.rows
    }
}

impl<T> DerefMut for Rows<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.rows
    }
}

impl<T> FromIterator<T> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = T>>(rows: I) -> Self {
        Self {
            rows: rows.into_iter().collect(),
            home: None,
        }
    }
}

impl<T> Drop for Rows<T> {
    fn drop(&mut self) {
        if let Some(home) = self.home.take() {
            let mut rows = std::mem::take(&mut self.rows);
            rows.clear();
            home.waiting().push(rows);
        }
    }
}

/// Memory that waits to be filled again: as much as there were batches on their way at once.
#[derive(Debug)]
pub struct RowPool<T>(Arc<Mutex<Vec<Vec<T>>>>);

impl<T> Default for RowPool<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for RowPool<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> RowPool<T> {
    /// So many rows of a kind a batch may well have.
    const USUAL: usize = 512;

    /// No rows, with room for some.
    pub fn rows(&self) -> Rows<T> {
        let waiting = self.waiting().pop();
        Rows {
            rows: waiting.unwrap_or_else(|| Vec::with_capacity(Self::USUAL)),
            home: Some(self.clone()),
        }
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Vec<Vec<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_rows_that_are_done_with_is_used_again() {
        let pool = RowPool::default();
        let mut first = pool.rows();
        first.extend(0..100);
        let room = first.capacity();
        drop(first);
        let again = pool.rows();
        assert!(again.is_empty());
        assert_eq!(again.capacity(), room);
    }
}
