//! What several connections share, gathered once before they are judged one by one.

use std::net::IpAddr;

use rustc_hash::FxHashMap;

use crate::store::{ConnRow, Endpoint, Store};
use crate::units::{ConnId, FrameNo, InterfaceId, Nanos, Side};

/// So many frames of a connection's end tell at which points it was captured.
const LAST_FRAMES: usize = 16;

/// Indexes over the whole capture that single connections ask.
#[derive(Debug, Default)]
pub(in crate::rules) struct Shared {
    violations: FxHashMap<ConnId, Vec<usize>>,
    /// Times at which each server answered a SYN, in order.
    syn_answers: FxHashMap<Endpoint, Vec<Nanos>>,
    /// From when to when each capture point showed frames of each server's connections; empty where there is one point.
    points: FxHashMap<IpAddr, Vec<(InterfaceId, Nanos, Nanos)>>,
    /// Time of the last frame of the file.
    pub file_end: Option<Nanos>,
    /// The same of each interface, where several show the same frames.
    pub ends_at: FxHashMap<InterfaceId, Nanos>,
}

impl Shared {
    pub(in crate::rules) fn new(store: &Store) -> Self {
        let mut out = Self {
            file_end: store.end_time(),
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
        if store.conns().iter().any(|conn| conn.copied) {
            store.each_frame(FrameNo(1), usize::MAX, |_, row| {
                out.ends_at.insert(row.interface, row.time);
            });
        }
        if store.interfaces().len() > 1 {
            for conn in store.conns() {
                out.note_points(store, conn);
            }
        }
        out
    }

    fn note_points(&mut self, store: &Store, conn: &ConnRow) {
        let seen = self
            .points
            .entry(conn.endpoint(Side::Server).ip)
            .or_default();
        let last = store.conn_frames_back(conn.id).take(LAST_FRAMES);
        // What the client sent first stands first at its point, the server's answer at the server's.
        let first = [Some(conn.first_frame), conn.syn_ack_frame];
        let first = first.into_iter().flatten().filter_map(|no| store.frame(no));
        for row in last.map(|(_, row)| row).chain(first) {
            match seen.iter_mut().find(|(point, ..)| *point == row.interface) {
                Some((_, from, to)) => {
                    *from = (*from).min(row.time);
                    *to = (*to).max(row.time);
                }
                None => seen.push((row.interface, row.time, row.time)),
            }
        }
    }

    /// The capture points that showed frames of a server's connections before and after a time.
    pub(in crate::rules) fn points_at(&self, server: IpAddr, time: Nanos) -> Vec<InterfaceId> {
        let seen = self.points.get(&server).map_or(&[][..], Vec::as_slice);
        seen.iter()
            .filter(|(_, from, to)| *from <= time && time <= *to)
            .map(|(point, ..)| *point)
            .collect()
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
