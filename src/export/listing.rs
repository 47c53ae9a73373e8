//! The listing of frames as plain text in fixed columns: Frame, Time Offset, Source IP, Dest IP, Description.
//! A `---` line stands where a phase of a connection begins, `...` where frames of it are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::error::ExportError;
use super::job::Job;
use super::time::Offsets;
use crate::capture::Capture;
use crate::dissect::Dissector;
use crate::store::{FrameRow, Phase, PhaseRow, Store};
use crate::units::{ConnId, FrameNo};

pub(super) fn write(job: &Job<'_>, out: &mut dyn Write) -> Result<(), ExportError> {
    let mut listing = Listing::new(job);
    listing.head(out)?;
    for (done, no) in (0_u64..).zip(job.plan.frames.iter()) {
        job.tick(done)?;
        listing.line(out, no)?;
    }
    Ok(())
}

/// Writes a listing line by line, in memory that does not grow with the number of frames.
struct Listing<'a> {
    store: &'a Store,
    capture: &'a Capture,
    dissector: Dissector,
    offsets: Offsets,
    number_width: usize,
    time_width: usize,
    ip_width: usize,
    several_conns: bool,
    last_of: BTreeMap<ConnId, FrameNo>,
    began: BTreeMap<ConnId, usize>,
}

impl<'a> Listing<'a> {
    fn new(job: &Job<'a>) -> Self {
        let (store, frames) = (job.store, &job.plan.frames);
        let offsets = Offsets::new(store, frames.iter());
        let mut ip_width = "Source IP  ".len();
        let mut time_width = "Time Offset".len();
        let mut conns = BTreeSet::new();
        for frame in frames.iter().filter_map(|no| store.frame(no)) {
            if let Some(conn) = frame.conn.and_then(|id| store.conn(id))
                && conns.insert(conn.id)
            {
                for end in &conn.ends.0 {
                    ip_width = ip_width.max(end.ip.to_string().len());
                }
            }
            time_width = time_width.max(offsets.show(frame.time).len());
        }
        let last = frames.last().unwrap_or(FrameNo(0));
        Self {
            store,
            capture: job.capture,
            dissector: Dissector::new(),
            offsets,
            number_width: last.to_string().len().max(5),
            time_width,
            ip_width,
            several_conns: conns.len() > 1,
            last_of: BTreeMap::new(),
            began: BTreeMap::new(),
        }
    }

    fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        let (n, t, i) = (self.number_width, self.time_width, self.ip_width);
        writeln!(
            out,
            "{:<n$} {:<t$} {:<i$} {:<i$} Description",
            "Frame", "Time Offset", "Source IP", "Dest IP"
        )?;
        writeln!(
            out,
            "{} {} {} {} {}",
            "-".repeat(n),
            "-".repeat(t),
            "-".repeat(i),
            "-".repeat(i),
            "-".repeat(48)
        )
    }

    fn line(&mut self, out: &mut dyn Write, no: FrameNo) -> io::Result<()> {
        let Some(frame) = self.store.frame(no) else {
            return Ok(());
        };
        if let Some(conn) = frame.conn {
            let last = self.last_of.insert(conn, no);
            if last.is_some() && frame.prev != last {
                writeln!(out, "...")?;
            }
            for line in self.phase_lines(conn, no) {
                writeln!(out, "--- {line}")?;
            }
        }
        let (source, dest) = addresses(self.store, &frame);
        let (n, t, i) = (self.number_width, self.time_width, self.ip_width);
        writeln!(
            out,
            "{no:>n$} {:>t$} {source:<i$} {dest:<i$} {}",
            self.offsets.show(frame.time),
            self.dissector.listing_line(self.store, self.capture, no)
        )
    }

    /// The phases that begin at this frame, and the last of those that began at frames left out before it.
    fn phase_lines(&mut self, conn: ConnId, no: FrameNo) -> Vec<String> {
        let Some(row) = self.store.conn(conn) else {
            return Vec::new();
        };
        let began = row.phases.partition_point(|p| p.frame <= no);
        let done = self.began.insert(conn, began).unwrap_or(0);
        let new = row.phases.get(done..began).unwrap_or_default();
        let first_here = new.partition_point(|p| p.frame < no);
        let (before, here) = new.split_at_checked(first_here).unwrap_or((new, &[]));
        let shown: Vec<&PhaseRow> = if here.is_empty() {
            before.last().into_iter().collect()
        } else {
            here.iter().collect()
        };
        let name = if self.several_conns {
            format!("connection {conn}: ")
        } else {
            String::new()
        };
        shown
            .iter()
            .map(|p| format!("{name}{}", phase_text(p)))
            .collect()
    }
}

fn phase_text(phase: &PhaseRow) -> String {
    let sid = phase
        .sid
        .map_or_else(String::new, |sid| format!(" (Sid {sid})"));
    let text = match phase.phase {
        Phase::Connect => "TCP connection opens",
        Phase::Prelogin => "PRELOGIN",
        Phase::Tls => "TLS handshake",
        Phase::Login => "login",
        Phase::Encrypted => "encrypted from here on: sessions and commands cannot be seen",
        Phase::SessionOpen => "MARS session created",
        Phase::Commands => "commands",
        Phase::SessionClosed => "MARS session closed",
        Phase::Closing => "TCP connection closes",
        Phase::Reset => "reset",
    };
    format!("{text}{sid}")
}

/// Source and destination address of a frame, as far as its connection tells.
pub(super) fn addresses(store: &Store, frame: &FrameRow) -> (String, String) {
    match frame.conn.and_then(|id| store.conn(id)) {
        Some(conn) => (
            conn.ends.get(frame.end()).ip.to_string(),
            conn.ends.get(frame.end().other()).ip.to_string(),
        ),
        None => ("-".into(), "-".into()),
    }
}
