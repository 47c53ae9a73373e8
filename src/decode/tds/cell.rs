//! Values as trees: how each is delimited, what it says, and where it broke off ([MS-TDS] 2.2.5.5, 2.2.5.2.3).

use super::columns::size;
use super::pieces::Pieces;
use super::sql_secret::{self, Reading};
use super::type_info::{TypeInfo, ValueLength, token as t};
use super::values::{self, Cell};
use crate::decode::field::{Field, Value};
use crate::decode::walk::{Step, Stop, Walk};

/// How a value is delimited on the wire, once its length has been read.
enum Extent {
    Null,
    Bytes(usize),
    Chunks,
}

/// What of a value is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hide {
    /// Nothing.
    Nothing,
    /// All of it.
    All,
    /// What is secret in it as a text.
    Text(Reading),
}

/// A value, with its label; its length and chunks go below it where `detail` is set.
pub fn value(w: &mut Walk<'_>, info: &TypeInfo, label: String, detail: bool) -> Step<Cell> {
    let (cell, _) = read(w, info, label, detail, Hide::Nothing)?;
    Ok(cell)
}

/// As [`value`] with its details, of which something may be secret; and the variables that stand for secrets in it.
pub fn hidden_value(
    w: &mut Walk<'_>,
    info: &TypeInfo,
    label: String,
    hide: Hide,
) -> Step<(Cell, Vec<String>)> {
    read(w, info, label, true, hide)
}

fn read(
    w: &mut Walk<'_>,
    info: &TypeInfo,
    label: String,
    detail: bool,
    hide: Hide,
) -> Step<(Cell, Vec<String>)> {
    let start = w.at();
    let mut children = Vec::new();
    let extent = extent(w, info, &mut children)?;
    let (pieces, cut) = match extent {
        Extent::Null => {
            let range = start..w.at();
            let mut field = Field::new("tds.type_varbyte.data.null", label, Value::None)
                .text("NULL")
                .at(range);
            if detail {
                field.children = children;
            }
            w.push(field);
            return Ok((Cell::null(), Vec::new()));
        }
        Extent::Bytes(len) => {
            let at = w.at();
            let (part, cut) = w.r.sub_lax(len);
            let stop = cut.then(|| Stop::short(w.at(), &format!("a value of {len} bytes")));
            (vec![(at, part.rest())], stop)
        }
        Extent::Chunks => chunks(w, &mut children),
    };
    let pieces = Pieces(pieces);
    let total = pieces.len();
    let bytes = pieces.first(values::KEEP);
    let whole = bytes.len() == total && cut.is_none();
    let secrets = pieces.secrets(info, hide);
    let cell = if secrets.all {
        Some(Cell::secret(total, info))
    } else if cut.is_some() && !is_textual(info) {
        // A number or date that is not whole says nothing; text does.
        None
    } else if secrets.ranges.is_empty() {
        Some(values::print(info, &bytes))
    } else {
        let print = |part: &[u8]| values::print(info, part).text;
        let text = sql_secret::replaced(&bytes, &secrets.ranges, print);
        Some(Cell {
            text,
            ..values::print(info, &[])
        })
    };
    let mut field = if secrets.all {
        let all = Field::new("tds.type_varbyte.data.string", label, Value::Secret(total));
        Field {
            spans: pieces.spans(&(0..total)),
            ..all
        }
    } else {
        typed(info, &bytes, cell.as_ref(), label).at(start..w.at())
    };
    if !whole {
        field.text = if cut.is_some() {
            format!("cut: {total} bytes are there")
        } else {
            format!("{total} bytes, the first {} shown", bytes.len())
        };
    }
    if detail || matches!(info.length, ValueLength::Plp) {
        field.children = children;
    }
    for secret in &secrets.ranges {
        let mut child = sql_secret::field(secret);
        child.spans = pieces.spans(secret);
        field.children.push(child);
    }
    w.push(field);
    match cut {
        Some(stop) => Err(stop),
        None => Ok((cell.unwrap_or_else(Cell::null), secrets.variables)),
    }
}

