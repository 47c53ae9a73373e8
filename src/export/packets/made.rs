//! Frames that are written anew, because the format changes or because they are redacted.

use crate::capture::original::PACKET_HEADER;
use crate::export::error::ExportError;
use crate::export::job::Job;
use crate::export::reading::{GAP, Place, Stretch};
use crate::export::redact::Redactor;
use crate::store::{FrameRow, Store};
use crate::units::FrameNo;

/// Reads frames again and redacts them if that is wished.
pub(super) struct Reading<'a> {
    pub(super) stretch: Stretch<'a>,
    redactor: Option<Redactor<'a>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(job: &Job<'a>) -> Self {
        Self {
            stretch: Stretch::new(job.capture),
            redactor: job.options.redact.map(|wish| Redactor::new(job, wish)),
        }
    }

    /// A frame's bytes as they are to be written.
    pub(super) fn frame(
        &mut self,
        place: Place,
        no: FrameNo,
        row: &FrameRow,
    ) -> Result<std::borrow::Cow<'_, [u8]>, ExportError> {
        let from = row.offset.0;
        let bytes = self
            .stretch
            .get(place, from, from.saturating_add(u64::from(row.captured)))?;
        Ok(match &mut self.redactor {
            Some(redactor) => redactor.frame(no, row, bytes).into(),
            None => bytes.into(),
        })
    }
}

/// The place of a frame; `next` is the frame that will be asked for after it.
pub(super) fn place(store: &Store, row: &FrameRow, next: Option<FrameNo>) -> Place {
    let file_of = |row: &FrameRow| store.interface(row.interface).map(|i| i.file);
    let end = row.offset.0.saturating_add(u64::from(row.captured));
    let header = PACKET_HEADER as u64;
    let more = next.and_then(|next| store.frame(next)).is_some_and(|next| {
        file_of(&next) == file_of(row)
            && next.offset.0 >= end
            && next.offset.0.saturating_sub(end) < GAP.saturating_add(header)
    });
    Place {
        interface: row.interface,
        file: file_of(row).unwrap_or(usize::MAX),
        more,
    }
}
