//! The facts of a capture without a screen, as text, Markdown and JSON.

pub mod alias;
mod build;
pub mod facts;
mod json;
mod lines;
pub mod markdown;
pub mod stats;
mod text;
pub mod words;

use std::io::{self, Write};

use crate::store::{Store, Verdict};
use crate::units::ConnId;
use alias::Aliases;
pub use build::{Facts, tds_version};
pub use json::write_line as write_json_line;
use stats::Stats;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Text,
    /// Markdown for people.
    Markdown,
    /// One JSON object.
    Json,
    /// One JSON object per line.
    Ndjson,
}

/// Writes the report of a store that holds the findings of the rules. With `redact`, addresses and names are
/// replaced and texts of requests left out.
pub fn write(
    store: &Store,
    format: Format,
    redact: bool,
    stats: Option<&Stats>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let aliases = redact.then(|| Aliases::of(store));
    let facts = Facts::new(store, aliases.as_ref());
    match format {
        Format::Text => text::write(facts, stats, out),
        Format::Markdown => markdown::write(facts, stats, out),
        Format::Json => json::write_object(facts, stats, out),
        Format::Ndjson => json::write_lines(facts, stats, out),
    }
}

/// What the text report says of one connection.
pub fn connection_text(store: &Store, conn: ConnId) -> String {
    let mut out = Vec::new();
    if let Some(row) = store.conn(conn) {
        // Writing into memory does not fail.
        let _ = text::connection(Facts::new(store, None), row, &mut out);
    }
    String::from_utf8_lossy(&out).trim_start().to_string()
}

/// What the report says of the capture as a whole: where it was taken and why that is known, and what is wrong with it.
pub fn capture_lines(store: &Store) -> Vec<String> {
    let lines = lines::about(Facts::new(store, None));
    lines
        .iter()
        .map(|line| words::safe(line).into_owned())
        .collect()
}

/// Whether a finding at least as grave as `limit` (`Notice` or `Fault`) exists.
pub fn has_findings(store: &Store, limit: Verdict) -> bool {
    store.findings().iter().any(|finding| match limit {
        Verdict::Notice => matches!(finding.verdict, Verdict::Notice | Verdict::Fault),
        limit => finding.verdict == limit,
    })
}
