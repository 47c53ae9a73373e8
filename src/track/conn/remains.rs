//! What is kept of a connection that was ended long ago, as long as its ports are not used again: enough to say of a
//! late frame what would be said of it if the connection were still there whole.

use std::sync::Arc;

use super::way::Way;
use super::which::Points;
use super::{Conn, Side};
use crate::decode::tds;
use crate::store::{ConnRow, Endpoint, TcpStats};
use crate::track::calm::Watch;
use crate::track::copies::Copies;
use crate::track::order::{Order, Positions};
use crate::track::view::Evidence;
use crate::units::{End, FrameNo, Nanos, PerEnd, TcpSeq};

/// A connection whose streams are read no more. Its row is the one that was handed over.
#[derive(Debug)]
pub(in crate::track) struct Remains {
    row: Arc<ConnRow>,
    sides: PerEnd<SideRemains>,
    closed_by: Option<FrameNo>,
    points: Points,
    watch_late: bool,
}

/// What is kept of a side beside its counts, which are in the row.
#[derive(Debug)]
struct SideRemains {
    positions: Positions,
    isn: Option<TcpSeq>,
    last_ack: Option<TcpSeq>,
    timed: Option<(TcpSeq, Nanos)>,
    unacked_since: Nanos,
    last: FrameNo,
    last_payload: FrameNo,
    ttl: Option<u8>,
    checksums: u8,
    closed: bool,
    probed: bool,
    /// Hardly any side sends something behind the end.
    copies: Option<Box<Copies>>,
}

impl Conn {
    /// Takes out what is to be kept of it, with its row as it was just handed over. `None` if it has not ended, or if
    /// there is more to it than is kept: it stays as it is then.
    pub(in crate::track) fn remains(&mut self, row: &Arc<ConnRow>) -> Option<Remains> {
        let [a, b] = &mut self.sides.0;
        let settled = self.ended && self.is_over && self.watch.is_stopped();
        if !settled || a.zero_since.is_some() || b.zero_since.is_some() {
            return None;
        }
        let (of_a, of_b) = (a.order.positions()?, b.order.positions()?);
        Some(Remains {
            row: Arc::clone(row),
            sides: PerEnd([SideRemains::new(a, of_a), SideRemains::new(b, of_b)]),
            closed_by: self.closed_by,
            points: self.points,
            watch_late: self.watch.is_late(),
        })
    }

    /// The connection again, but for its evidence of the view.
    pub(in crate::track) fn again(remains: Remains) -> Self {
        let row = Arc::unwrap_or_clone(remains.row);
        let [a, b] = remains.sides.0;
        let [tcp_a, tcp_b] = row.tcp.0;
        Self {
            points: remains.points,
            ways: ways(&row.ends),
            sides: PerEnd([a.side(End::A, tcp_a), b.side(End::B, tcp_b)]),
            deep: None,
            left: true,
            sql_port: uses_sql_port(&row.ends),
            steady: false,
            // It has no layers above the stream any more that could find some.
            violations: 0,
            closed_by: remains.closed_by,
            is_over: true,
            is_among_over: true,
            let_go: true,
            // Looked at only as long as there is no payload.
            earlier: None,
            listed: false,
            overtaken: None,
            evidence: Evidence::default(),
            watch: Watch::stopped(&row.calm, remains.watch_late),
            ended: true,
            row,
        }
    }
}

/// From each end to the other.
pub(super) fn ways(ends: &PerEnd<Endpoint>) -> PerEnd<Way> {
    let [a, b] = ends.0.map(|end| (end.ip, end.port));
    PerEnd([Way::new(a, b), Way::new(b, a)])
}

pub(super) fn uses_sql_port(ends: &PerEnd<Endpoint>) -> bool {
    ends.0.iter().any(|end| end.port == tds::PORT)
}

impl SideRemains {
    fn new(side: &mut Side, positions: Positions) -> Self {
        let copies = std::mem::take(&mut side.copies);
        Self {
            positions,
            isn: side.isn,
            last_ack: side.last_ack,
            timed: side.timed,
            unacked_since: side.unacked_since,
            last: side.last,
            last_payload: side.last_payload,
            ttl: side.ttl,
            checksums: side.checksums,
            closed: side.closed,
            probed: side.probed,
            copies: (!copies.is_empty()).then(|| Box::new(copies)),
        }
    }

    fn side(self, end: End, tcp: TcpStats) -> Side {
        Side {
            end,
            order: Order::at(self.positions, tcp.missing_bytes),
            isn: self.isn,
            last_ack: self.last_ack,
            timed: self.timed,
            unacked_since: self.unacked_since,
            stats: TcpStats {
                bytes: 0,
                missing_bytes: 0,
                ..tcp
            },
            last: self.last,
            last_payload: self.last_payload,
            ttl: self.ttl,
            checksums: self.checksums,
            closed: self.closed,
            zero_since: None,
            probed: self.probed,
            copies: self.copies.map_or_else(Copies::default, |copies| *copies),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_remains_of_a_connection_is_a_fraction_of_it() {
        assert!(size_of::<Remains>() * 4 < size_of::<Conn>());
    }
}
