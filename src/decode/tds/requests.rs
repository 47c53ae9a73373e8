//! Requests: ALL_HEADERS, SQL batches, remote procedure calls, transaction requests ([MS-TDS] 2.2.5.3, 2.2.6).

use super::cell;
use super::columns::{self, size};
use super::hiding::Hiding;
use super::message::{Context, Message};
use super::sql_secret::{self, Reading};
use super::tvp;
use super::type_info::{Place, ValueLength};
use super::values::{Cell, guid as guid_text};
use crate::decode::field::{Field, Value};
use crate::decode::reader::Reader;
use crate::decode::registry;
use crate::decode::walk::{Flag, Step, Stop, Walk};

/// The length of ALL_HEADERS at the start of a request, as far as the bytes show it; `None` if there are none, as
/// before TDS 7.2. It may reach beyond the bytes.
pub fn all_headers_len(body: &[u8]) -> Option<usize> {
    let mut r = Reader::new(body);
    let total = size(u64::from(r.u32_le()?));
    if !(4..=1 << 16).contains(&total) {
        return None;
    }
    // Plausible headers must fill the total.
    let mut at = 4_usize;
    while at < total {
        let (Some(len), Some(kind)) = (r.u32_le(), r.u16_le()) else {
            // A total that counts more than is there is taken for one if it is of the usual size.
            return (total <= 256).then_some(total);
        };
        let len = size(u64::from(len));
        if len < 6 || !(1..=3).contains(&kind) {
            return None;
        }
        at = at.saturating_add(len);
        let _ = r.sub_lax(len.saturating_sub(6));
    }
    (at == total).then_some(total)
}

fn all_headers(w: &mut Walk<'_>, context: &Context) -> Step<()> {
    if !context.version.is_wide() {
        return Ok(());
    }
    if w.r.left() < 4 {
        return Err(Stop::short(w.at(), "ALL_HEADERS"));
    }
    let Some(total) = all_headers_len(w.r.rest()) else {
        w.push(
            Field::new("tds.assumed", "no ALL_HEADERS", Value::None)
                .text("the bytes begin with the request itself, as before TDS 7.2"),
        );
        return Ok(());
    };
    w.group("tds.all_headers", "ALL_HEADERS", |w| {
        let end = w.at().saturating_add(total);
        w.le("tds.all_headers.total_length", "total length", 4)?;
        while w.at() < end {
            header(w)?;
        }
        Ok(())
    })
}

fn header(w: &mut Walk<'_>) -> Step<()> {
    let len = w.le("tds.all_headers.header.length", "header length", 4)?;
    let kind = w.le("tds.all_headers.header.type", "header type", 2)?;
    w.say(registry::word("tds.all_headers.header.type", kind).unwrap_or("unknown"));
    let data = size(len).saturating_sub(6);
    match kind {
        2 if data == 12 => {
            let descriptor = w.hex(
                "tds.all_headers.header.trans_descr",
                "transaction descriptor",
                8,
            )?;
            if descriptor == 0 {
                w.say("autocommit");
            }
            w.le(
                "tds.all_headers.header.request_cnt",
                "outstanding requests",
                4,
            )?;
        }
        1 => w.bounded("tds.all_headers.header.data", "data", data, notification)?,
        3 if data == 20 => {
            let guid: [u8; 16] = w
                .bytes("tds.all_headers.header.data", "activity", 16)?
                .try_into()
                .unwrap_or_default();
            w.say(guid_text(guid));
            w.le("tds.other", "sequence", 4)?;
        }
        2 | 3 => {
            w.bytes("tds.all_headers.header.data", "data", data)?;
        }
        _ => {
            w.bytes("tds.all_headers.header.type.invalid", "data", data)?;
        }
    }
    Ok(())
}

/// The header of a request for query notifications ([MS-TDS] 2.2.5.3.1); lengths count bytes.
fn notification(w: &mut Walk<'_>) -> Step<()> {
    for label in ["notification id", "service broker deployment"] {
        let len = w.le("tds.other", "length", 2)?;
        w.utf16("tds.other", label, size(len))?;
    }
    if !w.r.is_empty() {
        w.le("tds.other", "timeout in ms", 4)?;
    }
    Ok(())
}

/// A SQL batch: its text is all that follows the headers.
pub fn batch(w: &mut Walk<'_>, out: &mut Message, context: &Context) -> Step<()> {
    all_headers(w, context)?;
    let len = w.r.left();
    let text = w.sql("tds.query", "SQL", len)?;
    out.sql.push(text);
    if len % 2 == 1 {
        return Err(Stop::short(w.at(), "a character"));
    }
    Ok(())
}

