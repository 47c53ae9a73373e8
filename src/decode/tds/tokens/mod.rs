//! The token stream of a server's answer, and of bulk load ([MS-TDS] 2.2.7).

mod login;
mod notice;
mod rare;

use std::sync::Arc;

use crate::decode::field::{Field, Value};
use crate::decode::sspi;
use crate::decode::tds::cell;
use crate::decode::tds::collation::Collation;
use crate::decode::tds::columns::{self, Column, size};
use crate::decode::tds::message::{Context, Grid, Message};
use crate::decode::tds::version::Version;
use crate::decode::walk::{Step, Stop, Walk};

/// Tokens ([MS-TDS] 2.2.7).
pub mod token {
    /// OFFSET.
    pub const OFFSET: u8 = 0x78;
    /// RETURNSTATUS.
    pub const RETURNSTATUS: u8 = 0x79;
    /// COLMETADATA.
    pub const COLMETADATA: u8 = 0x81;
    /// ALTMETADATA.
    pub const ALTMETADATA: u8 = 0x88;
    /// DATACLASSIFICATION.
    pub const DATACLASSIFICATION: u8 = 0xa3;
    /// TABNAME.
    pub const TABNAME: u8 = 0xa4;
    /// COLINFO.
    pub const COLINFO: u8 = 0xa5;
    /// ORDER.
    pub const ORDER: u8 = 0xa9;
    /// ERROR.
    pub const ERROR: u8 = 0xaa;
    /// INFO.
    pub const INFO: u8 = 0xab;
    /// RETURNVALUE.
    pub const RETURNVALUE: u8 = 0xac;
    /// LOGINACK.
    pub const LOGINACK: u8 = 0xad;
    /// FEATUREEXTACK.
    pub const FEATUREEXTACK: u8 = 0xae;
    /// ROW.
    pub const ROW: u8 = 0xd1;
    /// NBCROW.
    pub const NBCROW: u8 = 0xd2;
    /// ALTROW.
    pub const ALTROW: u8 = 0xd3;
    /// ENVCHANGE.
    pub const ENVCHANGE: u8 = 0xe3;
    /// SESSIONSTATE.
    pub const SESSIONSTATE: u8 = 0xe4;
    /// SSPI.
    pub const SSPI: u8 = 0xed;
    /// FEDAUTHINFO.
    pub const FEDAUTHINFO: u8 = 0xee;
    /// DONE.
    pub const DONE: u8 = 0xfd;
    /// DONEPROC.
    pub const DONEPROC: u8 = 0xfe;
    /// DONEINPROC.
    pub const DONEINPROC: u8 = 0xff;
}

/// The name of a token.
pub fn name(token: u8) -> Option<&'static str> {
    Some(match token {
        token::OFFSET => "OFFSET",
        token::RETURNSTATUS => "RETURNSTATUS",
        token::COLMETADATA => "COLMETADATA",
        token::ALTMETADATA => "ALTMETADATA",
        token::DATACLASSIFICATION => "DATACLASSIFICATION",
        token::TABNAME => "TABNAME",
        token::COLINFO => "COLINFO",
        token::ORDER => "ORDER",
        token::ERROR => "ERROR",
        token::INFO => "INFO",
        token::RETURNVALUE => "RETURNVALUE",
        token::LOGINACK => "LOGINACK",
        token::FEATUREEXTACK => "FEATUREEXTACK",
        token::ROW => "ROW",
        token::NBCROW => "NBCROW",
        token::ALTROW => "ALTROW",
        token::ENVCHANGE => "ENVCHANGE",
        token::SESSIONSTATE => "SESSIONSTATE",
        token::SSPI => "SSPI",
        token::FEDAUTHINFO => "FEDAUTHINFO",
        token::DONE => "DONE",
        token::DONEPROC => "DONEPROC",
        token::DONEINPROC => "DONEINPROC",
        _ => return None,
    })
}

/// Columns of COMPUTE clauses, by id.
type AltColumns = Vec<(u64, Arc<Vec<Column>>)>;

/// What a stream has said that later tokens rest on.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The version, as LOGINACK may change it.
    pub version: Version,
    /// Columns in force.
    pub columns: Option<Arc<Vec<Column>>>,
    alt: AltColumns,
}

