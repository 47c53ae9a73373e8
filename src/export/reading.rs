//! Reading a capture's file again: neighbours come from one stretch of it, so that a whole capture does not cost one
//! call of the system per frame.

use super::error::ExportError;
use crate::capture::FrameSource;
use crate::units::{FileOffset, InterfaceId};

/// Bytes read at once where what is asked for stands close together.
pub(super) const STRETCH: u64 = 64 << 10;
/// Bytes between two frames that are worth reading for nothing.
pub(super) const GAP: u64 = 1 << 14;

/// A stretch of one of the capture's files.
pub(super) struct Stretch<'a> {
    source: &'a dyn FrameSource,
    bytes: Vec<u8>,
    start: u64,
    file: Option<usize>,
}

/// A place in one of the capture's files.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// An interface of the file.
    pub(super) interface: InterfaceId,
    /// The file.
    pub(super) file: usize,
    /// So many bytes are worth reading at once, because more will be asked for that stands close behind.
    pub(super) ahead: u64,
}

impl<'a> Stretch<'a> {
    pub(super) fn new(source: &'a dyn FrameSource) -> Self {
        Self {
            source,
            bytes: Vec::new(),
            start: 0,
            file: None,
        }
    }

    /// The bytes from one position of the file to another.
    pub(super) fn get(&mut self, place: Place, from: u64, to: u64) -> Result<&[u8], ExportError> {
        let len = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
        let at = from
            .checked_sub(self.start)
            .filter(|_| self.file == Some(place.file))
            .and_then(|at| usize::try_from(at).ok())
            .filter(|at| {
                let end = at.checked_add(len);
                end.is_some_and(|end| end <= self.bytes.len())
            });
        let at = match at {
            Some(at) => at,
            None => self.fetch(place, from, to)?,
        };
        let end = at.saturating_add(len);
        self.bytes.get(at..end).ok_or_else(too_short)
    }

    fn fetch(&mut self, place: Place, from: u64, to: u64) -> Result<usize, ExportError> {
        let asked = to.saturating_sub(from);
        let want = asked.max(place.ahead);
        let want = u32::try_from(want).unwrap_or(u32::MAX);
        self.file = None;
        self.source
            .read_frame(place.interface, FileOffset(from), want, &mut self.bytes)
            .map_err(ExportError::Read)?;
        self.start = from;
        self.file = Some(place.file);
        Ok(0)
    }
}

/// The capture ends before what was read of it before.
pub(super) fn too_short() -> ExportError {
    ExportError::Read(std::io::Error::new(
        std::io::ErrorKind::UnexpectedEof,
        "the file is shorter than it was",
    ))
}