/// The text of a SQL batch, from the beginning of its body; at most `limit` characters. What is secret in it is replaced
/// by words.
pub fn batch_text(body: &[u8], limit: usize) -> String {
    let start = all_headers_len(body).unwrap_or(0);
    let bytes = body.get(start..).unwrap_or_default();
    let bytes = bytes.get(..limit.saturating_mul(2)).unwrap_or(bytes);
    sql_secret::shown(bytes, Reading::Statement)
}

const OPTIONS: &[Flag] = &[
    (1, "tds.rpc.options.with_recomp", "with recompile"),
    (2, "tds.rpc.options.no_metadata", "no metadata"),
    (4, "tds.rpc.options.reuse_metadata", "reuse metadata"),
];

/// A procedure call as far as it was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Call {
    /// The procedure's name.
    pub procedure: String,
    /// Its parameters, in order.
    pub parameters: Vec<Parameter>,
}

/// A parameter of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its value; for a table, words about it.
    pub value: Cell,
    /// As it stands in T-SQL: name, value, `output`.
    pub words: String,
}

impl Call {
    /// The call as T-SQL.
    pub fn sql(&self) -> String {
        let words: Vec<&str> = self.parameters.iter().map(|p| p.words.as_str()).collect();
        format!("exec {} {}", self.procedure, words.join(", "))
            .trim_end()
            .to_owned()
    }
}

/// One or more procedure calls.
pub fn rpc(w: &mut Walk<'_>, out: &mut Message, context: &Context) -> Step<()> {
    all_headers(w, context)?;
    if w.r.is_empty() {
        return Err(Stop::short(w.at(), "RPC"));
    }
    while !w.r.is_empty() {
        let mut call = Call::default();
        let result = w.group("tds.rpc", "RPC", |w| one_call(w, &mut call, context));
        w.say(call.procedure.clone());
        if !call.procedure.is_empty() {
            out.sql.push(call.sql());
            out.calls.push(call);
        }
        result?;
        if is_separator(w.r.peek(), context) {
            let flag = w.le("tds.rpc.separator", "separator", 1)?;
            w.say(registry::word("tds.rpc.separator", flag).unwrap_or_default());
        }
    }
    Ok(())
}

fn is_separator(next: Option<u8>, context: &Context) -> bool {
    match next {
        Some(0xff | 0xfe) => true,
        Some(0x80) => !context.version.is_wide(),
        _ => false,
    }
}

fn one_call(w: &mut Walk<'_>, call: &mut Call, context: &Context) -> Step<()> {
    let name_len = w.le("tds.rpc.name_length", "name length", 2)?;
    if name_len == 0xffff {
        w.say("procedure by number");
        let id = w.le("tds.rpc.proc_id", "procedure id", 2)?;
        let name = registry::word("tds.rpc.proc_id", id);
        w.say(name.unwrap_or("unknown procedure"));
        call.procedure = name.map_or_else(|| format!("procedure {id}"), str::to_owned);
    } else {
        call.procedure = w.utf16(
            "tds.rpc.name",
            "procedure",
            size(name_len).saturating_mul(2),
        )?;
    }
    let options = w.hex("tds.rpc.options", "options", 2)?;
    w.flags(options, OPTIONS);
    let mut hiding = Hiding::of(&call.procedure);
    let mut number = 0_usize;
    while !w.r.is_empty() && !is_separator(w.r.peek(), context) {
        number = number.saturating_add(1);
        let words = w.group("tds.rpc.parameter", format!("parameter {number}"), |w| {
            parameter(w, call, &mut hiding, context)
        })?;
        w.say(words);
    }
    Ok(())
}

const PARAMETER_STATUS: &[Flag] = &[
    (1, "tds.rpc.parameter.status.by_ref", "OUTPUT"),
    (2, "tds.rpc.parameter.status.default", "default"),
    (8, "tds.rpc.parameter.status.encrypted", "encrypted"),
];

