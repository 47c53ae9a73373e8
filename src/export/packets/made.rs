//! Frames that are written anew, because the format changes or because they are redacted.

use crate::export::error::ExportError;
use crate::export::job::Job;
use crate::export::reading::{Place, Stretch};
use crate::export::redact::Redactor;
use crate::store::FrameRow;
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
