//! pcapng: blocks of the capture stay as they are, with comments added to some; frames of other formats get blocks.

use super::beside;
use super::blocks;
use super::comments::Comments;
use super::made::Reading;
use super::run::{Damage, Run};
use super::section::{self, Destination};
use super::spots::{Spot, Spots};
use crate::capture::Order;
use crate::capture::original::{
    self, PACKET_HEADER, PacketBlock, SIMPLE_HEADER, TRAILER, packet_block,
};
use crate::capture::write::{Frame, PcapngWriter};
use crate::export::error::ExportError;
use crate::export::job::Job;
use crate::export::reading::Place;
use crate::export::target::Sink;
use crate::store::FrameRow;
use crate::units::{FrameNo, Holds};

const HEADER: u64 = PACKET_HEADER as u64;
/// Said of a frame that has to get a time.
const NO_TIME: &str = "no time in the original: this is the time of the frame before";
/// Options of a packet block that say nothing about whose it is, with their lengths: direction, and packets lost before
/// it.
const HARMLESS: [(u16, usize); 2] = [(2, 4), (4, 8)];

/// Writes the frames of a plan.
pub(in crate::export) fn write_pcapng(
    job: &Job<'_>,
    out: &mut Sink<'_>,
) -> Result<(), ExportError> {
    let (writer, destinations) = section::begin(job, out)?;
    let mut blocks = Blocks {
        job,
        writer,
        destinations,
        reading: Reading::new(job),
        said: Comments::new(job),
        damage: Damage::new(job.store),
        run: None,
        long_runs: true,
        done: 0,
    };
    blocks.all()
}

struct Blocks<'a, 's, 'o> {
    job: &'a Job<'a>,
    writer: PcapngWriter<&'s mut Sink<'o>>,
    destinations: Vec<Option<Destination>>,
    reading: Reading<'a>,
    said: Comments<'a>,
    damage: Damage,
    run: Option<Run>,
    /// The last run was long, so that the next will be too: runs are read by themselves.
    long_runs: bool,
    done: u64,
}

