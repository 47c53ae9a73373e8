//! What the copy commands put on the clipboard.

use std::fmt::Write as _;

use super::App;
use super::clock;
use super::command::Command;
use crate::dissect::render;
use crate::query;
use crate::store::Finding;
use crate::units::{FrameNo, Side};

/// Frames that a copied filter names at most.
const MOST_NUMBERS: usize = 5000;
/// Frames that a line of the ladder names of a finding, at most.
const MOST_NAMED: usize = 16;
/// What OSC 52 carries safely.
pub const MOST: usize = 74_000;

/// What is said of a text that cannot be copied.
pub fn too_many(bytes: usize) -> String {
    format!("{bytes} bytes are too many for the terminal's clipboard; w writes a file")
}

impl App {
    /// The text of a copy command, or why there is none.
    pub(super) fn copy_text(&self, command: Command) -> Result<String, String> {
        let text = match command {
            Command::CopyRow => match self.table() {
                Some(table) => table.row_text(self).ok_or("the list is empty")?,
                None => self.row_text(self.list.cursor),
            },
            Command::CopyField => self.field_at_cursor()?,
            Command::CopyHex => self.hex_text()?,
            Command::CopyFrame if !self.marks.is_empty() => self.marks.to_string(),
            Command::CopyFrame => self.frame_here()?.to_string(),
            Command::CopyFilter if self.filter.is_empty() => {
                return Err("no filter is set".to_string());
            }
            Command::CopyFilter => self.wireshark_filter()?,
            Command::CopyLadder => self.ladder_text()?,
            _ => return Err(format!("{} copies nothing", command.entry().name)),
        };
        if text.len() > MOST {
            return Err(too_many(text.len()));
        }
        Ok(text)
    }

    /// A row as text: number, time, connection, direction, Sid, kind, what it says.
    pub fn row_text(&self, no: FrameNo) -> String {
        let Some(row) = self.store.frame(no) else {
            return String::new();
        };
        let Some(facts) = super::facts::facts(&self.store, no) else {
            return String::new();
        };
        let time = clock::seconds(row.time.since(self.time_base()), self.decimals());
        let conn = facts.conn.map_or("-".to_string(), |c| c.to_string());
        let sid = facts.sid.map_or("-".to_string(), |s| s.to_string());
        format!(
            "{no} {time} {conn} {} {sid} {} {}",
            arrow(facts.side),
            facts.kind,
            self.line(no).unwrap_or_default()
        )
    }

    /// The filter with Wireshark's names; where it has none for something, the frames' numbers.
    fn wireshark_filter(&self) -> Result<String, String> {
        let filter = self.read_filter(&self.filter).map_err(|e| e.to_string())?;
        query::to_wireshark(&filter).or_else(|why| {
            let rows = self.list.rows.len(&self.store);
            if rows > MOST_NUMBERS {
                return Err(why);
            }
            let frames: Vec<FrameNo> = (0..rows)
                .filter_map(|row| self.list.rows.at(&self.store, row))
                .collect();
            Ok(query::frames_filter(&frames))
        })
    }

    fn field_at_cursor(&self) -> Result<String, String> {
        let decoded = self.decoded().ok_or("the frame is not decoded yet")?;
        let lines = self.tree.lines(decoded);
        let line = lines.get(self.tree.cursor).ok_or("there is no field")?;
        Ok(render::line(line.field))
    }

    fn hex_text(&self) -> Result<String, String> {
        let decoded = self.decoded().ok_or("the frame is not decoded yet")?;
        let mut out = String::new();
        for (i, line) in decoded.bytes.chunks(16).enumerate() {
            let hex: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
            let _ = writeln!(out, "{:04x}  {}", i.saturating_mul(16), hex.join(" "));
        }
        Ok(out)
    }

    /// The ladder of the range, else of the marked frames, else of the rows on screen.
    fn ladder_text(&self) -> Result<String, String> {
        let frames: Vec<FrameNo> = match self.chosen_range() {
            Some((first, last)) => (first.0..=last.0).map(FrameNo).collect(),
            None if !self.marks.is_empty() => self.marks.iter().collect(),
            None if self.table().is_some() => Vec::new(),
            None => self.visible(),
        };
        let lines: Vec<String> = frames
            .into_iter()
            .filter(|no| self.list.rows.contains(&self.store, *no))
            .take(2000)
            .map(|no| self.ladder_line(no))
            .collect();
        if lines.is_empty() {
            return Err("no frames to draw".to_string());
        }
        Ok(lines.join("\n"))
    }

    /// A frame as an arrow between client and server.
    pub fn ladder_line(&self, no: FrameNo) -> String {
        const WIDTH: usize = 28;
        let Some(row) = self.store.frame(no) else {
            return String::new();
        };
        let Some(facts) = super::facts::facts(&self.store, no) else {
            return String::new();
        };
        let time = clock::seconds(row.time.since(self.time_base()), self.decimals());
        let what = match facts.sid {
            Some(sid) => format!("Sid {sid} {}", facts.kind),
            None if facts.kind.starts_with("T.") => {
                let ack = if row.tcp_flags.ack() && facts.kind != "T.ACK" {
                    ",ACK"
                } else {
                    ""
                };
                format!("{}{ack}", facts.kind.replace("T.", "TCP "))
            }
            None => facts.kind.clone(),
        };
        let line = if facts.sid.is_some() { '-' } else { '=' };
        let text = format!(" {what} ");
        let room = WIDTH.saturating_sub(5);
        let fill = |n: usize| std::iter::repeat_n(line, n).collect::<String>();
        let pad = room.saturating_sub(text.chars().count());
        let arrow = match facts.side {
            Some(Side::Server) => format!("<{}{text}{}", fill(pad), fill(3)),
            Some(Side::Client) => format!("{}{text}{}>", fill(3), fill(pad)),
            None => format!("{}{text}{}", fill(3), fill(pad.saturating_add(1))),
        };
        let mut out = format!("{time:>16}  |{arrow}|  {no}");
        if let Some(finding) = self.store.finding_on(no) {
            // The verdict with the frames that decided it.
            out.push_str("  ");
            out.push(finding.verdict.letter());
            let frames = named(finding);
            let (shown, more) = frames.split_at(frames.len().min(MOST_NAMED));
            for frame in shown.iter().filter(|other| **other != no) {
                let _ = write!(out, " {frame}");
            }
            if !more.is_empty() || frames.len() < finding.marks.len() {
                out.push_str(" and more");
            }
        }
        out
    }
}

/// The direction as an arrow.
pub fn arrow(side: Option<Side>) -> &'static str {
    match side {
        Some(Side::Client) => "->",
        Some(Side::Server) => "<-",
        None => "--",
    }
}

/// The frames that a line about a finding names. One may mark all resets of a capture: there, those that prove it are told.
fn named(finding: &Finding) -> Vec<FrameNo> {
    if finding.marks.len() <= MOST_NAMED {
        return finding.frames();
    }
    let mut frames: Vec<FrameNo> = finding.evidence.frames().collect();
    frames.sort_unstable();
    frames.dedup();
    frames
}