impl Known {
    /// What is known in front of a stream.
    pub fn new(context: &Context) -> Self {
        Self {
            version: context.version,
            columns: context.columns.clone(),
            alt: Vec::new(),
        }
    }
}

/// The walk through a stream.
struct State<'c> {
    context: &'c Context,
    known: Known,
    rows: usize,
    skipped: Option<Skipped>,
}

/// Rows that got no field.
struct Skipped {
    from: usize,
    rows: u64,
}

/// All tokens from a token's first byte on.
pub fn stream(w: &mut Walk<'_>, out: &mut Message, context: &Context) -> Step<()> {
    let mut state = State {
        context,
        known: Known::new(context),
        rows: 0,
        skipped: None,
    };
    if let Some(columns) = &state.known.columns {
        out.grids.push(Grid {
            carried: true,
            ..new_grid(columns)
        });
    }
    let mut result = Ok(());
    while let Some(next) = w.r.peek() {
        if context.until.is_some_and(|until| w.at() >= until) {
            break;
        }
        result = one(w, out, &mut state, next);
        if result.is_err() {
            break;
        }
    }
    note_skipped(w, &mut state);
    out.grids.retain(|grid| {
        !grid.columns.is_empty() && (!grid.rows.is_empty() || grid.more > 0 || !grid.carried)
    });
    result
}

/// One token other than a row; what it says is kept in `known`.
pub fn single(w: &mut Walk<'_>, context: &Context, known: &mut Known, next: u8) -> Step<()> {
    let mut out = Message::default();
    let mut state = State {
        context,
        known: std::mem::take(known),
        rows: 0,
        skipped: None,
    };
    let result = one(w, &mut out, &mut state, next);
    *known = state.known;
    result
}

fn one(w: &mut Walk<'_>, out: &mut Message, state: &mut State<'_>, next: u8) -> Step<()> {
    if matches!(next, token::ROW | token::NBCROW) {
        return row(w, out, state, next);
    }
    note_skipped(w, state);
    let Some(label) = name(next) else {
        return unknown(w, state.context, next);
    };
    let field = match next {
        token::OFFSET => "tds.offset",
        token::RETURNSTATUS => "tds.returnstatus",
        token::COLMETADATA => "tds.colmetadata",
        token::ALTMETADATA => "tds.altmetadata",
        token::DATACLASSIFICATION => "tds.dataclassification",
        token::TABNAME => "tds.tabname",
        token::COLINFO => "tds.colinfo",
        token::ORDER => "tds.order",
        token::ERROR => "tds.error",
        token::INFO => "tds.info",
        token::RETURNVALUE => "tds.returnvalue",
        token::LOGINACK => "tds.loginack",
        token::FEATUREEXTACK => "tds.featureextack",
        token::ALTROW => "tds.altrow",
        token::ENVCHANGE => "tds.envchange",
        token::SESSIONSTATE => "tds.sessionstate",
        token::SSPI => "tds.sspi",
        token::FEDAUTHINFO => "tds.fedauthinfo",
        token::DONE => "tds.done",
        token::DONEPROC => "tds.doneproc",
        _ => "tds.doneinproc",
    };
    let words = w.group(field, label, |w| {
        w.r.u8();
        inside(w, out, state, next)
    })?;
    w.say(words);
    Ok(())
}

