//! `marstui report`.

use super::args::{FailOn, ReportArgs, ReportFormat};
use super::failure::Failure;
use super::opened::Opened;
use super::output;
use crate::exit::Exit;
use crate::report::{self, Format};
use crate::store::Verdict;

/// Prints the facts of a capture and says with the exit code what was found.
pub fn run(args: &ReportArgs) -> Result<Exit, Failure> {
    let opened = Opened::files(&args.files, &args.rules)?;
    let format = match args.format {
        ReportFormat::Text => Format::Text,
        ReportFormat::Json => Format::Json,
        ReportFormat::Ndjson => Format::Ndjson,
        ReportFormat::Markdown => Format::Markdown,
    };
    let stats = args.stats.then(|| opened.stats());
    output::to_stdout(|out| {
        report::write(&opened.store, format, args.redact, stats.as_ref(), out)
    })?;
    if opened.interrupted() {
        return Ok(Exit::Interrupted);
    }
    let limit = args.fail_on.map(|limit| match limit {
        FailOn::Notice => Verdict::Notice,
        FailOn::Fault => Verdict::Fault,
    });
    Ok(match limit {
        Some(limit) if report::has_findings(&opened.store, limit) => Exit::Findings,
        _ => Exit::Fine,
    })
}