/// Whether a value is text.
pub fn is_textual(info: &TypeInfo) -> bool {
    info.is_unicode()
        || info.is_collated()
        || matches!(info.token, t::JSON | t::CHAR_OLD | t::VARCHAR_OLD)
}

/// The field of a value, with the name and type that filters know.
fn typed(info: &TypeInfo, bytes: &[u8], cell: Option<&Cell>, label: String) -> Field {
    let text = || Value::Text(cell.map(|c| c.text.clone()).unwrap_or_default());
    let (name, value) = match info.token {
        t::INT1 | t::INT2 | t::INT4 | t::INT8 | t::INT_N => {
            match cell.and_then(|c| c.text.parse().ok()) {
                Some(number) if bytes.len() == 8 => {
                    ("tds.type_varbyte.data.int64", Value::Int(number))
                }
                Some(number) => ("tds.type_varbyte.data.int", Value::Int(number)),
                None => ("tds.type_varbyte.data.bytes", Value::Bytes(bytes.to_vec())),
            }
        }
        t::BIT | t::BIT_N => (
            "tds.type_varbyte.data.bool",
            Value::Bool(bytes.first().is_some_and(|b| *b != 0)),
        ),
        t::FLOAT4 | t::FLOAT8 | t::FLOAT_N => match cell.and_then(|c| c.text.parse().ok()) {
            Some(number) => ("tds.type_varbyte.data.float", Value::Float(number)),
            None => ("tds.type_varbyte.data.bytes", Value::Bytes(bytes.to_vec())),
        },
        t::MONEY
        | t::MONEY4
        | t::MONEY_N
        | t::DECIMAL
        | t::NUMERIC
        | t::DECIMAL_OLD
        | t::NUMERIC_OLD => ("tds.type_varbyte.data.decimal", text()),
        t::GUID => ("tds.type_varbyte.data.guid", text()),
        t::DATETIME | t::DATETIME4 | t::DATETIME_N | t::DATE | t::DATETIME2 | t::DATETIMEOFFSET => {
            ("tds.type_varbyte.data.datetime", text())
        }
        t::TIME => ("tds.type_varbyte.data.time", text()),
        t::VARIANT => ("tds.type_varbyte.data.string", text()),
        _ if is_textual(info) || info.token == t::VECTOR => {
            ("tds.type_varbyte.data.string", text())
        }
        _ => ("tds.type_varbyte.data.bytes", Value::Bytes(bytes.to_vec())),
    };
    let mut field = Field::new(name, label, value);
    if info.token == t::VARIANT
        && let Some((inner, _)) = values::variant(bytes)
    {
        field.text = inner.sql();
    }
    field
}

fn extent(w: &mut Walk<'_>, info: &TypeInfo, children: &mut Vec<Field>) -> Step<Extent> {
    let at = w.at();
    let short = || Stop::short(at, "the length of a value");
    Ok(match info.length {
        ValueLength::Fixed(0) => Extent::Null,
        ValueLength::Fixed(len) => Extent::Bytes(usize::from(len)),
        ValueLength::Byte => match w.r.u8().ok_or_else(short)? {
            0 => Extent::Null,
            len => counted(u64::from(len), w.r.last(1), children),
        },
        ValueLength::Short => match w.r.u16_le().ok_or_else(short)? {
            0xffff => Extent::Null,
            len => counted(u64::from(len), w.r.last(2), children),
        },
        ValueLength::Long => match w.r.i32_le().ok_or_else(short)? {
            ..0 => Extent::Null,
            len => counted(u64::from(len.unsigned_abs()), w.r.last(4), children),
        },
        ValueLength::Variant => match w.r.i32_le().ok_or_else(short)? {
            ..=0 => Extent::Null,
            len => counted(u64::from(len.unsigned_abs()), w.r.last(4), children),
        },
        ValueLength::TextPointer => match w.r.u8().ok_or_else(short)? {
            0 => Extent::Null,
            len => {
                let pointer = w.r.take(usize::from(len)).ok_or_else(short)?;
                children.push(
                    Field::new(
                        "tds.type_varbyte.data.textptr",
                        "text pointer",
                        Value::Bytes(pointer.to_vec()),
                    )
                    .at(w.r.last(usize::from(len))),
                );
                w.r.skip(8).ok_or_else(short)?;
                let len = w.r.i32_le().ok_or_else(short)?;
                if len < 0 {
                    Extent::Null
                } else {
                    counted(u64::from(len.unsigned_abs()), w.r.last(4), children)
                }
            }
        },
        ValueLength::Plp => {
            let total = w.r.u64_le().ok_or_else(short)?;
            children.push(
                Field::new(
                    "tds.type_varbyte.plp_len",
                    "PLP length",
                    Value::Int(total.cast_signed()),
                )
                .text(match total {
                    u64::MAX => "NULL",
                    PLP_UNKNOWN => "not known in advance",
                    _ => "",
                })
                .at(w.r.last(8)),
            );
            if total == u64::MAX {
                Extent::Null
            } else {
                Extent::Chunks
            }
        }
        ValueLength::Table => return Err(Stop::wrong(at, "a table is no plain value")),
    })
}