/// What stands behind a token; returns the words for its heading.
fn inside(w: &mut Walk<'_>, out: &mut Message, state: &mut State<'_>, next: u8) -> Step<String> {
    match next {
        token::OFFSET => {
            w.le("tds.offset.id", "keyword", 2)?;
            w.le("tds.offset.len", "position", 2)?;
            Ok(String::new())
        }
        token::RETURNSTATUS => Ok(w.i32("tds.returnstatus.value", "value")?.to_string()),
        token::COLMETADATA => {
            let columns = columns::colmetadata(w, &here(state))?;
            if columns.is_empty() {
                return Ok(String::new());
            }
            let words = format!("{} columns", columns.len());
            let columns = Arc::new(columns);
            out.grids.push(new_grid(&columns));
            state.known.columns = Some(columns);
            Ok(words)
        }
        token::ALTMETADATA => rare::altmetadata(w, state),
        token::ALTROW => rare::altrow(w, state),
        token::DATACLASSIFICATION => rare::data_classification(w, state.context),
        token::TABNAME => sized(w, "tds.other", 2, |w| rare::tabname(w, state.known.version)),
        token::COLINFO => sized(w, "tds.other", 2, rare::colinfo),
        token::ORDER => sized(w, "tds.order.length", 2, |w| {
            let mut words = Vec::new();
            while !w.r.is_empty() {
                words.push(w.le("tds.order.colnum", "column", 2)?.to_string());
            }
            Ok(words.join(", "))
        }),
        token::ERROR => sized(w, "tds.error.length", 2, |w| {
            notice::notice(w, state.known.version, &notice::ERROR)
        }),
        token::INFO => sized(w, "tds.info.length", 2, |w| {
            notice::notice(w, state.known.version, &notice::INFO)
        }),
        token::RETURNVALUE => rare::return_value(w, state),
        token::LOGINACK => sized(w, "tds.loginack.length", 2, |w| {
            let (words, version) = login::login_ack(w)?;
            if let Some(version) = version {
                state.known.version = version;
            }
            Ok(words)
        }),
        token::FEATUREEXTACK => login::feature_ext_ack(w),
        token::ENVCHANGE => crate::decode::tds::envchange::token(w),
        token::SESSIONSTATE => sized(w, "tds.sessionstate.length", 4, login::session_state),
        token::SSPI => sized(w, "tds.other", 2, |w| {
            sspi::fields(w)?;
            Ok(String::new())
        }),
        token::FEDAUTHINFO => sized(w, "tds.other", 4, login::fed_auth_info),
        token::DONE => notice::done(w, state.known.version, &notice::DONE),
        token::DONEPROC => notice::done(w, state.known.version, &notice::DONEPROC),
        _ => notice::done(w, state.known.version, &notice::DONEINPROC),
    }
}

/// The context, with the version that the stream itself has told.
fn here(state: &State<'_>) -> Context {
    Context {
        version: state.known.version,
        ..state.context.clone()
    }
}

/// Reads a length of `len` bytes and what it covers.
fn sized<T>(
    w: &mut Walk<'_>,
    name: &'static str,
    len: usize,
    read: impl FnOnce(&mut Walk<'_>) -> Step<T>,
) -> Step<T> {
    let covered = w.le(name, "length", len)?;
    let end = w.at().saturating_add(size(covered));
    let (part, cut) = w.r.sub_lax(size(covered));
    let whole = std::mem::replace(&mut w.r, part);
    let result = read(w);
    let stopped = w.at();
    w.r = whole;
    match result {
        Err(stop) if stop.short && !cut => Err(Stop::wrong(
            stopped,
            "the token's length is too small for its content",
        )),
        Ok(_) if cut => Err(Stop::short(w.at(), "a token")),
        Ok(value) => {
            if stopped < end {
                w.push(
                    Field::new("tds.token.length.invalid", "not used", Value::None)
                        .text("the token is longer than its content")
                        .at(stopped..end),
                );
            }
            Ok(value)
        }
        other => other,
    }
}

/// How long what follows a token's byte is, by its class ([MS-TDS] 2.2.4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// So many bytes, or none.
    Fixed(usize),
    /// As many as two bytes in front of them say.
    Counted,
}

/// The class of a token, by which one that nothing knows is skipped; `None` where the class does not tell.
pub fn class(token: u8) -> Option<Class> {
    match token & 0x30 {
        0x10 => Some(Class::Fixed(0)),
        0x30 => Some(Class::Fixed(1 << ((token & 0x0c) >> 2))),
        0x20 => Some(Class::Counted),
        _ => None,
    }
}

fn unknown(w: &mut Walk<'_>, context: &Context, next: u8) -> Step<()> {
    let start = w.at();
    let result = w.group(
        "tds.unknown_tds_token",
        format!("token 0x{next:02x}"),
        |w| {
            w.r.u8();
            match class(next) {
                Some(Class::Fixed(0)) => Ok(()),
                Some(Class::Fixed(len)) => {
                    w.bytes("tds.other", "data", len)?;
                    Ok(())
                }
                Some(Class::Counted) => {
                    let len = w.le("tds.other", "length", 2)?;
                    w.bytes("tds.other", "data", size(len))?;
                    Ok(())
                }
                None => Err(Stop::wrong(start, format!("0x{next:02x} is no token"))),
            }
        },
    );
    if result.is_ok() && context.open_end && w.r.is_empty() {
        return Err(Stop::short(
            w.at(),
            "what follows a token that is not known",
        ));
    }
    // A token that nothing knows is skipped by its class, but what follows is trusted only if it is a token.
    if result.is_ok() && w.r.peek().is_some_and(|byte| name(byte).is_none()) {
        return Err(Stop::wrong(w.at(), format!("0x{next:02x} is no token")));
    }
    result
}

