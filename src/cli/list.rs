//! `marstui list`, and what stands in for the screen when standard output is no terminal.

use std::time::Instant;

use super::args::{Args, ListArgs};
use super::failure::Failure;
use super::opened::{Opened, open};
use super::wishes::Wishes;
use crate::exit::Exit;
use crate::export::{Choice, Format, Job, Options, Plan, Target, What};

/// Prints one line per frame.
pub fn run(args: &ListArgs) -> Result<Exit, Failure> {
    let opened = Opened::files(&args.files, &args.rules)?;
    let what = match (&args.frames, &args.filter) {
        (Some(text), _) => What::Typed(text.clone()),
        (None, Some(text)) => What::Filtered(opened.filtered(text)?),
        (None, None) => What::All,
    };
    print(&opened, what)
}

/// Prints the list of what the screen would have shown.
pub fn plain(args: &Args) -> Result<Exit, Failure> {
    let wishes = Wishes::new(&args.rules)?;
    let start = Instant::now();
    let opened = Opened::index(open(&args.files, args.demo)?, wishes, start)?;
    print(&opened, What::All)
}

fn print(opened: &Opened, what: What) -> Result<Exit, Failure> {
    let plan = Plan::new(&opened.store, &Choice::of(what));
    let options = Options::of(Format::Listing);
    let job = Job {
        store: &opened.store,
        capture: &opened.capture,
        plan: &plan,
        options: &options,
        stop: opened.stop(),
        progress: &|_| (),
    };
    match job.save(&Target::Stdout) {
        Err(error) if error.is_closed_pipe() => Ok(Exit::Fine),
        Err(error) => Err(error.into()),
        Ok(_) if opened.interrupted() => Ok(Exit::Interrupted),
        Ok(_) => Ok(Exit::Fine),
    }
}
