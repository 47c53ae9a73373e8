//! Where the files of a capture stand to the ends of a connection, and how far their clocks are apart, for reports.

use rustc_hash::FxHashMap;

use super::ends::{Key, LEAST_PAIRS, Piece, Point, pieces, points};
use crate::store::{ConnRow, Store, TcpFlags};
use crate::units::{InterfaceId, Nanos, PerSide, Side};

/// What segments that are at two points of a connection say about these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BothEnds {
    /// The interfaces nearer to each side.
    near: PerSide<Vec<InterfaceId>>,
    /// How far the clock near the server is ahead of the one near the client, in nanoseconds, if the way there takes as
    /// long as the way back; `None` where too few segments are at both.
    pub clock: Option<i64>,
}

impl BothEnds {
    /// Compares the points of a connection; `None` where the capture does not show it near both of its ends.
    pub fn of(store: &Store, conn: &ConnRow) -> Option<Self> {
        if store.interfaces().len() < 2 {
            return None;
        }
        let (interfaces, pieces) = pieces(store, conn, &PerSide::default());
        let points = points(&pieces, interfaces.len());
        let near = PerSide(Side::BOTH.map(|side| {
            let at = interfaces.iter().zip(&points);
            at.filter(|(_, point)| **point == Point::Near(side))
                .map(|(id, _)| *id)
                .collect::<Vec<_>>()
        }));
        let both = near.0.iter().all(|interfaces| !interfaces.is_empty());
        both.then(|| Self {
            clock: clock(&pieces, &points),
            near,
        })
    }

    /// The side that a file's frames of the connection were captured near to; `None` where they were captured near both,
    /// or it is not known.
    pub fn side_of_file(&self, store: &Store, file: usize) -> Option<Side> {
        let in_file = |id: &InterfaceId| store.interface(*id).is_some_and(|row| row.file == file);
        let [client, server] = Side::BOTH.map(|side| self.near.get(side).iter().any(in_file));
        match (client, server) {
            (true, false) => Some(Side::Client),
            (false, true) => Some(Side::Server),
            _ => None,
        }
    }
}

/// How often a segment was seen at a point.
#[derive(Debug, Clone, Copy, Default)]
enum Seen {
    #[default]
    Never,
    Once(Nanos),
    Often,
}

impl Seen {
    fn add(&mut self, time: Nanos) {
        *self = match self {
            Self::Never => Self::Once(time),
            Self::Once(_) | Self::Often => Self::Often,
        };
    }
}

/// The difference of the clocks: the segment of each direction that was fastest tells it best, as every delay makes
/// those of the client come later at the server, and those of the server earlier there than at the client.
fn clock(pieces: &[Piece], points: &[Point]) -> Option<i64> {
    // Of segments that look the same it is not known which at the one point is which at the other.
    let mut seen: FxHashMap<Key, PerSide<Seen>> = FxHashMap::default();
    for piece in pieces.iter().filter(|p| !TcpFlags(p.key.flags).rst()) {
        if let Some(Point::Near(side)) = points.get(piece.at) {
            seen.entry(piece.key)
                .or_default()
                .get_mut(*side)
                .add(piece.time);
        }
    }
    let mut fastest: PerSide<Option<i64>> = PerSide::default();
    let mut pairs: PerSide<u32> = PerSide::default();
    for (key, times) in &seen {
        let [Seen::Once(client), Seen::Once(server)] = times.0 else {
            continue;
        };
        let ahead = server.since(client);
        let best = fastest.get_mut(key.side);
        *best = Some(match (*best, key.side) {
            (None, _) => ahead,
            (Some(best), Side::Client) => best.min(ahead),
            (Some(best), Side::Server) => best.max(ahead),
        });
        let pairs = pairs.get_mut(key.side);
        *pairs = pairs.saturating_add(1);
    }
    let [Some(client), Some(server)] = fastest.0 else {
        return None;
    };
    let enough = pairs.0.iter().all(|pairs| *pairs >= LEAST_PAIRS);
    enough.then(|| client.midpoint(server))
}
