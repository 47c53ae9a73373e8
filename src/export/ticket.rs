//! Everything that a ticket needs on one page: where the frames come from, the verdict, the listing, the reasoning,
//! what is not known, filters to find the frames again, and the small capture that goes with it.

mod again;
mod compared;
mod page;

pub use again::small_name;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};

use super::error::ExportError;
use super::job::Job;
use super::listing;
use crate::report::words;
use crate::rules::order;
use crate::store::{Finding, Verdict};
use crate::units::words::counted;
use crate::units::{ConnId, Side};
use again::{filters, small_capture};
use compared::Compared;
use page::Page;

/// Connections that the page tells of, the gravest; more are counted.
const MAX_CONNS: usize = 10;

pub(super) fn write(job: &Job<'_>, markdown: bool, out: &mut dyn Write) -> Result<(), ExportError> {
    let mut page = Page { out, markdown };
    let compared = Compared::of(job);
    head(job, &compared, &mut page)?;
    verdict(job, &mut page)?;
    frames(job, &mut page)?;
    reasoning(job, &mut page)?;
    unknowns(job, &compared, &mut page)?;
    filters(job, &mut page)?;
    small_capture(job, &mut page)?;
    Ok(())
}

/// The connections that the page tells of: the gravest, in the order of their numbers.
fn told(job: &Job<'_>) -> Vec<ConnId> {
    let weight = |conn: &ConnId| {
        let findings = job.store.conn_findings(*conn);
        findings.map(|f| f.verdict.weight()).max()
    };
    let mut conns = job.plan.conns.clone();
    conns.sort_by_key(|conn| std::cmp::Reverse(weight(conn)));
    conns.truncate(MAX_CONNS);
    conns.sort_unstable();
    conns
}

fn head(job: &Job<'_>, compared: &Compared, page: &mut Page<'_>) -> Result<(), ExportError> {
    let store = job.store;
    let title = "MARS capture note";
    if page.markdown {
        writeln!(page.out, "# {title}\n")?;
    } else {
        writeln!(page.out, "{title}\n{}\n", "=".repeat(title.len()))?;
    }
    for file in store.files() {
        page.item(&format!(
            "file: {}, {}, {}, {}",
            words::file_name(&file.path),
            file.format,
            words::bytes(file.bytes),
            counted(file.frames, "frame")
        ))?;
        match sha256(Path::new(&file.path), job)? {
            Some(hash) => page.code_item("SHA-256", &hash)?,
            None => page.item("SHA-256: not available, the capture is no file on disk")?,
        }
        if let Some(side) = compared.side_of_file(store, file.index) {
            page.item(&format!(
                "taken on: {} (whatever the clocks say, segments of the {} pass here first, those of the {} last)",
                side.word(),
                side.word(),
                side.other().word()
            ))?;
        }
    }
    let mut files = store.files().iter();
    if files.all(|file| compared.side_of_file(store, file.index).is_none()) {
        let (view, why) = store.view();
        match view.name() {
            Some(view) => page.item(&format!("taken on: {view} ({})", why.join("; ")))?,
            None => page.item("taken on: not known")?,
        }
    }
    if let Some(clocks) = compared.clocks(store) {
        page.item(&clocks)?;
    }
    let first = store.start_time().and_then(words::time);
    let last = store.end_time().and_then(words::time);
    if let (Some(first), Some(last)) = (first, last) {
        page.item(&format!(
            "times: {first} to {last} (UTC); offsets count from the first frame"
        ))?;
    }
    page.item(if store.files().len() == 1 {
        "frame numbers are those of this file"
    } else {
        "frame numbers count the frames of all files together, by time; the display filters give those of each file"
    })?;
    for conn in told(job).into_iter().filter_map(|id| store.conn(id)) {
        page.item(&format!(
            "connection {}: client {}, server {}",
            conn.id,
            conn.endpoint(Side::Client),
            conn.endpoint(Side::Server)
        ))?;
    }
    Ok(())
}

fn verdict(job: &Job<'_>, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Verdict")?;
    for conn in told(job) {
        let sentence = words::close_sentence(job.store, conn);
        if job.plan.several_conns() {
            page.item(&format!("connection {conn}: {sentence}"))?;
        } else {
            let text = page.text(&sentence);
            writeln!(page.out, "{text}")?;
        }
    }
    let more = job.plan.conns.len().saturating_sub(MAX_CONNS);
    if more > 0 {
        let more = counted(more as u64, "more connection");
        page.item(&format!("and {more}, none of them graver"))?;
    }
    if job.plan.conns.is_empty() {
        writeln!(page.out, "The frames belong to no TCP connection.")?;
    }
    Ok(())
}

