//! The connections of the capture: those that frames are read of, and what remains of those that ended long ago.
//!
//! A capture can hold millions of short connections. Whole, each costs more than a kilobyte; a place that one had is
//! used again when nobody needs it any more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::conn::{Conn, Remains, Way};
use super::view::Evidence;
use crate::decode::net::Segment;
use crate::store::chunks::Chunks;
use crate::store::{ConnRow, Endpoint, Protocol};
use crate::units::ConnId;

/// The view is judged by this many connections, the first ones.
const VIEW_CONNS: usize = 2000;

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Conns {
    whole: Chunks<Conn>,
    /// Places of connections that are not there any more.
    free: Vec<usize>,
    remains: Chunks<Option<Remains>>,
    free_remains: Vec<usize>,
    latest: Latest,
    for_view: Vec<ForView>,
    len: usize,
}

/// One of the connections that the view is judged by.
#[derive(Debug)]
enum ForView {
    /// It is whole, in this place.
    Whole(usize),
    /// What it showed.
    PutAway(Protocol, Box<Evidence>),
}

/// Where a connection is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Whole(u32),
    Remains(u32),
}

impl Conns {
    /// Connections so far.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The connection in a place.
    pub(super) fn get(&self, place: usize) -> Option<&Conn> {
        self.whole.get(place)
    }

    /// The connection in a place.
    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Conn> {
        self.whole.get_mut(place)
    }

    /// What those show that the view is judged by.
    pub(super) fn for_view(&self) -> impl Iterator<Item = (Protocol, &Evidence)> {
        self.for_view.iter().filter_map(|conn| match conn {
            ForView::Whole(place) => {
                let conn = self.whole.get(*place)?;
                Some((conn.row.protocol, &conn.evidence))
            }
            ForView::PutAway(protocol, evidence) => Some((*protocol, &**evidence)),
        })
    }

    /// The places of all that are whole, in the order of their numbers.
    pub(super) fn all_whole(&self) -> Vec<usize> {
        let mut all: Vec<_> = (0..)
            .zip(self.whole.iter_from(0))
            .map(|(place, conn)| (conn.row.id, place))
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, place)| place).collect()
    }

    /// The place of the latest incarnation of a segment's 4-tuple at a capture point, which is whole again if it was not.
    pub(super) fn latest(&mut self, segment: &Segment, interface: u32) -> Option<usize> {
        let tuple = ends(segment);
        let apart = self.latest.apart_at(tuple, interface);
        match self.latest.get(tuple, apart)? {
            Kept::Whole(place) => usize::try_from(place).ok(),
            Kept::Remains(at) => {
                let at = usize::try_from(at).ok()?;
                let mut conn = Conn::again(self.remains.get_mut(at)?.take()?);
                self.free_remains.push(at);
                let id = conn.row.id.index();
                if let Some(ForView::PutAway(_, evidence)) = self.for_view.get(id) {
                    conn.evidence = Evidence::clone(evidence);
                }
                let place = self.place(conn);
                if let Some(for_view) = self.for_view.get_mut(id) {
                    *for_view = ForView::Whole(place);
                }
                self.latest.put(tuple, apart, Kept::Whole(small(place)));
                Some(place)
            }
        }
    }

    /// Puts in a new connection, which `make` makes with its number; returns its place.
    pub(super) fn add(&mut self, segment: &Segment, make: impl FnOnce(ConnId) -> Conn) -> usize {
        let conn = make(ConnId::from_index(self.len));
        self.len = self.len.saturating_add(1);
        let apart = conn.row.apart.map(|interface| interface.0);
        let place = self.place(conn);
        if self.for_view.len() < VIEW_CONNS {
            self.for_view.push(ForView::Whole(place));
        }
        self.latest
            .put(ends(segment), apart, Kept::Whole(small(place)));
        place
    }

    /// Whether a segment's ports alone do not tell which connection it is of, as it depends on the capture point.
    pub(super) fn depends_on_point(&self, segment: &Segment) -> bool {
        self.latest.apart.contains_key(&in_order(ends(segment)))
    }

    fn place(&mut self, conn: Conn) -> usize {
        if let Some(place) = self.free.pop()
            && let Some(free) = self.whole.get_mut(place)
        {
            *free = conn;
            return place;
        }
        self.whole.push(conn);
        self.whole.len().saturating_sub(1)
    }

    /// Gives up the place of a connection that has ended, keeping what is needed should frames of it come late, with its
    /// row as it was just handed over. Returns whether it could; it stays in its place otherwise.
    pub(super) fn put_away(&mut self, place: usize, row: &Arc<ConnRow>) -> bool {
        let Some(conn) = self.whole.get_mut(place) else {
            return false;
        };
        let [a, b] = row.ends.0;
        // Nothing comes of one whose ports are used again.
        let apart = row.apart.map(|interface| interface.0);
        let is_latest = self.latest.get((a, b), apart) == Some(Kept::Whole(small(place)));
        let remains = if is_latest { conn.remains(row) } else { None };
        if is_latest && remains.is_none() {
            return false;
        }
        if let Some(for_view) = self.for_view.get_mut(row.id.index()) {
            let evidence = std::mem::take(&mut conn.evidence);
            *for_view = ForView::PutAway(row.protocol, Box::new(evidence));
        }
        if let Some(remains) = remains {
            let at = self.keep(remains);
            self.latest.put((a, b), apart, Kept::Remains(small(at)));
        }
        self.free.push(place);
        true
    }

    fn keep(&mut self, remains: Remains) -> usize {
        if let Some(at) = self.free_remains.pop()
            && let Some(free) = self.remains.get_mut(at)
        {
            *free = Some(remains);
            return at;
        }
        self.remains.push(Some(remains));
        self.remains.len().saturating_sub(1)
    }
}

