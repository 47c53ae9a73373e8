//! The token stream of a server's answer, and of bulk load ([MS-TDS] 2.2.7).

use std::sync::Arc;

use super::collation::Collation;
use super::columns::{self, Column, size};
use super::message::{Context, Grid, Message};
use super::type_info::Place;
use super::version::{Version, release};
use crate::decode::field::{Field, Value};
use crate::decode::registry;
use crate::decode::sspi;
use crate::decode::walk::{Flag, Step, Stop, Walk};

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
        return unknown(w, next);
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
        token::ALTMETADATA => altmetadata(w, state),
        token::ALTROW => altrow(w, state),
        token::DATACLASSIFICATION => data_classification(w),
        token::TABNAME => sized(w, "tds.other", 2, |w| tabname(w, state.known.version)),
        token::COLINFO => sized(w, "tds.other", 2, colinfo),
        token::ORDER => sized(w, "tds.order.length", 2, |w| {
            let mut words = Vec::new();
            while !w.r.is_empty() {
                words.push(w.le("tds.order.colnum", "column", 2)?.to_string());
            }
            Ok(words.join(", "))
        }),
        token::ERROR => sized(w, "tds.error.length", 2, |w| {
            notice(w, state.known.version, &ERROR)
        }),
        token::INFO => sized(w, "tds.info.length", 2, |w| {
            notice(w, state.known.version, &INFO)
        }),
        token::RETURNVALUE => return_value(w, state),
        token::LOGINACK => sized(w, "tds.loginack.length", 2, |w| {
            let (words, version) = login_ack(w)?;
            if let Some(version) = version {
                state.known.version = version;
            }
            Ok(words)
        }),
        token::FEATUREEXTACK => feature_ext_ack(w),
        token::ENVCHANGE => super::envchange::token(w),
        token::SESSIONSTATE => sized(w, "tds.sessionstate.length", 4, session_state),
        token::SSPI => sized(w, "tds.other", 2, |w| {
            sspi::fields(w)?;
            Ok(String::new())
        }),
        token::FEDAUTHINFO => sized(w, "tds.other", 4, fed_auth_info),
        token::DONE => done(w, state.known.version, &DONE),
        token::DONEPROC => done(w, state.known.version, &DONEPROC),
        _ => done(w, state.known.version, &DONEINPROC),
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

fn unknown(w: &mut Walk<'_>, next: u8) -> Step<()> {
    let start = w.at();
    let result = w.group(
        "tds.unknown_tds_token",
        format!("token 0x{next:02x}"),
        |w| {
            w.r.u8();
            match next & 0x30 {
                0x10 => Ok(()),
                0x30 => {
                    w.bytes("tds.other", "data", 1 << ((next & 0x0c) >> 2))?;
                    Ok(())
                }
                0x20 => {
                    let len = w.le("tds.other", "length", 2)?;
                    w.bytes("tds.other", "data", size(len))?;
                    Ok(())
                }
                _ => Err(Stop::wrong(start, format!("0x{next:02x} is no token"))),
            }
        },
    );
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
                cells.push(super::values::Cell::null());
            } else {
                cells.push(columns::value(w, &column.info, label, false)?);
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
            columns::skip_value(w, &column.info).ok_or_else(|| Stop::short(start, "a row"))?;
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

/// The registry names of ERROR or INFO.
struct Notice {
    number: &'static str,
    state: &'static str,
    class: &'static str,
    text_len: &'static str,
    text: &'static str,
    server_len: &'static str,
    server: &'static str,
    proc_len: &'static str,
    procedure: &'static str,
    line: &'static str,
}

const ERROR: Notice = Notice {
    number: "tds.error.number",
    state: "tds.error.state",
    class: "tds.error.class",
    text_len: "tds.error.msgtext_length",
    text: "tds.error.msgtext",
    server_len: "tds.error.servername_length",
    server: "tds.error.servername",
    proc_len: "tds.error.procname_length",
    procedure: "tds.error.procname",
    line: "tds.error.linenumber",
};

const INFO: Notice = Notice {
    number: "tds.info.number",
    state: "tds.info.state",
    class: "tds.info.class",
    text_len: "tds.info.msgtext_length",
    text: "tds.info.msgtext",
    server_len: "tds.info.servername_length",
    server: "tds.info.servername",
    proc_len: "tds.info.procname_length",
    procedure: "tds.info.procname",
    line: "tds.info.linenumber",
};

fn notice(w: &mut Walk<'_>, version: Version, names: &Notice) -> Step<String> {
    let number = w.i32(names.number, "number")?;
    w.le(names.state, "state", 1)?;
    let class = w.le(names.class, "class", 1)?;
    w.say(class_name(class));
    let text = w.counted(names.text_len, 2, names.text, "message")?;
    w.counted(names.server_len, 1, names.server, "server")?;
    w.counted(names.proc_len, 1, names.procedure, "procedure")?;
    w.le(names.line, "line", if version.is_wide() { 4 } else { 2 })?;
    Ok(format!("{number}, class {class}: {text}"))
}

fn class_name(class: u64) -> &'static str {
    match class {
        0..=10 => "information",
        13 => "deadlock",
        14 => "permission",
        15 => "syntax",
        11..=16 => "an error that the user can correct",
        17..=19 => "resources or software",
        _ => "fatal: the connection usually ends",
    }
}

