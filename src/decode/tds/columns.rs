//! COLMETADATA, TYPE_INFO and values as trees ([MS-TDS] 2.2.7.4, 2.2.5.4 to 2.2.5.6).

use super::Version;
use super::collation::Collation;
use super::message::Context;
use super::type_info::{Place, TypeError, TypeInfo, ValueLength, token as t};
use super::values::{self, Cell};
use crate::decode::field::{Field, Value};
use crate::decode::walk::{Flag, Step, Stop, Walk};

/// A column in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub info: TypeInfo,
    /// Values are written with its real type encrypted inside.
    pub encrypted: bool,
}

const COLUMN_FLAGS: &[Flag] = &[
    (0x0001, "tds.colmetadata.flags.nullable", "nullable"),
    (0x0002, "tds.colmetadata.flags.casesen", "case sensitive"),
    (0x000c, "tds.colmetadata.flags.updateable", "updateable"),
    (0x0010, "tds.colmetadata.flags.identity", "identity"),
    (0x0020, "tds.colmetadata.flags.computed", "computed"),
    (
        0x00c0,
        "tds.colmetadata.flags.reservedodbc",
        "reserved for ODBC",
    ),
    (
        0x0100,
        "tds.colmetadata.flags.fixedlenclrtype",
        "fixed-length CLR type",
    ),
    (
        0x0400,
        "tds.colmetadata.flags.sparsecolumnset",
        "sparse column set",
    ),
    (0x0800, "tds.colmetadata.flags.encrypted", "encrypted"),
    (0x2000, "tds.colmetadata.flags.hidden", "hidden"),
    (0x4000, "tds.colmetadata.flags.key", "key"),
    (
        0x8000,
        "tds.colmetadata.flags.nullableunknown",
        "nullable unknown",
    ),
];

/// Flag: values are encrypted by the driver.
const ENCRYPTED: u64 = 0x0800;

/// The columns behind a COLMETADATA token.
pub fn colmetadata(w: &mut Walk<'_>, context: &Context) -> Step<Vec<Column>> {
    let count = w.le("tds.colmetadata.columns", "columns", 2)?;
    if count == 0xffff {
        w.say("no metadata");
        return Ok(Vec::new());
    }
    let has_keys = context.column_encryption && cek_table(w)?;
    let mut columns = Vec::new();
    for number in 1..=count {
        let column = w.group("tds.colmetadata.field", format!("column {number}"), |w| {
            column(w, context, has_keys)
        })?;
        columns.push(column);
        if let Some(last) = columns.last() {
            w.say(format!("{} {}", last.name, last.info.sql()));
        }
    }
    Ok(columns)
}

fn column(w: &mut Walk<'_>, context: &Context, has_keys: bool) -> Step<Column> {
    let wide = context.version.is_wide();
    w.le(
        "tds.colmetadata.usertype",
        "user type",
        if wide { 4 } else { 2 },
    )?;
    let flags = w.hex("tds.colmetadata.results_token_flags", "flags", 2)?;
    w.flags(flags, COLUMN_FLAGS);
    let info = type_info(w, Place::Column, context.version)?;
    if info.has_table_name() {
        let parts = if wide {
            w.le("tds.colmetadata.table_name_parts", "table name parts", 1)?
        } else {
            1
        };
        for _ in 0..parts {
            w.counted(
                "tds.colmetadata.table_name_length",
                2,
                "tds.colmetadata.table_name",
                "table name",
            )?;
        }
    }
    let encrypted = context.column_encryption && flags & ENCRYPTED != 0;
    if encrypted {
        crypto_metadata(w, context, has_keys)?;
    }
    let name = w.counted(
        "tds.colmetadata.colname_length",
        1,
        "tds.colmetadata.colname",
        "name",
    )?;
    Ok(Column {
        name,
        info,
        encrypted,
    })
}

/// The table of column encryption keys; whether it has entries.
fn cek_table(w: &mut Walk<'_>) -> Step<bool> {
    w.group("tds.other", "encryption keys", |w| {
        let entries = w.le("tds.other", "entries", 2)?;
        for _ in 0..entries {
            w.le("tds.other", "database id", 4)?;
            w.le("tds.other", "key id", 4)?;
            w.le("tds.other", "key version", 4)?;
            w.hex("tds.other", "metadata version", 8)?;
            let values = w.le("tds.other", "values", 1)?;
            for _ in 0..values {
                let len = w.le("tds.other", "key length", 2)?;
                w.bytes("tds.other", "encrypted key", size(len))?;
                w.counted("", 1, "tds.other", "key store")?;
                w.counted("", 2, "tds.other", "key path")?;
                w.counted("", 1, "tds.other", "algorithm")?;
            }
        }
        Ok(entries > 0)
    })
}

/// Encryption metadata of a column or return value.
pub fn crypto_metadata(w: &mut Walk<'_>, context: &Context, has_keys: bool) -> Step<()> {
    w.group("tds.other", "encryption", |w| {
        if has_keys {
            w.le("tds.other", "key ordinal", 2)?;
        }
        w.le("tds.other", "user type", 4)?;
        type_info(w, Place::Column, context.version)?;
        if w.le("tds.other", "algorithm", 1)? == 0 {
            w.counted("", 1, "tds.other", "algorithm name")?;
        }
        w.le("tds.other", "encryption type", 1)?;
        w.le("tds.other", "normalization version", 1)?;
        Ok(())
    })
}

