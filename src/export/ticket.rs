//! Everything that a ticket needs on one page: where the frames come from, the verdict, the listing, the reasoning,
//! what is not known, filters to find the frames again, and the small capture that goes with it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};

use super::error::ExportError;
use super::format::stem;
use super::frames::FrameSet;
use super::job::Job;
use super::listing::Listing;
use crate::report::markdown::{code, escape};
use crate::report::words::{self, safe};
use crate::rules::{BothEnds, order};
use crate::store::{Finding, Store, Verdict};
use crate::units::{ConnId, Side};

/// Connections that the page tells of, the gravest; more are counted.
const MAX_CONNS: usize = 10;

pub(super) fn write(job: &Job<'_>, markdown: bool, out: &mut dyn Write) -> Result<(), ExportError> {
    let mut page = Page { out, markdown };
    let compared = Compared::of(job);
    head(job, &compared, &mut page)?;
    verdict(job, &mut page)?;
    listing(job, &mut page)?;
    reasoning(job, &mut page)?;
    unknowns(job, &compared, &mut page)?;
    filters(job, &mut page)?;
    small_capture(job, &mut page)?;
    Ok(())
}

/// A page in Markdown or in plain text.
struct Page<'a> {
    out: &'a mut dyn Write,
    markdown: bool,
}

impl Page<'_> {
    fn heading(&mut self, text: &str) -> io::Result<()> {
        if self.markdown {
            writeln!(self.out, "\n## {text}\n")
        } else {
            writeln!(self.out, "\n{text}\n{}", "-".repeat(text.chars().count()))
        }
    }

    fn text(&self, text: &str) -> String {
        if self.markdown {
            escape(text)
        } else {
            safe(text).into_owned()
        }
    }

    fn item(&mut self, text: &str) -> io::Result<()> {
        let text = self.text(text);
        writeln!(self.out, "- {text}")
    }

    fn code_item(&mut self, before: &str, text: &str) -> io::Result<()> {
        if self.markdown {
            writeln!(self.out, "- {before}: {}", code(text))
        } else {
            writeln!(self.out, "- {before}: {}", safe(text))
        }
    }

    fn block(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        if self.markdown {
            writeln!(self.out, "```text")?;
        }
        write(self.out)?;
        if self.markdown {
            writeln!(self.out, "```")?;
        }
        Ok(())
    }
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

/// The connections that the page tells of, each with what the captures of both its ends say about each other, where they
/// are there.
struct Compared(Vec<(ConnId, Option<BothEnds>)>);

impl Compared {
    fn of(job: &Job<'_>) -> Self {
        let store = job.store;
        let ends = |id| BothEnds::of(store, store.conn(id)?);
        Self(told(job).into_iter().map(|id| (id, ends(id))).collect())
    }

    fn both(&self) -> impl Iterator<Item = (ConnId, &BothEnds)> {
        self.0
            .iter()
            .filter_map(|(id, ends)| Some((*id, ends.as_ref()?)))
    }

    fn any(&self) -> bool {
        self.both().next().is_some()
    }

    /// The end that a file was taken on, if all connections say the same of it.
    fn side_of_file(&self, store: &Store, file: usize) -> Option<Side> {
        let mut sides = self.both().map(|(_, ends)| ends.side_of_file(store, file));
        let first = sides.next()??;
        sides.all(|side| side == Some(first)).then_some(first)
    }

    /// How far the clocks of the two files are apart.
    fn clocks(&self, store: &Store) -> Option<String> {
        let near = |side| {
            let mut files = store.files().iter();
            files.find(|file| self.side_of_file(store, file.index) == Some(side))
        };
        let (client, server) = (near(Side::Client)?, near(Side::Server)?);
        let (conn, ahead) = self.both().find_map(|(id, ends)| Some((id, ends.clock?)))?;
        let us = ahead.unsigned_abs() / 1000;
        Some(format!(
            "clocks: that of {} is {}.{:06} s {} that of {} (measured on connection {conn}, the way there taken as \
             long as the way back)",
            words::file_name(&server.path),
            us / 1_000_000,
            us % 1_000_000,
            if ahead < 0 { "behind" } else { "ahead of" },
            words::file_name(&client.path),
        ))
    }

    /// That a connection is there as one of its ends saw it, where that is so; with `named`, which ones.
    fn alone(&self, named: bool) -> Option<String> {
        let alone: Vec<_> = self
            .0
            .iter()
            .filter(|(_, ends)| ends.is_none())
            .map(|(id, _)| id.to_string())
            .collect();
        let what = "The other end's capture was not looked at";
        match alone.as_slice() {
            [] if !self.0.is_empty() => None,
            _ if named && self.any() => {
                let word = if alone.len() == 1 {
                    "connection"
                } else {
                    "connections"
                };
                Some(format!("{what} for {word} {}.", alone.join(", ")))
            }
            _ => Some(format!("{what}.")),
        }
    }
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
            words::counted(file.frames, "frame")
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
    let last = store
        .last_frame()
        .and_then(|no| store.frame(no))
        .and_then(|f| words::time(f.time));
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
        if several(job) {
            page.item(&format!("connection {conn}: {sentence}"))?;
        } else {
            let text = page.text(&sentence);
            writeln!(page.out, "{text}")?;
        }
    }
    let more = job.plan.conns.len().saturating_sub(MAX_CONNS);
    if more > 0 {
        let more = words::counted(more as u64, "more connection");
        page.item(&format!("and {more}, none of them graver"))?;
    }
    if job.plan.conns.is_empty() {
        writeln!(page.out, "The frames belong to no TCP connection.")?;
    }
    Ok(())
}

