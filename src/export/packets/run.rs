//! Neighbouring records that are taken over as they stand, as one stretch of their file.

use std::io::Write;

use crate::capture::Capture;
use crate::export::error::ExportError;
use crate::export::job::Job;
use crate::export::reading::{Place, Stretch, too_short};
use crate::export::target::Sink;
use crate::store::Store;
use crate::units::{FileOffset, FrameNo};

/// Runs at least so long are read without a further copy.
const LONG: u64 = 64 << 10;
/// So much is written between two looks at whether to stop.
const PIECE: u64 = 1 << 20;

/// Records that follow one another in a file and in the export.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// Their file.
    pub(super) place: Place,
    /// Where the first begins.
    pub(super) start: u64,
    /// Where the last ends.
    pub(super) end: u64,
    /// The first frame.
    pub(super) first: FrameNo,
    /// The last frame.
    pub(super) last: FrameNo,
}

impl Run {
    /// Frames that are written when everything before `to` is; about, for the progress.
    fn frames_before(&self, to: u64) -> u64 {
        let frames = u64::from(self.last.0.saturating_sub(self.first.0)).saturating_add(1);
        let part = u128::from(frames).saturating_mul(u128::from(to.saturating_sub(self.start)));
        let part = part.checked_div(u128::from(self.end.saturating_sub(self.start)));
        part.and_then(|part| u64::try_from(part).ok()).unwrap_or(0)
    }

    /// Whether it is read right into what is to be written.
    pub(super) fn is_long(&self) -> bool {
        self.end.saturating_sub(self.start) >= LONG
    }

    /// Writes the records, behind `done` frames; returns how many there are then.
    pub(super) fn write(
        &self,
        job: &Job<'_>,
        stretch: &mut Stretch<'_>,
        out: &mut Sink<'_>,
        done: u64,
    ) -> Result<u64, ExportError> {
        let long = self.is_long();
        let mut from = self.start;
        while from < self.end {
            job.tell(done.saturating_add(self.frames_before(from)))?;
            let to = self.end.min(from.saturating_add(PIECE));
            if long {
                let len = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
                out.take_in(len, |buf, done| {
                    let at = from.saturating_add(done as u64);
                    read_all(job.capture, self.place, at, buf)
                })?;
            } else {
                out.write_all(stretch.get(self.place, from, to)?)?;
            }
            from = to;
        }
        Ok(done.saturating_add(self.frames_before(self.end)))
    }
}

/// Fills `buf` with what stands at a position of the capture.
fn read_all(capture: &Capture, place: Place, at: u64, buf: &mut [u8]) -> Result<(), ExportError> {
    let got = capture
        .read_at(place.interface, FileOffset(at), buf)
        .map_err(ExportError::Read)?;
    if got < buf.len() {
        return Err(too_short());
    }
    Ok(())
}

/// Where the file is damaged: records there are not taken over as they stand.
pub(super) struct Damage {
    places: Vec<(usize, u64)>,
}

impl Damage {
    pub(super) fn new(store: &Store) -> Self {
        let mut places: Vec<_> = store
            .problems()
            .iter()
            .map(|problem| (problem.file, problem.offset.0))
            .collect();
        places.sort_unstable();
        Self { places }
    }

    /// Whether something from one position to another is damaged.
    pub(super) fn is_in(&self, file: usize, from: u64, to: u64) -> bool {
        let at = self.places.partition_point(|place| *place < (file, from));
        self.places
            .get(at)
            .is_some_and(|(of, position)| *of == file && *position < to)
    }
}
