//! Capture files: the frames byte for byte, with their times, lengths and interfaces; findings, conditions and
//! marks as comments.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;

use super::error::ExportError;
use super::job::Job;
use super::reading::Frames;
use super::redact::Redactor;
use crate::capture::FrameSource as _;
use crate::capture::write::{Frame, InterfaceSpec, PcapShape, PcapWriter, PcapngWriter};
use crate::report::words;
use crate::store::{Finding, InterfaceRow};
use crate::units::FrameNo;

/// What keeps the frames of a plan from being written as pcap.
pub(super) fn pcap_problem(job: &Job<'_>) -> Option<String> {
    pcap_shape(job).err()
}

fn pcap_shape(job: &Job<'_>) -> Result<PcapShape, String> {
    let rows = job
        .plan
        .interfaces
        .iter()
        .filter_map(|id| job.store.interface(*id));
    PcapShape::of(rows.map(spec)).map_err(|refused| refused.to_string())
}

fn spec(row: &InterfaceRow) -> InterfaceSpec<'_> {
    InterfaceSpec {
        link_type: row.link_type,
        snap_len: row.snap_len,
        ticks_per_second: row.ticks_per_second,
        name: row.name.as_deref(),
    }
}

/// An interface of a redacted capture has no name: names of devices can tell whose they are.
fn unnamed(spec: InterfaceSpec<'_>) -> InterfaceSpec<'_> {
    InterfaceSpec { name: None, ..spec }
}

pub(super) fn write_pcap(job: &Job<'_>, out: &mut dyn Write) -> Result<(), ExportError> {
    let shape = pcap_shape(job).map_err(ExportError::Refused)?;
    let mut writer = PcapWriter::new(out, shape)?;
    each_frame(job, |_, frame| Ok(writer.frame(&frame.frame)?))
}

pub(super) fn write_pcapng(job: &Job<'_>, out: &mut dyn Write) -> Result<(), ExportError> {
    let comment = section_comment(job);
    let said = Comments::new(job);
    let mut writer = PcapngWriter::new(out, Some(&comment))?;
    let mut local = Vec::with_capacity(job.plan.interfaces.len());
    for id in &job.plan.interfaces {
        let row = job.store.interface(*id);
        local.push(match row {
            Some(row) if job.options.redact.is_some() => writer.interface(&unnamed(spec(row)))?,
            Some(row) => writer.interface(&spec(row))?,
            None => return Err(ExportError::Refused(format!("interface {id} is not known"))),
        });
    }
    each_frame(job, |no, frame| {
        let interface = job
            .plan
            .interfaces
            .binary_search(&frame.interface)
            .ok()
            .and_then(|at| local.get(at))
            .copied()
            .unwrap_or(0);
        let mut texts = frame.comments.clone();
        texts.extend(said.on(no));
        let comments = texts.iter().map(String::as_str);
        Ok(writer.frame(interface, &frame.frame, comments)?)
    })
}

struct OneFrame<'a> {
    frame: Frame<'a>,
    interface: crate::units::InterfaceId,
    /// The comments that the original has on it.
    comments: Vec<String>,
}

/// Hands the frames of the plan to `write`, in file order, with one frame of foresight for the reading.
fn each_frame(
    job: &Job<'_>,
    mut write: impl FnMut(FrameNo, &OneFrame<'_>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let mut reading = Frames::new(job.store, job.capture);
    let mut redactor = job.options.redact.map(|wish| Redactor::new(job, wish));
    let mut frames = job.plan.frames.iter().peekable();
    let commented = job
        .store
        .files()
        .iter()
        .any(|f| f.format.starts_with("pcapng"));
    let mut done = 0_u64;
    while let Some(no) = frames.next() {
        job.tick(done)?;
        done = done.saturating_add(1);
        let Some(row) = job.store.frame(no) else {
            continue;
        };
        let next = frames.peek().and_then(|next| job.store.frame(*next));
        reading.read(row, next)?;
        let comments = if !commented || job.options.redact.is_some() || reading.has_no_options(row)
        {
            Vec::new()
        } else {
            job.capture
                .comments(row.interface, row.offset, row.captured)
                .map_err(ExportError::Read)?
        };
        let bytes = reading.read(row, next)?;
        let redacted = redactor.as_mut().map(|r| r.frame(row, bytes)).transpose()?;
        let frame = OneFrame {
            frame: Frame {
                time: row.time,
                wire: row.wire,
                bytes: redacted.as_deref().unwrap_or(bytes),
            },
            interface: row.interface,
            comments,
        };
        write(no, &frame)?;
    }
    Ok(())
}

/// Which file and which of its frames these are; a reader of the small file finds them in the large one.
fn section_comment(job: &Job<'_>) -> String {
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
            words::counted(job.plan.frames.len(), "frame")
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

/// What is said about frames: that they are marked, what findings say of them, and the conditions that they decide.
struct Comments<'a> {
    job: &'a Job<'a>,
    by_frame: BTreeMap<FrameNo, Vec<&'a Finding>>,
}

impl<'a> Comments<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        let mut by_frame: BTreeMap<FrameNo, Vec<&Finding>> = BTreeMap::new();
        let wanted = job.store.findings().iter().filter(|_| job.options.comments);
        for finding in wanted {
            for no in words::finding_frames(finding) {
                if job.plan.frames.contains(no) {
                    by_frame.entry(no).or_default().push(finding);
                }
            }
        }
        Self { job, by_frame }
    }

    fn on(&self, no: FrameNo) -> Vec<String> {
        let mut out = Vec::new();
        if self.job.options.comments && self.job.options.marks.contains(no) {
            out.push(format!("marked; frame {no} of the original"));
        }
        let facts = self.job.options.redact.is_none();
        let findings = self.by_frame.get(&no).map_or(&[][..], Vec::as_slice);
        out.extend(
            findings
                .iter()
                .filter_map(|f| finding_comment(f, no, facts)),
        );
        out
    }
}

/// With `facts`, numbers and texts from the capture too.
fn finding_comment(finding: &Finding, no: FrameNo, facts: bool) -> Option<String> {
    let role = finding.evidence.iter().find(|e| e.frame == no);
    let marked = finding.marks.contains(&no);
    if role.is_none() && !marked {
        return None;
    }
    let mut text = format!(
        "[{}] {}: {}, {}",
        finding.verdict.letter(),
        finding.rule,
        finding.verdict.name(),
        finding.confidence.name()
    );
    if let Some(role) = role {
        let _ = write!(text, "; {}", role.role);
        if facts {
            let _ = write!(text, " {}", role.fact);
        }
    }
    if marked && facts {
        let _ = write!(text, "\n{}", finding.text);
    }
    for condition in finding.conditions.iter().filter(|c| c.frames.contains(&no)) {
        let _ = write!(
            text,
            "\n{} {}: {}",
            condition.id,
            condition.outcome.word(),
            condition.text
        );
        if facts {
            let _ = write!(text, " {}", condition.fact);
        }
    }
    Some(text)
}