fn parameter(
    w: &mut Walk<'_>,
    call: &mut Call,
    hiding: &mut Hiding,
    context: &Context,
) -> Step<String> {
    let name = w.counted_some(
        "tds.rpc.parameter.name_length",
        1,
        "tds.rpc.parameter.name",
        "name",
    )?;
    let status = w.hex("tds.rpc.parameter.status", "status", 1)?;
    w.flags(status, PARAMETER_STATUS);
    let info = columns::type_info(w, Place::Parameter, context.version)?;
    let (shown, value) = if info.length == ValueLength::Table {
        hiding.took("", Vec::new());
        let rows = tvp::table(w, context)?;
        let words = format!("/* table, {rows} rows */");
        (words, Cell::null())
    } else {
        let hide = hiding.next(&name, &info);
        let (printed, variables) = w.group("tds.rpc.parameter.value", "value", |w| {
            cell::hidden_value(w, &info, info.sql(), hide)
        })?;
        hiding.took(&printed.text, variables);
        let shown = if status & 2 != 0 {
            "default".to_owned()
        } else {
            printed.literal()
        };
        (shown, printed)
    };
    if status & 8 != 0 {
        cipher_info(w, context)?;
    }
    let output = if status & 1 != 0 { " output" } else { "" };
    let words = if name.is_empty() {
        format!("{shown}{output}")
    } else {
        format!("{name} = {shown}{output}")
    };
    call.parameters.push(Parameter {
        value,
        words: words.clone(),
    });
    Ok(words)
}

fn cipher_info(w: &mut Walk<'_>, context: &Context) -> Step<()> {
    w.group("tds.other", "encryption", |w| {
        columns::type_info(w, Place::Parameter, context.version)?;
        if w.le("tds.other", "algorithm", 1)? == 0 {
            w.counted("", 1, "tds.other", "algorithm name")?;
        }
        w.le("tds.other", "encryption type", 1)?;
        w.le("tds.other", "database id", 4)?;
        w.le("tds.other", "key id", 4)?;
        w.le("tds.other", "key version", 4)?;
        w.hex("tds.other", "metadata version", 8)?;
        w.le("tds.other", "normalization version", 1)?;
        Ok(())
    })
}

/// The first call of an RPC message as far as the bytes reach, and whether that is all of it.
pub fn first_call(body: &[u8], context: &Context) -> Option<(Call, bool)> {
    let start = all_headers_len(body).unwrap_or(0);
    let mut w = Walk::new(body.get(start..)?, start);
    let mut call = Call::default();
    let whole = one_call(&mut w, &mut call, context).is_ok();
    (!call.procedure.is_empty()).then_some((call, whole))
}

/// A transaction manager request.
pub fn transaction(w: &mut Walk<'_>, out: &mut Message, context: &Context) -> Step<()> {
    all_headers(w, context)?;
    let kind = w.le("tds.transmgr", "request", 2)?;
    let word = registry::word("tds.transmgr", kind).unwrap_or("unknown request");
    w.say(word);
    let mut words = word.to_owned();
    let result = w.group("tds.transmgr.payload", "payload", |w| {
        payload(w, kind, &mut words)
    });
    out.sql.push(words);
    result
}

fn payload(w: &mut Walk<'_>, kind: u64, words: &mut String) -> Step<()> {
    match kind {
        0 | 1 => {
            let len = w.le("tds.other", "length", 2)?;
            w.bytes("tds.other", "data", size(len))?;
        }
        5 => begin(w, words)?,
        7 | 8 => {
            name(w, words)?;
            let flags = w.hex("tds.transmgr.flags", "flags", 1)?;
            if flags & 1 == 1 {
                w.say("begins a new transaction");
                words.push_str(", then begin");
                begin(w, words)?;
            }
        }
        9 => name(w, words)?,
        6 => {}
        _ => {
            let len = w.r.left();
            w.bytes("tds.other", "data", len)?;
        }
    }
    Ok(())
}

fn begin(w: &mut Walk<'_>, words: &mut String) -> Step<()> {
    let level = w.le("tds.transmgr.isolation", "isolation", 1)?;
    let word = registry::word("tds.transmgr.isolation", level).unwrap_or("unknown level");
    w.say(word);
    if level != 0 {
        words.push_str(", ");
        words.push_str(word);
    }
    name(w, words)
}

fn name(w: &mut Walk<'_>, words: &mut String) -> Step<()> {
    let len = w.le("tds.other", "name length", 1)?;
    let name = w.utf16("tds.transmgr.name", "name", size(len))?;
    if !name.is_empty() {
        words.push(' ');
        words.push_str(&name);
    }
    Ok(())
}

/// The kind of a transaction request.
pub fn transaction_kind(body: &[u8]) -> Option<&'static str> {
    let start = all_headers_len(body).unwrap_or(0);
    let kind = Reader::new(body.get(start..)?).u16_le()?;
    registry::word("tds.transmgr", u64::from(kind))
}
