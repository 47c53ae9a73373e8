//! RETURNVALUE and the tokens that few answers hold: browse results, COMPUTE results, sensitivity labels.

use std::sync::Arc;

use super::{Context, State, Version, here, name};
use crate::decode::tds::cell;
use crate::decode::tds::columns::{self, Column};
use crate::decode::tds::type_info::Place;
use crate::decode::walk::{Step, Stop, Walk};

pub(super) fn return_value(w: &mut Walk<'_>, state: &State<'_>) -> Step<String> {
    w.le("tds.returnvalue.ordinal", "ordinal", 2)?;
    let name = w.counted("", 1, "tds.returnvalue.name", "name")?;
    let status = w.hex("tds.returnvalue.status", "status", 1)?;
    w.say(match status {
        1 => "OUTPUT",
        2 => "result of a function",
        _ => "",
    });
    columns::user_type(w, state.known.version)?;
    let flags = w.hex("tds.colmetadata.results_token_flags", "flags", 2)?;
    let info = columns::type_info(w, Place::ReturnValue, state.known.version)?;
    if state.context.column_encryption && flags & 0x0800 != 0 {
        columns::crypto_metadata(w, &here(state), false)?;
    }
    let cell = cell::value(w, &info, "value".to_owned(), true)?;
    let value = cell.literal();
    Ok(if name.is_empty() {
        value
    } else {
        format!("{name} = {value}")
    })
}

pub(super) fn tabname(w: &mut Walk<'_>, version: Version) -> Step<String> {
    let mut words = Vec::new();
    while !w.r.is_empty() {
        let parts = if version >= Version::V71R1 {
            w.le("tds.other", "parts", 1)?
        } else {
            1
        };
        let mut table = Vec::new();
        for _ in 0..parts {
            table.push(w.counted("", 2, "tds.tabname.name", "table")?);
        }
        words.push(table.join("."));
    }
    Ok(words.join(", "))
}

/// Status bits of COLINFO ([MS-TDS] 2.2.7.3).
const COLUMN_STATUS: [(u64, &str); 4] = [
    (0x04, "expression"),
    (0x08, "key"),
    (0x10, "hidden"),
    (0x20, "different name"),
];

pub(super) fn colinfo(w: &mut Walk<'_>) -> Step<String> {
    while !w.r.is_empty() {
        w.le("tds.colinfo.column", "column", 1)?;
        w.le("tds.other", "table", 1)?;
        let status = w.hex("tds.other", "status", 1)?;
        let words: Vec<_> = COLUMN_STATUS
            .iter()
            .filter(|(bit, _)| status & bit != 0)
            .map(|(_, word)| *word)
            .collect();
        w.say(words.join(", "));
        if status & 0x20 != 0 {
            w.counted("", 1, "tds.other", "name in the table")?;
        }
    }
    Ok(String::new())
}

pub(super) fn altmetadata(w: &mut Walk<'_>, state: &mut State<'_>) -> Step<String> {
    let count = w.le("tds.colmetadata.columns", "columns", 2)?;
    let id = w.le("tds.altrow.id", "COMPUTE clause", 2)?;
    let by = w.le("tds.other", "by columns", 1)?;
    for _ in 0..by {
        w.le("tds.order.colnum", "by column", 2)?;
    }
    let mut found = Vec::new();
    for number in 1..=count {
        let column = w.group("tds.colmetadata.field", format!("column {number}"), |w| {
            let operator = w.hex("tds.other", "operator", 1)?;
            w.say(operator_name(operator));
            w.le("tds.other", "operand", 2)?;
            columns::user_type(w, state.known.version)?;
            w.hex("tds.colmetadata.results_token_flags", "flags", 2)?;
            let info = columns::type_info(w, Place::Column, state.known.version)?;
            if info.has_table_name() {
                let parts = if state.known.version.is_wide() {
                    w.le("tds.other", "table name parts", 1)?
                } else {
                    1
                };
                for _ in 0..parts {
                    w.counted("", 2, "tds.colmetadata.table_name", "table name")?;
                }
            }
            let name = w.counted("", 1, "tds.colmetadata.colname", "name")?;
            Ok(Column {
                name,
                info,
                encrypted: false,
            })
        })?;
        found.push(column);
    }
    state.known.alt.retain(|(known, _)| *known != id);
    state.known.alt.push((id, Arc::new(found)));
    Ok(format!("{count} columns"))
}

fn operator_name(operator: u64) -> &'static str {
    match operator {
        0x09 => "COUNT_BIG",
        0x30 => "STDEV",
        0x31 => "STDEVP",
        0x32 => "VAR",
        0x33 => "VARP",
        0x4b => "COUNT",
        0x4d => "SUM",
        0x4f => "AVG",
        0x51 => "MIN",
        0x52 => "MAX",
        _ => "",
    }
}

pub(super) fn altrow(w: &mut Walk<'_>, state: &State<'_>) -> Step<String> {
    let id = w.le("tds.altrow.id", "COMPUTE clause", 2)?;
    let Some((_, columns)) = state.known.alt.iter().find(|(known, _)| *known == id) else {
        return Err(Stop::wrong(
            w.at(),
            "a COMPUTE row whose ALTMETADATA is not in the capture",
        ));
    };
    for column in columns.iter() {
        cell::value(w, &column.info, column.name.clone(), false)?;
    }
    Ok(String::new())
}

/// The token has no length, and whether it carries ranks depends on the version that was negotiated. Where that is not
/// known, version 2 is tried first, and taken if the stream goes on with a token behind it.
pub(super) fn data_classification(w: &mut Walk<'_>, context: &Context) -> Step<String> {
    if let Some(ranks) = context.ranks {
        return labels(w, ranks);
    }
    let start = w.r;
    for ranks in [true, false] {
        w.r = start;
        let mut trial = Walk::new(w.r.rest(), w.at());
        let ended = labels(&mut trial, ranks);
        // What fits must not depend on how much of the stream is there yet.
        let undecided = match &ended {
            Ok(_) => trial.r.is_empty(),
            Err(stop) => stop.short,
        };
        if context.open_end && undecided {
            return Err(Stop::short(w.at(), "DATACLASSIFICATION"));
        }
        if ended.is_ok() && trial.r.peek().is_none_or(|next| name(next).is_some()) {
            return labels(w, ranks);
        }
    }
    w.r = start;
    labels(w, true)
}

fn labels(w: &mut Walk<'_>, ranks: bool) -> Step<String> {
    let mut words = Vec::new();
    for (what, label) in [
        ("labels", "label"),
        ("information types", "information type"),
    ] {
        let count = w.le("tds.other", what, 2)?;
        for _ in 0..count {
            words.push(w.counted("", 1, "tds.dataclassification.label", label)?);
            w.counted("", 1, "tds.other", "id")?;
        }
    }
    if ranks {
        w.i32("tds.other", "rank")?;
    }
    let columns = w.le("tds.other", "columns", 2)?;
    for _ in 0..columns {
        let properties = w.le("tds.other", "properties", 2)?;
        for _ in 0..properties {
            w.le("tds.other", "label", 2)?;
            w.le("tds.other", "information type", 2)?;
            if ranks {
                w.i32("tds.other", "rank")?;
            }
        }
    }
    Ok(words.join(", "))
}