/// The registry names of DONE, DONEPROC or DONEINPROC.
struct Done {
    status: &'static str,
    /// Status bits that the token can have.
    bits: u64,
    curcmd: &'static str,
    wide: &'static str,
    narrow: &'static str,
}

const DONE: Done = Done {
    status: "tds.done.status",
    bits: 0x17f,
    curcmd: "tds.done.curcmd",
    wide: "tds.done.donerowcount64",
    narrow: "tds.done.donerowcount",
};
const DONEPROC: Done = Done {
    status: "tds.doneproc.status",
    bits: 0x1ff,
    curcmd: "tds.doneproc.curcmd",
    wide: "tds.doneproc.donerowcount64",
    narrow: "tds.doneproc.donerowcount",
};
const DONEINPROC: Done = Done {
    status: "tds.doneinproc.status",
    bits: 0x177,
    curcmd: "tds.doneinproc.curcmd",
    wide: "tds.doneinproc.donerowcount64",
    narrow: "tds.doneinproc.donerowcount",
};

const DONE_STATUS: &[Flag] = &[
    (0x001, "tds.done.status.more", "more results follow"),
    (0x002, "tds.done.status.error", "error"),
    (0x004, "tds.done.status.inxact", "in transaction"),
    (0x008, "tds.done.status.proc", "procedure"),
    (0x010, "tds.done.status.count", "row count valid"),
    (0x020, "tds.done.status.attn", "attention acknowledged"),
    (0x040, "tds.done.status.event", "event"),
    (0x080, "tds.done.status.rpcinbatch", "one of several calls"),
    (0x100, "tds.done.status.srverror", "server error"),
];

fn done(w: &mut Walk<'_>, version: Version, names: &Done) -> Step<String> {
    let status = w.hex(names.status, "status", 2)?;
    let flags: Vec<Flag> = DONE_STATUS
        .iter()
        .copied()
        .filter(|(bit, ..)| names.bits & bit != 0)
        .collect();
    w.flags(status, &flags);
    let mut words = Vec::new();
    if status == 0 {
        w.say("final");
    }
    let command = w.hex(names.curcmd, "command", 2)?;
    if let Some(word) = registry::word("tds.done.curcmd", command) {
        w.say(word);
        words.push(word.to_owned());
    }
    let rows = if version.is_wide() {
        w.le(names.wide, "rows", 8)?
    } else {
        w.le(names.narrow, "rows", 4)?
    };
    if status & 0x10 == 0 {
        w.say("not valid");
    } else {
        words.push(format!("{rows} rows"));
    }
    for (bit, word) in [
        (0x1, "more"),
        (0x2, "error"),
        (0x20, "attention acknowledged"),
        (0x100, "server error"),
    ] {
        if status & bit != 0 {
            words.push(word.to_owned());
        }
    }
    Ok(words.join(", "))
}

