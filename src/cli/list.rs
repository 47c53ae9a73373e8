//! `marstui list`, and what stands in for the screen when standard output is no terminal: one line per frame.

use std::io::{self, Write};
use std::sync::atomic::Ordering;

use super::args::{Args, ListArgs, ListFormat};
use super::failure::Failure;
use super::opened::Opened;
use super::output;
use crate::app::clock::{decimals, seconds};
use crate::app::facts::facts;
use crate::dissect::Dissector;
use crate::exit::Exit;
use crate::export::{Choice, Plan, What};
use crate::report::write_json_line;
use crate::store::Store;
use crate::units::{FrameNo, Nanos, Side};

/// Prints one line per frame.
pub fn run(args: &ListArgs) -> Result<Exit, Failure> {
    let opened = Opened::files(&args.files, &args.rules)?;
    let what = match (&args.frames, &args.filter) {
        (Some(text), _) => What::Typed(text.clone()),
        (None, Some(text)) => What::Filtered(opened.filtered(text)?),
        (None, None) => What::All,
    };
    print(&opened, what, args.format)
}

/// Prints the list of what the screen would have shown.
pub fn plain(args: &Args) -> Result<Exit, Failure> {
    let opened = Opened::new(&args.files, args.demo, &args.rules)?;
    print(&opened, What::All, ListFormat::Text)
}

fn print(opened: &Opened, what: What, format: ListFormat) -> Result<Exit, Failure> {
    let everything = what == What::All;
    let plan = Plan::new(&opened.store, &Choice::of(what));
    if let [problem, ..] = plan.problems.as_slice()
        && !everything
    {
        opened.say_damage();
        return Err(Failure::usage(format!("marstui list: {problem}")));
    }
    let mut list = List::new(opened);
    output::to_stdout(|out| {
        if format == ListFormat::Text {
            list.head(out)?;
        }
        for no in plan.frames.iter() {
            if opened.stop().load(Ordering::Relaxed) && !opened.was_stopped() {
                break;
            }
            match format {
                ListFormat::Text => list.row(out, no)?,
                ListFormat::Json => list.json(out, no)?,
            }
        }
        Ok(())
    })?;
    opened.say_damage();
    Ok(opened.exit())
}

/// The list as it is written.
struct List<'a> {
    opened: &'a Opened,
    dissector: Dissector,
    start: Nanos,
    digits: usize,
    number_width: usize,
}

impl<'a> List<'a> {
    fn new(opened: &'a Opened) -> Self {
        let store = &opened.store;
        let ticks = store.interfaces().iter().map(|i| i.ticks_per_second).max();
        let last = store.last_frame().map_or(0, |no| no.0);
        Self {
            opened,
            dissector: Dissector::new(),
            start: store.start_time().unwrap_or(Nanos(0)),
            digits: decimals(ticks.unwrap_or(1_000_000)),
            number_width: last.to_string().len().max(6),
        }
    }

    fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        let (n, t) = (self.number_width, self.digits.saturating_add(6));
        writeln!(
            out,
            "V {:>n$} {:>t$} {:>4} Dr {:>5} {:<8} {:>6} Info",
            "No", "Time(s)", "C", "Sid", "Kind", "Len"
        )
    }

    fn store(&self) -> &'a Store {
        &self.opened.store
    }

    fn row(&mut self, out: &mut dyn Write, no: FrameNo) -> io::Result<()> {
        let store = self.store();
        let (Some(frame), Some(facts)) = (store.frame(no), facts(store, no)) else {
            return Ok(());
        };
        let (n, t) = (self.number_width, self.digits.saturating_add(6));
        let letter = store
            .finding_shown_on(no)
            .map_or(' ', |f| f.verdict.letter());
        let time = seconds(frame.time.since(self.start), self.digits);
        let conn = facts.conn.map_or_else(|| "-".to_owned(), |c| c.to_string());
        let arrow = match facts.side {
            Some(Side::Client) => "->",
            Some(Side::Server) => "<-",
            None => "  ",
        };
        let sid = facts.sid.map_or_else(|| "-".to_owned(), |s| s.to_string());
        let info = self.dissector.info_line(store, &self.opened.capture, no);
        writeln!(
            out,
            "{letter} {no:>n$} {time:>t$} {conn:>4} {arrow} {sid:>5} {:<8} {:>6} {}",
            facts.kind,
            facts.len,
            crate::report::words::safe(&info)
        )
    }

    fn json(&mut self, out: &mut dyn Write, no: FrameNo) -> io::Result<()> {
        let store = self.store();
        let (Some(frame), Some(facts)) = (store.frame(no), facts(store, no)) else {
            return Ok(());
        };
        let info = self.dissector.info_line(store, &self.opened.capture, no);
        let finding = store.finding_on(no);
        write_json_line(
            &serde_json::json!({
                "frame": no.0,
                "time": crate::report::words::time(frame.time),
                "connection": facts.conn.map(|c| c.0),
                "from": facts.side.map(Side::word),
                "sid": facts.sid.map(|s| s.0),
                "kind": facts.kind,
                "seqnum": facts.seqnum,
                "wndw": facts.wndw,
                "length": facts.len,
                "finding": finding.map(|f| f.id.0),
                "verdict": finding.map(|f| f.verdict.name()),
                "info": info,
            }),
            out,
        )
    }
}
