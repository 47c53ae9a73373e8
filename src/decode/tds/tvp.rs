//! Table-valued parameters ([MS-TDS] 2.2.5.5.5).

use super::cell;
use super::columns::{self, Column};
use super::message::Context;
use super::type_info::Place;
use crate::decode::walk::{Step, Stop, Walk};

/// Column flag: the column has its default value everywhere and is left out of the rows.
const DEFAULT: u64 = 0x200;
/// Optional metadata: order and uniqueness.
const ORDER_UNIQUE: u8 = 0x10;
/// Optional metadata: ordering of columns.
const COLUMN_ORDERING: u8 = 0x11;
/// A row.
const ROW: u8 = 0x01;

/// The table behind its TYPE_INFO; returns how many rows it has.
pub fn table(w: &mut Walk<'_>, context: &Context) -> Step<u64> {
    w.group("tds.tvp", "table", |w| {
        let columns = metadata(w, context)?;
        let mut rows = 0_u64;
        loop {
            let at = w.at();
            match w.r.peek() {
                Some(0) => {
                    w.r.u8();
                    return Ok(rows);
                }
                Some(ROW) => {
                    rows = rows.saturating_add(1);
                    row(w, context, &columns, rows)?;
                }
                Some(other) => {
                    return Err(Stop::wrong(at, format!("0x{other:02x} in a table")));
                }
                None => return Err(Stop::short(at, "a table")),
            }
        }
    })
}

fn metadata(w: &mut Walk<'_>, context: &Context) -> Step<Vec<Column>> {
    let count = w.le("tds.colmetadata.columns", "columns", 2)?;
    let mut columns = Vec::new();
    if count != 0xffff {
        for number in 1..=count {
            w.group("tds.colmetadata.field", format!("column {number}"), |w| {
                w.le("tds.colmetadata.usertype", "user type", 4)?;
                let flags = w.hex("tds.colmetadata.results_token_flags", "flags", 2)?;
                let info = columns::type_info(w, Place::Parameter, context.version)?;
                let name = w.counted("", 1, "tds.colmetadata.colname", "name")?;
                if flags & DEFAULT == 0 {
                    columns.push(Column {
                        name,
                        info,
                        encrypted: false,
                    });
                }
                Ok(())
            })?;
        }
    }
    loop {
        let at = w.at();
        let item = match w.r.u8() {
            Some(0) => return Ok(columns),
            Some(ORDER_UNIQUE) => 3,
            Some(COLUMN_ORDERING) => 2,
            Some(other) => {
                return Err(Stop::wrong(
                    at,
                    format!("0x{other:02x} in the description of a table"),
                ));
            }
            None => return Err(Stop::short(at, "the description of a table")),
        };
        let count = w.le("tds.other", "ordered columns", 2)?;
        let len = columns::size(count).saturating_mul(item);
        w.bytes("tds.other", "order", len)?;
    }
}

fn row(w: &mut Walk<'_>, context: &Context, columns: &[Column], number: u64) -> Step<()> {
    if columns::size(number) > context.max_rows {
        w.r.u8();
        for column in columns {
            let at = w.at();
            cell::skip_value(w, &column.info).ok_or_else(|| Stop::short(at, "a row"))?;
        }
        return Ok(());
    }
    w.group("tds.row", format!("row {number}"), |w| {
        w.r.u8();
        for column in columns {
            let label = if column.name.is_empty() {
                column.info.sql()
            } else {
                column.name.clone()
            };
            cell::value(w, &column.info, label, false)?;
        }
        Ok(())
    })
}
