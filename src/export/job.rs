//! One export: plan, format and options together, checked and written.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::ExportError;
use super::format::{Compression, Format};
use super::frames::FrameSet;
use super::picture::{self, Part};
use super::plan::{Plan, human_bytes};
use super::redact::Copy;
use super::target::{Sink, Target};
use super::{ladder, listing, packets, requests, tables, ticket};
use crate::capture::Capture;
use crate::rules;
use crate::store::{ConnRow, Store};
use crate::units::FrameNo;
use crate::units::words::counted;

/// How an export is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The format.
    pub format: Format,
    /// Findings, conditions and marks as packet comments (pcapng only).
    pub comments: bool,
    /// Replace an existing file.
    pub force: bool,
    /// Names of the fields of CSV and JSON lines, from the registry; empty for the usual ones.
    pub fields: Vec<String>,
    /// The frames that the user marked, to be named in comments.
    pub marks: FrameSet,
    /// Take TLS keys along that the capture holds (pcapng only): whoever gets them can read what the connections
    /// encrypt.
    pub keys: bool,
    /// Replace addresses, names, texts and data.
    pub redact: Option<Redaction>,
}

/// How far a redaction goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Redaction {
    /// Replace the clients' port numbers too.
    pub ports: bool,
}

impl Options {
    /// A format with the usual options: comments on, nothing replaced.
    pub fn of(format: Format) -> Self {
        Self {
            format,
            comments: true,
            force: false,
            fields: Vec::new(),
            marks: FrameSet::new(),
            keys: false,
            redact: None,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where; `None` for standard output.
    pub path: Option<PathBuf>,
    /// Frames.
    pub frames: u64,
    /// Rows, where these are not the frames.
    pub rows: Option<u64>,
    /// Bytes of the file.
    pub bytes: u64,
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.rows {
            Some(rows) => counted(rows, "row"),
            None => counted(self.frames, "frame"),
        };
        let bytes = human_bytes(self.bytes);
        match &self.path {
            Some(path) => write!(f, "{}: {what} written, {bytes}", path.display()),
            None => write!(f, "{what} written, {bytes}"),
        }
    }
}

/// An export that can be run.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The capture's rows.
    pub store: &'a Store,
    /// The open capture, whose files must not be written.
    pub capture: &'a Capture,
    /// What to take.
    pub plan: &'a Plan,
    /// How to write it.
    pub options: &'a Options,
    /// How the capture was judged; a redacted copy is judged the same way.
    pub rules: &'a rules::Settings,
    /// Set by the user to stop it.
    pub stop: &'a AtomicBool,
    /// Told now and then how many frames are done.
    pub progress: &'a dyn Fn(u64),
}

