//! What the one section of a written pcapng file takes over from the sections that its frames come from, and which
//! interfaces it declares.

use std::io;

use super::beside;
use crate::capture::Order;
use crate::capture::original::{BlockOption, Declaration};
use crate::capture::write::{InterfaceSpec, PcapngWriter};
use crate::export::error::ExportError;
use crate::export::job::Job;
use crate::export::target::Sink;
use crate::store::InterfaceRow;
use crate::units::InterfaceId;
use crate::units::words::counted;

/// A comment of a section; there may be many.
const COMMENT: u16 = 1;

/// Where an interface of the capture goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Destination {
    /// Its number in the written file.
    pub(super) number: u32,
    /// Its frames' blocks can be taken over as they stand: same byte order, same number.
    pub(super) as_is: bool,
    /// Byte order of its blocks in the capture; `None` where it has none.
    pub(super) order: Option<Order>,
}

/// What an interface block says.
pub(super) fn spec(row: &InterfaceRow) -> InterfaceSpec<'_> {
    InterfaceSpec {
        link_type: row.link_type,
        snap_len: row.snap_len,
        ticks_per_second: row.ticks_per_second,
        name: row.name.as_deref(),
    }
}

/// Begins the file and declares its interfaces. Returns where each interface of the capture goes.
pub(super) fn begin<'s, 'o>(
    job: &Job<'_>,
    out: &'s mut Sink<'o>,
) -> Result<(PcapngWriter<&'s mut Sink<'o>>, Vec<Option<Destination>>), ExportError> {
    let redacted = job.options.redact.is_some();
    let declared = declared(job);
    let section = section(job, &declared).map_err(ExportError::Read)?;
    let comment = comment(job);
    let mut writer = PcapngWriter::like(out, &section, Some(&comment))?;
    let mut places = vec![None; job.store.interfaces().len()];
    for id in declared {
        let Some(row) = job.store.interface(id) else {
            return Err(ExportError::Refused(format!("interface {id} is not known")));
        };
        let block = job.capture.interface_block(id).map_err(ExportError::Read)?;
        let number = match &block {
            Some(block) if redacted => writer.interface_like(&spec(row), &clock_alone(block))?,
            Some(block) => writer.interface_like(&spec(row), block)?,
            // Names of devices can tell whose they are.
            None if redacted => writer.interface(&InterfaceSpec {
                name: None,
                ..spec(row)
            })?,
            None => writer.interface(&spec(row))?,
        };
        let order = block.map(|block| block.order);
        if let Some(place) = places.get_mut(id.index()) {
            *place = Some(Destination {
                number,
                as_is: !redacted && order == Some(writer.order()) && number == row.local,
                order,
            });
        }
    }
    beside::write_front(job, &mut writer)?;
    Ok((writer, places))
}

/// The interfaces to declare: all those of the section that the frames come from, so that they keep their numbers;
/// where the frames come from several sections, those that have frames.
fn declared(job: &Job<'_>) -> Vec<InterfaceId> {
    let rows = job.store.interfaces();
    let mut used = job.plan.interfaces.iter();
    let home = |id: &InterfaceId| rows.get(id.index()).map(|row| (row.file, row.section));
    let Some(first) = used.next().and_then(home) else {
        return job.plan.interfaces.clone();
    };
    if !used.all(|id| home(id) == Some(first)) {
        return job.plan.interfaces.clone();
    }
    let mut all: Vec<_> = (0..rows.len())
        .map(InterfaceId::from_index)
        .filter(|id| home(id) == Some(first))
        .collect();
    // What stands for packets of no declared interface is declared only where there are some, as the last.
    all.sort_by_key(|id| rows.get(id.index()).map(|row| row.local));
    all.retain(|id| {
        let stands_for_none = rows.get(id.index()).is_some_and(|r| r.local == u32::MAX);
        !stands_for_none || job.plan.interfaces.contains(id)
    });
    all
}

/// The options of the sections that frames come from: every comment, of everything else the first.
fn section(job: &Job<'_>, declared: &[InterfaceId]) -> io::Result<Declaration> {
    let mut found: Option<Declaration> = None;
    let mut seen = Vec::new();
    for id in declared {
        let home = job.store.interface(*id).map(|row| (row.file, row.section));
        if seen.contains(&home) {
            continue;
        }
        seen.push(home);
        let Some(next) = job.capture.section(*id)? else {
            continue;
        };
        let Some(all) = &mut found else {
            found = Some(next);
            continue;
        };
        let new: Vec<_> = next
            .options
            .into_iter()
            .filter(|option| match option.code {
                COMMENT => !all.options.contains(option),
                code => all.options.iter().all(|known| known.code != code),
            })
            .collect();
        all.options.extend(new);
    }
    let mut section = found.unwrap_or(Declaration {
        order: Order::Little,
        options: Vec::new(),
    });
    if job.options.redact.is_some() {
        section.options.clear();
    }
    Ok(section)
}

/// Of an interface's options those that say how it counts time.
fn clock_alone(block: &Declaration) -> Declaration {
    let of_clock = |option: &&BlockOption| matches!(option.code, 9 | 14);
    Declaration {
        order: block.order,
        options: block.options.iter().filter(of_clock).cloned().collect(),
    }
}

/// Which file and which of its frames these are; a reader of the small file finds them in the large one.
fn comment(job: &Job<'_>) -> String {
    let files: Vec<_> = job
        .store
        .files()
        .iter()
        .map(|f| file_name(&f.path))
        .collect();
    let mut numbers = job.plan.frames.to_string();
    // A comment has a limit of 64 kB; the first and the last frame say enough where there are that many pieces.
    if numbers.len() > 30_000
        && let (Some(first), Some(last)) = (job.plan.frames.first(), job.plan.frames.last())
    {
        numbers = format!(
            "{} of {first}-{last}",
            counted(job.plan.frames.len(), "frame")
        );
    }
    let redacted = if job.options.redact.is_some() {
        ". Addresses, names, texts and data are replaced or zeroed"
    } else {
        ""
    };
    let source = if job.options.redact.is_some() {
        "a capture".to_owned()
    } else {
        files.join(", ")
    };
    format!(
        "From {source}, frames {numbers} ({}){redacted}",
        job.plan.title
    )
}

fn file_name(path: &str) -> &str {
    std::path::Path::new(path)
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or(path)
}