fn login_ack(w: &mut Walk<'_>) -> Step<(String, Option<Version>)> {
    let interface = w.le("tds.loginack.interface", "interface", 1)?;
    w.say(match interface {
        0 => "default SQL",
        1 => "T-SQL",
        _ => "unknown",
    });
    let number = w.hex_be("tds.loginack.tdsversion", "TDS version", 4)?;
    let version = u32::try_from(number).ok().and_then(Version::from_number);
    w.say(version.map_or("unknown", Version::name));
    let program = w.counted("", 1, "tds.loginack.progname", "program")?;
    let at = w.at();
    let mut bytes = [0_u8; 4];
    for slot in &mut bytes {
        *slot =
            w.r.u8()
                .ok_or_else(|| Stop::short(at, "the server's version"))?;
    }
    let [major, minor, high, low] = bytes;
    let range = w.r.last(4);
    let build = u16::from_be_bytes([high, low]);
    w.push(
        Field::new(
            "tds.loginack.progversion",
            "server version",
            Value::Hex(u64::from(u32::from_be_bytes(bytes)), 8),
        )
        .text(release(major, minor, build))
        .at(range),
    );
    Ok((
        format!(
            "{program} {major}.{minor}.{build}, TDS {}",
            version.map_or("?", Version::name)
        ),
        version,
    ))
}

fn feature_ext_ack(w: &mut Walk<'_>) -> Step<String> {
    let mut words = Vec::new();
    loop {
        let Some(id) = w.r.peek() else {
            return Err(Stop::short(w.at(), "FEATUREEXTACK"));
        };
        if id == 0xff {
            w.group("tds.featureextack.feature", "terminator", |w| {
                w.le("tds.featureextack.featureid", "id", 1)
            })?;
            return Ok(words.join(", "));
        }
        let name = super::login7::feature_name(id);
        words.push(name);
        w.group("tds.featureextack.feature", name, |w| {
            w.le("tds.featureextack.featureid", "id", 1)?;
            let len = w.le("tds.featureextack.featureackdatalen", "length", 4)?;
            let label = "data";
            if super::login7::is_secret_feature(id) {
                w.secret("tds.featureextack.featureackdata", label, size(len))
            } else {
                w.bytes("tds.featureextack.featureackdata", label, size(len))
                    .map(|_| ())
            }
        })?;
    }
}

fn session_state(w: &mut Walk<'_>) -> Step<String> {
    w.le("tds.sessionstate.seqno", "sequence number", 4)?;
    let status = w.hex("tds.sessionstate.status", "status", 1)?;
    w.say(if status & 1 == 1 {
        "recoverable"
    } else {
        "not recoverable"
    });
    while !w.r.is_empty() {
        w.le("tds.sessionstate.stateid", "state", 1)?;
        let mut len = w.le("tds.sessionstate.statelen", "length", 1)?;
        if len == 0xff {
            len = w.le("tds.sessionstate.statelen", "length", 4)?;
        }
        w.secret("tds.sessionstate.statevalue", "value", size(len))?;
    }
    Ok(String::new())
}

fn fed_auth_info(w: &mut Walk<'_>) -> Step<String> {
    let whole = w.r;
    let count = w.le("tds.other", "options", 4)?;
    for _ in 0..count {
        let id = w.le("tds.other", "option", 1)?;
        let len = w.le("tds.other", "length", 4)?;
        let offset = w.le("tds.other", "offset", 4)?;
        let mut data = whole;
        let text = data
            .skip(size(offset))
            .and_then(|()| data.take(size(len)))
            .map(super::type_info::utf16);
        if let Some(text) = text {
            let label = match id {
                1 => "STS URL",
                2 => "SPN",
                _ => "information",
            };
            let range = data.last(size(len));
            w.push(Field::new("tds.fedauthinfo.option", label, Value::Text(text)).at(range));
        }
    }
    let rest = w.r.left();
    w.r.skip(rest);
    Ok(String::new())
}