impl Blocks<'_, '_, '_> {
    fn all(&mut self) -> Result<(), ExportError> {
        let job = self.job;
        let mut spots = Spots::new(job.store, &job.plan.frames).peekable();
        let mut next_said = self.said.from(FrameNo(0));
        while let Some(spot) = spots.next() {
            if next_said.is_some_and(|said| said < spot.no) {
                next_said = self.said.from(spot.no);
            }
            let next = spots.peek();
            let holds = blocks::holds(job, &spot);
            if holds == Holds::BlocksToLeave {
                continue;
            }
            if holds == Holds::Blocks {
                self.end_run()?;
                let place = spot.place(next);
                let (reading, writer) = (&mut self.reading, &mut self.writer);
                blocks::write(job, &spot, place, reading, writer)?;
                self.done = self.done.saturating_add(1);
                continue;
            }
            let said = next_said == Some(spot.no);
            if said || !self.joins(&spot, next)? {
                self.end_run()?;
                let place = self.place(&spot, next);
                job.tick(self.done)?;
                if let Some(row) = job.store.frame(spot.no) {
                    self.one(&spot, &row, place)?;
                }
                self.done = self.done.saturating_add(1);
            }
        }
        self.end_run()?;
        beside::write_back(job, &self.destinations, &mut self.writer)
    }

    /// Takes a frame into the run of blocks that are copied as they stand, if it is one of them.
    fn joins(&mut self, spot: &Spot, next: Option<&Spot>) -> Result<bool, ExportError> {
        let Some((order, true)) = self
            .destination(spot)
            .and_then(|d| Some((d.order?, d.as_is)))
        else {
            return Ok(false);
        };
        let before = self.run.filter(|run| {
            let header = spot.start.checked_sub(run.end);
            run.place.file == spot.file && matches!(header, Some(HEADER | SIMPLE_HEADER))
        });
        let place = self.place(spot, next);
        let start = match before {
            Some(run) => run.end,
            None => match self.block_start(spot, place, order)? {
                Some(start) => start,
                None => return Ok(false),
            },
        };
        let end = match plain_end(spot, next) {
            Some(end) => end,
            None => match self.block_end(start, spot, place, order)? {
                Some(end) => end,
                None => return Ok(false),
            },
        };
        if self.damage.is_in(place.file, start, end) {
            return Ok(false);
        }
        let run = if let Some(run) = before {
            Run {
                end,
                last: spot.no,
                ..run
            }
        } else {
            self.end_run()?;
            Run {
                place,
                start,
                end,
                first: spot.no,
                last: spot.no,
            }
        };
        self.run = Some(run);
        Ok(true)
    }

    /// Where the block around a frame begins.
    fn block_start(
        &mut self,
        spot: &Spot,
        place: Place,
        order: Order,
    ) -> Result<Option<u64>, ExportError> {
        let at = spot.start;
        if let Some(start) = at.checked_sub(HEADER) {
            let header = self.reading.stretch.get(place, start, at)?;
            if original::is_packet(header, order, spot.captured()) {
                return Ok(Some(start));
            }
        }
        let Some(start) = at.checked_sub(SIMPLE_HEADER) else {
            return Ok(None);
        };
        let header = self.reading.stretch.get(place, start, at)?;
        Ok(original::is_simple(header, order).then_some(start))
    }

    /// Where the block around a frame ends, by its own length.
    fn block_end(
        &mut self,
        start: u64,
        spot: &Spot,
        place: Place,
        order: Order,
    ) -> Result<Option<u64>, ExportError> {
        let header = self
            .reading
            .stretch
            .get(place, start, start.saturating_add(SIMPLE_HEADER))?;
        let end = original::block_len(header, order).and_then(|len| start.checked_add(len));
        Ok(end.filter(|end| *end >= spot.padded_end().saturating_add(TRAILER)))
    }

    fn end_run(&mut self) -> Result<(), ExportError> {
        let Some(run) = self.run.take() else {
            return Ok(());
        };
        self.long_runs = run.is_long();
        let stretch = &mut self.reading.stretch;
        self.done = run.write(self.job, stretch, self.writer.output(), self.done)?;
        Ok(())
    }

    /// Writes one frame: its own block with comments, or a block made for it.
    fn one(&mut self, spot: &Spot, row: &FrameRow, place: Place) -> Result<(), ExportError> {
        let mut said = self.said.on(spot.no);
        let redacted = self.job.options.redact.is_some();
        let to = self.destination(spot);
        let number = to.map_or(0, |to| to.number);
        if self.is_timeless(spot, place, to)? {
            if said.is_empty() && number == 0 {
                let bytes = self.reading.frame(place, spot.no, row)?;
                return Ok(self.writer.timeless(row.wire, &bytes)?);
            }
            // Only a block with a time can have comments, or be of another interface than the first.
            said.push(NO_TIME.to_owned());
        }
        let comments = || said.iter().map(String::as_str);
        let block = self.original(spot, place, to)?;
        let bytes = self.reading.frame(place, spot.no, row)?;
        let order = to.and_then(|to| to.order);
        let block = block
            .as_deref()
            .zip(order)
            .and_then(|(block, order)| packet_block(block, order, row.captured));
        if let Some(block) = block {
            let harmless = block.options_of(&HARMLESS);
            let block = PacketBlock {
                bytes: &bytes,
                options: if redacted { &harmless } else { block.options },
                ..block
            };
            self.writer.packet(number, &block, comments())?;
        } else {
            let frame = Frame {
                time: row.time,
                wire: row.wire,
                bytes: &bytes,
            };
            self.writer.frame(number, &frame, comments())?;
        }
        Ok(())
    }

    /// Whether the capture holds no time for a frame: its packet block has none.
    fn is_timeless(
        &mut self,
        spot: &Spot,
        place: Place,
        to: Option<Destination>,
    ) -> Result<bool, ExportError> {
        let Some(order) = to.and_then(|to| to.order) else {
            return Ok(false);
        };
        let start = self.block_start(spot, place, order)?;
        Ok(start.is_some_and(|start| start.saturating_add(SIMPLE_HEADER) == spot.start))
    }

    /// The packet block around a frame, if there is one and nothing is wrong with it.
    fn original(
        &mut self,
        spot: &Spot,
        place: Place,
        to: Option<Destination>,
    ) -> Result<Option<Vec<u8>>, ExportError> {
        let Some(order) = to.and_then(|to| to.order) else {
            return Ok(None);
        };
        let Some(start) = self.block_start(spot, place, order)? else {
            return Ok(None);
        };
        let Some(end) = self.block_end(start, spot, place, order)? else {
            return Ok(None);
        };
        let local = self.job.store.interface(spot.interface).map(|i| i.local);
        let block = self.reading.stretch.get(place, start, end)?;
        let whole = packet_block(block, order, spot.captured())
            .is_some_and(|block| Some(block.interface) == local);
        Ok(whole.then(|| block.to_vec()))
    }

    fn place(&self, spot: &Spot, next: Option<&Spot>) -> Place {
        if self.long_runs && self.destination(spot).is_some_and(|to| to.as_is) {
            spot.place_alone()
        } else {
            spot.place(next)
        }
    }

    fn destination(&self, spot: &Spot) -> Option<Destination> {
        *self.destinations.get(spot.interface.index())?
    }
}

/// Where a frame's block ends, if that can be told without reading it: the next packet block begins right behind the
/// frame. A later time stamp tells it from the blocks without one, which have shorter headers and leave room for
/// options.
fn plain_end(spot: &Spot, next: Option<&Spot>) -> Option<u64> {
    let next = next.filter(|next| next.file == spot.file && next.time != spot.time)?;
    let end = spot.padded_end().saturating_add(TRAILER);
    (next.start.checked_sub(end) == Some(HEADER)).then_some(end)
}
