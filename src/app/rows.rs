//! The rows of the frame list: all frames, or those that the filter lets through.

use crate::store::Store;
use crate::units::FrameNo;

/// Which frames are shown, in file order.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    hits: Option<Vec<FrameNo>>,
}

impl Rows {
    /// All frames.
    pub fn all() -> Self {
        Self::default()
    }

    /// The frames given, which are in file order.
    pub fn only(hits: Vec<FrameNo>) -> Self {
        Self { hits: Some(hits) }
    }

    /// Whether a filter decides.
    pub fn is_filtered(&self) -> bool {
        self.hits.is_some()
    }

    /// Further frames that match, behind those there are.
    pub fn extend(&mut self, more: impl IntoIterator<Item = FrameNo>) {
        if let Some(hits) = &mut self.hits {
            hits.extend(more);
        }
    }

    /// How many rows there are.
    pub fn len(&self, store: &Store) -> usize {
        self.hits.as_ref().map_or(store.frame_count(), Vec::len)
    }

    /// The frame in a row.
    pub fn at(&self, store: &Store, row: usize) -> Option<FrameNo> {
        match &self.hits {
            Some(hits) => hits.get(row).copied(),
            None => (row < store.frame_count()).then(|| FrameNo::from_index(row)),
        }
    }

    /// The row of a frame, or of the first shown frame behind it.
    pub fn row_of(&self, frame: FrameNo) -> usize {
        match &self.hits {
            Some(hits) => hits.partition_point(|hit| *hit < frame),
            None => frame.index(),
        }
    }

    /// Whether a frame is shown.
    pub fn contains(&self, store: &Store, frame: FrameNo) -> bool {
        self.at(store, self.row_of(frame)) == Some(frame)
    }

    /// The shown frame that is nearest to a frame.
    pub fn nearest(&self, store: &Store, frame: FrameNo) -> Option<FrameNo> {
        let row = self.row_of(frame);
        let behind = self.at(store, row);
        if behind == Some(frame) {
            return behind;
        }
        let before = row
            .min(self.len(store))
            .checked_sub(1)
            .and_then(|row| self.at(store, row));
        match (before, behind) {
            (Some(before), Some(behind)) => {
                let nearer = frame.0.abs_diff(before.0) <= frame.0.abs_diff(behind.0);
                Some(if nearer { before } else { behind })
            }
            (one, other) => one.or(other),
        }
    }

    /// The shown frames that follow a frame, or stand before it, nearest first.
    pub fn walk<'a>(
        &'a self,
        store: &'a Store,
        from: FrameNo,
        forward: bool,
    ) -> impl Iterator<Item = FrameNo> + 'a {
        let row = self.row_of(from);
        let mut next = if forward {
            let here = self.at(store, row) == Some(from);
            Some(row.saturating_add(usize::from(here)))
        } else {
            row.min(self.len(store)).checked_sub(1)
        };
        std::iter::from_fn(move || {
            let row = next?;
            next = if forward {
                row.checked_add(1)
            } else {
                row.checked_sub(1)
            };
            self.at(store, row)
        })
    }
}
