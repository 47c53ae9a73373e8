//! Blocks of pcapng that carry no frame and are listed among the frames all the same: they go along as what they are,
//! where the format has blocks and they do not ask to stay.

use super::made::Reading;
use super::spots::Spot;
use crate::capture::original::{OTHER_HEADER, OtherBlock};
use crate::capture::write::PcapngWriter;
use crate::export::error::ExportError;
use crate::export::format::Format;
use crate::export::job::Job;
use crate::export::reading::Place;
use crate::export::target::Sink;
use crate::units::Holds;
use crate::units::words::counted;

/// How many of what a capture file is to hold are left out.
pub(in crate::export) fn left_out(job: &Job<'_>) -> u64 {
    let plan = job.plan;
    match job.options.format {
        Format::Pcapng => plan.blocks_to_leave,
        Format::Pcap => plan.blocks.saturating_add(plan.blocks_to_leave),
        _ => 0,
    }
}

/// What is to be said about them.
pub(in crate::export) fn about_blocks(job: &Job<'_>) -> Vec<String> {
    let mut said = Vec::new();
    if job.options.format == Format::Pcap && job.plan.blocks > 0 {
        said.push(format!(
            "{} without a frame (custom, systemd journal) left out: pcap cannot hold them",
            counted(job.plan.blocks, "block")
        ));
    }
    if job.options.format.is_capture() && job.plan.blocks_to_leave > 0 {
        said.push(format!(
            "{} left out: by their type they are not to be copied into other files",
            counted(job.plan.blocks_to_leave, "custom block")
        ));
    }
    said
}

/// What is listed where a spot is.
pub(super) fn holds(job: &Job<'_>, spot: &Spot) -> Holds {
    let interface = job.store.interface(spot.interface);
    interface.map_or(Holds::Frames, |row| row.holds)
}

/// Writes such a block as it is; redacted, with nothing in it.
pub(super) fn write(
    job: &Job<'_>,
    spot: &Spot,
    place: Place,
    reading: &mut Reading<'_>,
    writer: &mut PcapngWriter<&mut Sink<'_>>,
) -> Result<(), ExportError> {
    let start = spot.start.saturating_sub(OTHER_HEADER as u64);
    let before = reading.stretch.get(place, start, spot.start)?;
    let Some(block) = OtherBlock::before(before, spot.captured()) else {
        return Err(ExportError::Read(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            format!("what was frame {} is something else now", spot.no),
        )));
    };
    if let Some(row) = job.store.frame(spot.no) {
        let contents = reading.frame(place, spot.no, &row)?;
        writer.other(block, &contents)?;
    }
    Ok(())
}
