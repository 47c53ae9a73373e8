//! pcap: records of a pcap file stay as they are; frames of other formats get records.

use super::blocks;
use super::made::Reading;
use super::run::{Damage, Run};
use super::section::spec;
use super::spots::Spots;
use crate::capture::original::PCAP_RECORD;
use crate::capture::write::{Frame, PcapShape, PcapWriter};
use crate::export::error::ExportError;
use crate::export::job::Job;
use crate::export::target::Sink;
use crate::units::Holds;

/// What keeps the frames of a plan from being written as pcap.
pub(in crate::export) fn pcap_problem(job: &Job<'_>) -> Option<String> {
    shape(job).err()
}

fn shape(job: &Job<'_>) -> Result<PcapShape, String> {
    let rows = job
        .plan
        .interfaces
        .iter()
        .filter_map(|id| job.store.interface(*id));
    PcapShape::of(rows.map(spec)).map_err(|refused| refused.to_string())
}

/// Writes the frames of a plan.
pub(in crate::export) fn write_pcap(job: &Job<'_>, out: &mut Sink<'_>) -> Result<(), ExportError> {
    let shape = shape(job).map_err(ExportError::Refused)?;
    let header = original_header(job)?;
    let mut writer = match &header {
        Some(header) => PcapWriter::like(out, header)?,
        None => PcapWriter::new(out, shape)?,
    };
    let mut reading = Reading::new(job);
    let damage = Damage::new(job.store);
    let mut run: Option<Run> = None;
    let mut done = 0_u64;
    let mut spots = Spots::new(job.store, &job.plan.frames).peekable();
    while let Some(spot) = spots.next() {
        if blocks::holds(job, &spot) != Holds::Frames {
            continue;
        }
        let place = spot.place(spots.peek());
        let start = spot.start.saturating_sub(PCAP_RECORD);
        let (no, end) = (spot.no, spot.end);
        if header.is_some() && !damage.is_in(place.file, start, end) {
            match &mut run {
                Some(run) if run.end == start => {
                    run.end = end;
                    run.last = no;
                }
                _ => {
                    let next = Run {
                        place,
                        start,
                        end,
                        first: no,
                        last: no,
                    };
                    if let Some(run) = run.replace(next) {
                        done = run.write(job, &mut reading.stretch, writer.output(), done)?;
                    }
                }
            }
        } else {
            if let Some(run) = run.take() {
                done = run.write(job, &mut reading.stretch, writer.output(), done)?;
            }
            job.tick(done)?;
            let Some(row) = job.store.frame(no) else {
                continue;
            };
            let bytes = reading.frame(place, no, &row)?;
            writer.frame(&Frame {
                time: row.time,
                wire: row.wire,
                bytes: &bytes,
            })?;
            done = done.saturating_add(1);
        }
    }
    if let Some(run) = run {
        run.write(job, &mut reading.stretch, writer.output(), done)?;
    }
    Ok(())
}

/// The header of the pcap file that all frames come from, where its records can be taken over: the kind with longer
/// records cannot, and redacted frames are new ones.
fn original_header(
    job: &Job<'_>,
) -> Result<Option<[u8; crate::capture::original::PCAP_HEADER]>, ExportError> {
    let [interface] = job.plan.interfaces.as_slice() else {
        return Ok(None);
    };
    let file = job
        .store
        .interface(*interface)
        .and_then(|row| job.store.files().get(row.file));
    if job.options.redact.is_some()
        || !file.is_some_and(|file| {
            file.format.starts_with("pcap") && !file.format.starts_with("pcapng")
        })
    {
        return Ok(None);
    }
    let header = job
        .capture
        .file_header(*interface)
        .map_err(ExportError::Read)?;
    Ok(header.filter(|header| {
        matches!(
            header.first_chunk(),
            Some(
                [0xa1, 0xb2, 0xc3, 0xd4]
                    | [0xd4, 0xc3, 0xb2, 0xa1]
                    | [0xa1, 0xb2, 0x3c, 0x4d]
                    | [0x4d, 0x3c, 0xb2, 0xa1]
            )
        )
    }))
}
