//! The sessions of a connection: the latest life of each Sid.

use rustc_hash::FxHashMap;

use super::super::chain::Chain;
use super::super::out::Ctx;
use crate::units::Sid;

/// Each Sid's session, in the order in which they were first seen.
#[derive(Debug)]
pub(super) struct Sessions {
    pub(super) places: FxHashMap<Sid, usize>,
    #[expect(
        clippy::vec_box,
        reason = "a chain is large, and a list of them would hold room for three more where there is one"
    )]
    pub(super) chains: Vec<Box<Chain>>,
    /// The Sid of the last packet, and its place: mostly the next is of the same. Before the first, no place.
    pub(super) latest: (Sid, usize),
    /// Places of those with changed rows.
    pub(super) changed: Vec<usize>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            places: FxHashMap::default(),
            chains: Vec::new(),
            latest: (Sid(0), usize::MAX),
            changed: Vec::new(),
        }
    }
}

impl Sessions {
    pub(super) fn of(&self, sid: Sid) -> Option<(usize, &Chain)> {
        let place = *self.places.get(&sid)?;
        Some((place, self.chains.get(place)?))
    }

    /// As [`Sessions::of`], if the last packet was of the same.
    #[inline]
    pub(super) fn latest_of(&self, sid: Sid) -> Option<(usize, &Chain)> {
        let (latest, place) = self.latest;
        let chain = self.chains.get(place).filter(|_| latest == sid)?;
        Some((place, chain))
    }

    #[inline]
    pub(super) fn at(&mut self, place: usize) -> Option<&mut Chain> {
        self.chains.get_mut(place).map(Box::as_mut)
    }

    /// The session at a place, whose rows change now.
    #[inline]
    pub(super) fn change(&mut self, place: usize) -> Option<&mut Chain> {
        let chain = self.chains.get_mut(place)?.as_mut();
        if !chain.changed {
            chain.changed = true;
            self.changed.push(place);
        }
        Some(chain)
    }

    /// A life of a Sid begins, in place of the one before if there was one.
    pub(super) fn begin(&mut self, sid: Sid, chain: Chain, ctx: &mut Ctx<'_>) -> usize {
        let place = *self.places.entry(sid).or_insert(self.chains.len());
        self.changed.push(place);
        match self.chains.get_mut(place) {
            Some(old) => {
                old.flush(ctx);
                **old = chain;
            }
            None => self.chains.push(Box::new(chain)),
        }
        place
    }
}