/// A TYPE_INFO.
pub fn type_info(w: &mut Walk<'_>, place: Place, version: Version) -> Step<TypeInfo> {
    let start = w.at();
    let before = w.r;
    match TypeInfo::read(&mut w.r, place, version) {
        Ok(info) => {
            let range = start..w.at();
            let field = type_field(&info, range, place);
            w.push(field);
            Ok(info)
        }
        Err(error) => {
            w.r = before;
            Err(match error {
                TypeError::Short => Stop::short(start, "TYPE_INFO"),
                TypeError::Unknown(token) => {
                    Stop::wrong(start, format!("0x{token:02x} is no data type"))
                }
            })
        }
    }
}

fn type_field(info: &TypeInfo, range: std::ops::Range<usize>, place: Place) -> Field {
    // COLMETADATA has names of its own for the parts of a type.
    let column = place != Place::Parameter;
    let pick = |in_column, elsewhere| if column { in_column } else { elsewhere };
    let heading = pick("tds.colmetadata.type", "tds.type_info");
    let mut field = Field::new(heading, "type", Value::Text(info.sql())).at(range.clone());
    let start = range.start;
    let token = Field::new(
        pick("tds.colmetadata.results_token_type", "tds.type_info.type"),
        "type token",
        Value::Hex(u64::from(info.token), 2),
    );
    field.children.push(
        token
            .text(super::type_info::name(info.token).unwrap_or_default())
            .at(start..start.saturating_add(1)),
    );
    if let Some(bytes) = info.max_bytes() {
        let name = match bytes {
            1 => "tds.colmetadata.type_size",
            2 if info.token == t::UDT => "tds.colmetadata.maxbytesize",
            2 => "tds.colmetadata.large_type_size",
            _ => "tds.colmetadata.type_max",
        };
        field.children.push(
            Field::new(
                pick(name, "tds.type_info.varlen"),
                "largest value",
                Value::UInt(u64::from(info.max)),
            )
            .text(if info.length == ValueLength::Plp {
                "PLP"
            } else {
                ""
            }),
        );
    }
    if info.precision > 0 {
        field.children.push(Field::new(
            pick("tds.colmetadata.precision", "tds.type_info.precision"),
            "precision",
            Value::UInt(u64::from(info.precision)),
        ));
    }
    if info.precision > 0 || matches!(info.token, t::TIME | t::DATETIME2 | t::DATETIMEOFFSET) {
        field.children.push(Field::new(
            pick("tds.colmetadata.scale", "tds.type_info.scale"),
            "scale",
            Value::UInt(u64::from(info.scale)),
        ));
    }
    if let Some(collation) = info.collation {
        let names = if column {
            CollationNames::Column
        } else {
            CollationNames::TypeInfo
        };
        let range = range.end.saturating_sub(5)..range.end;
        field
            .children
            .push(collation_field(collation, range, names));
    }
    field
}

/// Where a collation stands: Wireshark has other names for its parts in each place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollationNames {
    /// In the TYPE_INFO of a parameter.
    TypeInfo,
    /// In COLMETADATA.
    Column,
    /// In ENVCHANGE.
    EnvChange,
}

/// A collation's name, or its locale where it has none.
pub fn collation_name(collation: Collation) -> String {
    collation
        .name()
        .map_or_else(|| format!("LCID 0x{:04x}", collation.lcid()), str::to_owned)
}

/// A collation.
pub fn collation_field(
    collation: Collation,
    range: std::ops::Range<usize>,
    names: CollationNames,
) -> Field {
    let name = Value::Text(collation_name(collation));
    let (heading, page, flags, charset) = match names {
        CollationNames::TypeInfo => {
            return type_collation(collation, name).at(range);
        }
        CollationNames::Column => (
            "tds.colmetadata.collation",
            "tds.colmetadata.collate_codepage",
            "tds.colmetadata.collate_flags",
            "tds.colmetadata.collate_charset_id",
        ),
        CollationNames::EnvChange => (
            "tds.envchange.collation",
            "tds.envchange.collate_codepage",
            "tds.envchange.collate_flags",
            "tds.envchange.collate_charset_id",
        ),
    };
    Field::new(heading, "collation", name)
        .text(collation.code_page().name())
        .at(range)
        .children([
            Field::new(
                page,
                "LCID",
                Value::UInt(u64::from(collation.info & 0xffff)),
            ),
            Field::new(
                flags,
                "flags",
                Value::Hex(u64::from(collation.info >> 16), 4),
            )
            .text(collation.flag_words()),
            Field::new(
                charset,
                "sort id",
                Value::UInt(u64::from(collation.sort_id)),
            ),
        ])
}

fn type_collation(collation: Collation, name: Value) -> Field {
    let flag = |name, label, bit| Field::new(name, label, Value::Bool(collation.has(bit)));
    Field::new("tds.type_info.collation", "collation", name)
        .text(collation.code_page().name())
        .children([
            Field::new(
                "tds.type_info.collation.lcid",
                "LCID",
                Value::Hex(u64::from(collation.lcid()), 4),
            ),
            flag("tds.type_info.collation.ignore_case", "ignore case", 20),
            flag("tds.type_info.collation.ignore_accent", "ignore accent", 21),
            flag("tds.type_info.collation.ignore_kana", "ignore kana", 22),
            flag("tds.type_info.collation.ignore_width", "ignore width", 23),
            flag("tds.type_info.collation.binary", "binary", 24),
            Field::new(
                "tds.type_info.collation.version",
                "version",
                Value::UInt(u64::from(collation.version())),
            ),
            Field::new(
                "tds.type_info.collation.sortid",
                "sort id",
                Value::UInt(u64::from(collation.sort_id)),
            ),
        ])
}

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

/// A length from the wire as a size; what does not fit is more than can be there.
pub fn size(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
