//! TYPE_INFO: which type a column or parameter has and how its values are delimited ([MS-TDS] 2.2.5.4 to 2.2.5.6).

use self::token as t;
use super::collation::Collation;
use super::version::Version;
use crate::decode::reader::Reader;

/// Type tokens ([MS-TDS] 2.2.5.4).
pub mod token {
    /// NULL.
    pub const NULL: u8 = 0x1f;
    /// image.
    pub const IMAGE: u8 = 0x22;
    /// text.
    pub const TEXT: u8 = 0x23;
    /// uniqueidentifier.
    pub const GUID: u8 = 0x24;
    /// Legacy varbinary.
    pub const VARBINARY_OLD: u8 = 0x25;
    /// Integer that can be NULL.
    pub const INT_N: u8 = 0x26;
    /// Legacy varchar.
    pub const VARCHAR_OLD: u8 = 0x27;
    /// date.
    pub const DATE: u8 = 0x28;
    /// time.
    pub const TIME: u8 = 0x29;
    /// datetime2.
    pub const DATETIME2: u8 = 0x2a;
    /// datetimeoffset.
    pub const DATETIMEOFFSET: u8 = 0x2b;
    /// Legacy binary.
    pub const BINARY_OLD: u8 = 0x2d;
    /// Legacy char.
    pub const CHAR_OLD: u8 = 0x2f;
    /// tinyint.
    pub const INT1: u8 = 0x30;
    /// bit.
    pub const BIT: u8 = 0x32;
    /// smallint.
    pub const INT2: u8 = 0x34;
    /// Legacy decimal.
    pub const DECIMAL_OLD: u8 = 0x37;
    /// int.
    pub const INT4: u8 = 0x38;
    /// smalldatetime.
    pub const DATETIME4: u8 = 0x3a;
    /// real.
    pub const FLOAT4: u8 = 0x3b;
    /// money.
    pub const MONEY: u8 = 0x3c;
    /// datetime.
    pub const DATETIME: u8 = 0x3d;
    /// float.
    pub const FLOAT8: u8 = 0x3e;
    /// Legacy numeric.
    pub const NUMERIC_OLD: u8 = 0x3f;
    /// sql_variant.
    pub const VARIANT: u8 = 0x62;
    /// ntext.
    pub const NTEXT: u8 = 0x63;
    /// bit that can be NULL.
    pub const BIT_N: u8 = 0x68;
    /// decimal.
    pub const DECIMAL: u8 = 0x6a;
    /// numeric.
    pub const NUMERIC: u8 = 0x6c;
    /// real or float that can be NULL.
    pub const FLOAT_N: u8 = 0x6d;
    /// money or smallmoney that can be NULL.
    pub const MONEY_N: u8 = 0x6e;
    /// datetime or smalldatetime that can be NULL.
    pub const DATETIME_N: u8 = 0x6f;
    /// smallmoney.
    pub const MONEY4: u8 = 0x7a;
    /// bigint.
    pub const INT8: u8 = 0x7f;
    /// varbinary.
    pub const VARBINARY: u8 = 0xa5;
    /// varchar.
    pub const VARCHAR: u8 = 0xa7;
    /// binary.
    pub const BINARY: u8 = 0xad;
    /// char.
    pub const CHAR: u8 = 0xaf;
    /// nvarchar.
    pub const NVARCHAR: u8 = 0xe7;
    /// nchar.
    pub const NCHAR: u8 = 0xef;
    /// CLR user-defined type.
    pub const UDT: u8 = 0xf0;
    /// xml.
    pub const XML: u8 = 0xf1;
    /// Table-valued parameter.
    pub const TVP: u8 = 0xf3;
    /// json.
    pub const JSON: u8 = 0xf4;
    /// vector.
    pub const VECTOR: u8 = 0xf5;
}

/// Where a TYPE_INFO and its values stand; user-defined and text types are written differently there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// COLMETADATA and the rows that follow, in results and bulk load.
    Column,
    /// RETURNVALUE.
    ReturnValue,
    /// A parameter of an RPC, or a column of a table-valued parameter.
    Parameter,
}

