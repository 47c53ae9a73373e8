//! The requests of connections, comma-separated, one per row.

use std::io::Write;

use super::error::ExportError;
use super::job::Job;
use super::time::seconds;
use crate::report::words;
use crate::store::{ConnRow, Protocol, RequestRow};

/// The names of the columns.
pub(super) const HEAD: [&str; 16] = [
    "connection",
    "sid",
    "life",
    "kind",
    "text",
    "start_utc",
    "first_frame",
    "last_frame",
    "answer_first_frame",
    "answer_last_frame",
    "first_byte_s",
    "duration_s",
    "rows",
    "answer_bytes",
    "error",
    "end",
];

/// The connections concerned, and their requests.
pub(super) fn of<'a>(job: &Job<'a>) -> impl Iterator<Item = (&'a ConnRow, RequestRow)> {
    let store = job.store;
    let conns = job.plan.conns.iter().filter_map(|id| store.conn(*id));
    conns
        .filter(|conn| conn.protocol == Protocol::Tds)
        .flat_map(|conn| store.conn_requests(conn.id).map(move |r| (conn, r)))
}

pub(super) fn write(job: &Job<'_>, out: &mut dyn Write) -> Result<(), ExportError> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(HEAD).map_err(failed)?;
    let store = job.store;
    for (done, (conn, r)) in (0_u64..).zip(of(job)) {
        job.tick(done)?;
        let session = r.session.and_then(|id| store.session(id));
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let text = words::safe(store.text(r.text)).into_owned();
        let error = r
            .error
            .as_ref()
            .map(|e| format!("{}: {}", e.number, words::safe(&e.text)));
        let record = [
            conn.id.to_string(),
            number(session.map(|s| u64::from(s.sid.0))),
            number(session.map(|s| u64::from(s.life))),
            r.kind.name().to_owned(),
            text,
            words::time(r.start).unwrap_or_default(),
            r.first_frame.to_string(),
            r.last_frame.to_string(),
            number(r.answer_first_frame.map(|f| u64::from(f.0))),
            number(r.answer_last_frame.map(|f| u64::from(f.0))),
            r.first_byte_ns.map(|ns| seconds(ns, 9)).unwrap_or_default(),
            r.duration_ns.map(|ns| seconds(ns, 9)).unwrap_or_default(),
            number(r.rows),
            r.answer_bytes.to_string(),
            error.unwrap_or_default(),
            r.end.name().to_owned(),
        ];
        csv.write_record(record.map(spreadsheet_safe))
            .map_err(failed)?;
    }
    csv.flush()?;
    Ok(())
}

/// A cell that a spreadsheet would run as a formula gets a quote in front; numbers stay numbers, several of them too.
pub(super) fn spreadsheet_safe(cell: String) -> String {
    let is_number = |part: &str| part.parse::<f64>().is_ok_and(f64::is_finite);
    let formula =
        cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !cell.split(';').all(is_number);
    if formula { format!("'{cell}") } else { cell }
}

pub(super) fn failed(error: csv::Error) -> ExportError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => ExportError::Refused(format!("the table cannot be written: {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_never_a_formula() {
        assert_eq!(spreadsheet_safe("=cmd()".into()), "'=cmd()");
        assert_eq!(spreadsheet_safe("-12.5".into()), "-12.5");
        assert_eq!(spreadsheet_safe("-9;7;-1".into()), "-9;7;-1");
        assert_eq!(spreadsheet_safe("-9;=cmd()".into()), "'-9;=cmd()");
        assert_eq!(spreadsheet_safe("-inf".into()), "'-inf");
        assert_eq!(spreadsheet_safe("-- select".into()), "'-- select");
        assert_eq!(spreadsheet_safe("select 1".into()), "select 1");
    }
}