/// No more connections are followed than 32 bits count.
fn small(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

type Ends = (Endpoint, Endpoint);

fn ends(segment: &Segment) -> Ends {
    let endpoint = |ip: IpAddr, port| Endpoint { ip, port };
    (
        endpoint(segment.ip.src, segment.src_port),
        endpoint(segment.ip.dst, segment.dst_port),
    )
}

/// The latest incarnation of each 4-tuple, by its ends in order, whoever sends.
#[derive(Debug, Default)]
struct Latest {
    /// Nearly all of them: with short numbers, which their very many take a quarter of the memory for.
    short: HashMap<Way, Kept>,
    long: HashMap<Ends, Kept>,
    /// Those of one capture point, which has other numbers than the others.
    apart: HashMap<Ends, Vec<(u32, Kept)>>,
}

impl Latest {
    /// The interface, if it has an incarnation of its own.
    fn apart_at(&self, ends: Ends, interface: u32) -> Option<u32> {
        let mut apart = self.apart.get(&in_order(ends))?.iter();
        apart.any(|(at, _)| *at == interface).then_some(interface)
    }

    fn get(&self, (a, b): Ends, apart: Option<u32>) -> Option<Kept> {
        if let Some(interface) = apart {
            let mut apart = self.apart.get(&in_order((a, b)))?.iter();
            return apart
                .find(|(at, _)| *at == interface)
                .map(|(_, kept)| *kept);
        }
        let way = Way::either(a, b);
        if way.tells_all() {
            self.short.get(&way).copied()
        } else {
            self.long.get(&in_order((a, b))).copied()
        }
    }

    fn put(&mut self, (a, b): Ends, apart: Option<u32>, kept: Kept) {
        if let Some(interface) = apart {
            let apart = self.apart.entry(in_order((a, b))).or_default();
            match apart.iter_mut().find(|(at, _)| *at == interface) {
                Some((_, place)) => *place = kept,
                None => apart.push((interface, kept)),
            }
            return;
        }
        let way = Way::either(a, b);
        if way.tells_all() {
            self.short.insert(way, kept);
        } else {
            self.long.insert(in_order((a, b)), kept);
        }
    }
}

fn in_order((a, b): Ends) -> Ends {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests;
