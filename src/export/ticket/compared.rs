//! What the captures of both ends of the connections say about each other.

use super::told;
use crate::export::job::Job;
use crate::report::words;
use crate::rules::BothEnds;
use crate::store::Store;
use crate::units::{ConnId, Side};

/// The connections that the page tells of, each with what the captures of both its ends say about each other, where they
/// are there.
pub(super) struct Compared(Vec<(ConnId, Option<BothEnds>)>);

impl Compared {
    pub(super) fn of(job: &Job<'_>) -> Self {
        let store = job.store;
        let ends = |id| BothEnds::of(store, store.conn(id)?);
        Self(told(job).into_iter().map(|id| (id, ends(id))).collect())
    }

    fn both(&self) -> impl Iterator<Item = (ConnId, &BothEnds)> {
        self.0
            .iter()
            .filter_map(|(id, ends)| Some((*id, ends.as_ref()?)))
    }

    fn any(&self) -> bool {
        self.both().next().is_some()
    }

    /// The end that a file was taken on, if all connections say the same of it.
    pub(super) fn side_of_file(&self, store: &Store, file: usize) -> Option<Side> {
        let mut sides = self.both().map(|(_, ends)| ends.side_of_file(store, file));
        let first = sides.next()??;
        sides.all(|side| side == Some(first)).then_some(first)
    }

    /// How far the clocks of the two files are apart.
    pub(super) fn clocks(&self, store: &Store) -> Option<String> {
        let near = |side| {
            let mut files = store.files().iter();
            files.find(|file| self.side_of_file(store, file.index) == Some(side))
        };
        let (client, server) = (near(Side::Client)?, near(Side::Server)?);
        let (conn, ahead) = self.both().find_map(|(id, ends)| Some((id, ends.clock?)))?;
        let us = ahead.unsigned_abs() / 1000;
        Some(format!(
            "clocks: that of {} is {}.{:06} s {} that of {} (measured on connection {conn}, the way there taken as \
             long as the way back)",
            words::file_name(&server.path),
            us / 1_000_000,
            us % 1_000_000,
            if ahead < 0 { "behind" } else { "ahead of" },
            words::file_name(&client.path),
        ))
    }

    /// That a connection is there as one of its ends saw it, where that is so; with `named`, which ones.
    pub(super) fn alone(&self, named: bool) -> Option<String> {
        let alone: Vec<_> = self
            .0
            .iter()
            .filter(|(_, ends)| ends.is_none())
            .map(|(id, _)| id.to_string())
            .collect();
        let what = "The other end's capture was not looked at";
        match alone.as_slice() {
            [] if !self.0.is_empty() => None,
            _ if named && self.any() => {
                let word = if alone.len() == 1 {
                    "connection"
                } else {
                    "connections"
                };
                Some(format!("{what} for {word} {}.", alone.join(", ")))
            }
            _ => Some(format!("{what}.")),
        }
    }
}