fn new_grid(columns: &[Column]) -> Grid {
    Grid {
        columns: columns
            .iter()
            .map(|column| (column.name.clone(), column.info.sql()))
            .collect(),
        ..Grid::default()
    }
}

fn row(w: &mut Walk<'_>, out: &mut Message, state: &mut State<'_>, next: u8) -> Step<()> {
    let Some(columns) = state.known.columns.clone() else {
        return Err(Stop::wrong(
            w.at(),
            "a row whose COLMETADATA is not in the capture",
        ));
    };
    if state.rows >= state.context.max_rows {
        return skip_row(w, out, state, &columns, next);
    }
    let (field, label) = if next == token::ROW {
        ("tds.row", "ROW")
    } else {
        ("tds.nbcrow", "NBCROW")
    };
    let number = state.rows.saturating_add(1);
    let mut cells = Vec::new();
    let result = w.group(field, label, |w| {
        w.r.u8();
        let nulls = null_map(w, &columns, next)?;
        for (at, column) in columns.iter().enumerate() {
            let label = column.name.clone();
            if is_null(nulls, at) {
                w.push(Field::new("tds.type_varbyte.data.null", label, Value::None).text("NULL"));
                cells.push(crate::decode::tds::values::Cell::null());
            } else {
                cells.push(cell::value(w, &column.info, label, false)?);
            }
        }
        Ok(())
    });
    w.say(format!("row {number}"));
    if let Some(grid) = out.grids.last_mut() {
        grid.rows.push(cells);
    }
    state.rows = number;
    result
}

/// The bytes of an NBCROW that tell which values are NULL and absent (a set bit is NULL).
fn null_map<'a>(w: &mut Walk<'a>, columns: &[Column], next: u8) -> Step<&'a [u8]> {
    if next == token::ROW {
        return Ok(&[]);
    }
    let at = w.at();
    w.r.take(columns.len().div_ceil(8))
        .ok_or_else(|| Stop::short(at, "the map of NULLs"))
}

fn is_null(map: &[u8], column: usize) -> bool {
    map.get(column / 8)
        .is_some_and(|byte| byte >> (column % 8) & 1 == 1)
}

fn skip_row(
    w: &mut Walk<'_>,
    out: &mut Message,
    state: &mut State<'_>,
    columns: &[Column],
    next: u8,
) -> Step<()> {
    let start = w.at();
    w.r.u8();
    let nulls = null_map(w, columns, next)?;
    for (at, column) in columns.iter().enumerate() {
        if !is_null(nulls, at) {
            cell::skip_value(w, &column.info).ok_or_else(|| Stop::short(start, "a row"))?;
        }
    }
    let skipped = state.skipped.get_or_insert(Skipped {
        from: start,
        rows: 0,
    });
    skipped.rows = skipped.rows.saturating_add(1);
    if let Some(grid) = out.grids.last_mut() {
        grid.more = grid.more.saturating_add(1);
    }
    Ok(())
}

fn note_skipped(w: &mut Walk<'_>, state: &mut State<'_>) {
    if let Some(skipped) = state.skipped.take() {
        let end = w.at();
        w.push(
            Field::new("tds.more", "more", Value::None)
                .text(format!("{} more rows", skipped.rows))
                .at(skipped.from..end),
        );
    }
}

/// The value of a 5-byte collation in ENVCHANGE.
pub(super) fn collation(w: &mut Walk<'_>) -> Option<String> {
    let collation = Collation::read(&mut w.r)?;
    let range = w.r.last(5);
    let field = columns::collation_field(collation, range, columns::CollationNames::EnvChange);
    let words = format!("{}, {}", columns::collation_name(collation), field.text);
    w.push(field);
    Some(words)
}