/// How a value is delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueLength {
    /// This many bytes, no length in front (0 for the type NULL).
    Fixed(u8),
    /// A u8 length, then the bytes; length 0 is NULL.
    Byte,
    /// A u16 length, then the bytes; length 0xFFFF is NULL.
    Short,
    /// An i32 length, then the bytes; a negative length is NULL (text types outside rows).
    Long,
    /// A u8 text pointer length (0 is NULL and nothing follows), the pointer, an 8-byte timestamp, then an i32
    /// length and the bytes (text types in rows).
    TextPointer,
    /// An i32 length, then the bytes; length 0 is NULL (sql_variant).
    Variant,
    /// A u64 total (all ones is NULL and nothing follows), then chunks {u32 length, bytes} up to a length of 0.
    Plp,
    /// A table-valued parameter: its own metadata and rows.
    Table,
}

/// A TYPE_INFO as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeInfo {
    /// The type token.
    pub token: u8,
    /// How values are delimited.
    pub length: ValueLength,
    /// Largest value in bytes, where the type states it (0xFFFF stands for PLP); else 0.
    pub max: u32,
    /// Precision of decimals.
    pub precision: u8,
    /// Scale of decimals and times; the dimension type of a vector.
    pub scale: u8,
    /// Collation of character types.
    pub collation: Option<Collation>,
    /// Names of user-defined, xml and table types.
    pub names: Option<Box<TypeNames>>,
}

/// Names inside a TYPE_INFO.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeNames {
    /// Database.
    pub database: String,
    /// Schema.
    pub schema: String,
    /// Type, or XML schema collection.
    pub name: String,
    /// Assembly-qualified name of a user-defined type in results.
    pub assembly: String,
}

impl TypeNames {
    /// Reads the three parts of a name; the counts of the last are not everywhere as wide.
    fn read(r: &mut Reader<'_>, last: fn(&mut Reader<'_>) -> Option<String>) -> Option<Self> {
        Some(Self {
            database: b_varchar(r)?,
            schema: b_varchar(r)?,
            name: last(r)?,
            assembly: String::new(),
        })
    }
}

/// Why a TYPE_INFO could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeError {
    /// Too few bytes.
    Short,
    /// The token is not a type.
    Unknown(u8),
}

impl TypeInfo {
    /// Reads a TYPE_INFO. Names inside are bounded by their own u8 and u16 counts.
    pub fn read(r: &mut Reader<'_>, place: Place, version: Version) -> Result<Self, TypeError> {
        let token = r.u8().ok_or(TypeError::Short)?;
        Self::read_after_token(token, r, place, version)?.ok_or(TypeError::Short)
    }

    fn read_after_token(
        token: u8,
        r: &mut Reader<'_>,
        place: Place,
        version: Version,
    ) -> Result<Option<Self>, TypeError> {
        let mut info = Self {
            token,
            length: length_rule(token, place).ok_or(TypeError::Unknown(token))?,
            max: 0,
            precision: 0,
            scale: 0,
            collation: None,
            names: None,
        };
        Ok(info.read_details(r, place, version).map(|()| info))
    }

    fn read_details(&mut self, r: &mut Reader<'_>, place: Place, version: Version) -> Option<()> {
        self.max = match self.max_bytes() {
            Some(1) => u32::from(r.u8()?),
            Some(2) => u32::from(r.u16_le()?),
            Some(_) => r.u32_le()?,
            None => 0,
        };
        match self.token {
            t::DECIMAL | t::NUMERIC | t::DECIMAL_OLD | t::NUMERIC_OLD => {
                self.precision = r.u8()?;
                self.scale = r.u8()?;
            }
            t::TIME | t::DATETIME2 | t::DATETIMEOFFSET | t::VECTOR => self.scale = r.u8()?,
            t::VARCHAR | t::NVARCHAR | t::VARBINARY if self.max == 0xffff => {
                self.length = ValueLength::Plp;
            }
            t::UDT => {
                // Its size is stated only in results.
                if place != Place::Parameter {
                    self.max = u32::from(r.u16_le()?);
                }
                let mut names = TypeNames::read(r, b_varchar)?;
                if place != Place::Parameter {
                    names.assembly = us_varchar(r)?;
                }
                self.names = Some(Box::new(names));
            }
            t::XML => {
                let with_schema = r.u8()? != 0;
                if with_schema {
                    self.names = Some(Box::new(TypeNames::read(r, us_varchar)?));
                }
            }
            t::TVP => self.names = Some(Box::new(TypeNames::read(r, b_varchar)?)),
            _ => {}
        }
        if self.is_collated() && version.has_collation() {
            self.collation = Some(Collation::read(r)?);
        }
        Some(())
    }