fn frames(job: &Job<'_>, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Frames")?;
    page.block(|out| listing::write(job, out))
}

fn reasoning(job: &Job<'_>, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Reasoning")?;
    let mut none = true;
    for finding in findings(job) {
        none = false;
        let about = match finding.conn.filter(|_| job.plan.several_conns()) {
            Some(conn) => format!("connection {conn}: "),
            None => String::new(),
        };
        page.item(&format!(
            "{about}{} ({}, {}): {}",
            finding.rule,
            finding.verdict.name(),
            finding.confidence.name(),
            finding.text
        ))?;
        for evidence in finding.evidence.iter() {
            let text = page.text(&format!(
                "frame {}: {} {}",
                evidence.frame, evidence.role, evidence.fact
            ));
            writeln!(page.out, "  - {}", text.trim_end())?;
        }
        for condition in finding.conditions.iter() {
            let frames = words::frames(&condition.frames);
            let parts: Vec<_> = [frames.as_str(), condition.fact.as_str()]
                .into_iter()
                .filter(|p| !p.is_empty())
                .collect();
            let proof = if parts.is_empty() {
                String::new()
            } else {
                format!(" [{}]", parts.join(": "))
            };
            let text = page.text(&format!(
                "{} {}: {}{proof}",
                condition.id,
                condition.outcome.word(),
                condition.text
            ));
            writeln!(page.out, "  - {text}")?;
        }
        for note in &finding.notes {
            let text = page.text(&format!("note: {note}"));
            writeln!(page.out, "  - {text}")?;
        }
        other_end(job, finding, page)?;
    }
    if none {
        writeln!(page.out, "No rule says anything about these connections.")?;
    }
    Ok(())
}

/// The order in which the other end must have seen the frames of a close, where it is another than here.
fn other_end(job: &Job<'_>, finding: &Finding, page: &mut Page<'_>) -> Result<(), ExportError> {
    let Some(orders) = order::of_finding(job.store, finding).filter(|_| finding.close) else {
        return Ok(());
    };
    if !orders.differ() {
        return Ok(());
    }
    writeln!(
        page.out,
        "  - {}",
        page.text(&format!(
            "{}:",
            words::as_seen_by(job.store, orders.here.other().word())
        ))
    )?;
    for step in &orders.inferred {
        let sure = if step.known { "known" } else { "inferred" };
        let text = page.text(&format!("frame {}, {sure}: {}", step.frame, step.reason));
        writeln!(page.out, "    - {text}")?;
    }
    Ok(())
}

/// The findings about the plan's connections that are more than a matter of course, gravest first.
fn findings<'a>(job: &'a Job<'_>) -> Vec<&'a Finding> {
    let mut findings: Vec<_> = told(job)
        .into_iter()
        .flat_map(|conn| job.store.conn_findings(conn))
        .filter(|f| f.close || f.verdict != Verdict::Normal)
        .collect();
    findings.sort_by_key(|f| std::cmp::Reverse((f.close, f.verdict.weight())));
    findings
}

fn unknowns(job: &Job<'_>, compared: &Compared, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Not known")?;
    let unknowns = words::unknowns(job.store, &told(job));
    if unknowns.is_empty() {
        page.item("Nothing that the verdict needs is missing from the capture.")?;
    }
    for unknown in &unknowns {
        page.item(unknown)?;
    }
    if let Some(alone) = compared.alone(job.plan.several_conns()) {
        page.item(&alone)?;
    }
    Ok(())
}

/// The hash of a file; `None` where there is no such file on disk.
fn sha256(path: &Path, job: &Job<'_>) -> Result<Option<String>, ExportError> {
    let Ok(mut file) = File::open(path) else {
        return Ok(None);
    };
    let mut hash = Sha256::new();
    let mut buf = vec![0; 1 << 18];
    loop {
        match file.read(&mut buf) {
            Ok(0) => break,
            Ok(n) => hash.update(buf.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(ExportError::Read(e)),
        }
        if job.stop.load(Ordering::Relaxed) {
            return Err(ExportError::Stopped);
        }
    }
    let digits = hash.finalize();
    Ok(Some(
        digits
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<Vec<_>>()
            .concat(),
    ))
}