fn return_value(w: &mut Walk<'_>, state: &State<'_>) -> Step<String> {
    w.le("tds.returnvalue.ordinal", "ordinal", 2)?;
    let name = w.counted("", 1, "tds.returnvalue.name", "name")?;
    let status = w.hex("tds.returnvalue.status", "status", 1)?;
    w.say(match status {
        1 => "OUTPUT",
        2 => "result of a function",
        _ => "",
    });
    let wide = state.known.version.is_wide();
    w.le(
        "tds.colmetadata.usertype",
        "user type",
        if wide { 4 } else { 2 },
    )?;
    let flags = w.hex("tds.colmetadata.results_token_flags", "flags", 2)?;
    let info = columns::type_info(w, Place::ReturnValue, state.known.version)?;
    if state.context.column_encryption && flags & 0x0800 != 0 {
        columns::crypto_metadata(w, &here(state), false)?;
    }
    let cell = columns::value(w, &info, "value".to_owned(), true)?;
    Ok(format!("{name} = {}", cell.literal()))
}

fn tabname(w: &mut Walk<'_>, version: Version) -> Step<String> {
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

fn colinfo(w: &mut Walk<'_>) -> Step<String> {
    while !w.r.is_empty() {
        w.le("tds.colinfo.column", "column", 1)?;
        w.le("tds.other", "table", 1)?;
        let status = w.hex("tds.other", "status", 1)?;
        if status & 0x20 != 0 {
            w.counted("", 1, "tds.other", "name in the table")?;
        }
    }
    Ok(String::new())
}

fn altmetadata(w: &mut Walk<'_>, state: &mut State<'_>) -> Step<String> {
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
            let wide = state.known.version.is_wide();
            w.le(
                "tds.colmetadata.usertype",
                "user type",
                if wide { 4 } else { 2 },
            )?;
            w.hex("tds.colmetadata.results_token_flags", "flags", 2)?;
            let info = columns::type_info(w, Place::Column, state.known.version)?;
            if info.has_table_name() {
                let parts = if wide {
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

fn altrow(w: &mut Walk<'_>, state: &State<'_>) -> Step<String> {
    let id = w.le("tds.altrow.id", "COMPUTE clause", 2)?;
    let Some((_, columns)) = state.known.alt.iter().find(|(known, _)| *known == id) else {
        return Err(Stop::wrong(
            w.at(),
            "a COMPUTE row whose ALTMETADATA is not in the capture",
        ));
    };
    for column in columns.iter() {
        columns::value(w, &column.info, column.name.clone(), false)?;
    }
    Ok(String::new())
}

/// The token has no length, and whether it carries ranks depends on the version that was negotiated: version 2 is
/// tried first, and taken if the stream goes on with a token behind it.
fn data_classification(w: &mut Walk<'_>) -> Step<String> {
    let start = w.r;
    for ranks in [true, false] {
        w.r = start;
        let mut trial = Walk::new(w.r.rest(), w.at());
        let fits = labels(&mut trial, ranks).is_ok()
            && trial.r.peek().is_none_or(|next| name(next).is_some());
        if fits {
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

/// The value of a 5-byte collation in ENVCHANGE.
pub(super) fn collation(w: &mut Walk<'_>) -> Option<String> {
    let collation = Collation::read(&mut w.r)?;
    let range = w.r.last(5);
    let field = columns::collation_field(collation, range, columns::CollationNames::EnvChange);
    let words = format!("{}, {}", columns::collation_name(collation), field.text);
    w.push(field);
    Some(words)
}