    /// Whether the type carries a collation from TDS 7.1 on.
    pub fn is_collated(&self) -> bool {
        matches!(
            self.token,
            t::VARCHAR | t::CHAR | t::NVARCHAR | t::NCHAR | t::TEXT | t::NTEXT
        )
    }

    /// How many bytes of the TYPE_INFO state the largest value; `None` if the type has a fixed size.
    pub fn max_bytes(&self) -> Option<u8> {
        Some(match self.token {
            t::INT_N
            | t::BIT_N
            | t::FLOAT_N
            | t::MONEY_N
            | t::DATETIME_N
            | t::GUID
            | t::VARBINARY_OLD
            | t::VARCHAR_OLD
            | t::BINARY_OLD
            | t::CHAR_OLD
            | t::DECIMAL
            | t::NUMERIC
            | t::DECIMAL_OLD
            | t::NUMERIC_OLD => 1,
            t::VARCHAR
            | t::NVARCHAR
            | t::CHAR
            | t::NCHAR
            | t::VARBINARY
            | t::BINARY
            | t::VECTOR => 2,
            t::UDT if self.max > 0 => 2,
            t::TEXT | t::NTEXT | t::IMAGE | t::VARIANT => 4,
            _ => return None,
        })
    }

    /// Whether values are UTF-16LE text.
    pub fn is_unicode(&self) -> bool {
        matches!(self.token, t::NVARCHAR | t::NCHAR | t::NTEXT | t::XML)
    }

    /// Whether COLMETADATA carries a table name behind the type (text, ntext, image).
    pub fn has_table_name(&self) -> bool {
        matches!(self.token, token::TEXT | token::NTEXT | token::IMAGE)
    }

    /// The type as T-SQL writes it, for example `nvarchar(40)` or `decimal(10,2)`.
    pub fn sql(&self) -> String {
        let sized = |name: &str, unit: u32| match self.length {
            ValueLength::Plp => format!("{name}(max)"),
            _ => format!("{name}({})", self.max.checked_div(unit).unwrap_or(0)),
        };
        let named = |fallback: &str| {
            self.names
                .as_ref()
                .filter(|n| !n.name.is_empty())
                .map_or_else(
                    || fallback.to_owned(),
                    |n| {
                        [&n.database, &n.schema, &n.name]
                            .into_iter()
                            .filter(|part| !part.is_empty())
                            .cloned()
                            .collect::<Vec<_>>()
                            .join(".")
                    },
                )
        };
        match self.token {
            t::INT_N => match self.max {
                1 => "tinyint",
                2 => "smallint",
                8 => "bigint",
                _ => "int",
            }
            .to_owned(),
            t::FLOAT_N => if self.max == 4 { "real" } else { "float" }.to_owned(),
            t::MONEY_N => if self.max == 4 { "smallmoney" } else { "money" }.to_owned(),
            t::DATETIME_N => if self.max == 4 {
                "smalldatetime"
            } else {
                "datetime"
            }
            .to_owned(),
            t::DECIMAL | t::DECIMAL_OLD => format!("decimal({},{})", self.precision, self.scale),
            t::NUMERIC | t::NUMERIC_OLD => format!("numeric({},{})", self.precision, self.scale),
            t::TIME => format!("time({})", self.scale),
            t::DATETIME2 => format!("datetime2({})", self.scale),
            t::DATETIMEOFFSET => format!("datetimeoffset({})", self.scale),
            t::VARCHAR | t::VARCHAR_OLD => sized("varchar", 1),
            t::CHAR | t::CHAR_OLD => sized("char", 1),
            t::NVARCHAR => sized("nvarchar", 2),
            t::NCHAR => sized("nchar", 2),
            t::VARBINARY | t::VARBINARY_OLD => sized("varbinary", 1),
            t::BINARY | t::BINARY_OLD => sized("binary", 1),
            // 8 bytes of header, then 4 bytes (or 2 for half precision) for each dimension.
            t::VECTOR => {
                let each = if self.scale == 1 { 2 } else { 4 };
                format!(
                    "vector({})",
                    self.max.saturating_sub(8).checked_div(each).unwrap_or(0)
                )
            }
            t::UDT => named("udt"),
            t::TVP => named("table"),
            token => name(token).unwrap_or("?").to_owned(),
        }
    }
}

