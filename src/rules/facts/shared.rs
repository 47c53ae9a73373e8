//! What several connections share, gathered once before they are judged one by one.

use rustc_hash::FxHashMap;

use crate::store::{Endpoint, Store};
use crate::units::{ConnId, Nanos, Side};

/// Indexes over the whole capture that single connections ask.
#[derive(Debug, Default)]
pub(in crate::rules) struct Shared {
    violations: FxHashMap<ConnId, Vec<usize>>,
    /// Times at which each server answered a SYN, in order.
    syn_answers: FxHashMap<Endpoint, Vec<Nanos>>,
    /// Time of the last frame of the file.
    pub file_end: Option<Nanos>,
}

impl Shared {
    pub(in crate::rules) fn new(store: &Store) -> Self {
        let mut out = Self {
            file_end: store
                .last_frame()
                .and_then(|no| store.frame(no))
                .map(|row| row.time),
            ..Self::default()
        };
        for (at, violation) in store.violations().iter().enumerate() {
            out.violations.entry(violation.conn).or_default().push(at);
        }
        for conn in store.conns() {
            if let Some(row) = conn.syn_ack_frame.and_then(|no| store.frame(no)) {
                let server = *conn.endpoint(Side::Server);
                out.syn_answers.entry(server).or_default().push(row.time);
            }
        }
        for times in out.syn_answers.values_mut() {
            times.sort_unstable();
        }
        out
    }

    /// Which violations belong to a connection, as positions in the store's list.
    pub(in crate::rules) fn violations_of(&self, conn: ConnId) -> &[usize] {
        self.violations.get(&conn).map_or(&[], Vec::as_slice)
    }

    /// How many SYNs a server answered around a time.
    pub(in crate::rules) fn answered_syns(
        &self,
        server: &Endpoint,
        at: Nanos,
        within: i64,
    ) -> usize {
        let times = self.syn_answers.get(server).map_or(&[][..], Vec::as_slice);
        let low = times.partition_point(|t| t.0 < at.0.saturating_sub(within));
        let high = times.partition_point(|t| t.0 <= at.0.saturating_add(within));
        high.saturating_sub(low)
    }
}