fn counted(len: u64, range: std::ops::Range<usize>, children: &mut Vec<Field>) -> Extent {
    children.push(Field::new("tds.type_varbyte.length", "length", Value::UInt(len)).at(range));
    Extent::Bytes(size(len))
}

/// PLP total: not known in advance.
const PLP_UNKNOWN: u64 = u64::MAX - 1;
/// Most chunks of a PLP value that get a field.
const KEEP_CHUNKS: usize = 64;

/// The chunks of a PLP value, each with its place, and where it broke off.
fn chunks<'a>(
    w: &mut Walk<'a>,
    children: &mut Vec<Field>,
) -> (Vec<(usize, &'a [u8])>, Option<Stop>) {
    let mut pieces = Vec::new();
    loop {
        let at = w.at();
        let Some(len) = w.r.u32_le() else {
            return (pieces, Some(Stop::short(at, "a PLP value")));
        };
        if children.len() < KEEP_CHUNKS || len == 0 {
            children.push(
                Field::new(
                    "tds.type_varbyte.plp_chunk_len",
                    "chunk",
                    Value::UInt(u64::from(len)),
                )
                .at(w.r.last(4)),
            );
        }
        if len == 0 {
            return (pieces, None);
        }
        let at = w.at();
        let (part, cut) = w.r.sub_lax(size(u64::from(len)));
        pieces.push((at, part.rest()));
        if cut {
            let stop = Stop::short(w.at(), "a chunk of a PLP value");
            return (pieces, Some(stop));
        }
    }
}

/// Skips a value without keeping anything; whether it was whole.
pub fn skip_value(w: &mut Walk<'_>, info: &TypeInfo) -> Option<()> {
    let r = &mut w.r;
    match info.length {
        ValueLength::Fixed(len) => r.skip(usize::from(len)),
        ValueLength::Byte => {
            let len = r.u8()?;
            r.skip(usize::from(len))
        }
        ValueLength::Short => match r.u16_le()? {
            0xffff => Some(()),
            len => r.skip(usize::from(len)),
        },
        ValueLength::Long | ValueLength::Variant => {
            let len = r.i32_le()?;
            r.skip(usize::try_from(len).unwrap_or(0))
        }
        ValueLength::TextPointer => match r.u8()? {
            0 => Some(()),
            len => {
                r.skip(usize::from(len).checked_add(8)?)?;
                let len = r.i32_le()?;
                r.skip(usize::try_from(len).unwrap_or(0))
            }
        },
        ValueLength::Plp => {
            if r.u64_le()? == u64::MAX {
                return Some(());
            }
            loop {
                match r.u32_le()? {
                    0 => return Some(()),
                    len => r.skip(size(u64::from(len)))?,
                }
            }
        }
        ValueLength::Table => None,
    }
}
