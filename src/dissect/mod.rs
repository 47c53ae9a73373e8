//! One frame as a tree of named fields, read again from the file with what the store knows about it.

mod carried;
mod finding;
pub mod grid;
mod handles;
mod info;
mod link;
pub mod listing;
mod message;
mod packed;
mod pdu;
mod plain;
pub mod render;
mod request;
mod secret;
pub mod smp;
pub mod stream;
mod tcp;
mod tls;
mod tree;
mod version;

pub use finding::CHECKED;

use std::ops::Range;

use crate::capture::FrameSource;
use crate::decode::field::Field;
use crate::decode::tds::message::Grid;
use crate::store::Store;
use crate::units::{ConnId, FrameNo, PduId};
use message::Index;
use stream::Frames;
use version::Spoken;

/// A frame, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameTree {
    /// The frame.
    pub frame: FrameNo,
    /// Its layers, outermost first.
    pub fields: Vec<Field>,
    /// Requests in it as T-SQL.
    pub sql: Vec<String>,
    /// Results in it as grids.
    pub grids: Vec<Grid>,
}

impl FrameTree {
    /// The first field with a name.
    pub fn find(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find_map(|field| field.find(name))
    }
}

/// How much of a frame is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The whole message that the frame holds a packet of, not only what lies in the frame.
    pub message: bool,
    /// Most rows that get fields.
    pub max_rows: usize,
    /// Most PDUs of the frame that are decoded.
    pub max_pdus: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            message: false,
            max_rows: 200,
            max_pdus: 64,
        }
    }
}

/// Messages whose packets are remembered.
const KEEP: usize = 16;

/// Decodes frames of one store and remembers how far long messages were read, so that neighbours open at once.
#[derive(Debug, Default)]
pub struct Dissector {
    kept: Vec<Index>,
    versions: Vec<(ConnId, Spoken)>,
    pdus: usize,
    packed: packed::Sessions,
    handles: handles::Handles,
}

impl Dissector {
    /// With nothing remembered.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of a frame; `None` if there is no such frame.
    pub fn frame(
        &mut self,
        store: &Store,
        source: &dyn FrameSource,
        no: FrameNo,
        options: &Options,
    ) -> Option<FrameTree> {
        tree::frame(self, &mut Frames::new(store, source), no, options)
    }

    /// The fields of one PDU, without those of the frame around it.
    pub fn pdu(
        &mut self,
        store: &Store,
        source: &dyn FrameSource,
        id: PduId,
        options: &Options,
    ) -> Vec<Field> {
        tree::pdu(self, &mut Frames::new(store, source), id, options)
    }

    /// The bytes of a PDU as far as they are in the file, secrets as zeros; with `body`, without the headers of SMP
    /// and TDS. `None` where nothing can be searched: encrypted or missing bytes.
    pub fn pdu_bytes(
        &mut self,
        store: &Store,
        source: &dyn FrameSource,
        id: PduId,
        body: bool,
    ) -> Option<Vec<u8>> {
        plain::bytes(self, &mut Frames::new(store, source), id, body)
    }

    /// A frame in a few words, for the list: what its PDUs are and carry.
    pub fn info_line(&mut self, store: &Store, source: &dyn FrameSource, no: FrameNo) -> String {
        info::line(self, &mut Frames::new(store, source), no)
    }

    /// What one PDU is and carries, in a few words.
    pub fn pdu_line(&mut self, store: &Store, source: &dyn FrameSource, id: PduId) -> String {
        info::pdu(self, &mut Frames::new(store, source), id)
    }

    /// A frame as the listing's last column shows it, in the manner of Network Monitor: every PDU with its numbers.
    pub fn listing_line(&mut self, store: &Store, source: &dyn FrameSource, no: FrameNo) -> String {
        listing::line(self, &mut Frames::new(store, source), no)
    }

    /// The bytes of a frame that must not be shown, found or copied: passwords, tokens, responses.
    pub fn secret_ranges(
        &mut self,
        store: &Store,
        source: &dyn FrameSource,
        no: FrameNo,
    ) -> Vec<Range<usize>> {
        secret::ranges(self, &mut Frames::new(store, source), no)
    }

    /// The TDS version of a connection.
    fn spoken(&mut self, frames: &mut Frames<'_>, id: ConnId) -> Option<Spoken> {
        if let Some((_, spoken)) = self.versions.iter().find(|(known, _)| *known == id) {
            return Some(*spoken);
        }
        let conn = frames.store.conn(id)?;
        let spoken = version::of(frames, conn);
        if self.versions.len() >= KEEP {
            self.versions.remove(0);
        }
        self.versions.push((id, spoken));
        Some(spoken)
    }

    /// The message that a PDU carries a packet of.
    fn index(&mut self, frames: &mut Frames<'_>, id: PduId) -> Option<&mut Index> {
        let store = frames.store;
        // A message whose end was not there yet may have grown with the capture.
        if self.pdus != store.pdu_count() {
            self.pdus = store.pdu_count();
            self.kept.retain(|index| index.has_end);
            self.versions.clear();
        }
        let known = self.kept.iter().position(|index| index.place(id).is_some());
        let index = if let Some(at) = known {
            self.kept.remove(at)
        } else {
            let spoken = self.spoken(frames, store.pdu(id)?.conn)?;
            let index = Index::find(store, id, spoken)?;
            if self.kept.len() >= KEEP {
                // The one that is read again with the least effort goes; of several the one not used for longest.
                let efforts = self.kept.iter().map(Index::effort).enumerate();
                let least = efforts.min_by_key(|(_, effort)| *effort);
                self.kept.remove(least.map_or(0, |(at, _)| at));
            }
            index
        };
        self.kept.push(index);
        self.kept.last_mut()
    }
}

/// The tree of a frame, without anything remembered before.
pub fn frame(
    store: &Store,
    source: &dyn FrameSource,
    no: FrameNo,
    options: &Options,
) -> Option<FrameTree> {
    Dissector::new().frame(store, source, no, options)
}

/// The bytes of a frame that must not be shown, found or copied.
pub fn secret_ranges(store: &Store, source: &dyn FrameSource, no: FrameNo) -> Vec<Range<usize>> {
    Dissector::new().secret_ranges(store, source, no)
}
