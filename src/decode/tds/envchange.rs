//! ENVCHANGE: a setting of the session changed ([MS-TDS] 2.2.7.9).

use super::columns::size;
use crate::decode::field::{Field, Value};
use crate::decode::reader::Reader;
use crate::decode::registry;
use crate::decode::walk::{Step, Stop, Walk};

/// How new and old value of a type are written.
enum Form {
    /// B_VARCHAR each.
    Text,
    /// u8 length and bytes each.
    Bytes,
    /// u8 length and a collation each.
    Collation,
    /// New value with an i32 length that the token's own length does not cover; old value as bytes.
    Promote,
    /// Routing: protocol, port, server, and a database for the enhanced form.
    Routing(bool),
}

fn form(kind: u64) -> Form {
    match kind {
        1..=6 | 13 | 19 => Form::Text,
        7 => Form::Collation,
        15 => Form::Promote,
        20 => Form::Routing(false),
        21 => Form::Routing(true),
        _ => Form::Bytes,
    }
}

/// What stands behind the token byte; returns the words for the heading.
pub fn token(w: &mut Walk<'_>) -> Step<String> {
    let len = size(w.le("tds.envchange.length", "length", 2)?);
    let end = w.at().saturating_add(len);
    let kind = w.le("tds.envchange.type", "type", 1)?;
    let word = registry::word("tds.envchange.type", kind).unwrap_or("unknown");
    w.say(word);
    let words = match form(kind) {
        // The length covers the type alone; the new value brings its own.
        Form::Promote => {
            let len = w.le("tds.envchange.newvalue_length", "new value length", 4)?;
            w.bytes("tds.envchange.newvalue", "new value", size(len))?;
            w.le("tds.envchange.oldvalue_length", "old value length", 1)?;
            return Ok(word.to_owned());
        }
        form => inside(w, end, &form)?,
    };
    Ok(format!("{word}: {words}"))
}

fn inside(w: &mut Walk<'_>, end: usize, form: &Form) -> Step<String> {
    let left = end.saturating_sub(w.at());
    let (part, cut) = w.r.sub_lax(left);
    let whole = std::mem::replace(&mut w.r, part);
    let result = values(w, form);
    let stopped = w.at();
    w.r = whole;
    match result {
        Err(stop) if stop.short && !cut => Err(Stop::wrong(
            stopped,
            "ENVCHANGE is too short for its values",
        )),
        Ok(_) if cut => Err(Stop::short(w.at(), "ENVCHANGE")),
        other => other,
    }
}

fn values(w: &mut Walk<'_>, form: &Form) -> Step<String> {
    match form {
        Form::Text => {
            let new = w.counted_some(
                "tds.envchange.newvalue_length",
                1,
                "tds.envchange.newvalue_string",
                "new value",
            )?;
            if w.r.is_empty() {
                return Ok(new);
            }
            let old = w.counted_some(
                "tds.envchange.oldvalue_length",
                1,
                "tds.envchange.oldvalue_string",
                "old value",
            )?;
            Ok(if old.is_empty() {
                new
            } else {
                format!("{old} -> {new}")
            })
        }
        Form::Routing(enhanced) => routing(w, *enhanced),
        Form::Bytes | Form::Collation | Form::Promote => {
            let new = value(w, form, "new value", true)?;
            let old = if w.r.is_empty() {
                String::new()
            } else {
                value(w, form, "old value", false)?
            };
            Ok([new, old]
                .into_iter()
                .find(|text| !text.is_empty())
                .unwrap_or_default())
        }
    }
}

fn value(w: &mut Walk<'_>, form: &Form, label: &'static str, new: bool) -> Step<String> {
    let (len_name, name) = if new {
        ("tds.envchange.newvalue_length", "tds.envchange.newvalue")
    } else {
        ("tds.envchange.oldvalue_length", "tds.envchange.oldvalue")
    };
    let len = size(w.le(len_name, "length", 1)?);
    if matches!(form, Form::Collation) && len == 5 {
        return super::tokens::collation(w).ok_or_else(|| Stop::short(w.at(), "a collation"));
    }
    if len == 0 {
        return Ok(String::new());
    }
    if len == 8 {
        let bytes = w.bytes(name, label, 8)?;
        let descriptor = Reader::new(bytes).u64_le().unwrap_or(0);
        let words = format!("transaction {descriptor:#x}");
        w.say(words.clone());
        return Ok(words);
    }
    w.bytes(name, label, len)?;
    Ok(format!("{len} bytes"))
}

fn routing(w: &mut Walk<'_>, enhanced: bool) -> Step<String> {
    w.le("tds.envchange.newvalue_length", "length", 2)?;
    w.le("tds.other", "protocol", 1)?;
    let port = w.le("tds.envchange.port", "port", 2)?;
    let server = w.counted("", 2, "tds.envchange.newvalue_string", "server")?;
    let database = if enhanced {
        w.counted("", 2, "tds.envchange.newvalue_string", "database")?
    } else {
        String::new()
    };
    if w.r.left() >= 2 {
        w.le("tds.envchange.oldvalue_length", "old value length", 2)?;
    }
    w.push(Field::new("", "", Value::None).text("the client connects to this server instead"));
    Ok(format!("{server}:{port} {database}").trim_end().to_owned())
}