/// How values of a type are delimited, before PLP is known; `None` if the token is no type.
fn length_rule(token: u8, place: Place) -> Option<ValueLength> {
    Some(match token {
        t::NULL => ValueLength::Fixed(0),
        t::INT1 | t::BIT => ValueLength::Fixed(1),
        t::INT2 => ValueLength::Fixed(2),
        t::INT4 | t::FLOAT4 | t::MONEY4 | t::DATETIME4 => ValueLength::Fixed(4),
        t::INT8 | t::FLOAT8 | t::MONEY | t::DATETIME => ValueLength::Fixed(8),
        t::INT_N
        | t::BIT_N
        | t::FLOAT_N
        | t::MONEY_N
        | t::DATETIME_N
        | t::GUID
        | t::DECIMAL
        | t::NUMERIC
        | t::DECIMAL_OLD
        | t::NUMERIC_OLD
        | t::DATE
        | t::TIME
        | t::DATETIME2
        | t::DATETIMEOFFSET
        | t::VARBINARY_OLD
        | t::VARCHAR_OLD
        | t::BINARY_OLD
        | t::CHAR_OLD => ValueLength::Byte,
        t::VARCHAR | t::NVARCHAR | t::CHAR | t::NCHAR | t::VARBINARY | t::BINARY | t::VECTOR => {
            ValueLength::Short
        }
        t::TEXT | t::NTEXT | t::IMAGE if place == Place::Column => ValueLength::TextPointer,
        t::TEXT | t::NTEXT | t::IMAGE => ValueLength::Long,
        t::VARIANT => ValueLength::Variant,
        t::UDT | t::XML | t::JSON => ValueLength::Plp,
        t::TVP if place == Place::Parameter => ValueLength::Table,
        _ => return None,
    })
}

/// The name of a type, without its size.
pub fn name(token: u8) -> Option<&'static str> {
    Some(match token {
        t::NULL => "null",
        t::IMAGE => "image",
        t::TEXT => "text",
        t::GUID => "uniqueidentifier",
        t::VARBINARY_OLD | t::VARBINARY => "varbinary",
        t::INT_N => "intn",
        t::VARCHAR_OLD | t::VARCHAR => "varchar",
        t::DATE => "date",
        t::TIME => "time",
        t::DATETIME2 => "datetime2",
        t::DATETIMEOFFSET => "datetimeoffset",
        t::BINARY_OLD | t::BINARY => "binary",
        t::CHAR_OLD | t::CHAR => "char",
        t::INT1 => "tinyint",
        t::BIT | t::BIT_N => "bit",
        t::INT2 => "smallint",
        t::DECIMAL_OLD | t::DECIMAL => "decimal",
        t::INT4 => "int",
        t::DATETIME4 => "smalldatetime",
        t::FLOAT4 => "real",
        t::MONEY => "money",
        t::DATETIME => "datetime",
        t::FLOAT8 => "float",
        t::NUMERIC_OLD | t::NUMERIC => "numeric",
        t::VARIANT => "sql_variant",
        t::NTEXT => "ntext",
        t::FLOAT_N => "floatn",
        t::MONEY_N => "moneyn",
        t::DATETIME_N => "datetimen",
        t::MONEY4 => "smallmoney",
        t::INT8 => "bigint",
        t::NVARCHAR => "nvarchar",
        t::NCHAR => "nchar",
        t::UDT => "udt",
        t::XML => "xml",
        t::TVP => "table",
        t::JSON => "json",
        t::VECTOR => "vector",
        _ => return None,
    })
}

