//! A value for each session of a connection.

use crate::store::Store;
use crate::units::{ConnId, SessionId};

/// Values by session: a connection's sessions have numbers that lie close together.
#[derive(Debug, Default)]
pub(super) struct BySession<T> {
    first: u32,
    values: Vec<T>,
}

impl<T: Clone> BySession<T> {
    /// The same value for all sessions of a connection.
    pub(super) fn new(store: &Store, conn: ConnId, value: T) -> Self {
        // They are numbered as they are opened.
        let all = store.conn_session_ids(conn);
        let (Some(first), Some(last)) = (all.first(), all.last()) else {
            return Self {
                first: 0,
                values: Vec::new(),
            };
        };
        let len = last.index().saturating_sub(first.index());
        Self {
            first: first.0,
            values: vec![value; len.saturating_add(1)],
        }
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&T> {
        self.values.get(self.at(id)?)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut T> {
        let at = self.at(id)?;
        self.values.get_mut(at)
    }

    fn at(&self, id: SessionId) -> Option<usize> {
        usize::try_from(id.0.checked_sub(self.first)?).ok()
    }
}
