//! Frames as a table: chosen fields of the registry, one line per frame, as CSV or as JSON lines.

use std::io::Write;

use serde_json::{Map, Value as Json};

use super::error::ExportError;
use super::job::Job;
use super::requests::{failed, spreadsheet_safe};
use crate::query::{Dissected, Eval, Listed, TableColumn, table_row};
use crate::report::{words, write_json_line};

/// The fields of a table when none are named.
pub(super) const USUAL: &[&str] = &[
    "frame.number",
    "frame.time_relative",
    "conn",
    "side",
    "ip.src",
    "tcp.srcport",
    "ip.dst",
    "tcp.dstport",
    "kind",
    "smp.sid",
    "smp.seqnum",
    "smp.wndw",
    "tds.type",
    "tcp.seq_raw",
    "tcp.ack_raw",
    "tcp.len",
    "frame.len",
    "finding",
];

/// The columns that a job asks for; what is wrong with them otherwise.
pub(super) fn columns(job: &Job<'_>) -> Result<Vec<TableColumn>, String> {
    let named: Vec<&str> = job
        .options
        .fields
        .iter()
        .map(|f| f.trim())
        .filter(|f| !f.is_empty())
        .collect();
    let chosen = if named.is_empty() { USUAL } else { &named };
    chosen.iter().map(|name| TableColumn::new(name)).collect()
}

pub(super) fn write_csv(job: &Job<'_>, out: &mut dyn Write) -> Result<(), ExportError> {
    let columns = columns(job).map_err(ExportError::Refused)?;
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(columns.iter().map(TableColumn::name))
        .map_err(failed)?;
    each_row(job, &columns, |values| {
        let cells = values.iter().map(|values| {
            let texts: Vec<_> = values.iter().map(text).collect();
            spreadsheet_safe(texts.join(";"))
        });
        csv.write_record(cells).map_err(failed)
    })?;
    csv.flush()?;
    Ok(())
}

pub(super) fn write_json(job: &Job<'_>, out: &mut dyn Write) -> Result<(), ExportError> {
    let columns = columns(job).map_err(ExportError::Refused)?;
    each_row(job, &columns, |values| {
        let object: Map<String, Json> = columns
            .iter()
            .zip(values)
            .map(|(column, mut values)| {
                let value = match values.len() {
                    0 => Json::Null,
                    1 => values.pop().unwrap_or(Json::Null),
                    _ => Json::Array(values),
                };
                (column.name().to_owned(), value)
            })
            .collect();
        Ok(write_json_line(&object, out)?)
    })
}

fn each_row(
    job: &Job<'_>,
    columns: &[TableColumn],
    mut write: impl FnMut(Vec<Vec<Json>>) -> Result<(), ExportError>,
) -> Result<(), ExportError> {
    let decode = Dissected::new(job.capture);
    let marked: Vec<_> = job
        .options
        .marks
        .ranges()
        .map(|(a, b)| (a.0, b.0))
        .collect();
    let listed = Listed::default();
    let eval = Eval {
        decode: Some(&decode),
        marked: &marked,
        listed: Some(&listed),
        ..Eval::of(job.store)
    };
    for (done, no) in (0_u64..).zip(job.plan.frames.iter()) {
        job.tick(done)?;
        write(table_row(columns, &eval, no))?;
    }
    Ok(())
}

fn text(value: &Json) -> String {
    match value {
        Json::String(text) => words::safe(text).into_owned(),
        other => other.to_string(),
    }
}