/// Text with a u8 count of UTF-16LE units (B_VARCHAR, [MS-TDS] 2.2.5.1.1).
pub fn b_varchar(r: &mut Reader<'_>) -> Option<String> {
    let count = usize::from(r.u8()?);
    r.take(count.checked_mul(2)?).map(utf16)
}

/// Text with a u16 count of UTF-16LE units (US_VARCHAR).
pub fn us_varchar(r: &mut Reader<'_>) -> Option<String> {
    let count = usize::from(r.u16_le()?);
    r.take(count.checked_mul(2)?).map(utf16)
}

/// UTF-16LE bytes as text; lone surrogates become U+FFFD, an odd last byte is left out.
pub fn utf16(bytes: &[u8]) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    // Most text is ASCII, at least at its beginning, and that needs no decoding.
    let is_ascii = |part: &&[[u8; 2]]| {
        let bits = part
            .iter()
            .fold(0, |all, pair| all | u16::from_le_bytes(*pair));
        bits < 0x80
    };
    let ascii = pairs.chunks(32).take_while(is_ascii).map(<[_]>::len).sum();
    let (plain, rest) = pairs.split_at_checked(ascii).unwrap_or((&[], pairs));
    let plain = plain.iter().map(|[low, _]| *low).collect();
    let mut text = String::from_utf8(plain).unwrap_or_default();
    let units = rest.iter().map(|pair| u16::from_le_bytes(*pair));
    text.extend(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], place: Place) -> Result<TypeInfo, TypeError> {
        TypeInfo::read(&mut Reader::new(bytes), place, Version::V74)
    }

    #[test]
    fn sizes_and_collations_are_read_by_type() {
        let info = read(&[0xa7, 3, 0, 9, 4, 0xd0, 0, 0x34], Place::Column).unwrap();
        assert_eq!(info.sql(), "varchar(3)");
        assert_eq!(info.length, ValueLength::Short);
        assert_eq!(info.collation.unwrap().sort_id, 52);

        let max = read(&[0xe7, 0xff, 0xff, 9, 4, 0xd0, 0, 0x34], Place::Parameter).unwrap();
        assert_eq!(
            (max.sql().as_str(), max.length),
            ("nvarchar(max)", ValueLength::Plp)
        );

        let old = TypeInfo::read(&mut Reader::new(&[0xa7, 3, 0]), Place::Column, Version::V70);
        assert_eq!(old.unwrap().collation, None);
        assert_eq!(
            read(&[0x6a, 17, 38, 4], Place::Column).unwrap().sql(),
            "decimal(38,4)"
        );
        assert_eq!(
            read(&[0x28], Place::Column).unwrap().length,
            ValueLength::Byte
        );
    }

    #[test]
    fn text_types_have_pointers_in_rows_only() {
        let bytes = [0x63, 0xff, 0xff, 0xff, 0x7f, 9, 4, 0xd0, 0, 0x34];
        assert_eq!(
            read(&bytes, Place::Column).unwrap().length,
            ValueLength::TextPointer
        );
        assert_eq!(
            read(&bytes, Place::Parameter).unwrap().length,
            ValueLength::Long
        );
    }

    #[test]
    fn cut_and_unknown_types_say_so() {
        assert_eq!(read(&[0xa7, 3], Place::Column), Err(TypeError::Short));
        assert_eq!(read(&[], Place::Column), Err(TypeError::Short));
        assert_eq!(read(&[0x99], Place::Column), Err(TypeError::Unknown(0x99)));
        assert_eq!(
            read(&[0xf3, 0, 0, 0], Place::Column),
            Err(TypeError::Unknown(0xf3))
        );
    }

    #[test]
    fn lone_surrogates_and_odd_bytes_do_not_lose_the_rest() {
        assert_eq!(utf16(&[b'a', 0, 0x00, 0xd8, b'b', 0, 9]), "a\u{fffd}b");
    }
}
