//! What a capture holds beside its frames: names of addresses and statistics of interfaces go along, TLS keys only if
//! that is wished. Whoever gets the keys can read what the connections encrypt.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::IpAddr;

use super::section::Destination;
use crate::capture::original::{BlockKind, BlockOption, block_numbers, block_options, in_order};
use crate::capture::write::PcapngWriter;
use crate::capture::{Order, SideBlock, SideKind};
use crate::export::error::ExportError;
use crate::export::job::Job;

/// The blocks of the sections that an export's interfaces come from.
fn blocks(job: &Job<'_>, kind: SideKind) -> Vec<SideBlock> {
    let mut homes = BTreeSet::new();
    for id in &job.plan.interfaces {
        if let Some(row) = job.store.interface(*id) {
            homes.insert((row.file, row.section));
        }
    }
    let mut blocks = job.capture.side_blocks();
    blocks.retain(|b| b.kind == kind && homes.contains(&(b.file, b.section)));
    blocks
}

/// Whether there are keys that could go along.
pub(in crate::export) fn has_keys(job: &Job<'_>) -> bool {
    !blocks(job, SideKind::Keys).is_empty()
}

/// Writes what belongs in front of the packets: keys if they are wished, and names.
pub(super) fn write_front<W: Write>(
    job: &Job<'_>,
    writer: &mut PcapngWriter<W>,
) -> Result<(), ExportError> {
    if job.options.redact.is_some() {
        return Ok(());
    }
    let keys = if job.options.keys {
        blocks(job, SideKind::Keys)
    } else {
        Vec::new()
    };
    for block in keys {
        let Some(body) = body(job, &block)? else {
            continue;
        };
        let secrets = block_numbers(&body, block.order).and_then(|[kind, len]| {
            let end = usize::try_from(len).ok()?.checked_add(8)?;
            Some((kind, body.get(8..end)?))
        });
        if let Some((kind, secrets)) = secrets {
            writer.keys(kind, secrets)?;
        }
    }
    let wanted = Addresses::of(job);
    for block in blocks(job, SideKind::Names) {
        let Some(body) = body(job, &block)? else {
            continue;
        };
        let records = records(&body, block.order, &wanted);
        if !records.is_empty() {
            writer.names(&records)?;
        }
    }
    Ok(())
}

/// Writes what belongs behind the packets: what the interfaces received and lost.
pub(super) fn write_back<W: Write>(
    job: &Job<'_>,
    destinations: &[Option<Destination>],
    writer: &mut PcapngWriter<W>,
) -> Result<(), ExportError> {
    if job.options.redact.is_some() {
        return Ok(());
    }
    for block in blocks(job, SideKind::Statistics) {
        let Some(body) = body(job, &block)? else {
            continue;
        };
        let Some([local, high, low]) = block_numbers(&body, block.order) else {
            continue;
        };
        let rows = job.store.interfaces().iter().zip(destinations);
        let to = rows
            .filter(|(row, _)| {
                (row.file, row.section, row.local) == (block.file, block.section, local)
            })
            .find_map(|(_, to)| *to);
        let Some(to) = to else { continue };
        let order = writer.order();
        let options = body.get(12..).unwrap_or_default();
        let options: Vec<_> = block_options(options, block.order)
            .map(|(code, value)| BlockOption {
                code,
                value: in_order(BlockKind::Statistics, code, value, block.order, order),
            })
            .collect();
        writer.statistics(to.number, [high, low], &options)?;
    }
    Ok(())
}

fn body(job: &Job<'_>, block: &SideBlock) -> Result<Option<Vec<u8>>, ExportError> {
    job.capture.side_block(block).map_err(ExportError::Read)
}

/// The addresses whose names go along.
enum Addresses {
    /// Everything is exported.
    All,
    /// Those of the exported connections; what else the capture knows is nobody's business.
    These(BTreeSet<IpAddr>),
}

impl Addresses {
    fn of(job: &Job<'_>) -> Self {
        if job.plan.frames.len() == job.store.frame_count() as u64 {
            return Self::All;
        }
        let conns = job.plan.conns.iter().filter_map(|id| job.store.conn(*id));
        Self::These(conns.flat_map(|c| c.ends.0.map(|end| end.ip)).collect())
    }

    fn has(&self, kind: u16, value: &[u8]) -> bool {
        let address = match kind {
            1 => value.first_chunk::<4>().map(|ip| IpAddr::from(*ip)),
            2 => value.first_chunk::<16>().map(|ip| IpAddr::from(*ip)),
            _ => None,
        };
        match self {
            Self::All => true,
            Self::These(these) => address.is_some_and(|address| these.contains(&address)),
        }
    }
}

/// The records of a block of names that say something about wanted addresses (pcapng 4.5).
fn records(body: &[u8], order: Order, wanted: &Addresses) -> Vec<(u16, Vec<u8>)> {
    block_options(body, order)
        .filter(|(kind, value)| wanted.has(*kind, value))
        .map(|(kind, value)| (kind, value.to_vec()))
        .collect()
}