fn listing(job: &Job<'_>, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Frames")?;
    page.block(|out| {
        let mut listing = Listing::new(job);
        listing.head(out)?;
        for (done, no) in (0_u64..).zip(job.plan.frames.iter()) {
            job.tick(done)?;
            listing.line(out, no)?;
        }
        Ok(())
    })
}

fn reasoning(job: &Job<'_>, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Reasoning")?;
    let mut none = true;
    for finding in findings(job) {
        none = false;
        let about = match finding.conn.filter(|_| several(job)) {
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

/// Whether it has to be said which connection is meant.
fn several(job: &Job<'_>) -> bool {
    job.plan.conns.len() > 1
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
    if let Some(alone) = compared.alone(several(job)) {
        page.item(&alone)?;
    }
    Ok(())
}

fn filters(job: &Job<'_>, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Display filters")?;
    for (file, frames) in by_file(job) {
        let which = match file {
            Some(name) => format!("Wireshark, these frames of {name}"),
            None => "Wireshark, these frames".to_owned(),
        };
        page.code_item(&which, &frame_filter(&frames))?;
    }
    for conn in told(job).into_iter().filter_map(|id| job.store.conn(id)) {
        let client = conn.endpoint(Side::Client);
        let (wireshark, monitor) = if client.ip.is_ipv6() {
            ("ipv6.addr", "IPv6")
        } else {
            ("ip.addr", "IPv4")
        };
        let (shark_for, monitor_for) = if several(job) {
            (
                format!("Wireshark, connection {}", conn.id),
                format!("Network Monitor, connection {}", conn.id),
            )
        } else {
            (
                "Wireshark, the connection".to_owned(),
                "Network Monitor".to_owned(),
            )
        };
        page.code_item(
            &shark_for,
            &format!("{wireshark}=={} && tcp.port=={}", client.ip, client.port),
        )?;
        page.code_item(
            &monitor_for,
            &format!(
                "{monitor}.Address=={} and tcp.port=={}",
                client.ip, client.port
            ),
        )?;
    }
    Ok(())
}

/// The frames with the numbers that they have in their own files; the file's name is left out where it is the only one.
fn by_file(job: &Job<'_>) -> Vec<(Option<String>, FrameSet)> {
    let store = job.store;
    if store.files().len() == 1 {
        return vec![(None, job.plan.frames.clone())];
    }
    let places: Vec<_> = job
        .plan
        .frames
        .iter()
        .filter_map(|no| store.place(no))
        .collect();
    let of_file = |index| {
        let in_it = places.iter().filter(|(file, _)| file.index == index);
        in_it.map(|(_, no)| *no).collect::<FrameSet>()
    };
    let files = store.files().iter();
    files
        .map(|file| {
            (
                Some(words::file_name(&file.path).into_owned()),
                of_file(file.index),
            )
        })
        .filter(|(_, frames)| !frames.is_empty())
        .collect()
}

/// Wireshark's filter for frames by their numbers. Two neighbours are named one by one: a range of two reads worse.
fn frame_filter(frames: &FrameSet) -> String {
    let ranges: Vec<_> = frames
        .ranges()
        .map(|(first, last)| match last.0.saturating_sub(first.0) {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}..{last}"),
        })
        .collect();
    format!("frame.number in {{{}}}", ranges.join(","))
}

fn small_capture(job: &Job<'_>, page: &mut Page<'_>) -> Result<(), ExportError> {
    page.heading("Small capture")?;
    let source = job
        .store
        .files()
        .first()
        .map_or("capture", |f| f.path.as_str());
    let name = small_name(source, job.plan.title.ends_with(" marked"));
    page.code_item("name", &name)?;
    page.item(&format!("holds {}", job.plan.summary()))?;
    // Where the file lies on this host is nobody's business.
    let name_of = |path: &str| Path::new(path).file_name()?.to_str().map(shell_word);
    let files = job.store.files().iter();
    let paths: Vec<_> = files.filter_map(|file| name_of(&file.path)).collect();
    page.code_item(
        "written by",
        &format!(
            "marstui export {} --frames {} -o {}",
            paths.join(" "),
            job.plan.frames,
            shell_word(&name)
        ),
    )?;
    Ok(())
}

/// The name of the small capture of a file: `order-svc.pcapng` gives `order-svc-marked.pcapng` where the frames are
/// those that were marked, and `order-svc-part.pcapng` where they were chosen otherwise.
pub fn small_name(path: &str, marked: bool) -> String {
    let stem = stem(path);
    let what = if marked { "marked" } else { "part" };
    format!("{stem}-{what}.pcapng")
}

/// A word as a POSIX shell takes it.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._/-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_commands_survive_a_shell() {
        assert_eq!(
            small_name("/a/b/order-svc.pcapng.gz", true),
            "order-svc-marked.pcapng"
        );
        assert_eq!(small_name("order.cap", false), "order-part.pcapng");
        assert_eq!(
            small_name("a1.client.pcapng", false),
            "a1.client-part.pcapng"
        );
        assert_eq!(
            small_name("a1.server.PCAP3", false),
            "a1.server-part.pcapng"
        );
        assert_eq!(
            small_name("day.2026-11-27", true),
            "day.2026-11-27-marked.pcapng"
        );
        assert_eq!(small_name("standard input", false), "stdin-part.pcapng");
        assert_eq!(small_name(".pcap", false), "capture-part.pcapng");
        assert_eq!(shell_word("a b'c"), "'a b'\\''c'");
        assert_eq!(shell_word("/x/y-1.pcap"), "/x/y-1.pcap");
    }
}