impl Job<'_> {
    /// Everything that stands in the way, from the plan and from the format.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.plan.problems.clone();
        if problems.is_empty() {
            match self.options.format {
                Format::Pcap => problems.extend(packets::pcap_problem(self)),
                Format::Csv | Format::JsonLines => problems.extend(tables::columns(self).err()),
                _ => {}
            }
            let tabular = matches!(self.options.format, Format::Csv | Format::JsonLines);
            if !tabular && !self.options.fields.is_empty() {
                problems.push("--fields chooses columns of CSV and JSON lines only".to_owned());
            }
            if self.options.keys && self.options.format != Format::Pcapng {
                problems.push("--with-keys takes TLS keys along in pcapng only".to_owned());
            }
        }
        problems
    }

    /// What the file will hold, in one line; of a table also how large it is.
    pub fn summary(&self) -> String {
        let (rows, columns) = match self.options.format {
            Format::Csv | Format::JsonLines => {
                let columns = tables::columns(self).map_or(0, |columns| columns.len());
                (self.plan.frames.len(), columns)
            }
            Format::Requests => (self.requests(), requests::HEAD.len()),
            format => return self.plan.summary_as(format, None),
        };
        format!(
            "{}: {}, {}",
            self.plan.summary_as(self.options.format, None),
            counted(rows, "row"),
            counted(columns as u64, "column")
        )
    }

    /// The rows of a table of requests.
    fn requests(&self) -> u64 {
        requests::of(self).count() as u64
    }

    /// What is worth knowing and does not stand in the way, from the plan and from the format.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = self.plan.remarks.clone();
        remarks.extend(packets::about_blocks(self));
        if self.options.format.is_capture() && packets::has_keys(self) {
            let said = match (self.options.keys, self.options.redact, self.options.format) {
                (true, None, Format::Pcapng) => {
                    "TLS keys of the capture go along: whoever gets the file can read what is encrypted"
                }
                (_, None, Format::Pcapng) => {
                    "TLS keys of the capture are left out; --with-keys takes them along"
                }
                _ => "TLS keys of the capture are left out",
            };
            remarks.push(said.to_owned());
        }
        remarks.extend(self.hidden_requests());
        remarks
    }

    /// Says of a table of requests whose requests it cannot have.
    fn hidden_requests(&self) -> Option<String> {
        if self.options.format != Format::Requests {
            return None;
        }
        let chosen = |no: FrameNo| self.plan.frames.contains(no);
        let hidden = (self.store.conns().iter())
            .filter(|conn| ConnRow::hides_sids(conn))
            .filter(|conn| self.store.conn_frames(conn.id).into_iter().any(chosen))
            .count();
        (hidden > 0).then(|| {
            let whose = counted(hidden as u64, "encrypted connection");
            format!("the requests of {whose} cannot be seen, and are not in the table")
        })
    }

    /// Writes the export to its target, or nothing at all.
    pub fn save(&self, target: &Target) -> Result<Written, ExportError> {
        self.refuse_problems()?;
        let bytes = target.write(
            &|path| self.capture.is_input(path),
            self.options.force,
            self.plan.bytes,
            |out| self.fill(out),
        );
        // The bytes of the frames are those of a capture file, and only until it is compressed.
        let is_plain = target
            .path()
            .is_none_or(|path| Compression::from_path(path) == Compression::None);
        let bytes = if self.options.format.is_capture() && is_plain {
            bytes?
        } else {
            bytes.map_err(ExportError::of_unknown_length)?
        };
        Ok(Written {
            path: target.path().map(std::path::Path::to_owned),
            frames: self
                .plan
                .frames
                .len()
                .saturating_sub(packets::left_out(self)),
            rows: (self.options.format == Format::Requests).then(|| self.requests()),
            bytes,
        })
    }

    /// Writes the export to any writer, for example into memory for the clipboard.
    pub fn write_to(&self, out: &mut dyn Write) -> Result<(), ExportError> {
        self.refuse_problems()?;
        self.fill(&mut Sink::new(out))
    }

    fn refuse_problems(&self) -> Result<(), ExportError> {
        match self.problems().as_slice() {
            [] => Ok(()),
            problems => Err(ExportError::Refused(problems.join("; "))),
        }
    }

    fn fill(&self, out: &mut Sink<'_>) -> Result<(), ExportError> {
        match self.options.redact {
            Some(wish) if !self.options.format.is_capture() => {
                let copy = Copy::new(self, wish, self.rules)?;
                let options = Options {
                    redact: None,
                    ..self.options.clone()
                };
                copy.job(self, self.plan, &options).fill_plain(out)
            }
            _ => self.fill_plain(out),
        }
    }

    fn fill_plain(&self, out: &mut Sink<'_>) -> Result<(), ExportError> {
        match self.options.format {
            Format::Pcapng => packets::write_pcapng(self, out),
            Format::Pcap => packets::write_pcap(self, out),
            Format::Listing => listing::write(self, out),
            Format::TicketMarkdown => ticket::write(self, true, out),
            Format::TicketText => ticket::write(self, false, out),
            Format::Ladder => ladder::write(self, out),
            Format::Requests => requests::write(self, out),
            Format::Svg => picture::write(self, Part::Page, out),
            Format::SvgLanes => picture::write(self, Part::Lanes, out),
            Format::SvgLadder => picture::write(self, Part::Ladder, out),
            Format::Csv => tables::write_csv(self, out),
            Format::JsonLines => tables::write_json(self, out),
        }
    }

    /// Ends the export when the user asked for it; tells how far it is.
    pub(super) fn tick(&self, done: u64) -> Result<(), ExportError> {
        if done.is_multiple_of(256) {
            self.tell(done)
        } else {
            Ok(())
        }
    }

    /// As [`Job::tick`], at once.
    pub(super) fn tell(&self, done: u64) -> Result<(), ExportError> {
        (self.progress)(done);
        if self.stop.load(Ordering::Relaxed) {
            return Err(ExportError::Stopped);
        }
        Ok(())
    }
}

impl From<io::Error> for ExportError {
    /// An error of the writer that an export was given; reading errors are made by hand.
    fn from(error: io::Error) -> Self {
        Self::Write {
            path: None,
            error,
            needs: 0,
            begun: false,
        }
    }
}
