//! Decoded fields for filters, read again from the capture.

use std::cell::RefCell;
use std::fmt;

use super::Decode;
use crate::capture::FrameSource;
use crate::decode::field::Field;
use crate::dissect::{Dissector, Options};
use crate::store::Store;
use crate::units::{FrameNo, PduId};

/// Decodes the frames of a capture that filters ask for.
pub struct Dissected<'a> {
    source: &'a dyn FrameSource,
    dissector: RefCell<Dissector>,
}

impl<'a> Dissected<'a> {
    /// Over the capture's bytes.
    pub fn new(source: &'a dyn FrameSource) -> Self {
        Self {
            source,
            dissector: RefCell::new(Dissector::new()),
        }
    }
}

impl fmt::Debug for Dissected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dissected")
    }
}

impl Decode for Dissected<'_> {
    fn fields(&self, store: &Store, frame: FrameNo, _pdu: Option<PduId>) -> Vec<Field> {
        let mut dissector = self.dissector.borrow_mut();
        dissector
            .frame(store, self.source, frame, &Options::default())
            .map_or_else(Vec::new, |tree| tree.fields)
    }
}
