//! Decodes frames for filters, with what is remembered between neighbours.

use std::cell::RefCell;
use std::fmt;

use super::eval::Decode;
use crate::capture::FrameSource;
use crate::decode::field::Field;
use crate::dissect::{Dissector, Options};
use crate::store::Store;
use crate::units::{FrameNo, PduId};

/// Rows of an answer that get fields.
const MAX_ROWS: usize = 10_000;
/// PDUs of a frame that are decoded.
const MAX_PDUS: usize = 4096;

/// Decodes frames of a capture. Each thread needs one of its own.
pub struct Dissected<'a> {
    source: &'a dyn FrameSource,
    dissector: RefCell<Dissector>,
}

impl<'a> Dissected<'a> {
    /// Reads frames from a capture.
    pub fn new(source: &'a dyn FrameSource) -> Self {
        Self {
            source,
            dissector: RefCell::new(Dissector::new()),
        }
    }

    /// The bytes of a PDU for searching; secrets are zeros.
    pub(super) fn bytes(&self, store: &Store, pdu: PduId, body: bool) -> Option<Vec<u8>> {
        let mut dissector = self.dissector.borrow_mut();
        dissector.pdu_bytes(store, self.source, pdu, body)
    }
}

impl fmt::Debug for Dissected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dissected")
    }
}

impl Decode for Dissected<'_> {
    fn fields(&self, store: &Store, frame: FrameNo, pdu: Option<PduId>) -> Vec<Field> {
        let options = Options {
            message: false,
            max_rows: MAX_ROWS,
            max_pdus: MAX_PDUS,
        };
        let mut dissector = self.dissector.borrow_mut();
        match pdu {
            Some(pdu) => dissector.pdu(store, self.source, pdu, &options),
            None => dissector
                .frame(store, self.source, frame, &options)
                .map_or_else(Vec::new, |tree| tree.fields),
        }
    }

    fn payload(&self, store: &Store, frame: FrameNo) -> Option<Vec<u8>> {
        let row = store.frame(frame).filter(|row| row.payload_len > 0)?;
        let mut bytes = Vec::new();
        self.source
            .read_frame(row.interface, row.offset, row.captured, &mut bytes)
            .ok()?;
        let mut dissector = self.dissector.borrow_mut();
        for secret in dissector.secret_ranges(store, self.source, frame) {
            if let Some(secret) = bytes.get_mut(secret) {
                secret.fill(0);
            }
        }
        let start = usize::from(row.payload_offset);
        let len = usize::try_from(row.payload_len).unwrap_or(usize::MAX);
        let end = start.saturating_add(len).min(bytes.len());
        bytes.get(start..end).map(<[u8]>::to_vec)
    }
}
