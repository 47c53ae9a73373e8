//! Reading the frames of an export again: neighbours come from one stretch of the file, so that a whole capture
//! does not cost one call of the system per frame.

use super::error::ExportError;
use crate::capture::FrameSource;
use crate::store::{FrameRow, Store};
use crate::units::FileOffset;

/// Bytes read at once where frames stand close together.
const STRETCH: u64 = 1 << 20;
/// Bytes between two frames that are worth reading for nothing.
const GAP: u64 = 1 << 14;

/// Reads frames in file order.
pub(super) struct Frames<'a> {
    store: &'a Store,
    source: &'a dyn FrameSource,
    stretch: Vec<u8>,
    start: u64,
    file: Option<usize>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(store: &'a Store, source: &'a dyn FrameSource) -> Self {
        Self {
            store,
            source,
            stretch: Vec::new(),
            start: 0,
            file: None,
        }
    }

    /// The bytes of a frame; `next` is the frame that will be asked for after it.
    pub(super) fn read(
        &mut self,
        frame: &FrameRow,
        next: Option<&FrameRow>,
    ) -> Result<&[u8], ExportError> {
        let file = self.store.interface(frame.interface).map(|i| i.file);
        let at = frame
            .offset
            .0
            .checked_sub(self.start)
            .and_then(|at| usize::try_from(at).ok());
        let len = usize::try_from(frame.captured).unwrap_or(usize::MAX);
        let inside = at
            .filter(|_| self.file == file)
            .and_then(|at| Some(at..at.checked_add(len)?))
            .filter(|range| range.end <= self.stretch.len());
        let range = match inside {
            Some(range) => range,
            None => self.fetch(frame, next, len)?,
        };
        self.stretch.get(range).ok_or_else(too_short)
    }

    /// Whether the four bytes behind a frame just read, padded as in pcapng, are the length of a block without
    /// options; then there are no comments to look for.
    pub(super) fn has_no_options(&self, frame: &FrameRow) -> bool {
        let padded = u64::from(frame.captured).next_multiple_of(4);
        let at = frame
            .offset
            .0
            .checked_sub(self.start)
            .and_then(|at| usize::try_from(at.saturating_add(padded)).ok());
        let trailer = at
            .and_then(|at| self.stretch.get(at..))
            .and_then(<[u8]>::first_chunk::<4>);
        let whole = u32::try_from(padded.saturating_add(32)).unwrap_or(u32::MAX);
        trailer.is_some_and(|t| *t == whole.to_le_bytes() || *t == whole.to_be_bytes())
    }

    fn fetch(
        &mut self,
        frame: &FrameRow,
        next: Option<&FrameRow>,
        len: usize,
    ) -> Result<std::ops::Range<usize>, ExportError> {
        let file = self.store.interface(frame.interface).map(|i| i.file);
        let end = frame.offset.0.saturating_add(u64::from(frame.captured));
        let close = next.is_some_and(|next| {
            self.store.interface(next.interface).map(|i| i.file) == file
                && next.offset.0 >= end
                && next.offset.0.saturating_sub(end) < GAP
        });
        let want = if close {
            STRETCH.max(u64::from(frame.captured))
        } else {
            u64::from(frame.captured)
        };
        let want = u32::try_from(want).unwrap_or(u32::MAX);
        self.file = None;
        self.source
            .read_frame(
                frame.interface,
                FileOffset(frame.offset.0),
                want,
                &mut self.stretch,
            )
            .map_err(ExportError::Read)?;
        if self.stretch.len() < len {
            return Err(too_short());
        }
        self.start = frame.offset.0;
        self.file = file;
        Ok(0..len)
    }
}

fn too_short() -> ExportError {
    ExportError::Read(std::io::Error::new(
        std::io::ErrorKind::UnexpectedEof,
        "the file is shorter than it was",
    ))
}
