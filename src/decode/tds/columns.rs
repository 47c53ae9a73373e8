//! COLMETADATA, TYPE_INFO and values as trees ([MS-TDS] 2.2.7.4, 2.2.5.4 to 2.2.5.6).

use super::Version;
use super::collation::Collation;
use super::message::Context;
use super::type_info::{Place, TypeError, TypeInfo, ValueLength, token as t};
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

/// A USERTYPE: ULONG from TDS 7.2 on, USHORT before ([MS-TDS] 2.2.7.4).
pub fn user_type(w: &mut Walk<'_>, version: Version) -> Step<u64> {
    let len = if version.is_wide() { 4 } else { 2 };
    w.le("tds.colmetadata.usertype", "user type", len)
}

fn column(w: &mut Walk<'_>, context: &Context, has_keys: bool) -> Step<Column> {
    let user_type = user_type(w, context.version)?;
    w.say(match user_type {
        0x50 => "timestamp",
        0x100.. => "alias type",
        _ => "",
    });
    let flags = w.hex("tds.colmetadata.results_token_flags", "flags", 2)?;
    w.flags(flags, COLUMN_FLAGS);
    let info = type_info(w, Place::Column, context.version)?;
    if info.has_table_name() {
        let parts = if context.version.is_wide() {
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

/// A length from the wire as a size; what does not fit is more than can be there.
pub fn size(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
