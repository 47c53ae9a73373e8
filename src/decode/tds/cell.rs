//! Values as trees: how each is delimited, what it says, and where it broke off ([MS-TDS] 2.2.5.5, 2.2.5.2.3).

use super::columns::size;
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

/// A value, with its label; its length and chunks go below it where `detail` is set.
pub fn value(w: &mut Walk<'_>, info: &TypeInfo, label: String, detail: bool) -> Step<Cell> {
    let start = w.at();
    let mut children = Vec::new();
    let extent = extent(w, info, &mut children)?;
    let (bytes, total, cut) = match extent {
        Extent::Null => {
            let range = start..w.at();
            let mut field = Field::new("tds.type_varbyte.data.null", label, Value::None)
                .text("NULL")
                .at(range);
            if detail {
                field.children = children;
            }
            w.push(field);
            return Ok(Cell::null());
        }
        Extent::Bytes(len) => {
            let (part, cut) = w.r.sub_lax(len);
            let bytes = part.rest();
            let kept = bytes.get(..values::KEEP).unwrap_or(bytes);
            let stop = cut.then(|| Stop::short(w.at(), &format!("a value of {len} bytes")));
            (kept.to_vec(), bytes.len(), stop)
        }
        Extent::Chunks => chunks(w, &mut children),
    };
    let whole = bytes.len() == total && cut.is_none();
    // A number or date that is not whole says nothing; text does.
    let cell = if cut.is_some() && !is_textual(info) {
        None
    } else {
        Some(values::print(info, &bytes))
    };
    let mut field = typed(info, &bytes, cell.as_ref(), label);
    field = field.at(start..w.at());
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
    w.push(field);
    match cut {
        Some(stop) => Err(stop),
        None => Ok(cell.unwrap_or_else(Cell::null)),
    }
}

fn is_textual(info: &TypeInfo) -> bool {
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

/// The chunks of a PLP value: the bytes kept, how many there are, and where it broke off.
fn chunks(w: &mut Walk<'_>, children: &mut Vec<Field>) -> (Vec<u8>, usize, Option<Stop>) {
    let mut kept = Vec::new();
    let mut total = 0_usize;
    loop {
        let at = w.at();
        let Some(len) = w.r.u32_le() else {
            return (kept, total, Some(Stop::short(at, "a PLP value")));
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
            return (kept, total, None);
        }
        let (part, cut) = w.r.sub_lax(size(u64::from(len)));
        let bytes = part.rest();
        let room = values::KEEP.saturating_sub(kept.len());
        kept.extend(bytes.iter().take(room));
        total = total.saturating_add(bytes.len());
        if cut {
            return (
                kept,
                total,
                Some(Stop::short(w.at(), "a chunk of a PLP value")),
            );
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
